/** Indexing lists that are known while compiling: `x.shape[0]`. */
import type { Expr, SubscriptExpr } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import type { Context } from "./context.ts";
import { describe, fail } from "./convert.ts";
import type { Scope } from "./scope.ts";
import type { Value } from "./value.ts";

/** One index, or a slice with step 1; negative ones count from the end. */
export function listItem(cx: Context, e: SubscriptExpr, items: readonly Value[], scope: Scope): Value {
  const item = e.items[0];
  if (e.items.length !== 1 || !item || (item.kind !== "index" && item.kind !== "slice"))
    return fail("EIN1202", "a list takes one index", e.span, `${e.items.length} are given`);
  if (item.kind === "slice") {
    const bound = (x: Expr | undefined): number | undefined =>
      x ? constantIndex(cx.evaluate(x, scope), x.span) : undefined;
    const [from, to, step] = [bound(item.from), bound(item.to), bound(item.step)];
    if (step !== undefined && step !== 1)
      return fail("EIN1503", "a list is sliced with step 1", item.span, `found ${step}`);
    return { kind: "list", items: items.slice(from, to), span: e.span };
  }
  const n = constantIndex(cx.evaluate(item.expr, scope), item.span);
  const found = items[n < 0 ? n + items.length : n];
  return found ?? fail("EIN1304", `index ${n} is out of range for a list of ${items.length}`, item.span, "here");
}

function constantIndex(v: Value, span: Span): number {
  if (v.kind === "int" && v.extent.value !== undefined) return v.extent.value;
  return fail("EIN1502", "an index into a list must be a constant integer", span, `found ${describe(v)}`);
}
