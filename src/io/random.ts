/** Random arguments by seed, for `run`, `check` and `tune`. */
import { threefry } from "../../ir/threefry.ts";
import type { HostArray, PlanDType } from "../../runtime/plan.ts";

/** 32 random bits by seed, stream and position: the same on every machine. */
function bits(seed: number, stream: number, i: number): number {
  return threefry(0, seed >>> 0, stream >>> 0, i >>> 0, 0);
}

function uniform(seed: number, stream: number, i: number): number {
  return (bits(seed, stream, i) >>> 8) * 2 ** -24;
}

/** Standard normal by Box and Muller, rounded to f32. */
function normal(seed: number, stream: number, i: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(seed, stream, 2 * i)));
  return Math.fround(radius * Math.cos(2 * Math.PI * uniform(seed, stream, 2 * i + 1)));
}

/**
 * Floats are standard normal, integers from 0 and less than `below`, booleans even. `stream` keeps the arguments of one call apart.
 */
export function randomArray(
  dtype: PlanDType,
  shape: readonly number[],
  seed: number,
  stream: number,
  below: number = 10,
): HostArray {
  const length = shape.reduce((a, b) => a * b, 1);
  switch (dtype) {
    case "f32":
      return { dtype, shape, data: Float32Array.from({ length }, (_, i) => normal(seed, stream, i)) };
    case "f16": {
      const view = new DataView(new ArrayBuffer(2));
      const half = (x: number): number => {
        view.setFloat16(0, x);
        return view.getUint16(0);
      };
      return { dtype, shape, data: Uint16Array.from({ length }, (_, i) => half(normal(seed, stream, i))) };
    }
    case "i32":
      return { dtype, shape, data: Int32Array.from({ length }, (_, i) => bits(seed, stream, i) % below) };
    case "u32":
      return { dtype, shape, data: Uint32Array.from({ length }, (_, i) => bits(seed, stream, i) % below) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from({ length }, (_, i) => bits(seed, stream, i) & 1) };
  }
}
