/**
 * Weighted sums in one pass over the reduced positions (schedule.md §1, online): the frame of the kernel, and what happens at its end.
 * A block of positions is scored, weighted and added at a time; a larger maximum rescales what was added before (online-rows.ts).
 * How invocations share a tile of scores is in online-lanes.ts and online-workgroup.ts.
 */
import { ceilDivExtent, divExtent, ONE, size } from "../../../ir/extent.ts";
import {
  iadd,
  idiv,
  imod,
  imul,
  type KernelExpr,
  kand,
  kapply,
  kint,
  kvar,
  type Lanes,
  load,
  loop,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { axis, axisRef, read } from "../../../ir/tensor.ts";
import type { AppliedKernel } from "../applied.ts";
import { lower, storeAt } from "../lower.ts";
import { type OnlineRegion, statesOf } from "../region.ts";
import { inRange, type OnlineSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { checkGroup, emit, finish, inCopy, inFrame, name, newBuilder, newPrivate, originOf } from "./builder.ts";
import { gridLoops } from "./grid.ts";
import { quadPass } from "./online-quad.ts";
import { atRow, type DoneRows, finalRows, hold, newRows } from "./online-rows.ts";
import { subgroupPass } from "./online-subgroup.ts";
import { atColumn, type OnlineTile } from "./online-tile.ts";
import { workgroupPass } from "./online-workgroup.ts";
import { positions, QUAD } from "./tile.ts";
import { countOf, laneable, unflattenAxes } from "./walk.ts";

export function applyOnline(region: OnlineRegion, s: OnlineSchedule, target: Target): readonly AppliedKernel[] {
  check(region, s, target);
  const b = newBuilder(region.name, target, s.vector);
  originOf(b, region);
  for (const d of [region.def, ...[...statesOf(region), ...region.scores].map((x) => x.def)]) b.onChip.add(d);
  const laneN: Lanes = s.vector > 1 && laneable(region.n, s.vector) ? s.vector : 1;
  if (s.columns % laneN !== 0) throw new ScheduleError("columns", `${s.columns} columns in vectors of ${laneN}`);
  if (s.vector > 1 && laneN === 1 && !region.scores.some((x) => laneable(x.d, s.vector)))
    throw new ScheduleError("vector", `nothing has an extent that is a multiple of ${s.vector}`);
  const columns = s.columns / laneN;
  const [tm, tn] = s.threads;
  const groupRows = tm * s.reg[0];
  const groupColumns = tn * columns;
  const rowCount = countOf(region.m);
  const columnCount = divExtent(countOf(region.n), size(laneN));
  const batchCount = countOf(region.batch);
  const grid = [
    ceilDivExtent(columnCount, size(groupColumns)),
    ceilDivExtent(rowCount, size(groupRows)),
    batchCount,
  ] as const;
  const [x, y] = [variable("x"), variable("y")];
  const { wrap, ids } = gridLoops(grid, 1, target, s.swizzle);
  const body = inFrame(b, false, () => {
    const [gn, gm, gb] = ids(b);
    const [tx, ty] = [tn === 1 ? kint(0) : kvar(x), tm === 1 ? kint(0) : kvar(y)];
    const rowBase = name(b, "row", iadd(imul(gm, kint(groupRows)), imul(ty, kint(s.reg[0]))));
    const columnBase = name(b, "col", imul(gn, kint(groupColumns)));
    const row = positions(b, "row", s.reg[0], rowCount, groupRows, (i) => iadd(rowBase, kint(i)));
    const columnAt = (j: KernelExpr): KernelExpr => iadd(columnBase, iadd(imul(j, kint(tn)), tx));
    const column = positions(b, "col", columns, columnCount, groupColumns, (j) => columnAt(kint(j)));
    const batch = positions(b, "batch", 1, batchCount, 1, () => gb);
    unflattenAxes(b, region.batch, axisRef(batch.axes[0] ?? axis("batch", ONE)), 1);
    const states = newRows(b, region, s.reg[0], columns, laneN);
    const t: OnlineTile = {
      b, region, s, laneN, rows: s.reg[0], columns, rowAxes: row.axes, columnAxes: column.axes, rowBase, rowCount,
      keyCount: countOf(region.k), tx, ty, states,
    }; // biome-ignore format: one record
    const total = PASSES[s.share](t);
    // Values a row are stored by the first invocation that has the row.
    const first = kand(kapply("eq", tx, kint(0)), kapply("eq", gn, kint(0)));
    const atStart = grid[0] === ONE && tn === 1 ? undefined : first;
    const storeRow = (
      of: OnlineTile,
      i: number,
      done: DoneRows,
      valid: Valid,
      states: KernelExpr | undefined,
    ): void => {
      const put = (): void => {
        storeStates(of, i, done, states);
        for (let j = 0; j < of.columns; j++) {
          const one = (): void => storeElement(of, i, j, done);
          const inside = valid.columns[j];
          if (inside) emit(b, ...when(inside, inFrame(b, true, one)));
          else inCopy(b, one);
        }
      };
      if (valid.row) emit(b, ...when(valid.row, inFrame(b, true, put)));
      else put();
    };
    if (target.kind === "software" && s.reg[0] > 1) {
      const round = together(columns);
      byLoop(t, total, round, (r, c) => {
        const { axes, valid } = positions(b, "row", 1, rowCount, groupRows, () => iadd(rowBase, r));
        const some = positions(b, "col", round, columnCount, groupColumns, (j) => columnAt(iadd(c, kint(j))));
        const one = { ...t, rowAxes: axes, columns: round, columnAxes: some.axes };
        const begins = round < columns ? kapply("eq", c, kint(0)) : undefined;
        const states = begins && atStart ? kand(begins, atStart) : (begins ?? atStart);
        return (sums) => storeRow(one, 0, finalRows(one, [sums]), { row: valid[0], columns: some.valid }, states);
      });
    } else {
      const done = finalRows(t, total);
      row.axes.forEach((_, i) => {
        storeRow(t, i, done, { row: row.valid[i], columns: column.valid }, atStart);
      });
    }
  });
  const inside = tm > 1 ? [loop(y, kint(tm), body, "thread.y")] : body;
  return [finish(b, wrap([loop(x, kint(tn), inside, "thread.x")]))];
}

const PASSES = { subgroup: subgroupPass, workgroup: workgroupPass, quad: quadPass } as const satisfies Record<
  OnlineSchedule["share"],
  (t: OnlineTile) => readonly (readonly KernelExpr[])[]
>;

/** Reduced positions taken in together. */
const LEAST_BLOCK = 16;

function check(region: OnlineRegion, s: OnlineSchedule, target: Target): void {
  const [rows, keys] = s.reg;
  inRange("reg", rows, 1, 32);
  inRange("reg", keys, 1, 16);
  // Positions that a lane meets for each that it loads.
  const met = s.share === "quad" ? QUAD : 1;
  inRange("columns", s.columns, 1, met > 1 ? 128 : 64);
  inRange("tileK", s.tileK, 1, 64);
  if (rows * (met * keys + s.columns) > 512)
    throw new ScheduleError("reg", "an invocation would keep more than 512 numbers");
  for (const v of s.threads) inRange("threads", v, 1, 1024);
  const [tm, tn] = s.threads;
  checkGroup(target, tn, tm);
  // A block's rescaling costs at most 5 ULP (exp 3 beyond what the exponent's size costs anyhow, products and differences the rest). Bounds of
  // sums allow a whole ULP a term where an addition rounds by half of one: blocks of 16 stay within that.
  const block = keys * tn * met;
  if (region.peak && block < LEAST_BLOCK)
    throw new ScheduleError("reg", `blocks of ${block} positions; ${LEAST_BLOCK} at least`);
  if (s.share === "workgroup") return;
  const [low, high] = [target.subgroupMinSize, target.subgroupMaxSize];
  if (low < 1 || low !== high || !target.features.includes("subgroups"))
    throw new ScheduleError("share", `subgroups of ${low} to ${high}`);
  if (met > 1) {
    if (tm !== low || low !== QUAD || tn !== 1)
      throw new ScheduleError("threads", `a workgroup is one subgroup of ${QUAD}`);
    return;
  }
  if (tm !== 1 || tn !== low) throw new ScheduleError("threads", `a workgroup is one subgroup of ${low}`);
  if (rows % low !== 0) throw new ScheduleError("reg", `${rows} rows on a subgroup of ${low}`);
}

// ---- Results --------------------------------------------------------------------------------------------------------

/** What says that a row, and its columns, lie inside. */
interface Valid {
  readonly row: KernelExpr | undefined;
  readonly columns: readonly (KernelExpr | undefined)[];
}

/**
 * Columns of a row that are stored by one round of the loop: eight of 16 save SwiftShader a tenth of its time, four no more. Every round
 * moves all that is left, so where no divisor is as large as four, all of a row's columns.
 */
function together(columns: number): number {
  const divisor = [8, 7, 6, 5, 4].find((d) => columns % d === 0);
  return columns > 8 && divisor ? divisor : columns;
}

/**
 * The rows one after the other by the same code, in a loop, `round` columns at a time: what the next round stores takes the place of the
 * first. Drivers of software adapters take long for each store in the text (8·256·64, four rows of 16 vectors: SwiftShader compiles in 0.3
 * of the time).
 */
function byLoop(
  t: OnlineTile,
  total: readonly (readonly KernelExpr[])[],
  round: number,
  storeAtRound: (row: KernelExpr, column: KernelExpr) => (sums: readonly KernelExpr[]) => void,
): void {
  const { b, states, rows } = t;
  const rounds = t.columns / round;
  const sums = states.sums.map((like, k) => {
    const whole = newPrivate(b, "whole", like.dtype, rows, 1);
    total.forEach((own, i) => {
      const v = own[k];
      if (v) emit(b, store(whole, kint(i), v));
    });
    return whole;
  });
  const v = variable("r");
  const body = inFrame(b, false, () => {
    const r = rounds === 1 ? kvar(v) : name(b, "r", idiv(kvar(v), kint(rounds)));
    const c = rounds === 1 ? kint(0) : name(b, "c", imul(imod(kvar(v), kint(rounds)), kint(round)));
    const last = rounds === 1 ? undefined : name(b, "last", kapply("eq", c, kint(t.columns - round)));
    const put = storeAtRound(r, c);
    inCopy(b, () => put(sums.map((x) => load(x, kint(0)))));
    for (const x of [...(states.peak ? [states.peak] : []), ...sums])
      for (let e = 0; e + 1 < rows; e++) {
        const [now, next] = [load(x, kint(e)), load(x, kint(e + 1))];
        emit(b, store(x, kint(e), last ? kapply("select", last, next, now) : next));
      }
    for (let e = 0; e + round < rows * t.columns; e++)
      emit(b, store(states.total, kint(e), load(states.total, kint(e + round))));
  });
  emit(b, loop(v, kint(rows * rounds), body));
}

function holdStates(t: OnlineTile, i: number, done: DoneRows): void {
  const { b, region } = t;
  statesOf(region).forEach((x, k) => {
    const v = done.states[i]?.[k];
    if (v) hold(b, read(x.def, 0, x.point), v);
  });
}

function storeStates(t: OnlineTile, i: number, done: DoneRows, first: KernelExpr | undefined): void {
  const { b, region } = t;
  const stored = statesOf(region).flatMap((x, k) => {
    const ref = region.stores.find((r) => r.tensor === x.def);
    const v = done.states[i]?.[k];
    return ref && v ? [{ ref, v, point: x.point }] : [];
  });
  if (stored.length === 0) return;
  const put = (): void => {
    for (const x of stored) atRow(t, i, () => storeAt(b, x.ref, x.point, x.v));
  };
  if (first) emit(b, ...when(first, inFrame(b, true, put)));
  else put();
}

function storeElement(t: OnlineTile, i: number, j: number, done: DoneRows): void {
  const { b, region } = t;
  const v = done.elements[i]?.[j];
  if (!v) throw new Error("no such element of the sum");
  atRow(t, i, () =>
    atColumn(t, j, () => {
      const point = region.def.axes.map((a) => axisRef(a));
      holdStates(t, i, done);
      hold(b, read(region.def, 0, point), v);
      for (const ref of region.stores) {
        if (ref.tensor === region.def) storeAt(b, ref, point, v);
        const e = region.epilogue.find((m) => m.def === ref.tensor);
        const result = e?.results[ref.slot];
        if (e && result) storeAt(b, ref, e.point ?? point, lower(b, result));
      }
    }),
  );
}
