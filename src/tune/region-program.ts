/**
 * A region as a tensor program of its own: its reads are the inputs, its stores the results. What the tuner runs, what bounds its
 * results, and, printed without names, what identifies the region in a cache.
 */
import { type Extent, evaluateExtent } from "../../ir/extent.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { type Definition, type Input, input, type Program, read, type Step, type TensorRef } from "../../ir/tensor.ts";
import { symbolsIn } from "../../ir/tensor-collect.ts";
import { mapExpressions, mapReads } from "../passes/rewrite.ts";
import { defuse } from "../schedule/defuse.ts";
import type { Region } from "../schedule/region.ts";

export interface RegionProgram {
  /** Inputs `x0`, `x1`, … are `region.reads` in order, results `y0`, `y1`, … `region.stores`. */
  readonly program: Program;
  readonly symbols: readonly string[];
}

const made = new WeakMap<Region, RegionProgram>();

export function regionProgram(region: Region): RegionProgram {
  const old = made.get(region);
  if (old) return old;
  const inputs = region.reads.map(
    (r, i): Input => input(`x${i}`, r.tensor.types[r.slot] ?? "f32", r.tensor.axes, r.tensor.span),
  );
  const given = new Map<Definition, Map<number, Input>>();
  region.reads.forEach((r, i) => {
    const slots = given.get(r.tensor) ?? new Map<number, Input>();
    slots.set(r.slot, inputs[i]!);
    given.set(r.tensor, slots);
  });
  const alone = defuse({
    program: {
      name: region.name,
      inputs: [],
      steps: [],
      facts: [],
      results: region.stores.map((s, i) => ({ name: `y${i}`, tensor: s.tensor, slot: s.slot })),
    },
    regions: [region],
    decisions: [],
    stored: new Set(region.stores.map((s) => s.tensor)),
  });
  const replaced = new Map<Definition, Definition>();
  const onRef = (r: TensorRef): TensorRef => {
    const outside = given.get(r.tensor)?.get(r.slot);
    return outside ? { tensor: outside, slot: 0 } : { tensor: replaced.get(r.tensor) ?? r.tensor, slot: r.slot };
  };
  const steps = alone.steps.map((s): Step => {
    if (s.kind === "loop") throw new Error(`region ${region.name} holds a loop`);
    const d = mapExpressions(
      s,
      (e) =>
        mapReads(e, (r) => {
          const to = onRef(r);
          return read(to.tensor, to.slot, r.at, r.fill);
        }),
      onRef,
    );
    replaced.set(s, d);
    return d;
  });
  const program: Program = {
    ...alone,
    inputs,
    steps,
    results: alone.results.map((r) => ({ ...r, ...onRef(r) })),
  };
  const result: RegionProgram = { program, symbols: [...symbolsIn(program)].sort() };
  made.set(region, result);
  return result;
}

export interface RegionText {
  /** The kind and the program without names; extents are numbered, `e0` for a known one, `s0` for one of the arguments'. */
  readonly text: string;
  /** The extents behind the numbers. */
  readonly extents: readonly Extent[];
}

const texts = new WeakMap<Region, RegionText>();

export function regionText(region: Region): RegionText {
  const old = texts.get(region);
  if (old) return old;
  const numbers = new Map<Extent, string>();
  const extent = (e: Extent): string => {
    const known = numbers.get(e);
    if (known) return known;
    const name = `${e.value === undefined ? "s" : "e"}${numbers.size}`;
    numbers.set(e, name);
    return name;
  };
  const text = `${region.kind}\n${printProgram(regionProgram(region).program, { canonical: true, extent })}`;
  const result: RegionText = { text, extents: [...numbers.keys()] };
  texts.set(region, result);
  return result;
}

/** Element types that the region reads and writes, each once. */
export function regionTypes(region: Region): readonly string[] {
  return [...new Set([...region.reads, ...region.stores].map((r) => r.tensor.types[r.slot] ?? "f32"))].sort();
}

/** An extent's value, if the symbols in it are known. */
export function extentValue(e: Extent, sizes: ReadonlyMap<string, number> | undefined): number | undefined {
  if (e.value !== undefined) return e.value;
  if (!sizes) return undefined;
  try {
    return evaluateExtent(e, sizes);
  } catch {
    return undefined;
  }
}
