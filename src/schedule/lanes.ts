/** Positions in lanes: what the lanes of a vector, and neighbouring vectors, have in common. */
import { type LinearForm, linearOf } from "../../ir/affine.ts";
import { divExtent, type Extent, ONE, size, subExtent } from "../../ir/extent.ts";
import {
  type Axis,
  axisRef,
  childrenOf,
  i32,
  mapChildren,
  type Read,
  substituteAxes,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { divisible, formExpression } from "./affine.ts";
import type { Builder } from "./apply/builder.ts";

/** Lanes that one access may take: positions differ by one from lane to lane and begin on a multiple. */
export function aligned(b: Builder, f: LinearForm, units: Extent): boolean {
  if (b.lanes === 1) return false;
  const lane = axisRef(b.lane);
  if (f.terms.get(lane) !== ONE || !divisible(f.constant, b.lanes) || !divisible(units, b.lanes)) return false;
  for (const [atom, c] of f.terms) {
    if (atom === lane) continue;
    if (!divisible(c, b.lanes) || dependsOnLane(b, atom)) return false;
  }
  return true;
}

/** The form without its lane, in vectors. */
export function vectorForm(b: Builder, f: LinearForm): LinearForm {
  const terms = new Map<TensorExpr, Extent>();
  const shrink = (c: Extent): Extent => divExtent(c, size(b.lanes));
  for (const [atom, c] of f.terms) if (atom !== axisRef(b.lane)) terms.set(atom, shrink(c));
  return { constant: shrink(f.constant), terms };
}

/** The form without its column, in groups of vectors. */
export function groupForm(f: LinearForm, column: number, wide: number): LinearForm {
  const shrink = (c: Extent): Extent => divExtent(c, size(wide));
  const terms = new Map([...f.terms].map(([atom, c]) => [atom, shrink(c)]));
  return { constant: shrink(subExtent(f.constant, size(column))), terms };
}

export function dependsOnLane(b: Builder, e: TensorExpr): boolean {
  let memo = laneMemo.get(b);
  if (!memo) {
    memo = new Map();
    laneMemo.set(b, memo);
  }
  const old = memo.get(e);
  if (old !== undefined) return old;
  const found = e.kind === "axis" ? e.axis === b.lane : childrenOf(e).some((c) => dependsOnLane(b, c));
  memo.set(e, found);
  return found;
}
const laneMemo = new WeakMap<Builder, Map<TensorExpr, boolean>>();

export function atLane(b: Builder, e: TensorExpr, lane: number): TensorExpr {
  return substituteAxes(e, new Map<Axis, TensorExpr>([[b.lane, i32(lane)]]));
}

/** Index arithmetic in linear form again, after a substitution. */
export function simplifyIndex(e: TensorExpr): TensorExpr {
  const made = mapChildren(e, simplifyIndex);
  if (made.dtype !== "i32" || made.kind !== "apply") return made;
  if (made.prim !== "add" && made.prim !== "mul" && made.prim !== "sub" && made.prim !== "neg") return made;
  return formExpression(linearOf(made));
}

/** Vectors that the load of one takes with it: those beside it, if every load of this form is of one of the same few. */
export function columnsOf(b: Builder, e: Read, f: LinearForm, total: Extent): 1 | 2 | 4 {
  const float = e.dtype === "f32" || e.dtype === "f16";
  const known = f.constant.value !== undefined && f.terms.size > 0 && divisible(total, b.lanes * b.wide);
  return float && known && [...f.terms.values()].every((c) => divisible(c, b.wide)) ? b.wide : 1;
}
