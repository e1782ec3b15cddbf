/** What a peer becomes for a workload: something to time, and its results for comparing. */
import type { HostArray } from "../../runtime/plan.ts";
import type { Contender } from "../clock.ts";
import type { Workload } from "../workload.ts";

export interface PreparedPeer extends Contender {
  /** Milliseconds of the first call, whatever is compiled in it included. */
  readonly first: number;
  /** In the order of our results. */
  readonly results: readonly ArrayLike<number>[];
  dispose(): void;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Undefined where the peer cannot say this workload. */
  prepare(w: Workload, inputs: Readonly<Record<string, HostArray>>): Promise<PreparedPeer | undefined>;
}
