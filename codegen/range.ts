/**
 * What values an i32 can take. Bounds are exact integers; an infinite one says that it follows an extent whose size is not
 * known: index arithmetic over such extents stays below 2^31, because what it indexes fits a buffer (decision 17). Arithmetic
 * with large constants, which no index needs, is not trusted so.
 */
import type { Prim } from "../ir/prim.ts";
import type { Value } from "./value.ts";

export type Interval = readonly [low: number, high: number];

const LOW = -2147483648;
const HIGH = 2147483647;
export const UNKNOWN: Interval = [LOW, HIGH];
/** The largest constant factor of an unknown extent that is taken for index arithmetic. */
const INDEX_FACTOR = 65536;

const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

/** Anything if the result may have wrapped. */
function within(low: number, high: number): Interval {
  if (Number.isNaN(low) || Number.isNaN(high)) return UNKNOWN;
  const wraps = (n: number): boolean => Number.isFinite(n) && (n < LOW || n > HIGH);
  return wraps(low) || wraps(high) ? UNKNOWN : [low, high];
}

function product(a: Interval, b: Interval): Interval {
  const unbounded = (i: Interval): boolean => !Number.isFinite(i[0]) || !Number.isFinite(i[1]);
  const large = (i: Interval): boolean => !unbounded(i) && Math.max(Math.abs(i[0]), Math.abs(i[1])) > INDEX_FACTOR;
  if ((unbounded(a) && large(b)) || (unbounded(b) && large(a))) return UNKNOWN;
  const corners = [times(a[0], b[0]), times(a[0], b[1]), times(a[1], b[0]), times(a[1], b[1])];
  return within(Math.min(...corners), Math.max(...corners));
}

/** Below the power of two that is above both, where neither is negative. */
function exclusive(a: Interval, b: Interval): Interval {
  if (a[0] < 0 || b[0] < 0) return UNKNOWN;
  const most = Math.max(a[1], b[1]);
  return [0, most > HIGH ? HIGH : 2 ** (32 - Math.clz32(most)) - 1];
}

/** Of an i32 apply from the ranges of its operands. */
export function rangeOfApply(prim: Prim, ranges: readonly Interval[], args: readonly Value[]): Interval {
  const [a = UNKNOWN, b = UNKNOWN, c = UNKNOWN] = ranges;
  switch (prim) {
    case "add":
      return within(a[0] + b[0], a[1] + b[1]);
    case "sub":
      return within(a[0] - b[1], a[1] - b[0]);
    case "mul":
      return product(a, b);
    case "neg":
      return within(-a[1], -a[0]);
    case "abs":
      return a[0] >= 0 ? a : within(0, Math.max(-a[0], a[1]));
    case "floordiv":
      if (b[0] >= 1)
        return within(Math.floor(a[0] / (a[0] < 0 ? b[0] : b[1])), Math.floor(a[1] / (a[1] < 0 ? b[1] : b[0])));
      return a[0] >= 0 && b[0] >= 0 ? [0, a[1]] : UNKNOWN;
    case "mod":
      if (b[0] >= 0) return [0, a[0] >= 0 ? Math.min(a[1], Math.max(0, b[1] - 1)) : Math.max(0, b[1] - 1)];
      return UNKNOWN;
    case "rem":
      return a[0] >= 0 ? [0, a[1]] : UNKNOWN;
    case "bitxor":
      return exclusive(a, b);
    case "min":
      return [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
    case "max":
      return [Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    case "select":
      return [Math.min(b[0], c[0]), Math.max(b[1], c[1])];
    case "bitand":
      if (a[0] >= 0 || b[0] >= 0) return [0, a[0] >= 0 && b[0] >= 0 ? Math.min(a[1], b[1]) : a[0] >= 0 ? a[1] : b[1]];
      return UNKNOWN;
    case "shr":
      return a[0] >= 0 ? [0, a[1]] : UNKNOWN;
    case "cast":
      return args[0]?.dtype === "bool" ? [0, 1] : UNKNOWN;
    case "popcount":
    case "clz":
      return [0, 32];
    case "sign":
      return [-1, 1];
    case "stopGradient":
      return a;
    default:
      return UNKNOWN;
  }
}
