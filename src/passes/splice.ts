/**
 * Puts a program into the one that is being built: its inputs become given tensors, its steps are made anew. Where a given
 * tensor depends on axes of the surrounding index notation, every step that depends on it gets those axes as leading ones: a
 * gradient inside `for` is taken for each position, and what does not depend on the position is computed once.
 */
import { ONE } from "../../ir/extent.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Const,
  carryDef,
  type Definition,
  freeAxes,
  input,
  type LoopStep,
  loopIndex,
  mapChildren,
  mapDef,
  type Program,
  read,
  readsOf,
  roundsOf,
  type Step,
  scanDef,
  scatterDef,
  substituteAxes,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { readsOfLoop } from "./loops.ts";

/** What stands for an input: its element at an index, or with a fill outside. */
export interface Argument {
  at(index: readonly TensorExpr[]): TensorExpr;
  readOr(index: readonly TensorExpr[], fill: Const): TensorExpr;
  /** Number of axes. */
  readonly rank: number;
}

export interface SplicedResult {
  readonly name: string;
  readonly tensor: Definition;
  readonly slot: number;
  /** The surrounding axes that are the definition's leading ones. */
  readonly outer: readonly Axis[];
}

interface Made {
  readonly tensor: Definition;
  readonly outer: readonly Axis[];
  /** A loop's stack: its first axis, the round, stands before the outer ones. */
  readonly stacked?: boolean;
}
function placed(m: Made, outer: readonly TensorExpr[], at: readonly TensorExpr[]): readonly TensorExpr[] {
  return m.stacked ? [...at.slice(0, 1), ...outer, ...at.slice(1)] : [...outer, ...at];
}

/**
 * Emits the program's steps with `args[i]` for input i. Results that are inputs are copied. A loop of which anything depends on
 * surrounding axes has all its carries over all of those.
 */
export function splice(
  p: Program,
  args: readonly Argument[],
  emitOutside: (s: Step) => void,
): readonly SplicedResult[] {
  const made = new Map<Definition, Made>();
  const given = new Map<Definition, Argument>(p.inputs.map((d, i) => [d, args[i]!]));
  const captured = new Map<Definition, readonly Axis[]>(p.inputs.map((d, i) => [d, capturedAxes(args[i]!)]));
  const outerOf = (list: readonly Definition[]): readonly Axis[] => {
    const found = new Set(list.flatMap((r) => captured.get(r) ?? made.get(r)?.outer ?? []));
    return [...found].sort((a, b) => a.id - b.id);
  };
  let emit = emitOutside;

  /** Rewrites expressions of a definition whose own copies of `outer` are `own`. */
  const rewriter = (outer: readonly Axis[], own: readonly Axis[]): ((e: TensorExpr) => TensorExpr) => {
    const bind = new Map(outer.map((a, i) => [a, axisRef(own[i]!)]));
    const memo = new Map<TensorExpr, TensorExpr>();
    const go = (e: TensorExpr): TensorExpr => {
      const old = memo.get(e);
      if (old) return old;
      let x = mapChildren(e, go);
      if (x.kind === "read") {
        const argument = given.get(x.tensor);
        const to = made.get(x.tensor);
        if (argument) x = substituteAxes(x.fill ? argument.readOr(x.at, x.fill) : argument.at(x.at), bind);
        else if (to) {
          const at = placed(
            to,
            to.outer.map((a) => bind.get(a)!),
            x.at,
          );
          x = read(to.tensor, x.slot, at, x.fill);
        }
      }
      memo.set(e, x);
      return x;
    };
    return go;
  };

  /** The tensor over `outer` and its own axes, whatever it depends on itself. */
  const spread = (d: Definition, slot: number, axes: readonly Axis[], outer: readonly Axis[]): Definition => {
    const copies = copiesOf(outer);
    const inner = copiesOf(axes);
    const bind = new Map(outer.map((a, i) => [a, axisRef(copies[i]!)]));
    const index = inner.map(axisRef);
    const to = made.get(d);
    const value = to
      ? read(
          to.tensor,
          slot,
          placed(
            to,
            to.outer.map((a) => bind.get(a)!),
            index,
          ),
        )
      : substituteAxes(given.get(d)?.at(index) ?? read(d, slot, index), bind);
    const copy = mapDef([...copies, ...inner], [value], { name: d.name });
    emit(copy);
    return copy;
  };

  /** What stands for a result, as a definition over exactly `outer` and its own axes. */
  const whole = (r: TensorRef, outer: readonly Axis[]): TensorRef => {
    const to = made.get(r.tensor);
    if (to && to.outer.length === outer.length && !(to.stacked && outer.length > 0))
      return { tensor: to.tensor, slot: r.slot };
    if (!to && !given.has(r.tensor) && outer.length === 0) return r;
    return { tensor: spread(r.tensor, r.slot, r.tensor.axes, outer), slot: 0 };
  };

  const definition = (d: Definition): void => {
    if (d.kind === "input" || d.kind === "carry") throw new RangeError("only what is defined can be spliced");
    const outer = outerOf(readsOf(d));
    const own = copiesOf(outer);
    const go = rewriter(outer, own);
    const o = { name: d.name, span: d.span, epoch: d.epoch };
    let copy: Definition;
    if (d.kind === "map") copy = mapDef([...own, ...d.axes], d.results.map(go), o);
    else if (d.kind === "scan") copy = scanDef([...own, ...d.axes], d.along, d.monoid, d.values.map(go), o);
    else {
      const into = d.into?.map((r) => whole(r, outer));
      // The surrounding axes are part of the domain and scattered plainly.
      const lead = copiesOf(outer);
      const inside = rewriter(outer, lead);
      copy = scatterDef(
        [...own, ...d.axes],
        d.monoid,
        [...lead, ...d.domain],
        [...lead.map(axisRef), ...d.at.map(inside)],
        d.values.map(inside),
        d.initial,
        into,
        o,
      );
    }
    made.set(d, { tensor: copy, outer });
    emit(copy);
  };

  const loop = (s: LoopStep): void => {
    const outer = outerOf(readsOfLoop(s));
    const inits = s.carries.map((c) => whole(c.init, outer));
    const rule = s.rule && {
      ...s.rule,
      arguments: s.rule.arguments.map((a) => ({ name: a.name, value: whole(a.value, outer) })),
      backward: overAxes(s.rule.backward, outer),
    };
    const rounds = roundsOf(s);
    const index = s.index && loopIndex(s.index.name, rounds);
    if (s.index && index) made.set(s.index, { tensor: index, outer: [] });
    const carries = s.carries.map(({ carry }) => {
      const copy = carryDef(carry.name, carry.types, [...copiesOf(outer), ...copiesOf(carry.axes)], carry.below);
      made.set(carry, { tensor: copy, outer });
      return copy;
    });
    const stacks = s.stacks.map(({ stack }) => {
      const [round, ...rest] = copiesOf(stack.axes);
      const copy = carryDef(stack.name, stack.types, [round!, ...copiesOf(outer), ...rest]);
      made.set(stack, { tensor: copy, outer, stacked: true });
      return copy;
    });
    const outside = emit;
    const body: Step[] = [];
    emit = (x) => body.push(x);
    for (const x of s.body) step(x);
    const nexts = s.carries.map((c) => whole(c.next, outer));
    const values = s.stacks.map((k) => whole(k.value, outer));
    // Positions stop by themselves; only one alone can stop the loop.
    const until = s.until && outer.length === 0 ? whole(s.until, outer) : undefined;
    emit = outside;
    emit({
      kind: "loop",
      index,
      carries: carries.map((carry, i) => ({ carry, init: inits[i]!, next: nexts[i]! })),
      stacks: stacks.map((stack, i) => ({ stack, value: values[i]! })),
      body,
      count: until ? s.count : rounds,
      until,
      max: until ? s.max : undefined,
      ...(rule && { rule }),
    });
  };

  const step = (s: Step): void => (s.kind === "loop" ? loop(s) : definition(s));
  for (const s of p.steps) step(s);
  return p.results.map((r) => {
    const to = made.get(r.tensor);
    if (to && !to.stacked) return { name: r.name, slot: r.slot, tensor: to.tensor, outer: to.outer };
    const outer = to?.outer ?? captured.get(r.tensor) ?? [];
    return { name: r.name, tensor: spread(r.tensor, r.slot, r.tensor.axes, outer), slot: 0, outer };
  });
}

/** The program for every position of further axes at once: its inputs and results have them as leading ones. */
export function overAxes(p: Program, outer: readonly Axis[]): Program {
  if (outer.length === 0) return p;
  const inputs = p.inputs.map((d) => input(d.name, d.types[0]!, [...copiesOf(outer), ...copiesOf(d.axes)]));
  const here = outer.map(axisRef);
  const args = inputs.map(
    (d): Argument => ({
      rank: d.axes.length - outer.length,
      at: (index) => read(d, 0, [...here, ...index]),
      readOr: (index, fill) => read(d, 0, [...here, ...index], fill),
    }),
  );
  const steps: Step[] = [];
  const results = splice(p, args, (s) => steps.push(s)).map((r) => {
    const own = copiesOf(r.tensor.axes.slice(r.outer.length));
    const copies = copiesOf(outer);
    const at = [...r.outer.map((a) => axisRef(copies[outer.indexOf(a)]!)), ...own.map(axisRef)];
    const made = mapDef([...copies, ...own], [read(r.tensor, r.slot, at)], { name: r.name });
    steps.push(made);
    return { name: r.name, tensor: made, slot: 0 };
  });
  return { ...p, inputs, steps, results };
}

function copiesOf(axes: readonly Axis[]): readonly Axis[] {
  return axes.map((a) => axis(a.name, a.extent));
}

/** Axes of the surrounding notation that the argument uses, outermost first. */
function capturedAxes(a: Argument): readonly Axis[] {
  const probes = Array.from({ length: a.rank }, (_, i) => axis(`p${i}`, ONE));
  const free = freeAxes(a.at(probes.map(axisRef)));
  for (const p of probes) free.delete(p);
  return [...free].sort((x, y) => x.id - y.id);
}
