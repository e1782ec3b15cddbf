/** What the passes on tensor programs share: rebuilding programs, renaming axes, memoised facts about expressions. */
import { perNode } from "../../ir/intern.ts";
import {
  type Axis,
  axis,
  axisRef,
  childrenOf,
  type Definition,
  expressionsOf,
  type LoopStep,
  mapChildren,
  mapDef,
  type Program,
  type Read,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";

// ---- Facts about expressions ----------------------------------------------------------------------------------------

const NO_AXES: ReadonlySet<Axis> = new Set();

/** The free axes of `e`, as `freeAxes` gives them, memoised by node. */
export function axesIn(e: TensorExpr): ReadonlySet<Axis> {
  return e.kind === "const" || e.kind === "size" || e.kind === "arg" ? NO_AXES : axesWithin(e);
}
const axesWithin = perNode((e): ReadonlySet<Axis> => {
  let found: ReadonlySet<Axis> = NO_AXES;
  if (e.kind === "axis") found = new Set([e.axis]);
  else {
    for (const c of childrenOf(e)) {
      const more = axesIn(c);
      if (found.size === 0) found = more;
      else if (more.size > 0 && more !== found) {
        let grown: Set<Axis> | undefined;
        for (const a of more) {
          if (found.has(a)) continue;
          grown ??= new Set(found);
          grown.add(a);
        }
        if (grown) found = grown;
      }
    }
    if (e.kind === "reduce" && e.axes.some((a) => found.has(a))) {
      const less = new Set(found);
      for (const a of e.axes) less.delete(a);
      found = less;
    }
  }
  return found;
});

/** Every read node in `e`, reads within indices of reads included, each once; memoised for the roots that are asked for. */
export function readsIn(e: TensorExpr): readonly Read[] {
  return hasRead(e) ? readsWithin(e) : [];
}
const readsWithin = perNode((e): readonly Read[] => {
  const found: Read[] = [];
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x) || !hasRead(x)) return;
    seen.add(x);
    if (x.kind === "read") found.push(x);
    for (const c of childrenOf(x)) go(c);
  };
  go(e);
  return found;
});

/** Is there a read anywhere in it? */
export function hasRead(e: TensorExpr): boolean {
  if (e.kind === "read") return true;
  if (e.kind === "const" || e.kind === "size" || e.kind === "arg" || e.kind === "axis") return false;
  return anyRead(e);
}
const anyRead = perNode((e) => childrenOf(e).some(hasRead));

/** Does a reduce occur anywhere in it? */
export function hasReduce(e: TensorExpr): boolean {
  if (e.kind === "reduce") return true;
  if (e.kind === "const" || e.kind === "size" || e.kind === "arg" || e.kind === "axis") return false;
  return anyReduce(e);
}
const anyReduce = perNode((e) => childrenOf(e).some(hasReduce));

/** The number of distinct nodes of some expressions together; stops counting past `limit`. */
export function countNodes(list: readonly TensorExpr[], limit: number = Number.POSITIVE_INFINITY): number {
  const seen = new Set<TensorExpr>();
  const stack = [...list];
  for (let e = stack.pop(); e; e = stack.pop()) {
    if (seen.has(e)) continue;
    seen.add(e);
    if (seen.size > limit) return seen.size;
    for (const c of childrenOf(e)) stack.push(c);
  }
  return seen.size;
}

// ---- Rebuilding expressions -----------------------------------------------------------------------------------------

/** Replaces axes everywhere, those that reduces bind included. Axes not in the map stay. */
export function renameAxes(e: TensorExpr, to: ReadonlyMap<Axis, Axis>): TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    if (x.kind === "const" || x.kind === "size" || x.kind === "arg") return x;
    const old = memo.get(x);
    if (old) return old;
    let made: TensorExpr;
    if (x.kind === "axis") {
      const a = to.get(x.axis);
      made = a ? axisRef(a) : x;
    } else if (x.kind === "reduce" && x.axes.some((a) => to.has(a))) {
      made = reduce(
        x.monoid,
        x.axes.map((a) => to.get(a) ?? a),
        x.values.map(go),
        x.slot,
      );
    } else made = mapChildren(x, go);
    memo.set(x, made);
    return made;
  };
  return go(e);
}

/** New axes of the same names and extents. */
export function freshAxes(axes: readonly Axis[], into: Map<Axis, Axis>): readonly Axis[] {
  return axes.map((a) => {
    const made = axis(a.name, a.extent);
    into.set(a, made);
    return made;
  });
}

/** Replaces every read by what `onRead` makes of it, its indices replaced already. Memoises in `memo`. */
export function mapReads(
  e: TensorExpr,
  onRead: (r: Read) => TensorExpr,
  memo: Map<TensorExpr, TensorExpr> = new Map(),
): TensorExpr {
  const go = (x: TensorExpr): TensorExpr => {
    if (!hasRead(x)) return x;
    const old = memo.get(x);
    if (old) return old;
    const inner = mapChildren(x, go);
    const made = inner.kind === "read" ? onRead(inner) : inner;
    memo.set(x, made);
    return made;
  };
  return go(e);
}

/** The definition with its scalar expressions mapped; the same object if none changed. */
export function mapExpressions(
  d: Definition,
  f: (e: TensorExpr) => TensorExpr,
  onRef: (r: TensorRef) => TensorRef = (r) => r,
): Definition {
  const o = { name: d.name, span: d.span, epoch: d.epoch };
  switch (d.kind) {
    case "input":
    case "carry":
      return d;
    case "map": {
      const results = d.results.map(f);
      return results.every((e, i) => e === d.results[i]) ? d : mapDef(d.axes, results, o);
    }
    case "scan": {
      const values = d.values.map(f);
      return values.every((e, i) => e === d.values[i]) ? d : scanDef(d.axes, d.along, d.monoid, values, o);
    }
    case "scatter": {
      const at = d.at.map(f);
      const values = d.values.map(f);
      const into = d.into?.map(onRef);
      const same =
        at.every((e, i) => e === d.at[i]) &&
        values.every((e, i) => e === d.values[i]) &&
        (into ?? []).every((r, i) => r.tensor === d.into?.[i]?.tensor && r.slot === d.into?.[i]?.slot);
      return same ? d : scatterDef(d.axes, d.monoid, d.domain, at, values, d.initial, into, o);
    }
    default:
      return d satisfies never;
  }
}

/** The definition under another name or in another epoch. */
export function redefined(d: Definition, o: { readonly name?: string; readonly epoch?: number }): Definition {
  const options = { name: o.name ?? d.name, span: d.span, epoch: o.epoch ?? d.epoch };
  switch (d.kind) {
    case "input":
    case "carry":
      return d;
    case "map":
      return mapDef(d.axes, d.results, options);
    case "scan":
      return scanDef(d.axes, d.along, d.monoid, d.values, options);
    case "scatter":
      return scatterDef(d.axes, d.monoid, d.domain, d.at, d.values, d.initial, d.into, options);
    default:
      return d satisfies never;
  }
}

// ---- Rebuilding programs --------------------------------------------------------------------------------------------

/** Adds a definition to the steps before the one that is being visited. */
export type Emit = (d: Definition) => void;
/** What stands for each slot of the visited definition from now on; `emit` what must be a step. */
export type Visit = (d: Definition, emit: Emit, original: Definition) => readonly TensorRef[];

/** All slots of `d` itself. */
export function slotsOf(d: Definition): readonly TensorRef[] {
  return d.types.map((_, slot) => ({ tensor: d, slot }));
}

/**
 * Rebuilds a program in order. `visit` sees each definition after its reads were redirected to what stands for their
 * producers, emits the steps to keep, and says what stands for its slots. `through`, if given, may replace a redirected
 * read by another expression (inlining). Results and loops are redirected likewise. `stands` says what stands for definitions that
 * the program has from elsewhere; what stands for its own is added.
 */
export function rewriteProgram(
  p: Program,
  visit: Visit,
  through?: (r: Read) => TensorExpr,
  stands: Map<Definition, readonly TensorRef[]> = new Map(),
): Program {
  const memo = new Map<TensorExpr, TensorExpr>();
  const onRef = (r: TensorRef): TensorRef => stands.get(r.tensor)?.[r.slot] ?? r;
  const onRead = (r: Read): TensorExpr => {
    const to = stands.get(r.tensor)?.[r.slot];
    const made = to && (to.tensor !== r.tensor || to.slot !== r.slot) ? read(to.tensor, to.slot, r.at, r.fill) : r;
    return through ? through(made) : made;
  };
  // Until something stands for another there is nothing to redirect.
  let moved = through !== undefined || stands.size > 0;
  const onExpr = (e: TensorExpr): TensorExpr => mapReads(e, onRead, memo);
  const onSteps = (steps: readonly Step[]): readonly Step[] => {
    const out: Step[] = [];
    for (const s of steps) {
      if (s.kind === "loop") out.push(onLoop(s));
      else {
        const refs = visit(moved ? mapExpressions(s, onExpr, onRef) : s, (d) => out.push(d), s);
        stands.set(s, refs);
        moved ||= refs.some((r, slot) => r.tensor !== s || r.slot !== slot);
      }
    }
    return out;
  };
  const onLoop = (s: LoopStep): LoopStep => {
    const carries = s.carries.map((c) => ({ carry: c.carry, init: onRef(c.init) }));
    const given = s.rule?.arguments.map((a) => ({ name: a.name, value: onRef(a.value) })) ?? [];
    const body = onSteps(s.body);
    return {
      ...s,
      body,
      carries: s.carries.map((c, i) => ({ carry: c.carry, init: carries[i]?.init ?? c.init, next: onRef(c.next) })),
      stacks: s.stacks.map((k) => ({ stack: k.stack, value: onRef(k.value) })),
      until: s.until && onRef(s.until),
      ...(s.rule && { rule: { ...s.rule, arguments: given } }),
    };
  };
  const steps = onSteps(p.steps);
  return { ...p, steps, results: p.results.map((r) => ({ name: r.name, ...onRef(r) })) };
}

/** Every definition that a program computes, loop bodies included, in order. */
export function definitionsOf(p: Program): readonly Definition[] {
  const out: Definition[] = [];
  const go = (steps: readonly Step[]): void => {
    for (const s of steps) {
      if (s.kind === "loop") go(s.body);
      else out.push(s);
    }
  };
  go(p.steps);
  return out;
}

/** The slots that must exist as tensors whoever reads them: results, what loops carry, what scatters start from. */
export function anchorsOf(p: Program): ReadonlyMap<Definition, ReadonlySet<number>> {
  const found = new Map<Definition, Set<number>>();
  const add = (r: TensorRef): void => {
    const old = found.get(r.tensor);
    if (old) old.add(r.slot);
    else found.set(r.tensor, new Set([r.slot]));
  };
  for (const r of p.results) add(r);
  const go = (steps: readonly Step[]): void => {
    for (const s of steps) {
      if (s.kind === "scatter") for (const r of s.into ?? []) add(r);
      if (s.kind !== "loop") continue;
      for (const c of s.carries) {
        add(c.init);
        add(c.next);
      }
      for (const k of s.stacks) add(k.value);
      if (s.until) add(s.until);
      for (const a of s.rule?.arguments ?? []) add(a.value);
      go(s.body);
    }
  };
  go(p.steps);
  return found;
}

/** For each definition the definitions that read it, each once, in order (loop bodies included). */
export function readersOf(definitions: readonly Definition[]): ReadonlyMap<Definition, readonly Definition[]> {
  const found = new Map<Definition, Definition[]>();
  for (const d of definitions) {
    const seen = new Set<Definition>();
    for (const e of expressionsOf(d)) for (const r of readsIn(e)) seen.add(r.tensor);
    if (d.kind === "scatter") for (const r of d.into ?? []) seen.add(r.tensor);
    for (const t of seen) {
      const old = found.get(t);
      if (old) old.push(d);
      else found.set(t, [d]);
    }
  }
  return found;
}
