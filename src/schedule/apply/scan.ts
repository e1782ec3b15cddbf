/** Scans: an invocation a row in sequence, or blocks scanned apart and offset by their running totals. */
import type { DType } from "../../../ir/dtype.ts";
import {
  ceilDivExtent,
  divExtent,
  type Extent,
  modExtent,
  mulExtent,
  productExtent,
  size,
  subExtent,
} from "../../../ir/extent.ts";
import {
  extract,
  iadd,
  imul,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvar,
  kvector,
  type Lanes,
  loop,
  splat,
  variable,
} from "../../../ir/kernel.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Definition,
  input,
  read,
  shapeOf,
  type TensorExpr,
} from "../../../ir/tensor.ts";
import { divisible } from "../affine.ts";
import type { AppliedKernel, Temporary } from "../applied.ts";
import { lower, resolve, storeAt } from "../lower.ts";
import type { ScanRegion } from "../region.ts";
import { inRange, type ScanSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { type Accumulator, accumulate, combine, current, newAccumulator } from "./accumulate.ts";
import {
  type Builder,
  bindAxis,
  checkGroup,
  emit,
  finish,
  inFrame,
  name,
  newBuilder,
  originOf,
  top,
} from "./builder.ts";
import { storeResult } from "./results.ts";
import { perUnit } from "./units.ts";
import { countOf, neverEmpty, unflattenAxes } from "./walk.ts";

export function applyScan(region: ScanRegion, s: ScanSchedule, target: Target): readonly AppliedKernel[] {
  checkGroup(target, s.threads);
  inRange("each", s.each, 1, 16);
  return s.form === "carry" ? [carry(region, s, target)] : blocks(region, s, target);
}

interface Rows {
  readonly others: readonly Axis[];
  readonly count: Extent;
}
function rowsOf(region: ScanRegion): Rows {
  const others = region.def.axes.filter((a) => a !== region.def.along);
  return { others, count: countOf(others) };
}

/** Stores the running value at the current position, and the epilogue's results. */
function storeHere(b: Builder, region: ScanRegion, values: readonly KernelExpr[]): void {
  const P = region.def.axes.map((a) => axisRef(a));
  values.forEach((v, s) => {
    top(b).memo.set(resolve(b, read(region.def, s, P)), { expr: v, level: b.frames.length - 1 });
  });
  for (const ref of region.stores) storeResult(b, region, ref, values, P);
}

function prepare(b: Builder, region: ScanRegion): void {
  originOf(b, region);
  b.onChip.add(region.def);
}

function oneByOne(b: Builder, acc: Accumulator, region: ScanRegion): readonly KernelExpr[] {
  accumulate(
    b,
    acc,
    0,
    region.def.values.map((v) => lower(b, v)),
  );
  return current(acc, 0).map((v) => name(b, "now", v));
}

/** What a vector's lanes are: neighbouring rows, or neighbouring elements of one. */
function lanesAlong(region: ScanRegion, lanes: number): "rows" | "row" {
  const { others } = rowsOf(region);
  const { along } = region.def;
  const last = region.def.axes[region.def.axes.length - 1];
  const inner = last === along ? along : others[others.length - 1];
  if (!inner || inner !== last || !divisible(inner.extent, lanes))
    throw new ScheduleError("vector", `the innermost extent is not a multiple of ${lanes}`, inner?.name);
  return last === along ? "row" : "rows";
}

function carry(region: ScanRegion, s: ScanSchedule, target: Target): AppliedKernel {
  const { others, count } = rowsOf(region);
  const lanes: Lanes = s.vector;
  const inRow = lanes > 1 && lanesAlong(region, lanes) === "row";
  const rowLanes: Lanes = inRow ? 1 : lanes;
  const b = newBuilder(region.name, target, lanes);
  prepare(b, region);
  const body = perUnit(b, divExtent(count, size(rowLanes)), s.threads, (unit) => {
    unflattenAxes(b, others, unit, rowLanes);
    const acc = newAccumulator(b, region.def.monoid, 1, rowLanes);
    const along = region.def.along;
    const steps = inRow ? divExtent(along.extent, size(lanes)) : along.extent;
    const step = (at: KernelExpr): void => {
      if (!inRow) {
        bindAxis(b, along, at);
        storeHere(b, region, oneByOne(b, acc, region));
        return;
      }
      const a = axis("k", steps);
      bindAxis(b, a, at);
      unflattenAxes(b, [along], axisRef(a), lanes);
      storeHere(b, region, lanesInOrder(b, acc, region, lanes));
    };
    const each = steps.value !== undefined ? Math.min(s.each, Math.max(1, steps.value)) : s.each;
    let from: KernelExpr = kint(0);
    if (each > 1) {
      const until = subExtent(steps, modExtent(steps, size(each)));
      const w = variable("k");
      const together = inFrame(b, true, () => {
        for (let u = 0; u < each; u++) emit(b, ...inFrame(b, false, () => step(iadd(kvar(w), kint(u)))));
      });
      emit(b, loop(w, ksize(until), together, "loop", kint(0), each));
      if (until === steps) return;
      from = ksize(until);
    }
    const v = variable("k");
    const statements = inFrame(b, !neverEmpty(steps), () => step(kvar(v)));
    emit(b, loop(v, ksize(steps), statements, "loop", from));
  });
  return finish(b, body);
}

/** Loads a vector of elements and runs through its lanes; gives the running values as vectors. */
function lanesInOrder(b: Builder, acc: Accumulator, region: ScanRegion, lanes: Lanes): readonly KernelExpr[] {
  const own = region.def.values.map((v) => name(b, "v", splat(lower(b, v), lanes)));
  const running: (readonly KernelExpr[])[] = [];
  for (let l = 0; l < lanes; l++) {
    accumulate(
      b,
      acc,
      0,
      own.map((v) => extract(v, l)),
    );
    running.push(current(acc, 0).map((v) => name(b, "now", v)));
  }
  return own.map((_, s) => name(b, "now", kvector(running.map((r) => r[s] ?? kint(0)))));
}

/** Elements of a block: an invocation walks one in sequence. */
const BLOCK_UNIT = 16;

/**
 * Three kernels: totals of blocks, the exclusive scan of the totals, and the blocks again from where they begin. The order
 * of combination is kept, so the monoid need not commute.
 */
function blocks(region: ScanRegion, s: ScanSchedule, target: Target): readonly AppliedKernel[] {
  if (s.vector > 1) throw new ScheduleError("vector", "blocks are walked element by element");
  const { others, count } = rowsOf(region);
  const along = region.def.along;
  const m = region.def.monoid;
  const length = BLOCK_UNIT * s.each;
  const blockCount = ceilDivExtent(along.extent, size(length));
  const blockAxis = axis("block", blockCount);
  const totals = m.slots.map((d: DType, i) => input(`${region.def.name}_total${i}`, d, [...others, blockAxis]));
  const offsets = m.slots.map((d: DType, i) => input(`${region.def.name}_offset${i}`, d, [...others, blockAxis]));
  const temporary = (t: Definition): Temporary => ({
    kind: "temporary",
    name: t.name,
    dtype: t.types[0] ?? "f32",
    size: productExtent(shapeOf(t)),
  });
  const made = new Map<Definition, readonly Temporary[]>([...totals, ...offsets].map((t) => [t, [temporary(t)]]));
  const begin = (name: string): Builder => {
    const b = newBuilder(name, target, 1);
    prepare(b, region);
    for (const [d, t] of made) b.temporaries.set(d, t);
    return b;
  };
  /** Walks one block; `at` is called after each element has been combined. */
  const inBlock = (b: Builder, acc: Accumulator, each: (() => void) | undefined): void => {
    const block = lower(b, axisRef(blockAxis));
    const from = name(b, "from", imul(block, kint(length)));
    const to = name(b, "to", kapply("min", iadd(from, kint(length)), ksize(along.extent)));
    const v = variable("k");
    const statements = inFrame(b, true, () => {
      bindAxis(b, along, kvar(v));
      if (each) each();
      else
        accumulate(
          b,
          acc,
          0,
          region.def.values.map((x) => lower(b, x)),
        );
    });
    emit(b, loop(v, to, statements, "loop", from));
  };
  const here = (): readonly TensorExpr[] => [...others.map((a) => axisRef(a)), axisRef(blockAxis)];
  const one = begin(`${region.name}_totals`);
  const oneBody = perUnit(one, mulExtent(count, blockCount), s.threads, (unit) => {
    unflattenAxes(one, [...others, blockAxis], unit, 1);
    const acc = newAccumulator(one, m, 1, 1);
    inBlock(one, acc, undefined);
    totals.forEach((t, i) => {
      const v = current(acc, 0)[i];
      if (v) storeAt(one, { tensor: t, slot: 0 }, here(), v);
    });
  });
  const two = begin(`${region.name}_offsets`);
  const twoBody = perUnit(two, count, s.threads, (unit) => {
    unflattenAxes(two, others, unit, 1);
    const acc = newAccumulator(two, m, 1, 1);
    const v = variable("k");
    const statements = inFrame(two, true, () => {
      bindAxis(two, blockAxis, kvar(v));
      const own = totals.map((t) => lower(two, read(t, 0, here())));
      offsets.forEach((t, i) => {
        const before = current(acc, 0)[i];
        if (before) storeAt(two, { tensor: t, slot: 0 }, here(), before);
      });
      accumulate(two, acc, 0, own);
    });
    emit(two, loop(v, ksize(blockCount), statements));
  });
  const three = begin(region.name);
  const threeBody = perUnit(three, mulExtent(count, blockCount), s.threads, (unit) => {
    unflattenAxes(three, [...others, blockAxis], unit, 1);
    const acc = newAccumulator(three, m, 1, 1);
    const start = offsets.map((t) => name(three, "start", lower(three, read(t, 0, here()))));
    inBlock(three, acc, () => {
      accumulate(
        three,
        acc,
        0,
        region.def.values.map((x) => lower(three, x)),
      );
      const now = combine(three, m, start, current(acc, 0)).map((v) => name(three, "now", v));
      storeHere(three, region, now);
    });
  });
  return [finish(one, oneBody), finish(two, twoBody), finish(three, threeBody)];
}
