/**
 * Scalar expressions as closures over an array of axis values. Each expression is compiled once a definition, with the
 * extents known, and then called once an element.
 *
 * Shared subexpressions (nodes are hash-consed, so a program is a graph) and those that do not move with the innermost
 * reduction are remembered: every loop stamps a clock when it steps, and a remembered value is good while the clocks of the
 * axes that it depends on stand still.
 */
import { isFloat } from "./dtype.ts";
import type { Mode } from "./evaluate.ts";
import { roundTo } from "./float.ts";
import {
  applyThunk,
  combineInAnyOrder,
  type Linear,
  linearForm,
  linearThunk,
  linearValue,
  loopNest,
  monoidFunction,
  type PlayedDevice,
  type Source,
  survey,
  type Thunk,
} from "./interpret-parts.ts";
import { evaluate } from "./sizes.ts";
import type { Axis, Definition, Monoid, Read, Reduce, TensorExpr } from "./tensor.ts";

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
  /** Further expressions of the same roots, and loops over axes bound in them, for other analyses (ir/bounds.ts). */
  thunk(e: TensorExpr): Thunk;
  loop(axes: readonly Axis[]): { readonly count: number; run(body: () => void): void };
  /** Says, once for each change, that what the expression depends on has moved. */
  moved(e: TensorExpr): () => boolean;
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

  const moved = (e: TensorExpr): (() => boolean) => {
    const on = clocksOf(e);
    let stamp = -1;
    const [only] = on;
    if (only !== undefined && on.length === 1)
      return () => {
        const newest = clocks[only]!;
        if (stamp === newest) return false;
        stamp = newest;
        return true;
      };
    return () => {
      let newest = 0;
      for (const c of on) newest = Math.max(newest, clocks[c] ?? 0);
      if (stamp === newest) return false;
      stamp = newest;
      return true;
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

  const loop: Compiled["loop"] = (bound) => {
    const slots = bound.map(slot);
    const counts = slots.map((s) => extents[s] ?? 0);
    const ticks = bound.map((a) => clockOf.get(a) ?? 0);
    const tick = (i: number): void => {
      clocks[ticks[i]!] = ++now;
    };
    return {
      count: counts.reduce((a, b) => a * b, 1),
      run: (body) => loopNest(env, slots, counts, tick, body),
    };
  };
  /** Runs the reduction, leaves its tuple in `results` and returns slot 0. */
  const reduction = (e: Reduce, results: Float64Array): Thunk => {
    const values = e.values.map((v) => go(v, e));
    const nest = loop(e.axes).run;
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
    // An array and not variables of the closure, which would be boxed at every step.
    const acc = new Float64Array(2);
    if (body.simple && value && mode === "exact" && body.prim === "add" && isFloat(e.dtype)) {
      // Neumaier's compensated sum, so that the oracle's own error is negligible beside float32's.
      return () => {
        acc[0] = start;
        acc[1] = 0;
        nest(() => {
          const v = value();
          const sum = acc[0]!;
          const t = sum + v;
          acc[1]! += Math.abs(sum) >= Math.abs(v) ? sum - t + v : v - t + sum;
          acc[0] = t;
        });
        const [sum = 0, lost = 0] = acc;
        return Number.isFinite(sum) && Number.isFinite(lost) ? sum + lost : sum;
      };
    }
    if (body.simple && value) {
      const f = body.simple;
      return () => {
        acc[0] = start;
        nest(() => {
          acc[0] = f(acc[0]!, value(), 0, 0);
        });
        return acc[0]!;
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

  let made: readonly Thunk[] | undefined;
  const slots = axes.map(slot);
  const counts = axes.map((a) => extents[slot(a)] ?? 0);
  const step = (): void => {
    clocks[0] = ++now;
  };
  return {
    env,
    slots,
    step,
    thunk: (e) => go(e),
    loop,
    moved,
    get results() {
      made ??= expressions.map((e) => go(e));
      return made;
    },
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
