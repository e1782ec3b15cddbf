/** How many scalar steps the interpreter takes: what a budget counts. */
import { evaluate } from "./sizes.ts";
import { type Axis, childrenOf, expressionsOf, type Step, type TensorExpr } from "./tensor.ts";

/**
 * Scalar operations, reads and combines of a step: every distinct node counts once for each position of the axes that it
 * depends on and that stand around it. Sharing between definitions is not needed: each is evaluated once.
 */
export function stepsOf(s: Step, sizes: ReadonlyMap<string, number>): number {
  if (s.kind === "loop") {
    const limit = s.count ?? s.max;
    const rounds = limit ? Math.max(0, evaluate(limit, sizes)) : 0;
    return rounds * s.body.reduce((sum, b) => sum + stepsOf(b, sizes), 0);
  }
  const extent = (a: Axis): number => Math.max(0, evaluate(a.extent, sizes));
  const own = s.kind === "scatter" ? s.domain : s.axes;
  const points = own.reduce((n, a) => n * extent(a), 1);
  const seen = new Map<TensorExpr, { free: Set<Axis>; inner: number }>();
  let total = 0;
  const ownAxes = new Set(own);
  const go = (e: TensorExpr): Set<Axis> => {
    const old = seen.get(e);
    if (old) return old.free;
    const free = new Set<Axis>();
    if (e.kind === "axis") {
      if (!ownAxes.has(e.axis)) free.add(e.axis);
    } else for (const c of childrenOf(e)) for (const a of go(c)) free.add(a);
    let inner = 1;
    if (e.kind === "reduce") {
      for (const a of e.axes) free.add(a);
      for (const a of free) inner *= extent(a);
      inner *= e.monoid.combine.length;
      for (const a of e.axes) free.delete(a);
    } else for (const a of free) inner *= extent(a);
    seen.set(e, { free, inner });
    if (e.kind === "apply" || e.kind === "read" || e.kind === "reduce") total += inner;
    return free;
  };
  for (const e of expressionsOf(s)) go(e);
  return points * (total + 1);
}
