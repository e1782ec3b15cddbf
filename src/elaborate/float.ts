/**
 * The type `float`: f32 or f16, as the argument is. A function computes in f32 whichever it gets: an argument of f16 is widened where
 * it is bound, and the results are rounded to f16 where all its arguments were.
 */
import type { FnItem, Param, ResultType, TypeExpr } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { isFloat } from "../../ir/dtype.ts";
import { cast } from "../../ir/tensor.ts";
import type { Context } from "./context.ts";
import { mapped } from "./operators.ts";
import type { CallArgument, Value } from "./value.ts";

export const FLOAT = "float";

/** Does the parameter take f32 and f16 alike? So do, beside those of type `float`, constants of any type: arrays that may be left out. */
function takesHalf(item: FnItem, p: Param): boolean {
  return isFloatType(p.type) ? !p.isConst : p.type === undefined && item.params.some((q) => isFloatType(q.type));
}

export function isFloatType(type: TypeExpr | undefined): boolean {
  return type?.kind === "tensorType" && type.dtype.text === FLOAT;
}

/** An argument as a body sees it. */
export function widened(cx: Context, item: FnItem, p: Param, value: Value, span: Span): Value {
  if (!takesHalf(item, p) || value.kind !== "tensor" || value.dtype !== "f16") return value;
  return { ...mapped(cx, [value], ([x]) => cast(x!, "f32"), "f32", span, FLOAT), name: value.name };
}

/** Are all arrays that are given for such parameters f16? Scalars have a say only where there is no array. */
export function givenHalf(item: FnItem, given: ReadonlyMap<string, CallArgument>): boolean {
  const tensors = item.params.flatMap((p) => {
    const v = takesHalf(item, p) ? given.get(p.name.text)?.value : undefined;
    return v?.kind === "tensor" && isFloat(v.dtype) ? [v] : [];
  });
  const arrays = tensors.filter((t) => t.shape.length > 0);
  const deciding = arrays.length > 0 ? arrays : tensors;
  return deciding.length > 0 && deciding.every((t) => t.dtype === "f16");
}

/** The results of a call whose arguments were f16: those of type `float`, or of f32 where no type is declared. */
export function narrowed(cx: Context, type: ResultType | undefined, value: Value, span: Span): Value {
  if (value.kind === "record") {
    const fields = type?.kind === "tupleType" ? type.fields : undefined;
    const typeOf = (name: string): TypeExpr | undefined => fields?.find((f) => f.name.text === name)?.type;
    return {
      ...value,
      fields: new Map([...value.fields].map(([k, v]) => [k, narrowed(cx, fields && typeOf(k), v, span)])),
    };
  }
  const rounds = type === undefined || (type.kind !== "tupleType" && isFloatType(type));
  if (!rounds || value.kind !== "tensor" || value.dtype !== "f32") return value;
  return mapped(cx, [value], ([x]) => cast(x!, "f16"), "f16", span, FLOAT);
}
