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
  type Definition,
  freeAxes,
  mapChildren,
  mapDef,
  type Program,
  read,
  readsOf,
  type Step,
  scanDef,
  scatterDef,
  substituteAxes,
  type TensorExpr,
} from "../../ir/tensor.ts";

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
}

/**
 * Emits the program's steps with `args[i]` for input i. Results that are inputs are copied. Throws RangeError for loops: what is
 * spliced is a derivative, and loops have none yet.
 */
export function splice(p: Program, args: readonly Argument[], emit: (s: Step) => void): readonly SplicedResult[] {
  const made = new Map<Definition, Made>();
  const given = new Map<Definition, Argument>(p.inputs.map((d, i) => [d, args[i]!]));
  const captured = new Map<Definition, readonly Axis[]>(p.inputs.map((d, i) => [d, capturedAxes(args[i]!)]));
  const outerOf = (d: Definition): readonly Axis[] => {
    const found = new Set(readsOf(d).flatMap((r) => captured.get(r) ?? made.get(r)?.outer ?? []));
    return [...found].sort((a, b) => a.id - b.id);
  };

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
        else if (to) x = read(to.tensor, x.slot, [...to.outer.map((a) => bind.get(a)!), ...x.at], x.fill);
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
      ? read(to.tensor, slot, [...to.outer.map((a) => bind.get(a)!), ...index])
      : substituteAxes(given.get(d)!.at(index), bind);
    const copy = mapDef([...copies, ...inner], [value], { name: d.name });
    emit(copy);
    return copy;
  };

  for (const d of p.steps) {
    if (d.kind === "loop" || d.kind === "input" || d.kind === "carry")
      throw new RangeError("only definitions can be spliced");
    const outer = outerOf(d);
    const own = copiesOf(outer);
    const go = rewriter(outer, own);
    const o = { name: d.name, span: d.span, epoch: d.epoch };
    let copy: Definition;
    if (d.kind === "map") copy = mapDef([...own, ...d.axes], d.results.map(go), o);
    else if (d.kind === "scan") copy = scanDef([...own, ...d.axes], d.along, d.monoid, d.values.map(go), o);
    else {
      const into = d.into?.map((r) => {
        const to = made.get(r.tensor);
        const whole = to && to.outer.length === outer.length;
        return whole
          ? { tensor: to.tensor, slot: r.slot }
          : { tensor: spread(r.tensor, r.slot, d.axes, outer), slot: 0 };
      });
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
  }
  return p.results.map((r) => {
    const to = made.get(r.tensor);
    if (to) return { name: r.name, slot: r.slot, ...to };
    const outer = captured.get(r.tensor) ?? [];
    return { name: r.name, tensor: spread(r.tensor, r.slot, r.tensor.axes, outer), slot: 0, outer };
  });
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
