/** What the parts of a contraction on subgroup matrices share. */
import type { Extent } from "../../../ir/extent.ts";
import { type KernelExpr, type Matrices, type Statement, when } from "../../../ir/kernel.ts";
import type { TensorExpr } from "../../../ir/tensor.ts";
import type { MatrixConfig } from "../matrix-operands.ts";
import type { ContractionSchedule } from "../schedule.ts";
import type { Builder } from "./builder.ts";
import type { Sides } from "./tile.ts";

/** A kernel under construction, for one of its tiles. Rows are of the left operand, columns of the right. */
export interface MatrixTile {
  readonly b: Builder;
  readonly s: ContractionSchedule;
  readonly config: MatrixConfig;
  readonly sides: Sides;
  /** The operands in the matrices' component type. */
  readonly left: TensorExpr;
  readonly right: TensorExpr;
  readonly rowCount: Extent;
  readonly columnCount: Extent;
  /** First row and column of the workgroup, and rows and columns that it has. */
  readonly rowBase: KernelExpr;
  readonly columnBase: KernelExpr;
  readonly groupRows: number;
  readonly groupColumns: number;
  /** Matrices of a subgroup's tile, down and across. */
  readonly down: number;
  readonly across: number;
  /** Which of the workgroup's tiles the subgroup has now, and whether there is such a tile; undefined where there always is. */
  readonly tile: KernelExpr;
  readonly active: KernelExpr | undefined;
  /** Where tiles are dealt in rounds: how many at a time, and the round. */
  readonly round: { readonly count: KernelExpr; readonly now: KernelExpr } | undefined;
  /** First row and column of that tile within the workgroup's. */
  readonly rowIn: KernelExpr;
  readonly columnIn: KernelExpr;
  readonly invocations: number;
  readonly tid: KernelExpr;
  /** Which part of K, where it is split. */
  readonly part: KernelExpr | undefined;
  readonly sums: Matrices;
}

/** For subgroups that have a tile: others only help to stage and store. */
export function whenActive(t: MatrixTile, body: readonly Statement[]): readonly Statement[] {
  return t.active ? when(t.active, body) : body;
}

/** Matrices of a kernel: one of the shapes of a config. */
export function newMatrices(b: Builder, hint: string, use: Matrices["use"], c: MatrixConfig, count: number): Matrices {
  const made: Matrices = {
    kind: "matrices",
    name: hint,
    use,
    dtype: use === "result" ? c.result : c.component,
    rows: use === "right" ? c.k : c.m,
    columns: use === "left" ? c.k : c.n,
    count,
  };
  b.matrices.push(made);
  return made;
}
