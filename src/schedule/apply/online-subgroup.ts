/**
 * The rows of a tile belong to all lanes of a subgroup. A lane loads rows and positions of its own: broadcasts bring each row to all of
 * them, which score it with their positions, and each position's weights and values meet in all lanes, whose columns are their own.
 */
import { extract, type KernelExpr, kint, type Lanes, splat, subgroup } from "../../../ir/kernel.ts";
import type { Axis } from "../../../ir/tensor.ts";
import { lower } from "../lower.ts";
import { lowerBody } from "../lower-body.ts";
import type { OnlineScore } from "../region.ts";
import { name } from "./builder.ts";
import { lanesPass } from "./online-lanes.ts";
import { addWeighted, type Keys } from "./online-rows.ts";
import { type OnlineTile, valuesAt } from "./online-tile.ts";
import { atFlat, rowsOfLane } from "./tile.ts";

/** Fills the states of a workgroup's rows; gives the whole sums of each row. */
export function subgroupPass(t: OnlineTile): readonly (readonly KernelExpr[])[] {
  const { b, rows } = t;
  const [size, each] = [t.s.threads[1], t.s.reg[1]];
  b.subgroupSize = size;
  const own = name(b, "own", subgroup("id"));
  const ownRows = rowsOfLane(b, t, size, own);
  return lanesPass(t, {
    lanes: size,
    own,
    met: [own],
    score: (x, lanes, keys, add) => scoreStep(t, x, lanes, ownRows, keys, add),
    // To loop over lanes and shuffle takes 7% longer on SwiftShader than broadcasts from constant lanes.
    add: (at, weight) => {
      for (let lane = 0; lane < size; lane++) {
        const values = valuesAt(t, at(kint(lane)), size * each);
        for (let i = 0; i < rows; i++)
          addWeighted(t, i, name(b, "w", subgroup("broadcast", weight(i, 0), lane)), values);
      }
    },
    whole: (op, v) => subgroup(op, name(b, op === "max" ? "most" : "part", v)),
  });
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
