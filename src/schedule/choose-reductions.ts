/** Candidates for single reductions, down the columns and along a result's own elements; best guess first. */
import { type Axis, type Read, shapeOf } from "../../ir/tensor.ts";
import { strideAlong } from "./apply/operands.ts";
import { fixedSubgroup, isLlvmpipe, powerAtMost } from "./measure.ts";
import type { RowRegion } from "./region.ts";
import type { ReductionSchedule, Schedule, Threads } from "./schedule.ts";
import type { Target } from "./target.ts";

export const COMMON = { vector: 1, swizzle: 0, variants: "guarded" } as const;
export const VECTORS = [4, 2, 1] as const;

/** Workgroups that there should be at least on software: a few for each core. */
export const GROUPS = 16;

/** Neighbouring results to neighbouring invocations, each down its column. */
export function columnSchedules(
  rows: number,
  length: number,
  apart: boolean,
  target: Target,
): readonly ReductionSchedule[] {
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const software = target.kind === "software";
  const out: ReductionSchedule[] = [];
  const wanted = software ? 32 : 16384;
  for (const vector of VECTORS) {
    const columns = powerAtMost(Math.max(2, rows / vector), software ? 64 : 32);
    const groups = Math.max(1, rows / vector / columns);
    const enough = Math.ceil(wanted / (software ? groups : rows));
    const parts = inStreams(rows, length, target)
      ? Math.min(256, Math.ceil(length / STREAMS))
      : Math.max(1, Math.min(64, enough, Math.floor(length / (software ? 256 : 64))));
    const threads = software ? 1 : powerAtMost(Math.max(1, length / 16), Math.min(8, most / columns));
    // Loads that whole pages lie between take each other's place in a cache (2048²: 0.68 and 0.9 of the time; without pages 1.15).
    for (const each of software ? (apart ? [2, 4] : [4, 2]) : [4])
      for (const p of new Set([parts, 1]))
        for (const t of new Set<Threads>([threads, 1]))
          out.push({
            ...COMMON,
            vector,
            kind: "reduction",
            threads: t,
            each,
            columns,
            parts: p,
            combine: "workgroup",
          });
  }
  return out;
}

/**
 * Columns in parts of few rows: a subgroup reads 128 bytes of each, and the next what follows. A processor that foresees what is read next
 * keeps so many streams in sight. It pays on llvmpipe where the whole does not fit its caches (2048²: 0.65 of the time, 512×8192 0.45,
 * 64×65536 0.55, 2048×2000 and 8192×500 0.86; 1024×1000 and narrow ones nothing).
 */
function inStreams(rows: number, length: number, target: Target): boolean {
  return isLlvmpipe(target) && rows >= 256 && length >= 2 * STREAMS && rows * length >= 1 << 21;
}
const STREAMS = 32;

/**
 * On subgroups of four an invocation goes down four vectors of columns, which it loads as one matrix: less is computed for each, and a
 * subgroup reads 256 bytes of a row (2048²: 0.67 of the time of vectors; two rows in a round 0.87).
 */
export function wideColumns(rows: number, length: number, target: Target): readonly ReductionSchedule[] {
  if (target.kind !== "software" || fixedSubgroup(target) !== 4 || rows < 256) return [];
  const columns = powerAtMost(rows / 16, 16);
  const groups = rows / 16 / columns;
  const parts = Math.max(1, Math.min(64, Math.ceil(32 / groups), Math.floor(length / 256)));
  return [...new Set([parts, 1])].map((parts) => ({
    ...COMMON,
    vector: 4,
    kind: "reduction",
    threads: 1,
    each: 1,
    columns,
    parts,
    combine: "workgroup",
    wide: 4,
  }));
}

/**
 * Sums over small windows on software: results over each other read most of the same rows, which an invocation loads once for all of them
 * (on subgroups of four depthwise 3×3: two take 0.5 of the time of one; means of 3×3: four 0.47; on eight four take 0.51 and 0.88). Maxima of
 * 3×3 had no gain.
 */
export function windowSchedules(
  region: RowRegion,
  reads: readonly Read[],
  rows: number,
  length: number,
  target: Target,
): readonly ReductionSchedule[] {
  const of = region.axes.at(-2);
  const [first] = region.phases;
  const sg = fixedSubgroup(target);
  if (target.kind !== "software" || sg === 0) return [];
  if (!of || first?.kind !== "reduce" || length < 2 || length > 16) return [];
  const body = first.reduce.monoid.combine[0];
  if (body?.kind !== "apply" || body.prim !== "add") return [];
  const overlaps = reads.some((r) => {
    const stride = (a: Axis): number => strideAlong(r.at, shapeOf(r.tensor), a)?.value ?? 0;
    return stride(of) > 0 && first.reduce.axes.some((a) => stride(a) === stride(of));
  });
  if (!overlaps) return [];
  // On SwiftShader the code of more is larger than what processors decode at once.
  return (sg === 4 && reads.length > 1 ? [2, 4] : [4, 2]).map((down) => ({
    ...COMMON,
    vector: 4,
    kind: "reduction",
    threads: 1,
    each: length,
    columns: powerAtMost(Math.max(2, rows / (4 * down * GROUPS)), 64),
    parts: 1,
    combine: "workgroup",
    down,
  }));
}

/** The invocations of a workgroup share a result. */
export function reductionSchedules(rows: number, length: number, target: Target): readonly Schedule[] {
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const software = target.kind === "software";
  const sg = fixedSubgroup(target);
  const out: Schedule[] = [];
  if (rows * 16 > length || length < 4096) return out;
  // Software: few long walks, one for each of a core's tasks. A GPU: enough invocations to keep its memory busy.
  const groups = software ? 64 : 1024;
  for (const vector of VECTORS) {
    const units = length / vector;
    const parts = Math.max(
      1,
      Math.min(4096, Math.ceil(groups / Math.max(1, rows)), Math.floor(units / (software ? 256 : 1024))),
    );
    for (const p of new Set([parts, 1])) {
      const t = powerAtMost(units / p, Math.min(most, software ? 64 : 256));
      const shared: Schedule = {
        ...COMMON,
        vector,
        kind: "reduction",
        threads: t,
        each: 4,
        columns: 1,
        parts: p,
        combine: "workgroup",
      };
      if (!software) out.push(shared);
      if (software && sg === 4 && vector === 4)
        out.push({ ...shared, threads: sg as Threads, combine: "subgroup", wide: 4 });
      if (sg > 0) out.push({ ...shared, threads: sg as Threads, combine: "subgroup" });
      if (software) out.push(shared);
    }
  }
  return out;
}
