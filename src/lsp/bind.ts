/**
 * What each name of a module's syntax tree stands for, found without elaborating: so it is there for programs that do not type-check.
 * The scopes are those of the elaborator (src/elaborate/scope.ts): a function's constants, extents and tensors share one, blocks nest.
 */
import type {
  Block,
  Expr,
  FnItem,
  ImportItem,
  IndexBinder,
  LetStatement,
  Module,
  Name,
  ResultType,
  ScatterStatement,
  Statement,
  TypeExpr,
} from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { DERIVATIVE_NAMES } from "../elaborate/derivatives.ts";
import { isConst } from "../elaborate/function.ts";
import { findUses } from "../elaborate/ranges.ts";
import { extentNames } from "../elaborate/signature.ts";
import { eachPart } from "../elaborate/walk.ts";
import type { NamedItem } from "../modules.ts";
import type { Bindings, DeclarationKind, Declared, Occurrence, Role } from "./names.ts";

interface Scope {
  readonly parent: Scope | undefined;
  readonly names: Map<string, Declared>;
}

/** `isExtent` says if a name of the module, or one that it imports, is a number rather than a function. */
export function bindModule(module: Module, isExtent: (name: string) => boolean): Bindings {
  const binder = new Binder(isExtent);
  binder.module(module);
  const start = (o: Occurrence): number => o.name.span.start;
  return {
    declared: binder.declared,
    occurrences: binder.occurrences.sort((a, b) => start(a) - start(b)),
    unread: binder.unread,
  };
}

/** Deeper trees are refused by the elaborator. */
const MAX_DEPTH = 1000;

class Binder {
  readonly declared: Declared[] = [];
  readonly occurrences: Occurrence[] = [];
  readonly unread: Span[] = [];
  readonly #isExtent: (name: string) => boolean;
  readonly #top: Scope = { parent: undefined, names: new Map() };
  #item: NamedItem | undefined;
  /** Of the function at hand: where extents that types name for the first time are declared. */
  #function: Scope = this.#top;
  #depth = 0;

  constructor(isExtent: (name: string) => boolean) {
    this.#isExtent = isExtent;
  }

  module(m: Module): void {
    const all = { start: 0, end: m.source.length };
    for (const item of m.items) {
      if (item.kind === "import") this.#import(item, all);
      else {
        this.#item = item;
        this.#declare(this.#top, item.kind === "fn" ? "function" : "value", item.name, all);
      }
    }
    for (const item of m.items) {
      if (item.kind === "import") continue;
      this.#item = item;
      this.#function = this.#top;
      if (item.kind === "fn") this.#fn(item);
      else this.#expr(item.value, this.#top);
    }
  }

  #import(item: ImportItem, visible: Declared["visible"]): void {
    this.#item = undefined;
    for (const { name, alias } of item.names) {
      const target = this.#bind(this.#top, "import", alias ?? name, visible);
      this.occurrences.push({ name, role: "imported", target });
      if (alias) this.occurrences.push({ name: alias, role: "declaration", target });
    }
  }

  #bind(scope: Scope, kind: DeclarationKind, name: Name, visible: Declared["visible"]): Declared {
    const made: Declared = { kind, name, item: this.#item, visible };
    this.declared.push(made);
    // Of two declarations in one scope the first counts, as for the elaborator.
    if (!scope.names.has(name.text) || kind === "local") scope.names.set(name.text, made);
    return made;
  }

  #declare(scope: Scope, kind: DeclarationKind, name: Name, visible: Declared["visible"]): Declared {
    const target = this.#bind(scope, kind, name, visible);
    this.occurrences.push({ name, role: "declaration", target });
    return target;
  }

  #use(name: Name, scope: Scope, role: Role = "use"): void {
    this.occurrences.push({ name, role, target: find(scope, name.text) });
  }

  // ---- Functions and types ----------------------------------------------------------------------------------------

  #fn(item: FnItem): void {
    const scope: Scope = { parent: this.#top, names: new Map() };
    this.#function = scope;
    for (const a of item.attributes) {
      this.occurrences.push({ name: a.name, role: "attribute", target: undefined });
      for (const e of a.args) this.#expr(e, this.#top);
    }
    const inside = item.span;
    for (const p of item.params) if (isConst(p)) this.#declare(scope, "constant", p.name, inside);
    for (const [name, e] of extentNames(item))
      if (!this.#isNumber(scope, name)) this.#declare(scope, "extent", { text: name, span: e.span }, inside);
    for (const p of item.params) if (!isConst(p)) this.#declare(scope, "parameter", p.name, inside);
    for (const p of item.params) {
      if (p.type) this.#type(p.type, scope);
      if (p.default) this.#expr(p.default, scope);
    }
    // A result may name an extent that only the body decides, so the body comes first.
    this.#block(item.body, scope);
    if (item.result) this.#resultType(item.result, scope);
  }

  #isNumber(scope: Scope, name: string): boolean {
    const found = find(scope, name);
    if (!found) return false;
    return found.kind === "function" || found.kind === "value" || found.kind === "import" ? this.#isExtent(name) : true;
  }

  #resultType(t: ResultType, scope: Scope): void {
    if (t.kind !== "tupleType") {
      this.#type(t, scope);
      return;
    }
    for (const f of t.fields) {
      this.occurrences.push({ name: f.name, role: "field", target: undefined });
      this.#type(f.type, scope);
    }
  }

  #type(t: TypeExpr, scope: Scope): void {
    if (t.kind === "constType") {
      this.occurrences.push({ name: t.name, role: "type", target: undefined });
      return;
    }
    this.occurrences.push({ name: t.dtype, role: "type", target: undefined });
    for (const d of t.dims ?? []) {
      if (d.kind === "ellipsis") continue;
      const e = d.expr;
      if (e.kind === "name" && !this.#isNumber(scope, e.text)) {
        const visible = { start: e.span.start, end: this.#item?.span.end ?? e.span.end };
        this.#declare(this.#function, "extent", { text: e.text, span: e.span }, visible);
      } else if (e.kind !== "name" || find(this.#function, e.text)?.name.span.start !== e.span.start)
        this.#expr(e, scope);
    }
  }

  // ---- Blocks and statements --------------------------------------------------------------------------------------

  #block(b: Block, outer: Scope): void {
    const scope: Scope = { parent: outer, names: new Map() };
    for (const s of b.statements) this.#statement(s, scope, b.span.end);
    if (b.result) this.#expr(b.result, scope);
  }

  #statement(s: Statement, scope: Scope, end: number): void {
    switch (s.kind) {
      case "let":
        this.#let(s, scope, end);
        return;
      case "indexed":
        if (s.type) this.#type(s.type, scope);
        this.#expr(s.value, this.#indices(s.indices, scope, s.value.span));
        this.#declare(scope, "local", s.target, { start: s.span.end, end });
        return;
      case "scatter":
        this.#scatter(s, scope, end);
        return;
      default:
        s satisfies never;
    }
  }

  #let(s: LetStatement, scope: Scope, end: number): void {
    this.#expr(s.value, scope);
    if (s.type) this.#type(s.type, scope);
    const visible = { start: s.span.end, end };
    if (s.pattern.kind === "name") {
      this.#declare(scope, "local", s.pattern.name, visible);
      return;
    }
    for (const { field, alias } of s.pattern.names) {
      if (alias) this.occurrences.push({ name: field, role: "field", target: undefined });
      const target = this.#bind(scope, "local", alias ?? field, visible);
      this.occurrences.push({ name: alias ?? field, role: alias ? "declaration" : "shorthandDeclaration", target });
    }
  }

  #scatter(s: ScatterStatement, scope: Scope, end: number): void {
    if (s.type) this.#type(s.type, scope);
    const parts = [...s.at, s.value];
    const inner = s.over ? this.#indices(s.over, scope, s.span) : this.#freeIndices(s, scope);
    for (const e of parts) this.#expr(e, inner);
    const into = s.type ? undefined : find(scope, s.target.text);
    if (into?.kind === "local" || into?.kind === "parameter")
      this.occurrences.push({ name: s.target, role: "use", target: into });
    else this.#declare(scope, "local", s.target, { start: s.span.end, end });
  }

  /** Names that index an axis plainly and are not bound are the scatter's own; the first place declares them. */
  #freeIndices(s: ScatterStatement, scope: Scope): Scope {
    const inner: Scope = { parent: scope, names: new Map() };
    const names = new Map<string, Name>();
    const visit = (e: Expr, hidden: ReadonlySet<string>, depth: number): void => {
      if (depth > MAX_DEPTH) return;
      if (e.kind === "name" && !hidden.has(e.text) && !names.has(e.text) && isFree(scope, e.text)) names.set(e.text, e);
      const deeper = (part: Expr, bound: readonly IndexBinder[], params: readonly string[]): void =>
        visit(part, new Set([...hidden, ...bound.map((b) => b.name.text), ...params]), depth + 1);
      eachPart(e, deeper, () => undefined);
    };
    for (const e of [...s.at, s.value]) visit(e, new Set(), 0);
    const { plain } = findUses([...s.at, s.value], new Set(names.keys()));
    for (const [text, { span }] of names)
      if (plain.has(text)) this.#declare(inner, "index", { text, span }, { start: s.span.start, end: s.span.end });
    return inner;
  }

  #indices(binders: readonly IndexBinder[], scope: Scope, body: Span): Scope {
    const inner: Scope = { parent: scope, names: new Map() };
    for (const b of binders) {
      if (b.range) {
        this.#expr(b.range.from, scope);
        this.#expr(b.range.to, scope);
      }
      this.#declare(inner, "index", b.name, { start: b.span.end, end: body.end });
    }
    return inner;
  }

  // ---- Expressions ------------------------------------------------------------------------------------------------

  #expr(e: Expr, scope: Scope): void {
    if (this.#depth > MAX_DEPTH) return;
    this.#depth++;
    this.#inner(e, scope);
    this.#depth--;
  }

  #inner(e: Expr, scope: Scope): void {
    switch (e.kind) {
      case "error":
        this.unread.push(e.span);
        return;
      case "name":
        if (find(scope, e.text)?.name.span.start !== e.span.start) this.#use(e, scope);
        return;
      case "cast":
        this.#expr(e.value, scope);
        this.occurrences.push({ name: e.dtype, role: "type", target: undefined });
        return;
      case "field":
        this.#expr(e.value, scope);
        this.occurrences.push({ name: e.field, role: "field", target: undefined });
        return;
      case "call":
        this.#call(e, scope);
        return;
      case "record":
        for (const f of e.fields) {
          const isShort = f.value.kind === "name" && f.value.span.start === f.name.span.start;
          if (isShort) this.#use(f.name, scope, "shorthandUse");
          else {
            this.occurrences.push({ name: f.name, role: "field", target: undefined });
            this.#expr(f.value, scope);
          }
        }
        return;
      case "for":
        this.#expr(e.body, this.#indices(e.indices, scope, e.span));
        return;
      case "reduce":
        this.occurrences.push({ name: e.reducer, role: "reducer", target: undefined });
        this.#expr(e.body, this.#indices(e.indices, scope, e.span));
        return;
      case "scan":
        this.occurrences.push({ name: e.scanner, role: "reducer", target: undefined });
        this.#expr(e.body, this.#indices([e.index], scope, e.span));
        return;
      case "lambda": {
        const inner: Scope = { parent: scope, names: new Map() };
        for (const p of e.params) this.#declare(inner, "local", p, e.span);
        this.#expr(e.body, inner);
        return;
      }
      case "iterate": {
        const inner: Scope = { parent: scope, names: new Map() };
        if (e.count) this.#expr(e.count, scope);
        for (const c of e.carries) this.#expr(c.init, scope);
        for (const c of e.carries) this.#declare(inner, "local", c.name, e.span);
        if (e.index) this.#declare(inner, "index", e.index, e.span);
        if (e.until) this.#expr(e.until, inner);
        this.#block(e.body, inner);
        if (e.max) this.#expr(e.max, scope);
        return;
      }
      default:
        // Long chains of operators lean to the left.
        this.#plainParts(e, scope);
    }
  }

  #plainParts(e: Expr, scope: Scope): void {
    let at = e;
    while (at.kind === "binary") {
      this.#expr(at.right, scope);
      at = at.left;
    }
    if (at !== e) this.#expr(at, scope);
    else
      eachPart(
        e,
        (part) => this.#expr(part, scope),
        (b) => this.#block(b, scope),
      );
  }

  #call(e: Expr & { readonly kind: "call" }, scope: Scope): void {
    this.#expr(e.callee, scope);
    const quotes = e.callee.kind === "name" && DERIVATIVE_NAMES.has(e.callee.text) && !find(scope, e.callee.text);
    const of = e.args.find((a) => a.name === undefined || a.name.text === "f")?.value;
    for (const a of e.args) {
      if (a.name) this.occurrences.push({ name: a.name, role: "argument", target: undefined, callee: e.callee });
      if (quotes && of && a.name?.text === "wrt") this.#quoted(a.value, of);
      else this.#expr(a.value, scope);
    }
  }

  #quoted(e: Expr, callee: Expr): void {
    if (e.kind === "name") this.occurrences.push({ name: e, role: "quoted", target: undefined, callee });
    else if (e.kind === "list") for (const x of e.items) this.#quoted(x, callee);
  }
}

function find(scope: Scope, name: string): Declared | undefined {
  for (let s: Scope | undefined = scope; s; s = s.parent) {
    const found = s.names.get(name);
    if (found) return found;
  }
  return undefined;
}

/** Not bound, or to a function: functions may share a name with an index. */
function isFree(scope: Scope, name: string): boolean {
  const found = find(scope, name);
  return !found || found.kind === "function" || found.kind === "import";
}
