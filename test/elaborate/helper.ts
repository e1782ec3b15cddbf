/** One module text in, and out of it: printed programs, values from the interpreter, or errors with the text at their places. */
import { expect } from "vitest";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import { interpret } from "../../ir/interpret.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import type { Program } from "../../ir/tensor.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { checkModule, type ElaborateOptions, elaborate } from "../../src/elaborate/index.ts";
import type { FunctionSignature } from "../../src/elaborate/signature.ts";
import { loadModules, type ModuleGraph, type Resolve } from "../../src/modules.ts";

/** Other modules by path; `std/x` too. */
export type Files = Readonly<Record<string, string>>;

export function graphOf(source: string, files: Files = {}): ModuleGraph {
  const texts = new Map(Object.entries(files));
  const resolve: Resolve = (specifier) => {
    const fileName = specifier.replace(/^\.\//, "");
    const text = texts.get(fileName);
    return text === undefined ? { error: "no such file" } : { fileName, source: text };
  };
  return loadModules(source, "test.ein", { resolve, std: (s) => texts.get(s) });
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  /** The source text under each label. */
  readonly at: readonly string[];
  readonly labels: readonly string[];
  readonly notes: readonly string[];
  readonly fixed: string | undefined;
}

function failureOf(d: Diagnostic, graph: ModuleGraph): Failure {
  const text = (file: string): string => graph.sources.get(file) ?? "";
  const entry = text("test.ein");
  const edits = [...(d.fix?.edits ?? [])].sort((a, b) => b.span.start - a.span.start);
  const fixed = edits.reduce((s, e) => s.slice(0, e.span.start) + e.text + s.slice(e.span.end), entry);
  return {
    code: d.code,
    message: d.message,
    at: d.labels.map((l) => text(l.span.file).slice(l.span.start, l.span.end)),
    labels: d.labels.map((l) => l.text),
    notes: d.notes,
    fixed: d.fix ? fixed : undefined,
  };
}

/** All errors of a module, with symbolic extents. */
export function errorsOf(source: string, files: Files = {}): readonly Failure[] {
  const graph = graphOf(source, files);
  return checkModule(graph).diagnostics.map((d) => failureOf(d, graph));
}

/** Expects exactly one error, with this code, at places with these texts (the first ones; more labels may follow). */
export function expectError(source: string, code: string, at: readonly string[], files: Files = {}): Failure {
  const errors = errorsOf(source, files);
  expect(errors.map((e) => `${e.code}: ${e.message}`)).toEqual([expect.stringContaining(`${code}: `)]);
  const [error] = errors;
  expect(error?.at.slice(0, at.length)).toEqual(at);
  return error!;
}

export function signatureOf(source: string, name = "f", files: Files = {}): FunctionSignature {
  const checked = checkModule(graphOf(source, files));
  expect(checked.diagnostics).toEqual([]);
  const found = checked.functions.find((x) => x.name === name);
  if (!found) throw new Error(`no function ${name}`);
  return found;
}

export function programOf(source: string, o: ElaborateOptions = {}, name = "f", files: Files = {}): Program {
  const graph = graphOf(source, files);
  expect(graph.diagnostics).toEqual([]);
  const made = elaborate(graph, name, o);
  expect(made.diagnostics.map((d) => `${d.code}: ${d.message}`)).toEqual([]);
  expect(verifyProgram(made.program!)).toEqual([]);
  return made.program!;
}

/** The printed program without its header and results. */
export function printed(source: string, o: ElaborateOptions = {}, name = "f"): string {
  return printProgram(programOf(source, o, name));
}

/** An error of elaborating one function with options. */
export function elaborationError(source: string, o: ElaborateOptions, name = "f"): Failure {
  const graph = graphOf(source);
  const made = elaborate(graph, name, o);
  expect(made.program).toBeUndefined();
  return failureOf(made.diagnostics[0]!, graph);
}

export type Nested = number | boolean | readonly Nested[];
type Numbers = number | readonly Numbers[];

function shapeOf(x: Nested): number[] {
  return typeof x === "object" ? [x.length, ...(x.length > 0 ? shapeOf(x[0]!) : [])] : [];
}
function flat(x: Nested): number[] {
  return typeof x === "object" ? x.flatMap(flat) : [Number(x)];
}
function nest(data: readonly number[], shape: readonly number[]): Numbers {
  if (shape.length === 0) return data[0] ?? Number.NaN;
  const size = data.length / (shape[0] || 1);
  return Array.from({ length: shape[0] ?? 0 }, (_, k) => nest(data.slice(k * size, (k + 1) * size), shape.slice(1)));
}

/** Elaborates for the inputs' shapes and symbolically, interprets both, expects the same, and gives the nested results. */
export function runAll(
  source: string,
  inputs: Readonly<Record<string, Nested>>,
  o: ElaborateOptions = {},
  name = "f",
  files: Files = {},
): Readonly<Record<string, Numbers>> {
  const arrays = new Map(Object.entries(inputs).map(([k, x]) => [k, { shape: shapeOf(x), data: flat(x) }]));
  const shapes = Object.fromEntries([...arrays].map(([k, a]) => [k, a.shape]));
  const results = (p: Program) =>
    Object.fromEntries(interpret(p, arrays).map((r) => [r.name, nest([...r.data], r.shape)]));
  const concrete = results(programOf(source, { ...o, shapes }, name, files));
  if (!source.includes("..."))
    expect(results(programOf(source, { ...o, provided: Object.keys(inputs) }, name, files))).toEqual(concrete);
  return concrete;
}

export function run(
  source: string,
  inputs: Readonly<Record<string, Nested>> = {},
  o: ElaborateOptions = {},
  name = "f",
  files: Files = {},
): Numbers {
  const all = runAll(source, inputs, o, name, files);
  return all["result"]!;
}
