/** Definitions that are equal up to their axes become one; what no result needs goes. */
import {
  type Axis,
  axis,
  axisRef,
  childrenOf,
  type Definition,
  expressionsOf,
  type Monoid,
  mapChildren,
  type Program,
  readsOf,
  reduce,
  type Step,
  type TensorExpr,
} from "./tensor.ts";
import { mapDefinition, type Replacements, rebuildSteps, refs, withSteps } from "./tensor-rebuild.ts";

/** Merges, within definitions and between them, and drops dead ones. Epochs (`checkpoint`) are respected. */
export function mergeDefinitions(p: Program): Program {
  const replaced: Replacements = new Map();
  const axes = new AxisTable();
  const monoids = new Map<Monoid, number>();
  // A loop's body sees what is before it; what it defines is not seen after it. `keep` holds the canonical expressions, so that
  // interning finds them again.
  const scopes: Map<string, { readonly definition: Definition; readonly keep: readonly TensorExpr[] }>[] = [new Map()];
  const steps = rebuildSteps(
    p.steps,
    replaced,
    (d) => {
      const shared = shareAxes(d);
      const keep = canonical(shared, axes);
      const key = keyOf(shared, keep, monoids);
      for (const scope of scopes) {
        const known = scope.get(key);
        if (known) return { definition: known.definition, step: false };
      }
      scopes.at(-1)?.set(key, { definition: shared, keep });
      return { definition: shared, step: true };
    },
    (enter) => {
      if (enter) scopes.push(new Map());
      else scopes.pop();
    },
  );
  return dropDead(withSteps(p, steps, refs(replaced)));
}

/** Axes by depth of binding and extent. */
class AxisTable {
  private readonly made = new Map<string, Axis>();
  get(depth: number, like: Axis): Axis {
    const key = `${depth}:${like.extent.text}`;
    const old = this.made.get(key);
    if (old) return old;
    const made = axis(like.name, like.extent);
    this.made.set(key, made);
    return made;
  }
}

/** The expression with bound axes taken from the table by their depth. */
function renumber(e: TensorExpr, bind: ReadonlyMap<Axis, Axis>, depth: number, axes: AxisTable): TensorExpr {
  const done = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    const old = done.get(x);
    if (old) return old;
    let made: TensorExpr;
    if (x.kind === "axis") made = axisRef(bind.get(x.axis) ?? x.axis);
    else if (x.kind === "reduce") {
      const inner = new Map(bind);
      const own = x.axes.map((a, i) => axes.get(depth + i, a));
      x.axes.forEach((a, i) => {
        inner.set(a, own[i] ?? a);
      });
      made = reduce(
        x.monoid,
        own,
        x.values.map((v) => renumber(v, inner, depth + x.axes.length, axes)),
        x.slot,
      );
    } else made = mapChildren(x, go);
    done.set(x, made);
    return made;
  };
  return go(e);
}

function canonical(d: Definition, axes: AxisTable): readonly TensorExpr[] {
  const own = d.kind === "scatter" ? d.domain : d.axes;
  const bind = new Map(own.map((a, i) => [a, axes.get(i, a)] as const));
  return expressionsOf(d).map((e) => renumber(e, bind, own.length, axes));
}

function keyOf(d: Definition, expressions: readonly TensorExpr[], monoids: Map<Monoid, number>): string {
  const monoid = (m: Monoid): number => {
    const old = monoids.get(m);
    if (old !== undefined) return old;
    monoids.set(m, monoids.size);
    return monoids.size - 1;
  };
  const extents = (list: readonly Axis[]): string => list.map((a) => a.extent.text).join(",");
  const common = `${d.kind}/${d.epoch}/${extents(d.axes)}/${expressions.map((e) => e.id).join(",")}`;
  if (d.kind === "scan") return `${common}/${monoid(d.monoid)}/${d.axes.indexOf(d.along)}`;
  if (d.kind !== "scatter") return common;
  const m = d.monoid === "set" ? "set" : monoid(d.monoid);
  const into = d.into?.map((r) => `${r.tensor.id}.${r.slot}`).join(",");
  return `${common}/${m}/${extents(d.domain)}/${d.at.length}/${into}/${d.initial.map((c) => c.id).join(",")}`;
}

/** Equal reductions inside one definition differ by their axes only; with axes shared by depth they are one expression. */
function shareAxes(d: Definition): Definition {
  const before = countReduces(expressionsOf(d));
  if (before < 2) return d;
  const own = d.kind === "scatter" ? d.domain : d.axes;
  const axes = new AxisTable();
  const made = mapDefinition(
    d,
    (e) => renumber(e, new Map(), own.length, axes),
    (r) => r,
  );
  return countReduces(expressionsOf(made)) < before ? made : d;
}
function countReduces(roots: readonly TensorExpr[]): number {
  const seen = new Set<TensorExpr>();
  let n = 0;
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "reduce") n++;
    for (const c of childrenOf(e)) go(c);
  };
  for (const r of roots) go(r);
  return n;
}

/** Only what results depend on. A loop stays whole if any of its carries or stacks is needed, but for dead definitions of its body. */
function dropDead(p: Program): Program {
  const live = new Set<Definition>(p.results.map((r) => r.tensor));
  const sweep = (steps: readonly Step[]): readonly Step[] => {
    const kept: Step[] = [];
    for (const s of [...steps].reverse()) {
      if (s.kind !== "loop") {
        if (!live.has(s)) continue;
        for (const d of readsOf(s)) live.add(d);
        kept.push(s);
        continue;
      }
      if (!s.carries.some((c) => live.has(c.carry)) && !s.stacks.some((k) => live.has(k.stack))) continue;
      for (const c of s.carries) {
        live.add(c.next.tensor);
        live.add(c.init.tensor);
      }
      for (const k of s.stacks) live.add(k.value.tensor);
      if (s.until) live.add(s.until.tensor);
      for (const a of s.rule?.arguments ?? []) live.add(a.value.tensor);
      const body = sweep(s.body);
      kept.push(body.length === s.body.length ? s : { ...s, body });
    }
    return kept.length === steps.length && kept.every((s, i) => s === steps[steps.length - 1 - i])
      ? steps
      : kept.reverse();
  };
  const steps = sweep(p.steps);
  return steps === p.steps ? p : { ...p, steps };
}
