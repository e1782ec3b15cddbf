/** Index expressions as linear forms with extents as coefficients. i32 arithmetic is a ring (it wraps), so the forms are exact. */
import { addExtent, type Extent, mulExtent, negExtent, ONE, size, ZERO } from "./extent.ts";
import { perNode } from "./intern.ts";
import { type Axis, apply, i32, sizeOf, type TensorExpr } from "./tensor.ts";

/** Σ coefficient · axis + constant. */
export interface Affine {
  readonly terms: ReadonlyMap<Axis, Extent>;
  readonly constant: Extent;
}

/** Σ coefficient · atom + constant; atoms are i32 expressions that are no sums, nor products with an extent. */
export interface LinearForm {
  readonly terms: ReadonlyMap<TensorExpr, Extent>;
  readonly constant: Extent;
}

/** The linear form of an i32 expression; every expression has one (at worst itself as the only atom). */
export const linearOf: (e: TensorExpr) => LinearForm = perNode(build);

function build(e: TensorExpr): LinearForm {
  if (e.kind === "const" && e.dtype === "i32") return { terms: new Map(), constant: size(e.value) };
  if (e.kind === "size") return { terms: new Map(), constant: e.extent };
  if (e.kind === "apply" && e.dtype === "i32") {
    const [a, b] = e.args;
    if (a && b && (e.prim === "add" || e.prim === "sub")) {
      const right = linearOf(b);
      return addForms(linearOf(a), e.prim === "add" ? right : scaleForm(right, size(-1)));
    }
    if (a && e.prim === "neg") return scaleForm(linearOf(a), size(-1));
    if (a && b && e.prim === "mul") {
      const [l, r] = [linearOf(a), linearOf(b)];
      if (l.terms.size === 0) return scaleForm(r, l.constant);
      if (r.terms.size === 0) return scaleForm(l, r.constant);
    }
  }
  return atomForm(e);
}

export function addForms(a: LinearForm, b: LinearForm): LinearForm {
  const terms = new Map(a.terms);
  for (const [atom, c] of b.terms) {
    const sum = addExtent(terms.get(atom) ?? ZERO, c);
    if (sum === ZERO) terms.delete(atom);
    else terms.set(atom, sum);
  }
  return { terms, constant: addExtent(a.constant, b.constant) };
}

export function scaleForm(a: LinearForm, by: Extent): LinearForm {
  if (by === ZERO) return { terms: new Map(), constant: ZERO };
  if (by === ONE) return a;
  return {
    terms: new Map([...a.terms].map(([atom, c]) => [atom, mulExtent(c, by)] as const)),
    constant: mulExtent(a.constant, by),
  };
}

/** a - b if that is an extent, that is, if their atoms cancel. */
export function differenceOf(a: TensorExpr, b: TensorExpr): Extent | undefined {
  const d = addForms(linearOf(a), scaleForm(linearOf(b), size(-1)));
  return d.terms.size === 0 ? d.constant : undefined;
}

/** The affine form over axes, or undefined if there is another atom. */
export function affineOf(e: TensorExpr): Affine | undefined {
  if (e.dtype !== "i32") return undefined;
  const l = linearOf(e);
  const terms = new Map<Axis, Extent>();
  for (const [atom, c] of l.terms) {
    if (atom.kind !== "axis") return undefined;
    terms.set(atom.axis, c);
  }
  return { terms, constant: l.constant };
}

/** The form as an expression again: atoms in their order, negative coefficients and constants subtracted. */
export function expressionOf(l: LinearForm): TensorExpr {
  let sum: TensorExpr | undefined;
  const isNegative = (c: Extent): boolean => c.terms.length === 1 && (c.terms[0]?.coefficient ?? 0) < 0;
  const add = (magnitude: TensorExpr, negative: boolean): void => {
    if (!sum) sum = negative ? apply("neg", magnitude) : magnitude;
    else sum = apply(negative ? "sub" : "add", sum, magnitude);
  };
  // A leading positive term reads better, and needs no negation.
  const terms = [...l.terms].sort(([, a], [, b]) => Number(isNegative(a)) - Number(isNegative(b)));
  const constantFirst =
    terms.length > 0 && terms.every(([, c]) => isNegative(c)) && l.constant !== ZERO && !isNegative(l.constant);
  if (constantFirst) add(sizeOf(l.constant), false);
  for (const [atom, c] of terms) {
    const negative = isNegative(c);
    const magnitude = negative ? negExtent(c) : c;
    add(magnitude === ONE ? atom : apply("mul", atom, sizeOf(magnitude)), negative);
  }
  if (!constantFirst && l.constant !== ZERO) {
    const negative = isNegative(l.constant);
    const value = sizeOf(negative ? negExtent(l.constant) : l.constant);
    if (!sum && negative) return sizeOf(l.constant);
    add(value, negative);
  }
  return sum ?? i32(0);
}

/** An expression as the only atom. */
export function atomForm(e: TensorExpr): LinearForm {
  return { terms: new Map([[e, ONE]]), constant: ZERO };
}

export function constantForm(e: Extent): LinearForm {
  return { terms: new Map(), constant: e };
}
