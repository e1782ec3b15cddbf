/**
 * Contractions that the weights of a weighted sum are made of: found in the program, and taken in by the sum's kernel, which computes
 * them tile by tile and never stores them, if nothing else reads them. Shared by fuse-online.ts and fuse-chain.ts.
 */
import { isFloat } from "../../ir/dtype.ts";
import { ONE } from "../../ir/extent.ts";
import {
  type Axis,
  axisRef,
  type Definition,
  i32,
  type MapDef,
  mapChildren,
  type Program,
  type Read,
  type Reduce,
  reduce,
  substituteArgs,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { isAddition } from "../passes/hoist.ts";
import { normalIndices, readThrough, substitute } from "../passes/inline.ts";
import { reductionOf } from "../passes/lift.ts";
import { anchorsOf, axesIn, countNodes, readersOf, readsIn } from "../passes/rewrite.ts";
import { type Computed, directReads, type FuseLimits, MOST_NODES } from "./fuse-graph.ts";
import { operandsOf, swapOperands } from "./fuse-operands.ts";
import { axesOf, solvePoint } from "./fuse-point.ts";
import { type OnlineParts, type OnlineScore, type OnlineState, statesOf } from "./region.ts";

export interface OnlineCluster extends OnlineParts {
  /** What the kernel computes, maps that nothing else reads included, in the program's order. */
  readonly members: readonly MapDef[];
}

/** A program as clusters are looked for in it. */
export interface Scope {
  readonly definitions: readonly Computed[];
  readonly readers: ReadonlyMap<Definition, readonly Definition[]>;
  readonly anchors: ReadonlyMap<Definition, ReadonlySet<number>>;
  /** Elementwise maps that a contraction reaches through elementwise maps alone. */
  readonly contracted: ReadonlySet<Definition>;
  /** Members of clusters found already. */
  readonly taken: Set<Definition>;
}

export function scopeOf(p: Program): Scope {
  const definitions = p.steps.filter(
    (s): s is Computed => s.kind === "map" || s.kind === "scan" || s.kind === "scatter",
  );
  return {
    definitions,
    readers: readersOf(definitions),
    anchors: anchorsOf(p),
    contracted: reaching(definitions, (d) => contractionOf(d) !== undefined),
    taken: new Set(),
  };
}

/** Can one kernel compute the cluster? If so its members are taken. */
export function takes(s: Scope, made: OnlineCluster, limits: FuseLimits): boolean {
  if (bindingsOf(made, s) > limits.maxStorageBuffers) return false;
  if (countNodes(expressionsOfParts(made)) > MOST_NODES || !isConvex(made.members, s)) return false;
  // What is computed again for a derivative stays apart from what was computed first.
  if (made.members.some((m) => m.epoch !== made.def.epoch)) return false;
  for (const m of made.members) s.taken.add(m);
  return true;
}

export function expressionsOfParts(o: OnlineParts): readonly TensorExpr[] {
  return [
    ...o.scores.flatMap((s) => [s.a, s.b, s.body]),
    ...statesOf(o).flatMap((s) => s.reduce.values),
    o.weight,
    o.value,
  ];
}

/** Each result that its expressions read, once. */
export function readsOfParts(o: OnlineParts): readonly TensorRef[] {
  const found = new Map<string, TensorRef>();
  for (const e of expressionsOfParts(o))
    for (const { tensor, slot } of readsIn(e)) found.set(`${tensor.id}.${slot}`, { tensor, slot });
  return [...found.values()];
}

function bindingsOf(o: OnlineCluster, s: Scope): number {
  const own = new Set<Definition>(o.members);
  // The sum, or what its epilogue makes of it, and what others read of the states.
  const stored = statesOf(o).filter((x) => s.anchors.has(x.def) || s.readers.get(x.def)?.some((r) => !own.has(r)));
  return readsOfParts(o).filter((r) => !own.has(r.tensor)).length + 1 + stored.length;
}

interface Contraction {
  readonly def: MapDef;
  readonly root: Reduce;
}
const contractions = new WeakMap<Definition, Contraction | false>();

/** A sum of floats over two operands. */
export function contractionOf(d: Definition): Contraction | undefined {
  const old = contractions.get(d);
  if (old !== undefined) return old || undefined;
  const root = reductionOf(d);
  const is = root && d.kind === "map" && isAddition(root) && isFloat(root.dtype) && operandsOf(d, root, false);
  const made = is && { def: d, root };
  contractions.set(d, made || false);
  return made || undefined;
}

export function isElementwise(d: Definition): d is MapDef {
  return d.kind === "map" && !reductionOf(d);
}

export function reaching(definitions: readonly Definition[], is: (d: Definition) => boolean): ReadonlySet<Definition> {
  const found = new Set<Definition>();
  for (const d of definitions)
    if (isElementwise(d) && [...directReads(d)].some((r) => found.has(r) || is(r))) found.add(d);
  return found;
}

/** `e` with the elementwise maps that `through` names substituted, all the way down. */
export function opened(e: TensorExpr, through: (r: Read) => boolean): TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    const old = memo.get(x);
    if (old) return old;
    const inner = mapChildren(x, go);
    let made = inner;
    if (inner.kind === "read") {
      const r = normalIndices(inner);
      const t = r.tensor;
      const body = t.kind === "map" ? t.results[r.slot] : undefined;
      made = body && isElementwise(t) && through(r) ? go(readThrough(body, t.axes, r.at, r.fill)) : r;
    }
    memo.set(x, made);
    return made;
  };
  return go(e);
}

export function within(list: readonly TensorExpr[], axes: readonly Axis[]): boolean {
  return list.every((e) => [...axesIn(e)].every((a) => axes.includes(a)));
}

/** Opens what lies between the weights and the contractions that they are made of, and takes those in that nothing else reads. */
export function withScores(o: OnlineParts, s: Scope): OnlineCluster {
  const across = (r: Read): boolean => {
    const axes = new Set(r.at.flatMap((x) => [...axesIn(x)]));
    return o.m.some((a) => axes.has(a)) && o.k.some((a) => axes.has(a));
  };
  const open = (e: TensorExpr): TensorExpr => opened(e, (r) => s.contracted.has(r.tensor) && across(r));
  const deep = withExpressions(o, open);
  const points = new Map<Definition, readonly TensorExpr[] | undefined>();
  for (const e of [deep.weight, ...statesOf(deep).flatMap((x) => x.reduce.values)])
    for (const r of readsIn(e)) {
      if (s.taken.has(r.tensor) || r.fill || !contractionOf(r.tensor) || !across(r)) continue;
      const old = points.has(r.tensor) ? points.get(r.tensor) : r.at;
      points.set(r.tensor, old?.every((x, i) => x === r.at[i]) ? old : undefined);
    }
  const scores: OnlineScore[] = [];
  for (const [t, at] of points) {
    const score = at && scoreAt(t, at, o);
    if (score) scores.push(score);
  }
  const made = claimed({ ...deep, scores }, s);
  // A score that others read too is stored, and what was made of it there is read.
  if (scores.length === points.size && scores.every((x) => made.members.includes(x.def))) return made;
  return claimed(o, s);
}

function withExpressions(o: OnlineParts, f: (e: TensorExpr) => TensorExpr): OnlineParts {
  const state = (x: OnlineState): OnlineState => ({
    ...x,
    reduce: reduce(x.reduce.monoid, x.reduce.axes, x.reduce.values.map(f), 0),
  });
  return { ...o, peak: o.peak && state(o.peak), sums: o.sums.map(state), weight: f(o.weight) };
}

/** A contraction with its axes as the weights read it: one operand of rows, one of reduced positions. */
export function scoreAt(t: Definition, at: readonly TensorExpr[], o: OnlineParts): OnlineScore | undefined {
  const c = contractionOf(t);
  const operands = c && operandsOf(c.def, c.root, false);
  if (!c || !operands || axesIn(operands.body).size > 0 || !solvePoint(at, axesOf(at), t.axes)) return undefined;
  const bind = new Map<Axis, TensorExpr>();
  c.def.axes.forEach((a, i) => {
    bind.set(a, a.extent === ONE ? i32(0) : (at[i] ?? axisRef(a)));
  });
  const sides = [operands, swapOperands(operands)];
  for (const x of sides) {
    const [a, b] = [substitute(x.a, bind), substitute(x.b, bind)];
    if (!within([a], [...o.batch, ...o.m, ...c.root.axes]) || !within([b], [...o.batch, ...o.k, ...c.root.axes]))
      continue;
    const whole = reduce(c.root.monoid, c.root.axes, [substituteArgs(x.body, [a, b])], 0);
    return { def: c.def, reduce: whole, d: c.root.axes, a, b, body: x.body, point: at };
  }
  return undefined;
}

/** The cluster's own definitions and the maps between them, without any that something else reads. */
function claimed(o: OnlineParts, s: Scope): OnlineCluster {
  const own = new Set<Definition>([o.def, ...statesOf(o).map((x) => x.def)]);
  const candidates = new Set<Definition>(o.scores.map((x) => x.def));
  // Maps that lead from a score or the maximum to one of the reductions.
  for (const d of s.definitions)
    if (isElementwise(d) && [...directReads(d)].some((r) => candidates.has(r) || r === o.peak?.def)) candidates.add(d);
  // From the last: a candidate stays if all that reads it is the cluster's.
  for (const d of [...s.definitions].reverse()) {
    if (!candidates.has(d) || s.anchors.has(d)) continue;
    const readers = s.readers.get(d) ?? [];
    if (readers.length > 0 && readers.every((r) => own.has(r))) own.add(d);
  }
  const members = s.definitions.filter((d): d is MapDef => d.kind === "map" && own.has(d));
  return { ...o, scores: o.scores.filter((x) => own.has(x.def)), members };
}

/** Nothing outside stands between two members: one kernel can compute them all. */
function isConvex(members: readonly MapDef[], s: Scope): boolean {
  const own = new Set<Definition>(members);
  const after = new Set<Definition>();
  for (const d of s.definitions) {
    const reads = [...directReads(d)];
    if (own.has(d)) {
      if (reads.some((r) => after.has(r))) return false;
    } else if (reads.some((r) => own.has(r) || after.has(r))) after.add(d);
  }
  return true;
}
