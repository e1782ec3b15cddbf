/**
 * Contractions whose innermost extents no vector divides: operands are copied first, with N and K filled up by zeros to whole vectors,
 * and sums are copied into the results. What is loaded once for every row or column of a tile is then loaded whole.
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
import { mapReads } from "../../passes/rewrite.ts";
import type { AppliedKernel, BufferSource, Temporary } from "../applied.ts";
import { elementwiseCandidates } from "../choose-others.ts";
import { sizeOfType } from "../cost.ts";
import type { ContractionRegion, ElementwiseRegion, PlacedMap, Region } from "../region.ts";
import { type ContractionSchedule, firstLegal, type Schedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { sumOfProducts } from "./operands.ts";
import { countOf } from "./walk.ts";

/** A contraction of copies: what is computed before it, it, and what is computed after it. */
export interface Aligned {
  readonly before: readonly ElementwiseRegion[];
  readonly contraction: ContractionRegion;
  readonly after: ElementwiseRegion | undefined;
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

/** The position of a point among all of the axes. */
function placeOf(axes: readonly Axis[]): TensorExpr {
  return axes
    .map((a): TensorExpr => axisRef(a))
    .reduce((at, x, d) => applied("add", applied("mul", at, i32(axes[d]?.extent.value ?? 0)), x));
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
  const before: ElementwiseRegion[] = [];
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
    before.push(elementwise(def.name, axes, [{ def, results: [value] }], region));
    return read(def, 0, axes.map(axisRef));
  };
  const left = copied(a, "a", [...region.batch, ...m, ...ks]);
  const right = copied(b, "b", [...region.batch, ...ks, ...(nf ? [nf] : n)]);
  const whole = reduce(region.reduce.monoid, ks, [applied("mul", left, right)]);
  if (whole.kind !== "reduce") throw new Error("a sum is a reduction");
  const contraction = { ...region, reduce: whole, m, n: nf ? [nf] : n, k: ks, a: left, b: right };
  if (!nf) return { before, contraction, after: undefined };
  const def = mapDef([...region.batch, ...m, nf], [whole], { name: `${region.name}_sums` });
  return {
    before,
    contraction: { ...contraction, def, epilogue: [], stores: [{ tensor: def, slot: 0 }] },
    after: resultsOf(region, read(def, 0, [...region.batch.map(axisRef), ...m.map(axisRef), placeOf(n)])),
  };
}

function elementwise(
  name: string,
  axes: readonly Axis[],
  maps: readonly PlacedMap[],
  { reads }: ContractionRegion,
): ElementwiseRegion {
  const stores = maps.flatMap((m) => m.results.map((_, slot) => ({ tensor: m.def, slot })));
  return { kind: "elementwise", name, axes, maps, stores, reads };
}

/** The region's results where its sums are read at `sum`. */
function resultsOf(region: ContractionRegion, sum: TensorExpr): ElementwiseRegion {
  const { def, epilogue, stores } = region;
  const from = (e: TensorExpr): TensorExpr => mapReads(e, (r) => (r.tensor === def ? sum : r));
  const own: readonly PlacedMap[] =
    stores.some((s) => s.tensor === def) && def.kind === "map" ? [{ def, results: [sum] }] : [];
  const maps = [...own, ...epilogue.map((e) => ({ ...e, results: e.results.map(from) }))];
  return elementwise(region.name, def.axes, maps, region);
}

/** Kernels of the copies, of the contraction, and of the results. `apply` is what makes kernels of each. */
export function applyAligned(
  region: ContractionRegion,
  s: ContractionSchedule,
  target: Target,
  apply: (region: Region, s: Schedule, target: Target) => readonly AppliedKernel[],
): readonly AppliedKernel[] {
  const { align: to, ...rest } = s;
  if (to === undefined || ![2, 4].includes(to)) throw new ScheduleError("align", `${to} is not 2 or 4`);
  const { before, contraction, after } = alignedRegion(region, to);
  const temporaries = new Map<Definition, Temporary>();
  for (const def of [...before.flatMap((r) => r.maps.map((m) => m.def)), ...(after ? [contraction.def] : [])]) {
    const [dtype, count] = [def.types[0] ?? "f32", countOf(def.axes)];
    if ((count.value ?? 0) * sizeOfType(dtype) > target.limits.maxStorageBufferBindingSize)
      throw new ScheduleError("align", `a copy of ${count.text} elements is more than a buffer holds`);
    temporaries.set(def, { kind: "temporary", name: def.name, dtype, size: count });
  }
  const source = (x: BufferSource): BufferSource => (x.kind === "tensor" ? (temporaries.get(x.ref.tensor) ?? x) : x);
  const copy = (r: ElementwiseRegion): readonly AppliedKernel[] =>
    firstLegal(elementwiseCandidates(r, target), r.name, (c) => apply(r, c, target));
  return [...before.flatMap(copy), ...apply(contraction, rest, target), ...(after ? copy(after) : [])].map((k) => ({
    ...k,
    bindings: k.bindings.map(source),
  }));
}
