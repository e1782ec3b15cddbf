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
import { argumentsOf, byPeakAlone, growRow, type Keys, larger, takeBlock, takeSome } from "./online-rows.ts";
import type { OnlineTile } from "./online-tile.ts";
import { positions } from "./tile.ts";
import { collapse, laneable, neverEmpty, walk } from "./walk.ts";

export interface LaneForm {
  /** Positions of a turn, one a lane. */
  readonly lanes: number;
  readonly own: KernelExpr;
  /** The lanes whose positions of a turn a lane scores with its rows: itself, or all in an order of its own. */
  readonly met: readonly KernelExpr[];
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
  const scored = met.length * each;
  const scores = region.scores.map((x) => newPrivate(b, "score", x.reduce.dtype, rows * scored, 1));
  const late = byPeakAlone(region);
  const k = variable("k");
  const statements = inFrame(b, !neverEmpty(t.keyCount), () => {
    const place = (turn: number, of: KernelExpr): KernelExpr => iadd(iadd(kvar(k), kint(turn * size)), of);
    const loaded: Keys = positions(b, "key", each, t.keyCount, block, (turn) => place(turn, own));
    const keys =
      met.length === 1
        ? loaded
        : positions(b, "key", scored, t.keyCount, block, (p) =>
            place(Math.floor(p / met.length), met[p % met.length] ?? own),
          );
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
    const taken = Array.from({ length: rows }, (_, i): TakenRow => {
      if (!region.peak) return { held: takeBlock(t, i, keys, scores, undefined) };
      const us = argumentsOf(t, i, keys, scores);
      const most = name(
        b,
        "most",
        form.whole(
          "max",
          us.reduce((x, y) => larger(states, x, y)),
        ),
      );
      return late ? { held: us, ref: growRow(t, i, most) } : { held: takeBlock(t, i, keys, scores, { us, most }) };
    });
    addBlock(t, form, kvar(k), taken);
  });
  emit(b, loop(k, ksize(t.keyCount), statements, "loop", kint(0), block));
  return Array.from({ length: rows }, (_, i) =>
    states.sums.map((sum) => name(b, "all", form.whole("add", load(sum, kint(i))))),
  );
}

/** A block that a row has taken in: its positions' weights, or, with `ref`, what the maximum was taken of, from which weights follow. */
interface TakenRow {
  readonly held: readonly KernelExpr[];
  readonly ref?: KernelExpr;
}

/**
 * Adds a block's weights times its values, from position `start` on. A loop over the turns: written out, this is most of the kernel, and
 * drivers compile it in more than linear time. So weights are made here too where they need nothing but the row's maximum: SwiftShader takes
 * 0.8 of the time for a turn's exponentials instead of a block's. Private memory has constant indices, so what the next turn needs moves up.
 */
function addBlock(t: OnlineTile, form: LaneForm, start: KernelExpr, taken: readonly TakenRow[]): void {
  const { b, rows } = t;
  const { lanes: size, met } = form;
  const each = t.s.reg[1];
  const scored = met.length * each;
  const held = newPrivate(b, "held", taken[0]?.held[0]?.dtype ?? t.region.reduce.dtype, rows * scored, 1);
  taken.forEach((row, i) => {
    row.held.forEach((w, p) => {
      emit(b, store(held, kint(i * scored + p), w));
    });
  });
  const turn = variable("turn");
  const body = inFrame(b, false, () => {
    const at = (lane: KernelExpr): KernelExpr => iadd(start, iadd(imul(kvar(turn), kint(size)), lane));
    const keys = positions(b, "key", met.length, t.keyCount, size * each, (p) => at(met[p] ?? form.own));
    const weights = taken.map(({ ref }, i) => {
      const mine = met.map((_, p) => name(b, ref ? "u" : "w", load(held, kint(i * scored + p))));
      return ref ? takeSome(t, i, keys, mine, ref) : mine;
    });
    form.add(at, (i, p) => weights[i]?.[p] ?? kint(0));
    for (let i = 0; i < rows; i++)
      for (let p = met.length; p < scored; p++)
        emit(b, store(held, kint(i * scored + p - met.length), load(held, kint(i * scored + p))));
  });
  emit(b, loop(turn, kint(each), body));
}
