/** Sizes and arguments to tune with, where nobody gives them. */
import type { DType } from "../../ir/dtype.ts";
import { evaluateExtent } from "../../ir/extent.ts";
import { bindSizes, InputError } from "../../ir/sizes.ts";
import type { Definition, Input, Program, Read } from "../../ir/tensor.ts";
import { eachNode, symbolsIn } from "../../ir/tensor-collect.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { randomArray } from "../io/random.ts";
import { readsIn } from "../passes/rewrite.ts";

/** What a size counts as that nobody gives: as for the model. */
const USUAL = 256;
const ATTEMPTS = 400;
/** Of arguments and results together, where sizes may be chosen. */
const MOST_BYTES = 2 ** 27;

/**
 * Values of the program's size symbols: those given, 256 for the others, and where the program's facts refuse that or its arrays would be larger than
 * 128 MiB, equal smaller ones, then random ones. Undefined if none are found.
 */
export function sizesFor(
  program: Program,
  given: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> | undefined {
  const symbols = [...symbolsIn(program)].sort();
  let state = 1;
  const draw = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const isFree = symbols.some((s) => !Object.hasOwn(given, s));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const all = attempt < 9 ? USUAL >> attempt : 1 + draw(USUAL);
    const sizes = new Map(
      symbols.map((s) => [s, Object.hasOwn(given, s) ? given[s]! : attempt < 20 ? all : 1 + draw(USUAL)]),
    );
    const shapes = shapesFor(program, sizes);
    if (!shapes || (isFree && bytesFor(program, sizes) > MOST_BYTES)) continue;
    try {
      return bindSizes(program, shapes, sizes);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  return undefined;
}

function shapesFor(program: Program, sizes: ReadonlyMap<string, number>): Map<string, number[]> | undefined {
  const shapes = new Map<string, number[]>();
  for (const d of program.inputs) {
    const shape = d.axes.map((a) => evaluateExtent(a.extent, sizes));
    if (shape.some((n) => n < 0)) return undefined;
    shapes.set(d.name, shape);
  }
  return shapes;
}

/** Of the program's arguments and results. */
function bytesFor(program: Program, sizes: ReadonlyMap<string, number>): number {
  const all = new Set<Definition>([...program.inputs, ...program.results.map((r) => r.tensor)]);
  return [...all].reduce((sum, d) => sum + bytesOf(d, sizes), 0);
}

/** Of all results of a definition. */
export function bytesOf(d: Definition, sizes: ReadonlyMap<string, number>): number {
  const count = d.axes.reduce((n, a) => n * evaluateExtent(a.extent, sizes), 1);
  return d.types.reduce((sum, dtype) => sum + count * (dtype === "f16" ? 2 : 4), 0);
}

/** A prime: what is a tile off reads other numbers. */
const PERIOD = 65_521;

/** Random arguments by input; integers that index something lie within its extent. */
export function inputsFor(
  program: Program,
  sizes: ReadonlyMap<string, number>,
  seed: number,
): ReadonlyMap<Input, HostArray> {
  const limits = indexLimits(program, sizes);
  return new Map(
    program.inputs.map((d, i) => {
      const shape = d.axes.map((a) => evaluateExtent(a.extent, sizes));
      const length = shape.reduce((p, n) => p * n, 1);
      const some = randomArray(d.types[0] ?? "f32", [Math.min(length, PERIOD)], seed, i, limits.get(d) ?? 10);
      return [d, { dtype: some.dtype, shape, data: repeated(some.data, length) }];
    }),
  );
}

function repeated(data: HostArray["data"], length: number): HostArray["data"] {
  if (data.length === length) return data;
  const made = new (data.constructor as new (n: number) => HostArray["data"])(length);
  for (let at = 0; at < length; at += data.length) made.set(data.subarray(0, Math.min(data.length, length - at)), at);
  return made;
}

const INTEGERS: readonly DType[] = ["i32", "u32"];

/** The smallest extent that an input's elements index. */
function indexLimits(program: Program, sizes: ReadonlyMap<string, number>): ReadonlyMap<Input, number> {
  const limits = new Map<Input, number>();
  const look = (r: Read): void => {
    r.at.forEach((index, d) => {
      const axis = r.tensor.axes[d];
      if (!axis) return;
      const extent = Math.max(1, evaluateExtent(axis.extent, sizes));
      for (const { tensor } of readsIn(index))
        if (tensor.kind === "input" && INTEGERS.includes(tensor.types[0] ?? "f32"))
          limits.set(tensor, Math.min(limits.get(tensor) ?? extent, extent));
    });
  };
  eachNode(program, (e) => {
    if (e.kind === "read") look(e);
  });
  return limits;
}
