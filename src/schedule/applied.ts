/** What `apply` hands to the plan builder: kernels, and what each of their storage buffers stands for. */
import type { DType } from "../../ir/dtype.ts";
import { type Extent, ONE, size } from "../../ir/extent.ts";
import type { Kernel } from "../../ir/kernel.ts";
import type { TensorRef } from "../../ir/tensor.ts";

export { DEFAULT_TARGET, type Target } from "./target.ts";

/** Memory that a schedule needs between its own kernels (partial results); identity is by object. */
export interface Temporary {
  readonly kind: "temporary";
  readonly name: string;
  readonly dtype: DType;
  /** Elements. */
  readonly size: Extent;
}

/** What a storage buffer stands for. */
export type BufferSource = { readonly kind: "tensor"; readonly ref: TensorRef } | Temporary;

export interface AppliedKernel {
  readonly kernel: Kernel;
  /**
   * One for each storage buffer of `kernel.buffers`, in order. A tensor that is only read may stand twice: once by
   * elements and once in vectors of four.
   */
  readonly bindings: readonly BufferSource[];
  /** Done before this kernel runs: every 32-bit word of the target becomes `pattern`. */
  readonly fills: readonly { readonly target: BufferSource; readonly pattern: number }[];
  /** Done before this kernel runs, after its fills: the whole of `from` is copied to `to`. */
  readonly copies: readonly { readonly from: BufferSource; readonly to: BufferSource }[];
}

/** Workgroups along x, y, z: the extents of the kernel's grid loops, 1 where it has none. */
export function gridOf(kernel: Kernel): readonly [Extent, Extent, Extent] {
  const grid: Extent[] = [ONE, ONE, ONE];
  const places: Readonly<Record<string, number>> = { "grid.x": 0, "grid.y": 1, "grid.z": 2 };
  let body = kernel.body;
  for (;;) {
    const inner = body.find((s) => s.kind === "for" && s.bind in places);
    if (inner?.kind !== "for") return grid as unknown as readonly [Extent, Extent, Extent];
    const at = places[inner.bind] ?? 0;
    grid[at] = inner.to.kind === "size" ? inner.to.extent : size(inner.to.kind === "const" ? inner.to.value : 1);
    body = inner.body;
  }
}
