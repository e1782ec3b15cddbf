/** Makes an example of a diagnostic happen, as a user's program or file would. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Diagnostic, DiagnosticError } from "../../grammar/diagnostic.ts";
import type { AdapterInfo } from "../../runtime/plan.ts";
import { CompileError } from "../../src/api/error.ts";
import { decodeSource } from "../../src/cli/context.ts";
import { compile } from "../../src/index.ts";
import { readArray, writeArray } from "../../src/io/files.ts";
import { buildProject, openBuild } from "../../src/project/build.ts";
import { readConfig } from "../../src/project/config.ts";
import { CONFIG_NAME } from "../../src/project/find.ts";
import { projectOf } from "../../src/project/project.ts";
import { DEFAULT_TARGET } from "../../src/schedule/applied.ts";
import { readCache } from "../../src/tune/cache.ts";
import type { DiagnosticExample } from "./diagnostic-examples.ts";

export interface Produced {
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
}

/** The diagnostics; none if nothing went wrong. Other errors pass through. */
export async function produce(e: DiagnosticExample): Promise<Produced> {
  const folder = mkdtempSync(join(tmpdir(), "fusum-docs-"));
  try {
    if (e.kind === "project") return await buildExample(e, folder);
    run(e, folder);
    return { diagnostics: [], sources: new Map() };
  } catch (error) {
    if (error instanceof CompileError) return { diagnostics: error.diagnostics, sources: error.sources };
    if (error instanceof DiagnosticError)
      return { diagnostics: [without(error.diagnostic, folder)], sources: new Map() };
    if (error instanceof Warnings) return { diagnostics: error.diagnostics, sources: new Map() };
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is said without anything being thrown. */
class Warnings extends Error {
  readonly diagnostics: readonly Diagnostic[];
  constructor(diagnostics: readonly Diagnostic[]) {
    super("warnings");
    this.diagnostics = diagnostics;
  }
}

async function buildExample(e: Extract<DiagnosticExample, { kind: "project" }>, folder: string): Promise<Produced> {
  const path = join(folder, CONFIG_NAME);
  for (const [name, text] of Object.entries({ ...e.files, [CONFIG_NAME]: e.config })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const project = projectOf(await readConfig(path, CONFIG_NAME), { noEmit: true });
  const { diagnostics } = await buildProject(openBuild(project, "0"));
  return { diagnostics, sources: new Map(Object.entries({ ...e.files, [CONFIG_NAME]: e.config })) };
}

function run(e: Exclude<DiagnosticExample, { kind: "project" }>, folder: string): void {
  switch (e.kind) {
    case "source":
      compile(e.source, {
        fileName: "example.ein",
        resolve: (specifier) => {
          const fileName = specifier.replace(/^\.\//, "");
          const source = fileName === "example.ein" ? e.source : e.files?.[fileName];
          return source === undefined ? { error: `there is no file ${fileName}` } : { fileName, source };
        },
      });
      return;
    case "adapter": {
      const adapter: AdapterInfo = { ...DEFAULT_TARGET, name: "this adapter", kind: "gpu", features: e.features };
      compile(e.source, { fileName: "example.ein" }).plan(e.fn, { adapter });
      return;
    }
    case "bytes":
      compile(decodeSource(e.bytes, "example.ein"), { fileName: "example.ein" });
      return;
    case "file": {
      const path = join(folder, e.file);
      if (e.contents !== undefined) writeFileSync(path, e.contents);
      if (e.write) writeArray(path, { dtype: "f32", shape: [1], data: Float32Array.of(1) });
      else readArray(path, e.array);
      return;
    }
    case "schedules":
      throw new Warnings(readCache(e.contents, e.file).warnings);
    default:
      e satisfies never;
  }
}

/** File names as the user would give them. */
function without(d: Diagnostic, folder: string): Diagnostic {
  const short = (text: string): string => text.replaceAll(`${folder}/`, "");
  return {
    ...d,
    message: short(d.message),
    labels: d.labels.map((l) => ({ ...l, span: { ...l.span, file: short(l.span.file) } })),
    notes: d.notes.map(short),
  };
}
