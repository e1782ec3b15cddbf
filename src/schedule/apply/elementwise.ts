/**
 * Elementwise regions: the domain flattened over invocations, which do `each` units of `vector` elements together, and that `repeat` times
 * over.
 */
import { ceilDivExtent, divExtent, type Extent, size } from "../../../ir/extent.ts";
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
import type { AppliedKernel } from "../applied.ts";
import { lower, storeAt } from "../lower.ts";
import type { ElementwiseRegion } from "../region.ts";
import { type ElementwiseSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { type Builder, bindAxis, checkGroup, emit, finish, inFrame, newBuilder, originOf } from "./builder.ts";
import { placedOn } from "./epilogue.ts";
import { countOf, laneable, unflattenAxes } from "./walk.ts";

export function applyElementwise(
  region: ElementwiseRegion,
  s: ElementwiseSchedule,
  target: Target,
): readonly AppliedKernel[] {
  if (!laneable(region.axes, s.vector))
    throw new ScheduleError(
      "vector",
      `the innermost extent is not a multiple of ${s.vector}`,
      region.axes.at(-1)?.name,
    );
  if (!Number.isInteger(s.each) || s.each < 1 || s.each > 16)
    throw new ScheduleError("each", `${s.each} is not in 1…16`);
  const repeat = s.repeat ?? 1;
  if (!Number.isInteger(repeat) || repeat < 1 || repeat > 4096)
    throw new ScheduleError("repeat", `${repeat} is not in 1…4096`);
  checkGroup(target, s.threads);
  const b = newBuilder(region.name, target, s.vector);
  originOf(b, region);
  const units = divExtent(countOf(region.axes), size(s.vector));
  const together = s.threads * s.each;
  const tile = together * repeat;
  const body = inKernel(b, units, s.threads, tile, (group, thread) => {
    const first = imul(group, kint(tile));
    const some = (step: KernelExpr): void => {
      for (let e = 0; e < s.each; e++) {
        const id = iadd(iadd(first, step), iadd(kint(e * s.threads), thread));
        const v = axis("e", units);
        const statements = inFrame(b, !divisible(units, tile), () => {
          bindAxis(b, v, id);
          inDomain(b, region, axisRef(v));
        });
        emit(b, ...(divisible(units, tile) ? statements : when(ilt(id, ksize(units)), statements)));
      }
    };
    if (repeat === 1) {
      some(kint(0));
      return;
    }
    const v = variable("step");
    const statements = inFrame(b, false, () => some(imul(kvar(v), kint(together))));
    emit(b, loop(v, kint(repeat), statements));
  });
  return [finish(b, body)];
}

/** Grid and invocations along x: `tile` units a workgroup. */
export function inKernel(
  b: Builder,
  units: Extent,
  threads: number,
  tile: number,
  body: (group: ReturnType<typeof kvar>, thread: ReturnType<typeof kvar>) => void,
): readonly Statement[] {
  const [g, t] = [variable("g"), variable("t")];
  const inner = inFrame(b, false, () => body(kvar(g), kvar(t)));
  return [loop(g, ksize(ceilDivExtent(units, size(tile))), [loop(t, kint(threads), inner, "thread.x")], "grid.x")];
}

/** Computes and stores every map of the region at one unit of the flattened domain. */
function inDomain(b: Builder, region: ElementwiseRegion, unit: TensorExpr): void {
  const flats = b.flats.length;
  unflattenAxes(b, region.axes, unit, b.lanes);
  storeMaps(b, region);
  b.flats.length = flats;
}

/** Computes and stores every map of the region where its axes now stand. */
export function storeMaps(b: Builder, region: ElementwiseRegion): void {
  const maps = placedOn(region.axes, region.maps);
  for (const ref of region.stores) {
    const m = maps.find((x) => x.def === ref.tensor);
    const e = m?.results[ref.slot];
    if (!m || !e) throw new ScheduleError("kind", `${ref.tensor.name} is not of this region`);
    storeAt(b, ref, m.point, lower(b, e));
  }
}
