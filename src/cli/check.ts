/** `fusum check`: every function on the device against the interpreter, within the derived bound. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import { type CheckedResult, checkResults } from "../check.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { CompileError, type Program, shapesOf } from "../index.ts";
import { randomArray } from "../io/random.ts";
import { compileFile } from "../node/compile-file.ts";
import {
  type BindingOptions,
  bindingsFor,
  CliError,
  EXIT,
  findSources,
  printDiagnostics,
  shownPath,
  usageError,
} from "./context.ts";

interface CheckCommandOptions extends BindingOptions {
  readonly function: readonly string[];
  readonly seed: string;
  readonly budget: string;
  readonly adapter: "auto" | "gpu" | "software";
}

type Row =
  | {
      readonly file: string;
      readonly function: string;
      readonly status: "checked";
      readonly kernels: number;
      readonly extents: Readonly<Record<string, number>>;
      readonly results: readonly CheckedResult[];
    }
  | { readonly file: string; readonly function: string; readonly status: "skipped"; readonly reason: string };

export async function check(files: readonly string[], o: CheckCommandOptions): Promise<void> {
  const seed = Number(o.seed);
  const budget = Number(o.budget);
  if (!Number.isSafeInteger(seed)) throw usageError(`--seed must be an integer, not ${JSON.stringify(o.seed)}`);
  if (!(budget > 0)) throw usageError(`--budget must be a positive number, not ${JSON.stringify(o.budget)}`);
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
  const { openDevice } = await import("../../runtime/node.ts");
  const device = await openDevice({ adapter: o.adapter });
  const rows: Row[] = [];
  try {
    for (const { file, program } of programs)
      for (const f of program.functions) {
        if (o.function.length > 0 && !o.function.includes(f.name)) continue;
        const { consts, extents } = bindingsFor(f, o);
        const row = await checkOne(file, program, f, consts, extents, seed, budget, device);
        rows.push(row);
        if (!o.json) process.stdout.write(`${line(row)}\n`);
      }
  } finally {
    device.close();
  }
  if (o.json) process.stdout.write(`${JSON.stringify({ adapter: device.info.name, functions: rows }, null, 2)}\n`);
  if (rows.length === 0) throw usageError("no function to check");
  if (rows.some((r) => r.status === "checked" && r.results.some((x) => x.outside > 0)))
    throw new CliError(EXIT.diagnostics, "", true);
}

async function checkOne(
  file: string,
  program: Program,
  f: FunctionSignature,
  consts: Record<string, number | boolean | string | readonly number[]>,
  given: Readonly<Record<string, number>>,
  seed: number,
  budget: number,
  device: import("../../runtime/device.ts").Device,
): Promise<Row> {
  const missing = f.parameters
    .filter((p) => p.isConst && p.default === undefined && !(p.name in consts))
    .map((p) => p.name);
  if (missing.length > 0)
    return {
      file,
      function: f.name,
      status: "skipped",
      reason: `give --const ${missing.map((n) => `${n}=…`).join(" ")}`,
    };
  const chosen = chooseExtents(program, f, consts, given, seed);
  if (!chosen)
    return {
      file,
      function: f.name,
      status: "skipped",
      reason: `no extents were found that fit ${f.where.join(", ") || "its shapes"}; give --extent NAME=N`,
    };
  const { extents, inputs } = chosen;
  const kernel = await device.load(program, f.name, {
    consts,
    shapes: shapesOf(inputs),
    provided: Object.keys(inputs),
  });
  try {
    const results = await kernel.run(inputs);
    const checked = checkResults(program, f.name, inputs, results, { consts, budget, adapter: device.info });
    return {
      file,
      function: f.name,
      status: "checked",
      kernels: kernel.plan.kernels.length,
      extents,
      results: checked,
    };
  } finally {
    kernel.dispose();
  }
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
        given[name] ?? (attempt === 0 ? PRIMES[i % PRIMES.length]! : equal ? all : 1 + draw(16)),
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
  const inputs: Record<string, HostArray> = {};
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
    inputs[p.name] = randomArray(p.dtype as PlanDType, shape, seed, stream);
  }
  return inputs;
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

function line(r: Row): string {
  const head = `${shownPath(r.file)} ${r.function}`;
  if (r.status === "skipped") return `${head}: skipped, ${r.reason}`;
  const worst = Math.max(0, ...r.results.map((x) => x.share));
  const bad = r.results.filter((x) => x.outside > 0);
  const sampled = r.results.some((x) => x.checked < x.elements)
    ? `, ${r.results.reduce((a, x) => a + x.checked, 0)} elements sampled`
    : "";
  const sizes = Object.entries(r.extents)
    .map(([k, v]) => `${k}=${v}`)
    .join(" ");
  if (bad.length === 0)
    return `${head}: ok, ${r.kernels} ${r.kernels === 1 ? "kernel" : "kernels"}, ${(100 * worst).toFixed(1)}% of the bound used${sampled}${sizes ? ` (${sizes})` : ""}`;
  const first = bad[0]!;
  const f = first.first;
  return `${head}: FAILED, ${first.outside} of ${first.checked} elements of ${first.name} are outside their bound${f ? `; element ${f.index} is ${f.got}, expected ${f.exact} within [${f.low}, ${f.high}]` : ""} (${sizes})`;
}
