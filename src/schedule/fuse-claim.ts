/** Definitions that an online kernel computes together join its group as they come. */
import { ONE } from "../../ir/extent.ts";
import { type Definition, expressionsOf } from "../../ir/tensor.ts";
import { simplifyIndex } from "../passes/affine.ts";
import { reductionOf } from "../passes/lift.ts";
import { countNodes } from "../passes/rewrite.ts";
import { bytesOf } from "./cost.ts";
import {
  type Computed,
  decide,
  dependsOn,
  directReads,
  directRefs,
  find,
  type Group,
  type Grouping,
  isMember,
  outside,
} from "./fuse-graph.ts";
import { identityPlacement, type Placement, solvePoint } from "./fuse-point.ts";
import { type OnlineCluster, readsOfParts } from "./fuse-scores.ts";
import { type OnlineRegion, statesOf } from "./region.ts";

/** The kernel of a cluster as it would be alone: what a target is asked about. */
export function regionOfCluster(c: OnlineCluster): OnlineRegion {
  const { members, ...parts } = c;
  const own = new Set<Definition>(members);
  const reads = readsOfParts(c).filter((r) => !own.has(r.tensor));
  return { ...parts, kind: "online", name: c.def.name, stores: [{ tensor: c.def, slot: 0 }], reads, epilogue: [] };
}

/** Adds `d`, a member of the cluster, to its group, which begins with the first. False if that would make a cycle. */
export function claim(g: Grouping, d: Computed, c: OnlineCluster): boolean {
  const first = c.members[0];
  const begun = first && first !== d ? g.groupOf.get(first) : undefined;
  const at = g.position.get(d) ?? 0;
  const group: Group = begun
    ? find(begun)
    : {
        id: at,
        kind: "online",
        axes: c.def.axes,
        members: [],
        operands: undefined,
        online: c,
        reads: new Set(),
        refs: new Map(),
        deps: new Set(),
        nodes: 0,
        first: at,
        last: at,
        into: undefined,
      };
  for (const r of directReads(d)) {
    const of = g.groupOf.get(r);
    const other = of && find(of);
    if (!other || other === group) continue;
    if (dependsOn(other, group)) return false;
    group.deps.add(other);
  }
  const member = { def: d, root: d.kind === "map" ? reductionOf(d) : undefined, placement: placementOf(d, c) };
  group.members.push(member);
  g.groupOf.set(d, group);
  g.memberOf.set(d, member);
  group.reads = new Set([...group.reads, ...directReads(d)].filter((r) => !isMember(g, r, group)));
  group.refs = outside([...group.refs, ...directRefs(d)], (r) => isMember(g, r, group));
  group.nodes += countNodes(expressionsOf(d));
  group.last = Math.max(group.last, at);
  if (d === c.def) {
    const kind = c.peak ? "online" : "chain";
    for (const s of [...c.scores, ...statesOf(c)])
      decide(g, s.def, d, kind, "fused", bytesOf({ tensor: s.def, slot: 0 }));
  }
  return true;
}

/** Values a row are read at their row; what is computed tile by tile is read by nobody else. */
function placementOf(d: Definition, c: OnlineCluster): Placement {
  const state = statesOf(c).find((s) => s.def === d);
  if (!state) return identityPlacement(d.axes);
  const own = solvePoint(state.point, [...c.batch, ...c.m], d.axes);
  const coords = c.def.axes.map((a) => {
    const index = a.extent === ONE ? undefined : own?.get(a);
    return index && simplifyIndex(index);
  });
  return { coords, bind: new Map(), extra: [] };
}
