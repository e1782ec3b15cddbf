/**
 * A device's results against the interpreter, within the bound that is derived from the program as it was fused. Past a budget of
 * interpreter steps, samples of each result are checked (definitions are pull-form, so an element costs what it depends on).
 */
import { type Bounds, compareWithin, errorBounds, errorBoundsSampled } from "../ir/bounds.ts";
import type { ArrayInput } from "../ir/interpret.ts";
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
  readonly first: { readonly index: number; readonly got: number; readonly exact: number; readonly low: number; readonly high: number } | undefined;
}

/** The most elements of a result that are sampled. */
const SAMPLES = 64;

/** Throws CompileError and InputError as the program's other methods do. */
export function checkResults(program: Program, name: string, inputs: Readonly<Record<string, HostArray>>, results: Readonly<Record<string, HostArray>>, o: CheckOptions): CheckedResult[] {
  const { fused } = program.compiled(name, { shapes: shapesOf(inputs), provided: Object.keys(inputs), consts: o.consts, adapter: o.adapter, strict: o.strict });
  return checkProgram(defuse(fused), toInputs(inputs), results, o.budget);
}

/** The same for a tensor program, whose inputs are given by name. */
export function checkProgram(program: TensorProgram, inputs: ReadonlyMap<string, ArrayInput>, results: Readonly<Record<string, HostArray>>, budget: number): CheckedResult[] {
  try {
    return errorBounds(program, inputs, { budget }).map((b) => compared(b, results[b.name]!, undefined));
  } catch (error) {
    if (!(error instanceof InputError) || error.problem !== "budget") throw error;
  }
  return program.results.map((r) => {
    const got = results[r.name]!;
    const length = got.data.length;
    return sampled(program, inputs, r.name, got, Math.min(length, SAMPLES), budget / program.results.length);
  });
}

/** As many evenly spread elements as the budget allows, at least one. */
function sampled(program: TensorProgram, inputs: ReadonlyMap<string, ArrayInput>, name: string, got: HostArray, count: number, budget: number): CheckedResult {
  const length = got.data.length;
  for (let n = count; ; n = Math.ceil(n / 4)) {
    // A stride that shares no factor with usual extents, so that samples meet every row and column.
    const positions = Array.from({ length: n }, (_, i) => Math.floor(((i * 0.6180339887498949) % 1) * length));
    try {
      const bounds = errorBoundsSampled(program, inputs, name, positions, n > 1 ? { budget } : {});
      return compared(bounds, got, positions);
    } catch (error) {
      if (n === 1 || !(error instanceof InputError) || error.problem !== "budget") throw error;
    }
  }
}

function compared(b: Bounds, got: HostArray, positions: readonly number[] | undefined): CheckedResult {
  const all = numbersOf(got);
  const values = positions ? Float64Array.from(positions, (p) => all[p]!) : all;
  const c = compareWithin(b, values);
  const at = c.first;
  return {
    name: b.name,
    elements: all.length,
    checked: values.length,
    share: c.outside > 0 ? Math.max(c.share, shareOutside(b, values, at!)) : c.share,
    outside: c.outside,
    unbounded: c.unbounded,
    first: at === undefined ? undefined : { index: positions?.[at] ?? at, got: values[at]!, exact: b.exact[at]!, low: b.low[at]!, high: b.high[at]! },
  };
}

function shareOutside(b: Bounds, values: ArrayLike<number>, at: number): number {
  const [v, exact] = [values[at]!, b.exact[at]!];
  const room = v > exact ? b.high[at]! - exact : exact - b.low[at]!;
  const share = Math.abs(v - exact) / room;
  return share > 1 ? share : Number.POSITIVE_INFINITY;
}
