/** A slice of an axis with a symbolic extent: NumPy's clamping, written with min and max of extents. */
import type { Expr, SubscriptItem } from "../../grammar/ast.ts";
import {
  addExtent,
  ceilDivExtent,
  type Extent,
  maxExtent,
  minExtent,
  negExtent,
  ONE,
  size,
  subExtent,
  ZERO,
} from "../../ir/extent.ts";
import type { Context } from "./context.ts";
import { extentAt, fail, toInteger } from "./convert.ts";
import type { Value } from "./value.ts";

export interface Slice {
  readonly start: Extent;
  readonly step: number;
  readonly length: Extent;
}

/** Element k of the slice is element start + k · step. Bounds that are constants below zero count from the end. */
export function sliceOf(
  cx: Context,
  item: SubscriptItem & { readonly kind: "slice" },
  extent: Extent,
  evaluate: (e: Expr) => Value,
): Slice {
  const n = cx.builder.constraints.resolve(extent);
  const step = item.step ? toInteger(evaluate(item.step), item.step.span, "the step of a slice") : 1;
  if (step === 0)
    return fail("EIN1503", "the step of a slice must not be 0", item.step?.span ?? item.span, "this is 0");
  const bound = (e: Expr | undefined): Extent | undefined => {
    if (!e) return undefined;
    const v = evaluate(e);
    return v.kind === "none" ? undefined : extentAt(v, e.span, "the bound of a slice");
  };
  const [from, to] = [bound(item.from), bound(item.to)];
  if (!from && !to && step === 1) return { start: ZERO, step, length: extent };
  const known = (e: Extent): Extent => cx.builder.constraints.resolve(e);
  /** Clamped into low…high, after adding n to a negative constant. */
  const clamp = (e: Extent, low: Extent, high: Extent, span: Expr): Extent => {
    const r = known(e);
    if (r.value !== undefined && r.value < 0) return maxExtent(addExtent(n, r), low);
    if (r.value === undefined && cx.builder.constraints.prove(r) !== "proved")
      cx.builder.requireAtLeast(r, ZERO, span.span, "the bound of a slice must not be negative");
    return minExtent(r, high);
  };
  if (step > 0) {
    const stop = to && item.to ? clamp(to, ZERO, n, item.to) : n;
    // A start past the end needs no clamp: the length is 0 then. So `x[1:]` and `x[:-1]` have the same extent.
    const start = from && item.from ? clamp(from, ZERO, known(from), item.from) : ZERO;
    const back = from ? known(from).value : undefined;
    if (back !== undefined && back < 0 && !to && step === 1) return { start, step, length: minExtent(size(-back), n) };
    return { start, step, length: maxExtent(ceilDivExtent(subExtent(stop, start), size(step)), ZERO) };
  }
  const [last, before] = [subExtent(n, ONE), negExtent(ONE)];
  const start = from && item.from ? clamp(from, before, last, item.from) : last;
  const stop = to && item.to ? clamp(to, before, last, item.to) : before;
  return { start, step, length: maxExtent(ceilDivExtent(subExtent(start, stop), size(-step)), ZERO) };
}
