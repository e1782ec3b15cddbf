/**
 * What a device may compute for one element: any number from `low` to `high`, and NaN if `nan`. low > high means: no
 * number, only NaN. Boxes are mutable registers, so that evaluating an element allocates nothing.
 */
import type { DType } from "./dtype.ts";
import { type FloatFormat, FORMATS } from "./float.ts";

export interface Box {
  low: number;
  high: number;
  nan: boolean;
}

export function newBox(): Box {
  // Started with a float, the fields are stored unboxed from the first on.
  const b: Box = { low: Number.NaN, high: Number.NaN, nan: false };
  setBox(b, 0, 0, false);
  return b;
}
export function setBox(b: Box, low: number, high: number, nan: boolean): void {
  b.low = low;
  b.high = high;
  b.nan = nan;
}
export function setPoint(b: Box, v: number): void {
  if (Number.isNaN(v)) setBox(b, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, true);
  else setBox(b, v, v, false);
}
export function copyBox(b: Box, from: Box): void {
  b.low = from.low;
  b.high = from.high;
  b.nan = from.nan;
}
export function joinBox(b: Box, other: Box): void {
  if (other.low < b.low) b.low = other.low;
  if (other.high > b.high) b.high = other.high;
  b.nan ||= other.nan;
}
export function isEmpty(b: Box): boolean {
  return b.low > b.high;
}
/** One number and nothing else. Zero of either sign (low -0, high 0) is none: its reciprocals are far apart. */
export function isPoint(b: Box): boolean {
  return b.low === b.high && !b.nan && (b.low !== 0 || Object.is(b.low, b.high));
}
/** Anything at all of the dtype. */
export function setAnything(b: Box, dtype: DType): void {
  if (dtype === "bool") setBox(b, 0, 1, false);
  else if (dtype === "i32") setBox(b, -2147483648, 2147483647, false);
  else if (dtype === "u32") setBox(b, 0, 4294967295, false);
  else setBox(b, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, true);
}

export function formatOf(dtype: DType): FloatFormat {
  return dtype === "f16" ? FORMATS.f16 : FORMATS.f32;
}

/**
 * What an operand may be read as: subnormal numbers may be flushed to zero, and some adapters' functions take them for anything
 * below the least normal number. Gives the operand itself if it holds none.
 */
export function flushed(b: Box, format: FloatFormat, into: Box): Box {
  const { low, high } = b;
  const { normal } = format;
  if (!(low > 0 && low < normal) && !(high < 0 && high > -normal)) return b;
  setBox(into, low > 0 ? 0 : Math.min(low, -normal), high < 0 ? 0 : Math.max(high, normal), b.nan);
  return into;
}

/** Float64's own error in a bound, generously: the functions of the engine are within an ULP. */
const SLACK = 2 ** -48;

/**
 * Widens what is exact by the device's error (relative as a plain factor), by flushing of subnormal results, and by
 * rounding past the largest number. Infinities stay. A relative error does not change signs, nor does flushing.
 */
export function widen(b: Box, relative: number, absolute: number, format: FloatFormat): void {
  const r = relative + SLACK;
  const a = absolute + format.normal;
  const { low, high } = b;
  if (Number.isFinite(low)) {
    let v = low - Math.abs(low) * r - a;
    if (low >= 0 && absolute === 0) v = Math.max(v, 0);
    b.low = v < -format.max ? Number.NEGATIVE_INFINITY : Math.min(v, format.max);
  }
  if (Number.isFinite(high)) {
    let v = high + Math.abs(high) * r + a;
    if (high <= 0 && absolute === 0) v = Math.min(v, 0);
    b.high = v > format.max ? Number.POSITIVE_INFINITY : Math.max(v, -format.max);
  }
}
