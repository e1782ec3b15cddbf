/** Candidates for rows and reductions, best guess first. */
import { type Axis, axisRef, type Definition, type Read, shapeOf, substituteAxes } from "../../ir/tensor.ts";
import { axesIn } from "../passes/rewrite.ts";
import { divisible } from "./affine.ts";
import { strideAlong } from "./apply/operands.ts";
import { fixedSubgroup, guessAll, isLlvmpipe, movement, pagesApart, powerAtMost, readsIn } from "./measure.ts";
import type { RowRegion } from "./region.ts";
import type { ReductionSchedule, RowSchedule, Schedule, Threads } from "./schedule.ts";
import type { Target } from "./target.ts";

const COMMON = { vector: 1, swizzle: 0, variants: "guarded" } as const;
const VECTORS = [4, 2, 1] as const;

/** A row region that is one reduction with, at most, results at the point. */
function single(region: RowRegion): boolean {
  return (
    region.phases.filter((p) => p.kind === "reduce").length === 1 &&
    region.phases.every((p, i) => (p.kind === "reduce" ? i === 0 : p.axes.length === 0))
  );
}

export function rowCandidates(region: RowRegion, target: Target): readonly Schedule[] {
  const reduces = region.phases.flatMap((p) => (p.kind === "reduce" ? [p] : []));
  const length = Math.max(1, ...region.phases.map((p) => guessAll(p.kind === "reduce" ? p.reduce.axes : p.axes)));
  const rows = guessAll(region.axes);
  const exprs = region.phases.flatMap((p) => (p.kind === "reduce" ? p.reduce.values : p.results));
  const reads = readsIn(exprs);
  const along = reduces[0]?.reduce.axes.at(-1);
  const row = movement(reads, along);
  const side = movement(reads, region.axes.at(-1));
  const apart = along !== undefined && pagesApart(reads, along);
  const out: Schedule[] = [];
  if (single(region)) {
    // Down the columns, or short windows: neighbouring results lie together.
    if (side.unit > 0 && (row.unit === 0 || length <= 32)) {
      const last = region.axes.at(-1);
      if (row.unit === 0 && last && divisible(last.extent, 16)) out.push(...wideColumns(rows, length, target));
      out.push(
        ...windowSchedules(region, reads, rows, length, target),
        ...columnSchedules(rows, length, apart, target),
      );
    }
    out.push(...reductionSchedules(rows, length, target));
  } else if (side.unit > 0 && row.unit === 0) out.push(...acrossSchedules(rows, length, target));
  out.push(
    ...rowSchedules(
      { rows, length, loads: heldLoads(region), held: region.phases.length > 1 && !single(region) },
      target,
    ),
  );
  if (single(region)) out.push(...columnSchedules(rows, length, apart, target));
  return out;
}

/** Neighbouring results to neighbouring invocations, each down its column. */
function columnSchedules(rows: number, length: number, apart: boolean, target: Target): readonly ReductionSchedule[] {
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
function wideColumns(rows: number, length: number, target: Target): readonly ReductionSchedule[] {
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
function windowSchedules(
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

/** Rows of several phases that lie across memory: neighbouring invocations have neighbouring rows. */
function acrossSchedules(rows: number, length: number, target: Target): readonly RowSchedule[] {
  const software = target.kind === "software";
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const out: RowSchedule[] = [];
  for (const vector of VECTORS) {
    const beside = powerAtMost(Math.max(1, rows / vector), 32);
    const threads = software ? 1 : powerAtMost(Math.max(1, length / 16), Math.min(8, most / beside));
    const row: RowSchedule = {
      ...COMMON,
      vector,
      kind: "row",
      rows: beside,
      threads,
      hold: 0,
      pass: "reread",
      // softmax over axis 0, 1024²: 0.29 of the time of a subgroup a row on llvmpipe (in blocks of four 0.33), 0.55 (0.6) on SwiftShader.
      block: software ? 1 : 4,
      across: true,
    };
    // In one pass, where there is a rule: softmax over axis 0, 1024², takes 0.87 of the time on llvmpipe, 0.84 on SwiftShader, variances 0.61
    // and 0.74.
    if (software) out.push({ ...row, pass: "online", block: 2 });
    for (const threads of new Set([row.threads, 1] as const)) out.push({ ...row, threads });
  }
  return out;
}

/** The invocations of a workgroup share a result. */
function reductionSchedules(rows: number, length: number, target: Target): readonly Schedule[] {
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

/**
 * Distinct reads of a row's element, phases over as many elements taken together: those that follow the row, and those that do not.
 * What is read once a row, such as the one of its elements that data names, is not among them.
 */
function heldLoads(region: RowRegion): Loads {
  const like = new Map<string, readonly Axis[]>();
  const exprs = region.phases.flatMap((p) => {
    const axes = p.kind === "reduce" ? p.reduce.axes : p.axes;
    const key = axes.map((a) => a.extent.text).join(",");
    const first = like.get(key) ?? axes;
    like.set(key, first);
    const to = new Map(axes.map((a, i) => [a, axisRef(first[i] ?? a)]));
    return (p.kind === "reduce" ? p.reduce.values : p.results).map((e) => substituteAxes(e, to));
  });
  const own = new Set<Definition>(region.phases.map((p) => p.def));
  const walked = new Set([...like.values()].flat());
  const reads = readsIn(exprs).filter(
    (r) => !own.has(r.tensor) && r.at.some((x) => [...axesIn(x)].some((a) => walked.has(a))),
  );
  const shared = reads.filter((r) => r.at.every((x) => region.axes.every((a) => !axesIn(x).has(a)))).length;
  return { own: reads.length - shared, shared };
}

interface Loads {
  readonly own: number;
  /** The same for every row. */
  readonly shared: number;
}
interface Rows {
  readonly rows: number;
  readonly length: number;
  readonly loads: Loads;
  /** Several phases read a row. */
  readonly held: boolean;
}

/**
 * Units that a held row's straight-line code may load on software, where every access is compiled by itself. LLVM takes 10 seconds of a
 * core for two rows of 24 and 5 for one of 32, and reading such rows again is no slower (rms_norm 2048×768: 0.8 of the time, layer_norm
 * 0.95).
 */
const LOADS = 24;
/** The same on subgroups of four: SwiftShader compiles sooner, and reads more slowly. */
const FOUR_LOADS = 48;

/** Elements of a row from which on one pass for two reductions was measured to pay on subgroups of four. */
const LONG = 32768;

/** Workgroups that there should be at least: a few for each core. */
const GROUPS = 16;

/** How many rows a subgroup may keep at once: two where they share loads, as long as the code stays within what compiles quickly. */
function heldTogether(z: Rows, hold: number, sg: number, target: Target): readonly number[] {
  const { own, shared } = z.loads;
  if (!z.held) return [];
  if (target.kind !== "software") return hold <= 16 ? [1] : [];
  const fits = (each: number): boolean => hold * (each * (own + 1) + shared) <= (sg === 4 ? FOUR_LOADS : LOADS);
  const many = z.rows >= 64;
  const few = own + shared === 1 ? 1 : shared > 0 && many ? 2 : 0;
  // A subgroup costs as much as its row where that is one load (8192×32: softmax 0.68 of the time, layer_norm 0.72).
  const each = few > 0 && many && hold === 1 ? 4 : few;
  return each > 0 && fits(each) ? [each] : [];
}

function rowSchedules(z: Rows, target: Target): readonly RowSchedule[] {
  const { rows, length, loads } = z;
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const software = target.kind === "software";
  const sg = fixedSubgroup(target);
  const out: RowSchedule[] = [];
  // Rows side by side: a workgroup costs as much as hundreds of operations, and every core needs a few.
  const beside = (each: number, most: number): number => powerAtMost(Math.max(1, rows / each / GROUPS), most);
  const row = (s: Partial<RowSchedule> & Pick<RowSchedule, "vector" | "rows" | "threads">): RowSchedule => ({
    ...COMMON,
    kind: "row",
    hold: 0,
    pass: "reread",
    block: 1,
    ...s,
  });
  const alone = (vector: 1 | 2 | 4): void => {
    for (const block of [4, 1])
      out.push(row({ vector, rows: software ? Math.max(1, Math.min(8, rows)) : 64, threads: 1, block }));
  };
  const shortRows = length <= (software ? 16 : 8);
  for (const vector of VECTORS) {
    const units = Math.ceil(length / vector);
    if (shortRows) alone(vector);
    // One read less of each row (64×32768: variance 0.6 and softmax 0.9 of the time on subgroups of four, 0.8 of both on eight).
    // On eight lanes rows that are too long to be held gain too: softmax 1024² takes 0.88 of the time of reading them again.
    // So do few rows on four (softmax 32×1024 takes 0.68 of the time, 16×4096 0.85).
    const once = software && z.held && (length >= LONG || sg > 4 || rows < 64) && loads.own + loads.shared === 1;
    // Four lanes share nothing of a row that one has not: softmax 1024² takes 0.72 of the time of a subgroup a row, 8192×128 0.71, squared
    // differences 0.4, sums 0.66 to 0.9.
    if (software && sg === 4 && loads.shared === 0 && rows >= 4 * GROUPS) {
      const side = { vector, rows: beside(1, 32), threads: 1 } as const;
      // In one pass, where there is a rule: cross-entropy of 128×32000 takes 0.8 of the time, softmax 1024² 0.9.
      if (vector === 4 && loads.own === 1)
        for (const pass of z.held ? (["online", "reread"] as const) : (["reread"] as const))
          out.push(row({ ...side, pass, block: 4, wide: 4 }));
      if (!once) out.push(row(side));
    }
    if (sg > 0) {
      const hold = Math.ceil(units / sg);
      for (const each of heldTogether(z, hold, sg, target))
        out.push(
          row({
            vector,
            rows: software ? beside(each, 8) : 1,
            threads: sg as Threads,
            hold,
            pass: "held",
            combine: "subgroup",
            ...(each > 1 ? { each } : {}),
          }),
        );
      if (once) {
        // Two rows at a time for two blocks of one: softmax 1024² takes 0.87 of the time on eight lanes.
        const each = sg > 4 && rows >= 64 ? 2 : 1;
        const block = each > 1 ? 1 : 4;
        out.push(
          row({
            vector,
            rows: beside(each, 8),
            threads: sg as Threads,
            each,
            pass: "online",
            block,
            combine: "subgroup",
          }),
        );
      }
      // Rows in one pass, an element's vector at a time: layer_norm 256×8192 and 2048×768 take 0.83 of the time on subgroups of four, 0.77 on
      // eight; 32×4096 by two 0.5 and 0.8.
      const some = rows >= 64 ? 4 : rows >= 16 ? 2 : 1;
      if (software && z.held && loads.own === 1 && loads.shared > 0)
        out.push(
          row({
            vector,
            rows: beside(some, 8),
            threads: sg as Threads,
            each: some,
            pass: "online",
            combine: "subgroup",
          }),
        );
      // Several rows share what does not depend on the row, few too (rms_norm 32×4096 0.77 of the time on subgroups of four).
      const four = loads.own + loads.shared > 1 && !z.held ? 8 : 4;
      const sharing = rows >= 64 ? (sg === 4 ? four : z.held ? 2 : 4) : loads.shared > 0 ? some : 1;
      const each = software ? sharing : 1;
      // On llvmpipe blocks are slower (rms_norm 768: 1.7 times) and take LLVM 9 seconds instead of 0.2.
      const block = isLlvmpipe(target) ? 1 : 4;
      for (const e of new Set([each, 1]))
        out.push(
          row({
            vector,
            rows: software ? beside(e, 8) : 1,
            threads: sg as Threads,
            block: e > 1 ? 1 : block,
            each: e,
            combine: "subgroup",
          }),
        );
    }
    if (!software) {
      const threads = powerAtMost(Math.max(1, units / 2), Math.min(256, most));
      const side = Math.max(1, Math.floor(64 / threads));
      const hold = Math.ceil(units / threads);
      if (hold <= 8 && z.held) out.push(row({ vector, rows: side, threads, hold, pass: "held" }));
      out.push(row({ vector, rows: side, threads, block: 2 }), row({ vector, rows: side, threads }));
    }
    alone(vector);
    if (software) out.push(row({ vector, rows: 1, threads: powerAtMost(units, 64), block: 2 }));
  }
  return out;
}
