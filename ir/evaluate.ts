/**
 * The evaluation column of the primitive table: what each primitive does to numbers (ir/prim.ts states the semantics).
 * "exact" computes floats in float64; "rounded" rounds each float result to its dtype, so it plays a device whose every
 * function is correctly rounded. Integers and bool are the same in both.
 */
import type { DType } from "./dtype.ts";
import { isFloat } from "./dtype.ts";
import { erf, erfc } from "./erf.ts";
import { f16round, roundHalfEven } from "./float.ts";
import type { Prim } from "./prim.ts";
import { threefry } from "./threefry.ts";

export type Mode = "exact" | "rounded";

/** A primitive on numbers. Operands past its arity are ignored. */
export type ScalarFunction = (a: number, b: number, c: number, d: number) => number;

interface Typing {
  /** dtype of the value operands (of the branches, for `select`). */
  readonly from: DType;
  readonly to: DType;
  readonly mode: Mode;
}

/** Picks by the operands' dtype: f32 and f16 share `float`. */
function by(float: ScalarFunction, i32: ScalarFunction, u32: ScalarFunction): (t: Typing) => ScalarFunction {
  return (t) => (isFloat(t.from) ? float : t.from === "i32" ? i32 : u32);
}
function one(f: (a: number) => number): (t: Typing) => ScalarFunction {
  return () => f;
}
function always(f: ScalarFunction): (t: Typing) => ScalarFunction {
  return () => f;
}

// ---- Floats -------------------------------------------------------------------------------------------------------

/** Python's `%` on floats: the sign of b, or a zero of b's sign. */
function modFloat(a: number, b: number): number {
  const r = a % b;
  if (r === 0) return b < 0 || Object.is(b, -0) ? -0 : 0;
  // b infinite and of the other sign: r is a, and a + b is b, as in Python.
  return r < 0 !== b < 0 ? r + b : r;
}
/** Python's `//`, except that division by zero is IEEE's: the floor of the exact quotient. */
function floordivFloat(a: number, b: number): number {
  if (b === 0) return a / b;
  const r = a % b;
  let q = (a - r) / b;
  if (r !== 0 && r < 0 !== b < 0) q -= 1;
  if (q === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const whole = Math.floor(q);
  return q - whole > 0.5 ? whole + 1 : whole;
}
/** C's pow, which unlike JavaScript's gives 1 for base 1, and for base -1 with an infinite exponent. */
function powFloat(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY)) return 1;
  return a ** b;
}

// ---- Integers -----------------------------------------------------------------------------------------------------

// Quotients of 32-bit integers never round up to an integer in float64, so Math.floor and Math.trunc see the right one.
function floordivInt(a: number, b: number): number {
  return b === 0 ? 0 : Math.floor(a / b);
}
function modInt(a: number, b: number): number {
  return b === 0 ? 0 : a - b * Math.floor(a / b);
}
function remInt(a: number, b: number): number {
  return b === 0 ? 0 : a % b;
}
/** Repeated multiplication that wraps; a negative exponent (i32 only) truncates the reciprocal. */
function powInt(a: number, b: number): number {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 === 0 ? 1 : -1) : 0;
  let result = 1;
  let square = a;
  for (let e = b; e > 0; e = Math.floor(e / 2)) {
    if (e % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}
function popcount(a: number): number {
  let n = 0;
  for (let v = a >>> 0; v !== 0; v &= v - 1) n++;
  return n;
}

// ---- Conversions --------------------------------------------------------------------------------------------------

function castFunction(t: Typing): ScalarFunction {
  if (t.to === "bool") return (a) => (a !== 0 ? 1 : 0);
  if (isFloat(t.to)) return (a) => a;
  const [low, high] = t.to === "i32" ? [-2147483648, 2147483647] : [0, 4294967295];
  if (isFloat(t.from)) return (a) => (Number.isNaN(a) ? 0 : a <= low ? low : a >= high ? high : Math.trunc(a) + 0);
  return t.to === "i32" ? (a) => a | 0 : (a) => a >>> 0;
}

const view = new DataView(new ArrayBuffer(4));
/** Through the 32 bits; in exact mode too a float is first rounded to f32, which is what has bits. */
function bitcastFunction(t: Typing): ScalarFunction {
  const write = isFloat(t.from) ? (a: number) => view.setFloat32(0, a) : (a: number) => view.setUint32(0, a >>> 0);
  const readBack =
    t.to === "f32" ? () => view.getFloat32(0) : t.to === "i32" ? () => view.getInt32(0) : () => view.getUint32(0);
  return (a) => {
    write(a);
    return readBack();
  };
}

// ---- The table ----------------------------------------------------------------------------------------------------

const EVALUATE = {
  add: by(
    (a, b) => a + b,
    (a, b) => (a + b) | 0,
    (a, b) => (a + b) >>> 0,
  ),
  sub: by(
    (a, b) => a - b,
    (a, b) => (a - b) | 0,
    (a, b) => (a - b) >>> 0,
  ),
  mul: by(
    (a, b) => a * b,
    (a, b) => Math.imul(a, b),
    (a, b) => Math.imul(a, b) >>> 0,
  ),
  div: always((a, b) => a / b),
  floordiv: by(
    floordivFloat,
    (a, b) => floordivInt(a, b) | 0,
    (a, b) => floordivInt(a, b) >>> 0,
  ),
  mod: by(
    modFloat,
    (a, b) => modInt(a, b) | 0,
    (a, b) => modInt(a, b) >>> 0,
  ),
  rem: by(
    (a, b) => a % b,
    (a, b) => remInt(a, b) | 0,
    (a, b) => remInt(a, b) >>> 0,
  ),
  neg: by(
    (a) => -a,
    (a) => -a | 0,
    (a) => -a >>> 0,
  ),
  abs: by(
    Math.abs,
    (a) => Math.abs(a) | 0,
    (a) => a,
  ),
  sign: one(Math.sign),
  min: always((a, b) => Math.min(a, b)),
  max: always((a, b) => Math.max(a, b)),
  pow: by(
    powFloat,
    (a, b) => powInt(a, b),
    (a, b) => powInt(a, b) >>> 0,
  ),
  exp: one(Math.exp),
  exp2: one((a) => 2 ** a),
  expm1: one(Math.expm1),
  log: one(Math.log),
  log2: one(Math.log2),
  log1p: one(Math.log1p),
  sqrt: one(Math.sqrt),
  rsqrt: one((a) => 1 / Math.sqrt(a)),
  sin: one(Math.sin),
  cos: one(Math.cos),
  tan: one(Math.tan),
  asin: one(Math.asin),
  acos: one(Math.acos),
  atan: one(Math.atan),
  atan2: always((a, b) => Math.atan2(a, b)),
  sinh: one(Math.sinh),
  cosh: one(Math.cosh),
  tanh: one(Math.tanh),
  asinh: one(Math.asinh),
  acosh: one(Math.acosh),
  atanh: one(Math.atanh),
  erf: one(erf),
  erfc: one(erfc),
  floor: one(Math.floor),
  ceil: one(Math.ceil),
  round: one(roundHalfEven),
  trunc: one(Math.trunc),
  eq: always((a, b) => (a === b ? 1 : 0)),
  ne: always((a, b) => (a !== b ? 1 : 0)),
  lt: always((a, b) => (a < b ? 1 : 0)),
  le: always((a, b) => (a <= b ? 1 : 0)),
  gt: always((a, b) => (a > b ? 1 : 0)),
  ge: always((a, b) => (a >= b ? 1 : 0)),
  and: always((a, b) => a & b),
  or: always((a, b) => a | b),
  not: one((a) => 1 - a),
  bitand: by(
    (a) => a,
    (a, b) => a & b,
    (a, b) => (a & b) >>> 0,
  ),
  bitor: by(
    (a) => a,
    (a, b) => a | b,
    (a, b) => (a | b) >>> 0,
  ),
  bitxor: by(
    (a) => a,
    (a, b) => a ^ b,
    (a, b) => (a ^ b) >>> 0,
  ),
  bitnot: by(
    (a) => a,
    (a) => ~a,
    (a) => ~a >>> 0,
  ),
  // JavaScript's shifts use the low 5 bits of the amount too.
  shl: by(
    (a) => a,
    (a, b) => a << b,
    (a, b) => (a << b) >>> 0,
  ),
  shr: by(
    (a) => a,
    (a, b) => a >> b,
    (a, b) => a >>> b,
  ),
  popcount: one(popcount),
  clz: one((a) => Math.clz32(a)),
  select: always((c, a, b) => (c !== 0 ? a : b)),
  cast: castFunction,
  bitcast: bitcastFunction,
  isnan: one((a) => (Number.isNaN(a) ? 1 : 0)),
  isinf: one((a) => (Math.abs(a) === Number.POSITIVE_INFINITY ? 1 : 0)),
  threefry0: always((k0, k1, c0, c1) => threefry(0, k0, k1, c0, c1)),
  threefry1: always((k0, k1, c0, c1) => threefry(1, k0, k1, c0, c1)),
  stopGradient: one((a) => a),
} satisfies Record<Prim, (t: Typing) => ScalarFunction>;

/** Whose result is one of the operands, or otherwise a value of the dtype already, when the operands are. */
const CLOSED: ReadonlySet<Prim> = new Set<Prim>([
  "neg",
  "abs",
  "sign",
  "min",
  "max",
  "floor",
  "ceil",
  "round",
  "trunc",
  "select",
  "bitcast",
  "stopGradient",
  "rem",
]);

/** The function of one primitive at given dtypes. `operands` are those of the arguments, `result` that of the apply. */
export function compilePrim(prim: Prim, operands: readonly DType[], result: DType, mode: Mode): ScalarFunction {
  const from = (prim === "select" ? operands[1] : operands[0]) ?? result;
  const f: ScalarFunction = EVALUATE[prim]({ from, to: result, mode });
  if (mode === "exact" || !isFloat(result) || CLOSED.has(prim)) return f;
  // Rounding a float64 result again is innocuous for + - * / sqrt: 53 digits are more than 2·24 + 2.
  const round = result === "f32" ? Math.fround : f16round;
  return (a, b, c, d) => round(f(a, b, c, d));
}

/** One value. Operands are values of their dtypes: i32 and u32 in range, bool 0 or 1. */
export function evaluatePrim(
  prim: Prim,
  args: readonly number[],
  operands: readonly DType[],
  result: DType,
  mode: Mode = "exact",
): number {
  return compilePrim(prim, operands, result, mode)(args[0] ?? 0, args[1] ?? 0, args[2] ?? 0, args[3] ?? 0);
}
