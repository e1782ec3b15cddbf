/**
 * What a region must compute on given inputs: for each result the derived bounds, of all elements where that is quick, else of elements all over
 * it and, for each trial, of those that differ most from the first trial's. So a wrong element anywhere is looked at, and only
 * derived bounds decide.
 */
import { type Bounds, compareWithin, errorBounds, errorBoundsSampled } from "../../ir/bounds.ts";
import type { ArrayInput } from "../../ir/interpret.ts";
import { InputError } from "../../ir/sizes.ts";
import type { Program } from "../../ir/tensor.ts";

/** A device's values outside their bounds. */
export interface Wrong {
  readonly result: string;
  readonly index: number;
  readonly got: number;
  readonly low: number;
  readonly high: number;
}

interface Allowed {
  readonly low: number;
  readonly high: number;
  readonly nan: boolean;
}

interface Known {
  readonly name: string;
  /** Of all elements. */
  readonly all: Bounds | undefined;
  /** Of some, by offset. */
  readonly some: Map<number, Allowed>;
  /** The first trial's values. */
  first: Float64Array | undefined;
}

/** Interpreter steps up to which all elements are bounded. */
const BUDGET = 3e5;
/** Else so many are, in about so long. */
const SAMPLES = 48;
const SAMPLING_MS = 800;
/** Elements of a trial that are looked at because they differ from the first trial's: so many by the difference, so many by its share. */
const DIFFERING = 3;

export class Reference {
  readonly #program: Program;
  readonly #inputs: ReadonlyMap<string, ArrayInput>;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #known: readonly Known[];

  constructor(program: Program, inputs: ReadonlyMap<string, ArrayInput>, sizes: ReadonlyMap<string, number>) {
    this.#program = program;
    this.#inputs = inputs;
    this.#sizes = sizes;
    const all = this.#boundAll();
    this.#known = program.results.map((r) => ({
      name: r.name,
      all: all?.find((b) => b.name === r.name),
      some: new Map(),
      first: undefined,
    }));
  }

  /** The first value of a trial that is not allowed. `values` are whole results by name. */
  check(values: ReadonlyMap<string, Float64Array>): Wrong | undefined {
    for (const k of this.#known) {
      const got = values.get(k.name);
      if (!got) throw new RangeError(`a trial without the result ${k.name}`);
      const wrong = k.all ? outside(k.name, k.all, got) : this.#checkSome(k, got);
      if (wrong) return wrong;
    }
    return undefined;
  }

  #boundAll(): readonly Bounds[] | undefined {
    try {
      return errorBounds(this.#program, this.#inputs, { sizes: this.#sizes, budget: BUDGET });
    } catch (error) {
      if (!(error instanceof InputError) || error.problem !== "budget") throw error;
      return undefined;
    }
  }

  #checkSome(k: Known, got: Float64Array): Wrong | undefined {
    if (k.first === undefined) this.#sample(k, got.length);
    else this.#bound(k, [...furthest(got, k.first, absolute), ...furthest(got, k.first, relative)]);
    k.first ??= got;
    for (const [index, allowed] of k.some) {
      const v = got[index]!;
      if (Number.isNaN(v) ? !allowed.nan : v < allowed.low || v > allowed.high)
        return { result: k.name, index, got: v, low: allowed.low, high: allowed.high };
    }
    return undefined;
  }

  /** The corners first, then all over the result, by the golden ratio: no stride is shared with its axes. */
  #sample(k: Known, length: number): void {
    const positions = new Set([0, length - 1]);
    for (let i = 1; positions.size < Math.min(length, SAMPLES); i++)
      positions.add(Math.floor(((i * 0.6180339887498949) % 1) * length));
    const list = [...positions].filter((p) => p >= 0);
    const start = performance.now();
    this.#bound(k, list.slice(0, 1));
    const more = Math.floor(SAMPLING_MS / Math.max(1e-3, performance.now() - start));
    this.#bound(k, list.slice(1, 1 + more));
  }

  #bound(k: Known, positions: readonly number[]): void {
    const fresh = positions.filter((p) => !k.some.has(p));
    if (fresh.length === 0) return;
    const b = errorBoundsSampled(this.#program, this.#inputs, k.name, fresh, { sizes: this.#sizes });
    fresh.forEach((p, i) => {
      k.some.set(p, { low: b.low[i]!, high: b.high[i]!, nan: b.nan[i] === 1 });
    });
  }
}

function outside(result: string, b: Bounds, got: Float64Array): Wrong | undefined {
  const index = compareWithin(b, got).first;
  return index === undefined
    ? undefined
    : { result, index, got: got[index]!, low: b.low[index]!, high: b.high[index]! };
}

type Distance = (x: number, y: number) => number;
const absolute: Distance = (x, y) => Math.abs(x - y);
const relative: Distance = (x, y) => Math.abs(x - y) / Math.max(Math.abs(x), Math.abs(y));

/** Offsets of the elements that differ most, a NaN against a number before all others; none where nothing differs. */
function furthest(a: Float64Array, b: Float64Array, distance: Distance): readonly number[] {
  const found: { readonly at: number; readonly far: number }[] = [];
  let least = 0;
  for (let at = 0; at < a.length; at++) {
    const [x, y] = [a[at]!, b[at]!];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    const apart = distance(x, y);
    const far = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart;
    if (far <= least) continue;
    found.push({ at, far });
    found.sort((p, q) => q.far - p.far);
    if (found.length > DIFFERING) found.pop();
    if (found.length === DIFFERING) least = found[DIFFERING - 1]!.far;
  }
  return found.map((f) => f.at);
}
