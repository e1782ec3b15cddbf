/**
 * A scatter by sorting: the positions are brought into the order of the results that they fall on, by a stable radix sort of their keys,
 * and each result then combines a run of them. The order within a run is the domain's, so the bits are those of one after the other.
 * Kernels: keys; for each digit counts by blocks, their running sum and the move; where each run begins; the results, from `parts` slices of each run where runs are long and
 * results few.
 */
import { addExtent, ceilDivExtent, type Extent, mulExtent, ONE, size } from "../../../ir/extent.ts";
import {
  iadd,
  ilt,
  imul,
  isub,
  type KernelExpr,
  kand,
  kapply,
  kint,
  ksize,
  kvar,
  load,
  loop,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { addMonoid } from "../../../ir/monoid.ts";
import { axis, axisRef, type Definition, input, read, scanDef } from "../../../ir/tensor.ts";
import { flatten, sidesProved } from "../affine.ts";
import type { AppliedKernel, BufferSource, Temporary } from "../applied.ts";
import { lower } from "../lower.ts";
import type { ScatterRegion } from "../region.ts";
import { type ScatterSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { emit, finish, inFrame, name, newBuilder, newPrivate, originOf } from "./builder.ts";
import { applyScan } from "./scan.ts";

import { bound, type SortPlan, sortPlan } from "./scatter-plan.ts";
import { results } from "./scatter-runs.ts";
import { perUnit } from "./units.ts";
import { unflattenAxes } from "./walk.ts";

/** Positions that one invocation counts and moves, in order. */
const BLOCK = 256;
export function sorted(region: ScatterRegion, s: ScatterSchedule, target: Target): readonly AppliedKernel[] {
  const plan = sortPlan(region);
  if (plan.searched.length === 0) throw new ScheduleError("method", "every position has its result already");
  const made: AppliedKernel[] = [];
  const temporary = (what: string, extent: Extent): Temporary => ({
    kind: "temporary",
    name: `${region.def.name}_${what}`,
    dtype: "i32",
    size: extent,
  });
  let keys = temporary("keys", plan.positions);
  made.push(keysOf(region, plan, s, target, keys));
  let order: Temporary | undefined;
  let shift = 0;
  for (const [pass, bits] of plan.digits.entries()) {
    const bins = size(2 ** bits);
    const blocks = ceilDivExtent(plan.positions, size(BLOCK));
    const counts = temporary(`counts${pass}`, mulExtent(bins, blocks));
    const ends = temporary(`ends${pass}`, counts.size);
    const [nextKeys, nextOrder] = [temporary(`keys${pass}`, plan.positions), temporary(`order${pass}`, plan.positions)];
    const step: Pass = { region, plan, s, target, label: String(pass), shift, mask: 2 ** bits - 1, blocks };
    made.push(counted(step, keys, counts), ...runningSum(step, counts, ends));
    made.push(moved(step, { keys, order, ends, nextKeys, nextOrder }));
    [keys, order] = [nextKeys, nextOrder];
    shift += bits;
  }
  const starts = temporary("starts", addExtent(plan.keys, ONE));
  made.push(begun(region, plan, s, target, keys, starts));
  if (order) made.push(...results(region, plan, s, target, starts, order));
  return made;
}

/** The key of each position: the flat index of its result along the keyed axes, or their number if it falls outside. */
function keysOf(
  region: ScatterRegion,
  plan: SortPlan,
  s: ScatterSchedule,
  target: Target,
  keys: Temporary,
): AppliedKernel {
  const { def } = region;
  const b = newBuilder(`${region.name}_keys`, target, 1);
  originOf(b, region);
  const out = bound(b, keys, "write");
  const body = perUnit(b, plan.positions, s.threads, (unit) => {
    unflattenAxes(b, plan.searched, unit, 1);
    let valid: KernelExpr | undefined;
    const point = plan.keyed.map((d) => def.at[d] ?? axisRef(def.axes[d]!));
    const shape = plan.keyed.map((d) => def.axes[d]?.extent ?? ONE);
    point.forEach((x, i) => {
      const extent = shape[i] ?? ONE;
      const known = sidesProved(x, extent);
      const at = lower(b, x);
      for (const test of [
        known.low ? [] : [kapply("ge", at, kint(0))],
        known.high ? [] : [ilt(at, ksize(extent))],
      ].flat())
        valid = valid ? kand(valid, test) : test;
    });
    const key = lower(b, flatten(point, shape));
    emit(b, store(out, lower(b, unit), valid ? kapply("select", valid, key, ksize(plan.keys)) : key));
  });
  return finish(b, body);
}

interface Pass {
  readonly region: ScatterRegion;
  readonly plan: SortPlan;
  readonly s: ScatterSchedule;
  readonly target: Target;
  readonly label: string;
  readonly shift: number;
  readonly mask: number;
  readonly blocks: Extent;
}

/** Where the count of a key's digit lies for a block: digits outermost, so that the running sum is over them first. */
function countAt(p: Pass, key: KernelExpr, block: KernelExpr): KernelExpr {
  const digit = kapply("bitand", kapply("shr", key, kint(p.shift)), kint(p.mask));
  return iadd(imul(digit, ksize(p.blocks)), block);
}

/** How often each digit occurs in each block. */
function counted(p: Pass, keys: Temporary, counts: Temporary): AppliedKernel {
  const b = newBuilder(`${p.region.name}_count${p.label}`, p.target, 1);
  originOf(b, p.region);
  b.fills.push({ target: counts, pattern: 0 });
  const [from, to] = [bound(b, keys, "read"), bound(b, counts, "readwrite")];
  const body = perUnit(b, p.blocks, p.s.threads, (unit) => {
    const block = name(b, "block", lower(b, unit));
    const begin = name(b, "begin", imul(block, kint(BLOCK)));
    const end = kapply("min", iadd(begin, kint(BLOCK)), ksize(p.plan.positions));
    const v = variable("p");
    const statements = inFrame(b, true, () => {
      const at = name(b, "at", countAt(p, load(from, kvar(v)), block));
      emit(b, store(to, at, iadd(load(to, at), kint(1))));
    });
    emit(b, loop(v, end, statements, "loop", begin));
  });
  return finish(b, body);
}

/** The inclusive running sum of the counts, by the schedule of any other scan. */
function runningSum(p: Pass, counts: Temporary, ends: Temporary): readonly AppliedKernel[] {
  const along = axis("digit", counts.size);
  const counted = input(counts.name, "i32", [along]);
  const summed = scanDef([along], along, addMonoid("i32"), [read(counted, 0, [axisRef(along)])], { name: ends.name });
  const stores = [{ tensor: summed, slot: 0 }];
  const reads = [{ tensor: counted, slot: 0 }];
  const region = {
    kind: "scan",
    name: `${p.region.name}_sum${p.label}`,
    def: summed,
    epilogue: [],
    stores,
    reads,
  } as const;
  const schedule = {
    kind: "scan",
    vector: 1,
    swizzle: 0,
    variants: "guarded",
    threads: 64,
    each: 4,
    form: "blocks",
  } as const;
  const own = new Map<Definition, Temporary>([
    [counted, counts],
    [summed, ends],
  ]);
  const rebound = (x: BufferSource): BufferSource => (x.kind === "tensor" ? (own.get(x.ref.tensor) ?? x) : x);
  return applyScan(region, schedule, p.target).map((k) => ({ ...k, bindings: k.bindings.map(rebound) }));
}

/** Each position to its place: blocks are walked from their ends, and each digit's place counts down. */
function moved(
  p: Pass,
  t: {
    readonly keys: Temporary;
    readonly order: Temporary | undefined;
    readonly ends: Temporary;
    readonly nextKeys: Temporary;
    readonly nextOrder: Temporary;
  },
): AppliedKernel {
  const b = newBuilder(`${p.region.name}_move${p.label}`, p.target, 1);
  originOf(b, p.region);
  const [keys, order] = [bound(b, t.keys, "read"), t.order && bound(b, t.order, "read")];
  const ends = bound(b, t.ends, "readwrite");
  const [nextKeys, nextOrder] = [bound(b, t.nextKeys, "write"), bound(b, t.nextOrder, "write")];
  const body = perUnit(b, p.blocks, p.s.threads, (unit) => {
    const block = name(b, "block", lower(b, unit));
    const begin = name(b, "begin", imul(block, kint(BLOCK)));
    const end = name(b, "end", kapply("min", iadd(begin, kint(BLOCK)), ksize(p.plan.positions)));
    const v = variable("back");
    const statements = inFrame(b, true, () => {
      const from = name(b, "from", isub(isub(end, kint(1)), kvar(v)));
      const key = name(b, "key", load(keys, from));
      const at = name(b, "at", countAt(p, key, block));
      const to = name(b, "to", isub(load(ends, at), kint(1)));
      emit(b, store(ends, at, to), store(nextKeys, to, key), store(nextOrder, to, order ? load(order, from) : from));
    });
    emit(b, loop(v, isub(end, begin), statements));
  });
  return finish(b, body);
}

/** Where the run of each key begins; a key without positions begins where the next one does. */
function begun(
  region: ScatterRegion,
  plan: SortPlan,
  s: ScatterSchedule,
  target: Target,
  keys: Temporary,
  starts: Temporary,
): AppliedKernel {
  const b = newBuilder(`${region.name}_starts`, target, 1);
  originOf(b, region);
  const [from, to] = [bound(b, keys, "read"), bound(b, starts, "write")];
  const body = perUnit(b, addExtent(plan.positions, ONE), s.threads, (unit) => {
    const at = name(b, "at", lower(b, unit));
    const [before, here] = [newPrivate(b, "before", "i32", 1, 1), newPrivate(b, "here", "i32", 1, 1)];
    emit(b, store(before, kint(0), kint(-1)), store(here, kint(0), ksize(plan.keys)));
    emit(b, ...when(ilt(kint(0), at), [store(before, kint(0), load(from, isub(at, kint(1))))]));
    emit(b, ...when(ilt(at, ksize(plan.positions)), [store(here, kint(0), load(from, at))]));
    const v = variable("k");
    const first = name(b, "first", iadd(load(before, kint(0)), kint(1)));
    const last = name(b, "last", iadd(load(here, kint(0)), kint(1)));
    emit(b, loop(v, last, [store(to, kvar(v), at)], "loop", first));
  });
  return finish(b, body);
}
