/** The loop of everybody who compiles: take a source that nobody took, until there is none. */
import { setImmediate } from "node:timers/promises";
import type { WorkerJob } from "./pool.ts";
import { scheduleCache } from "./schedules.ts";
import { compileUnit, type UnitResult } from "./unit.ts";

/** Lets messages through after each source. */
export async function takeUnits(job: WorkerJob, done: (r: UnitResult) => void): Promise<void> {
  const next = new Int32Array(job.next);
  const schedule = scheduleCache(job.settings);
  for (;;) {
    const file = job.files[Atomics.add(next, 0, 1)];
    if (file === undefined) return;
    done(compileUnit(file, job.settings, schedule));
    await setImmediate();
  }
}
