/** Operators that cut a tensor into several along an axis. */
import { type Arg, type Bound, list } from "./call.ts";
import type { RuleTable } from "./rules.ts";
import { axisAt } from "./scatters.ts";

/** `:` for every axis but one. */
export const along = (rank: number, axis: number, item: string): string =>
  list(Array.from({ length: rank }, (_, i) => (i === axis ? item : ":")));
export const records = (parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : `{ ${parts.map((p, i) => `y${i}: ${p}`).join(", ")} }`;

function pieces(x: Arg, dim: number, sizes: readonly number[]): string {
  let from = 0;
  return records(
    sizes.map((n) => {
      const part = `${x}${along(x.rank, dim, `${from}:${from + n}`)}`;
      from += n;
      return part;
    }),
  );
}

function splitSizes(total: number, size: number): number[] {
  if (total === 0) return [0];
  const out: number[] = [];
  for (let at = 0; at < total; at += size) out.push(Math.min(size, total - at));
  return out;
}

/**
 * Pieces along an axis: so many, the first ones larger by 1, or cut at the places. hsplit and its like (`rank` says how many axes
 * they need) take only pieces of one size.
 */
function cutAt(a: Bound, dim: number, rank = 0): string {
  const [x, where] = [a["input"]!, a["where"]!];
  if (x.rank < rank) return `assert(false, "a tensor of ${rank} axes or more is needed", ${x})`;
  const d = dim < 0 ? dim + x.rank : dim;
  const total = x.shape[d]!;
  // Where to cut is part of the program's shape, so it is a constant of it.
  const cuts = where.isTensor
    ? where.rank === 0
      ? where.values.data[0]!
      : [...where.values.data]
    : where.isList
      ? where.numbers()
      : where.number();
  if (typeof cuts === "number") {
    if (rank > 0 && total % cuts !== 0) return `assert(false, "${total} is no multiple of ${cuts}", ${x})`;
    const sizes = Array.from({ length: cuts }, (_, i) => Math.floor(total / cuts) + (i < total % cuts ? 1 : 0));
    return pieces(x, d, sizes);
  }
  const ends = [0, ...cuts.map((c) => Math.min(Math.max(c < 0 ? c + total : c, 0), total)), total];
  return records(ends.slice(1).map((e, i) => `${x}${along(x.rank, d, `${Math.min(ends[i]!, e)}:${e}`)}`));
}

export const CUT: RuleTable = {
  split: [
    "split(input, split_size, dim=0)",
    (a) => {
      const d = axisAt(a["dim"]!, a["input"]!.rank);
      const total = a["input"]!.shape[d]!;
      return pieces(
        a["input"]!,
        d,
        a["split_size"]!.isList ? a["split_size"]!.numbers() : splitSizes(total, a["split_size"]!.number()),
      );
    },
  ],
  split_with_sizes: [
    "split_with_sizes(input, sizes, dim=0)",
    (a) => pieces(a["input"]!, axisAt(a["dim"]!, a["input"]!.rank), a["sizes"]!.numbers()),
  ],
  chunk: [
    "chunk(input, chunks, dim=0)",
    (a) => {
      const d = axisAt(a["dim"]!, a["input"]!.rank);
      const total = a["input"]!.shape[d]!;
      return pieces(a["input"]!, d, splitSizes(total, Math.ceil(total / a["chunks"]!.number())));
    },
  ],
  tensor_split: ["tensor_split(input, where, dim=0)", (a) => cutAt(a, a["dim"]!.number())],
  hsplit: ["hsplit(input, where)", (a) => cutAt(a, a["input"]!.rank === 1 ? 0 : 1, 1)],
  vsplit: ["vsplit(input, where)", (a) => cutAt(a, 0, 2)],
  dsplit: ["dsplit(input, where)", (a) => cutAt(a, 2, 3)],
  unbind: [
    "unbind(input, dim=0)",
    (a) => {
      const d = axisAt(a["dim"]!, a["input"]!.rank);
      return records(
        Array.from(
          { length: a["input"]!.shape[d]! },
          (_, i) => `${a["input"]}${along(a["input"]!.rank, d, String(i))}`,
        ),
      );
    },
  ],
};
