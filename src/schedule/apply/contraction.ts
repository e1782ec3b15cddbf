/** Contractions: an invocation's tile of rows and columns over K, from registers, subgroup broadcasts or workgroup memory. */
import { addForms, constantForm, linearOf, scaleForm } from "../../../ir/affine.ts";
import type { DType } from "../../../ir/dtype.ts";
import { ceilDivExtent, type Extent, ONE, productExtent, size, subExtent } from "../../../ir/extent.ts";
import {
  extract,
  iadd,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvector,
  type Lanes,
  shuffle,
  splat,
  subgroup,
} from "../../../ir/kernel.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Definition,
  input,
  type Reduce,
  read,
  shapeOf,
  type TensorExpr,
} from "../../../ir/tensor.ts";
import { divisible, formExpression } from "../affine.ts";
import type { AppliedKernel, Temporary } from "../applied.ts";
import { lower } from "../lower.ts";
import type { ContractionRegion } from "../region.ts";
import { type ContractionSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { accumulate } from "./accumulate.ts";
import { type Builder, bindAxis, finish, inCopy, name } from "./builder.ts";
import { alongOf, contiguous } from "./operands.ts";
import { storeByLoop, storeTile } from "./results.ts";
import { rowsOf } from "./row.ts";
import { rowKernel } from "./rows.ts";
import { stagedLoop } from "./stage.ts";
import { atColumn, atRow, type Plan, sidesOf, slotValues, type Tile, tileKernel } from "./tile.ts";
import { collapse, laneable, unflattenAxes, unitsOf, walk } from "./walk.ts";

export function applyContraction(
  region: ContractionRegion,
  s: ContractionSchedule,
  target: Target,
): readonly AppliedKernel[] {
  check(region, s);
  const along = s.vector === 1 ? "none" : (s.along ?? alongOf(region, s.vector));
  if (!along) throw new ScheduleError("vector", `no axis takes vectors of ${s.vector}`);
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
  const kept = s.subgroup === "broadcast" || s.stage !== "none";
  // Rows are loaded in vectors along K where that is how they lie, and handed out lane by lane; not where a step of K is shorter.
  const rowsAlongK =
    s.vector > 1 && s.tileK >= s.vector && laneable(sides.k, s.vector) && contiguous([sides.a], sides.k);
  const laneK: Lanes = along === "k" ? s.vector : along !== "none" && rowsAlongK ? s.vector : 1;
  const dot = along === "k" && !kept;
  if (s.subgroup === "broadcast") checkBroadcast(s, target, region.reduce.monoid.slots.length);
  const groupRows = s.subgroup === "broadcast" ? s.reg[0] : s.threads[0] * s.reg[0];
  const split = s.splitK > 1 ? splitOf(region, s.splitK) : undefined;
  const plan: Plan = {
    laneN,
    laneK,
    dot,
    deal: s.subgroup === "broadcast" ? "subgroup" : "together",
    groupRows,
    partials: split?.partials,
  };
  const prepare = (b: Builder): void => {
    if (split) for (const [d, t] of split.temporaries) b.temporaries.set(d, t);
  };
  const { b, body } = tileKernel(sides, s, target, plan, split ? `${region.name}_parts` : region.name, prepare, (t) => {
    if (s.stage !== "none") stagedLoop(t, { a: s.stage !== "b", b: s.stage !== "a" });
    else if (s.subgroup === "broadcast") broadcastLoop(t);
    else registerLoop(t);
    if (s.epilogue === "loop") {
      if (region.epilogue.length === 0) throw new ScheduleError("epilogue", "there is none");
      storeByLoop(t, s.subgroup === "broadcast" ? t.rowBase : iadd(t.rowBase, imul(t.ty, kint(t.rows))));
    } else storeTile(t, plan.partials);
  });
  const first = finish(b, body);
  return split ? [first, secondStage(region, split, target)] : [first];
}

function check(region: ContractionRegion, s: ContractionSchedule): void {
  const [m, n] = s.reg;
  const whole = (field: string, v: number, high: number): void => {
    if (!Number.isInteger(v) || v < 1 || v > high) throw new ScheduleError(field, `${v} is not in 1…${high}`);
  };
  whole("reg", m, 512);
  whole("reg", n, 512);
  if (m * n > (s.subgroup === "broadcast" ? 512 : 64))
    throw new ScheduleError("reg", `${m}×${n} elements an invocation are too many`);
  for (const x of s.threads) whole("threads", x, 1024);
  whole("tileK", s.tileK, 64);
  whole("splitK", s.splitK, 64);
  whole("batches", s.batches, 64);
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

function checkBroadcast(s: ContractionSchedule, target: Target, slots: number): void {
  const [low, high] = [target.subgroupMinSize, target.subgroupMaxSize];
  if (low < 1 || low !== high || !target.features.includes("subgroups"))
    throw new ScheduleError("subgroup", `subgroups of ${low} to ${high}`);
  const [tm, lanes, tk] = s.threads;
  if (tm !== 1 || tk !== 1 || lanes > low || (lanes * s.batches) % low !== 0 || low % lanes !== 0)
    throw new ScheduleError("threads", `a batch position has a subgroup of ${low} or a part of one`);
  if (s.reg[0] % lanes !== 0) throw new ScheduleError("reg", `${s.reg[0]} rows on ${lanes} lanes`);
  if (slots < 1) throw new ScheduleError("subgroup", "nothing to reduce");
}

// ---- Walking K ----------------------------------------------------------------------------------------------------

/** Loops over K in units of `laneK`; `body(kk)` runs once for each element of a unit with the k axes in place. */
function overK(t: Tile, unit: (at: (lane: number | undefined, body: () => void) => void) => void): void {
  const { b, s, sides, laneK } = t;
  const exprs = [...sides.region.reduce.values, sides.a, ...(sides.b ? [sides.b] : [])];
  let runs = collapse(sides.k, exprs, []);
  if (runs.length > 1 && (s.splitK > 1 || s.threads[2] > 1)) runs = [sides.k];
  const total = unitsOf(sides.k, laneK);
  let range: { from: KernelExpr; to: KernelExpr } | undefined;
  if (t.part) {
    const chunk = ksize(ceilDivExtent(total, size(s.splitK)));
    range = {
      from: name(b, "from", kapply("min", imul(t.part, chunk), ksize(total))),
      to: name(b, "to", kapply("min", imul(iadd(t.part, kint(1)), chunk), ksize(total))),
    };
  }
  const own = runs.length > 0 ? unitsOf(runs[runs.length - 1] ?? [], laneK) : ONE;
  const most = own.value === undefined ? s.tileK : Math.floor(own.value / s.splitK / s.threads[2]);
  const unroll = Math.max(1, Math.min(Math.floor(s.tileK / laneK), most));
  walk(
    b,
    runs,
    { start: t.tz, step: s.threads[2], unroll, lanes: laneK, ...(range ? { range } : {}) },
    (_, index, run) => {
      unit((lane, body) => {
        if (lane === undefined || laneK === 1) {
          body();
          return;
        }
        inCopy(b, () => {
          const flats = b.flats.length;
          unflattenAxes(b, run, elementOf(index, laneK, lane), 1);
          body();
          b.flats.length = flats;
        });
      });
    },
  );
}

export function elementOf(unit: TensorExpr, lanes: number, lane: number): TensorExpr {
  return formExpression(addForms(scaleForm(linearOf(unit), size(lanes)), constantForm(size(lane))));
}

type AtLane = (lane: number | undefined, body: () => void) => void;

/** Every invocation loads its own rows and columns. */
function registerLoop(t: Tile): void {
  overK(t, (at) =>
    tileStep(
      t,
      at,
      () => t.rowAxes.map((a) => atRow(t, a, () => lower(t.b, t.sides.a))),
      (v) => v,
    ),
  );
}

/**
 * Lane s of the subgroup loads rows s, s + size, …; each value reaches the others by a broadcast. Where several batch positions share a
 * subgroup each has neighbouring lanes of its own, which pass their values among themselves.
 */
function broadcastLoop(t: Tile): void {
  const { b, s } = t;
  const lanes = s.threads[1];
  b.subgroupSize = b.target.subgroupMaxSize;
  const id = name(b, "own", subgroup("id"));
  const shared = lanes < b.subgroupSize;
  const own = shared ? t.tx : id;
  const first = shared ? name(b, "first", isub(id, own)) : undefined;
  const from = first && Array.from({ length: lanes }, (_, l) => name(b, "from", iadd(first, kint(l))));
  const extent: Extent = t.rowCount;
  const axes = Array.from({ length: t.rows / lanes }, (_, g): Axis => {
    const a = axis("row", extent);
    const at = iadd(iadd(t.rowBase, kint(g * lanes)), own);
    bindAxis(
      b,
      a,
      divisible(extent, t.rows) ? at : name(b, "inside", kapply("min", at, ksize(subExtent(extent, ONE)))),
    );
    return a;
  });
  overK(t, (at) =>
    tileStep(
      t,
      at,
      () => {
        const held = axes.map((a) => atRow(t, a, () => lower(b, t.sides.a)));
        return Array.from({ length: t.rows }, (_, i) => held[Math.floor(i / lanes)] ?? kint(0));
      },
      (v, i) => {
        const source = from?.[i % lanes];
        return name(b, "q", source ? shuffle(v, source) : subgroup("broadcast", v, i % lanes));
      },
    ),
  );
}

/** One unit of K: the rows' operands once, then for each element of the unit the columns' and all products. */
function tileStep(
  t: Tile,
  at: AtLane,
  rows: () => readonly KernelExpr[],
  share: (v: KernelExpr, row: number) => KernelExpr,
): void {
  const { b, sides } = t;
  const columns = (): readonly (KernelExpr | undefined)[] =>
    t.columnAxes.map((a) => (sides.b ? atColumn(t, a, () => lower(b, sides.b ?? sides.a)) : undefined));
  const products = (
    left: readonly KernelExpr[],
    right: readonly (KernelExpr | undefined)[],
    lane: number | undefined,
  ): void => {
    for (let i = 0; i < t.rows; i++) {
      const whole = left[i];
      if (!whole) continue;
      const x = share(lane === undefined ? whole : extract(whole, lane), i);
      for (let j = 0; j < t.columns; j++) {
        const y = right[j];
        accumulate(
          b,
          t.acc,
          i * t.columns + j,
          slotValues(t, i, j, x, y === undefined || lane === undefined || t.laneN > 1 ? y : extract(y, lane)),
        );
      }
    }
  };
  const left = rows();
  if (t.dot || t.laneK === 1) {
    products(left, columns(), undefined);
    return;
  }
  if (t.laneN > 1 && sides.b && contiguous([sides.b], sides.k) && !contiguous([sides.b], sides.n)) {
    // Columns lie along K: a vector along K for each of them, turned into vectors along N.
    const held = t.columnAxes.map((a) => columnsAlongK(t, a, sides.b ?? sides.a));
    for (let lane = 0; lane < t.laneK; lane++) {
      const turned = held.map((lanes) => name(b, "y", kvector(lanes.map((v) => extract(v, lane)))));
      at(lane, () => products(left, turned, lane));
    }
    return;
  }
  // Columns in vectors along N are loaded for each element of K; else they too come in vectors along K.
  const along = t.laneN > 1 ? undefined : columns();
  for (let lane = 0; lane < t.laneK; lane++) at(lane, () => products(left, along ?? columns(), lane));
}

/** The operand of each of a vector's columns, in a vector along K. */
function columnsAlongK(t: Tile, a: Axis, e: TensorExpr): readonly KernelExpr[] {
  return Array.from({ length: t.laneN }, (_, l) =>
    inCopy(t.b, () => {
      const flats = t.b.flats.length;
      unflattenAxes(t.b, t.sides.n, elementOf(axisRef(a), t.laneN, l), 1);
      const v = splat(lower(t.b, e), t.laneK);
      t.b.flats.length = flats;
      return v;
    }),
  );
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
