/** What the derivative rules ask of a monoid's body; nothing goes by its name. */
import { isFloat } from "../../ir/dtype.ts";
import type { Monoid, TensorExpr } from "../../ir/tensor.ts";

/** `combine` is one primitive of both operands. */
export function primitiveOf(m: Monoid): string | undefined {
  const c = m.combine[0];
  if (m.slots.length !== 1 || c?.kind !== "apply" || c.args.length !== 2) return undefined;
  const [a, b] = c.args;
  return a?.kind === "arg" && b?.kind === "arg" && a.index !== b.index ? c.prim : undefined;
}

/** Every slot is `select(one condition, left, right)`: the result is one of the elements, which an integer slot names. */
export function picks(m: Monoid): boolean {
  const n = m.slots.length;
  const first = m.combine[0];
  if (n < 2 || first?.kind !== "apply" || first.prim !== "select") return false;
  const named = m.slots.some((t) => !isFloat(t) && t !== "bool");
  return (
    named &&
    m.combine.every(
      (c, s) =>
        c.kind === "apply" &&
        c.prim === "select" &&
        c.args[0] === first.args[0] &&
        isArg(c.args[1], s) &&
        isArg(c.args[2], n + s),
    )
  );
}
function isArg(e: TensorExpr | undefined, index: number): boolean {
  return e?.kind === "arg" && e.index === index;
}
