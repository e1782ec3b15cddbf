/** Random programs keep their value through every pass and through fusion, and fused programs verify. */
import { expect, test } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import type { Program } from "../../ir/tensor.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { contract } from "../../src/passes/contract.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";
import { type GeneratedProgram, type GenerateOptions, generateProgram } from "../generate/programs.ts";

const SEEDS = Number(process.env.FUSE_SEEDS ?? 60);
const FROM = Number(process.env.FUSE_FROM ?? 1);

/** Where two programs' results first differ, bit for bit (any NaN is any NaN). */
function difference(a: Program, b: Program, g: GeneratedProgram): string | undefined {
  const [x, y] = [interpret(a, g.inputs, { sizes: g.sizes }), interpret(b, g.inputs, { sizes: g.sizes })];
  for (const [n, r] of x.entries()) {
    const other = y[n];
    if (!other || other.dtype !== r.dtype || other.shape.join() !== r.shape.join())
      return `${r.name} changed its shape`;
    for (let i = 0; i < r.data.length; i++)
      if (!Object.is(r.data[i], other.data[i])) return `${r.name}[${i}]: ${r.data[i]} became ${other.data[i]}`;
  }
  return undefined;
}

function check(seed: number, o: GenerateOptions, strict: boolean, limit: number): string | undefined {
  const g = generateProgram(seed, o);
  let stage = "contract";
  try {
    const contracted = contract(g.program, { strict });
    stage = "normalise";
    const normal = normalise(contracted, { strict });
    const problems = verifyProgram(normal);
    if (problems.length > 0) return `${problems.join("\n")}\n${printProgram(g.program)}\n${printProgram(normal)}`;
    const changed = difference(g.program, normal, g);
    if (changed) return `normalise: ${changed}\n${printProgram(g.program)}\n${printProgram(normal)}`;
    stage = "fuse";
    const fused = fuse(normal, { strict, limits: { maxStorageBuffers: limit } });
    const wrong = verifyRegions(fused, limit);
    if (wrong.length > 0) return `${wrong.join("\n")}\n${printProgram(normal)}`;
    stage = "defuse";
    const back = defuse(fused);
    const off = difference(g.program, back, g);
    if (off) return `fuse: ${off}\n${printProgram(normal)}\n${printProgram(back)}`;
  } catch (e) {
    return `${stage}: ${e instanceof Error ? e.stack : String(e)}\n${printProgram(g.program)}`;
  }
  return undefined;
}

const variants: readonly [string, GenerateOptions, boolean, number][] = [
  ["as generated, strict", { specials: true }, true, 8],
  ["many definitions, few buffers", { definitions: 12, specials: true, kinds: ["map", "reduce", "scan"] }, true, 6],
  ["exact types, with distribution", { definitions: 6, dtypes: ["i32", "u32", "bool"], functions: false }, false, 8],
];
test.each(variants)("%s", (_, o, strict, limit) => {
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    const failure = check(seed, o, strict, limit);
    if (failure) expect.fail(`seed ${seed}: ${failure}`);
  }
});
