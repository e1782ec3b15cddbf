/**
 * `x[…]`: NumPy's basic indexing with symbolic extents, reads at index expressions, gathers by integer tensors. Every index is
 * proved to stay inside, unless `??` says what lies outside.
 */

import type { Expr, SubscriptExpr, SubscriptItem } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import { isInteger } from "../../ir/dtype.ts";
import { addExtent, type Extent, ONE, proveNonNegative, size, subExtent, ZERO } from "../../ir/extent.ts";
import { intervalText } from "../../ir/interval.ts";
import { apply, axis, axisRef, cast, sizeOf, type TensorExpr } from "../../ir/tensor.ts";
import { assumingPositions, rangeOf } from "./bounds.ts";
import { broadcastIndex, broadcastShape } from "./builtins/common.ts";
import { addIndex, mulIndex } from "./builtins/index-arithmetic.ts";
import type { Context } from "./context.ts";
import { describe, fail, failBoth, openTensor, openType, quotientParts, retyped, toTensor } from "./convert.ts";
import { listItem } from "./list.ts";
import { lookup, namesIn, type Scope } from "./scope.ts";
import { sliceOf } from "./slice.ts";
import type { TensorValue, Value } from "./value.ts";

/** An index into one axis that may leave it: what `??` must test. */
interface Guard {
  readonly index: (rest: readonly TensorExpr[]) => TensorExpr;
  readonly extent: Extent;
}

/** A subscript as an index map: an index of the result to an index of `base`. */
interface Access {
  readonly base: TensorValue;
  readonly shape: readonly Extent[];
  readonly toBase: (rest: readonly TensorExpr[]) => readonly TensorExpr[];
  readonly guards: readonly Guard[];
}

export function subscript(cx: Context, e: SubscriptExpr, scope: Scope): Value {
  const value = cx.evaluate(e.value, scope);
  if (value.kind === "list") return listItem(cx, e, value.items, scope);
  const base = subscripted(value, e.value.span);
  const a = access(cx, e, base, scope, false);
  const read = (from: TensorValue): TensorValue => viewOf(cx, { ...a, base: from }, e.span, (index) => from.at(index));
  return base.open ? openTensor([base.open], (d) => read(retyped(base, d))) : read(base);
}

/** `x[…] ?? f`: with a constant f the read fills, with any other expression it is selected. */
export function guarded(cx: Context, left: Expr, fill: Value, fillSpan: Span, scope: Scope, span: Span): TensorValue {
  if (left.kind !== "subscript")
    return fail(
      "EIN1301",
      "`??` says what a read finds outside its tensor; its left side must be a read",
      left.span,
      "this is not `x[…]`",
      {
        notes: ["`??` binds loosest of all operators: write `(x[i] ?? 0) * y`"],
      },
    );
  const a = guardedAccess(cx, left, scope);
  const constantFill = fillNumber(fill);
  if (constantFill !== undefined) {
    const filled = (base: TensorValue): TensorValue => {
      checkFill(base, fill, left.span, fillSpan);
      return viewOf(cx, { ...a, base }, span, (index) =>
        a.guards.length === 0 ? base.at(index) : cx.builder.readOr(base, index, constantFill),
      );
    };
    const open = openType(fill);
    if (!a.base.open || !open) return filled(a.base);
    return openTensor([a.base.open, open], (d) => filled(retyped(a.base, d)));
  }
  const f = toTensor(fill, fillSpan, a.base.dtype);
  if (f.dtype !== a.base.dtype)
    return failBoth(
      "EIN1201",
      `the two sides of \`??\` have different element types, ${a.base.dtype} and ${f.dtype}`,
      { span: left.span, text: `this is ${a.base.dtype}` },
      { span: fillSpan, text: `this is ${f.dtype}` },
    );
  const read = viewOf(cx, a, left.span, (index) =>
    a.guards.length === 0 ? a.base.at(index) : cx.builder.readOr(a.base, index, 0),
  );
  if (a.guards.length === 0) return read;
  const shape = broadcastShape(cx.builder, [read, f], "`??`");
  const at = (index: readonly TensorExpr[]): TensorExpr => {
    const own = broadcastIndex(read, index);
    const inside = a.guards.map((g) => {
      const i = g.index(own);
      return apply("and", apply("ge", i, sizeOf(ZERO)), apply("lt", i, sizeOf(g.extent)));
    });
    return apply(
      "select",
      inside.reduce((x, y) => apply("and", x, y)),
      read.at(own),
      f.at(broadcastIndex(f, index)),
    );
  };
  return cx.builder.view(read.dtype, shape, at, span);
}

/** `x[i - 1][j] ?? 0` guards both reads: they are one. */
function guardedAccess(cx: Context, e: SubscriptExpr, scope: Scope): Access {
  if (e.value.kind !== "subscript")
    return access(cx, e, subscripted(cx.evaluate(e.value, scope), e.value.span), scope, true);
  const inner = guardedAccess(cx, e.value, scope);
  const view = viewOf(cx, inner, e.value.span, (index) => inner.base.at(index));
  const outer = access(cx, e, view, scope, true);
  return {
    base: inner.base,
    shape: outer.shape,
    toBase: (rest) => inner.toBase(outer.toBase(rest)),
    guards: [
      ...inner.guards.map((g) => ({
        extent: g.extent,
        index: (rest: readonly TensorExpr[]) => g.index(outer.toBase(rest)),
      })),
      ...outer.guards,
    ],
  };
}

function viewOf(cx: Context, a: Access, span: Span, at: (index: readonly TensorExpr[]) => TensorExpr): TensorValue {
  if (a.shape.length > 0)
    return cx.builder.view(a.base.dtype, a.shape, (rest) => at(a.toBase(rest)), span, a.base.name);
  const e = at(a.toBase([]));
  return cx.builder.view(a.base.dtype, [], () => e, span, a.base.name);
}

function fillNumber(v: Value): number | undefined {
  if (v.kind === "float") return v.value;
  if (v.kind === "int") return v.extent.value;
  return v.kind === "bool" ? Number(v.value) : undefined;
}

function checkFill(base: TensorValue, fill: Value, baseSpan: Span, span: Span): void {
  const bool = base.dtype === "bool";
  if (bool !== (fill.kind === "bool") || (fill.kind === "float" && isInteger(base.dtype)))
    failBoth(
      "EIN1201",
      `${describe(fill)} cannot be read from a tensor of ${base.dtype}`,
      { span, text: `this is ${describe(fill)}` },
      { span: baseSpan, text: `this is ${base.dtype}` },
    );
  toTensor(fill, span, base.dtype);
}

function subscripted(v: Value, span: Span): TensorValue {
  if (v.kind === "tensor") return v;
  return fail("EIN1204", "only a tensor can be indexed", span, `this is ${describe(v)}`);
}

// ---- Items --------------------------------------------------------------------------------------------------------

type AxisMap = (rest: readonly TensorExpr[]) => TensorExpr;

function access(cx: Context, e: SubscriptExpr, base: TensorValue, scope: Scope, guard: boolean): Access {
  const rank = base.shape.length;
  const consuming = e.items.filter((i) => i.kind === "index" || i.kind === "slice").length;
  if (consuming > rank)
    return failBoth(
      "EIN1202",
      `${consuming} indices for a tensor of rank ${rank}`,
      { span: e.span, text: `${consuming} indices` },
      { span: e.value.span, text: `this is ${describe(base)}` },
    );
  if (e.items.filter((i) => i.kind === "ellipsis").length > 1)
    return fail("EIN1202", "`...` may occur once in a subscript", e.span, "found several");
  const hasEllipsis = e.items.some((i) => i.kind === "ellipsis");
  const items: readonly SubscriptItem[] = hasEllipsis ? e.items : [...e.items, { kind: "ellipsis", span: e.span }];

  const maps: AxisMap[] = [];
  const shape: Extent[] = [];
  const guards: Guard[] = [];
  const keep = (extent: Extent): void => {
    const at = shape.length;
    shape.push(extent);
    maps.push((rest) => rest[at]!);
  };
  const gathers: { readonly axis: number; readonly index: TensorValue; readonly span: Span }[] = [];
  let axisNumber = 0;
  for (const item of items) {
    switch (item.kind) {
      case "newAxis":
        shape.push(ONE);
        break;
      case "ellipsis":
        for (let k = consuming; k < rank; k++) keep(base.shape[axisNumber++]!);
        break;
      case "slice": {
        const n = base.shape[axisNumber++]!;
        const s = sliceOf(cx, item, n, (x) => cx.evaluate(x, scope));
        const at = shape.length;
        shape.push(s.length);
        maps.push((rest) => addIndex(mulIndex(rest[at]!, sizeOf(size(s.step))), sizeOf(s.start)));
        break;
      }
      case "index": {
        const n = base.shape[axisNumber]!;
        const index = indexOf(cx, item, n, scope, e, base, axisNumber);
        if (index.kind === "tensor" && index.shape.length > 0) {
          // Several integer tensors are one gather: they broadcast together and stand where the first stood.
          if (gathers.length > 0 && gathers[gathers.length - 1]!.axis !== axisNumber - 1)
            return fail(
              "EIN1107",
              "integer tensors that index axes apart from each other are not supported yet",
              item.span,
              "move the axes next to each other with `permute`",
            );
          gathers.push({ axis: axisNumber, index, span: item.span });
          maps.push(() => sizeOf(ZERO));
        } else {
          const expr = index.kind === "tensor" ? index.at([]) : sizeOf(index.extent);
          const inside = checkIndex(cx, expr, n, { read: e, item: item.span, base }, guard);
          maps.push(() => expr);
          if (!inside) guards.push({ index: () => expr, extent: n });
        }
        axisNumber++;
        break;
      }
    }
  }
  if (gathers.length === 0) return { base, shape, toBase: (rest) => maps.map((m) => m(rest)), guards };
  return gather(cx, e, base, { maps, shape, guards, gathers, items }, guard);
}

interface Partial {
  readonly maps: readonly AxisMap[];
  readonly shape: readonly Extent[];
  readonly guards: readonly Guard[];
  readonly gathers: readonly { readonly axis: number; readonly index: TensorValue; readonly span: Span }[];
  readonly items: readonly SubscriptItem[];
}

function gather(cx: Context, e: SubscriptExpr, base: TensorValue, p: Partial, guard: boolean): Access {
  const together = broadcastShape(
    cx.builder,
    p.gathers.map((g) => g.index),
    "the index tensors",
  );
  const [count, first] = [together.length, p.gathers[0]!];
  // How many axes of the result stand before the first gathered axis: kept axes and new axes that were written before it.
  let before = 0;
  let axisNumber = 0;
  for (const item of p.items) {
    if (axisNumber >= first.axis && item.kind !== "newAxis") break;
    if (item.kind === "newAxis") before++;
    else if (item.kind === "slice") {
      before++;
      axisNumber++;
    } else if (item.kind === "index") axisNumber++;
    else {
      const kept = base.shape.length - p.items.filter((i) => i.kind === "index" || i.kind === "slice").length;
      before += kept;
      axisNumber += kept;
    }
  }
  const shape = [...p.shape.slice(0, before), ...together, ...p.shape.slice(before)];
  const without = (rest: readonly TensorExpr[]): readonly TensorExpr[] => [
    ...rest.slice(0, before),
    ...rest.slice(before + count),
  ];
  const own = (rest: readonly TensorExpr[]): readonly TensorExpr[] => rest.slice(before, before + count);
  const maps = p.maps.map(
    (m): AxisMap =>
      (rest) =>
        m(without(rest)),
  );
  const guards = p.guards.map((g): Guard => ({ extent: g.extent, index: (rest) => g.index(without(rest)) }));
  for (const g of p.gathers) {
    const at: AxisMap = (rest) => asIndex(g.index.at(broadcastIndex(g.index, own(rest))));
    maps[g.axis] = at;
    const probe = together.map((n, k) => axisRef(axis(`i${k}`, cx.builder.constraints.resolve(n))));
    const extent = base.shape[g.axis]!;
    const probed = asIndex(g.index.at(broadcastIndex(g.index, probe)));
    if (!checkIndex(cx, probed, extent, { read: e, item: g.span, base }, guard)) guards.push({ index: at, extent });
  }
  return { base, shape, toBase: (rest) => maps.map((m) => m(rest)), guards };
}

function asIndex(e: TensorExpr): TensorExpr {
  return e.dtype === "i32" ? e : cast(e, "i32");
}

/** An index as a tensor of integers or an extent; a constant below zero counts from the end. */
function indexOf(
  cx: Context,
  item: SubscriptItem & { readonly kind: "index" },
  n: Extent,
  scope: Scope,
  e: SubscriptExpr,
  base: TensorValue,
  axisNumber: number,
): TensorValue | { readonly kind: "int"; readonly extent: Extent } {
  agreeWithRange(cx, item, n, scope, e, base, axisNumber);
  if (item.expr.kind === "name" && !lookup(scope, item.expr.text) && !cx.global(item.expr.text, item.span))
    return unboundIndex(item.expr.text, item.span, scope);
  const v = cx.evaluate(item.expr, scope);
  if (v.kind === "int") return { kind: "int", extent: (v.extent.value ?? 0) < 0 ? addExtent(v.extent, n) : v.extent };
  if (v.kind !== "tensor")
    return fail("EIN1201", "an index must be an integer", item.span, `this is ${describe(v)}`, quotientParts(v));
  if (v.dtype === "bool")
    return fail("EIN1201", "an index must be an integer, not a bool", item.span, `this is ${describe(v)}`, {
      notes: ["a mask would make the result's extent depend on data; use `where(mask, x, 0)`"],
    });
  if (!isInteger(v.dtype))
    return fail("EIN1201", "an index must be an integer", item.span, `this is ${describe(v)}`, {
      notes: ["convert it with `as i32`"],
      ...quotientParts(v),
    });
  if (v.shape.length > 0) return v;
  const expr = asIndex(v.at([]));
  return cx.builder.view("i32", [], () => expr, v.span, v.name);
}

/** A misspelt index is an error, never a new axis. */
function unboundIndex(name: string, span: Span, scope: Scope): never {
  const near = suggest(name, namesIn(scope));
  return fail(
    "EIN1101",
    `there is nothing called \`${name}\` here`,
    span,
    near ? `did you mean \`${near}\`?` : "this index is not bound",
    {
      notes: [
        `an index is bound by \`for[${name}]\`, by a reduction such as \`sum[${name}]\`, or by \`y[${name}] = …\``,
      ],
      ...(near ? { fix: { message: `write \`${near}\``, edits: [{ span, text: near }] } } : {}),
    },
  );
}

/** A variable that stands alone must range over the whole axis, unless its range was written. */
function agreeWithRange(
  cx: Context,
  item: SubscriptItem & { readonly kind: "index" },
  n: Extent,
  scope: Scope,
  e: SubscriptExpr,
  base: TensorValue,
  axisNumber: number,
): void {
  if (item.expr.kind !== "name") return;
  const b = lookup(scope, item.expr.text);
  if (b?.kind !== "index" || !b.index.fixedBy || !b.index.extent) return;
  const name = base.name ?? (e.value.kind === "name" ? e.value.text : "the tensor");
  cx.builder.requireEqual(
    n,
    b.index.extent,
    item.span,
    b.index.fixedBy.span,
    `axis ${axisNumber} of \`${name}\` and the range of index \`${b.index.name}\` (${b.index.fixedBy.text})`,
  );
}

interface Place {
  readonly read: SubscriptExpr;
  readonly item: Span;
  readonly base: TensorValue;
}

/** True if the index is certain to be inside (perhaps by a fact); with a guard, whether that is so without one. Throws EIN1301. */
function checkIndex(cx: Context, e: TensorExpr, n: Extent, place: Place, guard: boolean): boolean {
  const { constraints } = cx.builder;
  const known = assumingPositions(e, { resolve: (x) => constraints.resolve(x), atLeast: constraints.atLeast });
  if (!known) return true;
  const r = rangeOf(e, known);
  const extent = constraints.resolve(n);
  const above = r.low && proveNonNegative(constraints.resolve(r.low), known.atLeast);
  const room = r.high && subExtent(subExtent(extent, ONE), constraints.resolve(r.high));
  const below = room && proveNonNegative(room, known.atLeast);
  if (above === "proved" && below === "proved") return true;
  if (guard) return false;
  const what = place.base.name ? `\`${place.base.name}\`` : "the tensor";
  if (!above || !below || above === "refuted" || below === "refuted") {
    const data = !r.low && !r.high;
    const label = data ? "the index comes from data" : `the index ranges over ${intervalText(r)}`;
    const at = { file: place.read.span.file, start: place.read.span.end, end: place.read.span.end };
    return failBoth(
      "EIN1301",
      data ? `an index that comes from data may leave ${what}` : `the index leaves ${what}`,
      { span: place.item, text: label },
      { span: place.read.value.span, text: `its axis has extent ${n.text}: 0 … ${subExtent(n, ONE).text}` },
      {
        notes: ["say what is read outside, e.g. `?? 0`, or restrict the index"],
        fix: {
          message: "read 0 outside",
          edits: [
            { span: { file: at.file, start: place.read.span.start, end: place.read.span.start }, text: "(" },
            { span: at, text: " ?? 0)" },
          ],
        },
      },
    );
  }
  const message = `an index into ${what}, which has extent ${n.text}, ranges over ${intervalText(r)}`;
  if (above !== "proved") constraints.requireAtLeast(r.low!, ZERO, place.item, message, "EIN1301");
  if (below !== "proved") constraints.requireAtLeast(extent, addExtent(r.high!, ONE), place.item, message, "EIN1301");
  return true;
}
