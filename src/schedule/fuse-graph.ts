/** Groups of definitions that one kernel will compute, and what is asked of them throughout fusion. */
import { ONE } from "../../ir/extent.ts";
import {
  type Axis,
  axisRef,
  type Definition,
  expressionsOf,
  type MapDef,
  type Read,
  type Reduce,
  type ScanDef,
  type ScatterDef,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { simplifyIndex } from "../passes/affine.ts";
import { substitute } from "../passes/inline.ts";
import { readsIn } from "../passes/rewrite.ts";
import { points } from "./cost.ts";
import type { Operands } from "./fuse-operands.ts";
import type { Placement } from "./fuse-point.ts";
import type { OnlineCluster } from "./fuse-scores.ts";
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
  kind: "elementwise" | "row" | "contraction" | "online" | "scan" | "scatter";
  axes: readonly Axis[];
  members: Member[];
  /** Of a contraction. */
  operands: Operands | undefined;
  /** Of a weighted sum in one pass: what it was found to be. */
  online: OnlineCluster | undefined;
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
  /** A cluster that could not stay together in one kernel, where there was one: grouping begins again without it. */
  refused: OnlineCluster | undefined;
}

/** Distinct nodes that one kernel may evaluate for an element. */
export const MOST_NODES = 256;
/** Row elements a parallel point beyond which one kernel a row would leave the machine idle. */
export const SERIAL = 4096;

export function find(g: Group): Group {
  let at = g;
  while (at.into) at = at.into;
  return at;
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
export function outside(
  refs: Iterable<readonly [string, Definition]>,
  isOwn: (d: Definition) => boolean,
): Map<string, Definition> {
  const found = new Map<string, Definition>();
  for (const [key, d] of refs) if (!isOwn(d)) found.set(key, d);
  return found;
}

/** The group's point at which `r` reads one of its members, in the reader's axes; undefined if it may read outside. */
export function coordsOf(g: Grouping, group: Group, r: Read): readonly (TensorExpr | undefined)[] | undefined {
  const m = g.memberOf.get(r.tensor);
  if (!m || r.fill) return undefined;
  const bind = new Map<Axis, TensorExpr>();
  m.def.axes.forEach((a, i) => {
    bind.set(a, r.at[i] ?? axisRef(a));
  });
  return m.placement.coords.map((c, i) =>
    c === undefined || group.axes[i]?.extent === ONE ? c : simplifyIndex(substitute(c, bind)),
  );
}
/** One point that two reads agree on, axis by axis; an axis that a value does not have is the other's to say. */
export function sameCoords(
  group: Group,
  x: readonly (TensorExpr | undefined)[],
  y: readonly (TensorExpr | undefined)[],
): readonly (TensorExpr | undefined)[] | undefined {
  const agree = group.axes.every((a, i) => a.extent === ONE || !x[i] || !y[i] || x[i] === y[i]);
  return agree ? group.axes.map((_, i) => x[i] ?? y[i]) : undefined;
}
export function decide(
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

export function isMember(g: Grouping, d: Definition, group: Group): boolean {
  const of = g.groupOf.get(d);
  return of !== undefined && find(of) === group;
}

export function isSerial(length: number, rows: readonly Axis[]): boolean {
  return length > SERIAL * Math.max(1, points(rows));
}

/** Of all its members: what is computed again for a derivative must not be computed with what it was first. */
export function epochOf(group: Group): number {
  return group.members[0]?.def.epoch ?? 0;
}

/** The longest line of one point of a row: a reduction's or a stored map's. */
export function rowLength(group: Group): number {
  let most = 1;
  for (const m of group.members) most = Math.max(most, points(m.root?.axes ?? []), points(m.placement.extra));
  return most;
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
      // Positions do not prune this: a group that was merged may hold a later member, which needs `g`, behind an early `y`.
      if (y !== x) stack.push(y);
    }
  }
  return false;
}

/** Does `h` need `g` by way of a third group? */
export function throughOthers(h: Group, g: Group): boolean {
  for (const dep of h.deps) {
    const x = find(dep);
    if (x !== g && x !== h && dependsOn(x, g)) return true;
  }
  return false;
}
