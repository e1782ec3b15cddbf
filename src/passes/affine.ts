/**
 * Index arithmetic in normal form: i32 expressions as linear combinations, with extents as coefficients, of atoms whose
 * ranges are known where possible. It composes index maps, recognises the digits that reshapes take of an axis, and
 * proves indices inside. Only what indexes is ever normalised: values that a program computes with stay as written.
 *
 * Ranges assume that the axes that occur are not empty: an expression over an empty axis is never evaluated.
 */
import { addForms, atomForm, constantForm, type LinearForm, scaleForm } from "../../ir/affine.ts";
import {
  divExtent,
  type Extent,
  extentOf,
  modExtent,
  mulExtent,
  negExtent,
  ONE,
  size,
  subExtent,
  ZERO,
} from "../../ir/extent.ts";
import { perNode } from "../../ir/intern.ts";
import { assume, axesOf, proveAtLeastZero, rangeOfForm, sidesInside } from "../../ir/interval.ts";
import { apply, i32, sizeOf, type TensorExpr } from "../../ir/tensor.ts";

export { estimate } from "./estimate.ts";

/** Any i32 expression; what is not understood is an atom. */
export function linearOf(e: TensorExpr): LinearForm {
  if (e.kind === "const") return constantForm(size(e.value));
  if (e.kind === "size") return constantForm(e.extent);
  return formOf(e);
}
const formOf = perNode((e) => (e.dtype === "i32" ? decompose(e) : atomForm(e)));

function decompose(e: TensorExpr): LinearForm {
  if (e.kind !== "apply") return atomForm(e);
  const [x, y] = e.args;
  if (!x) return atomForm(e);
  if (e.prim === "neg") return scaleForm(linearOf(x), size(-1));
  if (!y) return atomForm(e);
  const [a, b] = [linearOf(x), linearOf(y)];
  switch (e.prim) {
    case "add":
      return addForms(a, b);
    case "sub":
      return addForms(a, scaleForm(b, size(-1)));
    case "mul":
      if (a.terms.size === 0) return scaleForm(b, a.constant);
      if (b.terms.size === 0) return scaleForm(a, b.constant);
      return atomForm(apply("mul", expressionOf(a), expressionOf(b)));
    case "floordiv":
      return b.terms.size === 0 && isPositive(b.constant) ? quotient(a, b.constant) : atomForm(e);
    case "mod":
      return b.terms.size === 0 && isPositive(b.constant) ? remainder(a, b.constant) : atomForm(e);
    case "min":
    case "max":
      return atomForm(apply(e.prim, expressionOf(a), expressionOf(b)));
    default:
      return atomForm(e);
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
  const axes = new Set([...over].flatMap((e) => [...axesOf(e)]));
  if (proveAtLeastZero(subExtent(c, ONE), NOTHING, axes) === "proved") return true;
  // A factor of an extent that is not 0 is not 0.
  return isPositive(c) && [...axes].some((a) => modExtent(a.extent, c) === ZERO);
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

function separate(a: LinearForm, c: Extent): readonly [LinearForm, LinearForm] {
  const [whole, part] = [new Map<TensorExpr, Extent>(), new Map<TensorExpr, Extent>()];
  for (const [atom, x] of a.terms) {
    if (modExtent(x, c) === ZERO) whole.set(atom, divExtent(x, c));
    else part.set(atom, x);
  }
  const [q, r] = divide(a.constant, c);
  return [
    { terms: whole, constant: q },
    { terms: part, constant: r },
  ];
}

/** g and a with c = g·a such that `rest` is g·X + r, r in 0…g-1; X and r. */
function factored(rest: LinearForm, c: Extent): { g: Extent; a: Extent; x: LinearForm; r: LinearForm } | undefined {
  for (const g of new Set(rest.terms.values())) {
    if (g === ONE || g.value === -1 || g === c || modExtent(c, g) !== ZERO || !isPositive(g)) continue;
    const [x, r] = separate(rest, g);
    if (isWithin(r, g)) return { g, a: divExtent(c, g), x, r };
  }
  return undefined;
}

function quotient(a: LinearForm, c: Extent): LinearForm {
  if (c === ONE) return a;
  const [whole, rest] = separate(a, c);
  if (isWithin(rest, c)) return whole;
  const f = factored(rest, c);
  if (f) return addForms(whole, quotient(f.x, f.a));
  const only = lone(rest);
  if (only?.kind === "apply" && only.prim === "floordiv" && only.args[0] && only.args[1]) {
    const inner = linearOf(only.args[1]);
    if (inner.terms.size === 0) return addForms(whole, quotient(linearOf(only.args[0]), mulExtent(inner.constant, c)));
  }
  return addForms(whole, atomForm(apply("floordiv", expressionOf(rest), sizeOf(c))));
}

function remainder(a: LinearForm, c: Extent): LinearForm {
  if (c === ONE) return constantForm(ZERO);
  const [, rest] = separate(a, c);
  if (isWithin(rest, c)) return rest;
  const f = factored(rest, c);
  if (f && isAtLeastOne(f.a, rest.terms.keys())) return addForms(f.r, scaleForm(remainder(f.x, f.a), f.g));
  const only = lone(rest);
  if (only?.kind === "apply" && only.prim === "mod" && only.args[0] && only.args[1]) {
    const inner = linearOf(only.args[1]);
    if (inner.terms.size === 0 && modExtent(inner.constant, c) === ZERO && isAtLeastOne(inner.constant, [only]))
      return remainder(linearOf(only.args[0]), c);
  }
  return atomForm(apply("mod", expressionOf(rest), sizeOf(c)));
}

function lone(a: LinearForm): TensorExpr | undefined {
  if (a.terms.size !== 1 || a.constant !== ZERO) return undefined;
  for (const [atom, c] of a.terms) if (c === ONE) return atom;
  return undefined;
}

/** The expression of a linear form: equal forms give the same node. Sizes in it are sums of what is not negative. */
export function expressionOf(a: LinearForm): TensorExpr {
  const parts: { readonly atom: TensorExpr | undefined; readonly by: Extent; readonly minus: boolean }[] = [];
  const add = (atom: TensorExpr | undefined, c: Extent): void => {
    const [above, below] = bySign(c);
    if (above !== ZERO) parts.push({ atom, by: above, minus: false });
    if (below !== ZERO) parts.push({ atom, by: below, minus: true });
  };
  for (const [atom, c] of [...a.terms].sort(([x], [y]) => x.id - y.id)) add(atom, c);
  add(undefined, a.constant);
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
  const above = extentOf(e.terms.filter((t) => t.coefficient > 0));
  const below = negExtent(extentOf(e.terms.filter((t) => t.coefficient < 0)));
  const made = [above, below] as const;
  signs.set(e, made);
  return made;
}
// ---- Ranges ---------------------------------------------------------------------------------------------------------

/** What holds of every program: no facts. */
const NOTHING = assume([]);

/** Is it in 0…c-1 wherever it is evaluated? */
function isWithin(a: LinearForm, c: Extent): boolean {
  const { low, high } = sidesInside(a, c, NOTHING);
  return low && high;
}

const INSIDE = { low: false, high: false };
/** Which of the two tests `0 <= e` and `e < extent` an index needs; neither if it is proved inside. */
export function testsNeeded(e: TensorExpr, extent: Extent): { readonly low: boolean; readonly high: boolean } {
  if (e.kind === "axis" && e.axis.extent === extent) return INSIDE;
  const { low, high } = sidesInside(linearOf(e), extent, NOTHING);
  return { low: !low, high: !high };
}

/** Can the arithmetic of these terms leave 31 bits for the sizes that are known? Then it is left as it stands. */
function mayWrap(e: TensorExpr): boolean {
  if (e.kind !== "apply") return false;
  const r = rangeOfForm(linearOf(e), NOTHING);
  const far = (x: Extent | undefined): boolean =>
    x?.value !== undefined && (x.value > 2147483647 || x.value < -2147483648);
  return far(r.low) || far(r.high) || e.args.some((x) => x.dtype === "i32" && mayWrap(x));
}

/** An index in normal form. Equal normal forms are the same node; reads inside are normalised too. */
export function simplifyIndex(e: TensorExpr): TensorExpr {
  if (e.kind === "const" || e.kind === "size" || e.kind === "axis") return e;
  return simplified(e);
}
const simplified = perNode<TensorExpr>((e, note) => {
  const made = e.dtype !== "i32" || mayWrap(e) ? e : expressionOf(linearOf(e));
  note(made, made);
  return made;
});
