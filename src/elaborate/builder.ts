/**
 * Makes views and definitions. Definitions are kept in dependency order. A body may use axes of the surrounding index
 * notation: they become leading axes of the definition, and the view reads it at them. A reduction below the root of a
 * body gets a definition of its own over the axes it depends on, so nothing is summed twice.
 */
import type { DiagnosticCode } from "../../grammar/codes.ts";
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { DType } from "../../ir/dtype.ts";
import { type Extent, productExtent, ZERO } from "../../ir/extent.ts";
import { specialise } from "../../ir/specialise.ts";
import {
  type Axis,
  axis,
  axisRef,
  cast,
  constant,
  type Definition,
  type Input,
  input as inputDef,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  substituteAxes,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { type Constraints, makeConstraints } from "./constraints.ts";
import { type DeriveRequest, deriveInPlace, programApart } from "./inner-program.ts";
import { isIndexView, lift, makeHoister, outerAxes, permutation } from "./lift.ts";
import { type CustomRequest, type LoopParts, type LoopRequest, makeCustom, makeLoop } from "./loops.ts";
import type { Builder, TensorValue } from "./value.ts";

/** A tensor that is a result of a definition, read at `prefix` (axes of the surrounding notation) and its own index. */
export interface Backing {
  readonly tensor: Definition;
  readonly slot: number;
  readonly prefix: readonly TensorExpr[];
}

export interface NamedResult {
  readonly name: string;
  readonly value: TensorValue;
}

/** What the elaborator itself needs beyond the builtins' Builder. */
export interface TensorBuilder extends Builder {
  readonly constraints: Constraints;
  requireAtLeast(left: Extent, right: Extent, span: Span, what: string, code?: DiagnosticCode): void;
  /** A parameter of the program. */
  input(name: string, dtype: DType, shape: readonly Extent[], axisNames: readonly string[], span: Span): TensorValue;
  /** The tensor over `axes` and the axes of `body`: `for[axes] body`. */
  defineOver(name: string, axes: readonly Axis[], body: TensorValue, span: Span): TensorValue;
  /** ⊕ or prefix ⊕ over axes that `value` uses. */
  scanOver(
    name: string,
    monoid: Parameters<Builder["scan"]>[1],
    along: Axis,
    body: TensorValue,
    span: Span,
  ): TensorValue;
  /** Gives a computed tensor a definition, so that using it twice computes it once; index views and scalars stay. */
  settle(value: TensorValue, name?: string): TensorValue;
  /** The same tensor, said to come from elsewhere. */
  relabel(value: TensorValue, span: Span, name?: string): TensorValue;
  /** Names for the axes that the next `reduce` binds. */
  nameAxes(names: readonly string[]): void;
  finish(name: string, results: readonly NamedResult[]): Program;
  /** A program of its own, transformed, in place of a call: see DeriveRequest. */
  derive(request: DeriveRequest): ReadonlyMap<string, TensorValue>;
  /** A program of its own, of inputs like the given ones. */
  innerProgram(name: string, inputs: DeriveRequest["inputs"], build: DeriveRequest["build"]): Program;
  /** Results that a function made of inputs, with a derivative of its own. */
  custom(request: CustomRequest): readonly TensorValue[];
  /** A loop with a carry: the carries after it. */
  loop(request: LoopRequest): readonly TensorValue[];
  /** A number for what one call of `checkpoint(f)` computes: even, and of this program alone. */
  nextEpoch(): number;
  /** Goes back to the state at the time of the call: for finding out shapes without leaving a trace. */
  snapshot(): () => void;
}

const AXIS_NAMES = ["i", "j", "k", "l", "m", "n", "o", "p"];
const LIMIT = 2 ** 31;

export function makeBuilder(strict: boolean): TensorBuilder {
  const constraints = makeConstraints();
  const backings = new WeakMap<TensorValue, Backing>();
  let inputs: Input[] = [];
  let steps: Step[] = [];
  const { hoist, atRoot, ...hoister } = makeHoister((d) => steps.push(d));
  let reducedNames: readonly string[] = [];
  let epochs = 0;

  const tensor = (
    dtype: DType,
    shape: readonly Extent[],
    at: TensorValue["at"],
    span: Span,
    name: string | undefined,
  ): TensorValue => ({ kind: "tensor", dtype, shape, at, span, name });

  const backed = (b: Backing, shape: readonly Extent[], span: Span, name: string): TensorValue => {
    const dtype = b.tensor.types[b.slot] ?? "f32";
    const value = tensor(dtype, shape, (index) => read(b.tensor, b.slot, [...b.prefix, ...index]), span, name);
    backings.set(value, b);
    return value;
  };

  /** What was made of a value by `make`, which its context may want in another type. */
  const stillOpen = (made: TensorValue, from: TensorValue, make: (t: TensorValue) => TensorValue): TensorValue => {
    const { open } = from;
    if (!open) return made;
    const kept = { ...made, open: { ...open, as: (d: DType) => make(open.as(d)) } };
    const b = backings.get(made);
    if (b) backings.set(kept, b);
    return kept;
  };

  const axesOf = (shape: readonly Extent[], names: readonly string[] = AXIS_NAMES): readonly Axis[] =>
    shape.map((e, k) => axis(names[k] ?? `i${k}`, constraints.resolve(e)));

  const checkShape = (shape: readonly Extent[], span: Span): void => {
    for (const e of shape)
      if (e.value === undefined ? e.terms.some((t) => t.coefficient < 0) : e.value < 0)
        constraints.requireAtLeast(e, ZERO, span, "an extent of the result would be negative");
    checkCount(shape, span);
  };

  const close = (
    name: string,
    axes: readonly Axis[],
    bodies: readonly TensorExpr[],
    span: Span,
  ): readonly TensorValue[] => {
    const shape = axes.map((a) => a.extent);
    checkShape(shape, span);
    // Roots that are reductions stay only if all are: a definition's results share their loops.
    const allReduce = bodies.every((e) => e.kind === "reduce");
    const memo = new Map<TensorExpr, TensorExpr>();
    const roots = bodies.map((e) => (allReduce ? atRoot(e) : hoist(e, memo)));
    const outer = outerAxes(roots, new Set(axes));
    const lifted = lift(outer, roots);
    const made = mapDef([...lifted.axes, ...axes], lifted.list, { name, span });
    steps.push(made);
    return made.types.map((_, slot) => backed({ tensor: made, slot, prefix: outer.map(axisRef) }, shape, span, name));
  };

  const scalar = (e: TensorExpr, span: Span, name: string | undefined): TensorValue =>
    tensor(e.dtype, [], () => e, span, name);

  const defineMany: Builder["defineMany"] = (name, shape, body, span) => {
    const axes = axesOf(shape);
    const results = body(axes.map(axisRef));
    return axes.length === 0 ? results.map((e) => scalar(e, span, name)) : close(name, axes, results, span);
  };

  const materialise: Builder["materialise"] = (value, name) => {
    if (backings.has(value)) return value;
    if (value.shape.length === 0) return close(name ?? value.name ?? "t", [], [value.at([])], value.span)[0]!;
    return define(name ?? value.name ?? "t", value.shape, (index) => value.at(index), value.span);
  };

  const define: Builder["define"] = (name, shape, body, span) =>
    defineMany(name, shape, (index) => [body(index)], span)[0]!;

  /** Runs with steps (and, of a program of its own, inputs) apart from those made so far. */
  const apart = <T>(run: () => T, asProgram = false): { readonly value: T; readonly steps: readonly Step[] } => {
    const [outerSteps, outerInputs, hoistedBack] = [steps, inputs, hoister.snapshot()];
    steps = [];
    if (asProgram) inputs = [];
    try {
      return { value: run(), steps };
    } finally {
      steps = outerSteps;
      inputs = outerInputs;
      hoistedBack();
    }
  };

  const loopParts = (): LoopParts => ({
    apart,
    backed,
    axesOf,
    atRoot,
    emit: (s) => steps.push(s),
    backingOf: (value) => backings.get(value),
    snapshot: () => builder.snapshot(),
  });

  const builder: TensorBuilder = {
    strict,
    constraints,
    define,
    defineMany,
    materialise,
    reduce(name, monoid, shape, reduced, values, span) {
      checkCount(reduced, span);
      const inner = axesOf(reduced, [...reducedNames, "k", "l", "m", "n", "o", "p", "q", "r"]);
      reducedNames = [];
      const outer = axesOf(shape);
      const body = values(outer.map(axisRef), inner.map(axisRef));
      const slots = monoid.slots.map((_, s) => reduce(monoid, inner, body, s));
      return outer.length === 0 ? slots.map((e) => scalar(e, span, name)) : close(name, outer, slots, span);
    },
    scan(name, monoid, shape, along, values, span) {
      const axes = axesOf(shape);
      return closeScan(name, monoid, axes, axes[along]!, values(axes.map(axisRef)), span);
    },
    scatter(name, monoid, shape, domain, at, value, initial, span) {
      checkShape(shape, span);
      checkCount(domain, span);
      const own = axesOf(shape);
      const over = axesOf(domain, ["p", "q", "r", "s", "t", "u", "v", "w"]);
      const position = over.map(axisRef);
      const memo = new Map<TensorExpr, TensorExpr>();
      const index = at(position).map((e) => hoist(e, memo));
      const body = hoist(value(position), memo);
      const start = typeof initial === "number" ? undefined : initial.at(own.map(axisRef));
      const outer = outerAxes(start ? [...index, body, start] : [...index, body], new Set([...over, ...own]));
      const lifted = lift(outer, [...index, body]);
      const resultAxes = [...outer.map((a) => axis(a.name, a.extent)), ...own];
      let into: { readonly tensor: Definition; readonly slot: number }[] | undefined;
      if (typeof initial !== "number") {
        const direct = outer.length === 0 ? backings.get(initial) : undefined;
        if (direct && direct.prefix.length === 0) into = [{ tensor: direct.tensor, slot: direct.slot }];
        else {
          // The tensor that is added into, once for every position of the surrounding notation.
          const axes = [...outer, ...own].map((a) => axis(a.name, a.extent));
          const bind = new Map([...outer, ...own].map((a, k) => [a, axisRef(axes[k]!)]));
          const made = mapDef(axes, [substituteAxes(atRoot(initial.at(own.map(axisRef))), bind)], { name, span });
          steps.push(made);
          into = [{ tensor: made, slot: 0 }];
        }
      }
      const fill = typeof initial === "number" ? constant(body.dtype, initial) : constant(body.dtype, 0);
      const targets = [...lifted.axes.map(axisRef), ...lifted.list.slice(0, index.length)];
      const made = scatterDef(
        resultAxes,
        monoid,
        [...lifted.axes, ...over],
        targets,
        [lifted.list[index.length]!],
        monoid === "set" || typeof initial === "number" ? [fill] : monoid.identity,
        into,
        { name, span },
      );
      steps.push(made);
      return backed(
        { tensor: made, slot: 0, prefix: outer.map(axisRef) },
        own.map((a) => a.extent),
        span,
        name,
      );
    },
    view: (dtype, shape, at, span, name) => tensor(dtype, shape, at, span, name),
    readOr(value, index, fill) {
      const c = constant(value.dtype, fill);
      const direct = backings.get(value);
      if (direct) return read(direct.tensor, direct.slot, [...direct.prefix, ...index], c);
      if (value.shape.length === 0) return value.at([]);
      const permuted = permutation(value, axesOf(value.shape), (e) => constraints.resolve(e));
      if (permuted) return permuted(index, c);
      const b = backings.get(materialise(value));
      if (!b) throw new RangeError("a materialised tensor has a definition");
      return read(b.tensor, b.slot, [...b.prefix, ...index], c);
    },
    requireEqual: (left, right, leftSpan, rightSpan, what) =>
      constraints.requireEqual(left, right, leftSpan, rightSpan, what),
    requireAtLeast: (left, right, span, what, code) => constraints.requireAtLeast(left, right, span, what, code),
    freshSymbol: (hint) => constraints.freshSymbol(hint),
    input(name, dtype, shape, axisNames, span) {
      checkShape(shape, span);
      const made = inputDef(name, dtype, axesOf(shape, axisNames), span);
      inputs.push(made);
      return backed({ tensor: made, slot: 0, prefix: [] }, shape, span, name);
    },
    defineOver(name, axes, body, span) {
      const rest = axesOf(
        body.shape,
        AXIS_NAMES.filter((n) => !axes.some((a) => a.name === n)),
      );
      return close(name, [...axes, ...rest], [body.at(rest.map(axisRef))], span)[0]!;
    },
    scanOver(name, monoid, along, body, span) {
      const rest = axesOf(body.shape);
      return closeScan(name, monoid, [along, ...rest], along, [body.at(rest.map(axisRef))], span)[0]!;
    },
    settle(value, name) {
      if (backings.has(value)) return value;
      if (value.shape.length === 0) {
        const e = value.at([]);
        return e.kind === "reduce" ? close(name ?? value.name ?? e.monoid.name, [], [e], value.span)[0]! : value;
      }
      const axes = axesOf(value.shape);
      const e = value.at(axes.map(axisRef));
      if (isIndexView(e)) return value;
      const made = close(name ?? value.name ?? "t", axes, [e], value.span)[0]!;
      return stillOpen(made, value, (t) => this.settle(t, name));
    },
    relabel(value, span, name) {
      const made = tensor(value.dtype, value.shape, (index) => value.at(index), span, name ?? value.name);
      const b = backings.get(value);
      if (b) backings.set(made, b);
      return stillOpen(made, value, (t) => this.relabel(t, span, name));
    },
    nameAxes(names) {
      reducedNames = names;
    },
    derive(request) {
      return deriveInPlace(this, request, backed, (s) => steps.push(s), apart);
    },
    innerProgram(name, given, build) {
      return programApart(this, name, given, build, apart);
    },
    custom(request) {
      return makeCustom(loopParts(), request);
    },
    loop(request) {
      return makeLoop(loopParts(), request);
    },
    finish(name, results) {
      const used = new Set<string>();
      const named = results.map((r) => {
        const b = backings.get(r.value);
        const whole = b && b.prefix.length === 0 && b.tensor.kind !== "input" && !used.has(`${b.tensor.id}.${b.slot}`);
        const backing = whole ? b : backings.get(copyOf(r))!;
        used.add(`${backing.tensor.id}.${backing.slot}`);
        return { name: r.name, tensor: backing.tensor, slot: backing.slot };
      });
      const program: Program = { name, inputs, steps, results: named, facts: constraints.facts() };
      return constraints.merged.size === 0 ? program : specialise(program, constraints.merged);
    },
    nextEpoch() {
      epochs += 2;
      return epochs;
    },
    snapshot() {
      const [savedSteps, hoistedBack, back] = [steps.length, hoister.snapshot(), constraints.snapshot()];
      return () => {
        steps = steps.slice(0, savedSteps);
        hoistedBack();
        reducedNames = [];
        back();
      };
    },
  };
  return builder;

  function copyOf(r: NamedResult): TensorValue {
    const axes = axesOf(r.value.shape);
    return close(r.name, axes, [r.value.at(axes.map(axisRef))], r.value.span)[0]!;
  }

  function closeScan(
    name: string,
    monoid: Parameters<Builder["scan"]>[1],
    axes: readonly Axis[],
    along: Axis,
    values: readonly TensorExpr[],
    span: Span,
  ): readonly TensorValue[] {
    const shape = axes.map((a) => a.extent);
    checkShape(shape, span);
    const memo = new Map<TensorExpr, TensorExpr>();
    const bodies = values.map((e) => hoist(e, memo));
    const outer = outerAxes(bodies, new Set(axes));
    const lifted = lift(outer, bodies);
    const made = scanDef([...lifted.axes, ...axes], along, monoid, lifted.list, { name, span });
    steps.push(made);
    return made.types.map((_, slot) => backed({ tensor: made, slot, prefix: outer.map(axisRef) }, shape, span, name));
  }
}

/** Throws EIN1206 if an extent or the number of elements is certain to reach 2^31. */
function checkCount(shape: readonly Extent[], span: Span): void {
  let known = 1;
  for (const e of shape) if (e.value !== undefined && e.value > 0) known *= e.value;
  if (shape.some((e) => e.value === 0)) known = 0;
  const large = shape.find((e) => (e.value ?? 0) >= LIMIT);
  if (known >= LIMIT || large)
    throw new DiagnosticError(
      diagnostic("EIN1206", `a tensor of shape [${shape.map((e) => e.text).join(", ")}] is too large`, {
        span,
        text: `${(large ?? productExtent(shape)).text} elements; at most 2^31 - 1 are possible`,
      }),
    );
}

/** The operand of a sum in the accumulator's type: f16 is summed in f32. */
export function widened(e: TensorExpr): TensorExpr {
  return e.dtype === "f16" ? cast(e, "f32") : e;
}
