/** A region and a schedule give kernels. The one place where schedules become code; see docs/architecture.md. */
import type { AppliedKernel } from "../applied.ts";
import type { Region } from "../region.ts";
import { type Schedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { applyAligned } from "./aligned.ts";
import { applyContraction } from "./contraction.ts";
import { applyElementwise } from "./elementwise.ts";
import { applyMatrices } from "./matrix.ts";
import { applyOnline } from "./online.ts";
import { applyReduction, applyRow } from "./row.ts";
import { applyScan } from "./scan.ts";
import { applyScatter } from "./scatter.ts";
import { applyTranspose } from "./transpose.ts";

/**
 * The kernels that compute a region as the schedule says, in the order in which they run. Throws ScheduleError, naming the
 * field and the loop, if the schedule is not legal for the region on the target; whatever it returns computes the region.
 */
export function apply(region: Region, schedule: Schedule, target: Target): readonly AppliedKernel[] {
  const old = done.get(schedule);
  if (old && old.region === region && old.target === target) return old.kernels;
  const kernels = applied(region, schedule, target);
  done.set(schedule, { region, target, kernels });
  return kernels;
}
/** Choosing applies what it returns: the same schedule is not applied twice. */
const done = new WeakMap<
  Schedule,
  { readonly region: Region; readonly target: Target; readonly kernels: readonly AppliedKernel[] }
>();

function applied(region: Region, schedule: Schedule, target: Target): readonly AppliedKernel[] {
  const refuse = (): never => {
    throw new ScheduleError("kind", `${schedule.kind} does not schedule a region of kind ${region.kind}`);
  };
  if (schedule.variants === "both")
    throw new ScheduleError("variants", "a plan has no place for an aligned variant beside the guarded one");
  if (schedule.swizzle !== 0 && schedule.kind !== "contraction")
    throw new ScheduleError("swizzle", `a ${schedule.kind} has one row of workgroups`);
  switch (schedule.kind) {
    case "elementwise":
      return region.kind === "elementwise" ? applyElementwise(region, schedule, target) : refuse();
    case "transpose":
      return region.kind === "elementwise" ? applyTranspose(region, schedule, target) : refuse();
    case "row":
      return region.kind === "row" || region.kind === "contraction" || region.kind === "elementwise"
        ? applyRow(region, schedule, target)
        : refuse();
    case "reduction":
      return region.kind === "row" || region.kind === "contraction"
        ? applyReduction(region, schedule, target)
        : refuse();
    case "contraction":
      if (region.kind !== "contraction") return refuse();
      if (schedule.align) return applyAligned(region, schedule, target, applied);
      return schedule.subgroup === "matrix"
        ? applyMatrices(region, schedule, target)
        : applyContraction(region, schedule, target);
    case "online":
      return region.kind === "online" ? applyOnline(region, schedule, target) : refuse();
    case "scan":
      return region.kind === "scan" ? applyScan(region, schedule, target) : refuse();
    case "scatter":
      return region.kind === "scatter" ? applyScatter(region, schedule, target) : refuse();
    default:
      return schedule satisfies never;
  }
}
