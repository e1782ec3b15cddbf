import type { HostArray } from "../../runtime/plan.ts";

/** The elements as float64, f16 bits decoded. Shares memory where the data is float64 already. */
export function numbersOf(a: HostArray): Float64Array {
  if (a.data instanceof Float64Array) return a.data;
  if (a.dtype !== "f16" || !(a.data instanceof Uint16Array)) return Float64Array.from(a.data);
  const view = new DataView(a.data.buffer, a.data.byteOffset, a.data.byteLength);
  return Float64Array.from({ length: a.data.length }, (_, i) => view.getFloat16(2 * i, true));
}
