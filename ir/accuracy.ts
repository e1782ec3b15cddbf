/**
 * The error of the device's own functions: how far what codegen emits may be from the exact result, for every primitive. Where
 * the function is WGSL's, the bound is WGSL's; where it is one of codegen/helpers, the bound follows from its formula with
 * additions and multiplications rounded in either direction and division to 2.5 ULP, and the tests hold it against a device.
 *
 * Beyond these, any operand or result below 2^-126 (2^-14 in f16) may be flushed to zero: FLUSH.
 */
import type { DType } from "./dtype.ts";
import { FORMATS } from "./float.ts";
import type { Prim } from "./prim.ts";

export interface Accuracy {
  /** Units in the last place of the exact result, in f32. */
  readonly ulp: number;
  /** As many ULP more for each unit of the operand's magnitude. */
  readonly ulpPerMagnitude?: number;
  /** Where the operand lies between low and high, an absolute error instead. */
  readonly near?: { readonly low: number; readonly high: number; readonly absolute: number };
  readonly reason: string;
}

const exact: Accuracy = { ulp: 0, reason: "exact" };
const rounded: Accuracy = { ulp: 1, reason: "WGSL: correctly rounded, in either direction" };
const ours = (ulp: number, reason: string): Accuracy => ({ ulp, reason });

/** For f32; integers and bool are exact. See `accuracyOf` for f16. */
export const PRIM_ACCURACY: Readonly<Record<Prim, Accuracy>> = {
  add: rounded,
  sub: rounded,
  mul: rounded,
  div: { ulp: 2.5, reason: "WGSL" },
  floordiv: ours(5, "a division of the exact multiple; the integer is right while it has 22 digits"),
  mod: ours(1, "an exact remainder and one addition"),
  rem: exact,
  neg: exact,
  abs: exact,
  sign: exact,
  min: exact,
  max: exact,
  pow: ours(4, "a logarithm in two words"),
  exp: { ulp: 3, ulpPerMagnitude: 2, reason: "WGSL" },
  exp2: { ulp: 3, ulpPerMagnitude: 2, reason: "WGSL" },
  expm1: ours(5, "a series within 1/2, exp to 2 ULP outside"),
  log: { ulp: 3, near: { low: 0.5, high: 2, absolute: 2 ** -21 }, reason: "WGSL" },
  log2: { ulp: 3, near: { low: 0.5, high: 2, absolute: 2 ** -21 }, reason: "WGSL" },
  log1p: ours(6, "a series between -0.29 and 0.41, the logarithm of the rounded sum outside"),
  sqrt: { ulp: 5, reason: "WGSL: that of 1 / inverseSqrt" },
  rsqrt: { ulp: 2, reason: "WGSL" },
  sin: ours(6, "reduced by pi/2 in four parts, from 8192 on by 96 digits of 1/(2 pi)"),
  cos: ours(6, "as sin"),
  tan: ours(14, "the quotient of sin and cos"),
  asin: ours(10, "a series within 1/2, through a square root outside"),
  acos: ours(10, "as asin"),
  atan: ours(7, "a division and a series"),
  atan2: ours(10, "atan of a quotient"),
  sinh: ours(9, "a series within 1, the square of exp(x / 2) outside"),
  cosh: ours(8, "the square of exp(x / 2)"),
  tanh: ours(9, "a series within 5/8, 1 - 2 / (exp(2x) + 1) outside"),
  asinh: ours(14, "log1p of a sum with a square root and a division"),
  acosh: ours(14, "as asinh"),
  atanh: ours(10, "log1p of a quotient"),
  erf: ours(4, "a polynomial within 0.93, 1 - exp outside"),
  erfc: ours(12, "a polynomial in (x - 2) / (x + 2) times exp in two parts"),
  floor: exact,
  ceil: exact,
  round: exact,
  trunc: exact,
  eq: exact,
  ne: exact,
  lt: exact,
  le: exact,
  gt: exact,
  ge: exact,
  and: exact,
  or: exact,
  not: exact,
  bitand: exact,
  bitor: exact,
  bitxor: exact,
  bitnot: exact,
  shl: exact,
  shr: exact,
  popcount: exact,
  clz: exact,
  select: exact,
  cast: rounded,
  bitcast: exact,
  isnan: exact,
  isinf: exact,
  threefry0: exact,
  threefry1: exact,
  stopGradient: exact,
};

/** Functions that f16 has of its own; all others are computed in f32 and rounded once. */
const NATIVE_F16: ReadonlySet<Prim> = new Set<Prim>(["add", "sub", "mul", "div"]);

/** The bounds for results of a dtype, in ULP of that dtype. */
export function accuracyOf(prim: Prim, dtype: DType): Accuracy {
  const a = PRIM_ACCURACY[prim];
  if (dtype === "f32" || a.ulp === 0) return a;
  if (dtype !== "f16") return exact;
  if (NATIVE_F16.has(prim) || prim === "cast") return a;
  const narrow = FORMATS.f16.unit / FORMATS.f32.unit;
  return {
    ulp: 1 + a.ulp / narrow,
    reason: `computed in f32 and rounded (${a.reason})`,
    ...(a.ulpPerMagnitude !== undefined ? { ulpPerMagnitude: a.ulpPerMagnitude / narrow } : {}),
    ...(a.near ? { near: { ...a.near, absolute: a.near.absolute + FORMATS.f16.unit * 2 } } : {}),
  };
}

/** The magnitude below which operands and results may become zero. */
export const FLUSH: Readonly<Record<"f32" | "f16", number>> = { f32: FORMATS.f32.normal, f16: FORMATS.f16.normal };
