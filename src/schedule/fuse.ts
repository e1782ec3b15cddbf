/**
 * Fusion: cuts a normalised program into regions, one kernel each, and alone decides what is stored. Definitions computed at
 * the same points form groups (fuse-group.ts); maps between groups are stored or evaluated again (fuse-place.ts); groups of
 * one domain with shared reads join (siblings); groups become regions (fuse-regions.ts).
 */
import { ONE } from "../../ir/extent.ts";
import { axisRef, type Definition, type MapDef, mapDef, type Program, read, type Step } from "../../ir/tensor.ts";
import { normalIndices, readThrough } from "../passes/inline.ts";
import { lowerLoops } from "../passes/loops.ts";
import { dropDead } from "../passes/merge.ts";
import {
  anchorsOf,
  freshAxes,
  mapExpressions,
  mapReads,
  redefined,
  rewriteProgram,
  slotsOf,
} from "../passes/rewrite.ts";
import { keyOf } from "./fuse-build.ts";
import { findClusters, planChains } from "./fuse-chain.ts";
import { regionOfCluster } from "./fuse-claim.ts";
import { dependsOn, directReads, directRefs, type FuseLimits, find, type Group, type Grouping } from "./fuse-graph.ts";
import { groupDefinitions } from "./fuse-group.ts";
import { fuseLoops } from "./fuse-loops.ts";
import { mergeGroups } from "./fuse-merge.ts";
import { type PlaceCosts, type Placing, placeMaps } from "./fuse-place.ts";
import { buildRegions, named } from "./fuse-regions.ts";
import type { OnlineCluster } from "./fuse-scores.ts";
import { splitWide } from "./fuse-wide.ts";
import type { FusedProgram, OnlineRegion } from "./region.ts";

export interface FuseOptions {
  /** Default: 8 storage buffers a kernel, what every WebGPU device has. */
  readonly limits?: Partial<FuseLimits>;
  /** What evaluating again is weighed against; a GPU's costs, if left out. */
  readonly costs?: PlaceCosts;
  /** No reordering of float factors between the operands of a contraction. */
  readonly strict?: boolean;
  /** Is a weighted sum in one pass to be one kernel? Asked before its epilogue is known; without it none is. */
  readonly online?: (region: OnlineRegion) => boolean;
  /**
   * Are some scores to be computed anew by each kernel that reads them, and never stored? Asked of all those kernels together; without it
   * none are.
   */
  readonly chain?: (regions: readonly OnlineRegion[]) => boolean;
}

export function fuse(program: Program, o: FuseOptions = {}): FusedProgram {
  if (!program.steps.some((s) => s.kind === "loop")) return fuseStraight(program, o);
  const whole = uniqueNames(ownResults(lowerLoops(dropDead(program))));
  const fused = fuseLoops(whole, (piece) => fuseStraight(piece, o));
  // Each piece names its regions for itself.
  return { ...fused, regions: named(fused.regions) };
}

function fuseStraight(program: Program, o: FuseOptions): FusedProgram {
  const limits: FuseLimits = { maxStorageBuffers: o.limits?.maxStorageBuffers ?? 8 };
  const strict = o.strict ?? false;
  const whole = uniqueNames(splitWide(ownResults(dropDead(program)), limits));
  const plan = o.chain ? planChains(whole, limits, strict, o.chain) : undefined;
  let p = plan?.program ?? whole;
  const chained = plan?.chained ?? new Set<string>();
  const accepts = (c: OnlineCluster): boolean => chained.has(c.def.name) || (o.online?.(regionOfCluster(c)) ?? false);
  const group = (x: Program): Grouping =>
    groupDefinitions(x, limits, strict, findClusters(x, limits, strict, chained).filter(accepts));
  let g = group(p);
  let placing = placeMaps(g, anchorsOf(p), o.costs);
  // Scans and scatters hold their own expressions: what they evaluate again is substituted in the definition.
  for (let round = 0; round < 4; round++) {
    const next = inlineIntoPushes(p, g, placing, limits);
    if (next === p) break;
    p = next;
    g = group(p);
    placing = placeMaps(g, anchorsOf(p), o.costs);
  }
  for (const d of p.steps)
    if (d.kind === "scan" || d.kind === "scatter")
      for (const r of directReads(d)) if (g.memberOf.has(r) && !g.memberOf.get(r)?.root) placing.stored.add(r);
  joinSiblings(g, placing);
  g.decisions.push(...(plan?.decisions ?? []));
  return buildRegions(p, g, placing, limits);
}

/** Every result is a tensor that some region writes, each once: inputs and repeated results are copied. */
function ownResults(p: Program): Program {
  const seen = new Set<string>();
  const copies: Step[] = [];
  const results = p.results.map((r) => {
    const key = keyOf(r);
    if ((r.tensor.kind === "map" || r.tensor.kind === "scan" || r.tensor.kind === "scatter") && !seen.has(key)) {
      seen.add(key);
      return r;
    }
    const axes = freshAxes(r.tensor.axes, new Map());
    const copy = mapDef(axes, [read(r.tensor, r.slot, axes.map(axisRef))], { name: r.name, span: r.tensor.span });
    copies.push(copy);
    return { name: r.name, tensor: copy, slot: 0 };
  });
  return copies.length === 0 ? p : { ...p, steps: [...p.steps, ...copies], results };
}

/** Names are hints until here; regions, decisions and kernels go by them, so each becomes the name of one definition. */
function uniqueNames(p: Program): Program {
  const used = new Set<string>(p.inputs.map((d) => d.name));
  const next = new Map<string, number>();
  return rewriteProgram(p, (d, emit) => {
    let name = d.name;
    for (let i = next.get(d.name) ?? 2; used.has(name); i++) {
      name = `${d.name}_${i}`;
      next.set(d.name, i);
    }
    used.add(name);
    const made = name === d.name ? d : redefined(d, { name });
    emit(made);
    return slotsOf(made);
  });
}
/** Substitutes maps that are not stored in the scans and scatters that read them, within the binding limit. */
function inlineIntoPushes(p: Program, g: Grouping, placing: Placing, limits: FuseLimits): Program {
  const isInlined = (d: Definition): d is MapDef =>
    d.kind === "map" && g.memberOf.has(d) && !g.memberOf.get(d)?.root && !placing.stored.has(d);
  if (!p.steps.some((d) => (d.kind === "scan" || d.kind === "scatter") && [...directReads(d)].some(isInlined)))
    return p;
  return dropDead(
    rewriteProgram(p, (d, emit) => {
      let made: Definition = d;
      if (d.kind === "scan" || d.kind === "scatter") {
        const opened = mapExpressions(d, (e) =>
          mapReads(e, (r) => {
            const t = r.tensor;
            const body = isInlined(t) ? t.results[r.slot] : undefined;
            const n = normalIndices(r);
            return body ? readThrough(body, t.axes, n.at, n.fill) : n;
          }),
        );
        if (directRefs(opened).size + opened.types.length <= limits.maxStorageBuffers) made = opened;
      }
      emit(made);
      return slotsOf(made);
    }),
  );
}

// ---- Siblings -------------------------------------------------------------------------------------------------------

/** Joins groups of one domain that share what they read: maps over equal axes, reductions of equal rows. */
function joinSiblings(g: Grouping, placing: Placing): void {
  const buckets = new Map<string, Group[]>();
  const groups = new Set(g.definitions.map((d) => find(g.groupOf.get(d) ?? fail(d))));
  for (const group of groups) {
    const head = group.members[0];
    if (!head || (group.kind !== "elementwise" && group.kind !== "row")) continue;
    // A group of which nothing is stored is evaluated by its readers.
    if (group.kind === "elementwise" && !group.members.some((m) => placing.stored.has(m.def))) continue;
    const rows = group.members.flatMap((m) => (m.root ? [m.root.axes.map((a) => a.extent.text).join("*")] : []));
    const key = `${group.kind}:${group.axes.map((a) => a.extent.text).join(",")}:${[...new Set(rows)].sort().join(";")}`;
    const bucket = buckets.get(key) ?? [];
    buckets.set(key, bucket);
    let joined = false;
    for (const other of bucket.slice(-6)) {
      const shares = [...group.reads].some((r) => other.reads.has(r));
      // Maps that share nothing still spare a dispatch.
      if ((!shares && group.kind === "row") || dependsOn(other, group) || dependsOn(group, other)) continue;
      const stores = [...other.members, ...group.members].filter((m) => placing.stored.has(m.def) || m.root).length;
      const reads = new Set([...group.refs.keys(), ...other.refs.keys()]).size;
      if (stores + reads > g.limits.maxStorageBuffers) continue;
      if (rows.length > 0 && !sameOrder(other, group)) continue;
      const from = other.members[0]?.def;
      if (from && mergeGroups(g, other, group, from, head.def, "sibling")) {
        joined = true;
        break;
      }
    }
    if (!joined) bucket.push(group);
  }
}
function sameOrder(a: Group, b: Group): boolean {
  return a.axes.every((x, i) => x.extent === b.axes[i]?.extent || x.extent === ONE);
}
function fail(d: Definition): never {
  throw new Error(`${d.name} is in no group`);
}
