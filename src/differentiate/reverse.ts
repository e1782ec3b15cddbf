/**
 * Reverse mode: Program → Program. Definitions are visited backwards; each hands contributions to the tensors that it reads;
 * a tensor's cotangent is the sum of its contributions, every one a gather wherever the read was affine (invert.ts).
 */
import { isFloat } from "../../ir/dtype.ts";
import { addMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  apply,
  axisRef,
  type CarryDef,
  constant,
  type Definition,
  type Input,
  input,
  type LoopStep,
  mapDef,
  type Program,
  read,
  type Step,
  scatterDef,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { dropDead } from "../passes/merge.ts";
import { freshAxes, renameAxes } from "../passes/rewrite.ts";
import { type AdjointContext, adjointOf, type Contribution, type Seeds } from "./adjoint.ts";
import { distribute, type Total } from "./distribute.ts";
import { invertScatter } from "./invert.ts";
import { epochOfLoop, reverseLoop } from "./loops.ts";
import { prepare } from "./prepare.ts";
import { recompute } from "./recompute.ts";
import { contributeShared, unsigned } from "./share.ts";

/** A definition that has no derivative, with the reason: callers make it a diagnostic at the definition's span. */
export class NotDifferentiable extends Error {
  readonly definition: Definition;
  constructor(definition: Definition, why: string) {
    super(why);
    this.name = "NotDifferentiable";
    this.definition = definition;
  }
}

export interface ReverseOptions {
  /** Names of the inputs whose gradients are wanted. */
  readonly wrt: readonly string[];
  /** The cotangent of each result: an input `cotangent_NAME`, the constant 1 (of a scalar), or none. */
  readonly seed: (result: string) => "input" | "one" | "none";
  /** Told the program as it is differentiated, and which of its tensors each cotangent, or part of one, belongs to. */
  readonly watch?: ReverseWatcher;
  /** No distribution over float sums before differentiating. */
  readonly strict?: boolean;
}

export interface ReverseWatcher {
  readonly forward: (p: Program) => void;
  readonly cotangent: (of: TensorRef, cotangent: Definition) => void;
}

/**
 * A program with the same inputs, the cotangent inputs after them, the same results and after them `gradient_NAME` for each of
 * `wrt`, in order. Throws NotDifferentiable.
 */
export function reverse(program: Program, o: ReverseOptions): Program {
  const p = prepare(program, o.strict ?? false);
  o.watch?.forward(p);
  const state = new Reverse(p, o);
  const cotangents: Input[] = [];
  for (const r of p.results) {
    const seed = o.seed(r.name);
    const dtype = r.tensor.types[r.slot]!;
    if (seed === "none" || !isFloat(dtype) || !state.wanted(r.tensor, r.slot)) continue;
    const axes = freshAxes(r.tensor.axes, new Map());
    let from: Definition;
    if (seed === "input") {
      const made = input(`cotangent_${r.name}`, dtype, axes);
      cotangents.push(made);
      from = made;
    } else from = state.emit(mapDef(axes, [constant(dtype, 1)], { name: `cotangent_${r.name}` }));
    state.add(r, { tensor: from, slot: 0 });
  }
  for (const step of p.steps.slice().reverse()) state.visit(step);
  const gradients = o.wrt.map((name) => {
    const d = p.inputs.find((i) => i.name === name);
    if (!d) throw new RangeError(`no input ${name}`);
    return { name: `gradient_${name}`, ...state.cotangentOf(d, 0) };
  });
  const { steps, onRef } = recompute(p, state.steps, state.epochs);
  return dropDead({
    name: program.name,
    inputs: [...p.inputs, ...cotangents],
    steps: [...p.steps.map((x) => state.kept.get(x) ?? x), ...steps],
    results: [...p.results, ...gradients.map((g) => ({ name: g.name, ...onRef(g) }))],
    facts: p.facts,
  });
}

class Reverse {
  readonly steps: Step[] = [];
  /** For each step, the epoch of what it is the adjoint of. */
  readonly epochs: Map<Step, number> = new Map();
  /** Loops of the forward pass that keep more than they did. */
  readonly kept: Map<Step, LoopStep> = new Map();
  #epoch = 0;
  readonly #active = new Map<Definition, Set<number>>();
  readonly #parts = new Map<Definition, TensorRef[][]>();
  readonly #totals = new Map<Definition, (TensorRef | undefined)[]>();
  readonly #context: AdjointContext;

  readonly #watch: ReverseWatcher | undefined;

  /** Sums stay as they are. */
  readonly #strict: boolean;

  constructor(p: Program, { wrt, watch, strict }: ReverseOptions) {
    this.#watch = watch;
    this.#strict = strict ?? false;
    for (const d of p.inputs)
      if (wrt.includes(d.name) && isFloat(d.types[0] ?? "i32")) this.#active.set(d, new Set([0]));
    for (const s of p.steps) this.#mark(s);
    this.#context = {
      wanted: (t, s) => this.wanted(t, s),
      emit: (d) => this.emit(d),
      refuse: (d, why) => {
        throw new NotDifferentiable(d, why);
      },
    };
  }

  #mark(s: Step): void {
    if (s.kind !== "loop") {
      this.#markActive(s);
      return;
    }
    const activate = (d: CarryDef): boolean => {
      if (this.#active.has(d) || !isFloat(d.types[0] ?? "i32")) return false;
      this.#active.set(d, new Set([0]));
      return true;
    };
    const isActive = (r: TensorRef): boolean => this.wanted(r.tensor, r.slot);
    if (s.rule) {
      if (s.rule.arguments.some((a) => isActive(a.value))) for (const c of s.carries) activate(c.carry);
      return;
    }
    // What one round activates the next one starts with.
    for (let changed = true; changed; ) {
      changed = false;
      for (const c of s.carries) if ((isActive(c.init) || isActive(c.next)) && activate(c.carry)) changed = true;
      for (const b of s.body) this.#mark(b);
      for (const c of s.carries) if (isActive(c.next) && activate(c.carry)) changed = true;
    }
    for (const k of s.stacks) if (isActive(k.value)) activate(k.stack);
  }

  /** Float slots that depend on an active tensor through values, not only through indices and conditions. */
  #markActive(d: Definition): void {
    const roots =
      d.kind === "map"
        ? d.results.map((e) => (e.kind === "reduce" ? e.values : [e]))
        : d.kind === "scan"
          ? d.types.map(() => d.values)
          : d.kind === "scatter"
            ? d.values.map((v) => [v])
            : [];
    const slots = new Set<number>();
    roots.forEach((list, slot) => {
      if (!isFloat(d.types[slot] ?? "i32")) return;
      const reads = list.flatMap((e) => (e.kind === "reduce" ? e.values : [e])).flatMap((e) => valueReads(e));
      const into = d.kind === "scatter" ? d.into?.[slot] : undefined;
      if (reads.some((r) => this.wanted(r.tensor, r.slot)) || (into && this.wanted(into.tensor, into.slot)))
        slots.add(slot);
    });
    if (slots.size > 0) this.#active.set(d, slots);
  }

  wanted(tensor: Definition, slot: number): boolean {
    return this.#active.get(tensor)?.has(slot) ?? false;
  }

  emit<D extends Definition>(d: D): D {
    this.steps.push(d);
    this.epochs.set(d, this.#epoch);
    return d;
  }

  add(target: TensorRef, part: TensorRef): void {
    let slots = this.#parts.get(target.tensor);
    if (!slots) {
      slots = target.tensor.types.map(() => []);
      this.#parts.set(target.tensor, slots);
    }
    slots[target.slot]!.push(part);
    this.#watch?.cotangent(target, part.tensor);
  }

  visit(d: Step): void {
    if (d.kind === "loop") {
      this.#visitLoop(d);
      return;
    }
    const parts = this.#parts.get(d);
    if (!parts || d.kind === "input") return;
    this.#epoch = d.epoch;
    const totals: Total[] = [];
    const seeds: Seeds = d.types.map((_, slot) => {
      const total = this.#total(d, slot);
      if (total) totals.push({ seed: read(total.tensor, total.slot, d.axes.map(axisRef)), parts: parts[slot]! });
      return (at) => total && read(total.tensor, total.slot, at);
    });
    const list = adjointOf(d, seeds, this.#context);
    const parted = this.#strict ? list : distribute(list, d, totals, (x) => this.emit(x));
    contributeShared(parted, this.#strict, (c) => this.#contribute(c, d));
  }

  #visitLoop(s: LoopStep): void {
    this.#epoch = epochOfLoop(s);
    reverseLoop(s, {
      wanted: (t, slot) => this.wanted(t, slot),
      total: (d) => this.#total(d, 0),
      add: (target, part) => this.add(target, part),
      push: (x) => {
        this.steps.push(x);
        this.epochs.set(x, this.#epoch);
      },
      keep: (forward) => this.kept.set(s, forward),
      reverse: (p, wrt, seeded) => reverse(p, { wrt, seed: (r) => (seeded(r) ? "input" : "none") }),
    });
  }

  #contribute(c: Contribution, from: Definition): Definition {
    const { tensor, slot } = c.target;
    const rename = new Map<Axis, Axis>();
    const axes = freshAxes(tensor.axes, rename);
    const domain = freshAxes(c.domain, rename);
    const fresh = new Map([...rename].filter(([a]) => c.domain.includes(a)));
    // A sum of what is negated is that sum negated: then it is the same as one without.
    const negated = c.domain.length > axes.length && unsigned(c.value) !== c.value;
    const scatter = scatterDef(
      axes,
      addMonoid(c.value.dtype),
      domain,
      c.at.map((e) => renameAxes(e, fresh)),
      [renameAxes(negated ? unsigned(c.value) : c.value, fresh)],
      [constant(c.value.dtype, 0)],
      undefined,
      { name: `${tensor.name}_ct`, span: from.span, epoch: from.epoch },
    );
    let made = this.emit(invertScatter(scatter));
    if (negated) {
      const own = freshAxes(tensor.axes, new Map());
      const value = apply("neg", read(made, 0, own.map(axisRef)));
      made = this.emit(mapDef(own, [value], { name: `${tensor.name}_ct`, span: from.span, epoch: from.epoch }));
    }
    this.add({ tensor, slot }, { tensor: made, slot: 0 });
    return made;
  }

  /** The sum of a slot's contributions as one definition; undefined if nothing flowed into it. */
  #total(d: Definition, slot: number): TensorRef | undefined {
    let slots = this.#totals.get(d);
    if (!slots) {
      slots = [];
      this.#totals.set(d, slots);
    }
    if (slot in slots) return slots[slot];
    const parts = this.#parts.get(d)?.[slot] ?? [];
    let total: TensorRef | undefined = parts[0];
    if (parts.length > 1) {
      const axes = freshAxes(d.axes, new Map());
      const sum = parts
        .map((r): TensorExpr => read(r.tensor, r.slot, axes.map(axisRef)))
        .reduce((a, b) => apply("add", a, b));
      total = { tensor: this.emit(mapDef(axes, [sum], { name: `${d.name}_ct`, span: d.span })), slot: 0 };
      this.#watch?.cotangent({ tensor: d, slot }, total.tensor);
    }
    slots[slot] = total;
    return total;
  }

  /** Zeros where nothing flowed. */
  cotangentOf(d: Definition, slot: number): TensorRef {
    this.#epoch = 0;
    const total = this.#total(d, slot);
    if (total) return total;
    const axes = freshAxes(d.axes, new Map());
    return {
      tensor: this.emit(mapDef(axes, [constant(d.types[slot] ?? "f32", 0)], { name: `${d.name}_ct` })),
      slot: 0,
    };
  }
}

/** Reads that a value is computed from: not those in indices, and not behind stop_gradient. */
function valueReads(e: TensorExpr): { readonly tensor: Definition; readonly slot: number }[] {
  const found: { readonly tensor: Definition; readonly slot: number }[] = [];
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x) || !isFloat(x.dtype)) return;
    seen.add(x);
    if (x.kind === "read") found.push(x);
    else if (x.kind === "apply" && x.prim !== "stopGradient") x.args.forEach(go);
  };
  go(e);
  return found;
}
