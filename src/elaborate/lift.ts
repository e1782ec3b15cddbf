/**
 * Lambda lifting: an expression that uses axes of the surrounding index notation becomes a definition over copies of them; a
 * reduction inside an expression becomes a definition over the axes it depends on.
 */
import type { Extent } from "../../ir/extent.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Const,
  type Definition,
  freeAxes,
  mapChildren,
  mapDef,
  type Reduce,
  read,
  reduce,
  substituteAxes,
  type TensorExpr,
} from "../../ir/tensor.ts";
import type { TensorValue } from "./value.ts";

/** Free axes of the expressions that are not among `own`, outermost first. */
export function outerAxes(list: readonly TensorExpr[], own: ReadonlySet<Axis>): readonly Axis[] {
  const free = new Set<Axis>();
  for (const e of list) freeAxes(e, free);
  return [...free].filter((a) => !own.has(a)).sort((a, b) => a.id - b.id);
}

export interface Lifted {
  readonly axes: readonly Axis[];
  readonly list: readonly TensorExpr[];
}

/** Copies of axes for a definition of its own, and the expressions over the copies. */
export function lift(outer: readonly Axis[], list: readonly TensorExpr[]): Lifted {
  if (outer.length === 0) return { axes: [], list };
  const axes = outer.map((a) => axis(a.name, a.extent));
  const bind = new Map(outer.map((a, k) => [a, axisRef(axes[k]!)]));
  return { axes, list: list.map((e) => substituteAxes(e, bind)) };
}

export interface Hoister {
  /** e with every reduction in it, itself included, replaced by a read of a definition. */
  hoist(e: TensorExpr, memo: Map<TensorExpr, TensorExpr>): TensorExpr;
  /** The same, but a reduction at the root stays. */
  atRoot(e: TensorExpr): TensorExpr;
  snapshot(): () => void;
}

/** Equal reductions get one definition. `emit` is called with definitions in dependency order. */
export function makeHoister(emit: (d: Definition) => void): Hoister {
  let hoisted = new Map<TensorExpr, { readonly tensor: Definition; readonly outer: readonly Axis[] }>();

  const hoistReduce = (e: Reduce, memo: Map<TensorExpr, TensorExpr>): TensorExpr => {
    const values = e.values.map((v) => hoist(v, memo));
    const key = reduce(e.monoid, e.axes, values, 0);
    let found = hoisted.get(key);
    if (!found) {
      const slots = e.monoid.slots.map((_, s) => reduce(e.monoid, e.axes, values, s));
      const outer = outerAxes(slots, new Set());
      const lifted = lift(outer, slots);
      const made = mapDef(lifted.axes, lifted.list, { name: e.monoid.name });
      emit(made);
      found = { tensor: made, outer };
      hoisted.set(key, found);
    }
    return read(found.tensor, e.slot, found.outer.map(axisRef));
  };

  const hoist = (e: TensorExpr, memo: Map<TensorExpr, TensorExpr>): TensorExpr => {
    const old = memo.get(e);
    if (old) return old;
    const made = e.kind === "reduce" ? hoistReduce(e, memo) : mapChildren(e, (c) => hoist(c, memo));
    memo.set(e, made);
    return made;
  };

  return {
    hoist,
    atRoot(e) {
      const memo = new Map<TensorExpr, TensorExpr>();
      return e.kind === "reduce" ? mapChildren(e, (c) => hoist(c, memo)) : hoist(e, memo);
    },
    snapshot() {
      const saved = hoisted;
      hoisted = new Map(saved);
      return () => {
        hoisted = saved;
      };
    },
  };
}

/**
 * For a view that reads all of one definition, perhaps with its axes in another order: the read with a fill at an index of the
 * view. `probes` are fresh axes of the view's shape. Undefined for other views.
 */
export function permutation(
  value: TensorValue,
  probes: readonly Axis[],
  resolve: (e: Extent) => Extent,
): ((index: readonly TensorExpr[], fill: Const) => TensorExpr) | undefined {
  const e = value.at(probes.map(axisRef));
  if (e.kind !== "read" || e.fill) return undefined;
  const left = new Set(probes);
  for (const [k, at] of e.at.entries()) {
    if (at.kind === "axis" && left.has(at.axis)) {
      if (resolve(e.tensor.axes[k]!.extent) !== at.axis.extent) return undefined;
      left.delete(at.axis);
    } else if ([...freeAxes(at)].some((a) => probes.includes(a))) return undefined;
  }
  if (left.size > 0) return undefined;
  return (index, fill) => {
    const bind = new Map(probes.map((p, k) => [p, index[k]!]));
    const at = e.at.map((a) => (a.kind === "axis" ? (bind.get(a.axis) ?? a) : a));
    return read(e.tensor, e.slot, at, fill);
  };
}

/** One read (or constant) whose indices read nothing: an index map, which costs nothing to repeat. */
export function isIndexView(e: TensorExpr): boolean {
  if (e.kind === "const" || e.kind === "size") return true;
  return e.kind === "read" && e.at.every(isPlainIndex);
}
function isPlainIndex(e: TensorExpr): boolean {
  if (e.kind === "read" || e.kind === "reduce") return false;
  return e.kind === "apply" ? e.args.every(isPlainIndex) : true;
}
