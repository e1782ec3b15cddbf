/** Tensors made from nothing but their shape: constants, ranges, identity matrices. */
import type { Span } from "../../../grammar/span.ts";
import type { DType } from "../../../ir/dtype.ts";
import { ceilDivExtent, type Extent, maxExtent, negExtent, ONE, size, subExtent, ZERO } from "../../../ir/extent.ts";
import { apply, cast, constant, i32, sizeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toBoolean, toExtent, toItems, toNumber, toTensor } from "../convert.ts";
import type { Builder, Builtin, TensorValue, Value } from "../value.ts";
import { type Args, builtin, convert, operand, present, table, toCount, toDType, toShape } from "./common.ts";
import { constants } from "./elementwise.ts";
import { addIndex, mulIndex, subIndex } from "./index-arithmetic.ts";
import { add, div, mul, select, sub } from "./scalar.ts";

function filled(b: Builder, shape: readonly Extent[], value: TensorExpr, span: Span, name: string): TensorValue {
  return b.view(value.dtype, shape, () => value, span, name);
}

/** `zeros([N, D])`, `zeros(N, D)`. */
function shapeArgument(a: Args, span: Span): readonly Extent[] {
  const items = toItems(a["shape"]);
  const only = items[0];
  return toShape(items.length === 1 && only?.kind === "list" ? only : { kind: "list", items, span }, span);
}

/** The number of steps from start until stop is reached or passed. */
function stepCount(start: Extent, stop: Extent, step: Extent, span: Span): Extent {
  const s = step.value;
  if (s === undefined || s === 0)
    return fail("EIN1502", "the step of arange is a constant other than 0", span, `found ${step.text}`);
  const distance = s > 0 ? subExtent(stop, start) : subExtent(start, stop);
  return maxExtent(ceilDivExtent(distance, s > 0 ? step : negExtent(step)), ZERO);
}

function arange(b: Builder, a: Args, span: Span): Value {
  const one = !present(a["stop"]);
  const start: Value = one ? { kind: "int", extent: ZERO, span } : (a["start"] as Value);
  const stop = (one ? a["start"] : a["stop"]) as Value;
  const step: Value = present(a["step"]) ? a["step"] : { kind: "int", extent: ONE, span };
  if (start.kind === "int" && stop.kind === "int" && step.kind === "int") {
    const n = stepCount(start.extent, stop.extent, step.extent, step.span);
    const made = b.view(
      "i32",
      [n],
      ([i]) => addIndex(sizeOf(start.extent), mulIndex(i as TensorExpr, sizeOf(step.extent))),
      span,
      "arange",
    );
    return convert(b, made, toDType(a["dtype"], "i32", span), span);
  }
  const known = constants([start, stop, step]);
  if (!known)
    return fail(
      "EIN1502",
      "arange needs constants or extents",
      span,
      "one of these is known only when the kernel runs",
    );
  const [from, to, by] = known as [number, number, number];
  const n = Math.ceil((to - from) / by);
  if (!Number.isFinite(n)) fail("EIN1503", "this arange never ends", step.span, `a step of ${by}`);
  if (n >= 2 ** 31) fail("EIN1206", "this arange has 2^31 elements or more", step.span, `a step of ${by}`);
  const made = b.define(
    "arange",
    [size(Math.max(n, 0))],
    ([i]) => add(mul(cast(i as TensorExpr, "f32"), by), from),
    span,
  );
  return convert(b, made, toDType(a["dtype"], "f32", span), span);
}

/** From either end towards the middle, so that both ends are exact (as PyTorch). */
function linspace(b: Builder, a: Args, span: Span): Value {
  const n = toCount(a["count"], span, "count");
  const [start, stop] = [operand(a["start"], span, "linspace", "float"), operand(a["stop"], span, "linspace", "float")];
  if (start.shape.length + stop.shape.length > 0)
    fail("EIN1202", "linspace goes from scalar to scalar", span, "one of these is a tensor with axes");
  const closed = toBoolean(a["endpoint"], true, span, "endpoint");
  const steps = closed ? subExtent(n, ONE) : n;
  return b.define(
    "linspace",
    [n],
    ([at]) => {
      const [i, p, q] = [at as TensorExpr, start.at([]), stop.at([])];
      const last = sizeOf(steps);
      const by = div(sub(q, p), cast(apply("max", last, i32(1)), p.dtype));
      const front = add(p, mul(cast(i, p.dtype), by));
      if (!closed) return front;
      const back = sub(q, mul(cast(subIndex(last, i), p.dtype), by));
      const inFront = apply("lt", mulIndex(i, i32(2)), sizeOf(n));
      return select(inFront, front, back);
    },
    span,
  );
}

/** 1 where j - i is in a relation to k. */
function byDiagonal(b: Builder, a: Args, relation: "eq" | "le", name: string, span: Span): Value {
  const rows = toCount(a["n"], span, "n");
  const columns = present(a["m"]) ? toCount(a["m"], span, "m") : rows;
  const k = sizeOf(present(a["k"]) ? toExtent(a["k"], span, "k") : ZERO);
  const dtype = toDType(a["dtype"], "f32", span);
  return b.define(
    name,
    [rows, columns],
    ([i, j]) => {
      const on = apply(relation, subIndex(j as TensorExpr, i as TensorExpr), k);
      return dtype === "bool" ? on : apply("select", on, constant(dtype, 1), constant(dtype, 0));
    },
    span,
  );
}

function like(name: string, value: number): Builtin {
  return builtin(name, "x, dtype?", `${value} everywhere, in the shape and type of x`, (b, a, span) => {
    const x = toTensor(a["x"], span);
    return filled(b, x.shape, constant(toDType(a["dtype"], x.dtype, span), value), span, name);
  });
}
function plain(name: string, value: number): Builtin {
  return builtin(
    name,
    "*shape, dtype!",
    `${value} everywhere: ${name}([N, D]); dtype "f32" unless given`,
    (b, a, span) => filled(b, shapeArgument(a, span), constant(toDType(a["dtype"], "f32", span), value), span, name),
  );
}

function fullValue(v: Value | undefined, dtype: DType | undefined, span: Span): TensorExpr {
  const t = toTensor(v, span, dtype);
  if (t.shape.length > 0) fail("EIN1202", "full takes one scalar", v?.span ?? span, "this has axes");
  return dtype ? cast(t.at([]), dtype) : t.at([]);
}

/** A periodic or symmetric cosine window: Σ coefficients[k] cos(2πki / n). */
function cosineWindow(name: string, coefficients: readonly number[]): Builtin {
  return builtin(name, "n, periodic?", "a window of n samples, periodic unless told otherwise", (b, a, span) => {
    const n = toCount(a["n"], span, "n");
    const period = toBoolean(a["periodic"], true, span, "periodic") ? n : subExtent(n, ONE);
    return b.define(
      name,
      [n],
      ([i]) => {
        // The phase is reduced as an integer, so the cosine's argument stays below 2πk.
        const turn = div(
          mul(cast(i as TensorExpr, "f32"), 2 * Math.PI),
          cast(apply("max", sizeOf(period), i32(1)), "f32"),
        );
        return coefficients
          .map((c, k) => (k === 0 ? constant("f32", c) : mul(apply("cos", mul(turn, k)), c)))
          .reduce((p, q) => add(p, q));
      },
      span,
    );
  });
}

export const CREATE: ReadonlyMap<string, Builtin> = table([
  plain("zeros", 0),
  plain("ones", 1),
  like("zeros_like", 0),
  like("ones_like", 1),
  builtin("full", "shape, value, dtype!", "one value everywhere", (b, a, span) =>
    filled(
      b,
      toShape(a["shape"], span),
      fullValue(a["value"], present(a["dtype"]) ? toDType(a["dtype"], "f32", span) : undefined, span),
      span,
      "full",
    ),
  ),
  builtin("full_like", "x, value", "one value everywhere, in the shape and type of x", (b, a, span) => {
    const x = toTensor(a["x"], span);
    return filled(b, x.shape, fullValue(a["value"], x.dtype, span), span, "full");
  }),
  builtin(
    "arange",
    "start, stop?, step?, dtype!",
    "arange(N) counts from 0; start, stop (left out) and step may be integers or floats",
    arange,
  ),
  builtin(
    "linspace",
    "start, stop, count, endpoint!",
    "count numbers at equal distances, both ends included unless endpoint is false",
    linspace,
  ),
  ...["eye", "identity"].map((name) =>
    builtin(name, "n, m?, k?, dtype!", "n by m matrix with ones on the k-th diagonal", (b, a, span) =>
      byDiagonal(b, a, "eq", "eye", span),
    ),
  ),
  builtin("tri", "n, m?, k?, dtype!", "n by m matrix with ones on and below the k-th diagonal", (b, a, span) =>
    byDiagonal(b, a, "le", "tri", span),
  ),
  cosineWindow("hann_window", [0.5, -0.5]),
  cosineWindow("hamming_window", [25 / 46, -21 / 46]),
  cosineWindow("blackman_window", [0.42, -0.5, 0.08]),
  builtin(
    "one_hot",
    "ids, depth, axis?, on?, off?",
    "a new axis (the last) with `on` (1) at the id and `off` (0) elsewhere; ids outside give no `on`",
    (b, a, span) => {
      const ids = operand(a["ids"], span, "one_hot", "integer");
      const depth = toCount(a["depth"], span, "depth");
      const rank = ids.shape.length;
      const given = present(a["axis"]) ? toNumber(a["axis"], span, "axis") : -1;
      const axis = given < 0 ? given + rank + 1 : given;
      if (!Number.isInteger(axis) || axis < 0 || axis > rank)
        fail(
          "EIN1304",
          `axis ${given} is out of range for a result with ${rank + 1} axes`,
          a["axis"]?.span ?? span,
          "here",
        );
      const [on, off] = (["on", "off"] as const).map(
        (name, k) => (present(a[name]) ? fullValue(a[name], undefined, span) : undefined) ?? constant("f32", 1 - k),
      ) as [TensorExpr, TensorExpr];
      if (on.dtype !== off.dtype)
        fail("EIN1201", "`on` and `off` of one_hot have different element types", span, `${on.dtype} and ${off.dtype}`);
      return b.define(
        "one_hot",
        [...ids.shape.slice(0, axis), depth, ...ids.shape.slice(axis)],
        (index) => {
          const id = ids.at(index.filter((_, k) => k !== axis));
          return apply("select", apply("eq", id, cast(index[axis] as TensorExpr, id.dtype)), on, off);
        },
        span,
      );
    },
  ),
]);
