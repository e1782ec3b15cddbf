/** Candidates for contractions on subgroup matrices, best guess first: none of their figures has been measured on a device yet. */
import type { MatrixConfig } from "./matrix-operands.ts";
import { matrixConfigs, matrixOperands } from "./matrix-operands.ts";
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
  const configs = matrixConfigs(target).filter((c) => matrixOperands(region, c));
  const list: ContractionSchedule[] = [];
  const [rows, columns, k, batch] = [region.m, region.n, region.k, region.batch].map(guessAll) as [
    number,
    number,
    number,
    number,
  ];
  let pays = false;
  for (const config of configs) {
    pays ||= rows >= config.m && columns >= config.n && k >= config.k && rows * columns * k * batch >= WORTH;
    for (const along of ["n", "m"] as const) {
      const [down, across] = along === "n" ? [rows, columns] : [columns, rows];
      const fitting = TILES.map((t) => shape(config, t)).filter(
        ({ reg, threads }, i, all) =>
          all.findIndex((x) => x.reg.join() === reg.join() && x.threads.join() === threads.join()) === i,
      );
      // Large tiles where they leave a device busy, else small ones; fewer than four subgroups share too little, and are for the tuner.
      const groups = ({ reg, threads }: Shape): number =>
        Math.ceil(down / (reg[0] * threads[0])) * Math.ceil(across / (reg[1] * threads[1])) * batch;
      const single = ({ threads }: Shape): boolean => threads[0] * threads[1] < 4;
      const busy = fitting.filter((x) => groups(x) >= BUSY && !single(x));
      const few = fitting.filter((x) => groups(x) < BUSY && !single(x)).reverse();
      for (const x of [...busy, ...few, ...fitting.filter(single)]) {
        // Below a workgroup a core, K is split too.
        const known = [...region.m, ...region.n, ...region.k].every((a) => a.extent.value !== undefined);
        const split = known && groups(x) < BUSY && k >= 512 ? Math.min(16, Math.floor(k / 128)) : 1;
        list.push(...variants(config, x, along, split));
      }
    }
  }
  // Along N first, whatever the shape.
  return { pays, list: [...list.filter((s) => s.along === "n"), ...list.filter((s) => s.along === "m")] };
}

type Shape = Pick<ContractionSchedule, "reg" | "threads">;

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
