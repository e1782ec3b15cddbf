/** The pieces of the interpreter that know nothing of definitions: loops, monoids on tuples, linear indices. */
import { type DType, isFloat } from "./dtype.ts";
import { compilePrim, type Mode, type ScalarFunction } from "./evaluate.ts";
import { roundTo } from "./float.ts";
import type { Prim } from "./prim.ts";
import { evaluate } from "./sizes.ts";
import { type Apply, type Axis, childrenOf, type Monoid, type TensorExpr } from "./tensor.ts";

export type Thunk = () => number;

/** Elements of a definition's results, row-major: whole arrays, or one element at a time on demand. */
export interface Source {
  readonly shape: readonly number[];
  readonly arrays: readonly Float64Array[] | undefined;
  readonly element: (slot: number, offset: number) => number;
}

/** For tests: a device that rounds and reorders as it likes. */
export interface PlayedDevice {
  /** What it computes for a primitive. */
  primitive(prim: Prim, operands: readonly DType[], result: DType, exactly: ScalarFunction): ScalarFunction;
  /** For a reduction of n > 1 values that may be regrouped: how many go to the left half (1 … n - 1). */
  split(n: number): number;
  /** A permutation of 0 … n-1, for commutative monoids. */
  order(n: number): readonly number[];
}

/** Calls `body` for every position of the axes in row-major order, and `tick(i)` when axis i steps. No axes: once. */
export function loopNest(
  env: Int32Array,
  slots: readonly number[],
  counts: readonly number[],
  tick: (axis: number) => void,
  body: () => void,
): void {
  const last = slots.length - 1;
  if (last < 0) {
    body();
    return;
  }
  if (counts.some((c) => c === 0)) return;
  for (let i = 0; i <= last; i++) {
    env[slots[i]!] = 0;
    tick(i);
  }
  const [inner, n] = [slots[last]!, counts[last]!];
  for (;;) {
    for (let i = 0; i < n; i++) {
      env[inner] = i;
      tick(last);
      body();
    }
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      const s = slots[axis]!;
      if (env[s]! + 1 < counts[axis]!) {
        env[s]!++;
        tick(axis);
        break;
      }
      env[s] = 0;
      tick(axis);
    }
    if (axis < 0) return;
  }
}

// ---- Monoids --------------------------------------------------------------------------------------------------------

export interface MonoidFunction {
  readonly identity: readonly number[];
  /** out may be left or right. */
  combine(left: ArrayLike<number>, right: ArrayLike<number>, out: Float64Array | number[]): void;
  /** Set for one slot combined by one primitive of left and right. */
  readonly prim: Prim | undefined;
  readonly simple: ScalarFunction | undefined;
}

/** The monoid's combine on tuples of numbers. */
export function monoidFunction(m: Monoid, mode: Mode, device?: PlayedDevice): MonoidFunction {
  const n = m.slots.length;
  const identity = m.identity.map((c) => (mode === "rounded" ? roundTo(c.dtype, c.value) : c.value));
  const args = new Float64Array(2 * n);
  const memo = new Map<TensorExpr, Thunk>();
  let clock = 0;
  const go = (e: TensorExpr): Thunk => {
    const old = memo.get(e);
    if (old) return old;
    let f: Thunk;
    if (e.kind === "const") {
      const v = mode === "rounded" ? roundTo(e.dtype, e.value) : e.value;
      f = () => v;
    } else if (e.kind === "arg") {
      const i = e.index;
      f = () => args[i] ?? 0;
    } else if (e.kind === "apply") {
      const g = applyThunk(e, e.args.map(go), mode, device);
      let [stamp, value] = [-1, 0];
      f = () => {
        if (stamp !== clock) [stamp, value] = [clock, g()];
        return value;
      };
    } else throw new Error(`monoid ${m.name} holds a ${e.kind}`);
    memo.set(e, f);
    return f;
  };
  const bodies = m.combine.map(go);
  const only = m.combine[0];
  const direct =
    n === 1 &&
    only?.kind === "apply" &&
    only.args.length === 2 &&
    only.args.every((a, i) => a.kind === "arg" && a.index === i);
  const simple = direct ? primFunction(only, mode, device) : undefined;
  const out = new Float64Array(n);
  return {
    identity,
    simple,
    prim: direct ? only.prim : undefined,
    combine: (left, right, into) => {
      clock++;
      for (let i = 0; i < n; i++) {
        args[i] = left[i]!;
        args[n + i] = right[i]!;
      }
      for (let i = 0; i < n; i++) out[i] = bodies[i]!();
      for (let i = 0; i < n; i++) into[i] = out[i]!;
    },
  };
}

export function combineInAnyOrder(
  m: Monoid,
  f: MonoidFunction,
  leaves: readonly number[][],
  device: PlayedDevice,
): readonly number[] {
  const list = m.commutative ? device.order(leaves.length).map((i) => leaves[i]!) : leaves;
  const go = (from: number, to: number): number[] => {
    const out = f.identity.slice();
    if (to - from === 1) f.combine(f.identity, list[from]!, out);
    else if (to > from) {
      const middle = from + device.split(to - from);
      f.combine(go(from, middle), go(middle, to), out);
    }
    return out;
  };
  return go(0, list.length);
}

// ---- Pieces -----------------------------------------------------------------------------------------------------------

function primFunction(e: Apply, mode: Mode, device: PlayedDevice | undefined): ScalarFunction {
  const operands = e.args.map((a) => a.dtype);
  const f = compilePrim(e.prim, operands, e.dtype, mode);
  return device ? device.primitive(e.prim, operands, e.dtype, f) : f;
}

export function applyThunk(e: Apply, args: readonly Thunk[], mode: Mode, device: PlayedDevice | undefined): Thunk {
  const none: Thunk = () => 0;
  const [a = none, b = none, c = none, d = none] = args;
  // Only the branch that is asked for: guards may stand before what would be outside.
  if (e.prim === "select") return () => (a() !== 0 ? b() : c());
  if (mode === "exact" && !device && isFloat(e.dtype)) {
    if (e.prim === "add") return () => a() + b();
    if (e.prim === "sub") return () => a() - b();
    if (e.prim === "mul") return () => a() * b();
  }
  const f = primFunction(e, mode, device);
  if (args.length === 1) return () => f(a(), 0, 0, 0);
  if (args.length === 2) return () => f(a(), b(), 0, 0);
  return () => f(a(), b(), c(), d());
}

export interface Linear {
  readonly terms: readonly (readonly [slot: number, coefficient: number])[];
  readonly constant: number;
  readonly low: number;
  readonly high: number;
}

export function linearForm(
  e: TensorExpr,
  sizes: ReadonlyMap<string, number>,
  slot: (a: Axis) => number,
): Linear | undefined {
  const of = (terms: Linear["terms"], constant: number): Linear => ({ terms, constant, low: 0, high: 0 });
  if (e.kind === "const" && e.dtype === "i32") return of([], e.value);
  if (e.kind === "size") return of([], evaluate(e.extent, sizes));
  if (e.kind === "axis") return of([[slot(e.axis), 1]], 0);
  if (e.kind !== "apply" || e.dtype !== "i32") return undefined;
  if (e.prim !== "add" && e.prim !== "sub" && e.prim !== "mul") return undefined;
  const [l, r] = e.args.map((a) => linearForm(a, sizes, slot));
  if (!l || !r) return undefined;
  if (e.prim === "mul") {
    const [k, x] = l.terms.length === 0 ? [l.constant, r] : r.terms.length === 0 ? [r.constant, l] : [0, undefined];
    return (
      x &&
      of(
        x.terms.map(([s, c]) => [s, c * k] as const),
        x.constant * k,
      )
    );
  }
  const sign = e.prim === "add" ? 1 : -1;
  const sum = new Map(l.terms);
  for (const [s, c] of r.terms) sum.set(s, (sum.get(s) ?? 0) + sign * c);
  return of(
    [...sum].filter(([, c]) => c !== 0),
    l.constant + sign * r.constant,
  );
}

export function linearValue(l: Linear, env: Int32Array): Thunk {
  const { terms, constant } = l;
  const [t0, t1] = terms;
  if (!t0) return () => constant;
  const [s0, c0] = t0;
  if (terms.length === 1) return () => env[s0]! * c0 + constant;
  if (t1 && terms.length === 2) {
    const [s1, c1] = t1;
    return () => env[s0]! * c0 + env[s1]! * c1 + constant;
  }
  return () => {
    let sum = constant;
    for (const [s, c] of terms) sum += env[s]! * c;
    return sum;
  };
}

export function linearThunk(l: Linear, env: Int32Array, source: Source, slot: number): Thunk {
  const array = source.arrays?.[slot];
  const offset = linearValue(l, env);
  if (!array) return () => source.element(slot, offset());
  const { constant } = l;
  const [t0, t1] = l.terms;
  if (t0 && l.terms.length === 1) {
    const [s0, c0] = t0;
    return () => array[env[s0]! * c0 + constant]!;
  }
  if (t0 && t1 && l.terms.length === 2) {
    const [[s0, c0], [s1, c1]] = [t0, t1];
    return () => array[env[s0]! * c0 + env[s1]! * c1 + constant]!;
  }
  return () => array[offset()]!;
}

/** How often each node is used, which axes each depends on, and the axes bound by reductions. */
export function survey(roots: readonly TensorExpr[]): {
  parents: ReadonlyMap<TensorExpr, number>;
  moving: ReadonlyMap<TensorExpr, ReadonlySet<Axis>>;
  bound: ReadonlySet<Axis>;
} {
  const parents = new Map<TensorExpr, number>();
  const moving = new Map<TensorExpr, ReadonlySet<Axis>>();
  const bound = new Set<Axis>();
  const go = (e: TensorExpr): ReadonlySet<Axis> => {
    parents.set(e, (parents.get(e) ?? 0) + 1);
    const old = moving.get(e);
    if (old) return old;
    let axes: Set<Axis>;
    if (e.kind === "axis") axes = new Set([e.axis]);
    else {
      axes = new Set();
      for (const c of childrenOf(e)) for (const a of go(c)) axes.add(a);
    }
    if (e.kind === "reduce")
      for (const a of e.axes) {
        bound.add(a);
        axes.delete(a);
      }
    moving.set(e, axes);
    return axes;
  };
  for (const r of roots) go(r);
  return { parents, moving, bound };
}
