/** Tuning while loading: what a device has tuned once it remembers. */
import type { FusedProgram } from "../schedule/region.ts";
import { EMPTY_CACHE, keyOf, lookupAll, mergeCaches, type ScheduleCache } from "./cache.ts";
import type { TuneDevice } from "./device.ts";
import { sizesFor } from "./inputs.ts";
import { type Tuned, type TuneOptions, tuneFused } from "./tune.ts";

export interface LoadTuneOptions extends TuneOptions {
  /** Told what was found, to keep its cache. */
  readonly onTuned?: (tuned: Tuned) => void;
}

/** Seconds; less than for the command, as somebody waits. */
const BUDGET = 10;

const remembered = new WeakMap<TuneDevice, ScheduleCache>();

/** The given schedules with what tuning added; nothing is tuned if every region has an entry for its own extents. */
export async function tunedSchedules(
  device: TuneDevice,
  fused: FusedProgram,
  given: ScheduleCache = EMPTY_CACHE,
  o: LoadTuneOptions = {},
): Promise<ScheduleCache> {
  const known = mergeCaches(remembered.get(device) ?? EMPTY_CACHE, given);
  const sizes = sizesFor(fused.program, o.sizes ?? {});
  const complete = fused.regions.every((r) => {
    const key = keyOf(r, device.info, sizes);
    return lookupAll(known, key)[0]?.extents.join() === key.extents.join();
  });
  if (complete) return known;
  const tuned = await tuneFused(device, fused, { budget: BUDGET, seeds: known, ...o });
  o.onTuned?.(tuned);
  const all = mergeCaches(known, tuned.cache);
  remembered.set(device, all);
  return all;
}
