/**
 * What holds of every fused program:
 * - regions stand in an order in which they can run: what one reads is an input or was stored by an earlier one;
 * - every result of the program is stored, and no element of memory is written by two regions;
 * - a region's expressions read memory only where `reads` says so, and otherwise values that it holds on chip, at its own
 *   point; they hold no reduce, and refer to axes that the region binds, only;
 * - a row's phase reads reductions of earlier phases only;
 * - a region binds no more storage buffers than the limit.
 */
import { type Axis, axisRef, type Definition, type TensorExpr, type TensorRef } from "../../ir/tensor.ts";
import { axesIn, hasReduce, readsIn } from "../passes/rewrite.ts";
import { heldBy, keyOf } from "./fuse-build.ts";
import { type FusedProgram, type OnlineRegion, type Region, statesOf } from "./region.ts";

/** What does not hold, in words; empty for a correct program. */
export function verifyRegions(
  f: FusedProgram,
  maxStorageBuffers: number = Number.POSITIVE_INFINITY,
): readonly string[] {
  const problems: string[] = [];
  const written = new Set<string>();
  for (const r of f.regions) {
    const say = (what: string): void => {
      problems.push(`region ${r.name}: ${what}`);
    };
    for (const ref of r.reads)
      if (ref.tensor.kind !== "input" && ref.tensor.kind !== "carry" && !written.has(keyOf(ref)))
        say(`reads ${ref.tensor.name}, which nobody stored before`);
    for (const ref of r.stores) {
      if (written.has(keyOf(ref))) say(`stores ${ref.tensor.name} again`);
      written.add(keyOf(ref));
      if (!f.stored.has(ref.tensor)) say(`${ref.tensor.name} is stored but not listed`);
      if (!computes(r, ref)) say(`does not compute ${ref.tensor.name}, which it stores`);
    }
    if (r.stores.length === 0) say("stores nothing");
    const bindings = new Set([...r.reads, ...r.stores].map(keyOf)).size;
    if (bindings > maxStorageBuffers && r.reads.length + r.stores.length > 2) say(`binds ${bindings} buffers`);
    expressions(r, say);
  }
  for (const result of f.program.results)
    if (!written.has(keyOf(result))) problems.push(`result ${result.name} (${result.tensor.name}) is not stored`);
  return problems;
}

function computes(r: Region, ref: TensorRef): boolean {
  switch (r.kind) {
    case "elementwise":
      return r.maps.some((m) => m.def === ref.tensor);
    case "row":
      return r.phases.some((p) => p.def === ref.tensor);
    case "online":
      return (
        [r.def, ...statesOf(r).map((s) => s.def)].some((d) => d === ref.tensor) ||
        r.epilogue.some((m) => m.def === ref.tensor)
      );
    case "contraction":
    case "scan":
      return r.def === ref.tensor || r.epilogue.some((m) => m.def === ref.tensor);
    case "scatter":
      return r.def === ref.tensor;
    default:
      return r satisfies never;
  }
}

function expressions(r: Region, say: (what: string) => void): void {
  const memory = new Set(r.reads.map(keyOf));
  const check = (e: TensorExpr, bound: Iterable<Axis>, held: ReadonlySet<Definition>, point: readonly Axis[]): void => {
    if (hasReduce(e)) say("a reduce within an expression");
    const scope = new Set(bound);
    for (const a of axesIn(e)) if (!scope.has(a)) say(`axis ${a.name} is not bound`);
    for (const q of readsIn(e)) {
      if (held.has(q.tensor)) {
        const own = q.at.length === point.length && q.at.every((x, i) => x.kind === "axis" && x.axis === point[i]);
        if (!own) say(`reads ${q.tensor.name} on chip at another point`);
      } else if (!memory.has(keyOf(q))) say(`reads ${q.tensor.name}, which is neither in memory nor on chip`);
    }
  };
  switch (r.kind) {
    case "elementwise":
      for (const m of r.maps) for (const e of [...m.results, ...(m.point ?? [])]) check(e, r.axes, new Set(), []);
      return;
    case "row": {
      const held = new Set<Definition>();
      for (const p of r.phases) {
        if (p.kind === "reduce") {
          for (const e of p.reduce.values) check(e, [...r.axes, ...p.reduce.axes], held, r.axes);
          held.add(p.def);
        } else for (const e of [...p.results, ...p.point]) check(e, [...r.axes, ...p.axes], held, r.axes);
      }
      return;
    }
    case "contraction": {
      const P = r.def.axes;
      for (const e of [r.a, ...(r.b ? [r.b] : [])]) check(e, [...P, ...r.k], new Set(), P);
      if (readsIn(r.body).length > 0) say("the body of a contraction reads memory");
      check(r.body, [...P, ...r.k], new Set(), P);
      for (const m of r.epilogue) for (const e of [...m.results, ...(m.point ?? [])]) check(e, P, heldBy(r), P);
      const sides = new Set([...r.batch, ...r.m, ...r.n]);
      if (sides.size !== P.length || !P.every((a) => sides.has(a))) say("batch, M and N are not the free axes");
      return;
    }
    case "online":
      online(r, memory, say);
      return;
    case "scan":
      for (const e of r.def.values) check(e, r.def.axes, new Set(), []);
      for (const m of r.epilogue)
        for (const e of [...m.results, ...(m.point ?? [])]) check(e, r.def.axes, heldBy(r), r.def.axes);
      return;
    case "scatter":
      for (const e of [...r.def.at, ...r.def.values]) check(e, r.def.domain, new Set(), []);
      return;
    default:
      r satisfies never;
  }
}

/** Operands, weights and states have the axes that they may, and what is held on chip is read at its own point. */
function online(r: OnlineRegion, memory: ReadonlySet<string>, say: (what: string) => void): void {
  const points = new Map<Definition, readonly TensorExpr[]>([[r.def, r.def.axes.map(axisRef)]]);
  for (const s of [...statesOf(r), ...r.scores]) points.set(s.def, s.point);
  const check = (e: TensorExpr, bound: readonly Axis[], held: readonly Definition[]): void => {
    if (hasReduce(e)) say("a reduce within an expression");
    for (const a of axesIn(e)) if (!bound.includes(a)) say(`axis ${a.name} is not bound`);
    for (const q of readsIn(e)) {
      if (held.includes(q.tensor)) {
        if (!points.get(q.tensor)?.every((x, i) => x === q.at[i]))
          say(`reads ${q.tensor.name} on chip at another point`);
      } else if (!memory.has(keyOf(q))) say(`reads ${q.tensor.name}, which is neither in memory nor on chip`);
    }
  };
  const rows = [...r.batch, ...r.m];
  const scores = r.scores.map((s) => s.def);
  for (const s of r.scores) {
    check(s.a, [...rows, ...s.d], []);
    check(s.b, [...r.batch, ...r.k, ...s.d], []);
  }
  for (const v of r.peak?.reduce.values ?? []) check(v, [...rows, ...r.k], scores);
  const known = r.peak ? [...scores, r.peak.def] : scores;
  for (const s of r.sums) for (const v of s.reduce.values) check(v, [...rows, ...r.k], known);
  check(r.weight, [...rows, ...r.k], known);
  check(r.value, [...r.batch, ...r.k, ...r.n], []);
  const states = [r.def, ...statesOf(r).map((s) => s.def)];
  for (const m of r.epilogue) for (const e of [...m.results, ...(m.point ?? [])]) check(e, r.def.axes, states);
}
