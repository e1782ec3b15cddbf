/** Candidates for contractions, best guess first. */
import { alignedRegion } from "./apply/aligned.ts";
import { alongOf, inVectors, sumOfProducts } from "./apply/operands.ts";
import { QUAD } from "./apply/tile.ts";
import { collapse, laneable } from "./apply/walk.ts";
import { matrixCandidates } from "./choose-matrix.ts";
import { type Base, thinCandidates } from "./choose-thin.ts";
import { fixedSubgroup, guessAll, isLlvmpipe, powerAtMost, readsIn } from "./measure.ts";
import { type ContractionSizes, softwarePrice } from "./price.ts";
import type { ContractionRegion } from "./region.ts";
import { type ContractionSchedule, type ReductionSchedule, type Schedule, ScheduleError } from "./schedule.ts";
import type { Target } from "./target.ts";

const COMMON = { vector: 1, swizzle: 0, variants: "guarded" } as const;
const PLAIN = {
  ...COMMON,
  kind: "contraction",
  rowFrom: "thread",
  stage: "none",
  tileK: 1,
  buffers: 1,
  pad: 0,
  splitK: 1,
  subgroup: "none",
  batches: 1,
} as const;

export function contractionCandidates(region: ContractionRegion, target: Target): readonly Schedule[] {
  return target.kind === "software" ? softwareCandidates(region, target) : gpuCandidates(region, target);
}

/** Sizes as the schedule sees them: along M, the sides are exchanged. */
function sizesOf(region: ContractionRegion, along: ContractionSchedule["along"]): ContractionSizes {
  const [m, n] = along === "m" ? [region.n, region.m] : [region.m, region.n];
  const known = [...m, ...n, ...region.k, ...region.batch].every((a) => a.extent.value !== undefined);
  return { rows: guessAll(m), columns: guessAll(n), k: guessAll(region.k), batch: guessAll(region.batch), known };
}

/** Candidates that come before matrices where these do not pay: among them is a legal one, and the tuner's list is not much longer. */
const BEFORE_MATRICES = 100;

function gpuCandidates(region: ContractionRegion, target: Target): readonly Schedule[] {
  const sg = fixedSubgroup(target);
  const out: Schedule[] = target.kind === "gpu" ? [...overK(sizesOf(region, undefined), sg, target)] : [];
  for (const vector of [4, 2, 1] as const) {
    const along = vector === 1 ? undefined : alongOf(region, vector);
    if (vector > 1 && !along) continue;
    const sizes = sizesOf(region, along);
    const base = { ...PLAIN, vector, ...(along ? { along } : {}) };
    const tileK = vector > 1 ? 4 : 1;
    out.push(
      ...thinCandidates(base, sizes, target),
      ...onGpu(base, sizes, target),
      ...plain(base, sizes),
      ...(sg > 0 ? onSubgroup(base, sizes, sg, tileK) : []),
    );
  }
  const matrices = matrixCandidates(region, target);
  const first = matrices.pays ? 0 : BEFORE_MATRICES;
  return [...out.slice(0, first), ...matrices.list, ...out.slice(first)];
}

/** Few results of a long K, which no tile of rows and columns spreads over a device: a subgroup, or a workgroup, for each, and parts of K. */
function overK(z: ContractionSizes, sg: number, target: Target): readonly ReductionSchedule[] {
  const results = z.rows * z.columns * z.batch;
  if (results >= 4096 || z.k < 1024 || Math.min(z.rows, z.columns) >= 16 || Math.max(z.rows, z.columns) > 64) return [];
  const whole = powerAtMost(128, target.limits.maxComputeInvocationsPerWorkgroup);
  const groups =
    sg > 0
      ? ([
          ["subgroup", powerAtMost(sg, sg)],
          ["workgroup", whole],
        ] as const)
      : ([["workgroup", whole]] as const);
  return groups.flatMap(([combine, threads]) =>
    ([4, 1] as const).map((vector) => {
      const most = Math.max(1, Math.floor(z.k / (threads * vector * 4)));
      const parts = z.known ? powerAtMost(Math.min(most, Math.ceil(1024 / results)), 64) : 1;
      return { ...COMMON, kind: "reduction", vector, threads, each: 4, columns: 1, parts, combine };
    }),
  );
}

interface Priced {
  readonly s: ContractionSchedule;
  readonly price: number;
  readonly text: string;
}

/** Everything that could do, by its price. */
function softwareCandidates(region: ContractionRegion, target: Target): readonly Schedule[] {
  const priced = [...pricedOf(region, target), ...pricedAligned(region, target)];
  return priced.sort((x, y) => x.price - y.price || (x.text < y.text ? -1 : 1)).map((p) => p.s);
}

/** Those of copies whose extents vectors divide, where the contraction itself takes long enough that the copies can pay. */
function pricedAligned(region: ContractionRegion, target: Target): readonly Priced[] {
  const { rows, columns, k, batch } = sizesOf(region, undefined);
  const copies = rows * columns * k * batch >= COPYING ? alignedCopies(region) : undefined;
  if (!copies) return [];
  return pricedOf(copies.contraction, target)
    .filter(({ s }) => s.vector === ALIGN)
    .map(({ s, price, text }) => ({
      s: { ...s, align: ALIGN },
      price: price + copies.elements * copied(target),
      text: `${text} aligned`,
    }));
}
const ALIGN = 4;
/** Products from which copies are thought of. */
const COPYING = 2 ** 21;
/** Nanoseconds of a core for an element that is copied. */
function copied(target: Target): number {
  return fixedSubgroup(target) === QUAD ? 8 : 3;
}

function pricedOf(region: ContractionRegion, target: Target): readonly Priced[] {
  const sg = fixedSubgroup(target);
  const runs = collapse(region.k, region.reduce.values, []);
  const window = runs.length > 1 ? guessAll(runs.at(-1) ?? []) : 0;
  const priced: Priced[] = [];
  const looped = (z: ContractionSizes): boolean => isLlvmpipe(target) || (sg === QUAD && z.k >= LOOPED_FROM);
  const consider = (made: ContractionSchedule, z: ContractionSizes): void => {
    const loops = made.reg[0] >= LOOPED && made.threads[2] === 1 && looped(z);
    const s = loops ? { ...made, epilogue: "loop" as const } : made;
    priced.push({ s, price: softwarePrice(region, s, z, target), text: JSON.stringify(s) });
  };
  for (const vector of [4, 2, 1] as const) {
    const best = vector === 1 ? undefined : alongOf(region, vector);
    if (vector > 1 && !best) continue;
    // Where both operands lie along K, vectors of columns are an option too: less code, whole stores.
    const others = best === "k" && region.n.length > 0 && laneable(region.n, vector) ? (["n"] as const) : [];
    for (const along of [best, ...others]) {
      const sizes = sizesOf(region, along);
      const base = { ...PLAIN, vector, ...(along ? { along } : {}) };
      // Tall tiles on eight lanes: twice the code for LLVM, 0.85 of the time where there are no vectors (625³), 0.88 where there are (512³).
      const products = sizes.rows * sizes.columns * sizes.k * sizes.batch;
      const tall = sg === 8 && products >= MUCH;
      // Wide ones where rows' values are loaded one by one: 0.88 of the time of a 3×3 convolution, but up to 1.25 where they come in vectors.
      const rowsOf = along === "m" ? region.b : region.a;
      const wide = sg === 8 && products >= MUCH / 2 && !(rowsOf && inVectors(rowsOf, region.k, vector));
      // Of small windows two taps a round: LLVM takes twice as long, the kernel 0.6 to 0.8 of the time (3×3, strided or of odd widths). Four
      // gain less; windows of 5×5 and products of matrices gain nothing.
      const scalar = tall && window > 0 && window <= 4 ? 2 : 1;
      for (const tileK of isLlvmpipe(target) ? [vector > 1 ? 4 : scalar] : [1, 2, 4])
        for (const s of onSubgroup(base, sizes, sg, tileK, { tall, wide })) consider(s, sizes);
      if (sg === QUAD && sumOfProducts(region)) for (const s of onQuads(base, sizes)) consider(s, sizes);
      for (const s of [...thinCandidates(base, sizes, target), ...plain(base, sizes)]) consider(s, sizes);
    }
  }
  return priced;
}

/**
 * As often as this copies may have what they are of. Windows of 3×3 that move by two repeat 2.25 times, and the convolution takes 0.6 of the
 * time on subgroups of four, 0.9 on eight; those that move by one would repeat nine times, which costs too much memory.
 */
const REPEATED = 3;

/** The contraction of copies, and how many elements are copied; undefined where that is no way to compute it, or copies repeat too much. */
function alignedCopies(region: ContractionRegion): { contraction: ContractionRegion; elements: number } | undefined {
  try {
    const { copies, contraction } = alignedRegion(region, ALIGN);
    for (const copy of copies) {
      const sources = new Set(readsIn(copy.maps.flatMap((m) => m.results)).map((r) => r.tensor));
      if (guessAll(copy.axes) > REPEATED * [...sources].reduce((sum, d) => sum + guessAll(d.axes), 0)) return undefined;
    }
    return { contraction, elements: copies.reduce((sum, r) => sum + guessAll(r.axes), 0) };
  } catch (e) {
    if (e instanceof ScheduleError) return undefined;
    throw e;
  }
}

/** What the model says of any schedule, in nanoseconds of a core; undefined where it has no prices: for the tuner's order. */
export function contractionPrice(
  region: ContractionRegion,
  s: ContractionSchedule,
  target: Target,
): number | undefined {
  if (target.kind !== "software") return undefined;
  if (!s.align) return softwarePrice(region, s, sizesOf(region, s.along), target);
  const copies = alignedCopies(region);
  if (!copies) return undefined;
  const { contraction, elements } = copies;
  return softwarePrice(contraction, s, sizesOf(contraction, s.along), target) + elements * copied(target);
}

/** From so many rows on their stores stand in a loop on software: LLVM takes 40 ms for each vector's in the text, SwiftShader 3 to 11. */
const LOOPED = 4;
/** On SwiftShader from so many terms a sum on: of 128 the loop costs nothing (1×1 convolution), of 64 0.02 of the time, of 16 0.05. */
const LOOPED_FROM = 128;

/**
 * One subgroup a workgroup: rows come by broadcast, each lane has columns of its own. Where there are fewer columns than lanes, several
 * batch positions share a subgroup.
 */
function onSubgroup(
  base: Base,
  z: ContractionSizes,
  sg: number,
  tileK: number,
  large: { readonly tall?: boolean; readonly wide?: boolean } = {},
): readonly ContractionSchedule[] {
  const out: ContractionSchedule[] = [];
  const lanes = base.along === "k" ? 1 : base.vector;
  const most = sg === 4 || sg > 16 ? 128 : 64;
  for (let columns = sg; columns > 1; columns /= 2) {
    const batches = sg / columns;
    if (batches > 1 && (z.batch < batches || z.columns > columns * lanes)) break;
    for (const rows of [...(sg > 16 ? [sg] : large.tall ? [TALL] : []), 16, 8, 4])
      for (const wide of [8, 4, 2, 1]) {
        const sums = rows * wide * lanes;
        const limit = rows === TALL || (large.wide && wide === 2) ? Math.max(128, most) : most;
        if (rows % columns !== 0 || sums > limit || (rows > 4 && rows >= 2 * z.rows)) continue;
        const threads = [1, columns, 1] as const;
        for (const beside of besideOf(z, batches))
          out.push({
            ...base,
            reg: [rows, wide * lanes],
            threads,
            batches: batches * beside,
            tileK,
            subgroup: "broadcast",
          });
      }
  }
  return out;
}

/** One subgroup of four a workgroup, whose lanes exchange rows. */
function onQuads(base: Base, z: ContractionSizes): readonly ContractionSchedule[] {
  const lanes = base.along === "k" ? 1 : base.vector;
  const out: ContractionSchedule[] = [];
  for (const tileK of [4, 2])
    for (const rows of [16, 8, 4])
      for (const wide of [8, 4, 2, 1]) {
        if (rows * wide * lanes > 128 || (rows > QUAD && rows >= 2 * z.rows)) continue;
        for (const batches of besideOf(z, 1))
          out.push({ ...base, reg: [rows, wide * lanes], threads: [1, QUAD, 1], tileK, batches, subgroup: "swap" });
      }
  return out;
}

/**
 * Subgroups side by side in a workgroup, each with so many batch positions. A workgroup costs as much as hundreds of products: 1,024 of
 * 16³ take 0.95 of the time with eight subgroups in each.
 */
function besideOf(z: ContractionSizes, batches: number): readonly number[] {
  return z.known && z.batch % (batches * BESIDE) === 0 && z.batch >= batches * BESIDE * 16 ? [BESIDE, 1] : [1];
}
const BESIDE = 8;

const TALL = 32;
/** Products from which a kernel that takes LLVM seconds to compile is worth them. */
const MUCH = 2 ** 25;

function onGpu(base: Base, z: ContractionSizes, target: Target): readonly ContractionSchedule[] {
  const out: ContractionSchedule[] = [];
  const most = target.limits.maxComputeInvocationsPerWorkgroup;
  const v = base.vector;
  const tile = (rm: number, rn: number, tm: number, tn: number, tileK: number, buffers: 1 | 2): void => {
    if (tm * tn > most || rn % v !== 0) return;
    if (tm * rm >= 4 * Math.max(16, z.rows) || tn * rn >= 4 * Math.max(16, z.columns)) return;
    const groups = Math.ceil(z.rows / (tm * rm)) * Math.ceil(z.columns / (tn * rn)) * z.batch;
    // Below a workgroup a core, K is split too; not by a guess, as partial results take memory.
    const split =
      z.known && groups < 64 && z.k >= 512 ? Math.min(16, Math.floor(z.k / 128), Math.ceil(128 / groups)) : 1;
    for (const splitK of new Set([split, 1]))
      out.push({ ...base, reg: [rm, rn], threads: [tm, tn, 1], stage: "both", tileK, buffers, pad: 1, splitK });
  };
  const gpu = target.kind === "gpu";
  const big = z.rows * z.columns * z.batch >= 512 * 512;
  if (gpu && big) {
    tile(8, 8, 16, 16, 16, 1);
    tile(8, 8, 16, 16, 16, 2);
    tile(8, 8, 16, 16, 8, 2);
    tile(8, 4, 16, 16, 16, 1);
  }
  if (z.rows >= 32 && z.columns >= 32 && z.k >= 16) {
    tile(4, 4, 16, 16, 16, 1);
    tile(4, 4, 16, 16, 16, 2);
    tile(8, 8, 8, 8, 16, 1);
  }
  if (z.rows >= 16 && z.columns >= 16 && z.k >= 8) tile(4, 4, 8, 8, 16, 1);
  return out;
}

/** Register tiles without memory shared by the workgroup: right for every size. */
function plain(base: Base, z: ContractionSizes): readonly ContractionSchedule[] {
  const out: ContractionSchedule[] = [];
  const v = base.vector;
  const lanes = base.along === "k" ? 1 : v;
  const few = z.rows * z.columns * z.batch < 65536;
  for (const rm of few ? [2, 4, 1] : [4, 8, 2, 1])
    for (const wide of few ? [1, 2] : [1, 2, 4]) {
      if (rm > 1 && rm >= 2 * z.rows) continue;
      const rn = wide * lanes;
      if (rm * rn > 64) continue;
      for (const threads of [
        [8, 8, 1],
        [1, 64, 1],
        [1, 8, 1],
        [16, 4, 1],
      ] as const)
        out.push({
          ...base,
          reg: [rm, rn],
          threads,
          rowFrom: threads[0] === 1 ? "workgroup" : "thread",
          tileK: v > 1 ? v : 4,
        });
    }
  // K among the invocations where there are few results.
  if (z.rows * z.columns * z.batch < 4096 && z.k >= 256)
    out.push({ ...base, reg: [1, lanes], threads: [1, 8, 16], tileK: v });
  out.push({ ...base, reg: [1, lanes], threads: [8, 8, 1] });
  return out;
}
