/**
 * The engine of the row and reduction templates: invocations own rows (points of the parallel axes), run the phases for
 * them, and combine partial values through workgroup memory or a subgroup.
 */
import type { DType } from "../../../ir/dtype.ts";
import { ceilDivExtent, divExtent, type Extent, ONE, productExtent, size, subExtent } from "../../../ir/extent.ts";
import {
  iadd, ilt, imul, type KernelExpr, kand, kapply, kint, ksize, kvar, type Lanes, loop, type Statement, variable, when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, type Definition, i32, input, type MapDef, read, type Reduce, shapeOf, type TensorExpr, type TensorRef } from "../../../ir/tensor.ts";
import type { AppliedKernel, Temporary } from "../applied.ts";
import { divisible } from "../affine.ts";
import { lower, resolve, storeAt } from "../lower.ts";
import type { RowPhase } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { accumulate, type Accumulator, gather, newAccumulator, newTree, reset, subgroupCombine, type Tree, treeCombine } from "./accumulate.ts";
import { aliasAxes, bindAxis, type Builder, checkGroup, emit, finish, inCopy, inFrame, level, name, newBuilder } from "./builder.ts";
import { collapse, countOf, neverEmpty, unflattenAxes, unitsOf, walk } from "./walk.ts";

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
  readonly combine: "workgroup" | "subgroup";
  /** More than 0: a row's elements stay in registers, this many units an invocation. */
  readonly hold: number;
  /** Only a part of each row, and partial results are stored instead of results. */
  readonly parts: number;
}

interface Rows {
  readonly b: Builder;
  readonly job: RowJob;
  readonly tile: RowTile;
  readonly runs: readonly (readonly Axis[])[];
  /** One axis for each of the rows that an invocation does together; its position is inside whether or not the row exists. */
  readonly rowAxes: readonly Axis[];
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
function rowLanes(tile: RowTile): Lanes {
  return tile.vectorOn === "row" ? tile.vector : 1;
}

export function rowKernel(job: RowJob, tile: RowTile, target: Target, prepare: (b: Builder) => void): AppliedKernel {
  const b = newBuilder(job.name, target, tile.vector);
  prepare(b);
  const pointLanes = tile.vectorOn === "points" ? tile.vector : 1;
  const lastPoint = job.axes[job.axes.length - 1];
  if (pointLanes > 1 && (!lastPoint || !divisible(lastPoint.extent, pointLanes)))
    throw new ScheduleError("vector", `the last parallel extent is not a multiple of ${pointLanes}`, lastPoint?.name);
  for (const p of job.phases) checkPhase(p, tile);
  const shared = tile.threads > 1;
  if (shared && tile.combine === "subgroup") {
    const [low, high] = [target.subgroupMinSize, target.subgroupMaxSize];
    if (low < 1 || low !== high || tile.threads !== low || !target.features.includes("subgroups"))
      throw new ScheduleError("combine", `rows of ${tile.threads} invocations on subgroups of ${low} to ${high}`);
  }
  const [gx, gy] = tile.rowsFirst ? [tile.rows, tile.threads] : [tile.threads, tile.rows];
  checkGroup(target, gx, gy);
  for (const p of job.phases) {
    if (p.kind === "reduce") b.onChip.add(p.def);
    else {
      // A later phase may read what this one stores: it is computed again, at the point that is read.
      const axes = p.point.map((x) => (x.kind === "axis" ? x.axis : undefined));
      if (axes.every((a) => a !== undefined)) b.inlined.set(p.def, { axes, results: p.results });
      else b.onChip.add(p.def);
    }
  }
  const units = unitsOf(job.axes, pointLanes);
  const perGroup = tile.rows * tile.each;
  const whole = divisible(units, perGroup);
  const [g, x, y, z] = [variable("g"), variable("x"), variable("y"), variable("part")];
  const [rowVar, threadVar] = tile.rowsFirst ? [x, y] : [y, x];
  const oneThread = tile.threads === 1;
  const rowPlace: KernelExpr = tile.rows === 1 ? kint(0) : kvar(rowVar);
  const thread: KernelExpr = oneThread ? kint(0) : kvar(threadVar);
  const inner = inFrame(b, false, () => {
    const rowAxes: Axis[] = [];
    const valid: (KernelExpr | undefined)[] = [];
    const guardAll = !whole && !shared && tile.each === 1;
    const first = iadd(imul(kvar(g), kint(perGroup)), rowPlace);
    const run = (): void => {
      for (let e = 0; e < tile.each; e++) {
        const a = axis("row", units);
        const at = iadd(first, kint(e * tile.rows));
        if (whole || guardAll) {
          bindAxis(b, a, at);
          valid.push(undefined);
        } else {
          const named = name(b, "row", at);
          bindAxis(b, a, name(b, "inside", kapply("min", named, ksize(subExtent(units, ONE)))));
          valid.push(name(b, "valid", ilt(named, ksize(units))));
        }
        rowAxes.push(a);
      }
      const runs = collapse(job.axes, job.phases.flatMap(expressionsOfPhase), pointsOf(job));
      runPhases({
        b, job, tile, runs, rowAxes, rowValid: valid, rowPlace, thread, at: level(b), trees: new Map(),
        part: tile.parts > 1 ? kvar(z) : undefined, held: new Map(),
      });
    };
    if (guardAll) {
      const statements = inFrame(b, true, run);
      emit(b, ...when(ilt(first, ksize(units)), statements));
    } else run();
  });
  const [tx, ty] = [kint(gx), kint(gy)];
  let body: readonly Statement[] = gy > 1 ? [loop(y, ty, inner, "thread.y")] : inner;
  body = [loop(x, tx, body, "thread.x")];
  if (tile.parts > 1) body = [loop(z, kint(tile.parts), body, "grid.y")];
  body = [loop(g, ksize(ceilDivExtent(units, size(perGroup))), body, "grid.x")];
  return finish(b, body);
}

function checkPhase(p: RowPhase, tile: RowTile): void {
  const lanes = rowLanes(tile);
  const axes = p.kind === "reduce" ? p.reduce.axes : p.axes;
  if (axes.length > 0 && lanes > 1 && !divisible(axes[axes.length - 1]?.extent ?? ONE, lanes))
    throw new ScheduleError("vector", `the innermost extent of ${p.def.name} is not a multiple of ${lanes}`, axes[axes.length - 1]?.name);
  if (p.kind !== "reduce" || p.reduce.monoid.commutative) return;
  if (lanes > 1) throw new ScheduleError("vector", `${p.reduce.monoid.name} does not commute`);
  if (tile.unroll > 1) throw new ScheduleError("each", `${p.reduce.monoid.name} does not commute`);
  if (tile.threads > 1 && tile.combine === "subgroup") throw new ScheduleError("combine", `${p.reduce.monoid.name} does not commute`);
}

function expressionsOfPhase(p: RowPhase): readonly TensorExpr[] {
  return p.kind === "reduce" ? p.reduce.values : p.results;
}

function pointsOf(job: RowJob): readonly { at: readonly TensorExpr[]; shape: readonly Extent[] }[] {
  return job.phases.flatMap((p) => (p.kind === "store" ? [{ at: p.point, shape: shapeOf(p.def) }] : []));
}

// ---- Phases -------------------------------------------------------------------------------------------------------

/** Runs `body` with the parallel axes standing for the e-th row of the invocation. */
function inRow<T>(r: Rows, e: number, body: () => T): T {
  const a = r.rowAxes[e];
  if (!a) throw new Error(`no row ${e}`);
  return inCopy(r.b, () => {
    const flats = r.b.flats.length;
    unflattenAxes(r.b, r.job.axes, axisRef(a), r.tile.vectorOn === "points" ? r.tile.vector : 1);
    for (const p of r.job.phases)
      if (p.def.axes.length === r.job.axes.length && p.def.axes.some((x, i) => x !== r.job.axes[i]) && p.kind === "reduce")
        aliasAxes(r.b, p.def.axes, r.job.axes.map((x) => axisRef(x)));
    const made = body();
    r.b.flats.length = flats;
    return made;
  });
}

function runPhases(r: Rows): void {
  r.job.phases.forEach((p) => {
    if (p.kind === "reduce") reducePhase(r, p.def, p.reduce);
    else storePhase(r, p);
  });
}

function walkPhase(r: Rows, axes: readonly Axis[], exprs: readonly TensorExpr[], points: readonly { at: readonly TensorExpr[]; shape: readonly Extent[] }[], ordered: boolean, body: (u: number, valid: KernelExpr | undefined) => void): void {
  const { b, tile } = r;
  const lanes = rowLanes(tile);
  const held = heldUnits(r, axes, lanes);
  if (held) {
    held.forEach((h, u) => {
      inCopy(b, () => {
        const flats = b.flats.length;
        unflattenAxes(b, axes, axisRef(h.axis), lanes);
        body(u, h.valid);
        b.flats.length = flats;
      });
    });
    return;
  }
  let runs = collapse(axes, exprs, points);
  const total = unitsOf(axes, lanes);
  // Split among invocations, or cut into parts, all axes are one run: nested loops would leave invocations idle.
  const innerCount = runs.length > 0 ? countOf(runs[runs.length - 1] ?? []).value : 1;
  if (runs.length > 1 && (tile.parts > 1 || ordered || (tile.threads > 1 && (innerCount ?? 0) < 4 * tile.threads * lanes))) runs = [axes];
  let range: { from: KernelExpr; to: KernelExpr } | undefined;
  if (r.part) {
    const chunk = ksize(ceilDivExtent(total, size(tile.parts)));
    range = {
      from: name(b, "from", kapply("min", imul(r.part, chunk), ksize(total))),
      to: name(b, "to", kapply("min", imul(iadd(r.part, kint(1)), chunk), ksize(total))),
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
    walk(b, runs, { start: kint(0), step: 1, unroll: 1, lanes, range }, (u) => body(u, undefined));
    return;
  }
  const unroll = runs.length > 0 ? unrollOf(tile, unitsOf(runs[runs.length - 1] ?? [], lanes)) : 1;
  walk(b, runs, { start: r.thread, step: tile.threads, unroll, lanes, ...(range ? { range } : {}) }, (u) => body(u, undefined));
}

/** No more units together than an invocation has. */
function unrollOf(tile: RowTile, count: Extent): number {
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
  if (needed > tile.hold) throw new ScheduleError("hold", `${needed} units an invocation do not fit in ${tile.hold}`, axes[0]?.name);
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

function reducePhase(r: Rows, def: MapDef, reduceOf: Reduce): void {
  const { b, tile } = r;
  const m = reduceOf.monoid;
  const ordered = !m.commutative && (tile.threads > 1 || tile.parts > 1);
  const unroll = Math.max(1, tile.hold > 0 ? 1 : tile.unroll);
  const acc = newAccumulator(b, m, tile.each * unroll, tile.vector);
  walkPhase(r, reduceOf.axes, reduceOf.values, [], ordered, (u, valid) => {
    for (let e = 0; e < tile.each; e++)
      inRow(r, e, () => {
        const values = reduceOf.values.map((v) => lower(b, v));
        accumulate(b, acc, e * unroll + (u % unroll), values, valid);
      });
  });
  const results = Array.from({ length: tile.each }, (_, e) => resultOf(r, acc, e, unroll, ordered));
  results.forEach((values, e) => {
    if (r.part) return;
    inRow(r, e, () => {
      const nodes = m.slots.map((_, s) => resolve(b, read(def, s, r.job.axes.map((a) => axisRef(a)))));
      values.forEach((v, s) => {
        const node = nodes[s];
        const frame = b.frames[r.at];
        if (node && frame) frame.memo.set(node, { expr: v, level: r.at });
      });
    });
  });
  if (r.part) storePartials(r, def, results);
  else storeReduced(r, def, results);
}

/** The reduction of one row, known to all of its invocations. */
function resultOf(r: Rows, acc: Accumulator, e: number, unroll: number, ordered: boolean): readonly KernelExpr[] {
  const { b, tile } = r;
  const keep = tile.vectorOn === "points";
  const own = gather(b, acc, keep, Array.from({ length: unroll }, (_, u) => e * unroll + u));
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
          if (v) storeAt(r.b, ref, r.job.axes.map((a) => axisRef(a)), v);
        }
      });
    });
  });
}

function storePhase(r: Rows, p: Extract<RowPhase, { kind: "store" }>): void {
  const { b, tile } = r;
  const stored = r.job.stores.filter((s) => s.tensor === p.def);
  if (stored.length === 0) return;
  const put = (e: number): void => {
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
  walkPhase(r, p.axes, p.results, [{ at: p.point, shape: shapeOf(p.def) }], false, (_, unitValid) => {
    for (let e = 0; e < tile.each; e++) {
      const valid = r.rowValid[e];
      const condition = valid && unitValid ? kand(valid, unitValid) : (valid ?? unitValid);
      const body = (): void => inRow(r, e, () => put(e));
      if (condition) emit(b, ...when(condition, inFrame(b, true, body)));
      else body();
    }
  });
}

// ---- Two stages ---------------------------------------------------------------------------------------------------

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
const partialOf = new WeakMap<Builder, readonly Definition[]>();

/** Two kernels: partial reductions of parts of the row, then their combination with whatever follows. */
export function twoStages(job: RowJob, first: RowTile, second: RowTile, target: Target, prepare: (b: Builder) => void): readonly AppliedKernel[] {
  const [phase, ...rest] = job.phases;
  if (phase?.kind !== "reduce" || rest.some((p) => p.kind === "reduce"))
    throw new ScheduleError("parts", "only a single reduction is done in parts");
  const m = phase.reduce.monoid;
  const parts = axis("part", size(first.parts));
  const partials = m.slots.map((d: DType, s) => input(`${phase.def.name}_part${s}`, d, [parts, ...job.axes]));
  const temporaries = partials.map((p, s): Temporary => ({
    kind: "temporary", name: p.name, dtype: m.slots[s] ?? "f32", size: productExtent(shapeOf(p)),
  }));
  const withParts = (b: Builder): void => {
    partials.forEach((p, s) => {
      const t = temporaries[s];
      if (t) b.temporaries.set(p, [t]);
    });
    prepare(b);
  };
  const one = rowKernel({ ...job, name: `${job.name}_parts`, phases: [phase], stores: [] }, first, target, (b) => {
    withParts(b);
    partialOf.set(b, partials);
  });
  const again = reduceOver(m, parts, partials.map((p) => read(p, 0, [axisRef(parts), ...job.axes.map((a) => axisRef(a))])));
  const two = rowKernel({ ...job, phases: [{ ...phase, reduce: again }, ...rest] }, second, target, withParts);
  return [one, two];
}

function reduceOver(m: Reduce["monoid"], a: Axis, values: readonly TensorExpr[]): Reduce {
  return { kind: "reduce", id: -1, dtype: m.slots[0] ?? "f32", monoid: m, axes: [a], values, slot: 0 };
}

