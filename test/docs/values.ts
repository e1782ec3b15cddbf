/** Comments such as `// total([1, 2, 3]) = 6` in examples: calls and what the interpreter must give, to six digits. */

import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import type { Program } from "../../src/index.ts";

export interface Claim {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly expected: unknown;
  readonly text: string;
}

export function claimsOf(source: string): readonly Claim[] {
  return [...source.matchAll(/^\/\/ (\w+)\((.*)\) = (.+)$/gm)].map((m) => ({
    name: m[1]!,
    args: JSON.parse(`[${m[2]!}]`) as unknown[],
    expected: JSON.parse(m[3]!) as unknown,
    text: m[0],
  }));
}

/** The result, or a record of results, as nested lists. */
export function evaluateClaim(program: Program, claim: Claim): unknown {
  const signature = program.functions.find((f) => f.name === claim.name);
  const parameters = signature?.parameters.filter((p) => !p.isConst) ?? [];
  const inputs = Object.fromEntries(
    claim.args.map((a, i) => [parameters[i]!.name, toArray(a, parameters[i]!.dtype as PlanDType)]),
  );
  const results = Object.entries(program.interpret(claim.name, inputs)).map(([n, a]) => [n, nested(a)] as const);
  const [first] = results;
  return results.length === 1 && first?.[0] === "result" ? first[1] : Object.fromEntries(results);
}

function toArray(value: unknown, dtype: PlanDType): HostArray {
  const shape: number[] = [];
  for (let x = value; Array.isArray(x); x = x[0] as unknown) shape.push(x.length);
  const flat = [value].flat(Number.POSITIVE_INFINITY) as number[];
  const data =
    dtype === "i32" ? Int32Array.from(flat) : dtype === "u32" ? Uint32Array.from(flat) : Float32Array.from(flat);
  return { dtype, shape, data };
}

function nested(a: HostArray): unknown {
  const of = (axis: number, offset: number): unknown => {
    const n = a.shape[axis];
    if (n === undefined) {
      const x = a.data[offset]!;
      return a.dtype === "f32" ? Number(x.toPrecision(6)) : x;
    }
    return Array.from({ length: n }, (_, i) => of(axis + 1, offset * n + i));
  };
  return of(0, 0);
}
