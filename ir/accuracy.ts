/**
 * What the device's float functions promise: the column that ir/bounds.ts adds to what it propagates, and that codegen's
 * spellings must keep. A promise is relative (in units of 2^-23, twice float32's unit roundoff, which is at least one ULP) plus absolute.
 *
 * WGSL rounds + - × in either direction (1), divides within 2.5 ULP, and gives exp, exp2, log, log2, sqrt and inverseSqrt the
 * errors written beside them. The rest is our own code in codegen/helpers/float.ts; its promises follow from the operations that it is
 * made of, each at WGSL's worst, as the reasons say.
 */
import type { Prim } from "./prim.ts";

export interface Accuracy {
  /** In units of 2^-23, for arguments of at most this magnitude. */
  relative(magnitude: number): number;
  /** For arguments between low and high. */
  absolute(low: number, high: number): number;
  readonly why: string;
}

function promise(
  relative: number | ((magnitude: number) => number),
  why: string,
  absolute: (low: number, high: number) => number = () => 0,
): Accuracy {
  return { relative: typeof relative === "number" ? () => relative : relative, absolute, why };
}

/** log and log2 are within 2^-21 for arguments in [1/2, 2]. */
const nearOne = (low: number, high: number): number => (low <= 2 && high >= 0.5 ? 2 ** -21 : 0);
/** What is left of an angle after multiples of pi/2 in three parts, then 96 bits of 1/(2 pi). */
export function angleError(magnitude: number): number {
  return Math.min(magnitude, 8192) * 2 ** -46 + 2 ** -50;
}
const angle = (low: number, high: number): number => angleError(Math.max(Math.abs(low), Math.abs(high)));

export type FunctionPrim = Extract<
  Prim,
  | "exp"
  | "exp2"
  | "expm1"
  | "log"
  | "log2"
  | "log1p"
  | "sqrt"
  | "rsqrt"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "atan2"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "erfc"
  | "pow"
  | "div"
  | "add"
  | "sub"
  | "mul"
>;

export const ACCURACY: Readonly<Record<FunctionPrim, Accuracy>> = {
  add: promise(1, "WGSL: correctly rounded, in either direction"),
  sub: promise(1, "WGSL: correctly rounded, in either direction"),
  mul: promise(1, "WGSL: correctly rounded, in either direction"),
  div: promise(2.5, "WGSL: 2.5 ULP"),
  exp: promise((x) => 3 + 2 * x, "WGSL: 3 + 2|x| ULP"),
  exp2: promise((x) => 3 + 2 * x, "WGSL: 3 + 2|x| ULP"),
  log: promise(3, "WGSL: 3 ULP, and 2^-21 near 1", nearOne),
  log2: promise(3, "WGSL: 3 ULP, and 2^-21 near 1", nearOne),
  sqrt: promise(5, "WGSL: 1 / inverseSqrt(x), 2.5 + 2 ULP"),
  rsqrt: promise(2, "WGSL: 2 ULP"),
  expm1: promise(
    18,
    "6 units of exp where it exceeds the result 2.54 times at most, then a subtraction; a series within 1/2",
  ),
  log1p: promise(
    6,
    "a polynomial around 0; outside a logarithm of our own of the rounded 1 + x, which weighs 3 units at most",
  ),
  sin: promise(8, "a polynomial within pi/4 of a multiple of pi/2", angle),
  cos: promise(8, "a polynomial within pi/4 of a multiple of pi/2", angle),
  tan: promise(19, "the quotient of the two; ir/bounds.ts multiplies the angle's error by 1 + tan²"),
  asin: promise(18, "pi/2 - 2p cancels to a third; p is within 8 units"),
  acos: promise(10, "2p within 8 units, or sums that do not cancel"),
  atan: promise(10, "the reduced argument within 4.5 units, and a sum that cancels by half"),
  atan2: promise(15, "a quotient, atan, and sums that do not cancel"),
  sinh: promise(21, "half of exp - 1/exp, each within 14 units, from 1 on; a series within 1"),
  cosh: promise(19, "half of exp + 1/exp"),
  tanh: promise(
    (x) => Math.min(14, 6 + 1.25 * x),
    "x times a quotient of two polynomials, a division and two products; a step weighs what it adds to; 1.9 from 8 on",
  ),
  asinh: promise(13, "log1p of an argument within 7 units"),
  acosh: promise(14, "log1p of an argument within 8 units"),
  atanh: promise(10, "half of log1p of an argument within 3.5 units"),
  erf: promise(6, "a polynomial, or 1 - exp of one with at most a fifth of the result"),
  erfc: promise(28, "a quotient times two exponentials of split arguments"),
  pow: promise(16, "logarithm and exponent in two words"),
};
