/**
 * Every reduction gets a definition of its own, over exactly the free axes that it depends on. Nested in an expression it
 * would be evaluated again at every point of the rest. Maps of several results come apart: fusion puts back together what
 * belongs in one kernel.
 */
import {
  type Axis,
  axisRef,
  childrenOf,
  type Definition,
  expressionsOf,
  type MapDef,
  mapChildren,
  mapDef,
  type Program,
  type Reduce,
  read,
  reduce,
  substituteArgs,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { leaving } from "./inline.ts";
import {
  axesIn,
  type Emit,
  freshAxes,
  hasReduce,
  mapExpressions,
  renameAxes,
  rewriteProgram,
  slotsOf,
} from "./rewrite.ts";

/** Is it a reduction as fusion wants it: slots 0…n-1 of one reduce over non-reducing values, each free axis used? */
export function reductionOf(d: Definition): Reduce | undefined {
  if (d.kind !== "map") return undefined;
  const first = d.results[0];
  if (first?.kind !== "reduce" || d.results.length !== first.monoid.slots.length) return undefined;
  const whole = d.results.every(
    (e, s) =>
      e.kind === "reduce" &&
      e.slot === s &&
      e.monoid === first.monoid &&
      same(e.axes, first.axes) &&
      same(e.values, first.values),
  );
  if (!whole || first.axes.length === 0 || first.values.some(hasReduce)) return undefined;
  return first;
}
function same<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

export function liftReductions(p: Program): Program {
  return rewriteProgram(p, (d, emit) => {
    if (d.kind === "input" || d.kind === "carry") return slotsOf(d);
    const root = reductionOf(d);
    if (root && d.axes.every((a) => root.values.some((v) => axesIn(v).has(a)))) {
      emit(d);
      return slotsOf(d);
    }
    const lifted = mapExpressions(d, lifter(d, emit));
    if (lifted.kind !== "map" || lifted.results.length === 1) {
      emit(lifted);
      return slotsOf(lifted);
    }
    return separate(lifted, emit);
  });
}

/** One definition a result, each over axes of its own. */
function separate(d: MapDef, emit: Emit): readonly TensorRef[] {
  return d.results.map((e, slot) => {
    const to = new Map<Axis, Axis>();
    const axes = freshAxes(d.axes, to);
    const made = mapDef(axes, [renameAxes(e, to)], { name: `${d.name}_${slot}`, span: d.span, epoch: d.epoch });
    emit(made);
    return { tensor: made, slot: 0 };
  });
}

function lifter(d: Definition, emit: Emit): (e: TensorExpr) => TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  // The slots of one reduce share its definition.
  const made = new Map<string, { readonly def: MapDef; readonly free: readonly Axis[] }>();
  const keys = new Map<object, number>();
  const keyOf = (x: object): number => {
    const old = keys.get(x);
    if (old !== undefined) return old;
    keys.set(x, keys.size);
    return keys.size - 1;
  };
  // Whatever may stand around a reduction: the definition's axes, a scatter's domain, what other reductions bind.
  const around = [
    ...d.axes,
    ...(d.kind === "scatter" ? d.domain : []),
    ...expressionsOf(d).flatMap((e) => [...boundIn(e)]),
  ];
  const go = (x: TensorExpr): TensorExpr => {
    if (!hasReduce(x)) return x;
    const old = memo.get(x);
    if (old) return old;
    const inner = mapChildren(x, go);
    const out = inner.kind === "reduce" ? pull(inner) : inner;
    memo.set(x, out);
    return out;
  };
  const pull = (r: Reduce): TensorExpr => {
    // ⊕ over no axes is one combination with the identity.
    if (r.axes.length === 0) {
      const body = r.monoid.combine[r.slot];
      if (body) return substituteArgs(body, [...r.monoid.identity, ...r.values]);
    }
    const key = `${keyOf(r.monoid)}/${r.axes.map(keyOf).join(",")}/${r.values.map((v) => v.id).join(",")}`;
    let entry = made.get(key);
    if (!entry) {
      const bound = new Set(r.axes);
      const used = new Set<Axis>();
      for (const v of r.values) for (const a of axesIn(v)) if (!bound.has(a)) used.add(a);
      // In the order of the surrounding definition, then that of the reductions around it.
      const free = [...d.axes.filter((a) => used.has(a)), ...[...used].filter((a) => !d.axes.includes(a))];
      const to = new Map<Axis, Axis>();
      const axes = freshAxes(free, to);
      const reduced = freshAxes(r.axes, to);
      const behind = around.filter((a) => !used.has(a) && !bound.has(a));
      const values = r.values.map((v) => renameAxes(leaving(v, behind), to));
      const results = r.monoid.slots.map((_, s) => reduce(r.monoid, reduced, values, s));
      const name =
        d.kind === "map" && d.results.length === 1 && d.results[0]?.kind === "reduce"
          ? d.name
          : `${d.name}_${r.monoid.name}`;
      entry = { def: mapDef(axes, results, { name, span: d.span, epoch: d.epoch }), free };
      made.set(key, entry);
      emit(entry.def);
    }
    return read(entry.def, r.slot, entry.free.map(axisRef));
  };
  return go;
}

/** Axes that reduces in an expression bind. */
function boundIn(e: TensorExpr): ReadonlySet<Axis> {
  const found = new Set<Axis>();
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x) || !hasReduce(x)) return;
    seen.add(x);
    if (x.kind === "reduce") for (const a of x.axes) found.add(a);
    for (const c of childrenOf(x)) go(c);
  };
  go(e);
  return found;
}
