/**
 * What integer expressions can be, as intervals with symbolic ends.
 *
 * - The axes that occur in an expression are not empty: over an empty axis it is never evaluated.
 * - i32 arithmetic wraps, so the ends of a sum or product hold only if they are known to stay within 32 bits: constants
 *   do so visibly; symbolic ends are believed if their coefficients are small (at most 2^16, as strides and window sizes are) or if
 *   they are no more than the number of elements of a tensor of the program, which the host keeps below 2^31.
 * - A side that is undefined is unknown. Data has no known ends, except bool.
 */
import { type LinearForm, linearOf } from "./affine.ts";
import {
  addExtent,
  divExtent,
  type Extent,
  maxExtent,
  minExtent,
  mulExtent,
  negExtent,
  ONE,
  type Proof,
  productExtent,
  proveNonNegative,
  size,
  subExtent,
  ZERO,
} from "./extent.ts";
import { perNode } from "./intern.ts";
import type { Prim } from "./prim.ts";
import { type Knowledge, knowledge, prove } from "./prove.ts";
import {
  type Apply,
  type Axis,
  axis,
  childrenOf,
  type Fact,
  indexBelow,
  type Program,
  type TensorExpr,
} from "./tensor.ts";
import { definitionsOf } from "./tensor-collect.ts";

export interface Interval {
  readonly low: Extent | undefined;
  readonly high: Extent | undefined;
}

/** What may be used in proofs about a program, and the memory of what was found. Made by `assume` or `assumptionsOf`. */
export interface Assumptions {
  /** Extents that are at least 0. */
  readonly nonNegative: readonly Extent[];
  /** Numbers of elements that the host keeps below 2^31. */
  readonly counts: readonly Extent[];
  readonly intervals: WeakMap<TensorExpr, Interval>;
  /** By the extents of the axes that are not empty. */
  readonly knowledge: Map<string, Knowledge>;
}

export function assume(facts: readonly Fact[], counts: readonly Extent[] = []): Assumptions {
  const nonNegative: Extent[] = [];
  for (const f of facts) {
    const d = subExtent(f.left, f.right);
    nonNegative.push(d);
    if (f.relation === "==") nonNegative.push(negExtent(d));
  }
  return { nonNegative, counts, intervals: new WeakMap(), knowledge: new Map() };
}

export function assumptionsOf(p: Program): Assumptions {
  const counts = new Set(
    [...p.inputs, ...definitionsOf(p.steps)].map((d) => productExtent(d.axes.map((a) => a.extent))),
  );
  return assume(
    p.facts,
    [...counts].filter((c) => c.value === undefined),
  );
}

const UNKNOWN: Interval = { low: undefined, high: undefined };
const BIT: Interval = { low: ZERO, high: ONE };
const I32_LOW = -2147483648;
const I32_HIGH = 2147483647;
/** Coefficients up to this do not make index arithmetic overflow on anything that fits a device. */
const SMALL_COEFFICIENT = 2 ** 16;

// ---- Proofs about extents -----------------------------------------------------------------------------------------

/** Is e at least 0, given the assumptions and that the axes are not empty? */
export function proveAtLeastZero(e: Extent, assumptions: Assumptions, axes: Iterable<Axis> = []): Proof {
  const plain = proveNonNegative(e);
  return plain !== "unknown" ? plain : prove(e, knowing(assumptions, axes));
}

function knowing(assumptions: Assumptions, axes: Iterable<Axis>): Knowledge {
  const extents = new Map<string, Extent>();
  for (const a of axes) extents.set(a.extent.text, a.extent);
  const key = [...extents.keys()].sort().join("|");
  const old = assumptions.knowledge.get(key);
  if (old) return old;
  const made = knowledge(assumptions.nonNegative, [...extents.values()]);
  assumptions.knowledge.set(key, made);
  return made;
}

// ---- Intervals ----------------------------------------------------------------------------------------------------

/** The axes that a value depends on. */
export const axesOf: (e: TensorExpr) => ReadonlySet<Axis> = perNode((e) => {
  const found = new Set<Axis>();
  const below = indexBelow(e);
  if (e.kind === "axis") found.add(e.axis);
  // Where a loop's index has a value, there is a round: as along an axis.
  else if (below) found.add(axis("round", below));
  else for (const c of childrenOf(e)) for (const x of axesOf(c)) found.add(x);
  if (e.kind === "reduce") for (const x of e.axes) found.delete(x);
  return found;
});

/** The interval of an integer or bool expression; floats are unknown. */
export function intervalOf(e: TensorExpr, a: Assumptions): Interval {
  const old = a.intervals.get(e);
  if (old) return old;
  const made = find(e, a);
  a.intervals.set(e, made);
  return made;
}

/** Is the i32 expression within 0 … extent - 1? Refuted: never. `around` are further axes that are not empty. */
export function proveInside(e: TensorExpr, extent: Extent, a: Assumptions, around: Iterable<Axis> = []): Proof {
  const axes = new Set([...axesOf(e), ...around]);
  if (knowing(a, axes).vacuous) return "proved";
  const { low, high } = intervalOf(e, a);
  // Over nothing, nothing is read.
  for (const x of axes) if (x.extent.value === 0) return "proved";
  const atLeast = (x: Extent | undefined): Proof => (x ? proveAtLeastZero(x, a, axes) : "unknown");
  const below = high && subExtent(subExtent(extent, ONE), high);
  if (atLeast(low) === "proved" && atLeast(below) === "proved") return "proved";
  if ((high && atLeast(high) === "refuted") || (low && atLeast(subExtent(subExtent(extent, ONE), low)) === "refuted"))
    return "refuted";
  return "unknown";
}

/** The interval of a linear form that cannot wrap, such as a position in a tensor that the host has checked. */
export function rangeOfForm(f: LinearForm, a: Assumptions): Interval {
  return rangeOver(f, a, axesOfForm(f));
}

/** Which sides of 0 … extent - 1 such a form is proved not to leave. */
export function sidesInside(
  f: LinearForm,
  extent: Extent,
  a: Assumptions,
): { readonly low: boolean; readonly high: boolean } {
  const axes = axesOfForm(f);
  const { low, high } = rangeOver(f, a, axes);
  const proved = (x: Extent | undefined): boolean => x !== undefined && proveAtLeastZero(x, a, axes) === "proved";
  return { low: proved(low), high: proved(high && subExtent(subExtent(extent, ONE), high)) };
}

/** Gone through where a proof needs them, which few do. */
function axesOfForm(f: LinearForm): Iterable<Axis> {
  return {
    *[Symbol.iterator](): Generator<Axis> {
      for (const atom of f.terms.keys()) yield* axesOf(atom);
    },
  };
}
function rangeOver(f: LinearForm, a: Assumptions, axes: Iterable<Axis>): Interval {
  let sum: Interval = { low: f.constant, high: f.constant };
  for (const [atom, c] of f.terms) sum = plus(sum, scaled(intervalOf(atom, a), c, a, axes));
  return sum;
}

function find(e: TensorExpr, a: Assumptions): Interval {
  if (e.dtype === "bool") return BIT;
  if (e.dtype !== "i32" && e.dtype !== "u32") return UNKNOWN;
  const unknown: Interval = e.dtype === "u32" ? { low: ZERO, high: undefined } : UNKNOWN;
  switch (e.kind) {
    case "const":
      return { low: size(e.value), high: size(e.value) };
    case "size":
      return { low: e.extent, high: e.extent };
    case "axis":
      return { low: ZERO, high: subExtent(e.axis.extent, ONE) };
    case "read": {
      const below = indexBelow(e);
      return below ? { low: ZERO, high: subExtent(below, ONE) } : unknown;
    }
    case "arg":
    case "reduce":
      return unknown;
    case "apply": {
      const found = applied(e, a);
      if (e.dtype === "u32" && !found.low) return { low: ZERO, high: found.high };
      return found;
    }
    default:
      return e satisfies never;
  }
}

function provenOver(x: Extent | undefined, e: TensorExpr, a: Assumptions): boolean {
  return x !== undefined && proveAtLeastZero(x, a, axesOf(e)) === "proved";
}

/** Both ends, if the arithmetic that made them cannot have wrapped. */
function trusted(low: Extent | undefined, high: Extent | undefined, e: TensorExpr, a: Assumptions): Interval {
  if (!low || !high) return UNKNOWN;
  const small = (x: Extent): boolean =>
    x.value !== undefined
      ? x.value >= I32_LOW && x.value <= I32_HIGH
      : x.terms.every((t) => Math.abs(t.coefficient) <= SMALL_COEFFICIENT) ||
        a.counts.some((c) => provenOver(subExtent(c, x), e, a) && provenOver(addExtent(c, x), e, a));
  return small(low) && small(high) ? { low, high } : UNKNOWN;
}

function scaled(i: Interval, by: Extent, a: Assumptions, over: Iterable<Axis>): Interval {
  const times = (x: Extent | undefined): Extent | undefined => x && mulExtent(x, by);
  if (proveAtLeastZero(by, a, over) === "proved") return { low: times(i.low), high: times(i.high) };
  if (proveAtLeastZero(negExtent(by), a, over) === "proved") return { low: times(i.high), high: times(i.low) };
  return UNKNOWN;
}
function plus(a: Interval, b: Interval): Interval {
  return { low: a.low && b.low && addExtent(a.low, b.low), high: a.high && b.high && addExtent(a.high, b.high) };
}
function hull(i: Interval, j: Interval, e: TensorExpr, a: Assumptions): Interval {
  return { low: i.low && j.low && least(i.low, j.low, e, a), high: i.high && j.high && most(i.high, j.high, e, a) };
}
function least(x: Extent, y: Extent, e: TensorExpr, a: Assumptions): Extent {
  return provenOver(subExtent(y, x), e, a) ? x : provenOver(subExtent(x, y), e, a) ? y : minExtent(x, y);
}
function most(x: Extent, y: Extent, e: TensorExpr, a: Assumptions): Extent {
  return provenOver(subExtent(x, y), e, a) ? x : provenOver(subExtent(y, x), e, a) ? y : maxExtent(x, y);
}
function minInterval(i: Interval, j: Interval, e: TensorExpr, a: Assumptions): Interval {
  return {
    low: i.low && j.low && least(i.low, j.low, e, a),
    high: i.high && j.high ? least(i.high, j.high, e, a) : (i.high ?? j.high),
  };
}
function maxInterval(i: Interval, j: Interval, e: TensorExpr, a: Assumptions): Interval {
  return {
    low: i.low && j.low ? most(i.low, j.low, e, a) : (i.low ?? j.low),
    high: i.high && j.high && most(i.high, j.high, e, a),
  };
}

function applied(e: Apply, a: Assumptions): Interval {
  const [x, y, z] = e.args;
  if (!x) return UNKNOWN;
  if (e.prim === "cast") {
    const i = x.dtype === "f32" || x.dtype === "f16" ? UNKNOWN : intervalOf(x, a);
    if (e.dtype === "u32") return provenOver(i.low, e, a) ? i : UNKNOWN;
    return x.dtype === "u32" ? trusted(i.low, i.high, e, a) : i;
  }
  if (e.prim === "select" && y && z) return hull(refined(y, x, true, a), refined(z, x, false, a), e, a);
  if (e.prim === "popcount" || e.prim === "clz") return { low: ZERO, high: size(32) };
  if (e.prim === "sign") return { low: size(-1), high: ONE };
  const i = intervalOf(x, a);
  if (e.prim === "abs") return provenOver(i.low, e, a) ? i : UNKNOWN;
  if (!y) return linear(e, a);
  const j = intervalOf(y, a);
  switch (e.prim) {
    case "min":
      return minInterval(i, j, e, a);
    case "max":
      return maxInterval(i, j, e, a);
    case "floordiv":
    case "shr": {
      const amount = e.prim === "shr" && y.kind === "const" ? size(2 ** (y.value & 31)) : undefined;
      const by = e.prim === "shr" ? amount : j.low === j.high ? j.low : undefined;
      if (by && provenOver(subExtent(by, ONE), e, a))
        return { low: i.low && divExtent(i.low, by), high: i.high && floorOf(i.high, by) };
      const positive = provenOver(j.low && subExtent(j.low, ONE), e, a);
      return e.prim === "floordiv" && positive && provenOver(i.low, e, a) ? { low: ZERO, high: i.high } : UNKNOWN;
    }
    case "mod":
    case "rem": {
      if (!provenOver(j.low && subExtent(j.low, ONE), e, a)) return UNKNOWN;
      const nonNegative = provenOver(i.low, e, a);
      if (e.prim === "rem" && !nonNegative) return UNKNOWN;
      if (nonNegative && provenOver(j.low && i.high && subExtent(subExtent(j.low, ONE), i.high), e, a)) return i;
      const last = j.high && subExtent(j.high, ONE);
      return { low: ZERO, high: nonNegative && i.high ? (last ? least(i.high, last, e, a) : i.high) : last };
    }
    case "bitand": {
      const masks = [i, j].filter((m) => provenOver(m.low, e, a));
      return masks.length > 0 ? { low: ZERO, high: masks.find((m) => m.high)?.high } : UNKNOWN;
    }
    case "mul": {
      const form = linearOf(e);
      if (!form.terms.has(e)) return linear(e, a);
      if (!provenOver(i.low, e, a) || !provenOver(j.low, e, a)) return UNKNOWN;
      return trusted(i.low && j.low && mulExtent(i.low, j.low), i.high && j.high && mulExtent(i.high, j.high), e, a);
    }
    default:
      return linear(e, a);
  }
}

/** ⌊x / by⌋; one below a multiple of by it is one below the quotient, which the extents alone do not see. */
function floorOf(x: Extent, by: Extent): Extent {
  const above = addExtent(x, ONE);
  const q = divExtent(above, by);
  return mulExtent(q, by) === above ? subExtent(q, ONE) : divExtent(x, by);
}

/** Sums with extents as coefficients: equal atoms have been collected, so i - i is 0. */
function linear(e: Apply, a: Assumptions): Interval {
  if (e.dtype !== "i32") return UNKNOWN;
  const form = linearOf(e);
  if (form.terms.has(e)) return UNKNOWN;
  const { low, high } = rangeOver(form, a, axesOf(e));
  return trusted(low, high, e, a);
}

/** The interval of a branch, knowing that the condition holds (or does not). */
function refined(branch: TensorExpr, condition: TensorExpr, holds: boolean, a: Assumptions): Interval {
  const plain = intervalOf(branch, a);
  if (branch.dtype !== "i32" || condition.kind !== "apply") return plain;
  if (branch.kind === "apply") {
    const [x, y] = branch.args;
    if (x && y && (branch.prim === "min" || branch.prim === "max")) {
      const combine = branch.prim === "min" ? minInterval : maxInterval;
      return combine(refined(x, condition, holds, a), refined(y, condition, holds, a), branch, a);
    }
    const form = linearOf(branch);
    const [only] = [...form.terms];
    if (form.terms.size === 1 && only?.[1] === ONE && only[0] !== branch) {
      const shifted = plus(refined(only[0], condition, holds, a), { low: form.constant, high: form.constant });
      return meet(plain, trusted(shifted.low, shifted.high, branch, a), branch, a);
    }
  }
  return meet(plain, constraint(branch, condition, holds, a), branch, a);
}

/** What the condition says of exactly this expression. */
function constraint(of: TensorExpr, condition: TensorExpr, holds: boolean, a: Assumptions): Interval {
  if (condition.kind !== "apply") return UNKNOWN;
  const [x, y] = condition.args;
  if (condition.prim === "not" && x) return constraint(of, x, !holds, a);
  if (!x || !y) return UNKNOWN;
  if ((condition.prim === "and" && holds) || (condition.prim === "or" && !holds))
    return meet(constraint(of, x, holds, a), constraint(of, y, holds, a), of, a);
  if (x.dtype !== "i32" || (x !== of && y !== of)) return UNKNOWN;
  const written = x === of ? condition.prim : MIRRORED[condition.prim];
  const prim = holds ? written : written && OPPOSITE[written];
  const { low, high } = intervalOf(x === of ? y : x, a);
  switch (prim) {
    case "lt":
      return { low: undefined, high: high && subExtent(high, ONE) };
    case "le":
      return { low: undefined, high };
    case "gt":
      return { low: low && addExtent(low, ONE), high: undefined };
    case "ge":
      return { low, high: undefined };
    case "eq":
      return { low, high };
    default:
      return UNKNOWN;
  }
}

const MIRRORED: Partial<Record<Prim, Prim>> = { lt: "gt", gt: "lt", le: "ge", ge: "le", eq: "eq", ne: "ne" };
const OPPOSITE: Partial<Record<Prim, Prim>> = { lt: "ge", ge: "lt", gt: "le", le: "gt", eq: "ne", ne: "eq" };

function meet(i: Interval, j: Interval, e: TensorExpr, a: Assumptions): Interval {
  return {
    low: i.low && j.low ? most(i.low, j.low, e, a) : (i.low ?? j.low),
    high: i.high && j.high ? least(i.high, j.high, e, a) : (i.high ?? j.high),
  };
}

/** For tests and messages: `0 … N - 1`. */
export function intervalText(i: Interval): string {
  return `${i.low?.text ?? "?"} … ${i.high?.text ?? "?"}`;
}
