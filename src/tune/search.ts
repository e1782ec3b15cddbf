/**
 * The best schedule of one region: batches of candidates are compiled, checked and timed in turn beside the best so far; losers leave early. The default
 * schedule is in the last race too, so what is returned is never slower than it was there.
 */
import type { Schedule } from "../schedule/schedule.ts";
import type { Failure, RegionBench, Trial } from "./bench.ts";
import { Space } from "./space.ts";

export interface SearchOptions {
  /** Milliseconds of performance.now() when it should come to an end; the batch at hand is finished. */
  readonly until: number;
  readonly signal?: AbortSignal | undefined;
  /** Tried first, with the default one: schedules that were good elsewhere. */
  readonly seeds?: readonly Schedule[];
  /** The most schedules that are tried. */
  readonly trials?: number;
  readonly onTrial?: (best: number, first: number, tried: number) => void;
}

export interface SearchResult {
  readonly schedule: Schedule;
  /** Its results were within their bounds: false only where the default's are not and nothing else was right. */
  readonly right: boolean;
  /** Nanoseconds of it and of the default schedule, medians of the last race. */
  readonly ns: number;
  readonly defaultNs: number;
  readonly source: "timestamps" | "clock";
  /** Schedules that were compiled and run. */
  readonly tried: number;
  readonly failures: readonly Failure[];
}

/** Candidates that are compiled together and raced against each other. */
const BATCH = 6;
/** A candidate is out when its best time is so many times that of the best, after so many rounds. */
const HEATS = [
  { rounds: 1, out: 1.6 },
  { rounds: 2, out: 1.2 },
  { rounds: 3, out: 1.05 },
] as const;
/** Neighbours of so many are looked at. */
const KEPT = 3;
/** Batches without anything better after which a region is done. */
const STALE = 8;
/** The last race takes about so long. */
const FINAL_MS = 1000;
/** What wins by less is as good as what it beats. */
const NOISE = 0.98;

/** A region's default schedule, run and measured. */
export interface Started {
  readonly first: Trial;
  /** Its result is wrong: it is measured but never kept. */
  readonly broken: Failure | undefined;
  readonly space: Space;
}

/** Runs the default schedule, whose results are then in memory. A failure if it cannot run at all. */
export async function start(bench: RegionBench, seed = 1): Promise<Started | Failure> {
  const space = new Space(bench.region, bench.target, seed);
  const first = await bench.load(space.first());
  if (!first) throw new Error(`${bench.region.name} was started before`);
  if ("fault" in first) return first;
  const broken = await bench.check(first);
  if (broken?.fault === "device") {
    first.kernel.dispose();
    return broken;
  }
  await bench.race([first], HEATS[0].rounds + HEATS[1].rounds);
  return { first, broken, space };
}

/** Searches until time is up or nothing better turns up; disposes of all kernels. */
export async function search(
  bench: RegionBench,
  { first, broken, space }: Started,
  o: SearchOptions,
): Promise<SearchResult> {
  const failures: Failure[] = broken ? [broken] : [];
  let best: Trial[] = broken ? [] : [first];
  let tried = 1;
  let stale = 0;
  const waiting = (o.seeds ?? []).filter((s) => space.take(s));
  const over = (): boolean =>
    o.signal?.aborted === true || performance.now() >= o.until || tried >= (o.trials ?? Number.POSITIVE_INFINITY);
  while (!over() && stale < STALE) {
    const drawn: Schedule[] = [];
    while (drawn.length < BATCH) {
      const s = waiting.shift() ?? space.next(best.map((t) => t.schedule));
      if (!s) break;
      drawn.push(s);
    }
    if (drawn.length === 0) break;
    const before = best[0];
    const loaded = await Promise.all(drawn.map((s) => bench.load(s)));
    const batch: Trial[] = [];
    for (const t of loaded) {
      if (!t) continue;
      if ("fault" in t) failures.push(t);
      else if (over()) t.kernel.dispose();
      else {
        tried++;
        const failure = await bench.check(t);
        if (failure) {
          failures.push(failure);
          t.kernel.dispose();
        } else batch.push(t);
      }
    }
    // What is wrong beats nothing, however fast it is.
    const good = await heats(bench, batch, before ?? (broken ? undefined : first));
    const all = [...best, ...good].sort((x, y) => x.least - y.least);
    best = all.slice(0, KEPT);
    for (const t of [...batch, ...all.slice(KEPT)]) if (t !== first && !best.includes(t)) t.kernel.dispose();
    stale = best[0] === before ? stale + 1 : 0;
    o.onTrial?.((best[0] ?? first).least, first.least, tried);
  }
  const source = await finish(bench, first, tried > 1 ? best : []);
  const order = [...best].sort((x, y) => median(x) - median(y));
  const winner = order[0] ?? first;
  const keep = !broken && median(winner) > median(first) * NOISE ? first : winner;
  for (const t of new Set([first, ...best])) t.kernel.dispose();
  return {
    schedule: keep.schedule,
    right: !broken || keep !== first,
    ns: keep === first ? median(first) : median(keep),
    defaultNs: median(first),
    source,
    tried,
    failures,
  };
}

/** Those of a batch that stay beside the best so far, which runs along. */
async function heats(
  bench: RegionBench,
  batch: readonly Trial[],
  champion: Trial | undefined,
): Promise<readonly Trial[]> {
  const beside = champion ? [champion] : [];
  let left = batch;
  for (const { rounds, out } of HEATS) {
    if (left.length === 0) return [];
    await bench.race([...beside, ...left], rounds);
    const limit = out * Math.min(...[...beside, ...left].map((t) => t.least));
    left = left.filter((t) => t.least <= limit);
  }
  return left;
}

/** The default and the best once more, beside each other, on fresh times. */
async function finish(bench: RegionBench, first: Trial, best: readonly Trial[]): Promise<"timestamps" | "clock"> {
  const all = [...new Set([first, ...best])];
  if (all.length === 1) return bench.race(all, 1);
  const once = all.reduce((sum, t) => sum + t.least, 0) / 1e6;
  const rounds = Math.max(3, Math.min(15, Math.floor(FINAL_MS / Math.max(once, 1))));
  for (const t of all) t.ns.length = 0;
  // The kernels' first runs after a pause are not like the others.
  await bench.race(all, 1);
  for (const t of all) t.ns.length = 0;
  return bench.race(all, rounds);
}

function median(t: Trial): number {
  const sorted = [...t.ns].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.POSITIVE_INFINITY;
}
