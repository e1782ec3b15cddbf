/**
 * Loads of several vectors at once. A storage buffer of floats that is `wide` is laid out as it would be otherwise, and its index counts
 * vectors, but is written as group · wide + column with a constant column: printed, the buffer is an array of matrices, of which a
 * group's loads share one. Where each access is compiled by itself, that is one computation of an address for all.
 */
import { type Buffer, type KernelExpr, type KLoad, kapply, kint, load } from "./kernel.ts";

/** The vector at group · wide + column. */
export function loadColumn(buffer: Buffer, group: KernelExpr, column: number): KLoad {
  return load(buffer, kapply("add", kapply("mul", group, kint(buffer.wide ?? 1)), kint(column)));
}

/** Group and column of an index that `loadColumn` made, or any other of this form; undefined for the rest. */
export function columnOf(
  buffer: Buffer,
  index: KernelExpr,
): { readonly group: KernelExpr; readonly column: number } | undefined {
  if (index.kind !== "apply" || index.prim !== "add") return undefined;
  const [scaled, column] = index.args;
  if (column?.kind !== "const" || scaled?.kind !== "apply" || scaled.prim !== "mul") return undefined;
  const [group, by] = scaled.args;
  const fits = by?.kind === "const" && by.value === buffer.wide && column.value >= 0 && column.value < by.value;
  return group && fits ? { group, column: column.value } : undefined;
}
