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
  loop,
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
import { loadBack, lower, resolve, storeAt } from "../lower.ts";
import type { ContractionRegion, ScanRegion } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import { current, gather, newTree, treeCombine } from "./accumulate.ts";
import { type Builder, bindAxis, emit, inCopy, inFrame, name, top } from "./builder.ts";
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
  const sumOf = (e: number): readonly KernelExpr[] =>
    sums[e] ?? (t.dot ? gather(b, t.acc, false, [e]) : current(t.acc, e).map((v) => name(b, "sum", v)));
  for (let i = 0; i < t.rows; i++) {
    const put = (): void => {
      for (let j = 0; j < t.columns; j++) {
        const guard = t.columnValid[j];
        const one = (): void => storeElement(t, i, j, sumOf(i * t.columns + j), partials);
        if (guard) emit(b, ...when(guard, inFrame(b, true, one)));
        else inCopy(b, one);
      }
    };
    let guard = t.rowValid[i];
    if (t.batchValid) guard = guard ? kand(guard, t.batchValid) : t.batchValid;
    if (tk > 1) {
      const first = kapply("eq", t.tz, kint(0));
      guard = guard ? kand(guard, first) : first;
    }
    if (guard) emit(b, ...when(guard, inFrame(b, true, put)));
    else put();
  }
}

function storeElement(
  t: Tile,
  i: number,
  j: number,
  values: readonly KernelExpr[],
  partials: readonly Definition[] | undefined,
): void {
  const { b } = t;
  const { region } = t.sides;
  const [row, column] = [t.rowAxes[i], t.columnAxes[j]];
  if (!row || !column) throw new Error("no such element of the tile");
  const P = region.def.axes.map((a) => axisRef(a));
  atRow(t, row, () =>
    atColumn(t, column, () => {
      if (partials) {
        const part = axis("part", size(t.s.splitK));
        if (t.part) bindAxis(b, part, t.part);
        values.forEach((v, s) => {
          const p = partials[s];
          if (p) storeAt(b, { tensor: p, slot: 0 }, [t.part ? axisRef(part) : i32(0), ...P], v);
        });
        return;
      }
      values.forEach((v, s) => {
        top(b).memo.set(resolve(b, read(region.def, s, P)), { expr: v, level: b.frames.length - 1 });
      });
      for (const ref of region.stores) storeResult(b, region, ref, values, P);
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
): void {
  if (ref.tensor === region.def) {
    const v = values[ref.slot];
    if (v) storeAt(b, ref, P, v);
    return;
  }
  const e = epilogueOf(region).find((x) => x.def === ref.tensor);
  const result = e?.results[ref.slot];
  if (!e || !result) throw new ScheduleError("kind", `${ref.tensor.name} is not of this region`);
  storeAt(b, ref, e.point, lower(b, result));
}

// ---- The epilogue as a loop ---------------------------------------------------------------------------------------

/**
 * Stores the sums as they are where the result will be, then each invocation goes over its own rows again and applies the
 * epilogue: its code stands once, not once for each row.
 */
export function storeByLoop(t: Tile, firstRow: KernelExpr): void {
  const { b, s } = t;
  const { region } = t.sides;
  const [ref, ...others] = region.stores;
  const e = epilogueOf(region).find((x) => x.def === ref?.tensor);
  const result = ref && e?.results[ref.slot];
  const slots = region.reduce.monoid.slots;
  if (!ref || !e || !result || others.length > 0)
    throw new ScheduleError("epilogue", "a loop stores one result of the epilogue");
  if (slots.length !== 1 || slots[0] !== result.dtype || t.dot || s.threads[2] > 1 || s.splitK > 1)
    throw new ScheduleError("epilogue", "the sums cannot stand where the result will be");
  const P = region.def.axes.map((a) => axisRef(a));
  const each = (row: Axis, valid: KernelExpr | undefined, put: (j: number) => void): void => {
    let guard = valid;
    if (t.batchValid) guard = guard ? kand(guard, t.batchValid) : t.batchValid;
    const columns = (): void => {
      t.columnAxes.forEach((column, j) => {
        const one = (): void => atRow(t, row, () => atColumn(t, column, () => put(j)));
        const inside = t.columnValid[j];
        if (inside) emit(b, ...when(inside, inFrame(b, true, one)));
        else one();
      });
    };
    if (guard) emit(b, ...when(guard, inFrame(b, true, columns)));
    else columns();
  };
  t.rowAxes.forEach((row, i) => {
    each(row, t.rowValid[i], (j) => {
      const v = current(t.acc, i * t.columns + j)[0];
      if (v) storeAt(b, ref, e.point, name(b, "sum", v), "readwrite");
    });
  });
  const v = variable("r");
  const statements = inFrame(b, false, () => {
    const row = axis("row", t.rowCount);
    const at = name(b, "row", iadd(firstRow, kvar(v)));
    const whole = t.rowValid.every((x) => x === undefined);
    bindAxis(b, row, whole ? at : name(b, "inside", kapply("min", at, ksize(subExtent(t.rowCount, ONE)))));
    each(row, whole ? undefined : ilt(at, ksize(t.rowCount)), () => {
      top(b).memo.set(resolve(b, read(region.def, 0, P)), {
        expr: loadBack(b, ref, e.point),
        level: b.frames.length - 1,
      });
      storeAt(b, ref, e.point, lower(b, result), "readwrite");
    });
  });
  emit(b, loop(v, kint(t.rows), statements));
}
