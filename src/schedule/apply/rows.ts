/**
 * The engine of the row and reduction templates: invocations own rows (points of the parallel axes), run the phases for
 * them, and combine partial values through workgroup memory or a subgroup.
 */

import { addForms, linearOf, scaleForm } from "../../../ir/affine.ts";
import type { DType } from "../../../ir/dtype.ts";
import { ceilDivExtent, divExtent, type Extent, ONE, productExtent, size, subExtent } from "../../../ir/extent.ts";
import {
  iadd,
  ilt,
  imul,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvar,
  loop,
  type Statement,
  variable,
  when,
} from "../../../ir/kernel.ts";
import {
  type Axis,
  axis,
  axisRef,
  i32,
  input,
  type Reduce,
  read,
  shapeOf,
  type TensorExpr,
} from "../../../ir/tensor.ts";
import { divisible, formExpression } from "../affine.ts";
import type { AppliedKernel, Temporary } from "../applied.ts";
import type { RowPhase } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import {
  aliasAxis,
  type Builder,
  bindAxis,
  checkGroup,
  emit,
  finish,
  inFrame,
  level,
  name,
  newBuilder,
} from "./builder.ts";
import { partialOf } from "./phases.ts";
import { runPhases } from "./row-online.ts";
import { type RowJob, type Rows, type RowTile, rowLanes } from "./row-walk.ts";
import { unitsOf } from "./walk.ts";
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
    if (tile.rowsFirst) throw new ScheduleError("combine", "neighbouring invocations have different rows");
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
  const wide = tile.wide ?? 1;
  if (wide > 1 && (tile.vector === 1 || tile.hold > 0))
    throw new ScheduleError("wide", "only vectors that are not held are loaded side by side");
  const beside = tile.vectorOn === "points" ? wide : 1;
  if (wide > 1 && tile.vectorOn === "row" && tile.unroll !== wide)
    throw new ScheduleError("wide", `${wide} vectors side by side of ${tile.unroll} done together`);
  const split = (tile.down ?? 1) > 1 ? splitAxis(job, tile) : undefined;
  const units = unitsOf(split?.axes ?? job.axes, pointLanes);
  if (beside > 1 && (tile.each !== beside || !divisible(units, beside)))
    throw new ScheduleError("wide", `an invocation has ${tile.each} of ${units.text} vectors of columns`);
  const places = divExtent(units, size(beside));
  const each = split ? 1 : tile.each / beside;
  const perGroup = tile.rows * each;
  const whole = divisible(places, perGroup);
  const [g, x, y, z] = [variable("g"), variable("x"), variable("y"), variable("part")];
  const [rowVar, threadVar] = tile.rowsFirst ? [x, y] : [y, x];
  const oneThread = tile.threads === 1;
  const rowPlace: KernelExpr = tile.rows === 1 ? kint(0) : kvar(rowVar);
  const thread: KernelExpr = oneThread ? kint(0) : kvar(threadVar);
  const inner = inFrame(b, false, () => {
    const rowAxes: Axis[] = [];
    const valid: (KernelExpr | undefined)[] = [];
    const guardAll = !whole && !shared && each === 1;
    const first = iadd(imul(kvar(g), kint(perGroup)), rowPlace);
    const run = (): void => {
      for (let e = 0; e < each; e++) {
        const a = axis("row", places);
        const at = iadd(first, kint(e * tile.rows));
        let exists: KernelExpr | undefined;
        if (whole || guardAll) bindAxis(b, a, at);
        else {
          const named = name(b, "row", at);
          bindAxis(b, a, name(b, "inside", kapply("min", named, ksize(subExtent(places, ONE)))));
          exists = name(b, "valid", ilt(named, ksize(places)));
        }
        const own =
          beside > 1 ? neighbours(b, a, units, beside) : split ? Array.from({ length: tile.each }, () => a) : [a];
        rowAxes.push(...own);
        valid.push(...own.map(() => exists));
      }
      runPhases({
        b,
        job,
        tile,
        rowAxes,
        split,
        rowValid: valid,
        rowPlace,
        thread,
        at: level(b),
        trees: new Map(),
        part: tile.parts > 1 ? kvar(z) : undefined,
        held: new Map(),
      });
    };
    if (guardAll) {
      const statements = inFrame(b, true, run);
      emit(b, ...when(ilt(first, ksize(places)), statements));
    } else run();
  });
  const [tx, ty] = [kint(gx), kint(gy)];
  let body: readonly Statement[] = gy > 1 ? [loop(y, ty, inner, "thread.y")] : inner;
  body = [loop(x, tx, body, "thread.x")];
  if (tile.parts > 1) body = [loop(z, kint(tile.parts), body, "grid.y")];
  body = [loop(g, ksize(ceilDivExtent(places, size(perGroup))), body, "grid.x")];
  return finish(b, body);
}

/** The parallel axes with one in place of that before the last, for each of whose positions an invocation does `tile.each` of its. */
function splitAxis(job: RowJob, tile: RowTile): NonNullable<Rows["split"]> {
  const of = job.axes.at(-2);
  if (!of || tile.vectorOn !== "points" || !divisible(of.extent, tile.each))
    throw new ScheduleError("down", `no axis before the last is a multiple of ${tile.each}`, of?.name);
  const by = axis(of.name, divExtent(of.extent, size(tile.each)));
  return { axes: job.axes.map((a) => (a === of ? by : a)), of, by };
}

/** The units of a place that has `count` of them. */
function neighbours(b: Builder, place: Axis, units: Extent, count: number): readonly Axis[] {
  const first = scaleForm(linearOf(axisRef(place)), size(count));
  return Array.from({ length: count }, (_, c) => {
    const a = axis("row", units);
    aliasAxis(b, a, formExpression(addForms(first, linearOf(i32(c)))));
    return a;
  });
}

function checkPhase(p: RowPhase, tile: RowTile): void {
  const lanes = rowLanes(tile);
  const axes = p.kind === "reduce" ? p.reduce.axes : p.axes;
  if (axes.length > 0 && lanes > 1 && !divisible(axes[axes.length - 1]?.extent ?? ONE, lanes))
    throw new ScheduleError(
      "vector",
      `the innermost extent of ${p.def.name} is not a multiple of ${lanes}`,
      axes[axes.length - 1]?.name,
    );
  if (p.kind !== "reduce" || p.reduce.monoid.commutative) return;
  if (lanes > 1) throw new ScheduleError("vector", `${p.reduce.monoid.name} does not commute`);
  if (tile.hold > 0 && tile.threads > 1) throw new ScheduleError("pass", `${p.reduce.monoid.name} does not commute`);
  if (tile.unroll > 1) throw new ScheduleError("each", `${p.reduce.monoid.name} does not commute`);
  if (tile.threads > 1 && tile.combine === "subgroup")
    throw new ScheduleError("combine", `${p.reduce.monoid.name} does not commute`);
}

// ---- Two stages ---------------------------------------------------------------------------------------------------

/** Two kernels: partial reductions of parts of the row, then their combination with whatever follows. */
export function twoStages(
  job: RowJob,
  first: RowTile,
  second: RowTile,
  target: Target,
  prepare: (b: Builder) => void,
): readonly AppliedKernel[] {
  const [phase, ...rest] = job.phases;
  if (phase?.kind !== "reduce" || rest.some((p) => p.kind === "reduce"))
    throw new ScheduleError("parts", "only a single reduction is done in parts");
  const m = phase.reduce.monoid;
  const parts = axis("part", size(first.parts));
  const partials = m.slots.map((d: DType, s) => input(`${phase.def.name}_part${s}`, d, [parts, ...job.axes]));
  const temporaries = partials.map(
    (p, s): Temporary => ({
      kind: "temporary",
      name: p.name,
      dtype: m.slots[s] ?? "f32",
      size: productExtent(shapeOf(p)),
    }),
  );
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
  const again = reduceOver(
    m,
    parts,
    partials.map((p) => read(p, 0, [axisRef(parts), ...job.axes.map((a) => axisRef(a))])),
  );
  const two = rowKernel({ ...job, phases: [{ ...phase, reduce: again }, ...rest] }, second, target, withParts);
  return [one, two];
}

function reduceOver(m: Reduce["monoid"], a: Axis, values: readonly TensorExpr[]): Reduce {
  return { kind: "reduce", id: -1, dtype: m.slots[0] ?? "f32", monoid: m, axes: [a], values, slot: 0 };
}
