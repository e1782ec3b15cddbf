/**
 * Elementwise regions: the domain flattened over invocations, which do `each` units of `vector` elements together, and that `repeat` times
 * over.
 */
import { divExtent, size } from "../../../ir/extent.ts";
import { iadd, imul, type KernelExpr, kint, kvar, loop, variable } from "../../../ir/kernel.ts";
import type { TensorExpr } from "../../../ir/tensor.ts";
import type { AppliedKernel } from "../applied.ts";
import { lower, storeAt } from "../lower.ts";
import type { ElementwiseRegion } from "../region.ts";
import { type ElementwiseSchedule, inRange, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { type Builder, checkGroup, emit, finish, inFrame, newBuilder, originOf } from "./builder.ts";
import { placedOn } from "./epilogue.ts";
import { atUnit, inKernel } from "./units.ts";
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
  inRange("each", s.each, 1, 16);
  const repeat = s.repeat ?? 1;
  inRange("repeat", repeat, 1, 4096);
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
        atUnit(b, units, tile, id, (unit) => inDomain(b, region, unit));
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
