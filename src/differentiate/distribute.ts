/**
 * Sums of a cotangent that has parts which do not vary along what is summed. Of y = x + b, normalised along an axis s, the cotangent
 * is g - mean(g) - …, and b's is that summed over s: each part is summed by itself, the mean's by its count. What the mean was made of is a
 * sum that is there already, so the parts cancel as they do on paper, instead of leaving what rounding made of every element; and a
 * pass over the elements is saved.
 */
import { lowerBound } from "../../ir/extent.ts";
import { addMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  apply,
  axisRef,
  constant,
  type Definition,
  i32,
  mapDef,
  read,
  reduce,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { countOf } from "../passes/hoist.ts";
import { axesIn, freshAxes, hasReduce, renameAxes } from "../passes/rewrite.ts";
import type { Contribution } from "./adjoint.ts";
import { unsigned } from "./share.ts";

/** A slot's cotangent as the adjoint reads it, and the parts that it is the sum of. */
export interface Total {
  readonly seed: TensorExpr;
  readonly parts: readonly TensorRef[];
}

type Emit = <D extends Definition>(d: D) => D;

/** The same contributions; those that sum such a cotangent as it is do so part by part. */
export function distribute(
  list: readonly Contribution[],
  d: Definition,
  totals: readonly Total[],
  emit: Emit,
): readonly Contribution[] {
  return list.map((c) => {
    const plain = unsigned(c.value);
    const total = totals.find((t) => t.seed === plain);
    if (!total || total.parts.length < 2 || c.domain !== d.axes) return c;
    const kept = new Set(c.at.flatMap((e) => [...axesIn(e)]));
    const summed = constantAlong(
      total,
      d.axes.filter((a) => !kept.has(a)),
    );
    if (summed.length === 0) return c;
    const inner = sumOfParts(total, d, summed, emit);
    const outer = d.axes.filter((a) => !summed.includes(a));
    const value = read(inner, 0, outer.map(axisRef));
    return { ...c, domain: outer, value: plain === c.value ? value : apply("neg", value) };
  });
}

/** Of these axes of the target the most along which one of the parts is constant. */
function constantAlong(total: Total, axes: readonly Axis[]): readonly Axis[] {
  const along = total.parts.map((p) => axes.filter((a) => !varies(p, positionOf(total, a))));
  return along.reduce((most, some) => (some.length > most.length ? some : most), []);
}

/** The number of an axis among those of the target, which are those of every part. */
function positionOf(total: Total, a: Axis): number {
  if (total.seed.kind !== "read") throw new RangeError("a cotangent is read as it is");
  return total.seed.at.findIndex((e) => e.kind === "axis" && e.axis === a);
}

/** What takes a sum to compute is not written out again, so it counts as varying. */
function varies({ tensor, slot }: TensorRef, position: number): boolean {
  if (tensor.kind !== "map") return true;
  const [own, body] = [tensor.axes[position], tensor.results[slot]];
  return !own || !body || hasReduce(body) || axesIn(body).has(own);
}

/** Σ over `summed` of all parts, at the other axes. */
function sumOfParts(total: Total, d: Definition, summed: readonly Axis[], emit: Emit): Definition {
  const o = { name: `${d.name}_ct`, span: d.span, epoch: d.epoch };
  const others = d.axes.filter((a) => !summed.includes(a));
  const rename = new Map<Axis, Axis>();
  const outer = freshAxes(others, rename);
  const terms = total.parts.map((p): TensorExpr => {
    if (p.tensor.kind === "map" && summed.every((a) => !varies(p, positionOf(total, a)))) {
      const to = new Map(p.tensor.axes.map((own, i) => [own, rename.get(d.axes[i]!) ?? d.axes[i]!]));
      const value = renameAxes(p.tensor.results[p.slot]!, to);
      const all = apply("mul", value, countOf(summed, value.dtype));
      // The sum over nothing is 0, whatever the part is.
      return summed.reduce(
        (sum, a) =>
          (lowerBound(a.extent) ?? 0) > 0
            ? sum
            : apply("select", apply("gt", sizeOf(a.extent), i32(0)), sum, zero(sum)),
        all,
      );
    }
    const along = new Map<Axis, Axis>();
    const axes = freshAxes(others, along);
    const inner = freshAxes(summed, along);
    const element = renameAxes(read(p.tensor, p.slot, d.axes.map(axisRef)), along);
    const sum = emit(mapDef(axes, [reduce(addMonoid(element.dtype), inner, [element])], o));
    return read(sum, 0, outer.map(axisRef));
  });
  return emit(mapDef(outer, [terms.reduce((a, b) => apply("add", a, b))], o));
}

function zero({ dtype }: TensorExpr): TensorExpr {
  return constant(dtype, 0);
}
