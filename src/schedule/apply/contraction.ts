import type { DType } from "../../../ir/dtype.ts";
import { productExtent, size } from "../../../ir/extent.ts";
import type { Lanes } from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, type Definition, input, type Reduce, read, shapeOf } from "../../../ir/tensor.ts";
import type { AppliedKernel, Temporary } from "../applied.ts";
import type { ContractionRegion } from "../region.ts";
import { type ContractionSchedule, inRange, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { type Builder, finish } from "./builder.ts";
import { broadcastLoop, registerLoop, swapLoop } from "./k-steps.ts";
import { alongOf, inVectors } from "./operands.ts";
import { storeByLoop, storeTile } from "./results.ts";
import { rowsOf } from "./row.ts";
import { rowKernel } from "./rows.ts";
import { stagedLoop } from "./stage.ts";
import { type Plan, QUAD, sidesOf, tileKernel } from "./tile.ts";
import { laneable } from "./walk.ts";

export function applyContraction(
  region: ContractionRegion,
  s: ContractionSchedule,
  target: Target,
): readonly AppliedKernel[] {
  check(region, s);
  const along = s.vector === 1 ? "none" : (s.along ?? alongOf(region, s.vector));
  if (!along) throw new ScheduleError("vector", `no axis takes vectors of ${s.vector}`);
  if (along === "m" && region.filled) throw new ScheduleError("along", "N is what has been filled up");
  const sides = sidesOf(region, along === "m");
  if (along === "n" || along === "m") {
    if (sides.n.length === 0 || !laneable(sides.n, s.vector))
      throw new ScheduleError(
        "vector",
        `the innermost ${along} extent is not a multiple of ${s.vector}`,
        sides.n.at(-1)?.name,
      );
  }
  if (along === "k" && !laneable(sides.k, s.vector))
    throw new ScheduleError("vector", `the innermost k extent is not a multiple of ${s.vector}`, sides.k.at(-1)?.name);
  if (along === "k" && !region.reduce.monoid.commutative)
    throw new ScheduleError("vector", `${region.reduce.monoid.name} does not commute`);
  const laneN: Lanes = along === "n" || along === "m" ? s.vector : 1;
  const shared = s.subgroup === "broadcast" || s.subgroup === "swap";
  const kept = shared || s.stage !== "none";
  // Rows are loaded in vectors along K where that is how they lie, and handed out lane by lane; not where a step of K is shorter.
  const rowsAlongK = s.tileK >= s.vector && inVectors(sides.a, sides.k, s.vector);
  const laneK: Lanes = along === "k" ? s.vector : along !== "none" && rowsAlongK ? s.vector : 1;
  const dot = along === "k" && !kept;
  if (shared) checkShared(s, target, region.reduce.monoid.slots.length);
  const groupRows = shared ? s.reg[0] : s.threads[0] * s.reg[0];
  const split = s.splitK > 1 ? splitOf(region, s.splitK) : undefined;
  const plan: Plan = {
    laneN,
    laneK,
    dot,
    deal: s.subgroup === "swap" ? "quad" : shared ? "subgroup" : "together",
    groupRows,
    partials: split?.partials,
  };
  const prepare = (b: Builder): void => {
    if (split) for (const [d, t] of split.temporaries) b.temporaries.set(d, t);
  };
  const { b, body } = tileKernel(sides, s, target, plan, split ? `${region.name}_parts` : region.name, prepare, (t) => {
    if (s.stage !== "none") stagedLoop(t, { a: s.stage !== "b", b: s.stage !== "a" });
    else if (s.subgroup === "broadcast") broadcastLoop(t);
    else if (s.subgroup === "swap") swapLoop(t);
    else registerLoop(t);
    if (s.epilogue === "loop") storeByLoop(t, plan.partials);
    else storeTile(t, plan.partials);
  });
  const first = finish(b, body);
  return split ? [first, secondStage(region, split, target)] : [first];
}

function check(region: ContractionRegion, s: ContractionSchedule): void {
  const [m, n] = s.reg;
  inRange("reg", m, 1, 512);
  inRange("reg", n, 1, 512);
  if (m * n > (s.subgroup === "none" ? 64 : 512))
    throw new ScheduleError("reg", `${m}×${n} elements an invocation are too many`);
  for (const x of s.threads) inRange("threads", x, 1, 1024);
  inRange("tileK", s.tileK, 1, 64);
  inRange("splitK", s.splitK, 1, 64);
  inRange("batches", s.batches, 1, 64);
  if (s.rowFrom === "workgroup" && s.threads[0] !== 1)
    throw new ScheduleError("rowFrom", "rows from the workgroup need one row of threads");
  if (s.stage === "none" && (s.buffers !== 1 || s.pad !== 0))
    throw new ScheduleError("stage", "buffers and padding are for staged tiles");
  if (s.stage !== "none" && (s.threads[2] !== 1 || s.batches !== 1))
    throw new ScheduleError("stage", "a staged tile has one batch position and does not split K among invocations");
  if (s.stage !== "none" && s.subgroup !== "none")
    throw new ScheduleError("stage", "a tile comes from workgroup memory or from the subgroup");
  if (s.threads[2] > 1 && !region.reduce.monoid.commutative)
    throw new ScheduleError("threads", `${region.reduce.monoid.name} does not commute`);
  if (s.threads[2] > 1 && (s.threads[2] & (s.threads[2] - 1)) !== 0)
    throw new ScheduleError("threads", "K is split among a power of two");
  if (s.stage !== "none" && s.stage !== "a" && !region.b)
    throw new ScheduleError("stage", "there is no second operand");
}

function checkShared(s: ContractionSchedule, target: Target, slots: number): void {
  const [low, high] = [target.subgroupMinSize, target.subgroupMaxSize];
  if (low < 1 || low !== high || !target.features.includes("subgroups"))
    throw new ScheduleError("subgroup", `subgroups of ${low} to ${high}`);
  const [tm, lanes, tk] = s.threads;
  if (tm !== 1 || tk !== 1 || lanes > low || (lanes * s.batches) % low !== 0 || low % lanes !== 0)
    throw new ScheduleError("threads", `a batch position has a subgroup of ${low} or a part of one`);
  if (s.subgroup === "swap" && lanes !== QUAD) throw new ScheduleError("threads", `${QUAD} lanes exchange their rows`);
  if (s.reg[0] % lanes !== 0) throw new ScheduleError("reg", `${s.reg[0]} rows on ${lanes} lanes`);
  if (slots < 1) throw new ScheduleError("subgroup", "nothing to reduce");
}

// ---- Split K ------------------------------------------------------------------------------------------------------

export interface Split {
  readonly partials: readonly Definition[];
  readonly temporaries: ReadonlyMap<Definition, readonly Temporary[]>;
  readonly parts: Axis;
}

export function splitOf(region: ContractionRegion, parts: number): Split {
  const p = axis("part", size(parts));
  const partials = region.reduce.monoid.slots.map((d: DType, s) =>
    input(`${region.def.name}_part${s}`, d, [p, ...region.def.axes]),
  );
  const temporaries = new Map<Definition, readonly Temporary[]>(
    partials.map((d) => [
      d,
      [{ kind: "temporary", name: d.name, dtype: d.types[0] ?? "f32", size: productExtent(shapeOf(d)) }],
    ]),
  );
  return { partials, temporaries, parts: p };
}

/** Combines the parts and applies the epilogue, an invocation a result. */
export function secondStage(region: ContractionRegion, split: Split, target: Target): AppliedKernel {
  const P = region.def.axes.map((a) => axisRef(a));
  const again: Reduce = {
    ...region.reduce,
    axes: [split.parts],
    values: split.partials.map((p) => read(p, 0, [axisRef(split.parts), ...P])),
  };
  const job = rowsOf(region);
  const phases = job.phases.map((p) => (p.kind === "reduce" ? { ...p, reduce: again } : p));
  const threads = Math.min(64, target.limits.maxComputeInvocationsPerWorkgroup);
  return rowKernel(
    { ...job, phases },
    {
      rows: threads,
      each: 1,
      threads: 1,
      rowsFirst: true,
      vector: 1,
      vectorOn: "row",
      unroll: 1,
      combine: "workgroup",
      online: false,
      hold: 0,
      parts: 1,
    },
    target,
    (b) => {
      for (const [d, t] of split.temporaries) b.temporaries.set(d, t);
    },
  );
}
