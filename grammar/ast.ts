/**
 * The syntax tree of a `.ein` module: exactly what was written, with a span on every node. No types, no shapes.
 * Invariant: `span` covers the node's text without surrounding trivia; children lie inside it. Parentheses leave no node, but the
 * span of what they enclose takes them in. Trees are at most MAX_TREE_DEPTH (parser.ts) deep.
 */
import type { Span } from "./span.ts";

interface Node {
  readonly span: Span;
}

export interface Name extends Node {
  readonly text: string;
}

// ---- Modules and declarations -------------------------------------------------------------------------------------

export interface Module extends Node {
  readonly kind: "module";
  readonly file: string;
  readonly source: string;
  readonly items: readonly Item[];
}

export type Item = ImportItem | FnItem | LetItem;

export interface ImportItem extends Node {
  readonly kind: "import";
  readonly names: readonly { readonly name: Name; readonly alias: Name | undefined }[];
  /** Contents of the string, unescaped. */
  readonly from: Name;
}

export interface FnItem extends Node {
  readonly kind: "fn";
  readonly exported: boolean;
  /** `/// …` or a block of `//` lines directly above; for hovers and emitted types. */
  readonly doc: string | undefined;
  /** `@vjp(f)` and the like. */
  readonly attributes: readonly { readonly name: Name; readonly args: readonly Expr[]; readonly span: Span }[];
  readonly name: Name;
  readonly params: readonly Param[];
  readonly result: ResultType | undefined;
  readonly body: Block;
}

export interface Param extends Node {
  readonly name: Name;
  /** `const`: known when a kernel is made. */
  readonly isConst: boolean;
  /** Left out only for `const` parameters that have a default. */
  readonly type: TypeExpr | undefined;
  readonly default: Expr | undefined;
}

/** `export let f = expr`, `const N = 4`: at module level, a value or a function of functions. */
export interface LetItem extends Node {
  readonly kind: "letItem";
  readonly exported: boolean;
  readonly isConst: boolean;
  readonly doc: string | undefined;
  readonly name: Name;
  readonly value: Expr;
}

// ---- Types --------------------------------------------------------------------------------------------------------

export type TypeExpr = TensorType | ConstType;

/** `f32`, `f32[B, T, 64]`, `f32[..., D]`. `dims` is undefined for a scalar written without brackets. */
export interface TensorType extends Node {
  readonly kind: "tensorType";
  /** f32 f16 i32 u32 bool; the elaborator reports others. */
  readonly dtype: Name;
  readonly dims: readonly Dim[] | undefined;
}

export type Dim =
  | { readonly kind: "ellipsis"; readonly span: Span }
  | { readonly kind: "extent"; readonly expr: Expr; readonly span: Span };

/** Types of const parameters: `int`, `float`, `bool`, `string`, `ints` (a list), `fn`. */
export interface ConstType extends Node {
  readonly kind: "constType";
  readonly name: Name;
}

export type ResultType = TypeExpr | TupleType;

/** `(value: f32, index: i32[B])` */
export interface TupleType extends Node {
  readonly kind: "tupleType";
  readonly fields: readonly { readonly name: Name; readonly type: TypeExpr }[];
}

// ---- Statements ---------------------------------------------------------------------------------------------------

export interface Block extends Node {
  readonly kind: "block";
  readonly statements: readonly Statement[];
  /**
   * The final expression. Undefined if the block ends with an indexed definition (`y[i] = …`), whose tensor is then the
   * result, or is empty (an error for the elaborator).
   */
  readonly result: Expr | undefined;
}

export type Statement = LetStatement | IndexedDefinition | ScatterStatement;

/** `let x = e`, `let x: f32[N] = e`, `let { value, index } = e`, `const k = e`. */
export interface LetStatement extends Node {
  readonly kind: "let";
  readonly isConst: boolean;
  readonly pattern:
    | { readonly kind: "name"; readonly name: Name }
    | {
        readonly kind: "record";
        readonly names: readonly { readonly field: Name; readonly alias: Name | undefined }[];
      };
  readonly type: TypeExpr | undefined;
  readonly value: Expr;
}

/** `y[n, o] = e` is `let y = for[n, o] e`; `y: f32[N, O]` may state the type: `y[n, o]: f32[N, O] = e`. */
export interface IndexedDefinition extends Node {
  readonly kind: "indexed";
  readonly target: Name;
  readonly indices: readonly IndexBinder[];
  readonly type: TypeExpr | undefined;
  readonly value: Expr;
}

/**
 * `y[ids[i], d]: f32[V, D] += x[i, d]` scatters; the result's extent is stated by the type (or by the function's result
 * type if y is the result), or y is bound already and is the tensor that is added into. Index names that occur in `at`
 * or `value` and are not bound outside range over the axes they index plainly; `over` may bind them: `over[i, d in 0..D]`.
 */
export interface ScatterStatement extends Node {
  readonly kind: "scatter";
  readonly target: Name;
  readonly at: readonly Expr[];
  readonly type: TypeExpr | undefined;
  readonly op: "+=" | "*=" | "max=" | "min=" | "set=";
  readonly value: Expr;
  readonly over: readonly IndexBinder[] | undefined;
}

/** `i` or `k in 0..K` (half-open). */
export interface IndexBinder extends Node {
  readonly name: Name;
  readonly range: { readonly from: Expr; readonly to: Expr } | undefined;
}

// ---- Expressions --------------------------------------------------------------------------------------------------

export type Expr =
  | NumberLiteral
  | BoolLiteral
  | StringLiteral
  | NameExpr
  | UnaryExpr
  | BinaryExpr
  | ConditionalExpr
  | CastExpr
  | CallExpr
  | SubscriptExpr
  | FieldExpr
  | ListExpr
  | RecordExpr
  | ForExpr
  | ReduceExpr
  | ScanExpr
  | BlockExpr
  | IterateExpr
  | LambdaExpr
  | ErrorExpr;

/** `text` is as written without `_` (`0xff`, `1.`, `.5`, `inf`), so that integers beyond 2^53 keep their digits. `isFloat` if it has a point, an exponent, or is `inf`/`nan`. */
export interface NumberLiteral extends Node {
  readonly kind: "number";
  readonly text: string;
  readonly isFloat: boolean;
}
export interface BoolLiteral extends Node {
  readonly kind: "boolean";
  readonly value: boolean;
}
export interface StringLiteral extends Node {
  readonly kind: "string";
  readonly value: string;
}
/** `None` outside a subscript is a name too. */
export interface NameExpr extends Node {
  readonly kind: "name";
  readonly text: string;
}
export interface UnaryExpr extends Node {
  readonly kind: "unary";
  readonly op: "-" | "!" | "+" | "~";
  readonly operand: Expr;
}
export type BinaryOp =
  | "+"
  | "-"
  | "*"
  | "/"
  | "div"
  | "%"
  | "**"
  | "@"
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "&&"
  | "||"
  | "&"
  | "|"
  | "^"
  | "<<"
  | ">>"
  | "??";
export interface BinaryExpr extends Node {
  readonly kind: "binary";
  readonly op: BinaryOp;
  readonly opSpan: Span;
  readonly left: Expr;
  readonly right: Expr;
}
/** `c ? x : y` */
export interface ConditionalExpr extends Node {
  readonly kind: "conditional";
  readonly condition: Expr;
  readonly then: Expr;
  readonly otherwise: Expr;
}
/** `x as f16` */
export interface CastExpr extends Node {
  readonly kind: "cast";
  readonly value: Expr;
  readonly dtype: Name;
}
export interface Argument extends Node {
  readonly name: Name | undefined;
  readonly value: Expr;
}
/** `f(x, axis: -1)`; `callee` is usually a name, but `grad(f)(x)` has a call there. */
export interface CallExpr extends Node {
  readonly kind: "call";
  readonly callee: Expr;
  readonly args: readonly Argument[];
}
/** `x[1:3, :, ::-1, None, ..., i]`: whether it is a slice or an indexed read depends on what the names mean. */
export interface SubscriptExpr extends Node {
  readonly kind: "subscript";
  readonly value: Expr;
  readonly items: readonly SubscriptItem[];
}
export type SubscriptItem =
  | { readonly kind: "index"; readonly expr: Expr; readonly span: Span }
  | {
      readonly kind: "slice";
      readonly from: Expr | undefined;
      readonly to: Expr | undefined;
      readonly step: Expr | undefined;
      readonly span: Span;
    }
  | { readonly kind: "newAxis"; readonly span: Span }
  | { readonly kind: "ellipsis"; readonly span: Span };
/** `x.T`, `x.shape`, `r.value` */
export interface FieldExpr extends Node {
  readonly kind: "field";
  readonly value: Expr;
  readonly field: Name;
}
/** `[a, b]`: shapes, axis lists, operands of `cat`. */
export interface ListExpr extends Node {
  readonly kind: "list";
  readonly items: readonly Expr[];
}
/** `{ value, index: j }` */
export interface RecordExpr extends Node {
  readonly kind: "record";
  readonly fields: readonly { readonly name: Name; readonly value: Expr }[];
}
/** `for[i, j in 0..J] body`; the body extends as far right as it can. */
export interface ForExpr extends Node {
  readonly kind: "for";
  readonly indices: readonly IndexBinder[];
  readonly body: Expr;
}
/** `sum[k] body`, `argmax[k] body`: any name directly followed by an index list in prefix position. */
export interface ReduceExpr extends Node {
  readonly kind: "reduce";
  readonly reducer: Name;
  readonly indices: readonly IndexBinder[];
  readonly body: Expr;
}
/** `scan[i] (a, b) from (z) …` is not index notation: `scan(f, init, x, axis:)` is a call. Kept for `cumsum[i] body`. */
export interface ScanExpr extends Node {
  readonly kind: "scan";
  readonly scanner: Name;
  readonly index: IndexBinder;
  readonly body: Expr;
}
/** `{ let …; e }` in expression position, the body of `iterate`. A `{` that starts `name ,`/`name :`/`name }` is a record. */
export interface BlockExpr extends Node {
  readonly kind: "blockExpr";
  readonly block: Block;
}
/** `iterate 20 from v0 as v { … }`, `iterate n until cond from v0 as v { … } max 1000`. */
export interface IterateExpr extends Node {
  readonly kind: "iterate";
  readonly index: Name | undefined;
  readonly count: Expr | undefined;
  readonly until: Expr | undefined;
  readonly carries: readonly { readonly name: Name; readonly init: Expr }[];
  readonly body: Block;
  readonly max: Expr | undefined;
}
/** `|a, b| a + b`: an argument of `scan` and `reduce`. */
export interface LambdaExpr extends Node {
  readonly kind: "lambda";
  readonly params: readonly Name[];
  readonly body: Expr;
}
/** Where the parser recovered; the elaborator is silent about it. */
export interface ErrorExpr extends Node {
  readonly kind: "error";
}
