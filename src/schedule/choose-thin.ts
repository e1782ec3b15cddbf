/** Candidates for contractions that are small in one direction or more: tiles of rows and columns would leave invocations without work. */
import { BUSY, powerAtMost } from "./measure.ts";
import type { ContractionSizes } from "./price.ts";
import type { ContractionSchedule } from "./schedule.ts";
import type { Target } from "./target.ts";

export type Base = Omit<ContractionSchedule, "reg" | "threads">;

/** Right where there is one; none for other sizes, and where sizes are guesses. */
export function thinCandidates(base: Base, z: ContractionSizes, target: Target): readonly ContractionSchedule[] {
  if (!z.known) return [];
  const gpu = target.kind !== "software";
  return [...ownMatrices(base, z), ...ownRows(base, z, gpu), ...(gpu ? fewRows(base, z) : [])];
}

/**
 * Many matrices of one vector of columns and few rows, an invocation each: it loads nothing that another loads too (50,000 of 4³ take 0.53 of
 * the time of a subgroup for four on llvmpipe, 0.62 on SwiftShader, of 3³ 0.58 and 0.44, of 8·8·4 0.85 and 0.67; of 16 rows 1.3 and 1.2).
 */
function ownMatrices(base: Base, z: ContractionSizes): readonly ContractionSchedule[] {
  const lanes = base.along === "k" ? 1 : base.vector;
  if (z.rows > 8 || z.columns > 4 || z.batch < OWN * 16) return [];
  const reg = [z.rows, lanes > 1 ? lanes : z.columns] as const;
  return [{ ...base, reg, threads: [1, 1, 1], batches: OWN, tileK: ownSteps(base, z) }];
}
const OWN = 64;

/** Products of an invocation that shares nothing: a short sum at once, a long one step by step. */
function ownSteps({ along, vector }: Base, z: ContractionSizes): number {
  return along === "k" ? vector : z.k <= 4 ? z.k : 1;
}

/**
 * Long matrices times small ones: an invocation has whole rows of the result, and nothing to share but the small one (100,000×3 by 3×3 take
 * 0.64 of the time on subgroups of four and 0.52 on eight, 4×4 0.65 and 0.37, 16×3 0.67 and 0.62; of eight columns 1 and 1.2). On GPUs,
 * which need more invocations, as many rows as leave them enough, and rows that lie in few lines of a cache.
 */
function ownRows(base: Base, z: ContractionSizes, gpu: boolean): readonly ContractionSchedule[] {
  const { vector, along } = base;
  if (z.columns > 4 || z.rows < OWN_ROWS || along === "k" || z.columns % vector > 0 || (gpu && z.k > 16)) return [];
  const rows = gpu ? powerAtMost(z.rows / BUSY, 4) : z.columns === 4 ? 4 : 8;
  return [{ ...base, reg: [rows, z.columns], threads: [gpu ? 64 : 32, 1, 1], tileK: ownSteps(base, z) }];
}
const OWN_ROWS = 4096;

/**
 * A few rows times a matrix, as in a step of decoding, on a GPU: the matrix is read once, and that is what takes the time. Neighbouring
 * invocations have neighbouring columns of all rows, and parts of K where columns are too few; where the matrix lies along K, neighbours go
 * along it together. Reasoned, not measured.
 */
function fewRows(base: Base, z: ContractionSizes): readonly ContractionSchedule[] {
  const { vector, along } = base;
  if (z.rows < 2 || z.rows > 8 || z.columns < 256 || z.k < 256) return [];
  if (along === "k") return [{ ...base, reg: [z.rows, 1], threads: [1, 8, 16], tileK: vector }];
  const invocations = Math.ceil(z.columns / vector) * z.batch;
  const splitK = powerAtMost(Math.min(BUSY / invocations, z.k / 64), 64);
  return [...new Set([splitK, 1])].map((splitK) => ({
    ...base,
    reg: [z.rows, vector],
    threads: [1, 64, 1],
    rowFrom: "workgroup",
    tileK: 4,
    splitK,
  }));
}
