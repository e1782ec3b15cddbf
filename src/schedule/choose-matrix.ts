/** Candidates for contractions on subgroup matrices, best guess first: none of their figures has been measured on a device yet. */
import { sizeOfType } from "./cost.ts";
import { type MatrixConfig, matrixConfigs, matrixOperands } from "./matrix-operands.ts";
import { guessAll } from "./measure.ts";
import type { ContractionRegion } from "./region.ts";
import type { ContractionSchedule } from "./schedule.ts";
import type { Target } from "./target.ts";

export interface MatrixCandidates {
  /** Whether the contraction is big enough for matrices to be the default. */
  readonly pays: boolean;
  readonly list: readonly ContractionSchedule[];
}

/** Multiply-adds below which a contraction is not worth staging for matrices. */
const WORTH = 2 ** 18;
/** Workgroups that keep a device busy. */
const BUSY = 64;

/** Subgroups down and across, and the elements that each has. */
const TILES = [
  { subgroups: [2, 2], reg: [64, 64] },
  { subgroups: [2, 2], reg: [32, 64] },
  { subgroups: [2, 2], reg: [32, 32] },
  { subgroups: [2, 2], reg: [16, 32] },
  { subgroups: [2, 2], reg: [16, 16] },
  { subgroups: [1, 2], reg: [16, 16] },
  { subgroups: [1, 1], reg: [16, 16] },
] as const;

export function matrixCandidates(region: ContractionRegion, target: Target): MatrixCandidates {
  // What was cast from f16 may be multiplied as either; f16 moves half the bytes.
  const configs = matrixConfigs(target)
    .filter((c) => matrixOperands(region, c))
    .sort((x, y) => sizeOfType(x.component) - sizeOfType(y.component));
  if (configs.length === 0) return { pays: false, list: [] };
  const [rows, columns, k, batch] = [
    guessAll(region.m),
    guessAll(region.n),
    guessAll(region.k),
    guessAll(region.batch),
  ];
  const known = [...region.m, ...region.n, ...region.k].every((a) => a.extent.value !== undefined);
  const listOf = (config: MatrixConfig, along: "n" | "m"): readonly ContractionSchedule[] => {
    const [down, across] = along === "n" ? [rows, columns] : [columns, rows];
    const groups = ({ reg, threads }: Shape): number =>
      Math.ceil(down / (reg[0] * threads[0])) * Math.ceil(across / (reg[1] * threads[1])) * batch;
    return inOrder(shapesOf(config), groups).flatMap((x) => {
      // Below a workgroup a core, K is split too; not by a guess, as partial results take memory.
      const split = known && groups(x) < BUSY && k >= 512 ? Math.min(16, Math.floor(k / 128)) : 1;
      return variants(config, x, along, split);
    });
  };
  return {
    pays: configs.some((c) => rows >= c.m && columns >= c.n && k >= c.k && rows * columns * k * batch >= WORTH),
    list: (["n", "m"] as const).flatMap((along) => configs.flatMap((c) => listOf(c, along))),
  };
}

/** Large tiles where they leave a device busy, else small ones; fewer than four subgroups share too little, and are for the tuner. */
function inOrder(shapes: readonly Shape[], groups: (x: Shape) => number): readonly Shape[] {
  const few = shapes.filter(({ threads }) => threads[0] * threads[1] < 4);
  const four = shapes.filter((x) => !few.includes(x));
  return [...four.filter((x) => groups(x) >= BUSY), ...four.filter((x) => groups(x) < BUSY).reverse(), ...few];
}

type Shape = Pick<ContractionSchedule, "reg" | "threads">;

function shapesOf(c: MatrixConfig): readonly Shape[] {
  const all = new Map(TILES.map((t) => shape(c, t)).map((x) => [`${x.reg} ${x.threads}`, x]));
  return [...all.values()];
}

/** A tile in whole matrices, at most 16 of them. */
function shape(c: MatrixConfig, t: (typeof TILES)[number]): Shape {
  let [down, across] = [Math.max(1, Math.floor(t.reg[0] / c.m)), Math.max(1, Math.floor(t.reg[1] / c.n))];
  while (down * across > 16) [down, across] = down > across ? [down / 2, across] : [down, across / 2];
  return { reg: [Math.floor(down) * c.m, Math.floor(across) * c.n], threads: [...t.subgroups, 1] };
}

function variants(c: MatrixConfig, x: Shape, along: "n" | "m", splitK: number): readonly ContractionSchedule[] {
  const step = Math.max(1, Math.floor(32 / c.k)) * c.k;
  const of = (
    vector: 1 | 2 | 4,
    stage: ContractionSchedule["stage"],
    tileK: number,
    buffers: 1 | 2,
  ): ContractionSchedule => ({
    kind: "contraction",
    vector,
    swizzle: 0,
    variants: "guarded",
    ...x,
    rowFrom: "thread",
    stage,
    tileK,
    buffers,
    pad: stage === "none" ? 0 : 1,
    splitK,
    subgroup: "matrix",
    config: c.index,
    batches: 1,
    along,
  });
  return [of(4, "both", step, 2), of(4, "both", step, 1), of(4, "none", c.k, 1), of(1, "both", step, 1)];
}
