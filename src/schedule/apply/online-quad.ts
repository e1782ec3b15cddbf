/**
 * Four neighbouring lanes, each with rows of its own. Lane s loads reduced positions s, s + 4, …: their operands of the scores and their
 * values, with all columns. The lanes exchange them, so that each meets all positions, in an order of its own; nothing of a row's is
 * ever exchanged.
 */
import {
  extract,
  type KernelExpr,
  kapply,
  kint,
  kvector,
  type Lanes,
  load,
  splat,
  store,
  subgroup,
} from "../../../ir/kernel.ts";
import { dot, matvec } from "../../../ir/products-kernel.ts";
import { lower } from "../lower.ts";
import { lowerBody } from "../lower-body.ts";
import type { OnlineScore } from "../region.ts";
import { emit, name } from "./builder.ts";
import { lanesPass } from "./online-lanes.ts";
import { atRow, type Keys } from "./online-rows.ts";
import { type OnlineTile, valuesAt } from "./online-tile.ts";
import { isProduct } from "./operands.ts";
import { atFlat, QUAD, quadLanes } from "./tile.ts";

/** Fills the states of the invocation's rows, which are whole then; gives their sums. */
export function quadPass(t: OnlineTile): readonly (readonly KernelExpr[])[] {
  const { b } = t;
  const block = QUAD * t.s.reg[1];
  b.subgroupSize = b.target.subgroupMaxSize;
  const own = name(b, "own", subgroup("id"));
  return lanesPass(t, {
    lanes: QUAD,
    own,
    met: quadLanes(b, "met", own),
    score: (x, lanes, keys, add) => scoreStep(t, x, lanes, keys, add),
    add: (at, weight) => addTurn(t, at(own), block, weight),
    whole: (_, v) => v,
  });
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

/** Adds the weights of the four lanes' positions times their values, of which the lane loads those at `at`. */
function addTurn(t: OnlineTile, at: KernelExpr, block: number, weight: (row: number, met: number) => KernelExpr): void {
  const { b, rows, states } = t;
  const w = Array.from({ length: rows }, (_, i) => Array.from({ length: QUAD }, (_, p) => name(b, "w", weight(i, p))));
  valuesAt(t, at, block).forEach((v, j) => {
    const values = exchanged(t, v);
    w.forEach((row, i) => {
      const place = kint(i * t.columns + j);
      const sum = t.laneN > 1 ? matvec(values, kvector(row)) : dot(kvector(values), kvector(row));
      emit(b, store(states.total, place, kapply("add", load(states.total, place), sum)));
    });
  });
}
