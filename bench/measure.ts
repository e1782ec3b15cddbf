/** One workload on one adapter: prepare everyone, compare results, then race. */
import { scheduleText } from "../src/schedule/choose.ts";
import type { Schedule } from "../src/schedule/schedule.ts";
import type { Arena } from "./adapter.ts";
import { AGREEMENT, checkOurs, difference } from "./check.ts";
import { type ClockOptions, type Contender, median, quantile, race, ratio, type Timing } from "./clock.ts";
import { type Ours, prepareOurs } from "./ours.ts";
import type { Lab } from "./peers/lab.ts";
import type { Peer, PreparedPeer } from "./peers/peer.ts";
import type { ContenderResult, WorkloadResult } from "./result.ts";
import type { Tuner } from "./tuned.ts";
import { makeInputs, type Workload } from "./workload.ts";

export interface Field {
  readonly arena: Arena;
  readonly peers: readonly Peer[];
  readonly lab?: Lab;
  readonly tuner?: Tuner;
  readonly clock: ClockOptions;
}

/** Throws if our results are wrong; a peer that fails or disagrees is left out and named. */
export async function measure(w: Workload, field: Field): Promise<WorkloadResult> {
  const { device } = field.arena;
  const inputs = makeInputs(w);
  const ours = await prepareOurs(w, inputs, device);
  const failed: { name: string; reason: string }[] = [];
  let tuned: Ours | undefined;
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
    const options = { shapes: shapesIn(inputs), provided: Object.keys(inputs), adapter: device.info };
    const compiled = ours.program.compiled(w.fn, options);
    const schedules = await field.tuner?.schedules(w, inputs, device);
    const chosen = lines((schedules ? ours.program.compiled(w.fn, { ...options, schedules }) : compiled).schedules);
    const kept = chosen.join() === lines(compiled.schedules).join();
    // What keeps the default schedules is the same kernels: beside itself there would be noise alone.
    if (schedules && !kept) {
      tuned = await prepareOurs(w, inputs, device, schedules);
      checkOurs(tuned, w, inputs, device.info);
    }
    const peers = ready.map((r) => r.peer);
    const contenders: Contender[] = [ours, ...peers, ...(hand ? [hand] : []), ...(tuned ? [tuned] : [])];
    const timings = await race(contenders, field.clock);
    const own = timings[0]!;
    const of = (c: Contender): Timing => timings[contenders.indexOf(c)]!;
    hand?.dispose();
    const { compile, load, run } = ours.first;
    return {
      workload: w.name,
      family: w.family,
      ours: { ...summary(own), first: compile + load + run },
      peers: ready.map((r) => ({
        ...summary(of(r.peer), own),
        first: r.peer.first,
        difference: r.difference,
      })),
      ...(hand ? { handWritten: { ...summary(of(hand), own), note: hand.variant } } : {}),
      ...(schedules
        ? { tuned: { ...summary(tuned ? of(tuned) : own, own), name: "tuned", note: chosen.join("; ") } }
        : {}),
      failed,
      ...(w.flops ? { flops: w.flops } : {}),
      bytes: ours.bytes,
      kernels: compiled.plan.kernels.length,
      schedules: lines(compiled.schedules),
      compileMs: compile,
    };
  } finally {
    ours.dispose();
    tuned?.dispose();
    for (const r of ready) r.peer.dispose();
  }
}

function lines(schedules: ReadonlyMap<string, Schedule>): readonly string[] {
  return [...schedules].map(([name, s]) => `${name}: ${scheduleText(s)}`);
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
