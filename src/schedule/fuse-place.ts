/**
 * The second half of fusion: a map read from other kernels is stored, or evaluated again by its readers (prologue) under the
 * rule `(u-1)·c <= β·b·(1+r)`: c weighted operations an element, u evaluations and b bytes an element, r reading kernels.
 * Values on chip that such a reader would need in memory count against it.
 */
import type { Axis, Definition } from "../../ir/tensor.ts";
import { axesIn, countNodes, readersOf, readsIn } from "../passes/rewrite.ts";
import { bytesOf, costOf, elementsOf, LOAD, OPS_PER_BYTE, points, sizeOfType } from "./cost.ts";
import { directReads, find, type Group, type Grouping, MOST_NODES } from "./fuse-graph.ts";
import type { Target } from "./target.ts";

/**
 * Beside memory traffic a few operations an element cost nothing: a map of no more is evaluated again however often, by
 * readers that are not contractions, rather than have a kernel and a buffer of its own.
 */
const HIDDEN = 16;
/** Operations done in the time of one dispatch. */
const DISPATCH = 1 << 17;

/** What evaluating a value again is weighed against. */
export interface PlaceCosts {
  /** Operations done while a byte moves. */
  readonly opsPerByte: number;
  /** A contraction evaluates an operand once a tile of the other side: how many points that has. */
  readonly tile: number;
}
const ANY_GPU: PlaceCosts = { opsPerByte: OPS_PER_BYTE, tile: 64 };
/**
 * Tiles are narrower there, and most tensors lie in caches. A transformer block's gradient with 64 and 8, as on a GPU, took 1.1 of the
 * time and several times as long to compile, since every load of an operand is compiled by itself.
 */
const SOFTWARE: PlaceCosts = { opsPerByte: 4, tile: 32 };

/** The costs of an adapter; of one that is not known, a GPU's. */
export function placeCosts(target: Target): PlaceCosts {
  return target.kind === "software" ? SOFTWARE : ANY_GPU;
}

export interface Placing {
  /** Maps without reduction that live in memory. */
  readonly stored: Set<Definition>;
  readonly readers: ReadonlyMap<Definition, readonly Definition[]>;
}

export function placeMaps(
  g: Grouping,
  anchors: ReadonlyMap<Definition, ReadonlySet<number>>,
  costs: PlaceCosts = ANY_GPU,
): Placing {
  const stored = new Set<Definition>();
  const readers = readersOf(g.definitions);
  const cost = new Map<Definition, number>();
  const nodes = new Map<Definition, number>();
  /** Values held on chip in its own group that evaluating it elsewhere needs in memory. */
  const chip = new Map<Definition, ReadonlySet<Definition>>();
  const outside = (d: Definition): readonly Definition[] => {
    const own = groupOf(g, d);
    return (readers.get(d) ?? []).filter((r) => groupOf(g, r) !== own);
  };
  const inMemory = new Set<Definition>();
  for (const d of g.definitions) {
    const member = g.memberOf.get(d);
    if (!member || d.kind !== "map" || member.root) {
      if (anchors.has(d) || outside(d).length > 0) inMemory.add(d);
      continue;
    }
    const own = groupOf(g, d);
    const children = directReads(d);
    const inlined = (c: Definition): boolean => cost.has(c) && !stored.has(c);
    const c = costOf(d.results, (r) => (inlined(r.tensor) ? (cost.get(r.tensor) ?? LOAD) : LOAD));
    let n = countNodes(d.results);
    const needs = new Set<Definition>();
    for (const child of children) {
      if (inlined(child)) {
        n += nodes.get(child) ?? 0;
        if (groupOf(g, child) === own) for (const x of chip.get(child) ?? []) needs.add(x);
      } else if (groupOf(g, child) === own && g.memberOf.get(child)?.root) needs.add(child);
      else if (groupOf(g, child) === own && child.kind === "scan") needs.add(child);
    }
    cost.set(d, c);
    nodes.set(d, n);
    chip.set(d, needs);
    const others = outside(d);
    if (anchors.has(d)) {
      stored.add(d);
      const first = others[0];
      if (first)
        g.decisions.push({ edge: [d.name, first.name], kind: "cut", code: "asked", bytesSaved: 0, opsAdded: 0 });
      continue;
    }
    const reader = others[0];
    if (!reader) continue;
    if (g.forced.has(d)) {
      stored.add(d);
      continue;
    }
    const elements = Math.max(1, elementsOf(d));
    const width = sizeOfType(d.types[0] ?? "f32");
    const kernels = new Set(others.map((r) => groupOf(g, r))).size;
    const evaluations = others.reduce((sum, r) => sum + evaluationsOf(g, r, d, costs.tile), 0);
    // What stays in the group's own kernel is evaluated there too.
    const extra = [...needs]
      .filter((x) => !inMemory.has(x))
      .reduce((sum, x) => sum + bytesOf({ tensor: x, slot: 0 }), 0);
    const opsAdded = Math.max(0, evaluations - elements) * c;
    const saved = (width * elements - extra) * (1 + kernels);
    const fits = n <= MOST_NODES / 2;
    const free = c <= LOAD + 1 && extra === 0;
    const hidden = c <= HIDDEN && others.every((r) => isStreaming(groupOf(g, r)));
    const spared = own?.kind === "elementwise" ? DISPATCH : 0;
    const pays = hidden || opsAdded <= costs.opsPerByte * saved + spared;
    const inline = fits && (free || (extra < width * elements && pays));
    if (inline) {
      for (const x of needs) inMemory.add(x);
      const code = opsAdded > 0 ? "recompute" : "fused";
      g.decisions.push({
        edge: [d.name, reader.name],
        kind: free ? "free" : "prologue",
        code,
        bytesSaved: saved,
        opsAdded,
      });
    } else {
      stored.add(d);
      g.decisions.push({
        edge: [d.name, reader.name],
        kind: "cut",
        code: fits ? "recompute" : "size",
        bytesSaved: 0,
        opsAdded,
      });
    }
  }
  return { stored, readers };
}

/** Does it move a few bytes for each element that it evaluates? */
function isStreaming(group: Group | undefined): boolean {
  return group?.kind === "elementwise" || group?.kind === "row";
}

function groupOf(g: Grouping, d: Definition): Group | undefined {
  const of = g.groupOf.get(d);
  return of && find(of);
}

/** How often a reader evaluates elements of `t`, over all its points. */
function evaluationsOf(g: Grouping, r: Definition, t: Definition, tile: number): number {
  let sum = 0;
  const count = (at: number): void => {
    sum += at;
  };
  const member = g.memberOf.get(r);
  if (r.kind === "map") {
    const seen = r.results.flatMap((e, s) => (member?.root && s > 0 ? [] : readsIn(e))).filter((x) => x.tensor === t);
    for (const x of new Set(seen)) {
      if (!member?.root) {
        count(elementsOf(r));
        continue;
      }
      const group = groupOf(g, r);
      const used = axesIn(x);
      const o = group?.kind === "contraction" ? group.operands : undefined;
      if (o) {
        const within = (axes: readonly Axis[]): boolean => [...used].every((a) => axes.includes(a));
        const base = points(o.batch) * points(o.k);
        const [m, n] = [points(o.m), points(o.n)];
        if (within([...o.batch, ...o.m, ...o.k])) count(base * m * Math.max(1, Math.ceil(n / tile)));
        else if (within([...o.batch, ...o.n, ...o.k])) count(base * n * Math.max(1, Math.ceil(m / tile)));
        else count(base * m * n);
      } else if (group?.online) {
        // Once for its rows, or, of what goes with the reduced positions, once a tile of them.
        count(points(used) * Math.max(1, Math.ceil(points(group.online.m) / tile)));
      } else count(elementsOf(r) * points(member.root.axes.filter((a) => used.has(a))));
    }
  } else if (r.kind === "scan") {
    for (const e of r.values) for (const x of readsIn(e)) if (x.tensor === t) count(elementsOf(r));
  } else if (r.kind === "scatter") {
    // An element of the result looks through the positions that may fall on it.
    for (const e of [...r.at, ...r.values]) for (const x of readsIn(e)) if (x.tensor === t) count(4 * points(r.domain));
  }
  return sum;
}
