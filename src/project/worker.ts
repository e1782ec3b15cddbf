/** A worker thread of a build. */
import { enableCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerJob, WorkerMessage } from "./pool.ts";

enableCompileCache();
const { takeUnits } = await import("./take.ts");
const send = (m: WorkerMessage): void => parentPort?.postMessage(m);
try {
  await takeUnits(workerData as WorkerJob, (result) => send({ result }));
} catch (failed) {
  send({ failed: failed instanceof Error ? failed : new Error(String(failed)) });
}
