/** Sums of products of vectors: what a generator would write in one go, and adapters (software ones above all) compute at once. */
import type { KernelExpr, Node } from "./kernel.ts";

/** The sum of the products of two vectors' lanes, of floats, in any order. */
export interface KDot extends Node {
  readonly kind: "dot";
  readonly left: KernelExpr;
  readonly right: KernelExpr;
}
/** A matrix, given by its columns, times a vector: the sum over c of column c times the vector's lane c, of floats, in any order. */
export interface KMatvec extends Node {
  readonly kind: "matvec";
  readonly columns: readonly KernelExpr[];
  readonly vector: KernelExpr;
}
export type KProduct = KDot | KMatvec;

/** Throws TypeError unless both are vectors of the same floats. */
export function dot(left: KernelExpr, right: KernelExpr): KDot {
  const { dtype, lanes } = left;
  const float = dtype === "f32" || dtype === "f16";
  if (!float || lanes === 1 || right.dtype !== dtype || right.lanes !== lanes)
    throw new TypeError(`dot(${dtype}x${lanes}, ${right.dtype}x${right.lanes})`);
  return { kind: "dot", dtype, lanes: 1, left, right };
}
/** Throws TypeError unless there is a column, a vector of the same floats, for each lane of the vector. */
export function matvec(columns: readonly KernelExpr[], vector: KernelExpr): KMatvec {
  const [first] = columns;
  const { dtype } = vector;
  const alike = columns.every((c) => c.dtype === dtype && c.lanes > 1 && c.lanes === first?.lanes);
  if ((dtype !== "f32" && dtype !== "f16") || !first || vector.lanes === 1 || columns.length !== vector.lanes || !alike)
    throw new TypeError(
      `matvec of ${columns.length} columns of ${first?.dtype}x${first?.lanes}, ${dtype}x${vector.lanes}`,
    );
  return { kind: "matvec", dtype, lanes: first.lanes, columns, vector };
}
/** What is wrong with one that was not made here, if anything. */
export function productProblem(e: KProduct): string | undefined {
  try {
    const made = e.kind === "dot" ? dot(e.left, e.right) : matvec(e.columns, e.vector);
    return made.dtype === e.dtype && made.lanes === e.lanes ? undefined : `${e.kind} has another type`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
