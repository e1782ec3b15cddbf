/**
 * Derivatives of a program at a point: reverse mode against forward mode (⟨w, J t⟩ = ⟨Jᵀ w, t⟩) and against central differences
 * along t, all in float64 on the interpreter, where the differences themselves show that the function is smooth. Nothing is a
 * tolerance: forward and reverse mode may differ by as much as they move when the inputs do by some last bits, the differences
 * by as much as those of two widths are apart (what their Taylor series leaves out shrinks fourfold with half the width), and by
 * their roundings.
 */
import { isFloat } from "../ir/dtype.ts";
import { type ArrayInput, interpret } from "../ir/interpret.ts";
import type { Program } from "../ir/tensor.ts";
import { forward } from "./differentiate/forward.ts";
import { reverse } from "./differentiate/reverse.ts";

type Arrays = ReadonlyMap<string, ArrayInput>;

export interface DerivativePrograms {
  readonly value: Program;
  readonly backward: Program;
  readonly forward: Program;
  /** Float inputs, in order: what the derivatives are by. */
  readonly wrt: readonly string[];
}

/** Undefined if there is no float input or no float result. Throws NotDifferentiable. */
export function derivativesOf(program: Program): DerivativePrograms | undefined {
  const wrt = program.inputs.filter((d) => isFloat(d.types[0] ?? "i32")).map((d) => d.name);
  if (wrt.length === 0 || !program.results.some((r) => isFloat(r.tensor.types[r.slot] ?? "i32"))) return undefined;
  return {
    value: program,
    backward: reverse(program, { wrt, seed: () => "input" }),
    forward: forward(program, wrt),
    wrt,
  };
}

export interface DirectionalDerivatives {
  readonly forward: number;
  readonly reverse: number;
  readonly differences: number;
}

export type GradientVerdict =
  /** `share` of its bound that the larger disagreement used: up to 1 they agree. */
  | (DirectionalDerivatives & {
      readonly kind: "agrees" | "differs";
      readonly share: number;
      readonly message: string;
    })
  | { readonly kind: "undecided"; readonly reason: string };

export interface GradientPoint {
  readonly inputs: Arrays;
  readonly sizes: ReadonlyMap<string, number>;
  /** Of which inputs the derivative is looked at; the others stay. */
  readonly by: readonly string[];
  /** Different seeds give different directions and weights of the results. */
  readonly seed: number;
}

interface Sum {
  readonly sum: number;
  /** The same of absolute values: what roundings go by. */
  readonly size: number;
}

/** What rounding to 53 bits may change of a sum whose terms are some thousand operations away from the inputs. */
const ROUNDING = 2 ** -52 * 1024;
/** Moves the inputs by as much as such roundings would, with room. */
const NUDGE = 2 ** -36;
const WIDTHS = [2 ** -14, 2 ** -15, 2 ** -16] as const;

export function compareDerivatives(d: DerivativePrograms, point: GradientPoint): GradientVerdict {
  const { inputs, sizes, seed } = point;
  const run = (p: Program, more: Arrays, at: Arrays): ReadonlyMap<string, { readonly data: ArrayLike<number> }> => {
    const given = new Map(p.inputs.map((x) => [x.name, more.get(x.name) ?? at.get(x.name)!]));
    return new Map(interpret(p, given, { sizes }).map((r) => [r.name, r]));
  };
  const outputs = interpret(d.value, inputs, { sizes }).filter((r) => isFloat(r.dtype));
  const weights = new Map(outputs.map((r, k) => [r.name, direction(r.shape, 100 + k + 1000 * seed)]));
  const moves = new Map(d.wrt.map((n, k) => [n, direction(inputs.get(n)!.shape, 200 + k + 1000 * seed)]));
  const tangents = new Map(
    [...moves].map(([n, t]) => [
      n,
      point.by.includes(n) ? t : { shape: t.shape, data: new Float64Array(t.data.length) },
    ]),
  );
  const cotangents = new Map([...weights].map(([n, w]) => [`cotangent_${n}`, w]));
  const directions = new Map([...tangents].map(([n, t]) => [`tangent_${n}`, t]));
  const reversed = (at: Arrays): Sum => {
    const r = run(d.backward, cotangents, at);
    return total(d.wrt.map((n) => dot(r.get(`gradient_${n}`)!.data, tangents.get(n)!.data)));
  };
  const forwarded = (at: Arrays): Sum => {
    const r = run(d.forward, directions, at);
    return total(outputs.map((o) => dot(r.get(`tangent_${o.name}`)!.data, weights.get(o.name)!.data)));
  };
  const [left, right] = [forwarded(inputs), reversed(inputs)];
  const nudged = moved(inputs, moves, NUDGE);
  const [left2, right2] = [forwarded(nudged), reversed(nudged)];
  if (![left, right, left2, right2].every((x) => Number.isFinite(x.size)))
    return { kind: "undecided", reason: "a derivative is not finite" };
  const slack =
    ROUNDING * (left.size + right.size) +
    Math.max(
      Math.abs(left2.sum - left.sum),
      Math.abs(right2.sum - right.sum),
      Math.abs(left2.size - left.size),
      Math.abs(right2.size - right.size),
    );
  if (slack > 1e-3 * (Math.abs(left.sum) + Math.abs(right.sum) + 1e-3))
    return { kind: "undecided", reason: "the derivative jumps" };
  const shareOf = (difference: number, bound: number): number =>
    difference === 0 ? 0 : bound === 0 ? Number.POSITIVE_INFINITY : difference / bound;
  const between = shareOf(Math.abs(left.sum - right.sum), slack);
  if (between > 1)
    return {
      kind: "differs", forward: left.sum, reverse: right.sum, differences: Number.NaN, share: between,
      message: `forward mode gives ${left.sum}, reverse mode ${right.sum} (± ${slack})`,
    }; // biome-ignore format: one record

  const value = (h: number): Sum => {
    const r = run(d.value, new Map(), moved(inputs, tangents, h));
    return total(outputs.map((o) => dot(r.get(o.name)!.data, weights.get(o.name)!.data)));
  };
  const here = value(0);
  const central: number[] = [];
  const bends: number[] = [];
  for (const h of WIDTHS) {
    const [up, down] = [value(h), value(-h)];
    central.push((up.sum - down.sum) / (2 * h));
    bends.push(Math.abs(up.sum - 2 * here.sum + down.sum) / h);
  }
  const [c0, c1, c2] = central as [number, number, number];
  const rounding = (ROUNDING * here.size) / WIDTHS[2];
  // One-sided derivatives of a smooth function approach each other with h; at a corner they stay apart.
  if (!central.every(Number.isFinite) || bends[2]! > 0.4 * bends[0]! + rounding)
    return { kind: "undecided", reason: "the function has a corner here" };
  const bound = 4 * Math.abs(c1 - c2) + 4 * Math.abs(c0 - c1) + rounding + slack;
  if (bound > 1e-2 * (1 + Math.abs(c2))) return { kind: "undecided", reason: "differences say too little here" };
  const share = Math.max(between, shareOf(Math.abs(c2 - right.sum), bound));
  return {
    kind: share > 1 ? "differs" : "agrees", forward: left.sum, reverse: right.sum, differences: c2, share,
    message: `differences give ${c2}, reverse mode ${right.sum} (± ${bound})`,
  }; // biome-ignore format: one record
}

/** Values in ±1, not on a grid, the same for the same seed. */
export function direction(
  shape: readonly number[],
  seed: number,
): { readonly shape: readonly number[]; readonly data: Float64Array } {
  const length = shape.reduce((a, b) => a * b, 1);
  const data = Float64Array.from({ length }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * (seed + 1)) * 0.9);
  return { shape, data };
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): Sum {
  let [sum, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    sum += a[i]! * b[i]!;
    size += Math.abs(a[i]! * b[i]!);
  }
  return { sum, size };
}

function total(parts: readonly Sum[]): Sum {
  return { sum: parts.reduce((a, p) => a + p.sum, 0), size: parts.reduce((a, p) => a + p.size, 0) };
}

function moved(inputs: Arrays, directions: Arrays, h: number): Arrays {
  return new Map(
    [...inputs].map(([name, a]) => {
      const t = directions.get(name)?.data;
      return [name, t ? { shape: a.shape, data: Float64Array.from(a.data, (v, i) => v + h * t[i]!) } : a];
    }),
  );
}
