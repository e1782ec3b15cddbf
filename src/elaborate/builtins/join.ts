/** Joining and cutting: `cat`, `stack`, `split`, `pad`. A place outside a part is a read with a fill, so one mechanism serves all. */
import type { Span } from "../../../grammar/span.ts";
import {
  addExtent,
  ceilDivExtent,
  divExtent,
  type Extent,
  minExtent,
  modExtent,
  mulExtent,
  ONE,
  size,
  subExtent,
  ZERO,
} from "../../../ir/extent.ts";
import { apply, i32, sizeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxes, toAxis, toExtent, toInteger, toItems, toNumber, toTensor } from "../convert.ts";
import type { Builder, Builtin, TensorValue, Value } from "../value.ts";
import { builtin, present, table, toChoice, toCount, unify } from "./common.ts";
import { clampIndex, modIndex, subIndex } from "./index-arithmetic.ts";
import { reshape } from "./reshape.ts";
import { expandDims, sliceAxis } from "./shape.ts";

/** One of `parts` by comparing `at` with where each begins: a balanced tree, so that many parts do not nest deeply. */
function choose(at: TensorExpr, starts: readonly TensorExpr[], parts: readonly TensorExpr[]): TensorExpr {
  if (parts.length === 1) return parts[0] as TensorExpr;
  const middle = parts.length >> 1;
  const [low, high] = [
    choose(at, starts.slice(0, middle), parts.slice(0, middle)),
    choose(at, starts.slice(middle), parts.slice(middle)),
  ];
  return apply("select", apply("lt", at, starts[middle] as TensorExpr), low, high);
}

function sameRank(tensors: readonly TensorValue[], what: string, span: Span): number {
  const first = tensors[0];
  if (!first) return fail("EIN1501", `${what} needs at least one tensor`, span, "none here");
  for (const t of tensors)
    if (t.shape.length !== first.shape.length)
      fail(
        "EIN1202",
        `the tensors of ${what} have ${first.shape.length} and ${t.shape.length} axes`,
        t.span,
        `[${t.shape.map((n) => n.text).join(", ")}]`,
      );
  return first.shape.length;
}

/** Along an existing axis; all other extents must agree. */
export function concatenate(b: Builder, tensors: readonly TensorValue[], axis: number, span: Span): TensorValue {
  sameRank(tensors, "cat", span);
  const [first] = tensors;
  if (!first) return fail("EIN1501", "cat needs at least one tensor", span);
  if (tensors.length === 1) return first;
  const starts: Extent[] = [];
  let length: Extent = ZERO;
  for (const t of tensors) {
    t.shape.forEach((n, k) => {
      if (k !== axis && n !== first.shape[k])
        b.requireEqual(first.shape[k] as Extent, n, first.span, t.span, `axis ${k} of the tensors of cat`);
    });
    starts.push(length);
    length = addExtent(length, t.shape[axis] as Extent);
  }
  return b.define(
    "cat",
    first.shape.map((n, k) => (k === axis ? length : n)),
    (index) => {
      const at = index[axis] as TensorExpr;
      const parts = tensors.map((t, n) =>
        b.readOr(
          t,
          index.map((i, k) => (k === axis ? subIndex(i, sizeOf(starts[n] as Extent)) : i)),
          0,
        ),
      );
      return choose(at, starts.map(sizeOf), parts);
    },
    span,
  );
}

/** Along a new axis; all shapes must agree. */
export function stack(b: Builder, tensors: readonly TensorValue[], axis: number, span: Span): TensorValue {
  sameRank(tensors, "stack", span);
  const [first] = tensors;
  if (!first) return fail("EIN1501", "stack needs at least one tensor", span);
  for (const t of tensors)
    t.shape.forEach((n, k) => {
      if (n !== first.shape[k])
        b.requireEqual(first.shape[k] as Extent, n, first.span, t.span, `axis ${k} of the tensors of stack`);
    });
  if (tensors.length === 1) return expandDims(b, first, [axis], span);
  const shape = [...first.shape.slice(0, axis), size(tensors.length), ...first.shape.slice(axis)];
  const starts = tensors.map((_, k) => i32(k));
  return b.define(
    "stack",
    shape,
    (index) =>
      choose(
        index[axis] as TensorExpr,
        starts,
        tensors.map((t) => t.at(index.filter((_, k) => k !== axis))),
      ),
    span,
  );
}

// ---- Padding ------------------------------------------------------------------------------------------------------

export type PadMode = "constant" | "edge" | "reflect" | "symmetric" | "wrap";
export interface Width {
  readonly low: Extent;
  readonly high: Extent;
}

/** Negative widths cut. All modes but `constant` need an axis with at least one element. */
export function pad(
  b: Builder,
  x: TensorValue,
  widths: readonly Width[],
  mode: PadMode,
  value: number,
  span: Span,
): TensorValue {
  const none = (w: Width | undefined): boolean => !w || (w.low === ZERO && w.high === ZERO);
  if (widths.every(none)) return x;
  const shape = x.shape.map((n, k) => {
    const w = widths[k];
    if (none(w) || !w) return n;
    const e = addExtent(addExtent(n, w.low), w.high);
    b.requireAtLeast(e, ZERO, span, "the extent of a padded axis");
    if (mode !== "constant") b.requireAtLeast(n, ONE, span, `an axis that ${mode} padding repeats`);
    return e;
  });
  const move = (i: TensorExpr, k: number): TensorExpr =>
    none(widths[k]) ? i : subIndex(i, sizeOf((widths[k] as Width).low));
  if (mode === "constant") return b.define("pad", shape, (index) => b.readOr(x, index.map(move), value), span);
  return b.view(
    x.dtype,
    shape,
    (index) => x.at(index.map((i, k) => (none(widths[k]) ? i : inside(move(i, k), x.shape[k] as Extent, mode)))),
    span,
    x.name,
  );
}

/** The element that stands for position i, which may be outside 0…n-1. */
function inside(i: TensorExpr, n: Extent, mode: Exclude<PadMode, "constant">): TensorExpr {
  switch (mode) {
    case "edge":
      return clampIndex(i, n);
    case "wrap":
      return modIndex(i, n);
    case "reflect": {
      // There and back again without repeating the ends: a period of 2(n - 1), which is 0 (and the index 0) for n = 1.
      const period = mulExtent(size(2), subExtent(n, ONE));
      const m = apply("mod", i, sizeOf(period));
      return clampIndex(apply("min", m, subIndex(sizeOf(period), m)), n);
    }
    case "symmetric": {
      const period = mulExtent(size(2), n);
      const m = modIndex(i, period);
      return clampIndex(apply("min", m, subIndex(sizeOf(subExtent(period, ONE)), m)), n);
    }
  }
}

/** `2`, `[1, 2]` (an axis: before and after), `[[1, 1], [0, 2]]` (one a named axis). */
function widthsOf(v: Value | undefined, axes: readonly number[], rank: number, span: Span): readonly Width[] {
  const none: Width = { low: ZERO, high: ZERO };
  const out = new Array<Width>(rank).fill(none);
  const items = toItems(v);
  const pair = (w: Value): Width => {
    const [low, high, more] = toItems(w);
    if (!low || more || (w.kind === "list" && !high))
      return fail("EIN1501", "a padding is one width or a list of two", w.span, "here");
    const before = toExtent(low, span, "a width of padding");
    return { low: before, high: high ? toExtent(high, span, "a width of padding") : before };
  };
  if (v && v.kind !== "list") for (const k of axes) out[k] = pair(v);
  else if (axes.length === 1 && items.length === 2 && items.every((i) => i.kind === "int") && v)
    out[axes[0] as number] = pair(v);
  else if (items.length === axes.length)
    axes.forEach((k, n) => {
      out[k] = pair(items[n] as Value);
    });
  else
    fail(
      "EIN1501",
      `the padding has ${items.length} entries for ${axes.length} axes`,
      v?.span ?? span,
      "one a axis, or `axis:` to say which",
    );
  return out;
}

const MODES: Readonly<Record<string, PadMode>> = {
  constant: "constant",
  edge: "edge",
  replicate: "edge",
  reflect: "reflect",
  symmetric: "symmetric",
  wrap: "wrap",
  circular: "wrap",
};

// ---- Splitting ----------------------------------------------------------------------------------------------------

function pieces(b: Builder, x: TensorValue, axis: number, lengths: readonly Extent[], span: Span): Value {
  let from: Extent = ZERO;
  const items = lengths.map((n) => {
    const part = sliceAxis(b, x, axis, from, n, span);
    from = addExtent(from, n);
    return part;
  });
  return { kind: "list", items, span };
}

function known(n: Extent, span: Span, what: string): number {
  return n.value ?? fail("EIN1502", `${what} needs an axis of known extent`, span, `this is ${n.text}`);
}

const axisOr = (v: Value | undefined, fallback: number, rank: number, span: Span): number =>
  present(v) ? toAxis(v, rank, span) : toAxis({ kind: "int", extent: size(fallback), span }, rank, span);

/** Tensors of at least `rank` axes, as NumPy's stacking functions see them. */
function promote(
  b: Builder,
  v: Value | undefined,
  rank: 1 | 2 | 3,
  span: Span,
  asColumn = false,
): readonly TensorValue[] {
  return unify(toItems(v), span, "a list of tensors").map((t) => {
    let x = t;
    if (x.shape.length === 0) x = reshape(b, x, [ONE], span);
    if (x.shape.length === 1 && rank >= 2) x = expandDims(b, x, [asColumn ? 1 : 0], span);
    return x.shape.length === 2 && rank === 3 ? expandDims(b, x, [2], span) : x;
  });
}

export const JOIN: ReadonlyMap<string, Builtin> = table([
  ...["cat", "concat", "concatenate"].map((name) =>
    builtin(name, "tensors, axis?", "joined along an axis (0)", (b, a, span) => {
      const list = unify(toItems(a["tensors"]), span, "cat");
      return concatenate(b, list, axisOr(a["axis"], 0, sameRank(list, "cat", span), span), span);
    }),
  ),
  builtin("stack", "tensors, axis?", "joined along a new axis (0)", (b, a, span) => {
    const list = unify(toItems(a["tensors"]), span, "stack");
    return stack(b, list, axisOr(a["axis"], 0, sameRank(list, "stack", span) + 1, span), span);
  }),
  builtin("hstack", "tensors", "joined along axis 1, vectors along axis 0", (b, a, span) => {
    const list = promote(b, a["tensors"], 1, span);
    return concatenate(b, list, list[0]?.shape.length === 1 ? 0 : 1, span);
  }),
  builtin("vstack", "tensors", "joined along axis 0, vectors as rows", (b, a, span) =>
    concatenate(b, promote(b, a["tensors"], 2, span), 0, span),
  ),
  builtin("dstack", "tensors", "joined along axis 2", (b, a, span) =>
    concatenate(b, promote(b, a["tensors"], 3, span), 2, span),
  ),
  builtin("column_stack", "tensors", "joined along axis 1, vectors as columns", (b, a, span) =>
    concatenate(b, promote(b, a["tensors"], 2, span, true), 1, span),
  ),
  builtin(
    "split",
    "x, sizes, axis?",
    "a list of pieces: of the listed sizes, or all of one size but perhaps the last",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const axis = axisOr(a["axis"], 0, x.shape.length, span);
      const total = x.shape[axis] as Extent;
      if (a["sizes"]?.kind === "list") {
        const sizes = a["sizes"].items.map((v) => toCount(v, span, "a size of split"));
        b.requireEqual(sizes.reduce(addExtent, ZERO), total, a["sizes"].span, x.span, "the sizes of split");
        return pieces(b, x, axis, sizes, span);
      }
      const each = toCount(a["sizes"], span, "the size of split");
      if (each === ZERO) fail("EIN1503", "pieces of size 0 never end", a["sizes"]?.span ?? span, "here");
      const count = known(ceilDivExtent(total, each), a["sizes"]?.span ?? span, "split by a size");
      return pieces(
        b,
        x,
        axis,
        Array.from({ length: count }, (_, k) => minExtent(each, subExtent(total, mulExtent(size(k), each)))),
        span,
      );
    },
  ),
  builtin(
    "chunk",
    "x, count, axis?",
    "a list of count pieces; where they are not equal the first ones are larger by 1",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const axis = axisOr(a["axis"], 0, x.shape.length, span);
      const [total, count] = [x.shape[axis] as Extent, toInteger(a["count"], span, "the number of pieces")];
      if (count < 1 || count > 65536)
        fail("EIN1503", "the number of pieces is from 1 to 65536", a["count"]?.span ?? span, String(count));
      const [base, rest] = [divExtent(total, size(count)), modExtent(total, size(count))];
      if (rest === ZERO) return pieces(b, x, axis, new Array<Extent>(count).fill(base), span);
      const larger = known(rest, a["count"]?.span ?? span, "chunk");
      return pieces(
        b,
        x,
        axis,
        Array.from({ length: count }, (_, k) => (k < larger ? addExtent(base, ONE) : base)),
        span,
      );
    },
  ),
  builtin(
    "unstack",
    "x, axis?",
    "a list of the slices along an axis (0), which must be of known extent",
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const axis = axisOr(a["axis"], 0, x.shape.length, span);
      const shape = x.shape.filter((_, k) => k !== axis);
      const item = (n: number): TensorValue =>
        b.view(x.dtype, shape, (index) => x.at([...index.slice(0, axis), i32(n), ...index.slice(axis)]), span, x.name);
      return {
        kind: "list",
        items: Array.from({ length: known(x.shape[axis] as Extent, span, "unstack") }, (_, n) => item(n)),
        span,
      };
    },
  ),
  builtin(
    "pad",
    "x, widths, mode?, value?, axis!",
    'longer axes: mode "constant" (value 0), "edge", "reflect", "symmetric", "wrap"; negative widths cut',
    (b, a, span) => {
      const x = toTensor(a["x"], span);
      const axes = toAxes(a["axis"], x.shape.length, span);
      const word = toChoice(a["mode"], Object.keys(MODES), "constant", span, "mode");
      const value =
        a["value"]?.kind === "bool"
          ? Number(a["value"].value)
          : present(a["value"])
            ? toNumber(a["value"], span, "value")
            : 0;
      return pad(b, x, widthsOf(a["widths"], axes, x.shape.length, span), MODES[word] ?? "constant", value, span);
    },
  ),
]);
