/**
 * The oracle: evaluates a tensor program definition by definition, in float64 ("exact") or with every float result
 * rounded to its dtype ("rounded"). It does what the program says and nothing clever: no fusion, no reordering. Sums of floats are
 * compensated in exact mode, so that the oracle's own error is negligible.
 *
 * Loops: each round sets `index`, runs the body, stores the stacks' values at the round's position of their first axis,
 * replaces the carries by `next`, and ends when `until` (a scalar of the body) is true, or after `count` (else `max`) rounds.
 * Rounds that did not run leave zeros in the stacks.
 */
import { type DType, isFloat } from "./dtype.ts";
import type { Mode } from "./evaluate.ts";
import { roundTo } from "./float.ts";
import { compileExpressions, type ExprContext } from "./interpret-expr.ts";
import { monoidFunction, type PlayedDevice, type Source } from "./interpret-parts.ts";
import { bindSizes, evaluate, InputError } from "./sizes.ts";
import { stepsOf } from "./steps.ts";
import type { Definition, LoopStep, MapDef, Program, ScanDef, ScatterDef, Step, TensorRef } from "./tensor.ts";

/** Row-major; numbers of the dtype (bool 0 or 1). Any typed array will do for `data`. */
export interface ArrayInput {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}
export interface InterpretOptions {
  /** Default "exact". */
  readonly mode?: Mode;
  /** Size symbols that are known beforehand; others come from the inputs' shapes. */
  readonly sizes?: ReadonlyMap<string, number>;
  /** The most scalar steps it may take (see `stepsOf`); past it throws InputError "budget" before starting. */
  readonly budget?: number;
  /** For tests: instead of correct rounding in order. Needs mode "rounded". */
  readonly device?: PlayedDevice;
}
export interface InterpretResult {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Row-major values, whatever the dtype. */
  readonly data: Float64Array;
}

export interface State {
  readonly sizes: ReadonlyMap<string, number>;
  readonly mode: Mode;
  readonly device: PlayedDevice | undefined;
  readonly sources: Map<Definition, Source>;
}

/** All results, in the program's order. Throws InputError when the inputs do not fit or facts do not hold. */
export function interpret(
  program: Program,
  inputs: ReadonlyMap<string, ArrayInput>,
  options: InterpretOptions = {},
): InterpretResult[] {
  const state = start(program, inputs, options);
  if (options.budget !== undefined) {
    const needed = program.steps.reduce((sum, s) => sum + stepsOf(s, state.sizes), 0);
    if (needed > options.budget)
      throw new InputError(
        "budget",
        `evaluating \`${program.name}\` takes ${needed} steps, more than ${options.budget}`,
      );
  }
  for (const s of program.steps) runStep(s, state);
  return program.results.map((r) => {
    const { shape, arrays } = sourceOf(r.tensor, state);
    return {
      name: r.name,
      dtype: r.tensor.types[r.slot] ?? "f32",
      shape,
      data: arrays?.[r.slot] ?? new Float64Array(0),
    };
  });
}

export function start(program: Program, inputs: ReadonlyMap<string, ArrayInput>, options: InterpretOptions): State {
  const mode = options.mode ?? "exact";
  const sizes = bindSizes(program, new Map([...inputs].map(([name, a]) => [name, a.shape])), options.sizes);
  const state: State = { sizes, mode, device: options.device, sources: new Map() };
  for (const d of program.inputs) {
    const given = inputs.get(d.name);
    if (!given) throw new InputError("missing", `input \`${d.name}\` is not given`);
    const count = product(given.shape);
    if (given.data.length !== count)
      throw new InputError(
        "shape",
        `input \`${d.name}\` of shape [${given.shape.join(", ")}] has ${given.data.length} elements`,
      );
    state.sources.set(d, whole(given.shape, [convertInput(given.data, d.types[0] ?? "f32", mode)]));
  }
  return state;
}

function convertInput(data: ArrayLike<number>, dtype: DType, mode: Mode): Float64Array {
  const out = Float64Array.from(data);
  if (dtype === "bool") for (let i = 0; i < out.length; i++) out[i] = out[i] !== 0 ? 1 : 0;
  else if (dtype === "i32") for (let i = 0; i < out.length; i++) out[i] = out[i]! | 0;
  else if (dtype === "u32") for (let i = 0; i < out.length; i++) out[i] = out[i]! >>> 0;
  else if (mode === "rounded") for (let i = 0; i < out.length; i++) out[i] = roundTo(dtype, out[i]!);
  return out;
}

export function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
function whole(shape: readonly number[], arrays: readonly Float64Array[]): Source {
  return { shape, arrays, element: (slot, offset) => arrays[slot]![offset]! };
}
export function sourceOf(d: Definition, state: State): Source {
  const s = state.sources.get(d);
  if (!s) throw new Error(`${d.name} is read before it is defined`);
  return s;
}
export function contextFor(d: Definition, state: State): ExprContext {
  return {
    sizes: state.sizes,
    mode: state.mode,
    device: state.device,
    where: d.name,
    sourceOf: (x) => sourceOf(x, state),
  };
}
export function shapeIn(d: Definition, state: State): number[] {
  return d.axes.map((a) => evaluate(a.extent, state.sizes, `${a.name} of ${d.name}`));
}
export function allocate(d: Definition, shape: readonly number[]): Float64Array {
  const n = product(shape);
  // 2^31 elements are past every device's index arithmetic, and past what typed arrays hold.
  if (n >= 2 ** 31) throw new InputError("extent", `${d.name} would have ${n} elements`);
  return new Float64Array(n);
}

// ---- Whole definitions --------------------------------------------------------------------------------------------

export function runStep(s: Step, state: State): void {
  switch (s.kind) {
    case "input":
    case "carry":
      throw new Error(`${s.name}: ${s.kind} is not a step`);
    case "map":
      state.sources.set(s, runMap(s, state));
      break;
    case "scan":
      state.sources.set(s, runScan(s, state));
      break;
    case "scatter":
      state.sources.set(s, runScatter(s, state));
      break;
    case "loop":
      runLoop(s, state);
      break;
    default:
      s satisfies never;
  }
}

function runMap(d: MapDef, state: State): Source {
  const shape = shapeIn(d, state);
  const out = d.results.map(() => allocate(d, shape));
  const code = compileExpressions(d.axes, d.results, contextFor(d, state));
  const first = code.results[0];
  const target = out[0];
  let offset = 0;
  if (out.length === 1 && first && target)
    code.forEach(() => {
      target[offset++] = first();
    });
  else
    code.forEach(() => {
      for (let s = 0; s < out.length; s++) out[s]![offset] = code.results[s]!();
      offset++;
    });
  return whole(shape, out);
}

function runScan(d: ScanDef, state: State): Source {
  const shape = shapeIn(d, state);
  const out = d.values.map(() => allocate(d, shape));
  const line = scanLine(d, shape, state, out);
  const along = d.axes.indexOf(d.along);
  const inner = product(shape.slice(along + 1));
  const outer = product(shape.slice(0, along));
  if ((shape[along] ?? 0) > 0)
    for (let i = 0; i < outer; i++) for (let j = 0; j < inner; j++) line(i * (shape[along] ?? 0) * inner + j);
  return whole(shape, out);
}

/** Computes the line along the scanned axis that starts at an offset. */
export function scanLine(
  d: ScanDef,
  shape: readonly number[],
  state: State,
  out: readonly Float64Array[],
): (start: number) => void {
  const code = compileExpressions(d.axes, d.values, contextFor(d, state));
  const m = monoidFunction(d.monoid, state.mode, state.device);
  const along = d.axes.indexOf(d.along);
  const stride = product(shape.slice(along + 1));
  const slot = code.slots[along] ?? 0;
  const compensated = m.prim === "add" && isFloat(d.monoid.slots[0] ?? "i32") && state.mode === "exact";
  const sum = new Float64Array(d.values.length);
  const value = new Float64Array(d.values.length);
  return (startAt) => {
    setPosition(code.env, code.slots, shape, startAt);
    sum.set(m.identity);
    let lost = 0;
    for (let i = 0; i < (shape[along] ?? 0); i++) {
      code.env[slot] = i;
      code.step();
      for (let s = 0; s < value.length; s++) value[s] = code.results[s]!();
      if (compensated) {
        const [old, v] = [sum[0]!, value[0]!];
        const t = old + v;
        lost += Math.abs(old) >= Math.abs(v) ? old - t + v : v - t + old;
        sum[0] = t;
        out[0]![startAt + i * stride] = Number.isFinite(t) && Number.isFinite(lost) ? t + lost : t;
        continue;
      }
      m.combine(sum, value, sum);
      for (let s = 0; s < sum.length; s++) out[s]![startAt + i * stride] = sum[s]!;
    }
  };
}

export function setPosition(env: Int32Array, slots: readonly number[], shape: readonly number[], offset: number): void {
  let rest = offset;
  for (let i = shape.length - 1; i >= 0; i--) {
    const extent = shape[i] ?? 1;
    env[slots[i]!] = rest % extent;
    rest = Math.floor(rest / extent);
  }
}

function runScatter(d: ScatterDef, state: State): Source {
  const shape = shapeIn(d, state);
  const m = d.monoid === "set" ? undefined : monoidFunction(d.monoid, state.mode, state.device);
  const out = d.types.map((dtype, s) => {
    const array = allocate(d, shape);
    const from = d.into?.[s];
    if (from) {
      const source = sourceOf(from.tensor, state);
      for (let i = 0; i < array.length; i++) array[i] = source.element(from.slot, i);
    } else {
      const initial = m ? (m.identity[s] ?? 0) : (d.initial[s]?.value ?? 0);
      array.fill(state.mode === "rounded" ? roundTo(dtype, initial) : initial);
    }
    return array;
  });
  const code = compileExpressions(d.domain, [...d.at, ...d.values], contextFor(d, state));
  const at = code.results.slice(0, d.at.length);
  const values = code.results.slice(d.at.length);
  const [left, right] = [new Float64Array(values.length), new Float64Array(values.length)];
  code.forEach(() => {
    let offset = 0;
    for (let i = 0; i < at.length; i++) {
      const index = at[i]!();
      const extent = shape[i]!;
      if (index < 0 || index >= extent) return;
      offset = offset * extent + index;
    }
    for (let s = 0; s < values.length; s++) {
      left[s] = out[s]![offset]!;
      right[s] = values[s]!();
    }
    if (m) m.combine(left, right, left);
    else left.set(right);
    for (let s = 0; s < values.length; s++) out[s]![offset] = left[s]!;
  });
  return whole(shape, out);
}

// ---- Loops ----------------------------------------------------------------------------------------------------------

export function runLoop(loop: LoopStep, state: State): void {
  const read = (r: TensorRef): Float64Array => readWhole(r, state);
  const limit = loop.count ?? loop.max;
  if (!limit) throw new Error("a loop has neither count nor max");
  const rounds = Math.max(0, evaluate(limit, state.sizes));
  for (const c of loop.carries) state.sources.set(c.carry, whole(shapeIn(c.carry, state), [read(c.init)]));
  const stacks = loop.stacks.map((k) => {
    const shape = shapeIn(k.stack, state);
    return { ...k, shape, array: allocate(k.stack, shape), each: product(shape.slice(1)) };
  });
  for (const k of stacks) state.sources.set(k.stack, whole(k.shape, [k.array]));
  for (let round = 0, done = false; round < rounds; round++) {
    if (loop.index) state.sources.set(loop.index, whole([], [Float64Array.of(round)]));
    for (const s of loop.body) runStep(s, state);
    for (const k of stacks) if (round < (k.shape[0] ?? 0)) k.array.set(read(k.value), round * k.each);
    if (done) continue;
    done = isDone(loop, state);
    const next = loop.carries.map((c) => read(c.next));
    loop.carries.forEach((c, i) => {
      state.sources.set(c.carry, whole(shapeIn(c.carry, state), [next[i]!]));
    });
    // Stacks have a value of every round, also of those in which the carries stay.
    if (done && stacks.length === 0) break;
  }
}

export function isDone(loop: LoopStep, state: State): boolean {
  return loop.until !== undefined && sourceOf(loop.until.tensor, state).element(loop.until.slot, 0) !== 0;
}

function readWhole(r: TensorRef, state: State): Float64Array {
  const source = sourceOf(r.tensor, state);
  const array = source.arrays?.[r.slot];
  return array ?? Float64Array.from({ length: product(source.shape) }, (_, i) => source.element(r.slot, i));
}
