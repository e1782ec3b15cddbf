/**
 * The frame of a contraction's kernel: which rows, columns and batch positions an invocation has, how operands are evaluated
 * for them, and what happens to the sums. The loops over K are in contraction.ts and stage.ts.
 */
import { ceilDivExtent, divExtent, type Extent, ONE, size, subExtent } from "../../../ir/extent.ts";
import {
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvar,
  type Lanes,
  loop,
  type Statement,
  subgroup,
  variable,
} from "../../../ir/kernel.ts";
import {
  type Axis,
  arg,
  axis,
  axisRef,
  type Definition,
  input,
  read,
  substituteArgs,
  type TensorExpr,
} from "../../../ir/tensor.ts";
import { axesIn } from "../../passes/rewrite.ts";
import { divisible } from "../affine.ts";
import { lower, resolve } from "../lower.ts";
import { lowerBody } from "../lower-body.ts";
import type { ContractionRegion } from "../region.ts";
import { type ContractionSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { type Accumulator, newAccumulator } from "./accumulate.ts";
import { type Builder, bindAxis, checkGroup, inCopy, inFrame, name, newBuilder, originOf, top } from "./builder.ts";
import { gridLoops } from "./grid.ts";
import { countOf, unflattenAxes } from "./walk.ts";

/** A contraction with its sides as the schedule sees them: vectors and columns along `n`. */
export interface Sides {
  readonly region: ContractionRegion;
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  readonly a: TensorExpr;
  readonly b: TensorExpr | undefined;
  /** Values of the monoid's slots from arg(0) = a and arg(1) = b, where they are made of those and of positions. */
  readonly bodies: readonly (TensorExpr | undefined)[];
  /** What stands for the operands in a body that needs its element's position as well. */
  readonly held: readonly TensorExpr[];
}

/** `flip` exchanges M and N: lanes then run along M. */
export function sidesOf(region: ContractionRegion, flip: boolean): Sides {
  const args = [region.a, region.b].filter((x) => x !== undefined);
  const whole = substituteArgs(region.body, args);
  const swapped =
    flip && region.b ? substituteArgs(region.body, [arg(1, region.a.dtype), arg(0, region.b.dtype)]) : region.body;
  const bodies = region.reduce.values.map((v) =>
    v === whole || region.reduce.values.length === 1 ? swapped : undefined,
  );
  const { batch, k } = region;
  const sides = (m: readonly Axis[], n: readonly Axis[], a: TensorExpr, b: TensorExpr | undefined): Sides => {
    const held = [a, ...(b ? [b] : [])].map((x, i) => read(input(`operand${i}`, x.dtype, []), 0, []));
    return { region, batch, m, n, k, a, b, bodies, held };
  };
  if (!flip) return sides(region.m, region.n, region.a, region.b);
  if (!region.b) throw new ScheduleError("along", "there is only one operand");
  return sides(region.n, region.m, region.b, region.a);
}

export interface Tile {
  readonly b: Builder;
  readonly sides: Sides;
  readonly s: ContractionSchedule;
  /** Lanes of a column: columns come in vectors along N. */
  readonly laneN: Lanes;
  /** Elements of K that are loaded together; with `dot` the accumulators keep their lanes apart until the end. */
  readonly laneK: Lanes;
  readonly dot: boolean;
  /** Rows and columns (in vectors) of an invocation. */
  readonly rows: number;
  readonly columns: number;
  /** Where the invocation's row of a number is. */
  readonly rowAt: (i: KernelExpr) => KernelExpr;
  readonly rowAxes: readonly Axis[];
  readonly columnAxes: readonly Axis[];
  readonly batchAxis: Axis;
  readonly rowValid: readonly (KernelExpr | undefined)[];
  readonly columnValid: readonly (KernelExpr | undefined)[];
  readonly batchValid: KernelExpr | undefined;
  readonly tx: KernelExpr;
  readonly ty: KernelExpr;
  readonly tz: KernelExpr;
  /** First row and first column (in vectors) of the workgroup. */
  readonly rowBase: KernelExpr;
  readonly columnBase: KernelExpr;
  readonly part: KernelExpr | undefined;
  readonly acc: Accumulator;
  /** The n axes' count in vectors. */
  readonly columnCount: Extent;
  readonly rowCount: Extent;
}

/**
 * How rows are dealt to the invocations: each has its own, or the lanes of a subgroup (or of a batch position's part of one) share them;
 * in a quad lane s has rows s, s ^ 1, s ^ 2 and s ^ 3 of every four, in this order.
 */
export type Deal = "together" | "subgroup" | "quad";
/** Lanes that exchange rows. */
export const QUAD = 4;

export interface Plan {
  readonly laneN: Lanes;
  readonly laneK: Lanes;
  readonly dot: boolean;
  readonly deal: Deal;
  /** Rows that a workgroup has, where it is not threads·reg. */
  readonly groupRows: number;
  readonly partials: readonly Definition[] | undefined;
}

/** What lanes that share rows are: which of its batch position's an invocation is, its place in the workgroup, and its rows. */
interface Dealt {
  readonly tx: KernelExpr;
  readonly place: KernelExpr;
  readonly row: (base: KernelExpr, i: KernelExpr) => KernelExpr;
}

function dealtRows(b: Builder, deal: Deal, s: ContractionSchedule, target: Target, x: KernelExpr): Dealt {
  const quad = deal === "quad";
  const lanes = s.threads[1];
  const lane = s.batches > 1 || quad ? name(b, "lane", subgroup("id")) : undefined;
  const own = lane && target.subgroupMaxSize > lanes ? name(b, "tx", imod(lane, kint(lanes))) : lane;
  const tx = own ?? x;
  const turns = quad ? quadLanes(b, "turned", tx) : [];
  const turned = (base: KernelExpr, i: KernelExpr): KernelExpr =>
    i.kind === "const"
      ? iadd(iadd(base, kint(i.value - (i.value % QUAD))), turns[i.value % QUAD] ?? tx)
      : iadd(base, kapply("bitxor", tx, i));
  return {
    tx,
    // More than one subgroup: which, says the place in the workgroup.
    place: lane && lanes * s.batches <= target.subgroupMaxSize ? lane : x,
    row: (base, i) => (quad ? turned(base, i) : iadd(base, i)),
  };
}

/** The lanes of a quad in the order in which one of them meets what they exchange. */
export function quadLanes(b: Builder, hint: string, own: KernelExpr): readonly KernelExpr[] {
  return [own, ...[1, 2, 3].map((turn) => name(b, hint, kapply("bitxor", own, kint(turn))))];
}

/** Builds the kernel around `inner`, which fills the accumulators and stores them. */
export function tileKernel(
  sides: Sides,
  s: ContractionSchedule,
  target: Target,
  plan: Plan,
  kernelName: string,
  prepare: (b: Builder) => void,
  inner: (t: Tile) => void,
): { readonly b: Builder; readonly body: readonly Statement[] } {
  const b = newBuilder(kernelName, target, s.vector);
  originOf(b, sides.region);
  prepare(b);
  b.onChip.add(sides.region.def);
  const { laneN, laneK, dot } = plan;
  const [tm, tn, tk] = s.threads;
  const [rm, rnScalar] = s.reg;
  const rn = rnScalar / laneN;
  if (!Number.isInteger(rn) || rn < 1) throw new ScheduleError("reg", `${rnScalar} columns in vectors of ${laneN}`);
  // Several batch positions: each has `tn` neighbouring invocations, a subgroup or a part of one.
  const clustered = plan.deal !== "together" && s.batches > 1;
  const xs = clustered ? tn * s.batches : tn;
  const zs = clustered ? tk : tk * s.batches;
  checkGroup(target, xs, tm, zs);
  const rowCount = countOf(sides.m);
  const columnCount = divExtent(countOf(sides.n), size(laneN));
  const batchCount = countOf(sides.batch);
  const groupColumns = tn * rn;
  const groupRows = plan.groupRows;
  const grid = [
    ceilDivExtent(columnCount, size(groupColumns)),
    ceilDivExtent(rowCount, size(groupRows)),
    ceilDivExtent(batchCount, size(s.batches)),
  ] as const;
  const [x, y, z] = [variable("x"), variable("y"), variable("z")];
  const { wrap, ids } = gridLoops(grid, s.splitK, target, s.swizzle);
  const body = inFrame(b, false, () => {
    const [gn, gm, gb, part] = ids(b);
    const dealt = plan.deal === "together" ? undefined : dealtRows(b, plan.deal, s, target, kvar(x));
    const tx: KernelExpr = dealt?.tx ?? (tn === 1 ? kint(0) : kvar(x));
    const ty: KernelExpr = tm === 1 ? kint(0) : kvar(y);
    const tz: KernelExpr =
      zs === 1 ? kint(0) : tk > 1 && s.batches > 1 ? imod(kvar(z), kint(tk)) : tk > 1 ? kvar(z) : kint(0);
    const tb: KernelExpr =
      s.batches === 1
        ? kint(0)
        : clustered
          ? idiv(dealt?.place ?? kvar(x), kint(tn))
          : tk > 1
            ? idiv(kvar(z), kint(tk))
            : kvar(z);
    const rowBase = name(b, "row", imul(gm, kint(groupRows)));
    const columnBase = name(b, "col", imul(gn, kint(groupColumns)));
    const rowAt = (i: KernelExpr): KernelExpr =>
      dealt ? dealt.row(rowBase, i) : iadd(rowBase, iadd(imul(ty, kint(rm)), i));
    const row = positions(b, "row", rm, rowCount, groupRows, (i) => rowAt(kint(i)));
    const column = positions(b, "col", rn, columnCount, groupColumns, (j) => iadd(columnBase, iadd(kint(j * tn), tx)));
    const batch = positions(b, "batch", 1, batchCount, s.batches, () => iadd(imul(gb, kint(s.batches)), tb));
    const acc = newAccumulator(b, sides.region.reduce.monoid, rm * rn, dot ? laneK : laneN);
    const tile: Tile = {
      b,
      sides,
      s,
      laneN,
      laneK,
      dot,
      rows: rm,
      columns: rn,
      rowAt,
      rowAxes: row.axes,
      columnAxes: column.axes,
      batchAxis: batch.axes[0] ?? axis("batch", ONE),
      rowValid: row.valid,
      columnValid: column.valid,
      batchValid: batch.valid[0],
      tx,
      ty,
      tz,
      rowBase,
      columnBase,
      part,
      acc,
      columnCount,
      rowCount,
    };
    unflattenAxes(b, sides.batch, axisRef(tile.batchAxis), 1);
    inner(tile);
  });
  let inside: readonly Statement[] = body;
  if (zs > 1) inside = [loop(z, kint(zs), inside, "thread.z")];
  if (tm > 1) inside = [loop(y, kint(tm), inside, "thread.y")];
  inside = [loop(x, kint(xs), inside, "thread.x")];
  return { b, body: wrap(inside) };
}

/** Axes bound to positions that are clamped into the extent, and whether each was inside. */
export function positions(
  b: Builder,
  hint: string,
  count: number,
  extent: Extent,
  group: number,
  at: (i: number) => KernelExpr,
): { readonly axes: readonly Axis[]; readonly valid: readonly (KernelExpr | undefined)[] } {
  const axes: Axis[] = [];
  const valid: (KernelExpr | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const a = axis(hint, extent);
    if (divisible(extent, group)) {
      bindAxis(b, a, at(i));
      valid.push(undefined);
    } else {
      const named = name(b, hint, at(i));
      bindAxis(b, a, name(b, "inside", kapply("min", named, ksize(subExtent(extent, ONE)))));
      valid.push(ilt(named, ksize(extent)));
    }
    axes.push(a);
  }
  return { axes, valid };
}

/** The rows that a lane loads of a tile that lanes share: every `lanes`-th, from its own on. Rows outside are those at the edge again. */
export function rowsOfLane(
  b: Builder,
  t: { readonly rows: number; readonly rowBase: KernelExpr; readonly rowCount: Extent },
  lanes: number,
  own: KernelExpr,
): readonly Axis[] {
  return Array.from({ length: t.rows / lanes }, (_, g): Axis => {
    const a = axis("row", t.rowCount);
    const at = iadd(iadd(t.rowBase, kint(g * lanes)), own);
    const last = ksize(subExtent(t.rowCount, ONE));
    bindAxis(b, a, divisible(t.rowCount, t.rows) ? at : name(b, "inside", kapply("min", at, last)));
    return a;
  });
}

// ---- Operands -----------------------------------------------------------------------------------------------------

/** Runs with the m axes standing for one of the invocation's rows. */
export function atRow<T>(t: Tile, a: Axis, body: () => T): T {
  return atFlat(t.b, t.sides.m, a, 1, body);
}
export function atColumn<T>(t: Tile, a: Axis, body: () => T): T {
  return atFlat(t.b, t.sides.n, a, t.laneN, body);
}
/** Runs with some axes standing for the coordinates of a flat position, in units of `lanes` along the last. */
export function atFlat<T>(b: Builder, axes: readonly Axis[], a: Axis, lanes: number, body: () => T): T {
  return inCopy(b, () => {
    const flats = b.flats.length;
    unflattenAxes(b, axes, axisRef(a), lanes);
    const made = body();
    b.flats.length = flats;
    return made;
  });
}

/** Whether products are made of their operands alone, and not of where they are. */
export function placeless({ sides }: Tile): boolean {
  return sides.bodies.every((body) => body !== undefined && axesIn(body).size === 0);
}

/** The values of the monoid's slots for an element of the tile, from its operands. Axes of K are in place, unless it is `placeless`. */
export function slotValues(
  t: Tile,
  i: number,
  j: number,
  left: KernelExpr,
  right: KernelExpr | undefined,
): readonly KernelExpr[] {
  const { b } = t;
  const { region, bodies, held } = t.sides;
  const operands = right ? [left, right] : [left];
  return region.reduce.values.map((v, s) => {
    const body = bodies[s];
    if (body && axesIn(body).size === 0) return lowerBody(b, [body], operands)[0] ?? left;
    const [row, column] = [t.rowAxes[i], t.columnAxes[j]];
    if (!row || !column) throw new Error("no such element of the tile");
    return atRow(t, row, () =>
      atColumn(t, column, () => {
        if (!body) return lower(b, v);
        operands.forEach((expr, x) => {
          const stands = held[x];
          if (stands) top(b).memo.set(resolve(b, stands), { expr, level: b.frames.length - 1 });
        });
        return lower(b, substituteArgs(body, held));
      }),
    );
  });
}
