/** The functions of shape.ts under their names in the language. */
import type { Span } from "../../../grammar/span.ts";
import { addExtent, type Extent, ONE, productExtent, proveNonNegative, subExtent, ZERO } from "../../../ir/extent.ts";
import type { TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxis, toExtent, toInteger, toItems, toTensor } from "../convert.ts";
import type { Builtin, Value } from "../value.ts";
import { broadcastIndex, broadcastShape, builtin, present, table, toCount, toShape, unify } from "./common.ts";
import { reshape, resolveShape } from "./reshape.ts";
import {
  broadcastTo,
  diagEmbed,
  diagonal,
  expandDims,
  flip,
  moveAxes,
  permutation,
  permute,
  roll,
  rot90,
  sliceAxis,
  spreadItems,
  squeeze,
  swap,
  tile,
  triangle,
  view,
  windows,
} from "./shape.ts";

const axisOr = (v: Value | undefined, fallback: number, rank: number, span: Span): number =>
  present(v) ? toAxis(v, rank, span) : fallback;
const intOr = (v: Value | undefined, fallback: number, span: Span, what: string): number =>
  present(v) ? toInteger(v, span, what) : fallback;
const axesOr = (v: Value | undefined, rank: number, span: Span): readonly number[] =>
  present(v) ? toItems(v).map((x) => toAxis(x, rank, span)) : Array.from({ length: rank }, (_, k) => k);

export const SHAPE: ReadonlyMap<string, Builtin> = table([
  builtin("reshape", "x, *shape", "the same elements in row-major order; one extent may be -1", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const list: Value = { kind: "list", items: spreadItems(a["shape"]), span: a["shape"]?.span ?? span };
    return reshape(b, x, resolveShape(b, x, list, span), list.span);
  }),
  builtin("ravel", "x", "all elements in one axis", (b, a, span) => {
    const x = toTensor(a["x"], span);
    return reshape(b, x, [productExtent(x.shape)], span);
  }),
  builtin("flatten", "x, start?, end?", "axes start to end (all) as one", (b, a, span) => {
    const x = toTensor(a["x"], span);
    if (x.shape.length === 0) return reshape(b, x, [ONE], span);
    const [from, to] = [
      axisOr(a["start"], 0, x.shape.length, span),
      axisOr(a["end"], x.shape.length - 1, x.shape.length, span),
    ];
    if (to < from) fail("EIN1304", "the last axis to flatten stands before the first", span, `${from} to ${to}`);
    return reshape(
      b,
      x,
      [...x.shape.slice(0, from), productExtent(x.shape.slice(from, to + 1)), ...x.shape.slice(to + 1)],
      span,
    );
  }),
  builtin("unflatten", "x, axis, shape", "one axis as several; one extent may be -1", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const axis = toAxis(a["axis"], x.shape.length, span);
    const part = resolveShape(b, { ...x, shape: [x.shape[axis] as Extent] }, a["shape"], span);
    return reshape(b, x, [...x.shape.slice(0, axis), ...part, ...x.shape.slice(axis + 1)], span);
  }),
  builtin("permute", "x, *axes", "axes in another order: permute(x, [2, 0, 1])", (b, a, span) => {
    const x = toTensor(a["x"], span);
    return permute(b, x, permutation(spreadItems(a["axes"]), x, span), span);
  }),
  builtin(
    "transpose",
    "x, *axes",
    "without axes all reversed, with two they are swapped, with a list permuted",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const rank = x.shape.length;
      const items = toItems(a["axes"]);
      if (items.length === 0)
        return permute(
          b,
          x,
          Array.from({ length: rank }, (_, k) => rank - 1 - k),
          span,
        );
      const [p, q] = items;
      if (items.length === 2 && p?.kind === "int")
        return permute(b, x, swap(rank, toAxis(p, rank, span), toAxis(q, rank, span)), span);
      return permute(b, x, permutation(spreadItems(a["axes"]), x, span), span);
    },
  ),
  builtin("swapaxes", "x, axis1, axis2", "two axes swapped", (b, a, span) => {
    const x = toTensor(a["x"], span);
    return permute(
      b,
      x,
      swap(x.shape.length, toAxis(a["axis1"], x.shape.length, span), toAxis(a["axis2"], x.shape.length, span)),
      span,
    );
  }),
  builtin("moveaxis", "x, from, to", "axes moved to other places, the others keep their order", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const axes = (v: Value | undefined): readonly number[] => toItems(v).map((i) => toAxis(i, x.shape.length, span));
    return moveAxes(b, x, axes(a["from"]), axes(a["to"]), span);
  }),
  ...["expand_dims", "unsqueeze"].map((name) =>
    builtin(name, "x, axis", "a new axis of extent 1, or several", (b, a, span) => {
      const x = toTensor(a["x"], span);
      const items = toItems(a["axis"]);
      const places = items.map((v) => toAxis(v, x.shape.length + items.length, span));
      if (new Set(places).size !== places.length)
        fail("EIN1304", "an axis is named twice", a["axis"]?.span ?? span, "here");
      return expandDims(b, x, places, span);
    }),
  ),
  builtin("squeeze", "x, axis?", "without axes of extent 1: those named, or all", (b, a, span) =>
    squeeze(b, toTensor(a["x"], span), a["axis"], span),
  ),
  ...["broadcast_to", "expand"].map((name) =>
    builtin(name, "x, *shape", "stretched to the shape; -1 keeps an extent", (b, a, span) =>
      broadcastTo(b, toTensor(a["x"], span), a["shape"], span),
    ),
  ),
  builtin("broadcast_tensors", "*tensors", "a list of all of them in their common shape", (b, a, span) => {
    const list = unify(spreadItems(a["tensors"]), span, "broadcast_tensors");
    const shape = broadcastShape(b, list, "broadcast_tensors");
    return { kind: "list", items: list.map((t) => view(b, t, shape, (index) => broadcastIndex(t, index), span)), span };
  }),
  builtin("flip", "x, axis?", "axes (all) backwards", (b, a, span) => {
    const x = toTensor(a["x"], span);
    return flip(b, x, axesOr(a["axis"], x.shape.length, span), span);
  }),
  builtin("roll", "x, shift, axis?", "shifted around; without an axis in row-major order", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const shifts = toItems(a["shift"]).map((v) => toExtent(v, span, "shift"));
    if (!present(a["axis"])) {
      const flat = reshape(b, x, [productExtent(x.shape)], span);
      return reshape(
        b,
        roll(
          b,
          flat,
          shifts,
          shifts.map(() => 0),
          span,
        ),
        x.shape,
        span,
      );
    }
    const axes = axesOr(a["axis"], x.shape.length, span);
    if (shifts.length !== axes.length && shifts.length !== 1)
      fail(
        "EIN1501",
        "roll needs a shift for every axis",
        a["shift"]?.span ?? span,
        `${shifts.length} shifts, ${axes.length} axes`,
      );
    return roll(b, x, shifts, axes, span);
  }),
  builtin(
    "rot90",
    "x, k?, axes?",
    "turned by k quarter turns from the first of two axes (0, 1) to the second",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const axes = present(a["axes"]) ? axesOr(a["axes"], x.shape.length, span) : [0, 1];
      const [p, q] = axes;
      if (axes.length !== 2 || p === undefined || q === undefined || p === q || x.shape.length < 2)
        return fail("EIN1304", "rot90 needs two different axes", span, `${axes.length} of ${x.shape.length}`);
      return rot90(b, x, intOr(a["k"], 1, span, "k"), p, q, span);
    },
  ),
  builtin(
    "diagonal",
    "x, offset?, axis1?, axis2?",
    "the elements with j - i = offset of two axes (0, 1), as the last axis",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      if (x.shape.length < 2)
        fail("EIN1202", "a diagonal needs at least two axes", x.span, `this has ${x.shape.length}`);
      return diagonal(
        b,
        x,
        intOr(a["offset"], 0, span, "offset"),
        axisOr(a["axis1"], 0, x.shape.length, span),
        axisOr(a["axis2"], 1, x.shape.length, span),
        span,
      );
    },
  ),
  builtin("diag", "x, k?", "the k-th diagonal of a matrix, or the matrix with a vector on it", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const k = intOr(a["k"], 0, span, "k");
    if (x.shape.length === 1) return diagEmbed(b, x, k, span);
    if (x.shape.length !== 2)
      fail("EIN1202", "diag takes a vector or a matrix", x.span, `this has ${x.shape.length} axes`);
    return diagonal(b, x, k, 0, 1, span);
  }),
  builtin("diag_embed", "x, offset?", "the last axis on a diagonal of two new axes", (b, a, span) =>
    diagEmbed(b, toTensor(a["x"], span), intOr(a["offset"], 0, span, "offset"), span),
  ),
  builtin("tril", "x, k?", "what is on or below the k-th diagonal, 0 above", (b, a, span) =>
    triangle(b, toTensor(a["x"], span), "tril", a["k"], span),
  ),
  builtin("triu", "x, k?", "what is on or above the k-th diagonal, 0 below", (b, a, span) =>
    triangle(b, toTensor(a["x"], span), "triu", a["k"], span),
  ),
  builtin(
    "unfold",
    "x, axis, length, step?, dilation?",
    "windows of an axis; the places in a window are a new last axis",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const one = (v: Value | undefined, what: string): Extent => {
        const e = present(v) ? toCount(v, span, what) : ONE;
        if (proveNonNegative(subExtent(e, ONE)) === "refuted")
          fail("EIN1503", `${what} must be at least 1`, v?.span ?? span, e.text);
        return e;
      };
      return windows(
        b,
        x,
        toAxis(a["axis"], x.shape.length, span),
        toCount(a["length"], span, "length"),
        one(a["step"], "step"),
        one(a["dilation"], "dilation"),
        span,
      );
    },
  ),
  builtin("narrow", "x, axis, start, length", "length elements of an axis from start on", (b, a, span) => {
    const x = toTensor(a["x"], span);
    const axis = toAxis(a["axis"], x.shape.length, span);
    const n = x.shape[axis] as Extent;
    const given = toExtent(a["start"], span, "start");
    const start = given.value !== undefined && given.value < 0 ? addExtent(n, given) : given;
    const length = toCount(a["length"], span, "length");
    b.requireAtLeast(start, ZERO, a["start"]?.span ?? span, "start");
    b.requireAtLeast(n, addExtent(start, length), a["length"]?.span ?? span, "the axis that narrow cuts");
    return sliceAxis(b, x, axis, start, length, span);
  }),
  builtin("tile", "x, *times", "the whole tensor several times along each axis", (b, a, span) =>
    tile(
      b,
      toTensor(a["x"], span),
      toShape({ kind: "list", items: spreadItems(a["times"]), span }, span, "a number of repetitions"),
      span,
    ),
  ),
  builtin(
    "meshgrid",
    "*vectors, indexing!",
    'a list of grids, one a vector; indexing "ij" (matrix order) or "xy"',
    (b, a, span) => {
      const list = spreadItems(a["vectors"]).map((v) => {
        const t = toTensor(v, span);
        if (t.shape.length > 1) fail("EIN1202", "meshgrid takes vectors", v.span, `this has ${t.shape.length} axes`);
        return t.shape.length === 1 ? t : expandDims(b, t, [0], span);
      });
      const xy = a["indexing"]?.kind === "string" && a["indexing"].value === "xy" && list.length >= 2;
      if (present(a["indexing"]) && !(a["indexing"].kind === "string" && ["ij", "xy"].includes(a["indexing"].value)))
        fail("EIN1503", 'indexing is "ij" or "xy"', a["indexing"].span, "here");
      const place = (k: number): number => (xy && k < 2 ? 1 - k : k);
      const shape: Extent[] = [];
      list.forEach((t, k) => {
        shape[place(k)] = t.shape[0] as Extent;
      });
      return {
        kind: "list",
        items: list.map((t, k) => view(b, t, shape, (index) => [index[place(k)] as TensorExpr], span)),
        span,
      };
    },
  ),
]);
