/** Equal definitions become one, dead ones none. */
import {
  type Axis,
  axis,
  type Definition,
  expressionsOf,
  type MapDef,
  type Program,
  type Step,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { anchorsOf, readsIn, renameAxes, rewriteProgram, slotsOf } from "./rewrite.ts";

/**
 * Merges maps that are equal up to the names of their axes: each is written over axes numbered by binding depth, so that
 * equal ones are the same expressions. Different epochs (`checkpoint`) never merge.
 */
export function mergeEqual(p: Program): Program {
  const numbered = new Map<string, Axis>();
  const axisNumber = (n: number, a: Axis): Axis => {
    const key = `${n}:${a.extent.text}`;
    const old = numbered.get(key);
    if (old) return old;
    const made = axis(`a${n}`, a.extent);
    numbered.set(key, made);
    return made;
  };
  // Keeps the canonical expressions alive, so that interning finds them again.
  const known = new Map<string, { readonly def: MapDef; readonly keep: readonly TensorExpr[] }>();
  // What a loop's body computes is known only there, so nothing inside one stands for anything else.
  const outside = new Set<Step>(p.steps);
  return rewriteProgram(p, (d, emit, original) => {
    if (d.kind !== "map" || !outside.has(original)) {
      emit(d);
      return slotsOf(d);
    }
    const to = new Map<Axis, Axis>();
    for (const a of d.axes) to.set(a, axisNumber(to.size, a));
    for (const e of d.results) for (const a of boundAxes(e)) if (!to.has(a)) to.set(a, axisNumber(to.size, a));
    const keep = d.results.map((e) => renameAxes(e, to));
    const key = `${d.epoch}|${d.axes.map((a) => a.extent.text).join(",")}|${keep.map((e) => e.id).join(",")}`;
    const old = known.get(key);
    if (old) return slotsOf(old.def);
    known.set(key, { def: d, keep });
    emit(d);
    return slotsOf(d);
  });
}

/** Axes that reduces in `e` bind, in order of first appearance. After `liftReductions` only the root is one. */
function boundAxes(e: TensorExpr): readonly Axis[] {
  const found = new Set<Axis>();
  const go = (x: TensorExpr, depth: number): void => {
    if (x.kind === "reduce") {
      for (const a of x.axes) found.add(a);
      if (depth < 8) for (const v of x.values) go(v, depth + 1);
    }
  };
  go(e, 0);
  return [...found];
}

/** Drops definitions that nothing needs, from the last backwards. */
export function dropDead(p: Program): Program {
  const needed = new Set<Definition>(anchorsOf({ ...p, steps: p.steps.filter((s) => s.kind === "loop") }).keys());
  const need = (r: TensorRef): void => {
    needed.add(r.tensor);
  };
  const keepSteps = (steps: readonly Step[]): readonly Step[] => {
    const kept: Step[] = [];
    for (let i = steps.length - 1; i >= 0; i--) {
      const s = steps[i];
      if (!s) continue;
      if (s.kind === "loop") {
        const body = keepSteps(s.body);
        kept.push(body.length === s.body.length ? s : { ...s, body });
        continue;
      }
      if (!needed.has(s)) continue;
      for (const e of expressionsOf(s)) for (const r of readsIn(e)) needed.add(r.tensor);
      if (s.kind === "scatter") s.into?.forEach(need);
      kept.push(s);
    }
    return kept.reverse();
  };
  for (const r of p.results) need(r);
  const steps = keepSteps(p.steps);
  return steps.length === p.steps.length ? p : { ...p, steps };
}
