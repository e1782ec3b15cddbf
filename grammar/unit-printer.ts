/** Layout of one statement or declaration, from its tokens. */
import type { IToken, TokenType } from "chevrotain";
import { cat, comment, type Doc, group, hardline, ifBroken, indent, line, softline } from "./doc.ts";
import { BINARY_PRECEDENCE } from "./precedence.ts";
import type { Unit } from "./statement-ends.ts";
import { type Comment, T, tokenEnd } from "./tokens.ts";

/** What is printed by others: blocks, and the comments in a gap. */
export interface BlockPrinter {
  commentsIn(from: number, to: number): readonly Comment[];
  hasLineBreak(from: number, to: number): boolean;
  block(token: IToken): Doc;
}

type Gap = "none" | "space" | "line" | "softline";
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
const BINARY: ReadonlySet<TokenType> = new Set([T.Binary, T.Sign, T.Power, T.Compare, T.Fill, T.OrOr, T.Bar]);
/** Their operand extends as far right as it can. */
const EXTENDERS: ReadonlySet<TokenType> = new Set([T.For, T.Reducer, T.Scanner, T.LambdaOpen, T.Max]);
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
interface Run {
  readonly from: number;
  readonly to: number;
}

export class UnitPrinter {
  readonly #host: BlockPrinter;
  #tokens: Unit = [];
  /** Position of the closing bracket for each opening one. */
  #closing: Int32Array = new Int32Array(0);

  constructor(host: BlockPrinter) {
    this.#host = host;
  }

  unit(tokens: Unit): Doc {
    const outer = { tokens: this.#tokens, closing: this.#closing };
    this.#tokens = tokens;
    this.#closing = closingBrackets(tokens);
    const doc = this.#statement();
    this.#tokens = outer.tokens;
    this.#closing = outer.closing;
    return doc;
  }

  #type(i: number): TokenType | undefined {
    return this.#tokens[i]?.tokenType;
  }

  /** First position in the run, outside brackets, of a token that satisfies the test; -1 if none. */
  #find(run: Run, test: (type: TokenType, i: number) => boolean): number {
    for (let i = run.from; i < run.to; i++) {
      if (test(this.#type(i)!, i)) return i;
      if (this.#closing[i]! >= 0) i = this.#closing[i]!;
    }
    return -1;
  }

  /** What stands between token i - 1 and token i: the comments that are there, else the gap. */
  #gap(i: number, gap: Gap): Doc {
    if (i === 0) return "";
    const from = tokenEnd(this.#tokens[i - 1]!);
    const to = this.#tokens[i]!.startOffset;
    const comments = this.#host.commentsIn(from, to);
    if (comments.length === 0) return GAP[gap];
    return cat(...this.#comments(comments, from), this.#afterComments(comments, to));
  }

  #comments(comments: readonly Comment[], from: number): Doc[] {
    const parts: Doc[] = [];
    let at = from;
    for (const c of comments) {
      const first = at === from;
      parts.push(
        this.#host.hasLineBreak(at, c.start) ? hardline : first && c.text.startsWith("//") ? "  " : " ",
        comment(c.text.trimEnd()),
      );
      at = c.end;
    }
    return parts;
  }

  #afterComments(comments: readonly Comment[], to: number): Doc {
    const last = comments.at(-1)!;
    return last.text.startsWith("//") || this.#host.hasLineBreak(last.end, to) ? hardline : " ";
  }

  // ---- Statements -------------------------------------------------------------------------------------------------

  #statement(): Doc {
    const all: Run = { from: 0, to: this.#tokens.length };
    const fn = this.#find(all, (t) => t === T.Fn);
    if (fn >= 0 && this.#type(fn + 1) === T.Name && this.#type(fn + 2) === T.Call) return this.#function(fn);
    const assign = this.#find(all, (t) => t === T.Assign || t === T.ScatterOp);
    if (assign < 0) return this.#type(0) === T.Import ? this.#plain(all) : this.#expression(all);
    const over = this.#find({ from: assign + 1, to: all.to }, (t) => t === T.Over);
    const value: Run = { from: assign + 1, to: over < 0 ? all.to : over };
    const head = this.#plain({ from: 0, to: assign });
    const tail = over < 0 ? "" : cat(this.#gap(over, "space"), this.#plain({ from: over, to: all.to }));
    return cat(
      head,
      this.#gap(assign, "space"),
      this.#tokens[assign]!.image,
      this.#gap(assign + 1, "space"),
      this.#expression(value),
      tail,
    );
  }

  #function(fn: number): Doc {
    const parts: Doc[] = [];
    let i = 0;
    // Attributes, each on a line of its own.
    while (this.#tokens[i]!.image === "@") {
      let end = i + 2;
      if (this.#type(end) === T.Call) end = this.#closing[end]! + 1;
      parts.push(this.#plain({ from: i, to: end }), this.#gapOrBreak(end));
      i = end;
    }
    for (let first = i; i <= fn; i++) parts.push(i === first ? "" : this.#gap(i, "space"), this.#tokens[i]!.image);
    const call = fn + 2;
    const close = this.#closing[call]!;
    parts.push(this.#gap(fn + 1, "space"), this.#tokens[fn + 1]!.image, this.#gap(call, "none"), this.#bracket(call));
    const body = this.#tokens.length - 1;
    if (close + 1 < body) {
      const type = this.#plain({ from: close + 2, to: body });
      parts.push(group(indent(indent(this.#gap(close + 1, "line"), "->", this.#gap(close + 2, "space"), type))));
    }
    parts.push(this.#gap(body, "space"), this.#host.block(this.#tokens[body]!));
    return cat(...parts);
  }

  #gapOrBreak(i: number): Doc {
    const gap = this.#gap(i, "space");
    return gap === " " ? hardline : gap;
  }

  // ---- Sequences --------------------------------------------------------------------------------------------------

  /** Tokens one after the other, without breaks outside brackets. */
  #plain(run: Run, colon: "named" | "slice" = "named"): Doc {
    const parts: Doc[] = [];
    for (let i = run.from; i < run.to; i++) {
      if (i > run.from) parts.push(this.#gap(i, this.#space(i, colon)));
      if (this.#closing[i]! >= 0) {
        parts.push(this.#bracket(i));
        i = this.#closing[i]!;
      } else if (this.#type(i) === T.BlockTree) parts.push(this.#host.block(this.#tokens[i]!));
      else parts.push(this.#tokens[i]!.image);
    }
    return cat(...parts);
  }

  #space(i: number, colon: "named" | "slice" = "named"): Gap {
    const a = this.#tokens[i - 1]!;
    const b = this.#tokens[i]!;
    if (a.image.endsWith(".") && b.image.startsWith(".")) return "space";
    if (b.tokenType === T.Comma) return "none";
    if (TIGHT_AFTER.has(a.tokenType) || TIGHT_BEFORE.has(b.tokenType)) return "none";
    if (a.tokenType === T.Colon && colon === "slice") return "none";
    if (b.tokenType === T.Binder && a.tokenType !== T.Over) return "none";
    if (
      a.image === "@" &&
      (i === 1 || this.#tokens[0]!.image === "@") &&
      b.tokenType === T.Name &&
      this.#isAttribute(i - 1)
    )
      return "none";
    return "space";
  }

  /** An `@` that begins a declaration, not a matrix product. */
  #isAttribute(i: number): boolean {
    const before = this.#type(i - 1);
    return (
      this.#find({ from: 0, to: this.#tokens.length }, (t) => t === T.Fn) > i &&
      (before === undefined || before === T.RParen || before === T.Name)
    );
  }

  /** A bracket with what is inside. */
  #bracket(open: number): Doc {
    const close = this.#closing[open]!;
    const opener = this.#tokens[open]!;
    if (opener.tokenType === T.LambdaOpen) return this.#lambda(open, close);
    const isRecord = opener.tokenType === T.RecordOpen;
    const edge: Gap = isRecord ? "line" : "softline";
    const tail = this.#tail(close);
    if (close === open + 1)
      return group(opener.image, indent(...tail.comments), tail.after ?? "", this.#tokens[close]!.image);
    const items: Doc[] = [this.#gap(open + 1, edge)];
    let from = open + 1;
    let commas = 0;
    while (from < close) {
      const comma = this.#find({ from, to: close }, (t) => t === T.Comma);
      // The carries of an `iterate` are separated by commas as well, and belong to one item.
      const to = comma < 0 ? close : this.#itemEnd(from, close);
      items.push(this.#item({ from, to }, opener.tokenType));
      if (to >= close) break;
      commas++;
      items.push(this.#gap(to, "none"), ",", this.#gap(to + 1, "line"));
      from = to + 1;
    }
    const isList = opener.tokenType !== T.LParen || commas > 0 || this.#type(open - 1) === T.Arrow;
    return group(
      opener.image,
      indent(...items, isList ? ifBroken(",") : "", ...tail.comments),
      tail.after ?? GAP[edge],
      this.#tokens[close]!.image,
    );
  }

  /** `|a, b|`, on one line. */
  #lambda(open: number, close: number): Doc {
    const parts: Doc[] = ["|"];
    for (let i = open + 1; i <= close; i++) parts.push(this.#gap(i, this.#space(i)), this.#tokens[i]!.image);
    return cat(...parts);
  }

  /** The comments before a closing bracket, and the break after them. */
  #tail(close: number): { readonly comments: readonly Doc[]; readonly after: Doc | undefined } {
    const from = tokenEnd(this.#tokens[close - 1]!);
    const to = this.#tokens[close]!.startOffset;
    const comments = this.#host.commentsIn(from, to);
    if (comments.length === 0) return { comments: [], after: undefined };
    return { comments: this.#comments(comments, from), after: this.#afterComments(comments, to) };
  }

  /** End of the item that begins at `from`: a comma that is not inside the header of an `iterate`. */
  #itemEnd(from: number, close: number): number {
    let i = from;
    while (i < close && this.#type(i) !== T.Comma) {
      if (this.#type(i) === T.Iterate) i = this.#iterateBody(i, close) + 1;
      else if (this.#closing[i]! >= 0) i = this.#closing[i]! + 1;
      else i++;
    }
    return i;
  }

  #item(run: Run, opener: TokenType): Doc {
    const assign = this.#find(run, (t) => t === T.Assign);
    if (assign >= 0) {
      const value = this.#expression({ from: assign + 1, to: run.to });
      return cat(
        this.#plain({ from: run.from, to: assign }),
        this.#gap(assign, "space"),
        "=",
        this.#gap(assign + 1, "space"),
        value,
      );
    }
    const range = this.#find(run, (t) => t === T.In);
    if (range >= 0) return this.#range(run, range);
    if (opener === T.Subscript) return this.#subscript(run);
    if (this.#type(run.from + 1) === T.Colon && run.from + 2 < run.to) {
      const head = cat(
        this.#tokens[run.from]!.image,
        this.#gap(run.from + 1, "none"),
        ":",
        this.#gap(run.from + 2, "space"),
      );
      const rest: Run = { from: run.from + 2, to: run.to };
      return cat(head, this.#type(rest.from) === T.Const ? this.#plain(rest) : this.#expression(rest));
    }
    return this.#expression(run);
  }

  /** `k in 0..K` */
  #range(run: Run, inAt: number): Doc {
    const dots = this.#find({ from: inAt, to: run.to }, (t) => t === T.DotDot);
    const name = this.#plain({ from: run.from, to: inAt });
    const from = this.#expression({ from: inAt + 1, to: dots });
    const to = this.#expression({ from: dots + 1, to: run.to });
    const tight = this.#tokens[dots - 1]!.image.endsWith(".") ? "space" : "none";
    const tightAfter = this.#tokens[dots + 1]!.image.startsWith(".") ? "space" : "none";
    return cat(
      name,
      this.#gap(inAt, "space"),
      "in",
      this.#gap(inAt + 1, "space"),
      from,
      this.#gap(dots, tight),
      "..",
      this.#gap(dots + 1, tightAfter),
      to,
    );
  }

  /** An index or a slice; the `:` of `a ? b : c` is none of the slice's. */
  #subscript(run: Run): Doc {
    const parts: Doc[] = [];
    let from = run.from;
    let questions = 0;
    for (let i = run.from; i <= run.to; i++) {
      const type = i < run.to ? this.#type(i) : T.Colon;
      if (type === T.Question) questions++;
      else if (type === T.Colon && i < run.to && questions > 0) questions--;
      else if (type === T.Colon) {
        if (i > from) parts.push(from > run.from ? this.#gap(from, "none") : "", this.#expression({ from, to: i }));
        if (i < run.to) parts.push(i > run.from ? this.#gap(i, "none") : "", ":");
        from = i + 1;
      }
      if (i < run.to && this.#closing[i]! >= 0) i = this.#closing[i]!;
    }
    return cat(...parts);
  }

  // ---- Expressions ------------------------------------------------------------------------------------------------

  #expression(run: Run): Doc {
    const stop = this.#extender(run);
    const before: Run = { from: run.from, to: stop < 0 ? run.to : stop };
    const question = this.#findOutsideIterate(before, (t) => t === T.Question);
    if (question >= 0) return this.#conditional(run, question);
    let loosest = Number.POSITIVE_INFINITY;
    this.#findOutsideIterate(before, (t, i) => {
      if (BINARY.has(t)) loosest = Math.min(loosest, precedenceOf(this.#tokens[i]!));
      return false;
    });
    return loosest === Number.POSITIVE_INFINITY ? this.#operand(run, stop) : this.#chain(run, before, loosest);
  }

  /** Position of the first token, outside brackets and loop headers, after which all belongs to one body; -1 if none. */
  #extender(run: Run): number {
    return this.#findOutsideIterate(run, (t) => EXTENDERS.has(t));
  }

  #findOutsideIterate(run: Run, test: (type: TokenType, i: number) => boolean): number {
    for (let i = run.from; i < run.to; i++) {
      const type = this.#type(i)!;
      if (type === T.Iterate) i = this.#iterateBody(i, run.to);
      else if (test(type, i)) return i;
      else if (this.#closing[i]! >= 0) i = this.#closing[i]!;
    }
    return -1;
  }

  /** Position of the body of the `iterate` at i. */
  #iterateBody(i: number, to: number): number {
    let open = 0;
    for (let k = i; k < to; k++) {
      const type = this.#type(k)!;
      if (type === T.Iterate) open++;
      else if (type === T.BlockTree && endsOperand(this.#tokens[k - 1]!) && --open === 0) return k;
      else if (this.#closing[k]! >= 0) k = this.#closing[k]!;
    }
    return to - 1;
  }

  #conditional(run: Run, question: number): Doc {
    let depth = 0;
    const colon = this.#findOutsideIterate({ from: question, to: run.to }, (t) => {
      if (t === T.Question) depth++;
      return t === T.Colon && --depth === 0;
    });
    const condition = this.#expression({ from: run.from, to: question });
    const then = this.#expression({ from: question + 1, to: colon });
    const otherwise = this.#expression({ from: colon + 1, to: run.to });
    return group(
      condition,
      indent(
        this.#gap(question, "line"),
        "?",
        this.#gap(question + 1, "space"),
        then,
        this.#gap(colon, "line"),
        ":",
        this.#gap(colon + 1, "space"),
        otherwise,
      ),
    );
  }

  /** Operands joined by operators of one precedence; a line may end after each operator. */
  #chain(run: Run, before: Run, precedence: number): Doc {
    const parts: Doc[] = [];
    let first: Doc | undefined;
    let from = run.from;
    while (from < run.to) {
      const start = from;
      const operator =
        start >= before.to
          ? -1
          : this.#findOutsideIterate(
              { from: start, to: before.to },
              (t, i) => BINARY.has(t) && precedenceOf(this.#tokens[i]!) === precedence,
            );
      const operand = this.#expression({ from: start, to: operator < 0 ? run.to : operator });
      if (first === undefined) first = operand;
      else parts.push(operand);
      if (operator < 0) break;
      parts.push(this.#gap(operator, "space"), this.#tokens[operator]!.image, this.#gap(operator + 1, "line"));
      from = operator + 1;
    }
    return group(first ?? "", indent(...parts));
  }

  /** An operand without operators around it. */
  #operand(run: Run, stop: number): Doc {
    if (this.#type(run.from) === T.Iterate) return this.#iterate(run);
    if (stop < 0) return this.#plain(run);
    const lead =
      stop > run.from ? cat(this.#plain({ from: run.from, to: stop }), this.#gap(stop, this.#space(stop))) : "";
    const headEnd = this.#headEnd(stop);
    const head = this.#plain({ from: stop, to: headEnd });
    const body: Run = { from: headEnd, to: run.to };
    const keeps =
      this.#type(headEnd) === T.BlockTree || this.#type(headEnd) === T.RecordOpen || this.#type(stop) === T.Max;
    return group(lead, head, indent(this.#gap(headEnd, keeps ? "space" : "line"), this.#expression(body)));
  }

  /** Position after `for[…]`, `sum[…]`, `|a, b|` or `max`. */
  #headEnd(at: number): number {
    const type = this.#type(at);
    if (type === T.Max) return at + 1;
    return this.#closing[type === T.LambdaOpen ? at : at + 1]! + 1;
  }

  /** `iterate i in 0..n until c from a as x, b as y { … }` and what follows. */
  #iterate(run: Run): Doc {
    const body = this.#iterateBody(run.from, run.to);
    const parts: Doc[] = [];
    let from = run.from + 1;
    let carrying = false;
    const flush = (to: number): void => {
      if (to > from) parts.push(this.#gap(from, "space"), this.#header({ from, to }));
    };
    let nested = 0;
    for (let i = from; i < body; i++) {
      const type = this.#type(i)!;
      if (type === T.Iterate) nested++;
      else if (type === T.BlockTree && nested > 0 && endsOperand(this.#tokens[i - 1]!)) nested--;
      else if (this.#closing[i]! >= 0) i = this.#closing[i]!;
      if (nested > 0) continue;
      if (type === T.Until || type === T.From) {
        flush(i);
        parts.push(this.#gap(i, "line"), this.#tokens[i]!.image);
        carrying = type === T.From;
        from = i + 1;
      } else if (type === T.Comma && carrying) {
        flush(i);
        parts.push(this.#gap(i, "none"), ",");
        from = i + 1;
      }
    }
    flush(body);
    const header = group("iterate", indent(...parts));
    const rest: Run = { from: body + 1, to: run.to };
    const tail = rest.from < rest.to ? cat(this.#gap(rest.from, this.#space(rest.from)), this.#expression(rest)) : "";
    return cat(header, this.#gap(body, "space"), this.#host.block(this.#tokens[body]!), tail);
  }

  /** A part of a loop's header: an expression, `i in 0..n`, or `init as name [max e]`. */
  #header(run: Run): Doc {
    const range = this.#find(run, (t) => t === T.In);
    if (range >= 0) return this.#range(run, range);
    const as = this.#findOutsideIterate(run, (t) => t === T.CarryAs);
    if (as < 0) return this.#expression(run);
    const max = as + 2 < run.to && this.#type(as + 2) === T.Max ? as + 2 : -1;
    const name = this.#plain({ from: as, to: max < 0 ? run.to : max });
    const tail =
      max < 0
        ? ""
        : cat(
            this.#gap(max, "space"),
            "max",
            this.#gap(max + 1, "space"),
            this.#expression({ from: max + 1, to: run.to }),
          );
    return cat(this.#expression({ from: run.from, to: as }), this.#gap(as, "space"), name, tail);
  }
}

function precedenceOf(t: IToken): number {
  return BINARY_PRECEDENCE[t.image as keyof typeof BINARY_PRECEDENCE];
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
const endsOperand = (t: IToken): boolean => ENDS.has(t.tokenType);

function closingBrackets(tokens: Unit): Int32Array {
  const closing = new Int32Array(tokens.length).fill(-1);
  const open: number[] = [];
  tokens.forEach((t, i) => {
    if (OPENERS.has(t.tokenType)) open.push(i);
    else if (CLOSERS.has(t.tokenType)) closing[open.pop()!] = i;
  });
  return closing;
}
