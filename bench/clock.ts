/** Interleaved rounds: A B C A B C, so that whatever else the machine does meets every contender alike. */
import type { Wait } from "../runtime/context.ts";

export interface Contender {
  readonly name: string;
  /** Enqueues one whole run and resolves when the device has done it. Called `times` over, it enqueues all first. */
  run(times: number): Promise<void>;
}

export interface Timing {
  readonly name: string;
  /** Milliseconds of one run, one sample a round; the same index is the same round for everyone. */
  readonly ms: readonly number[];
}

export interface ClockOptions {
  readonly rounds: number;
  /** Samples aim at this many milliseconds: fast runs are enqueued several at a time. */
  readonly sampleMs: number;
  /** A contender slower than this in its first round gets few rounds. */
  readonly slowMs: number;
  readonly wait: Wait;
  /**
   * "wall", or "cpu": the time that all threads of this process spent. On a software adapter that is what a kernel costs, whatever
   * else a shared machine does meanwhile; it says nothing of how well the work spreads over cores, and nothing at all of a GPU.
   */
  readonly source: "wall" | "cpu";
  /** Milliseconds that processors spent where the work is done, if that is not this process. */
  readonly elsewhere?: () => Promise<number>;
}

const MOST_AT_ONCE = 50;
const FEW_ROUNDS = 3;
/** What takes so many times as long as what is slow is timed once: noise does not decide there. */
const HOPELESS = 10;

/** Every contender has run at least once before: pipelines are made and memory is there. */
export async function race(contenders: readonly Contender[], o: ClockOptions): Promise<Timing[]> {
  const sample = async (c: Contender, times: number): Promise<number> => {
    const start = await now(o);
    await o.wait(c.run(times));
    return ((await now(o)) - start) / times;
  };
  const plan: { readonly c: Contender; readonly times: number; readonly rounds: number; readonly ms: number[] }[] = [];
  for (const c of contenders) {
    const first = await sample(c, 1);
    const warm = first > o.slowMs ? first : Math.min(first, await sample(c, 1));
    const times = Math.max(1, Math.min(MOST_AT_ONCE, Math.round(o.sampleMs / warm)));
    const most = warm > HOPELESS * o.slowMs ? 1 : warm > o.slowMs ? FEW_ROUNDS : o.rounds;
    plan.push({ c, times, rounds: Math.min(most, o.rounds), ms: [] });
  }
  for (let round = 0; round < o.rounds; round++)
    for (const p of plan) if (round < p.rounds) p.ms.push(await sample(p.c, p.times));
  return plan.map((p) => ({ name: p.c.name, ms: p.ms }));
}

function now({ source, elsewhere }: ClockOptions): number | Promise<number> {
  if (source === "wall") return performance.now();
  if (elsewhere) return elsewhere();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

/** The value below which a share `q` of the values lies, interpolated. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/**
 * How many times as long `other` takes as `ours`, round by round: the median and the quartiles of it. Rounds that only one of them had, as
 * the other is slow, do not count.
 */
export function ratio(ours: Timing, other: Timing): Ratio {
  const each = other.ms.slice(0, ours.ms.length).map((t, i) => t / ours.ms[i]!);
  return { median: median(each), low: quantile(each, 0.25), high: quantile(each, 0.75) };
}
