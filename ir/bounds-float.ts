/** How errors pass through the float primitives: the image of the boxes, widened by the device's promise. */
import { ACCURACY, angleError, type FunctionPrim } from "./accuracy.ts";
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
import type { DType } from "./dtype.ts";
import { compilePrim } from "./evaluate.ts";
import type { Prim } from "./prim.ts";

const INF = Number.POSITIVE_INFINITY;

export interface Signature {
  readonly prim: Prim;
  readonly operands: readonly DType[];
  /** dtype of the value operands. */
  readonly from: DType;
  readonly to: DType;
}
/** Writes the result into `out`, which is none of the operands. */
export type Rule = (x: Box, y: Box, z: Box, out: Box, w: Box) => void;
export type MakeRule = (s: Signature) => Rule;

/** Two units in the last place at most, as a factor: what 1 in ir/accuracy.ts means. f16 functions round once more. */
export const ULP32: number = 2 ** -23;
export const ULP16: number = 2 ** -10;
function relativeError(units: number, dtype: DType, native: boolean): number {
  return dtype === "f16" ? (native ? units * ULP16 : units * ULP32 + ULP16) : units * ULP32;
}

// ---- Floats -------------------------------------------------------------------------------------------------------------

const first = newBox();
const second = newBox();

/** + - × /: `image` gives the range of the exact operation and whether it may be NaN. */
export function arithmetic(prim: "add" | "sub" | "mul" | "div", image: (x: Box, y: Box, out: Box) => void): MakeRule {
  return (s) => {
    const format = formatOf(s.to);
    const error = relativeError(ACCURACY[prim].relative(0), s.to, true);
    return (a, b, _z, out) => {
      const x = flushed(a, format, first);
      const y = flushed(b, format, second);
      if (isEmpty(x) || isEmpty(y)) return setPoint(out, Number.NaN);
      image(x, y, out);
      out.nan ||= x.nan || y.nan;
      // An exact zero of a product or a sum is no flushed number, but its sign is known for points only.
      if (out.low === 0 && out.high === 0) {
        if (!isPoint(x) || !isPoint(y)) setBox(out, -0, 0, out.nan);
        return;
      }
      widen(out, error, 0, format);
    };
  };
}

export function addImage(x: Box, y: Box, out: Box): void {
  const low = x.low + y.low;
  const high = x.high + y.high;
  const nan = (x.high === INF && y.low === -INF) || (x.low === -INF && y.high === INF);
  // With infinities of both signs at one end nothing else can be said of that end.
  if (Number.isNaN(low) && Number.isNaN(high) && x.low === x.high && y.low === y.high) setPoint(out, Number.NaN);
  else setBox(out, Number.isNaN(low) ? -INF : low, Number.isNaN(high) ? INF : high, nan);
}
const negated = newBox();
export function subImage(x: Box, y: Box, out: Box): void {
  setBox(negated, -y.high, -y.low, y.nan);
  addImage(x, negated, out);
}
/** 0 · ∞ counts as 0 at a corner: the NaN is told apart. */
function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b;
}
export function mulImage(x: Box, y: Box, out: Box): void {
  const [a, b, c, d] = [times(x.low, y.low), times(x.low, y.high), times(x.high, y.low), times(x.high, y.high)];
  const infinite = (b1: Box): boolean => b1.low === -INF || b1.high === INF;
  const zero = (b1: Box): boolean => b1.low <= 0 && b1.high >= 0;
  const nan = (infinite(x) && zero(y)) || (infinite(y) && zero(x));
  // Points keep the sign of a zero.
  if (isPoint(x) && isPoint(y)) setPoint(out, x.low * y.low);
  else setBox(out, Math.min(a, b, c, d), Math.max(a, b, c, d), nan);
}
export function divImage(x: Box, y: Box, out: Box): void {
  const infinite = (b: Box): boolean => b.low === -INF || b.high === INF;
  const zero = (b: Box): boolean => b.low <= 0 && b.high >= 0;
  const nan = (zero(x) && zero(y)) || (infinite(x) && infinite(y));
  if (isPoint(x) && isPoint(y)) {
    // The sign of a zero is in the point itself.
    setPoint(out, x.low / y.low);
  } else if (zero(y)) setBox(out, -INF, INF, nan);
  else {
    const q = [x.low / y.low, x.low / y.high, x.high / y.low, x.high / y.high].map((v) => (Number.isNaN(v) ? 0 : v));
    const unbounded = infinite(x) && infinite(y);
    setBox(out, unbounded ? -INF : Math.min(...q), unbounded ? INF : Math.max(...q), nan);
  }
  // WGSL promises the quotient for divisors up to 2^126 only: the reciprocal of a larger one may be flushed.
  if (Math.max(Math.abs(y.low), Math.abs(y.high)) > 2 ** 126) {
    out.low = Math.min(out.low, 0);
    out.high = Math.max(out.high, 0);
  }
}

/** A function that rises (or falls) on its domain. */
export function monotone(
  prim: FunctionPrim,
  f: (v: number) => number,
  o: { falls?: boolean; from?: number; to?: number } = {},
): MakeRule {
  const { falls = false, from = -INF, to = INF } = o;
  return withImage(prim, (x, out) => {
    const low = Math.max(x.low, from);
    const high = Math.min(x.high, to);
    const outside = x.low < from || x.high > to;
    if (low > high) return setPoint(out, Number.NaN);
    setBox(out, f(falls ? high : low), f(falls ? low : high), outside);
  });
}
export function withImage(
  prim: FunctionPrim,
  image: (x: Box, out: Box) => void,
  limits: readonly [number, number] = [-INF, INF],
): MakeRule {
  const accuracy = ACCURACY[prim];
  return (s) => {
    const format = formatOf(s.to);
    return (a, _y, _z, out) => {
      const x = flushed(a, format, first);
      if (isEmpty(x)) return setPoint(out, Number.NaN);
      image(x, out);
      out.nan ||= x.nan;
      if (isEmpty(out)) return;
      // Past ±∞ nothing grows: the error of exp(-∞) is that of any number that gives 0.
      const magnitude = Math.min(Math.max(Math.abs(x.low), Math.abs(x.high)), 1e4);
      if (out.low === 0 && out.high === 0 && isPoint(x) && x.low === 0) return;
      widen(out, relativeError(accuracy.relative(magnitude), s.to, false), accuracy.absolute(x.low, x.high), format);
      out.low = Math.max(out.low, limits[0]);
      out.high = Math.min(out.high, limits[1]);
    };
  };
}

/** sin and cos are 1-Lipschitz; infinities give NaN. The device's polynomial may pass 1 by its error. */
export function wave(prim: "sin" | "cos", f: (v: number) => number): MakeRule {
  return withImage(prim, (x, out) => {
    const nan = x.low === -INF || x.high === INF;
    if (nan && isPoint(x)) return setPoint(out, Number.NaN);
    const half = (x.high - x.low) / 2;
    if (!(half < 2)) return setBox(out, -1, 1, nan);
    const middle = f(x.low + half);
    setBox(out, Math.max(-1, middle - half), Math.min(1, middle + half), nan);
  });
}

export const tangent: MakeRule = (s) => {
  const format = formatOf(s.to);
  return (a, _y, _z, out) => {
    const x = flushed(a, format, first);
    if (isEmpty(x) || (isPoint(x) && Math.abs(x.low) === INF)) return setPoint(out, Number.NaN);
    const error = angleError(Math.max(Math.abs(x.low), Math.abs(x.high)));
    const [low, high] = [x.low - error, x.high + error];
    const branch = (v: number): number => Math.floor(v / Math.PI + 0.5);
    const nan = x.nan || x.low === -INF || x.high === INF;
    // The last digits of the branch's border are uncertain in float64 too.
    const slack = Math.abs(low) * 2 ** -50;
    if (!(high - low < 3) || branch(low - slack) !== branch(high + slack)) return setBox(out, -INF, INF, nan);
    setBox(out, Math.tan(low), Math.tan(high), nan);
    if (out.low > out.high) return setBox(out, -INF, INF, nan);
    widen(out, relativeError(ACCURACY.tan.relative(0), s.to, false), 0, format);
  };
};

export const arcTangent2: MakeRule = (s) => {
  const format = formatOf(s.to);
  return (b, a, _z, out) => {
    const [y, x] = [flushed(b, format, first), flushed(a, format, second)];
    if (isEmpty(x) || isEmpty(y)) return setPoint(out, Number.NaN);
    const nan = x.nan || y.nan;
    const cut = x.low <= 0 && y.low <= 0 && y.high >= 0 && !(isPoint(x) && isPoint(y));
    const vast =
      Math.max(Math.abs(x.low), Math.abs(x.high), Math.abs(y.low), Math.abs(y.high)) > 2 ** 126 &&
      !(isPoint(x) && isPoint(y) && !Number.isFinite(x.low + y.low));
    if (cut || vast) setBox(out, -Math.PI, Math.PI, nan);
    else {
      const c = [
        Math.atan2(y.low, x.low),
        Math.atan2(y.low, x.high),
        Math.atan2(y.high, x.low),
        Math.atan2(y.high, x.high),
      ];
      setBox(out, Math.min(...c), Math.max(...c), nan);
    }
    widen(out, relativeError(ACCURACY.atan2.relative(0), s.to, false), 0, format);
  };
};

export const power: MakeRule = (s) => {
  const f = compilePrim("pow", ["f32", "f32"], "f32", "exact");
  const format = formatOf(s.to);
  return (a, b, _z, out) => {
    const [x, y] = [flushed(a, format, first), flushed(b, format, second)];
    const points = isPoint(x) && isPoint(y);
    const evenNaN = isEmpty(x) || isEmpty(y) || x.nan || y.nan;
    if (
      evenNaN ||
      (!points &&
        x.low <= 0 &&
        !(isPoint(y) && Number.isInteger(y.low) && y.low >= 0 && Number.isFinite(x.low) && Number.isFinite(x.high)))
    )
      return setAnything(out, s.to);
    const c = [f(x.low, y.low, 0, 0), f(x.low, y.high, 0, 0), f(x.high, y.low, 0, 0), f(x.high, y.high, 0, 0)];
    if (c.some(Number.isNaN)) return points ? setPoint(out, Number.NaN) : setAnything(out, s.to);
    setBox(out, Math.min(...c), Math.max(...c), false);
    // Even powers dip to 0 between the corners.
    if (x.low < 0 && x.high > 0) out.low = Math.min(out.low, 0);
    widen(out, relativeError(ACCURACY.pow.relative(0), s.to, false), 0, format);
  };
};

/** Exact on floats, rising: floor, ceil, round, trunc, sign. Undecided steps give both sides. */
export function steps(): MakeRule {
  return (s) => {
    const f = compilePrim(s.prim, s.operands, s.to, "exact");
    const format = formatOf(s.from);
    return (a, _y, _z, out) => {
      const x = s.prim === "sign" || s.prim === "ceil" || s.prim === "floor" ? flushed(a, format, first) : a;
      setBox(out, isEmpty(x) ? INF : f(x.low, 0, 0, 0), isEmpty(x) ? -INF : f(x.high, 0, 0, 0), x.nan);
    };
  };
}

export function absolute(x: Box, out: Box): void {
  if (x.low >= 0 || isEmpty(x)) copyBox(out, x);
  else if (x.high <= 0) setBox(out, -x.high, -x.low, x.nan);
  else setBox(out, 0, Math.max(-x.low, x.high), x.nan);
}

/** min and max propagate NaN: if an operand is surely NaN, so is the result. */
export function extremum(which: "min" | "max", x: Box, y: Box, out: Box): void {
  const f = which === "min" ? Math.min : Math.max;
  if (isEmpty(x) || isEmpty(y)) setPoint(out, Number.NaN);
  else setBox(out, f(x.low, y.low), f(x.high, y.high), x.nan || y.nan);
}

/** The device's remainder is exact; what is uncertain is on which side of a multiple the operands are. */
export const remainders: MakeRule = (s) => {
  const f = compilePrim(s.prim, s.operands, s.to, "exact");
  const format = formatOf(s.to);
  return (a, b, _z, out) => {
    const [x, y] = [flushed(a, format, first), flushed(b, format, second)];
    if (isEmpty(x) || isEmpty(y)) return setPoint(out, Number.NaN);
    const nan = x.nan || y.nan;
    if (isPoint(x) && isPoint(y)) setPoint(out, f(x.low, y.low, 0, 0));
    else if (
      isPoint(y) &&
      y.low !== 0 &&
      Number.isFinite(x.low) &&
      Number.isFinite(x.high) &&
      Math.floor(x.low / y.low) === Math.floor(x.high / y.low) &&
      x.low * x.high > 0
    ) {
      // No multiple between the ends, by a margin that float64's division cannot miss.
      const q = x.low / y.low;
      const decided =
        Math.abs(q - Math.round(q)) > 1e-9 && Math.abs(x.high / y.low - Math.round(x.high / y.low)) > 1e-9;
      const [p, r] = [f(x.low, y.low, 0, 0), f(x.high, y.low, 0, 0)];
      if (decided) setBox(out, Math.min(p, r), Math.max(p, r), nan);
      else spread(x, y, out, s, nan);
    } else spread(x, y, out, s, nan);
    if (s.prim !== "rem" && !isEmpty(out))
      widen(out, relativeError(s.prim === "floordiv" ? 2.5 : 1, s.to, false), 0, format);
  };
};
/** Everything that the remainder or quotient may be. */
function spread(x: Box, y: Box, out: Box, s: Signature, nan: boolean): void {
  if (s.prim === "floordiv") {
    divImage(x, y, out);
    // The quotient's own rounding may carry it over an integer.
    const e = (v: number): number => (Number.isFinite(v) ? Math.abs(v) * 2 ** -20 : 0);
    // An infinite dividend has no remainder, so no quotient either; by an infinite divisor of the other sign it is -1.
    const endless = x.low === -INF || x.high === INF;
    const minus = (y.high === INF && x.low < 0) || (y.low === -INF && x.high > 0);
    const low = Math.floor(out.low - e(out.low));
    setBox(out, minus ? Math.min(low, -1) : low, Math.ceil(out.high + e(out.high)), out.nan || nan || endless);
    return;
  }
  const most = Math.max(Math.abs(y.low), Math.abs(y.high));
  const maybe = nan || (y.low <= 0 && y.high >= 0) || x.low === -INF || x.high === INF;
  const whole = Math.max(Math.abs(x.low), Math.abs(x.high));
  if (s.prim === "rem")
    setBox(out, x.low < 0 ? -Math.min(most, whole) : 0, x.high > 0 ? Math.min(most, whole) : 0, maybe);
  else setBox(out, y.low < 0 ? y.low : 0, y.high > 0 ? y.high : 0, maybe);
  if (s.prim === "mod" && x.low < 0 && x.high > 0) joinBox(out, y);
}
