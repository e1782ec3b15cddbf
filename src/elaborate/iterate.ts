/**
 * `iterate count until condition from start as name, … { body } max bound`. The condition is looked at after each round, on the
 * values that the round made; from then on the carries stay as they are, position by position inside index notation.
 */
import type { Expr, IterateExpr, Name } from "../../grammar/ast.ts";
import { DiagnosticError } from "../../grammar/diagnostic.ts";
import { isFloat } from "../../ir/dtype.ts";
import { type Extent, minExtent, ZERO } from "../../ir/extent.ts";
import { apply, constant } from "../../ir/tensor.ts";
import type { Context } from "./context.ts";
import { describe, fail, failBoth, toTensor } from "./convert.ts";
import { mapped, toBoolTensor } from "./operators.ts";
import { declare, makeScope, type Scope, Silent } from "./scope.ts";
import type { TensorValue, Value } from "./value.ts";

interface Carry {
  readonly name: Name;
  /** As it was written: a literal takes the type of what the body makes of it. */
  readonly given: Value;
  readonly span: Expr["span"];
}

export function iterate(cx: Context, e: IterateExpr, scope: Scope): Value {
  const rounds = roundsOf(cx, e, scope);
  const carries = e.carries.map((c): Carry => ({ name: c.name, given: cx.evaluate(c.init, scope), span: c.init.span }));
  checkNames(e);
  const starts = startsOf(cx, e, carries, scope);
  const done = constantLike(cx, e);
  const recovering = cx.recovering;
  cx.recovering = false;
  try {
    const values = cx.builder.loop({
      carries: [
        ...carries.map((c, i) => ({ name: c.name.text, init: starts[i]! })),
        ...(e.until ? [{ name: "done", init: done }] : []),
      ],
      index: e.index?.text,
      rounds,
      body: (now, index) => {
        const next = bodyOf(cx, e, carries, now, index, scope).map((v, i) => {
          const d = now[i]!.dtype;
          return toTensor(v, resultSpan(e), d === "bool" ? undefined : d);
        });
        for (const [i, v] of next.entries()) checkCarry(cx, carries[i]!, now[i]!, v, starts[i]!);
        if (!e.until) return { next, done: undefined };
        const was = now[carries.length]!;
        const settled = next.map((v, i) => cx.builder.settle(v, carries[i]!.name.text));
        const kept = settled.map((v, i) =>
          mapped(cx, [was, now[i]!, v], ([d, a, b]) => apply("select", d!, a!, b!), v.dtype, v.span, "`until`"),
        );
        const is = conditionOf(cx, e.until, carries, settled, index, e, scope);
        const stop = cx.builder.materialise(
          mapped(cx, [was, is], ([a, b]) => apply("or", a!, b!), "bool", e.until.span, "`until`"),
          "done",
        );
        return { next: [...kept, stop], done: stop };
      },
      span: e.span,
    });
    const named = carries.map((c, i): [string, Value] => [
      c.name.text,
      cx.builder.relabel(values[i]!, e.span, c.name.text),
    ]);
    return named.length === 1 ? named[0]![1] : { kind: "record", fields: new Map(named), span: e.span };
  } finally {
    cx.recovering = recovering;
  }
}

function roundsOf(cx: Context, e: IterateExpr, scope: Scope): Extent {
  const bounds = [e.count, e.max].flatMap((x) => {
    if (!x) return [];
    const given = cx.evaluate(x, scope);
    if (given.kind !== "int")
      return fail(
        "EIN1502",
        "the number of rounds must be known when the kernel is made",
        x.span,
        `found ${describe(given)}`,
        {
          notes: ["`iterate until i >= n … max 1000` stops where a value says so"],
        },
      );
    const n = given.extent;
    cx.builder.requireAtLeast(n, ZERO, x.span, "the number of rounds would be negative", "EIN1503");
    return [n];
  });
  const [first, second] = bounds;
  if (!first)
    return fail("EIN1503", "the loop has no bound", e.span, "add a number of rounds, or `max`", {
      notes: [
        "how many rounds there can be must be known when the kernel is made: `iterate until done from … max 1000`",
      ],
    });
  return second ? minExtent(first, second) : first;
}

function checkNames(e: IterateExpr): void {
  const seen = new Map<string, Name>();
  for (const name of [...(e.index ? [e.index] : []), ...e.carries.map((c) => c.name)]) {
    const old = seen.get(name.text);
    if (old)
      failBoth(
        "EIN1102",
        `the loop has two names \`${name.text}\``,
        { span: name.span, text: "the second" },
        { span: old.span, text: "the first" },
      );
    seen.set(name.text, name);
  }
}

function constantLike(cx: Context, e: IterateExpr): TensorValue {
  return cx.builder.view("bool", [], () => constant("bool", 0), e.span, "done");
}

/** The first values as tensors. A literal becomes what the body makes of it, which takes a look at the body first. */
function startsOf(cx: Context, e: IterateExpr, carries: readonly Carry[], scope: Scope): readonly TensorValue[] {
  const isOpen = (v: Value): boolean => v.kind === "int" || v.kind === "float";
  let values: readonly Value[] = carries.map((c) => c.given);
  // What one literal becomes may decide another's.
  while (values.some(isOpen)) {
    const made = look(cx, e, carries, values, scope);
    const decided = values.map((v, i) => {
      const found = made[i];
      const fits = found?.kind === "tensor" && found.dtype !== "bool" && (v.kind === "int" || isFloat(found.dtype));
      return isOpen(v) && fits ? toTensor(v, carries[i]!.span, found.dtype) : v;
    });
    if (decided.every((v, i) => v === values[i])) break;
    values = decided;
  }
  return values.map((v, i) => toTensor(v, carries[i]!.span));
}

/** What the body makes of values, elaborated on the side; nothing where it cannot be. */
function look(
  cx: Context,
  e: IterateExpr,
  carries: readonly Carry[],
  values: readonly Value[],
  scope: Scope,
): readonly Value[] {
  const restore = cx.builder.snapshot();
  const [recovering, calls, depth] = [cx.recovering, cx.calls.length, cx.depth];
  cx.recovering = false;
  cx.sideDepth++;
  try {
    const index = e.index && cx.builder.view("i32", [], () => constant("i32", 0), e.index.span, e.index.text);
    return bodyOf(cx, e, carries, values, index, scope);
  } catch (error) {
    // Whatever is wrong with it is said when it is elaborated in earnest.
    if (error instanceof DiagnosticError || error instanceof Silent) return [];
    throw error;
  } finally {
    cx.sideDepth--;
    cx.recovering = recovering;
    cx.calls.length = calls;
    cx.depth = depth;
    restore();
  }
}

function scopeWith(
  e: IterateExpr,
  carries: readonly Carry[],
  values: readonly Value[],
  index: TensorValue | undefined,
  scope: Scope,
): Scope {
  const inner = makeScope(scope);
  if (e.index && index) declare(inner, e.index.text, { kind: "value", span: e.index.span, value: index });
  for (const [i, c] of carries.entries())
    declare(inner, c.name.text, { kind: "value", span: c.name.span, value: values[i]! });
  return inner;
}

/** The body's results in the order of the carries. */
function bodyOf(
  cx: Context,
  e: IterateExpr,
  carries: readonly Carry[],
  now: readonly Value[],
  index: TensorValue | undefined,
  scope: Scope,
): readonly Value[] {
  const value = cx.block(e.body, scopeWith(e, carries, now, index, scope));
  const at = resultSpan(e);
  const only = carries[0]!;
  if (carries.length === 1 && value.kind !== "record") return [value];
  if (value.kind !== "record")
    return fail("EIN1204", "the body must give every carried value", at, `this is ${describe(value)}`, {
      notes: [`write { ${carries.map((c) => c.name.text).join(", ")} }`],
    });
  const extra = [...value.fields.keys()].find((k) => !carries.some((c) => c.name.text === k));
  if (extra !== undefined)
    return failBoth(
      "EIN1204",
      `the loop carries nothing called \`${extra}\``,
      { span: at, text: `it carries ${carries.map((c) => c.name.text).join(", ")}` },
      { span: only.name.span, text: "declared here" },
    );
  return carries.map((c) => {
    const v = value.fields.get(c.name.text);
    return (
      v ??
      failBoth(
        "EIN1204",
        `the body does not give \`${c.name.text}\``,
        { span: at, text: `it gives ${[...value.fields.keys()].join(", ")}` },
        { span: c.name.span, text: "carried" },
      )
    );
  });
}

function resultSpan(e: IterateExpr): Expr["span"] {
  return e.body.result?.span ?? e.body.span;
}

function checkCarry(cx: Context, c: Carry, now: TensorValue, next: TensorValue, start: TensorValue): void {
  const name = c.name.text;
  const from = { span: c.span, text: `\`${name}\` starts as ${describe(start)}` };
  const to = { span: next.span, text: `the body makes it ${describe(next)}` };
  if (next.dtype !== now.dtype) failBoth("EIN1201", `\`${name}\` changes its type from round to round`, to, from);
  if (next.shape.length !== now.shape.length)
    failBoth("EIN1202", `\`${name}\` changes its rank from round to round`, to, from);
  for (const [i, extent] of next.shape.entries())
    cx.builder.requireEqual(extent, now.shape[i]!, next.span, c.span, `axis ${i} of \`${name}\``);
}

function conditionOf(
  cx: Context,
  until: Expr,
  carries: readonly Carry[],
  values: readonly TensorValue[],
  index: TensorValue | undefined,
  e: IterateExpr,
  scope: Scope,
): TensorValue {
  const value = cx.evaluate(until, scopeWith(e, carries, values, index, scope));
  const t = toBoolTensor(value, until.span, "the condition");
  return t.shape.length === 0
    ? t
    : fail("EIN1202", "the condition must be one bool", until.span, `this is ${describe(t)}`, {
        notes: ["`all(…)` and `any(…)` make one of many"],
      });
}
