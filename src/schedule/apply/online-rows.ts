/**
 * A row's running maximum and sums. With ref(h) = h if it is finite, else 0, terms are lifted by exp(u - ref(h)); when h grows to h′,
 * sums are multiplied by exp(h - ref(h′)), by exactly 1 where h′ = h; at the end by exp(ref(h) - h). That agrees with two passes on
 * every mixture of infinities and NaN: with no u above -∞ or one at +∞ all is NaN, and so is any sum that met a NaN.
 */
import type { DType } from "../../../ir/dtype.ts";
import {
  type Buffer,
  type KernelExpr,
  kapply,
  kapplyTyped,
  kconst,
  kint,
  ksize,
  type Lanes,
  load,
  splat,
  store,
} from "../../../ir/kernel.ts";
import { type Axis, type Definition, read, type TensorExpr } from "../../../ir/tensor.ts";
import { readsIn } from "../../passes/rewrite.ts";
import { lower, resolve } from "../lower.ts";
import type { OnlineRegion } from "../region.ts";
import type { OnlineSchedule } from "../schedule.ts";
import { type Builder, emit, name, newPrivate, top } from "./builder.ts";
import { atFlat } from "./tile.ts";
import { neverEmpty } from "./walk.ts";

/** What an invocation keeps of its rows, in private memory. */
export interface RowStates {
  readonly peak: Buffer;
  /** Partial: an invocation adds its own reduced positions only. */
  readonly sums: readonly Buffer[];
  /** Elements of the weighted sum, by row and column. */
  readonly total: Buffer;
  /** The maximum itself is wanted: it must be NaN where any term is. Sums are so by their own terms. */
  readonly exact: boolean;
}

/** A block of reduced positions: those that the invocation scores, clamped into the extent. */
export interface Keys {
  readonly axes: readonly Axis[];
  readonly valid: readonly (KernelExpr | undefined)[];
}

export function newRows(b: Builder, region: OnlineRegion, rows: number, columns: number, lanes: Lanes): RowStates {
  const state = (hint: string, dtype: DType, count: number, wide: Lanes, from: number): Buffer => {
    const made = newPrivate(b, hint, dtype, count, wide);
    for (let i = 0; i < count; i++) emit(b, store(made, kint(i), splat(kconst(dtype, from), wide)));
    return made;
  };
  const wanted = new Set<Definition>(region.stores.map((s) => s.tensor));
  for (const m of region.epilogue) for (const e of m.results) for (const r of readsIn(e)) wanted.add(r.tensor);
  return {
    peak: state("peak", region.peak.reduce.dtype, rows, 1, Number.NEGATIVE_INFINITY),
    sums: region.sums.map((s) => state("sum", s.reduce.dtype, rows, 1, 0)),
    total: state("total", region.reduce.dtype, rows * columns, lanes, 0),
    exact: wanted.has(region.peak.def),
  };
}

/** The larger of two running maxima. */
export function larger(s: RowStates, x: KernelExpr, y: KernelExpr): KernelExpr {
  return s.exact ? kapply("max", x, y) : kapply("select", kapply("gt", y, x), y, x);
}

/** Infinite or NaN: one test of the exponent's bits, as comparisons lose NaN and `||` would branch. */
export function unbounded(h: KernelExpr): KernelExpr {
  const exponent = kconst("u32", 0x7f800000);
  return kapply("eq", kapply("bitand", kapplyTyped("bitcast", [to(h, "f32")], "u32"), exponent), exponent);
}
function to(v: KernelExpr, dtype: DType): KernelExpr {
  return v.dtype === dtype ? v : kapplyTyped("cast", [v], dtype);
}

/** The parts of a tile that the rows need. */
export interface RowTile {
  readonly b: Builder;
  readonly region: OnlineRegion;
  readonly s: OnlineSchedule;
  readonly rowAxes: readonly Axis[];
  readonly columns: number;
  readonly laneN: Lanes;
  readonly states: RowStates;
}

/** In the current frame an expression's value is known. */
export function hold(b: Builder, e: TensorExpr, value: KernelExpr): void {
  top(b).memo.set(resolve(b, e), { expr: value, level: b.frames.length - 1 });
}

export function atRow<T>(t: RowTile, i: number, body: () => T): T {
  const a = t.rowAxes[i];
  if (!a) throw new Error(`no row ${i}`);
  return atFlat(t.b, t.region.m, a, 1, body);
}

/** Scores of the invocation's rows, by score and then row and position. */
export type Scores = readonly Buffer[];

function atKey<T>(t: RowTile, i: number, keys: Keys, q: number, scores: Scores, body: () => T): T {
  const { b, region } = t;
  const a = keys.axes[q];
  if (!a) throw new Error(`no position ${q}`);
  return atRow(t, i, () =>
    atFlat(b, region.k, a, 1, () => {
      region.scores.forEach((x, k) => {
        const c = scores[k];
        if (c) hold(b, read(x.def, 0, x.point), load(c, kint(i * keys.axes.length + q)));
      });
      return body();
    }),
  );
}

/** What row i's maximum is taken of, at each position of a block; -∞ past the end. */
export function argumentsOf(t: RowTile, i: number, keys: Keys, scores: Scores): readonly KernelExpr[] {
  const u = t.region.peak.reduce.values[0];
  if (!u) throw new Error("a maximum of nothing");
  return keys.axes.map((_, q) =>
    atKey(t, i, keys, q, scores, () => {
      const v = lower(t.b, u);
      const valid = keys.valid[q];
      const outside = kconst(v.dtype, Number.NEGATIVE_INFINITY);
      return name(t.b, "u", valid ? kapply("select", valid, v, outside) : v);
    }),
  );
}

/** Takes a block into row i, given the block's maximum: rescales, adds to the sums, and gives the weights of its positions. */
export function takeBlock(
  t: RowTile,
  i: number,
  keys: Keys,
  scores: Scores,
  us: readonly KernelExpr[],
  blockPeak: KernelExpr,
): readonly KernelExpr[] {
  const { b, region, states } = t;
  const old = name(b, "old", load(states.peak, kint(i)));
  const now = name(b, "now", larger(states, old, blockPeak));
  const ref = name(b, "ref", kapply("select", unbounded(now), kconst(now.dtype, 0), now));
  emit(b, store(states.peak, kint(i), now));
  const factor = name(
    b,
    "factor",
    kapply("select", kapply("eq", old, now), kconst(now.dtype, 1), kapply("exp", kapply("sub", old, ref))),
  );
  const terms = keys.axes.map((_, q) =>
    atKey(t, i, keys, q, scores, () => {
      const u = region.peak.reduce.values[0];
      if (u && us[q]) hold(b, u, us[q]);
      hold(b, read(region.peak.def, 0, region.peak.point), ref);
      return [...region.sums.map((x) => x.reduce.values[0]), region.weight].map((e) => {
        if (!e) throw new Error("a sum of nothing");
        const v = lower(b, e);
        const valid = keys.valid[q];
        return name(b, "p", valid ? kapply("select", valid, v, kconst(v.dtype, 0)) : v);
      });
    }),
  );
  states.sums.forEach((sum, k) => {
    const before = kapply("mul", load(sum, kint(i)), to(factor, sum.dtype));
    const own = terms.flatMap((x) => x[k] ?? []).reduce((x, y) => kapply("add", x, y));
    emit(b, store(sum, kint(i), kapply("add", before, own)));
  });
  const scale = splat(to(factor, states.total.dtype), t.laneN);
  for (let j = 0; j < t.columns; j++) {
    const at = kint(i * t.columns + j);
    emit(b, store(states.total, at, kapply("mul", load(states.total, at), scale)));
  }
  return terms.map((x) => x[region.sums.length] ?? kint(0));
}

/** Adds a position's weight times its values to row i. */
export function addWeighted(t: RowTile, i: number, weight: KernelExpr, values: readonly KernelExpr[]): void {
  const { b, states } = t;
  values.forEach((v, j) => {
    const at = kint(i * t.columns + j);
    emit(b, store(states.total, at, kapply("add", load(states.total, at), kapply("mul", splat(weight, t.laneN), v))));
  });
}

// ---- The end --------------------------------------------------------------------------------------------------------

/** What the rows came to: the maximum, the other sums in order, and elements of the weighted sum by row and column. */
export interface DoneRows {
  readonly peaks: readonly KernelExpr[];
  readonly sums: readonly (readonly KernelExpr[])[];
  readonly elements: readonly (readonly KernelExpr[])[];
}

/** Rescales from ref(h) to h; `sums` are whole by now. */
export function finalRows(t: RowTile, sums: readonly (readonly KernelExpr[])[]): DoneRows {
  const { b, states, region } = t;
  const keys = region.k.map((a) => a.extent);
  const peaks: KernelExpr[] = [];
  const elements: (readonly KernelExpr[])[] = [];
  const scaled = sums.map((own, i) => {
    const peak = name(b, "peak", load(states.peak, kint(i)));
    const one = kconst(peak.dtype, 1);
    let factor = kapply("select", unbounded(peak), kapply("exp", kapply("neg", peak)), one);
    // A sum of nothing is 0.
    for (const e of keys) if (!neverEmpty(e)) factor = kapply("select", kapply("eq", ksize(e), kint(0)), one, factor);
    const scale = name(b, "scale", factor);
    peaks.push(peak);
    elements.push(
      Array.from({ length: t.columns }, (_, j) => {
        const v = load(states.total, kint(i * t.columns + j));
        return name(b, "y", kapply("mul", v, splat(to(scale, v.dtype), t.laneN)));
      }),
    );
    return own.map((v) => name(b, "z", kapply("mul", v, to(scale, v.dtype))));
  });
  return { peaks, sums: scaled, elements };
}
