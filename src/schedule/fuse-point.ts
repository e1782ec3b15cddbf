/** How the points of a map lie among the points of a region. */
import { divExtent, type Extent, modExtent, mulExtent, ONE, ZERO } from "../../ir/extent.ts";
import { type Axis, apply, axis, axisRef, i32, sizeOf, type TensorExpr } from "../../ir/tensor.ts";
import { linearOf } from "../passes/affine.ts";
import { combineDigits, digitOf } from "../passes/digits.ts";
import { estimate } from "../passes/estimate.ts";
import { axesIn } from "../passes/rewrite.ts";

export interface Placement {
  /** The index along each of the region's axes, in the map's own axes; undefined along one that it does not have. */
  readonly coords: readonly (TensorExpr | undefined)[];
  /** Each of the map's axes in the region's axes and `extra`. */
  readonly bind: ReadonlyMap<Axis, TensorExpr>;
  /** Axes of the map beyond the region's: none if the two are in bijection. */
  readonly extra: readonly Axis[];
}

export function identityPlacement(axes: readonly Axis[]): Placement {
  return { coords: axes.map(axisRef), bind: new Map(axes.map((a) => [a, axisRef(a)])), extra: [] };
}

/**
 * Each of the region's axes must be a digit of one of the map's (the whole axis, or a part that a reshape takes), no two
 * overlapping; what is left of the map's axes is extra. Axes of extent 1 match anything.
 */
export function place(
  coords: readonly (TensorExpr | undefined)[],
  axes: readonly Axis[],
  region: readonly Axis[],
): Placement | undefined {
  const digits = new Map<Axis, { readonly stride: Extent; readonly count: Extent; readonly value: TensorExpr }[]>();
  for (const a of axes) digits.set(a, []);
  for (const [i, p] of region.entries()) {
    if (p.extent === ONE) continue;
    const c = coords[i];
    const d = c && digitOf(c);
    const list = d && digits.get(d.axis);
    if (!d || !list || d.count !== p.extent) return undefined;
    list.push({ stride: d.stride, count: d.count, value: axisRef(p) });
  }
  const bind = new Map<Axis, TensorExpr>();
  const extra: Axis[] = [];
  for (const [a, list] of digits) {
    if (a.extent === ONE) {
      bind.set(a, i32(0));
      continue;
    }
    const parts: { readonly stride: Extent; readonly value: TensorExpr }[] = [];
    let cursor = ONE;
    const fill = (upTo: Extent): boolean => {
      if (cursor === upTo) return true;
      if (modExtent(upTo, cursor) !== ZERO) return false;
      const e = axis(a.name, divExtent(upTo, cursor));
      extra.push(e);
      parts.push({ stride: cursor, value: axisRef(e) });
      return true;
    };
    // From the least digit up; estimates alone would not order strides of unknown size.
    const rest = [...list].sort((x, y) => estimate(x.stride) - estimate(y.stride));
    while (rest.length > 0) {
      const exact = rest.findIndex((d) => d.stride === cursor);
      const [d] = rest.splice(Math.max(0, exact), 1);
      if (!d || !fill(d.stride)) return undefined;
      parts.push(d);
      cursor = mulExtent(d.stride, d.count);
    }
    if (!fill(a.extent)) return undefined;
    const [whole] = parts;
    bind.set(a, parts.length === 1 && whole ? whole.value : combineDigits(parts));
  }
  return { coords, bind, extra };
}

/** The axes that the indices of a point are made of. */
export function axesOf(point: readonly TensorExpr[]): readonly Axis[] {
  return [...new Set(point.flatMap((x) => [...axesIn(x)]))];
}

/**
 * The domain's axes in terms of the stored tensor's, where each index of the point is made of digits: axes with strides 1, e₀,
 * e₀·e₁, … whose extents fill the index's own. So every element is written exactly once, and the store is a map. Else undefined.
 */
export function solvePoint(
  point: readonly TensorExpr[],
  domain: readonly Axis[],
  axes: readonly Axis[],
): Map<Axis, TensorExpr> | undefined {
  const solved = new Map<Axis, TensorExpr>();
  for (const [d, e] of point.entries()) {
    const form = linearOf(e);
    if (form.constant !== ZERO) return undefined;
    const digits = [...form.terms].map(([atom, stride]) => ({
      axis: atom.kind === "axis" ? atom.axis : undefined,
      stride,
    }));
    let stride: Extent = ONE;
    for (let left = digits; left.length > 0; ) {
      const next = left.find((x) => x.stride === stride);
      if (!next?.axis || solved.has(next.axis)) return undefined;
      const whole = axisRef(axes[d]!);
      const shifted = stride === ONE ? whole : apply("floordiv", whole, sizeOf(stride));
      solved.set(next.axis, left.length === 1 ? shifted : apply("mod", shifted, sizeOf(next.axis.extent)));
      stride = mulExtent(stride, next.axis.extent);
      left = left.filter((x) => x !== next);
    }
    if (stride !== axes[d]!.extent) return undefined;
  }
  return domain.every((a) => solved.has(a) || a.extent === ONE) ? withUnits(solved, domain) : undefined;
}

function withUnits(solved: Map<Axis, TensorExpr>, domain: readonly Axis[]): Map<Axis, TensorExpr> {
  for (const a of domain) if (!solved.has(a)) solved.set(a, i32(0));
  return solved;
}
