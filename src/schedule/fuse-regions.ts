/**
 * Groups become regions, built from the last to the first. One that would bind too many buffers, or be too large, stores an inlined
 * producer, or gives a result away to a region of its own.
 */
import type { Definition, Program, TensorRef } from "../../ir/tensor.ts";
import { countNodes } from "../passes/rewrite.ts";
import { bytesOf } from "./cost.ts";
import { type Build, buildRegion, keyOf, nodesOfRegion } from "./fuse-build.ts";
import {
  directReads,
  type FuseLimits,
  find,
  type Group,
  type Grouping,
  type Member,
  MOST_NODES,
} from "./fuse-graph.ts";
import type { Placing } from "./fuse-place.ts";
import { identityPlacement } from "./fuse-point.ts";
import type { Decision, FusedProgram, Region } from "./region.ts";

/** Groups in an order in which they can run. */
function sorted(g: Grouping): readonly Group[] {
  const out: Group[] = [];
  const state = new Map<Group, 1 | 2>();
  const stack: { readonly group: Group; readonly deps: Group[] }[] = [];
  const open = (group: Group): void => {
    state.set(group, 1);
    stack.push({ group, deps: [...group.deps].map(find).sort((x, y) => y.first - x.first) });
  };
  for (const d of g.definitions) {
    const root = g.groupOf.get(d);
    if (!root || state.has(find(root))) continue;
    open(find(root));
    for (let top = stack[stack.length - 1]; top; top = stack[stack.length - 1]) {
      const dep = top.deps.pop();
      if (dep && dep !== top.group) {
        if (!state.has(dep)) open(dep);
        else if (state.get(dep) === 1) throw new Error("fusion made a cycle");
        continue;
      }
      if (dep) continue;
      state.set(top.group, 2);
      out.push(top.group);
      stack.pop();
    }
  }
  return out;
}

export function buildRegions(p: Program, g: Grouping, placing: Placing, limits: FuseLimits): FusedProgram {
  const b: Build = { grouping: g, program: p, stored: placing.stored, needed: new Map() };
  for (const r of p.results) b.needed.set(keyOf(r), r);
  const regions: Region[] = [];
  const groups = [...sorted(g)];
  for (let group = groups.pop(); group; group = groups.pop()) {
    const { members } = group;
    for (;;) {
      const region = buildRegion(b, group);
      if (!region) break;
      const bindings = region.reads.length + region.stores.length;
      const tooMany = bindings > limits.maxStorageBuffers;
      if (tooMany || nodesOfRegion(region) > MOST_NODES) {
        const code: Decision["code"] = tooMany ? "bindings" : "size";
        if (storeSubtree(b, region, members, code)) continue;
        const out = tooMany || region.kind === "elementwise" ? giveAway(b, group, members, region, code) : undefined;
        if (out) {
          // Its own region comes after what remains here, so it is built before.
          groups.push({ ...group, members: group.members.filter((m) => m !== out.member) }, out.group);
          break;
        }
      }
      regions.push(region);
      for (const r of region.reads) need(b, r);
      break;
    }
  }
  regions.reverse();
  const stored = new Set<Definition>(regions.flatMap((r) => r.stores.map((s) => s.tensor)));
  return { program: p, regions: named(regions), decisions: [...g.decisions, ...unsaid(g.decisions, regions)], stored };
}

/** Why edges between regions that nothing was said of yet pass through memory. */
function unsaid(said: readonly Decision[], regions: readonly Region[]): readonly Decision[] {
  const edges = new Set(said.map((d) => d.edge.join("\n")));
  const by = new Map<string, Region>();
  const out: Decision[] = [];
  for (const r of regions) {
    for (const ref of r.reads) {
      const producer = by.get(keyOf(ref));
      const to = r.stores[r.stores.length - 1]?.tensor.name;
      if (!producer || !to) continue;
      const edge = [ref.tensor.name, to] as const;
      if (edges.has(edge.join("\n"))) continue;
      edges.add(edge.join("\n"));
      out.push({ edge, ...reasonFor(producer, r), bytesSaved: 0, opsAdded: 0 });
    }
    for (const s of r.stores) by.set(keyOf(s), r);
  }
  return out;
}
function reasonFor(from: Region, to: Region): Pick<Decision, "kind" | "code"> {
  if (from.kind === "scatter" || to.kind === "scatter") return { kind: "cut", code: "scatter" };
  // A whole row or column of a contraction would have to stay on chip.
  if (from.kind === "contraction") return { kind: "chain", code: "size" };
  return { kind: "cut", code: from.kind === "elementwise" ? "asked" : "other-row" };
}

function need(b: Build, r: TensorRef): void {
  if (r.tensor.kind !== "input" && r.tensor.kind !== "carry") b.needed.set(keyOf(r), r);
}

/** Stores an inlined producer of a region: the one with the most inputs that nothing else reads, for the fewest bytes. */
function storeSubtree(b: Build, region: Region, members: readonly Member[], code: Decision["code"]): boolean {
  const own = new Set<Definition>(members.map((m) => m.def));
  const inMemory = (d: Definition): boolean => !isInlined(b, d) && !own.has(d);
  /** What evaluating `d` here reads from memory. */
  const leaves = new Map<Definition, ReadonlySet<Definition>>();
  const leavesOf = (d: Definition): ReadonlySet<Definition> => {
    const old = leaves.get(d);
    if (old) return old;
    const found = new Set<Definition>();
    leaves.set(d, found);
    for (const c of directReads(d)) {
      if (inMemory(c)) found.add(c);
      else if (isInlined(b, c) || own.has(c)) for (const x of leavesOf(c)) found.add(x);
    }
    return found;
  };
  // Producers that the region's members reach, without those of its own.
  const reached = new Set<Definition>();
  const stack: Definition[] = members.map((m) => m.def);
  const direct = new Set<Definition>();
  for (let d = stack.pop(); d; d = stack.pop())
    for (const c of directReads(d)) {
      if (own.has(c)) continue;
      if (!isInlined(b, c)) {
        if (own.has(d)) direct.add(c);
        continue;
      }
      if (reached.has(c)) continue;
      reached.add(c);
      stack.push(c);
    }
  let best: { readonly def: Definition; readonly spared: number; readonly bytes: number } | undefined;
  for (const d of reached) {
    const below = new Set<Definition>([d]);
    const down = [d];
    for (let x = down.pop(); x; x = down.pop())
      for (const c of directReads(x))
        if (reached.has(c) && !below.has(c)) {
          below.add(c);
          down.push(c);
        }
    // Inputs that only this subtree reads, and not the region's own members.
    const elsewhere = new Set<Definition>(direct);
    for (const x of reached) if (!below.has(x)) for (const c of directReads(x)) if (!isInlined(b, c)) elsewhere.add(c);
    const spared = [...leavesOf(d)].filter((x) => !elsewhere.has(x)).length - 1;
    const bytes = bytesOf({ tensor: d, slot: 0 });
    const useful = code === "size" ? countNodes(d.kind === "map" ? d.results : []) > 8 : spared > 0;
    if (!useful) continue;
    if (!best || spared / bytes > best.spared / best.bytes) best = { def: d, spared, bytes };
  }
  // Where no single one helps, as with inputs that producers share: those that the region reads itself, the widest first.
  if (!best && code === "bindings")
    for (const m of members)
      for (const d of directReads(m.def)) {
        const count = reached.has(d) ? leavesOf(d).size : 0;
        if (count >= 2 && (!best || count > best.spared)) best = { def: d, spared: count, bytes: 0 };
      }
  if (!best) return false;
  b.stored.add(best.def);
  b.grouping.decisions.push({ edge: [best.def.name, region.name], kind: "cut", code, bytesSaved: 0, opsAdded: 0 });
  return true;
}

function isInlined(b: Build, d: Definition): boolean {
  return d.kind === "map" && !b.stored.has(d) && b.grouping.memberOf.has(d) && !b.grouping.memberOf.get(d)?.root;
}

/** Takes the last stored map out of a region and gives it one of its own. */
function giveAway(
  b: Build,
  group: Group,
  members: readonly Member[],
  region: Region,
  code: Decision["code"],
): { readonly member: Member; readonly group: Group } | undefined {
  const stored = members.filter((m) => region.stores.some((s) => s.tensor === m.def));
  if (stored.length < 2) return undefined;
  const member = stored[stored.length - 1];
  if (!member) return undefined;
  const own: Member = { def: member.def, root: member.root, placement: identityPlacement(member.def.axes) };
  const made: Group = {
    ...group, members: [own], kind: member.root ? "row" : "elementwise", axes: member.def.axes, operands: undefined, online: undefined, into: undefined,
  }; // biome-ignore format: one record
  b.grouping.memberOf.set(member.def, own);
  b.grouping.decisions.push({ edge: [region.name, member.def.name], kind: "cut", code, bytesSaved: 0, opsAdded: 0 });
  return { member, group: made };
}

/** Names are those of what is stored last, made unique. */
export function named(regions: readonly Region[]): readonly Region[] {
  const used = new Set<string>();
  return regions.map((r) => {
    let name = r.name;
    for (let i = 2; used.has(name); i++) name = `${r.name}_${i}`;
    used.add(name);
    return name === r.name ? r : { ...r, name };
  });
}
