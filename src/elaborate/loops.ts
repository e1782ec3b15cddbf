/**
 * A loop as a step of the program that is being built. Its body is elaborated into steps of its own; what of it depends on neither
 * the carries nor the index is computed once, before. Inside index notation every carry gets the surrounding axes that any of
 * them depends on as leading ones: the positions' loops run side by side.
 */
import type { Span } from "../../grammar/span.ts";
import { type Extent, ONE } from "../../ir/extent.ts";
import {
  type Axis,
  axis,
  axisRef,
  type CarryDef,
  type CustomRule,
  carryDef,
  type Definition,
  freeAxes,
  loopIndex,
  mapDef,
  type Program,
  readsOf,
  type Step,
  substituteAxes,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { readsOfLoop } from "../passes/loops.ts";
import { overAxes } from "../passes/splice.ts";
import type { Backing } from "./builder.ts";
import type { TensorValue } from "./value.ts";

export interface LoopRequest {
  readonly carries: readonly { readonly name: string; readonly init: TensorValue }[];
  /** The index's name, if the body wants one. */
  readonly index: string | undefined;
  readonly rounds: Extent;
  /**
   * The carries' next values, of the shapes and types of the first, and a bool scalar: when true, no later round would change
   * anything. Called again where the carries turn out to depend on more of the surrounding axes.
   */
  body(
    carries: readonly TensorValue[],
    index: TensorValue | undefined,
  ): { readonly next: readonly TensorValue[]; readonly done: TensorValue | undefined };
  readonly span: Span;
}

export interface CustomRequest {
  /** The function's. */
  readonly name: string;
  readonly results: readonly { readonly name: string; readonly value: TensorValue }[];
  readonly inputs: readonly { readonly name: string; readonly value: TensorValue }[];
  /** See CustomRule. */
  readonly backward: Program;
  readonly span: Span;
}

/** What the builder lends. */
export interface LoopParts {
  /** Collects the steps that `run` makes, apart from the others; reductions found in there are forgotten afterwards. */
  apart<T>(run: () => T): { readonly value: T; readonly steps: readonly Step[] };
  snapshot(): () => void;
  emit(s: Step): void;
  backingOf(value: TensorValue): Backing | undefined;
  backed(b: Backing, shape: readonly Extent[], span: Span, name: string): TensorValue;
  axesOf(shape: readonly Extent[]): readonly Axis[];
  /** e with the reductions below its root as reads of definitions. */
  atRoot(e: TensorExpr): TensorExpr;
}

export function makeLoop(b: LoopParts, request: LoopRequest): readonly TensorValue[] {
  let outer = captured(
    b,
    request.carries.map((c) => c.init),
  );
  for (;;) {
    const undo = b.snapshot();
    const { carries, found } = attempt(b, request, outer);
    if (found.length === outer.length) return carries;
    undo();
    outer = found;
  }
}

/** One round that leaves the results as they are, with the rule for their derivative. */
export function makeCustom(b: LoopParts, r: CustomRequest): readonly TensorValue[] {
  const outer = captured(
    b,
    [...r.results, ...r.inputs].map((x) => x.value),
  );
  const refs = r.results.map((x) => over(b, outer, x.value, x.name));
  const carries = refs.map((init, i): CarryDef => {
    const axes = init.tensor.axes.map((a) => axis(a.name, a.extent));
    return carryDef(r.results[i]!.name, [init.tensor.types[init.slot]!], axes);
  });
  const rule: CustomRule = {
    name: r.name,
    arguments: r.inputs.map((x) => ({ name: x.name, value: over(b, outer, x.value, x.name) })),
    results: r.results.map((x) => x.name),
    backward: overAxes(r.backward, outer),
  };
  b.emit({
    kind: "loop",
    index: undefined,
    carries: carries.map((carry, i) => ({ carry, init: refs[i]!, next: refs[i]! })),
    stacks: [],
    body: [],
    count: ONE,
    until: undefined,
    max: undefined,
    rule,
  });
  return r.results.map(({ name, value }, i) =>
    b.backed({ tensor: carries[i]!, slot: 0, prefix: outer.map(axisRef) }, value.shape, r.span, name),
  );
}

/** Axes of the surrounding notation that the tensors use, outermost first. */
function captured(b: LoopParts, list: readonly TensorValue[]): readonly Axis[] {
  const free = new Set<Axis>();
  for (const value of list) {
    const own = b.axesOf(value.shape);
    const used = freeAxes(value.at(own.map(axisRef)));
    for (const a of own) used.delete(a);
    for (const a of used) free.add(a);
  }
  return [...free].sort((x, y) => x.id - y.id);
}

function attempt(
  b: LoopParts,
  request: LoopRequest,
  outer: readonly Axis[],
): { readonly carries: readonly TensorValue[]; readonly found: readonly Axis[] } {
  const prefix = outer.map(axisRef);
  const inits = request.carries.map((c) => over(b, outer, c.init, c.name));
  const defs = request.carries.map((c) => {
    const axes = [...outer, ...b.axesOf(c.init.shape)].map((a) => axis(a.name, a.extent));
    return carryDef(c.name, [c.init.dtype], axes);
  });
  const values = request.carries.map(({ name, init }, i) =>
    b.backed({ tensor: defs[i]!, slot: 0, prefix }, init.shape, init.span, name),
  );
  const index = request.index === undefined ? undefined : loopIndex(request.index, request.rounds);
  const counter =
    index && b.backed({ tensor: index, slot: 0, prefix: [] }, [], request.span, request.index ?? index.name);
  const made = b.apart(() => {
    const { next, done } = request.body(values, counter);
    const found = captured(b, [...values, ...next]);
    if (found.length !== outer.length) return { found, next: [], until: undefined };
    return {
      found,
      next: next.map((v, i) => over(b, outer, v, request.carries[i]!.name)),
      until: done && outer.length === 0 ? over(b, outer, done, "done") : undefined,
    };
  });
  if (made.value.found.length === outer.length) {
    const { before, inside } = split(made.steps, new Set<Definition>([...defs, ...(index ? [index] : [])]));
    for (const s of before) b.emit(s);
    const { next, until } = made.value;
    b.emit({
      kind: "loop",
      index,
      carries: defs.map((carry, i) => ({ carry, init: inits[i]!, next: next[i]! })),
      stacks: [],
      body: inside,
      count: until ? undefined : request.rounds,
      max: until ? request.rounds : undefined,
      until,
    });
  }
  return { carries: values, found: made.value.found };
}

/** A definition over copies of `outer` and the value's own axes. */
function over(b: LoopParts, outer: readonly Axis[], value: TensorValue, name: string): TensorRef {
  const known = b.backingOf(value);
  const whole = known?.prefix.length === outer.length && known.prefix.every((e, i) => e === axisRef(outer[i]!));
  if (known && whole && known.tensor.axes.length === outer.length + value.shape.length)
    return { tensor: known.tensor, slot: known.slot };
  const own = b.axesOf(value.shape);
  const copies = outer.map((a) => axis(a.name, a.extent));
  const bind = new Map(outer.map((a, i) => [a, axisRef(copies[i]!)]));
  const made = mapDef([...copies, ...own], [substituteAxes(b.atRoot(value.at(own.map(axisRef))), bind)], {
    name,
    span: value.span,
  });
  b.emit(made);
  return { tensor: made, slot: 0 };
}

/** The steps that need the loop's own definitions, and those that do not. */
function split(
  steps: readonly Step[],
  own: Set<Definition>,
): { readonly before: readonly Step[]; readonly inside: readonly Step[] } {
  const before: Step[] = [];
  const inside: Step[] = [];
  for (const s of steps) {
    const reads = s.kind === "loop" ? readsOfLoop(s) : readsOf(s);
    if (!reads.some((d) => own.has(d))) {
      before.push(s);
      continue;
    }
    inside.push(s);
    for (const d of s.kind === "loop" ? [...s.carries.map((c) => c.carry), ...s.stacks.map((k) => k.stack)] : [s])
      own.add(d);
  }
  return { before, inside };
}
