/** `assert(condition, message, value)`: what a function asks of its constants and extents. */
import type { Span } from "../../../grammar/span.ts";
import { addExtent, type Extent, ONE, size } from "../../../ir/extent.ts";
import type { TensorExpr } from "../../../ir/tensor.ts";
import { plainSymbol } from "../constraints.ts";
import { describe, fail } from "../convert.ts";
import type { Builder, Builtin, Value } from "../value.ts";
import { type Args, builtin } from "./common.ts";

function extentOf(e: TensorExpr | undefined): Extent | undefined {
  if (e?.kind === "const" && e.dtype === "i32") return size(e.value);
  return e?.kind === "size" ? e.extent : undefined;
}

/** Asks the same of the extents; the host does where sizes decide. False if the condition is no comparison of extents. */
function required(b: Builder, e: TensorExpr, message: string, span: Span): boolean {
  if (e.kind !== "apply") return false;
  const [l, r] = [extentOf(e.args[0]), extentOf(e.args[1])];
  if (!l || !r) return false;
  switch (e.prim) {
    case "eq":
      // A symbol becomes what it must be; of other extents both directions are asked, with the message.
      if (plainSymbol(l) !== undefined || plainSymbol(r) !== undefined) b.requireEqual(l, r, span, span, message);
      else {
        b.requireAtLeast(l, r, span, message, "EIN1504");
        b.requireAtLeast(r, l, span, message, "EIN1504");
      }
      return true;
    case "ge":
      b.requireAtLeast(l, r, span, message, "EIN1504");
      return true;
    case "gt":
      b.requireAtLeast(l, addExtent(r, ONE), span, message, "EIN1504");
      return true;
    case "le":
      b.requireAtLeast(r, l, span, message, "EIN1504");
      return true;
    case "lt":
      b.requireAtLeast(r, addExtent(l, ONE), span, message, "EIN1504");
      return true;
    default:
      return false;
  }
}

function check(b: Builder, a: Args, span: Span): Value {
  const { condition, message, value } = a;
  if (!condition || !value || message?.kind !== "string")
    return fail("EIN1501", "assert takes a condition, a message and a value", span, "the message is a string");
  if (condition.kind === "bool") {
    if (!condition.value) fail("EIN1504", message.value, span, "asked for here");
    return value;
  }
  if (condition.kind === "tensor" && condition.shape.length === 0 && condition.dtype === "bool")
    if (required(b, condition.at([]), message.value, span)) return value;
  return fail(
    "EIN1502",
    "assert needs a condition that constants decide, or a comparison of extents",
    condition.span,
    `found ${describe(condition)}`,
  );
}

export const ASSERT: Builtin = builtin(
  "assert",
  "condition, message, value",
  "value, if the condition holds, else an error with the message: constants decide it while compiling, extents when sizes are known",
  check,
);
