/** What a kernel of rows is made of, and how an invocation walks along its rows. */
import { addForms, linearOf, scaleForm } from "../../../ir/affine.ts";
import { ceilDivExtent, divExtent, type Extent, size } from "../../../ir/extent.ts";
import { iadd, ilt, imul, type KernelExpr, kapply, kint, ksize, type Lanes } from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, i32, type TensorExpr, type TensorRef } from "../../../ir/tensor.ts";
import { divisible, formExpression } from "../affine.ts";
import type { RowPhase } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import type { Tree } from "./accumulate.ts";
import { aliasAxes, aliasAxis, type Builder, bindAxis, inCopy, name } from "./builder.ts";
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

// ---- Walking ------------------------------------------------------------------------------------------------------

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

export function walkPhase(
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
