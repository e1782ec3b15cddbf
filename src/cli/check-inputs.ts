/** What `fusum check` checks functions with: the files' programs, and extents and arguments for which a function elaborates. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { CompileError, type Program, shapesOf } from "../index.ts";
import { randomArray } from "../io/random.ts";
import { compileFile } from "../node/compile-file.ts";
import {
  type BindingOptions,
  CliError,
  checkBindings,
  EXIT,
  findSources,
  functionOf,
  printDiagnostics,
} from "./context.ts";

export type Constants = Record<string, number | boolean | string | readonly number[]>;

/** Prints the diagnostics of all files, and throws CliError if there were errors, or a function is asked for that none has. */
export async function sourcesOf(
  files: readonly string[],
  o: BindingOptions & { readonly function: readonly string[] },
): Promise<readonly { readonly file: string; readonly program: Program }[]> {
  const programs: { file: string; program: Program }[] = [];
  let broken = false;
  for (const file of findSources(files)) {
    try {
      programs.push({ file, program: await compileFile(file) });
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      printDiagnostics(error.diagnostics, error.sources, o);
      broken = true;
    }
  }
  if (broken) throw new CliError(EXIT.diagnostics, "", true);
  const functions = programs.flatMap((p) => p.program.functions);
  for (const name of o.function) functionOf({ functions }, name);
  checkBindings(functions, o);
  return programs;
}

/** Random arguments of small extents, or why there are none. */
export function argumentsOf(
  program: Program,
  f: FunctionSignature,
  consts: Constants,
  given: Readonly<Record<string, number>>,
  seed: number,
):
  | { readonly extents: Record<string, number>; readonly inputs: Record<string, HostArray> }
  | { readonly reason: string } {
  const missing = f.parameters
    .filter((p) => p.isConst && p.default === undefined && !(p.name in consts))
    .map((p) => p.name);
  if (missing.length > 0) return { reason: `give --const ${missing.map((n) => `${n}=…`).join(" ")}` };
  return (
    chooseExtents(program, f, consts, given, seed) ?? {
      reason: `no extents were found that fit ${f.where.join(", ") || "its shapes"}; give --extent NAME=N`,
    }
  );
}

const PRIMES = [5, 7, 3, 11, 4, 6, 9, 8, 2, 13];

/**
 * Small, mostly different extents for which the function elaborates: facts between extents may want equal or larger ones, which
 * random draws find soon.
 */
function chooseExtents(
  program: Program,
  f: FunctionSignature,
  consts: Record<string, number | boolean | string | readonly number[]>,
  given: Readonly<Record<string, number>>,
  seed: number,
): { extents: Record<string, number>; inputs: Record<string, HostArray> } | undefined {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const draw = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % n;
  };
  for (let attempt = 0; attempt < 400; attempt++) {
    const equal = attempt > 100 && attempt % 3 === 0;
    const all = 1 + draw(12);
    const extents = Object.fromEntries(
      f.extents.map((name, i) => [
        name,
        Object.hasOwn(given, name)
          ? given[name]!
          : attempt === 0
            ? PRIMES[i % PRIMES.length]!
            : equal
              ? all
              : 1 + draw(16),
      ]),
    );
    const inputs = inputsFor(f, extents, seed);
    if (!inputs) continue;
    try {
      program.tensorProgram(f.name, { consts, shapes: shapesOf(inputs), provided: Object.keys(inputs) });
      return { extents, inputs };
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
    }
  }
  return undefined;
}

/** Arguments of every parameter without a default; undefined if an extent comes out negative or cannot be evaluated. */
function inputsFor(
  f: FunctionSignature,
  extents: Readonly<Record<string, number>>,
  seed: number,
): Record<string, HostArray> | undefined {
  const inputs = new Map<string, HostArray>();
  let stream = 0;
  for (const p of f.parameters) {
    if (p.isConst || p.dtype === undefined) continue;
    stream++;
    if (p.default !== undefined) continue;
    const shape: number[] = [];
    for (const text of p.shape) {
      const n = text === "..." ? 3 : evaluateExtent(text, extents);
      if (n === undefined || n < 0) return undefined;
      shape.push(n);
    }
    inputs.set(p.name, randomArray(p.dtype as PlanDType, shape, seed, stream));
  }
  return Object.fromEntries(inputs);
}

/** An extent as it is written in a type: integers, names, `+ - * div %` and parentheses. */
function evaluateExtent(text: string, extents: Readonly<Record<string, number>>): number | undefined {
  const tokens = text.match(/\d+|\w+|[-+*%()]/g) ?? [];
  let at = 0;
  const primary = (): number => {
    const t = tokens[at++];
    if (t === "(") {
      const v = sum();
      at++;
      return v;
    }
    if (t === "-") return -primary();
    return t === undefined ? Number.NaN : /^\d/.test(t) ? Number(t) : (extents[t] ?? Number.NaN);
  };
  const product = (): number => {
    let v = primary();
    for (;;) {
      const op = tokens[at];
      if (op !== "*" && op !== "div" && op !== "%") return v;
      at++;
      const w = primary();
      v = op === "*" ? v * w : op === "div" ? Math.floor(v / w) : v - w * Math.floor(v / w);
    }
  };
  const sum = (): number => {
    let v = product();
    while (tokens[at] === "+" || tokens[at] === "-") v = tokens[at++] === "+" ? v + product() : v - product();
    return v;
  };
  const v = sum();
  return Number.isSafeInteger(v) ? v : undefined;
}
