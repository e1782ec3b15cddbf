/** Maps at a region's own points: where each is stored. */
import { type Axis, axisRef, type Definition, type TensorExpr } from "../../../ir/tensor.ts";
import type { PlacedMap } from "../region.ts";

export interface StoredMap extends PlacedMap {
  /** Where each result is stored, along each axis of `def`, in the region's axes. */
  readonly point: readonly TensorExpr[];
}

/** The maps of a region over `axes`, each with its point. */
export function placedOn(axes: readonly Axis[], maps: readonly PlacedMap[]): readonly StoredMap[] {
  return maps.map((m) => ({ ...m, point: m.point ?? axes.map((a) => axisRef(a)) }));
}

/** The epilogue of a reduction or a scan, over the axes of its definition. */
export function epilogueOf(region: {
  readonly def: Definition;
  readonly epilogue: readonly PlacedMap[];
}): readonly StoredMap[] {
  return placedOn(region.def.axes, region.epilogue);
}
