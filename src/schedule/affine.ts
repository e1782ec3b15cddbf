/**
 * Index expressions as linear forms over atoms with symbolic coefficients, and what can be proved of their range. i32
 * arithmetic wraps, so the rewriting into a linear form is exact.
 */
import {
  addExtent,
  divExtent,
  type Extent,
  mulExtent,
  negExtent,
  ONE,
  proveNonNegative,
  size,
  subExtent,
  ZERO,
} from "../../ir/extent.ts";
import { type Axis, apply, i32, sizeOf, type TensorExpr } from "../../ir/tensor.ts";

/** Σ coefficient · atom + constant. Atoms are axes and whatever is not linear. */
export interface Linear {
  readonly constant: Extent;
  readonly terms: ReadonlyMap<TensorExpr, Extent>;
}

const NONE: ReadonlyMap<TensorExpr, Extent> = new Map();

export function constantForm(e: Extent): Linear {
  return { constant: e, terms: NONE };
}

export function addForms(a: Linear, b: Linear): Linear {
  const terms = new Map(a.terms);
  for (const [atom, c] of b.terms) {
    const sum = addExtent(terms.get(atom) ?? ZERO, c);
    if (sum === ZERO) terms.delete(atom);
    else terms.set(atom, sum);
  }
  return { constant: addExtent(a.constant, b.constant), terms };
}

export function scaleForm(a: Linear, by: Extent): Linear {
  if (by === ONE) return a;
  if (by === ZERO) return constantForm(ZERO);
  const terms = new Map<TensorExpr, Extent>();
  for (const [atom, c] of a.terms) terms.set(atom, mulExtent(c, by));
  return { constant: mulExtent(a.constant, by), terms };
}

/** The value as an extent, if it is one. */
function sizeValue(e: TensorExpr): Extent | undefined {
  if (e.kind === "const" && e.dtype === "i32") return size(e.value);
  return e.kind === "size" ? e.extent : undefined;
}

/** The linear form of an i32 expression. */
export function linearForm(e: TensorExpr): Linear {
  const known = sizeValue(e);
  if (known) return constantForm(known);
  if (e.kind === "apply" && e.dtype === "i32") {
    const [x, y] = e.args;
    if (x && e.prim === "neg") return scaleForm(linearForm(x), size(-1));
    if (x && y) {
      if (e.prim === "add") return addForms(linearForm(x), linearForm(y));
      if (e.prim === "sub") return addForms(linearForm(x), scaleForm(linearForm(y), size(-1)));
      if (e.prim === "mul") {
        const [a, b] = [linearForm(x), linearForm(y)];
        if (a.terms.size === 0) return scaleForm(b, a.constant);
        if (b.terms.size === 0) return scaleForm(a, b.constant);
      }
    }
  }
  return { constant: ZERO, terms: new Map([[e, ONE]]) };
}

/** Back to an expression: terms in the given order, the constant last. */
export function formExpression(f: Linear, order: readonly TensorExpr[] = [...f.terms.keys()]): TensorExpr {
  let sum: TensorExpr | undefined;
  for (const atom of order) {
    const c = f.terms.get(atom) ?? ONE;
    const term = c === ONE ? atom : apply("mul", atom, sizeOf(c));
    sum = sum ? apply("add", sum, term) : term;
  }
  if (f.constant !== ZERO) sum = sum ? apply("add", sum, sizeOf(f.constant)) : sizeOf(f.constant);
  return sum ?? i32(0);
}

/** Every coefficient of `e` is a multiple of `by`. */
export function divisible(e: Extent, by: number): boolean {
  return e.terms.every((t) => t.coefficient % by === 0);
}

export interface Range {
  readonly low: Extent | undefined;
  readonly high: Extent | undefined;
}
const ANY: Range = { low: undefined, high: undefined };

/** What an i32 expression never leaves, the axes in it taken as non-empty. */
export function rangeOf(e: TensorExpr): Range {
  if (e.dtype !== "i32") return ANY;
  return rangeOfForm(linearForm(e));
}

export function rangeOfForm(f: Linear): Range {
  let low: Extent | undefined = f.constant;
  let high: Extent | undefined = f.constant;
  for (const [atom, c] of f.terms) {
    const sign = proveNonNegative(c) === "proved" ? 1 : proveNonNegative(negExtent(c)) === "proved" ? -1 : 0;
    const r = sign === 0 ? ANY : rangeOfAtom(atom);
    const [from, to] = sign < 0 ? [r.high, r.low] : [r.low, r.high];
    low = low && from ? addExtent(low, mulExtent(from, c)) : undefined;
    high = high && to ? addExtent(high, mulExtent(to, c)) : undefined;
  }
  return { low, high };
}

function rangeOfAtom(e: TensorExpr): Range {
  if (e.kind === "axis") return { low: ZERO, high: subExtent(e.axis.extent, ONE) };
  if (e.kind !== "apply") return ANY;
  const [x, y] = e.args;
  if (!x || !y) return ANY;
  const by = sizeValue(y);
  switch (e.prim) {
    case "mod":
      return by && proveNonNegative(subExtent(by, ONE)) === "proved" ? { low: ZERO, high: subExtent(by, ONE) } : ANY;
    case "floordiv": {
      if (!by || proveNonNegative(subExtent(by, ONE)) !== "proved") return ANY;
      const r = rangeOf(x);
      return { low: r.low && divExtent(r.low, by), high: r.high && divExtent(r.high, by) };
    }
    case "min": {
      const [a, b] = [rangeOf(x), rangeOf(y)];
      const least = atLeastBoth(a.low, b.low, -1);
      return { low: least, high: a.high ?? b.high };
    }
    case "max": {
      const [a, b] = [rangeOf(x), rangeOf(y)];
      return { low: a.low ?? b.low, high: atLeastBoth(a.high, b.high, 1) };
    }
    default:
      return ANY;
  }
}

/** The smaller (sign -1) or larger (1) of two, where that is known. */
function atLeastBoth(a: Extent | undefined, b: Extent | undefined, sign: 1 | -1): Extent | undefined {
  if (!a || !b) return undefined;
  if (proveNonNegative(subExtent(a, b)) === "proved") return sign > 0 ? a : b;
  if (proveNonNegative(subExtent(b, a)) === "proved") return sign > 0 ? b : a;
  return undefined;
}

/** Symbols that are at least 1 because an axis of that extent is being walked. */
function nonEmpty(axes: Iterable<Axis>): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const a of axes) {
    const t = a.extent.terms[0];
    const atom = t?.atoms[0];
    if (a.extent.terms.length === 1 && t?.atoms.length === 1 && t.coefficient > 0 && atom?.kind === "symbol")
      found.set(atom.name, 1);
  }
  return found;
}

/** Which sides of 0 … extent-1 an index is proved not to leave. */
export function inside(index: Linear, extent: Extent): { readonly low: boolean; readonly high: boolean } {
  const r = rangeOfForm(index);
  const walked: Axis[] = [];
  for (const atom of index.terms.keys()) collectAxes(atom, walked);
  const atLeast = nonEmpty(walked);
  return {
    low: r.low !== undefined && proveNonNegative(r.low, atLeast) === "proved",
    high: r.high !== undefined && proveNonNegative(subExtent(subExtent(extent, ONE), r.high), atLeast) === "proved",
  };
}

function collectAxes(e: TensorExpr, into: Axis[]): void {
  if (e.kind === "axis") into.push(e.axis);
  else if (e.kind === "apply") for (const a of e.args) collectAxes(a, into);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly Extent[]): readonly Extent[] {
  const strides: Extent[] = new Array(shape.length);
  let s = ONE;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = s;
    s = mulExtent(s, shape[d] ?? ONE);
  }
  return strides;
}

/** Row-major position of a point. */
export function positionIn(at: readonly TensorExpr[], shape: readonly Extent[]): Linear {
  const strides = stridesOf(shape);
  let f = constantForm(ZERO);
  at.forEach((x, d) => {
    f = addForms(f, scaleForm(linearForm(x), strides[d] ?? ONE));
  });
  return f;
}

/** Row-major position of a point, as an expression. */
export function flatten(point: readonly TensorExpr[], shape: readonly Extent[]): TensorExpr {
  return formExpression(positionIn(point, shape));
}
