/**
 * Regions out of groups, from the last to the first, so that a kernel writes exactly what later ones and the results read.
 * Every expression is brought to the region's own axes and what is not in memory is substituted.
 */
import {
  type Axis,
  axisRef,
  type Definition,
  i32,
  mapChildren,
  type Program,
  type Read,
  type Reduce,
  read,
  reduce,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { normalIndices, readThrough, substitute } from "../passes/inline.ts";
import { countNodes, hasRead, readsIn } from "../passes/rewrite.ts";
import type { Group, Grouping, Member } from "./fuse-graph.ts";
import { swapOperands } from "./fuse-operands.ts";
import { expressionsOfParts } from "./fuse-scores.ts";
import { type OnlineParts, type PlacedMap, type Region, type RowPhase, statesOf } from "./region.ts";

export type RefKey = string;
export function keyOf(r: TensorRef): RefKey {
  return `${r.tensor.id}.${r.slot}`;
}

export interface Build {
  readonly grouping: Grouping;
  readonly program: Program;
  /** Maps without reduction that live in memory; grows when a region would read too many buffers. */
  readonly stored: Set<Definition>;
  /** What must be in memory for what comes later, by key. */
  readonly needed: Map<RefKey, TensorRef>;
}

/** The region of a group, or undefined if nothing of it is needed in memory. */
export function buildRegion(b: Build, group: Group): Region | undefined {
  const { members } = group;
  const stores: TensorRef[] = [];
  for (const m of members)
    m.def.types.forEach((_, slot) => {
      const ref = { tensor: m.def, slot };
      if (b.needed.has(keyOf(ref))) stores.push(ref);
    });
  if (stores.length === 0) return undefined;
  const names = new Set(stores.map((s) => s.tensor));
  const x = expander(b, group, members);
  const body = bodyOf(group, members, names, x);
  return { ...body, name: stores[stores.length - 1]?.tensor.name ?? "region", stores, reads: readsOfRegion(body) };
}

type Expand = (e: TensorExpr, bind: ReadonlyMap<Axis, TensorExpr>) => TensorExpr;

function expander(b: Build, group: Group, members: readonly Member[]): Expand {
  const own = new Map<Definition, Member>(members.map((m) => [m.def, m]));
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (e: TensorExpr): TensorExpr => {
    if (!hasRead(e)) return e;
    const old = memo.get(e);
    if (old) return old;
    const inner = mapChildren(e, go);
    const made = inner.kind === "read" ? onRead(inner) : inner;
    memo.set(e, made);
    return made;
  };
  const onRead = (was: Read): TensorExpr => {
    const r = normalIndices(was);
    const t = r.tensor;
    const member = own.get(t);
    const body = t.kind === "map" ? t.results[r.slot] : undefined;
    if (t.kind === "map" && body && body.kind !== "reduce" && (member || !b.stored.has(t))) {
      const anywhere = b.grouping.memberOf.get(t);
      if (anywhere && !anywhere.root) return go(readThrough(body, t.axes, r.at, r.fill));
    }
    // Held on chip: at this point, whatever its index was written as.
    const held = group.online && pointOf(group.online, t);
    if (member && held) return read(t, r.slot, held);
    if (member && (member.root || t.kind === "scan")) return read(t, r.slot, group.axes.map(axisRef));
    return r;
  };
  return (e, bind) => go(substitute(e, bind));
}

type Body<R> = R extends Region ? Omit<R, "name" | "stores" | "reads"> : never;

function bodyOf(group: Group, members: readonly Member[], stored: ReadonlySet<Definition>, x: Expand): Body<Region> {
  switch (group.kind) {
    case "elementwise": {
      // The axes of what is stored, so that it is written in its own order.
      return { kind: "elementwise", axes: group.axes, maps: placed(group, members, stored, x) };
    }
    case "row":
      return { kind: "row", axes: group.axes, phases: phases(group, members, stored, x) };
    case "contraction": {
      const [first] = members;
      const def = first?.def;
      if (!first?.root || def?.kind !== "map" || !group.operands)
        throw new Error("a contraction without its reduction");
      const epilogue = placed(group, members.slice(1), stored, x);
      const o = operandOrder(group, members, stored);
      const none = new Map<Axis, TensorExpr>();
      const values = first.root.values.map((v) => x(v, none));
      const whole: Reduce = reduce(first.root.monoid, first.root.axes, values, 0);
      return {
        kind: "contraction", def, reduce: whole, batch: o.batch, m: o.m, n: o.n, k: o.k,
        a: x(o.a, none), b: x(o.b, none), body: o.body, epilogue,
      }; // biome-ignore format: one record
    }
    case "online":
      return onlineBody(group, members, stored, x);
    case "scan":
    case "scatter": {
      // What they read in place of a stored map was substituted in the definition itself, before grouping.
      const def = members[0]?.def;
      if (def?.kind === "scan") return { kind: "scan", def, epilogue: placed(group, members.slice(1), stored, x) };
      if (def?.kind === "scatter") return { kind: "scatter", def };
      throw new Error("a region without its definition");
    }
    default:
      return group.kind satisfies never;
  }
}

/** At which point of the region its own reductions are read. */
function pointOf(o: OnlineParts, t: Definition): readonly TensorExpr[] | undefined {
  if (t === o.def) return t.axes.map(axisRef);
  return [...statesOf(o), ...o.scores].find((s) => s.def === t)?.point;
}

function onlineBody(
  group: Group,
  members: readonly Member[],
  stored: ReadonlySet<Definition>,
  x: Expand,
): Body<Region> {
  const o = group.online;
  if (!o) throw new Error("a weighted sum without its parts");
  const none = new Map<Axis, TensorExpr>();
  const again = (r: Reduce): Reduce =>
    reduce(
      r.monoid,
      r.axes,
      r.values.map((v) => x(v, none)),
      0,
    );
  const epilogue = placed(group, members, stored, x);
  const used = new Set<Definition>(stored);
  for (const m of epilogue) for (const e of m.results) for (const r of readsIn(e)) used.add(r.tensor);
  return {
    kind: "online", def: o.def, reduce: again(o.reduce), batch: o.batch, m: o.m, n: o.n, k: o.k,
    scores: o.scores.map((s) => ({ ...s, a: x(s.a, none), b: x(s.b, none), reduce: again(s.reduce) })),
    peak: o.peak && { ...o.peak, reduce: again(o.peak.reduce) },
    sums: o.sums.filter((s) => used.has(s.def)).map((s) => ({ ...s, reduce: again(s.reduce) })),
    weight: x(o.weight, none), value: x(o.value, none), epilogue,
  }; // biome-ignore format: one record
}

/** N is the side of the innermost axis of what is written, so that neighbours in N are neighbours in memory. */
function operandOrder(
  group: Group,
  members: readonly Member[],
  stored: ReadonlySet<Definition>,
): NonNullable<Group["operands"]> {
  const o = group.operands;
  if (!o) throw new Error("a contraction without operands");
  const last = members.filter((m) => stored.has(m.def)).at(-1) ?? members[0];
  const axes = last?.def.axes ?? [];
  for (let i = axes.length - 1; i >= 0; i--) {
    const a = axes[i];
    const index = a && last?.placement.bind.get(a);
    if (!index) continue;
    // The region's axis that moves fastest along it.
    const inner = index.kind === "axis" ? index.axis : innermost(index);
    if (inner && o.n.includes(inner)) return o;
    if (inner && o.m.includes(inner)) return swapOperands(o);
  }
  return o;
}
function innermost(index: TensorExpr): Axis | undefined {
  if (index.kind === "axis") return index.axis;
  if (index.kind === "apply" && index.prim === "add") for (const a of index.args) if (a.kind === "axis") return a.axis;
  return undefined;
}

function placed(
  group: Group,
  members: readonly Member[],
  stored: ReadonlySet<Definition>,
  x: Expand,
): readonly PlacedMap[] {
  const out: PlacedMap[] = [];
  for (const m of members) {
    if (m.def.kind !== "map" || m.root || !stored.has(m.def)) continue;
    const point = m.def.axes.map((a) => m.placement.bind.get(a) ?? i32(0));
    const same =
      point.length === group.axes.length &&
      point.every(
        (e, i) =>
          (e.kind === "axis" && e.axis === group.axes[i]) || (e.kind === "const" && group.axes[i]?.extent.value === 1),
      );
    const results = m.def.results.map((e) => x(e, m.placement.bind));
    out.push(same ? { def: m.def, results } : { def: m.def, results, point });
  }
  return out;
}

function phases(
  _group: Group,
  members: readonly Member[],
  stored: ReadonlySet<Definition>,
  x: Expand,
): readonly RowPhase[] {
  const reduces: RowPhase[] = [];
  const stores: RowPhase[] = [];
  const used = new Set<Definition>(stored);
  const made = new Map<Member, RowPhase>();
  // From the last: a reduction that nothing on the way to a store reads is not computed.
  for (const m of [...members].reverse()) {
    const d = m.def;
    if (d.kind !== "map" || !used.has(d)) continue;
    if (m.root) {
      const r = m.root;
      const values = r.values.map((v) => x(v, m.placement.bind));
      made.set(m, { kind: "reduce", def: d, reduce: reduce(r.monoid, r.axes, values, 0) });
      for (const v of values) for (const q of readsIn(v)) used.add(q.tensor);
    } else if (stored.has(d)) {
      const results = d.results.map((e) => x(e, m.placement.bind));
      const point = d.axes.map((a) => m.placement.bind.get(a) ?? i32(0));
      made.set(m, { kind: "store", def: d, axes: m.placement.extra, results, point });
      for (const v of results) for (const q of readsIn(v)) used.add(q.tensor);
    }
  }
  for (const m of members) {
    const phase = made.get(m);
    if (phase) (phase.kind === "reduce" ? reduces : stores).push(phase);
  }
  return [...reduces, ...stores];
}

/** All expressions that a region evaluates. */
export function expressionsOfRegion(r: Body<Region> | Region): readonly TensorExpr[] {
  switch (r.kind) {
    case "elementwise":
      return r.maps.flatMap((m) => m.results);
    case "row":
      return r.phases.flatMap((p) => (p.kind === "reduce" ? p.reduce.values : p.results));
    case "contraction":
      return [r.a, ...(r.b ? [r.b] : []), ...r.epilogue.flatMap((m) => m.results)];
    case "online":
      return [...expressionsOfParts(r), ...r.epilogue.flatMap((m) => m.results)];
    case "scan":
      return [...r.def.values, ...r.epilogue.flatMap((m) => m.results)];
    case "scatter":
      return [...r.def.at, ...r.def.values];
    default:
      return r satisfies never;
  }
}

/** The reductions and scans whose values a region holds on chip. */
export function heldBy(r: Body<Region> | Region): ReadonlySet<Definition> {
  if (r.kind === "row") return new Set(r.phases.flatMap((p) => (p.kind === "reduce" ? [p.def] : [])));
  if (r.kind === "online") return new Set([r.def, ...[...statesOf(r), ...r.scores].map((s) => s.def)]);
  if (r.kind === "contraction" || r.kind === "scan") return new Set<Definition>([r.def]);
  return new Set();
}

function readsOfRegion(r: Body<Region>): readonly TensorRef[] {
  const held = heldBy(r);
  const found = new Map<RefKey, TensorRef>();
  for (const e of expressionsOfRegion(r))
    for (const q of readsIn(e)) {
      const ref = { tensor: q.tensor, slot: q.slot };
      if (!held.has(q.tensor)) found.set(keyOf(ref), ref);
    }
  if (r.kind === "scatter") for (const ref of r.def.into ?? []) found.set(keyOf(ref), ref);
  return [...found.values()];
}

/** Distinct nodes that a region evaluates. */
export function nodesOfRegion(r: Region): number {
  return countNodes(expressionsOfRegion(r));
}
