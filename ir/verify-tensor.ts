/**
 * The invariants of tensor programs. Every pass must keep them; `verifyProgram` lists what does not hold.
 *
 * 1. A read, `into`, or result refers to an input, to a step before it, or within a loop's body to its index and carries. Definitions of
 *    a body are not visible after the loop; its carries and stacks are, and stacks only then.
 * 2. An axis stands only where its definition or an enclosing reduce binds it; no axis is bound twice around one place.
 * 3. Every node's operands and dtype fit its primitive; indices are i32, one for each axis; a fill has the read's dtype.
 * 4. A reduce, scan or scatter has one value of the right dtype for each slot of its monoid.
 * 5. A monoid's combine consists of constants, slots and primitives, of the slots' dtypes; one slot: its identity is one on
 *    sample values, and the operation commutes and regroups on them if it says so.
 * 6. Slots `arg` stand nowhere else.
 * 7. A read without fill cannot leave its tensor. What cannot be proved is listed by `unprovedReads`, not here; what is refuted is here.
 * 8. A scan runs along one of its axes. A scatter has an index for each axis, `into` has its shape and types, and `set` without `into`
 *    has an initial value for each result.
 * 9. Every size symbol occurs in an input's extent or in a fact, so that the host can find it. No extent is surely negative.
 * 10. A loop has `count` or `max`; carries, their initial and next values agree in shape and type; stacks have the rounds as their first
 *    axis; `until` is a bool scalar.
 * 11. Inputs and results have distinct names, and at least one result tensor is named by each definition.
 * 12. With `normalised`: a reduce stands only at the root of a map, as all slots of one reduce.
 */
import type { DType } from "./dtype.ts";
import { type Extent, proveNonNegative, symbolsOf } from "./extent.ts";
import { type Assumptions, assumptionsOf, intervalOf, intervalText, proveInside } from "./interval.ts";
import { resultType } from "./prim.ts";
import { printExpr } from "./print-tensor.ts";
import {
  type Apply,
  type Axis,
  childrenOf,
  type Definition,
  type LoopStep,
  type Monoid,
  type Program,
  type Read,
  type Reduce,
  type Step,
  type TensorExpr,
  type TensorRef,
} from "./tensor.ts";
import { monoidProblems } from "./verify-monoid.ts";

export interface VerifyOptions {
  /** Also invariant 12, which holds after `normalise`. */
  readonly normalised?: boolean;
}

/** A read without fill whose indices could not be proved inside. */
export interface UnprovedRead {
  readonly definition: Definition;
  readonly read: Read;
  readonly axis: number;
  /** What is known of the index, as text. */
  readonly interval: string;
}

/** Everything that is wrong with the program; none means that it keeps the invariants above. */
export function verifyProgram(p: Program, options: VerifyOptions = {}): readonly string[] {
  return examine(p, options).problems;
}

/** Reads without fill that may be inside, but were not proved to be (invariant 7). */
export function unprovedReads(p: Program): readonly UnprovedRead[] {
  return examine(p, {}).unproved;
}

interface Examination {
  readonly problems: string[];
  readonly unproved: UnprovedRead[];
  readonly options: VerifyOptions;
  readonly assumptions: Assumptions;
  readonly symbols: ReadonlySet<string>;
  readonly monoids: Set<Monoid>;
}

function examine(p: Program, options: VerifyOptions): Examination {
  const symbols = new Set<string>();
  for (const d of p.inputs) for (const a of d.axes) symbolsOf(a.extent, symbols);
  for (const f of p.facts) symbolsOf(f.right, symbolsOf(f.left, symbols));
  const x: Examination = {
    problems: [],
    unproved: [],
    options,
    assumptions: assumptionsOf(p),
    symbols,
    monoids: new Set(),
  };
  const names = new Set<string>();
  for (const d of p.inputs) {
    if (names.has(d.name)) x.problems.push(`two inputs are called ${d.name}`);
    names.add(d.name);
    if (d.types.length !== 1) x.problems.push(`input ${d.name} has ${d.types.length} results`);
    ownAxes(d, x);
  }
  const visible = new Set<Definition>(p.inputs);
  for (const s of p.steps) step(s, visible, x);
  const results = new Set<string>();
  for (const r of p.results) {
    if (results.has(r.name)) x.problems.push(`two results are called ${r.name}`);
    results.add(r.name);
    reference(r, visible, `result ${r.name}`, x);
  }
  return x;
}

function reference(r: TensorRef, visible: ReadonlySet<Definition>, where: string, x: Examination): DType | undefined {
  if (!visible.has(r.tensor)) x.problems.push(`${where}: ${r.tensor.name} is not defined before it`);
  const dtype = r.tensor.types[r.slot];
  if (!dtype) x.problems.push(`${where}: ${r.tensor.name} has no result ${r.slot}`);
  return dtype;
}

function step(s: Step, visible: Set<Definition>, x: Examination): void {
  if (s.kind === "loop") {
    loop(s, visible, x);
    return;
  }
  if (visible.has(s)) x.problems.push(`${s.name} is defined twice`);
  definition(s, visible, x);
  visible.add(s);
}

function ownAxes(d: Definition, x: Examination): Set<Axis> {
  const bound = new Set<Axis>();
  bind(d.axes, bound, d.name, x);
  if (d.types.length === 0) x.problems.push(`${d.name} defines nothing`);
  return bound;
}

function bind(axes: readonly Axis[], bound: Set<Axis>, where: string, x: Examination): void {
  for (const a of axes) {
    if (bound.has(a)) x.problems.push(`${where}: axis ${a.name} is bound twice`);
    bound.add(a);
    extent(a.extent, `${where}: axis ${a.name}`, x);
  }
}

function known(e: Extent, where: string, x: Examination): void {
  for (const s of symbolsOf(e)) if (!x.symbols.has(s)) x.problems.push(`${where}: nothing tells the size ${s}`);
}

function extent(e: Extent, where: string, x: Examination): void {
  known(e, where, x);
  if (proveNonNegative(e) === "refuted") x.problems.push(`${where}: the extent ${e.text} is negative`);
}

function sameShape(a: readonly Axis[], b: readonly Axis[]): boolean {
  return a.length === b.length && a.every((s, i) => s.extent === b[i]?.extent);
}

function sameTypes(types: readonly DType[], values: readonly { dtype: DType }[]): boolean {
  return types.length === values.length && types.every((t, i) => t === values[i]?.dtype);
}

function definition(d: Definition, visible: ReadonlySet<Definition>, x: Examination): void {
  const bound = ownAxes(d, x);
  const check = (roots: readonly TensorExpr[], around: ReadonlySet<Axis>): void =>
    expressions(roots, { d, visible, x }, around);
  switch (d.kind) {
    case "input":
    case "carry":
      x.problems.push(`${d.name}: ${d.kind} is not a step`);
      return;
    case "map":
      if (!sameTypes(d.types, d.results)) x.problems.push(`${d.name}: results do not have its types`);
      check(d.results, bound);
      if (x.options.normalised) normalised(d, d.results, x);
      return;
    case "scan":
      if (!d.axes.includes(d.along)) x.problems.push(`${d.name}: scans along ${d.along.name}, which is not its axis`);
      monoid(d.monoid, d.values, d.name, x);
      check(d.values, bound);
      break;
    case "scatter": {
      const domain = new Set<Axis>();
      bind(d.domain, domain, d.name, x);
      if (d.at.length !== d.axes.length) x.problems.push(`${d.name}: ${d.at.length} indices for ${d.axes.length} axes`);
      for (const e of d.at)
        if (e.dtype !== "i32") x.problems.push(`${d.name}: the index ${printExpr(e)} is ${e.dtype}`);
      if (!sameTypes(d.types, d.values)) x.problems.push(`${d.name}: values do not have its types`);
      if (d.monoid !== "set") monoid(d.monoid, d.values, d.name, x);
      else if (!d.into && !sameTypes(d.types, d.initial))
        x.problems.push(`${d.name}: \`set\` needs an initial value for each result`);
      if (d.into) {
        if (d.into.length !== d.types.length) x.problems.push(`${d.name}: into ${d.into.length} results`);
        d.into.forEach((r, i) => {
          const dtype = reference(r, visible, d.name, x);
          if (dtype !== d.types[i] || !sameShape(r.tensor.axes, d.axes))
            x.problems.push(`${d.name}: into ${r.tensor.name}, which has another shape or type`);
        });
      }
      check([...d.at, ...d.values], domain);
      break;
    }
    default:
      d satisfies never;
  }
  if (x.options.normalised) {
    const roots = d.kind === "scan" ? d.values : [...d.at, ...d.values];
    if (roots.some(holdsReduce)) x.problems.push(`${d.name}: a reduction stands inside a ${d.kind}`);
  }
}

function holdsReduce(e: TensorExpr): boolean {
  const seen = new Set<TensorExpr>();
  const go = (n: TensorExpr): boolean => {
    if (seen.has(n)) return false;
    seen.add(n);
    return n.kind === "reduce" || childrenOf(n).some(go);
  };
  return go(e);
}

function normalised(d: Definition, results: readonly TensorExpr[], x: Examination): void {
  const [first] = results;
  if (first?.kind !== "reduce") {
    if (results.some(holdsReduce)) x.problems.push(`${d.name}: a reduction does not stand at the root`);
    return;
  }
  const one = results.every(
    (r, i) =>
      r.kind === "reduce" &&
      r.monoid === first.monoid &&
      r.slot === i &&
      r.axes.length === first.axes.length &&
      r.axes.every((a, j) => a === first.axes[j]) &&
      r.values.every((v, j) => v === first.values[j]),
  );
  if (!one || results.length !== first.monoid.slots.length)
    x.problems.push(`${d.name}: results are not the slots of one reduction`);
  if (first.values.some(holdsReduce)) x.problems.push(`${d.name}: a reduction stands inside another`);
}

function loop(s: LoopStep, visible: Set<Definition>, x: Examination): void {
  const rounds = s.count ?? s.max;
  if (!rounds) x.problems.push("a loop has neither count nor max");
  for (const e of [s.count, s.max]) if (e) extent(e, "loop", x);
  const inside = new Set(visible);
  if (s.index) {
    inside.add(s.index);
    if (s.index.axes.length !== 0 || s.index.types[0] !== "i32")
      x.problems.push(`loop: the index ${s.index.name} is no i32 scalar`);
  }
  for (const c of s.carries) {
    ownAxes(c.carry, x);
    if (visible.has(c.carry)) x.problems.push(`loop: ${c.carry.name} is defined twice`);
    const dtype = reference(c.init, visible, `loop: ${c.carry.name}`, x);
    if (c.carry.types.length !== 1 || dtype !== c.carry.types[0] || !sameShape(c.init.tensor.axes, c.carry.axes))
      x.problems.push(`loop: ${c.carry.name} starts from another shape or type`);
    inside.add(c.carry);
  }
  for (const b of s.body) step(b, inside, x);
  for (const c of s.carries) {
    const dtype = reference(c.next, inside, `loop: next ${c.carry.name}`, x);
    if (dtype !== c.carry.types[0] || !sameShape(c.next.tensor.axes, c.carry.axes))
      x.problems.push(`loop: ${c.carry.name} goes on with another shape or type`);
  }
  for (const k of s.stacks) {
    ownAxes(k.stack, x);
    const dtype = reference(k.value, inside, `loop: push ${k.stack.name}`, x);
    const [first, ...rest] = k.stack.axes;
    if (dtype !== k.stack.types[0] || first?.extent !== rounds || !sameShape(rest, k.value.tensor.axes))
      x.problems.push(`loop: ${k.stack.name} does not stack ${k.value.tensor.name} over the rounds`);
  }
  if (s.until) {
    const dtype = reference(s.until, inside, "loop: until", x);
    if (dtype !== "bool" || s.until.tensor.axes.length !== 0) x.problems.push("loop: until is no bool scalar");
  }
  for (const c of s.carries) visible.add(c.carry);
  for (const k of s.stacks) visible.add(k.stack);
}

function monoid(m: Monoid, values: readonly TensorExpr[], where: string, x: Examination): void {
  if (!sameTypes(m.slots, values))
    x.problems.push(`${where}: ${m.name} combines ${m.slots.join(", ")}, not ${values.map((v) => v.dtype).join(", ")}`);
  if (x.monoids.has(m)) return;
  x.monoids.add(m);
  for (const problem of monoidProblems(m)) x.problems.push(`monoid ${m.name}: ${problem}`);
}

interface Place {
  readonly d: Definition;
  readonly visible: ReadonlySet<Definition>;
  readonly x: Examination;
}

/** Every node once for each set of axes around it that differs in what its subtree uses. */
function expressions(roots: readonly TensorExpr[], place: Place, bound: ReadonlySet<Axis>): void {
  const done = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (done.has(e)) return;
    done.add(e);
    node(e, place, bound);
    if (e.kind === "reduce") {
      const inner = new Set(bound);
      bind(e.axes, inner, place.d.name, place.x);
      expressions(e.values, place, inner);
    } else for (const c of childrenOf(e)) go(c);
  };
  for (const r of roots) go(r);
}

function node(e: TensorExpr, place: Place, bound: ReadonlySet<Axis>): void {
  const { d, x } = place;
  switch (e.kind) {
    case "const":
      return;
    case "size":
      // A value, which may be below zero as no axis may: the simplifier makes `M % 4 - 4` one.
      known(e.extent, d.name, x);
      return;
    case "axis":
      if (!bound.has(e.axis)) x.problems.push(`${d.name}: axis ${e.axis.name} is not in scope`);
      return;
    case "arg":
      x.problems.push(`${d.name}: the slot $${e.index} stands outside a monoid`);
      return;
    case "apply":
      applied(e, d.name, x);
      return;
    case "read":
      readNode(e, place, bound);
      return;
    case "reduce":
      reduceNode(e, d.name, x);
      return;
    default:
      e satisfies never;
  }
}

function applied(e: Apply, where: string, x: Examination): void {
  const operands = e.args.map((a) => a.dtype);
  const [first] = operands;
  const wide = (t: DType | undefined): boolean => t === "f32" || t === "i32" || t === "u32";
  const fits =
    e.prim === "cast"
      ? operands.length === 1
      : e.prim === "bitcast"
        ? operands.length === 1 && wide(first) && wide(e.dtype)
        : resultType(e.prim, operands) === e.dtype;
  if (!fits) x.problems.push(`${where}: ${e.prim}(${operands.join(", ")}) is no ${e.dtype}`);
}

function reduceNode(e: Reduce, where: string, x: Examination): void {
  monoid(e.monoid, e.values, where, x);
  if (e.monoid.slots[e.slot] !== e.dtype)
    x.problems.push(`${where}: slot ${e.slot} of ${e.monoid.name} is no ${e.dtype}`);
}

function readNode(e: Read, { d, visible, x }: Place, bound: ReadonlySet<Axis>): void {
  const dtype = reference(e, visible, d.name, x);
  if (dtype !== e.dtype) x.problems.push(`${d.name}: a read of ${e.tensor.name} is ${e.dtype}, not ${dtype}`);
  if (e.fill && e.fill.dtype !== e.dtype) x.problems.push(`${d.name}: the fill of ${printExpr(e)} is ${e.fill.dtype}`);
  if (e.at.length !== e.tensor.axes.length) {
    x.problems.push(`${d.name}: ${e.at.length} indices for ${e.tensor.axes.length} axes of ${e.tensor.name}`);
    return;
  }
  e.at.forEach((index, i) => {
    if (index.dtype !== "i32") {
      x.problems.push(`${d.name}: the index ${printExpr(index)} of ${e.tensor.name} is ${index.dtype}`);
      return;
    }
    if (e.fill) return;
    const axis = e.tensor.axes[i];
    if (!axis) return;
    const proof = proveInside(index, axis.extent, x.assumptions, bound);
    if (proof === "proved") return;
    const interval = intervalText(intervalOf(index, x.assumptions));
    if (proof === "refuted")
      x.problems.push(`${d.name}: ${printExpr(e)} reads outside: ${interval} against ${axis.extent.text}`);
    else x.unproved.push({ definition: d, read: e, axis: i, interval });
  });
}
