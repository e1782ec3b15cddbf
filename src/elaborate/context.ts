/** What the parts of the elaborator share: one context elaborates one function into one program. */
import type { Block, Expr, FnItem, Name, Statement } from "../../grammar/ast.ts";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Extent } from "../../ir/extent.ts";
import type { LoadedModule } from "../modules.ts";
import type { TensorBuilder } from "./builder.ts";
import type { Scope } from "./scope.ts";
import type { FunctionValue, Value } from "./value.ts";

/** What is known of the value that an expression must have: it fixes ranges of indices and types of literals. */
export interface Want {
  readonly dtype?: DType;
  /** Undefined entries are extents that the value decides. */
  readonly shape?: readonly (Extent | undefined)[];
  readonly span: Span;
  /** What the definition is called, for printed programs. */
  readonly name?: string;
  /** The wants of a record's fields. */
  readonly fields?: ReadonlyMap<string, Want>;
}

export interface Declaration {
  readonly module: LoadedModule;
  readonly item: FnItem;
}

export interface Call {
  readonly item: FnItem;
  readonly span: Span;
}

/**
 * Told what is found out about the item that is checked itself, not about the functions that it inlines: for editors. Extents may be
 * refined until `finish`, whose `resolve` gives them as they are in the end.
 */
export interface Observer {
  expression(e: Expr, value: Value): void;
  binding(name: Name, value: Value): void;
  index(name: Name, from: Extent, extent: Extent): void;
  finish(resolve: (e: Extent) => Extent): void;
}

export interface Context {
  readonly builder: TensorBuilder;
  readonly diagnostics: Diagnostic[];
  /** Functions being inlined, outermost first. */
  readonly calls: Call[];
  /** Statements report and go on; off inside inlined calls and while looking for shapes. */
  recovering: boolean;
  /** Of nested expressions. */
  depth: number;
  /** Calls inlined so far. */
  inlined: number;
  /** Derivatives that are being taken of what is elaborated: then functions' own rules count. */
  differentiating: number;
  /** Functions whose rules are being elaborated. */
  readonly ruled: Set<FnItem>;
  /** Of elaborations on the side. */
  sideDepth: number;
  /** The observer, where the code at hand is that of the item that is checked. */
  observer(): Observer | undefined;
  /** `std/nn` for a name that it exports. */
  libraryModule(name: string): string | undefined;
  evaluate(e: Expr, scope: Scope, want?: Want): Value;
  block(b: Block, scope: Scope, want?: Want): Value;
  /** Adds the statement's names to the scope. `wants` says what is known of names that the block's result uses. */
  statement(s: Statement, scope: Scope, wants?: ReadonlyMap<string, Want>): void;
  /** Builtins, derivative functions, element types and constants: what a name means that no scope binds. */
  global(name: string, span: Span): Value | undefined;
  /** Names that `global` knows, for suggestions. */
  globalNames(): Iterable<string>;
  moduleScope(m: LoadedModule): Scope;
  functionOf(m: LoadedModule, item: FnItem): FunctionValue;
  /** The declaration whose parameters a function has: its own, or that of what it was derived from. */
  declarationOf(f: FunctionValue): Declaration | undefined;
}
