/** The digits that a reshape takes of an axis: `(axis div stride) % count`, recognised in indices and put together again. */
import { divExtent, type Extent, modExtent, mulExtent, ONE, ZERO } from "../../ir/extent.ts";
import { type Axis, apply, i32, sizeOf, type TensorExpr } from "../../ir/tensor.ts";
import { isPositive, linearOf, simplifyIndex } from "./affine.ts";

/** `(axis div stride) % count`. */
export interface Digit {
  readonly axis: Axis;
  readonly stride: Extent;
  readonly count: Extent;
}

/** The digit that an index in normal form is, if it is one; a plain axis is its only digit. */
export function digitOf(e: TensorExpr): Digit | undefined {
  if (e.kind === "axis") return { axis: e.axis, stride: ONE, count: e.axis.extent };
  if (e.kind !== "apply" || (e.prim !== "floordiv" && e.prim !== "mod") || !e.args[0] || !e.args[1]) return undefined;
  const inner = digitOf(e.args[0]);
  const by = linearOf(e.args[1]);
  if (!inner || by.terms.size > 0 || by.constant === ZERO || !isPositive(by.constant)) return undefined;
  if (modExtent(inner.count, by.constant) !== ZERO) return undefined;
  if (e.prim === "mod") return { axis: inner.axis, stride: inner.stride, count: by.constant };
  return { axis: inner.axis, stride: mulExtent(inner.stride, by.constant), count: divExtent(inner.count, by.constant) };
}

/** The sum of index terms `coefficient · axis`, normalised. */
export function combineDigits(parts: readonly { readonly stride: Extent; readonly value: TensorExpr }[]): TensorExpr {
  let sum: TensorExpr = i32(0);
  for (const p of parts) sum = apply("add", sum, apply("mul", p.value, sizeOf(p.stride)));
  return simplifyIndex(sum);
}
