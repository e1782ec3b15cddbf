/**
 * How errors pass through reductions. A device may combine in any order the schedule likes, every partial result starting
 * from the identity, so a float sum of n terms errs by at most γ·Σ|x| with γ = (1 + ε)^depth - 1, ε = 1 ULP and depth the number of
 * additions that any one term goes through: n at worst (N. Higham, Accuracy and Stability of Numerical Algorithms, §4.2).
 */
import { extremum, mulImage, ULP16, ULP32 } from "./bounds-float.ts";
import { boundRule } from "./bounds-rules.ts";
import { type Box, copyBox, formatOf, isEmpty, joinBox, newBox, setAnything, setBox, setPoint } from "./box.ts";
import { type DType, isFloat } from "./dtype.ts";
import { roundTo } from "./float.ts";
import type { Prim } from "./prim.ts";
import type { Const, Monoid, TensorExpr } from "./tensor.ts";

/** What a schedule makes of one reduction. */
export interface ReductionOrder {
  /** The most combinations that a term goes through. */
  readonly depth: number;
  /** A further relative error of every term, as of a running maximum's rescaling. */
  readonly relative?: number;
  /** One after the other from the identity, as the interpreter does: all that is known of monoids of any form. */
  readonly sequential?: boolean;
}

/** Gathers the values of one reduction. `finish` may be called after each value, for scans. */
export interface Accumulator {
  reset(): void;
  add(values: readonly Box[]): void;
  finish(out: readonly Box[], order: ReductionOrder | undefined): void;
}

const INF = Number.POSITIVE_INFINITY;

/** `keepsOrder`: values are combined in the order given, in any brackets (scans, and monoids that do not commute). */
export function accumulator(m: Monoid, keepsOrder = false): Accumulator {
  const prims = m.combine.map((e, s) => slotPrim(e, s, m.slots.length));
  if (prims.every((p) => p !== undefined)) {
    const slots = m.slots.map((dtype, s) => slotAccumulator(prims[s]!, dtype, m.identity[s]!));
    return {
      reset: () => {
        for (const a of slots) a.reset();
      },
      add: (values) => {
        for (let s = 0; s < slots.length; s++) slots[s]!.add(values[s]!);
      },
      finish: (out, order) => {
        for (let s = 0; s < slots.length; s++) slots[s]!.finish(out[s]!, order);
      },
    };
  }
  return m.exact ? inOrder(m) : bracketed(m, keepsOrder || !m.commutative);
}

/** The primitive, if the slot is combined with its like alone. */
function slotPrim(e: TensorExpr, slot: number, slots: number): Prim | undefined {
  if (e.kind !== "apply" || e.args.length !== 2) return undefined;
  const [a, b] = e.args;
  return a?.kind === "arg" && b?.kind === "arg" && a.index === slot && b.index === slots + slot ? e.prim : undefined;
}

interface SlotAccumulator {
  reset(): void;
  add(x: Box): void;
  finish(out: Box, order: ReductionOrder | undefined): void;
}

function slotAccumulator(prim: Prim, dtype: DType, identity: Const): SlotAccumulator {
  if (isFloat(dtype) && prim === "add") return sum(dtype, identity);
  if (isFloat(dtype) && prim === "mul") return product(dtype, identity);
  if (prim === "min" || prim === "max") return running(identity, (x, y, out) => extremum(prim, x, y, out));
  const rule = boundRule(prim, [dtype, dtype], dtype);
  const nothing = newBox();
  return running(identity, (x, y, out) => rule(x, y, nothing, out, nothing));
}

/** Exact monoids: the order does not matter. */
function running(identity: Const, combine: (x: Box, y: Box, out: Box) => void): SlotAccumulator {
  let now = newBox();
  let next = newBox();
  return {
    reset: () => setConst(now, identity),
    add: (x) => {
      combine(now, x, next);
      [now, next] = [next, now];
    },
    finish: (out) => copyBox(out, now),
  };
}

/** A constant as the device holds it: the nearest number, or either neighbour. */
export function setConst(b: Box, c: Const): void {
  const near = roundTo(c.dtype, c.value);
  if (Number.isNaN(c.value) || near === c.value || !Number.isFinite(near)) setPoint(b, c.value);
  else setBox(b, Math.min(c.value, near), Math.max(c.value, near), false);
}

function sum(dtype: DType, identity: Const): SlotAccumulator {
  const format = formatOf(dtype);
  const unit = dtype === "f16" ? ULP16 : ULP32;
  // Fields and not variables of the closure, which would be boxed at every step. Ends; Σ of magnitudes; of positive and of
  // negative parts.
  const t = { low: Number.NaN, high: Number.NaN, size: Number.NaN, up: Number.NaN, down: Number.NaN };
  let count = 0;
  let [nan, onlyNaN, plus, minus, surePlus, sureMinus] = [false, false, false, false, false, false];
  const start = newBox();
  setConst(start, identity);
  const add = (x: Box): void => {
    count++;
    nan ||= x.nan;
    if (x.low > x.high) {
      onlyNaN = true;
      return;
    }
    if (x.low === -INF || x.high === INF) {
      plus ||= x.high === INF;
      minus ||= x.low === -INF;
      surePlus ||= x.low === INF;
      sureMinus ||= x.high === -INF;
    }
    const a = Number.isFinite(x.low) ? x.low : 0;
    const b = Number.isFinite(x.high) ? x.high : 0;
    t.low += a;
    t.high += b;
    t.size += Math.max(Math.abs(a), Math.abs(b));
    // Of an end that is infinite the finite one is all that is sure.
    t.up += Math.max(0, x.high === INF ? a : b);
    t.down += Math.min(0, x.low === -INF ? b : a);
  };
  return {
    reset: () => {
      t.low = 0;
      t.high = 0;
      t.size = 0;
      t.up = 0;
      t.down = 0;
      count = 0;
      nan = false;
      onlyNaN = false;
      plus = false;
      minus = false;
      surePlus = false;
      sureMinus = false;
      if (start.low !== 0 || start.high !== 0) add(start);
    },
    add,
    finish: (out, order) => {
      const { low, high, size, up, down } = t;
      const depth = Math.min(order?.depth ?? count, count);
      const gamma = Math.expm1(depth * Math.log1p(unit)) + (order?.relative ?? 0) + count * 2 ** -52;
      const error = gamma * size + (count > 0 && size > 0 ? 2 * count * format.normal : 0);
      let [l, h] = [low - error, high + error];
      if (down === 0) l = Math.max(l, 0);
      if (up === 0) h = Math.min(h, 0);
      let invalid = nan || (plus && minus);
      // A partial sum of only the positive (negative) terms may overflow, to infinity or to the largest number.
      const [top, bottom] = [up * (1 + gamma), down * (1 + gamma)];
      if (top > format.max) [l, h] = [Math.min(l, format.max + bottom), INF];
      if (bottom < -format.max) [l, h] = [-INF, Math.max(h, top > format.max ? INF : -format.max + top)];
      if (top > format.max && bottom < -format.max) invalid = true;
      if ((top > format.max && minus) || (bottom < -format.max && plus)) invalid = true;
      if (plus) h = INF;
      if (minus) l = -INF;
      if (surePlus) [l, h] = [INF, INF];
      if (sureMinus) [l, h] = surePlus ? [INF, -INF] : [-INF, -INF];
      if (onlyNaN || (surePlus && sureMinus)) setPoint(out, Number.NaN);
      else setBox(out, l === 0 ? -0 : l, h, invalid);
    },
  };
}

function product(dtype: DType, identity: Const): SlotAccumulator {
  const format = formatOf(dtype);
  const unit = dtype === "f16" ? ULP16 : ULP32;
  let now = newBox();
  let next = newBox();
  let [count, largest, smallest, nan] = [0, 1, 1, false];
  return {
    reset: () => {
      setConst(now, identity);
      [count, largest, smallest, nan] = [0, 1, 1, false];
    },
    add: (x) => {
      count++;
      nan ||= x.nan;
      if (isEmpty(x) || isEmpty(now)) {
        setPoint(now, Number.NaN);
        return;
      }
      mulImage(now, x, next);
      nan ||= next.nan;
      [now, next] = [next, now];
      // Partial products of any of the factors stay between these.
      const [a, b] = [Math.abs(x.low), Math.abs(x.high)];
      largest *= Math.max(1, a, b);
      smallest *= x.low <= 0 && x.high >= 0 ? 0 : Math.min(1, a, b);
    },
    finish: (out, order) => {
      copyBox(out, now);
      if (isEmpty(now)) return;
      const depth = Math.min(order?.depth ?? count, count);
      const gamma = Math.expm1(depth * Math.log1p(unit)) + (order?.relative ?? 0) + count * 2 ** -52;
      out.nan = nan;
      if (out.low === 0) out.low = -0;
      if (Number.isFinite(out.low)) out.low -= gamma * Math.abs(out.low);
      if (Number.isFinite(out.high)) out.high += gamma * Math.abs(out.high);
      const under = smallest < format.normal * 2;
      const over = largest * (1 + gamma) > format.max;
      if (under) {
        out.low = Math.min(out.low, 0) - (out.low < format.normal && out.low !== 0 ? format.normal : 0);
        out.high = Math.max(out.high, 0) + (out.high > -format.normal && out.high !== 0 ? format.normal : 0);
      }
      if (over) {
        // A partial product may be infinite, and an infinity may meet what has become zero.
        out.low = out.low >= 0 && !under ? Math.min(out.low, format.max) : -INF;
        out.high = out.high <= 0 && !under ? Math.max(out.high, -format.max) : INF;
        if (out.low >= 0) out.low = 0;
        if (out.high <= 0) out.high = 0;
        out.nan ||= under;
      }
    },
  };
}

/** Exact monoids of any form, value by value: undecided choices give the hull. */
function inOrder(m: Monoid): Accumulator {
  const n = m.slots.length;
  let now = m.slots.map(newBox);
  let next = m.slots.map(newBox);
  const args: Box[] = Array.from({ length: 2 * n }, newBox);
  const bodies = compileBody(m, args);
  return {
    reset: () => {
      m.identity.forEach((c, s) => {
        setConst(now[s]!, c);
      });
    },
    add: (values) => {
      for (let s = 0; s < n; s++) {
        copyBox(args[s]!, now[s]!);
        copyBox(args[n + s]!, values[s]!);
      }
      bodies.run();
      for (let s = 0; s < n; s++) copyBox(next[s]!, bodies.results[s]!);
      [now, next] = [next, now];
    },
    finish: (out) => {
      out.forEach((b, s) => {
        copyBox(b, now[s]!);
      });
    },
  };
}

/** The combine over registers; nodes are evaluated in order, each once. */
function compileBody(m: Monoid, args: readonly Box[]): { run(): void; readonly results: readonly Box[] } {
  const boxes = new Map<TensorExpr, Box>();
  const steps: (() => void)[] = [];
  const nothing = newBox();
  const go = (e: TensorExpr): Box => {
    const old = boxes.get(e);
    if (old) return old;
    let box = newBox();
    if (e.kind === "arg") box = args[e.index] ?? box;
    else if (e.kind === "const") setConst(box, e);
    else if (e.kind === "apply") {
      const [x = nothing, y = nothing, z = nothing, w = nothing] = e.args.map(go);
      const rule = boundRule(
        e.prim,
        e.args.map((a) => a.dtype),
        e.dtype,
      );
      const out = box;
      steps.push(() => rule(x, y, z, out, w));
    }
    boxes.set(e, box);
    return box;
  };
  const results = m.combine.map(go);
  return {
    results,
    run: () => {
      for (const s of steps) s();
    },
  };
}

/** More values than this, and the ways to bracket them are too many. */
const MOST_BRACKETED = 48;

/**
 * Rounding monoids of a form that no rule is known for. If the values are combined in order, whatever the brackets: every
 * segment's box is the hull over the places where it may be cut. Otherwise, or for many values, nothing can be promised.
 */
function bracketed(m: Monoid, ordered: boolean): Accumulator {
  const n = m.slots.length;
  const args: Box[] = Array.from({ length: 2 * n }, newBox);
  const body = compileBody(m, args);
  const identity = m.identity.map((c) => {
    const b = newBox();
    setConst(b, c);
    return b;
  });
  /** Of the segments that end at the latest value, by where they start; and of all earlier ones. */
  let segments: Box[][][] = [];
  let inSequence: Box[] = identity.map((b) => ({ ...b }));
  let count = 0;
  const combine = (left: readonly Box[], right: readonly Box[]): readonly Box[] => {
    for (let s = 0; s < n; s++) {
      copyBox(args[s]!, left[s]!);
      copyBox(args[n + s]!, right[s]!);
    }
    body.run();
    return body.results;
  };
  /** With and without having started from the identity. */
  const started = (boxes: Box[]): Box[] => {
    joinAll(boxes, combine(identity, boxes));
    return boxes;
  };
  const copy = (boxes: readonly Box[]): Box[] => boxes.map((b) => ({ ...b }));
  return {
    reset: () => {
      segments = [];
      inSequence = copy(identity);
      count = 0;
    },
    add: (values) => {
      inSequence = copy(combine(inSequence, values));
      count++;
      if (!(ordered || count <= 1) || count > MOST_BRACKETED) return;
      // segments[j][i]: values i … j.
      const j = count - 1;
      const row: Box[][] = [];
      row[j] = started(copy(values));
      for (let i = j - 1; i >= 0; i--) {
        let whole: Box[] | undefined;
        for (let cut = i; cut < j; cut++) {
          const made = combine(segments[cut]![i]!, row[cut + 1]!);
          if (whole) joinAll(whole, made);
          else whole = copy(made);
        }
        row[i] = started(whole ?? copy(identity));
      }
      segments[j] = row;
    },
    finish: (out, order) => {
      const known =
        count === 0
          ? identity
          : order?.sequential
            ? inSequence
            : ordered || count === 1
              ? segments[count - 1]?.[0]
              : undefined;
      out.forEach((b, s) => {
        if (known) copyBox(b, known[s]!);
        else setAnything(b, m.slots[s] ?? "f32");
      });
    },
  };
}

/** Joins into a running value of `set`. */
export function joinAll(into: readonly Box[], values: readonly Box[]): void {
  into.forEach((b, s) => {
    joinBox(b, values[s]!);
  });
}
