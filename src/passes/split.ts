/**
 * Splits an axis that a reduction reads by its digits: i under `div c` and `% c`, where c divides its extent, becomes
 * (i1, i0) with i = i1·c + i0. Row-major memory does not change, and what a reshape hid is a product again: grouped
 * convolutions, heads of an attention, norms over groups.
 */
import { divExtent, type Extent, modExtent, mulExtent, ONE, ZERO } from "../../ir/extent.ts";
import {
  type Axis,
  apply,
  axis,
  axisRef,
  childrenOf,
  type Definition,
  mapDef,
  type Program,
  type Reduce,
  read,
  reduce,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { digitOf } from "./digits.ts";
import { estimate } from "./estimate.ts";
import { substitute } from "./inline.ts";
import { reductionOf } from "./lift.ts";
import { freshAxes, renameAxes, rewriteProgram, slotsOf } from "./rewrite.ts";

/** More splits of one definition than this stop: each makes one axis more. */
const MOST_SPLITS = 16;

export function splitAxes(p: Program): Program {
  return rewriteProgram(p, (d, emit) => {
    let root = reductionOf(d);
    if (!root || d.kind !== "map") {
      emit(d);
      return slotsOf(d);
    }
    let axes: readonly Axis[] = d.axes;
    /** The index along each axis of the split definition, in axes of `d`. */
    let index: readonly TensorExpr[] = d.axes.map(axisRef);
    for (let n = 0; n < MOST_SPLITS; n++) {
      const cut = firstCut(root);
      if (!cut) break;
      const c = sizeOf(cut.by);
      const high = axis(`${cut.axis.name}1`, divExtent(cut.axis.extent, cut.by));
      const low = axis(`${cut.axis.name}0`, cut.by);
      const bind = new Map<Axis, TensorExpr>([[cut.axis, apply("add", apply("mul", axisRef(high), c), axisRef(low))]]);
      const was: Reduce = root;
      const values = was.values.map((v) => substitute(v, bind));
      const reduced = was.axes.flatMap((a) => (a === cut.axis ? [high, low] : [a]));
      index = index.flatMap((e, i) => (axes[i] === cut.axis ? [apply("floordiv", e, c), apply("mod", e, c)] : [e]));
      axes = axes.flatMap((a) => (a === cut.axis ? [high, low] : [a]));
      root = reduce(was.monoid, reduced, values, was.slot);
    }
    if (root === reductionOf(d)) {
      emit(d);
      return slotsOf(d);
    }
    const split: Reduce = root;
    const slots = split.monoid.slots.map((_, s) => reduce(split.monoid, split.axes, split.values, s));
    const o = { span: d.span, epoch: d.epoch };
    if (axes === d.axes || axes.length === d.axes.length) {
      const made = mapDef(axes, slots, { ...o, name: d.name });
      emit(made);
      return slotsOf(made);
    }
    const made = mapDef(axes, slots, { ...o, name: `${d.name}_split` });
    emit(made);
    // What others read: an index map onto the split one.
    const to = new Map<Axis, Axis>();
    const outer = freshAxes(d.axes, to);
    const maps = slots.map(
      (_, s): Definition =>
        mapDef(
          outer,
          [
            read(
              made,
              s,
              index.map((e) => renameAxes(e, to)),
            ),
          ],
          { ...o, name: d.name },
        ),
    );
    for (const m of maps) emit(m);
    return maps.map((m) => ({ tensor: m, slot: 0 }));
  });
}

/** A digit that some index takes of an axis, the largest stride first, so that what remains is digits again. */
function firstCut(root: Reduce): { readonly axis: Axis; readonly by: Extent } | undefined {
  let best: { readonly axis: Axis; readonly by: Extent } | undefined;
  const seen = new Set<TensorExpr>();
  const offer = (x: TensorExpr): void => {
    const d = digitOf(x);
    if (!d || d.axis.extent === ONE) return;
    // The digit is (axis div stride) % count: the axis is cut at stride · count, else at stride.
    for (const by of [mulExtent(d.stride, d.count), d.stride]) {
      if (by === ONE || by === d.axis.extent || modExtent(d.axis.extent, by) !== ZERO) continue;
      if (!best || estimate(by) > estimate(best.by)) best = { axis: d.axis, by };
    }
  };
  const go = (x: TensorExpr, inIndex: boolean): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (inIndex && x.kind === "apply" && (x.prim === "floordiv" || x.prim === "mod")) offer(x);
    for (const c of childrenOf(x)) go(c, inIndex || x.kind === "read");
  };
  for (const v of root.values) go(v, false);
  return best;
}
