/** Gradients against central differences in float64, with a bound that the differences themselves give. */
import { interpret } from "../../ir/interpret.ts";
import type { Program } from "../../ir/tensor.ts";
import { reverse } from "../../src/differentiate/reverse.ts";
import { direction } from "../../src/gradient-check.ts";

export type Arrays = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float64Array }>;

export const sample: typeof direction = direction;

function weighted(program: Program, inputs: Arrays, weights: readonly Float64Array[]): number {
  let sum = 0;
  interpret(program, inputs).forEach((r, k) => {
    if (r.dtype !== "f32") return;
    for (const [i, v] of r.data.entries()) sum += v * weights[k]![i]!;
  });
  return sum;
}

/** Every element of every gradient that leaves its bound, as text. */
export function gradientProblems(program: Program, inputs: Arrays, wrt: readonly string[]): string[] {
  const outputs = interpret(program, inputs);
  const weights = outputs.map((r, k) => sample([r.data.length], 100 + k).data);
  const withSeeds = new Map(inputs);
  for (const [k, r] of outputs.entries()) withSeeds.set(`cotangent_${r.name}`, { shape: r.shape, data: weights[k]! });
  const adjoint = reverse(program, { wrt, seed: () => "input" });
  const results = interpret(
    adjoint,
    new Map([...withSeeds].filter(([name]) => adjoint.inputs.some((d) => d.name === name))),
  );
  const problems: string[] = [];
  for (const name of wrt) {
    const got = results.find((r) => r.name === `gradient_${name}`)!;
    const { shape, data } = inputs.get(name)!;
    data.forEach((value, i) => {
      const difference = (h: number): number => {
        const moved = (to: number): Arrays => new Map([...inputs, [name, { shape, data: data.with(i, to) }]]);
        return (weighted(program, moved(value + h), weights) - weighted(program, moved(value - h), weights)) / (2 * h);
      };
      const [wide, narrow] = [difference(2 ** -12), difference(2 ** -13)];
      // The truncation error falls fourfold from one to the other; rounding is a few units of the largest term over h.
      const best = (4 * narrow - wide) / 3;
      const bound = Math.abs(narrow - wide) + 2 ** -52 * 2 ** 13 * 64 * (1 + Math.abs(best));
      if (!(Math.abs(got.data[i]! - best) <= bound))
        problems.push(`${name}[${i}]: ${got.data[i]}, by differences ${best} ± ${bound}`);
    });
  }
  return problems;
}
