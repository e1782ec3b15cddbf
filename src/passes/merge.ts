/** Equal definitions become one, dead ones none. */
import {
  type Axis,
  axis,
  type Definition,
  expressionsOf,
  type LoopStep,
  type MapDef,
  type Program,
  type Step,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { readsIn, renameAxes, rewriteProgram, slotsOf } from "./rewrite.ts";

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

/** Drops definitions that nothing needs, from the last backwards; of loops, carries and stacks too. */
export function dropDead(p: Program): Program {
  const steps = keepNeeded(p.steps, new Set(p.results.map((r) => r.tensor)));
  return steps === p.steps ? p : { ...p, steps };
}

/** The steps that `needed` depends on; adds to it what those need. */
function keepNeeded(steps: readonly Step[], needed: Set<Definition>): readonly Step[] {
  const kept: Step[] = [];
  for (let i = steps.length - 1; i >= 0; i--) {
    const s = steps[i]!;
    if (s.kind === "loop") {
      const loop = keepOfLoop(s, needed);
      if (loop) kept.push(loop);
      continue;
    }
    if (!needed.has(s)) continue;
    for (const e of expressionsOf(s)) for (const r of readsIn(e)) needed.add(r.tensor);
    if (s.kind === "scatter") for (const r of s.into ?? []) needed.add(r.tensor);
    kept.push(s);
  }
  kept.reverse();
  return kept.length === steps.length && kept.every((s, i) => s === steps[i]) ? steps : kept;
}

/** A carry lives if it is needed after the loop, or by what another living one, or a stack, goes on with. */
function keepOfLoop(s: LoopStep, needed: Set<Definition>): LoopStep | undefined {
  const stacks = s.stacks.filter((k) => needed.has(k.stack));
  const live = new Set(s.carries.filter((c) => s.rule || needed.has(c.carry)));
  if (live.size === 0 && stacks.length === 0) return undefined;
  for (;;) {
    const within = new Set<Definition>([...live].map((c) => c.next.tensor));
    for (const k of stacks) within.add(k.value.tensor);
    if (s.until) within.add(s.until.tensor);
    const body = keepNeeded(s.body, within);
    const woken = s.carries.filter((c) => !live.has(c) && within.has(c.carry));
    for (const c of woken) live.add(c);
    if (woken.length > 0) continue;
    for (const d of within) needed.add(d);
    for (const c of live) needed.add(c.init.tensor);
    for (const a of s.rule?.arguments ?? []) needed.add(a.value.tensor);
    const whole = body === s.body && live.size === s.carries.length && stacks.length === s.stacks.length;
    return whole ? s : { ...s, body, stacks, carries: s.carries.filter((c) => live.has(c)) };
  }
}
