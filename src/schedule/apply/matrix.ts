/**
 * Contractions on subgroup matrices. A workgroup has `threads` subgroups' tiles of `reg` elements each; a subgroup goes over K in steps of
 * its matrices' shape. An operand comes straight from memory where it lies there as matrices are loaded, else through workgroup memory, a
 * tile of K at a time: then any expression will do. Right for subgroups of any size that the target may have: tiles are dealt to
 * however many there are.
 */
import { ceilDivExtent, size } from "../../../ir/extent.ts";
import {
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  type KernelExpr,
  kapply,
  kint,
  kvar,
  loop,
  type Statement,
  subgroup,
  variable,
} from "../../../ir/kernel.ts";
import { axis, axisRef } from "../../../ir/tensor.ts";
import type { AppliedKernel } from "../applied.ts";
import { type MatrixConfig, matrixConfigs, matrixOperands } from "../matrix-operands.ts";
import type { ContractionRegion } from "../region.ts";
import { type ContractionSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { type Builder, bindAxis, checkGroup, emit, finish, inFrame, name, newBuilder, originOf } from "./builder.ts";
import { secondStage, splitOf } from "./contraction.ts";
import { gridLoops } from "./grid.ts";
import { multiplyOverK } from "./matrix-operand.ts";
import { storeMatrices } from "./matrix-store.ts";
import { type MatrixTile, newMatrices, whenActive } from "./matrix-tile.ts";
import { sidesOf } from "./tile.ts";
import { countOf, unflattenAxes } from "./walk.ts";

/** Matrices of sums that a subgroup holds at most. */
const MOST_MATRICES = 16;
/** Invocations in a subgroup that a schedule counts with where the target has a range: as most devices run. */
const USUAL = 32;

function usualSubgroup(target: Target): number {
  return Math.min(target.subgroupMaxSize, Math.max(target.subgroupMinSize, USUAL));
}

/** Invocations of a workgroup with so many subgroups: a multiple of what the largest subgroup has, which WebGPU asks for. */
function invocationsOf(subgroups: number, target: Target): number {
  const most = target.subgroupMaxSize;
  return Math.ceil((subgroups * usualSubgroup(target)) / most) * most;
}

export function applyMatrices(
  region: ContractionRegion,
  s: ContractionSchedule,
  target: Target,
): readonly AppliedKernel[] {
  const config = check(s, target);
  const factors = matrixOperands(region, config);
  if (!factors) throw new ScheduleError("config", `no sum of products of ${config.component} in ${config.result}`);
  const flip = s.along === "m";
  const sides = sidesOf(region, flip);
  const [left, right] = flip ? [factors.b, factors.a] : [factors.a, factors.b];
  const split = s.splitK > 1 ? splitOf(region, s.splitK) : undefined;
  const b = newBuilder(split ? `${region.name}_parts` : region.name, target, s.vector);
  originOf(b, region);
  if (split) for (const [d, t] of split.temporaries) b.temporaries.set(d, t);
  b.onChip.add(region.def);
  b.subgroupSize = usualSubgroup(target);
  const [tm, tn] = s.threads;
  const [groupRows, groupColumns] = [tm * s.reg[0], tn * s.reg[1]];
  const rowCount = countOf(sides.m);
  const columnCount = countOf(sides.n);
  const batchCount = countOf(sides.batch);
  const grid = [
    ceilDivExtent(columnCount, size(groupColumns)),
    ceilDivExtent(rowCount, size(groupRows)),
    batchCount,
  ] as const;
  const invocations = invocationsOf(tm * tn, target);
  checkGroup(target, invocations);
  const { wrap, ids } = gridLoops(grid, s.splitK, target, s.swizzle);
  const x = variable("x");
  const [down, across] = [s.reg[0] / config.m, s.reg[1] / config.n];
  const sums = newMatrices(b, "sum", "result", config, down * across);
  const body = inFrame(b, false, () => {
    const [gn, gm, gb, part] = ids(b);
    const batch = axis("batch", batchCount);
    bindAxis(b, batch, gb);
    unflattenAxes(b, sides.batch, axisRef(batch), 1);
    const rowBase = name(b, "row", imul(gm, kint(groupRows)));
    const columnBase = name(b, "col", imul(gn, kint(groupColumns)));
    dealTiles(b, tm * tn, invocations, target, (tile, active, round) => {
      const t: MatrixTile = {
        b,
        s,
        config,
        sides,
        left,
        right,
        rowCount,
        columnCount,
        rowBase,
        columnBase,
        groupRows,
        groupColumns,
        down,
        across,
        tile,
        active,
        round,
        rowIn: name(b, "row_in", imul(idiv(tile, kint(tn)), kint(s.reg[0]))),
        columnIn: name(b, "col_in", imul(imod(tile, kint(tn)), kint(s.reg[1]))),
        invocations,
        tid: kvar(x),
        part,
        sums,
      };
      emit(b, ...whenActive(t, zeroes(t)));
      multiplyOverK(t);
      storeMatrices(t, split?.partials);
    });
  });
  const first = finish(b, wrap([loop(x, kint(invocations), body, "thread.x")]));
  return split ? [first, secondStage(region, split, target)] : [first];
}

function zeroes(t: MatrixTile): readonly Statement[] {
  return Array.from({ length: t.sums.count }, (_, i) => ({
    kind: "matrix",
    op: "fill",
    place: { matrices: t.sums, index: kint(i) },
    value: 0,
  }));
}

/**
 * Gives each subgroup one of `tiles` tiles; where the size of subgroups is not known before the kernel runs, there may be fewer of them,
 * and the whole is done again for the tiles that are left.
 */
function dealTiles(
  b: Builder,
  tiles: number,
  invocations: number,
  target: Target,
  body: (tile: KernelExpr, active: KernelExpr | undefined, round: MatrixTile["round"]) => void,
): void {
  const { subgroupMinSize: low, subgroupMaxSize: high } = target;
  if (tiles === 1) {
    // All have the one tile's rows and columns; the first computes it.
    const only = low === high && invocations === high;
    body(kint(0), only ? undefined : name(b, "active", kapply("eq", subgroup("index"), kint(0))), undefined);
    return;
  }
  if (low === high) {
    const own = name(b, "tile", subgroup("index"));
    body(own, invocations === tiles * high ? undefined : name(b, "active", ilt(own, kint(tiles))), undefined);
    return;
  }
  const count = name(b, "subgroups", subgroup("count"));
  const round = variable("round");
  const statements = inFrame(b, true, () => {
    const own = name(b, "tile", iadd(imul(kvar(round), count), subgroup("index")));
    body(own, name(b, "active", ilt(own, kint(tiles))), { count, now: kvar(round) });
  });
  emit(b, loop(round, idiv(iadd(count, kint(tiles - 1)), count), statements));
}

function check(s: ContractionSchedule, target: Target): MatrixConfig {
  const config = matrixConfigs(target).find((c) => c.index === (s.config ?? 0));
  if (!config)
    throw new ScheduleError("config", `${target.name} lists no matrices of floats with number ${s.config ?? 0}`);
  const whole = (field: keyof ContractionSchedule, v: number, unit: number, most: number): void => {
    if (!Number.isInteger(v) || v < 1 || v > most || v % unit !== 0)
      throw new ScheduleError(field, `${v} is no multiple of ${unit} up to ${most}`);
  };
  const { m, n, k } = config;
  whole("reg", s.reg[0], m, MOST_MATRICES * m);
  whole("reg", s.reg[1], n, MOST_MATRICES * n);
  if ((s.reg[0] / m) * (s.reg[1] / n) > MOST_MATRICES)
    throw new ScheduleError("reg", `more than ${MOST_MATRICES} matrices a subgroup`);
  for (const x of s.threads) whole("threads", x, 1, 64);
  whole("tileK", s.tileK, k, 64);
  whole("splitK", s.splitK, 1, 64);
  if (s.threads[2] !== 1 || s.batches !== 1)
    throw new ScheduleError("threads", "subgroups share no K and have one batch position");
  if (s.rowFrom !== "thread" || (s.epilogue ?? "inline") !== "inline")
    throw new ScheduleError("rowFrom", "rows come in matrices, which an epilogue finds in workgroup memory");
  if (s.stage === "none" && (s.buffers !== 1 || s.pad !== 0))
    throw new ScheduleError("stage", "buffers and padding are for staged tiles");
  if (s.along === "k") throw new ScheduleError("along", "vectors along K are the stages' own affair");
  return config;
}
