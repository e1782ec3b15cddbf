/**
 * A fused program as a tensor program again, region by region: what the kernels compute, for the oracle. A store at a point
 * is a scatter, so that elements nobody wrote show.
 */
import {
  type Axis,
  constant,
  type Definition,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  substituteArgs,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { freshAxes, mapExpressions, mapReads } from "../passes/rewrite.ts";
import type { FusedProgram, PlacedMap, Region } from "./region.ts";

export function defuse(f: FusedProgram): Program {
  const steps: Step[] = [];
  /** What stands for a definition that some region computed. */
  const made = new Map<Definition, Definition>();
  const memo = new Map<TensorExpr, TensorExpr>();
  const onExpr = (e: TensorExpr): TensorExpr =>
    mapReads(
      e,
      (r) => {
        const t = made.get(r.tensor);
        return t ? read(t, r.slot, r.at, r.fill) : r;
      },
      memo,
    );
  const add = (old: Definition, d: Definition): void => {
    steps.push(d);
    made.set(old, d);
    // Reads of it from now on are of what was made.
    memo.clear();
  };
  const place = (m: PlacedMap, domain: readonly Axis[]): void => {
    const o = { name: m.def.name, span: m.def.span, epoch: m.def.epoch };
    const results = m.results.map(onExpr);
    if (!m.point) {
      add(m.def, mapDef(domain, results, o));
      return;
    }
    const axes = freshAxes(m.def.axes, new Map());
    const initial = m.def.types.map((t) => constant(t, 77));
    add(m.def, scatterDef(axes, "set", domain, m.point, results, initial, undefined, o));
  };
  const onRegion = (r: Region): void => {
    switch (r.kind) {
      case "elementwise":
        for (const m of r.maps) place(m, r.axes);
        return;
      case "row":
        for (const p of r.phases) {
          if (p.kind === "store") place(p, [...r.axes, ...p.axes]);
          else {
            const values = p.reduce.values.map(onExpr);
            const slots = p.reduce.monoid.slots.map((_, s) => reduce(p.reduce.monoid, p.reduce.axes, values, s));
            add(p.def, mapDef(r.axes, slots, { name: p.def.name, span: p.def.span }));
          }
        }
        return;
      case "contraction": {
        const value = onExpr(substituteArgs(r.body, [r.a, ...(r.b ? [r.b] : [])]));
        add(r.def, mapDef(r.def.axes, [reduce(r.reduce.monoid, r.k, [value])], { name: r.def.name, span: r.def.span }));
        for (const m of r.epilogue) place(m, r.def.axes);
        return;
      }
      case "scan":
        add(
          r.def,
          scanDef(r.def.axes, r.def.along, r.def.monoid, r.def.values.map(onExpr), {
            name: r.def.name,
            span: r.def.span,
          }),
        );
        for (const m of r.epilogue) place(m, r.def.axes);
        return;
      case "scatter": {
        const onRef = (x: TensorRef): TensorRef => ({ tensor: made.get(x.tensor) ?? x.tensor, slot: x.slot });
        add(r.def, mapExpressions(r.def, onExpr, onRef));
        return;
      }
      default:
        r satisfies never;
    }
  };
  for (const r of f.regions) onRegion(r);
  return {
    ...f.program,
    steps,
    results: f.program.results.map((r) => ({ name: r.name, tensor: made.get(r.tensor) ?? r.tensor, slot: r.slot })),
  };
}
