/** Compiles one source of a project: text in, outputs and diagnostics out. What a worker does, and the main thread beside it. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { join, posix, resolve } from "node:path";
import { type Diagnostic, DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import { compile } from "../api/compile.ts";
import { CompileError } from "../api/error.ts";
import type { Program } from "../api/program.ts";
import { decodeSource, MAX_SOURCE_BYTES } from "../cli/context.ts";
import type { CompileOptions } from "../compile.ts";
import type { OutputFile } from "../module/index.ts";
import type { Resolve } from "../modules.ts";
import { reasonOf } from "../system-error.ts";
import { emitUnit } from "./emit-unit.ts";
import { hashOf } from "./hash.ts";
import type { UnitSettings } from "./project.ts";
import { MISSING, within } from "./sources.ts";

export interface UnitResult {
  /** Relative to the root. */
  readonly file: string;
  /** Paths are relative to the output folder. Empty if there are errors. */
  readonly outputs: readonly OutputFile[];
  readonly diagnostics: readonly Diagnostic[];
  /** Hashes of all files that were read or looked for. */
  readonly reads: Readonly<Record<string, string>>;
  /** What the configuration may name: `extents.B`, `consts.stride`, `specialise.attention`. */
  readonly names: readonly string[];
}

/** Never throws for what the files hold. A defect of the compiler passes through. */
export function compileUnit(
  file: string,
  s: UnitSettings,
  { schedule, memo }: Pick<CompileOptions, "schedule" | "memo"> = {},
): UnitResult {
  const reads: Record<string, string> = {};
  let names: readonly string[] = [];
  const done = (outputs: readonly OutputFile[], diagnostics: readonly Diagnostic[]): UnitResult => ({
    file,
    outputs,
    diagnostics,
    reads,
    names,
  });
  try {
    const source = readText(s.root, file, reads);
    if (typeof source !== "string") return done([], [unreadable(file, source.error)]);
    const program = compile(source, { fileName: file, resolve: resolverOf(s.root, reads) });
    names = namesOf(program);
    const found = [...program.diagnostics];
    const onWarning = (d: Diagnostic): number => found.push(d);
    return done(emitUnit({ file, source, program, settings: s, schedule, memo, onWarning }), found);
  } catch (error) {
    if (error instanceof CompileError) return done([], error.diagnostics);
    if (error instanceof DiagnosticError) return done([], [error.diagnostic]);
    throw error;
  }
}

function namesOf(program: Program): string[] {
  const all = program.functions.flatMap((f) => [
    `specialise.${f.name}`,
    ...f.extents.map((e) => `extents.${e}`),
    ...f.parameters.filter((p) => p.isConst).map((p) => `consts.${p.name}`),
  ]);
  return [...new Set(all)].sort();
}

function unreadable(file: string, why: string): Diagnostic {
  return diagnostic("EIN2001", `${file} cannot be read`, { span: { file, start: 0, end: 0 }, text: why });
}

/** The text of a file of the project; its hash goes into `reads`. Throws CompileError if it is not UTF-8. */
function readText(root: string, path: string, reads: Record<string, string>): string | { readonly error: string } {
  let bytes: Uint8Array;
  try {
    reads[path] = MISSING;
    const at = join(root, path);
    const stat = statSync(at);
    // A pipe would be waited for.
    if (!stat.isFile()) return { error: `${path} is not a file` };
    if (stat.size > MAX_SOURCE_BYTES) return { error: "the file is larger than 16 MiB" };
    bytes = readFileSync(at);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return { error: code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read: ${reasonOf(error)}` };
  }
  reads[path] = hashOf(bytes);
  return decodeSource(bytes, path);
}

/** Imports are files inside the root, links followed; names are relative to it, so that outputs do not depend on where it lies. */
function resolverOf(root: string, reads: Record<string, string>): Resolve {
  return (specifier, importer) => {
    const path = posix.join(posix.dirname(importer), specifier.endsWith(".ein") ? specifier : `${specifier}.ein`);
    const outside = { error: `${specifier} is outside the project's root` };
    if (path.startsWith("../")) return outside;
    const source = readText(root, path, reads);
    if (typeof source !== "string") return source;
    if (within(realpathSync(root), realpathSync(resolve(root, path))) === undefined) return outside;
    return { fileName: path, source };
  };
}
