/** `fusum run FILE FN`: arguments from files, literals or a seed; the results to files or, in brief, to the terminal. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { type Program, type ScheduleCache, shapesOf } from "../index.ts";
import { ARRAY_EXTENSIONS, readArray, writeArray, writeArrays } from "../io/files.ts";
import { readJson, writeJsonMap } from "../io/json.ts";
import { randomArray } from "../io/random.ts";
import { compileFile } from "../node/compile-file.ts";
import {
  type BindingOptions,
  checkBindings,
  constsOf,
  extentsOf,
  functionOf,
  pairs,
  printDiagnostics,
  usageError,
} from "./context.ts";
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
  const signature = functionOf(program, fn);
  const inputs = gatherInputs(signature, o);
  const extents = extentsIn(signature, inputs, o);
  checkOutputs(signature, o);
  const results = o.interpret
    ? program.interpret(fn, inputs, { consts: constsOf(o) })
    : await onDevice(program, fn, inputs, extents, o);
  writeResults(results, o);
}

async function onDevice(
  program: Program,
  fn: string,
  inputs: Record<string, HostArray>,
  extents: Readonly<Record<string, number>>,
  o: RunOptions,
): Promise<Record<string, HostArray>> {
  const { openDevice } = await import("../../runtime/node.ts");
  const schedules = o.schedules === undefined ? undefined : await schedulesFrom(o.schedules, o);
  const device = await openDevice({ adapter: o.adapter });
  try {
    const kernel = await device.load(program, fn, {
      extents,
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
      const kernels = kernel.plan.kernels.length;
      process.stderr.write(
        `${kernels} ${kernels === 1 ? "kernel" : "kernels"}, ${(median(times.total) / 1e6).toFixed(3)} ms on ${device.info.name}\n`,
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
function gatherInputs(signature: FunctionSignature, o: RunOptions): Record<string, HostArray> {
  const inputs = new Map<string, HostArray>();
  const typeOf = (name: string): PlanDType | undefined =>
    signature.parameters.find((p) => p.name === name)?.dtype as PlanDType | undefined;
  for (const [name, source] of pairs("--input", o.input)) inputs.set(name, readArgument(name, source, typeOf(name)));
  const seed = Number(o.seed);
  if (o.seed.trim() === "" || !Number.isSafeInteger(seed))
    throw usageError(`--seed must be an integer, not ${JSON.stringify(o.seed)}`);
  let stream = 0;
  for (const [name, text] of pairs("--random", o.random)) {
    if (!/^(\d+(x\d+)*)?$/.test(text))
      throw usageError(`--random ${name} needs a shape like 4x5, not ${JSON.stringify(text)}`);
    const shape = text === "" ? [] : text.split("x").map(Number);
    if (!(shape.reduce((a, b) => a * b, 1) <= MAX_RANDOM))
      throw usageError(`--random ${name}=${text} has more than ${MAX_RANDOM} elements`);
    if (inputs.has(name)) throw usageError(`${name} is given by --input and by --random`);
    inputs.set(name, randomArray(typeOf(name) ?? "f32", shape, seed, stream++));
  }
  const known = signature.parameters.filter((p) => !p.isConst);
  for (const name of inputs.keys()) {
    if (known.some((p) => p.name === name)) continue;
    throw usageError(
      `${signature.name} has no argument ${name}; it takes ${known.map((p) => p.name).join(", ") || "none"}`,
    );
  }
  const missing = known.filter((p) => p.default === undefined && !inputs.has(p.name)).map((p) => p.name);
  if (missing.length > 0)
    throw usageError(`${signature.name} needs ${missing.join(", ")}: give --input NAME=FILE or --random NAME=SHAPE`);
  return Object.fromEntries(inputs);
}

/** What `--extent` says, which the arguments must agree with. */
function extentsIn(
  signature: FunctionSignature,
  inputs: Readonly<Record<string, HostArray>>,
  o: RunOptions,
): Record<string, number> {
  const extents = extentsOf(o);
  checkBindings([signature], o);
  for (const [name, value] of Object.entries(extents))
    for (const p of signature.parameters) {
      const shape = Object.hasOwn(inputs, p.name) ? inputs[p.name]!.shape : [];
      const at = p.shape.indexOf(name);
      const axis = p.shape.slice(0, at).includes("...") ? at - p.shape.length + shape.length : at;
      if (at >= 0 && shape[axis] !== undefined && shape[axis] !== value)
        throw usageError(`--extent ${name}=${value}, but axis ${axis} of ${p.name} has extent ${shape[axis]}`);
    }
  return extents;
}

/** A file, or a JSON value such as 3 or [[1,2],[3,4]]. */
function readArgument(name: string, source: string, dtype: PlanDType | undefined): HostArray {
  if (/^([[{+-]|\d)/.test(source) && !ARRAY_EXTENSIONS.some((x) => source.endsWith(x)))
    return [...readJson(source, `--input ${name}`, () => dtype).values()][0]!;
  return readArray(source, name, () => dtype);
}

/** `--out FILE` or `--out RESULT=FILE`. */
function splitOutput(target: string, results: readonly string[]): readonly [result: string | undefined, path: string] {
  const name = results.find((r) => target.startsWith(`${r}=`));
  return name === undefined ? [undefined, target] : [name, target.slice(name.length + 1)];
}

/** What can be said of `--out` before anything runs. */
function checkOutputs(signature: FunctionSignature, o: RunOptions): void {
  const results = signature.results.map((r) => r.name);
  for (const target of o.out) {
    const [name, path] = splitOutput(target, results);
    const other = /^([A-Za-z_]\w*)=/.exec(path)?.[1];
    if (name === undefined && other !== undefined && results.length > 0)
      throw usageError(`${signature.name} has no result ${other}; it gives ${results.join(", ")}`);
    if (!ARRAY_EXTENSIONS.some((x) => path.toLowerCase().endsWith(x)))
      throw usageError(`--out ${target}: arrays are written as ${ARRAY_EXTENSIONS.join(", ")}`);
  }
}

function writeResults(results: Record<string, HostArray>, o: RunOptions): void {
  const names = Object.keys(results);
  for (const target of o.out) {
    const [name, path] = splitOutput(target, names);
    if (name !== undefined) writeArray(path, results[name]!, name);
    else if (names.length === 1) writeArray(path, results[names[0]!]!, names[0]);
    else writeArrays(path, new Map(Object.entries(results)));
  }
  if (o.json)
    process.stdout.write(o.out.length > 0 ? typesAsJson(results) : writeJsonMap(new Map(Object.entries(results))));
  else for (const n of names) process.stdout.write(`${summarise(n, results[n]!)}\n`);
}

/** What was written, without the elements. */
function typesAsJson(results: Readonly<Record<string, HostArray>>): string {
  const types = Object.entries(results).map(([n, { dtype, shape }]) => [n, { dtype, shape }] as const);
  return `${JSON.stringify(Object.fromEntries(types))}\n`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
