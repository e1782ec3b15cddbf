/** Kernels along one dimension: neighbouring invocations have neighbouring units of a flattened domain. */
import { ceilDivExtent, type Extent, size } from "../../../ir/extent.ts";
import {
  iadd,
  ilt,
  imul,
  type KernelExpr,
  kint,
  ksize,
  kvar,
  loop,
  type Statement,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { axis, axisRef, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible } from "../affine.ts";
import { type Builder, bindAxis, emit, inFrame } from "./builder.ts";

/** Grid and invocations along x: `tile` units a workgroup. */
export function inKernel(
  b: Builder,
  units: Extent,
  threads: number,
  tile: number,
  body: (group: KernelExpr, thread: KernelExpr) => void,
): readonly Statement[] {
  const [g, t] = [variable("g"), variable("t")];
  const inner = inFrame(b, false, () => body(kvar(g), kvar(t)));
  return [loop(g, ksize(ceilDivExtent(units, size(tile))), [loop(t, kint(threads), inner, "thread.x")], "grid.x")];
}

/** Runs `body` at a unit, if there is one at that place; there always is where `tile` divides their number. */
export function atUnit(
  b: Builder,
  units: Extent,
  tile: number,
  place: KernelExpr,
  body: (unit: TensorExpr) => void,
): void {
  const whole = divisible(units, tile);
  const statements = inFrame(b, !whole, () => {
    const a = axis("e", units);
    bindAxis(b, a, place);
    body(axisRef(a));
  });
  emit(b, ...(whole ? statements : when(ilt(place, ksize(units)), statements)));
}

/** An invocation for each of `units`. */
export function perUnit(
  b: Builder,
  units: Extent,
  threads: number,
  body: (unit: TensorExpr) => void,
): readonly Statement[] {
  return inKernel(b, units, threads, threads, (group, thread) =>
    atUnit(b, units, threads, iadd(imul(group, kint(threads)), thread), body),
  );
}
