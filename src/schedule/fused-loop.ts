/** Loops of a fused program: ranges of its regions. */
import type { Extent } from "../../ir/extent.ts";
import type { CarryDef, TensorRef } from "../../ir/tensor.ts";

/**
 * Regions `first` to `end` (not included) run `rounds` times. Before, `init` is copied to each carry; after a round each stack gets its
 * value as the row of that round, and each carry and its `next` change places.
 */
export interface FusedLoop {
  readonly first: number;
  readonly end: number;
  readonly rounds: Extent;
  readonly carries: readonly { readonly carry: CarryDef; readonly init: TensorRef; readonly next: TensorRef }[];
  readonly stacks: readonly { readonly stack: CarryDef; readonly value: TensorRef }[];
}

/** Runs of items one by one, and loops with what they repeat. */
export type Nested<T> =
  | { readonly kind: "one"; readonly item: T }
  | { readonly kind: "loop"; readonly loop: FusedLoop; readonly body: readonly Nested<T>[] };

/** The flat list of regions (or of what there is one of for each region) with its loops around them. */
export function nested<T>(items: readonly T[], loops: readonly FusedLoop[] = []): readonly Nested<T>[] {
  const level = (from: number, to: number, inner: readonly FusedLoop[]): readonly Nested<T>[] => {
    const out: Nested<T>[] = [];
    let [at, rest] = [from, inner];
    while (at < to) {
      const [loop] = rest;
      if (loop?.first !== at) {
        out.push({ kind: "one", item: items[at]! });
        at++;
        continue;
      }
      const within = rest.slice(1).filter((l) => l.first < loop.end);
      out.push({ kind: "loop", loop, body: level(loop.first, loop.end, within) });
      rest = rest.slice(1 + within.length);
      at = loop.end;
    }
    return out;
  };
  return level(0, items.length, loops);
}
