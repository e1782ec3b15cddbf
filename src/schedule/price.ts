/**
 * What a contraction's schedule costs on a software adapter: nanoseconds a core, from costs of single operations of a
 * subgroup measured on Mesa's llvmpipe (eight lanes) and SwiftShader (four).
 */
import { ONE, productExtent } from "../../ir/extent.ts";
import { type Axis, axisRef, childrenOf, shapeOf, type TensorExpr } from "../../ir/tensor.ts";
import type { AdapterCosts } from "../../runtime/plan.ts";
import { divisible, positionIn, provedInside } from "./affine.ts";
import { contiguous, inVectors, strideAlong } from "./apply/operands.ts";
import { collapse, countOf } from "./apply/walk.ts";
import { sizeOfType } from "./cost.ts";
import { fixedSubgroup } from "./measure.ts";
import type { ContractionRegion } from "./region.ts";
import type { ContractionSchedule } from "./schedule.ts";
import type { Target } from "./target.ts";

interface Costs {
  readonly fma: number;
  readonly broadcast: number;
  readonly scalar: number;
  /** A scalar load whose lanes have rows of their own, `FAR` bytes apart and more: what they share of caches is little. */
  readonly far: number;
  readonly vector: number;
  readonly iteration: number;
  readonly group: number;
  /**
   * Scalars an invocation may keep; beyond, each costs `spill` an element of K where several are done together. Not where rows come by
   * broadcast: products are added row by row there.
   */
  readonly registers: number;
  readonly spill: number;
  /** Multiply-adds that a loop's body may have; where there are more, each costs `crowded` more. */
  readonly body: number;
  readonly crowded: number;
  /** Entering a loop inside a loop, for each scalar that is kept. */
  readonly enter: number;
}
const EIGHT: Costs = {
  fma: 0.5,
  broadcast: 0.5,
  scalar: 5,
  far: 11,
  vector: 16,
  iteration: 2,
  group: 100,
  registers: 64,
  spill: 2,
  body: 512,
  crowded: 0,
  enter: 0,
};
const FOUR: Costs = {
  fma: 2,
  broadcast: 2.6,
  scalar: 12,
  far: 12,
  vector: 31,
  iteration: 6,
  group: 270,
  registers: 128,
  spill: 4,
  // 256³: tiles of up to 128 products a step take 0.64 to 0.76 of the time of those with 256 to 512.
  body: 128,
  crowded: 2.5,
  // A 3×3 convolution whose three taps of a row are a loop of their own takes 1.8 to 4.4 times as long as one where they are not.
  enter: 20,
};

/** 16×16×4 by the thousand take 1.24 times as long if scalar loads are said to cost as much as where rows lie kilobytes apart. */
const FAR = 512;

const measured = new WeakMap<AdapterCosts, Costs>();

/** Of the target: measured where it was, else tabulated. What was not measured keeps its proportion to a multiply-add. */
function costsOf(target: Target, subgroup: number): Costs {
  const table = subgroup === 4 ? FOUR : EIGHT;
  const m = target.costs;
  if (!m) return table;
  const old = measured.get(m);
  if (old) return old;
  const unit = m.fma / table.fma;
  const made: Costs = {
    fma: m.fma,
    broadcast: m.broadcast > 0 ? m.broadcast : table.broadcast * unit,
    scalar: m.scalar,
    far: (m.scalar * table.far) / table.scalar,
    vector: m.vector,
    iteration: m.iteration,
    group: m.group,
    registers: table.registers,
    spill: table.spill * unit,
    body: table.body,
    crowded: table.crowded * unit,
    enter: table.enter * unit,
  };
  measured.set(m, made);
  return made;
}

export interface ContractionSizes {
  readonly rows: number;
  readonly columns: number;
  readonly k: number;
  readonly batch: number;
  /** No size is a guess. */
  readonly known: boolean;
}

/** Elements of K that are done together: `count` neighbours along `along`. */
interface Taps {
  readonly count: number;
  readonly along: Axis | undefined;
}

/**
 * Loads of a unit of `lanes` elements along the last of `axes`, for an element of K: one, if every read there is whole and begins on a
 * multiple. A window that slides over neighbours loads what its taps share once. Lanes have neighbours along `across`, where that is said.
 */
function loadsOf(
  e: TensorExpr,
  axes: readonly Axis[],
  lanes: number,
  c: Costs,
  { taps, across }: { readonly taps?: Taps; readonly across?: Axis | undefined } = {},
): number {
  const last = axes[axes.length - 1];
  let cost = 0;
  const seen = new Set<TensorExpr>();
  const visit = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind === "read") {
      const shape = shapeOf(x.tensor);
      const moves = last ? strideAlong(x.at, shape, last) : undefined;
      const masked = x.fill !== undefined && x.at.some((i, d) => !provedInside(i, shape[d] ?? ONE));
      const form = positionIn(x.at, shape);
      const whole =
        last !== undefined &&
        moves === ONE &&
        divisible(form.constant, lanes) &&
        divisible(productExtent(shape), lanes) &&
        [...form.terms].every(([atom, f]) => atom === axisRef(last) || divisible(f, lanes));
      const slides =
        taps?.along !== undefined && moves?.value !== 0 && moves === strideAlong(x.at, shape, taps.along)
          ? (lanes + taps.count - 1) / taps.count
          : lanes;
      const apart = across ? (strideAlong(x.at, shape, across)?.value ?? 0) : 0;
      if (lanes === 1 || moves?.value === 0) cost += apart * sizeOfType(x.dtype) >= FAR ? c.far : c.scalar;
      else cost += whole && !masked ? c.vector : slides * c.scalar;
      if (masked) cost += 2 * lanes * c.fma * 2;
    }
    for (const y of childrenOf(x)) visit(y);
  };
  visit(e);
  return cost;
}

interface Operands {
  readonly loadA: number;
  readonly loadB: number;
  /** Elements of K that are done together. */
  readonly together: number;
  /** Loops inside a loop that are entered, for each element of K. */
  readonly entered: number;
}
const known = new WeakMap<ContractionRegion, Map<string, Operands>>();

/** What loading an element of K costs for a row and for a column (or a vector of columns). */
function operandsOf(region: ContractionRegion, s: ContractionSchedule, c: Costs): Operands {
  const { vector: v, along } = s;
  let memo = known.get(region);
  if (!memo) {
    memo = new Map();
    known.set(region, memo);
  }
  const split = s.splitK > 1 || s.threads[2] > 1;
  const key = `${v}${along ?? ""} ${s.tileK} ${split} ${c.fma} ${c.scalar} ${c.vector}`;
  const old = memo.get(key);
  if (old) return old;
  const flip = along === "m" && region.b !== undefined;
  const [a, b] = flip ? [region.b ?? region.a, region.a] : [region.a, region.b];
  const laneN = along === "n" || along === "m" ? v : 1;
  const rowsAlongK = s.tileK >= v && inVectors(a, region.k, v);
  const laneK = along === "k" || rowsAlongK ? v : 1;
  // Only the innermost run of K is unrolled.
  const runs = split ? [region.k] : collapse(region.k, [...region.reduce.values, a, ...(b ? [b] : [])], []);
  const inner = countOf(runs[runs.length - 1] ?? []).value;
  const together = Math.max(laneK, Math.min(s.tileK, inner ?? s.tileK));
  const entered =
    runs.length > 1 && inner && together < inner ? (inner % together > 0 && together > 1 ? 2 : 1) / inner : 0;
  const taps: Taps = { count: together, along: region.k[region.k.length - 1] };
  const n = flip ? region.m : region.n;
  // Columns that lie along K come in vectors along it and are turned.
  const turned = b && laneN > 1 && laneK > 1 && contiguous([b], region.k) && !contiguous([b], n);
  const made: Operands = {
    together,
    entered,
    loadA: loadsOf(a, region.k, laneK, c, { across: (flip ? region.n : region.m).at(-1) }) / laneK,
    loadB: !b
      ? 0
      : along === "k"
        ? loadsOf(b, region.k, v, c) / v
        : turned
          ? loadsOf(b, region.k, v, c)
          : loadsOf(b, n, laneN, c, { taps }),
  };
  memo.set(key, made);
  return made;
}

/**
 * An element of K where lanes exchange rows and products are summed before they are added to what is kept. SwiftShader's time is the
 * number of instructions: 4 a product, 13 for what goes from one turn of the loop to the next, and those of the loads; and it is
 * longer by `OUTGROWN` where the loop no longer fits the processor's cache of instructions.
 */
function swapPrice(c: Costs, products: number, loads: number, together: number): number {
  const summed = together > 1 ? SUMMED : 0.5;
  const plain = loads * LOADS + products * c.fma * (summed + CARRIED / together);
  const size = (plain * together) / c.fma;
  const over = Math.min(1, Math.max(0, (size - FITS[0]) / (FITS[1] - FITS[0])));
  return BESIDE_BROADCAST * plain * (1 + (OUTGROWN - 1) * over);
}
/**
 * In multiply-adds of the other schedules. Fitted, with the rest, to products of 512³, 625³ and a strided convolution. Tiles of 32×32 take
 * as long as those of 16×16 and four times as long to compile.
 */
const SUMMED = 0.19;
const CARRIED = 0.62;
const FITS = [212, 285] as const;
const OUTGROWN = 1.7;
const LOADS = 1.25;
const BESIDE_BROADCAST = 1.15;

/** Nanoseconds of one core for the whole contraction. */
export function softwarePrice(
  region: ContractionRegion,
  s: ContractionSchedule,
  z: ContractionSizes,
  target: Target,
): number {
  const subgroup = fixedSubgroup(target);
  const c = costsOf(target, subgroup);
  const lanes = subgroup > 0 ? subgroup : 8;
  const [rows, columns] = s.reg;
  const [tm, tn, tk] = s.threads;
  const { loadA, loadB, together, entered } = operandsOf(region, s, c);
  const laneN = s.along === "n" || s.along === "m" ? s.vector : 1;
  const swap = s.subgroup === "swap";
  const shared = s.subgroup === "broadcast" || swap;
  const kept = rows * columns * (s.along === "k" && !shared ? s.vector : 1);
  const loads = (shared ? rows / tn : rows) * loadA + (columns / laneN) * loadB;
  const loop = c.iteration / together + c.enter * entered * kept;
  const perK = swap
    ? swapPrice(c, rows * columns, loads, together) + loop
    : rows * columns * c.fma +
      loads +
      (shared ? rows * c.broadcast : 0) +
      loop +
      (together > 1 && !shared ? c.spill * Math.max(0, kept - c.registers) : 0) +
      (rows * columns * together > c.body ? c.crowded * rows * columns : 0);
  const groupRows = shared ? rows : tm * rows;
  const groups =
    Math.ceil(z.rows / groupRows) * Math.ceil(z.columns / (tn * columns)) * Math.ceil(z.batch / s.batches) * s.splitK;
  const subgroups = Math.max(1, Math.ceil((tm * tn * tk * s.batches) / lanes));
  const steps = z.k / tk / s.splitK;
  const stores = ((rows * columns) / laneN) * (laneN > 1 ? c.vector : c.scalar);
  // Fewer workgroups than cores leave cores idle; there are two at least.
  return Math.max(groups, 2) * (subgroups * (steps * perK + stores) + c.group);
}
