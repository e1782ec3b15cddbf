/** Sizes as numbers, for costs only: nothing that must be right depends on them. */
import { type Extent, evaluateExtent, lowerBound, symbolsOf } from "../../ir/extent.ts";

/** An extent as a number, every unknown symbol 256. */
export function estimate(e: Extent): number {
  if (e.value !== undefined) return e.value;
  const old = estimates.get(e);
  if (old !== undefined) return old;
  const bind = new Map<string, number>();
  for (const s of symbolsOf(e)) bind.set(s, 256);
  const value = finite(e, bind);
  estimates.set(e, value);
  return value;
}
const estimates = new WeakMap<Extent, number>();
function finite(e: Extent, bind: ReadonlyMap<string, number>): number {
  try {
    return Math.max(0, evaluateExtent(e, bind));
  } catch {
    return Math.max(0, lowerBound(e) ?? 256);
  }
}
