/** The last kernels of a scatter by sorting: each result combines the run of positions that fall on it. */
import { divExtent, mulExtent, productExtent, size } from "../../../ir/extent.ts";
import {
  type Buffer,
  iadd,
  idiv,
  ilt,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kint,
  kvar,
  load,
  loop,
  splat,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { axis, axisRef, constant, type Definition, input, read, shapeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { flatten } from "../affine.ts";
import type { AppliedKernel, Temporary } from "../applied.ts";
import { lower, storeAt } from "../lower.ts";
import type { ScatterRegion } from "../region.ts";
import { type ScatterSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { combine } from "./accumulate.ts";
import { type Builder, bindAxis, emit, finish, inFrame, name, newBuilder, newPrivate, originOf } from "./builder.ts";
import { fixedAxes, startOf, withinDomain } from "./scatter-common.ts";
import { bound, type SortPlan } from "./scatter-plan.ts";
import { perUnit } from "./units.ts";
import { laneable, unflattenAxes } from "./walk.ts";

/** What the kernels that walk runs have in common. */
interface Runs {
  readonly b: Builder;
  readonly region: ScatterRegion;
  readonly plan: SortPlan;
  readonly point: readonly TensorExpr[];
}

/** Where the run of the result at the point begins and ends. */
function boundsOf({ b, region, plan, point }: Runs, starts: Buffer): readonly [from: KernelExpr, to: KernelExpr] {
  const axes = plan.keyed.flatMap((d) => region.def.axes[d] ?? []);
  const at = plan.keyed.map((d, i) => point[d] ?? axisRef(axes[i]!));
  const extents = axes.map((a) => a.extent);
  const key = name(b, "key", lower(b, flatten(at, extents)));
  return [name(b, "from", load(starts, key)), name(b, "to", load(starts, iadd(key, kint(1))))];
}

/** The part of a run that one of `parts` takes: as many positions as the others, the last ones fewer. */
function sliceOf(b: Builder, run: readonly [KernelExpr, KernelExpr], part: KernelExpr, parts: number): typeof run {
  const each = name(b, "each", idiv(iadd(isub(run[1], run[0]), kint(parts - 1)), kint(parts)));
  const from = name(b, "begin", iadd(run[0], imul(each, part)));
  return [from, name(b, "end", kapply("min", iadd(from, each), run[1]))];
}

function newTotals({ b, region }: Runs, initial: (slot: number) => TensorExpr): readonly Buffer[] {
  return region.def.types.map((d, i) => {
    const total = newPrivate(b, "acc", d, 1, b.lanes);
    emit(b, store(total, kint(0), splat(lower(b, initial(i)), b.lanes)));
    return total;
  });
}

function take({ b, region }: Runs, totals: readonly Buffer[], values: readonly KernelExpr[]): void {
  const { monoid } = region.def;
  const old = totals.map((p) => load(p, kint(0)));
  const made = monoid === "set" ? values : combine(b, monoid, old, values).map((x) => name(b, "n", x));
  totals.forEach((p, i) => {
    const x = made[i];
    if (x) emit(b, store(p, kint(0), splat(x, b.lanes)));
  });
}

/** Combines the values at sorted places from … to into the totals. */
function walk(r: Runs, totals: readonly Buffer[], order: Buffer, [from, to]: readonly [KernelExpr, KernelExpr]): void {
  const { b, region, plan } = r;
  const v = variable("j");
  const statements = inFrame(b, true, () => {
    const position = axis("p", plan.positions);
    bindAxis(b, position, name(b, "p", load(order, kvar(v))));
    unflattenAxes(b, plan.searched, axisRef(position), 1);
    take(
      r,
      totals,
      region.def.values.map((x) => name(b, "v", splat(lower(b, x), b.lanes))),
    );
  });
  emit(b, loop(v, to, statements, "loop", from));
}

/** Each result from its run, or from what `parts` invocations have made of it. */
export function results(
  region: ScatterRegion,
  plan: SortPlan,
  s: ScatterSchedule,
  target: Target,
  starts: Temporary,
  order: Temporary,
): readonly AppliedKernel[] {
  const { def } = region;
  const last = def.axes.length - 1;
  if (s.vector > 1 && (!laneable(def.axes, s.vector) || plan.keyed.includes(last)))
    throw new ScheduleError("vector", "the lanes of a vector would have different runs", def.axes[last]?.name);
  const shorter = [...fixedAxes(region)].some(([a, d]) => d === last && a.extent !== def.axes[last]?.extent);
  if (s.vector > 1 && shorter)
    throw new ScheduleError("vector", "some lanes of a vector would lie outside the domain", def.axes[last]?.name);
  const parts = s.parts ?? 1;
  const monoid = parts > 1 ? def.monoid : undefined;
  if (monoid === "set") throw new ScheduleError("parts", "the last of the values counts, not a sum of them");
  const partAxis = axis("part", size(parts));
  const partial = def.types.map((d, i) => input(`${def.name}_part${i}`, d, [partAxis, ...def.axes]));
  const kept = new Map<Definition, readonly Temporary[]>(
    partial.map((t) => [
      t,
      [{ kind: "temporary", name: t.name, dtype: t.types[0] ?? "f32", size: productExtent(shapeOf(t)) }],
    ]),
  );
  const begin = (label: string): Builder => {
    const b = newBuilder(`${region.name}${label}`, target, s.vector);
    originOf(b, region);
    for (const [d, t] of kept) b.temporaries.set(d, t);
    return b;
  };
  const point = def.axes.map((a) => axisRef(a));
  const units = divExtent(productExtent(shapeOf(def)), size(s.vector));
  const made: AppliedKernel[] = [];
  if (monoid) {
    const b = begin("_parts");
    const [from, sequence] = [bound(b, starts, "read"), bound(b, order, "read")];
    const body = perUnit(b, mulExtent(size(parts), units), s.threads, (unit) => {
      unflattenAxes(b, [partAxis, ...def.axes], unit, s.vector);
      const r: Runs = { b, region, plan, point };
      const totals = newTotals(r, (i) => monoid.identity[i] ?? constant(def.types[i] ?? "f32", 0));
      withinDomain(r.b, r.region, r.point, r.plan.keyed, () => {
        const run = boundsOf(r, from);
        walk(r, totals, sequence, sliceOf(b, run, lower(b, axisRef(partAxis)), parts));
      });
      partial.forEach((t, i) => {
        const total = totals[i];
        if (total)
          storeAt(b, { tensor: t, slot: 0 }, [axisRef(partAxis), ...point], name(b, "r", load(total, kint(0))));
      });
    });
    made.push(finish(b, body));
  }
  const b = begin("");
  const from = bound(b, starts, "read");
  const sequence = monoid ? undefined : bound(b, order, "read");
  const body = perUnit(b, units, s.threads, (unit) => {
    unflattenAxes(b, def.axes, unit, s.vector);
    const r: Runs = { b, region, plan, point };
    const totals = newTotals(r, (i) => startOf(region, point, i));
    withinDomain(r.b, r.region, r.point, r.plan.keyed, () => {
      const run = boundsOf(r, from);
      if (sequence) {
        walk(r, totals, sequence, run);
        return;
      }
      const v = variable("part");
      const statements = inFrame(b, true, () => {
        bindAxis(b, partAxis, kvar(v));
        const [first, end] = sliceOf(b, run, kvar(v), parts);
        const add = (): void =>
          take(
            r,
            totals,
            partial.map((t) => name(b, "v", lower(b, read(t, 0, [axisRef(partAxis), ...point])))),
          );
        // Parts without positions leave the sign of a zero alone.
        emit(b, ...when(ilt(first, end), inFrame(b, true, add)));
      });
      emit(b, loop(v, kint(parts), statements));
    });
    for (const ref of region.stores) {
      const total = totals[ref.slot];
      if (total) storeAt(b, ref, point, name(b, "r", load(total, kint(0))));
    }
  });
  return [...made, finish(b, body)];
}
