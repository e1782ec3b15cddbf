/** Sequences of tokens as documents: what stands between them, brackets and their items. `unit-printer.ts` knows statements and operators. */
import type { IToken, TokenType } from "chevrotain";
import { cat, comment, type Doc, group, hardline, ifBroken, indent, line, softline } from "./doc.ts";
import type { Unit } from "./statement-ends.ts";
import { type Comment, T, tokenEnd } from "./tokens.ts";

/** What is printed by others: blocks, and the comments in a gap. */
export interface BlockPrinter {
  commentsIn(from: number, to: number): readonly Comment[];
  hasLineBreak(from: number, to: number): boolean;
  block(token: IToken): Doc;
}

export type Gap = "none" | "space" | "line" | "softline";
const GAP: Readonly<Record<Gap, Doc>> = { none: "", space: " ", line, softline };

const OPENERS: ReadonlySet<TokenType> = new Set([
  T.LParen,
  T.Call,
  T.LSquare,
  T.Subscript,
  T.Binder,
  T.RecordOpen,
  T.LambdaOpen,
]);
const CLOSERS: ReadonlySet<TokenType> = new Set([T.RParen, T.RSquare, T.RCurly, T.LambdaClose]);
const TIGHT_AFTER: ReadonlySet<TokenType> = new Set([T.Prefix, T.Dot, T.LambdaOpen, T.DotDot]);
const TIGHT_BEFORE: ReadonlySet<TokenType> = new Set([
  T.Comma,
  T.Dot,
  T.DotDot,
  T.Call,
  T.Subscript,
  T.Colon,
  T.LambdaClose,
]);

/** Positions of a statement's tokens: [from, to). */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export abstract class SequencePrinter {
  protected readonly host: BlockPrinter;
  protected tokens: Unit = [];
  /** Position of the closing bracket for each opening one. */
  protected closing: Int32Array = new Int32Array(0);

  constructor(host: BlockPrinter) {
    this.host = host;
  }

  unit(tokens: Unit): Doc {
    const outer = { tokens: this.tokens, closing: this.closing };
    this.tokens = tokens;
    this.closing = closingBrackets(tokens);
    const doc = this.statement();
    this.tokens = outer.tokens;
    this.closing = outer.closing;
    return doc;
  }

  protected type(i: number): TokenType | undefined {
    return this.tokens[i]?.tokenType;
  }

  /** First position in the run, outside brackets, of a token that satisfies the test; -1 if none. */
  protected find(run: Run, test: (type: TokenType, i: number) => boolean): number {
    for (let i = run.from; i < run.to; i++) {
      if (test(this.type(i)!, i)) return i;
      if (this.closing[i]! >= 0) i = this.closing[i]!;
    }
    return -1;
  }

  /** What stands between token i - 1 and token i: the comments that are there, else the gap. */
  protected gap(i: number, gap: Gap): Doc {
    if (i === 0) return "";
    const from = tokenEnd(this.tokens[i - 1]!);
    const to = this.tokens[i]!.startOffset;
    const comments = this.host.commentsIn(from, to);
    if (comments.length === 0) return GAP[gap];
    return cat(...this.comments(comments, from), this.afterComments(comments, to));
  }

  protected comments(comments: readonly Comment[], from: number): Doc[] {
    const parts: Doc[] = [];
    let at = from;
    for (const c of comments) {
      const first = at === from;
      parts.push(
        this.host.hasLineBreak(at, c.start) ? hardline : first && c.text.startsWith("//") ? "  " : " ",
        comment(c.text.trimEnd()),
      );
      at = c.end;
    }
    return parts;
  }

  protected afterComments(comments: readonly Comment[], to: number): Doc {
    const last = comments.at(-1)!;
    return last.text.startsWith("//") || this.host.hasLineBreak(last.end, to) ? hardline : " ";
  }

  protected abstract statement(): Doc;
  protected abstract expression(run: Run): Doc;

  // ---- Sequences --------------------------------------------------------------------------------------------------

  /** Tokens one after the other, without breaks outside brackets. */
  protected plain(run: Run, colon: "named" | "slice" = "named"): Doc {
    const parts: Doc[] = [];
    for (let i = run.from; i < run.to; i++) {
      if (i > run.from) parts.push(this.gap(i, this.space(i, colon)));
      if (this.closing[i]! >= 0) {
        parts.push(this.bracket(i));
        i = this.closing[i]!;
      } else if (this.type(i) === T.BlockTree) parts.push(this.host.block(this.tokens[i]!));
      else parts.push(this.tokens[i]!.image);
    }
    return cat(...parts);
  }

  protected space(i: number, colon: "named" | "slice" = "named"): Gap {
    const a = this.tokens[i - 1]!;
    const b = this.tokens[i]!;
    if (a.image.endsWith(".") && b.image.startsWith(".")) return "space";
    if (b.tokenType === T.Comma) return "none";
    if (TIGHT_AFTER.has(a.tokenType) || TIGHT_BEFORE.has(b.tokenType)) return "none";
    if (a.tokenType === T.Colon && colon === "slice") return "none";
    if (b.tokenType === T.Binder && a.tokenType !== T.Over) return "none";
    if (
      a.image === "@" &&
      (i === 1 || this.tokens[0]!.image === "@") &&
      b.tokenType === T.Name &&
      this.isAttribute(i - 1)
    )
      return "none";
    return "space";
  }

  /** An `@` that begins a declaration, not a matrix product. */
  protected isAttribute(i: number): boolean {
    const before = this.type(i - 1);
    return (
      this.find({ from: 0, to: this.tokens.length }, (t) => t === T.Fn) > i &&
      (before === undefined || before === T.RParen || before === T.Name)
    );
  }

  /** A bracket with what is inside. */
  protected bracket(open: number): Doc {
    const close = this.closing[open]!;
    const opener = this.tokens[open]!;
    if (opener.tokenType === T.LambdaOpen) return this.lambda(open, close);
    const isRecord = opener.tokenType === T.RecordOpen;
    const edge: Gap = isRecord ? "line" : "softline";
    const tail = this.tail(close);
    if (close === open + 1)
      return group(opener.image, indent(...tail.comments), tail.after ?? "", this.tokens[close]!.image);
    const items: Doc[] = [this.gap(open + 1, edge)];
    let from = open + 1;
    let commas = 0;
    while (from < close) {
      const comma = this.find({ from, to: close }, (t) => t === T.Comma);
      // The carries of an `iterate` are separated by commas as well, and belong to one item.
      const to = comma < 0 ? close : this.itemEnd(from, close);
      items.push(this.item({ from, to }, opener.tokenType));
      if (to >= close) break;
      commas++;
      items.push(this.gap(to, "none"), ",", this.gap(to + 1, "line"));
      from = to + 1;
    }
    const isList = opener.tokenType !== T.LParen || commas > 0 || this.type(open - 1) === T.Arrow;
    return group(
      opener.image,
      indent(...items, isList ? ifBroken(",") : "", ...tail.comments),
      tail.after ?? GAP[edge],
      this.tokens[close]!.image,
    );
  }

  /** `|a, b|`, on one line. */
  protected lambda(open: number, close: number): Doc {
    const parts: Doc[] = ["|"];
    for (let i = open + 1; i <= close; i++) parts.push(this.gap(i, this.space(i)), this.tokens[i]!.image);
    return cat(...parts);
  }

  /** The comments before a closing bracket, and the break after them. */
  protected tail(close: number): { readonly comments: readonly Doc[]; readonly after: Doc | undefined } {
    const from = tokenEnd(this.tokens[close - 1]!);
    const to = this.tokens[close]!.startOffset;
    const comments = this.host.commentsIn(from, to);
    if (comments.length === 0) return { comments: [], after: undefined };
    return { comments: this.comments(comments, from), after: this.afterComments(comments, to) };
  }

  /** End of the item that begins at `from`: a comma that is not inside the header of an `iterate`. */
  protected itemEnd(from: number, close: number): number {
    let i = from;
    while (i < close && this.type(i) !== T.Comma) {
      if (this.type(i) === T.Iterate) i = this.iterateBody(i, close) + 1;
      else if (this.closing[i]! >= 0) i = this.closing[i]! + 1;
      else i++;
    }
    return i;
  }

  protected item(run: Run, opener: TokenType): Doc {
    const assign = this.find(run, (t) => t === T.Assign);
    if (assign >= 0) {
      const value = this.expression({ from: assign + 1, to: run.to });
      return cat(
        this.plain({ from: run.from, to: assign }),
        this.gap(assign, "space"),
        "=",
        this.gap(assign + 1, "space"),
        value,
      );
    }
    const range = this.find(run, (t) => t === T.In);
    if (range >= 0) return this.range(run, range);
    if (opener === T.Subscript) return this.subscript(run);
    if (this.type(run.from + 1) === T.Colon && run.from + 2 < run.to) {
      const head = cat(
        this.tokens[run.from]!.image,
        this.gap(run.from + 1, "none"),
        ":",
        this.gap(run.from + 2, "space"),
      );
      const rest: Run = { from: run.from + 2, to: run.to };
      return cat(head, this.type(rest.from) === T.Const ? this.plain(rest) : this.expression(rest));
    }
    return this.expression(run);
  }

  /** `k in 0..K` */
  protected range(run: Run, inAt: number): Doc {
    const dots = this.find({ from: inAt, to: run.to }, (t) => t === T.DotDot);
    const name = this.plain({ from: run.from, to: inAt });
    const from = this.expression({ from: inAt + 1, to: dots });
    const to = this.expression({ from: dots + 1, to: run.to });
    const tight = this.tokens[dots - 1]!.image.endsWith(".") ? "space" : "none";
    const tightAfter = this.tokens[dots + 1]!.image.startsWith(".") ? "space" : "none";
    return cat(
      name,
      this.gap(inAt, "space"),
      "in",
      this.gap(inAt + 1, "space"),
      from,
      this.gap(dots, tight),
      "..",
      this.gap(dots + 1, tightAfter),
      to,
    );
  }

  /** An index or a slice; the `:` of `a ? b : c` is none of the slice's. */
  protected subscript(run: Run): Doc {
    const parts: Doc[] = [];
    let from = run.from;
    let questions = 0;
    for (let i = run.from; i <= run.to; i++) {
      const type = i < run.to ? this.type(i) : T.Colon;
      if (type === T.Question) questions++;
      else if (type === T.Colon && i < run.to && questions > 0) questions--;
      else if (type === T.Colon) {
        if (i > from) parts.push(from > run.from ? this.gap(from, "none") : "", this.expression({ from, to: i }));
        if (i < run.to) parts.push(i > run.from ? this.gap(i, "none") : "", ":");
        from = i + 1;
      }
      if (i < run.to && this.closing[i]! >= 0) i = this.closing[i]!;
    }
    return cat(...parts);
  }

  protected findOutsideIterate(run: Run, test: (type: TokenType, i: number) => boolean): number {
    for (let i = run.from; i < run.to; i++) {
      const type = this.type(i)!;
      if (type === T.Iterate) i = this.iterateBody(i, run.to);
      else if (test(type, i)) return i;
      else if (this.closing[i]! >= 0) i = this.closing[i]!;
    }
    return -1;
  }

  /** Position of the body of the `iterate` at i. */
  protected iterateBody(i: number, to: number): number {
    let open = 0;
    for (let k = i; k < to; k++) {
      const type = this.type(k)!;
      if (type === T.Iterate) open++;
      else if (type === T.BlockTree && endsOperand(this.tokens[k - 1]!) && --open === 0) return k;
      else if (this.closing[k]! >= 0) k = this.closing[k]!;
    }
    return to - 1;
  }
}

const ENDS: ReadonlySet<TokenType> = new Set([
  T.Name,
  T.Number,
  T.Text,
  T.True,
  T.False,
  T.None,
  T.Infinite,
  T.RParen,
  T.RSquare,
  T.RCurly,
  T.BlockTree,
]);
export const endsOperand = (t: IToken): boolean => ENDS.has(t.tokenType);

function closingBrackets(tokens: Unit): Int32Array {
  const closing = new Int32Array(tokens.length).fill(-1);
  const open: number[] = [];
  tokens.forEach((t, i) => {
    if (OPENERS.has(t.tokenType)) open.push(i);
    else if (CLOSERS.has(t.tokenType)) closing[open.pop()!] = i;
  });
  return closing;
}
