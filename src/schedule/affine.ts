/** Where an index lies: which ends of an axis it is proved not to leave, and its row-major position. */
import { addForms, constantForm, type LinearForm, linearOf, scaleForm } from "../../ir/affine.ts";
import { type Extent, extentOf, mulExtent, ONE, ZERO } from "../../ir/extent.ts";
import { assume, sidesInside } from "../../ir/interval.ts";
import { apply, i32, sizeOf, type TensorExpr } from "../../ir/tensor.ts";

/** Back to an expression: terms in the given order, the constant last. */
export function formExpression(f: LinearForm, order: readonly TensorExpr[] = [...f.terms.keys()]): TensorExpr {
  let sum: TensorExpr | undefined;
  for (const atom of order) {
    const c = f.terms.get(atom) ?? ONE;
    const term = c === ONE ? atom : apply("mul", atom, factorOf(c));
    sum = sum ? apply("add", sum, term) : term;
  }
  if (f.constant !== ZERO) sum = sum ? apply("add", sum, factorOf(f.constant)) : factorOf(f.constant);
  return sum ?? i32(0);
}

/**
 * An extent in index arithmetic. Where it has coefficients that no index needs (of a position far outside, which a test keeps from being
 * used), it may be too large for a size; multiplied here, it wraps as the rest of the arithmetic does.
 */
function factorOf(e: Extent): TensorExpr {
  if (e.terms.every((t) => Math.abs(t.coefficient) <= MODEST)) return sizeOf(e);
  return e.terms
    .map((t) => {
      const factor = i32(t.coefficient | 0);
      return t.atoms.length === 0 ? factor : apply("mul", sizeOf(extentOf([{ ...t, coefficient: 1 }])), factor);
    })
    .reduce((x, y) => apply("add", x, y));
}
const MODEST = 2 ** 20;

/** Every coefficient of `e` is a multiple of `by`. */
export function divisible(e: Extent, by: number): boolean {
  return e.terms.every((t) => t.coefficient % by === 0);
}

/** What holds of every program: no facts. */
const NOTHING = assume([]);

/** Which sides of 0 … extent-1 an index is proved not to leave. */
export function sidesProved(index: TensorExpr, extent: Extent): { readonly low: boolean; readonly high: boolean } {
  return sidesInside(linearOf(index), extent, NOTHING);
}

/** Is it proved to lie within the extent? */
export function provedInside(index: TensorExpr, extent: Extent): boolean {
  const { low, high } = sidesProved(index, extent);
  return low && high;
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
export function positionIn(at: readonly TensorExpr[], shape: readonly Extent[]): LinearForm {
  const strides = stridesOf(shape);
  let f = constantForm(ZERO);
  at.forEach((x, d) => {
    f = addForms(f, scaleForm(linearOf(x), strides[d] ?? ONE));
  });
  return f;
}

/** Row-major position of a point, as an expression. */
export function flatten(point: readonly TensorExpr[], shape: readonly Extent[]): TensorExpr {
  return formExpression(positionIn(point, shape));
}
