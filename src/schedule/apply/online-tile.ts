/** What an invocation has of a weighted sum in one pass: rows, columns, and the values that it adds. */
import { type Extent, ONE, subExtent } from "../../../ir/extent.ts";
import { ilt, type KernelExpr, kapply, kconst, ksize, splat } from "../../../ir/kernel.ts";
import { type Axis, axis } from "../../../ir/tensor.ts";
import { divisible } from "../affine.ts";
import { lower } from "../lower.ts";
import { bindAxis, inCopy, name } from "./builder.ts";
import type { RowTile } from "./online-rows.ts";
import { atFlat } from "./tile.ts";

export interface OnlineTile extends RowTile {
  readonly rows: number;
  readonly columnAxes: readonly Axis[];
  /** The invocation's first row; with a subgroup, the workgroup's. */
  readonly rowBase: KernelExpr;
  readonly rowCount: Extent;
  readonly keyCount: Extent;
  readonly tx: KernelExpr;
  readonly ty: KernelExpr;
}

export function atColumn<T>(t: OnlineTile, j: number, body: () => T): T {
  const a = t.columnAxes[j];
  if (!a) throw new Error(`no column ${j}`);
  return atFlat(t.b, t.region.n, a, t.laneN, body);
}

/** The values at a reduced position for each of the invocation's columns; zeros past the end. */
export function valuesAt(t: OnlineTile, at: KernelExpr, block: number): readonly KernelExpr[] {
  const { b, region, keyCount } = t;
  return inCopy(b, () => {
    const a = axis("key", keyCount);
    const whole = divisible(keyCount, block);
    const place = whole ? at : name(b, "key", at);
    bindAxis(b, a, whole ? at : name(b, "inside", kapply("min", place, ksize(subExtent(keyCount, ONE)))));
    return atFlat(b, region.k, a, 1, () =>
      t.columnAxes.map((_, j) =>
        atColumn(t, j, () => {
          const v = splat(lower(b, region.value), t.laneN);
          if (whole) return name(b, "v", v);
          const zero = splat(kconst(v.dtype, 0), t.laneN);
          return name(b, "v", kapply("select", ilt(place, ksize(keyCount)), v, zero));
        }),
      ),
    );
  });
}
