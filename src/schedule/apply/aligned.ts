/**
 * Contractions whose innermost extents no vector divides: operands are copied first, with N and K filled up by zeros to whole vectors.
 * What is loaded once for every row or column of a tile is then loaded whole; results are stored by elements.
 */
import { size } from "../../../ir/extent.ts";
import {
  type Axis,
  apply as applied,
  axis,
  axisRef,
  constant,
  type Definition,
  freeAxes,
  i32,
  mapDef,
  read,
  reduce,
  sizeOf,
  substituteAxes,
  type TensorExpr,
} from "../../../ir/tensor.ts";
import type { AppliedKernel, BufferSource, Temporary } from "../applied.ts";
import { elementwiseCandidates } from "../choose-others.ts";
import { sizeOfType } from "../cost.ts";
import type { ContractionRegion, ElementwiseRegion, Region } from "../region.ts";
import { type ContractionSchedule, firstLegal, type Schedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { sumOfProducts } from "./operands.ts";
import { countOf } from "./walk.ts";

/** A contraction of copies, and what makes them. */
export interface Aligned {
  readonly copies: readonly ElementwiseRegion[];
  readonly contraction: ContractionRegion;
}

/** The axes as one, whose extent is filled up to a multiple of `to`; none if they are whole already. */
function filled(name: string, axes: readonly Axis[], to: number): Axis | undefined {
  const last = axes.at(-1)?.extent.value;
  const all = countOf(axes).value;
  if (last === undefined || all === undefined || all === 0)
    throw new ScheduleError("align", `extents of ${name} are not known`);
  return last % to === 0 ? undefined : axis(name, size(Math.ceil(all / to) * to));
}

/** What each of the axes is at a position of them all; positions beyond the last are the last. */
function digitsOf(axes: readonly Axis[], one: Axis): ReadonlyMap<Axis, TensorExpr> {
  const count = countOf(axes).value ?? 0;
  let rest: TensorExpr = applied("min", axisRef(one), i32(count - 1));
  const digits = new Map<Axis, TensorExpr>();
  for (const a of [...axes].reverse()) {
    const extent = i32(a.extent.value ?? 0);
    digits.set(a, a === axes[0] ? rest : applied("mod", rest, extent));
    rest = applied("floordiv", rest, extent);
  }
  return digits;
}

/**
 * The contraction of copies that are filled up to multiples of `to`. Throws ScheduleError where that is no way to compute it: filling up
 * with zeros is right for sums of products, and sizes must be known.
 */
export function alignedRegion(region: ContractionRegion, to: number): Aligned {
  const old = known.get(region)?.get(to);
  if (old) return old;
  const made = align(region, to);
  known.set(region, new Map([...(known.get(region) ?? []), [to, made]]));
  return made;
}
const known = new WeakMap<ContractionRegion, ReadonlyMap<number, Aligned>>();

function align(region: ContractionRegion, to: number): Aligned {
  if (!sumOfProducts(region) || !region.b) throw new ScheduleError("align", "only sums of products are filled up");
  // Sums lie as the results do, along N.
  const last = region.def.axes.at(-1);
  const flip = last !== undefined && region.m.includes(last);
  const [m, n] = flip ? [region.n, region.m] : [region.m, region.n];
  const [a, b] = flip ? [region.b, region.a] : [region.a, region.b];
  const [nf, kf] = [n.length > 0 ? filled("n", n, to) : undefined, filled("k", region.k, to)];
  if (!nf && !kf) throw new ScheduleError("align", `extents are multiples of ${to} already`);
  const ks = kf ? [kf] : region.k;
  const digits = new Map([...(nf ? digitsOf(n, nf) : []), ...(kf ? digitsOf(region.k, kf) : [])]);
  const ends = [...(nf ? [[nf, countOf(n)] as const] : []), ...(kf ? [[kf, countOf(region.k)] as const] : [])];
  const copies: ElementwiseRegion[] = [];
  const copied = (e: TensorExpr, name: string, along: readonly Axis[]): TensorExpr => {
    const moved = substituteAxes(e, digits);
    if (!along.some((x) => x === nf || x === kf)) return e;
    const used = freeAxes(moved);
    const axes = along.filter((x) => used.has(x) || x === nf || x === kf);
    const zero = constant(e.dtype, 0);
    const value = ends
      .filter(([x]) => axes.includes(x))
      .reduce<TensorExpr>((v, [x, end]) => applied("select", applied("lt", axisRef(x), sizeOf(end)), v, zero), moved);
    const def = mapDef(axes, [value], { name: `${region.name}_${name}` });
    const stores = [{ tensor: def, slot: 0 }];
    copies.push({
      kind: "elementwise",
      name: def.name,
      axes,
      maps: [{ def, results: [value] }],
      stores,
      reads: region.reads,
    });
    return read(def, 0, axes.map(axisRef));
  };
  const left = copied(a, "a", [...region.batch, ...m, ...ks]);
  const right = copied(b, "b", [...region.batch, ...ks, ...(nf ? [nf] : n)]);
  const whole = reduce(region.reduce.monoid, ks, [applied("mul", left, right)]);
  if (whole.kind !== "reduce") throw new Error("a sum is a reduction");
  const contraction = { ...region, reduce: whole, m, n: nf ? [nf] : n, k: ks, a: left, b: right };
  return {
    copies,
    contraction: nf ? { ...contraction, filled: { digits: digitsOf(n, nf), count: countOf(n) } } : contraction,
  };
}

/** Kernels of the copies and of the contraction. `apply` is what makes kernels of each. */
export function applyAligned(
  region: ContractionRegion,
  s: ContractionSchedule,
  target: Target,
  apply: (region: Region, s: Schedule, target: Target) => readonly AppliedKernel[],
): readonly AppliedKernel[] {
  const { align: to, ...rest } = s;
  if (to === undefined || ![2, 4].includes(to)) throw new ScheduleError("align", `${to} is not 2 or 4`);
  if (s.subgroup === "matrix") throw new ScheduleError("align", "matrices have edges of their own");
  const { copies, contraction } = alignedRegion(region, to);
  const temporaries = new Map<Definition, Temporary>();
  for (const { def } of copies.flatMap((r) => r.maps)) {
    const [dtype, count] = [def.types[0] ?? "f32", countOf(def.axes)];
    if ((count.value ?? 0) * sizeOfType(dtype) > target.limits.maxStorageBufferBindingSize)
      throw new ScheduleError("align", `a copy of ${count.text} elements is more than a buffer holds`);
    temporaries.set(def, { kind: "temporary", name: def.name, dtype, size: count });
  }
  const source = (x: BufferSource): BufferSource => (x.kind === "tensor" ? (temporaries.get(x.ref.tensor) ?? x) : x);
  const copy = (r: ElementwiseRegion): readonly AppliedKernel[] =>
    firstLegal(elementwiseCandidates(r, target), r.name, (c) => apply(r, c, target));
  return [...copies.flatMap(copy), ...apply(contraction, rest, target)].map((k) => ({
    ...k,
    bindings: k.bindings.map(source),
  }));
}
