/** What becomes of the phases of a row: reductions, whose results later phases read, and what is stored. */
import { size } from "../../../ir/extent.ts";
import { type KernelExpr, kand, kapply, kint, when } from "../../../ir/kernel.ts";
import { axis, axisRef, type Definition, type MapDef, type Reduce, read, shapeOf } from "../../../ir/tensor.ts";
import { lower, resolve, storeAt } from "../lower.ts";
import type { RowPhase } from "../region.ts";
import {
  type Accumulator,
  accumulate,
  folded,
  gather,
  newAccumulator,
  newTree,
  subgroupCombine,
  treeCombine,
} from "./accumulate.ts";
import { type Builder, bindAxis, emit, inFrame } from "./builder.ts";
import { inRow, type Rows, walkPhase } from "./row-walk.ts";

export function reducePhase(r: Rows, def: MapDef, reduceOf: Reduce): void {
  const { b, tile } = r;
  const m = reduceOf.monoid;
  const ordered = !m.commutative && (tile.threads > 1 || tile.parts > 1);
  const fold = tile.fold === true && tile.hold === 0 && m.commutative;
  const unroll = fold || tile.hold > 0 ? 1 : Math.max(1, tile.unroll);
  const acc = newAccumulator(b, m, tile.each * unroll, fold && tile.vectorOn === "row" ? 1 : tile.vector);
  b.wide = tile.hold > 0 ? 1 : (tile.wide ?? 1);
  const taken = Array.from({ length: tile.each }, (): (readonly KernelExpr[])[] => []);
  walkPhase(r, reduceOf.axes, reduceOf.values, [], ordered, tile.unroll, (u, valid, together) => {
    for (let e = 0; e < tile.each; e++)
      inRow(r, e, () => {
        const values = reduceOf.values.map((v) => lower(b, v));
        if (!fold) {
          accumulate(b, acc, e * unroll + (u % unroll), values, valid);
          return;
        }
        const all = taken[e] ?? [];
        all.push(values);
        if (all.length === together) accumulate(b, acc, e, folded(b, m, all.splice(0), acc.lanes, tile.vector));
      });
  });
  b.wide = 1;
  const results = Array.from({ length: tile.each }, (_, e) => resultOf(r, acc, e, unroll, ordered));
  if (r.part) storePartials(r, def, results);
  else holdReduced(r, def, results);
}

/** Later phases read these values of the rows' reduction, by row and slot; stored where that is asked for. */
export function holdReduced(r: Rows, def: MapDef, results: readonly (readonly KernelExpr[])[]): void {
  const { b } = r;
  results.forEach((values, e) => {
    inRow(r, e, () => {
      const point = r.job.axes.map((a) => axisRef(a));
      values.forEach((v, s) => {
        const node = resolve(b, read(def, s, point));
        b.frames[r.at]?.memo.set(node, { expr: v, level: r.at });
      });
    });
  });
  storeReduced(r, def, results);
}

/** The reduction of one row, known to all of its invocations. */
export function resultOf(
  r: Rows,
  acc: Accumulator,
  e: number,
  unroll: number,
  ordered: boolean,
): readonly KernelExpr[] {
  const { b, tile } = r;
  const keep = tile.vectorOn === "points";
  const own = gather(
    b,
    acc,
    keep,
    Array.from({ length: unroll }, (_, u) => e * unroll + u),
  );
  if (tile.threads === 1) return own;
  if (tile.combine === "subgroup") return subgroupCombine(b, acc.monoid, own, tile.threads);
  const lanes = keep ? tile.vector : 1;
  const key = `${acc.monoid.slots.join(",")}/${lanes}`;
  let tree = r.trees.get(key);
  if (!tree) {
    tree = newTree(b, acc.monoid, tile.rows, tile.threads, lanes);
    r.trees.set(key, tree);
  }
  const stride = tile.rowsFirst ? { row: 1, thread: tile.rows } : { row: tile.threads, thread: 1 };
  return treeCombine(b, acc.monoid, tree, r.rowPlace, r.thread, own, ordered, stride);
}

/** Statements that only one invocation of an existing row runs. */
function byFirst(r: Rows, e: number, body: () => void): void {
  const { b, tile } = r;
  let condition = r.rowValid[e];
  if (tile.threads > 1) {
    const first = kapply("eq", r.thread, kint(0));
    condition = condition ? kand(condition, first) : first;
  }
  if (!condition) {
    body();
    return;
  }
  emit(b, ...when(condition, inFrame(b, true, body)));
}

function storeReduced(r: Rows, def: MapDef, results: readonly (readonly KernelExpr[])[]): void {
  const stored = r.job.stores.filter((s) => s.tensor === def);
  if (stored.length === 0) return;
  results.forEach((values, e) => {
    byFirst(r, e, () => {
      inRow(r, e, () => {
        for (const ref of stored) {
          const v = values[ref.slot];
          if (v)
            storeAt(
              r.b,
              ref,
              r.job.axes.map((a) => axisRef(a)),
              v,
            );
        }
      });
    });
  });
}

export function storePhase(r: Rows, p: Extract<RowPhase, { kind: "store" }>): void {
  const { b, tile } = r;
  const stored = r.job.stores.filter((s) => s.tensor === p.def);
  if (stored.length === 0) return;
  const put = (_e: number): void => {
    const point = p.point;
    for (const ref of stored) {
      const value = p.results[ref.slot];
      if (value) storeAt(b, ref, point, lower(b, value));
    }
  };
  if (p.axes.length === 0) {
    for (let e = 0; e < tile.each; e++) byFirst(r, e, () => inRow(r, e, () => put(e)));
    return;
  }
  // What is loaded together has no gain from being stored together: softmax 1024² took 1.06 of the time on SwiftShader.
  const block = tile.online || ((tile.wide ?? 1) > 1 && tile.vectorOn === "row") ? 1 : tile.unroll;
  walkPhase(r, p.axes, p.results, [{ at: p.point, shape: shapeOf(p.def) }], false, block, (_, unitValid) => {
    for (let e = 0; e < tile.each; e++) {
      const valid = r.rowValid[e];
      const condition = valid && unitValid ? kand(valid, unitValid) : (valid ?? unitValid);
      const body = (): void => inRow(r, e, () => put(e));
      if (condition) emit(b, ...when(condition, inFrame(b, true, body)));
      else body();
    }
  });
}

// ---- Partial results ----------------------------------------------------------------------------------------------

/** Where a kernel of parts puts its partial results, by slot. */
export const partialOf: WeakMap<Builder, readonly Definition[]> = new WeakMap();

function storePartials(r: Rows, def: MapDef, results: readonly (readonly KernelExpr[])[]): void {
  const partial = partialOf.get(r.b);
  if (!partial || !r.part) throw new Error("no place for partial results");
  const part = axis("part", size(r.tile.parts));
  results.forEach((values, e) => {
    byFirst(r, e, () => {
      if (r.part) bindAxis(r.b, part, r.part);
      inRow(r, e, () => {
        values.forEach((v, s) => {
          const t = partial[s];
          if (t) storeAt(r.b, { tensor: t, slot: 0 }, [axisRef(part), ...r.job.axes.map((a) => axisRef(a))], v);
        });
      });
    });
  });
  if (def.types.length === 0) throw new Error("a reduction without results");
}
