/** What a build has to say beside the compiler's own diagnostics, and the order in which all is said. */
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
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

/** Names in the configuration that no function of the project has: most likely misspelt. */
export function unusedOptions(project: Project, known: ReadonlySet<string>): Diagnostic[] {
  const { config } = project;
  if (!config) return [];
  const kinds = [
    ["extents", "no exported function has an extent"],
    ["consts", "no exported function has a constant"],
    ["specialise", "no source exports a function"],
  ] as const;
  return kinds.flatMap(([kind, message]) =>
    Object.keys(config.config[kind] ?? {})
      .filter((name) => !known.has(`${kind}.${name}`))
      .map((name) => {
        const others = [...known].filter((u) => u.startsWith(`${kind}.`)).map((u) => u.slice(kind.length + 1));
        const near = suggest(name, others);
        const text = near ? `did you mean \`${near}\`?` : "this has no effect";
        return diagnostic(
          "EIN2105",
          `${message} \`${name}\``,
          { span: config.spanOf([kind, name], true), text },
          { severity: "warning" },
        );
      }),
  );
}
