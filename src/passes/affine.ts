/**
 * Index arithmetic in normal form: i32 expressions as linear combinations, with extents as coefficients, of atoms whose
 * ranges are known where possible. It composes index maps, recognises the digits that reshapes take of an axis, and
 * proves indices inside. Only what indexes is ever normalised: values that a program computes with stay as written.
 *
 * Ranges assume that the axes that occur are not empty: an expression over an empty axis is never evaluated.
 */
import {
  addExtent,
  divExtent,
  type Extent,
  maxExtent,
  minExtent,
  modExtent,
  mulExtent,
  negExtent,
  ONE,
  proveNonNegative,
  type SizeAtom,
  size,
  sizeSymbol,
  subExtent,
  symbolsOf,
  ZERO,
} from "../../ir/extent.ts";
import { apply, i32, indexBelow, sizeOf, type TensorExpr } from "../../ir/tensor.ts";
import { axesIn } from "./rewrite.ts";

export { estimate } from "./estimate.ts";

export interface Linear {
  readonly terms: ReadonlyMap<TensorExpr, Extent>;
  readonly rest: Extent;
}

const NONE: ReadonlyMap<TensorExpr, Extent> = new Map();
const constantOf = (rest: Extent): Linear => ({ terms: NONE, rest });
const single = (atom: TensorExpr): Linear => ({ terms: new Map([[atom, ONE]]), rest: ZERO });

function plus(a: Linear, b: Linear, sign: Extent = ONE): Linear {
  if (b.terms.size === 0) return { terms: a.terms, rest: addExtent(a.rest, mulExtent(sign, b.rest)) };
  const terms = new Map(a.terms);
  for (const [atom, c] of b.terms) {
    const sum = addExtent(terms.get(atom) ?? ZERO, mulExtent(sign, c));
    if (sum === ZERO) terms.delete(atom);
    else terms.set(atom, sum);
  }
  return { terms, rest: addExtent(a.rest, mulExtent(sign, b.rest)) };
}
function times(a: Linear, c: Extent): Linear {
  if (c === ZERO) return constantOf(ZERO);
  if (c === ONE) return a;
  return { terms: new Map([...a.terms].map(([t, x]) => [t, mulExtent(x, c)])), rest: mulExtent(a.rest, c) };
}

const linearMemo = new WeakMap<TensorExpr, Linear>();

/** Any i32 expression; what is not understood is an atom. */
export function linearOf(e: TensorExpr): Linear {
  if (e.kind === "const") return constantOf(size(e.value));
  if (e.kind === "size") return constantOf(e.extent);
  const old = linearMemo.get(e);
  if (old) return old;
  const made = e.dtype === "i32" ? decompose(e) : single(e);
  linearMemo.set(e, made);
  return made;
}

function decompose(e: TensorExpr): Linear {
  if (e.kind !== "apply") return single(e);
  const [x, y] = e.args;
  if (!x) return single(e);
  if (e.prim === "neg") return times(linearOf(x), size(-1));
  if (!y) return single(e);
  const [a, b] = [linearOf(x), linearOf(y)];
  switch (e.prim) {
    case "add":
      return plus(a, b);
    case "sub":
      return plus(a, b, size(-1));
    case "mul":
      if (a.terms.size === 0) return times(b, a.rest);
      if (b.terms.size === 0) return times(a, b.rest);
      return single(apply("mul", expressionOf(a), expressionOf(b)));
    case "floordiv":
      return b.terms.size === 0 && isPositive(b.rest) ? quotient(a, b.rest) : single(e);
    case "mod":
      return b.terms.size === 0 && isPositive(b.rest) ? remainder(a, b.rest) : single(e);
    case "min":
    case "max":
      return single(apply(e.prim, expressionOf(a), expressionOf(b)));
    default:
      return single(e);
  }
}

/** Symbolic divisors are extents; where one is 0 the tensor is empty and nothing is evaluated. */
export function isPositive(c: Extent): boolean {
  return c.value !== undefined ? c.value > 0 : c.terms.every((t) => t.coefficient > 0);
}

/**
 * Is it at least 1 wherever an expression over these axes is evaluated? Modulo 0 is 0, which is not below 0: what is said of
 * a remainder holds of a positive divisor only.
 */
function isAtLeastOne(c: Extent, over: Iterable<TensorExpr>): boolean {
  if (c.value !== undefined) return c.value > 0;
  for (const e of over) {
    if (proveNonNegative(subExtent(c, ONE), atLeastOf(e)) === "proved") return true;
    // A factor of an extent that is not 0 is not 0.
    for (const a of axesIn(e)) if (isPositive(c) && modExtent(a.extent, c) === ZERO) return true;
  }
  return false;
}

/** An extent as c·q + r, term by term, r holding what c does not divide (a constant r lies in 0…c-1 for constant c). */
function divide(e: Extent, c: Extent): readonly [Extent, Extent] {
  if (e.value !== undefined && c.value !== undefined) {
    const q = Math.floor(e.value / c.value);
    return [size(q), size(e.value - q * c.value)];
  }
  if (e === ZERO) return [ZERO, ZERO];
  const r = modExtent(e, c);
  if (r === ZERO) return [divExtent(e, c), ZERO];
  const whole = subExtent(e, r);
  return whole !== ZERO && modExtent(whole, c) === ZERO ? [divExtent(whole, c), r] : [ZERO, e];
}

function separate(a: Linear, c: Extent): readonly [Linear, Linear] {
  const [whole, part] = [new Map<TensorExpr, Extent>(), new Map<TensorExpr, Extent>()];
  for (const [atom, x] of a.terms) {
    if (modExtent(x, c) === ZERO) whole.set(atom, divExtent(x, c));
    else part.set(atom, x);
  }
  const [q, r] = divide(a.rest, c);
  return [
    { terms: whole, rest: q },
    { terms: part, rest: r },
  ];
}

/** g and a with c = g·a such that `rest` is g·X + r, r in 0…g-1; X and r. */
function factored(rest: Linear, c: Extent): { g: Extent; a: Extent; x: Linear; r: Linear } | undefined {
  for (const g of new Set(rest.terms.values())) {
    if (g === ONE || g.value === -1 || g === c || modExtent(c, g) !== ZERO || !isPositive(g)) continue;
    const [x, r] = separate(rest, g);
    if (isWithin(r, g)) return { g, a: divExtent(c, g), x, r };
  }
  return undefined;
}

function quotient(a: Linear, c: Extent): Linear {
  if (c === ONE) return a;
  const [whole, rest] = separate(a, c);
  if (isWithin(rest, c)) return whole;
  const f = factored(rest, c);
  if (f) return plus(whole, quotient(f.x, f.a));
  const only = lone(rest);
  if (only?.kind === "apply" && only.prim === "floordiv" && only.args[0] && only.args[1]) {
    const inner = linearOf(only.args[1]);
    if (inner.terms.size === 0) return plus(whole, quotient(linearOf(only.args[0]), mulExtent(inner.rest, c)));
  }
  return plus(whole, single(apply("floordiv", expressionOf(rest), sizeOf(c))));
}

function remainder(a: Linear, c: Extent): Linear {
  if (c === ONE) return constantOf(ZERO);
  const [, rest] = separate(a, c);
  if (isWithin(rest, c)) return rest;
  const f = factored(rest, c);
  if (f && isAtLeastOne(f.a, rest.terms.keys())) return plus(f.r, times(remainder(f.x, f.a), f.g));
  const only = lone(rest);
  if (only?.kind === "apply" && only.prim === "mod" && only.args[0] && only.args[1]) {
    const inner = linearOf(only.args[1]);
    if (inner.terms.size === 0 && modExtent(inner.rest, c) === ZERO && isAtLeastOne(inner.rest, [only]))
      return remainder(linearOf(only.args[0]), c);
  }
  return single(apply("mod", expressionOf(rest), sizeOf(c)));
}

function lone(a: Linear): TensorExpr | undefined {
  if (a.terms.size !== 1 || a.rest !== ZERO) return undefined;
  for (const [atom, c] of a.terms) if (c === ONE) return atom;
  return undefined;
}

/** The expression of a linear form: equal forms give the same node. Sizes in it are sums of what is not negative. */
export function expressionOf(a: Linear): TensorExpr {
  const parts: { readonly atom: TensorExpr | undefined; readonly by: Extent; readonly minus: boolean }[] = [];
  const add = (atom: TensorExpr | undefined, c: Extent): void => {
    const [above, below] = bySign(c);
    if (above !== ZERO) parts.push({ atom, by: above, minus: false });
    if (below !== ZERO) parts.push({ atom, by: below, minus: true });
  };
  for (const [atom, c] of [...a.terms].sort(([x], [y]) => x.id - y.id)) add(atom, c);
  add(undefined, a.rest);
  // What is added first, constants last: a sum reads as people write it.
  const rank = (p: { readonly atom: TensorExpr | undefined; readonly minus: boolean }): number =>
    (p.minus ? 1 : 0) + (p.atom ? 0 : 2);
  parts.sort((x, y) => rank(x) - rank(y));
  let sum: TensorExpr | undefined;
  for (const p of parts) {
    const term = !p.atom ? sizeOf(p.by) : p.by === ONE ? p.atom : apply("mul", p.atom, sizeOf(p.by));
    if (sum) sum = apply(p.minus ? "sub" : "add", sum, term);
    else sum = p.minus ? negated(term) : term;
  }
  return sum ?? sizeOf(ZERO);
}
function negated(e: TensorExpr): TensorExpr {
  return e.kind === "const" ? i32(-e.value) : apply("neg", e);
}
const signs = new WeakMap<Extent, readonly [Extent, Extent]>();
/** An extent as a difference of two whose terms are all positive. */
function bySign(e: Extent): readonly [Extent, Extent] {
  if (e.value !== undefined) return e.value < 0 ? [ZERO, size(-e.value)] : [e, ZERO];
  const old = signs.get(e);
  if (old) return old;
  let [above, below] = [ZERO, ZERO];
  for (const t of e.terms) {
    let product = size(Math.abs(t.coefficient));
    for (const atom of t.atoms) product = mulExtent(product, extentOf(atom));
    if (t.coefficient < 0) below = addExtent(below, product);
    else above = addExtent(above, product);
  }
  const made = [above, below] as const;
  signs.set(e, made);
  return made;
}
function extentOf(a: SizeAtom): Extent {
  switch (a.kind) {
    case "symbol":
      return sizeSymbol(a.name);
    case "div":
      return divExtent(a.left, a.right);
    case "mod":
      return modExtent(a.left, a.right);
    case "min":
      return minExtent(a.left, a.right);
    case "max":
      return maxExtent(a.left, a.right);
    default:
      return a satisfies never;
  }
}

// ---- Ranges ---------------------------------------------------------------------------------------------------------

export interface Range {
  readonly low: Extent | undefined;
  readonly high: Extent | undefined;
}

const atomRanges = new WeakMap<TensorExpr, Range>();
function atomRange(e: TensorExpr): Range {
  const old = atomRanges.get(e);
  if (old) return old;
  const made = rangeOfAtom(e);
  atomRanges.set(e, made);
  return made;
}
function rangeOfAtom(e: TensorExpr): Range {
  if (e.kind === "axis") return { low: ZERO, high: subExtent(e.axis.extent, ONE) };
  const below = indexBelow(e);
  if (below) return { low: ZERO, high: subExtent(below, ONE) };
  if (e.kind === "apply" && e.args[0] && e.args[1]) {
    const c = linearOf(e.args[1]);
    if (e.prim === "mod" && c.terms.size === 0 && isAtLeastOne(c.rest, [e]))
      return { low: ZERO, high: subExtent(c.rest, ONE) };
    if (e.prim === "floordiv" && c.terms.size === 0 && isPositive(c.rest)) {
      const r = rangeOf(linearOf(e.args[0]));
      return { low: r.low && divExtent(r.low, c.rest), high: r.high && divExtent(r.high, c.rest) };
    }
    if (e.prim === "min" || e.prim === "max") {
      const [x, y] = [rangeOf(linearOf(e.args[0])), rangeOf(c)];
      // One side suffices: min(x, y) is at most either, max(x, y) at least either.
      if (e.prim === "min") return { low: both(x.low, y.low, e), high: x.high && !y.high ? x.high : y.high };
      return { low: x.low && !y.low ? x.low : y.low, high: both(x.high, y.high, e) };
    }
  }
  return { low: undefined, high: undefined };
}
/** The lower (min) or higher (max) of two bounds, if one can be told to be. */
function both(x: Extent | undefined, y: Extent | undefined, e: TensorExpr & { kind: "apply" }): Extent | undefined {
  if (!x || !y) return undefined;
  const d = subExtent(x, y);
  const least = atLeastOf(e);
  const smaller = e.prim === "min";
  if (proveNonNegative(d, least) === "proved") return smaller ? y : x;
  if (proveNonNegative(negExtent(d), least) === "proved") return smaller ? x : y;
  return undefined;
}

/** Bounds of a linear form over all positions of its axes. */
export function rangeOf(a: Linear): Range {
  let low: Extent | undefined = a.rest;
  let high: Extent | undefined = a.rest;
  for (const [atom, c] of a.terms) {
    const r = atomRange(atom);
    const least = atLeastOf(atom);
    const up = proveNonNegative(c, least) === "proved";
    const down = !up && proveNonNegative(negExtent(c), least) === "proved";
    const [from, to] = up ? [r.low, r.high] : down ? [r.high, r.low] : [undefined, undefined];
    low = low && from && addExtent(low, mulExtent(c, from));
    high = high && to && addExtent(high, mulExtent(c, to));
    if (!low && !high) break;
  }
  return { low, high };
}

const leastMemo = new WeakMap<TensorExpr, ReadonlyMap<string, number>>();
/** Symbols that are at least 1 because an axis of `e` has them as factors of its extent. */
function atLeastOf(e: TensorExpr): ReadonlyMap<string, number> {
  const old = leastMemo.get(e);
  if (old) return old;
  const least = new Map<string, number>();
  const below = indexBelow(e);
  for (const extent of below ? [below] : [...axesIn(e)].map((a) => a.extent))
    if (extent.terms.length === 1 && (extent.terms[0]?.atoms ?? []).every((s) => s.kind === "symbol"))
      for (const s of symbolsOf(extent)) least.set(s, 1);
  leastMemo.set(e, least);
  return least;
}

function atLeastOfAll(a: Linear): ReadonlyMap<string, number> {
  const least = new Map<string, number>();
  for (const atom of a.terms.keys()) for (const [s, n] of atLeastOf(atom)) least.set(s, n);
  return least;
}

/** Is it in 0…c-1 wherever it is evaluated? */
function isWithin(a: Linear, c: Extent): boolean {
  const r = rangeOf(a);
  if (!r.low || !r.high) return false;
  const least = atLeastOfAll(a);
  return (
    proveNonNegative(r.low, least) === "proved" &&
    proveNonNegative(subExtent(subExtent(c, ONE), r.high), least) === "proved"
  );
}

const INSIDE = { low: false, high: false };
/** Which of the two tests `0 <= e` and `e < extent` an index needs; neither if it is proved inside. */
export function testsNeeded(e: TensorExpr, extent: Extent): { readonly low: boolean; readonly high: boolean } {
  if (e.kind === "axis" && e.axis.extent === extent) return INSIDE;
  const a = linearOf(e);
  const r = rangeOf(a);
  const least = atLeastOfAll(a);
  return {
    low: !r.low || proveNonNegative(r.low, least) !== "proved",
    high: !r.high || proveNonNegative(subExtent(subExtent(extent, ONE), r.high), least) !== "proved",
  };
}

/** Can the arithmetic of these terms leave 31 bits for the sizes that are known? Then it is left as it stands. */
function mayWrap(e: TensorExpr): boolean {
  if (e.kind !== "apply") return false;
  const r = rangeOf(linearOf(e));
  const far = (x: Extent | undefined): boolean =>
    x?.value !== undefined && (x.value > 2147483647 || x.value < -2147483648);
  return far(r.low) || far(r.high) || e.args.some((x) => x.dtype === "i32" && mayWrap(x));
}

const simplifyMemo = new WeakMap<TensorExpr, TensorExpr>();

/** An index in normal form. Equal normal forms are the same node; reads inside are normalised too. */
export function simplifyIndex(e: TensorExpr): TensorExpr {
  if (e.kind === "const" || e.kind === "size" || e.kind === "axis") return e;
  const old = simplifyMemo.get(e);
  if (old) return old;
  const made = e.dtype !== "i32" || mayWrap(e) ? e : expressionOf(linearOf(e));
  simplifyMemo.set(e, made);
  simplifyMemo.set(made, made);
  return made;
}
