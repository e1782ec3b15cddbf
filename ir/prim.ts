import type { DType } from "./dtype.ts";

/**
 * The primitive functions on scalars, at both levels. Every column of the primitive table is a
 * `satisfies Record<Prim, …>` of this type, in the room that may know it: evaluation (ir/evaluate.ts), error bounds
 * (ir/bounds.ts), interval (ir/interval.ts), WGSL (codegen/spell.ts), derivative (src/differentiate/rules.ts), cost.
 *
 * Semantics (numerics.md):
 * - i32 and u32 wrap modulo 2^32. `floordiv` and `mod` round to the floor on integers and floats alike (Python);
 *   by an integer zero both give 0. `rem` truncates (C's %, fmod); by integer zero it gives 0. `div` is IEEE, floats only.
 * - `min` and `max` on floats propagate NaN, and order -0 below +0. Comparisons are IEEE.
 * - `pow` on floats is C's pow; on integers repeated multiplication, a negative exponent gives 0 (1 for base 1, ±1 for -1).
 * - `round` is half to even. `sign` of NaN is NaN, of ±0 is ±0.
 * - `cast`: float → integer truncates and saturates, NaN gives 0; → bool is x != 0; integer ↔ integer wraps.
 * - `bitcast` between f32, i32, u32 keeps bits. The target is the apply's dtype for both.
 * - Shifts use the low 5 bits of the amount; `shr` is arithmetic on i32 and logical on u32.
 * - `threefry0/1`(k0, k1, c0, c1): the two u32 words of Threefry-2×32 with 20 rounds.
 * - `stopGradient` is the identity, removed after differentiation.
 * - `exp.fast` and the like do not exist here: --fast-math writes rows by others (src/passes/fast-math.ts).
 */
export const PRIMS = [
  "add",
  "sub",
  "mul",
  "div",
  "floordiv",
  "mod",
  "rem",
  "neg",
  "abs",
  "sign",
  "min",
  "max",
  "pow",
  "exp",
  "exp2",
  "expm1",
  "log",
  "log2",
  "log1p",
  "sqrt",
  "rsqrt",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "atan2",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "erfc",
  "floor",
  "ceil",
  "round",
  "trunc",
  "eq",
  "ne",
  "lt",
  "le",
  "gt",
  "ge",
  "and",
  "or",
  "not",
  "bitand",
  "bitor",
  "bitxor",
  "bitnot",
  "shl",
  "shr",
  "popcount",
  "clz",
  "select",
  "cast",
  "bitcast",
  "isnan",
  "isinf",
  "threefry0",
  "threefry1",
  "stopGradient",
] as const;
export type Prim = (typeof PRIMS)[number];

/** What a primitive takes: `same` needs all value operands of one dtype. */
export interface PrimType {
  readonly arity: number;
  /** Which dtypes the value operands may have. */
  readonly operands: "any" | "number" | "float" | "integer" | "bool" | "u32";
  /** The result: the operands' type, bool, or given by the apply (cast, bitcast). */
  readonly result: "same" | "bool" | "given" | "u32";
}

const number2: PrimType = { arity: 2, operands: "number", result: "same" };
const number1: PrimType = { arity: 1, operands: "number", result: "same" };
const float1: PrimType = { arity: 1, operands: "float", result: "same" };
const float2: PrimType = { arity: 2, operands: "float", result: "same" };
const compare: PrimType = { arity: 2, operands: "any", result: "bool" };
const logic2: PrimType = { arity: 2, operands: "bool", result: "bool" };
const bits2: PrimType = { arity: 2, operands: "integer", result: "same" };
const bits1: PrimType = { arity: 1, operands: "integer", result: "same" };
const hash: PrimType = { arity: 4, operands: "u32", result: "u32" };

/** `min` and `max` also take bool nowhere: `any`/`all` use `or`/`and`. `select`'s first operand is bool, the others agree. */
export const PRIM_TYPES: Readonly<Record<Prim, PrimType>> = {
  add: number2,
  sub: number2,
  mul: number2,
  div: float2,
  floordiv: number2,
  mod: number2,
  rem: number2,
  neg: number1,
  abs: number1,
  sign: number1,
  min: number2,
  max: number2,
  pow: number2,
  exp: float1,
  exp2: float1,
  expm1: float1,
  log: float1,
  log2: float1,
  log1p: float1,
  sqrt: float1,
  rsqrt: float1,
  sin: float1,
  cos: float1,
  tan: float1,
  asin: float1,
  acos: float1,
  atan: float1,
  atan2: float2,
  sinh: float1,
  cosh: float1,
  tanh: float1,
  asinh: float1,
  acosh: float1,
  atanh: float1,
  erf: float1,
  erfc: float1,
  floor: float1,
  ceil: float1,
  round: float1,
  trunc: float1,
  eq: compare,
  ne: compare,
  lt: compare,
  le: compare,
  gt: compare,
  ge: compare,
  and: logic2,
  or: logic2,
  not: { arity: 1, operands: "bool", result: "bool" },
  bitand: bits2,
  bitor: bits2,
  bitxor: bits2,
  bitnot: bits1,
  shl: bits2,
  shr: bits2,
  popcount: bits1,
  clz: bits1,
  select: { arity: 3, operands: "any", result: "same" },
  cast: { arity: 1, operands: "any", result: "given" },
  bitcast: { arity: 1, operands: "any", result: "given" },
  isnan: { arity: 1, operands: "float", result: "bool" },
  isinf: { arity: 1, operands: "float", result: "bool" },
  threefry0: hash,
  threefry1: hash,
  stopGradient: { arity: 1, operands: "any", result: "same" },
};

/** The dtype of `apply(prim, args)`, or undefined if the operands do not fit. Not for `cast` and `bitcast`. */
export function resultType(prim: Prim, args: readonly DType[]): DType | undefined {
  const t: PrimType = PRIM_TYPES[prim];
  if (args.length !== t.arity || t.result === "given") return undefined;
  const values = prim === "select" ? args.slice(1) : args;
  if (prim === "select" && args[0] !== "bool") return undefined;
  const first = values[0];
  if (first === undefined || values.some((d) => d !== first)) return undefined;
  const fits =
    t.operands === "any" ||
    (t.operands === "number" && first !== "bool") ||
    (t.operands === "float" && (first === "f32" || first === "f16")) ||
    (t.operands === "integer" && (first === "i32" || first === "u32")) ||
    first === t.operands;
  if (!fits) return undefined;
  return t.result === "same" ? first : t.result === "bool" ? "bool" : "u32";
}
