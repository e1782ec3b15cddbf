/**
 * Puts a program into the one that is being built: its inputs become given tensors, its steps are made anew. Where the given
 * tensors depend on axes of the surrounding index notation, every step gets those axes as leading ones: a gradient inside
 * `for` is taken for each position.
 */
import { ONE } from "../../ir/extent.ts";
import {
  type Axis, axis, axisRef, type Const, type Definition, freeAxes, mapChildren, mapDef, type Program, read, scanDef, scatterDef, type Step, substituteAxes, type TensorExpr,
} from "../../ir/tensor.ts";

/** What stands for an input: its element at an index, or with a fill outside. */
export interface Argument {
  at(index: readonly TensorExpr[]): TensorExpr;
  readOr(index: readonly TensorExpr[], fill: Const): TensorExpr;
  /** Number of axes. */
  readonly rank: number;
}

export interface Spliced {
  /** For each result of the program: the definition, and the surrounding axes that are its leading ones. */
  readonly results: readonly { readonly name: string; readonly tensor: Definition; readonly slot: number }[];
  readonly outer: readonly Axis[];
}

/**
 * Emits the program's steps with `args[i]` for input i. Results that are inputs are copied. Loops are refused by RangeError: what
 * is spliced is a derivative, and loops have none yet.
 */
export function splice(p: Program, args: readonly Argument[], emit: (s: Step) => void): Spliced {
  const outer = capturedAxes(args);
  const made = new Map<Definition, Definition>();
  const given = new Map<Definition, Argument>(p.inputs.map((d, i) => [d, args[i]!]));

  /** Rewrites expressions of one definition, whose own copies of the outer axes are `own`. */
  const rewriter = (own: readonly Axis[]): ((e: TensorExpr) => TensorExpr) => {
    const lead = own.map(axisRef);
    const bind = new Map(outer.map((a, i) => [a, lead[i]!]));
    const memo = new Map<TensorExpr, TensorExpr>();
    const go = (e: TensorExpr): TensorExpr => {
      const old = memo.get(e);
      if (old) return old;
      let x = mapChildren(e, go);
      if (x.kind === "read") {
        const argument = given.get(x.tensor);
        const to = made.get(x.tensor);
        if (argument) x = substituteAxes(x.fill ? argument.readOr(x.at, x.fill) : argument.at(x.at), bind);
        else if (to) x = read(to, x.slot, [...lead, ...x.at], x.fill);
      }
      memo.set(e, x);
      return x;
    };
    return go;
  };

  for (const d of p.steps) {
    if (d.kind === "loop" || d.kind === "input" || d.kind === "carry") throw new RangeError("only definitions can be spliced");
    const own = outer.map((a) => axis(a.name, a.extent));
    const go = rewriter(own);
    const o = { name: d.name, span: d.span, epoch: d.epoch };
    let copy: Definition;
    if (d.kind === "map") copy = mapDef([...own, ...d.axes], d.results.map(go), o);
    else if (d.kind === "scan") copy = scanDef([...own, ...d.axes], d.along, d.monoid, d.values.map(go), o);
    else {
      const into = d.into?.map((r) => {
        const to = made.get(r.tensor);
        if (to) return { tensor: to, slot: r.slot };
        const start = given.get(r.tensor);
        return start ? { tensor: copied(start, d.axes, outer, r.tensor.name, emit), slot: 0 } : r;
      });
      // One domain for all positions outside: the leading axes are scattered plainly.
      const lead = outer.map((a) => axis(a.name, a.extent));
      const inside = rewriter(lead);
      copy = scatterDef([...own, ...d.axes], d.monoid, [...lead, ...d.domain], [...lead.map(axisRef), ...d.at.map(inside)], d.values.map(inside), d.initial, into, o);
    }
    made.set(d, copy);
    emit(copy);
  }
  const results = p.results.map((r) => {
    const to = made.get(r.tensor);
    if (to) return { name: r.name, tensor: to, slot: r.slot };
    return { name: r.name, tensor: copied(given.get(r.tensor)!, r.tensor.axes, outer, r.name, emit), slot: 0 };
  });
  return { results, outer };
}

function copied(from: Argument, axes: readonly Axis[], outer: readonly Axis[], name: string, emit: (s: Step) => void): Definition {
  const own = outer.map((a) => axis(a.name, a.extent));
  const inner = axes.map((a) => axis(a.name, a.extent));
  const bind = new Map(outer.map((a, i) => [a, axisRef(own[i]!)]));
  const made = mapDef([...own, ...inner], [substituteAxes(from.at(inner.map(axisRef)), bind)], { name });
  emit(made);
  return made;
}

/** Axes of the surrounding notation that the arguments use, outermost first. */
function capturedAxes(args: readonly Argument[]): Axis[] {
  const found = new Set<Axis>();
  for (const a of args) {
    const probes = Array.from({ length: a.rank }, (_, i) => axis(`p${i}`, ONE));
    const free = freeAxes(a.at(probes.map(axisRef)));
    for (const p of probes) free.delete(p);
    for (const f of free) found.add(f);
  }
  return [...found].sort((a, b) => a.id - b.id);
}
