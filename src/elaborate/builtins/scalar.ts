/** Scalar expressions, short: constants take the element type of their neighbour. */
import type { DType } from "../../../ir/dtype.ts";
import type { Prim } from "../../../ir/prim.ts";
import { apply, applyTyped, constant, type TensorExpr } from "../../../ir/tensor.ts";

export type Scalar = TensorExpr | number;

export function lit(like: TensorExpr, value: number): TensorExpr {
  return constant(like.dtype, value);
}

/** `apply` where numbers stand for constants of the type of the first expression among the operands. */
export function op(prim: Prim, ...args: readonly Scalar[]): TensorExpr {
  const like = args.find((a) => typeof a !== "number");
  if (like === undefined) throw new TypeError(`${prim} of numbers only`);
  return apply(prim, ...args.map((a) => (typeof a === "number" ? lit(like, a) : a)));
}
export function add(a: Scalar, b: Scalar): TensorExpr {
  return op("add", a, b);
}
export function sub(a: Scalar, b: Scalar): TensorExpr {
  return op("sub", a, b);
}
export function mul(a: Scalar, b: Scalar): TensorExpr {
  return op("mul", a, b);
}
export function div(a: Scalar, b: Scalar): TensorExpr {
  return op("div", a, b);
}
export function select(c: TensorExpr, a: Scalar, b: Scalar): TensorExpr {
  if (typeof a !== "number") return apply("select", c, a, typeof b === "number" ? lit(a, b) : b);
  if (typeof b !== "number") return apply("select", c, lit(b, a), b);
  throw new TypeError("select of numbers only");
}
export function bitcast(e: TensorExpr, dtype: DType): TensorExpr {
  return applyTyped("bitcast", [e], dtype);
}
