/** A program in the form that reverse mode differentiates. */
import { isFloat } from "../../ir/dtype.ts";
import {
  type Axis,
  axisRef,
  type MapDef,
  mapDef,
  type Program,
  read,
  reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { readThrough } from "../passes/inline.ts";
import { normalise } from "../passes/normalise.ts";
import {
  countNodes,
  freshAxes,
  hasReduce,
  mapReads,
  readsIn,
  renameAxes,
  rewriteProgram,
  slotsOf,
} from "../passes/rewrite.ts";
import { picksByPosition } from "./monoids.ts";

/**
 * Reductions stand alone and over one axis where their rule needs that, index maps are read through, and elementwise producers are
 * inlined under a `select`, so that the guard of its path reaches their operands.
 */
export function prepare(program: Program, strict: boolean): Program {
  return inlineUnderSelects(nestReductions(normalise(program, { keepStopGradient: true, strict })));
}

/** General reductions over several axes become one reduction an axis, innermost last axis first. */
function nestReductions(p: Program): Program {
  return rewriteProgram(p, (d, emit) => {
    if (d.kind !== "map") {
      if (d.kind !== "input" && d.kind !== "carry") emit(d);
      return slotsOf(d);
    }
    const r = d.results[0];
    if (r?.kind !== "reduce" || r.axes.length < 2 || hasOwnRule(d)) {
      emit(d);
      return slotsOf(d);
    }
    let values: readonly TensorExpr[] = r.values;
    let made: MapDef = d;
    for (let i = r.axes.length - 1; i >= 0; i--) {
      const rename = new Map<Axis, Axis>();
      const outer = freshAxes([...d.axes, ...r.axes.slice(0, i)], rename);
      const inner = freshAxes([r.axes[i]!], rename);
      const renamed = values.map((v) => renameAxes(v, rename));
      made = mapDef(
        outer,
        r.monoid.slots.map((_, s) => reduce(r.monoid, inner, renamed, s)),
        { name: d.name, span: d.span, epoch: d.epoch },
      );
      emit(made);
      const reader = made;
      values = r.monoid.slots.map((_, s) => read(reader, s, [...d.axes, ...r.axes.slice(0, i)].map(axisRef)));
    }
    return slotsOf(made);
  });
}

/** Sums, extrema and picks have rules that take any number of axes. */
function hasOwnRule(d: MapDef): boolean {
  const r = d.results[0];
  if (r?.kind !== "reduce") return true;
  const c = r.monoid.combine[0];
  if (c?.kind !== "apply") return false;
  return r.monoid.slots.length === 1 ? c.prim === "add" || c.prim === "max" || c.prim === "min" : picksByPosition(r);
}

const MOST_NODES = 64;

function inlineUnderSelects(p: Program): Program {
  return rewriteProgram(p, (d, emit) => {
    if (d.kind !== "map") {
      if (d.kind !== "input" && d.kind !== "carry") emit(d);
      return slotsOf(d);
    }
    const inlined = (e: TensorExpr): TensorExpr => {
      if (!hasSelect(e)) return e;
      return mapReads(e, (r) => {
        const t = r.tensor;
        if (t.kind !== "map" || t.epoch !== d.epoch) return r;
        const body = t.results[r.slot]!;
        return hasReduce(body) || readsIn(body).length === 0 || countNodes([body], MOST_NODES) >= MOST_NODES
          ? r
          : readThrough(body, t.axes, r.at, r.fill);
      });
    };
    const results = d.results.map(inlined);
    const made = results.every((e, i) => e === d.results[i])
      ? d
      : mapDef(d.axes, results, { name: d.name, span: d.span, epoch: d.epoch });
    emit(made);
    return slotsOf(made);
  });
}

function hasSelect(e: TensorExpr): boolean {
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): boolean => {
    if (seen.has(x)) return false;
    seen.add(x);
    if (x.kind === "apply") return (x.prim === "select" && isFloat(x.dtype)) || x.args.some(go);
    return x.kind === "reduce" && x.values.some(go);
  };
  return go(e);
}
