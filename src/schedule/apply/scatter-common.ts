/** What the methods of a scatter share. */
import { ZERO } from "../../../ir/extent.ts";
import { ilt, type KernelExpr, kand, ksize, when } from "../../../ir/kernel.ts";
import { type Axis, constant, read, type TensorExpr } from "../../../ir/tensor.ts";
import { sidesProved } from "../affine.ts";
import { lower } from "../lower.ts";
import type { ScatterRegion } from "../region.ts";
import { aliasAxis, type Builder, emit, inFrame } from "./builder.ts";
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

/** What a result is before anything is scattered onto it. */
export function startOf(region: ScatterRegion, point: readonly TensorExpr[], slot: number): TensorExpr {
  const { def } = region;
  const into = def.into?.[slot];
  if (into) return read(into.tensor, into.slot, point);
  const initial = def.monoid === "set" ? def.initial[slot] : (def.monoid.identity[slot] ?? def.initial[slot]);
  return initial ?? constant(def.types[slot] ?? "f32", 0);
}
