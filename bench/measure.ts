/** One workload on one adapter: prepare everyone, compare results, then race. */
import { scheduleText } from "../src/schedule/choose.ts";
import type { Arena } from "./adapter.ts";
import { AGREEMENT, checkOurs, difference } from "./check.ts";
import { type ClockOptions, type Contender, median, quantile, race, ratio, type Timing } from "./clock.ts";
import { prepareOurs } from "./ours.ts";
import type { Lab } from "./peers/lab.ts";
import type { Peer, PreparedPeer } from "./peers/peer.ts";
import type { ContenderResult, WorkloadResult } from "./result.ts";
import { makeInputs, type Workload } from "./workload.ts";

export interface Field {
  readonly arena: Arena;
  readonly peers: readonly Peer[];
  readonly lab?: Lab;
  readonly clock: ClockOptions;
}

/** Throws if our results are wrong; a peer that fails or disagrees is left out and named. */
export async function measure(w: Workload, field: Field): Promise<WorkloadResult> {
  const { device } = field.arena;
  const inputs = makeInputs(w);
  const ours = await prepareOurs(w, inputs, device);
  const failed: { name: string; reason: string }[] = [];
  const ready: { readonly peer: PreparedPeer; readonly difference: number }[] = [];
  try {
    checkOurs(ours, w, inputs, device.info);
    for (const p of field.peers) {
      try {
        const peer = await p.prepare(w, inputs);
        if (!peer) continue;
        const apart = Object.values(ours.results).map((r, i) =>
          difference(r.data as Float32Array, peer.results[i] ?? []),
        );
        const worst = Math.max(...apart);
        if (worst < AGREEMENT) ready.push({ peer, difference: worst });
        else {
          failed.push({ name: p.name, reason: `its result differs by ${worst.toExponential(1)}` });
          peer.dispose();
        }
      } catch (e) {
        failed.push({ name: p.name, reason: oneLine(e) });
      }
    }
    const hand = w.lab && field.lab ? await field.lab.prepare(w.lab) : undefined;
    const contenders: Contender[] = [ours, ...ready.map((r) => r.peer), ...(hand ? [hand] : [])];
    const timings = await race(contenders, field.clock);
    const own = timings[0]!;
    hand?.dispose();
    const compiled = ours.program.compiled(w.fn, {
      shapes: shapesIn(inputs),
      provided: Object.keys(inputs),
      adapter: device.info,
    });
    const { compile, load, run } = ours.first;
    return {
      workload: w.name,
      family: w.family,
      ours: { ...summary(own), first: compile + load + run },
      peers: ready.map((r, i) => ({
        ...summary(timings[i + 1]!, own),
        first: r.peer.first,
        difference: r.difference,
      })),
      ...(hand ? { handWritten: { ...summary(timings.at(-1)!, own), note: hand.variant } } : {}),
      failed,
      ...(w.flops ? { flops: w.flops } : {}),
      bytes: ours.bytes,
      kernels: compiled.plan.kernels.length,
      schedules: [...compiled.schedules].map(([name, s]) => `${name}: ${scheduleText(s)}`),
      compileMs: compile,
    };
  } finally {
    ours.dispose();
    for (const r of ready) r.peer.dispose();
  }
}

function shapesIn(inputs: ReturnType<typeof makeInputs>): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(inputs).map(([k, a]) => [k, a.shape]));
}

function summary(t: Timing, own?: Timing): ContenderResult {
  return {
    name: t.name,
    ms: median(t.ms),
    best: Math.min(...t.ms),
    quartiles: [quantile(t.ms, 0.25), quantile(t.ms, 0.75)],
    ...(own ? { ratio: ratio(own, t) } : {}),
  };
}

export function oneLine(e: unknown): string {
  return String(e instanceof Error ? e.message : e)
    .split("\n")[0]!
    .slice(0, 160);
}
