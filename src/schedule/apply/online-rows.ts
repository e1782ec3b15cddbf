/**
 * A row's running maximum, where it has one, and sums. With ref(h) = h if it is finite, else 0, terms are lifted by exp(u - ref(h)); when h grows to h′,
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
  /** The running maximum; without it nothing is rescaled. */
  readonly peak: Buffer | undefined;
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
    peak: region.peak && state("peak", region.peak.reduce.dtype, rows, 1, Number.NEGATIVE_INFINITY),
    sums: region.sums.map((s) => state("sum", s.reduce.dtype, rows, 1, 0)),
    total: state("total", region.reduce.dtype, rows * columns, lanes, 0),
    exact: region.peak !== undefined && wanted.has(region.peak.def),
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
  const u = t.region.peak?.reduce.values[0];
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

/** What row i's maximum is taken of at the positions of a block, and the block's maximum. */
export interface BlockPeak {
  readonly us: readonly KernelExpr[];
  readonly most: KernelExpr;
}

/** Takes a block into row i: rescales if there is a maximum, adds to the sums, and gives the weights of its positions. */
export function takeBlock(
  t: RowTile,
  i: number,
  keys: Keys,
  scores: Scores,
  block: BlockPeak | undefined,
): readonly KernelExpr[] {
  const scale = block && growPeak(t, i, block.most);
  const terms = termsOf(t, i, keys, scores, block?.us, scale?.ref);
  addTerms(t, i, terms, scale?.factor);
  if (scale) rescale(t, i, scale.factor);
  return weightsOf(terms, t);
}

/**
 * The same in two steps, for forms that weigh a block's positions a few at a time: first what its maximum changes, all that was added before;
 * gives what terms are now relative to.
 */
export function growRow(t: RowTile, i: number, most: KernelExpr): KernelExpr {
  const { b, states } = t;
  const { ref, factor } = growPeak(t, i, most);
  for (const sum of states.sums) emit(b, store(sum, kint(i), kapply("mul", load(sum, kint(i)), to(factor, sum.dtype))));
  rescale(t, i, factor);
  return ref;
}

/** Then positions of the block, of which `us` are what the maximum was taken of: adds to the sums, and gives their weights. */
export function takeSome(
  t: RowTile,
  i: number,
  keys: Keys,
  us: readonly KernelExpr[],
  ref: KernelExpr,
): readonly KernelExpr[] {
  const terms = termsOf(t, i, keys, [], us, ref);
  addTerms(t, i, terms, undefined);
  return weightsOf(terms, t);
}

/** Are weights and terms of sums functions of what the maximum is taken of, and of the maximum, alone? */
export function byPeakAlone(region: OnlineRegion): boolean {
  const { peak } = region;
  const u = peak?.reduce.values[0];
  if (!peak || !u) return false;
  // Expressions share parts; one that has been met did not say no.
  const met = new Set<TensorExpr>([u]);
  const alone = (e: TensorExpr): boolean => {
    if (met.has(e)) return true;
    met.add(e);
    switch (e.kind) {
      case "const":
      case "size":
        return true;
      case "apply":
        return e.args.every(alone);
      case "read":
        return e.tensor === peak.def;
      default:
        return false;
    }
  };
  return [...region.sums.map((x) => x.reduce.values[0]), region.weight].every((e) => e !== undefined && alone(e));
}

/** A position's terms of the sums, and its weight after them. */
type Terms = readonly KernelExpr[];

function termsOf(
  t: RowTile,
  i: number,
  keys: Keys,
  scores: Scores,
  us: readonly KernelExpr[] | undefined,
  ref: KernelExpr | undefined,
): readonly Terms[] {
  const { b, region } = t;
  return keys.axes.map((_, q) =>
    atKey(t, i, keys, q, scores, () => {
      const u = region.peak?.reduce.values[0];
      const own = us?.[q];
      if (u && own) hold(b, u, own);
      if (ref && region.peak) hold(b, read(region.peak.def, 0, region.peak.point), ref);
      return [...region.sums.map((x) => x.reduce.values[0]), region.weight].map((e) => {
        if (!e) throw new Error("a sum of nothing");
        const v = lower(b, e);
        const valid = keys.valid[q];
        return name(b, "p", valid ? kapply("select", valid, v, kconst(v.dtype, 0)) : v);
      });
    }),
  );
}

function weightsOf(terms: readonly Terms[], t: RowTile): readonly KernelExpr[] {
  return terms.map((x) => x[t.region.sums.length] ?? kint(0));
}

function addTerms(t: RowTile, i: number, terms: readonly Terms[], factor: KernelExpr | undefined): void {
  const { b, states } = t;
  states.sums.forEach((sum, k) => {
    const before = load(sum, kint(i));
    const own = terms.flatMap((x) => x[k] ?? []).reduce((x, y) => kapply("add", x, y));
    const kept = factor ? kapply("mul", before, to(factor, sum.dtype)) : before;
    emit(b, store(sum, kint(i), kapply("add", kept, own)));
  });
}

/** What row i's elements come to by now is multiplied by `factor`. */
function rescale(t: RowTile, i: number, factor: KernelExpr): void {
  const { b, states } = t;
  const wide = splat(to(factor, states.total.dtype), t.laneN);
  for (let j = 0; j < t.columns; j++) {
    const at = kint(i * t.columns + j);
    emit(b, store(states.total, at, kapply("mul", load(states.total, at), wide)));
  }
}

/** Row i's maximum with that of a block: what terms are now relative to, and by how much what was added before changes. */
function growPeak(t: RowTile, i: number, most: KernelExpr): { readonly ref: KernelExpr; readonly factor: KernelExpr } {
  const { b, states } = t;
  const { peak } = states;
  if (!peak) throw new Error("a maximum of nothing");
  const old = name(b, "old", load(peak, kint(i)));
  const now = name(b, "now", larger(states, old, most));
  const ref = name(b, "ref", kapply("select", unbounded(now), kconst(now.dtype, 0), now));
  emit(b, store(peak, kint(i), now));
  const grown = kapply("exp", kapply("sub", old, ref));
  return { ref, factor: name(b, "factor", kapply("select", kapply("eq", old, now), kconst(now.dtype, 1), grown)) };
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

/** What the rows came to: by row the maximum and the other sums in order, and elements of the weighted sum by column. */
export interface DoneRows {
  readonly states: readonly (readonly KernelExpr[])[];
  readonly elements: readonly (readonly KernelExpr[])[];
}

/** Rescales from ref(h) to h, where there is a maximum; `sums` are whole by now. */
export function finalRows(t: RowTile, sums: readonly (readonly KernelExpr[])[]): DoneRows {
  const { b, states, region } = t;
  const keys = region.k.map((a) => a.extent);
  const elements: (readonly KernelExpr[])[] = [];
  const values = sums.map((own, i) => {
    const peak = states.peak && name(b, "peak", load(states.peak, kint(i)));
    let scale: KernelExpr | undefined;
    if (peak) {
      const one = kconst(peak.dtype, 1);
      let factor = kapply("select", unbounded(peak), kapply("exp", kapply("neg", peak)), one);
      // A sum of nothing is 0.
      for (const e of keys) if (!neverEmpty(e)) factor = kapply("select", kapply("eq", ksize(e), kint(0)), one, factor);
      scale = name(b, "scale", factor);
    }
    const scaled = (v: KernelExpr, wide: Lanes): KernelExpr =>
      scale ? kapply("mul", v, splat(to(scale, v.dtype), wide)) : v;
    elements.push(
      Array.from({ length: t.columns }, (_, j) =>
        name(b, "y", scaled(load(states.total, kint(i * t.columns + j)), t.laneN)),
      ),
    );
    return [...(peak ? [peak] : []), ...own.map((v) => name(b, "z", scaled(v, 1)))];
  });
  return { states: values, elements };
}
