/** What the methods of a scatter share. */
import { ceilDivExtent, type Extent, size, ZERO } from "../../../ir/extent.ts";
import {
  iadd,
  ilt,
  imul,
  type KernelExpr,
  kand,
  kint,
  ksize,
  kvar,
  loop,
  type Statement,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, constant, read, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible, sidesProved } from "../affine.ts";
import { lower } from "../lower.ts";
import type { ScatterRegion } from "../region.ts";
import { aliasAxis, type Builder, bindAxis, emit, inFrame } from "./builder.ts";
import { neverEmpty } from "./walk.ts";

/** Domain axes that are a plain index of the result: the result's own coordinate says where they are. */
export function fixedAxes(region: ScatterRegion): ReadonlyMap<Axis, number> {
  const fixed = new Map<Axis, number>();
  region.def.at.forEach((x, d) => {
    if (x.kind === "axis" && region.def.domain.includes(x.axis) && !fixed.has(x.axis)) fixed.set(x.axis, d);
  });
  return fixed;
}

/**
 * Runs `body` with the fixed axes at the result's coordinates, where the result may have positions at all: a shorter axis of the domain
 * leaves those behind its end as they are. Axes of the result in `keyed` are told by keys instead.
 */
export function withinDomain(
  b: Builder,
  region: ScatterRegion,
  point: readonly TensorExpr[],
  keyed: readonly number[],
  body: () => void,
): void {
  let test: KernelExpr | undefined;
  for (const [a, d] of fixedAxes(region)) {
    const p = point[d];
    if (!p || keyed.includes(d)) continue;
    aliasAxis(b, a, p);
    if (a.extent === region.def.axes[d]?.extent) continue;
    if (sidesProved(p, a.extent).high && a.extent !== ZERO && neverEmpty(a.extent)) continue;
    const here = ilt(lower(b, p), ksize(a.extent));
    test = test ? kand(test, here) : here;
  }
  if (test) emit(b, ...when(test, inFrame(b, true, body)));
  else body();
}

/** An invocation for each of `units`, along x. */
export function perUnit(
  b: Builder,
  units: Extent,
  threads: number,
  body: (unit: TensorExpr) => void,
): readonly Statement[] {
  const [g, t] = [variable("g"), variable("t")];
  const id = iadd(imul(kvar(g), kint(threads)), kvar(t));
  const whole = divisible(units, threads);
  const inner = inFrame(b, !whole, () => {
    const a = axis("e", units);
    bindAxis(b, a, id);
    body(axisRef(a));
  });
  const guarded = whole ? inner : when(ilt(id, ksize(units)), inner);
  return [loop(g, ksize(ceilDivExtent(units, size(threads))), [loop(t, kint(threads), guarded, "thread.x")], "grid.x")];
}

/** What a result is before anything is scattered onto it. */
export function startOf(region: ScatterRegion, point: readonly TensorExpr[], slot: number): TensorExpr {
  const { def } = region;
  const into = def.into?.[slot];
  if (into) return read(into.tensor, into.slot, point);
  const initial = def.monoid === "set" ? def.initial[slot] : (def.monoid.identity[slot] ?? def.initial[slot]);
  return initial ?? constant(def.types[slot] ?? "f32", 0);
}

export function widen(e: KernelExpr, lanes: 1 | 2 | 4): KernelExpr {
  return e.lanes === lanes ? e : { kind: "splat", dtype: e.dtype, lanes, value: e };
}
