/**
 * What fusion and contraction weigh: operations by kind, elements and bytes. Unknown size symbols count as 256. The unit is
 * one float addition; a load is what a cached load costs, not a trip to memory.
 */
import type { DType } from "../../ir/dtype.ts";
import type { Prim } from "../../ir/prim.ts";
import { type Axis, childrenOf, type Definition, type TensorExpr, type TensorRef } from "../../ir/tensor.ts";
import { estimate } from "../passes/estimate.ts";
import { axesIn, hasRead } from "../passes/rewrite.ts";

/** Operations done while a byte moves. */
export const OPS_PER_BYTE = 8;
export const LOAD = 2;

const WEIGHT = {
  add: 1, sub: 1, mul: 1, div: 4, floordiv: 4, mod: 4, rem: 4, neg: 1, abs: 1, sign: 1, min: 1, max: 1, pow: 16,
  exp: 8, exp2: 8, expm1: 12, log: 8, log2: 8, log1p: 12, sqrt: 4, rsqrt: 4,
  sin: 12, cos: 12, tan: 16, asin: 16, acos: 16, atan: 16, atan2: 20, sinh: 16, cosh: 16, tanh: 20, asinh: 20, acosh: 20, atanh: 20,
  erf: 20, erfc: 20, floor: 1, ceil: 1, round: 1, trunc: 1,
  eq: 1, ne: 1, lt: 1, le: 1, gt: 1, ge: 1, and: 1, or: 1, not: 1,
  bitand: 1, bitor: 1, bitxor: 1, bitnot: 1, shl: 1, shr: 1, popcount: 1, clz: 1,
  select: 1, cast: 1, bitcast: 0, isnan: 1, isinf: 1,
  threefry0: 20, threefry1: 20, stopGradient: 0,
} as const satisfies Record<Prim, number>; // biome-ignore format: one table

/** Weighted operations to evaluate `e` once, each distinct node once, `ofRead` for each read; index arithmetic is not counted. */
export function costOf(
  list: readonly TensorExpr[],
  ofRead: (r: TensorExpr & { readonly kind: "read" }) => number = () => LOAD,
): number {
  let sum = 0;
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind === "read") {
      sum += ofRead(x);
      // Indices that come from data cost their loads.
      for (const i of x.at) for (const r of loadsIn(i)) if (!seen.has(r)) go(r);
      return;
    }
    // What is the same everywhere is computed once.
    if (x.kind === "apply" && !hasRead(x) && axesIn(x).size === 0 && !hasArg(x)) return;
    if (x.kind === "apply") sum += WEIGHT[x.prim];
    for (const c of childrenOf(x)) go(c);
  };
  for (const e of list) go(e);
  return sum;
}
function hasArg(e: TensorExpr): boolean {
  return e.kind === "arg" || childrenOf(e).some(hasArg);
}
function loadsIn(e: TensorExpr): readonly TensorExpr[] {
  if (e.kind === "read") return [e];
  return childrenOf(e).flatMap(loadsIn);
}

/** Weighted float and integer operations in `e` without loads. */
export function opsOf(list: readonly TensorExpr[]): number {
  return costOf(list, () => 0);
}

/** The product of some axes' extents. */
export function points(axes: Iterable<Axis>): number {
  let n = 1;
  for (const a of axes) n *= estimate(a.extent);
  return n;
}
export function elementsOf(d: Definition): number {
  return points(d.axes);
}
/** Bytes an element takes in memory. */
export function sizeOfType(d: DType): number {
  return d === "f16" ? 2 : 4;
}
export function bytesOf(r: TensorRef): number {
  return elementsOf(r.tensor) * sizeOfType(r.tensor.types[r.slot] ?? "f32");
}
