/**
 * The loop over the reduced positions where the lanes of a subgroup share their blocks: each loads a position of every few, for the scores
 * and for the values. What a lane meets of the others' is the form's: online-subgroup.ts and online-quad.ts.
 */
import {
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
  store,
  variable,
} from "../../../ir/kernel.ts";
import type { OnlineScore } from "../region.ts";
import { emit, inFrame, name, newPrivate } from "./builder.ts";
import { argumentsOf, type Keys, larger, takeBlock } from "./online-rows.ts";
import type { OnlineTile } from "./online-tile.ts";
import { positions } from "./tile.ts";
import { collapse, laneable, neverEmpty, walk } from "./walk.ts";

/** Where the lane `of` has its position of a turn, in a block. */
export type Place = (turn: number, of: KernelExpr) => KernelExpr;

export interface LaneForm {
  /** Positions of a turn, one a lane. */
  readonly lanes: number;
  readonly own: KernelExpr;
  /** Positions of a turn that a lane scores with its rows: its own, or those of all lanes. */
  readonly met: number;
  /** The positions that a lane scores in a block, given those that it loads: turn by turn. */
  readonly scored: (loaded: Keys, place: Place) => Keys;
  /** One unit of a score's reduced axes: the lane's rows and positions once, then all products. `element` is by row and position. */
  readonly score: (
    x: OnlineScore,
    lanes: Lanes,
    loaded: Keys,
    add: (element: number, value: KernelExpr) => void,
  ) => void;
  /** Adds the weights of a turn times its values. `at` is where a lane has its position, `weight` a row's weight of a position that is met. */
  readonly add: (at: (lane: KernelExpr) => KernelExpr, weight: (row: number, met: number) => KernelExpr) => void;
  /** What all lanes that share a row have together. */
  readonly whole: (op: "add" | "max", v: KernelExpr) => KernelExpr;
}

/** Fills the states of the tile's rows; gives the whole sums of each row. */
export function lanesPass(t: OnlineTile, form: LaneForm): readonly (readonly KernelExpr[])[] {
  const { b, s, region, states, rows } = t;
  const { lanes: size, own, met } = form;
  const each = s.reg[1];
  const block = size * each;
  const scored = met * each;
  const scores = region.scores.map((x) => newPrivate(b, "score", x.reduce.dtype, rows * scored, 1));
  const k = variable("k");
  const statements = inFrame(b, !neverEmpty(t.keyCount), () => {
    const place: Place = (turn, of) => iadd(iadd(kvar(k), kint(turn * size)), of);
    const loaded: Keys = positions(b, "key", each, t.keyCount, block, (turn) => place(turn, own));
    const keys = form.scored(loaded, place);
    region.scores.forEach((x, i) => {
      const c = scores[i];
      if (!c) return;
      for (let e = 0; e < rows * scored; e++) emit(b, store(c, kint(e), kconst(c.dtype, 0)));
      const lanes: Lanes = s.vector > 1 && laneable(x.d, s.vector) ? s.vector : 1;
      walk(b, collapse(x.d, [x.a, x.b], []), { start: kint(0), step: 1, unroll: 1, lanes }, () => {
        form.score(x, lanes, loaded, (e, v) => {
          emit(b, store(c, kint(e), kapply("add", load(c, kint(e)), v)));
        });
      });
    });
    const weights = Array.from({ length: rows }, (_, i) => {
      if (!region.peak) return takeBlock(t, i, keys, scores, undefined);
      const us = argumentsOf(t, i, keys, scores);
      const most = us.reduce((x, y) => larger(states, x, y));
      return takeBlock(t, i, keys, scores, { us, most: name(b, "most", form.whole("max", most)) });
    });
    addBlock(t, form, kvar(k), weights);
  });
  emit(b, loop(k, ksize(t.keyCount), statements, "loop", kint(0), block));
  return Array.from({ length: rows }, (_, i) =>
    states.sums.map((sum) => name(b, "all", form.whole("add", load(sum, kint(i))))),
  );
}

/**
 * Adds a block's weights times its values, from position `start` on. A loop over the turns: written out, this is most of the kernel, and
 * drivers compile it in more than linear time. Private memory has constant indices, so the weights of the next turn move up.
 */
function addBlock(t: OnlineTile, form: LaneForm, start: KernelExpr, weights: readonly (readonly KernelExpr[])[]): void {
  const { b, rows } = t;
  const { lanes: size, met } = form;
  const each = t.s.reg[1];
  const scored = met * each;
  const held = newPrivate(b, "held", weights[0]?.[0]?.dtype ?? t.region.reduce.dtype, rows * scored, 1);
  weights.forEach((row, i) => {
    row.forEach((w, p) => {
      emit(b, store(held, kint(i * scored + p), w));
    });
  });
  const turn = variable("turn");
  const body = inFrame(b, false, () => {
    const at = (lane: KernelExpr): KernelExpr => iadd(start, iadd(imul(kvar(turn), kint(size)), lane));
    form.add(at, (i, p) => load(held, kint(i * scored + p)));
    for (let i = 0; i < rows; i++)
      for (let p = met; p < scored; p++)
        emit(b, store(held, kint(i * scored + p - met), load(held, kint(i * scored + p))));
  });
  emit(b, loop(turn, kint(each), body));
}
