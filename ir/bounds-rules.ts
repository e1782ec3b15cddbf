/**
 * The bound column of the primitive table: from what the operands may be to what the device's result may be. A rule first
 * takes the image of the boxes under the exact function, then widens it by the device's promise (ir/accuracy.ts).
 */
import {
  absolute,
  addImage,
  arcTangent2,
  arithmetic,
  divImage,
  extremum,
  type MakeRule,
  monotone,
  mulImage,
  power,
  type Rule,
  remainders,
  type Signature,
  steps,
  subImage,
  tangent,
  ULP16,
  ULP32,
  wave,
  withImage,
} from "./bounds-float.ts";
import {
  type Box,
  copyBox,
  flushed,
  formatOf,
  isEmpty,
  isPoint,
  joinBox,
  newBox,
  setAnything,
  setBox,
  setPoint,
  widen,
} from "./box.ts";
import { type DType, isFloat } from "./dtype.ts";
import { compilePrim } from "./evaluate.ts";
import type { Prim } from "./prim.ts";

const INF = Number.POSITIVE_INFINITY;
const first = newBox();
const second = newBox();

// ---- Integers, bools, and anything without rounding -------------------------------------------------------------------

/** Points give points; otherwise the rule for ranges. A NaN operand is a point too. */
function exactly(ranges: Rule): MakeRule {
  return (s) => {
    const f = compilePrim(s.prim, s.operands, s.to, "exact");
    const value = (b: Box): number => (isEmpty(b) ? Number.NaN : b.low);
    const single = (b: Box): boolean => isPoint(b) || (isEmpty(b) && b.nan);
    return (x, y, z, out, w) => {
      if (single(x) && single(y) && single(z) && single(w)) setPoint(out, f(value(x), value(y), value(z), value(w)));
      else ranges(x, y, z, out, w);
    };
  };
}
const anything: MakeRule = (s) => exactly((_x, _y, _z, out) => setAnything(out, s.to))(s);

const RANGE: Partial<Record<DType, readonly [number, number]>> = {
  i32: [-2147483648, 2147483647],
  u32: [0, 4294967295],
};
/** A range that may have wrapped is anything. */
function setInteger(out: Box, low: number, high: number, dtype: DType): void {
  const [least, most] = RANGE[dtype] ?? [0, 1];
  if (low < least || high > most) setAnything(out, dtype);
  else setBox(out, low, high, false);
}
function integers(s: Signature, ranges: (x: Box, y: Box) => readonly [number, number] | undefined): Rule {
  return exactly((x, y, _z, out) => {
    const r = ranges(x, y);
    if (r) setInteger(out, r[0], r[1], s.to);
    else setAnything(out, s.to);
  })(s);
}

// ---- Comparisons and conversions ----------------------------------------------------------------------------------------

function comparison(always: (x: Box, y: Box) => boolean, never: (x: Box, y: Box) => boolean, withNaN: 0 | 1): MakeRule {
  return (s) => (a, b, _z, out) => {
    const float = isFloat(s.from);
    const x = float ? flushed(a, formatOf(s.from), first) : a;
    const y = float ? flushed(b, formatOf(s.from), second) : b;
    if (isEmpty(x) || isEmpty(y)) return setPoint(out, withNaN);
    const yes = always(x, y);
    const no = never(x, y);
    setBox(out, yes ? 1 : 0, no ? 0 : 1, false);
    if (x.nan || y.nan) joinBox(out, withNaN ? TRUE : FALSE);
  };
}
const TRUE: Box = { low: 1, high: 1, nan: false };
const FALSE: Box = { low: 0, high: 0, nan: false };
const same = (x: Box, y: Box): boolean => x.low === x.high && y.low === y.high && x.low === y.low;
const apart = (x: Box, y: Box): boolean => x.high < y.low || y.high < x.low;

const casts: MakeRule = (s) => {
  const f = compilePrim("cast", s.operands, s.to, "exact");
  const format = formatOf(s.to);
  if (s.to === "bool")
    return (a, _y, _z, out) => {
      const x = isFloat(s.from) ? flushed(a, formatOf(s.from), first) : a;
      if (isEmpty(x)) return setPoint(out, 1);
      const zero = x.low <= 0 && x.high >= 0;
      setBox(out, zero ? 0 : 1, x.low === 0 && x.high === 0 && !x.nan ? 0 : 1, false);
    };
  if (isFloat(s.to)) {
    const exact = s.from === "bool" || s.from === s.to || (s.from === "f16" && s.to === "f32");
    // Integers of few digits stay as they are.
    const whole = s.to === "f32" ? 2 ** 24 : 2 ** 11;
    return (a, _y, _z, out) => {
      const x = isFloat(s.from) ? flushed(a, formatOf(s.from), first) : a;
      copyBox(out, x);
      if (exact || isEmpty(x)) return;
      if (!isFloat(s.from) && x.low >= -whole && x.high <= whole) return;
      // Large integers go to f16 by way of f32.
      widen(out, s.to === "f16" ? ULP16 + (isFloat(s.from) ? 0 : ULP32) : ULP32, 0, format);
    };
  }
  if (isFloat(s.from))
    return (x, _y, _z, out) => {
      if (isEmpty(x)) return setPoint(out, 0);
      setBox(out, f(x.low, 0, 0, 0), f(x.high, 0, 0, 0), false);
      if (x.nan) joinBox(out, FALSE);
    };
  return exactly((x, _y, _z, out) => setInteger(out, x.low, x.high, s.to))(s);
};

/** Which class of value: surely, surely not, or open. */
function classify(sure: (x: Box) => boolean, possible: (x: Box) => boolean): MakeRule {
  return () => (x, _y, _z, out) => setBox(out, sure(x) ? 1 : 0, possible(x) ? 1 : 0, false);
}

function floats(float: MakeRule, integer: (s: Signature) => Rule): MakeRule {
  return (s) => (isFloat(s.from) ? float(s) : integer(s));
}
const ends = (v: readonly number[]): readonly [number, number] => [Math.min(...v), Math.max(...v)];

const BOUND = {
  add: floats(arithmetic("add", addImage), (s) => integers(s, (x, y) => [x.low + y.low, x.high + y.high])),
  sub: floats(arithmetic("sub", subImage), (s) => integers(s, (x, y) => [x.low - y.high, x.high - y.low])),
  mul: floats(arithmetic("mul", mulImage), (s) =>
    integers(s, (x, y) => ends([x.low * y.low, x.low * y.high, x.high * y.low, x.high * y.high])),
  ),
  div: arithmetic("div", divImage),
  floordiv: floats(remainders, (s) =>
    integers(s, (x, y) =>
      y.low === y.high && y.low > 0 ? [Math.floor(x.low / y.low), Math.floor(x.high / y.low)] : undefined,
    ),
  ),
  mod: floats(remainders, (s) =>
    integers(s, (x, y) => (y.low > 0 ? (x.low >= 0 && x.high < y.low ? [x.low, x.high] : [0, y.high - 1]) : undefined)),
  ),
  rem: floats(remainders, (s) =>
    integers(s, (x, y) => (y.low > 0 && x.low >= 0 ? [0, Math.min(x.high, y.high - 1)] : undefined)),
  ),
  neg: floats(
    () => (x, _y, _z, out) => setBox(out, -x.high, -x.low, x.nan),
    (s) => integers(s, (x) => [-x.high, -x.low]),
  ),
  abs: floats(
    () => (x, _y, _z, out) => absolute(x, out),
    (s) => integers(s, (x) => (x.low >= 0 ? [x.low, x.high] : [0, Math.max(-x.low, Math.abs(x.high))])),
  ),
  sign: floats(steps(), (s) => integers(s, (x) => [Math.sign(x.low), Math.sign(x.high)])),
  min: () => (x, y, _z, out) => extremum("min", x, y, out),
  max: () => (x, y, _z, out) => extremum("max", x, y, out),
  pow: floats(power, anything),
  exp: monotone("exp", Math.exp),
  exp2: monotone("exp2", (v) => 2 ** v),
  expm1: monotone("expm1", Math.expm1),
  log: monotone("log", Math.log, { from: 0 }),
  log2: monotone("log2", Math.log2, { from: 0 }),
  log1p: monotone("log1p", Math.log1p, { from: -1 }),
  sqrt: monotone("sqrt", Math.sqrt, { from: 0 }),
  // The sign of a zero tells +∞ from -∞, and a flushed or computed zero has either.
  rsqrt: (s) => {
    const rule = monotone("rsqrt", (v) => 1 / Math.sqrt(v), { falls: true, from: 0 })(s);
    return (x, y, z, out, w) => {
      rule(x, y, z, out, w);
      if (!isPoint(x) && x.low <= 0 && x.high >= 0) setBox(out, -INF, INF, out.nan);
    };
  },
  sin: wave("sin", Math.sin),
  cos: wave("cos", Math.cos),
  tan: tangent,
  asin: monotone("asin", Math.asin, { from: -1, to: 1 }),
  acos: monotone("acos", Math.acos, { falls: true, from: -1, to: 1 }),
  atan: monotone("atan", Math.atan),
  atan2: arcTangent2,
  sinh: monotone("sinh", Math.sinh),
  cosh: withImage("cosh", (x, out) => {
    absolute(x, out);
    setBox(out, Math.cosh(out.low), Math.cosh(out.high), x.nan);
  }),
  tanh: monotone("tanh", Math.tanh),
  asinh: monotone("asinh", Math.asinh),
  acosh: monotone("acosh", Math.acosh, { from: 1 }),
  atanh: monotone("atanh", Math.atanh, { from: -1, to: 1 }),
  erf: (s) => monotone("erf", compilePrim("erf", ["f32"], "f32", "exact") as (v: number) => number)(s),
  erfc: (s) =>
    monotone("erfc", compilePrim("erfc", ["f32"], "f32", "exact") as (v: number) => number, { falls: true })(s),
  floor: steps(),
  ceil: steps(),
  round: steps(),
  trunc: steps(),
  eq: comparison(same, apart, 0),
  ne: comparison(apart, same, 1),
  lt: comparison(
    (x, y) => x.high < y.low,
    (x, y) => x.low >= y.high,
    0,
  ),
  le: comparison(
    (x, y) => x.high <= y.low,
    (x, y) => x.low > y.high,
    0,
  ),
  gt: comparison(
    (x, y) => x.low > y.high,
    (x, y) => x.high <= y.low,
    0,
  ),
  ge: comparison(
    (x, y) => x.low >= y.high,
    (x, y) => x.high < y.low,
    0,
  ),
  and: () => (x, y, _z, out) => setBox(out, Math.min(x.low, y.low), Math.min(x.high, y.high), false),
  or: () => (x, y, _z, out) => setBox(out, Math.max(x.low, y.low), Math.max(x.high, y.high), false),
  not: () => (x, _y, _z, out) => setBox(out, 1 - x.high, 1 - x.low, false),
  bitand: anything,
  bitor: anything,
  bitxor: anything,
  bitnot: anything,
  shl: anything,
  shr: anything,
  popcount: anything,
  clz: anything,
  select: () => (c, x, y, out) => {
    if (c.low >= 1) copyBox(out, x);
    else copyBox(out, y);
    if (c.low < 1 && c.high >= 1) joinBox(out, x);
  },
  cast: casts,
  bitcast: anything,
  isnan: classify(
    (x) => isEmpty(x),
    (x) => x.nan,
  ),
  isinf: classify(
    (x) => isPoint(x) && Math.abs(x.low) === INF,
    (x) => x.low === -INF || x.high === INF,
  ),
  threefry0: anything,
  threefry1: anything,
  stopGradient: () => (x, _y, _z, out) => copyBox(out, x),
} satisfies Record<Prim, MakeRule>;

export function boundRule(prim: Prim, operands: readonly DType[], to: DType): Rule {
  const from = (prim === "select" ? operands[1] : operands[0]) ?? to;
  return BOUND[prim]({ prim, operands, from, to });
}
