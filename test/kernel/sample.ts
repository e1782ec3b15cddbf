/** A kernel in text form with inputs and what it computes in plain JavaScript. */

export interface Sample {
  readonly name: string;
  readonly text: string;
  readonly sizes: Readonly<Record<string, number>>;
  /** Contents of the storage buffers that are read, by name. */
  readonly inputs: (random: () => number) => Record<string, readonly number[]>;
  /** Contents of the written buffers, in float64 without regard to rounding. */
  readonly expected: (inputs: Record<string, readonly number[]>) => Record<string, readonly number[]>;
  /** How far float32 may be from that, relative to the largest magnitude: a multiple of 2^-24, the number of roundings. */
  readonly roundings: number;
}

/** A generator of numbers in [0, 1) with a fixed seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
export const floats = (n: number, r: () => number): number[] => range(n).map(() => Math.fround(r() * 4 - 2));
