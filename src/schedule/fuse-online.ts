/**
 * The edge kind "online": h = max aₖ, then sums of bₖ·exp(uₖ - h), take two passes over k. One suffices, as a change of h acts on
 * a sum by the factor exp(h - h′), whatever k. Here such sums are found in the program: a weighted sum Σₖ w(p, k)·v(k, e) whose
 * weights are of that form, the maximum, other sums of the same weights, and contractions that the weights are made of, which
 * are then computed tile by tile and never stored (Milakov, Gimelshein 2018; Rabe, Staats 2021; Dao et al. 2022).
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
import { isMaximum, scalesBy } from "./online-rules.ts";
import type { OnlineParts, OnlineScore, OnlineState } from "./region.ts";

export interface OnlineCluster extends OnlineParts {
  /** What the kernel computes, maps that nothing else reads included, in the program's order. */
  readonly members: readonly MapDef[];
}

/** Weighted sums whose maximum, sums and scores one kernel may compute; no definition is in two of them. */
export function findOnline(p: Program, limits: FuseLimits, strict: boolean): readonly OnlineCluster[] {
  // One pass adds in another order, and rescales: the licence to reassociate.
  if (strict) return [];
  const definitions = p.steps.filter(
    (s): s is Computed => s.kind === "map" || s.kind === "scan" || s.kind === "scatter",
  );
  const peaks = definitions.filter(isPeak);
  if (peaks.length === 0) return [];
  const scope: Scope = {
    definitions,
    readers: readersOf(definitions),
    anchors: anchorsOf(p),
    peaked: reaching(definitions, isPeak),
    contracted: reaching(definitions, (d) => contractionOf(d) !== undefined),
    taken: new Set(),
  };
  const found: OnlineCluster[] = [];
  for (const d of definitions) {
    const made =
      d.kind === "map" && [...directReads(d)].some((r) => scope.peaked.has(r) || isPeak(r)) && clusterOf(d, scope);
    if (!made || bindingsOf(made, scope) > limits.maxStorageBuffers) continue;
    if (countNodes(expressionsOfParts(made)) > MOST_NODES || !isConvex(made.members, scope)) continue;
    // What is computed again for a derivative stays apart from what was computed first.
    if (made.members.some((m) => m.epoch !== made.def.epoch)) continue;
    for (const m of made.members) scope.taken.add(m);
    found.push(made);
  }
  return found;
}

interface Scope {
  readonly definitions: readonly Computed[];
  readonly readers: ReadonlyMap<Definition, readonly Definition[]>;
  readonly anchors: ReadonlyMap<Definition, ReadonlySet<number>>;
  /** Elementwise maps that a maximum reaches through elementwise maps alone; and those that a contraction does. */
  readonly peaked: ReadonlySet<Definition>;
  readonly contracted: ReadonlySet<Definition>;
  readonly taken: Set<Definition>;
}

export function expressionsOfParts(o: OnlineParts): readonly TensorExpr[] {
  return [
    ...o.scores.flatMap((s) => [s.a, s.b, s.body]),
    ...[o.peak, ...o.sums].flatMap((s) => s.reduce.values),
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
  const stored = [o.peak, ...o.sums].filter(
    (x) => s.anchors.has(x.def) || s.readers.get(x.def)?.some((r) => !own.has(r)),
  );
  return readsOfParts(o).filter((r) => !own.has(r.tensor)).length + 1 + stored.length;
}

function isPeak(d: Definition): d is MapDef {
  const root = reductionOf(d);
  return root !== undefined && isMaximum(root);
}

function contractionOf(d: Definition): { readonly def: MapDef; readonly root: Reduce } | undefined {
  const root = reductionOf(d);
  return root && d.kind === "map" && isAddition(root) && isFloat(root.dtype) && operandsOf(d, root, false)
    ? { def: d, root }
    : undefined;
}

function isElementwise(d: Definition): d is MapDef {
  return d.kind === "map" && !reductionOf(d);
}

function reaching(definitions: readonly Definition[], is: (d: Definition) => boolean): ReadonlySet<Definition> {
  const found = new Set<Definition>();
  for (const d of definitions)
    if (isElementwise(d) && [...directReads(d)].some((r) => found.has(r) || is(r))) found.add(d);
  return found;
}

/** `e` with the elementwise maps that `through` names substituted, all the way down. */
function opened(e: TensorExpr, through: (r: Read) => boolean): TensorExpr {
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

/** Does it grow by exp(h - h′), and by nothing else, when the maximum `h` becomes h′? */
function growsWith(e: TensorExpr, h: TensorExpr, u: TensorExpr): boolean {
  return scalesBy(
    e,
    u,
    (g) => g === h,
    (x) => x !== h && !readsIn(x).includes(h as Read),
  );
}

// ---- One cluster ----------------------------------------------------------------------------------------------------

/** The cluster around a weighted sum, or undefined where `d` is none. */
function clusterOf(d: MapDef, s: Scope): OnlineCluster | undefined {
  const root = reductionOf(d);
  if (!root || s.taken.has(d) || root.monoid.slots.length !== 1 || !isAddition(root) || !isFloat(root.dtype))
    return undefined;
  const whole = root.values.map((v) => opened(v, (r) => s.peaked.has(r.tensor)));
  const o = operandsOf(d, reduce(root.monoid, root.axes, whole, 0), false);
  if (o?.body.kind !== "apply" || o.body.prim !== "mul" || !o.body.args.every((a) => a.kind === "arg"))
    return undefined;
  if (o.body.args[0] === o.body.args[1]) return undefined;
  const h = [...readsIn(o.a), ...readsIn(o.b)].find((r) => isPeak(r.tensor) && !s.taken.has(r.tensor));
  if (!h || h.fill) return undefined;
  const sides = readsIn(o.a).includes(h) ? o : swapOperands(o);
  if (readsIn(sides.b).some((r) => isPeak(r.tensor) || s.peaked.has(r.tensor))) return undefined;
  const rows = [...sides.batch, ...sides.m];
  const peak = stateAt(h.tensor, h, root, s, (v) => v);
  const u = peak?.reduce.values[0];
  if (!peak || !u || !isRow(peak, rows)) return undefined;
  if (!growsWith(sides.a, h, u)) return undefined;
  const parts: OnlineParts = {
    def: d,
    reduce: reduce(root.monoid, root.axes, whole, 0),
    batch: sides.batch,
    m: sides.m,
    n: sides.n,
    k: root.axes,
    scores: [],
    peak,
    sums: sumsOf(d, peak, h, u, root, rows, s),
    weight: sides.a,
    value: sides.b,
  };
  return withScores(parts, s);
}

function within(list: readonly TensorExpr[], axes: readonly Axis[]): boolean {
  return list.every((e) => [...axesIn(e)].every((a) => axes.includes(a)));
}

/** One value for each row, at its own point: its indices are the rows' axes, or put together of them as digits. */
function isRow(state: OnlineState, rows: readonly Axis[]): boolean {
  return within(state.point, rows) && solvePoint(state.point, rows, state.def.axes) !== undefined;
}

/**
 * A reduction over as many positions as `root`, brought to the point at which `r` reads it: its own axes become the indices of
 * the read, its reduced ones those of `root`, in order.
 */
function stateAt(
  t: Definition,
  r: { readonly at: readonly TensorExpr[] },
  root: Reduce,
  s: Scope,
  open: (e: TensorExpr) => TensorExpr,
): OnlineState | undefined {
  const own = reductionOf(t);
  if (!own || t.kind !== "map" || s.taken.has(t) || own.axes.length !== root.axes.length) return undefined;
  if (own.axes.some((a, i) => a.extent !== root.axes[i]?.extent)) return undefined;
  const bind = new Map<Axis, TensorExpr>();
  t.axes.forEach((a, i) => {
    bind.set(a, a.extent === ONE ? i32(0) : (r.at[i] ?? axisRef(a)));
  });
  own.axes.forEach((a, i) => {
    const k = root.axes[i];
    if (k) bind.set(a, axisRef(k));
  });
  const values = own.values.map((v) => substitute(open(v), bind));
  return { def: t, reduce: reduce(own.monoid, root.axes, values, 0), point: r.at };
}

/** Other sums of the same weights over the same rows. */
function sumsOf(
  d: MapDef,
  peak: OnlineState,
  h: Read,
  u: TensorExpr,
  root: Reduce,
  rows: readonly Axis[],
  s: Scope,
): readonly OnlineState[] {
  const found: OnlineState[] = [];
  const open = (v: TensorExpr): TensorExpr => opened(v, (r) => s.peaked.has(r.tensor));
  for (const t of s.definitions) {
    if (t === d || t.kind !== "map" || s.taken.has(t)) continue;
    const own = reductionOf(t);
    if (own?.monoid.slots.length !== 1 || !isAddition(own) || !isFloat(own.dtype)) continue;
    const value = own.values[0];
    if (!value || ![...directReads(t)].some((r) => r === peak.def || s.peaked.has(r))) continue;
    // At which of our rows it reads the maximum says which row it is a sum of.
    const theirs = readsIn(open(value)).find((r) => r.tensor === peak.def);
    if (!theirs) continue;
    const at = t.axes.map((a) => {
      if (a.extent === ONE) return i32(0);
      const place = theirs.at.findIndex((x) => x.kind === "axis" && x.axis === a);
      return place >= 0 ? h.at[place] : undefined;
    });
    if (!at.every((x) => x !== undefined)) continue;
    const state = stateAt(t, { at }, root, s, open);
    const term = state?.reduce.values[0];
    if (!state || !term || !isRow(state, rows) || !within([term], [...rows, ...root.axes]) || !growsWith(term, h, u))
      continue;
    found.push(state);
  }
  return found;
}

/** Opens what lies between the weights and the contractions that they are made of, and takes those in that nothing else reads. */
function withScores(o: OnlineParts, s: Scope): OnlineCluster {
  const across = (r: Read): boolean => {
    const axes = new Set(r.at.flatMap((x) => [...axesIn(x)]));
    return o.m.some((a) => axes.has(a)) && o.k.some((a) => axes.has(a));
  };
  const open = (e: TensorExpr): TensorExpr => opened(e, (r) => s.contracted.has(r.tensor) && across(r));
  const deep = withExpressions(o, open);
  const points = new Map<Definition, readonly TensorExpr[] | undefined>();
  for (const e of [deep.weight, ...[deep.peak, ...deep.sums].flatMap((x) => x.reduce.values)])
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
  return { ...o, peak: state(o.peak), sums: o.sums.map(state), weight: f(o.weight) };
}

/** A contraction with its axes as the weights read it: one operand of rows, one of reduced positions. */
function scoreAt(t: Definition, at: readonly TensorExpr[], o: OnlineParts): OnlineScore | undefined {
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
  const own = new Set<Definition>([o.def, o.peak.def, ...o.sums.map((x) => x.def)]);
  const candidates = new Set<Definition>(o.scores.map((x) => x.def));
  // Maps that lead from a score or the maximum to one of the reductions.
  for (const d of s.definitions)
    if (isElementwise(d) && [...directReads(d)].some((r) => candidates.has(r) || r === o.peak.def)) candidates.add(d);
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
