/** Conditions of real, finite numbers: nothing is NaN or infinite, and `not (a <= b)` is `a > b`. */

import type { Prim } from "../../ir/prim.ts";
import { apply, constant, mapChildren, type TensorExpr } from "../../ir/tensor.ts";

const OPPOSITE: Partial<Record<Prim, Prim>> = { lt: "ge", ge: "lt", gt: "le", le: "gt", eq: "ne", ne: "eq" };

export function truthOf(e: TensorExpr): boolean | undefined {
  return e.kind === "const" ? e.value !== 0 : undefined;
}

export function condition(e: TensorExpr, tidy: (e: TensorExpr) => TensorExpr): TensorExpr {
  if (e.kind !== "apply") return mapChildren(e, tidy);
  if (e.prim === "isnan" || e.prim === "isinf") return constant("bool", 0);
  const inner = mapChildren(e, tidy);
  if (inner.kind !== "apply") return inner;
  const [a, b] = inner.args as [TensorExpr, TensorExpr];
  if (inner.prim === "not") return negated(a);
  if (inner.prim === "and" || inner.prim === "or") {
    const neutral = inner.prim === "and";
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const) {
      const known = truthOf(x);
      if (known !== undefined) return known === neutral ? y : x;
    }
    return a === b ? a : inner;
  }
  // A number is equal to itself.
  if (a === b && OPPOSITE[inner.prim]) return constant("bool", ["eq", "le", "ge"].includes(inner.prim) ? 1 : 0);
  return inner;
}

export function negated(e: TensorExpr): TensorExpr {
  const known = truthOf(e);
  if (known !== undefined) return constant("bool", known ? 0 : 1);
  if (e.kind !== "apply") return apply("not", e);
  const [a, b] = e.args as [TensorExpr, TensorExpr];
  const opposite = OPPOSITE[e.prim];
  if (opposite) return apply(opposite, a, b);
  if (e.prim === "not") return a;
  if (e.prim === "and") return apply("or", negated(a), negated(b));
  if (e.prim === "or") return apply("and", negated(a), negated(b));
  return apply("not", e);
}

/** The tests that a conjunction is made of. */
export function testsOf(e: TensorExpr): readonly TensorExpr[] {
  return e.kind === "apply" && e.prim === "and" ? e.args.flatMap(testsOf) : [e];
}

/** The expression where a test is known to hold, or not to. */
export function assuming(e: TensorExpr, test: TensorExpr, holds: boolean): TensorExpr {
  const opposite = negated(test);
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    if (x === test) return constant("bool", holds ? 1 : 0);
    if (x === opposite) return constant("bool", holds ? 0 : 1);
    const old = memo.get(x);
    if (old) return old;
    const made = mapChildren(x, go);
    memo.set(x, made);
    return made;
  };
  return go(e);
}
