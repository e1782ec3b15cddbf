/**
 * Products of many operands under one sum are contracted pair by pair, in the order that costs least (contract-order.ts):
 * `ij,jk,kl->il` is two matrix products, not one sum over four axes. An axis that a single operand has is summed first.
 * Integers are exact; floats need the licences `reassociate` and `distribute`, so nothing happens to them under `strict`.
 * Stands before `normalise`, whose splits and hoists see one contraction at a time.
 */
import { isInteger } from "../../ir/dtype.ts";
import { lowerBound } from "../../ir/extent.ts";
import {
  type Axis,
  apply,
  axisRef,
  type Definition,
  type MapDef,
  mapChildren,
  mapDef,
  type Program,
  type Reduce,
  read,
  reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { orderContraction } from "./contract-order.ts";
import { estimate } from "./estimate.ts";
import { factorsOf, isAddition } from "./hoist.ts";
import { totalise } from "./inline.ts";
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

export interface ContractOptions {
  readonly strict?: boolean;
}

/** What an element of an intermediate costs beside its arithmetic: written, read again. */
const PER_ELEMENT = 8;

export function contract(program: Program, o: ContractOptions = {}): Program {
  return rewriteProgram(program, (d, emit) => {
    if (d.kind === "input" || d.kind === "carry") return slotsOf(d);
    const memo = new Map<TensorExpr, TensorExpr>();
    const go = (e: TensorExpr): TensorExpr => {
      if (!hasReduce(e)) return e;
      const old = memo.get(e);
      if (old) return old;
      const made = (e.kind === "reduce" && contracted(d, e, o, emit)) || mapChildren(e, go);
      memo.set(e, made);
      return made;
    };
    const made = mapExpressions(d, go);
    emit(made);
    return slotsOf(made);
  });
}

interface Operand {
  readonly value: TensorExpr;
  readonly axes: ReadonlySet<Axis>;
}

/** The last of the pairwise contractions, the others emitted; undefined where nothing is gained. */
function contracted(d: Definition, r: Reduce, o: ContractOptions, emit: Emit): TensorExpr | undefined {
  const body = r.values[0];
  if (!body || !isAddition(r) || (o.strict && !isInteger(body.dtype)) || body.dtype === "bool") return undefined;
  const operands = operandsOf(body);
  if (!operands || operands.length < 2) return undefined;

  const reduced = new Set(r.axes);
  const uses = new Map<Axis, number>();
  for (const x of operands) for (const a of x.axes) uses.set(a, (uses.get(a) ?? 0) + 1);
  const all = [...uses.keys()];
  const size = (axes: Iterable<Axis>): number => {
    let n = 1;
    for (const a of axes) n *= estimate(a.extent);
    return n;
  };
  const everything = size(all);
  // Axes of one operand alone are summed first if the others would multiply that work.
  const summed = operands.map((x): Operand & { readonly first: readonly Axis[] } => {
    const own = [...x.axes].filter((a) => reduced.has(a) && uses.get(a) === 1);
    if (own.length === 0) return { ...x, first: [] };
    const rest = new Set([...x.axes].filter((a) => !own.includes(a)));
    const grown = everything / size(own);
    const pays =
      grown === Number.POSITIVE_INFINITY ? size(own) > 1 : size(x.axes) + grown + PER_ELEMENT * size(rest) < everything;
    return pays ? { value: x.value, axes: rest, first: own } : { ...x, first: [] };
  });
  if (operands.length === 2 && summed.every((x) => x.first.length === 0)) return undefined;

  const number = new Map(all.map((a, i) => [a, i]));
  const numbers = (axes: Iterable<Axis>): number[] => [...axes].map((a) => number.get(a) ?? 0);
  const order = orderContraction({
    operands: summed.map((x) => numbers(x.axes)),
    output: numbers(all.filter((a) => !reduced.has(a))),
    sizes: all.map((a) => estimate(a.extent)),
  });

  // Replay: a pair that sums nothing stays a product within the next one.
  const live = new Map<Axis, number>();
  for (const x of summed) for (const a of x.axes) live.set(a, (live.get(a) ?? 0) + 1);
  const steps: {
    readonly left: number;
    readonly right: number;
    readonly sum: readonly Axis[];
    readonly axes: ReadonlySet<Axis>;
  }[] = [];
  const sets: ReadonlySet<Axis>[] = summed.map((x) => x.axes);
  let gain = everything * (operands.length - 1);
  for (const x of summed) if (x.first.length > 0) gain -= size(x.axes) * (1 + PER_ELEMENT);
  for (const [left, right] of order.pairs) {
    const [x, y] = [sets[left] ?? new Set<Axis>(), sets[right] ?? new Set<Axis>()];
    const sum: Axis[] = [];
    const axes = new Set<Axis>();
    for (const a of new Set([...x, ...y])) {
      const here = (x.has(a) ? 1 : 0) + (y.has(a) ? 1 : 0);
      if (reduced.has(a) && (live.get(a) ?? 0) === here) sum.push(a);
      else {
        axes.add(a);
        live.set(a, (live.get(a) ?? 0) - here + 1);
      }
    }
    steps.push({ left, right, sum, axes });
    sets.push(axes);
    gain -= size(new Set([...x, ...y]));
    if (sum.length > 0 && steps.length < order.pairs.length) gain -= PER_ELEMENT * size(axes);
  }
  const intermediates = steps.slice(0, -1).some((s) => s.sum.length > 0) || summed.some((x) => x.first.length > 0);
  if (!intermediates || !(gain > 0)) return undefined;

  const values: TensorExpr[] = summed.map((x) =>
    x.first.length > 0 ? define(d, r, x.value, x.first, x.axes, emit) : x.value,
  );
  steps.forEach((s, i) => {
    const [x, y] = [values[s.left], values[s.right]];
    if (!x || !y) throw new Error("a pair of a contraction is missing");
    const product = apply("mul", x, y);
    const isLast = i === steps.length - 1;
    values.push(s.sum.length > 0 && !isLast ? define(d, r, product, s.sum, s.axes, emit) : product);
  });
  const last = values[values.length - 1];
  if (!last) return undefined;
  // Axes that no operand has, or that were not summed on the way, are left to the last sum.
  const done = new Set([...summed.flatMap((x) => x.first), ...steps.slice(0, -1).flatMap((s) => s.sum)]);
  return reduce(
    r.monoid,
    r.axes.filter((a) => !done.has(a)),
    [last],
    0,
  );
}

/** The factors of a product; what divides, and what has no axis of its own, stays with a factor that has its axes. */
function operandsOf(body: TensorExpr): readonly Operand[] | undefined {
  const factors = factorsOf(body);
  const found: { value: TensorExpr; axes: ReadonlySet<Axis> }[] = [];
  const within = (x: ReadonlySet<Axis>, y: ReadonlySet<Axis>): boolean => {
    if (x.size > y.size) return false;
    for (const a of x) if (!y.has(a)) return false;
    return true;
  };
  const above = factors.filter((f) => !f.below).map((f) => ({ value: f.value, axes: axesIn(f.value) }));
  // By axis, so that looking for a holder does not compare every pair.
  const byAxis = new Map<Axis, { value: TensorExpr; axes: ReadonlySet<Axis> }[]>();
  const small: { value: TensorExpr; axes: ReadonlySet<Axis>; below: boolean }[] = [];
  const holderOf = (
    axes: ReadonlySet<Axis>,
    not?: object,
  ): { value: TensorExpr; axes: ReadonlySet<Axis> } | undefined => {
    let list: { value: TensorExpr; axes: ReadonlySet<Axis> }[] | undefined;
    for (const a of axes) {
      const some = byAxis.get(a) ?? [];
      if (!list || some.length < list.length) list = some;
    }
    return (list ?? found).find((x) => x !== not && within(axes, x.axes));
  };
  const add = (x: { value: TensorExpr; axes: ReadonlySet<Axis> }): void => {
    found.push(x);
    for (const a of x.axes) {
      const list = byAxis.get(a);
      if (list) list.push(x);
      else byAxis.set(a, [x]);
    }
  };
  // Large factors first, so that smaller ones find their holder; the order as written is restored below.
  const sorted = above.map((x, i) => ({ ...x, i })).sort((x, y) => y.axes.size - x.axes.size || x.i - y.i);
  const order = new Map<object, number>();
  for (const x of sorted) {
    if (x.axes.size === 0 || holderOf(x.axes)) small.push({ value: x.value, axes: x.axes, below: false });
    else {
      const entry = { value: x.value, axes: x.axes };
      order.set(entry, x.i);
      add(entry);
    }
  }
  if (found.length === 0) return undefined;
  for (const f of factors) if (f.below) small.push({ value: f.value, axes: axesIn(f.value), below: true });
  for (const x of small) {
    const holder = holderOf(x.axes);
    if (!holder) return undefined;
    holder.value = apply(x.below ? "div" : "mul", holder.value, x.value);
  }
  return found.sort((x, y) => (order.get(x) ?? 0) - (order.get(y) ?? 0));
}

const emptiness = new WeakMap<Reduce, boolean>();
/** Could an axis around an intermediate be empty, and so have kept its reads from being evaluated? */
function mayBeEmpty(d: Definition, r: Reduce): boolean {
  const old = emptiness.get(r);
  if (old !== undefined) return old;
  const found = [...d.axes, ...r.axes].some((a) => (lowerBound(a.extent) ?? 0) < 1);
  emptiness.set(r, found);
  return found;
}

/** A definition of the sum of `value` over `sum`, read at its own point. */
function define(
  d: Definition,
  r: Reduce,
  value: TensorExpr,
  sum: readonly Axis[],
  axes: ReadonlySet<Axis>,
  emit: Emit,
): TensorExpr {
  // In the order in which the operands have them.
  const free = [...axes];
  const to = new Map<Axis, Axis>();
  const own = freshAxes(free, to);
  const reduced = freshAxes(sum, to);
  const made: MapDef = mapDef(own, [reduce(r.monoid, reduced, [renameAxes(mayBeEmpty(d, r) ? totalise(value) : value, to)], 0)], {
    name: `${d.name}_part`, span: d.span, epoch: d.epoch,
  }); // biome-ignore format: one definition
  emit(made);
  return read(made, 0, free.map(axisRef));
}
