/**
 * Decides from its place what each token is: where statements end, whether a bracket is a call's, a subscript's or an index
 * list's, whether `-` is a prefix, whether `max` is a reduction. A block `{ … }` becomes one token that carries its statements,
 * so every statement is parsed by itself and an error in one cannot hide the next.
 *
 * A new line ends a statement unless the line before cannot end there (it ends with an operator, a comma, an opening bracket)
 * or the new one cannot begin a statement (it begins with a closing bracket, or with a binary operator other than `-` and `+`).
 * So a line that begins with `(` or `[` never goes on with a call or a subscript of the line before. Inside `( )` and `[ ]`
 * new lines mean nothing.
 */
import { createTokenInstance, type IToken, type TokenType } from "chevrotain";
import type { Balanced } from "./balance.ts";
import { type Diagnostic, type DiagnosticParts, diagnostic } from "./diagnostic.ts";
import { insertion, replacement, SLIP_FUNCTION_WORDS, SLIP_LET_WORDS, SLIP_OPERATORS } from "./slips.ts";
import type { Span } from "./span.ts";
import { endsBefore, type Frame, type FrameKind, misleadingBreak, OPERAND_ENDS, type Unit } from "./statement-ends.ts";
import { MAX_DIAGNOSTICS, REDUCERS, retype, SCANNERS, T, tokenEnd, tokenSpan } from "./tokens.ts";

/** A block in braces, as one token. */
export interface BlockToken extends IToken {
  payload: { readonly open: IToken; readonly close: IToken; readonly units: readonly Unit[] };
}

export interface Layout {
  readonly units: readonly Unit[];
}

const STARTS_OPERAND: ReadonlySet<TokenType> = new Set([
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
const LISTS: ReadonlySet<FrameKind> = new Set(["call", "params", "list", "subscript", "binder", "over", "record"]);

export function layout(balanced: Balanced, source: string, file: string, diagnostics: Diagnostic[]): Layout {
  return new LayoutPass(balanced, source, file, diagnostics).run();
}

class LayoutPass {
  readonly #tokens: IToken[];
  readonly #match: Int32Array;
  readonly #startsLine: Uint8Array;
  readonly #source: string;
  readonly #file: string;
  readonly #diagnostics: Diagnostic[];
  readonly #frames: Frame[] = [];
  #top: Frame;
  #previous: IToken | undefined;
  /** Whether the previous token ends an operand, so that an operator may follow. */
  #ended = false;
  #reported = 0;

  constructor(balanced: Balanced, source: string, file: string, diagnostics: Diagnostic[]) {
    this.#tokens = balanced.tokens;
    this.#match = balanced.match;
    this.#startsLine = balanced.startsLine;
    this.#source = source;
    this.#file = file;
    this.#diagnostics = diagnostics;
    this.#top = this.#open("module", undefined, []);
  }

  run(): Layout {
    for (let i = 0; i < this.#tokens.length; i++) i = this.#step(i);
    this.#endUnit();
    return { units: this.#top.units };
  }

  #open(kind: FrameKind, opener: IToken | undefined, sink: Unit): Frame {
    const frame: Frame = { kind, opener, sink, units: [], header: false, iterating: 0, assigned: false, isBody: false };
    this.#frames.push(frame);
    this.#top = frame;
    this.#previous = opener;
    this.#ended = false;
    return frame;
  }

  #report(message: string, span: Span, text: string, parts: DiagnosticParts = {}): void {
    if (this.#reported++ < MAX_DIAGNOSTICS)
      this.#diagnostics.push(diagnostic("EIN1001", message, { span, text }, parts));
  }

  #push(t: IToken): void {
    this.#top.sink.push(t);
    this.#previous = t;
    this.#ended = OPERAND_ENDS.has(t.tokenType);
  }

  #synthetic(type: TokenType, image: string, at: number): void {
    this.#push(createTokenInstance(type, image, at, at, Number.NaN, Number.NaN, Number.NaN, Number.NaN));
  }

  #endUnit(): void {
    const frame = this.#top;
    if (frame.sink.length > 0) {
      frame.units.push(frame.sink);
      frame.sink = [];
    }
    frame.header = false;
    frame.iterating = 0;
    frame.assigned = false;
    this.#previous = undefined;
    this.#ended = false;
  }

  /** Reads token i, sometimes with the one after it; returns the position of the last token read. */
  #step(i: number): number {
    const t = this.#tokens[i]!;
    const inBlock = this.#top.kind === "module" || this.#top.kind === "block";
    if (inBlock) {
      if (t.tokenType === T.Semicolon) {
        this.#endUnit();
        return i;
      }
      if (this.#top.sink.length > 0 && this.#endsBefore(i)) {
        if (this.#startsLine[i]) this.#warnMisleading(t);
        this.#endUnit();
      }
      if (this.#top.sink.length === 0 && this.#startUnit(i)) return i;
    } else if (this.#ended && LISTS.has(this.#top.kind)) this.#insertComma(i);
    switch (t.tokenType) {
      case T.Name:
        return this.#name(i);
      case T.Sign:
        if (!this.#ended) retype(t, T.Prefix);
        break;
      case T.Not:
        retype(t, T.Prefix);
        break;
      case T.Compare:
        if (t.image.length === 3)
          this.#report(
            `\`${t.image}\` is not an operator`,
            tokenSpan(t, this.#file),
            "",
            replacement(tokenSpan(t, this.#file), t.image.slice(0, 2)),
          );
        break;
      case T.ScatterOp:
        if (t.image === "-=" || t.image === "/=")
          this.#report(
            `there is no scatter with \`${t.image}\``,
            tokenSpan(t, this.#file),
            "scatters are `+=`, `*=`, `max=`, `min=` and `set=`",
            {
              notes: [t.image === "-=" ? "use `+=` and negate the value" : "use `*=` with the reciprocal"],
            },
          );
        this.#top.assigned = true;
        break;
      case T.Assign:
        this.#assign(t);
        break;
      case T.Bar:
        if (!this.#ended) this.#lambda(i);
        break;
      case T.Fn:
        if (this.#top.kind === "module") this.#top.header = true;
        break;
      case T.Iterate:
        this.#top.iterating++;
        break;
      case T.As:
        if (this.#top.iterating > 0 && this.#tokens[i + 2]?.tokenType !== T.As) retype(t, T.CarryAs);
        break;
      case T.LParen:
        return this.#parenthesis(i);
      case T.LSquare:
        return this.#square(i);
      case T.LCurly:
        return this.#curly(i);
      case T.RParen:
      case T.RSquare:
      case T.RCurly:
        this.#close(t);
        return i;
      default:
    }
    this.#push(t);
    return i;
  }

  #type(i: number): TokenType | undefined {
    return this.#tokens[i]?.tokenType;
  }

  #endsBefore(at: number): boolean {
    const [frame, previous, ended] = [this.#top, this.#previous, this.#ended];
    return endsBefore({
      frame,
      previous,
      ended,
      tokens: this.#tokens,
      startsLine: this.#startsLine,
      match: this.#match,
      at,
    });
  }

  #warnMisleading(t: IToken): void {
    const warning = misleadingBreak(t, this.#top, this.#previous!, this.#source, this.#file);
    if (warning && this.#reported++ < MAX_DIAGNOSTICS) this.#diagnostics.push(warning);
  }

  /** Slips at the start of a statement, and definitions with an index. True if the token is dropped. */
  #startUnit(i: number): boolean {
    const t = this.#tokens[i]!;
    if (t.tokenType !== T.Name) return false;
    const span = tokenSpan(t, this.#file);
    const next = this.#tokens[i + 1];
    const nextType = this.#startsLine[i + 1] ? undefined : next?.tokenType;
    if (
      t.image === "return" &&
      (nextType === undefined || STARTS_OPERAND.has(nextType) || nextType === T.Sign || nextType === T.RCurly)
    ) {
      const until = next && nextType !== undefined && nextType !== T.RCurly ? next.startOffset : span.end;
      this.#report("there is no `return`", span, "the last expression of a block is its value", {
        fix: { message: "remove `return`", edits: [{ span: { ...span, end: until }, text: "" }] },
      });
      return true;
    }
    if (this.#functionSlip(i)) return false;
    if (SLIP_LET_WORDS.has(t.image) && nextType === T.Name) {
      this.#report("values are declared with `let`", span, "", replacement(span, "let"));
      retype(t, T.Let);
    } else if (nextType === T.Assign || (nextType === T.Colon && this.#top.kind === "block")) {
      this.#report(`\`${t.image}\` is not declared`, span, "a new value begins with `let`", insertion(span, "let "));
      this.#synthetic(T.Let, "let", span.start);
    } else if (nextType === T.LSquare) {
      const after = this.#tokens[this.#match[i + 1]! + 1];
      const type = after?.tokenType;
      const operator =
        type === T.Name && /^(?:max|min|set)$/.test(after!.image) && this.#isScatterWord(this.#match[i + 1]! + 1);
      if (type === T.Assign || type === T.ScatterOp || type === T.Colon || operator) retype(t, T.Target);
    }
    return false;
  }

  /** `def f` for `fn f`. */
  #functionSlip(i: number): boolean {
    const t = this.#tokens[i]!;
    if (!SLIP_FUNCTION_WORDS.has(t.image) || this.#startsLine[i + 1] || this.#type(i + 1) !== T.Name) return false;
    const span = tokenSpan(t, this.#file);
    this.#report("functions are declared with `fn`", span, "", replacement(span, "fn"));
    retype(t, T.Fn);
    if (this.#top.kind === "module") this.#top.header = true;
    return true;
  }

  /** `max`, `min` or `set` with `=` right after it. */
  #isScatterWord(i: number): boolean {
    const t = this.#tokens[i]!;
    const next = this.#tokens[i + 1];
    return next?.tokenType === T.Assign && next.startOffset === tokenEnd(t);
  }

  #insertComma(i: number): void {
    const t = this.#tokens[i]!;
    const type = t.tokenType;
    if (this.#top.iterating > 0 || !STARTS_OPERAND.has(type) || this.#reported >= MAX_DIAGNOSTICS) return;
    if ((type === T.LParen || type === T.LSquare) && !this.#startsLine[i]) return;
    if (type === T.LCurly && !this.#startsLine[i]) return;
    if (type === T.Name && (SLIP_OPERATORS.has(t.image) || /^(?:in|if|else|from|until|max|over)$/.test(t.image)))
      return;
    const at = tokenEnd(this.#previous!);
    const span = { file: this.#file, start: at, end: at };
    this.#report(
      "expected `,` between these",
      tokenSpan(t, this.#file),
      "a comma or an operator is missing before this",
      insertion(span, ","),
    );
    this.#synthetic(T.Comma, ",", at);
  }

  #name(i: number): number {
    const t = this.#tokens[i]!;
    const frame = this.#top;
    const previous = this.#previous?.tokenType;
    const next = this.#tokens[i + 1];
    if (this.#ended) {
      const slip = SLIP_OPERATORS.get(t.image);
      if (
        t.image === "in" &&
        (previous === T.IterIndex || frame.kind === "binder" || frame.kind === "over" || frame.kind === "subscript")
      )
        retype(t, T.In);
      else if (t.image === "from" && (frame.iterating > 0 || frame.sink[0]?.tokenType === T.Import)) retype(t, T.From);
      else if (t.image === "until" && frame.iterating > 0) retype(t, T.Until);
      else if (t.image === "max" && (frame.iterating > 0 || (previous === T.BlockTree && !this.#isScatterWord(i))))
        retype(t, T.Max);
      else if (t.image === "over" && next?.tokenType === T.LSquare) retype(t, T.Over);
      else if (
        /^(?:max|min|set)$/.test(t.image) &&
        frame.sink[0]?.tokenType === T.Target &&
        !frame.assigned &&
        this.#isScatterWord(i)
      ) {
        retype(t, T.ScatterOp);
        t.image += "=";
        frame.assigned = true;
        this.#push(t);
        return i + 1;
      } else if (slip) {
        const span = tokenSpan(t, this.#file);
        this.#report(`\`${t.image}\` is not an operator`, span, "", replacement(span, slip.text));
        retype(t, slip.type);
      }
    } else if (previous === T.Export && this.#functionSlip(i)) {
      this.#push(t);
      return i;
    } else if (previous === T.Iterate && next?.tokenType === T.Name && next.image === "in") retype(t, T.IterIndex);
    else if (
      previous === T.Iterate &&
      t.image === "until" &&
      next &&
      (STARTS_OPERAND.has(next.tokenType) || next.tokenType === T.Not)
    )
      retype(t, T.Until);
    else if (t.image === "mut" && previous === T.Let && next?.tokenType === T.Name) {
      const span = { ...tokenSpan(t, this.#file), end: next.startOffset };
      this.#report("values do not change", tokenSpan(t, this.#file), "", {
        fix: { message: "remove `mut`", edits: [{ span, text: "" }] },
      });
      return i;
    } else if (
      t.image === "not" &&
      next &&
      !this.#startsLine[i + 1] &&
      STARTS_OPERAND.has(next.tokenType) &&
      next.tokenType !== T.LSquare
    ) {
      const span = tokenSpan(t, this.#file);
      this.#report("`not` is written `!`", span, "", replacement({ ...span, end: next.startOffset }, "!"));
      retype(t, T.Prefix);
    } else if (
      previous !== T.Dot &&
      previous !== T.Let &&
      previous !== T.Const &&
      next?.tokenType === T.LSquare &&
      !this.#startsLine[i + 1]
    ) {
      if (REDUCERS.has(t.image)) retype(t, T.Reducer);
      else if (SCANNERS.has(t.image)) retype(t, T.Scanner);
    } else if (frame.kind === "call" && (previous === T.Call || previous === T.Comma)) {
      if (next?.tokenType === T.Assign) {
        const span = tokenSpan(next, this.#file);
        const value = this.#tokens[i + 2]?.startOffset ?? span.end;
        const edits = [{ span: { ...span, start: tokenEnd(t), end: Math.max(value, span.end) }, text: ": " }];
        this.#report("named arguments are written with `:`", span, "", { fix: { message: "write `:`", edits } });
        retype(next, T.Colon);
      }
      if (next?.tokenType === T.Colon) retype(t, T.ArgName);
    }
    this.#push(t);
    return i;
  }

  #assign(t: IToken): void {
    const frame = this.#top;
    const legal = frame.kind === "params" || ((frame.kind === "module" || frame.kind === "block") && !frame.assigned);
    frame.assigned = true;
    if (legal || frame.kind === "record") return;
    const span = tokenSpan(t, this.#file);
    this.#report("`=` inside an expression", span, "to compare, write `==`", replacement(span, "=="));
    retype(t, T.Compare);
  }

  /** `|a, b|` in front of an operand. */
  #lambda(i: number): void {
    let k = i + 1;
    while (this.#type(k) === T.Name && this.#type(k + 1) === T.Comma) k += 2;
    if (this.#type(k) === T.Name) k++;
    if (this.#type(k) !== T.Bar) return;
    retype(this.#tokens[i]!, T.LambdaOpen);
    retype(this.#tokens[k]!, T.LambdaClose);
  }

  #parenthesis(i: number): number {
    const t = this.#tokens[i]!;
    const sink = this.#top.sink;
    const declares = sink.at(-2)?.tokenType === T.Fn && this.#previous?.tokenType === T.Name;
    const isCall = this.#ended && (!this.#startsLine[i] || declares);
    if (isCall) retype(t, T.Call);
    sink.push(t);
    this.#open(declares ? "params" : isCall ? "call" : "group", t, sink);
    return i;
  }

  #square(i: number): number {
    const t = this.#tokens[i]!;
    const sink = this.#top.sink;
    const previous = this.#previous?.tokenType;
    const ended = this.#ended || previous === T.Target;
    const kind =
      previous === T.For || previous === T.Reducer || previous === T.Scanner
        ? "binder"
        : previous === T.Over
          ? "over"
          : ended && !this.#startsLine[i]
            ? "subscript"
            : "list";
    if (kind === "binder" || kind === "over") retype(t, T.Binder);
    else if (kind === "subscript") retype(t, T.Subscript);
    sink.push(t);
    this.#open(kind, t, sink);
    return i;
  }

  #curly(i: number): number {
    const t = this.#tokens[i]!;
    const previous = this.#previous?.tokenType;
    const names = previous === T.Import || previous === T.Let || previous === T.Const;
    if (!names && (this.#ended || !this.#looksLikeRecord(i))) {
      const isBody = this.#ended;
      this.#open("block", t, []).isBody = isBody;
      this.#previous = undefined;
      return i;
    }
    const sink = this.#top.sink;
    retype(t, T.RecordOpen);
    sink.push(t);
    this.#open("record", t, sink);
    return i;
  }

  #looksLikeRecord(i: number): boolean {
    if (this.#type(i + 1) !== T.Name) return false;
    const after = this.#type(i + 2);
    return after === T.Comma || after === T.Colon || after === T.RCurly;
  }

  #close(t: IToken): void {
    const frame = this.#top;
    if (frame.kind === "module") return;
    if (frame.kind === "block") this.#endUnit();
    else if (this.#previous?.tokenType === T.Comma && frame.sink.at(-2) !== frame.opener) frame.sink.pop();
    this.#frames.pop();
    this.#top = this.#frames.at(-1)!;
    if (frame.kind !== "block") {
      this.#push(t);
      if (frame.kind === "binder") this.#ended = false;
      return;
    }
    const open = frame.opener!;
    const image = this.#source.slice(open.startOffset, tokenEnd(t));
    const block = createTokenInstance(
      T.BlockTree,
      image,
      open.startOffset,
      tokenEnd(t),
      Number.NaN,
      Number.NaN,
      Number.NaN,
      Number.NaN,
    );
    (block as BlockToken).payload = { open, close: t, units: frame.units };
    if (frame.isBody) {
      this.#top.header = false;
      if (this.#top.iterating > 0) this.#top.iterating--;
    }
    this.#push(block);
  }
}
