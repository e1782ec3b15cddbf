/** What a build has to say beside the compiler's own diagnostics, and the order in which all is said. */
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import { canonical } from "./hash.ts";
import type { Project } from "./project.ts";

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((d) => d.severity === "error");
}

/** Each once (a module's errors are found again by whoever imports it), by file and place. */
export function distinctSorted(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const byText = new Map(diagnostics.map((d) => [canonical(d), d]));
  const place = (d: Diagnostic): readonly [string, number] => [
    d.labels[0]?.span.file ?? "",
    d.labels[0]?.span.start ?? 0,
  ];
  return [...byText]
    .map(([text, d]) => ({ text, d, at: place(d) }))
    .sort((a, b) => compare(a.at[0], b.at[0]) || a.at[1] - b.at[1] || compare(a.text, b.text))
    .map(({ d }) => d);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A project without sources, and sources that have no place among the outputs. */
export function inputDiagnostics(project: Project, files: readonly string[]): Diagnostic[] {
  const { config, unit } = project;
  if (!config) return [];
  if (files.length === 0)
    return [
      diagnostic(
        "EIN2103",
        "the project has no sources",
        { span: config.spanOf(["include"]), text: "" },
        {
          notes: [
            `include is ${JSON.stringify(config.config.include ?? ["**/*.ein"])}, exclude is ${JSON.stringify(config.config.exclude ?? [])}`,
          ],
        },
      ),
    ];
  const outside = unit.rootDir === "" ? [] : files.filter((f) => !f.startsWith(`${unit.rootDir}/`));
  return outside.map((f) =>
    diagnostic("EIN2104", `${f} is not below rootDir`, {
      span: config.spanOf(["rootDir"]),
      text: "outputs repeat the folders below this one",
    }),
  );
}

/** Names in the configuration or the command that no function of the project has: most likely misspelt. */
export function unusedOptions(project: Project, known: ReadonlySet<string>): Diagnostic[] {
  const { config, unit } = project;
  const kinds = [
    ["extents", "no exported function has an extent"],
    ["consts", "no exported function has a constant"],
    ["specialise", "no source exports a function"],
  ] as const;
  return [
    ...kinds.flatMap(([kind, message]) =>
      Object.keys(unit[kind])
        .filter((name) => !known.has(`${kind}.${name}`))
        .map((name) => {
          const others = [...known].filter((u) => u.startsWith(`${kind}.`)).map((u) => u.slice(kind.length + 1));
          const configured = Object.hasOwn(config?.config[kind] ?? {}, name);
          const at = configured ? config?.spanOf([kind, name], true) : undefined;
          return withoutEffect(`${message} \`${name}\``, suggest(name, others), at);
        }),
    ),
    ...unknownFeatures(project),
  ];
}

/** WebGPU's features (https://www.w3.org/TR/webgpu/#feature-index); those of one browser begin with its name. */
const FEATURES: ReadonlySet<string> = new Set([
  "core-features-and-limits",
  "depth-clip-control",
  "depth32float-stencil8",
  "texture-compression-bc",
  "texture-compression-bc-sliced-3d",
  "texture-compression-etc2",
  "texture-compression-astc",
  "texture-compression-astc-sliced-3d",
  "timestamp-query",
  "indirect-first-instance",
  "shader-f16",
  "rg11b10ufloat-renderable",
  "bgra8unorm-storage",
  "float32-filterable",
  "float32-blendable",
  "clip-distances",
  "dual-source-blending",
  "subgroups",
  "texture-formats-tier1",
  "texture-formats-tier2",
  "primitive-index",
  "texture-component-swizzle",
]);

function unknownFeatures({ config, unit }: Project): Diagnostic[] {
  if (!config) return [];
  const listed = Array.isArray(config.config.target);
  return unit.targets.flatMap((target, i) =>
    target.features.flatMap((feature, j) => {
      if (FEATURES.has(feature) || feature.startsWith("chromium-")) return [];
      const at = config.spanOf(["target", ...(listed ? [i] : []), "features", j]);
      return [withoutEffect(`WebGPU has no feature \`${feature}\``, suggest(feature, FEATURES), at)];
    }),
  );
}

function withoutEffect(message: string, near: string | undefined, span: Span | undefined): Diagnostic {
  const text = near ? `did you mean \`${near}\`?` : "this has no effect";
  return diagnostic("EIN2105", message, span ? { span, text } : [], {
    severity: "warning",
    ...(span ? {} : { notes: [text] }),
  });
}
