/** Attention in its forms, as programs, and their kernels beside the tensor interpreter. */
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import type { Program } from "../../ir/tensor.ts";
import { compile } from "../../src/api/compile.ts";
import { optimise } from "../../src/compile.ts";
import { choose } from "../../src/schedule/choose.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import type { FusedProgram, Region } from "../../src/schedule/region.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import type { Target } from "../../src/schedule/target.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";

export type Shapes = Readonly<Record<string, readonly number[]>>;

/** The first exported function of a source, optimised; extents are literal if shapes are given. */
export function programOf(source: string, target: Target, shapes?: Shapes, strict = false): Program {
  const module = compile(source);
  const name = module.functions[0]?.name;
  if (!name) throw new Error("no function");
  return optimise(module.tensorProgram(name, shapes ? { shapes } : {}), { target, strict, verify: true });
}

/** Fused with one kernel for weighted sums wherever one is found. */
export function fuseOnline(p: Program): FusedProgram {
  const fused = fuse(p, { limits: { maxStorageBuffers: 8 }, online: () => true });
  const problems = verifyRegions(fused, 8);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return fused;
}

/** Largest difference of the kernels' results from the interpreter's, NaN and infinities at the same places; throws otherwise. */
export function difference(
  written: Program,
  fused: FusedProgram,
  target: Target,
  inputs: ReadonlyMap<string, ArrayInput>,
  schedule: (r: Region) => Schedule | undefined = () => undefined,
): number {
  const want = interpret(written, inputs, { mode: "exact" });
  const got = runFused(fused, target, inputs, { mode: "exact", schedule: (r) => schedule(r) ?? choose(r, target) });
  let most = 0;
  want.forEach((w, i) => {
    w.data.forEach((v, e) => {
      const x = got[i]?.data[e];
      if (x === undefined) throw new Error(`${w.name} is short`);
      if (Object.is(v, x) || v === x) return;
      if (!Number.isFinite(v) || !Number.isFinite(x)) throw new Error(`${w.name}[${e}] is ${x}, not ${v}`);
      most = Math.max(most, Math.abs(v - x) / Math.max(1, Math.abs(v)));
    });
  });
  return most;
}

/** Small numbers, a few of them special where `specials` says so. */
export function inputsFor(shapes: Shapes, seed: number, specials = false): ReadonlyMap<string, ArrayInput> {
  let s = (seed * 2654435761 + 1) >>> 0;
  const next = (): number => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const data = Float64Array.from({ length: count }, (_, i) => {
        const x = next() * 4 - 2;
        // The first row of a mask hides everything.
        if (name === "seen") return i < (shape[1] ?? 0) ? 0 : Number(x > -1);
        if (name === "mask") return i % (shape[1] ?? 1) === 0 || x > 1.5 ? Number.NEGATIVE_INFINITY : x;
        if (!specials) return x;
        const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
        return next() < 0.03 ? (odd[Math.floor(next() * 4)] ?? x) : x;
      });
      return [name, { shape, data }];
    }),
  );
}

/** Rescaling rounds once more a block: a few units of float64 for sums of some dozen terms. */
export const SLACK: number = 64 * 2 ** -52;
