/** What `layout.ts` knows at a token, where statements begin and end, and the slips at their beginnings. */
import { createTokenInstance, type IToken, type TokenType } from "chevrotain";
import type { Balanced } from "./balance.ts";
import { type Diagnostic, type DiagnosticParts, diagnostic } from "./diagnostic.ts";
import { insertion, replacement, SLIP_FUNCTION_WORDS, SLIP_LET_WORDS, SLIP_OPERATORS } from "./slips.ts";
import type { Span } from "./span.ts";
import { endsBefore, type Frame, type FrameKind, misleadingBreak, OPERAND_ENDS, type Unit } from "./statement-ends.ts";
import { MAX_DIAGNOSTICS, retype, T, tokenEnd, tokenSpan } from "./tokens.ts";

export const STARTS_OPERAND: ReadonlySet<TokenType> = new Set([
  T.Name,
  T.Number,
  T.Text,
  T.True,
  T.False,
  T.None,
  T.Infinite,
  T.LParen,
  T.LSquare,
  T.LCurly,
  T.Iterate,
]);
export const LISTS: ReadonlySet<FrameKind> = new Set([
  "call",
  "params",
  "list",
  "subscript",
  "binder",
  "over",
  "record",
]);

export abstract class LayoutState {
  protected readonly tokens: IToken[];
  protected readonly match: Int32Array;
  protected readonly startsLine: Uint8Array;
  protected readonly source: string;
  protected readonly file: string;
  protected readonly diagnostics: Diagnostic[];
  protected readonly frames: Frame[] = [];
  protected top: Frame;
  protected previous: IToken | undefined;
  /** Whether the previous token ends an operand, so that an operator may follow. */
  protected ended = false;
  protected reported = 0;

  constructor(balanced: Balanced, source: string, file: string, diagnostics: Diagnostic[]) {
    this.tokens = balanced.tokens;
    this.match = balanced.match;
    this.startsLine = balanced.startsLine;
    this.source = source;
    this.file = file;
    this.diagnostics = diagnostics;
    this.top = this.open("module", undefined, []);
  }

  protected open(kind: FrameKind, opener: IToken | undefined, sink: Unit): Frame {
    const frame: Frame = { kind, opener, sink, units: [], header: false, iterating: 0, assigned: false, isBody: false };
    this.frames.push(frame);
    this.top = frame;
    this.previous = opener;
    this.ended = false;
    return frame;
  }

  protected report(message: string, span: Span, text: string, parts: DiagnosticParts = {}): void {
    if (this.reported++ < MAX_DIAGNOSTICS) this.diagnostics.push(diagnostic("EIN1001", message, { span, text }, parts));
  }

  protected push(t: IToken): void {
    this.top.sink.push(t);
    this.previous = t;
    this.ended = OPERAND_ENDS.has(t.tokenType);
  }

  protected synthetic(type: TokenType, image: string, at: number): void {
    this.push(createTokenInstance(type, image, at, at, Number.NaN, Number.NaN, Number.NaN, Number.NaN));
  }

  protected endUnit(): void {
    const frame = this.top;
    if (frame.sink.length > 0) {
      frame.units.push(frame.sink);
      frame.sink = [];
    }
    frame.header = false;
    frame.iterating = 0;
    frame.assigned = false;
    this.previous = undefined;
    this.ended = false;
  }

  protected type(i: number): TokenType | undefined {
    return this.tokens[i]?.tokenType;
  }

  protected endsBefore(at: number): boolean {
    const [frame, previous, ended] = [this.top, this.previous, this.ended];
    return endsBefore({
      frame,
      previous,
      ended,
      tokens: this.tokens,
      startsLine: this.startsLine,
      match: this.match,
      at,
    });
  }

  protected warnMisleading(t: IToken): void {
    const warning = misleadingBreak(t, this.top, this.previous!, this.source, this.file);
    if (warning && this.reported++ < MAX_DIAGNOSTICS) this.diagnostics.push(warning);
  }

  /** Slips at the start of a statement, and definitions with an index. True if the token is dropped. */
  protected startUnit(i: number): boolean {
    const t = this.tokens[i]!;
    if (t.tokenType !== T.Name) return false;
    const span = tokenSpan(t, this.file);
    const next = this.tokens[i + 1];
    const nextType = this.startsLine[i + 1] ? undefined : next?.tokenType;
    if (
      t.image === "return" &&
      (nextType === undefined || STARTS_OPERAND.has(nextType) || nextType === T.Sign || nextType === T.RCurly)
    ) {
      const until = next && nextType !== undefined && nextType !== T.RCurly ? next.startOffset : span.end;
      this.report("there is no `return`", span, "the last expression of a block is its value", {
        fix: { message: "remove `return`", edits: [{ span: { ...span, end: until }, text: "" }] },
      });
      return true;
    }
    if (this.functionSlip(i)) return false;
    if (SLIP_LET_WORDS.has(t.image) && nextType === T.Name) {
      this.report("values are declared with `let`", span, "", replacement(span, "let"));
      retype(t, T.Let);
    } else if (nextType === T.Assign || (nextType === T.Colon && this.top.kind === "block")) {
      this.report(`\`${t.image}\` is not declared`, span, "a new value begins with `let`", insertion(span, "let "));
      this.synthetic(T.Let, "let", span.start);
    } else if (nextType === T.LSquare) {
      const after = this.tokens[this.match[i + 1]! + 1];
      const type = after?.tokenType;
      const operator =
        type === T.Name && /^(?:max|min|set)$/.test(after!.image) && this.isScatterWord(this.match[i + 1]! + 1);
      if (type === T.Assign || type === T.ScatterOp || type === T.Colon || operator) retype(t, T.Target);
    }
    return false;
  }

  /** `def f` for `fn f`. */
  protected functionSlip(i: number): boolean {
    const t = this.tokens[i]!;
    if (!SLIP_FUNCTION_WORDS.has(t.image) || this.startsLine[i + 1] || this.type(i + 1) !== T.Name) return false;
    const span = tokenSpan(t, this.file);
    this.report("functions are declared with `fn`", span, "", replacement(span, "fn"));
    retype(t, T.Fn);
    if (this.top.kind === "module") this.top.header = true;
    return true;
  }

  /** `max`, `min` or `set` with `=` right after it. */
  protected isScatterWord(i: number): boolean {
    const t = this.tokens[i]!;
    const next = this.tokens[i + 1];
    return next?.tokenType === T.Assign && next.startOffset === tokenEnd(t);
  }

  protected insertComma(i: number): void {
    const t = this.tokens[i]!;
    const type = t.tokenType;
    if (this.top.iterating > 0 || !STARTS_OPERAND.has(type) || this.reported >= MAX_DIAGNOSTICS) return;
    if ((type === T.LParen || type === T.LSquare) && !this.startsLine[i]) return;
    if (type === T.LCurly && !this.startsLine[i]) return;
    if (type === T.Name && (SLIP_OPERATORS.has(t.image) || /^(?:in|if|else|from|until|max|over)$/.test(t.image)))
      return;
    const at = tokenEnd(this.previous!);
    const span = { file: this.file, start: at, end: at };
    this.report(
      "expected `,` between these",
      tokenSpan(t, this.file),
      "a comma or an operator is missing before this",
      insertion(span, ","),
    );
    this.synthetic(T.Comma, ",", at);
  }
}
