/** What choosing looks at: sizes with unknown symbols guessed, how reads lie, and what the target is like. */
import { isLlvmpipe } from "../../codegen/adapter.ts";
import { type Extent, evaluateExtent, ONE, symbolsOf, ZERO } from "../../ir/extent.ts";
import { type Axis, childrenOf, type Read, shapeOf, type TensorExpr } from "../../ir/tensor.ts";
import { strideAlong } from "./apply/operands.ts";
import { sizeOfType } from "./cost.ts";
import type { Target } from "./target.ts";

export { isLlvmpipe };

/** An unknown extent counts as this. */
const UNKNOWN = 256;

export function guess(e: Extent): number {
  return e.value ?? Math.max(0, evaluateExtent(e, new Map([...symbolsOf(e)].map((s) => [s, UNKNOWN]))));
}
export function guessAll(axes: readonly Axis[]): number {
  return axes.reduce((p, a) => p * guess(a.extent), 1);
}

/** The subgroup size if it is one number, else 0. */
export function fixedSubgroup(t: Target): number {
  return t.features.includes("subgroups") && t.subgroupMinSize > 0 && t.subgroupMinSize === t.subgroupMaxSize
    ? t.subgroupMinSize
    : 0;
}

export function readsIn(exprs: readonly TensorExpr[]): readonly Read[] {
  const found: Read[] = [];
  const seen = new Set<TensorExpr>();
  const visit = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "read") found.push(e);
    for (const c of childrenOf(e)) visit(c);
  };
  for (const e of exprs) visit(e);
  return found;
}

/** How reads move along an axis: by one element, by more, or not at all. */
export function movement(
  reads: readonly Read[],
  a: Axis | undefined,
): { readonly unit: number; readonly far: number; readonly still: number } {
  let [unit, far, still] = [0, 0, 0];
  if (a)
    for (const r of reads) {
      const s = strideAlong(r.at, shapeOf(r.tensor), a);
      if (s === ONE) unit++;
      else if (s === ZERO) still++;
      else far++;
    }
  return { unit, far, still };
}

/** Do neighbours along an axis lie whole pages of memory apart in some read? */
export function pagesApart(reads: readonly Read[], a: Axis): boolean {
  return reads.some((r) => {
    const elements = strideAlong(r.at, shapeOf(r.tensor), a)?.value ?? 0;
    return elements > 0 && (elements * sizeOfType(r.dtype)) % PAGE === 0;
  });
}
const PAGE = 4096;

export function powerAtMost(n: number, most: number): 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024 {
  let p = 1;
  while (p * 2 <= Math.min(n, most) && p < 1024) p *= 2;
  return p as 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024;
}

/** Invocations that keep a GPU's memory busy where each has a few loads under way: 8 vectors of 16 bytes of each are 4 MB. Not measured. */
export const BUSY: number = 1 << 15;
