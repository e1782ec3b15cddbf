/** What a scatter by sorting sorts, and by which keys. */
import { type Extent, maxExtent, ONE, productExtent } from "../../../ir/extent.ts";
import { type Buffer, storageBuffer } from "../../../ir/kernel.ts";
import type { Axis } from "../../../ir/tensor.ts";
import { axesIn } from "../../passes/rewrite.ts";
import type { Temporary } from "../applied.ts";
import type { ScatterRegion } from "../region.ts";
import { type Builder, freshName } from "./builder.ts";
import { fixedAxes } from "./scatter-common.ts";
import { neverEmpty } from "./walk.ts";

/** The widest digit. */
const DIGIT = 8;

/** What is sorted: positions over some axes of the domain, by the flat index along some axes of the result. */
export interface SortPlan {
  /** Axes of the domain that say where a value falls, or that no index of the result fixes. */
  readonly searched: readonly Axis[];
  /** The result's axes that the key stands for, by number; along the others a result has its own axis of the domain. */
  readonly keyed: readonly number[];
  readonly positions: Extent;
  readonly keys: Extent;
  /** Bits of the digits, lowest first. */
  readonly digits: readonly number[];
}

export function sortPlan(region: ScatterRegion): SortPlan {
  const { def } = region;
  const fixed = fixedAxes(region);
  const deciding = new Set(
    def.at.flatMap((x, d) => (x.kind === "axis" && fixed.get(x.axis) === d ? [] : [...axesIn(x)])),
  );
  const searched = def.domain.filter((a) => !fixed.has(a) || deciding.has(a));
  const keyed = def.axes.flatMap((_, d) => {
    const own = [...fixed].find(([, at]) => at === d)?.[0];
    return own && !searched.includes(own) ? [] : [d];
  });
  const keys = productExtent(keyed.map((d) => def.axes[d]?.extent ?? ONE));
  // One key more stands for what falls on no result.
  const bits = keys.value === undefined ? 31 : Math.max(1, Math.ceil(Math.log2(keys.value + 1)));
  const passes = Math.ceil(bits / DIGIT);
  const digit = Math.ceil(bits / passes);
  const digits = Array.from({ length: passes }, (_, p) => Math.min(digit, bits - p * digit));
  return { searched, keyed, positions: productExtent(searched.map((a) => a.extent)), keys, digits };
}

/** The storage buffer of a temporary. */
export function bound(b: Builder, source: Temporary, access: Buffer["access"]): Buffer {
  const room = neverEmpty(source.size) ? source.size : maxExtent(source.size, ONE);
  const buffer = storageBuffer(freshName(b, source.name), access, source.dtype, room);
  b.storage.push({ buffer, source });
  return buffer;
}
