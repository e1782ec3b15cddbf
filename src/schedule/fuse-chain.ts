/**
 * Chained contractions: scores are contractions over a short axis, elementwise functions of them are weights, and what reads those are
 * contractions over one of the scores' long axes, or sums a row: ds·K, dsᵀ·Q and pᵀ·dO of attention's gradient, relu(q·k)·v. Each such
 * reader gets copies of the scores for itself, which its kernel then computes tile by tile (fuse-scores.ts), and nothing as large as
 * they are is stored. All readers of a score must be of that form: if one needs it in memory, all may read it there.
 */
import { isFloat } from "../../ir/dtype.ts";
import {
  type Axis,
  axisRef,
  constant,
  type Definition,
  type MapDef,
  type Program,
  type Read,
  type Reduce,
  reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { isAddition } from "../passes/hoist.ts";
import { reductionOf } from "../passes/lift.ts";
import { axesIn, readsIn } from "../passes/rewrite.ts";
import { bytesOf, points } from "./cost.ts";
import { regionOfCluster } from "./fuse-claim.ts";
import { type Component, type Copied, type Reader, withCopies } from "./fuse-copies.ts";
import type { FuseLimits } from "./fuse-graph.ts";
import { findOnline, findShared } from "./fuse-online.ts";
import { operandsOf, swapOperands } from "./fuse-operands.ts";
import {
  contractionOf,
  isElementwise,
  type OnlineCluster,
  opened,
  type Scope,
  scopeOf,
  takes,
  withScores,
} from "./fuse-scores.ts";
import { type Decision, type OnlineParts, type OnlineRegion, statesOf } from "./region.ts";

export interface ChainPlan {
  readonly program: Program;
  /** Names of the weighted sums, online ones included, that have scores of their own. */
  readonly chained: ReadonlySet<string>;
  /** Why others have none. */
  readonly decisions: readonly Decision[];
}

/** All clusters of a program: sums relative to a maximum, and those that `chained` names. */
export function findClusters(
  p: Program,
  limits: FuseLimits,
  strict: boolean,
  chained: ReadonlySet<string>,
): readonly OnlineCluster[] {
  const found = [...findOnline(p, limits, strict)];
  if (chained.size === 0) return found;
  const s = scopeOf(p);
  for (const c of found) for (const m of c.members) s.taken.add(m);
  for (const d of s.definitions) {
    const made = d.kind === "map" && chained.has(d.name) && !s.taken.has(d) ? chainOf(d, s) : undefined;
    if (made && takes(s, made, limits)) found.push(made);
  }
  return found;
}

/** The cluster of a weighted sum, or a sum a row, whose weights read scores; undefined where `d` is none. */
function chainOf(d: MapDef, s: Scope): OnlineCluster | undefined {
  const root = sumOf(d);
  if (!root) return undefined;
  for (const side of sidesOf(d, root, s)) {
    const whole = reduce(root.monoid, root.axes, root.values, 0);
    const made = withScores({ ...side, def: d, reduce: whole, k: root.axes, scores: [], peak: undefined, sums: [] }, s);
    if (made.scores.length > 0) return made;
  }
  return undefined;
}

function sumOf(d: Definition): Reduce | undefined {
  const root = reductionOf(d);
  return root?.monoid.slots.length === 1 && isAddition(root) && isFloat(root.dtype) ? root : undefined;
}

type Side = Pick<OnlineParts, "batch" | "m" | "n" | "weight" | "value">;

/** What may be weights and what values: both operands of a product, or all of a sum a row. */
function sidesOf(d: MapDef, root: Reduce, s: Scope): readonly Side[] {
  const o = operandsOf(d, root, false);
  if (o) {
    const { body } = o;
    if (body.kind !== "apply" || body.prim !== "mul" || !body.args.every((a) => a.kind === "arg")) return [];
    if (body.args[0] === body.args[1]) return [];
    return [o, swapOperands(o)].map(({ batch, m, n, a, b }) => ({ batch, m, n, weight: a, value: b }));
  }
  const [weight] = root.values;
  if (!weight) return [];
  // Axes that both operands of a score have are its batch's.
  const both = new Set<Axis>();
  for (const r of readsIn(weight)) {
    const c = contractionOf(r.tensor);
    const operands = c && s.definitions.includes(c.def) && operandsOf(c.def, c.root, false);
    if (!c || !operands) continue;
    c.def.axes.forEach((a, i) => {
      if (operands.batch.includes(a)) for (const x of axesIn(r.at[i] ?? axisRef(a))) both.add(x);
    });
  }
  const batch = d.axes.filter((a) => both.has(a));
  return [{ batch, m: d.axes.filter((a) => !both.has(a)), n: [], weight, value: constant(weight.dtype, 1) }];
}

// ---- Which readers get scores of their own --------------------------------------------------------------------------

type Refusal = Pick<Decision, "edge" | "code">;

/**
 * Gives readers of scores copies of their own wherever all of them can do with that and `accepts` the kernels that then compute them:
 * asked of all readers of some scores together.
 */
export function planChains(
  program: Program,
  limits: FuseLimits,
  strict: boolean,
  accepts: (regions: readonly OnlineRegion[]) => boolean,
): ChainPlan {
  let p = program;
  const chained = new Set<string>();
  const decisions: Decision[] = [];
  const tried = new Set<string>();
  // Sums are added in another order: the licence to reassociate.
  let next = strict ? undefined : nextComponent(p, chained, tried);
  while (next) {
    const { component, refusal } = next;
    const attempt = (pack: boolean): ReturnType<typeof tryComponent> | undefined =>
      component && tryComponent(p, component, limits, strict, chained, accepts, pack);
    const first = attempt(false);
    const done = first && "code" in first && first.code === "bindings" ? attempt(true) : first;
    if (done && "program" in done) {
      p = done.program;
      for (const name of done.copies) tried.add(name);
      for (const r of component?.readers ?? []) chained.add(r.name);
    } else {
      const why = refusal ?? done;
      if (why) decisions.push({ bytesSaved: 0, opsAdded: 0, kind: "chain", ...why });
    }
    next = nextComponent(p, chained, tried);
  }
  return { program: p, chained, decisions };
}

interface Candidate {
  readonly component: Component | undefined;
  readonly refusal: Refusal | undefined;
}

/** The scores that were not tried yet, those of online kernels first, then the largest; all that share a reader together. */
function nextComponent(p: Program, chained: ReadonlySet<string>, tried: Set<string>): Candidate | undefined {
  const s = scopeOf(p);
  const clusters = findShared(p);
  const own = new Set<Definition>(clusters.flatMap((c) => [c.def, ...statesOf(c).map((x) => x.def)]));
  const isScore = (d: Definition): d is MapDef =>
    d.kind === "map" && !own.has(d) && !chained.has(d.name) && !s.anchors.has(d) && contractionOf(d) !== undefined;
  const look: Look = { s, clusters, isScore };
  const seeds: Definition[] = [];
  for (const c of clusters)
    if (!chained.has(c.def.name)) for (const d of readerOf(c.def, undefined, look)?.scores ?? []) seeds.push(d);
  const large = s.definitions.filter((d): d is MapDef => isScore(d) && isLarge(d));
  seeds.push(...large.sort((x, y) => bytesOf({ tensor: y, slot: 0 }) - bytesOf({ tensor: x, slot: 0 })));
  for (const seed of seeds) {
    if (tried.has(seed.name)) continue;
    tried.add(seed.name);
    const found = componentOf(seed, look);
    for (const d of found.seen) tried.add(d.name);
    // One online kernel that alone reads its scores needs no copies.
    const [only, ...more] = found.component?.readers ?? [];
    if (only && more.length === 0 && clusters.some((c) => c.def.name === only.name)) continue;
    return found;
  }
  return undefined;
}

/** Scores much larger than what they are made of. */
function isLarge(d: MapDef): boolean {
  const root = reductionOf(d);
  const o = root && operandsOf(d, root, false);
  if (!o) return false;
  const [m, n, k] = [points(o.m), points(o.n), points(o.k)];
  return m * n >= 2 * (m + n) * k;
}

interface Look {
  readonly s: Scope;
  readonly clusters: readonly OnlineCluster[];
  readonly isScore: (d: Definition) => d is MapDef;
}

/** All scores that share a reader with `seed`, directly or by others, or why they must be stored. */
function componentOf(seed: Definition, look: Look): Candidate & { readonly seen: ReadonlySet<Definition> } {
  const scores = new Set<Definition>([seed]);
  const readers = new Map<Definition, Reader>();
  const refuse = (from: Definition, to: Definition, code: Decision["code"]): ReturnType<typeof componentOf> => ({
    component: undefined,
    refusal: { edge: [from.name, to.name], code },
    seen: scores,
  });
  for (const c of scores)
    for (const d of lastReaders(c, look.s)) {
      const reader = readers.get(d) ?? readerOf(d, c, look);
      if (!reader?.scores.has(c)) return refuse(c, d, "reader");
      for (const t of reader.values.keys()) readers.set(t, reader);
      for (const x of reader.scores) scores.add(x);
      for (const v of reader.values.values())
        if (!look.clusters.some((x) => x.def.name === reader.name) && compares(v, reader.scores))
          return refuse(c, d, "compared");
    }
  for (const d of readers.keys()) if (scores.has(d)) return refuse(d, d, "cycle");
  return { component: { scores, readers: [...new Set(readers.values())] }, refusal: undefined, seen: scores };
}

/** What reads `c` through elementwise maps that are not stored. */
function lastReaders(c: Definition, s: Scope): ReadonlySet<Definition> {
  const found = new Set<Definition>();
  const seen = new Set<Definition>();
  const stack: Definition[] = [c];
  for (let d = stack.pop(); d; d = stack.pop())
    for (const r of s.readers.get(d) ?? []) {
      if (seen.has(r)) continue;
      seen.add(r);
      if (isElementwise(r) && !s.anchors.has(r)) stack.push(r);
      else found.add(r);
    }
  return found;
}

/** `d` as a reader of scores, of `seed` among them if that is given; undefined where it needs them in memory. */
function readerOf(d: Definition, seed: Definition | undefined, look: Look): Reader | undefined {
  const cluster = look.clusters.find((c) => c.def === d || statesOf(c).some((x) => x.def === d));
  if (cluster) {
    const values = new Map<MapDef, TensorExpr>();
    const scores = new Set<Definition>();
    for (const t of [...statesOf(cluster).map((x) => x.def), cluster.def]) {
      const root = t && reductionOf(t);
      if (!root) return undefined;
      const rows = t === cluster.def ? cluster.m : t.axes;
      values.set(t, openRow(root, rows, look, scores));
    }
    return { name: cluster.def.name, values, scores };
  }
  const root = sumOf(d);
  if (d.kind !== "map" || !root) return undefined;
  const o = operandsOf(d, root, false);
  for (const rows of o ? [o.m, o.n] : [d.axes]) {
    const scores = new Set<Definition>();
    const value = openRow(root, rows, look, scores);
    if (scores.size > 0 && (!seed || scores.has(seed))) return { name: d.name, values: new Map([[d, value]]), scores };
  }
  return undefined;
}

/** A reduction's value with what lies between it and scores substituted; the scores are added to `scores`. */
function openRow(root: Reduce, rows: readonly Axis[], look: Look, scores: Set<Definition>): TensorExpr {
  const across = (r: Read): boolean => {
    const axes = new Set(r.at.flatMap((x) => [...axesIn(x)]));
    return rows.some((a) => axes.has(a)) && root.axes.some((a) => axes.has(a));
  };
  const [value] = root.values;
  if (!value) throw new Error("a reduction of nothing");
  const { contracted, anchors } = look.s;
  const made = opened(value, (r) => contracted.has(r.tensor) && !anchors.has(r.tensor) && across(r));
  for (const r of readsIn(made)) if (!r.fill && look.isScore(r.tensor) && across(r)) scores.add(r.tensor);
  return made;
}

const COMPARISONS: ReadonlySet<string> = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);

/**
 * Is a score compared with what others computed, as with its row's maximum to find who is the largest? Computed again it may differ in
 * its last bit, and then nobody is. Against a constant a bit matters no more than it does anyhow.
 */
function compares(e: TensorExpr, scores: ReadonlySet<Definition>): boolean {
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): boolean => {
    if (seen.has(x)) return false;
    seen.add(x);
    if (x.kind !== "apply") return false;
    if (COMPARISONS.has(x.prim)) {
      const reads = x.args.flatMap((a) => readsIn(a));
      if (reads.some((r) => scores.has(r.tensor)) && reads.some((r) => !scores.has(r.tensor))) return true;
    }
    return x.args.some(go);
  };
  return go(e);
}

// ---- Are the kernels accepted? --------------------------------------------------------------------------------------

/** The program with copies of a component's scores for each reader, if one kernel can compute each and `accepts` them. */
function tryComponent(
  p: Program,
  c: Component,
  limits: FuseLimits,
  strict: boolean,
  chained: ReadonlySet<string>,
  accepts: (regions: readonly OnlineRegion[]) => boolean,
  pack: boolean,
): Copied | (Refusal & { readonly opsAdded: number }) {
  const copied = withCopies(p, c, pack);
  const { program } = copied;
  const names = new Set([...chained, ...c.readers.map((r) => r.name)]);
  const clusters = findClusters(program, limits, strict, names);
  const regions: OnlineRegion[] = [];
  const [first] = c.scores;
  const refusal = (to: string, code: Decision["code"], opsAdded = 0): Refusal & { readonly opsAdded: number } => ({
    edge: [first?.name ?? "", to],
    code,
    opsAdded,
  });
  for (const r of c.readers) {
    const own = clusters.find((x) => x.def.name === r.name);
    if (own?.scores.length !== r.scores.size) return refusal(r.name, "bindings");
    regions.push(regionOfCluster(own));
  }
  if (accepts(regions)) return copied;
  return refusal(c.readers[0]?.name ?? "", "recompute", opsOfCopies(regions) - opsOfScores(c));
}

/** Multiplications and additions of all scores, once. */
function opsOfScores(c: Component): number {
  let sum = 0;
  for (const d of c.scores) sum += 2 * points(d.axes) * points(reductionOf(d)?.axes ?? []);
  return sum;
}
function opsOfCopies(regions: readonly OnlineRegion[]): number {
  return regions.reduce((sum, r) => {
    const at = points([...r.batch, ...r.m, ...r.k]);
    return sum + r.scores.reduce((n, s) => n + 2 * at * points(s.d), 0);
  }, 0);
}
