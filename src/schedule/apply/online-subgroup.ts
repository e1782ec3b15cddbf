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
  type Lanes,
  load,
  loop,
  splat,
  store,
  subgroup,
  variable,
} from "../../../ir/kernel.ts";
import type { Axis } from "../../../ir/tensor.ts";
import { lower } from "../lower.ts";
import { lowerBody } from "../lower-body.ts";
import type { OnlineScore } from "../region.ts";
import { emit, inFrame, name, newPrivate } from "./builder.ts";

import { addWeighted, argumentsOf, type Keys, larger, takeBlock } from "./online-rows.ts";
import { type OnlineTile, valuesAt } from "./online-tile.ts";
import { atFlat, positions, rowsOfLane } from "./tile.ts";
import { collapse, laneable, neverEmpty, walk } from "./walk.ts";

/** Fills the states of a workgroup's rows; gives the whole sums of each row. */
export function subgroupPass(t: OnlineTile): readonly (readonly KernelExpr[])[] {
  const { b, s, region, states, rows } = t;
  const size = s.threads[1];
  const each = s.reg[1];
  b.subgroupSize = size;
  const own = name(b, "own", subgroup("id"));
  const ownRows = rowsOfLane(b, t, size, own);
  const scores = region.scores.map((x) => newPrivate(b, "score", x.reduce.dtype, rows * each, 1));
  const k = variable("k");
  const block = size * each;
  const statements = inFrame(b, !neverEmpty(t.keyCount), () => {
    const keys: Keys = positions(b, "key", each, t.keyCount, block, (q) => iadd(iadd(kvar(k), kint(q * size)), own));
    region.scores.forEach((x, i) => {
      const c = scores[i];
      if (!c) return;
      for (let e = 0; e < rows * each; e++) emit(b, store(c, kint(e), kconst(c.dtype, 0)));
      const lanes: Lanes = s.vector > 1 && laneable(x.d, s.vector) ? s.vector : 1;
      walk(b, collapse(x.d, [x.a, x.b], []), { start: kint(0), step: 1, unroll: 1, lanes }, () => {
        scoreStep(t, x, lanes, ownRows, keys, (e, v) => {
          emit(b, store(c, kint(e), kapply("add", load(c, kint(e)), v)));
        });
      });
    });
    const weights = Array.from({ length: rows }, (_, i) => {
      if (!region.peak) return takeBlock(t, i, keys, scores, undefined);
      const us = argumentsOf(t, i, keys, scores);
      const most = name(
        b,
        "most",
        us.reduce((x, y) => larger(states, x, y)),
      );
      return takeBlock(t, i, keys, scores, { us, most: name(b, "most", subgroup("max", most)) });
    });
    addBlock(t, kvar(k), weights);
  });
  emit(b, loop(k, ksize(t.keyCount), statements, "loop", kint(0), block));
  return Array.from({ length: rows }, (_, i) =>
    states.sums.map((sum) => name(b, "all", subgroup("add", name(b, "part", load(sum, kint(i)))))),
  );
}

/**
 * Adds a block's weights times its values, from position `start` on. A loop, a position a lane in each turn: written out, this is most
 * of the kernel, and drivers compile it in more than linear time. Private memory has constant indices, so the weights of the next
 * turn move up; to loop over lanes and shuffle takes 7% longer on SwiftShader than broadcasts from constant lanes.
 */
function addBlock(t: OnlineTile, start: KernelExpr, weights: readonly (readonly KernelExpr[])[]): void {
  const { b, rows } = t;
  const [size, each] = [t.s.threads[1], t.s.reg[1]];
  const held = newPrivate(b, "held", weights[0]?.[0]?.dtype ?? t.region.reduce.dtype, rows * each, 1);
  weights.forEach((own, i) => {
    own.forEach((w, q) => {
      emit(b, store(held, kint(i * each + q), w));
    });
  });
  const turn = variable("turn");
  const body = inFrame(b, false, () => {
    for (let lane = 0; lane < size; lane++) {
      const at = iadd(start, iadd(imul(kvar(turn), kint(size)), kint(lane)));
      const values = valuesAt(t, at, size * each);
      for (let i = 0; i < rows; i++)
        addWeighted(t, i, name(b, "w", subgroup("broadcast", load(held, kint(i * each)), lane)), values);
    }
    for (let i = 0; i < rows; i++)
      for (let q = 1; q < each; q++) emit(b, store(held, kint(i * each + q - 1), load(held, kint(i * each + q))));
  });
  emit(b, loop(turn, kint(each), body));
}

/** One unit of a score's reduced axes: the lane's rows and positions once, then all products. */
function scoreStep(
  t: OnlineTile,
  x: OnlineScore,
  lanes: Lanes,
  ownRows: readonly Axis[],
  keys: Keys,
  add: (element: number, value: KernelExpr) => void,
): void {
  const { b, region, rows } = t;
  const size = t.s.threads[1];
  const held = ownRows.map((a) => atFlat(b, region.m, a, 1, () => name(b, "a", splat(lower(b, x.a), lanes))));
  const columns = keys.axes.map((a) => atFlat(b, region.k, a, 1, () => name(b, "b", splat(lower(b, x.b), lanes))));
  for (let lane = 0; lane < lanes; lane++)
    for (let i = 0; i < rows; i++) {
      const mine = held[Math.floor(i / size)];
      if (!mine) continue;
      const q = name(b, "q", subgroup("broadcast", extract(mine, lane), i % size));
      columns.forEach((y, j) => {
        const v = lowerBody(b, [x.body], [q, extract(y, lane)])[0];
        if (v) add(i * columns.length + j, v);
      });
    }
}
