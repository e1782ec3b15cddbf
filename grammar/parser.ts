/**
 * `parseModule`: text → tokens → brackets paired → tokens typed by their place and cut into statements → syntax tree.
 * Total for every text. Its time is linear in the text.
 */
import type { IToken } from "chevrotain";
import type * as ast from "./ast.ts";
import { balance, MAX_NESTING } from "./balance.ts";
import { type Diagnostic, DiagnosticError, diagnostic } from "./diagnostic.ts";
import { documentation } from "./doc-comments.ts";
import { explainFailure, explainNoDeclaration, foundToken, type UnitKind } from "./expected.ts";
import { type BlockToken, layout } from "./layout.ts";
import { lex } from "./lexer.ts";
import { Rules } from "./rules.ts";
import type { Span } from "./span.ts";
import type { Unit } from "./statement-ends.ts";
import { type Comment, MAX_DIAGNOSTICS, T, tokenEnd, tokenSpan } from "./tokens.ts";
import { treeDepthExceeds } from "./walk.ts";

/** Deepest syntax tree that is handed on: later passes walk it by recursion. */
export const MAX_TREE_DEPTH = 3000;

export interface Parsed {
  readonly module: ast.Module;
  readonly diagnostics: readonly Diagnostic[];
}

let rules: Rules | undefined;

/**
 * Parses one module. Never throws: what cannot be read is reported and stands in the tree as an ErrorExpr (or is left out),
 * and the declarations and statements around it are still there. Diagnostics are in the order of the text, at most
 * MAX_DIAGNOSTICS.
 */
export function parseModule(source: string, file: string): Parsed {
  const diagnostics: Diagnostic[] = [];
  let items: readonly ast.Item[] = [];
  try {
    items = new ModuleParser(source, file, diagnostics).run();
  } catch (error) {
    if (error instanceof DiagnosticError) diagnostics.push(error.diagnostic);
    else if (error instanceof RangeError)
      // The caller left too little of the stack.
      diagnostics.push(
        diagnostic("EIN1003", "the module nests too deeply", { span: { file, start: 0, end: 0 }, text: "" }),
      );
    else throw error;
  }
  const start = (d: Diagnostic): number => d.labels[0]?.span.start ?? 0;
  diagnostics.sort((a, b) => start(a) - start(b));
  const module: ast.Module = { kind: "module", file, source, items, span: { file, start: 0, end: source.length } };
  return { module, diagnostics: diagnostics.slice(0, MAX_DIAGNOSTICS) };
}

type MutableBlock = { -readonly [K in keyof ast.Block]: ast.Block[K] };

class ModuleParser {
  readonly #source: string;
  readonly #file: string;
  readonly #diagnostics: Diagnostic[];
  readonly #rules: Rules;
  /** Blocks whose statements are still to be parsed. */
  readonly #waiting: { readonly token: BlockToken; readonly block: MutableBlock }[] = [];
  readonly #requested = new Set<IToken>();
  /** Blocks of the declaration at hand. */
  #blocks = 0;
  #synthetic: ReadonlySet<IToken> = new Set();
  #comments: readonly Comment[] = [];

  constructor(source: string, file: string, diagnostics: Diagnostic[]) {
    this.#source = source;
    this.#file = file;
    this.#diagnostics = diagnostics;
    this.#rules = rules ??= new Rules();
    this.#rules.host = { source, file, report: (d) => this.#report(d), block: (token) => this.#blockOf(token) };
  }

  run(): readonly ast.Item[] {
    const lexed = lex(this.#source, this.#file);
    this.#comments = lexed.comments;
    this.#diagnostics.push(...lexed.diagnostics);
    const balanced = balance(lexed.tokens, this.#source, this.#file, this.#diagnostics);
    if (!balanced) return [];
    this.#synthetic = balanced.synthetic;
    const { units } = layout(balanced, this.#source, this.#file, this.#diagnostics);
    const items: ast.Item[] = [];
    for (const unit of units) {
      this.#rules.deepest = 0;
      this.#rules.longest = 0;
      this.#blocks = 0;
      const found = this.#item(unit);
      this.#drain();
      for (const item of found) items.push(this.#shallow(item, unit));
      if (this.#diagnostics.length >= MAX_DIAGNOSTICS) break;
    }
    return items;
  }

  #report(d: Diagnostic): void {
    this.#diagnostics.push(d);
  }

  // ---- Declarations -----------------------------------------------------------------------------------------------

  #item(unit: Unit): readonly ast.Item[] {
    const first = unit[0]!;
    const doc = documentation(this.#comments, this.#source, first.startOffset);
    let item: ast.Item | undefined;
    if (first.tokenType === T.Import) item = this.#parse(unit, "declaration", this.#rules.importItem);
    else if (
      first.tokenType === T.Fn ||
      first.image === "@" ||
      (first.tokenType === T.Export && unit[1]?.tokenType === T.Fn)
    ) {
      const fn = this.#parse(unit, "declaration", this.#rules.fnItem);
      if (fn) item = { ...fn, doc };
    } else if (first.tokenType === T.Let || first.tokenType === T.Const || first.tokenType === T.Export) {
      const value = this.#parse(unit, "declaration", this.#rules.letItem);
      if (value) item = { ...value, doc };
    } else this.#reportUnlessKnown(explainNoDeclaration(unit, this.#file), unit, first);
    return item ? [item] : this.#namesOf(unit);
  }

  /** What a broken declaration would have declared, so that its uses are not reported as well. */
  #namesOf(unit: Unit): readonly ast.Item[] {
    for (const t of unit) if (t.tokenType === T.BlockTree && !this.#requested.has(t)) this.#blockOf(t as BlockToken);
    const exported = unit.some((t) => t.tokenType === T.Export);
    const declare = (t: IToken): ast.LetItem => ({
      kind: "letItem",
      exported,
      isConst: false,
      doc: undefined,
      name: { text: t.image, span: tokenSpan(t, this.#file) },
      value: this.#errorExpr(unit),
      span: this.#unitSpan(unit),
    });
    if (unit[0]!.tokenType === T.Import) {
      const names: IToken[] = [];
      unit.forEach((t, i) => {
        const after = unit[i + 1]?.tokenType;
        if (t.tokenType === T.Name && after !== T.As) names.push(t);
      });
      return names.map(declare);
    }
    const word = unit.findIndex((t) => t.tokenType === T.Fn || t.tokenType === T.Let || t.tokenType === T.Const);
    const name = word >= 0 ? unit[word + 1] : undefined;
    return name?.tokenType === T.Name ? [declare(name)] : [];
  }

  /** The item, unless its tree is too deep for the passes that follow. */
  #shallow(item: ast.Item, unit: Unit): ast.Item {
    if (item.kind === "import") return item;
    // A level of nesting adds at most an operand's links and prefixes, the operators around it, and the node that nests.
    const bound = (1 + this.#blocks) * (1 + this.#rules.deepest * (3 * this.#rules.longest + 4));
    if (bound <= MAX_TREE_DEPTH || !treeDepthExceeds(item, MAX_TREE_DEPTH)) return item;
    this.#report(
      diagnostic(
        "EIN1003",
        `\`${item.name.text}\` nests more than ${MAX_TREE_DEPTH} deep`,
        { span: item.name.span, text: "expressions inside it are too long and too deep together" },
        {
          notes: ["name parts of the expressions with `let`"],
        },
      ),
    );
    return {
      kind: "letItem",
      exported: item.exported,
      isConst: false,
      doc: item.doc,
      name: item.name,
      value: this.#errorExpr(unit),
      span: item.span,
    };
  }

  // ---- Blocks and statements --------------------------------------------------------------------------------------

  #blockOf(token: BlockToken): ast.Block {
    const block: MutableBlock = {
      kind: "block",
      statements: [],
      result: undefined,
      span: tokenSpan(token, this.#file),
    };
    this.#requested.add(token);
    this.#blocks++;
    this.#waiting.push({ token, block });
    return block;
  }

  /** Parses the statements of waiting blocks, which may make others wait. */
  #drain(): void {
    for (let next = this.#waiting.pop(); next; next = this.#waiting.pop()) {
      const { units } = next.token.payload;
      const statements: ast.Statement[] = [];
      for (const [i, unit] of units.entries()) {
        if (this.#diagnostics.length >= MAX_DIAGNOSTICS) break;
        const isLast = i === units.length - 1;
        const parsed = this.#statement(unit);
        if ("statement" in parsed) {
          if (parsed.statement) statements.push(parsed.statement);
        } else if (isLast) next.block.result = parsed.result;
        else if (parsed.result.kind !== "error") this.#reportUnused(parsed.result, unit, units[i + 1]!);
      }
      next.block.statements = statements;
    }
  }

  #statement(unit: Unit): { readonly statement: ast.Statement | undefined } | { readonly result: ast.Expr } {
    const type = unit[0]!.tokenType;
    if (type === T.Let || type === T.Const)
      return { statement: this.#parse(unit, "statement", this.#rules.letStatement) ?? this.#brokenLet(unit) };
    if (type === T.Target)
      return { statement: this.#parse(unit, "statement", this.#rules.targetStatement) ?? this.#brokenTarget(unit) };
    return { result: this.#parse(unit, "statement", this.#rules.expression) ?? this.#broken(unit) };
  }

  #brokenLet(unit: Unit): ast.Statement | undefined {
    this.#parseInnerBlocks(unit);
    const name = unit[1];
    const span = this.#unitSpan(unit);
    const value = this.#errorExpr(unit);
    if (name?.tokenType === T.Name)
      return {
        kind: "let",
        isConst: false,
        pattern: { kind: "name", name: { text: name.image, span: tokenSpan(name, this.#file) } },
        type: undefined,
        value,
        span,
      };
    if (name?.tokenType !== T.RecordOpen) return undefined;
    const names: { field: ast.Name; alias: undefined }[] = [];
    for (let i = 2; i < unit.length && unit[i]!.tokenType !== T.RCurly; i++)
      if (unit[i]!.tokenType === T.Name && unit[i + 1]?.tokenType !== T.Colon)
        names.push({ field: { text: unit[i]!.image, span: tokenSpan(unit[i]!, this.#file) }, alias: undefined });
    return { kind: "let", isConst: false, pattern: { kind: "record", names }, type: undefined, value, span };
  }

  #brokenTarget(unit: Unit): ast.Statement {
    this.#parseInnerBlocks(unit);
    const name = unit[0]!;
    const pattern = { kind: "name", name: { text: name.image, span: tokenSpan(name, this.#file) } } as const;
    return {
      kind: "let",
      isConst: false,
      pattern,
      type: undefined,
      value: this.#errorExpr(unit),
      span: this.#unitSpan(unit),
    };
  }

  #broken(unit: Unit): ast.Expr {
    this.#parseInnerBlocks(unit);
    return this.#errorExpr(unit);
  }

  /** The blocks of a statement that failed have errors of their own to report. */
  #parseInnerBlocks(unit: Unit): void {
    for (const t of unit) if (t.tokenType === T.BlockTree && !this.#requested.has(t)) this.#blockOf(t as BlockToken);
  }

  #reportUnused(value: ast.Expr, unit: Unit, next: Unit): void {
    // A line that begins with an operator and is indented has been warned of; it is the reason, and an error here.
    const isReason = (d: Diagnostic): boolean =>
      d.code === "EIN1009" &&
      (d.labels[0]?.span.start === next[0]!.startOffset || d.labels[0]?.span.start === unit[0]!.startOffset);
    const reason = this.#diagnostics.findIndex(isReason);
    if (reason >= 0) {
      this.#diagnostics[reason] = { ...this.#diagnostics[reason]!, severity: "error" };
      return;
    }
    const start = { ...value.span, end: value.span.start };
    this.#reportUnlessKnown(
      diagnostic(
        "EIN1001",
        "the value of this expression is not used",
        { span: this.#unitSpan(unit), text: "not the last expression of the block" },
        {
          notes: ["the last expression of a block is its value; the others need a name"],
          fix: { message: "name it with `let`", edits: [{ span: start, text: "let name = " }] },
        },
      ),
      unit,
      undefined,
    );
  }

  // ---- One unit ---------------------------------------------------------------------------------------------------

  #parse<R>(unit: Unit, kind: UnitKind, rule: () => R): R | undefined {
    const reported = this.#diagnostics.length;
    const waiting = this.#waiting.length;
    try {
      const result = this.#rules.parseUnit(unit, rule);
      if (result !== undefined) return result;
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      this.#diagnostics.length = reported;
      this.#report(error.diagnostic);
      this.#waiting.length = waiting;
      return undefined;
    }
    const error = this.#rules.errors[0]!;
    this.#reportUnlessKnown(explainFailure(error, unit, kind, this.#file), unit, foundToken(error));
    return undefined;
  }

  /** Leaves out an error that is only the echo of one already reported at the same place. */
  #reportUnlessKnown(d: Diagnostic, unit: Unit, found: IToken | undefined): void {
    const index = found ? unit.indexOf(found) : unit.length;
    const before = unit[index - 1];
    if ((found && this.#synthetic.has(found)) || (before && this.#synthetic.has(before))) return;
    const from = before ? before.startOffset : unit[0]!.startOffset;
    const to = found ? tokenEnd(found) : tokenEnd(unit.at(-1)!);
    const known = this.#diagnostics.some((other) => {
      const span = other.labels[0]?.span;
      return other.severity === "error" && span !== undefined && span.start >= from && span.start <= to;
    });
    if (!known) this.#report(d);
  }

  #unitSpan(unit: Unit): Span {
    return { file: this.#file, start: unit[0]!.startOffset, end: tokenEnd(unit.at(-1)!) };
  }
  #errorExpr(unit: Unit): ast.ErrorExpr {
    return { kind: "error", span: this.#unitSpan(unit) };
  }
}

export { MAX_NESTING };
