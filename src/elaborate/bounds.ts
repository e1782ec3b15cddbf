/**
 * Which values an index expression takes over all positions of the axes in it: linear forms first, so that `i - i` and
 * `2 * i - i` are exact, then intervals of what is not linear. Ends are extents; an end that data decides is undefined.
 */
import { addForms, atomForm, constantForm, type LinearForm, scaleForm } from "../../ir/affine.ts";
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
  proveNonNegative,
  size,
  subExtent,
  ZERO,
} from "../../ir/extent.ts";
import type { Interval } from "../../ir/interval.ts";
import { type Apply, childrenOf, freeAxes, indexBelow, type TensorExpr } from "../../ir/tensor.ts";

const UNKNOWN: Interval = { low: undefined, high: undefined };

/** `resolve` replaces merged symbols; `atLeast` are smallest values of symbols. */
export interface Known {
  resolve(e: Extent): Extent;
  readonly atLeast: ReadonlyMap<string, number>;
}

/**
 * What holds where an expression is evaluated at all: every axis in it has at least one position, so the symbols of a product
 * extent are positive. Undefined if an axis has none: then nothing is evaluated.
 */
export function assumingPositions(e: TensorExpr, known: Known): Known | undefined {
  const atLeast = new Map(known.atLeast);
  for (const a of freeAxes(e)) {
    const extent = known.resolve(a.extent);
    if (extent === ZERO) return undefined;
    assumePositive(extent, atLeast);
  }
  for (const below of roundsIn(e)) assumePositive(known.resolve(below), atLeast);
  return { resolve: known.resolve, atLeast };
}

/** Where a loop's index has a value, there is a round. */
function roundsIn(e: TensorExpr): readonly Extent[] {
  const below = indexBelow(e);
  return below ? [below] : childrenOf(e).flatMap(roundsIn);
}

function assumePositive(e: Extent, atLeast: Map<string, number>): void {
  const rest = e.terms.filter((t) => t.atoms.length > 0);
  const t = rest[0];
  if (rest.length !== 1 || !t || t.coefficient <= 0) return;
  const constant = e.terms.find((x) => x.atoms.length === 0)?.coefficient ?? 0;
  if (constant > 0) return;
  const only = t.atoms[0];
  if (t.atoms.length === 1 && only?.kind === "symbol")
    raise(atLeast, only.name, Math.ceil((1 - constant) / t.coefficient));
  else for (const a of t.atoms) if (a.kind === "symbol") raise(atLeast, a.name, 1);
}
function raise(atLeast: Map<string, number>, symbol: string, least: number): void {
  atLeast.set(symbol, Math.max(least, atLeast.get(symbol) ?? 0));
}

export function rangeOf(e: TensorExpr, known: Known): Interval {
  const linear = linearOf(e, known);
  let low: Extent | undefined = linear.constant;
  let high: Extent | undefined = linear.constant;
  for (const [node, coefficient] of linear.terms) {
    const r = nodeRange(node, known);
    const up = nonNegative(coefficient, known) === "proved";
    const down = !up && nonNegative(negExtent(coefficient), known) === "proved";
    if (!up && !down) return UNKNOWN;
    const [a, b] = up ? [r.low, r.high] : [r.high, r.low];
    low = low && a && addExtent(low, mulExtent(coefficient, a));
    high = high && b && addExtent(high, mulExtent(coefficient, b));
  }
  return { low, high };
}

function nonNegative(e: Extent, known: Known): Proof {
  return proveNonNegative(known.resolve(e), known.atLeast);
}

function linearOf(e: TensorExpr, known: Known): LinearForm {
  switch (e.kind) {
    case "const":
      return Number.isSafeInteger(e.value) ? constantForm(size(e.value)) : atomForm(e);
    case "size":
      return constantForm(known.resolve(e.extent));
    case "apply": {
      const [a, b] = e.args;
      if (e.dtype !== "i32" || !a) return atomForm(e);
      if (e.prim === "neg") return scaleForm(linearOf(a, known), size(-1));
      if (!b) return atomForm(e);
      if (e.prim === "add") return addForms(linearOf(a, known), linearOf(b, known));
      if (e.prim === "sub") return addForms(linearOf(a, known), scaleForm(linearOf(b, known), size(-1)));
      if (e.prim === "mul") {
        const [l, r] = [linearOf(a, known), linearOf(b, known)];
        if (l.terms.size === 0) return scaleForm(r, l.constant);
        if (r.terms.size === 0) return scaleForm(l, r.constant);
      }
      return atomForm(e);
    }
    default:
      return atomForm(e);
  }
}

function nodeRange(e: TensorExpr, known: Known): Interval {
  if (e.kind === "axis") return { low: ZERO, high: subExtent(known.resolve(e.axis.extent), ONE) };
  const below = indexBelow(e);
  if (below) return { low: ZERO, high: subExtent(known.resolve(below), ONE) };
  if (e.kind !== "apply") return UNKNOWN;
  return applyRange(e, known);
}

function applyRange(e: Apply, known: Known): Interval {
  const [a, b, c] = e.args;
  if (e.prim === "cast") return a?.dtype === "bool" ? { low: ZERO, high: ONE } : UNKNOWN;
  if (e.dtype !== "i32" || !a || !b) return UNKNOWN;
  if (e.prim === "select") return c ? union(rangeOf(b, known), rangeOf(c, known)) : UNKNOWN;
  const [x, y] = [rangeOf(a, known), rangeOf(b, known)];
  if (overflows(x) || overflows(y)) return UNKNOWN;
  // A divisor may be a variable: what holds for all its values holds.
  const positive = y.low !== undefined && nonNegative(subExtent(y.low, ONE), known) === "proved";
  const natural = x.low !== undefined && nonNegative(x.low, known) === "proved";
  switch (e.prim) {
    case "floordiv":
      if (!positive || !y.low) return UNKNOWN;
      if (y.low === y.high) return { low: x.low && divExtent(x.low, y.low), high: x.high && divExtent(x.high, y.low) };
      return natural ? { low: ZERO, high: x.high && divExtent(x.high, y.low) } : UNKNOWN;
    case "mod": {
      if (!positive || !y.low) return UNKNOWN;
      // Below every divisor nothing happens; else the remainder is below the largest.
      if (natural && x.high && nonNegative(subExtent(subExtent(y.low, ONE), x.high), known) === "proved") return x;
      const last = y.high && subExtent(y.high, ONE);
      return { low: ZERO, high: natural && last && x.high ? minExtent(x.high, last) : last };
    }
    case "min":
      return {
        low: x.low && y.low && minExtent(x.low, y.low),
        high: x.high && y.high ? minExtent(x.high, y.high) : (x.high ?? y.high),
      };
    case "max":
      return {
        low: x.low && y.low ? maxExtent(x.low, y.low) : (x.low ?? y.low),
        high: x.high && y.high && maxExtent(x.high, y.high),
      };
    case "mul": {
      const signs = x.low && y.low && nonNegative(x.low, known) === "proved" && nonNegative(y.low, known) === "proved";
      if (!signs || !x.low || !y.low) return UNKNOWN;
      return { low: mulExtent(x.low, y.low), high: x.high && y.high && mulExtent(x.high, y.high) };
    }
    default:
      return UNKNOWN;
  }
}

/** Beyond i32 the value wraps, which only sums and products survive. */
function overflows(r: Interval): boolean {
  return (r.low?.value ?? 0) < -(2 ** 31) || (r.high?.value ?? 0) >= 2 ** 31;
}

function union(x: Interval, y: Interval): Interval {
  return { low: x.low && y.low && minExtent(x.low, y.low), high: x.high && y.high && maxExtent(x.high, y.high) };
}
