/** `y[ids[i], d]: f32[V, D] += x[i, d]`: for every position of the free indices, combines a value into an element of y. */
import type { Expr, IndexBinder, ScatterStatement } from "../../grammar/ast.ts";
import { type DType, isInteger } from "../../ir/dtype.ts";
import type { Extent } from "../../ir/extent.ts";
import { addMonoid, maxMonoid, minMonoid, mulMonoid } from "../../ir/monoid.ts";
import { cast, type Monoid, substituteAxes, type TensorExpr } from "../../ir/tensor.ts";
import type { Context, Want } from "./context.ts";
import { describe, fail, failBoth, toTensor } from "./convert.ts";
import { bindIndices } from "./index-notation.ts";
import { findUses } from "./ranges.ts";
import { lookup, type Scope, Silent } from "./scope.ts";
import type { TensorValue } from "./value.ts";
import { eachPart } from "./walk.ts";

const MONOIDS: Readonly<Record<Exclude<ScatterStatement["op"], "set=">, (d: DType) => Monoid>> = {
  "+=": addMonoid,
  "*=": mulMonoid,
  "max=": maxMonoid,
  "min=": minMonoid,
};

export function scatter(cx: Context, s: ScatterStatement, scope: Scope, want: Want | undefined): TensorValue {
  const binders = s.over ?? freeIndices(cx, s, scope);
  const into = s.type ? undefined : targetOf(s, scope);
  const bound = bindIndices(cx, binders, [...s.at, s.value], scope);
  const dtype = into?.dtype ?? want?.dtype;
  const value = toTensor(
    cx.evaluate(s.value, bound.scope, dtype ? { dtype, span: s.span } : undefined),
    s.value.span,
    dtype,
  );
  if (value.shape.length > 0)
    return fail("EIN1202", "the value of a scatter must be a scalar", s.value.span, `this is ${describe(value)}`, {
      notes: ["index every axis"],
    });
  const shape: readonly (Extent | undefined)[] | undefined = into?.shape ?? want?.shape;
  if (!shape)
    return fail("EIN1205", `the shape of \`${s.target.text}\` is not known`, s.target.span, "state it", {
      notes: [`write \`${s.target.text}[…]: ${value.dtype}[N, …] ${s.op} …\`, or scatter into a tensor that exists`],
    });
  if (shape.length !== s.at.length)
    return failBoth(
      "EIN1202",
      `${s.at.length} indices for a tensor of rank ${shape.length}`,
      { span: s.span, text: `${s.at.length} indices` },
      { span: s.type?.span ?? into?.span ?? want?.span ?? s.span, text: `rank ${shape.length}` },
    );
  const known = shape.map(
    (e) =>
      e ??
      fail(
        "EIN1205",
        `an extent of \`${s.target.text}\` is not known`,
        s.target.span,
        "its type names an extent that no argument binds",
      ),
  );
  if (dtype && value.dtype !== dtype)
    return failBoth(
      "EIN1201",
      `a value of ${value.dtype} is scattered into a tensor of ${dtype}`,
      { span: s.value.span, text: `this is ${value.dtype}` },
      { span: s.type?.span ?? into?.span ?? s.target.span, text: `this is ${dtype}` },
    );
  if (value.dtype === "bool" && s.op !== "set=")
    return fail("EIN1201", `\`${s.op}\` needs numbers, not bools`, s.value.span, `this is ${describe(value)}`);

  const at = s.at.map((e) => {
    const index = toTensor(cx.evaluate(e, bound.scope), e.span, "i32");
    if (!isInteger(index.dtype) || index.shape.length > 0)
      return fail("EIN1201", "an index must be an integer scalar", e.span, `this is ${describe(index)}`);
    return cast(index.at([]), "i32");
  });
  const element = value.at([]);
  const onto = (e: TensorExpr, position: readonly TensorExpr[]): TensorExpr =>
    substituteAxes(e, new Map(bound.axes.map((a, k) => [a, position[k]!])));
  const monoid = s.op === "set=" ? "set" : MONOIDS[s.op](value.dtype);
  const identity = monoid === "set" ? 0 : (monoid.identity[0]?.value ?? 0);
  const made = cx.builder.scatter(
    s.target.text,
    monoid,
    known,
    bound.axes.map((a) => a.extent),
    (p) => at.map((e) => onto(e, p)),
    (p) => onto(element, p),
    into ?? identity,
    s.span,
  );
  return cx.builder.relabel(made, s.target.span, s.target.text);
}

/** The tensor that is scattered into, if the name has a value. */
function targetOf(s: ScatterStatement, scope: Scope): TensorValue | undefined {
  const b = lookup(scope, s.target.text);
  if (b?.kind === "failed") throw new Silent();
  return b?.kind === "value" && b.value.kind === "tensor" ? b.value : undefined;
}

/** Names that index an axis plainly and have no value outside. Others are reported where they are used. */
function freeIndices(cx: Context, s: ScatterStatement, scope: Scope): readonly IndexBinder[] {
  const names = new Map<string, IndexBinder>();
  const visit = (e: Expr, hidden: ReadonlySet<string>, depth: number): void => {
    if (depth > 500) return;
    if (e.kind === "name" && !hidden.has(e.text) && !names.has(e.text) && !isValue(cx, e.text, scope))
      names.set(e.text, { name: { text: e.text, span: e.span }, range: undefined, span: e.span });
    eachPart(
      e,
      (part, bound, params) =>
        visit(
          part,
          bound.length + params.length > 0 ? new Set([...hidden, ...bound.map((b) => b.name.text), ...params]) : hidden,
          depth + 1,
        ),
      () => undefined,
    );
  };
  for (const e of [...s.at, s.value]) visit(e, new Set(), 0);
  const plain = findUses([...s.at, s.value], new Set(names.keys())).plain;
  return [...names.values()].filter((b) => plain.has(b.name.text));
}

/** Bound to something that is not a function: functions may share a name with an index. */
function isValue(_cx: Context, name: string, scope: Scope): boolean {
  const b = lookup(scope, name);
  if (!b) return false;
  if (b.kind === "value") return b.value.kind !== "function";
  return b.kind !== "lazy" || b.evaluate().kind !== "function";
}
