/** What tensors by index notation are made of: level 1 of the IR as types. */
import type { Span } from "../grammar/span.ts";
import type { DType } from "./dtype.ts";
import type { Extent } from "./extent.ts";
import type { Prim } from "./prim.ts";

// ---- Axes and monoids ---------------------------------------------------------------------------------------------

/** Identity is by object; the name is a hint for printing. */
export interface Axis {
  readonly kind: "axisOf";
  readonly id: number;
  readonly name: string;
  readonly extent: Extent;
}

/**
 * An associative operation on tuples with its identity. `combine[s]` gives slot s from `arg(0..n-1)` (left) and
 * `arg(n..2n-1)` (right), n the number of slots. Nothing may switch on the name: it is for printing.
 */
export interface Monoid {
  readonly name: string;
  readonly slots: readonly DType[];
  readonly identity: readonly Const[];
  readonly combine: readonly TensorExpr[];
  readonly commutative: boolean;
  /** Regrouping keeps the bits (integers, max, min, and, or); false for float sums and products. */
  readonly exact: boolean;
}

// ---- Scalar expressions -------------------------------------------------------------------------------------------

interface Node {
  readonly id: number;
  readonly dtype: DType;
}
/** Integers as numbers (u32 0…2^32-1), bool as 0 or 1. Floats keep the decimal's float64 value until a device rounds it. */
export interface Const extends Node {
  readonly kind: "const";
  readonly value: number;
}
/** An extent used as an i32 value. Constant extents are `const`. */
export interface Size extends Node {
  readonly kind: "size";
  readonly extent: Extent;
}
/** The position along an axis, an i32. */
export interface AxisRef extends Node {
  readonly kind: "axis";
  readonly axis: Axis;
}
/** A slot in a monoid's body. */
export interface Arg extends Node {
  readonly kind: "arg";
  readonly index: number;
}
export interface Apply extends Node {
  readonly kind: "apply";
  readonly prim: Prim;
  readonly args: readonly TensorExpr[];
}
/**
 * Element `at` of a result of a definition. Total: if any index is outside, the value is `fill`; without a fill the
 * verifier must have proved the indices inside. Indices are i32, one for each axis of the definition.
 */
export interface Read extends Node {
  readonly kind: "read";
  readonly tensor: Definition;
  readonly slot: number;
  readonly at: readonly TensorExpr[];
  readonly fill: Const | undefined;
}
/** ⊕ over all positions of `axes` of the tuple `values`; empty axes lists are legal and give one combination. */
export interface Reduce extends Node {
  readonly kind: "reduce";
  readonly monoid: Monoid;
  readonly axes: readonly Axis[];
  readonly values: readonly TensorExpr[];
  /** Which slot of the result this expression is (`project`). */
  readonly slot: number;
}

export type TensorExpr = Const | Size | AxisRef | Arg | Apply | Read | Reduce;

// ---- Definitions and programs -------------------------------------------------------------------------------------

interface DefinitionBase {
  readonly id: number;
  /** A hint for printing; unique only after the printer made it so. */
  readonly name: string;
  /** dtypes of the results. */
  readonly types: readonly DType[];
  /** The axes of the defined tensors: their extents are the shape, of every result alike. */
  readonly axes: readonly Axis[];
  readonly span: Span | undefined;
  /**
   * 0 for most. What a call of `checkpoint(f)` computes has an even epoch of its own; what a derivative computes again of it, and
   * with it, has an odd one. Equal definitions of different epochs are not merged, nor fused if one of them is odd.
   */
  readonly epoch: number;
}
export interface Input extends DefinitionBase {
  readonly kind: "input";
  /** Of a loop's index: its values are 0 … below - 1. */
  readonly below?: Extent;
}
export interface MapDef extends DefinitionBase {
  readonly kind: "map";
  readonly results: readonly TensorExpr[];
}
/** Inclusive: result[…, i, …] = values at 0 ⊕ … ⊕ values at i along `along`, which is one of `axes`. */
export interface ScanDef extends DefinitionBase {
  readonly kind: "scan";
  readonly monoid: Monoid;
  readonly along: Axis;
  readonly values: readonly TensorExpr[];
}
/**
 * Starts from `into` (definition and slots, same shape) or from the identity; for every position of `domain`, combines
 * `values` into element `at`. Positions outside are dropped. `monoid: "set"`: the last position in row-major order of the
 * domain wins (`set` has one slot a value).
 */
export interface ScatterDef extends DefinitionBase {
  readonly kind: "scatter";
  readonly monoid: Monoid | "set";
  readonly domain: readonly Axis[];
  readonly at: readonly TensorExpr[];
  readonly values: readonly TensorExpr[];
  readonly into: readonly { readonly tensor: Definition; readonly slot: number }[] | undefined;
  /** Keeps what is added into: with no `into` and monoid "set", elements nobody wrote are this. */
  readonly initial: readonly Const[];
}
export type Definition = Input | MapDef | ScanDef | ScatterDef | CarryDef;

/** The value of a loop's carry: within the body the current one, after the loop the final one. */
export interface CarryDef extends DefinitionBase {
  readonly kind: "carry";
  /** As an input's: where a carry stands for the index. */
  readonly below?: Extent;
}

export interface TensorRef {
  readonly tensor: Definition;
  readonly slot: number;
}

/**
 * `count` or at most `max` rounds: the body's steps compute each carry's `next` from the carries, and the value that each stack
 * (its first axis is the round) keeps of this one. With `until`, the round that makes it true is the last; the compiler's loops
 * then leave their carries as they are in every later round, so that it need not be looked at.
 */
export interface LoopStep {
  readonly kind: "loop";
  readonly index: Input | undefined;
  readonly carries: readonly { readonly carry: CarryDef; readonly init: TensorRef; readonly next: TensorRef }[];
  readonly stacks: readonly { readonly stack: CarryDef; readonly value: TensorRef }[];
  readonly body: readonly Step[];
  readonly count: Extent | undefined;
  readonly until: TensorRef | undefined;
  readonly max: Extent | undefined;
  /** Only while derivatives are taken: this is one round, a call of a function with a derivative of its own. */
  readonly rule?: CustomRule;
}
/** `@vjp(rule)`. */
export interface CustomRule {
  /** The function's name, for messages. */
  readonly name: string;
  readonly arguments: readonly { readonly name: string; readonly value: TensorRef }[];
  /** The names of the results, which are the loop's carries. */
  readonly results: readonly string[];
  /** Inputs: arguments, results and `cotangent_RESULT`, by name, as far as it uses them. Results: `gradient_ARGUMENT`. */
  readonly backward: Program;
}
export type Step = Definition | LoopStep;

/** Something about size symbols that the host must check before running: `left relation right`. */
export interface Fact {
  readonly left: Extent;
  readonly relation: "==" | ">=";
  readonly right: Extent;
  /** What a user is told when it does not hold. */
  readonly message: string;
  readonly span: Span | undefined;
}

export interface Program {
  readonly name: string;
  readonly inputs: readonly Input[];
  /** In dependency order, inputs not included. */
  readonly steps: readonly Step[];
  readonly results: readonly { readonly name: string; readonly tensor: Definition; readonly slot: number }[];
  readonly facts: readonly Fact[];
}
