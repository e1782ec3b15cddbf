/** How operands lie in memory: along which axis neighbouring elements are neighbours. */
import type { LinearForm } from "../../../ir/affine.ts";
import type { DType } from "../../../ir/dtype.ts";
import { type Extent, ONE, ZERO } from "../../../ir/extent.ts";
import { type Axis, axisRef, childrenOf, shapeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { positionIn } from "../affine.ts";
import type { ContractionRegion } from "../region.ts";
import { epilogueOf } from "./epilogue.ts";
import { laneable } from "./walk.ts";

/** Does any atom of the form, other than the axis itself, depend on it? */
function bare(f: LinearForm, a: Axis): boolean {
  const ref = axisRef(a);
  const depends = (e: TensorExpr): boolean => (e.kind === "axis" ? e.axis === a : childrenOf(e).some(depends));
  return [...f.terms.keys()].every((atom) => atom === ref || !depends(atom));
}

/** How many elements apart two neighbours along `a` lie: undefined if that is not one number. */
export function strideAlong(at: readonly TensorExpr[], shape: readonly Extent[], a: Axis): Extent | undefined {
  const f = positionIn(at, shape);
  return bare(f, a) ? (f.terms.get(axisRef(a)) ?? ZERO) : undefined;
}

/** Every read that moves along the last of `axes` moves by one element, and some read does. */
export function contiguous(exprs: readonly TensorExpr[], axes: readonly Axis[]): boolean {
  const last = axes[axes.length - 1];
  if (!last) return false;
  let some = false;
  let all = true;
  const seen = new Set<TensorExpr>();
  const visit = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "read") {
      const s = strideAlong(e.at, shapeOf(e.tensor), last);
      if (s === ONE) some = true;
      else if (s !== ZERO) all = false;
    }
    for (const c of childrenOf(e)) visit(c);
  };
  for (const e of exprs) visit(e);
  return some && all;
}

/** Does a load take `lanes` neighbours along the last of `axes`, more than one, as one vector? */
export function inVectors(e: TensorExpr, axes: readonly Axis[], lanes: number): boolean {
  return lanes > 1 && laneable(axes, lanes) && contiguous([e], axes);
}

/** Are all stores of a contraction contiguous along the last of `axes`? */
function storesAlong(region: ContractionRegion, axes: readonly Axis[]): boolean {
  const last = axes[axes.length - 1];
  if (!last) return false;
  const own = strideAlong(
    region.def.axes.map((a) => axisRef(a)),
    shapeOf(region.def),
    last,
  );
  return region.stores.every((s) => {
    const e = epilogueOf(region).find((x) => x.def === s.tensor);
    return (e ? strideAlong(e.point, shapeOf(e.def), last) : own) === ONE;
  });
}

/** Where vectors should run: along N, M or K, the first at which operands (and best of all the stores) lie so; undefined if nowhere. */
export function alongOf(region: ContractionRegion, lanes: number): "n" | "m" | "k" | undefined {
  const n = region.n.length > 0 && laneable(region.n, lanes);
  const m = region.m.length > 0 && region.b !== undefined && laneable(region.m, lanes);
  const k = laneable(region.k, lanes) && region.reduce.monoid.commutative;
  const b = region.b ?? region.a;
  if (n && contiguous([b], region.n) && storesAlong(region, region.n)) return "n";
  if (m && contiguous([region.a], region.m) && storesAlong(region, region.m)) return "m";
  if (k && contiguous([region.a, b], region.k)) return "k";
  if (n && contiguous([b], region.n)) return "n";
  if (m && contiguous([region.a], region.m)) return "m";
  return undefined;
}

/** Is the contraction a sum of products of floats, which may be added in any order? */
export function sumOfProducts({ b, body, reduce }: ContractionRegion): boolean {
  const { monoid, values } = reduce;
  const [combine] = monoid.combine;
  const [dtype] = monoid.slots;
  if (!b || values.length !== 1 || combine?.kind !== "apply" || combine.prim !== "add") return false;
  return dtype !== undefined && isProduct(body, dtype);
}

/** Is it one operand times the other, both floats of the type? */
export function isProduct(body: TensorExpr, dtype: DType): boolean {
  if (body.kind !== "apply" || body.prim !== "mul" || (dtype !== "f32" && dtype !== "f16")) return false;
  return body.args.every((a) => a.kind === "arg" && a.dtype === dtype) && body.args[0] !== body.args[1];
}
