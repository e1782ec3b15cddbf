import {
  type Axis,
  axisRef,
  constant,
  type Definition,
  type MapDef,
  mapDef,
  type Program,
  type Reduce,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  substituteArgs,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { substitute } from "../passes/inline.ts";
import { freshAxes, mapExpressions, mapReads } from "../passes/rewrite.ts";
import { axesOf, solvePoint } from "./fuse-point.ts";
import { type Nested, nested } from "./fused-loop.ts";
import { type FusedProgram, type PlacedMap, type Region, statesOf } from "./region.ts";

export function defuse(f: FusedProgram): Program {
  let steps: Step[] = [];
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
    const back = solvePoint(m.point, domain, axes);
    if (back) {
      add(
        m.def,
        mapDef(
          axes,
          results.map((e) => substitute(e, back)),
          o,
        ),
      );
      return;
    }
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
      case "online": {
        // Scores and values a row have fewer axes, or others in their place: each index of the point is one of them.
        const at = (s: { readonly def: MapDef; readonly point: readonly TensorExpr[] }, root: Reduce): void => {
          const axes = freshAxes(s.def.axes, new Map());
          const back = solvePoint(s.point, axesOf(s.point), axes);
          if (!back) throw new Error(`${s.def.name} is not computed at each of its points`);
          const values = root.values.map((v) => substitute(onExpr(v), back));
          const o = { name: s.def.name, span: s.def.span, epoch: s.def.epoch };
          // Scores are reduced over axes of their own, the states over positions that their expressions name.
          add(s.def, mapDef(axes, [reduce(root.monoid, root.axes, values)], o));
        };
        for (const s of [...r.scores, ...statesOf(r)]) at(s, s.reduce);
        at({ def: r.def, point: r.def.axes.map(axisRef) }, r.reduce);
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
        add(r.def, mapExpressions(r.def, onExpr, onRef));
        return;
      }
      default:
        r satisfies never;
    }
  };
  const onRef = (r: TensorRef): TensorRef => ({ tensor: made.get(r.tensor) ?? r.tensor, slot: r.slot });
  const level = (list: readonly Nested<Region>[]): void => {
    for (const x of list) {
      if (x.kind === "one") {
        onRegion(x.item);
        continue;
      }
      const { loop } = x;
      const carries = loop.carries.map((c) => ({ carry: c.carry, init: onRef(c.init) }));
      const outside = steps;
      steps = [];
      level(x.body);
      const body = steps;
      steps = outside;
      steps.push({
        kind: "loop",
        index: undefined,
        carries: carries.map((c, i) => ({ ...c, next: onRef(loop.carries[i]!.next) })),
        stacks: loop.stacks.map((k) => ({ stack: k.stack, value: onRef(k.value) })),
        body,
        count: loop.rounds,
        until: undefined,
        max: undefined,
      });
    }
  };
  level(nested(f.regions, f.loops));
  return {
    ...f.program,
    steps,
    results: f.program.results.map((r) => ({ name: r.name, tensor: made.get(r.tensor) ?? r.tensor, slot: r.slot })),
  };
}
