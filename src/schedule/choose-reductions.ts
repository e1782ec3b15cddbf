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

/** Elements of a window that are gone through in one round: what a kernel's code may hold. */
const WINDOW = 64;
/** The same, of all the windows that an invocation has. */
const WINDOWS = 100;
const WINDOW_OF_LLVM = 36;

/**
 * Sums over windows on software: a whole window a round, whose loads neighbouring lanes share (5×5 that move by two take 0.3 of the time on
 * both, one of 25 over a line 0.35 on subgroups of four, 0.48 on eight). Results over each other read most of the same rows, which an
 * invocation loads once for all of them (on subgroups of four depthwise 3×3: two take 0.5 of the time of one, 5×5: four 0.14, 7×7: two 0.19;
 * means of 3×3: four 0.47; on eight four take 0.51 and 0.88; rows of 5×5 0.5 there, of 7×7 0.25). Maxima of 3×3 had no gain.
 */
export function windowSchedules(
  region: RowRegion,
  reads: readonly Read[],
  rows: number,
  length: number,
  target: Target,
): readonly ReductionSchedule[] {
  const [of, last] = [region.axes.at(-2), region.axes.at(-1)];
  const [first] = region.phases;
  const sg = fixedSubgroup(target);
  if (target.kind !== "software" || sg === 0) return [];
  if (!last || first?.kind !== "reduce" || length < 2 || length > WINDOW) return [];
  const body = first.reduce.monoid.combine[0];
  if (body?.kind !== "apply" || body.prim !== "add") return [];
  const { axes } = first.reduce;
  const stride = (r: Read, a: Axis): number => strideAlong(r.at, shapeOf(r.tensor), a)?.value ?? 0;
  const over = reads.some((r) => of && stride(r, of) > 0 && axes.some((a) => stride(r, a) === stride(r, of)));
  // Side by side they overlap too.
  const beside = reads.some(
    (r) => stride(r, last) > 0 && axes.some((a) => stride(r, a) === 1 && stride(r, last) < (a.extent.value ?? 0)),
  );
  // On SwiftShader the code of more is larger than what processors decode at once.
  const small = sg === 4 && reads.length > 1 ? [2, 4] : [4, 2];
  const downs = length <= 9 ? small : length <= 25 ? [4, 2] : [2];
  // LLVM takes two seconds for four of 5×5 and half a second for a row of one, which is no slower than the whole of it.
  const most = isLlvmpipe(target) ? WINDOW_OF_LLVM : WINDOWS;
  const row = isLlvmpipe(target) && length > 16 ? (axes.at(-1)?.extent.value ?? length) : length;
  const whole = (down: number, each = length): ReductionSchedule => ({
    ...COMMON,
    vector: 4,
    kind: "reduction",
    threads: 1,
    each,
    columns: powerAtMost(Math.max(2, rows / (4 * down * GROUPS)), 64),
    parts: 1,
    combine: "workgroup",
    ...(down > 1 ? { down } : {}),
  });
  return [
    ...(over ? downs.filter((d) => d * length <= most).map((d) => whole(d)) : []),
    ...(beside && (!over || length > 16) ? [whole(1, row)] : []),
  ];
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
