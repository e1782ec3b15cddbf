/**
 * Rows, reduced positions and columns dealt to a workgroup. Operands of the scores come through workgroup memory, a tile of their
 * reduced axes at a time; the rows' maxima and then the weights pass through it too; values are read by every row of invocations.
 */
import { divExtent, type Extent, ONE, size, subExtent } from "../../../ir/extent.ts";
import {
  type Buffer,
  barrier,
  extract,
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kconst,
  kint,
  ksize,
  kvar,
  type Lanes,
  load,
  loop,
  splat,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible } from "../affine.ts";
import { lower } from "../lower.ts";
import { lowerBody } from "../lower-body.ts";
import { type OnlineScore, statesOf } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import { bindAxis, emit, inCopy, inFrame, name, newPrivate, newShared } from "./builder.ts";
import { addWeighted, argumentsOf, type Keys, larger, takeBlock } from "./online-rows.ts";
import { type OnlineTile, valuesAt } from "./online-tile.ts";
import { positions } from "./tile.ts";
import { countOf, laneable, neverEmpty, unflattenAxes } from "./walk.ts";

/** Workgroup memory of the kernel: the two operands' tiles, and rows × positions for maxima, weights and partial sums. */
interface Shared {
  readonly a: Buffer;
  readonly b: Buffer;
  readonly rows: Buffer;
  readonly pitchA: number;
  readonly pitchB: number;
  readonly pitch: number;
}

/** Fills the states of an invocation's rows; gives the whole sums of each row. */
export function workgroupPass(t: OnlineTile): readonly (readonly KernelExpr[])[] {
  const { b, s, region, states, rows } = t;
  const [tm, tn] = s.threads;
  const each = s.reg[1];
  const block = tn * each;
  const groupRows = tm * rows;
  const dtype = region.weight.dtype;
  for (const d of [...statesOf(region).map((x) => x.reduce.dtype), ...region.scores.map((x) => x.reduce.dtype)])
    if (d !== dtype) throw new ScheduleError("share", "workgroup memory for numbers of several types");
  const [pitchA, pitchB, pitch] = [groupRows + 1, block + 1, block + 1];
  const memory: Shared = {
    a: newShared(b, "rowsA", dtype, s.tileK * pitchA),
    b: newShared(b, "keysB", dtype, s.tileK * pitchB),
    rows: newShared(b, "rowsP", dtype, groupRows * pitch),
    pitchA, pitchB, pitch,
  }; // biome-ignore format: one record
  const scores = region.scores.map((x) => newPrivate(b, "score", x.reduce.dtype, rows * each, 1));
  const first = name(b, "first", imul(t.ty, kint(rows)));
  const place = (i: number, at: KernelExpr): KernelExpr => iadd(imul(iadd(first, kint(i)), kint(pitch)), at);
  const k = variable("k");
  const statements = inFrame(b, !neverEmpty(t.keyCount), () => {
    const keyBase = kvar(k);
    const keys: Keys = positions(b, "key", each, t.keyCount, block, (q) => iadd(iadd(keyBase, kint(q * tn)), t.tx));
    region.scores.forEach((x, i) => {
      const c = scores[i];
      if (c) scoreTile(t, x, c, memory, keyBase);
    });
    const us = Array.from({ length: rows }, (_, i) => (region.peak ? argumentsOf(t, i, keys, scores) : []));
    const most = us.flatMap((list) =>
      list.length > 0
        ? name(
            b,
            "most",
            list.reduce((x, y) => larger(states, x, y)),
          )
        : [],
    );
    // The last block's weights have been read by all.
    emit(b, barrier());
    const peaks = acrossRow(t, memory, place, most, (x, y) => larger(states, x, y));
    const weights = us.map((list, i) => {
      const own = peaks[i];
      return takeBlock(t, i, keys, scores, own && { us: list, most: own });
    });
    weights.forEach((list, i) => {
      list.forEach((w, q) => {
        emit(b, store(memory.rows, place(i, iadd(t.tx, kint(q * tn))), w));
      });
    });
    emit(b, barrier());
    const v = variable("kk");
    const count = divisible(t.keyCount, block)
      ? kint(block)
      : kapply("min", kint(block), isub(ksize(t.keyCount), keyBase));
    const inner = inFrame(b, true, () => {
      const values = valuesAt(t, iadd(keyBase, kvar(v)), 1);
      for (let i = 0; i < rows; i++) addWeighted(t, i, name(b, "w", load(memory.rows, place(i, kvar(v)))), values);
    });
    emit(b, loop(v, name(b, "here", count), inner));
  });
  emit(b, loop(k, ksize(t.keyCount), statements, "loop", kint(0), block));
  emit(b, barrier());
  const sums = states.sums.map((sum) =>
    acrossRow(
      t,
      memory,
      place,
      Array.from({ length: rows }, (_, i) => load(sum, kint(i))),
      (x, y) => kapply("add", x, y),
    ),
  );
  return Array.from({ length: rows }, (_, i) => sums.flatMap((list) => list[i] ?? []));
}

/** Combines a value a row of each of the row's invocations; all of them get the result, and the memory may be written again. */
function acrossRow(
  t: OnlineTile,
  memory: Shared,
  place: (i: number, at: KernelExpr) => KernelExpr,
  own: readonly KernelExpr[],
  combine: (x: KernelExpr, y: KernelExpr) => KernelExpr,
): readonly KernelExpr[] {
  const { b, s } = t;
  const tn = s.threads[1];
  if (tn === 1 || own.length === 0) return own;
  own.forEach((v, i) => {
    emit(b, store(memory.rows, place(i, t.tx), v));
  });
  emit(b, barrier());
  const dtype = memory.rows.dtype;
  const all = newPrivate(b, "all", dtype, own.length, 1);
  own.forEach((_, i) => {
    emit(b, store(all, kint(i), load(memory.rows, place(i, kint(0)))));
  });
  const v = variable("other");
  const statements = inFrame(b, false, () => {
    own.forEach((_, i) => {
      const other = name(b, "other", load(memory.rows, place(i, kvar(v))));
      emit(b, store(all, kint(i), combine(load(all, kint(i)), other)));
    });
  });
  emit(b, loop(v, kint(tn), statements, "loop", kint(1)));
  emit(b, barrier());
  return own.map((_, i) => name(b, "all", load(all, kint(i))));
}

// ---- Scores ---------------------------------------------------------------------------------------------------------

/** The scores of a block: tiles of both operands' reduced axes are evaluated once by the workgroup, then multiplied. */
function scoreTile(t: OnlineTile, x: OnlineScore, c: Buffer, memory: Shared, keyBase: KernelExpr): void {
  const { b, s, rows, region } = t;
  const [tm, tn] = s.threads;
  const each = s.reg[1];
  for (let e = 0; e < rows * each; e++) emit(b, store(c, kint(e), kconst(c.dtype, 0)));
  const total = countOf(x.d);
  const lanes: Lanes = s.vector > 1 && s.tileK % s.vector === 0 && laneable(x.d, s.vector) ? s.vector : 1;
  const groupBase = isub(t.rowBase, imul(t.ty, kint(rows)));
  const d0 = variable("d");
  const statements = inFrame(b, true, () => {
    const sides = [
      staged(t, x, x.a, region.m, groupBase, t.rowCount, tm * rows, lanes, kvar(d0)),
      staged(t, x, x.b, region.k, keyBase, t.keyCount, tn * each, lanes, kvar(d0)),
    ];
    // Tiles before this have been read by all.
    emit(b, barrier());
    sides.forEach((list, side) => {
      const [to, pitch] = side === 0 ? [memory.a, memory.pitchA] : [memory.b, memory.pitchB];
      for (const l of list) {
        const puts = Array.from({ length: lanes }, (_, lane) =>
          store(to, iadd(imul(iadd(l.k, kint(lane)), kint(pitch)), l.outer), extract(l.value, lane)),
        );
        emit(b, ...(l.guard ? when(l.guard, puts) : puts));
      }
    });
    emit(b, barrier());
    const v = variable("kk");
    const exact = divisible(total, s.tileK);
    const unroll = exact && s.tileK % 4 === 0 ? 4 : 1;
    const first = imul(t.ty, kint(rows));
    const inner = inFrame(b, true, () => {
      for (let u = 0; u < unroll; u++) {
        const kk = iadd(kvar(v), kint(u));
        const own = (from: Buffer, pitch: number, at: KernelExpr): KernelExpr =>
          name(b, "x", load(from, iadd(imul(kk, kint(pitch)), at)));
        const xs = Array.from({ length: rows }, (_, i) => own(memory.a, memory.pitchA, iadd(first, kint(i))));
        const ys = Array.from({ length: each }, (_, q) => own(memory.b, memory.pitchB, iadd(t.tx, kint(q * tn))));
        xs.forEach((left, i) => {
          ys.forEach((right, q) => {
            const made = lowerBody(b, [x.body], [left, right])[0];
            const at = kint(i * each + q);
            if (made) emit(b, store(c, at, kapply("add", load(c, at), made)));
          });
        });
      }
    });
    const count = exact ? kint(s.tileK) : name(b, "here", kapply("min", kint(s.tileK), isub(ksize(total), kvar(d0))));
    emit(b, loop(v, count, inner, "loop", kint(0), unroll));
  });
  emit(b, loop(d0, ksize(total), statements, "loop", kint(0), s.tileK));
}

interface StagedUnit {
  readonly outer: KernelExpr;
  /** Element of the tile's reduced axes. */
  readonly k: KernelExpr;
  readonly value: KernelExpr;
  readonly guard: KernelExpr | undefined;
}

/** The invocation's share of an operand's tile: units of `lanes` along the reduced axes, those of one row beside each other. */
function staged(
  t: OnlineTile,
  x: OnlineScore,
  e: TensorExpr,
  outerAxes: readonly Axis[],
  base: KernelExpr,
  extent: Extent,
  outer: number,
  lanes: Lanes,
  d0: KernelExpr,
): readonly StagedUnit[] {
  const { b, s } = t;
  const [tm, tn] = s.threads;
  const threads = tm * tn;
  const deep = s.tileK / lanes;
  const units = outer * deep;
  const total = divExtent(countOf(x.d), size(lanes));
  const tid = name(b, "tid", iadd(imul(t.ty, kint(tn)), t.tx));
  return Array.from({ length: Math.ceil(units / threads) }, (_, q) =>
    inCopy(b, () => {
      const unit = name(b, "unit", iadd(tid, kint(q * threads)));
      const guard = (q + 1) * threads > units ? ilt(unit, kint(units)) : undefined;
      const at = name(b, "outer", idiv(unit, kint(deep)));
      const kk = name(b, "deep", imod(unit, kint(deep)));
      const clamped = (place: KernelExpr, limit: Extent): KernelExpr =>
        name(b, "inside", kapply("min", place, ksize(subExtent(limit, ONE))));
      const own = axis("row", extent);
      const place = iadd(base, at);
      const wholeOuter = divisible(extent, outer) && !guard;
      bindAxis(b, own, wholeOuter ? place : clamped(place, extent));
      const d = axis("d", total);
      const depth = iadd(idiv(d0, kint(lanes)), kk);
      bindAxis(b, d, divisible(countOf(x.d), s.tileK) ? depth : clamped(depth, total));
      const flats = b.flats.length;
      unflattenAxes(b, outerAxes, axisRef(own), 1);
      unflattenAxes(b, x.d, axisRef(d), lanes);
      const value = name(b, "v", splat(lower(b, e), lanes));
      b.flats.length = flats;
      return { outer: at, k: imul(kk, kint(lanes)), value, guard };
    }),
  );
}
