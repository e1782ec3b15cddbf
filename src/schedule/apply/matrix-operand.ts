/** The operands of a contraction on subgroup matrices: staged in workgroup memory or straight from storage, and their products. */
import { divExtent, type Extent, ONE, productExtent, size, subExtent, ZERO } from "../../../ir/extent.ts";
import {
  type Buffer,
  extract,
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  type KernelExpr,
  kapply,
  kconst,
  kint,
  ksize,
  type Lanes,
  type Matrices,
  type Statement,
  splat,
  store,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, type Read, shapeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible, formExpression, positionIn } from "../affine.ts";
import { sizeOfType } from "../cost.ts";
import { lower } from "../lower.ts";
import { ScheduleError } from "../schedule.ts";
import { bindAxis, emit, inCopy, inFrame, name, newPrivate, newShared, tensorBuffer } from "./builder.ts";
import { loopOverK, rangeOfK } from "./k-loop.ts";
import { type MatrixTile, newMatrices, whenActive } from "./matrix-tile.ts";
import { contiguous, strideAlong } from "./operands.ts";
import { countOf, laneable, unflattenAxes } from "./walk.ts";

/** An operand in workgroup memory: `k` as [outer][K], `outer` as [K][outer], `pitch` elements from one to the next. */
interface Staged {
  readonly expr: TensorExpr;
  readonly axes: readonly Axis[];
  readonly layout: "k" | "outer";
  readonly lanes: Lanes;
  readonly pitch: number;
  /** Elements of a tile in memory. */
  readonly elements: number;
  readonly memory: Buffer;
  readonly kept: Buffer | undefined;
  /** The vectors that an invocation evaluates: the outer axis at its place, its place along K, and where it goes. */
  readonly loads: readonly {
    readonly outer: Axis;
    readonly k: KernelExpr;
    readonly place: KernelExpr;
    readonly guard: KernelExpr | undefined;
  }[];
}
/** An operand that lies in storage as matrices are loaded. */
interface Direct {
  readonly buffer: Buffer;
  readonly order: "k" | "outer";
  readonly stride: Extent;
  /** Where the matrix at an outer position and a position of K begins. */
  readonly offset: (outer: KernelExpr, k: KernelExpr) => KernelExpr;
}

interface Side {
  readonly use: "left" | "right";
  readonly matrices: Matrices;
  /** Rows of a left, columns of a right matrix; how many matrices a subgroup has of them, and where its tile begins. */
  readonly unit: number;
  readonly count: number;
  readonly base: KernelExpr;
  readonly inside: KernelExpr;
  readonly extent: Extent;
  readonly from: Staged | Direct;
}

/** Adds the products over all of K, or the part of it, to the sums. */
export function multiplyOverK(t: MatrixTile): void {
  const { b, s } = t;
  const sides = [sideOf(t, "left"), sideOf(t, "right")] as const;
  const staged = sides.flatMap((x) => ("memory" in x.from ? [x.from] : []));
  const total = countOf(t.sides.k);
  loopOverK(b, {
    ...rangeOfK(b, s, t.part, total),
    tileK: s.tileK,
    buffers: s.buffers,
    staged,
    halfOf: (x) => x.elements,
    evaluate: (x, k) => evaluate(t, x, k, total),
    put: (x, values, offset) => put(t, x, values, offset),
    use: (k, halves) =>
      products(
        t,
        sides,
        k,
        halves.map((h, i) => [staged[i]!, h] as const),
      ),
  });
}

function sideOf(t: MatrixTile, use: "left" | "right"): Side {
  const { b, s, config, sides } = t;
  const left = use === "left";
  const expr = left ? t.left : t.right;
  const axes = left ? sides.m : sides.n;
  const [unit, count] = left ? [config.m, t.down] : [config.n, t.across];
  const group = left ? t.groupRows : t.groupColumns;
  const base = left ? t.rowBase : t.columnBase;
  const extent = left ? t.rowCount : t.columnCount;
  const inMemory = s.stage === "both" || s.stage === (left === (s.along !== "m") ? "a" : "b");
  return {
    use,
    matrices: newMatrices(b, use, use, config, count),
    unit,
    count,
    base,
    inside: left ? t.rowIn : t.columnIn,
    extent,
    from: inMemory ? stage(t, expr, axes, base, extent, group) : direct(t, expr, axes, extent, unit),
  };
}

// ---- Through workgroup memory ---------------------------------------------------------------------------------------

/** Elements that keep rows of matrices in workgroup memory on 16 bytes, which devices ask for. */
function padding(t: MatrixTile): number {
  return t.s.pad > 0 ? 16 / sizeOfType(t.config.component) : 0;
}

function stage(
  t: MatrixTile,
  expr: TensorExpr,
  axes: readonly Axis[],
  base: KernelExpr,
  extent: Extent,
  group: number,
): Staged {
  const { b, s } = t;
  const alongK = contiguous([expr], t.sides.k) || !contiguous([expr], axes);
  const along = alongK ? t.sides.k : axes;
  const wide = (alongK ? s.tileK : group) % s.vector === 0 && laneable(along, s.vector) && contiguous([expr], along);
  const lanes: Lanes = wide ? s.vector : 1;
  const [outerUnits, kUnits] = alongK ? [group, s.tileK / lanes] : [group / lanes, s.tileK];
  const pitch = (alongK ? s.tileK : group) + padding(t);
  const elements = pitch * (alongK ? group : s.tileK);
  const count = outerUnits * kUnits;
  const each = Math.ceil(count / t.invocations);
  const memory = newShared(b, "tile", expr.dtype, elements * s.buffers);
  const kept = s.buffers > 1 ? newPrivate(b, "next", expr.dtype, each, lanes) : undefined;
  const outerLanes = alongK ? 1 : lanes;
  const units = divExtent(extent, size(outerLanes));
  // Neighbouring invocations evaluate neighbouring elements in memory.
  const fast = alongK ? kUnits : outerUnits;
  const even = t.invocations % fast === 0 && count % t.invocations === 0;
  const firstSlow = even ? name(b, "u", idiv(t.tid, kint(fast))) : kint(0);
  const firstQuick = even ? name(b, "u", imod(t.tid, kint(fast))) : kint(0);
  const loads = Array.from({ length: each }, (_, q) => {
    const at = q === 0 || even ? t.tid : name(b, "u", iadd(t.tid, kint(q * t.invocations)));
    const guard = (q + 1) * t.invocations > count ? ilt(at, kint(count)) : undefined;
    const u = guard ? name(b, "u", kapply("min", at, kint(count - 1))) : at;
    // Where whole rows of units fit the workgroup, an invocation keeps its place in the row.
    const [slow, quick] = even
      ? [iadd(firstSlow, kint(q * (t.invocations / fast))), firstQuick]
      : [name(b, "u", idiv(u, kint(fast))), name(b, "u", imod(u, kint(fast)))];
    const [o, k] = alongK ? [slow, quick] : [quick, slow];
    const outer = axis("o", units);
    const place = iadd(idiv(base, kint(outerLanes)), o);
    const whole = divisible(extent, group);
    bindAxis(b, outer, name(b, "at", whole ? place : kapply("min", place, ksize(subExtent(units, ONE)))));
    const into = iadd(imul(slow, kint(pitch)), imul(quick, kint(lanes)));
    return { outer, k, place: name(b, "place", into), guard };
  });
  return { expr, axes, layout: alongK ? "k" : "outer", lanes, pitch, elements, memory, kept, loads };
}

/** The invocation's share of a tile that begins at k0: 0 past the end of K, where the other operand is 0 as well. */
function evaluate(t: MatrixTile, x: Staged, k0: KernelExpr, total: Extent): readonly KernelExpr[] {
  const { b, s, sides } = t;
  const exact = divisible(total, s.tileK);
  const kLanes = x.layout === "k" ? x.lanes : 1;
  const units = divExtent(total, size(kLanes));
  return x.loads.map((l) =>
    inCopy(b, () => {
      const flats = b.flats.length;
      const a = axis("k", units);
      const at = name(b, "k", iadd(idiv(k0, kint(kLanes)), l.k));
      bindAxis(b, a, exact ? at : name(b, "k", kapply("min", at, ksize(subExtent(units, ONE)))));
      unflattenAxes(b, sides.k, axisRef(a), kLanes);
      unflattenAxes(b, x.axes, axisRef(l.outer), x.layout === "outer" ? x.lanes : 1);
      const v = splat(lower(b, x.expr), x.lanes);
      b.flats.length = flats;
      const zero = splat(kconst(x.expr.dtype, 0), x.lanes);
      return name(b, "v", exact ? v : kapply("select", splat(ilt(at, ksize(units)), x.lanes), v, zero));
    }),
  );
}

function put(t: MatrixTile, x: Staged, values: readonly KernelExpr[], offset: KernelExpr): void {
  x.loads.forEach((l, q) => {
    const v = values[q];
    if (!v) return;
    const stores: readonly Statement[] = Array.from({ length: x.lanes }, (_, i) =>
      store(x.memory, iadd(iadd(offset, l.place), kint(i)), extract(v, i)),
    );
    emit(t.b, ...(l.guard ? when(l.guard, stores) : stores));
  });
}

// ---- Straight from storage ------------------------------------------------------------------------------------------

/** Elements on which matrices in memory must begin, and by which their rows or columns lie apart: 16 bytes, or a whole row. */
function alignment(dtype: TensorExpr["dtype"], unit: number): number {
  return Math.min(unit, 16 / sizeOfType(dtype));
}

function direct(t: MatrixTile, expr: TensorExpr, axes: readonly Axis[], extent: Extent, unit: number): Direct {
  const { b, s, config } = t;
  const refuse = (why: string): never => {
    throw new ScheduleError("stage", `an operand cannot come straight from memory: ${why}`);
  };
  const [outer, ...otherAxes] = axes.filter((a) => a.extent !== ONE);
  const [k, ...otherK] = t.sides.k.filter((a) => a.extent !== ONE);
  if (expr.kind !== "read" || expr.fill || b.onChip.has(expr.tensor) || b.inlined.has(expr.tensor))
    return refuse("it is computed");
  if (!outer || !k || otherAxes.length > 0 || otherK.length > 0) return refuse("it has several axes a side");
  if (!divisible(extent, unit) || extent === ZERO || !divisible(countOf(t.sides.k), s.tileK))
    return refuse(`${unit} does not divide its extent, or ${s.tileK} that of K`);
  const shape = shapeOf(expr.tensor);
  const [byOuter, byK] = [strideAlong(expr.at, shape, outer), strideAlong(expr.at, shape, k)];
  const order = byK === ONE ? "k" : byOuter === ONE ? "outer" : refuse("its elements do not lie side by side");
  const stride = (order === "k" ? byOuter : byK) ?? refuse("its rows do not lie evenly");
  const by = alignment(expr.dtype, order === "k" ? config.k : unit);
  const form = positionIn(expr.at, shape);
  const others = [...form.terms].filter(([atom]) => atom !== axisRef(outer) && atom !== axisRef(k));
  if (![stride, form.constant, ...others.map(([, c]) => c)].every((e) => divisible(e, by)) || stride === ZERO)
    return refuse(`its matrices do not begin on multiples of ${by}`);
  const ref = { tensor: expr.tensor, slot: (expr as Read).slot };
  const at = formExpression(form);
  return {
    buffer: tensorBuffer(b, ref, "read", 1),
    order,
    stride,
    offset: (outerAt, kAt) =>
      inCopy(b, () => {
        const flats = b.flats.length;
        const [o, kk] = [axis("o", productExtent(axes.map((a) => a.extent))), axis("k", countOf(t.sides.k))];
        bindAxis(b, o, outerAt);
        bindAxis(b, kk, kAt);
        unflattenAxes(b, axes, axisRef(o), 1);
        unflattenAxes(b, t.sides.k, axisRef(kk), 1);
        const made = lower(b, at);
        b.flats.length = flats;
        return made;
      }),
  };
}

// ---- Products -------------------------------------------------------------------------------------------------------

/** One tile of K: in steps of the matrices' shape, all of a subgroup's rows and columns are loaded and multiplied. */
function products(
  t: MatrixTile,
  sides: readonly [Side, Side],
  k0: KernelExpr,
  halves: readonly (readonly [Staged, KernelExpr])[],
): void {
  const { b, s, config } = t;
  const [left, right] = sides;
  const statements = inFrame(b, t.active !== undefined, () => {
    for (let k = 0; k < s.tileK; k += config.k) {
      for (const side of sides)
        for (let i = 0; i < side.count; i++) {
          const half = halves.find(([x]) => x === side.from)?.[1] ?? kint(0);
          emit(b, loadMatrix(t, side, i, k, k0, half));
        }
      for (let i = 0; i < left.count; i++)
        for (let j = 0; j < right.count; j++)
          emit(b, {
            kind: "matrix",
            op: "multiply",
            place: { matrices: t.sums, index: kint(i * right.count + j) },
            left: { matrices: left.matrices, index: kint(i) },
            right: { matrices: right.matrices, index: kint(j) },
          });
    }
  });
  emit(b, ...whenActive(t, statements));
}

/** The i-th of a subgroup's matrices at element k of the tile of K. */
function loadMatrix(t: MatrixTile, x: Side, i: number, k: number, k0: KernelExpr, half: KernelExpr): Statement {
  const { b } = t;
  const { from } = x;
  const place = { matrices: x.matrices, index: kint(i) };
  // A left matrix has its outer positions down, a right one across.
  const orderOf = (fast: "k" | "outer"): "row" | "column" => ((fast === "k") === (x.use === "left") ? "row" : "column");
  const inside = iadd(x.inside, kint(i * x.unit));
  if ("memory" in from) {
    const offset =
      from.layout === "k" ? iadd(imul(inside, kint(from.pitch)), kint(k)) : iadd(inside, kint(k * from.pitch));
    return {
      kind: "matrix",
      op: "load",
      place,
      buffer: from.memory,
      offset: iadd(half, offset),
      stride: kint(from.pitch),
      order: orderOf(from.layout),
    };
  }
  // Past the end the last whole matrix is taken: its products are never stored.
  const at = iadd(x.base, inside);
  const group = x.use === "left" ? t.groupRows : t.groupColumns;
  const whole = divisible(x.extent, group);
  const outer = whole ? at : kapply("min", at, ksize(subExtent(x.extent, size(x.unit))));
  return {
    kind: "matrix",
    op: "load",
    place,
    buffer: from.buffer,
    offset: from.offset(name(b, "o", outer), iadd(k0, kint(k))),
    stride: ksize(from.stride),
    order: orderOf(from.order),
  };
}
