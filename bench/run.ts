/** A run that has been opened: its conditions, and its rows one after another. In this process, or in a page (browser.ts). */
import type { AdapterName } from "./adapter.ts";
import { openArena } from "./adapter.ts";
import type { ClockOptions } from "./clock.ts";
import { type Field, measure } from "./measure.ts";
import { NODE_PEERS } from "./peers/node.ts";
import type { Peer } from "./peers/peer.ts";
import type { BenchResult, WorkloadResult } from "./result.ts";
import { measureRoofline } from "./roofline.ts";
import { openTuner } from "./tuned.ts";
import { runsOn } from "./workload.ts";
import { selected } from "./workloads/index.ts";

export interface Conditions extends Pick<BenchResult, "adapter" | "browser" | "versions" | "roofline"> {
  /** Names of the rows, in order. */
  readonly rows: readonly string[];
}

export interface Run {
  readonly conditions: Conditions;
  /** Rejects if our result is wrong. */
  row(at: number): Promise<WorkloadResult>;
  close(): Promise<void>;
}

export interface RunOptions {
  readonly adapter: AdapterName;
  readonly only?: string;
  readonly rounds: number;
  readonly source: ClockOptions["source"];
}

export interface HereOptions extends RunOptions {
  readonly against: readonly (keyof typeof NODE_PEERS)[];
  /** A folder of hand-written kernels. */
  readonly lab?: string;
  /** Seconds for each row, and a file that keeps the schedules. */
  readonly tune?: { readonly seconds: number; readonly file?: string };
}

export async function openHere(o: HereOptions): Promise<Run> {
  const arena = await openArena(o.adapter);
  const { info } = arena.device;
  const peers: Peer[] = [];
  for (const name of o.against) peers.push(await NODE_PEERS[name](arena.wait));
  const clock: ClockOptions = {
    rounds: o.rounds,
    sampleMs: info.kind === "software" ? 4 : 20,
    slowMs: 400,
    wait: arena.wait,
    source: o.source,
  };
  const lab = o.lab ? await (await import("./peers/lab.ts")).openLab(o.lab, clock, arena.device.gpu) : undefined;
  const tuner = o.tune && openTuner(o.tune.seconds, o.tune.file, clock);
  const field: Field = { arena, peers, ...(lab ? { lab } : {}), ...(tuner ? { tuner } : {}), clock };
  const rows = selected(o.only).filter((w) => runsOn(w, info));
  return {
    conditions: {
      adapter: { name: info.name, driver: info.driver, kind: info.kind, features: info.features },
      versions: Object.fromEntries(peers.map((p) => [p.name, p.version])),
      roofline: await measureRoofline(arena.device, clock),
      rows: rows.map((w) => w.name),
    },
    row: (at) => measure(rows[at]!, field),
    close: async () => arena.device.close(),
  };
}
