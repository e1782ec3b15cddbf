import { describe, expect, it } from "vitest";
import { array, call, errorCode, value } from "./harness.ts";

/** Threefry-2x32, 20 rounds, as the paper states it (Salmon et al. 2011), written here a second time. */
function threefry(k0: number, k1: number, c0: number, c1: number): readonly [number, number] {
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24];
  const ks = [k0, k1, (k0 ^ k1 ^ 0x1bd11bda) >>> 0];
  let x = (c0 + k0) >>> 0;
  let y = (c1 + k1) >>> 0;
  for (let r = 0; r < 20; r++) {
    x = (x + y) >>> 0;
    const n = rotations[r % 8] as number;
    y = ((y << n) | (y >>> (32 - n))) >>> 0;
    y = (y ^ x) >>> 0;
    if (r % 4 === 3) {
      const s = (r + 1) / 4;
      x = (x + (ks[s % 3] as number)) >>> 0;
      y = (y + (ks[(s + 1) % 3] as number) + s) >>> 0;
    }
  }
  return [x, y];
}
const key = array([7, 11], "u32");
const words = (n: number): readonly (readonly [number, number])[] =>
  Array.from({ length: n }, (_, k) => threefry(7, 11, k, 0));

describe("random numbers", () => {
  it("hashes the row-major position", () => {
    expect(threefry(0, 0, 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
    expect(call("bits", [key, [2, 3]]).data).toEqual(words(6).map(([x]) => x));
    expect(call("uniform", [key, [6]]).data).toEqual(words(6).map(([x]) => (x >>> 8) / 2 ** 24));
    expect(call("bernoulli", [key, 0.5, [2, 3]]).data).toEqual(
      words(6).map(([x]) => Number((x >>> 8) / 2 ** 24 < 0.5)),
    );
    expect(call("bernoulli", [key, array([[0, 1]]), [3, 2]]).data).toEqual([0, 1, 0, 1, 0, 1]);
  });
  it("makes normals by Box and Muller", () => {
    const got = call("normal", [key, [50]]).data;
    words(50).forEach(([x, y], k) => {
      expect(got[k]).toBeCloseTo(
        Math.sqrt(-2 * Math.log(((x >>> 8) + 1) / 2 ** 24)) * Math.cos((2 * Math.PI * (y >>> 8)) / 2 ** 24),
        5,
      );
    });
    const many = call("normal", [key, [20000], 3, 2]).data;
    const mean = many.reduce((p, q) => p + q, 0) / many.length;
    const deviation = Math.sqrt(many.reduce((p, q) => p + (q - mean) ** 2, 0) / many.length);
    // Five standard errors of the two estimates.
    expect(Math.abs(mean - 3)).toBeLessThan((5 * 2) / Math.sqrt(many.length));
    expect(Math.abs(deviation - 2)).toBeLessThan((5 * 2) / Math.sqrt(2 * many.length));
  });
  it("stays in the range of randint, and reaches all of it", () => {
    const got = call("randint", [key, [500], -3, 4]).data;
    expect([...new Set(got)].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    expect(errorCode("randint", [key, [2], 3, 3])).toBe("EIN1503");
    const first = words(1)[0] as readonly [number, number];
    const range = 7n;
    const want =
      (((BigInt(first[0]) % range) * ((65536n % range) ** 2n % range) + (BigInt(first[1]) % range)) % range) - 3n;
    expect(got[0]).toBe(Number(want));
  });
  it("splits keys on a stream of their own", () => {
    expect(value("split_key", [key, 3])).toEqual([0, 1, 2].map((k) => threefry(7, 11, k, 1)));
    expect(call("uniform", [5, [1]]).data).toEqual([(threefry(0, 5, 0, 0)[0] >>> 8) / 2 ** 24]);
    expect(value("key", [5])).toEqual([0, 5]);
    expect(errorCode("uniform", [array([1, 2]), [3]])).toBe("EIN1201");
  });
  it("draws the other distributions from finite logarithms", () => {
    const positive = call("exponential", [key, [2000]]).data;
    expect(Math.min(...positive)).toBeGreaterThanOrEqual(0);
    expect(Math.abs(positive.reduce((p, q) => p + q, 0) / 2000 - 1)).toBeLessThan(5 / Math.sqrt(2000));
    expect(call("gumbel", [key, [2000]]).data.every(Number.isFinite)).toBe(true);
  });
});
