/** The tuner's choice beside the default one: what `--tune` adds to a row. Schedules that a file keeps are not searched again. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Device } from "../runtime/node.ts";
import type { HostArray } from "../runtime/plan.ts";
import { compile, mergeCaches, readCache, type ScheduleCache, shapesOf, writeCache } from "../src/index.ts";
import type { ClockOptions } from "./clock.ts";
import type { Workload } from "./workload.ts";

export interface Tuner {
  /** Schedules of the workload's regions, tuned on the device unless they are known. */
  schedules(w: Workload, inputs: Readonly<Record<string, HostArray>>, device: Device): Promise<ScheduleCache>;
}

/** `seconds` for each workload; `file` keeps what was found for the next run. */
export function openTuner(seconds: number, file: string | undefined, clock: ClockOptions): Tuner {
  const kept = file !== undefined && existsSync(file) ? readFileSync(file, "utf8") : undefined;
  let known: ScheduleCache = kept === undefined ? { entries: [] } : readCache(kept, file).cache;
  return {
    async schedules(w, inputs, device) {
      await compile(w.source, { fileName: `${w.name}.ein` }).tunedPlan(device, w.fn, {
        shapes: shapesOf(inputs),
        provided: Object.keys(inputs),
        adapter: device.info,
        schedules: known,
        tune: {
          budget: seconds,
          ...(clock.source === "cpu" ? { clock: processorTime } : {}),
          onTuned: ({ cache }) => {
            known = mergeCaches(known, cache);
            if (file !== undefined) writeFileSync(file, writeCache(known));
          },
        },
      });
      return known;
    },
  };
}

/** Nanoseconds that this process has spent. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}
