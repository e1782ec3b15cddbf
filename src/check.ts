/**
 * A device's results against the interpreter, within the bound that is derived from the program as it was fused. Past a budget of
 * interpreter steps, samples of each result are checked (definitions are pull-form, so an element costs what it depends on).
 */
import { type Bounds, compareWithin, errorBounds, errorBoundsSampled } from "../ir/bounds.ts";
import { type ArrayInput, interpret } from "../ir/interpret.ts";
import { interpretSampled } from "../ir/interpret-sampled.ts";
import { InputError } from "../ir/sizes.ts";
import type { Program as TensorProgram } from "../ir/tensor.ts";
import type { AdapterInfo, HostArray } from "../runtime/plan.ts";
import { toInputs } from "./api/interpret.ts";
import { numbersOf } from "./api/numbers.ts";
import { type ConstValue, type Program, shapesOf } from "./api/program.ts";
import { defuse } from "./schedule/defuse.ts";

export interface CheckOptions {
  readonly consts?: Readonly<Record<string, ConstValue>> | undefined;
  /** The adapter that the results come from: schedules decide how deep sums are. */
  readonly adapter?: AdapterInfo;
  /** Interpreter steps that a function may take before its results are sampled. */
  readonly budget: number;
  readonly strict?: boolean | undefined;
  readonly fastMath?: boolean | undefined;
}

export interface CheckedResult {
  readonly name: string;
  readonly elements: number;
  /** How many of them were compared. */
  readonly checked: number;
  /** The largest share of its bound that an element used; above 1 if any is outside. */
  readonly share: number;
  readonly outside: number;
  /** Elements of which the bound says nothing. */
  readonly unbounded: number;
  /** The first element outside: its index, the device's value, the interpreter's and the allowed range. */
  readonly first:
    | {
        readonly index: number;
        readonly got: number;
        readonly exact: number;
        readonly low: number;
        readonly high: number;
      }
    | undefined;
}

/** The most elements of a result that are sampled, and for how long about. */
const SAMPLES = 64;
const SAMPLING_MS = 2000;

/** Throws CompileError and InputError as the program's other methods do. */
export function checkResults(
  program: Program,
  name: string,
  inputs: Readonly<Record<string, HostArray>>,
  results: Readonly<Record<string, HostArray>>,
  o: CheckOptions,
): CheckedResult[] {
  const given = { shapes: shapesOf(inputs), provided: Object.keys(inputs), consts: o.consts };
  const { fused } = program.compiled(name, {
    ...given,
    adapter: o.adapter,
    strict: o.strict,
    fastMath: o.fastMath,
  });
  return checkProgram(program.tensorProgram(name, given), defuse(fused), toInputs(inputs), results, o.budget);
}

/**
 * The same for tensor programs: `written` as elaborated, `run` as the device runs it, whose bounds decide. The interpreter's value of
 * the first must lie within them too, so that a wrong rewriting shows as much as a wrong kernel.
 */
export function checkProgram(
  written: TensorProgram,
  run: TensorProgram,
  inputs: ReadonlyMap<string, ArrayInput>,
  results: Readonly<Record<string, HostArray>>,
  budget: number,
): CheckedResult[] {
  try {
    const bounds = errorBounds(run, inputs, { budget });
    const oracle = new Map(interpret(written, inputs).map((r) => [r.name, r.data]));
    return bounds.map((b) => compared(b, results[b.name]!, oracle.get(b.name)!, undefined));
  } catch (error) {
    if (!(error instanceof InputError) || error.problem !== "budget") throw error;
  }
  return run.results.map((r) => {
    const got = results[r.name]!;
    const positions = spread(got.data.length);
    const first = performance.now();
    const one = compareAt(written, run, inputs, r.name, got, positions.slice(0, 1));
    const rest = Math.floor(SAMPLING_MS / (performance.now() - first));
    return rest < 1 ? one : compareAt(written, run, inputs, r.name, got, positions.slice(0, 1 + rest));
  });
}

function compareAt(
  written: TensorProgram,
  run: TensorProgram,
  inputs: ReadonlyMap<string, ArrayInput>,
  name: string,
  got: HostArray,
  positions: readonly number[],
): CheckedResult {
  const bounds = errorBoundsSampled(run, inputs, name, positions, {});
  return compared(bounds, got, interpretSampled(written, inputs, name, positions), positions);
}

/** Up to SAMPLES offsets all over the result, by the golden ratio: they share no stride with its axes. */
function spread(length: number): readonly number[] {
  return Array.from({ length: Math.min(length, SAMPLES) }, (_, i) =>
    Math.floor((((i + 1) * 0.6180339887498949) % 1) * length),
  );
}

function compared(
  b: Bounds,
  got: HostArray,
  oracle: Float64Array,
  positions: readonly number[] | undefined,
): CheckedResult {
  const all = numbersOf(got);
  const values = positions ? Float64Array.from(positions, (p) => all[p]!) : all;
  const c = compareWithin(b, values);
  const rewritten = compareWithin(b, oracle);
  const at = c.first ?? rewritten.first;
  return {
    name: b.name,
    elements: all.length,
    checked: values.length,
    share: at === undefined ? c.share : Math.max(c.share, shareOutside(b, c.first === undefined ? oracle : values, at)),
    outside: Math.max(c.outside, rewritten.outside),
    unbounded: c.unbounded,
    first:
      at === undefined
        ? undefined
        : { index: positions?.[at] ?? at, got: values[at]!, exact: oracle[at]!, low: b.low[at]!, high: b.high[at]! },
  };
}

function shareOutside(b: Bounds, values: ArrayLike<number>, at: number): number {
  const [v, exact] = [values[at]!, b.exact[at]!];
  const room = v > exact ? b.high[at]! - exact : exact - b.low[at]!;
  const share = Math.abs(v - exact) / room;
  return share > 1 ? share : Number.POSITIVE_INFINITY;
}
