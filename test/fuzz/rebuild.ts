/** A program made anew with parts replaced or left out. What nothing needs any more is dropped. */
import { type Extent, substituteExtent } from "../../ir/extent.ts";
import {
  type Axis,
  axis,
  axisRef,
  type Definition,
  type Input,
  input,
  mapChildren,
  mapDef,
  type Program,
  read,
  readsOf,
  reduce,
  scanDef,
  scatterDef,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";

export interface Edit {
  readonly extent?: (e: Extent) => Extent;
  /** Expressions of the old program to be used in place of others. */
  readonly replace?: ReadonlyMap<TensorExpr, TensorExpr>;
  /** Definitions of one result that become inputs. */
  readonly cut?: ReadonlySet<Definition>;
  /** Indices of the results that stay; all if left out. */
  readonly results?: ReadonlySet<number>;
  /** Inputs and definitions that a scatter no longer goes into, or that no longer are inputs. */
  readonly without?: ReadonlySet<Definition>;
}

/** Throws if an edit leaves a program that cannot be written down. Programs with loops are not its business. */
export function rebuild(p: Program, edit: Edit): Program {
  const axes = new Map<Axis, Axis>();
  const defs = new Map<Definition, Definition>();
  const exprs = new Map<TensorExpr, TensorExpr>();
  const onExtent = edit.extent ?? ((e: Extent): Extent => e);
  const onAxis = (a: Axis): Axis => {
    const made = axes.get(a) ?? axis(a.name, onExtent(a.extent));
    axes.set(a, made);
    return made;
  };
  const onDef = (d: Definition): Definition => {
    const made = defs.get(d);
    if (!made) throw new RangeError(`${d.name} is used before its step`);
    return made;
  };
  const onExpr = (e: TensorExpr): TensorExpr => {
    const old = exprs.get(e);
    if (old) return old;
    const other = edit.replace?.get(e);
    const made = other && other !== e ? onExpr(other) : plain(e);
    exprs.set(e, made);
    return made;
  };
  const plain = (e: TensorExpr): TensorExpr => {
    switch (e.kind) {
      case "size":
        return sizeOf(onExtent(e.extent));
      case "axis":
        return axisRef(onAxis(e.axis));
      case "read":
        return read(onDef(e.tensor), e.slot, e.at.map(onExpr), e.fill);
      case "reduce":
        return reduce(e.monoid, e.axes.map(onAxis), e.values.map(onExpr), e.slot);
      default:
        return mapChildren(e, onExpr);
    }
  };
  const remake = (d: Definition): Definition => {
    const ax = d.axes.map(onAxis);
    const o = { name: d.name };
    if (d.kind === "input" || edit.cut?.has(d)) return input(d.name, d.types[0] ?? "f32", ax);
    switch (d.kind) {
      case "map":
        return mapDef(ax, d.results.map(onExpr), o);
      case "scan":
        return scanDef(ax, onAxis(d.along), d.monoid, d.values.map(onExpr), o);
      case "scatter": {
        const into = d.into?.some((r) => edit.without?.has(r.tensor)) ? undefined : d.into;
        const refs = into?.map((r) => ({ tensor: onDef(r.tensor), slot: r.slot }));
        return scatterDef(
          ax,
          d.monoid,
          d.domain.map(onAxis),
          d.at.map(onExpr),
          d.values.map(onExpr),
          d.initial,
          refs,
          o,
        );
      }
      case "carry":
        throw new RangeError("a program with a loop");
    }
  };
  const inputs: Input[] = [];
  const steps: Definition[] = [];
  for (const d of p.inputs) {
    const made = remake(d) as Input;
    defs.set(d, made);
    if (!edit.without?.has(d)) inputs.push(made);
  }
  for (const s of p.steps) {
    if (s.kind === "loop") throw new RangeError("a program with a loop");
    const made = remake(s);
    defs.set(s, made);
    if (made.kind === "input") inputs.push(made);
    else steps.push(made);
  }
  const results = p.results
    .filter((_, i) => edit.results?.has(i) ?? true)
    .map((r) => ({ name: r.name, tensor: onDef(r.tensor), slot: r.slot }));
  const needed = new Set<Definition>(results.map((r) => r.tensor));
  for (const s of steps.toReversed()) if (needed.has(s)) for (const d of readsOf(s)) needed.add(d);
  for (const d of edit.without ?? []) {
    const made = defs.get(d);
    if (made && needed.has(made)) throw new RangeError(`${d.name} is still needed`);
  }
  const facts = p.facts.map((f) => ({ ...f, left: onExtent(f.left), right: onExtent(f.right) }));
  return { name: p.name, inputs, steps: steps.filter((s) => needed.has(s)), results, facts };
}

export function binding(values: ReadonlyMap<string, Extent>): (e: Extent) => Extent {
  return (e) => substituteExtent(e, values);
}
