/** `fusum run FILE FN`: arguments from files, literals or a seed; the results to files or, in brief, to the terminal. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import { type Program, type ScheduleCache, shapesOf } from "../index.ts";
import { ARRAY_EXTENSIONS, readArray, writeArray, writeArrays } from "../io/files.ts";
import { readJson } from "../io/json.ts";
import { randomArray } from "../io/random.ts";
import { compileFile } from "../node/compile-file.ts";
import { type BindingOptions, constsOf, pairs, printDiagnostics, usageError } from "./context.ts";
import { summarise } from "./summary.ts";

/** Elements of a random argument: an array of them must fit into memory. */
const MAX_RANDOM = 2 ** 28;

interface RunOptions extends BindingOptions {
  readonly input: readonly string[];
  readonly random: readonly string[];
  readonly seed: string;
  readonly out: readonly string[];
  readonly adapter: "auto" | "gpu" | "software";
  readonly interpret?: boolean;
  readonly time?: boolean;
  readonly schedules?: string;
}

export async function run(file: string, fn: string, o: RunOptions): Promise<void> {
  const program = await compileFile(file);
  const inputs = gatherInputs(program, fn, o);
  const consts = constsOf(o);
  const results = o.interpret ? program.interpret(fn, inputs, { consts }) : await onDevice(program, fn, inputs, o);
  writeResults(results, o);
}

async function onDevice(
  program: Program,
  fn: string,
  inputs: Record<string, HostArray>,
  o: RunOptions,
): Promise<Record<string, HostArray>> {
  const { openDevice } = await import("../../runtime/node.ts");
  const schedules = o.schedules === undefined ? undefined : await schedulesFrom(o.schedules, o);
  const device = await openDevice({ adapter: o.adapter });
  try {
    const kernel = await device.load(program, fn, {
      consts: constsOf(o),
      shapes: shapesOf(inputs),
      provided: Object.keys(inputs),
      strict: o.strict,
      fastMath: o.fastMath,
      ...(schedules ? { schedules } : {}),
    });
    const results = await kernel.run(inputs);
    if (o.time) {
      const times = await kernel.time(inputs);
      process.stderr.write(
        `${kernel.plan.kernels.length} kernels, ${(median(times.total) / 1e6).toFixed(3)} ms on ${device.info.name}\n`,
      );
    }
    return results;
  } finally {
    device.close();
  }
}

/** A cache of tuned schedules; what is wrong with it is told. */
async function schedulesFrom(file: string, o: RunOptions): Promise<ScheduleCache> {
  const { readSchedules } = await import("./tune.ts");
  const { cache, warnings } = readSchedules(file);
  if (warnings.length > 0) printDiagnostics(warnings, new Map(), { ...o, json: false });
  return cache;
}

/** By parameter name; every parameter without a default needs one. */
function gatherInputs(program: Program, fn: string, o: RunOptions): Record<string, HostArray> {
  const signature = program.functions.find((f) => f.name === fn);
  const inputs: Record<string, HostArray> = {};
  const typeOf = (name: string): PlanDType | undefined =>
    signature?.parameters.find((p) => p.name === name)?.dtype as PlanDType | undefined;
  for (const [name, source] of pairs("--input", o.input)) inputs[name] = readArgument(name, source, typeOf(name));
  const seed = Number(o.seed);
  if (!Number.isSafeInteger(seed)) throw usageError(`--seed must be an integer, not ${JSON.stringify(o.seed)}`);
  let stream = 0;
  for (const [name, text] of pairs("--random", o.random)) {
    const shape = text === "" ? [] : text.split("x").map(Number);
    if (shape.some((n) => !Number.isInteger(n) || n < 0))
      throw usageError(`--random ${name} needs a shape like 4x5, not ${JSON.stringify(text)}`);
    if (shape.reduce((a, b) => a * b, 1) > MAX_RANDOM)
      throw usageError(`--random ${name}=${text} has more than ${MAX_RANDOM} elements`);
    inputs[name] = randomArray(typeOf(name) ?? "f32", shape, seed, stream++);
  }
  if (!signature) return inputs;
  for (const name of Object.keys(inputs)) {
    if (signature.parameters.some((p) => p.name === name && !p.isConst)) continue;
    const known = signature.parameters.filter((p) => !p.isConst).map((p) => p.name);
    throw usageError(`${fn} has no argument ${name}; it takes ${known.join(", ") || "none"}`);
  }
  const missing = signature.parameters
    .filter((p) => !p.isConst && p.default === undefined && !(p.name in inputs))
    .map((p) => p.name);
  if (missing.length > 0)
    throw usageError(`${fn} needs ${missing.join(", ")}: give --input NAME=FILE or --random NAME=SHAPE`);
  return inputs;
}

/** A file, or a JSON value such as 3 or [[1,2],[3,4]]. */
function readArgument(name: string, source: string, dtype: PlanDType | undefined): HostArray {
  if (/^([[{+-]|\d)/.test(source) && !ARRAY_EXTENSIONS.some((x) => source.endsWith(x)))
    return [...readJson(source, `--input ${name}`, () => dtype).values()][0]!;
  return readArray(source, name, () => dtype);
}

function writeResults(results: Record<string, HostArray>, o: RunOptions): void {
  const names = Object.keys(results);
  for (const target of o.out) {
    const at = target.indexOf("=");
    const name = at > 0 && names.includes(target.slice(0, at)) ? target.slice(0, at) : undefined;
    const path = name === undefined ? target : target.slice(at + 1);
    if (name !== undefined) writeArray(path, results[name]!, name);
    else if (names.length === 1) writeArray(path, results[names[0]!]!, names[0]);
    else writeArrays(path, new Map(Object.entries(results)));
  }
  if (o.json) {
    const plain = Object.fromEntries(
      names.map((n) => [
        n,
        {
          dtype: results[n]!.dtype,
          shape: results[n]!.shape,
          data: o.out.length > 0 ? undefined : [...results[n]!.data],
        },
      ]),
    );
    process.stdout.write(`${JSON.stringify(plain)}\n`);
  } else for (const n of names) process.stdout.write(`${summarise(n, results[n]!)}\n`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
