/** Bounds of results, and a device's values against them. */
import type { DType } from "./dtype.ts";
import { FORMATS } from "./float.ts";

/** Elementwise: the interpreter's value, and the numbers that the device may give (and NaN where `nan` is 1). low > high: only NaN. */
export interface Bounds {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly exact: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly nan: Uint8Array;
}

export interface Comparison {
  /** Elements outside their bounds, and the first of them. */
  readonly outside: number;
  readonly first: number | undefined;
  /** The largest share of its bound that an element used, and which; 0 where nothing may differ. Elements without a finite bound do not count. */
  readonly share: number;
  readonly worst: number | undefined;
  /** Elements of which the bounds say nothing (both ends infinite). */
  readonly unbounded: number;
}

/** The device's values (row-major, of the same elements) against the bounds. */
export function compareWithin(b: Bounds, values: ArrayLike<number>): Comparison {
  let [outside, first, share, worst, unbounded]: [number, number | undefined, number, number | undefined, number] = [
    0,
    undefined,
    0,
    undefined,
    0,
  ];
  const least = b.dtype === "f32" || b.dtype === "f16" ? FORMATS[b.dtype].normal : 0;
  for (let i = 0; i < b.exact.length; i++) {
    const v = values[i] ?? Number.NaN;
    const [low, high, exact] = [b.low[i]!, b.high[i]!, b.exact[i]!];
    const inside = Number.isNaN(v) ? b.nan[i] === 1 : v >= low && v <= high;
    if (!inside) {
      outside++;
      first ??= i;
      continue;
    }
    if (low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY) unbounded++;
    const room = v > exact ? high - exact : exact - low;
    // Where a subnormal number was flushed the bound is used up by intent.
    const tiny = Math.abs(v - exact) <= least;
    const used = tiny || !Number.isFinite(room) || room <= 0 ? 0 : Math.abs(v - exact) / room;
    if (used > share) [share, worst] = [used, i];
  }
  return { outside, first, share, worst, unbounded };
}
