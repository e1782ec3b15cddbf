export * from "../../ir/tensor.ts";

import { type Apply, apply, type TensorExpr } from "../../ir/tensor.ts";

export function add(a: TensorExpr, b: TensorExpr): Apply {
  return apply("add", a, b);
}
export function mul(a: TensorExpr, b: TensorExpr): Apply {
  return apply("mul", a, b);
}
