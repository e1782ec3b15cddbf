/**
 * The phases of rows, and reductions of several phases in one pass (online-rules.ts). A block of elements is taken in at a time. With
 * ref(h) = h if it is finite, else 0, terms are lifted by exp(u - ref(h)), sums are multiplied by exp(h - ref(h′)) when h grows to h′,
 * by exactly 1 where h′ = h, and by exp(ref(h) - g(h)) at the end, which agrees with two passes on every mixture of infinities and NaN.
 * Sums of squares are kept about the running mean, Chan, Golub and LeVeque's update by blocks, and shifted to g at the end.
 */
import { type KernelExpr, kapply, kconst, kint, ksize, type Lanes, load, splat, store } from "../../../ir/kernel.ts";
import { addMonoid, maxMonoid, minMonoid } from "../../../ir/monoid.ts";
import type { Prim } from "../../../ir/prim.ts";
import { apply, arg, childrenOf, constant, type Monoid, type TensorExpr } from "../../../ir/tensor.ts";
import { lower } from "../lower.ts";
import { type OnlineFollower, type OnlineRows, onlineRows } from "../online-rules.ts";
import { type Accumulator, combine, folded, newAccumulator } from "./accumulate.ts";
import { emit, inCopy, name, newPrivate } from "./builder.ts";
import { hold, unbounded } from "./online-rows.ts";
import { holdReduced, reducePhase, resultOf, storePhase } from "./phases.ts";
import { inGroups, inRow, type Rows, type RowTile, rowLanes, unrollOf } from "./row-walk.ts";
import { countOf, neverEmpty, unflattenAxes, unitsOf, walk } from "./walk.ts";

export function runPhases(r: Rows): void {
  const { phases } = r.job;
  for (let i = 0; i < phases.length; i++) {
    const group = r.tile.online ? onlineRows(phases, i) : undefined;
    const p = phases[i];
    if (group) {
      if (group.kind === "peak") peakPass(r, group);
      else momentPass(r, group);
      i += group.followers.length;
    } else if (p?.kind === "reduce") reducePhase(r, p.def, p.reduce);
    else if (p) storePhase(r, p);
  }
}

/** A block of elements, and how to be at its q-th for the invocation's e-th row. */
interface Block {
  readonly count: number;
  readonly at: <T>(q: number, e: number, body: () => T) => T;
}

/** Calls `body` for each block of the row's elements that the invocation has. */
function eachBlock(r: Rows, group: OnlineRows, body: (block: Block) => void): void {
  const { b, tile } = r;
  const lanes = rowLanes(tile);
  const together = inGroups(tile, [group.axes]);
  const unroll = together ? tile.unroll : unrollOf(tile, unitsOf(group.axes, lanes));
  const units: TensorExpr[] = [];
  b.wide = tile.wide ?? 1;
  walk(b, [group.axes], { start: r.thread, step: tile.threads, unroll, lanes, together }, (_, unit, run, count) => {
    units.push(unit);
    if (units.length < count) return;
    const all = units.splice(0);
    body({
      count: all.length,
      at: (q, e, at) =>
        inCopy(b, () => {
          const flats = b.flats.length;
          unflattenAxes(b, run, all[q] ?? unit, lanes);
          const made = inRow(r, e, at);
          b.flats.length = flats;
          return made;
        }),
    });
  });
  b.wide = 1;
}

/** u at each of a block's elements. */
function elements(r: Rows, group: OnlineRows, block: Block, e: number): readonly KernelExpr[] {
  return Array.from({ length: block.count }, (_, q) =>
    block.at(q, e, () => name(r.b, "u", splat(lower(r.b, group.u), r.tile.vector))),
  );
}

/** Lanes of a running value: one where what a block gives is folded first. */
function stateLanes(tile: RowTile): Lanes {
  return tile.fold === true && tile.vectorOn === "row" ? 1 : tile.vector;
}

/** The values of a block's elements as one, in as many lanes as the running value has. */
function combined(r: Rows, m: Monoid, values: readonly KernelExpr[]): KernelExpr {
  const { b, tile } = r;
  const [first] = folded(
    b,
    m,
    values.map((v) => [v]),
    stateLanes(tile),
    tile.vector,
  );
  if (!first) throw new Error("a block without elements");
  return first;
}

const added = (x: KernelExpr, y: KernelExpr): KernelExpr => kapply("add", x, y);
const times = (x: KernelExpr, y: KernelExpr): KernelExpr => kapply("mul", x, y);
const F = (v: number): KernelExpr => kconst("f32", v);

/** Where the row may have no elements, a reduction of nothing is what it began with. */
function orNothing(group: OnlineRows, nothing: number, v: KernelExpr): KernelExpr {
  const count = countOf(group.axes);
  return neverEmpty(count) ? v : kapply("select", kapply("eq", ksize(count), kint(0)), F(nothing), v);
}

// ---- Relative to a maximum ------------------------------------------------------------------------------------------

const EXTREME = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY } as const;

/** The maximum and, for each that follows, its sum lifted by exp(u - ref(max)), or its least or largest u. */
function peakMonoid(followers: readonly OnlineFollower[]): Monoid {
  const slots = followers.length + 1;
  const [x, y] = [arg(0, "f32"), arg(slots, "f32")];
  const most = apply("max", x, y);
  const far = apply("or", apply("isnan", most), apply("isinf", most));
  const ref = apply("select", far, constant("f32", 0), most);
  const factor = (h: TensorExpr): TensorExpr =>
    apply("select", apply("eq", h, most), constant("f32", 1), apply("exp", apply("sub", h, ref)));
  const [fx, fy] = [factor(x), factor(y)];
  return {
    name: "peak",
    slots: Array.from({ length: slots }, () => "f32" as const),
    identity: [
      ...maxMonoid("f32").identity,
      ...followers.map((f) => constant("f32", f.kind === "min" || f.kind === "max" ? EXTREME[f.kind] : 0)),
    ],
    combine: [
      most,
      ...followers.map((f, k) => {
        const [s, t] = [arg(k + 1, "f32"), arg(slots + k + 1, "f32")];
        if (f.kind === "min" || f.kind === "max") return apply(f.kind, s, t);
        return apply("add", apply("mul", s, fx), apply("mul", t, fy));
      }),
    ],
    commutative: true,
    exact: false,
  };
}

function peakPass(r: Rows, group: OnlineRows): void {
  const { b, tile } = r;
  const rows = Array.from({ length: tile.each }, (_, e) => e);
  const acc = newAccumulator(b, peakMonoid(group.followers), tile.each, stateLanes(tile));
  const teller = tellsNaN(r, group);
  const larger = teller === undefined ? maxMonoid("f32") : plainMaximum();
  eachBlock(r, group, (block) => {
    const us = rows.map((e) => elements(r, group, block, e));
    for (const e of rows) takePeaks(r, group, larger, acc, block, e, us[e] ?? []);
  });
  const results = rows.map((e) => {
    const values = resultOf(r, acc, e, 1, false);
    const [peak, sum] = [values[0], values[teller ?? 0]];
    if (teller === undefined || !peak || !sum) return values;
    return [name(b, "peak", kapply("select", kapply("isnan", sum), sum, peak)), ...values.slice(1)];
  });
  holdReduced(
    r,
    group.first,
    results.map((v) => v.slice(0, 1)),
  );
  group.followers.forEach((f, k) => {
    const done = results.map((values, e) =>
      inRow(r, e, () => {
        const [peak, own] = [values[0], values[k + 1]];
        if (!peak || !own) throw new Error(`no value for ${f.def.name}`);
        const g = lower(b, f.g);
        if (f.kind === "scaled") {
          const factor = kapply("select", unbounded(peak), kapply("exp", kapply("neg", g)), F(1));
          return [name(b, "z", times(own, orNothing(group, 1, factor)))];
        }
        // Rounding keeps the order, so the difference of the extreme is the extreme difference.
        const apart = kapply("select", unbounded(g), kapply("sub", g, g), kapply("sub", own, g));
        return [name(b, "z", orNothing(group, EXTREME[f.kind === "min" ? "min" : "max"], apart))];
      }),
    );
    holdReduced(r, f.def, done);
  });
}

/** The larger of two, where the sum of exponentials tells what is NaN and zeros need no sign: two instructions instead of a dozen. */
function plainMaximum(): Monoid {
  const [x, y] = [arg(0, "f32"), arg(1, "f32")];
  return { ...maxMonoid("f32"), name: "larger", combine: [apply("select", apply("lt", x, y), y, x)] };
}

/**
 * The place of a follower whose sum is NaN where any u is, and nowhere else, if there is one; the maximum need not know of NaN then. It must
 * also be no one's business which zero the maximum is: it is not stored, and only added, subtracted or tested.
 */
function tellsNaN(r: Rows, group: OnlineRows): number | undefined {
  const { first } = group;
  const carries = (e: TensorExpr): boolean =>
    (e.kind === "read" && e.tensor === first) ||
    (e.kind === "apply" && e.prim === "select" && e.args.slice(1).some(carries));
  const signed = (e: TensorExpr): boolean =>
    childrenOf(e).some(signed) ||
    (e.kind === "apply" && !SHIFTS.has(e.prim) && e.args.some(carries)) ||
    (e.kind !== "apply" && childrenOf(e).some(carries));
  const exprs = r.job.phases.flatMap((p) => (p.kind === "reduce" ? p.reduce.values : p.results));
  if (r.job.stores.some((s) => s.tensor === first) || exprs.some((e) => carries(e) || signed(e))) return undefined;
  const k = group.followers.findIndex((f) => f.kind === "scaled" && f.term.kind === "apply" && f.term.prim === "exp");
  return k < 0 ? undefined : k + 1;
}
const SHIFTS: ReadonlySet<string> = new Set<Prim>(["add", "sub", "select", "isinf", "isnan"]);

/** Takes a block into the states of one row. */
function takePeaks(
  r: Rows,
  group: OnlineRows,
  larger: Monoid,
  acc: Accumulator,
  block: Block,
  e: number,
  us: readonly KernelExpr[],
): void {
  const { b, tile } = r;
  const [peak, ...others] = acc.slots;
  if (!peak) throw new Error("no maximum");
  const at = kint(e);
  const old = name(b, "old", load(peak, at));
  const [most = old] = combine(b, larger, [old], [combined(r, larger, us)]);
  const now = name(b, "now", most);
  emit(b, store(peak, at, now));
  const scaled = group.followers.some((f) => f.kind === "scaled");
  const ref = scaled ? name(b, "ref", kapply("select", unbounded(now), F(0), now)) : now;
  const grown = kapply("exp", kapply("sub", old, ref));
  const factor = scaled ? name(b, "factor", kapply("select", kapply("eq", old, now), F(1), grown)) : now;
  group.followers.forEach((f, k) => {
    const slot = others[k];
    if (!slot) throw new Error(`no place for ${f.def.name}`);
    if (f.kind === "min" || f.kind === "max") {
      emit(
        b,
        store(
          slot,
          at,
          kapply(f.kind, load(slot, at), combined(r, f.kind === "min" ? minMonoid("f32") : maxMonoid("f32"), us)),
        ),
      );
      return;
    }
    const terms = us.map((u, q) =>
      block.at(q, e, () => {
        hold(b, group.u, u);
        hold(b, f.g, ref);
        return name(b, "p", splat(lower(b, f.term), tile.vector));
      }),
    );
    emit(b, store(slot, at, added(times(load(slot, at), factor), combined(r, addMonoid("f32"), terms))));
  });
}

// ---- Squares about a mean -------------------------------------------------------------------------------------------

/** Count, sum, and sum of squares about the mean. */
function momentMonoid(): Monoid {
  const [m, s, q, n, t, p] = Array.from({ length: 6 }, (_, i) => arg(i, "f32")) as [
    TensorExpr, TensorExpr, TensorExpr, TensorExpr, TensorExpr, TensorExpr,
  ]; // biome-ignore format: one line
  const [zero, one] = [constant("f32", 0), constant("f32", 1)];
  const mean = (sum: TensorExpr, count: TensorExpr): TensorExpr => apply("div", sum, apply("max", count, one));
  const count = apply("add", m, n);
  const apart = apply("sub", mean(t, n), mean(s, m));
  const weight = apply("div", apply("mul", m, n), apply("max", count, one));
  const between = apply("mul", apply("mul", apart, apart), weight);
  const both = apply("gt", apply("mul", m, n), zero);
  return {
    name: "moments",
    slots: ["f32", "f32", "f32"],
    identity: [zero, zero, zero],
    combine: [count, apply("add", s, t), apply("add", apply("add", q, p), apply("select", both, between, zero))],
    commutative: true,
    exact: false,
  };
}

function momentPass(r: Rows, group: OnlineRows): void {
  const { b, tile } = r;
  const f = group.followers[0];
  const rows = Array.from({ length: tile.each }, (_, e) => e);
  const acc = newAccumulator(b, momentMonoid(), tile.each, stateLanes(tile));
  const [counts, sums, squares] = acc.slots;
  if (!f || !counts || !sums || !squares) throw new Error("no moments");
  // Every row and lane has as many elements.
  const seen = newPrivate(b, "seen", "f32", 1, 1);
  emit(b, store(seen, kint(0), F(0)));
  eachBlock(r, group, (block) => {
    const taken = block.count * (tile.vectorOn === "row" ? tile.vector / stateLanes(tile) : 1);
    const before = name(b, "n", load(seen, kint(0)));
    const after = name(b, "n", added(before, F(taken)));
    const share = name(b, "share", kapply("div", F(1), kapply("max", before, F(1))));
    const weight = name(b, "weight", kapply("div", times(before, F(taken)), after));
    emit(b, store(seen, kint(0), after));
    const all = rows.map((e) => elements(r, group, block, e));
    for (const e of rows) {
      const us = all[e] ?? [];
      const at = kint(e);
      const total = name(b, "total", combined(r, addMonoid("f32"), us));
      const mean = name(b, "mean", times(total, F(1 / taken)));
      const own = us.map((u) => {
        const d = name(b, "d", kapply("sub", u, mean));
        return times(d, d);
      });
      const apart = name(b, "apart", kapply("sub", mean, times(load(sums, at), share)));
      const between = times(times(apart, apart), weight);
      emit(b, store(squares, at, added(load(squares, at), added(combined(r, addMonoid("f32"), own), between))));
      emit(b, store(sums, at, added(load(sums, at), total)));
    }
  });
  for (const e of rows) emit(b, store(counts, kint(e), splat(load(seen, kint(0)), counts.lanes)));
  const results = rows.map((e) => resultOf(r, acc, e, 1, false));
  holdReduced(
    r,
    group.first,
    results.map((v) => v.slice(1, 2)),
  );
  const done = results.map(([count, sum, square], e) =>
    inRow(r, e, () => {
      if (!count || !sum || !square) throw new Error(`no value for ${f.def.name}`);
      const g = name(b, "g", lower(b, f.g));
      const apart = name(b, "apart", kapply("sub", kapply("div", sum, kapply("max", count, F(1))), g));
      // Relative to an infinity every square is infinite, or NaN where an element is not finite.
      const shift = kapply("select", unbounded(g), kapply("abs", g), times(times(apart, apart), count));
      return [name(b, "q", orNothing(group, 0, added(square, shift)))];
    }),
  );
  holdReduced(r, f.def, done);
}
