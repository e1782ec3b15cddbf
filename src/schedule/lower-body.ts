/** Bodies of monoids and of products: expressions over arguments. */
import { type KernelExpr, kapplyTyped, kconst, ksize } from "../../ir/kernel.ts";
import { childrenOf, type TensorExpr } from "../../ir/tensor.ts";
import { type Builder, name } from "./apply/builder.ts";
import { ScheduleError } from "./schedule.ts";

/** A monoid's (or an operand's) body with `arg(i)` replaced by kernel expressions; shared parts are named once. */
export function lowerBody(
  b: Builder,
  bodies: readonly TensorExpr[],
  args: readonly KernelExpr[],
): readonly KernelExpr[] {
  const uses = new Map<TensorExpr, number>();
  const visit = (e: TensorExpr): void => {
    const n = uses.get(e) ?? 0;
    uses.set(e, n + 1);
    if (n === 0) for (const c of childrenOf(e)) visit(c);
  };
  for (const e of bodies) visit(e);
  const memo = new Map<TensorExpr, KernelExpr>();
  const go = (e: TensorExpr): KernelExpr => {
    if (e.kind === "const") return kconst(e.dtype, e.value);
    if (e.kind === "size") return ksize(e.extent);
    if (e.kind === "arg") {
      const a = args[e.index];
      if (!a) throw new Error(`argument ${e.index} of a monoid's body is missing`);
      return a;
    }
    const old = memo.get(e);
    if (old) return old;
    if (e.kind !== "apply") throw new ScheduleError("kind", `a ${e.kind} inside a monoid's body`);
    const expr = kapplyTyped(e.prim, e.args.map(go), e.dtype);
    const made = (uses.get(e) ?? 0) > 1 ? name(b, "c", expr) : expr;
    memo.set(e, made);
    return made;
  };
  return bodies.map(go);
}
