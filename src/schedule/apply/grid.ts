/** The grid of a contraction: tiles of columns, rows and batch positions. */
import { type Extent, mulExtent, ONE, size } from "../../../ir/extent.ts";
import {
  iadd,
  idiv,
  imod,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvar,
  loop,
  type Statement,
  type Variable,
  variable,
} from "../../../ir/kernel.ts";
import type { Target } from "../target.ts";
import { type Builder, name } from "./builder.ts";

export type Ids = readonly [n: KernelExpr, m: KernelExpr, batch: KernelExpr, part: KernelExpr | undefined];

/** Three grid dimensions, or one where a literal count would pass a dimension's limit. */
export function gridLoops(
  grid: readonly [Extent, Extent, Extent],
  parts: number,
  target: Target,
  swizzle: number,
): { readonly wrap: (body: readonly Statement[]) => readonly Statement[]; readonly ids: (b: Builder) => Ids } {
  const limit = target.limits.maxComputeWorkgroupsPerDimension;
  const [n, m, batch] = grid;
  const deep = mulExtent(batch, size(parts));
  const [gx, gy, gz] = [variable("gn"), variable("gm"), variable("gb")];
  const split = (z: KernelExpr): readonly [KernelExpr, KernelExpr | undefined] =>
    parts > 1 ? [idiv(z, kint(parts)), imod(z, kint(parts))] : [z, undefined];
  const flat = [n, m, deep].some((e) => (e.value ?? 0) > limit);
  if (flat) {
    const g = variable("g");
    return {
      wrap: (body) => [loop(g, ksize(mulExtent(mulExtent(n, m), deep)), body, "grid.x")],
      ids: (b) => {
        const tiles = name(b, "tiles", idiv(kvar(g), ksize(n)));
        const [bt, part] = split(name(b, "gz", idiv(tiles, ksize(m))));
        return [
          name(b, "gn", imod(kvar(g), ksize(n))),
          name(b, "gm", imod(tiles, ksize(m))),
          name(b, "gb", bt),
          part && name(b, "part", part),
        ];
      },
    };
  }
  const one = (v: Variable, e: Extent): KernelExpr => (e === ONE ? kint(0) : kvar(v));
  return {
    wrap: (body) => {
      let inside = body;
      if (deep !== ONE) inside = [loop(gz, ksize(deep), inside, "grid.z")];
      if (m !== ONE) inside = [loop(gy, ksize(m), inside, "grid.y")];
      return [loop(gx, ksize(n), inside, "grid.x")];
    },
    ids: (b) => {
      const [bt, part] = split(one(gz, deep));
      const [column, row] = swizzled(b, kvar(gx), one(gy, m), n, m, swizzle);
      return [column, row, name(b, "gb", bt), part && name(b, "part", part)];
    },
  };
}

/**
 * Workgroups in bands of 2^swizzle columns, down each band: those that run together share operands. A bijection of the tiles,
 * whatever their number.
 */
function swizzled(
  b: Builder,
  column: KernelExpr,
  row: KernelExpr,
  n: Extent,
  m: Extent,
  swizzle: number,
): readonly [KernelExpr, KernelExpr] {
  if (swizzle === 0 || m === ONE || n === ONE) return [column, row];
  const wide = 2 ** swizzle;
  const id = name(b, "id", iadd(imul(row, ksize(n)), column));
  const perBand = ksize(mulExtent(m, size(wide)));
  const first = name(b, "band", imul(idiv(id, perBand), kint(wide)));
  const inBand = name(b, "at", imod(id, perBand));
  const here = name(b, "wide", kapply("min", kint(wide), isub(ksize(n), first)));
  return [name(b, "gn", iadd(first, imod(inBand, here))), name(b, "gm", idiv(inBand, here))];
}
