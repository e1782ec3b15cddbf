/** Rebuilding programs with mapped expressions; what does not change stays the same object. */
import {
  type Definition,
  type LoopStep,
  mapChildren,
  mapDef,
  type Program,
  read,
  type Step,
  scanDef,
  scatterDef,
  type TensorExpr,
  type TensorRef,
} from "./tensor.ts";

/** Which definition (and slot) now stands for an old one. */
export type Replacements = Map<Definition, Definition>;

/** Redirects reads. */
export function redirect(replaced: Replacements): (e: TensorExpr) => TensorExpr {
  const done = new Map<TensorExpr, TensorExpr>();
  const go = (e: TensorExpr): TensorExpr => {
    if (replaced.size === 0) return e;
    const old = done.get(e);
    if (old) return old;
    let made = mapChildren(e, go);
    if (made.kind === "read") {
      const to = replaced.get(made.tensor);
      if (to) made = read(to, made.slot, made.at, made.fill);
    }
    done.set(e, made);
    return made;
  };
  return go;
}

/** The definition over mapped expressions and references; the same object if nothing changed. */
export function mapDefinition(
  d: Definition,
  f: (e: TensorExpr) => TensorExpr,
  onRef: (r: TensorRef) => TensorRef,
): Definition {
  const all = (es: readonly TensorExpr[]): readonly TensorExpr[] => {
    const made = es.map(f);
    return made.every((e, i) => e === es[i]) ? es : made;
  };
  const o = { name: d.name, span: d.span, epoch: d.epoch };
  switch (d.kind) {
    case "input":
    case "carry":
      return d;
    case "map": {
      const results = all(d.results);
      return results === d.results ? d : mapDef(d.axes, results, o);
    }
    case "scan": {
      const values = all(d.values);
      return values === d.values ? d : scanDef(d.axes, d.along, d.monoid, values, o);
    }
    case "scatter": {
      const [at, values] = [all(d.at), all(d.values)];
      const into = d.into?.map(onRef);
      const same = at === d.at && values === d.values && (into ?? []).every((r, i) => r === d.into?.[i]);
      return same ? d : scatterDef(d.axes, d.monoid, d.domain, at, values, d.initial, into, o);
    }
    default:
      return d satisfies never;
  }
}

/** What stands for a definition, and whether it is a step here: not if it is an earlier one, or nothing needs it. */
export interface Replacement {
  readonly definition: Definition;
  readonly step: boolean;
}

/** Visits steps in order. `onDefinition` sees a definition with its references redirected already. */
export function rebuildSteps(
  steps: readonly Step[],
  replaced: Replacements,
  onDefinition: (d: Definition) => Replacement,
  onLoop?: (enter: boolean) => void,
): readonly Step[] {
  const out: Step[] = [];
  const onRef = refs(replaced);
  for (const s of steps) {
    if (s.kind === "loop") {
      const inits = s.carries.map((c) => onRef(c.init));
      onLoop?.(true);
      const body = rebuildSteps(s.body, replaced, onDefinition, onLoop);
      const carries = s.carries.map((c, i) => ({ carry: c.carry, init: inits[i] ?? c.init, next: onRef(c.next) }));
      const stacks = s.stacks.map((k) => ({ stack: k.stack, value: onRef(k.value) }));
      const until = s.until && onRef(s.until);
      onLoop?.(false);
      const given = s.rule?.arguments.map((a) => ({ name: a.name, value: onRef(a.value) })) ?? [];
      const rule = s.rule && { ...s.rule, arguments: given };
      const made: LoopStep = { ...s, body, carries, stacks, until, ...(rule && { rule }) };
      const same =
        given.every((a, i) => a.value === s.rule?.arguments[i]?.value) &&
        body === s.body &&
        until === s.until &&
        carries.every((c, i) => c.init === s.carries[i]?.init && c.next === s.carries[i]?.next) &&
        stacks.every((k, i) => k.value === s.stacks[i]?.value);
      out.push(same ? s : made);
      continue;
    }
    const seen = mapDefinition(s, redirect(replaced), onRef);
    const { definition, step } = onDefinition(seen);
    if (definition !== s) replaced.set(s, definition);
    if (step) out.push(definition);
  }
  return out.length === steps.length && out.every((s, i) => s === steps[i]) ? steps : out;
}
export function refs(replaced: Replacements): (r: TensorRef) => TensorRef {
  return (r) => {
    const to = replaced.get(r.tensor);
    return to ? { tensor: to, slot: r.slot } : r;
  };
}

/** The program with every scalar expression mapped; reads follow their definitions. The same object if nothing changed. */
export function mapProgram(p: Program, f: (e: TensorExpr) => TensorExpr): Program {
  const replaced: Replacements = new Map();
  const onRef = refs(replaced);
  const steps = rebuildSteps(p.steps, replaced, (d) => ({ definition: mapDefinition(d, f, (r) => r), step: true }));
  return withSteps(p, steps, onRef);
}

export function withSteps(p: Program, steps: readonly Step[], onRef: (r: TensorRef) => TensorRef): Program {
  const results = p.results.map((r) => {
    const to = onRef(r);
    return to === r ? r : { name: r.name, tensor: to.tensor, slot: to.slot };
  });
  const same = steps === p.steps && results.every((r, i) => r === p.results[i]);
  return same ? p : { ...p, steps, results };
}
