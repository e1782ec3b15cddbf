/** A small deterministic generator (Mulberry32, T. Ettinger's 32-bit mixer), so that a seed names a case for ever. */
export interface Random {
  /** 0 … 2^32 - 1. */
  next(): number;
  /** 0 … n - 1. */
  below(n: number): number;
  chance(p: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** In [0, 1). */
  unit(): number;
}

export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const unit = (): number => next() / 2 ** 32;
  return {
    next,
    unit,
    below: (n) => Math.floor(unit() * n),
    chance: (p) => unit() < p,
    pick: (list) => {
      if (list.length === 0) throw new RangeError("nothing to pick from");
      return list[Math.floor(unit() * list.length)]!;
    },
  };
}
