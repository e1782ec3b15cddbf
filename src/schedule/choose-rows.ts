/** Candidates for rows and reductions, best guess first. */
import { type Axis, axisRef, type Definition, type Read, substituteAxes } from "../../ir/tensor.ts";
import { axesIn } from "../passes/rewrite.ts";
import { divisible } from "./affine.ts";
import {
  COMMON,
  columnSchedules,
  GROUPS,
  reductionSchedules,
  VECTORS,
  wideColumns,
  windowSchedules,
} from "./choose-reductions.ts";
import { BUSY, fixedSubgroup, guessAll, isLlvmpipe, movement, pagesApart, powerAtMost, readsIn } from "./measure.ts";
import type { RowRegion } from "./region.ts";
import type { RowSchedule, Schedule, Threads } from "./schedule.ts";
import type { Target } from "./target.ts";

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
  // What is the same for many rows stays in caches: a vector times a matrix goes down the columns of the matrix (2048²: 0.6 of the time on
  // SwiftShader).
  const row = movement(largest(reads), along);
  const side = movement(reads, region.axes.at(-1));
  const apart = along !== undefined && pagesApart(reads, along);
  const out: Schedule[] = [];
  if (single(region)) {
    const windows = windowSchedules(region, reads, rows, length, target);
    // Down the columns, or short windows: neighbouring results lie together.
    if (side.unit > 0 && (row.unit === 0 || length <= 32)) {
      const last = region.axes.at(-1);
      if (row.unit === 0 && last && divisible(last.extent, 16)) out.push(...wideColumns(rows, length, target));
      out.push(...windows, ...columnSchedules(rows, length, apart, target));
    } else out.push(...windows);
    out.push(...reductionSchedules(rows, length, target));
  } else if (side.unit > 0 && row.unit === 0) out.push(...acrossSchedules(rows, length, target));
  out.push(
    ...(target.kind === "software" ? softwareRows : gpuRows)(
      { rows, length, loads: heldLoads(region), held: region.phases.length > 1 && !single(region) },
      target,
    ),
  );
  if (single(region)) out.push(...columnSchedules(rows, length, apart, target));
  return out;
}

/** Reads that are of most elements: of a quarter of those that the widest read is of, at least. */
function largest(reads: readonly Read[]): readonly Read[] {
  const elements = reads.map((r) => guessAll([...new Set(r.at.flatMap((x) => [...axesIn(x)]))]));
  const most = Math.max(...elements);
  return reads.filter((_, i) => 4 * elements[i]! >= most);
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

/** How many rows a subgroup may keep at once: two where they share loads, as long as the code stays within what compiles quickly. */
function heldTogether(z: Rows, hold: number, sg: number): readonly number[] {
  const { own, shared } = z.loads;
  if (!z.held) return [];
  const fits = (each: number): boolean => hold * (each * (own + 1) + shared) <= (sg === 4 ? FOUR_LOADS : LOADS);
  const many = z.rows >= 64;
  const few = own + shared === 1 ? 1 : shared > 0 && many ? 2 : 0;
  // A subgroup costs as much as its row where that is one load (8192×32: softmax 0.68 of the time, layer_norm 0.72).
  const each = few > 0 && many && hold === 1 ? 4 : few;
  return each > 0 && fits(each) ? [each] : [];
}

const rowOf = (s: Partial<RowSchedule> & Pick<RowSchedule, "vector" | "rows" | "threads">): RowSchedule => ({
  ...COMMON,
  kind: "row",
  hold: 0,
  pass: "reread",
  block: 1,
  ...s,
});

/** An invocation a row. */
const alone = (vector: 1 | 2 | 4, rows: number): readonly RowSchedule[] =>
  [4, 1].map((block) => rowOf({ vector, rows, threads: 1, block }));

/** Elements of a row that an invocation takes alone on software. */
const SHORT = 16;

/**
 * Several short rows an invocation, many invocations a workgroup: beside eight of one row each, sums of 7 take 0.3 of the time on subgroups of
 * four and 0.5 on eight, of 16 0.7 and 0.6, softmax of 7 0.26 and 0.55, of 16 0.7 and 0.8. Where vectors are few they are read again for
 * each phase, together; else a row is kept.
 */
function shortRow(z: Rows, vector: 1 | 2 | 4, sg: number): RowSchedule {
  const units = Math.ceil(z.length / vector);
  const most = z.held || z.loads.own > 1 ? 2 : 4;
  const each = powerAtMost(z.rows / GROUPS, z.length <= 8 ? most : most / 2);
  const rows = powerAtMost(z.rows / each / GROUPS, 64);
  const again = units <= 4 && (!z.held || (sg === 4 && vector > 1));
  const pass = again ? ({ pass: "reread", block: 4 } as const) : ({ pass: "held", hold: units } as const);
  return rowOf({ vector, rows, threads: 1, ...pass, ...(each > 1 ? { each } : {}) });
}

function softwareRows(z: Rows, target: Target): readonly RowSchedule[] {
  const { rows, length, loads } = z;
  const sg = fixedSubgroup(target);
  const out: RowSchedule[] = [];
  // Rows side by side: a workgroup costs as much as hundreds of operations, and every core needs a few.
  const beside = (each: number, most: number): number => powerAtMost(Math.max(1, rows / each / GROUPS), most);
  const few = Math.max(1, Math.min(8, rows));
  for (const vector of VECTORS) {
    const units = Math.ceil(length / vector);
    if (length <= SHORT) out.push(shortRow(z, vector, sg), ...alone(vector, few));
    // One read less of each row (64×32768: variance 0.6 and softmax 0.9 of the time on subgroups of four, 0.8 of both on eight).
    // On eight lanes rows that are too long to be held gain too: softmax 1024² takes 0.88 of the time of reading them again.
    // So do few rows on four (softmax 32×1024 takes 0.68 of the time, 16×4096 0.85).
    const once = z.held && (length >= LONG || sg > 4 || rows < 64) && loads.own + loads.shared === 1;
    // Four lanes share nothing of a row that one has not: softmax 1024² takes 0.72 of the time of a subgroup a row, 8192×128 0.71, squared
    // differences 0.4, sums 0.66 to 0.9.
    if (sg === 4 && loads.shared === 0 && rows >= 4 * GROUPS) {
      const side = { vector, rows: beside(1, 32), threads: 1 } as const;
      // In one pass, where there is a rule: cross-entropy of 128×32000 takes 0.8 of the time, softmax 1024² 0.9.
      if (vector === 4 && loads.own === 1)
        for (const pass of z.held ? (["online", "reread"] as const) : (["reread"] as const))
          out.push(rowOf({ ...side, pass, block: 4, wide: 4 }));
      if (!once) out.push(rowOf(side));
    }
    if (sg > 0) {
      const hold = Math.ceil(units / sg);
      for (const each of heldTogether(z, hold, sg))
        out.push(
          rowOf({
            vector,
            rows: beside(each, 8),
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
          rowOf({
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
      if (z.held && loads.own === 1 && loads.shared > 0)
        out.push(
          rowOf({
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
      const each = rows >= 64 ? (sg === 4 ? four : z.held ? 2 : 4) : loads.shared > 0 ? some : 1;
      // On llvmpipe blocks are slower (rms_norm 768: 1.7 times) and take LLVM 9 seconds instead of 0.2.
      const block = isLlvmpipe(target) ? 1 : 4;
      for (const e of new Set([each, 1]))
        out.push(
          rowOf({
            vector,
            rows: beside(e, 8),
            threads: sg as Threads,
            block: e > 1 ? 1 : block,
            each: e,
            combine: "subgroup",
          }),
        );
    }
    out.push(...alone(vector, few), rowOf({ vector, rows: 1, threads: powerAtMost(units, 64), block: 2 }));
  }
  return out;
}

/** Vectors of its rows, of each array that is one, that an invocation should keep; twice as many are the most. */
const KEPT = 8;
/** Of more invocations with so much to keep a workgroup may not fit where registers are few. */
const WIDEST = 512;

/**
 * On a GPU a subgroup has a row, or a workgroup where rows are too few to keep the device busy by subgroups or too long for one to keep:
 * 128 rows of 32,000 by subgroups would have 4,096 invocations. None of it has been measured on a device yet.
 */
function gpuRows(z: Rows, target: Target): readonly RowSchedule[] {
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const sg = fixedSubgroup(target);
  const out: RowSchedule[] = [];
  for (const vector of VECTORS) {
    const units = Math.ceil(z.length / vector);
    const usual = powerAtMost(Math.max(1, units / 2), Math.min(256, most));
    const wide = widthOf(z, units, sg > 0 ? (sg as Threads) : usual, most);
    const subgroup = { vector, rows: 1, threads: sg as Threads, combine: "subgroup" } as const;
    const bySubgroup = sg > 0 ? sharedRows(z, units, subgroup, [4]) : [];
    const byGroup = [...new Set([wide, usual])].flatMap((threads) =>
      sharedRows(z, units, { vector, rows: Math.max(1, Math.floor(64 / threads)), threads }, [2, 1]),
    );
    if (z.length <= 8) out.push(...alone(vector, 64));
    if (wide === sg) out.push(...bySubgroup, ...byGroup);
    else out.push(...byGroup, ...bySubgroup);
    out.push(...alone(vector, 64));
  }
  return out;
}

/** Invocations a row: twice as many while they are too few, or have more of the row than they keep; each has two vectors of it at least. */
function widthOf(z: Rows, units: number, least: Threads, most: number): Threads {
  let t = least;
  while (
    2 * t <= Math.min(most, WIDEST) &&
    units > 2 * t &&
    (z.rows * t < BUSY || (z.held && kept(z, units, t) > KEPT))
  )
    t = (2 * t) as Threads;
  return t;
}

const kept = (z: Rows, units: number, threads: number): number => Math.ceil(units / threads) * Math.max(1, z.loads.own);

/** Rows that several invocations share: kept where they can keep them, else read again in blocks. */
function sharedRows(
  z: Rows,
  units: number,
  row: Pick<RowSchedule, "vector" | "rows" | "threads" | "combine">,
  blocks: readonly number[],
): readonly RowSchedule[] {
  const holds = z.held && kept(z, units, row.threads) <= 2 * KEPT;
  const held = holds ? [rowOf({ ...row, hold: Math.ceil(units / row.threads), pass: "held" })] : [];
  return [...held, ...blocks.map((block) => rowOf({ ...row, block }))];
}
