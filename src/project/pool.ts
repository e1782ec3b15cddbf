/** Compiles many sources: alone, or with worker threads that take sources from one list as the main thread does. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { UnitSettings } from "./project.ts";
import type { UnitResult } from "./unit.ts";

/** What a worker is given. `next` is the index of the first source that nobody took. */
export interface WorkerJob {
  readonly files: readonly string[];
  readonly settings: UnitSettings;
  readonly next: SharedArrayBuffer;
}

export type WorkerMessage = { readonly result: UnitResult } | { readonly failed: Error };

/** A worker takes about as long to start as twenty small sources take to compile. */
const FILES_PER_WORKER = 40;
const MOST_WORKERS = 15;

/** How many workers beside the main thread. */
export function workersFor(files: number, cores: number = availableParallelism()): number {
  return Math.max(0, Math.min(cores - 1, Math.floor(files / FILES_PER_WORKER) - 1, MOST_WORKERS));
}

/** Results in the order of `files`, whoever made them. `onDone` hears of each. Rejects for a defect of the compiler. */
export async function compileUnits(
  files: readonly string[],
  settings: UnitSettings,
  onDone: (done: number) => void = () => undefined,
  workers: number = workersFor(files.length),
): Promise<readonly UnitResult[]> {
  if (files.length === 0) return [];
  const results = new Map<string, UnitResult>();
  const add = (r: UnitResult): void => {
    results.set(r.file, r);
    onDone(results.size);
  };
  const next = new SharedArrayBuffer(4);
  const helpers = Array.from({ length: workers }, () => startWorker({ files, settings, next }, add));
  // The first to fail ends the others; the main thread's own failure is reported after theirs are handled.
  const all = Promise.all(helpers.map((h) => h.ended));
  all.catch(() => undefined);
  try {
    const { takeUnits } = await import("./take.ts");
    await takeUnits({ files, settings, next }, add);
    await all;
  } finally {
    for (const h of helpers) void h.worker.terminate();
  }
  return files.map((f) => {
    const r = results.get(f);
    if (!r) throw new Error(`${f} was not compiled`);
    return r;
  });
}

function startWorker(job: WorkerJob, add: (r: UnitResult) => void): { worker: Worker; ended: Promise<void> } {
  const name = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";
  const worker = new Worker(new URL(name, import.meta.url), { workerData: job });
  const ended = new Promise<void>((done, fail) => {
    worker.on("message", (m: WorkerMessage) => ("result" in m ? add(m.result) : fail(m.failed)));
    worker.on("error", fail);
    worker.on("exit", (code) => (code === 0 ? done() : fail(new Error(`a worker ended with ${code}`))));
  });
  return { worker, ended };
}
