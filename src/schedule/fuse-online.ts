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
  type Program,
  type Read,
  type Reduce,
  reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { simplifyIndex } from "../passes/affine.ts";
import { isAddition } from "../passes/hoist.ts";
import { substitute } from "../passes/inline.ts";
import { reductionOf } from "../passes/lift.ts";
import { readsIn } from "../passes/rewrite.ts";
import { directReads, type FuseLimits } from "./fuse-graph.ts";
import { operandsOf, swapOperands } from "./fuse-operands.ts";
import { place, solvePoint } from "./fuse-point.ts";
import { type OnlineCluster, opened, reaching, type Scope, scopeOf, takes, within, withScores } from "./fuse-scores.ts";
import { isMaximum, scalesBy } from "./online-rules.ts";
import { type OnlineParts, type OnlineState, statesOf } from "./region.ts";

interface OnlineScope extends Scope {
  /** Elementwise maps that a maximum reaches through elementwise maps alone. */
  readonly peaked: ReadonlySet<Definition>;
}

/** Weighted sums whose maximum, sums and scores one kernel may compute; no definition is in two of them. */
export function findOnline(p: Program, limits: FuseLimits, strict: boolean): readonly OnlineCluster[] {
  // One pass adds in another order, and rescales: the licence to reassociate.
  return strict ? [] : clustersOf(p, (made, s) => takes(s, made, limits));
}

/** The same as if each evaluated for itself what lies between its definitions, whatever else reads that. */
export function findShared(p: Program): readonly OnlineCluster[] {
  return clustersOf(p, (made, s) => {
    for (const m of [made.def, ...statesOf(made).map((x) => x.def)]) s.taken.add(m);
    return true;
  });
}

function clustersOf(p: Program, isTaken: (made: OnlineCluster, s: Scope) => boolean): readonly OnlineCluster[] {
  if (!p.steps.some((s) => s.kind === "map" && isPeak(s))) return [];
  const around = scopeOf(p);
  const scope: OnlineScope = { ...around, peaked: reaching(around.definitions, isPeak) };
  const found: OnlineCluster[] = [];
  for (const d of scope.definitions) {
    const made =
      d.kind === "map" && [...directReads(d)].some((r) => scope.peaked.has(r) || isPeak(r)) && clusterOf(d, scope);
    if (made && isTaken(made, scope)) found.push(made);
  }
  return found;
}

function isPeak(d: Definition): d is MapDef {
  const root = reductionOf(d);
  return root !== undefined && isMaximum(root);
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
function clusterOf(d: MapDef, s: OnlineScope): OnlineCluster | undefined {
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
  s: OnlineScope,
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

/** Does a definition need one of the others, directly or by way of others? */
function needs(d: Definition, others: ReadonlySet<Definition>): boolean {
  const seen = new Set<Definition>();
  const stack: Definition[] = [d];
  for (let x = stack.pop(); x; x = stack.pop())
    for (const r of directReads(x)) {
      if (others.has(r)) return true;
      if (seen.has(r)) continue;
      seen.add(r);
      stack.push(r);
    }
  return false;
}

/** Other sums of the same weights over the same rows. */
function sumsOf(
  d: MapDef,
  peak: OnlineState,
  h: Read,
  u: TensorExpr,
  root: Reduce,
  rows: readonly Axis[],
  s: OnlineScope,
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
    const placed = place(theirs.at, t.axes, peak.def.axes);
    if (placed?.extra.length !== 0) continue;
    const ours = new Map(peak.def.axes.map((a, i) => [a, h.at[i] ?? axisRef(a)]));
    const at = t.axes.map((a) => simplifyIndex(substitute(placed.bind.get(a) ?? i32(0), ours)));
    const state = stateAt(t, { at }, root, s, open);
    const term = state?.reduce.values[0];
    if (!state || !term || !isRow(state, rows) || !within([term], [...rows, ...root.axes]) || !growsWith(term, h, u))
      continue;
    // A gradient's sums may be of such weights too, but need what comes out of this pass.
    if (needs(t, new Set<Definition>([d, ...found.map((x) => x.def)]))) continue;
    found.push(state);
  }
  return found;
}
