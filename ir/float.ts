/** The float formats of WGSL seen from float64: rounding to them, and their constants. */
import type { DType } from "./dtype.ts";

const bits = new DataView(new ArrayBuffer(8));

/** The nearest binary16 value, ties to even; magnitudes from 65520 on become infinite. */
export function f16round(x: number): number {
  const a = Math.abs(x);
  if (!(a > 0) || a === Number.POSITIVE_INFINITY) return x;
  if (a >= 65520) return x < 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  bits.setFloat64(0, a);
  const exponent = Math.max((bits.getUint32(0) >>> 20) - 1023, -14);
  // Adding 2^52 quanta leaves no bits below the quantum, and float64 addition rounds ties to even.
  const magic = 2 ** (exponent - 10 + 52);
  const r = a + magic - magic;
  return x < 0 || Object.is(x, -0) ? -r : r;
}

/** Rounds to the dtype's values: f32 and f16 to nearest even; other dtypes are returned as they are. */
export function roundTo(dtype: DType, x: number): number {
  return dtype === "f32" ? Math.fround(x) : dtype === "f16" ? f16round(x) : x;
}

/** Of a float format: `unit` is half the distance from 1 to its successor, `normal` the least normal magnitude. */
export interface FloatFormat {
  readonly unit: number;
  readonly max: number;
  /** The magnitude from which rounding to nearest gives infinity. */
  readonly overflow: number;
  readonly normal: number;
  /** The least positive value. */
  readonly tiny: number;
  /** Digits of the significand after the binary point. */
  readonly digits: number;
}

export const FORMATS: Readonly<Record<"f32" | "f16", FloatFormat>> = {
  f32: {
    unit: 2 ** -24,
    max: 3.4028234663852886e38,
    overflow: 2 ** 128 - 2 ** 103,
    normal: 2 ** -126,
    tiny: 2 ** -149,
    digits: 23,
  },
  f16: { unit: 2 ** -11, max: 65504, overflow: 65520, normal: 2 ** -14, tiny: 2 ** -24, digits: 10 },
};

/** The distance between neighbouring values of the format in the binade of x, at least that of the subnormals. */
export function ulp(format: FloatFormat, x: number): number {
  const a = Math.abs(x);
  if (!(a < format.normal * 2)) {
    if (!(a < format.overflow)) return Number.POSITIVE_INFINITY;
    bits.setFloat64(0, a);
    return 2 ** ((bits.getUint32(0) >>> 20) - 1023 - format.digits);
  }
  return format.tiny;
}

/** Half to even, keeping the sign of zero. */
export function roundHalfEven(x: number): number {
  const a = Math.abs(x);
  if (!(a < 2 ** 52)) return x;
  const r = a + 2 ** 52 - 2 ** 52;
  return x < 0 || Object.is(x, -0) ? -r : r;
}
