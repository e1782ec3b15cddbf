/**
 * The first half of fusion: which definitions are computed at the same points, one kernel each group. A map that reads a
 * group's values at its own point joins it (epilogue, row); reductions over equal parallel axes become one row. Whether a
 * member is stored, or evaluated again by its readers, is decided afterwards (fuse-place.ts).
 */
import { ONE } from "../../ir/extent.ts";
import {
  type Definition,
  expressionsOf,
  type MapDef,
  type Program,
  type Reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { reductionOf } from "../passes/lift.ts";
import { countNodes, readsIn } from "../passes/rewrite.ts";
import { bytesOf, points } from "./cost.ts";
import { claim } from "./fuse-claim.ts";
import {
  type Computed,
  coordsOf,
  decide,
  dependsOn,
  directReads,
  directRefs,
  epochOf,
  type FuseLimits,
  find,
  type Group,
  type Grouping,
  isMember,
  isSerial,
  type Member,
  MOST_NODES,
  outside,
  rowLength,
  sameCoords,
} from "./fuse-graph.ts";
import { mergeRows } from "./fuse-merge.ts";
import { type Operands, operandsOf } from "./fuse-operands.ts";
import { identityPlacement, type Placement, place } from "./fuse-point.ts";
import type { OnlineCluster } from "./fuse-scores.ts";
import type { Decision } from "./region.ts";

/** Groups the definitions of a program; `clusters` are computed together, unless that would make a cycle. */
export function groupDefinitions(
  program: Program,
  limits: FuseLimits,
  strict: boolean,
  clusters: readonly OnlineCluster[] = [],
): Grouping {
  const g = grouping(program, limits, strict, clusters);
  const { refused } = g;
  if (!refused) return g;
  const again = groupDefinitions(
    program,
    limits,
    strict,
    clusters.filter((c) => c !== refused),
  );
  const from = refused.peak ?? refused.scores[0];
  if (from) decide(again, from.def, refused.def, refused.peak ? "online" : "chain", "cycle", 0);
  return again;
}

function grouping(program: Program, limits: FuseLimits, strict: boolean, clusters: readonly OnlineCluster[]): Grouping {
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
    refused: undefined,
  };
  const claims = new Map<Definition, OnlineCluster>(clusters.flatMap((c) => c.members.map((m) => [m, c])));
  for (const d of definitions) {
    const c = claims.get(d);
    if (!c) assign(g, d, strict);
    else if (!claim(g, d, c)) return { ...g, refused: c };
  }
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
    id: at, kind, axes: d.axes, members: [member], operands, online: undefined, reads, refs: directRefs(d), deps: new Set(), nodes: countNodes(expressionsOf(d)),
    first: at, last: at, into: undefined,
  }; // biome-ignore format: one record
  for (const r of reads) {
    const dep = g.groupOf.get(r);
    if (dep) group.deps.add(find(dep));
  }
  g.groupOf.set(d, group);
  g.memberOf.set(d, member);
}

interface Candidate {
  readonly group: Group;
  readonly placement: Placement;
  /** Bytes of the group's values that need not pass through memory for `d`. */
  readonly saved: number;
  readonly from: Definition;
}

type Coords = readonly (TensorExpr | undefined)[];

const ORDER: Readonly<Record<Group["kind"], number>> = {
  contraction: 0,
  online: 0,
  scan: 0,
  row: 1,
  elementwise: 2,
  scatter: 3,
};

/** Groups whose values `d` reads at its own point only. */
function candidatesOf(g: Grouping, d: MapDef, root: Reduce | undefined): readonly Candidate[] {
  const coords = new Map<Group, { at: Coords | undefined; saved: number; from: Definition }>();
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
          at: old.at && at && sameCoords(group, old.at, at),
          saved: old.saved + saved,
          from: old.from,
        });
    }
  const found: Candidate[] = [];
  for (const [group, c] of coords) {
    if (group.kind === "scatter") continue;
    if (root && group.kind !== "row") continue;
    if (epochOf(group) !== d.epoch) {
      decide(g, c.from, d, "cut", "checkpoint", 0);
      continue;
    }
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

/** What `d` reads of a group that it could not join is stored: evaluating it again would bring the same limit back. */
function force(g: Grouping, d: MapDef, group: Group): void {
  for (const r of directReads(d)) if (isMember(g, r, group)) g.forced.add(r);
}
