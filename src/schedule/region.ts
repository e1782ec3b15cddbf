/**
 * Fusion's result and the schedules' input: a region is one kernel (or, split, a few) that computes some definitions.
 * `normalise → fuse → choose → apply`; see ../../docs/architecture.md.
 */
import type { Extent } from "../../ir/extent.ts";
import type {
  Axis,
  Definition,
  MapDef,
  Program,
  Reduce,
  ScanDef,
  ScatterDef,
  TensorExpr,
  TensorRef,
} from "../../ir/tensor.ts";
import type { FusedLoop } from "./fused-loop.ts";

/**
 * After `normalise` a map is either elementwise (no reduce anywhere in its results) or a reduction: every result is
 * `reduce(monoid, axes, values)` of one and the same reduction, slots 0…n-1, whose values hold no further reduce.
 */
export interface Reduction {
  readonly def: MapDef;
  readonly reduce: Reduce;
}

/** One decision of fusion, as `explain` prints it. */
export interface Decision {
  /** `producer → consumer`, by definition names. */
  readonly edge: readonly [string, string];
  readonly kind: "free" | "epilogue" | "prologue" | "row" | "chain" | "online" | "sibling" | "cut";
  readonly code:
    | "fused"
    | "recompute"
    | "other-row"
    | "cycle"
    | "bindings"
    | "size"
    | "parallelism"
    | "no-action"
    | "reader"
    | "compared"
    | "scatter"
    | "checkpoint"
    | "asked";
  readonly bytesSaved: number;
  readonly opsAdded: number;
}

interface RegionBase {
  readonly name: string;
  /** What is written to memory, in order; each names a definition of this region and its slot. */
  readonly stores: readonly TensorRef[];
  /** What is read from memory: inputs and results of other regions. Everything else has been inlined already. */
  readonly reads: readonly TensorRef[];
}

/**
 * A map computed at every point of its region's own axes (never of `def.axes`): `results` are expressions in the region's
 * axes with every producer on the way substituted.
 */
export interface PlacedMap {
  readonly def: MapDef;
  readonly results: readonly TensorExpr[];
  /**
   * The store's index along each axis of `def`, in the region's axes: a bijection (a permutation, or an axis put together
   * again from its digits as `i1 * c + i0`). Absent: the region's axes in order.
   */
  readonly point?: readonly TensorExpr[];
}

/** Elementwise maps over one domain (axes equal by extent, position by position), each stored. No reduce inside. */
export interface ElementwiseRegion extends RegionBase {
  readonly kind: "elementwise";
  readonly axes: readonly Axis[];
  readonly maps: readonly PlacedMap[];
}

/**
 * Reductions over common parallel axes P with maps between them: a single reduction with its epilogue, a softmax, a norm,
 * a cross-entropy. `phases` run in order for every point of P. A phase's expressions refer to P's axes, its own axes, and
 * by `read(def, slot, P…)` to reductions of earlier phases, which are held on chip and never stored unless in `stores`.
 */
export interface RowRegion extends RegionBase {
  readonly kind: "row";
  readonly axes: readonly Axis[];
  readonly phases: readonly RowPhase[];
}
export type RowPhase =
  | { readonly kind: "reduce"; readonly def: MapDef; readonly reduce: Reduce }
  /** Stores def's results; `axes` are the axes beyond P (none for a value a row). `point`: the store's index along each axis of def. */
  | {
      readonly kind: "store";
      readonly def: MapDef;
      readonly axes: readonly Axis[];
      readonly results: readonly TensorExpr[];
      readonly point: readonly TensorExpr[];
    };

/**
 * A reduction by a distributive or general monoid over two (or one) operand expressions, tiled: free axes split into batch,
 * M, N; reduced axes K. `epilogue` maps are over exactly P and read the reduction at its own point.
 */
export interface ContractionRegion extends RegionBase {
  readonly kind: "contraction";
  readonly def: MapDef;
  readonly reduce: Reduce;
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  /**
   * The reduced value is `body` of the operand expressions: arg(0) = a, arg(1) = b. The body reads nothing itself; it may mention axes, as
   * where a border leaves products out.
   */
  readonly a: TensorExpr;
  readonly b: TensorExpr | undefined;
  readonly body: TensorExpr;
  /** Elementwise maps on the point P = `def.axes`, each stored, reading `def` at P. */
  readonly epilogue: readonly PlacedMap[];
  /** Where `n` is an axis filled up to whole vectors: what the axes of `def` that it stands for are, and how many of its positions are theirs. */
  readonly filled?: { readonly digits: ReadonlyMap<Axis, TensorExpr>; readonly count: Extent };
}

/** A contraction that the weights read at one point, computed tile by tile: rows (batch, m) × reduced positions (batch, k). */
export interface OnlineScore {
  readonly def: MapDef;
  readonly reduce: Reduce;
  /** Its reduced axes. */
  readonly d: readonly Axis[];
  /** Over batch, m and d; over batch, k and d. */
  readonly a: TensorExpr;
  readonly b: TensorExpr;
  readonly body: TensorExpr;
  readonly point: readonly TensorExpr[];
}
/** A value a row: the maximum, or a sum over k that a change of it rescales. */
export interface OnlineState {
  readonly def: MapDef;
  readonly reduce: Reduce;
  readonly point: readonly TensorExpr[];
}
/** A weighted sum with what its kernel computes besides: scores tile by tile, and values a row. */
export interface OnlineParts {
  readonly def: MapDef;
  readonly reduce: Reduce;
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  readonly scores: readonly OnlineScore[];
  /** What weights and sums are relative to; without it nothing is rescaled. */
  readonly peak: OnlineState | undefined;
  readonly sums: readonly OnlineState[];
  /** Over batch, m and k, reading scores and the maximum at their points; and over batch, k and n. */
  readonly weight: TensorExpr;
  readonly value: TensorExpr;
}

/** The values that a row has besides the weighted sum. */
export function statesOf(o: OnlineParts): readonly OnlineState[] {
  return o.peak ? [o.peak, ...o.sums] : o.sums;
}

/**
 * A weighted sum whose weights are made where they are needed: `def` is Σₖ weight(p, k)·value(k, e), weights being made of scores, which
 * are computed tile by tile. P = batch, m; without n it is a sum a row. With `peak`, the maximum of u over k, it is an online softmax:
 * weights, like the terms of `sums`, are made of exp(u - peak). All expressions are in the axes of `def` and its reduced axes k;
 * `epilogue` maps are on `def.axes` and read `def`, `peak` and `sums` at their points.
 */
export interface OnlineRegion extends RegionBase, OnlineParts {
  readonly kind: "online";
  readonly epilogue: readonly PlacedMap[];
}

export interface ScanRegion extends RegionBase {
  readonly kind: "scan";
  readonly def: ScanDef;
  /** Elementwise maps on the scan's own axes P = `def.axes`, each stored, that read it at its own point. */
  readonly epilogue: readonly PlacedMap[];
}

export interface ScatterRegion extends RegionBase {
  readonly kind: "scatter";
  readonly def: ScatterDef;
}

export type Region = ElementwiseRegion | RowRegion | ContractionRegion | OnlineRegion | ScanRegion | ScatterRegion;

export interface FusedProgram {
  readonly program: Program;
  /** In an order in which they can run. */
  readonly regions: readonly Region[];
  /** By `first`, a loop before those within it. */
  readonly loops?: readonly FusedLoop[];
  readonly decisions: readonly Decision[];
  /** Every definition that lives in memory. */
  readonly stored: ReadonlySet<Definition>;
}
