/** Candidates for elementwise regions, scans and scatters, best guess first. */
import type { Extent } from "../../ir/extent.ts";
import { axisRef, type Read, shapeOf } from "../../ir/tensor.ts";
import { placedOn } from "./apply/epilogue.ts";
import { fixedAxes } from "./apply/scatter-common.ts";
import { sortPlan } from "./apply/scatter-plan.ts";
import { crossing } from "./apply/transpose.ts";
import { collapse } from "./apply/walk.ts";
import { costOf } from "./cost.ts";
import { fixedSubgroup, guess, guessAll, isLlvmpipe, movement, powerAtMost, readsIn } from "./measure.ts";
import type { ElementwiseRegion, ScanRegion, ScatterRegion } from "./region.ts";
import type { RowSchedule, Schedule, Threads } from "./schedule.ts";
import type { Target } from "./target.ts";

const COMMON = { vector: 1, swizzle: 0, variants: "guarded" } as const;
const VECTORS = [4, 2, 1] as const;

export function elementwiseCandidates(region: ElementwiseRegion, target: Target): readonly Schedule[] {
  const out: Schedule[] = [];
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const software = target.kind === "software";
  const total = guessAll(region.axes);
  const reads = readsIn(region.maps.flatMap((m) => m.results));
  const crossed = crossing(region);
  if (crossed && total >= 1024) {
    const block: Schedule[] = [{ ...COMMON, vector: 4, kind: "transpose", tile: 8, each: 8, pad: 0 }];
    if (software) block.unshift(strip(crossed.across.extent, total, Math.min(most, 256)));
    const tile: Schedule[] = [
      { ...COMMON, kind: "transpose", tile: 32, each: 4, pad: 1 },
      { ...COMMON, kind: "transpose", tile: 16, each: 1, pad: 1 },
    ];
    out.push(...(software ? [...block] : [...tile, ...block]));
  }
  if (software && total >= 4096) out.push(...rowCopies(region, reads, target), ...inRows(region, reads, target));
  // Few loads in flight on software, where a loop body's memory accesses are compiled one by one.
  const each = software
    ? Math.max(1, Math.min(mostEach(region, target), Math.floor(8 / Math.max(1, reads.length))))
    : total >= 1 << 20
      ? 2
      : 1;
  const threads: readonly Threads[] = [256, 64, 128, 32, 8];
  for (const vector of VECTORS) {
    if (isLlvmpipe(target)) out.push(...looped(total / vector, vector));
    else if (software && fixedSubgroup(target) === 4 && alike(region, reads))
      out.push(...streamed(total / vector, vector));
    for (const t of threads) {
      if (t > most) continue;
      for (const e of new Set([each, 1, 2, 4]))
        out.push({
          ...COMMON,
          vector,
          kind: "elementwise",
          threads: total / vector < 4096 && t > 64 ? 64 : t,
          each: e,
        });
    }
  }
  return out;
}

/**
 * Blocks of 4×4, four next to each other along the stores and many across: each of its cache lines is written whole at once, and of those
 * that are read, which lie in one set of the first cache where extents are powers of two, 16 are at work and not 32 (8×8 blocks). On
 * SwiftShader 0.66 to 0.83 of the time of those, on llvmpipe 0.38 to 0.53 from 1024² on.
 */
function strip(across: Extent, total: number, most: number): Schedule {
  // At least 64 workgroups: with few of them it shows that one core has the last one to itself.
  const enough = Math.max(16, total / 16 / 4 / 64);
  const each = powerAtMost(guess(across) / 4, Math.min(most / 4, enough));
  const tile = each >= 16 ? 4 : each === 8 ? 8 : each === 4 ? 16 : 32;
  return { ...COMMON, vector: 4, kind: "transpose", tile, each, pad: 0 };
}

/**
 * One unit after the other in a loop, on llvmpipe: every access is 2 KB of code there, and a subgroup costs as much as an access (a million:
 * tanh takes 0.71 of the time of four units together, sums 0.62, with operands broadcast 0.78; 2048² products 0.89).
 */
function looped(units: number, vector: 1 | 2 | 4): readonly Schedule[] {
  return ([64, 8] as const)
    .filter((threads) => units >= threads * LOOP * 16)
    .map((threads) => ({ ...COMMON, vector, kind: "elementwise", threads, each: 1, repeat: LOOP }));
}
/** Mesa unrolls loops of up to 32 iterations: such code is as long as straight-line code, and slower (1.25 times the time for a sum of arrays). */
const LOOP = 64;

/**
 * The same on subgroups of four, whose front end small loops suit, where all positions are the same: elsewhere their divisions, which
 * units done together share, are done anew for each (outer products 1.2 times the time). A million: tanh takes 0.9 of the time of two
 * vectors together, a * b + c * d 0.86, sums of 262,144 0.7.
 */
function streamed(units: number, vector: 1 | 2 | 4): readonly Schedule[] {
  const threads = 8;
  const repeat = powerAtMost(units / (threads * STREAMS), 512);
  return repeat < 16 ? [] : [{ ...COMMON, vector, kind: "elementwise", threads, each: 1, repeat }];
}
/** Workgroups that there should be at least, for two cores and more. */
const STREAMS = 32;

/** Does every read take the element where the result is? */
function alike(region: ElementwiseRegion, reads: readonly Read[]): boolean {
  const at = region.axes.map((a) => axisRef(a));
  const own = (shape: readonly Extent[]): boolean => region.axes.every((a, d) => a.extent === shape[d]);
  return reads.every((r) => r.at.length === at.length && r.at.every((x, d) => x === at[d]) && own(shapeOf(r.tensor)));
}

/**
 * Vectors that an invocation does together on software. Four lanes (SSE's registers) run out of registers where functions are dear: two
 * vectors instead of four take 0.67 to 0.86 of the time (tanh, gelu, silu and softplus of a million); what is cheap is as fast either way.
 */
function mostEach(region: ElementwiseRegion, target: Target): number {
  return fixedSubgroup(target) === 4 && costOf(region.maps.flatMap((m) => m.results)) >= DEAR ? 2 : 4;
}
/** Weighted operations (see cost.ts). */
const DEAR = 16;

/** Rows whose position comes from data: the position is loaded once a row. */
function rowCopies(region: ElementwiseRegion, reads: readonly Read[], target: Target): readonly RowSchedule[] {
  const last = region.axes.at(-1);
  const gathers = reads.filter((r) => r.at.some((x) => readsIn([x]).length > 0));
  const length = last ? guess(last.extent) : 0;
  if (!last || length < 64 || gathers.length === 0 || movement(gathers, last).unit < gathers.length) return [];
  const sg = fixedSubgroup(target);
  const rows = guessAll(region.axes.slice(0, -1));
  const out: RowSchedule[] = [];
  for (const vector of VECTORS) {
    const base = { ...COMMON, vector, kind: "row", hold: 0, pass: "reread", block: 1 } as const;
    // On eight lanes rows in flight are the more: 8192×64 takes 0.66 of the time of two rows a subgroup, ×128 0.85, ×256 0.95, ×4096 1.03.
    const beside = powerAtMost(rows / 16, 64);
    if (sg > 4 && beside >= 8 && length <= 2048) out.push({ ...base, rows: beside, threads: 1 });
    // Two rows together: 0.87 of the time (8192×256).
    if (sg > 4)
      for (const each of [2, 1])
        out.push({
          ...base,
          rows: Math.max(1, Math.min(64 / sg, rows)),
          threads: sg as Threads,
          ...(each > 1 ? { each } : {}),
        });
    out.push({ ...base, rows: Math.max(1, Math.min(64, rows)), threads: 1 });
  }
  return out;
}

/**
 * Rows, where an element's place differs from tensor to tensor: a row's is worked out once for it, not for each element, which takes
 * divisions. Reads that stand still from row to row are shared by several rows. Copies of 1021 elements of rows of 1024 take 0.5 of the
 * time, a bias on rows of 768 0.72; outer products of 2048 0.62, as four rows share the loads.
 */
function inRows(region: ElementwiseRegion, reads: readonly Read[], target: Target): readonly RowSchedule[] {
  const sg = fixedSubgroup(target);
  const [row, last] = region.axes.slice(-2);
  if (sg === 0 || !row || !last || crossing(region)) return [];
  const points = placedOn(region.axes, region.maps).map((m) => ({ at: m.point, shape: shapeOf(m.def) }));
  const results = region.maps.flatMap((m) => m.results);
  if (collapse(region.axes, results, points).length === 1) return [];
  const rows = guessAll(region.axes.slice(0, -1));
  const moving = reads.filter((r) => movement([r], last).still === 0);
  const { still } = movement(moving, row);
  const beside = powerAtMost(rows / ROW_GROUPS, 16);
  const out: RowSchedule[] = [];
  const length = guess(last.extent);
  for (const vector of VECTORS) {
    const units = length / vector;
    if (!Number.isInteger(units)) continue;
    if (units < ROW_UNITS) break;
    const base = { ...COMMON, vector, kind: "row", hold: 0, pass: "reread", block: 1 } as const;
    const lanes = { threads: sg as Threads, rows: 1 } as const;
    if (still > 0 && rows >= 64 && units >= SHARED_UNITS)
      out.push({ ...base, ...lanes, block: 2, each: still === moving.length ? 4 : 2 });
    // A row for each lane, 0.8 of the time of a row for all of them.
    out.push(beside >= sg ? { ...base, threads: 1, rows: beside } : { ...base, ...lanes });
  }
  return out;
}
/** Units from which a row is worth a walk of its own, or of a subgroup's, and workgroups that there should be at least. */
const ROW_UNITS = 64;
const SHARED_UNITS = 128;
const ROW_GROUPS = 16;

export function scanCandidates(region: ScanRegion, target: Target): readonly Schedule[] {
  const others = region.def.axes.filter((a) => a !== region.def.along);
  const rows = guessAll(others);
  const length = guess(region.def.along.extent);
  const software = target.kind === "software";
  const out: Schedule[] = [];
  const blocks: Schedule[] = [];
  for (const each of [4, 1]) blocks.push({ ...COMMON, kind: "scan", threads: 64, each, form: "blocks" });
  const few = length >= 4096 && rows < (software ? 4 : 4096);
  if (few) out.push(...blocks);
  // One element at a time where loads are calls: 1024² takes 0.75 of the time of four on subgroups of four, 0.88 on eight.
  for (const vector of VECTORS)
    for (const each of software ? [1, 4] : [4, 1])
      for (const threads of software ? ([8, 64] as const) : ([64, 32] as const))
        out.push({ ...COMMON, vector, kind: "scan", threads, each, form: "carry" });
  if (!few) out.push(...blocks);
  return out;
}

export function scatterCandidates(region: ScatterRegion, target: Target): readonly Schedule[] {
  const out: Schedule[] = [];
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const searched = guessAll(region.def.domain.filter((a) => !fixedAxes(region).has(a)));
  const own: Schedule[] = [];
  const sorted: Schedule[] = [];
  for (const vector of VECTORS)
    for (const threads of [64, 256, 8] as const) {
      if (threads > most) continue;
      own.push({ ...COMMON, vector, kind: "scatter", method: "own", threads });
      const sort = { ...COMMON, vector, kind: "scatter", method: "sort", threads } as const;
      const parts = partsOf(region, vector, target);
      if (parts > 1) sorted.push({ ...sort, parts });
      sorted.push(sort);
    }
  const atomics: Schedule[] = ([64, 256] as const)
    .filter((t) => t <= most)
    .map((threads) => ({ ...COMMON, kind: "scatter", method: "atomic", threads }));
  const others = sortingPays(region, searched) ? [...sorted, ...own] : [...own, ...sorted];
  out.push(...(searched <= 16 ? [...others, ...atomics] : [...atomics, ...others]));
  return out;
}

/** How many invocations share a run: several where there are fewer results than a GPU runs at once, and runs are long. */
function partsOf(region: ScatterRegion, vector: number, target: Target): number {
  // A software adapter has few cores: there parts gained nothing (200,000 onto 8 results: 9.1 ms, in 8 parts 9.5).
  if (region.def.monoid === "set" || target.kind === "software") return 1;
  const plan = sortPlan(region);
  const run = guessAll(plan.searched) / Math.max(1, guessAll(plan.keyed.flatMap((d) => region.def.axes[d] ?? [])));
  return powerAtMost(Math.max(1, Math.min(run / 64, (16384 * vector) / Math.max(1, guessAll(region.def.axes)))), 64);
}

/** What a kernel more costs, in loads of one invocation. */
const KERNEL = 20_000;

/** Do the loads of sorting, at about a dozen a position and digit, come to fewer than those of searching for every result? */
function sortingPays(region: ScatterRegion, searched: number): boolean {
  const { def } = region;
  const plan = sortPlan(region);
  const positions = guessAll(plan.searched);
  const all = guessAll(def.axes);
  const search = all * searched * 2;
  const kernels = 3 + 5 * plan.digits.length;
  const sort = positions * plan.digits.length * 12 + guessAll(def.domain) * 4 + all * 4 + kernels * KERNEL;
  return sort < search;
}
