/**
 * The grid on the device. A dimension of a dispatch holds at most 65,535 workgroups, and extents may be symbolic, so:
 *
 * - Extents that are constant and fit are dispatched as they are.
 * - A kernel with a grid along x alone is folded: x = id.x + 65535·id.y, and workgroups past the end do nothing.
 * - Otherwise the host dispatches as it is if all extents fit, else the product of the extents in rows of 65,535 along x and y;
 *   `folded`, 0 or 1, tells the kernel which, and it takes the linear number apart.
 */
import {
  addExtent,
  ceilDivExtent,
  divExtent,
  type Extent,
  maxExtent,
  minExtent,
  mulExtent,
  ONE,
  productExtent,
  size,
  subExtent,
} from "../ir/extent.ts";
import type { Kernel } from "../ir/kernel.ts";
import { launchOf } from "../ir/visit-kernel.ts";

export const MAX_GROUPS = 65535;

export interface GridDispatch {
  readonly kind: "direct" | "line" | "folded";
  /** The kernel's own grid. */
  readonly extents: readonly [Extent, Extent, Extent];
  /** What the host dispatches. */
  readonly groups: readonly [Extent, Extent, Extent];
  /** 1 where the host dispatches the linear form; for kind "folded". */
  readonly folded: Extent | undefined;
}

/** Workgroups along x, y and z that the kernel's grid loops ask for; 1 where it has none. */
export function gridExtents(kernel: Kernel): readonly [Extent, Extent, Extent] {
  const [x, y, z] = launchOf(kernel).grid.map((s) =>
    s?.to.kind === "size" ? s.to.extent : size(s?.to.kind === "const" ? s.to.value : 1),
  );
  return [x ?? ONE, y ?? ONE, z ?? ONE];
}

export function dispatchOf(kernel: Kernel): GridDispatch {
  const extents = gridExtents(kernel);
  const fits = (e: Extent): boolean => e.value !== undefined && e.value <= MAX_GROUPS;
  if (extents.every(fits)) return { kind: "direct", extents, groups: extents, folded: undefined };
  const limit = size(MAX_GROUPS);
  const [x, y, z] = extents;
  if (y === ONE && z === ONE)
    return { kind: "line", extents, groups: [minExtent(x, limit), ceilDivExtent(x, limit), ONE], folded: undefined };
  const total = productExtent(extents);
  const largest = extents.reduce((m, e) => maxExtent(m, e), ONE);
  const folded = minExtent(ONE, divExtent(largest, size(MAX_GROUPS + 1)));
  const direct = subExtent(ONE, folded);
  const either = (plain: Extent, linear: Extent): Extent =>
    addExtent(mulExtent(direct, plain), mulExtent(folded, linear));
  const groups = [either(x, minExtent(total, limit)), either(y, ceilDivExtent(total, limit)), either(z, ONE)] as const;
  return { kind: "folded", extents, groups, folded };
}
