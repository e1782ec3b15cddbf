/** What happens to a contraction's sums: combined over K, stored with the epilogue or as partial results. */

import { ONE, size, subExtent } from "../../../ir/extent.ts";
import {
  iadd,
  ilt,
  imul,
  type KernelExpr,
  kand,
  kapply,
  kint,
  ksize,
  kvar,
  type Lanes,
  load,
  loop,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Definition,
  i32,
  read,
  type TensorExpr,
  type TensorRef,
} from "../../../ir/tensor.ts";
import { lower, resolve, storeAt } from "../lower.ts";
import type { ContractionRegion, ScanRegion } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import { current, gather, newTree, treeCombine } from "./accumulate.ts";
import { aliasAxis, type Builder, bindAxis, emit, inCopy, inFrame, name, top } from "./builder.ts";
import { epilogueOf } from "./epilogue.ts";
import { atColumn, atRow, type Tile } from "./tile.ts";

/** Stores a filled tile: partial results, the results, or whatever the epilogue makes of them. */
export function storeTile(t: Tile, partials: readonly Definition[] | undefined): void {
  const { b, s } = t;
  const tk = s.threads[2];
  let tree: ReturnType<typeof newTree> | undefined;
  const lanes: Lanes = t.dot ? 1 : t.laneN;
  const m = t.sides.region.reduce.monoid;
  const sums: (readonly KernelExpr[])[] = [];
  if (tk > 1) {
    // Invocations of one element lie apart by the invocations of a plane of the workgroup.
    const plane = s.threads[0] * s.threads[1] * s.batches;
    tree = newTree(b, m, plane, tk, lanes);
    const own = iadd(imul(t.ty, kint(s.threads[1])), t.tx);
    if (s.batches > 1) throw new ScheduleError("batches", "K is split among invocations already");
    for (let e = 0; e < t.acc.count; e++) {
      const mine = gather(b, t.acc, !t.dot, [e]);
      sums.push(treeCombine(b, m, tree, own, t.tz, mine, !m.commutative, { row: 1, thread: plane }));
    }
  }
  for (let i = 0; i < t.rows; i++) {
    const row = t.rowAxes[i];
    const first = tk > 1 ? kapply("eq", t.tz, kint(0)) : undefined;
    if (row) guarded(b, [t.rowValid[i], t.batchValid, first], () => storeRow(t, i, row, partials, sums));
  }
}

/** Runs under all conditions that there are. */
function guarded(b: Builder, conditions: readonly (KernelExpr | undefined)[], body: () => void): void {
  const guard = conditions.reduce((all, x) => (all && x ? kand(all, x) : (all ?? x)), undefined);
  if (guard) emit(b, ...when(guard, inFrame(b, true, body)));
  else body();
}

/** Stores what stands in the tile's row `i` where `row` is, by `sums` if they are combined already. */
function storeRow(
  t: Tile,
  i: number,
  row: Axis,
  partials: readonly Definition[] | undefined,
  sums: readonly (readonly KernelExpr[])[] = [],
): void {
  const { b } = t;
  t.columnAxes.forEach((column, j) => {
    const e = i * t.columns + j;
    const sum = (): readonly KernelExpr[] =>
      sums[e] ?? (t.dot ? gather(b, t.acc, false, [e]) : current(t.acc, e).map((v) => name(b, "sum", v)));
    const one = (): void => storeElement(t, row, column, sum(), partials);
    const inside = t.columnValid[j];
    if (inside) emit(b, ...when(inside, inFrame(b, true, one)));
    else inCopy(b, one);
  });
}

/** On what condition each lane of a column is a result, where columns are filled up; columns outside the tile's are left out already. */
function testsOf(
  { b, sides, laneN, columnCount }: Tile,
  column: Axis,
): readonly (KernelExpr | undefined)[] | undefined {
  const count = sides.region.filled?.count.value;
  if (count === undefined) return undefined;
  const tests = new Map<number | undefined, KernelExpr | undefined>([[columnCount.value, undefined]]);
  return Array.from({ length: laneN }, (_, l) => {
    const end = Math.ceil((count - l) / laneN);
    if (!tests.has(end)) tests.set(end, ilt(lower(b, axisRef(column)), kint(end)));
    return tests.get(end);
  });
}

function storeElement(
  t: Tile,
  row: Axis,
  column: Axis,
  values: readonly KernelExpr[],
  partials: readonly Definition[] | undefined,
): void {
  const { b } = t;
  const { region } = t.sides;
  const P = region.def.axes.map((a) => axisRef(a));
  atRow(t, row, () =>
    atColumn(t, column, () => {
      for (const [a, digit] of region.filled?.digits ?? []) aliasAxis(b, a, digit);
      const tests = testsOf(t, column);
      if (partials) {
        const part = axis("part", size(t.s.splitK));
        if (t.part) bindAxis(b, part, t.part);
        values.forEach((v, s) => {
          const p = partials[s];
          if (p) storeAt(b, { tensor: p, slot: 0 }, [t.part ? axisRef(part) : i32(0), ...P], v, tests);
        });
        return;
      }
      values.forEach((v, s) => {
        top(b).memo.set(resolve(b, read(region.def, s, P)), { expr: v, level: b.frames.length - 1 });
      });
      for (const ref of region.stores) storeResult(b, region, ref, values, P, tests);
    }),
  );
}

/** Stores one of a region's results at a point, where `values` are those of its sums or of its scan and stand for them. */
export function storeResult(
  b: Builder,
  region: ContractionRegion | ScanRegion,
  ref: TensorRef,
  values: readonly KernelExpr[],
  P: readonly TensorExpr[],
  tests?: readonly (KernelExpr | undefined)[],
): void {
  if (ref.tensor === region.def) {
    const v = values[ref.slot];
    if (v) storeAt(b, ref, P, v, tests);
    return;
  }
  const e = epilogueOf(region).find((x) => x.def === ref.tensor);
  const result = e?.results[ref.slot];
  if (!e || !result) throw new ScheduleError("kind", `${ref.tensor.name} is not of this region`);
  storeAt(b, ref, e.point, lower(b, result), tests);
}

// ---- Results in a loop --------------------------------------------------------------------------------------------

/**
 * Stores a filled tile too, by code for a few rows in a loop over all of the invocation's, for compilers to which an access to memory is much
 * code: four vectors a round, two where more follows the sums. The next rows' sums take the places of those that were stored: an array of
 * them would cost more than the moves.
 */
export function storeByLoop(t: Tile, partials: readonly Definition[] | undefined): void {
  const { b, acc } = t;
  if (t.s.threads[2] > 1) throw new ScheduleError("epilogue", "invocations share sums");
  const most = Math.max(1, Math.floor((t.sides.region.epilogue.length > 0 ? 2 : 4) / t.columns));
  const together = t.rows % most === 0 ? most : 1;
  const v = variable("r");
  const statements = inFrame(b, false, () => {
    for (let i = 0; i < together; i++) {
      const row = axis("row", t.rowCount);
      const at = name(b, "row", t.rowAt(iadd(kvar(v), kint(i))));
      const whole = t.rowValid.every((x) => x === undefined);
      bindAxis(b, row, whole ? at : name(b, "inside", kapply("min", at, ksize(subExtent(t.rowCount, ONE)))));
      const inside = whole ? undefined : ilt(at, ksize(t.rowCount));
      guarded(b, [inside, t.batchValid], () => storeRow(t, i, row, partials));
    }
    const stored = together * t.columns;
    for (const slot of acc.slots)
      for (let e = 0; e + stored < acc.count; e++) emit(b, store(slot, kint(e), load(slot, kint(e + stored))));
  });
  emit(b, loop(v, kint(t.rows), statements, "loop", kint(0), together));
}
