/** Symbolic extents, all that others need of them: polynomials (polynomial.ts), what is proved of them (extent-bounds.ts), and values. */
import { compareExtent } from "./extent-bounds.ts";
import {
  addExtent,
  divExtent,
  type Extent,
  modExtent,
  mulExtent,
  ONE,
  opAtom,
  type SizeAtom,
  size,
  sizeSymbol,
  subExtent,
  ZERO,
} from "./polynomial.ts";

export { compareExtent, lowerBound, type Order, type Proof, proveNonNegative, upperBound } from "./extent-bounds.ts";
export {
  addExtent,
  divExtent,
  type Extent,
  extentOf,
  modExtent,
  mulExtent,
  negExtent,
  ONE,
  type SizeAtom,
  type SizeAtomOp,
  type SizeSymbol,
  size,
  sizeSymbol,
  subExtent,
  type Term,
  ZERO,
} from "./polynomial.ts";

export function minExtent(a: Extent, b: Extent): Extent {
  const order = compareExtent(a, b);
  if (order === "le" || order === "eq" || order === "lt") return a;
  if (order === "ge" || order === "gt") return b;
  return a.text < b.text ? opAtom("min", a, b) : opAtom("min", b, a);
}
export function maxExtent(a: Extent, b: Extent): Extent {
  const order = compareExtent(a, b);
  if (order === "ge" || order === "eq" || order === "gt") return a;
  if (order === "le" || order === "lt") return b;
  return a.text < b.text ? opAtom("max", a, b) : opAtom("max", b, a);
}
/** ⌈a / b⌉ for positive b. */
export function ceilDivExtent(a: Extent, b: Extent): Extent {
  return divExtent(addExtent(a, subExtent(b, ONE)), b);
}
export function productExtent(list: Iterable<Extent>): Extent {
  let p = ONE;
  for (const e of list) p = mulExtent(p, e);
  return p;
}

/** The names of all symbols in it, in order of first appearance. */
export function symbolsOf(e: Extent, into: Set<string> = new Set()): Set<string> {
  for (const t of e.terms)
    for (const a of t.atoms) {
      if (a.kind === "symbol") into.add(a.name);
      else {
        symbolsOf(a.left, into);
        symbolsOf(a.right, into);
      }
    }
  return into;
}

/** Replaces symbols. A symbol without a binding stays. */
export function substituteExtent(e: Extent, bind: ReadonlyMap<string, Extent>): Extent {
  if (e.value !== undefined) return e;
  let sum = ZERO;
  for (const t of e.terms) {
    let product = size(t.coefficient);
    for (const a of t.atoms) product = mulExtent(product, substituteAtom(a, bind));
    sum = addExtent(sum, product);
  }
  return sum;
}
function substituteAtom(a: SizeAtom, bind: ReadonlyMap<string, Extent>): Extent {
  if (a.kind === "symbol") return bind.get(a.name) ?? sizeSymbol(a.name);
  const left = substituteExtent(a.left, bind);
  const right = substituteExtent(a.right, bind);
  switch (a.kind) {
    case "div":
      return divExtent(left, right);
    case "mod":
      return modExtent(left, right);
    case "min":
      return minExtent(left, right);
    case "max":
      return maxExtent(left, right);
  }
}

/** The value under numeric bindings; throws RangeError for an unbound symbol or a division by zero. */
export function evaluateExtent(e: Extent, bind: ReadonlyMap<string, number>): number {
  if (e.value !== undefined) return e.value;
  let sum = 0;
  for (const t of e.terms) {
    let product = t.coefficient;
    for (const a of t.atoms) product *= evaluateAtom(a, bind);
    sum += product;
  }
  return sum;
}
function evaluateAtom(a: SizeAtom, bind: ReadonlyMap<string, number>): number {
  if (a.kind === "symbol") {
    const v = bind.get(a.name);
    if (v === undefined) throw new RangeError(`extent ${a.name} is not bound`);
    return v;
  }
  const l = evaluateExtent(a.left, bind);
  const r = evaluateExtent(a.right, bind);
  switch (a.kind) {
    case "div":
    case "mod":
      if (r === 0) throw new RangeError("division of an extent by zero");
      return a.kind === "div" ? Math.floor(l / r) : l - r * Math.floor(l / r);
    case "min":
      return Math.min(l, r);
    case "max":
      return Math.max(l, r);
  }
}
