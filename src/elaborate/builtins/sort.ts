/**
 * Order along one axis by counting: an element's place is the number of elements that come before it. Everything is a plain
 * reduction, exact, stable and parallel, at a cost of n² comparisons a row; that is refused where it is known to be too many.
 */
import type { Span } from "../../../grammar/span.ts";
import { isFloat } from "../../../ir/dtype.ts";
import type { Extent } from "../../../ir/extent.ts";
import { addMonoid } from "../../../ir/monoid.ts";
import { apply, cast, i32, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxis, toBoolean } from "../convert.ts";
import type { Builder, Builtin, RecordValue, TensorValue, Value } from "../value.ts";
import { type Args, builtin, elementwise, operand, present, table, toCount } from "./common.ts";

/** The longest axis of known extent that is sorted this way. */
const LONGEST = 16384;

/** Does p, at place i, come before q, at place j? NaN counts as larger than everything; equal elements keep their order. */
function before(p: TensorExpr, i: TensorExpr, q: TensorExpr, j: TensorExpr, descending: boolean): TensorExpr {
  let less = apply(descending ? "gt" : "lt", p, q);
  let tie = apply("eq", p, q);
  if (isFloat(p.dtype)) {
    const [m, n] = [apply("isnan", p), apply("isnan", q)];
    const only = descending ? apply("and", m, apply("not", n)) : apply("and", n, apply("not", m));
    less = apply("or", less, only);
    tie = apply("or", tie, apply("and", m, n));
  }
  return apply("or", less, apply("and", tie, apply("lt", i, j)));
}

/** The positions of the elements that take the first `count` places. */
function order(b: Builder, x: TensorValue, axis: number, count: Extent, descending: boolean, span: Span): TensorValue {
  const n = x.shape[axis] as Extent;
  if (n.value !== undefined && n.value > LONGEST)
    fail("EIN1107", `sorting ${n.value} elements is not supported yet`, span, `at most ${LONGEST} along the axis`);
  const at = (index: readonly TensorExpr[], i: TensorExpr): readonly TensorExpr[] =>
    index.map((e, k) => (k === axis ? i : e));
  const [place] = b.reduce(
    "place",
    addMonoid("i32"),
    x.shape,
    [n],
    (o, [j]) => {
      const [i, other] = [o[axis] as TensorExpr, j as TensorExpr];
      return [cast(before(x.at(at(o, other)), other, x.at(o), i, descending), "i32")];
    },
    span,
  ) as [TensorValue];
  const shape = x.shape.map((e, k) => (k === axis ? count : e));
  return b.reduce(
    "order",
    addMonoid("i32"),
    shape,
    [n],
    (o, [j]) => {
      const here = apply("eq", place.at(at(o, j as TensorExpr)), o[axis] as TensorExpr);
      return [apply("select", here, j as TensorExpr, i32(0))];
    },
    span,
  )[0] as TensorValue;
}

function pick(b: Builder, x: TensorValue, axis: number, index: TensorValue, span: Span): TensorValue {
  return b.define(
    "sorted",
    index.shape,
    (o) =>
      b.readOr(
        x,
        o.map((e, k) => (k === axis ? index.at(o) : e)),
        0,
      ),
    span,
  );
}

function given(b: Builder, a: Args, what: string, span: Span): { readonly x: TensorValue; readonly axis: number } {
  const t = operand(a["x"], span, what);
  const x = t.dtype === "bool" ? elementwise(b, "cast", [t], (e) => cast(e as TensorExpr, "i32"), span) : t;
  if (x.shape.length === 0) fail("EIN1202", `${what} needs an axis`, x.span, "a scalar has none");
  return { x, axis: present(a["axis"]) ? toAxis(a["axis"], x.shape.length, span) : x.shape.length - 1 };
}

function pairOf(value: TensorValue, index: TensorValue, span: Span): RecordValue {
  return {
    kind: "record",
    fields: new Map<string, Value>([
      ["value", value],
      ["index", index],
    ]),
    span,
  };
}

export const SORT: ReadonlyMap<string, Builtin> = table([
  builtin(
    "sort",
    "x, axis?, descending!, indices!",
    "elements in order along an axis (the last), NaN as the largest; with indices: true, { value, index }",
    (b, a, span) => {
      const { x, axis } = given(b, a, "sort", span);
      const index = order(
        b,
        x,
        axis,
        x.shape[axis] as Extent,
        toBoolean(a["descending"], false, span, "descending"),
        span,
      );
      const value = pick(b, x, axis, index, span);
      return toBoolean(a["indices"], false, span, "indices") ? pairOf(value, index, span) : value;
    },
  ),
  builtin(
    "argsort",
    "x, axis?, descending!",
    "the positions of the elements in order along an axis (the last); equal ones keep their order",
    (b, a, span) => {
      const { x, axis } = given(b, a, "argsort", span);
      return order(b, x, axis, x.shape[axis] as Extent, toBoolean(a["descending"], false, span, "descending"), span);
    },
  ),
  builtin(
    "top_k",
    "x, k, axis?, largest!",
    "{ value, index } of the k largest (smallest) along an axis (the last), in order",
    (b, a, span) => {
      const { x, axis } = given(b, a, "top_k", span);
      const count = toCount(a["k"], span, "k");
      b.requireAtLeast(x.shape[axis] as Extent, count, a["k"]?.span ?? span, "the axis that top_k chooses from");
      const index = order(b, x, axis, count, toBoolean(a["largest"], true, span, "largest"), span);
      return pairOf(pick(b, x, axis, index, span), index, span);
    },
  ),
]);
