/**
 * Running error analysis: for every element of the results, everything that a device may compute which keeps its promises
 * (ir/accuracy.ts), in whatever order it combines. The program must be the one that the device runs: after fusion's rewriting, with
 * the depths of reduction of the chosen schedules. Never too small; comparisons, steps and choices that rounding could turn count both ways.
 *
 * `until` of a loop that rounding could turn leaves its carries unbounded: bound such loops round by round from the device's state.
 */
import type { Bounds } from "./bounds-compare.ts";
import { type BoxSource, boxCompiler } from "./bounds-expr.ts";
import { boundLoop } from "./bounds-loop.ts";
import { accumulator, joinAll, setConst } from "./bounds-reduce.ts";
import { type BoundOptions, type BoundState, BoxArrays, boxesOf } from "./bounds-state.ts";
import { type Box, flushed, formatOf, newBox, setPoint } from "./box.ts";
import { isFloat } from "./dtype.ts";
import { roundTo } from "./float.ts";
import { type ArrayInput, contextFor, product, runStep, setPosition, shapeIn, sourceOf, start } from "./interpret.ts";
import { compileExpressions } from "./interpret-expr.ts";
import { onDemand } from "./interpret-sampled.ts";
import { InputError } from "./sizes.ts";
import { stepsOf } from "./steps.ts";
import type { Definition, Input, MapDef, Program, ScanDef, ScatterDef, Step, TensorRef } from "./tensor.ts";

export { type Bounds, type Comparison, compareWithin } from "./bounds-compare.ts";
export type { BoundOptions } from "./bounds-state.ts";

/** Bounds of every element of every result. Throws InputError as `interpret` does. */
export function errorBounds(
  program: Program,
  inputs: ReadonlyMap<string, ArrayInput>,
  options: BoundOptions = {},
): Bounds[] {
  const state = begin(program, inputs, options);
  if (options.budget !== undefined) {
    const needed = program.steps.reduce((sum, s) => sum + stepsOf(s, state.sizes), 0);
    if (needed > options.budget)
      throw new InputError("budget", `bounding \`${program.name}\` takes ${needed} steps, more than ${options.budget}`);
  }
  for (const s of program.steps) boundStep(s, state);
  return program.results.map((r) => {
    const count = product(boxesOf(r.tensor, state).shape);
    return collect(
      r,
      Array.from({ length: count }, (_, i) => i),
      boxesOf(r.tensor, state).shape,
      state,
    );
  });
}

/** Bounds of some elements of one result (row-major offsets), evaluating only what they depend on. The shape is that of the list. */
export function errorBoundsSampled(
  program: Program,
  inputs: ReadonlyMap<string, ArrayInput>,
  resultName: string,
  positions: readonly number[],
  options: BoundOptions = {},
): Bounds {
  const state = begin(program, inputs, options);
  const result = program.results.find((r) => r.name === resultName);
  if (!result) throw new InputError("result", `\`${program.name}\` has no result \`${resultName}\``);
  const budget = { left: options.budget ?? Number.POSITIVE_INFINITY, name: program.name };
  for (const s of program.steps) {
    if (s.kind === "loop") boundStep(s, state);
    else {
      state.sources.set(s, onDemand(s, state, budget));
      state.boxes.set(s, s.kind === "map" ? mapOnDemand(s, state) : wholeOnDemand(s, state));
    }
  }
  return collect(result, positions, [positions.length], state);
}

function collect(
  r: { name: string } & TensorRef,
  positions: readonly number[],
  shape: readonly number[],
  state: BoundState,
): Bounds {
  const n = positions.length;
  const made: Bounds = {
    name: r.name,
    dtype: r.tensor.types[r.slot] ?? "f32",
    shape,
    exact: new Float64Array(n),
    low: new Float64Array(n),
    high: new Float64Array(n),
    nan: new Uint8Array(n),
  };
  const [exact, boxes] = [sourceOf(r.tensor, state), boxesOf(r.tensor, state)];
  const box = newBox();
  const other = newBox();
  const format = formatOf(made.dtype);
  positions.forEach((p, i) => {
    boxes.read(r.slot, p, box);
    // Subnormal results may be flushed on their way out, even if nothing was computed.
    const seen = isFloat(made.dtype) ? flushed(box, format, other) : box;
    made.exact[i] = exact.element(r.slot, p);
    made.low[i] = seen.low;
    made.high[i] = seen.high;
    made.nan[i] = seen.nan ? 1 : 0;
  });
  return made;
}

function begin(program: Program, inputs: ReadonlyMap<string, ArrayInput>, options: BoundOptions): BoundState {
  const state: BoundState = { ...start(program, inputs, { sizes: options.sizes }), boxes: new Map(), options };
  for (const d of program.inputs) state.boxes.set(d, inputBoxes(d, state));
  return state;
}

/** Floats that the dtype does not hold are rounded on the way to the device. */
function inputBoxes(d: Input, state: BoundState): BoxSource {
  const source = sourceOf(d, state);
  const dtype = d.types[0] ?? "f32";
  const data = source.arrays?.[0] ?? new Float64Array(0);
  const uncertain = isFloat(dtype) && data.some((v) => !Number.isNaN(v) && roundTo(dtype, v) !== v);
  return {
    shape: source.shape,
    uncertain: [uncertain],
    read: (_, offset, out) => {
      const v = data[offset]!;
      const near = roundTo(dtype, v);
      setPoint(out, v);
      if (uncertain && !Number.isNaN(v)) {
        out.low = Math.min(v, near);
        out.high = Math.max(v, near);
      }
    },
  };
}

function arraysFor(d: Definition, uncertain: readonly boolean[], state: BoundState): BoxArrays {
  const source = sourceOf(d, state);
  return new BoxArrays(source.shape, uncertain, (slot, offset) => source.element(slot, offset));
}

// ---- Steps --------------------------------------------------------------------------------------------------------------

function boundStep(s: Step, state: BoundState): void {
  if (s.kind === "loop") {
    boundLoop(s, state, (b) => boundStep(b, state));
    return;
  }
  runStep(s, state);
  state.boxes.set(s, boundDefinition(s, state));
}

function boundDefinition(d: Definition, state: BoundState): BoxSource {
  switch (d.kind) {
    case "input":
    case "carry":
      throw new Error(`${d.name}: ${d.kind} is not a step`);
    case "map":
      return boundMap(d, state);
    case "scan":
      return boundScan(d, state);
    case "scatter":
      return boundScatter(d, state);
    default:
      return d satisfies never;
  }
}

function mapCode(
  d: MapDef,
  state: BoundState,
): { code: ReturnType<typeof compileExpressions>; boxes: ReturnType<typeof boxCompiler> } {
  const code = compileExpressions(d.axes, d.results, contextFor(d, state));
  const roots = new Set<unknown>(d.results);
  const order = state.options.orderOf?.(d);
  const boxes = boxCompiler(
    code,
    (x) => boxesOf(x, state),
    (e) => (roots.has(e) ? order : undefined),
    d.name,
  );
  return { code, boxes };
}

function boundMap(d: MapDef, state: BoundState): BoxSource {
  const { code, boxes } = mapCode(d, state);
  const uncertain = d.results.map((e) => boxes.uncertain(e));
  const made = arraysFor(d, uncertain, state);
  const nodes = d.results.flatMap((e, slot) => (uncertain[slot] ? [{ slot, node: boxes.node(e) }] : []));
  if (nodes.length === 0) return made;
  let offset = 0;
  code.forEach(() => {
    for (const { slot, node } of nodes) {
      node.run();
      made.write(slot, offset, node.box);
    }
    offset++;
  });
  return made;
}

function mapOnDemand(d: MapDef, state: BoundState): BoxSource {
  const shape = shapeIn(d, state);
  const { code, boxes } = mapCode(d, state);
  const exact = sourceOf(d, state);
  const uncertain = d.results.map((e) => boxes.uncertain(e));
  const nodes = d.results.map((e, slot) => (uncertain[slot] ? boxes.node(e) : undefined));
  const known = d.results.map(() => new Map<number, Box>());
  return {
    shape,
    uncertain,
    read: (slot, offset, out) => {
      const node = nodes[slot];
      if (!node) {
        setPoint(out, exact.element(slot, offset));
        return;
      }
      let box = known[slot]?.get(offset);
      if (!box) {
        setPosition(code.env, code.slots, shape, offset);
        code.step();
        node.run();
        box = { ...node.box };
        known[slot]?.set(offset, box);
      }
      Object.assign(out, box);
    },
  };
}

/** Scans and scatters are bounded whole, when first read. */
function wholeOnDemand(d: Definition, state: BoundState): BoxSource {
  let made: BoxSource | undefined;
  const types = d.types;
  const whole = (): BoxSource => {
    made ??= boundDefinition(d, state);
    return made;
  };
  return {
    shape: shapeIn(d, state),
    uncertain: types.map(() => true),
    read: (slot, offset, out) => whole().read(slot, offset, out),
  };
}

function boundScan(d: ScanDef, state: BoundState): BoxSource {
  const code = compileExpressions(d.axes, d.values, contextFor(d, state));
  const boxes = boxCompiler(
    code,
    (x) => boxesOf(x, state),
    () => undefined,
    d.name,
  );
  const certain =
    !d.values.some((e) => boxes.uncertain(e)) &&
    d.monoid.exact &&
    (!d.monoid.slots.some(isFloat) || d.monoid.slots.length === 1);
  const made = arraysFor(
    d,
    d.types.map(() => !certain),
    state,
  );
  if (certain) return made;
  const { shape } = made;
  const along = d.axes.indexOf(d.along);
  const [length, stride] = [shape[along] ?? 0, product(shape.slice(along + 1))];
  const values = d.values.map((e) => boxes.node(e));
  const inputs = values.map((v) => v.box);
  const out = d.types.map(newBox);
  const sum = accumulator(d.monoid, true);
  const order = state.options.orderOf?.(d);
  const total = product(shape);
  for (let from = 0; from < total; from++) {
    // Every offset at the start of its line.
    if (Math.floor(from / stride) % length !== 0) continue;
    setPosition(code.env, code.slots, shape, from);
    sum.reset();
    for (let i = 0; i < length; i++) {
      code.env[code.slots[along]!] = i;
      code.step();
      for (const v of values) v.run();
      sum.add(inputs);
      sum.finish(out, order);
      for (let s = 0; s < out.length; s++) made.write(s, from + i * stride, out[s]!);
    }
  }
  return made;
}

function boundScatter(d: ScatterDef, state: BoundState): BoxSource {
  const code = compileExpressions(d.domain, [...d.at, ...d.values], contextFor(d, state));
  const boxes = boxCompiler(
    code,
    (x) => boxesOf(x, state),
    () => undefined,
    d.name,
  );
  const into = d.into?.map((r) => ({ boxes: boxesOf(r.tensor, state), slot: r.slot }));
  const made = arraysFor(
    d,
    d.types.map(() => true),
    state,
  );
  const { shape } = made;
  const count = product(shape);
  const at = d.at.map((e) => boxes.node(e));
  const values = d.values.map((e) => boxes.node(e));
  const inputs = values.map((v) => v.box);
  const { monoid } = d;
  // Each element gathers what may land on it; what only may, may also be the identity.
  const started = (offset: number): Box[] =>
    d.types.map((_, s) => {
      const box = newBox();
      const source = into?.[s];
      if (source) source.boxes.read(source.slot, offset, box);
      else setConst(box, monoid === "set" ? d.initial[s]! : monoid.identity[s]!);
      return box;
    });
  const elements = Array.from({ length: count }, (_, offset) => {
    const first = started(offset);
    if (monoid === "set") return { first, sum: undefined };
    const sum = accumulator(monoid);
    sum.reset();
    if (into) sum.add(first);
    return { first, sum };
  });
  const maybe = d.types.map(newBox);
  const land = (offset: number, surely: boolean): void => {
    const { first, sum } = elements[offset]!;
    if (!sum) {
      if (surely)
        first.forEach((b, s) => {
          Object.assign(b, inputs[s]!);
        });
      else joinAll(first, inputs);
      return;
    }
    if (surely) sum.add(inputs);
    else {
      maybe.forEach((b, s) => {
        if (monoid !== "set") setConst(b, monoid.identity[s]!);
      });
      joinAll(maybe, inputs);
      sum.add(maybe);
    }
  };
  code.forEach(() => {
    for (const n of at) n.run();
    for (const v of values) v.run();
    const sure = at.every((n) => n.box.low === n.box.high);
    const ranges = at.map((n, i) => ({ low: Math.max(0, n.box.low), high: Math.min((shape[i] ?? 0) - 1, n.box.high) }));
    forPositions(ranges, shape, (offset) => land(offset, sure));
  });
  const order = state.options.orderOf?.(d);
  elements.forEach(({ first, sum }, offset) => {
    sum?.finish(first, order);
    first.forEach((b, s) => {
      made.write(s, offset, b);
    });
  });
  return made;
}

function forPositions(
  ranges: readonly { low: number; high: number }[],
  shape: readonly number[],
  f: (offset: number) => void,
): void {
  const go = (axis: number, offset: number): void => {
    const r = ranges[axis];
    if (!r) {
      f(offset);
      return;
    }
    for (let i = r.low; i <= r.high; i++) go(axis + 1, offset * (shape[axis] ?? 1) + i);
  };
  go(0, 0);
}
