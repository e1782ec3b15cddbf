/** What the commands share: exit codes, reading sources, diagnostics on the terminal, bindings from options. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { type Diagnostic, DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import { suggest } from "../../grammar/suggest.ts";
import { CompileError } from "../api/error.ts";
import { diagnosticsToJson, renderDiagnostics } from "../diagnostics/render.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { reasonOf } from "../system-error.ts";

export const EXIT = { fine: 0, diagnostics: 1, usage: 2, device: 3 } as const;

export interface GlobalOptions {
  readonly json?: boolean;
  readonly pretty?: "auto" | "always" | "never";
  readonly strict?: boolean;
  readonly fastMath?: boolean;
}
export interface BindingOptions extends GlobalOptions {
  readonly extent: readonly string[];
  readonly const: readonly string[];
}

/** Ends a command with an exit code; `silent` when everything has been said. */
export class CliError extends Error {
  readonly exitCode: number;
  readonly silent: boolean;
  constructor(exitCode: number, message: string, silent = false) {
    super(message);
    this.name = "CliError";
    this.exitCode = exitCode;
    this.silent = silent;
  }
}

export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, message);
}

/** Larger sources are refused: nobody wrote them. */
export const MAX_SOURCE_BYTES: number = 16 * 1024 * 1024;

/** A source file's text. Invalid UTF-8, a file too large or missing is a CompileError or a CliError, never garbage. */
export function readSource(file: string): string {
  let bytes: Buffer;
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) throw usageError(`${file} is a folder`);
    // Nobody may ever write into a pipe that has a source's name.
    if (!stat.isFile()) throw usageError(`${file} is not a file`);
    if (stat.size > MAX_SOURCE_BYTES) throw usageError(`${file} is larger than 16 MiB`);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw usageError(`cannot read ${file}: ${reasonOf(error)}`);
  }
  return decodeSource(bytes, file);
}

/** Decodes UTF-8 strictly; the diagnostic says at which byte it fails. */
export function decodeSource(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const loose = new TextDecoder("utf-8").decode(bytes);
    const at = Math.max(0, loose.indexOf("\uFFFD"));
    const d = diagnostic("EIN1006", "the file is not valid UTF-8", {
      span: { file, start: at, end: at + 1 },
      text: "the first invalid byte is here",
    });
    throw new CompileError([d], new Map([[file, loose]]));
  }
}

/** `.ein` files among the arguments; folders are searched, `node_modules` and dot folders left out. */
export function findSources(paths: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (path: string, explicit: boolean): void => {
    let isFolder: boolean;
    try {
      isFolder = statSync(path).isDirectory();
    } catch {
      throw usageError(`no such file or folder: ${path}`);
    }
    if (!isFolder) {
      if (explicit || path.endsWith(".ein")) found.push(path);
      return;
    }
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      if (entry.isDirectory() || (entry.isFile() && entry.name.endsWith(".ein"))) visit(join(path, entry.name), false);
    }
  };
  for (const p of paths) visit(p, true);
  if (found.length === 0) throw usageError("no .ein files found");
  return found;
}

function wantsColour(stream: NodeJS.WriteStream): boolean {
  if (process.env["NO_COLOR"]) return false;
  if (process.env["FORCE_COLOR"] && process.env["FORCE_COLOR"] !== "0") return true;
  return stream.isTTY === true;
}

/** Prints diagnostics to standard error (JSON: to standard output) in the form that the options ask for. */
export function printDiagnostics(
  diagnostics: readonly Diagnostic[],
  sources: ReadonlyMap<string, string>,
  o: GlobalOptions,
): void {
  const sourceOf = (file: string): string | undefined => sources.get(file);
  if (o.json) {
    process.stdout.write(`${JSON.stringify({ diagnostics: diagnosticsToJson(diagnostics, sourceOf) }, null, 2)}\n`);
    return;
  }
  const pretty = o.pretty === "always" || (o.pretty !== "never" && process.stderr.isTTY === true);
  const text = renderDiagnostics(diagnostics, sourceOf, { colour: pretty && wantsColour(process.stderr), pretty });
  process.stderr.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** The last resort: says what went wrong in one line, or as diagnostics, and gives the exit code. */
export function reportFailure(error: unknown, o: GlobalOptions): number {
  if (error instanceof CompileError) {
    printDiagnostics(error.diagnostics, error.sources, o);
    return EXIT.diagnostics;
  }
  if (error instanceof DiagnosticError) {
    printDiagnostics([error.diagnostic], new Map(), o);
    return EXIT.diagnostics;
  }
  const message = error instanceof Error ? error.message : String(error);
  const name = error instanceof Error ? error.name : "Error";
  const exitCode = error instanceof CliError ? error.exitCode : name === "DeviceError" ? EXIT.device : EXIT.diagnostics;
  if (o.json) process.stdout.write(`${JSON.stringify({ error: { name, message, exitCode } }, null, 2)}\n`);
  else process.stderr.write(`fusum: ${message}\n`);
  if (process.env["FUSUM_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return exitCode;
}

function split(option: string, text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw usageError(`${option} needs NAME=VALUE, not ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `NAME=VALUE` options as a map; a name given twice is an error. */
export function pairs(option: string, list: readonly string[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const text of list) {
    const [name, value] = split(option, text);
    if (out.has(name)) throw usageError(`${option} ${name} is given twice`);
    out.set(name, value);
  }
  return out;
}

export function extentsOf(o: BindingOptions): Record<string, number> {
  const entries = [...pairs("--extent", o.extent)].map(([name, text]) => {
    const n = Number(text);
    if (!/^\d+$/.test(text) || n >= 2 ** 31)
      throw usageError(`--extent ${name} must be an integer from 0 to 2147483647, not ${JSON.stringify(text)}`);
    return [name, n] as const;
  });
  return Object.fromEntries(entries);
}

/** The exported function of a name; a usage error that lists what there is. */
export function functionOf(
  program: { readonly functions: readonly FunctionSignature[] },
  name: string,
): FunctionSignature {
  const found = program.functions.find((f) => f.name === name);
  if (found) return found;
  const names = program.functions.map((f) => f.name);
  const near = suggest(name, names);
  const rest = near === undefined ? `there are ${names.join(", ") || "none"}` : `did you mean ${near}?`;
  throw usageError(`no exported function ${name}; ${rest}`);
}

export type ConstValue = number | boolean | string | readonly number[];

export function constsOf(o: BindingOptions): Record<string, ConstValue> {
  const entries = [...pairs("--const", o.const)].map(([name, text]) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      value = text;
    }
    const fine =
      typeof value === "number" ||
      typeof value === "boolean" ||
      typeof value === "string" ||
      (Array.isArray(value) && value.every((x) => typeof x === "number"));
    if (!fine) throw usageError(`--const ${name} must be a number, a boolean, a string or a list of numbers`);
    return [name, value as ConstValue] as const;
  });
  return Object.fromEntries(entries);
}

/** Of the options, which name extents and constants of any function, those that one function has. */
export function bindingsFor(
  f: FunctionSignature,
  o: BindingOptions,
): { readonly consts: Record<string, ConstValue>; readonly extents: Record<string, number> } {
  const isConst = (name: string): boolean => f.parameters.some((p) => p.isConst && p.name === name);
  return {
    consts: Object.fromEntries(Object.entries(constsOf(o)).filter(([name]) => isConst(name))),
    extents: Object.fromEntries(Object.entries(extentsOf(o)).filter(([name]) => f.extents.includes(name))),
  };
}

/** Extents and constants that none of the functions has are slips of the finger: a usage error. */
export function checkBindings(functions: readonly FunctionSignature[], o: BindingOptions): void {
  const unknown = (option: string, names: readonly string[], known: readonly string[]): void => {
    const name = names.find((n) => !known.includes(n));
    if (name === undefined) return;
    const list = [...new Set(known)].filter((n) => n !== "...").join(", ") || "none";
    throw usageError(`--${option} ${name}: no function here has it; there are ${list}`);
  };
  unknown(
    "extent",
    Object.keys(extentsOf(o)),
    functions.flatMap((f) => f.extents),
  );
  const consts = functions.flatMap((f) => f.parameters.filter((p) => p.isConst).map((p) => p.name));
  unknown("const", Object.keys(constsOf(o)), consts);
}

export function shownPath(path: string): string {
  const r = relative(process.cwd(), path);
  return r === "" || r.startsWith("..") ? path : r;
}
