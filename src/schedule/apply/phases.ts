import { addForms, linearOf, scaleForm } from "../../../ir/affine.ts";
import { ceilDivExtent, divExtent, type Extent, size } from "../../../ir/extent.ts";
import { iadd, ilt, imul, type KernelExpr, kand, kapply, kint, ksize, type Lanes, when } from "../../../ir/kernel.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Definition,
  i32,
  type MapDef,
  type Reduce,
  read,
  shapeOf,
  type TensorExpr,
  type TensorRef,
} from "../../../ir/tensor.ts";
import { divisible, formExpression } from "../affine.ts";
import { lower, resolve, storeAt } from "../lower.ts";
import type { RowPhase } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import {
  type Accumulator,
  accumulate,
  folded,
  gather,
  newAccumulator,
  newTree,
  subgroupCombine,
  type Tree,
  treeCombine,
} from "./accumulate.ts";
import { aliasAxes, aliasAxis, type Builder, bindAxis, emit, inCopy, inFrame, name } from "./builder.ts";
import { collapse, countOf, unflattenAxes, unitsOf, walk } from "./walk.ts";

export interface RowJob {
  readonly name: string;
  readonly axes: readonly Axis[];
  readonly phases: readonly RowPhase[];
  readonly stores: readonly TensorRef[];
}

export interface RowTile {
  /** Rows side by side in a workgroup, and rows that an invocation does together. */
  readonly rows: number;
  readonly each: number;
  /** Invocations a row. */
  readonly threads: number;
  /** Whether neighbouring invocations have neighbouring rows rather than neighbouring elements of one. */
  readonly rowsFirst: boolean;
  readonly vector: Lanes;
  /** Along the rows' elements, or along the last parallel axis. */
  readonly vectorOn: "row" | "points";
  readonly unroll: number;
  /** Vectors that one load takes (see Wide in schedule.ts): of the units done together, or of the rows. */
  readonly wide?: 1 | 2 | 4;
  /** Rows along the parallel axis before the last that an invocation does together: all of `each`. */
  readonly down?: number;
  /** What an invocation takes at a time becomes one scalar (or one vector, if along the points) before it meets the running value. */
  readonly fold?: boolean;
  readonly combine: "workgroup" | "subgroup";
  /** Reductions relative to one before them are computed in its pass (row-online.ts). */
  readonly online: boolean;
  /** More than 0: a row's elements stay in registers, this many units an invocation. */
  readonly hold: number;
  /** Only a part of each row, and partial results are stored instead of results. */
  readonly parts: number;
}

/** An invocation's rows while the phases run. */
export interface Rows {
  readonly b: Builder;
  readonly job: RowJob;
  readonly tile: RowTile;
  /** One axis for each of the rows that an invocation does together; its position is inside whether or not the row exists. */
  readonly rowAxes: readonly Axis[];
  /** With `down`: the parallel axes where one stands for so many positions of another. */
  readonly split?: { readonly axes: readonly Axis[]; readonly of: Axis; readonly by: Axis } | undefined;
  readonly rowValid: readonly (KernelExpr | undefined)[];
  readonly rowPlace: KernelExpr;
  readonly thread: KernelExpr;
  /** Depth of the frame in which rows are bound. */
  readonly at: number;
  readonly trees: Map<string, Tree>;
  readonly part: KernelExpr | undefined;
  readonly held: Map<string, readonly HeldUnit[]>;
}
interface HeldUnit {
  readonly axis: Axis;
  readonly valid: KernelExpr | undefined;
}

/** Elements of a row handled at a time along it. */
export function rowLanes(tile: RowTile): Lanes {
  return tile.vectorOn === "row" ? tile.vector : 1;
}

// ---- Phases -------------------------------------------------------------------------------------------------------

/** Runs `body` with the parallel axes standing for the e-th row of the invocation. */
export function inRow<T>(r: Rows, e: number, body: () => T): T {
  const a = r.rowAxes[e];
  if (!a) throw new Error(`no row ${e}`);
  return inCopy(r.b, () => {
    const flats = r.b.flats.length;
    const { split } = r;
    unflattenAxes(r.b, split?.axes ?? r.job.axes, axisRef(a), r.tile.vectorOn === "points" ? r.tile.vector : 1);
    if (split) {
      const first = scaleForm(linearOf(axisRef(split.by)), size(r.tile.each));
      aliasAxis(r.b, split.of, formExpression(addForms(first, linearOf(i32(e)))));
    }
    for (const p of r.job.phases)
      if (
        p.def.axes.length === r.job.axes.length &&
        p.def.axes.some((x, i) => x !== r.job.axes[i]) &&
        p.kind === "reduce"
      )
        aliasAxes(
          r.b,
          p.def.axes,
          r.job.axes.map((x) => axisRef(x)),
        );
    const made = body();
    r.b.flats.length = flats;
    return made;
  });
}

function walkPhase(
  r: Rows,
  axes: readonly Axis[],
  exprs: readonly TensorExpr[],
  points: readonly { at: readonly TensorExpr[]; shape: readonly Extent[] }[],
  ordered: boolean,
  block: number,
  body: (u: number, valid: KernelExpr | undefined, together: number) => void,
): void {
  const { b, tile } = r;
  const lanes = rowLanes(tile);
  const held = heldUnits(r, axes, lanes);
  if (held) {
    held.forEach((h, u) => {
      inCopy(b, () => {
        const flats = b.flats.length;
        unflattenAxes(b, axes, axisRef(h.axis), lanes);
        body(u, h.valid, held.length);
        b.flats.length = flats;
      });
    });
    return;
  }
  let runs = collapse(axes, exprs, points);
  const total = unitsOf(axes, lanes);
  // Split among invocations, or cut into parts, all axes are one run: nested loops would leave invocations idle.
  const innerCount = runs.length > 0 ? countOf(runs[runs.length - 1] ?? []).value : 1;
  if (
    runs.length > 1 &&
    (tile.parts > 1 || ordered || (tile.threads > 1 && (innerCount ?? 0) < 4 * tile.threads * lanes))
  )
    runs = [axes];
  // Windows that lie over each other meet the same elements only if all of them are at hand.
  if (r.split && runs.length > 1 && tile.threads * tile.parts === 1 && (total.value ?? block + 1) <= block)
    runs = [axes];
  const together = !ordered && block > 1 && inGroups(tile, runs);
  let range: { from: KernelExpr; to: KernelExpr } | undefined;
  if (r.part) {
    const count = together ? divExtent(total, size(block)) : total;
    const chunk = ksize(ceilDivExtent(count, size(tile.parts)));
    range = {
      from: name(b, "from", kapply("min", imul(r.part, chunk), ksize(count))),
      to: name(b, "to", kapply("min", imul(iadd(r.part, kint(1)), chunk), ksize(count))),
    };
  }
  if (ordered) {
    const [from, to] = range ? [range.from, range.to] : [kint(0), ksize(total)];
    const span = range ? kapply("sub", range.to, range.from) : ksize(total);
    const chunk = name(b, "chunk", kapply("floordiv", iadd(span, kint(tile.threads - 1)), kint(tile.threads)));
    range = {
      from: name(b, "from", kapply("min", iadd(from, imul(r.thread, chunk)), to)),
      to: name(b, "to", kapply("min", iadd(from, imul(iadd(r.thread, kint(1)), chunk)), to)),
    };
    walk(b, runs, { start: kint(0), step: 1, unroll: 1, lanes, range }, (u) => body(u, undefined, 1));
    return;
  }
  const inner = runs[runs.length - 1];
  const unroll = together ? block : inner ? Math.min(block, unrollOf(tile, unitsOf(inner, lanes))) : 1;
  const how = { start: r.thread, step: tile.threads, unroll, lanes, together, ...(range ? { range } : {}) };
  walk(b, runs, how, (u, _, __, n) => body(u, undefined, n));
}

/** Are all units of the innermost run done in groups of neighbours? */
export function inGroups(tile: RowTile, runs: readonly (readonly Axis[])[]): boolean {
  const inner = runs[runs.length - 1];
  return (
    (tile.wide ?? 1) > 1 &&
    tile.vectorOn === "row" &&
    inner !== undefined &&
    divisible(unitsOf(inner, tile.vector), tile.unroll)
  );
}

/** No more units together than an invocation has. */
export function unrollOf(tile: RowTile, count: Extent): number {
  const own = count.value === undefined ? tile.unroll : Math.floor(count.value / tile.parts / tile.threads);
  return Math.max(1, Math.min(tile.unroll, own));
}

/** The units of a row that this invocation keeps, the same for every phase over as many elements. */
function heldUnits(r: Rows, axes: readonly Axis[], lanes: number): readonly HeldUnit[] | undefined {
  const { b, tile } = r;
  if (tile.hold < 1 || axes.length === 0) return undefined;
  const count = unitsOf(axes, lanes);
  const key = axes.map((a) => a.extent.text).join(",");
  const old = r.held.get(key);
  if (old) return old;
  if (count.value === undefined || count.value < 1) return undefined;
  const needed = Math.ceil(count.value / tile.threads);
  if (needed > tile.hold)
    throw new ScheduleError("hold", `${needed} units an invocation do not fit in ${tile.hold}`, axes[0]?.name);
  const made = Array.from({ length: needed }, (_, h): HeldUnit => {
    const a = axis("k", count);
    const at = iadd(kint(h * tile.threads), r.thread);
    const last = (h + 1) * tile.threads <= (count.value ?? 0);
    if (last) {
      bindAxis(b, a, at);
      return { axis: a, valid: undefined };
    }
    const named = name(b, "k", at);
    bindAxis(b, a, name(b, "inside", kapply("min", named, kint((count.value ?? 1) - 1))));
    return { axis: a, valid: name(b, "valid", ilt(named, kint(count.value ?? 0))) };
  });
  r.held.set(key, made);
  return made;
}

export function reducePhase(r: Rows, def: MapDef, reduceOf: Reduce): void {
  const { b, tile } = r;
  const m = reduceOf.monoid;
  const ordered = !m.commutative && (tile.threads > 1 || tile.parts > 1);
  const fold = tile.fold === true && tile.hold === 0 && m.commutative;
  const unroll = fold || tile.hold > 0 ? 1 : Math.max(1, tile.unroll);
  const acc = newAccumulator(b, m, tile.each * unroll, fold && tile.vectorOn === "row" ? 1 : tile.vector);
  b.wide = tile.hold > 0 ? 1 : (tile.wide ?? 1);
  const taken = Array.from({ length: tile.each }, (): (readonly KernelExpr[])[] => []);
  walkPhase(r, reduceOf.axes, reduceOf.values, [], ordered, tile.unroll, (u, valid, together) => {
    for (let e = 0; e < tile.each; e++)
      inRow(r, e, () => {
        const values = reduceOf.values.map((v) => lower(b, v));
        if (!fold) {
          accumulate(b, acc, e * unroll + (u % unroll), values, valid);
          return;
        }
        const all = taken[e] ?? [];
        all.push(values);
        if (all.length === together) accumulate(b, acc, e, folded(b, m, all.splice(0), acc.lanes, tile.vector));
      });
  });
  b.wide = 1;
  const results = Array.from({ length: tile.each }, (_, e) => resultOf(r, acc, e, unroll, ordered));
  if (r.part) storePartials(r, def, results);
  else holdReduced(r, def, results);
}

/** Later phases read these values of the rows' reduction, by row and slot; stored where that is asked for. */
export function holdReduced(r: Rows, def: MapDef, results: readonly (readonly KernelExpr[])[]): void {
  const { b } = r;
  results.forEach((values, e) => {
    inRow(r, e, () => {
      const point = r.job.axes.map((a) => axisRef(a));
      values.forEach((v, s) => {
        const node = resolve(b, read(def, s, point));
        b.frames[r.at]?.memo.set(node, { expr: v, level: r.at });
      });
    });
  });
  storeReduced(r, def, results);
}

/** The reduction of one row, known to all of its invocations. */
export function resultOf(
  r: Rows,
  acc: Accumulator,
  e: number,
  unroll: number,
  ordered: boolean,
): readonly KernelExpr[] {
  const { b, tile } = r;
  const keep = tile.vectorOn === "points";
  const own = gather(
    b,
    acc,
    keep,
    Array.from({ length: unroll }, (_, u) => e * unroll + u),
  );
  if (tile.threads === 1) return own;
  if (tile.combine === "subgroup") return subgroupCombine(b, acc.monoid, own, tile.threads);
  const lanes = keep ? tile.vector : 1;
  const key = `${acc.monoid.slots.join(",")}/${lanes}`;
  let tree = r.trees.get(key);
  if (!tree) {
    tree = newTree(b, acc.monoid, tile.rows, tile.threads, lanes);
    r.trees.set(key, tree);
  }
  const stride = tile.rowsFirst ? { row: 1, thread: tile.rows } : { row: tile.threads, thread: 1 };
  return treeCombine(b, acc.monoid, tree, r.rowPlace, r.thread, own, ordered, stride);
}

/** Statements that only one invocation of an existing row runs. */
function byFirst(r: Rows, e: number, body: () => void): void {
  const { b, tile } = r;
  let condition = r.rowValid[e];
  if (tile.threads > 1) {
    const first = kapply("eq", r.thread, kint(0));
    condition = condition ? kand(condition, first) : first;
  }
  if (!condition) {
    body();
    return;
  }
  emit(b, ...when(condition, inFrame(b, true, body)));
}

function storeReduced(r: Rows, def: MapDef, results: readonly (readonly KernelExpr[])[]): void {
  const stored = r.job.stores.filter((s) => s.tensor === def);
  if (stored.length === 0) return;
  results.forEach((values, e) => {
    byFirst(r, e, () => {
      inRow(r, e, () => {
        for (const ref of stored) {
          const v = values[ref.slot];
          if (v)
            storeAt(
              r.b,
              ref,
              r.job.axes.map((a) => axisRef(a)),
              v,
            );
        }
      });
    });
  });
}

export function storePhase(r: Rows, p: Extract<RowPhase, { kind: "store" }>): void {
  const { b, tile } = r;
  const stored = r.job.stores.filter((s) => s.tensor === p.def);
  if (stored.length === 0) return;
  const put = (_e: number): void => {
    const point = p.point;
    for (const ref of stored) {
      const value = p.results[ref.slot];
      if (value) storeAt(b, ref, point, lower(b, value));
    }
  };
  if (p.axes.length === 0) {
    for (let e = 0; e < tile.each; e++) byFirst(r, e, () => inRow(r, e, () => put(e)));
    return;
  }
  // What is loaded together has no gain from being stored together: softmax 1024² took 1.06 of the time on SwiftShader.
  const block = tile.online || ((tile.wide ?? 1) > 1 && tile.vectorOn === "row") ? 1 : tile.unroll;
  walkPhase(r, p.axes, p.results, [{ at: p.point, shape: shapeOf(p.def) }], false, block, (_, unitValid) => {
    for (let e = 0; e < tile.each; e++) {
      const valid = r.rowValid[e];
      const condition = valid && unitValid ? kand(valid, unitValid) : (valid ?? unitValid);
      const body = (): void => inRow(r, e, () => put(e));
      if (condition) emit(b, ...when(condition, inFrame(b, true, body)));
      else body();
    }
  });
}

// ---- Partial results ----------------------------------------------------------------------------------------------

/** Where a kernel of parts puts its partial results, by slot. */
export const partialOf: WeakMap<Builder, readonly Definition[]> = new WeakMap();

function storePartials(r: Rows, def: MapDef, results: readonly (readonly KernelExpr[])[]): void {
  const partial = partialOf.get(r.b);
  if (!partial || !r.part) throw new Error("no place for partial results");
  const part = axis("part", size(r.tile.parts));
  results.forEach((values, e) => {
    byFirst(r, e, () => {
      if (r.part) bindAxis(r.b, part, r.part);
      inRow(r, e, () => {
        values.forEach((v, s) => {
          const t = partial[s];
          if (t) storeAt(r.b, { tensor: t, slot: 0 }, [axisRef(part), ...r.job.axes.map((a) => axisRef(a))], v);
        });
      });
    });
  });
  if (def.types.length === 0) throw new Error("a reduction without results");
}
