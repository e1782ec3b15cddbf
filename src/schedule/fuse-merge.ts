/** Two groups that compute at the same points become one. */
import { ONE } from "../../ir/extent.ts";
import { type Axis, axisRef, type Definition, type MapDef, type TensorExpr } from "../../ir/tensor.ts";
import { simplifyIndex } from "../passes/affine.ts";
import { substitute } from "../passes/inline.ts";
import { readsIn } from "../passes/rewrite.ts";
import { elementsOf } from "./cost.ts";
import {
  coordsOf,
  decide,
  epochOf,
  find,
  type Group,
  type Grouping,
  isMember,
  isSerial,
  MOST_NODES,
  outside,
  rowLength,
  throughOthers,
} from "./fuse-graph.ts";
import type { Decision } from "./region.ts";

/** Merges row `h` into `g` where both give values to `d` at its own point. */
export function mergeRows(g: Grouping, group: Group, h: Group, d: MapDef): void {
  if (group === h || group.kind !== "row" || h.kind !== "row") return;
  const own = g.memberOf.get(d)?.placement.coords;
  const read = [...d.results.flatMap((e) => readsIn(e))].find((r) => isMember(g, r.tensor, h));
  const theirs = read && coordsOf(g, h, read);
  if (!own || !theirs) return;
  // Where one reads the other's values it does so at other rows: at its own it would have joined it.
  if ([...h.reads].some((r) => isMember(g, r, group)) || [...group.reads].some((r) => isMember(g, r, h))) {
    decide(g, read.tensor, d, "row", "other-row", 0);
    return;
  }
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
  if (epochOf(group) !== epochOf(h)) return refuse("checkpoint");
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
