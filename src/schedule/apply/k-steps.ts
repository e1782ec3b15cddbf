/** The loop over K of tiles that stay in registers: rows of an invocation's own, or handed around its subgroup. */
import { addForms, constantForm, linearOf, scaleForm } from "../../../ir/affine.ts";
import { ceilDivExtent, ONE, size } from "../../../ir/extent.ts";
import {
  extract,
  iadd,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvector,
  type Lanes,
  shuffle,
  splat,
  subgroup,
} from "../../../ir/kernel.ts";
import { dot, matvec } from "../../../ir/products-kernel.ts";
import { type Axis, axisRef, type TensorExpr } from "../../../ir/tensor.ts";
import { formExpression } from "../affine.ts";
import { lower } from "../lower.ts";
import { ScheduleError } from "../schedule.ts";
import { accumulate } from "./accumulate.ts";
import { inCopy, name } from "./builder.ts";
import { contiguous, sumOfProducts } from "./operands.ts";
import { atColumn, atRow, placeless, QUAD, rowsOfLane, slotValues, type Tile } from "./tile.ts";
import { collapse, unflattenAxes, unitsOf, walk } from "./walk.ts";

/** Loops over K in units of `laneK`, several of them in a turn; `at` runs its body with the k axes at one element of the unit. */
function overK(t: Tile, unit: (at: AtLane, last: boolean) => void): void {
  const { b, s, sides, laneK } = t;
  const exprs = [...sides.region.reduce.values, sides.a, ...(sides.b ? [sides.b] : [])];
  let runs = collapse(sides.k, exprs, []);
  if (runs.length > 1 && (s.splitK > 1 || s.threads[2] > 1)) runs = [sides.k];
  const total = unitsOf(sides.k, laneK);
  let range: { from: KernelExpr; to: KernelExpr } | undefined;
  if (t.part) {
    const chunk = ksize(ceilDivExtent(total, size(s.splitK)));
    range = {
      from: name(b, "from", kapply("min", imul(t.part, chunk), ksize(total))),
      to: name(b, "to", kapply("min", imul(iadd(t.part, kint(1)), chunk), ksize(total))),
    };
  }
  const own = runs.length > 0 ? unitsOf(runs[runs.length - 1] ?? [], laneK) : ONE;
  const most = own.value === undefined ? s.tileK : Math.floor(own.value / s.splitK / s.threads[2]);
  const unroll = Math.max(1, Math.min(Math.floor(s.tileK / laneK), most));
  walk(
    b,
    runs,
    { start: t.tz, step: s.threads[2], unroll, lanes: laneK, ...(range ? { range } : {}) },
    (u, index, run, units) => {
      unit(
        (lane, body) => {
          if (lane === undefined || laneK === 1) {
            body();
            return;
          }
          inCopy(b, () => {
            const flats = b.flats.length;
            unflattenAxes(b, run, elementOf(index, laneK, lane), 1);
            body();
            b.flats.length = flats;
          });
        },
        u === units - 1,
      );
    },
  );
}

export function elementOf(unit: TensorExpr, lanes: number, lane: number): TensorExpr {
  return formExpression(addForms(scaleForm(linearOf(unit), size(lanes)), constantForm(size(lane))));
}

export type AtLane = (lane: number | undefined, body: () => void) => void;

/** Every invocation loads its own rows and columns. */
export function registerLoop(t: Tile): void {
  overK(t, (at) => tileStep(t, at));
}

/**
 * Lane s of the subgroup loads rows s, s + size, …; each value reaches the others by a broadcast. Where several batch positions share a
 * subgroup each has neighbouring lanes of its own, which pass their values among themselves. Products are added row by row, those of up to
 * four elements of K: more sums than there are registers for are fetched from the stack once for all of these (llvmpipe: 512³ takes 0.88 of
 * the time, 64·8192·64 0.87).
 */
export function broadcastLoop(t: Tile): void {
  const { b, s } = t;
  const lanes = s.threads[1];
  b.subgroupSize = b.target.subgroupMaxSize;
  const id = name(b, "own", subgroup("id"));
  const shared = lanes < b.subgroupSize;
  const own = shared ? t.tx : id;
  const first = shared ? name(b, "first", isub(id, own)) : undefined;
  const from = first && Array.from({ length: lanes }, (_, l) => name(b, "from", iadd(first, kint(l))));
  const axes = rowsOfLane(b, t, lanes, own);
  const given = (v: KernelExpr, row: number): KernelExpr => {
    const source = from?.[row % lanes];
    return name(b, "q", source ? shuffle(v, source) : subgroup("broadcast", v, row % lanes));
  };
  // What depends on where an element of K is, is computed while its axes are in place.
  const together = placeless(t) ? QUAD : 1;
  let waiting: Unit[] = [];
  overK(t, (at, last) => {
    const left = axes.map((a) => atRow(t, a, () => lower(b, t.sides.a)));
    waiting.push({ left, right: t.sides.b ? columnsOf(t, at) : Array.from({ length: t.laneK }, () => []), at });
    if (!last && (waiting.length + 1) * t.laneK <= together) return;
    for (let i = 0; i < t.rows; i++)
      for (const step of waiting)
        for (const [lane, right] of step.right.entries())
          step.at(lane, () => {
            const v = step.left[Math.floor(i / lanes)];
            if (!v) return;
            const x = given(t.laneK === 1 ? v : extract(v, lane), i);
            for (let j = 0; j < t.columns; j++)
              accumulate(b, t.acc, i * t.columns + j, slotValues(t, i, j, x, right[j]));
          });
    waiting = [];
  });
}

/** A unit of K: values of the lane's own rows, operands of the columns for each of its elements, and how to stand at one. */
interface Unit {
  readonly left: readonly KernelExpr[];
  readonly right: readonly (readonly KernelExpr[])[];
  readonly at: AtLane;
}

/**
 * Among four neighbouring lanes: lane s loads rows s, s + 4, …, and the lanes exchange them, which costs less than a broadcast where a
 * subgroup is four floats in a register. A lane then has the four rows in an order of its own (see `tileKernel`). Up to four elements
 * of K are multiplied and added at once.
 */
export function swapLoop(t: Tile): void {
  const { b } = t;
  if (!sumOfProducts(t.sides.region)) throw new ScheduleError("subgroup", "only sums of products are exchanged");
  b.subgroupSize = b.target.subgroupMaxSize;
  const axes = rowsOfLane(b, t, QUAD, t.tx);
  let waiting: Step[] = [];
  overK(t, (at, last) => {
    const left = axes.map((a) =>
      name(
        b,
        "x",
        atRow(t, a, () => lower(b, t.sides.a)),
      ),
    );
    if (t.laneK > 1) {
      products(t, left, columnsOf(t, at));
      return;
    }
    waiting.push({ left, right: columnsOf(t, at)[0] ?? [] });
    if (!last && waiting.length < QUAD) return;
    const steps = waiting;
    waiting = [];
    // As many at once as vectors have lanes.
    for (let i = 0; i < steps.length; ) {
      const n = steps.length - i >= 4 ? 4 : steps.length - i >= 2 ? 2 : 1;
      const some = steps.slice(i, i + n);
      const of = (g: number): KernelExpr => name(b, "x", kvector(some.map((x) => x.left[g] ?? kint(0))));
      products(
        t,
        n === 1 ? (some[0]?.left ?? []) : axes.map((_, g) => of(g)),
        some.map((x) => x.right),
      );
      i += n;
    }
  });
}

/** An element of K: values of the lane's own rows, and of the columns. */
interface Step {
  readonly left: readonly KernelExpr[];
  readonly right: readonly KernelExpr[];
}

/** For each element of a unit of K the operand of every column. */
function columnsOf(t: Tile, at: AtLane): readonly (readonly KernelExpr[])[] {
  const { b, sides } = t;
  const right = sides.b ?? sides.a;
  const here = (): readonly KernelExpr[] =>
    t.columnAxes.map((a) =>
      name(
        b,
        "y",
        atColumn(t, a, () => splat(lower(b, right), t.laneN)),
      ),
    );
  if (t.laneK === 1) return [here()];
  const elements = Array.from({ length: t.laneK }, (_, lane) => lane);
  if (t.laneN === 1) {
    // Columns come in vectors along K as rows do.
    const along = t.columnAxes.map((a) =>
      name(
        b,
        "y",
        atColumn(t, a, () => splat(lower(b, right), t.laneK)),
      ),
    );
    return elements.map((lane) => along.map((v) => extract(v, lane)));
  }
  if (contiguous([right], sides.k) && !contiguous([right], sides.n)) {
    const held = t.columnAxes.map((a) => columnsAlongK(t, a, right));
    return elements.map((lane) => held.map((lanes) => name(b, "y", kvector(lanes.map((v) => extract(v, lane))))));
  }
  return elements.map((lane) => {
    let made: readonly KernelExpr[] = [];
    at(lane, () => {
      made = here();
    });
    return made;
  });
}

/** Adds the products of some elements of K: `left` has them in lanes for each of the lane's own rows, `right` in a list for each column. */
function products(t: Tile, left: readonly KernelExpr[], right: readonly (readonly KernelExpr[])[]): void {
  const { b } = t;
  left.forEach((own, g) => {
    for (let turn = 0; turn < QUAD; turn++) {
      const x = turn === 0 ? own : name(b, "q", subgroup("shuffleXor", own, turn));
      for (let j = 0; j < t.columns; j++) {
        const ys = right.flatMap((r) => r[j] ?? []);
        const [y] = ys;
        if (!y) continue;
        // An operand that does not depend on K is a scalar in every lane.
        const spread = splat(x, ys.length as Lanes);
        const sum =
          ys.length === 1 ? kapply("mul", x, y) : y.lanes === 1 ? dot(spread, kvector(ys)) : matvec(ys, spread);
        accumulate(b, t.acc, (g * QUAD + turn) * t.columns + j, [sum]);
      }
    }
  });
}

/** One unit of K: the rows' operands once, then for each element of the unit the columns' and all products. */
function tileStep(t: Tile, at: AtLane): void {
  const { b, sides } = t;
  const left = t.rowAxes.map((a) => atRow(t, a, () => lower(b, sides.a)));
  const columns = (): readonly (KernelExpr | undefined)[] =>
    t.columnAxes.map((a) => (sides.b ? atColumn(t, a, () => lower(b, sides.b ?? sides.a)) : undefined));
  const products = (right: readonly (KernelExpr | undefined)[], lane: number | undefined): void => {
    for (const [i, whole] of left.entries()) {
      const x = lane === undefined ? whole : extract(whole, lane);
      for (let j = 0; j < t.columns; j++) {
        const y = right[j];
        const own = y === undefined || lane === undefined || t.laneN > 1 ? y : extract(y, lane);
        accumulate(b, t.acc, i * t.columns + j, slotValues(t, i, j, x, own));
      }
    }
  };
  const elements = (of: (lane: number) => readonly (KernelExpr | undefined)[]): void => {
    for (let lane = 0; lane < t.laneK; lane++) at(lane, () => products(of(lane), lane));
  };
  if (t.dot || t.laneK === 1) {
    products(columns(), undefined);
    return;
  }
  if (t.laneN > 1 && sides.b && contiguous([sides.b], sides.k) && !contiguous([sides.b], sides.n)) {
    // Columns lie along K: a vector along K for each of them, turned into vectors along N.
    const held = t.columnAxes.map((a) => columnsAlongK(t, a, sides.b ?? sides.a));
    elements((lane) => held.map((lanes) => name(b, "y", kvector(lanes.map((v) => extract(v, lane))))));
    return;
  }
  // Columns in vectors along N are loaded for each element of K; else they too come in vectors along K.
  const along = t.laneN > 1 ? undefined : columns();
  elements(() => along ?? columns());
}

/** The operand of each of a vector's columns, in a vector along K. */
function columnsAlongK(t: Tile, a: Axis, e: TensorExpr): readonly KernelExpr[] {
  return Array.from({ length: t.laneN }, (_, l) =>
    inCopy(t.b, () => {
      const flats = t.b.flats.length;
      unflattenAxes(t.b, t.sides.n, elementOf(axisRef(a), t.laneN, l), 1);
      const v = splat(lower(t.b, e), t.laneK);
      t.b.flats.length = flats;
      return v;
    }),
  );
}
