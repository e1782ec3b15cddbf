/** What the derivative rules ask of a monoid's body; nothing goes by its name. */
import { isFloat } from "../../ir/dtype.ts";
import { type Axis, axisRef, type Monoid, type Reduce, sizeOf, type TensorExpr } from "../../ir/tensor.ts";

/** `combine` is one primitive of both operands. */
export function primitiveOf(m: Monoid): string | undefined {
  const c = m.combine[0];
  if (m.slots.length !== 1 || c?.kind !== "apply" || c.args.length !== 2) return undefined;
  const [a, b] = c.args;
  return a?.kind === "arg" && b?.kind === "arg" && a.index !== b.index ? c.prim : undefined;
}

/** The reduction picks one element, and its integer slots tell which: no two positions have equal ones. */
export function picksByPosition(r: Reduce): boolean {
  return (
    picks(r.monoid) && r.values.some((v, s) => !isFloat(r.monoid.slots[s] ?? "f32") && numbers(v, new Set(r.axes)))
  );
}

/** Different at every position of the axes: one axis, or their row-major number. Says no where it does not see it. */
function numbers(e: TensorExpr, axes: ReadonlySet<Axis>): boolean {
  const rest = [...axes].filter((a) => a.extent.value !== 1);
  if (rest.length === 0) return true;
  if (rest.length === 1 && e === axisRef(rest[0]!)) return true;
  if (e.kind !== "apply" || e.prim !== "add") return false;
  return rest.some((last) =>
    e.args.some((low, k) => {
      const high = e.args[1 - k]!;
      if (low !== axisRef(last) || high.kind !== "apply" || high.prim !== "mul") return false;
      const others = new Set(rest.filter((a) => a !== last));
      return high.args.some((f, j) => f === sizeOf(last.extent) && numbers(high.args[1 - j]!, others));
    }),
  );
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
