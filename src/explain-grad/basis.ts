/**
 * The Jacobian from reverse mode: the cotangent is 1 at one position of the result, for every position; what depends on it gets the
 * result's axes in front.
 */
import {
  type Axis,
  apply,
  axisRef,
  constant,
  type Definition,
  mapDef,
  type Program,
  type Read,
  read,
  scanDef,
  scatterDef,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { definitionsOf, freshAxes, mapReads, readsIn } from "../passes/rewrite.ts";

export interface OverBasis {
  readonly program: Program;
  /** What stands for a definition that got more axes. */
  readonly stands: ReadonlyMap<Definition, Definition>;
}

/** `cotangent` is an input of the shape of a result; programs with loops are not taken. */
export function overBasis(p: Program, cotangent: Definition): OverBasis {
  const stands = new Map<Definition, Definition>();
  const depends = (e: TensorExpr): boolean => readsIn(e).some((r) => r.tensor === cotangent || stands.has(r.tensor));
  const moved = (r: Read, basis: readonly Axis[]): TensorExpr => {
    if (r.tensor === cotangent) {
      const tests = r.at.map((x, i) => apply("eq", x, axisRef(basis[i]!)));
      const [one, zero] = [constant(r.dtype, 1), constant(r.dtype, 0)];
      const here = tests.reduce<TensorExpr | undefined>((a, b) => (a ? apply("and", a, b) : b), undefined);
      return here ? apply("select", here, one, zero) : one;
    }
    const to = stands.get(r.tensor);
    return to ? read(to, r.slot, [...basis.map(axisRef), ...r.at], r.fill) : r;
  };
  const steps = definitionsOf(p).map((d): Definition => {
    if (d.kind === "input" || d.kind === "carry") return d;
    const roots = d.kind === "map" ? d.results : d.kind === "scan" ? d.values : [...d.at, ...d.values];
    const starts = d.kind === "scatter" ? (d.into ?? []) : [];
    if (!roots.some(depends) && !starts.some((r) => stands.has(r.tensor))) return d;
    const basis = freshAxes(cotangent.axes, new Map());
    const o = { name: d.name, span: d.span, epoch: d.epoch };
    const at = (axes: readonly Axis[]) => (e: TensorExpr) => mapReads(e, (r) => moved(r, axes));
    let made: Definition;
    if (d.kind === "map") made = mapDef([...basis, ...d.axes], d.results.map(at(basis)), o);
    else if (d.kind === "scan") made = scanDef([...basis, ...d.axes], d.along, d.monoid, d.values.map(at(basis)), o);
    else {
      const own = freshAxes(basis, new Map());
      const into = d.into?.map((r) => ({ tensor: stands.get(r.tensor) ?? r.tensor, slot: r.slot }));
      const places = [...own.map(axisRef), ...d.at.map(at(own))];
      made = scatterDef(
        [...basis, ...d.axes],
        d.monoid,
        [...own, ...d.domain],
        places,
        d.values.map(at(own)),
        d.initial,
        into,
        o,
      );
    }
    stands.set(d, made);
    return made;
  });
  const results = p.results.map((r) => ({ ...r, tensor: stands.get(r.tensor) ?? r.tensor }));
  return { program: { ...p, inputs: p.inputs.filter((i) => i !== cotangent), steps, results }, stands };
}
