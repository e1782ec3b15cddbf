/**
 * Scalar expressions as closures over an array of axis values. Each expression is compiled once a definition, with the
 * extents known, and then called once an element.
 *
 * Shared subexpressions (nodes are hash-consed, so a program is a graph) and those that do not move with the innermost
 * reduction are remembered: every loop stamps a clock when it steps, and a remembered value is good while the clocks of the
 * axes that it depends on stand still.
 */
import { type DType, isFloat } from "./dtype.ts";
import { compilePrim, type Mode, type ScalarFunction } from "./evaluate.ts";
import { roundTo } from "./float.ts";
import type { Prim } from "./prim.ts";
import { evaluate } from "./sizes.ts";
import {
  type Apply,
  type Axis,
  childrenOf,
  type Definition,
  type Monoid,
  type Read,
  type Reduce,
  type TensorExpr,
} from "./tensor.ts";

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

export interface ExprContext {
  readonly sizes: ReadonlyMap<string, number>;
  readonly mode: Mode;
  readonly device: PlayedDevice | undefined;
  sourceOf(d: Definition): Source;
  /** For error messages. */
  readonly where: string;
}

export interface Compiled {
  readonly env: Int32Array;
  /** The slot of each of the definition's own axes in `env`, in order. */
  readonly slots: readonly number[];
  readonly results: readonly Thunk[];
  /** To be called after the own axes were set and before results are read. */
  step(): void;
  /** Runs `body` for every position of the own axes in row-major order. */
  forEach(body: () => void): void;
}

/** A read without fill that left its tensor: the verifier should have refused the program. */
export class OutsideError extends Error {}

/** Compiles expressions over `axes`, whose loops the caller runs. */
export function compileExpressions(
  axes: readonly Axis[],
  expressions: readonly TensorExpr[],
  context: ExprContext,
): Compiled {
  const { sizes, mode, device } = context;
  // Every axis has a slot in env; the own axes share clock 0, each bound axis has its own.
  const slotOf = new Map<Axis, number>();
  const clockOf = new Map<Axis, number>();
  const extents: number[] = [];
  const addAxis = (a: Axis, clock: number): void => {
    if (slotOf.has(a)) return;
    slotOf.set(a, slotOf.size);
    clockOf.set(a, clock);
    extents.push(evaluate(a.extent, sizes, a.name));
  };
  for (const a of axes) addAxis(a, 0);
  const { parents, moving, bound } = survey(expressions);
  for (const a of bound) addAxis(a, slotOf.size + 1);
  const env = new Int32Array(slotOf.size + 1);
  const clocks = new Float64Array(slotOf.size + 2);
  let now = 0;

  const slot = (a: Axis): number => {
    const s = slotOf.get(a);
    if (s === undefined) throw new Error(`axis ${a.name} is not in scope in ${context.where}`);
    return s;
  };
  /** Which clocks tell that the node may have changed: those of bound axes if it has any (they step with everything outside). */
  const clocksOf = (e: TensorExpr): number[] => {
    const all = [...new Set([...(moving.get(e) ?? [])].map((a) => clockOf.get(a) ?? 0))];
    const inner = all.filter((c) => c !== 0);
    return inner.length > 0 ? inner : all;
  };
  const remember = (e: TensorExpr, f: Thunk): Thunk => {
    const [c0, c1, ...rest] = clocksOf(e);
    let value = 0;
    if (c0 === undefined) {
      let done = false;
      return () => {
        if (!done) {
          value = f();
          done = true;
        }
        return value;
      };
    }
    let t0 = -1;
    if (c1 === undefined)
      return () => {
        if (t0 !== clocks[c0]) {
          value = f();
          t0 = clocks[c0] ?? 0;
        }
        return value;
      };
    const others = [c0, c1, ...rest];
    let stamp = -1;
    return () => {
      let newest = 0;
      for (const c of others) newest = Math.max(newest, clocks[c] ?? 0);
      if (stamp !== newest) {
        value = f();
        stamp = newest;
      }
      return value;
    };
  };

  const compiled = new Map<TensorExpr, Thunk>();
  const go = (e: TensorExpr, parent?: TensorExpr): Thunk => {
    const key = e;
    const old = compiled.get(key);
    if (old) return old;
    let f = build(e);
    const heavy = e.kind === "apply" || e.kind === "reduce" || (e.kind === "read" && linearRead(e) === undefined);
    const still =
      parent !== undefined &&
      (moving.get(e)?.size ?? 0) <
        (moving.get(parent)?.size ?? 0) + (parent.kind === "reduce" ? parent.axes.length : 0);
    if (heavy && ((parents.get(e) ?? 0) > 1 || (still && bound.size > 0))) f = remember(e, f);
    compiled.set(key, f);
    return f;
  };

  const build = (e: TensorExpr): Thunk => {
    switch (e.kind) {
      case "const": {
        const v = mode === "rounded" ? roundTo(e.dtype, e.value) : e.value;
        return () => v;
      }
      case "size": {
        const v = evaluate(e.extent, sizes) | 0;
        return () => v;
      }
      case "axis": {
        const s = slot(e.axis);
        return () => env[s] ?? 0;
      }
      case "arg":
        throw new Error(`an argument slot outside a monoid in ${context.where}`);
      case "apply":
        return applyThunk(
          e,
          e.args.map((a) => go(a, e)),
          mode,
          device,
        );
      case "read":
        return buildRead(e);
      case "reduce":
        return buildReduce(e);
      default:
        return e satisfies never;
    }
  };

  // ---- Reads ----

  /** The index as constant + Σ coefficient·env[slot], if it is that and cannot wrap, with its range. */
  const linear = (e: TensorExpr): Linear | undefined => {
    const l = linearForm(e, sizes, slot);
    if (!l) return undefined;
    let [low, high] = [l.constant, l.constant];
    for (const [s, c] of l.terms) {
      const last = Math.max(0, (extents[s] ?? 0) - 1);
      low += Math.min(0, c * last);
      high += Math.max(0, c * last);
    }
    return low >= -2147483648 && high <= 2147483647 ? { ...l, low, high } : undefined;
  };
  const shapeOfRead = (e: Read): readonly number[] => context.sourceOf(e.tensor).shape;
  /** The whole offset as one linear form, if no index can leave the tensor. */
  const linearRead = (e: Read): Linear | undefined => {
    const shape = shapeOfRead(e);
    const terms = new Map<number, number>();
    let constant = 0;
    for (let i = 0; i < shape.length; i++) {
      const [at, extent] = [e.at[i], shape[i] ?? 0];
      const l = at && linear(at);
      if (!l || l.low < 0 || l.high >= extent) return undefined;
      for (const [s, c] of terms) terms.set(s, c * extent);
      constant = constant * extent + l.constant;
      for (const [s, c] of l.terms) terms.set(s, (terms.get(s) ?? 0) + c);
    }
    return { terms: [...terms], constant, low: 0, high: 0 };
  };
  const buildRead = (e: Read): Thunk => {
    const source = context.sourceOf(e.tensor);
    const at = linearRead(e);
    if (at) return linearThunk(at, env, source, e.slot);
    const shape = source.shape;
    const indices = e.at.map((x) => {
      const l = linear(x);
      return l ? linearValue(l, env) : go(x, e);
    });
    const fill = e.fill && (mode === "rounded" ? roundTo(e.dtype, e.fill.value) : e.fill.value);
    const array = source.arrays?.[e.slot];
    return () => {
      let offset = 0;
      for (let i = 0; i < indices.length; i++) {
        const index = indices[i]!();
        const extent = shape[i]!;
        if (index < 0 || index >= extent) {
          if (fill !== undefined) return fill;
          throw new OutsideError(
            `${context.where} reads ${e.tensor.name} at ${index} of axis ${i}, whose extent is ${extent}`,
          );
        }
        offset = offset * extent + index;
      }
      return array ? array[offset]! : source.element(e.slot, offset);
    };
  };

  // ---- Reductions ----

  interface Group {
    readonly run: Thunk;
    readonly results: Float64Array;
  }
  const groups = new Map<Monoid, Map<string, Group>>();
  const buildReduce = (e: Reduce): Thunk => {
    const inner = groups.get(e.monoid) ?? new Map<string, Group>();
    groups.set(e.monoid, inner);
    const key = `${e.axes.map((a) => a.id)}/${e.values.map((v) => v.id)}`;
    let group = inner.get(key);
    if (!group) {
      const results = new Float64Array(e.monoid.slots.length);
      const run = reduction(e, results);
      group = { run: e.monoid.slots.length > 1 ? remember(e, run) : run, results };
      inner.set(key, group);
    }
    const { run, results } = group;
    const s = e.slot;
    if (results.length === 1) return run;
    return () => {
      run();
      return results[s]!;
    };
  };

  /** Runs the reduction, leaves its tuple in `results` and returns slot 0. */
  const reduction = (e: Reduce, results: Float64Array): Thunk => {
    const values = e.values.map((v) => go(v, e));
    const slots = e.axes.map(slot);
    const counts = slots.map((s) => extents[s] ?? 0);
    const ticks = e.axes.map((a) => clockOf.get(a) ?? 0);
    const nest = (body: () => void): void =>
      loopNest(
        env,
        slots,
        counts,
        (i) => {
          clocks[ticks[i]!] = ++now;
        },
        body,
      );
    const body = monoidFunction(e.monoid, mode, device);
    if (device && !e.monoid.exact) {
      return () => {
        const leaves: number[][] = [];
        nest(() => {
          leaves.push(values.map((v) => v()));
        });
        const total = combineInAnyOrder(e.monoid, body, leaves, device);
        results.set(total);
        return total[0] ?? 0;
      };
    }
    const value = values[0];
    const start = body.identity[0] ?? 0;
    if (body.simple && value && mode === "exact" && body.prim === "add" && isFloat(e.dtype)) {
      // Neumaier's compensated sum, so that the oracle's own error is negligible beside float32's.
      return () => {
        let [sum, lost] = [start, 0];
        nest(() => {
          const v = value();
          const t = sum + v;
          lost += Math.abs(sum) >= Math.abs(v) ? sum - t + v : v - t + sum;
          sum = t;
        });
        return Number.isFinite(sum) && Number.isFinite(lost) ? sum + lost : sum;
      };
    }
    if (body.simple && value) {
      const f = body.simple;
      return () => {
        let sum = start;
        nest(() => {
          sum = f(sum, value(), 0, 0);
        });
        return sum;
      };
    }
    const right = new Float64Array(values.length);
    return () => {
      const sum = Float64Array.from(body.identity);
      nest(() => {
        for (let i = 0; i < values.length; i++) right[i] = values[i]!();
        body.combine(sum, right, sum);
      });
      results.set(sum);
      return sum[0] ?? 0;
    };
  };

  const slots = axes.map(slot);
  const counts = axes.map((a) => extents[slot(a)] ?? 0);
  const step = (): void => {
    clocks[0] = ++now;
  };
  return {
    env,
    slots,
    step,
    results: expressions.map((e) => go(e)),
    forEach: (body) => {
      loopNest(
        env,
        slots,
        counts,
        () => {},
        () => {
          clocks[0] = ++now;
          body();
        },
      );
    },
  };
}

/** Calls `body` for every position of the axes in row-major order, and `tick(i)` when axis i steps. No axes: once. */
function loopNest(
  env: Int32Array,
  slots: readonly number[],
  counts: readonly number[],
  tick: (axis: number) => void,
  body: () => void,
): void {
  const last = slots.length - 1;
  if (last < 0) return body();
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

function combineInAnyOrder(
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

function applyThunk(e: Apply, args: readonly Thunk[], mode: Mode, device: PlayedDevice | undefined): Thunk {
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

interface Linear {
  readonly terms: readonly (readonly [slot: number, coefficient: number])[];
  readonly constant: number;
  readonly low: number;
  readonly high: number;
}

function linearForm(e: TensorExpr, sizes: ReadonlyMap<string, number>, slot: (a: Axis) => number): Linear | undefined {
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

function linearValue(l: Linear, env: Int32Array): Thunk {
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

function linearThunk(l: Linear, env: Int32Array, source: Source, slot: number): Thunk {
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
function survey(roots: readonly TensorExpr[]): {
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
