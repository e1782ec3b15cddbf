/**
 * The order in which a product of many operands is contracted pair by pair: fewest multiplications first, then the smallest
 * largest intermediate, then as written. Exact by dynamic programming over subsets up to 12 operands (as opt_einsum's
 * "optimal" and "dp"), greedy by a heap of cheapest pairs beyond (as its "greedy"), in O(n log n) for n operands of few axes.
 */

/** Operands as lists of axis numbers; `sizes[axis]` its extent; `output` the axes that stay. */
export interface Contraction {
  readonly operands: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly sizes: readonly number[];
}

/**
 * Pairs in the order of contraction. Numbers up to n-1 are operands, n, n+1, … the results of earlier pairs. `flops` counts a
 * multiplication and an addition as one, as points of the pairs' loops.
 */
export interface Order {
  readonly pairs: readonly (readonly [number, number])[];
  readonly flops: number;
  readonly largest: number;
}

export const EXACT_OPERANDS = 12;

export function orderContraction(c: Contraction): Order {
  if (c.operands.length < 2) return { pairs: [], flops: 0, largest: 0 };
  return c.operands.length <= EXACT_OPERANDS ? exact(c) : greedy(c);
}

// ---- Exact ----------------------------------------------------------------------------------------------------------

function exact(c: Contraction): Order {
  const n = c.operands.length;
  const all = (1 << n) - 1;
  const bits = (axes: readonly number[]): bigint => axes.reduce((s, a) => s | (1n << BigInt(a)), 0n);
  const output = bits(c.output);
  const union: bigint[] = new Array<bigint>(all + 1).fill(0n);
  c.operands.forEach((o, i) => {
    union[1 << i] = bits(o);
  });
  for (let mask = 1; mask <= all; mask++) {
    const low = mask & -mask;
    if (mask !== low) union[mask] = (union[low] ?? 0n) | (union[mask ^ low] ?? 0n);
  }
  // What a subset's result still has: axes of the output or of operands outside it. An operand alone has all of its axes.
  const kept = union.map((u, mask) => ((mask & (mask - 1)) === 0 ? u : u & (output | (union[all ^ mask] ?? 0n))));
  const sizes = new Map<bigint, number>();
  const sizeOf = (set: bigint): number => {
    const old = sizes.get(set);
    if (old !== undefined) return old;
    let product = 1;
    for (let rest = set, a = 0; rest > 0n; rest >>= 1n, a++) if (rest & 1n) product *= c.sizes[a] ?? 1;
    sizes.set(set, product);
    return product;
  };
  const flops = new Float64Array(all + 1);
  const largest = new Float64Array(all + 1);
  const split = new Int32Array(all + 1);
  for (let mask = 1; mask <= all; mask++) {
    if ((mask & (mask - 1)) === 0) continue;
    flops[mask] = Number.POSITIVE_INFINITY;
    const own = mask === all ? 0 : sizeOf(kept[mask] ?? 0n);
    const offer = (s: number): void => {
      const t = mask ^ s;
      const f = (flops[s] ?? 0) + (flops[t] ?? 0) + sizeOf((kept[s] ?? 0n) | (kept[t] ?? 0n));
      const l = Math.max(own, largest[s] ?? 0, largest[t] ?? 0);
      const best = flops[mask] ?? 0;
      if (f < best || (f === best && l < (largest[mask] ?? 0)) || split[mask] === 0) {
        flops[mask] = f;
        largest[mask] = l;
        split[mask] = s;
      }
    };
    // As written first: everything before the last operand, then the last.
    const last = 1 << (31 - Math.clz32(mask));
    offer(mask ^ last);
    const low = mask & -mask;
    for (let s = (mask - 1) & mask; s > 0; s = (s - 1) & mask) if (s & low) offer(s);
  }
  const pairs: [number, number][] = [];
  const build = (mask: number): number => {
    if ((mask & (mask - 1)) === 0) return 31 - Math.clz32(mask);
    const s = split[mask] ?? 0;
    const pair: [number, number] = [build(s), build(mask ^ s)];
    pairs.push(pair);
    return n + pairs.length - 1;
  };
  build(all);
  return { pairs, flops: flops[all] ?? 0, largest: largest[all] ?? 0 };
}

// ---- Greedy ---------------------------------------------------------------------------------------------------------

interface Candidate {
  readonly flops: number;
  readonly size: number;
  readonly i: number;
  readonly j: number;
}

const NOTHING: readonly number[] = [];
/** Membership: by looking through where there is little to look through. */
function has(list: readonly number[]): (a: number) => boolean {
  if (list.length < 12) return (a) => list.includes(a);
  const set = new Set(list);
  return (a) => set.has(a);
}

function greedy(c: Contraction): Order {
  const sets: (readonly number[] | undefined)[] = c.operands.map((o) => [...new Set(o)]);
  const stays = new Set(c.output);
  const uses = new Map<number, number>();
  // Live operands of each axis, in a list that keeps their order: only neighbours are candidates.
  const lists = new Map<number, Neighbours>();
  for (const s of sets) for (const a of s ?? NOTHING) uses.set(a, (uses.get(a) ?? 0) + 1);
  sets.forEach((s, i) => {
    for (const a of s ?? NOTHING) {
      let list = lists.get(a);
      if (!list) {
        list = (uses.get(a) ?? 0) > FEW ? neighbours() : fewNeighbours();
        lists.set(a, list);
      }
      list.append(i);
    }
  });
  const product = (axes: Iterable<number>): number => {
    let p = 1;
    for (const a of axes) p *= c.sizes[a] ?? 1;
    return p;
  };
  const join = (i: number, j: number): { readonly whole: readonly number[]; readonly rest: readonly number[] } => {
    const x = sets[i] ?? NOTHING;
    const y = sets[j] ?? NOTHING;
    const inX = has(x);
    const inY = has(y);
    const whole = [...x];
    for (const a of y) if (!inX(a)) whole.push(a);
    const rest: number[] = [];
    for (const a of whole) if (stays.has(a) || (uses.get(a) ?? 0) > (inX(a) ? 1 : 0) + (inY(a) ? 1 : 0)) rest.push(a);
    return { whole, rest };
  };
  const heap = heapOf((a: Candidate, b: Candidate) => a.flops - b.flops || a.size - b.size || a.i - b.i || a.j - b.j);
  const offer = (i: number, j: number): void => {
    const [p, q] = i < j ? [i, j] : [j, i];
    const { whole, rest } = join(p, q);
    heap.push({ flops: product(whole), size: product(rest), i: p, j: q });
  };
  for (const list of lists.values()) list.pairs(offer);

  const pairs: [number, number][] = [];
  let flops = 0;
  let largest = 0;
  const merge = (i: number, j: number): number => {
    const { whole, rest } = join(i, j);
    const made = sets.length;
    flops += product(whole);
    largest = Math.max(largest, product(rest));
    const isKept = has(rest);
    for (const a of whole) {
      const list = lists.get(a);
      const had = (sets[i]?.includes(a) ? 1 : 0) + (sets[j]?.includes(a) ? 1 : 0);
      uses.set(a, (uses.get(a) ?? 0) - had + (isKept(a) ? 1 : 0));
      if (isKept(a)) list?.replace(i, j, made);
      else {
        list?.remove(i);
        list?.remove(j);
      }
    }
    sets.push(rest);
    sets[i] = undefined;
    sets[j] = undefined;
    pairs.push([i, j]);
    for (const a of rest) lists.get(a)?.around(made, offer);
    return made;
  };
  for (let next = heap.pop(); next; next = heap.pop()) if (sets[next.i] && sets[next.j]) merge(next.i, next.j);
  // What shares no axis is multiplied in order.
  const left = sets.flatMap((s, i) => (s ? [i] : []));
  let at = left[0] ?? 0;
  for (const i of left.slice(1)) at = merge(Math.min(at, i), Math.max(at, i));
  return { pairs, flops, largest };
}

interface Neighbours {
  append(i: number): void;
  /** Puts `made` in the place of i or j, whichever are in the list. */
  replace(i: number, j: number, made: number): void;
  remove(i: number): void;
  pairs(f: (i: number, j: number) => void): void;
  around(i: number, f: (i: number, j: number) => void): void;
}
const FEW = 16;
/** A short list: most axes belong to two operands. */
function fewNeighbours(): Neighbours {
  const list: number[] = [];
  return {
    append(i) {
      list.push(i);
    },
    replace(i, j, made) {
      const [x, y] = [list.indexOf(i), list.indexOf(j)];
      if (x >= 0) {
        list[x] = made;
        if (y >= 0) list.splice(y, 1);
      } else if (y >= 0) list[y] = made;
    },
    remove(i) {
      const x = list.indexOf(i);
      if (x >= 0) list.splice(x, 1);
    },
    pairs(f) {
      for (let x = 1; x < list.length; x++) f(list[x - 1] ?? 0, list[x] ?? 0);
    },
    around(i, f) {
      const x = list.indexOf(i);
      if (x > 0) f(list[x - 1] ?? 0, i);
      if (x >= 0 && x + 1 < list.length) f(i, list[x + 1] ?? 0);
    },
  };
}
function neighbours(): Neighbours {
  const before = new Map<number, number>();
  const after = new Map<number, number>();
  let tail: number | undefined;
  const members = new Set<number>();
  const remove = (i: number): void => {
    if (!members.delete(i)) return;
    const [p, q] = [before.get(i), after.get(i)];
    if (p !== undefined) q === undefined ? after.delete(p) : after.set(p, q);
    if (q !== undefined) p === undefined ? before.delete(q) : before.set(q, p);
    if (tail === i) tail = p;
    before.delete(i);
    after.delete(i);
  };
  const rename = (i: number, made: number): void => {
    const [p, q] = [before.get(i), after.get(i)];
    members.delete(i);
    members.add(made);
    before.delete(i);
    after.delete(i);
    if (p !== undefined) {
      after.set(p, made);
      before.set(made, p);
    }
    if (q !== undefined) {
      before.set(q, made);
      after.set(made, q);
    }
    if (tail === i) tail = made;
  };
  return {
    append(i) {
      members.add(i);
      if (tail !== undefined) {
        after.set(tail, i);
        before.set(i, tail);
      }
      tail = i;
    },
    replace(i, j, made) {
      if (members.has(i)) {
        remove(j);
        rename(i, made);
      } else rename(j, made);
    },
    remove,
    pairs(f) {
      for (const [i, j] of after) f(i, j);
    },
    around(i, f) {
      const [p, q] = [before.get(i), after.get(i)];
      if (p !== undefined) f(p, i);
      if (q !== undefined) f(i, q);
    },
  };
}

interface Heap<T> {
  push(x: T): void;
  pop(): T | undefined;
}
/** A binary heap, least first. */
function heapOf<T>(compare: (a: T, b: T) => number): Heap<T> {
  const list: T[] = [];
  return {
    push(x) {
      let at = list.length;
      list.push(x);
      while (at > 0) {
        const up = (at - 1) >> 1;
        const parent = list[up] as T;
        if (compare(parent, x) <= 0) break;
        list[at] = parent;
        at = up;
      }
      list[at] = x;
    },
    pop() {
      const top = list[0];
      const x = list.pop();
      if (list.length === 0 || x === undefined) return top;
      let at = 0;
      for (;;) {
        let down = 2 * at + 1;
        if (down >= list.length) break;
        if (down + 1 < list.length && compare(list[down + 1] as T, list[down] as T) < 0) down++;
        if (compare(x, list[down] as T) <= 0) break;
        list[at] = list[down] as T;
        at = down;
      }
      list[at] = x;
      return top;
    },
  };
}
