/** Functions that only move elements about: all of them index views that cost nothing by themselves. */
import type { Span } from "../../../grammar/span.ts";
import {
  addExtent,
  divExtent,
  type Extent,
  maxExtent,
  minExtent,
  mulExtent,
  negExtent,
  ONE,
  size,
  subExtent,
  ZERO,
} from "../../../ir/extent.ts";
import { apply, i32, sizeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxis, toExtent, toItems } from "../convert.ts";
import type { Builder, TensorValue, Value } from "../value.ts";
import { broadcastIndex, present, toCount } from "./common.ts";
import { addIndex, divIndex, modIndex, mulIndex, subIndex } from "./index-arithmetic.ts";
import { select } from "./scalar.ts";

/** The elements of x at `map(index)`, in another shape. */
export function view(
  b: Builder,
  x: TensorValue,
  shape: readonly Extent[],
  map: (index: readonly TensorExpr[]) => readonly TensorExpr[],
  span: Span,
): TensorValue {
  return b.view(x.dtype, shape, (index) => x.at(map(index)), span, x.name);
}

/** A positional list of ints, or several ints: `permute(x, [1, 0])`, `permute(x, 1, 0)`. */
export function spreadItems(v: Value | undefined): readonly Value[] {
  const items = toItems(v);
  return items.length === 1 && items[0]?.kind === "list" ? items[0].items : items;
}

export function permute(b: Builder, x: TensorValue, order: readonly number[], span: Span): TensorValue {
  if (order.every((from, k) => from === k)) return x;
  const back: number[] = [];
  order.forEach((from, k) => {
    back[from] = k;
  });
  return view(
    b,
    x,
    order.map((k) => x.shape[k] as Extent),
    (index) => back.map((k) => index[k] as TensorExpr),
    span,
  );
}

export function permutation(items: readonly Value[], x: TensorValue, span: Span): readonly number[] {
  const order = items.map((v) => toAxis(v, x.shape.length, span));
  if (order.length !== x.shape.length || new Set(order).size !== order.length)
    fail(
      "EIN1304",
      `a permutation names each of the ${x.shape.length} axes once`,
      items[0]?.span ?? span,
      `this names ${order.length}`,
    );
  return order;
}

export function swap(rank: number, p: number, q: number): readonly number[] {
  return Array.from({ length: rank }, (_, k) => (k === p ? q : k === q ? p : k));
}

export function moveAxes(
  b: Builder,
  x: TensorValue,
  from: readonly number[],
  to: readonly number[],
  span: Span,
): TensorValue {
  if (from.length !== to.length || new Set(from).size !== from.length || new Set(to).size !== to.length)
    fail(
      "EIN1304",
      "moveaxis needs as many places as axes, each once",
      span,
      `${from.length} axes, ${to.length} places`,
    );
  const order: (number | undefined)[] = new Array<undefined>(x.shape.length).fill(undefined);
  from.forEach((axis, n) => {
    order[to[n] as number] = axis;
  });
  const rest = x.shape.map((_, k) => k).filter((k) => !from.includes(k));
  return permute(
    b,
    x,
    order.map((k) => k ?? (rest.shift() as number)),
    span,
  );
}

/** Elements from, from + step, … of one axis. The caller has checked that they are inside. */
export function sliceAxis(
  b: Builder,
  x: TensorValue,
  axis: number,
  from: Extent,
  length: Extent,
  span: Span,
  step = 1,
): TensorValue {
  const shape = x.shape.map((n, k) => (k === axis ? length : n));
  return view(
    b,
    x,
    shape,
    (index) => index.map((i, k) => (k === axis ? addIndex(mulIndex(i, i32(step)), sizeOf(from)) : i)),
    span,
  );
}

/** Puts axes of extent 1 at these places of the result. */
export function expandDims(b: Builder, x: TensorValue, places: readonly number[], span: Span): TensorValue {
  const rank = x.shape.length + places.length;
  const at = new Set(places);
  const old = [...x.shape];
  const shape = Array.from({ length: rank }, (_, k) => (at.has(k) ? ONE : (old.shift() as Extent)));
  return view(b, x, shape, (index) => index.filter((_, k) => !at.has(k)), span);
}

export function squeeze(b: Builder, x: TensorValue, axis: Value | undefined, span: Span): TensorValue {
  const gone = new Set(
    present(axis)
      ? toItems(axis).map((v) => toAxis(v, x.shape.length, span))
      : x.shape.flatMap((n, k) => (n === ONE ? [k] : [])),
  );
  for (const k of gone)
    b.requireEqual(x.shape[k] as Extent, ONE, x.span, axis?.span ?? span, "an axis that squeeze takes away");
  const kept = x.shape.map((_, k) => k).filter((k) => !gone.has(k));
  return view(
    b,
    x,
    kept.map((k) => x.shape[k] as Extent),
    (index) => {
      const at: TensorExpr[] = new Array<TensorExpr>(x.shape.length).fill(i32(0));
      kept.forEach((k, n) => {
        at[k] = index[n] as TensorExpr;
      });
      return at;
    },
    span,
  );
}

/** NumPy's broadcast_to; -1 keeps an extent (PyTorch's expand). */
export function broadcastTo(b: Builder, x: TensorValue, v: Value | undefined, span: Span): TensorValue {
  const items = spreadItems(v);
  const skip = items.length - x.shape.length;
  if (skip < 0)
    fail(
      "EIN1202",
      `a tensor with ${x.shape.length} axes cannot be broadcast to ${items.length}`,
      v?.span ?? span,
      "too few extents",
    );
  const shape = items.map((item, k) => {
    const e = toExtent(item, span, "an extent of the shape");
    return e.value === -1 && k >= skip ? (x.shape[k - skip] as Extent) : toCount(item, span, "an extent of the shape");
  });
  x.shape.forEach((n, k) => {
    if (n !== ONE)
      b.requireEqual(shape[skip + k] as Extent, n, items[skip + k]?.span ?? span, x.span, `axis ${k} of a broadcast`);
  });
  return view(b, x, shape, (index) => broadcastIndex(x, index), span);
}

export function flip(b: Builder, x: TensorValue, axes: readonly number[], span: Span): TensorValue {
  return view(
    b,
    x,
    x.shape,
    (index) => index.map((i, k) => (axes.includes(k) ? subIndex(sizeOf(subExtent(x.shape[k] as Extent, ONE)), i) : i)),
    span,
  );
}

export function roll(
  b: Builder,
  x: TensorValue,
  shifts: readonly Extent[],
  axes: readonly number[],
  span: Span,
): TensorValue {
  return view(
    b,
    x,
    x.shape,
    (index) =>
      index.map((i, k) => {
        let shift = ZERO;
        axes.forEach((axis, n) => {
          if (axis === k) shift = addExtent(shift, shifts[n % shifts.length] ?? ZERO);
        });
        return shift === ZERO ? i : modIndex(addIndex(i, sizeOf(negExtent(shift))), x.shape[k] as Extent);
      }),
    span,
  );
}

export function rot90(b: Builder, x: TensorValue, times: number, p: number, q: number, span: Span): TensorValue {
  switch (((times % 4) + 4) % 4) {
    case 0:
      return x;
    case 1:
      return flip(b, permute(b, x, swap(x.shape.length, p, q), span), [p], span);
    case 2:
      return flip(b, x, [p, q], span);
    default:
      return flip(b, permute(b, x, swap(x.shape.length, p, q), span), [q], span);
  }
}

/** Elements with j - i = offset of two axes, as a new last axis. */
export function diagonal(b: Builder, x: TensorValue, offset: number, p: number, q: number, span: Span): TensorValue {
  if (p === q) fail("EIN1304", "a diagonal needs two different axes", span, `both are ${p}`);
  const [rows, columns] = [x.shape[p] as Extent, x.shape[q] as Extent];
  const [down, right] = [Math.max(-offset, 0), Math.max(offset, 0)];
  const length = maxExtent(minExtent(subExtent(rows, size(down)), subExtent(columns, size(right))), ZERO);
  const rest = x.shape.map((_, k) => k).filter((k) => k !== p && k !== q);
  return view(
    b,
    x,
    [...rest.map((k) => x.shape[k] as Extent), length],
    (index) => {
      const at: TensorExpr[] = new Array<TensorExpr>(x.shape.length);
      rest.forEach((k, n) => {
        at[k] = index[n] as TensorExpr;
      });
      const i = index[rest.length] as TensorExpr;
      at[p] = addIndex(i, i32(down));
      at[q] = addIndex(i, i32(right));
      return at;
    },
    span,
  );
}

/** The opposite: the last axis on a diagonal of two new last axes, 0 elsewhere. */
export function diagEmbed(b: Builder, x: TensorValue, offset: number, span: Span): TensorValue {
  const rank = x.shape.length;
  if (rank === 0) fail("EIN1202", "a diagonal matrix is made of a vector", span, "this is a scalar");
  const n = addExtent(x.shape[rank - 1] as Extent, size(Math.abs(offset)));
  return b.define(
    "diag",
    [...x.shape.slice(0, -1), n, n],
    (index) => {
      const [i, j] = [index[rank - 1] as TensorExpr, index[rank] as TensorExpr];
      const on = apply("eq", subIndex(j, i), i32(offset));
      const value = b.readOr(x, [...index.slice(0, rank - 1), offset >= 0 ? i : j], 0);
      return x.dtype === "bool" ? apply("and", on, value) : select(on, value, 0);
    },
    span,
  );
}

/** Keeps j - i <= k (tril) or j - i >= k (triu) of the last two axes, 0 elsewhere. */
export function triangle(
  b: Builder,
  x: TensorValue,
  which: "tril" | "triu",
  k: Value | undefined,
  span: Span,
): TensorValue {
  const rank = x.shape.length;
  if (rank < 2) fail("EIN1202", `${which} needs at least two axes`, x.span, `this has ${rank}`);
  const offset = sizeOf(present(k) ? toExtent(k, span, "k") : ZERO);
  return b.define(
    which,
    x.shape,
    (index) => {
      const gap = subIndex(index[rank - 1] as TensorExpr, index[rank - 2] as TensorExpr);
      const inside = apply(which === "tril" ? "le" : "ge", gap, offset);
      return x.dtype === "bool" ? apply("and", inside, x.at(index)) : select(inside, x.at(index), 0);
    },
    span,
  );
}

/** Elements of a moving window: axis `axis` counts the windows, a new last axis the places in one. */
export function windows(
  b: Builder,
  x: TensorValue,
  axis: number,
  length: Extent,
  step: Extent,
  dilation: Extent,
  span: Span,
): TensorValue {
  const n = x.shape[axis] as Extent;
  const reach = addExtent(mulExtent(subExtent(length, ONE), dilation), ONE);
  b.requireAtLeast(n, reach, span, "the axis that a window moves along");
  const count = addExtent(divExtent(subExtent(n, reach), step), ONE);
  return view(
    b,
    x,
    [...x.shape.map((e, k) => (k === axis ? count : e)), length],
    (index) =>
      index
        .slice(0, -1)
        .map((i, k) =>
          k === axis ? addIndex(mulIndex(i, sizeOf(step)), mulIndex(index.at(-1) as TensorExpr, sizeOf(dilation))) : i,
        ),
    span,
  );
}

/** tile: the whole tensor over and over. */
export function tile(b: Builder, x: TensorValue, times: readonly Extent[], span: Span): TensorValue {
  const rank = Math.max(times.length, x.shape.length);
  const lead = rank - x.shape.length;
  const reps = [...new Array<Extent>(rank - times.length).fill(ONE), ...times];
  const shape = reps.map((r, k) => (k < lead ? r : mulExtent(r, x.shape[k - lead] as Extent)));
  return view(
    b,
    x,
    shape,
    (index) =>
      x.shape.map((n, k) =>
        reps[lead + k] === ONE ? (index[lead + k] as TensorExpr) : modIndex(index[lead + k] as TensorExpr, n),
      ),
    span,
  );
}

/** Every element of an axis several times in a row. */
export function repeatEach(b: Builder, x: TensorValue, times: Extent, axis: number, span: Span): TensorValue {
  const shape = x.shape.map((n, k) => (k === axis ? mulExtent(n, times) : n));
  return view(b, x, shape, (index) => index.map((i, k) => (k === axis ? divIndex(i, times) : i)), span);
}
