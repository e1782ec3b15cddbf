/** Weighted sums in one pass: where they pay, and candidates, best guess first. */
import { apply } from "./apply/index.ts";
import { QUAD } from "./apply/tile.ts";
import { fixedSubgroup, guessAll, isLlvmpipe } from "./measure.ts";
import type { OnlineRegion } from "./region.ts";
import { type OnlineSchedule, type Schedule, ScheduleError } from "./schedule.ts";
import type { Target } from "./target.ts";

const COMMON = { swizzle: 0, variants: "guarded", kind: "online" } as const;

/** Numbers of the weighted sum that an invocation keeps: measured on subgroups of four and of eight, and what a GPU's registers hold. */
const KEPT = { four: 256, eight: 128, gpu: 64 } as const;

export function onlineCandidates(region: OnlineRegion, target: Target): readonly Schedule[] {
  const sg = fixedSubgroup(target);
  const onWorkgroup = workgroupCandidates(region, target);
  if (sg === 0) return onWorkgroup;
  const onSubgroup = subgroupCandidates(region, target, sg);
  if (target.kind !== "software") return [...onWorkgroup, ...onSubgroup];
  return [...(sg === QUAD ? quadCandidates(region) : []), ...onSubgroup, ...onWorkgroup];
}

type Tile = readonly [rows: number, each: number];

/** Rows of a subgroup of four, and positions of each lane. 16 rows of 4 take as long as 8, or 1.1 times, and SwiftShader 2.5 seconds for 0.9. */
const ON_FOUR: readonly Tile[] = [
  [8, 4],
  [16, 4],
  [16, 8],
  [8, 8],
  [4, 4],
  [4, 8],
];
/** From so many products on it pays to compile for 3 seconds what takes 0.9 of the time (512·64: 0.94). */
const TALL: Tile = [16, 8];
const MUCH = 2 ** 27;

function onMore(sg: number): readonly Tile[] {
  return [16, 8, sg]
    .filter((rows) => rows % sg === 0)
    .flatMap((rows): Tile[] => [
      [rows, 2],
      [rows, 4],
    ]);
}

/** Of a sum's weights with values, and of rows with positions in its scores. */
function products(region: OnlineRegion): number {
  const each = region.scores.reduce((sum, x) => sum + guessAll(x.d), guessAll(region.n));
  return guessAll([...region.batch, ...region.m, ...region.k]) * each;
}

/** Elements of a head, where they are not known: columns past the end are computed for nothing, a second tile scores everything again. */
const HEAD = 128;

/** Columns of an invocation when `threads` of them share a row: all of it if that is no more than `most`. */
function columnsFor(region: OnlineRegion, threads: number, vector: number, most: number): number {
  // A sum a row has no columns.
  if (region.n.length === 0) return 1;
  const known = region.n.every((a) => a.extent.value !== undefined);
  const there = known ? guessAll(region.n) : HEAD;
  const whole = vector * Math.max(1, Math.ceil(there / vector / threads));
  return Math.min(whole, Math.max(vector, most - (most % vector)));
}

/** Rows of a lane, and positions that it loads. SwiftShader compiles the second for 0.6 seconds, and 8·256·64 takes 0.76 of the first's time. */
const ON_QUADS: readonly Tile[] = [
  [2, 4],
  [4, 4],
  [1, 4],
];
const MORE = 2 ** 25;

/** Four lanes with rows of their own, where they have whole rows of the sum: 8·256·64 takes 0.65 of a broadcast's time on SwiftShader. */
function quadCandidates(region: OnlineRegion): readonly OnlineSchedule[] {
  const rowsThere = guessAll(region.m);
  const much = region.scores.length === 1 && products(region) >= MORE;
  const tiles = much ? [...ON_QUADS].sort(([x], [y]) => y - x) : ON_QUADS;
  const out: OnlineSchedule[] = [];
  for (const vector of [4, 2, 1] as const)
    for (const [rows, each] of tiles) {
      const columns = columnsFor(region, 1, vector, 128);
      if ((rows > 1 && rows * QUAD >= 2 * rowsThere) || columns < guessAll(region.n)) continue;
      out.push({ ...COMMON, vector, reg: [rows, each], columns, threads: [QUAD, 1], share: "quad", tileK: 1 });
    }
  return out;
}

function subgroupCandidates(region: OnlineRegion, target: Target, sg: number): readonly OnlineSchedule[] {
  const out: OnlineSchedule[] = [];
  const kept = sg === 4 ? KEPT.four : KEPT.eight;
  const rowsThere = guessAll(region.m);
  const tiles =
    sg === 4 ? (region.scores.length === 1 && products(region) >= MUCH ? [TALL, ...ON_FOUR] : ON_FOUR) : onMore(sg);
  for (const vector of [4, 2, 1] as const)
    for (const [rows, each] of tiles) {
      if (rows > sg && rows >= 2 * rowsThere) continue;
      out.push({
        ...COMMON,
        vector,
        reg: [rows, each],
        columns: columnsFor(region, sg, vector, Math.min(64, kept / rows)),
        threads: [1, sg],
        share: "subgroup",
        tileK: 1,
      });
    }
  // More rows share each load, as long as one pass has the whole sum. Code for 16 rows and two scores takes llvmpipe a minute to compile.
  const whole = (s: OnlineSchedule): number => (s.columns * sg >= guessAll(region.n) ? 0 : 1);
  const long = (s: OnlineSchedule): number => (region.scores.length > 1 && isLlvmpipe(target) && s.reg[0] > sg ? 1 : 0);
  return out.sort((x, y) => whole(x) - whole(y) || long(x) - long(y) || y.vector - x.vector);
}

/** Rows and positions of an invocation, invocations down and across, and the staged depth. */
const TILES = [
  [4, 2, 16, 16, 16],
  [4, 4, 8, 8, 16],
  [2, 2, 8, 16, 16],
  [4, 2, 4, 8, 8],
  [2, 4, 4, 4, 8],
  [1, 2, 4, 8, 4],
] as const;

function workgroupCandidates(region: OnlineRegion, target: Target): readonly OnlineSchedule[] {
  const out: OnlineSchedule[] = [];
  const rowsThere = guessAll(region.m);
  for (const vector of [4, 2, 1] as const)
    for (const [rows, each, down, across, tileK] of TILES) {
      if (down * across > target.limits.maxComputeInvocationsPerWorkgroup) continue;
      if (down > 4 && rows * down >= 4 * rowsThere) continue;
      const columns = columnsFor(region, across, vector, Math.min(64, KEPT.gpu / rows));
      out.push({ ...COMMON, vector, reg: [rows, each], columns, threads: [down, across], share: "workgroup", tileK });
    }
  return out;
}

/**
 * Bytes of scores that software keeps in its caches. On subgroups of eight (llvmpipe) three kernels are then a tenth faster (8·256·64: 20
 * against 23 ms of processor time), as memory costs them nothing; on four (SwiftShader) one kernel is, by as much.
 */
const CACHED = 32 << 20;

/**
 * Is one kernel no slower than scores, their rows and the weighted sum in three? It saves writing the scores and reading them twice, if
 * its tile has a whole row of the sum: else the scores are computed again for each part. Rows too few for a tile would leave
 * invocations idle. On software only a subgroup of fixed size pays: memory shared by a workgroup is dear there.
 */
export function onePassPays(region: OnlineRegion, target: Target): boolean {
  const s = wholeTile(region, target);
  if (!s) return false;
  return target.kind !== "software" || s.threads[0] * s.threads[1] === 4 || bytesOfScores(region) >= CACHED;
}

/** The first schedule, if there are scores and rows for a tile, and it has a whole row of the sum. */
function wholeTile(region: OnlineRegion, target: Target): OnlineSchedule | undefined {
  if (region.scores.length === 0 || guessAll(region.m) < 8) return undefined;
  const s = onlineCandidates(region, target).find((x) => isLegal(region, x, target));
  if (s?.kind !== "online") return undefined;
  const whole = s.columns * s.threads[1] >= guessAll(region.n);
  if (target.kind === "software") return s.share !== "workgroup" && whole ? s : undefined;
  return whole || !region.n.every((a) => a.extent.value !== undefined) ? s : undefined;
}

function bytesOfScores(region: OnlineRegion): number {
  return 4 * guessAll([...region.batch, ...region.m, ...region.k]);
}

/**
 * Are scores to be computed anew by each kernel that reads them? Each must have a whole row of its sum, as above, or they would be computed
 * more often still.
 */
export function chainPays(regions: readonly OnlineRegion[], target: Target): boolean {
  const schedules = regions.map((r) => wholeTile(r, target));
  if (!schedules.every((s) => s !== undefined)) return false;
  const scores = Math.max(...regions.map(bytesOfScores));
  if (target.kind === "software") return scores >= CACHED;
  // Rows that are relative to a maximum: attention, where every row of invocations has a whole row of queries or keys. Of others what is
  // computed once is as dear as before.
  return regions.some((r) => r.peak) || regions.length === 1 || scores >= CACHED;
}

function isLegal(region: OnlineRegion, s: Schedule, target: Target): boolean {
  try {
    apply(region, s, target);
    return true;
  } catch (e) {
    if (e instanceof ScheduleError) return false;
    throw e;
  }
}
