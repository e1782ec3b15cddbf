/**
 * Derivatives of loops. Reverse: the loop keeps the carries of every round in stacks; a loop backwards over the rounds computes a
 * round again from them, and carries the cotangents. Forward: the tangents are carried along. A loop that is a call of a
 * function with a rule of its own (`@vjp`) uses the rule, in forward mode its transpose.
 */
import { isFloat } from "../../ir/dtype.ts";
import { ONE, subExtent } from "../../ir/extent.ts";
import {
  apply,
  axis,
  axisRef,
  type CarryDef,
  type CustomRule,
  carryDef,
  cast,
  constant,
  type Definition,
  type Input,
  i32,
  type LoopStep,
  loopIndex,
  mapDef,
  type Program,
  read,
  readsOf,
  roundsOf,
  type Step,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { readsOfLoop } from "../passes/loops.ts";
import { dropDead } from "../passes/merge.ts";
import { freshAxes } from "../passes/rewrite.ts";
import { type Argument, splice } from "../passes/splice.ts";
import { bodyOf, type Captured, capturedBy } from "./loop-body.ts";

// ---- Programs in place ----------------------------------------------------------------------------------------------

/** An element of what stands for an input. */
type Element = (index: readonly TensorExpr[], fill?: TensorExpr & { kind: "const" }) => TensorExpr;

/** Emits a program's steps with something in place of each input, by name; its results by name. */
function place(p: Program, of: (d: Input) => Element, emit: (s: Step) => void): ReadonlyMap<string, TensorRef> {
  const used = usedInputs(p);
  const inputs = p.inputs.filter((d) => used.has(d.name));
  const args = inputs.map((d): Argument => {
    const element = of(d);
    return { rank: d.axes.length, at: (index) => element(index), readOr: (index, fill) => element(index, fill) };
  });
  return new Map(splice({ ...p, inputs }, args, emit).map((r) => [r.name, { tensor: r.tensor, slot: r.slot }]));
}

function elementOf(r: TensorRef): Element {
  return (index, fill) => read(r.tensor, r.slot, index, fill);
}

function zerosLike(r: TensorRef, emit: (s: Step) => void): TensorRef {
  const axes = freshAxes(r.tensor.axes, new Map());
  const made = mapDef(axes, [constant(r.tensor.types[r.slot]!, 0)], { name: `${r.tensor.name}_0` });
  emit(made);
  return { tensor: made, slot: 0 };
}

function numbered(name: string): number {
  return Number(/\d+$/.exec(name)?.[0]);
}

// ---- Reverse --------------------------------------------------------------------------------------------------------

/** What reverse mode lends. */
export interface ReverseHost {
  wanted(tensor: Definition, slot: number): boolean;
  /** The cotangent of a carry or stack after the loop; undefined where it is zero. */
  total(d: Definition): TensorRef | undefined;
  add(target: TensorRef, part: TensorRef): void;
  /** A step of the backward pass. */
  push(s: Step): void;
  /** The forward loop keeps more. */
  keep(forward: LoopStep): void;
  reverse(p: Program, wrt: readonly string[], seeded: (result: string) => boolean): Program;
}

/** The checkpoint that a loop was elaborated in, if any. */
export function epochOfLoop(s: LoopStep): number {
  const [first] = s.body;
  if (s.rule) return s.carries[0]?.init.tensor.epoch ?? 0;
  return first === undefined ? 0 : first.kind === "loop" ? epochOfLoop(first) : first.epoch;
}

export function reverseLoop(s: LoopStep, host: ReverseHost): void {
  const cotangents = new Map<Definition, TensorRef>();
  for (const d of [...s.carries.map((c) => c.carry), ...s.stacks.map((k) => k.stack)]) {
    const total = host.wanted(d, 0) ? host.total(d) : undefined;
    if (total) cotangents.set(d, total);
  }
  if (cotangents.size === 0) return;
  if (s.rule) reverseRule(s, s.rule, cotangents, host);
  else reverseRounds(s, cotangents, host);
}

function reverseRounds(s: LoopStep, after: ReadonlyMap<Definition, TensorRef>, host: ReverseHost): void {
  const rounds = roundsOf(s);
  const active = s.carries.flatMap((c, i) => (host.wanted(c.carry, 0) ? [{ ...c, i }] : []));
  const captured = capturedBy(s).filter((r) => host.wanted(r.tensor, r.slot));
  const seeded = (name: string): boolean => {
    if (name.startsWith("next")) return host.wanted(s.carries[numbered(name)]!.carry, 0);
    return name.startsWith("stack") && after.has(s.stacks[numbered(name)]!.stack);
  };
  const wrt = [...active.map((c) => `carry${c.i}`), ...captured.map((_, j) => `captured${j}`)];
  const whole = host.reverse(bodyOf(s, captured), wrt, seeded);
  const round = dropDead({ ...whole, results: whole.results.filter((r) => r.name.startsWith("gradient_")) });

  const index = loopIndex("round", rounds);
  const last = sizeOf(subExtent(rounds, ONE));
  /** The round that is gone back through. */
  const at = apply("sub", last, read(index, 0, []));
  const kept = keepCarries(s, usedInputs(round), host);
  const carries = active.map(({ carry, init, i }) => {
    const made = carryDef(`${carry.name}_ct`, carry.types, freshAxes(carry.axes, new Map()));
    return {
      carry: made,
      of: carry,
      init,
      i,
      start: after.get(carry) ?? zerosLike({ tensor: carry, slot: 0 }, host.push),
    };
  });
  const sums = captured.map((r) => {
    if (r.isRow) return undefined;
    const made = carryDef(`${r.tensor.name}_ct`, [r.tensor.types[r.slot]!], freshAxes(r.tensor.axes, new Map()));
    return { carry: made, start: zerosLike(r, host.push) };
  });
  const body: Step[] = [];
  const emit = (x: Step): void => {
    body.push(x);
  };
  const argument = (d: Input): Element => {
    const n = numbered(d.name);
    if (d.name === "index") return () => at;
    if (d.name.startsWith("cotangent_next"))
      return elementOf({ tensor: carries.find((c) => c.i === n)!.carry, slot: 0 });
    if (d.name.startsWith("cotangent_stack")) {
      const total = after.get(s.stacks[n]!.stack)!;
      return (i, fill) => read(total.tensor, total.slot, [at, ...i], fill);
    }
    if (d.name.startsWith("captured")) return capturedElement(captured[n]!, at);
    const stack = kept.get(n)!;
    return (i, fill) => cast(read(stack, 0, [at, ...i], fill && constant(stack.types[0]!, fill.value)), d.types[0]!);
  };
  const gradients = place(round, argument, emit);
  const nexts = carries.map((c) => gradients.get(`gradient_carry${c.i}`)!);
  const added = sums.map((sum, j) => {
    const g = gradients.get(`gradient_captured${j}`)!;
    if (!sum) return g;
    const axes = freshAxes(sum.carry.axes, new Map());
    const here = axes.map(axisRef);
    const made = mapDef(axes, [apply("add", read(sum.carry, 0, here), read(g.tensor, g.slot, here))], {
      name: sum.carry.name,
    });
    emit(made);
    return { tensor: made, slot: 0 };
  });
  const rows = captured.map((r, j) => (r.isRow ? stackOf(added[j]!, `${r.tensor.name}_ct`, s, emit) : undefined));
  host.push({
    kind: "loop",
    index,
    carries: [
      ...carries.map((c, i) => ({ carry: c.carry, init: c.start, next: nexts[i]! })),
      ...sums.flatMap((sum, j) => (sum ? [{ carry: sum.carry, init: sum.start, next: added[j]! }] : [])),
    ],
    stacks: rows.flatMap((k) => (k ? [k] : [])),
    body,
    count: rounds,
    until: undefined,
    max: undefined,
  });
  for (const c of carries) if (host.wanted(c.init.tensor, c.init.slot)) host.add(c.init, { tensor: c.carry, slot: 0 });
  captured.forEach((r, j) => {
    const stack = rows[j]?.stack;
    host.add(r, stack ? rowsBackwards(r, stack, last, host) : { tensor: sums[j]!.carry, slot: 0 });
  });
}

function capturedElement(r: Captured, at: TensorExpr): Element {
  return (i, fill) => read(r.tensor, r.slot, r.isRow ? [at, ...i] : i, fill);
}

/** Row k of a captured tensor was read in round k, whose cotangent the loop backwards kept as its row last - k. */
function rowsBackwards(r: Captured, stack: CarryDef, last: TensorExpr, host: ReverseHost): TensorRef {
  const axes = freshAxes(r.tensor.axes, new Map());
  const [k, ...rest] = axes.map(axisRef);
  const dtype = r.tensor.types[r.slot]!;
  // Rows past the last round were never read.
  const value = read(stack, 0, [apply("sub", last, k!), ...rest], constant(stack.types[0]!, 0));
  const made = mapDef(axes, [cast(value, dtype)], { name: stack.name });
  host.push(made);
  return { tensor: made, slot: 0 };
}

/** A stack of a value of the body. Rows of f16 need not begin at whole words, so they are kept as f32. */
function stackOf(
  value: TensorRef,
  name: string,
  s: LoopStep,
  emit: (x: Step) => void,
): { readonly stack: CarryDef; readonly value: TensorRef } {
  const dtype = value.tensor.types[value.slot]!;
  const own = freshAxes(value.tensor.axes, new Map());
  const axes = [axis("round", roundsOf(s)), ...own];
  if (dtype !== "f16") return { stack: carryDef(name, [dtype], axes), value };
  const here = freshAxes(value.tensor.axes, new Map());
  const wide = mapDef(here, [cast(read(value.tensor, value.slot, here.map(axisRef)), "f32")], { name });
  emit(wide);
  return { stack: carryDef(name, ["f32"], axes), value: { tensor: wide, slot: 0 } };
}

/** Inputs that the program reads. */
function usedInputs(p: Program): ReadonlySet<string> {
  const read = new Set<Definition>(p.results.map((r) => r.tensor));
  for (const s of p.steps) for (const d of s.kind === "loop" ? readsOfLoop(s) : readsOf(s)) read.add(d);
  return new Set(p.inputs.filter((d) => read.has(d)).map((d) => d.name));
}

/** Stacks of the carries as each round found them, for those that going back needs, by number. */
function keepCarries(s: LoopStep, used: ReadonlySet<string>, host: ReverseHost): ReadonlyMap<number, CarryDef> {
  const found = new Map<number, CarryDef>();
  const body = [...s.body];
  const stacks = [...s.stacks];
  s.carries.forEach(({ carry }, i) => {
    if (!used.has(`carry${i}`)) return;
    const old = stacks.find((k) => k.value.tensor === carry);
    const made = old ?? stackOf({ tensor: carry, slot: 0 }, `${carry.name}_kept`, s, (x) => body.push(x));
    if (!old) stacks.push(made);
    found.set(i, made.stack);
  });
  host.keep({ ...s, body, stacks });
  return found;
}

function reverseRule(
  s: LoopStep,
  rule: CustomRule,
  after: ReadonlyMap<Definition, TensorRef>,
  host: ReverseHost,
): void {
  const gradients = place(
    rule.backward,
    ruleInputs(s, rule, (carry) => after.get(carry), host.push),
    host.push,
  );
  for (const a of rule.arguments) {
    const g = gradients.get(`gradient_${a.name}`);
    if (g && host.wanted(a.value.tensor, a.value.slot)) host.add(a.value, g);
  }
}

/** What stands for a rule's inputs: arguments, results and cotangents, zeros where there are none. */
function ruleInputs(
  s: LoopStep,
  rule: CustomRule,
  cotangent: (carry: CarryDef) => TensorRef | undefined,
  emit: (x: Step) => void,
): (d: Input) => Element {
  return (d) => {
    const argument = rule.arguments.find((a) => a.name === d.name);
    if (argument) return elementOf(argument.value);
    const carry = (name: string): CarryDef | undefined => s.carries[rule.results.indexOf(name)]?.carry;
    const result = carry(d.name);
    if (result) return elementOf({ tensor: result, slot: 0 });
    const of = carry(d.name.slice("cotangent_".length));
    if (!of) throw new RangeError(`a rule has an input ${d.name}`);
    return elementOf(cotangent(of) ?? zerosLike({ tensor: of, slot: 0 }, emit));
  };
}

// ---- Forward --------------------------------------------------------------------------------------------------------

/** What forward mode lends. */
export interface ForwardHost {
  tangent(r: TensorRef): TensorRef | undefined;
  set(d: Definition, t: TensorRef): void;
  push(s: Step): void;
  forward(p: Program, wrt: readonly string[]): Program;
  reverse(p: Program, wrt: readonly string[], seeded: (result: string) => boolean): Program;
}

export function forwardLoop(s: LoopStep, host: ForwardHost): void {
  const captured = capturedBy(s).filter((r) => host.tangent(r) !== undefined);
  const starts = s.carries.map((c) => host.tangent(c.init));
  if (s.rule) {
    host.push(s);
    if (s.rule.arguments.some((a) => host.tangent(a.value))) forwardRule(s, s.rule, host);
    return;
  }
  if (captured.length === 0 && starts.every((t) => t === undefined)) {
    host.push(s);
    return;
  }
  const floats = s.carries.flatMap((c, i) => (isFloat(c.carry.types[0]!) ? [{ ...c, i }] : []));
  const tangents = floats.map(({ carry, init, i }) => ({
    i,
    of: carry,
    carry: carryDef(`${carry.name}_t`, carry.types, freshAxes(carry.axes, new Map())),
    start: starts[i] ?? zerosLike(init, host.push),
  }));
  const wrt = [...floats.map((c) => `carry${c.i}`), ...captured.map((_, j) => `captured${j}`)];
  const round = host.forward(bodyOf(s, captured), wrt);
  const here = s.index ? read(s.index, 0, []) : i32(0);
  const body: Step[] = [];
  const argument = (d: Input): Element => {
    const n = numbered(d.name);
    if (d.name === "index") return () => here;
    if (d.name.startsWith("tangent_carry"))
      return elementOf({ tensor: tangents.find((t) => t.i === n)!.carry, slot: 0 });
    if (d.name.startsWith("tangent_captured"))
      return capturedElement({ ...host.tangent(captured[n]!)!, isRow: captured[n]!.isRow }, here);
    if (d.name.startsWith("captured")) return capturedElement(captured[n]!, here);
    return elementOf({ tensor: s.carries[n]!.carry, slot: 0 });
  };
  const results = place(round, argument, (x) => body.push(x));
  const stacks = s.stacks.map((k, i) => ({ stack: k.stack, value: results.get(`stack${i}`)! }));
  const tangentStacks = s.stacks.flatMap((k, i) => {
    const value = results.get(`tangent_stack${i}`);
    if (!value) return [];
    const stack = carryDef(`${k.stack.name}_t`, k.stack.types, freshAxes(k.stack.axes, new Map()));
    return [{ of: k.stack, stack, value }];
  });
  host.push({
    ...s,
    body,
    carries: [
      ...s.carries.map((c, i) => ({ ...c, next: results.get(`next${i}`)! })),
      ...tangents.map((t) => ({ carry: t.carry, init: t.start, next: results.get(`tangent_next${t.i}`)! })),
    ],
    stacks: [...stacks, ...tangentStacks.map(({ stack, value }) => ({ stack, value }))],
    until: results.get("until"),
  });
  for (const t of tangents) host.set(t.of, { tensor: t.carry, slot: 0 });
  for (const k of tangentStacks) host.set(k.of, { tensor: k.stack, slot: 0 });
}

/** A rule is linear in its cotangents: forward mode is its transpose. */
function forwardRule(s: LoopStep, rule: CustomRule, host: ForwardHost): void {
  const wrt = rule.backward.inputs.filter((d) => d.name.startsWith("cotangent_")).map((d) => d.name);
  const transposed = host.reverse(rule.backward, wrt, (name) => name.startsWith("gradient_"));
  const wanted = transposed.results.filter((r) => r.name.startsWith("gradient_cotangent_"));
  const program = dropDead({ ...transposed, results: wanted });
  const inputs = ruleInputs(s, rule, () => undefined, host.push);
  const gradients = place(
    program,
    (d) => {
      const a = rule.arguments.find((x) => d.name === `cotangent_gradient_${x.name}`);
      if (!a) return inputs(d);
      return elementOf(host.tangent(a.value) ?? zerosLike(a.value, host.push));
    },
    host.push,
  );
  rule.results.forEach((name, i) => {
    const t = gradients.get(`gradient_cotangent_${name}`);
    if (t) host.set(s.carries[i]!.carry, t);
  });
}
