/**
 * What an expression of the language stands for while a module is elaborated. Tensor values are views: `at` gives the
 * element at an index as a level-1 scalar expression. Index maps (transpose, slice, broadcast, reshape) compose views and
 * cost nothing; computation goes through `Builder.define`, so that a value used twice is computed once.
 */
import type { DiagnosticCode } from "../../grammar/codes.ts";
import type { Fix } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Extent } from "../../ir/extent.ts";
import type { Monoid, TensorExpr } from "../../ir/tensor.ts";

/** Rank 0 is a scalar: `at([])`. Indices handed to `at` are i32 and inside the shape. */
export interface TensorValue {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: readonly Extent[];
  at(index: readonly TensorExpr[]): TensorExpr;
  /** Where the shape was determined, for errors that show both sides. */
  readonly span: Span;
  /** A short name for errors and printed definitions, if the source gives one. */
  readonly name: string | undefined;
  /** Of what is made of literals alone, as a choice between two: like a literal it takes the type of its context. */
  readonly open?: OpenType;
}

export interface OpenType {
  /** Made of float literals too, so that it is no integer in any context. */
  readonly float: boolean;
  readonly as: (dtype: DType) => TensorValue;
  readonly integral?: Fix;
}

/** An integer known as an extent polynomial: integer literals, extents, const ints. It takes the dtype of its context. */
export interface IntValue {
  readonly kind: "int";
  readonly extent: Extent;
  readonly span: Span;
}
/** A float literal or const float; takes the float type of its context. */
export interface FloatValue {
  readonly kind: "float";
  readonly value: number;
  readonly span: Span;
  /** Of integers that `/` divides: what would have made an integer of them. */
  readonly integral?: Fix;
}
export interface BoolValue {
  readonly kind: "bool";
  readonly value: boolean;
  readonly span: Span;
}
export interface StringValue {
  readonly kind: "string";
  readonly value: string;
  /** Of the literal with its quotes: offset 1 + i of it is character i, if the literal has no escapes. */
  readonly span: Span;
}
export interface ListValue {
  readonly kind: "list";
  readonly items: readonly Value[];
  readonly span: Span;
}
export interface RecordValue {
  readonly kind: "record";
  readonly fields: ReadonlyMap<string, Value>;
  readonly span: Span;
}
/** `None` as an argument, e.g. `axis: None`. */
export interface NoneValue {
  readonly kind: "none";
  readonly span: Span;
}
/** A function of the language, a builtin, a lambda, or a derived one (`grad(f)`). */
export interface FunctionValue {
  readonly kind: "function";
  readonly name: string;
  /** For errors and signatures. */
  readonly parameters: readonly ParameterInfo[];
  call(args: readonly CallArgument[], span: Span): Value;
  readonly span: Span;
  /** Named arguments that are lists of parameters' names: `wrt: [w1, w2]`. Names in them are text, not values. */
  readonly quotes?: readonly string[];
  /** The function whose parameters it has, perhaps with more behind them: what was differentiated. */
  readonly base?: FunctionValue;
  /**
   * The call of an exported function, whose arguments are inputs of a program: parameters that are like something that only the call
   * knows, as a cotangent is like the result, are left out of `args` and made by `input`.
   */
  readonly callFromOutside?: ((args: readonly CallArgument[], span: Span, input: InputLike) => Value) | undefined;
}
/** Makes an input of the dtype and shape of `like`. */
export type InputLike = (name: string, like: TensorValue) => TensorValue;
export interface ParameterInfo {
  readonly name: string;
  readonly isConst: boolean;
  readonly optional: boolean;
}
export interface CallArgument {
  readonly name: string | undefined;
  readonly value: Value;
  readonly span: Span;
  /** Of the name, if it is a named argument of the source. */
  readonly nameSpan?: Span;
}
export type Value =
  | TensorValue
  | IntValue
  | FloatValue
  | BoolValue
  | StringValue
  | ListValue
  | RecordValue
  | NoneValue
  | FunctionValue;

/** Makes views and definitions. Implemented in builder.ts; builtins see only this. */
export interface Builder {
  /**
   * A new definition `name[axes of shape] = body(axes)`. Free axes of the surrounding index notation that the body uses become
   * leading axes of the definition (and the view reads it at them), so a tensor may be built inside `for`.
   */
  define(
    name: string,
    shape: readonly Extent[],
    body: (index: readonly TensorExpr[]) => TensorExpr,
    span: Span,
  ): TensorValue;
  /** Several results over one domain. */
  defineMany(
    name: string,
    shape: readonly Extent[],
    body: (index: readonly TensorExpr[]) => readonly TensorExpr[],
    span: Span,
  ): readonly TensorValue[];
  /** result[outer…] = ⊕ over `reduced` extents of values(outer, inner); one value a slot. */
  reduce(
    name: string,
    monoid: Monoid,
    shape: readonly Extent[],
    reduced: readonly Extent[],
    values: (outer: readonly TensorExpr[], inner: readonly TensorExpr[]) => readonly TensorExpr[],
    span: Span,
  ): readonly TensorValue[];
  /** Inclusive scan along axis number `along` of `shape`. */
  scan(
    name: string,
    monoid: Monoid,
    shape: readonly Extent[],
    along: number,
    values: (index: readonly TensorExpr[]) => readonly TensorExpr[],
    span: Span,
  ): readonly TensorValue[];
  /** For every position of `domain`, combines values into element `at`; outside positions are dropped. */
  scatter(
    name: string,
    monoid: Monoid | "set",
    shape: readonly Extent[],
    domain: readonly Extent[],
    at: (position: readonly TensorExpr[]) => readonly TensorExpr[],
    value: (position: readonly TensorExpr[]) => TensorExpr,
    initial: number | TensorValue,
    span: Span,
  ): TensorValue;
  /** A pure index view: no definition. */
  view(
    dtype: DType,
    shape: readonly Extent[],
    at: (index: readonly TensorExpr[]) => TensorExpr,
    span: Span,
    name?: string,
  ): TensorValue;
  /** Backs the view by a definition if it is not one already (or a plain view of one): needed where it is read with a fill. */
  materialise(value: TensorValue, name?: string): TensorValue;
  /** Reads with a fill: outside, the value is `fill` (a number converted to the tensor's dtype). Indices need no proof. */
  readOr(value: TensorValue, index: readonly TensorExpr[], fill: number): TensorExpr;
  /**
   * Requires left relation right. A disagreement that is certain throws the diagnostic; what cannot be decided becomes a fact
   * that the host checks. Both spans and both texts appear in the message. Equality of two symbols unifies them.
   */
  requireEqual(left: Extent, right: Extent, leftSpan: Span, rightSpan: Span, what: string): void;
  /** `code` (EIN1205 if left out) is that of a certain failure. */
  requireAtLeast(left: Extent, right: Extent, span: Span, what: string, code?: DiagnosticCode): void;
  /** A fresh size symbol, for results whose extent is known only as q · rest = total (reshape's -1 on symbols). */
  freshSymbol(hint: string): Extent;
  readonly strict: boolean;
}

/** A builtin function of the language. Arguments are bound to `parameters` (positional, named, defaults) before the call. */
export interface Builtin {
  readonly name: string;
  readonly parameters: readonly BuiltinParameter[];
  /** One line for hovers and the reference: `mean(x, axis: ints, keepdims: bool) -> tensor`. */
  readonly doc: string;
  /** `args` has an entry for every parameter; undefined for an omitted optional one. A rest parameter gets a ListValue. */
  build(b: Builder, args: Readonly<Record<string, Value | undefined>>, span: Span): Value;
}
export interface BuiltinParameter {
  readonly name: string;
  readonly optional?: boolean;
  /** Takes all remaining positional arguments. */
  readonly rest?: boolean;
  /** May be given only by name. */
  readonly keyword?: boolean;
  /**
   * Takes every named argument that names no other parameter, e.g. the axis sizes of `rearrange(p, x, h: 8)`. The call binds
   * them as one RecordValue in `args[name]` (undefined if there are none); positional arguments never land here. With such a
   * parameter no named argument is unknown.
   */
  readonly restNamed?: boolean;
}
