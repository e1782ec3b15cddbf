/**
 * Which values an index expression takes over all positions of the axes in it: linear forms first, so that `i - i` and
 * `2 * i - i` are exact, then intervals of what is not linear. Ends are extents; an end that data decides is undefined.
 */
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
import { type Apply, childrenOf, freeAxes, indexBelow, type TensorExpr } from "../../ir/tensor.ts";

export interface Range {
  readonly low: Extent | undefined;
  readonly high: Extent | undefined;
}

const UNKNOWN: Range = { low: undefined, high: undefined };

/** constant + Σ coefficient · node, nodes being axes or expressions that are not linear. */
interface Linear {
  readonly constant: Extent;
  readonly terms: ReadonlyMap<TensorExpr, Extent>;
}

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

export function rangeOf(e: TensorExpr, known: Known): Range {
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

function linearOf(e: TensorExpr, known: Known): Linear {
  switch (e.kind) {
    case "const":
      return Number.isSafeInteger(e.value) ? { constant: size(e.value), terms: new Map() } : node(e);
    case "size":
      return { constant: known.resolve(e.extent), terms: new Map() };
    case "apply": {
      const [a, b] = e.args;
      if (e.dtype !== "i32" || !a) return node(e);
      if (e.prim === "neg") return scale(linearOf(a, known), size(-1));
      if (!b) return node(e);
      if (e.prim === "add") return sum(linearOf(a, known), linearOf(b, known));
      if (e.prim === "sub") return sum(linearOf(a, known), scale(linearOf(b, known), size(-1)));
      if (e.prim === "mul") {
        const [l, r] = [linearOf(a, known), linearOf(b, known)];
        if (l.terms.size === 0) return scale(r, l.constant);
        if (r.terms.size === 0) return scale(l, r.constant);
      }
      return node(e);
    }
    default:
      return node(e);
  }
}

function node(e: TensorExpr): Linear {
  return { constant: ZERO, terms: new Map([[e, ONE]]) };
}
function scale(l: Linear, by: Extent): Linear {
  return { constant: mulExtent(l.constant, by), terms: new Map([...l.terms].map(([n, c]) => [n, mulExtent(c, by)])) };
}
function sum(a: Linear, b: Linear): Linear {
  const terms = new Map(a.terms);
  for (const [n, c] of b.terms) {
    const total = addExtent(terms.get(n) ?? ZERO, c);
    if (total === ZERO) terms.delete(n);
    else terms.set(n, total);
  }
  return { constant: addExtent(a.constant, b.constant), terms };
}

function nodeRange(e: TensorExpr, known: Known): Range {
  if (e.kind === "axis") return { low: ZERO, high: subExtent(known.resolve(e.axis.extent), ONE) };
  const below = indexBelow(e);
  if (below) return { low: ZERO, high: subExtent(known.resolve(below), ONE) };
  if (e.kind !== "apply") return UNKNOWN;
  return applyRange(e, known);
}

function applyRange(e: Apply, known: Known): Range {
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
function overflows(r: Range): boolean {
  return (r.low?.value ?? 0) < -(2 ** 31) || (r.high?.value ?? 0) >= 2 ** 31;
}

function union(x: Range, y: Range): Range {
  return { low: x.low && y.low && minExtent(x.low, y.low), high: x.high && y.high && maxExtent(x.high, y.high) };
}

/** `0 … N - 1`, for messages. */
export function rangeText(r: Range): string {
  return `${r.low?.text ?? "?"} … ${r.high?.text ?? "?"}`;
}
