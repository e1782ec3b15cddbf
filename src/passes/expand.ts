/**
 * A map that is larger than all it reads together (the outer difference of a pairwise distance, a broadcast product) is never
 * worth its memory before a reduction: its reader evaluates it in place, and sees the product that it is.
 */
import type { Definition, MapDef, Program, Read, TensorExpr } from "../../ir/tensor.ts";
import { estimate } from "./estimate.ts";
import { normalIndices, readThrough } from "./inline.ts";
import { reductionOf } from "./lift.ts";
import {
  anchorsOf,
  countNodes,
  definitionsOf,
  hasReduce,
  readersOf,
  readsIn,
  rewriteProgram,
  slotsOf,
} from "./rewrite.ts";

const MOST_NODES = 128;

function elements(d: Definition): number {
  return d.axes.reduce((n, a) => n * estimate(a.extent), 1);
}

export function inlineExpansions(p: Program): Program {
  const anchors = anchorsOf(p);
  const definitions = definitionsOf(p);
  const readers = readersOf(definitions);
  const expansions = new Map<Definition, MapDef>();
  const isExpansion = (d: Definition, was: Definition): d is MapDef => {
    if (d.kind !== "map" || d.results.length !== 1 || anchors.has(was)) return false;
    const e = d.results[0];
    if (!e || hasReduce(e) || countNodes([e], MOST_NODES) > MOST_NODES) return false;
    let inputs = 0;
    const seen = new Set<Definition>();
    for (const r of readsIn(e)) {
      if (seen.has(r.tensor)) continue;
      seen.add(r.tensor);
      inputs += elements(r.tensor);
    }
    if (elements(d) <= inputs) return false;
    // Only reductions, and expansions on the way to them, evaluate it no oftener than it has elements.
    return (readers.get(was) ?? []).every((r) => r.kind === "map" && elementsWithin(r) <= elements(d));
  };
  return rewriteProgram(
    p,
    (d, emit, was) => {
      emit(d);
      if (isExpansion(d, was)) expansions.set(d, d);
      return slotsOf(d);
    },
    (r: Read): TensorExpr => {
      const t = expansions.get(r.tensor);
      const body = t?.results[0];
      if (!t || !body) return r;
      const n = normalIndices(r);
      return readThrough(body, t.axes, n.at, n.fill);
    },
  );
}

/** Points at which a map evaluates its expressions: its own axes and those it reduces. */
function elementsWithin(d: MapDef): number {
  const root = reductionOf(d);
  return elements(d) * (root?.axes ?? []).reduce((n, a) => n * estimate(a.extent), 1);
}
