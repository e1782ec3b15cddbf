/**
 * Four neighbouring lanes, each with rows of its own. Lane s loads reduced positions s, s + 4, …: their operands of the scores and their
 * values, with all columns. The lanes exchange them, so that each meets all positions, in an order of its own; nothing of a row's is
 * ever exchanged.
 */
import {
  extract,
  iadd,
  imul,
  type KernelExpr,
  kapply,
  kconst,
  kint,
  ksize,
  kvar,
  kvector,
  type Lanes,
  load,
  loop,
  splat,
  store,
  subgroup,
  variable,
} from "../../../ir/kernel.ts";
import { dot, matvec } from "../../../ir/products-kernel.ts";
import { lower } from "../lower.ts";
import { lowerBody } from "../lower-body.ts";
import type { OnlineScore } from "../region.ts";
import { emit, inFrame, name, newPrivate } from "./builder.ts";
import { argumentsOf, atRow, type Keys, larger, takeBlock } from "./online-rows.ts";
import { type OnlineTile, valuesAt } from "./online-tile.ts";
import { isProduct } from "./operands.ts";
import { atFlat, positions, QUAD } from "./tile.ts";
import { collapse, laneable, neverEmpty, walk } from "./walk.ts";

/** Fills the states of the invocation's rows, which are whole then; gives their sums. */
export function quadPass(t: OnlineTile): readonly (readonly KernelExpr[])[] {
  const { b, s, region, states, rows } = t;
  const each = s.reg[1];
  const block = QUAD * each;
  b.subgroupSize = b.target.subgroupMaxSize;
  const own = name(b, "own", subgroup("id"));
  const met = [own, ...[1, 2, 3].map((turn) => name(b, "met", kapply("bitxor", own, kint(turn))))];
  const scores = region.scores.map((x) => newPrivate(b, "score", x.reduce.dtype, rows * block, 1));
  const k = variable("k");
  const statements = inFrame(b, !neverEmpty(t.keyCount), () => {
    const place = (q: number, of: KernelExpr): KernelExpr => iadd(iadd(kvar(k), kint(q * QUAD)), of);
    const loaded: Keys = positions(b, "key", each, t.keyCount, block, (q) => place(q, own));
    const keys: Keys = positions(b, "key", block, t.keyCount, block, (p) =>
      place(Math.floor(p / QUAD), met[p % QUAD] ?? own),
    );
    region.scores.forEach((x, i) => {
      const c = scores[i];
      if (!c) return;
      for (let e = 0; e < rows * block; e++) emit(b, store(c, kint(e), kconst(c.dtype, 0)));
      const lanes: Lanes = s.vector > 1 && laneable(x.d, s.vector) ? s.vector : 1;
      walk(b, collapse(x.d, [x.a, x.b], []), { start: kint(0), step: 1, unroll: 1, lanes }, () => {
        scoreStep(t, x, lanes, loaded, (e, v) => {
          emit(b, store(c, kint(e), kapply("add", load(c, kint(e)), v)));
        });
      });
    });
    const weights = Array.from({ length: rows }, (_, i) => {
      if (!region.peak) return takeBlock(t, i, keys, scores, undefined);
      const us = argumentsOf(t, i, keys, scores);
      const most = us.reduce((x, y) => larger(states, x, y));
      return takeBlock(t, i, keys, scores, { us, most: name(b, "most", most) });
    });
    addBlock(t, kvar(k), own, weights);
  });
  emit(b, loop(k, ksize(t.keyCount), statements, "loop", kint(0), block));
  return Array.from({ length: rows }, (_, i) => states.sums.map((sum) => name(b, "all", load(sum, kint(i)))));
}

/** A value and those of the three other lanes. */
function exchanged(t: OnlineTile, v: KernelExpr): readonly KernelExpr[] {
  return [v, ...[1, 2, 3].map((turn) => name(t.b, "other", subgroup("shuffleXor", v, turn)))];
}

/** One unit of a score's reduced axes: the lane's rows and positions once, then all products. */
function scoreStep(
  t: OnlineTile,
  x: OnlineScore,
  lanes: Lanes,
  keys: Keys,
  add: (element: number, value: KernelExpr) => void,
): void {
  const { b, region, rows } = t;
  const block = keys.axes.length * QUAD;
  const whole = lanes > 1 && isProduct(x.body, x.reduce.dtype);
  const held = Array.from({ length: rows }, (_, i) => atRow(t, i, () => name(b, "a", splat(lower(b, x.a), lanes))));
  keys.axes.forEach((a, q) => {
    const mine = atFlat(b, region.k, a, 1, () => name(b, "b", splat(lower(b, x.b), lanes)));
    exchanged(t, mine).forEach((y, turn) => {
      held.forEach((row, i) => {
        const element = i * block + q * QUAD + turn;
        if (whole) add(element, dot(row, y));
        else
          for (let l = 0; l < lanes; l++) {
            const v = lowerBody(b, [x.body], [extract(row, l), extract(y, l)])[0];
            if (v) add(element, v);
          }
      });
    });
  });
}

/**
 * Adds a block's weights times its values, from position `start` on, in a loop over the positions that a lane loads. Private memory has
 * constant indices, so the weights of the next turn move up.
 */
function addBlock(
  t: OnlineTile,
  start: KernelExpr,
  own: KernelExpr,
  weights: readonly (readonly KernelExpr[])[],
): void {
  const { b, rows, states } = t;
  const each = t.s.reg[1];
  const block = each * QUAD;
  const held = newPrivate(b, "held", weights[0]?.[0]?.dtype ?? t.region.reduce.dtype, rows * block, 1);
  weights.forEach((row, i) => {
    row.forEach((w, p) => {
      emit(b, store(held, kint(i * block + p), w));
    });
  });
  const turn = variable("turn");
  const body = inFrame(b, false, () => {
    const w = Array.from({ length: rows }, (_, i) =>
      Array.from({ length: QUAD }, (_, p) => name(b, "w", load(held, kint(i * block + p)))),
    );
    const at = iadd(start, iadd(imul(kvar(turn), kint(QUAD)), own));
    valuesAt(t, at, block).forEach((v, j) => {
      const values = exchanged(t, v);
      w.forEach((row, i) => {
        const place = kint(i * t.columns + j);
        const sum = t.laneN > 1 ? matvec(values, kvector(row)) : dot(kvector(values), kvector(row));
        emit(b, store(states.total, place, kapply("add", load(states.total, place), sum)));
      });
    });
    for (let i = 0; i < rows; i++)
      for (let p = QUAD; p < block; p++)
        emit(b, store(held, kint(i * block + p - QUAD), load(held, kint(i * block + p))));
  });
  emit(b, loop(turn, kint(each), body));
}
