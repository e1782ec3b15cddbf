/**
 * Reads and writes at places that come from data. Negative indices count from the end; what is still outside reads as `fill` (0)
 * and is dropped when written.
 */
import type { Span } from "../../../grammar/span.ts";
import { type Extent, ONE, productExtent, size } from "../../../ir/extent.ts";
import { addMonoid, maxMonoid, minMonoid, mulMonoid } from "../../../ir/monoid.ts";
import { apply, cast, constant, i32, type Monoid, sizeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxis, toInteger, toNumber, toTensor } from "../convert.ts";
import type { Builder, Builtin, TensorValue, Value } from "../value.ts";
import {
  type Args,
  broadcastIndex,
  broadcastShape,
  builtin,
  elementwise,
  intValue,
  operand,
  present,
  table,
  toChoice,
  toCount,
  unify,
} from "./common.ts";
import { subIndex, wrapIndex } from "./index-arithmetic.ts";
import { reshape } from "./reshape.ts";
import { add, div, mul, select } from "./scalar.ts";

function fillOf(a: Args, span: Span): number {
  return present(a["fill"]) ? toNumber(a["fill"], span, "fill") : 0;
}

/** Index tensors as i32. */
function indices(v: Value | undefined, span: Span, what: string): TensorValue {
  return operand(v, span, `the index of ${what}`, "integer");
}
function at(ids: TensorValue, index: readonly TensorExpr[], n: Extent): TensorExpr {
  return wrapIndex(cast(ids.at(index), "i32"), n);
}

/** PyTorch's order of arguments, `gather(x, 1, index)`, is as good. */
function axisAndIndex(a: Args, rank: number, span: Span): { readonly axis: number; readonly index: Value | undefined } {
  const [first, second] = [a["index"], a["axis"]];
  if (first?.kind === "int" && second?.kind === "tensor") return { axis: toAxis(first, rank, span), index: second };
  if (!present(second)) return fail("EIN1501", "the axis to index is missing", span, "give `axis:`");
  return { axis: toAxis(second, rank, span), index: first };
}

/** out[…, k, …] = x[…, index[…, k, …], …]: the index has x's rank; its other axes are prefixes of x's. */
function gather(b: Builder, a: Args, span: Span): Value {
  const x = toTensor(a["x"], span);
  const { axis, index } = axisAndIndex(a, x.shape.length, span);
  const ids = indices(index, span, "gather");
  if (ids.shape.length !== x.shape.length)
    fail("EIN1202", `gather needs an index with ${x.shape.length} axes`, ids.span, `this has ${ids.shape.length}`);
  ids.shape.forEach((n, k) => {
    if (k !== axis && n !== x.shape[k])
      b.requireAtLeast(x.shape[k] as Extent, n, ids.span, `axis ${k} of what is gathered from`);
  });
  const n = x.shape[axis] as Extent;
  const fill = fillOf(a, span);
  return b.define(
    "gather",
    ids.shape,
    (i) =>
      b.readOr(
        x,
        i.map((e, k) => (k === axis ? at(ids, i, n) : e)),
        fill,
      ),
    span,
  );
}

/** NumPy's take_along_axis: like gather, but the other axes broadcast. */
function takeAlongAxis(b: Builder, a: Args, span: Span): Value {
  const given = toTensor(a["x"], span);
  const x = present(a["axis"]) ? given : reshape(b, given, [productExtent(given.shape)], span);
  const axis = present(a["axis"]) ? toAxis(a["axis"], x.shape.length, span) : 0;
  const ids = indices(a["index"], span, "take_along_axis");
  if (ids.shape.length !== x.shape.length)
    fail(
      "EIN1202",
      `take_along_axis needs an index with ${x.shape.length} axes`,
      ids.span,
      `this has ${ids.shape.length}`,
    );
  // Broadcast everything but the indexed axis, which has the index's extent.
  const blank = (t: TensorValue): TensorValue => ({ ...t, shape: t.shape.map((n, k) => (k === axis ? ONE : n)) });
  const shape = broadcastShape(b, [blank(x), blank(ids)], "take_along_axis").map((n, k) =>
    k === axis ? (ids.shape[axis] as Extent) : n,
  );
  const fill = fillOf(a, span);
  return b.define(
    "take_along_axis",
    shape,
    (i) => {
      const from = at(
        ids,
        ids.shape.map((n, k) => (n === ONE && k !== axis ? i32(0) : (i[k] as TensorExpr))),
        x.shape[axis] as Extent,
      );
      return b.readOr(
        x,
        x.shape.map((n, k) => (k === axis ? from : n === ONE ? i32(0) : (i[k] as TensorExpr))),
        fill,
      );
    },
    span,
  );
}

/** The index's axes stand where the indexed axis stood. */
function take(b: Builder, a: Args, span: Span): Value {
  const given = toTensor(a["x"], span);
  const x = present(a["axis"]) ? given : reshape(b, given, [productExtent(given.shape)], span);
  const axis = present(a["axis"]) ? toAxis(a["axis"], x.shape.length, span) : 0;
  const ids = indices(a["index"], span, "take");
  const wide = ids.shape.length;
  const shape = [...x.shape.slice(0, axis), ...ids.shape, ...x.shape.slice(axis + 1)];
  const fill = fillOf(a, span);
  const body = (i: readonly TensorExpr[]): TensorExpr =>
    b.readOr(
      x,
      [...i.slice(0, axis), at(ids, i.slice(axis, axis + wide), x.shape[axis] as Extent), ...i.slice(axis + wide)],
      fill,
    );
  return shape.length > 0 ? b.define("take", shape, body, span) : b.view(x.dtype, [], () => body([]), span, "take");
}

/** The last axis of the index holds a place in the axes of x that follow the first `batch` ones. */
function gatherNd(b: Builder, a: Args, span: Span): Value {
  const [x, ids] = [toTensor(a["x"], span), indices(a["index"], span, "gather_nd")];
  const batch = present(a["batch"]) ? toInteger(a["batch"], span, "batch") : 0;
  const depth = depthOf(ids, x.shape.length - batch);
  for (let k = 0; k < batch; k++)
    b.requireEqual(x.shape[k] as Extent, ids.shape[k] as Extent, x.span, ids.span, `batch axis ${k} of gather_nd`);
  const lead = ids.shape.slice(0, -1);
  const fill = fillOf(a, span);
  return b.define(
    "gather_nd",
    [...lead, ...x.shape.slice(batch + depth)],
    (i) => {
      const place = Array.from({ length: depth }, (_, k) =>
        at(ids, [...i.slice(0, lead.length), i32(k)], x.shape[batch + k] as Extent),
      );
      return b.readOr(x, [...i.slice(0, batch), ...place, ...i.slice(lead.length)], fill);
    },
    span,
  );
}
function depthOf(ids: TensorValue, rank: number): number {
  const depth = ids.shape.at(-1)?.value;
  if (depth === undefined || depth > rank)
    return fail(
      "EIN1202",
      `the last axis of the index has a known extent of at most ${rank}`,
      ids.span,
      ids.shape.at(-1)?.text ?? "a scalar",
    );
  return depth;
}

// ---- Scatter ------------------------------------------------------------------------------------------------------

type Mode = "set" | "add" | "mul" | "max" | "min";
const MODES: readonly Mode[] = ["set", "add", "mul", "max", "min"];
function monoidOf(mode: Mode, x: TensorValue): Monoid | "set" {
  if (mode === "set") return "set";
  if (x.dtype === "bool") return fail("EIN1201", `scatter by ${mode} needs numbers`, x.span, "this is bool");
  switch (mode) {
    case "add":
      return addMonoid(x.dtype);
    case "mul":
      return mulMonoid(x.dtype);
    case "max":
      return maxMonoid(x.dtype);
    case "min":
      return minMonoid(x.dtype);
  }
}

/** x with `source` put in along an axis at the places of `index`: PyTorch's scatter, scatter_add and scatter_reduce. */
function scatter(b: Builder, a: Args, span: Span, fixed?: Mode): Value {
  const given = toTensor(a["x"], span);
  const { axis, index } = axisAndIndex(a, given.shape.length, span);
  const ids = indices(index, span, "scatter");
  const [x, source] = unify([given, a["source"]], span, "scatter") as [TensorValue, TensorValue];
  if (ids.shape.length !== x.shape.length)
    fail("EIN1202", `scatter needs an index with ${x.shape.length} axes`, ids.span, `this has ${ids.shape.length}`);
  if (source.shape.length > 0) {
    if (source.shape.length !== x.shape.length)
      fail(
        "EIN1202",
        `scatter needs a source with ${x.shape.length} axes or a scalar`,
        source.span,
        `this has ${source.shape.length}`,
      );
    source.shape.forEach((n, k) => {
      if (n !== ids.shape[k])
        b.requireAtLeast(n, ids.shape[k] as Extent, source.span, `axis ${k} of the source of scatter`);
    });
  }
  const mode = fixed ?? toChoice(a["mode"], MODES, "set", span, "mode");
  return b.scatter(
    "scatter",
    monoidOf(mode, x),
    x.shape,
    ids.shape,
    (p) => p.map((e, k) => (k === axis ? at(ids, p, x.shape[k] as Extent) : e)),
    (p) => source.at(source.shape.length > 0 ? p : []),
    x,
    span,
  );
}

/** Slices of `source` put in along an axis at the places of a vector: index_add, index_copy. */
function indexPut(b: Builder, a: Args, span: Span, fixed?: Mode): Value {
  const given = toTensor(a["x"], span);
  const { axis, index } = axisAndIndex(a, given.shape.length, span);
  const ids = indices(index, span, "index_put");
  const [x, source] = unify([given, a["source"]], span, "index_put") as [TensorValue, TensorValue];
  if (ids.shape.length > 1) fail("EIN1202", "the index is a vector", ids.span, `this has ${ids.shape.length} axes`);
  const count = ids.shape[0] ?? ONE;
  const domain = x.shape.map((n, k) => (k === axis ? count : n));
  const common = broadcastShape(b, [source, { ...x, shape: domain }], "index_put");
  common.forEach((n, k) => {
    b.requireEqual(n, domain[k] as Extent, source.span, x.span, `axis ${k} of the source`);
  });
  const mode = fixed ?? toChoice(a["mode"], MODES, "set", span, "mode");
  return b.scatter(
    "index_put",
    monoidOf(mode, x),
    x.shape,
    domain,
    (p) => p.map((e, k) => (k === axis ? at(ids, ids.shape.length > 0 ? [e] : [], x.shape[k] as Extent) : e)),
    (p) => source.at(broadcastIndex(source, p)),
    x,
    span,
  );
}

/** ONNX's ScatterND: the last axis of the index holds a place in the leading axes of x. */
function scatterNd(b: Builder, a: Args, span: Span): Value {
  const ids = indices(a["index"], span, "scatter_nd");
  const [x, source] = unify([a["x"], a["source"]], span, "scatter_nd") as [TensorValue, TensorValue];
  const depth = depthOf(ids, x.shape.length);
  const lead = ids.shape.slice(0, -1);
  const domain = [...lead, ...x.shape.slice(depth)];
  if (source.shape.length !== domain.length)
    fail(
      "EIN1202",
      `scatter_nd needs a source with ${domain.length} axes`,
      source.span,
      `this has ${source.shape.length}`,
    );
  source.shape.forEach((n, k) => {
    b.requireEqual(n, domain[k] as Extent, source.span, ids.span, `axis ${k} of the source of scatter_nd`);
  });
  return b.scatter(
    "scatter_nd",
    monoidOf(toChoice(a["mode"], MODES, "set", span, "mode"), x),
    x.shape,
    domain,
    (p) => [
      ...Array.from({ length: depth }, (_, k) => at(ids, [...p.slice(0, lead.length), i32(k)], x.shape[k] as Extent)),
      ...p.slice(lead.length),
    ],
    (p) => source.at(p),
    x,
    span,
  );
}

/** How often every number below `count` occurs, or the sum of its weights. */
function bincount(b: Builder, a: Args, span: Span): Value {
  const ids = indices(a["ids"], span, "bincount");
  const count = toCount(a["count"], span, "count");
  const weights = present(a["weights"]) ? operand(a["weights"], span, "bincount", "number") : undefined;
  if (weights) {
    if (weights.shape.length !== ids.shape.length)
      fail("EIN1202", "bincount needs a weight for every id", weights.span, `this has ${weights.shape.length} axes`);
    weights.shape.forEach((n, k) => {
      b.requireEqual(n, ids.shape[k] as Extent, weights.span, ids.span, `axis ${k} of the weights of bincount`);
    });
  }
  const dtype = weights?.dtype ?? "i32";
  // Negative ids count nothing here.
  return b.scatter(
    "bincount",
    addMonoid(dtype),
    [count],
    ids.shape,
    (p) => [cast(ids.at(p), "i32")],
    (p) => weights?.at(p) ?? constant("i32", 1),
    0,
    span,
  );
}

/** Counts of x in `bins` equal intervals from low to high, the last one closed; other values count nothing. */
function histogram(b: Builder, a: Args, span: Span): Value {
  const x = operand(a["x"], span, "histogram", "float");
  const bins = toCount(a["bins"], span, "bins");
  const [low, high] = [toNumber(a["low"], span, "low"), toNumber(a["high"], span, "high")];
  if (!(low < high)) fail("EIN1503", "low must be below high", a["high"]?.span ?? span, `${low} to ${high}`);
  const bin = elementwise(
    b,
    "bin",
    [x],
    (e) => {
      const v = e as TensorExpr;
      const k = cast(apply("floor", div(mul(add(v, -low), cast(sizeOf(bins), v.dtype)), high - low)), "i32");
      const within = apply("and", apply("ge", v, constant(v.dtype, low)), apply("le", v, constant(v.dtype, high)));
      return select(within, apply("min", k, subIndex(sizeOf(bins), i32(1))), -1);
    },
    span,
  );
  return bincount(b, { ids: bin, count: { kind: "int", extent: bins, span } }, span);
}

export const GATHER: ReadonlyMap<string, Builtin> = table([
  builtin("gather", "x, index, axis?, fill!", "x[…, index[…], …] along an axis, element by element", gather),
  ...["take_along_axis", "take_along_dim"].map((name) =>
    builtin(name, "x, index, axis?, fill!", "gather whose other axes broadcast", takeAlongAxis),
  ),
  builtin(
    "take",
    "x, index, axis?, fill!",
    "slices of an axis, or of all elements; negative indices count from the end",
    take,
  ),
  builtin("index_select", "x, index, axis, fill!", "slices of an axis at the places of a vector", (b, a, span) => {
    const { axis, index } = axisAndIndex(a, toTensor(a["x"], span).shape.length, span);
    return take(b, { ...a, index, axis: intValue(size(axis), span) }, span);
  }),
  builtin("gather_nd", "x, index, batch?, fill!", "the last axis of the index is a place in x", gatherNd),
  builtin(
    "scatter",
    "x, index, source, axis?, mode!",
    'x with source put at index along an axis; mode "set", "add", "mul", "max", "min"',
    (b, a, span) => scatter(b, a, span),
  ),
  builtin("scatter_add", "x, index, source, axis?", "x with source added at index along an axis", (b, a, span) =>
    scatter(b, a, span, "add"),
  ),
  builtin("index_put", "x, index, source, axis?, mode!", "x with slices of source put along an axis", (b, a, span) =>
    indexPut(b, a, span),
  ),
  builtin("index_add", "x, index, source, axis?", "x with slices of source added along an axis", (b, a, span) =>
    indexPut(b, a, span, "add"),
  ),
  builtin(
    "scatter_nd",
    "x, index, source, mode!",
    "x with source put at the places in the last axis of the index",
    scatterNd,
  ),
  builtin("bincount", "ids, count, weights?", "how often every number from 0 to count - 1 occurs", bincount),
  builtin("histogram", "x, bins, low, high", "counts in equal intervals from low to high", histogram),
]);
