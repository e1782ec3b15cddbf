/** What names of a module are: where they are declared and where they occur. Found by `bind.ts`. */
import type { Expr, Name } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import type { NamedItem } from "../modules.ts";

export type DeclarationKind = "function" | "value" | "import" | "parameter" | "constant" | "local" | "index" | "extent";

/** A name that a module binds. Its identity is its span. */
export interface Declared {
  readonly kind: DeclarationKind;
  readonly name: Name;
  /** The declaration of the module that it is, or is in; undefined for what imports bind. */
  readonly item: NamedItem | undefined;
  /** Where the name may be used: [start, end). */
  readonly visible: { readonly start: number; readonly end: number };
}

export type Role =
  /** Declares what it stands for. */
  | "declaration"
  | "use"
  /** `{ value }` as an expression: the field's name and a use. */
  | "shorthandUse"
  /** `let { value } = …`: the field's name and a declaration. */
  | "shorthandDeclaration"
  /** In an import, the name in the other module. */
  | "imported"
  /** `axis` in `f(x, axis: 1)`, a parameter of `callee`. */
  | "argument"
  /** `w` in `grad(f, wrt: [w])`, a parameter of `callee`. */
  | "quoted"
  | "field"
  /** An element type or the type of a constant. */
  | "type"
  /** `sum` in `sum[k] …`. */
  | "reducer"
  | "attribute";

/** A place where a name is written. `target` is what the module binds it to: undefined for builtins, fields, and unknown names. */
export interface Occurrence {
  readonly name: Name;
  readonly role: Role;
  readonly target: Declared | undefined;
  /** Of arguments and quoted names: whose parameter is meant. */
  readonly callee?: Expr;
}

export interface Bindings {
  readonly declared: readonly Declared[];
  /** In the order of the text. */
  readonly occurrences: readonly Occurrence[];
  /** What the parser could not read: names in there are unknown. */
  readonly unread: readonly Span[];
}
