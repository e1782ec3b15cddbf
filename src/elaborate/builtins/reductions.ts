/**
 * Reductions over some axes of a tensor. f16 sums, products, means and norms accumulate in f32 by explicit casts, so that the
 * interpreter and the error bound see them. `var` and `std` divide by the number of elements minus `correction` (0, as NumPy).
 */
import type { Span } from "../../../grammar/span.ts";
import type { DType } from "../../../ir/dtype.ts";
import { type Extent, maxExtent, minExtent, ONE, productExtent, size, subExtent } from "../../../ir/extent.ts";
import { addMonoid, andMonoid, argMonoid, maxMonoid, minMonoid, mulMonoid, orMonoid } from "../../../ir/monoid.ts";
import { apply, cast, constant, type Monoid, sizeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxes, toBoolean, toExtent, toNumber, toTensor } from "../convert.ts";
import type { Builder, Builtin, TensorValue, Value } from "../value.ts";
import { type Args, builtin, convert, elementwise, intValue, operand, present, table, unify } from "./common.ts";
import { constants, folded } from "./elementwise.ts";
import { linearIndex } from "./index-arithmetic.ts";
import { add, div, mul, op, select, sub } from "./scalar.ts";

/** Which axes go, and how an index of what is left and one of what goes make an index of the operand. */
interface Plan {
  readonly axes: readonly number[];
  readonly outer: readonly Extent[];
  readonly inner: readonly Extent[];
  /** How many elements each result is made of. */
  readonly count: Extent;
  index(outer: readonly TensorExpr[], inner: readonly TensorExpr[]): readonly TensorExpr[];
}

function planOf(x: TensorValue, axes: readonly number[]): Plan {
  const gone = new Set(axes);
  const kept = x.shape.map((_, k) => k).filter((k) => !gone.has(k));
  const inner = axes.map((k) => x.shape[k] as Extent);
  return {
    axes,
    inner,
    outer: kept.map((k) => x.shape[k] as Extent),
    count: productExtent(inner),
    index(o, i) {
      const at: TensorExpr[] = new Array<TensorExpr>(x.shape.length);
      kept.forEach((k, n) => {
        at[k] = o[n] as TensorExpr;
      });
      axes.forEach((k, n) => {
        at[k] = i[n] as TensorExpr;
      });
      return at;
    },
  };
}

/** Puts axes of extent 1 back where `axes` were. */
function keep(b: Builder, r: TensorValue, x: TensorValue, axes: readonly number[], span: Span): TensorValue {
  const gone = new Set(axes);
  const shape = x.shape.map((n, k) => (gone.has(k) ? ONE : n));
  return b.view(r.dtype, shape, (index) => r.at(index.filter((_, k) => !gone.has(k))), span, r.name);
}

/** ⊕ of f(element) over the axes, in the monoid's type. */
function fold(
  b: Builder,
  name: string,
  monoid: Monoid,
  x: TensorValue,
  plan: Plan,
  span: Span,
  f: (element: TensorExpr, outer: readonly TensorExpr[]) => TensorExpr = (e) => e,
): TensorValue {
  return b.reduce(
    name,
    monoid,
    plan.outer,
    plan.inner,
    (o, i) => [f(x.at(plan.index(o, i)), o)],
    span,
  )[0] as TensorValue;
}

/** The type that sums of `d` are made in. */
function accumulator(d: DType): DType {
  return d === "f16" ? "f32" : d === "bool" ? "i32" : d;
}

type Options = Args;
type Reduction = (b: Builder, x: TensorValue, plan: Plan, options: Options, span: Span) => TensorValue;

function total(name: string, monoid: (d: DType) => Monoid): Reduction {
  return (b, x, plan, _, span) => {
    const wide = accumulator(x.dtype);
    const r = fold(b, name, monoid(wide), x, plan, span, (e) => cast(e, wide));
    return x.dtype === "f16" ? convert(b, r, "f16", span) : r;
  };
}

function extremum(which: "max" | "min"): Reduction {
  return (b, x, plan, _, span) => {
    atLeastOne(b, plan, which, span);
    if (x.dtype === "bool") return fold(b, which, which === "max" ? orMonoid() : andMonoid(), x, plan, span);
    return fold(b, which, (which === "max" ? maxMonoid : minMonoid)(x.dtype), x, plan, span);
  };
}

function atLeastOne(b: Builder, plan: Plan, what: string, span: Span): void {
  b.requireAtLeast(plan.count, ONE, span, `the number of elements that ${what} reduces`, "EIN1303");
}

function argument(which: "max" | "min"): Reduction {
  return (b, x, plan, _, span) => {
    atLeastOne(b, plan, `arg${which}`, span);
    // bool has no order of its own among the primitives.
    const d: DType = x.dtype === "bool" ? "i32" : x.dtype;
    const r = b.reduce(
      `arg${which}`,
      argMonoid(which, d),
      plan.outer,
      plan.inner,
      (o, i) => [cast(x.at(plan.index(o, i)), d), linearIndex(i, plan.inner)],
      span,
    );
    return r[1] as TensorValue;
  };
}

function truth(which: "any" | "all"): Reduction {
  return (b, x, plan, _, span) =>
    fold(b, which, which === "any" ? orMonoid() : andMonoid(), x, plan, span, (e) =>
      e.dtype === "bool" ? e : op("ne", e, 0),
    );
}

/** The number of elements less `correction` and not below 0, as a float. */
function countOf(plan: Plan, correction: Extent, dtype: DType): TensorExpr {
  const n = correction.value === 0 ? plan.count : maxExtent(subExtent(plan.count, correction), size(0));
  return n.value === undefined ? cast(sizeOf(n), dtype) : constant(dtype, n.value);
}

/** In the accumulator's type, not yet rounded to f16. */
function wideMean(b: Builder, x: TensorValue, plan: Plan, span: Span): TensorValue {
  const wide = accumulator(x.dtype);
  const s = fold(b, "sum", addMonoid(wide), x, plan, span, (e) => cast(e, wide));
  return elementwise(b, "mean", [s], (e) => div(e as TensorExpr, countOf(plan, size(0), wide)), span);
}

function mean(b: Builder, x: TensorValue, plan: Plan, _: Options, span: Span): TensorValue {
  return convert(b, wideMean(b, x, plan, span), x.dtype, span);
}

/** Two passes: the squares of deviations do not cancel. */
function wideVariance(b: Builder, x: TensorValue, plan: Plan, options: Options, span: Span): TensorValue {
  const given = present(options["correction"]) ? options["correction"] : options["ddof"];
  const correction = present(given) ? toExtent(given, span, "correction") : size(0);
  const mu = wideMean(b, x, plan, span);
  const s = fold(b, "var", addMonoid(mu.dtype), x, plan, span, (e, o) => {
    const d = sub(cast(e, mu.dtype), mu.at(o));
    return mul(d, d);
  });
  return elementwise(b, "var", [s], (e) => div(e as TensorExpr, countOf(plan, correction, mu.dtype)), span);
}
function variance(b: Builder, x: TensorValue, plan: Plan, options: Options, span: Span): TensorValue {
  return convert(b, wideVariance(b, x, plan, options, span), x.dtype, span);
}
function deviation(b: Builder, x: TensorValue, plan: Plan, options: Options, span: Span): TensorValue {
  const v = wideVariance(b, x, plan, options, span);
  return elementwise(b, "std", [v], (e) => cast(apply("sqrt", e as TensorExpr), x.dtype), span);
}

/** log Σ e^x with the maximum taken out; -∞ if all are (or there are none), +∞ if one is. */
function logSumExp(b: Builder, x: TensorValue, plan: Plan, _: Options, span: Span): TensorValue {
  const wide = accumulator(x.dtype);
  // Whatever is taken out, the value is the same: no derivative goes through the maximum.
  const m = fold(b, "max", maxMonoid(wide), x, plan, span, (e) => apply("stopGradient", cast(e, wide)));
  const shift = (o: readonly TensorExpr[]): TensorExpr => select(apply("isinf", m.at(o)), 0, m.at(o));
  const s = fold(b, "sum", addMonoid(wide), x, plan, span, (e, o) => apply("exp", sub(cast(e, wide), shift(o))));
  const body = (o: readonly TensorExpr[]): TensorExpr => cast(add(apply("log", s.at(o)), shift(o)), x.dtype);
  return plan.outer.length > 0
    ? b.define("logsumexp", plan.outer, body, span)
    : b.view(x.dtype, [], () => body([]), span, "logsumexp");
}

/**
 * f, whose value at 0 is known, with a branch of its own there: roots and powers are not differentiable at 0, and the gradient
 * through a branch not taken is 0, PyTorch's subgradient.
 */
function atZero(e: TensorExpr, value: number, f: (e: TensorExpr) => TensorExpr): TensorExpr {
  return select(op("eq", e, 0), value, f(e));
}

/** (Σ |x|^p)^(1/p); ∞ and -∞ are the largest and smallest magnitude, 0 counts what is not zero. */
function norm(b: Builder, x: TensorValue, plan: Plan, options: Options, span: Span): TensorValue {
  const given = options["ord"];
  const p = !present(given) || (given.kind === "string" && given.value === "fro") ? 2 : toNumber(given, span, "ord");
  const wide = accumulator(x.dtype);
  const magnitude = (e: TensorExpr): TensorExpr => apply("abs", cast(e, wide));
  const sum = (f: (e: TensorExpr) => TensorExpr): TensorValue => fold(b, "norm", addMonoid(wide), x, plan, span, f);
  let r: TensorValue;
  if (p === Number.POSITIVE_INFINITY || p === Number.NEGATIVE_INFINITY) {
    if (p < 0) atLeastOne(b, plan, "norm with ord -inf", span);
    r = fold(b, "norm", (p > 0 ? maxMonoid : minMonoid)(wide), x, plan, span, magnitude);
    // The norm of nothing is 0, as magnitudes are never below it.
    if (p > 0) r = elementwise(b, "norm", [r], (e) => select(op("lt", e as TensorExpr, 0), 0, e as TensorExpr), span);
  } else if (p === 0) r = sum((e) => cast(op("ne", e, 0), wide));
  else if (p === 1) r = sum(magnitude);
  else if (p === 2)
    r = elementwise(
      b,
      "norm",
      [sum((e) => mul(cast(e, wide), cast(e, wide)))],
      (e) => atZero(e as TensorExpr, 0, (t) => apply("sqrt", t)),
      span,
    );
  else
    r = elementwise(
      b,
      "norm",
      [sum((e) => atZero(magnitude(e), p < 0 ? Number.POSITIVE_INFINITY : 0, (t) => op("pow", t, p)))],
      (e) => atZero(e as TensorExpr, p < 0 ? Number.POSITIVE_INFINITY : 0, (t) => op("pow", t, 1 / p)),
      span,
    );
  return convert(b, r, x.dtype, span);
}

interface Row {
  readonly reduction: Reduction;
  readonly need: "any" | "number" | "float";
  readonly doc: string;
  readonly options?: string;
}
const ROWS: Readonly<Record<string, Row>> = {
  sum: { reduction: total("sum", addMonoid), need: "any", doc: "sum; bools count" },
  prod: { reduction: total("prod", mulMonoid), need: "any", doc: "product" },
  mean: { reduction: mean, need: "float", doc: "arithmetic mean" },
  any: { reduction: truth("any"), need: "any", doc: "is one of them true (not 0)" },
  all: { reduction: truth("all"), need: "any", doc: "are all of them true (not 0)" },
  argmax: {
    reduction: argument("max"),
    need: "any",
    doc: "i32 position of the largest, the first of equals, a NaN before all",
  },
  argmin: {
    reduction: argument("min"),
    need: "any",
    doc: "i32 position of the smallest, the first of equals, a NaN before all",
  },
  logsumexp: { reduction: logSumExp, need: "float", doc: "log(sum(exp(x))) without overflow" },
  var: {
    reduction: variance,
    need: "float",
    doc: "mean squared deviation; divides by count - correction",
    options: ", correction!, ddof!",
  },
  std: { reduction: deviation, need: "float", doc: "square root of var", options: ", correction!, ddof!" },
  norm: {
    reduction: norm,
    need: "float",
    doc: "norm over the axes: ord 2, 1, 0, inf, -inf or another power",
    options: ", ord!",
  },
  amax: { reduction: extremum("max"), need: "any", doc: "largest; NaN if one is" },
  amin: { reduction: extremum("min"), need: "any", doc: "smallest; NaN if one is" },
};
const MAX: Row = {
  reduction: extremum("max"),
  need: "any",
  doc: "largest along the axes; of several tensors, elementwise",
};
const MIN: Row = {
  reduction: extremum("min"),
  need: "any",
  doc: "smallest along the axes; of several tensors, elementwise",
};

function reduceBy(b: Builder, name: string, row: Row, a: Args, span: Span): TensorValue {
  const x = operand(a["x"], span, name, row.need);
  const axes = toAxes(a["axis"], x.shape.length, span);
  const r = row.reduction(b, x, planOf(x, axes), a, span);
  return toBoolean(a["keepdims"], false, span, "keepdims") ? keep(b, r, x, axes, span) : r;
}

/** `max(x, axis: 1)` reduces, `max(x, y)` is elementwise, and of extents it is an extent. */
function largest(which: "max" | "min", row: Row): Builtin {
  return builtin(which, "x, *others, axis!, keepdims!", row.doc, (b, a, span) => {
    const others = a["others"]?.kind === "list" ? a["others"].items : [];
    const list = [a["x"], ...others];
    if (others.length === 0 && a["x"]?.kind === "tensor") return reduceBy(b, which, row, a, span);
    if (present(a["axis"]) && others.length > 0)
      fail("EIN1501", `${which} of several tensors is elementwise and takes no axis`, a["axis"].span, "this axis");
    if (list.every((v) => v?.kind === "int")) {
      const extents = list.map((v) => toExtent(v, span, "an operand"));
      return intValue(extents.reduce(which === "max" ? maxExtent : minExtent), span);
    }
    const known = constants(list);
    if (known) return folded(which === "max" ? Math.max(...known) : Math.min(...known), false, span);
    const tensors = unify(list, span, which);
    const prim = tensors[0]?.dtype === "bool" ? (which === "max" ? "or" : "and") : which;
    return elementwise(b, which, tensors, (...e) => e.reduce((p, q) => apply(prim, p, q)), span);
  });
}

/** Both at once over the same axes, so that the mean is not summed twice. */
const BOTH: readonly Builtin[] = [
  builtin("var_mean", "x, axis?, keepdims?, correction!, ddof!", "{ var, mean }", (b, a, span) => {
    const row = (name: string): Value => reduceBy(b, name, ROWS[name] as Row, a, span);
    return {
      kind: "record",
      fields: new Map([
        ["var", row("var")],
        ["mean", row("mean")],
      ]),
      span,
    };
  }),
  builtin("count_nonzero", "x, axis?, keepdims?", "how many elements are not 0, as i32", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const isTrue = elementwise(
      b,
      "nonzero",
      [x],
      (e) => ((e as TensorExpr).dtype === "bool" ? (e as TensorExpr) : op("ne", e as TensorExpr, 0)),
      span,
    );
    return reduceBy(b, "sum", ROWS["sum"] as Row, { ...a, x: isTrue }, span);
  }),
];

export const REDUCTIONS: ReadonlyMap<string, Builtin> = table([
  ...Object.entries(ROWS).map(([name, row]) =>
    builtin(name, `x, axis?, keepdims?${row.options ?? ""}`, row.doc, (b, a, span) => reduceBy(b, name, row, a, span)),
  ),
  largest("max", MAX),
  largest("min", MIN),
  ...BOTH,
]);

/**
 * The same reduction over all of `extents`, of an element given by its index: what `mean[i, j] e` and the other index forms
 * build. The name is one of the reduction builtins. Throws RangeError for another name.
 */
export function reduceIndexed(
  b: Builder,
  name: string,
  dtype: DType,
  extents: readonly Extent[],
  element: (index: readonly TensorExpr[]) => TensorExpr,
  span: Span,
): TensorValue {
  const row = name === "max" ? MAX : name === "min" ? MIN : ROWS[name];
  if (!row) throw new RangeError(`${name} is not a reduction`);
  const x = b.view(dtype, extents, element, span);
  return row.reduction(
    b,
    operand(x, span, name, row.need),
    planOf(
      x,
      extents.map((_, k) => k),
    ),
    {},
    span,
  );
}

/** Names that `name[k] body` may use. */
export const REDUCERS: ReadonlySet<string> = new Set([...Object.keys(ROWS), "max", "min"]);
