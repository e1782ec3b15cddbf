/** Whether contenders compute the same: ours against the interpreter within its derived bound, peers against ours. */
import type { AdapterInfo, HostArray } from "../runtime/plan.ts";
import { checkResults } from "../src/check.ts";
import type { Ours } from "./ours.ts";
import type { Workload } from "./workload.ts";

/** Interpreter steps before results are sampled. */
const BUDGET = 2_000_000;

/** Throws if an element of our results lies outside what may come out of the program. */
export function checkOurs(ours: Ours, w: Workload, inputs: Record<string, HostArray>, adapter: AdapterInfo): void {
  for (const r of checkResults(ours.program, w.fn, inputs, ours.results, { budget: BUDGET, adapter })) {
    if (r.outside === 0) continue;
    const at = r.first ? `; element ${r.first.index} is ${r.first.got}, not ${r.first.exact}` : "";
    throw new Error(`${w.name}: ${r.outside} of ${r.checked} elements of ${r.name} are wrong${at}`);
  }
}

/**
 * The root of the mean square of differences over that of our values. Peers promise no bound of their own; half the digits of f32
 * (the square root of its epsilon) tell another function from another order of additions.
 */
export const AGREEMENT: number = Math.sqrt(2 ** -23);

export function difference(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  let [apart, size] = [0, 0];
  for (let i = 0; i < ours.length; i++) {
    apart += (ours[i]! - theirs[i]!) ** 2;
    size += ours[i]! ** 2;
  }
  return Math.sqrt(apart / (size || 1));
}
