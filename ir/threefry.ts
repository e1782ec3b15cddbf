/**
 * Threefry-2×32 with 20 rounds: a counter-based generator, a pure function of a key and a counter.
 * J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
/** The constant that makes the third key word, so that no key is all zeros. */
const PARITY = 0x1bd11bda;

/** Word 0 or 1 of the block for key (k0, k1) and counter (c0, c1), all u32 (0…2^32-1); the result is a u32. */
export function threefry(word: 0 | 1, k0: number, k1: number, c0: number, c1: number): number {
  const key = [k0 | 0, k1 | 0, (PARITY ^ k0 ^ k1) | 0];
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = ROTATIONS[round % 8] ?? 0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    if (round % 4 === 3) {
      const group = (round + 1) / 4;
      x0 = (x0 + (key[group % 3] ?? 0)) | 0;
      x1 = (x1 + (key[(group + 1) % 3] ?? 0) + group) | 0;
    }
  }
  return (word === 0 ? x0 : x1) >>> 0;
}
