/**
 * Waiting that leaves the processor to a software adapter. While a promise is pending, Dawn's binding for Node polls busily
 * on the main thread and takes one of the cores that the adapter computes on: the same kernel took twice as long. One loop
 * for the whole process sleeps between polls for as long as anybody waits.
 */
import type { Wait } from "./context.ts";

const SLEEP_MS = 0.15;
const cell = new Int32Array(new SharedArrayBuffer(4));
let waiting = 0;
let looping = false;

function sleep(): void {
  if (waiting === 0) {
    looping = false;
    return;
  }
  Atomics.wait(cell, 0, 0, SLEEP_MS);
  setImmediate(sleep);
}

/** Awaits device work with the loop running. Only for Node: a browser's main thread may not sleep. */
export const politeWait: Wait = async <T>(pending: Promise<T>): Promise<T> => {
  waiting++;
  if (!looping) {
    looping = true;
    setImmediate(sleep);
  }
  try {
    return await pending;
  } finally {
    waiting--;
  }
};
