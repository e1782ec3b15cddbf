/** Contractions through workgroup memory: tiles of the operands are evaluated once by the workgroup and read by all of it. */

import { divExtent, type Extent, ONE, size, subExtent } from "../../../ir/extent.ts";
import {
  type Buffer,
  extract,
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvar,
  type Lanes,
  load,
  loop,
  type Statement,
  splat,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible } from "../affine.ts";
import { lower } from "../lower.ts";
import { ScheduleError } from "../schedule.ts";
import { accumulate } from "./accumulate.ts";
import { type Builder, bindAxis, emit, inCopy, inFrame, name, newPrivate, newShared } from "./builder.ts";
import { loopOverK, rangeOfK } from "./k-loop.ts";
import { contiguous } from "./operands.ts";
import { atColumn, atRow, slotValues, type Tile } from "./tile.ts";
import { countOf, unflattenAxes } from "./walk.ts";

/** `k`: vectors along K, [outer][K]; `outer`: vectors along the outer axis, [K][outer]; `scalar`: [K][outer]. */
type Layout = "k" | "outer" | "scalar";

interface Staged {
  readonly expr: TensorExpr;
  readonly axes: readonly Axis[];
  readonly layout: Layout;
  readonly lanes: Lanes;
  /** Elements of the outer axis and of K in a tile. */
  readonly outer: number;
  readonly tileK: number;
  /** Units between neighbours in the slower direction. */
  readonly pitch: number;
  readonly units: number;
  readonly memory: Buffer;
  readonly kept: Buffer | undefined;
  /** The outer axis of each unit that an invocation evaluates, and its position. */
  readonly loads: readonly {
    readonly unit: KernelExpr;
    readonly axis: Axis;
    readonly k: KernelExpr;
    readonly place: KernelExpr;
    readonly guard: KernelExpr | undefined;
  }[];
}

export function stagedLoop(t: Tile, which: { readonly a: boolean; readonly b: boolean }): void {
  const { b, s, sides } = t;
  const [tm, tn] = s.threads;
  const threads = tm * tn;
  const total = countOf(sides.k);
  const tid = name(b, "tid", iadd(imul(t.ty, kint(tn)), t.tx));
  const rowsTile = tm * t.rows;
  const columnsTile = tn * t.columns * t.laneN;
  const vector = s.vector;
  const kVectors = vector > 1 && t.laneK > 1 && s.tileK % vector === 0;
  const stagedA = which.a
    ? stageOperand(
        t,
        tid,
        threads,
        sides.a,
        sides.m,
        t.rowBase,
        t.rowCount,
        rowsTile,
        layoutOf(sides.a, sides.m, sides.k, vector, kVectors, rowsTile, t.rows),
        1,
      )
    : undefined;
  const layoutB: Layout = t.laneN > 1 ? "outer" : kVectors ? "k" : "scalar";
  const stagedB =
    which.b && sides.b
      ? stageOperand(t, tid, threads, sides.b, sides.n, t.columnBase, countOf(sides.n), columnsTile, layoutB, t.laneN)
      : undefined;
  const staged = [stagedA, stagedB].filter((x) => x !== undefined);
  if (staged.length === 0) throw new ScheduleError("stage", "nothing is staged");

  const { from, to } = rangeOfK(b, s, t.part, total);
  loopOverK(b, {
    from,
    to,
    tileK: s.tileK,
    buffers: s.buffers,
    staged,
    halfOf: (x) => x.units,
    evaluate: (x, k) => evaluate(t, x, k, total),
    put: (x, values, offset) => put(b, x, values, offset),
    use: (k, halves) =>
      compute(t, stagedA, stagedB, k, to, total, kint(0), {
        a: stagedA ? halves[0] : undefined,
        b: stagedB ? halves[halves.length - 1] : undefined,
      }),
  });
}

function layoutOf(
  e: TensorExpr,
  outer: readonly Axis[],
  k: readonly Axis[],
  vector: number,
  kVectors: boolean,
  tile: number,
  own: number,
): Layout {
  if (kVectors && contiguous([e], k)) return "k";
  const last = outer[outer.length - 1];
  if (
    vector > 1 &&
    last &&
    divisible(last.extent, vector) &&
    tile % vector === 0 &&
    own % vector === 0 &&
    contiguous([e], outer)
  )
    return "outer";
  return "scalar";
}

function stageOperand(
  t: Tile,
  tid: KernelExpr,
  threads: number,
  expr: TensorExpr,
  axes: readonly Axis[],
  base: KernelExpr,
  extent: Extent,
  outer: number,
  layout: Layout,
  baseLanes: number,
): Staged {
  const { b, s } = t;
  const lanes: Lanes = layout === "scalar" ? 1 : s.vector;
  const outerUnits = layout === "outer" ? outer / lanes : outer;
  const kUnits = layout === "k" ? s.tileK / lanes : s.tileK;
  const pad = layout === "k" ? (s.pad > 0 ? 1 : 0) : layout === "outer" ? (s.pad > 0 ? 1 : 0) : s.pad;
  const pitch = (layout === "k" ? kUnits : outerUnits) + pad;
  const units = pitch * (layout === "k" ? outerUnits : kUnits);
  const count = outerUnits * kUnits;
  const each = Math.ceil(count / threads);
  const memory = newShared(b, "tile", expr.dtype, units * s.buffers, lanes);
  const kept = s.buffers > 1 ? newPrivate(b, "next", expr.dtype, each, lanes) : undefined;
  // Neighbouring invocations evaluate neighbouring elements in memory.
  const kFast = layout === "k" || (layout === "scalar" && contiguous([expr], t.sides.k));
  const extentUnits = layout === "outer" ? unitsIn(extent, lanes) : extent;
  // The base counts vectors where columns do; the tile counts elements of its own layout.
  const first = layout === "outer" && baseLanes === 1 ? idiv(base, kint(lanes)) : base;
  const loads = Array.from({ length: each }, (_, q) => {
    const unit = q === 0 ? tid : name(b, "u", iadd(tid, kint(q * threads)));
    const guard = (q + 1) * threads > count ? ilt(unit, kint(count)) : undefined;
    const inside = guard ? name(b, "u", kapply("min", unit, kint(count - 1))) : unit;
    const [o, k] = kFast
      ? [name(b, "o", idiv(inside, kint(kUnits))), name(b, "kk", imod(inside, kint(kUnits)))]
      : [name(b, "o", imod(inside, kint(outerUnits))), name(b, "kk", idiv(inside, kint(outerUnits)))];
    const a = axis("o", extentUnits);
    const at = iadd(first, o);
    bindAxis(
      b,
      a,
      divisible(extentUnits, outerUnits)
        ? name(b, "at", at)
        : name(b, "at", kapply("min", at, ksize(subExtent(extentUnits, ONE)))),
    );
    const place = name(b, "place", layout === "k" ? iadd(imul(o, kint(pitch)), k) : iadd(imul(k, kint(pitch)), o));
    return { unit, axis: a, k, place, guard };
  });
  return { expr, axes, layout, lanes, outer, tileK: s.tileK, pitch, units, memory, kept, loads };
}

function unitsIn(e: Extent, lanes: number): Extent {
  return divExtent(e, size(lanes));
}

/** The invocation's share of a tile that begins at k0. */
function evaluate(t: Tile, x: Staged, k0: KernelExpr, total: Extent): readonly KernelExpr[] {
  const { b, s, sides } = t;
  return x.loads.map((l) =>
    inCopy(b, () => {
      const flats = b.flats.length;
      const kLanes = x.layout === "k" ? x.lanes : 1;
      const totalUnits = unitsIn(total, kLanes);
      const a = axis("k", totalUnits);
      const start = kLanes === 1 ? k0 : idiv(k0, kint(kLanes));
      const at = iadd(start, l.k);
      const exact = divisible(total, s.tileK) && !t.part;
      bindAxis(b, a, exact ? at : name(b, "k", kapply("min", at, ksize(subExtent(totalUnits, ONE)))));
      unflattenAxes(b, sides.k, axisRef(a), kLanes);
      unflattenAxes(b, x.axes, axisRef(l.axis), x.layout === "outer" ? x.lanes : 1);
      const v = name(b, "v", lower(b, x.expr));
      b.flats.length = flats;
      return splat(v, x.lanes);
    }),
  );
}

function put(b: Builder, x: Staged, values: readonly KernelExpr[], offset: KernelExpr): void {
  x.loads.forEach((l, q) => {
    const v = values[q];
    if (!v) return;
    const one: readonly Statement[] = [store(x.memory, iadd(offset, l.place), v)];
    emit(b, ...(l.guard ? when(l.guard, one) : one));
  });
}

/** Multiplies a tile: a loop over its K, in units of vectors where an operand lies so. */
function compute(
  t: Tile,
  a: Staged | undefined,
  c: Staged | undefined,
  k0: KernelExpr,
  to: KernelExpr,
  total: Extent,
  zero: KernelExpr,
  offset: { readonly a?: KernelExpr | undefined; readonly b?: KernelExpr | undefined } = {},
): void {
  const { b, s, sides } = t;
  const kLanes = a?.layout === "k" || c?.layout === "k" ? s.vector : 1;
  const exact = divisible(total, s.tileK) && !t.part;
  // Unrolled by up to four elements where the tile is always whole.
  const unroll = kLanes === 1 && exact ? (s.tileK % 4 === 0 ? 4 : s.tileK % 2 === 0 ? 2 : 1) : 1;
  const span = kLanes * unroll;
  const v = variable("kk");
  const count = exact ? kint(s.tileK) : name(b, "here", kapply("min", kint(s.tileK), isub(to, k0)));
  const statements = inFrame(b, !exact, () => {
    for (let u = 0; u < unroll; u++) {
      const k = iadd(kvar(v), kint(u * kLanes));
      const left = rowsFrom(t, a, k, offset.a ?? zero);
      const right = columnsFrom(t, c, k, offset.b ?? zero);
      for (let lane = 0; lane < kLanes; lane++)
        inCopy(b, () => {
          const flats = b.flats.length;
          const ax = axis("k", total);
          bindAxis(b, ax, iadd(iadd(k0, k), kint(lane)));
          unflattenAxes(b, sides.k, axisRef(ax), 1);
          const xs = left(lane);
          const ys = right(lane);
          for (let i = 0; i < t.rows; i++)
            for (let j = 0; j < t.columns; j++) {
              const x = xs[i];
              if (x) accumulate(b, t.acc, i * t.columns + j, slotValues(t, i, j, x, ys[j]));
            }
          b.flats.length = flats;
        });
    }
  });
  emit(b, loop(v, count, statements, "loop", kint(0), span));
}

type ByLane<T> = (lane: number) => readonly T[];

/** The invocation's rows at element k + lane of the tile. */
function rowsFrom(t: Tile, a: Staged | undefined, k: KernelExpr, offset: KernelExpr): ByLane<KernelExpr> {
  const { b, sides } = t;
  if (!a) return () => t.rowAxes.map((r) => atRow(t, r, () => lower(b, sides.a)));
  const first = name(b, "first", imul(t.ty, kint(t.rows)));
  if (a.layout === "k") {
    const unit = idivBy(k, a.lanes);
    const held = Array.from({ length: t.rows }, (_, i) =>
      name(b, "x", load(a.memory, iadd(offset, iadd(imul(iadd(first, kint(i)), kint(a.pitch)), unit)))),
    );
    return (lane) => held.map((h) => extract(h, lane));
  }
  return (lane) => {
    const row = imul(iadd(k, kint(lane)), kint(a.pitch));
    if (a.layout === "outer") {
      const units = Array.from({ length: t.rows / a.lanes }, (_, i) =>
        name(b, "x", load(a.memory, iadd(offset, iadd(row, iadd(imul(t.ty, kint(t.rows / a.lanes)), kint(i)))))),
      );
      return Array.from({ length: t.rows }, (_, i) => extract(units[Math.floor(i / a.lanes)] ?? kint(0), i % a.lanes));
    }
    return Array.from({ length: t.rows }, (_, i) =>
      name(b, "x", load(a.memory, iadd(offset, iadd(row, iadd(first, kint(i)))))),
    );
  };
}

function columnsFrom(
  t: Tile,
  c: Staged | undefined,
  k: KernelExpr,
  offset: KernelExpr,
): ByLane<KernelExpr | undefined> {
  const { b, s, sides } = t;
  if (!c)
    return () => t.columnAxes.map((x) => (sides.b ? atColumn(t, x, () => lower(b, sides.b ?? sides.a)) : undefined));
  const tn = s.threads[1];
  const own = (j: number): KernelExpr => iadd(t.tx, kint(j * tn));
  if (c.layout === "k") {
    const unit = idivBy(k, c.lanes);
    const held = Array.from({ length: t.columns }, (_, j) =>
      name(b, "y", load(c.memory, iadd(offset, iadd(imul(own(j), kint(c.pitch)), unit)))),
    );
    return (lane) => held.map((h) => extract(h, lane));
  }
  return (lane) => {
    const row = imul(iadd(k, kint(lane)), kint(c.pitch));
    return Array.from({ length: t.columns }, (_, j) => name(b, "y", load(c.memory, iadd(offset, iadd(row, own(j))))));
  };
}

function idivBy(k: KernelExpr, lanes: number): KernelExpr {
  return idiv(k, kint(lanes));
}
