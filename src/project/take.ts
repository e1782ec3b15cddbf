/** The loop of everybody who compiles: take a source that nobody took, until there is none. */
import { setImmediate } from "node:timers/promises";
import type { CompileOptions } from "../compile.ts";
import { KernelCache } from "./kernel-cache.ts";
import type { WorkerJob } from "./pool.ts";
import { scheduleCache } from "./schedules.ts";
import { compileUnit, type UnitResult } from "./unit.ts";

/** Of this thread: a watching one goes on using what it made in builds before. */
const kernels = new KernelCache();

/** A defect of the compiler says at which source. */
function compileNamed(file: string, job: WorkerJob, o: Pick<CompileOptions, "schedule" | "memo">): UnitResult {
  try {
    return compileUnit(file, job.settings, o);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(`the compiler failed on ${file}: ${what}`, { cause: error });
  }
}

/** Lets messages through after each source. */
export async function takeUnits(job: WorkerJob, done: (r: UnitResult) => void): Promise<void> {
  const next = new Int32Array(job.next);
  const options = { schedule: scheduleCache(job.settings), memo: kernels };
  for (;;) {
    const file = job.files[Atomics.add(next, 0, 1)];
    if (file === undefined) return;
    done(compileNamed(file, job, options));
    await setImmediate();
  }
}
