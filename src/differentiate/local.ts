/**
 * Reverse and forward mode within one scalar expression. A cotangent that came through a `select` keeps the condition of its
 * path, and what arrives at a leaf is guarded by it: a branch that is not taken contributes 0 even where its own derivative is
 * infinite or NaN (0 · ∞ never happens).
 */
import { isFloat } from "../../ir/dtype.ts";
import { apply, childrenOf, constant, mapChildren, type TensorExpr } from "../../ir/tensor.ts";
import { PARTIALS } from "./rules.ts";

/** Cotangents by path condition; the key undefined is "always". */
type Guarded = Map<TensorExpr | undefined, TensorExpr>;

function accumulate(
  into: Map<TensorExpr, Guarded>,
  node: TensorExpr,
  condition: TensorExpr | undefined,
  g: TensorExpr,
): void {
  let at = into.get(node);
  if (!at) {
    at = new Map();
    into.set(node, at);
  }
  const old = at.get(condition);
  at.set(condition, old ? apply("add", old, g) : g);
}

function both(a: TensorExpr | undefined, b: TensorExpr): TensorExpr {
  return a ? apply("and", a, b) : b;
}

/** Children before parents. Reads are leaves: their indices carry no derivative. */
function topological(roots: readonly TensorExpr[]): TensorExpr[] {
  const order: TensorExpr[] = [];
  const seen = new Set<TensorExpr>();
  const visit = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind === "apply") for (const c of childrenOf(x)) visit(c);
    order.push(x);
  };
  for (const r of roots) visit(r);
  return order;
}

/**
 * Σ seeds[i] · ∂roots[i]/∂leaf for every leaf (a read or an arg) that `wanted` accepts: 0 where the leaf's paths are not taken.
 * The roots hold no reduce.
 */
export function pullBack(
  roots: readonly TensorExpr[],
  seeds: readonly (TensorExpr | undefined)[],
  wanted: (leaf: TensorExpr) => boolean,
): Map<TensorExpr, TensorExpr> {
  const order = topological(roots);
  // Only nodes that lead to a wanted leaf are worth a cotangent.
  const useful = new Set<TensorExpr>();
  for (const x of order) {
    if (!isFloat(x.dtype)) continue;
    if (x.kind === "apply" ? x.prim !== "stopGradient" && x.args.some((a) => useful.has(a)) : wanted(x)) useful.add(x);
  }
  const cotangents = new Map<TensorExpr, Guarded>();
  roots.forEach((r, i) => {
    const seed = seeds[i];
    if (seed && useful.has(r)) accumulate(cotangents, r, undefined, seed);
  });
  const found = new Map<TensorExpr, TensorExpr>();
  for (const x of order.reverse()) {
    const guarded = cotangents.get(x);
    if (!guarded) continue;
    if (x.kind !== "apply") {
      found.set(x, guardedSum(guarded));
      continue;
    }
    for (const [condition, g] of guarded) {
      if (x.prim === "select") {
        const [test, yes, no] = x.args as [TensorExpr, TensorExpr, TensorExpr];
        if (useful.has(yes)) accumulate(cotangents, yes, both(condition, test), g);
        if (useful.has(no)) accumulate(cotangents, no, both(condition, apply("not", test)), g);
        continue;
      }
      PARTIALS[x.prim](x.args, x, g).forEach((part, i) => {
        const a = x.args[i]!;
        if (part && useful.has(a)) accumulate(cotangents, a, condition, part);
      });
    }
  }
  return found;
}

function guardedSum(guarded: Guarded): TensorExpr {
  let sum: TensorExpr | undefined;
  for (const [condition, g] of guarded) {
    const part = condition ? apply("select", condition, g, constant(g.dtype, 0)) : g;
    sum = sum ? apply("add", sum, part) : part;
  }
  return sum!;
}

/**
 * The tangent of `e`, given tangents of its leaves (undefined: zero). Undefined if it is zero altogether. `select` picks the
 * tangent of the branch that is taken, so nothing leaks from the other.
 */
export function pushForward(
  e: TensorExpr,
  tangentOf: (leaf: TensorExpr) => TensorExpr | undefined,
  memo: Map<TensorExpr, TensorExpr | undefined> = new Map(),
): TensorExpr | undefined {
  if (!isFloat(e.dtype)) return undefined;
  if (memo.has(e)) return memo.get(e);
  let made: TensorExpr | undefined;
  if (e.kind === "apply") {
    const tangents = e.args.map((a) => pushForward(a, tangentOf, memo));
    if (e.prim === "select") {
      const [, yes, no] = tangents;
      const zero = constant(e.dtype, 0);
      made = yes || no ? apply("select", e.args[0]!, yes ?? zero, no ?? zero) : undefined;
    } else if (e.prim === "cast" && tangents[0]) made = mapChildren(e, () => tangents[0]!);
    else {
      tangents.forEach((t, i) => {
        if (!t) return;
        const part = PARTIALS[e.prim](e.args, e, t)[i];
        if (part) made = made ? apply("add", made, part) : part;
      });
    }
  } else made = tangentOf(e);
  memo.set(e, made);
  return made;
}
