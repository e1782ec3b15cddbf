/** `a @ b` with NumPy's meaning in every rank: vectors, matrices, and stacks of matrices that broadcast. */
import type { BinaryExpr } from "../../grammar/ast.ts";
import type { Extent } from "../../ir/extent.ts";
import { addMonoid } from "../../ir/monoid.ts";
import { apply, cast, type TensorExpr } from "../../ir/tensor.ts";
import { widened } from "./builder.ts";
import { broadcastIndex, broadcastShape } from "./builtins/common.ts";
import type { Context } from "./context.ts";
import { describe, fail, toTensor } from "./convert.ts";
import { unify } from "./operators.ts";
import type { TensorValue, Value } from "./value.ts";

export function matmul(cx: Context, e: BinaryExpr, left: Value, right: Value): TensorValue {
  const [a, b] = unify(cx, toTensor(left, e.left.span), toTensor(right, e.right.span), e, "`@`");
  for (const [t, at] of [
    [a, e.left.span],
    [b, e.right.span],
  ] as const)
    if (t.shape.length === 0)
      return fail("EIN1202", "`@` needs tensors of rank 1 or more", at, `this is ${describe(t)}`, {
        notes: ["scalars are multiplied with `*`"],
      });
  if (a.dtype === "bool") return fail("EIN1201", "`@` needs numbers, not bools", e.span, "the operands are bool");
  const [rowAxis, columnAxis] = [a.shape.length > 1, b.shape.length > 1];
  const inner = a.shape[a.shape.length - 1]!;
  const innerB = b.shape[columnAxis ? b.shape.length - 2 : 0]!;
  cx.builder.requireEqual(
    inner,
    innerB,
    e.left.span,
    e.right.span,
    `the last axis of ${describe(a)} and the ${columnAxis ? "first matrix axis" : "axis"} of ${describe(b)}`,
  );

  const batchOf = (t: TensorValue): TensorValue => ({ ...t, shape: t.shape.slice(0, -2) });
  const [batchA, batchB] = [batchOf(a), batchOf(b)];
  const batch = broadcastShape(cx.builder, [batchA, batchB], "`@` (leading axes)");
  const shape: Extent[] = [...batch];
  if (rowAxis) shape.push(a.shape[a.shape.length - 2]!);
  if (columnAxis) shape.push(b.shape[b.shape.length - 1]!);
  const dtype = a.dtype;
  const product = (outer: readonly TensorExpr[], k: TensorExpr): TensorExpr => {
    const lead = outer.slice(0, batch.length);
    const rest = outer.slice(batch.length);
    const i = rowAxis ? [rest[0]!] : [];
    const j = columnAxis ? [rest[rest.length - 1]!] : [];
    const x = a.at([...broadcastIndex(batchA, lead), ...i, k]);
    const y = b.at([...broadcastIndex(batchB, lead), k, ...j]);
    return apply("mul", widened(x), widened(y));
  };
  const sum = cx.builder.reduce(
    "matmul",
    addMonoid(dtype === "f16" ? "f32" : dtype),
    shape,
    [inner],
    (o, [k]) => [product(o, k!)],
    e.span,
  )[0]!;
  if (dtype !== "f16") return sum;
  return cx.builder.view(dtype, shape, (index) => cast(sum.at(index), dtype), e.span, "matmul");
}
