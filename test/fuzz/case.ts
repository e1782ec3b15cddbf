/** A program with inputs, and what went wrong with it. */
import type { DType } from "../../ir/dtype.ts";
import type { ArrayInput } from "../../ir/interpret.ts";
import type { Program } from "../../ir/tensor.ts";
import { halfBits } from "../../runtime/index.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { generateContraction } from "../generate/contractions.ts";
import { type GenerateOptions, generateProgram } from "../generate/programs.ts";

export interface Case {
  readonly program: Program;
  readonly inputs: ReadonlyMap<string, ArrayInput>;
  readonly sizes: ReadonlyMap<string, number>;
  readonly strict: boolean;
}

/** Where a case fails. A reduced case must fail at the same stage in the same manner. */
export type Stage = "text" | "optimise" | "fuse" | "bounds" | "kernels" | "device" | "gradient";
export interface Failure {
  readonly stage: Stage;
  /** An exception, or a wrong value. */
  readonly kind: "throws" | "differs";
  readonly message: string;
  /** Which try of the schedules it was: 0 is the default one. */
  readonly trial: number;
}

const VARIANTS: readonly GenerateOptions[] = [
  {},
  { specials: true },
  { maxExtent: 40, definitions: 2, kinds: ["map", "reduce", "scan", "scatter"], depth: 2, empty: false },
  { maxExtent: 70, definitions: 3, kinds: ["reduce", "map"], depth: 2, nested: false },
  { definitions: 10, depth: 2 },
  { known: true, maxExtent: 32, definitions: 3, depth: 2, empty: false },
  { dtypes: ["i32", "u32", "bool"], functions: false },
  { dtypes: ["f32"], kinds: ["map", "reduce"], definitions: 4, maxExtent: 12 },
  {
    dtypes: ["f32"],
    functions: false,
    kinds: ["reduce", "reduce", "scan", "scatter"],
    maxExtent: 24,
    definitions: 3,
    depth: 2,
  },
];

/** The same seed gives the same case for ever (as long as the generator stays). */
export function caseOf(seed: number): Case {
  const g = generateProgram(seed, VARIANTS[seed % VARIANTS.length]);
  return { program: g.program, inputs: g.inputs, sizes: g.sizes, strict: Math.floor(seed / VARIANTS.length) % 3 === 0 };
}

/** A contraction and what stands around it. */
export function contractionCaseOf(seed: number): Case {
  return { ...generateContraction(seed), strict: seed % 3 === 0 };
}

/** Seeds of cases are spread, so that neighbouring seeds of the fuzzer share none. */
export function seedOf(seed: number, n: number): number {
  return (Math.imul(seed, 1_000_003) + n) >>> 0;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The interpreter's numbers as arrays that a device takes. */
export function hostArray(dtype: DType, a: ArrayInput): HostArray {
  const { shape } = a;
  switch (dtype) {
    case "f32":
      return { dtype, shape, data: Float32Array.from(a.data) };
    case "f16":
      return { dtype, shape, data: Uint16Array.from(a.data, halfBits) };
    case "i32":
      return { dtype, shape, data: Int32Array.from(a.data) };
    case "u32":
      return { dtype, shape, data: Uint32Array.from(a.data) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from(a.data) };
  }
}

export function hostArrays(c: Case): Record<string, HostArray> {
  return Object.fromEntries(
    c.program.inputs.map((d) => [d.name, hostArray(d.types[0] ?? "f32", c.inputs.get(d.name)!)]),
  );
}
