/** Programs for given sizes. */
import { type Extent, substituteExtent } from "./extent.ts";
import {
  type Axis,
  axis,
  axisRef,
  type CarryDef,
  type CustomRule,
  carryDef,
  type Definition,
  type Input,
  input,
  loopIndex,
  mapChildren,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "./tensor.ts";

/** The program with size symbols replaced: every axis, definition and expression is made anew, identities consistently. */
export function specialise(p: Program, bind: ReadonlyMap<string, Extent>): Program {
  const axes = new Map<Axis, Axis>();
  const defs = new Map<Definition, Definition>();
  const exprs = new Map<TensorExpr, TensorExpr>();
  const onAxis = (a: Axis): Axis => {
    const old = axes.get(a);
    if (old) return old;
    const made = axis(a.name, substituteExtent(a.extent, bind));
    axes.set(a, made);
    return made;
  };
  const onDef = (d: Definition): Definition => {
    const made = defs.get(d);
    if (!made) throw new RangeError(`definition ${d.name} is used before its step`);
    return made;
  };
  const onExpr = (e: TensorExpr): TensorExpr => {
    const old = exprs.get(e);
    if (old) return old;
    let made: TensorExpr;
    if (e.kind === "size") made = sizeOf(substituteExtent(e.extent, bind));
    else if (e.kind === "axis") made = axisRef(onAxis(e.axis));
    else if (e.kind === "read") made = read(onDef(e.tensor), e.slot, e.at.map(onExpr), e.fill);
    else if (e.kind === "reduce") made = reduce(e.monoid, e.axes.map(onAxis), e.values.map(onExpr), e.slot);
    else made = mapChildren(e, onExpr);
    exprs.set(e, made);
    return made;
  };
  const remake = (d: Definition): Definition => {
    const o = { name: d.name, span: d.span, epoch: d.epoch };
    const ax = d.axes.map(onAxis);
    let made: Definition;
    switch (d.kind) {
      case "input":
        made = d.below
          ? loopIndex(d.name, substituteExtent(d.below, bind))
          : input(d.name, d.types[0] ?? "f32", ax, d.span);
        break;
      case "carry":
        made = carryDef(d.name, d.types, ax, d.below && substituteExtent(d.below, bind));
        break;
      case "map":
        made = mapDef(ax, d.results.map(onExpr), o);
        break;
      case "scan":
        made = scanDef(ax, onAxis(d.along), d.monoid, d.values.map(onExpr), o);
        break;
      case "scatter":
        made = scatterDef(
          ax,
          d.monoid,
          d.domain.map(onAxis),
          d.at.map(onExpr),
          d.values.map(onExpr),
          d.initial,
          d.into?.map((r) => ({ tensor: onDef(r.tensor), slot: r.slot })),
          o,
        );
        break;
    }
    defs.set(d, made);
    return made;
  };
  const onRef = (r: TensorRef): TensorRef => ({ tensor: onDef(r.tensor), slot: r.slot });
  const onRule = (r: CustomRule): CustomRule => ({
    ...r,
    arguments: r.arguments.map((a) => ({ name: a.name, value: onRef(a.value) })),
    backward: specialise(r.backward, bind),
  });
  const onStep = (s: Step): Step => {
    if (s.kind !== "loop") return remake(s);
    const inits = s.carries.map((c) => onRef(c.init));
    const index = s.index ? (remake(s.index) as Input) : undefined;
    const carries = s.carries.map((c) => remake(c.carry) as CarryDef);
    const body = s.body.map(onStep);
    return {
      kind: "loop",
      index,
      body,
      carries: s.carries.map((c, i) => ({ carry: carries[i]!, init: inits[i]!, next: onRef(c.next) })),
      stacks: s.stacks.map((k) => ({ stack: remake(k.stack) as CarryDef, value: onRef(k.value) })),
      count: s.count && substituteExtent(s.count, bind),
      until: s.until && onRef(s.until),
      max: s.max && substituteExtent(s.max, bind),
      ...(s.rule && { rule: onRule(s.rule) }),
    };
  };
  return {
    name: p.name,
    inputs: p.inputs.map((d) => remake(d) as Input),
    steps: p.steps.map(onStep),
    results: p.results.map((r) => ({ name: r.name, tensor: onDef(r.tensor), slot: r.slot })),
    facts: p.facts.map((f) => ({ ...f, left: substituteExtent(f.left, bind), right: substituteExtent(f.right, bind) })),
  };
}
