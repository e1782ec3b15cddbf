/**
 * The first half of fusion: which definitions are computed at the same points, one kernel each group. A map that reads a
 * group's values at its own point joins it (epilogue, row); reductions over equal parallel axes become one row. Whether a
 * member is stored, or evaluated again by its readers, is decided afterwards (fuse-place.ts).
 */
import { ONE } from "../../ir/extent.ts";
import {
  type Axis,
  axisRef,
  type Definition,
  expressionsOf,
  type MapDef,
  type Program,
  type Read,
  type Reduce,
  type ScanDef,
  type ScatterDef,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { simplifyIndex } from "../passes/affine.ts";
import { substitute } from "../passes/inline.ts";
import { reductionOf } from "../passes/lift.ts";
import { countNodes, readsIn } from "../passes/rewrite.ts";
import { bytesOf, elementsOf, points } from "./cost.ts";
import { type Operands, operandsOf } from "./fuse-operands.ts";
import { identityPlacement, type Placement, place } from "./fuse-point.ts";
import type { Decision } from "./region.ts";

export interface FuseLimits {
  /** Storage buffers of one kernel. */
  readonly maxStorageBuffers: number;
}

export type Computed = MapDef | ScanDef | ScatterDef;

export interface Member {
  readonly def: Computed;
  /** The reduction, if the member is one. */
  readonly root: Reduce | undefined;
  placement: Placement;
}

export interface Group {
  readonly id: number;
  kind: "elementwise" | "row" | "contraction" | "scan" | "scatter";
  axes: readonly Axis[];
  members: Member[];
  /** Of a contraction. */
  operands: Operands | undefined;
  /** What members read from outside, direct reads only. */
  reads: ReadonlySet<Definition>;
  /** The same by result: what would be bound. */
  refs: ReadonlyMap<string, Definition>;
  /** Groups that those belong to. */
  deps: Set<Group>;
  nodes: number;
  first: number;
  last: number;
  /** The group that this one was merged into. */
  into: Group | undefined;
}

export interface Grouping {
  readonly definitions: readonly Computed[];
  readonly groupOf: Map<Definition, Group>;
  readonly memberOf: Map<Definition, Member>;
  readonly position: ReadonlyMap<Definition, number>;
  /** Maps that must be stored because a reader could not take them in. */
  readonly forced: Set<Definition>;
  readonly decisions: Decision[];
  readonly limits: FuseLimits;
}

/** Distinct nodes that one kernel may evaluate for an element. */
export const MOST_NODES = 256;
/** Row elements a parallel point beyond which one kernel a row would leave the machine idle. */
const SERIAL = 4096;

export function find(g: Group): Group {
  let at = g;
  while (at.into) at = at.into;
  return at;
}

export function groupDefinitions(program: Program, limits: FuseLimits, strict: boolean): Grouping {
  const definitions = program.steps.filter(
    (s): s is Computed => s.kind === "map" || s.kind === "scan" || s.kind === "scatter",
  );
  const g: Grouping = {
    definitions,
    groupOf: new Map(),
    memberOf: new Map(),
    position: new Map(definitions.map((d, i) => [d, i])),
    forced: new Set(),
    decisions: [],
    limits,
  };
  for (const d of definitions) assign(g, d, strict);
  return g;
}

function assign(g: Grouping, d: Computed, strict: boolean): void {
  const root = d.kind === "map" ? reductionOf(d) : undefined;
  if (d.kind === "scan" || d.kind === "scatter") {
    begin(g, d, d.kind, undefined);
    return;
  }
  if (root) {
    const operands = operandsOf(d, root, strict);
    if (operands) {
      begin(g, d, "contraction", root, operands);
      return;
    }
  }
  const candidates = candidatesOf(g, d, root);
  for (const c of candidates) {
    const others = candidates.filter((o) => o !== c && o.group.kind === "row" && c.group.kind === "row");
    if (!join(g, d, root, c)) continue;
    for (const o of others) mergeRows(g, find(c.group), find(o.group), d);
    return;
  }
  begin(g, d, root ? "row" : "elementwise", root);
}

function begin(g: Grouping, d: Computed, kind: Group["kind"], root: Reduce | undefined, operands?: Operands): void {
  const at = g.position.get(d) ?? 0;
  const member: Member = { def: d, root, placement: identityPlacement(d.axes) };
  const reads = directReads(d);
  const group: Group = {
    id: at, kind, axes: d.axes, members: [member], operands, reads, refs: directRefs(d), deps: new Set(), nodes: countNodes(expressionsOf(d)),
    first: at, last: at, into: undefined,
  }; // biome-ignore format: one record
  for (const r of reads) {
    const dep = g.groupOf.get(r);
    if (dep) group.deps.add(find(dep));
  }
  g.groupOf.set(d, group);
  g.memberOf.set(d, member);
}

const refsMemo = new WeakMap<Definition, ReadonlyMap<string, Definition>>();
const readsMemo = new WeakMap<Definition, ReadonlySet<Definition>>();
export function directReads(d: Definition): ReadonlySet<Definition> {
  const old = readsMemo.get(d);
  if (old) return old;
  const found = new Set(directRefs(d).values());
  readsMemo.set(d, found);
  return found;
}
/** Every result that `d` reads, by `definition.slot`: a storage buffer each. */
export function directRefs(d: Definition): ReadonlyMap<string, Definition> {
  const old = refsMemo.get(d);
  if (old) return old;
  const found = new Map<string, Definition>();
  for (const e of expressionsOf(d)) for (const r of readsIn(e)) found.set(`${r.tensor.id}.${r.slot}`, r.tensor);
  if (d.kind === "scatter") for (const r of d.into ?? []) found.set(`${r.tensor.id}.${r.slot}`, r.tensor);
  refsMemo.set(d, found);
  return found;
}
/** Without what the members of a group compute themselves. */
function outside(
  refs: Iterable<readonly [string, Definition]>,
  isOwn: (d: Definition) => boolean,
): Map<string, Definition> {
  const found = new Map<string, Definition>();
  for (const [key, d] of refs) if (!isOwn(d)) found.set(key, d);
  return found;
}

interface Candidate {
  readonly group: Group;
  readonly placement: Placement;
  /** Bytes of the group's values that need not pass through memory for `d`. */
  readonly saved: number;
  readonly from: Definition;
}

const ORDER: Readonly<Record<Group["kind"], number>> = { contraction: 0, scan: 0, row: 1, elementwise: 2, scatter: 3 };

/** Groups whose values `d` reads at its own point only. */
function candidatesOf(g: Grouping, d: MapDef, root: Reduce | undefined): readonly Candidate[] {
  const coords = new Map<Group, { at: readonly TensorExpr[] | undefined; saved: number; from: Definition }>();
  const seen = new Set<string>();
  for (const e of d.results)
    for (const r of readsIn(e)) {
      const of = g.groupOf.get(r.tensor);
      if (!of) continue;
      const group = find(of);
      const at = coordsOf(g, group, r);
      const old = coords.get(group);
      const key = `${r.tensor.id}.${r.slot}`;
      const saved = seen.has(key) ? 0 : bytesOf({ tensor: r.tensor, slot: r.slot });
      seen.add(key);
      if (!old) coords.set(group, { at, saved, from: r.tensor });
      else
        coords.set(group, {
          at: old.at && at && sameCoords(group, old.at, at) ? old.at : undefined,
          saved: old.saved + saved,
          from: old.from,
        });
    }
  const found: Candidate[] = [];
  for (const [group, c] of coords) {
    if (group.kind === "scatter") continue;
    if (root && group.kind !== "row") continue;
    const placement = c.at && place(c.at, d.axes, group.axes);
    const exact = placement && placement.extra.length === 0;
    const fits =
      placement &&
      (group.kind === "row"
        ? !root || (exact && inOrder(placement, d, group))
        : group.kind === "elementwise"
          ? exact && inOrder(placement, d, group)
          : exact);
    if (placement && fits) found.push({ group, placement, saved: c.saved, from: c.from });
    else if (group.kind === "row" && (root || !c.at)) decide(g, c.from, d, "row", "other-row", 0);
  }
  const at = (c: Candidate): number => c.group.last;
  return found.sort((x, y) => ORDER[x.group.kind] - ORDER[y.group.kind] || y.saved - x.saved || at(y) - at(x));
}

/** The group's point at which `r` reads one of its members, in the reader's axes; undefined if it may read outside. */
function coordsOf(g: Grouping, group: Group, r: Read): readonly TensorExpr[] | undefined {
  const m = g.memberOf.get(r.tensor);
  if (!m || r.fill) return undefined;
  const bind = new Map<Axis, TensorExpr>();
  m.def.axes.forEach((a, i) => {
    bind.set(a, r.at[i] ?? axisRef(a));
  });
  return m.placement.coords.map((c, i) => (group.axes[i]?.extent === ONE ? c : simplifyIndex(substitute(c, bind))));
}
function sameCoords(group: Group, x: readonly TensorExpr[], y: readonly TensorExpr[]): boolean {
  return group.axes.every((a, i) => a.extent === ONE || x[i] === y[i]);
}
/** Elementwise groups take in maps over the same axes in the same order only. */
function inOrder(p: Placement, d: MapDef, group: Group): boolean {
  return (
    d.axes.length === group.axes.length &&
    d.axes.every(
      (a, i) =>
        a.extent === group.axes[i]?.extent &&
        (a.extent === ONE || (p.coords[i]?.kind === "axis" && p.coords[i].axis === a)),
    )
  );
}

function decide(
  g: Grouping,
  from: Definition,
  to: Definition,
  kind: Decision["kind"],
  code: Decision["code"],
  bytesSaved: number,
  opsAdded = 0,
): void {
  g.decisions.push({ edge: [from.name, to.name], kind, code, bytesSaved, opsAdded });
}

/** Adds `d` to the candidate's group unless a rule forbids it, and says so. */
function join(g: Grouping, d: MapDef, root: Reduce | undefined, c: Candidate): boolean {
  const group = c.group;
  const kind: Decision["kind"] = group.kind === "row" ? "row" : "epilogue";
  const reads = directReads(d);
  const refuse = (code: Decision["code"]): false => {
    decide(g, c.from, d, kind, code, 0);
    return false;
  };
  for (const r of reads) {
    const other = g.groupOf.get(r);
    if (other && find(other) !== group && dependsOn(find(other), group)) return refuse("cycle");
  }
  const nodes = countNodes(d.results);
  const external = new Set(group.reads);
  for (const r of reads) if (!isMember(g, r, group)) external.add(r);
  const refs = outside([...group.refs, ...directRefs(d)], (r) => isMember(g, r, group));
  if (refs.size + 1 > g.limits.maxStorageBuffers) {
    force(g, d, group);
    return refuse("bindings");
  }
  if (group.nodes + nodes > MOST_NODES) {
    force(g, d, group);
    return refuse("size");
  }
  if (group.kind === "row") {
    const length = Math.max(rowLength(group), points(root?.axes ?? []), points(c.placement.extra));
    if ((root || c.placement.extra.length > 0) && isSerial(length, group.axes)) return refuse("parallelism");
  }
  const at = g.position.get(d) ?? 0;
  const member: Member = { def: d, root, placement: c.placement };
  group.members.push(member);
  group.reads = external;
  group.refs = refs;
  group.nodes += nodes;
  group.last = Math.max(group.last, at);
  for (const r of external) {
    const dep = g.groupOf.get(r);
    if (dep && find(dep) !== group) group.deps.add(find(dep));
  }
  g.groupOf.set(d, group);
  g.memberOf.set(d, member);
  decide(g, c.from, d, kind, "fused", c.saved);
  return true;
}

function isMember(g: Grouping, d: Definition, group: Group): boolean {
  const of = g.groupOf.get(d);
  return of !== undefined && find(of) === group;
}

function isSerial(length: number, rows: readonly Axis[]): boolean {
  return length > SERIAL * Math.max(1, points(rows));
}

/** The longest line of one point of a row: a reduction's or a stored map's. */
function rowLength(group: Group): number {
  let most = 1;
  for (const m of group.members) most = Math.max(most, points(m.root?.axes ?? []), points(m.placement.extra));
  return most;
}

/** What `d` reads of a group that it could not join is stored: evaluating it again would bring the same limit back. */
function force(g: Grouping, d: MapDef, group: Group): void {
  for (const r of directReads(d)) if (isMember(g, r, group)) g.forced.add(r);
}

/** Does `h` need `g`'s results, directly or through others? */
export function dependsOn(h: Group, g: Group): boolean {
  if (h === g) return true;
  const seen = new Set<Group>();
  const stack = [h];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (seen.has(x)) continue;
    seen.add(x);
    for (const dep of x.deps) {
      const y = find(dep);
      if (y === g) return true;
      if (y !== x && y.last > g.first) stack.push(y);
    }
  }
  return false;
}

/** Merges row `h` into `g` where both give values to `d` at its own point. */
function mergeRows(g: Grouping, group: Group, h: Group, d: MapDef): void {
  if (group === h || group.kind !== "row" || h.kind !== "row") return;
  const own = g.memberOf.get(d)?.placement.coords;
  const read = [...d.results.flatMap((e) => readsIn(e))].find((r) => isMember(g, r.tensor, h));
  const theirs = read && coordsOf(g, h, read);
  if (!own || !theirs) return;
  // Which of g's axes each of h's is.
  const match = h.axes.map((a, j) =>
    group.axes.findIndex((p, i) =>
      a.extent === ONE ? p.extent === ONE : own[i] === theirs[j] && p.extent === a.extent,
    ),
  );
  // A reduction's values on chip go by the region's axes in their order.
  if (h.axes.length !== group.axes.length || match.some((i, j) => i !== j)) return;
  mergeGroups(g, group, h, read.tensor, d, "row");
}

/** Moves h's members into `group`, axis by axis. False, and told, if a rule forbids it. */
export function mergeGroups(
  g: Grouping,
  group: Group,
  h: Group,
  from: Definition,
  to: Definition,
  kind: Decision["kind"],
): boolean {
  const refuse = (code: Decision["code"]): false => {
    decide(g, from, to, kind, code, 0);
    return false;
  };
  if (throughOthers(group, h) || throughOthers(h, group)) return refuse("cycle");
  const reads = new Set<Definition>();
  for (const r of [...group.reads, ...h.reads]) if (!isMember(g, r, group) && !isMember(g, r, h)) reads.add(r);
  const refs = outside([...group.refs, ...h.refs], (r) => isMember(g, r, group) || isMember(g, r, h));
  if (refs.size + 1 > g.limits.maxStorageBuffers) return refuse("bindings");
  if (group.nodes + h.nodes > MOST_NODES) return refuse("size");
  // Only a reduction that is alone can be cut into parts.
  if (group.kind === "row" && isSerial(Math.max(rowLength(group), rowLength(h)), group.axes))
    return refuse("parallelism");
  const shared = [...h.reads].filter((r) => group.reads.has(r)).reduce((sum, r) => sum + elementsOf(r) * 4, 0);
  const rename = new Map<Axis, TensorExpr>();
  h.axes.forEach((a, j) => {
    const p = group.axes[j];
    if (p) rename.set(a, axisRef(p));
  });
  for (const m of h.members) {
    const bind = new Map([...m.placement.bind].map(([a, e]) => [a, simplifyIndex(substitute(e, rename))]));
    m.placement = { coords: m.placement.coords, bind, extra: m.placement.extra };
  }
  group.members = [...group.members, ...h.members].sort(
    (x, y) => (g.position.get(x.def) ?? 0) - (g.position.get(y.def) ?? 0),
  );
  group.reads = reads;
  group.refs = refs;
  group.nodes += h.nodes;
  group.first = Math.min(group.first, h.first);
  group.last = Math.max(group.last, h.last);
  h.into = group;
  const deps = new Set<Group>();
  for (const dep of [...group.deps, ...h.deps]) if (find(dep) !== group) deps.add(find(dep));
  group.deps = deps;
  decide(g, from, to, kind, "fused", shared);
  return true;
}

/** Does `h` need `g` by way of a third group? */
function throughOthers(h: Group, g: Group): boolean {
  for (const dep of h.deps) {
    const x = find(dep);
    if (x !== g && x !== h && dependsOn(x, g)) return true;
  }
  return false;
}
