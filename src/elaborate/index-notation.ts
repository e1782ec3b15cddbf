/** `for[i, j] e`, `sum[k] e`, `cumsum[i] e`: variables that range over axes, and what collects their values. */
import type { Expr, ForExpr, IndexBinder, IndexedDefinition, ReduceExpr, ScanExpr } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import type { DType } from "../../ir/dtype.ts";
import { isFloat } from "../../ir/dtype.ts";
import { type Extent, ONE, subExtent, ZERO } from "../../ir/extent.ts";
import { addMonoid, maxMonoid, minMonoid, mulMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  axis,
  axisRef,
  cast,
  type Monoid,
  sizeOf,
  substituteAxes,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { widened } from "./builder.ts";
import { REDUCERS, reduceIndexed } from "./builtins/index.ts";
import { addIndex } from "./builtins/index-arithmetic.ts";
import type { Context, Want } from "./context.ts";
import { describe, extentAt, fail, openTensor, openType, toTensor } from "./convert.ts";
import { type IndexRange, inferRanges } from "./ranges.ts";
import { declare, makeScope, type Scope } from "./scope.ts";
import type { RecordValue, TensorValue, Value } from "./value.ts";

export interface BoundIndices {
  readonly scope: Scope;
  readonly axes: readonly Axis[];
}

/** Makes an axis for every binder and a scope that knows them. `stated` says what a declared shape gives for each binder. */
export function bindIndices(
  cx: Context,
  binders: readonly IndexBinder[],
  bodies: readonly Expr[],
  scope: Scope,
  stated: ReadonlyMap<string, IndexRange> = new Map(),
): BoundIndices {
  const inner = makeScope(scope);
  const ranges = inferRanges(cx, binders, bodies, scope, stated);
  const axes = binders.map((b) => {
    const { extent, from, fixedBy } = rangeOf(cx, b, scope, ranges);
    const a = axis(b.name.text, cx.builder.constraints.resolve(extent));
    const expr = addIndex(axisRef(a), sizeOf(from));
    declare(inner, b.name.text, {
      kind: "index",
      span: b.name.span,
      index: { name: b.name.text, expr, extent: a.extent, fixedBy },
    });
    cx.observer()?.index(b.name, from, a.extent);
    return a;
  });
  return { scope: inner, axes };
}

function rangeOf(
  cx: Context,
  b: IndexBinder,
  scope: Scope,
  ranges: ReadonlyMap<string, IndexRange>,
): { extent: Extent; from: Extent; fixedBy: IndexRange["fixedBy"] | undefined } {
  const found = ranges.get(b.name.text);
  if (found) return { extent: found.extent, from: ZERO, fixedBy: found.fixedBy };
  if (!b.range) return fail("EIN1302", `index \`${b.name.text}\` has no range`, b.name.span, "here");
  const end = (e: Expr): Extent => extentAt(cx.evaluate(e, scope), e.span, "the end of a range");
  const [from, to] = [end(b.range.from), end(b.range.to)];
  cx.builder.requireAtLeast(to, from, b.span, `the range of \`${b.name.text}\` ends before it begins`);
  return { extent: subExtent(to, from), from, fixedBy: undefined };
}

/** What a declared shape says of binders that are its leading axes. */
export function statedRanges(binders: readonly IndexBinder[], want: Want | undefined): ReadonlyMap<string, IndexRange> {
  const stated = new Map<string, IndexRange>();
  binders.forEach((b, k) => {
    const extent = want?.shape?.[k];
    if (extent && want) stated.set(b.name.text, { extent, fixedBy: { span: want.span, text: "stated by the type" } });
  });
  return stated;
}

export function forExpression(cx: Context, e: ForExpr, scope: Scope, want: Want | undefined): Value {
  return tabulate(cx, e.indices, e.body, scope, want, want?.name ?? "t", e.span);
}

/** `y[i, j] = e`. */
export function indexedDefinition(cx: Context, s: IndexedDefinition, scope: Scope, want: Want | undefined): Value {
  return tabulate(cx, s.indices, s.value, scope, want, s.target.text, s.span);
}

function tabulate(
  cx: Context,
  indices: readonly IndexBinder[],
  body: Expr,
  scope: Scope,
  want: Want | undefined,
  name: string,
  span: Span,
): Value {
  const bound = bindIndices(cx, indices, [body], scope, statedRanges(indices, want));
  const inner: Want | undefined = want && {
    span: want.span,
    dtype: want.dtype,
    shape: want.shape?.slice(indices.length),
  };
  const value = cx.evaluate(body, bound.scope, inner);
  const over = (axes: readonly Axis[], t: TensorValue, n: string): TensorValue =>
    cx.builder.relabel(cx.builder.defineOver(n, axes, t, span), span, n);
  const whole = (v: Value, n: string): TensorValue => {
    const wanted = want?.dtype && fits(v, want.dtype) ? want.dtype : undefined;
    const made = over(bound.axes, toTensor(v, body.span, wanted), n);
    const open = openType(v);
    if (!open || wanted) return made;
    // In another type it is an array of its own.
    const known = new Map([[made.dtype, made]]);
    return openTensor([open], (d) => {
      const again = known.get(d) ?? over(...renamed(bound.axes, toTensor(v, body.span, d)), n);
      known.set(d, again);
      return again;
    });
  };
  if (value.kind !== "record") return whole(value, name);
  const fields: RecordValue["fields"] = new Map([...value.fields].map(([k, v]) => [k, whole(v, k)]));
  return { kind: "record", fields, span };
}

/** Axes of one's own and the value over them. */
function renamed(axes: readonly Axis[], t: TensorValue): [axes: readonly Axis[], value: TensorValue] {
  const fresh = axes.map((a) => axis(a.name, a.extent));
  const names = new Map(axes.map((a, k) => [a, axisRef(fresh[k]!)]));
  return [fresh, { ...t, at: (index) => substituteAxes(t.at(index), names) }];
}

/** A literal takes the wanted type where it can. */
function fits(v: Value, dtype: DType): boolean {
  const open = openType(v);
  return open !== undefined && (open.float ? isFloat(dtype) : dtype !== "bool");
}

export function reduceExpression(cx: Context, e: ReduceExpr, scope: Scope, want: Want | undefined): Value {
  const name = e.reducer.text;
  if (!REDUCERS.has(name)) {
    const near = suggest(name, REDUCERS);
    return fail(
      "EIN1101",
      `there is no reduction \`${name}\``,
      e.reducer.span,
      near ? `did you mean \`${near}\`?` : "not a reduction",
      {
        notes: [`reductions: ${[...REDUCERS].join(", ")}`],
        ...(near ? { fix: { message: `write \`${near}\``, edits: [{ span: e.reducer.span, text: near }] } } : {}),
      },
    );
  }
  const bound = bindIndices(cx, e.indices, [e.body], scope);
  if (name === "max" || name === "min" || name === "argmax" || name === "argmin")
    bound.axes.forEach((a, k) => {
      const at = e.indices[k]?.span ?? e.span;
      cx.builder.requireAtLeast(a.extent, ONE, at, `\`${name}\` needs at least one element`, "EIN1303");
    });
  const v = cx.evaluate(e.body, bound.scope, want?.dtype ? { span: want.span, dtype: want.dtype } : undefined);
  const body = toTensor(v, e.body.span, want?.dtype && fits(v, want.dtype) ? want.dtype : undefined);
  const extents = bound.axes.map((a) => a.extent);
  const fold = (element: TensorExpr): TensorValue => {
    const at = (index: readonly TensorExpr[]): TensorExpr =>
      substituteAxes(element, new Map(bound.axes.map((a, k) => [a, index[k]!])));
    cx.builder.nameAxes(bound.axes.map((a) => a.name));
    return reduceIndexed(cx.builder, name, element.dtype, extents, at, e.span);
  };
  if (body.shape.length === 0) return fold(body.at([]));
  // An array body reduces element by element.
  return cx.builder.define(name, body.shape, (index) => fold(body.at(index)).at([]), e.span);
}

const SCANS: ReadonlyMap<string, (d: DType) => Monoid> = new Map([
  ["cumsum", addMonoid],
  ["cumprod", mulMonoid],
  ["cummax", maxMonoid],
  ["cummin", minMonoid],
]);

/** The array of all prefixes' sums along the index. */
export function scanExpression(cx: Context, e: ScanExpr, scope: Scope, want: Want | undefined): Value {
  const monoid = SCANS.get(e.scanner.text);
  if (!monoid) {
    const near = suggest(e.scanner.text, SCANS.keys());
    return fail(
      "EIN1101",
      `there is no scan \`${e.scanner.text}\``,
      e.scanner.span,
      near ? `did you mean \`${near}\`?` : `one of ${[...SCANS.keys()].join(", ")}`,
    );
  }
  const bound = bindIndices(cx, [e.index], [e.body], scope, statedRanges([e.index], want));
  const body = toTensor(cx.evaluate(e.body, bound.scope), e.body.span, want?.dtype);
  if (body.dtype === "bool")
    return fail("EIN1201", `\`${e.scanner.text}\` needs numbers, not bools`, e.body.span, `this is ${describe(body)}`);
  const sums = e.scanner.text === "cumsum" || e.scanner.text === "cumprod";
  const wide: TensorValue =
    sums && body.dtype === "f16" ? { ...body, dtype: "f32", at: (i) => widened(body.at(i)) } : body;
  const made = cx.builder.scanOver(e.scanner.text, monoid(wide.dtype), bound.axes[0]!, wide, e.span);
  return wide === body
    ? made
    : cx.builder.view(body.dtype, made.shape, (i) => cast(made.at(i), body.dtype), e.span, e.scanner.text);
}
