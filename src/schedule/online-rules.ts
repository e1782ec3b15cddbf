/**
 * Which reductions one pass makes of two: a change of the first, h, acts on the second by a factor or a shift that is the same for
 * every position (schedule rules "online"): sums of terms that grow by exp(h - h′), minima and maxima of u - h, and sums of (u - g)²
 * for any g made of Σu.
 */
import { isFloat } from "../../ir/dtype.ts";
import {
  type Axis,
  axisRef,
  type Definition,
  type MapDef,
  type Monoid,
  type Reduce,
  substituteAxes,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { isAddition } from "../passes/hoist.ts";
import { axesIn, readsIn } from "../passes/rewrite.ts";
import type { RowPhase } from "./region.ts";

/** The primitive that combines two values of a monoid with one slot, as it stands. */
function plainPrim(m: Monoid): string | undefined {
  const c = m.combine[0];
  return m.slots.length === 1 && c?.kind === "apply" && c.args.every((a, i) => a.kind === "arg" && a.index === i)
    ? c.prim
    : undefined;
}

/** A maximum of floats. */
export function isMaximum(r: Reduce): boolean {
  return isFloat(r.dtype) && plainPrim(r.monoid) === "max";
}

/**
 * Does it grow by exp(h - h′), and by nothing else, when h becomes h′? `shift` tells what stands for h under exp. Terms that a condition
 * makes 0 do not: where h is -∞ and all that are left are such, two passes give 0 and one NaN.
 */
export function scalesBy(
  e: TensorExpr,
  u: TensorExpr,
  shift: (g: TensorExpr) => boolean,
  free: (x: TensorExpr) => boolean,
): boolean {
  const go = (x: TensorExpr): boolean => {
    if (x.kind !== "apply") return false;
    const [a, b, c] = x.args;
    switch (x.prim) {
      case "exp":
        return (
          a?.kind === "apply" && a.prim === "sub" && a.args[0] === u && a.args[1] !== undefined && shift(a.args[1])
        );
      case "neg":
        return a !== undefined && go(a);
      case "mul":
        return a !== undefined && b !== undefined && ((go(a) && free(b)) || (free(a) && go(b)));
      case "div":
        return a !== undefined && b !== undefined && go(a) && free(b);
      case "select":
        return a !== undefined && b !== undefined && c !== undefined && free(a) && go(b) && go(c);
      default:
        return false;
    }
  };
  return go(e);
}

// ---- Rows -----------------------------------------------------------------------------------------------------------

/** A reduction that follows the first: `term` is over the first's reduced axes; `g` is what its terms are relative to. */
export interface OnlineFollower {
  readonly def: MapDef;
  readonly term: TensorExpr;
  readonly g: TensorExpr;
  /** Σ of terms that scale; the least or largest u - g; Σ(u - g)². */
  readonly kind: "scaled" | "min" | "max" | "squares";
}
/** Adjacent reductions of a row that one pass computes: a maximum or a sum of `u`, and those relative to it. */
export interface OnlineRows {
  readonly first: MapDef;
  readonly kind: "peak" | "sum";
  readonly axes: readonly Axis[];
  readonly u: TensorExpr;
  readonly followers: readonly OnlineFollower[];
}

/** The reductions from phase i on that one pass computes, or undefined where those are fewer than two. f32 only. */
export function onlineRows(phases: readonly RowPhase[], i: number): OnlineRows | undefined {
  const p = phases[i];
  if (p?.kind !== "reduce" || p.reduce.dtype !== "f32" || p.reduce.axes.length === 0) return undefined;
  const u = p.reduce.values[0];
  const kind = isMaximum(p.reduce) ? "peak" : isAddition(p.reduce) ? "sum" : undefined;
  if (!u || !kind || !p.reduce.monoid.commutative) return undefined;
  const own = new Set<Definition>([p.def]);
  const followers: OnlineFollower[] = [];
  for (const q of phases.slice(i + 1)) {
    const f = q.kind === "reduce" ? followerOf(q, p, kind, u, own) : undefined;
    if (!f) break;
    own.add(f.def);
    followers.push(f);
    // A second sum of squares would double what is kept; it is a pass of its own.
    if (kind === "sum") break;
  }
  return followers.length > 0 ? { first: p.def, kind, axes: p.reduce.axes, u, followers } : undefined;
}

type ReducePhase = Extract<RowPhase, { kind: "reduce" }>;

function followerOf(
  q: ReducePhase,
  p: ReducePhase,
  kind: OnlineRows["kind"],
  u: TensorExpr,
  own: ReadonlySet<Definition>,
): OnlineFollower | undefined {
  const { reduce } = q;
  const value = reduce.values[0];
  if (!value || reduce.dtype !== "f32" || !reduce.monoid.commutative || reduce.axes.length !== p.reduce.axes.length)
    return undefined;
  if (reduce.axes.some((a, d) => a.extent !== p.reduce.axes[d]?.extent)) return undefined;
  const term = substituteAxes(value, new Map(reduce.axes.map((a, d) => [a, axisRef(p.reduce.axes[d] ?? a)])));
  const free = (x: TensorExpr): boolean => !readsIn(x).some((r) => own.has(r.tensor));
  const inRow = (x: TensorExpr): boolean => !p.reduce.axes.some((a) => axesIn(x).has(a));
  const difference = (x: TensorExpr | undefined): TensorExpr | undefined =>
    x?.kind === "apply" && x.prim === "sub" && x.args[0] === u ? x.args[1] : undefined;
  if (kind === "sum") {
    const [a, b] = term.kind === "apply" && term.prim === "mul" ? term.args : [];
    const g = a === b ? difference(a) : undefined;
    const reads = g ? readsIn(g).filter((r) => r.tensor === p.def) : [];
    if (!g || !isAddition(reduce) || !inRow(g) || reads.length === 0) return undefined;
    return { def: q.def, term, g, kind: "squares" };
  }
  const isShift = (g: TensorExpr): boolean => isPeakOrZero(g, p.def) && inRow(g);
  const prim = plainPrim(reduce.monoid);
  if (prim === "min" || prim === "max") {
    const g = difference(term);
    return g && isShift(g) ? { def: q.def, term, g, kind: prim } : undefined;
  }
  let found: TensorExpr | undefined;
  const shift = (g: TensorExpr): boolean => {
    if (!isShift(g) || (found && found !== g)) return false;
    found = g;
    return true;
  };
  if (!isAddition(reduce) || !scalesBy(term, u, shift, free) || !found) return undefined;
  return { def: q.def, term, g: found, kind: "scaled" };
}

/** The maximum itself, or 0 in place of an infinite one. */
function isPeakOrZero(g: TensorExpr, peak: Definition): boolean {
  if (g.kind === "read") return g.tensor === peak && !g.fill;
  if (g.kind !== "apply" || g.prim !== "select") return false;
  const [test, zero, h] = g.args;
  return (
    h?.kind === "read" &&
    h.tensor === peak &&
    zero?.kind === "const" &&
    zero.value === 0 &&
    test?.kind === "apply" &&
    test.prim === "isinf" &&
    test.args[0] === h
  );
}
