/**
 * Pairs brackets before anything else looks at the tokens. What is missing is put in, what is too much is left out, each with
 * a diagnostic, so that one lost bracket costs one message and the declarations after it are still read.
 * Invariant of the result: brackets nest properly, at most MAX_NESTING deep.
 */
import { createTokenInstance, type IToken, type TokenType } from "chevrotain";
import { type Diagnostic, diagnostic } from "./diagnostic.ts";
import { MAX_DIAGNOSTICS, retype, T, tokenEnd, tokenSpan } from "./tokens.ts";

/** Deepest nesting of brackets, and of prefix forms such as `for[i] for[j] …`. */
export const MAX_NESTING = 256;

export interface Balanced {
  readonly tokens: IToken[];
  /** For an opening bracket the position of its closing one, and the other way round; -1 for other tokens. */
  readonly match: Int32Array;
  /** Brackets that were not in the source; they have no width. */
  readonly synthetic: ReadonlySet<IToken>;
  /** True if a new line begins before the token. */
  readonly startsLine: Uint8Array;
}

const CLOSER: ReadonlyMap<TokenType, TokenType> = new Map([
  [T.LParen, T.RParen],
  [T.LSquare, T.RSquare],
  [T.LCurly, T.RCurly],
]);
const SIGN: ReadonlyMap<TokenType, string> = new Map([
  [T.RParen, ")"],
  [T.RSquare, "]"],
  [T.RCurly, "}"],
]);

/** Undefined if the text nests too deeply; the diagnostic says where. */
export function balance(
  input: readonly IToken[],
  source: string,
  file: string,
  diagnostics: Diagnostic[],
): Balanced | undefined {
  return new Balancer(input, source, file, diagnostics).run();
}

class Balancer {
  readonly #input: readonly IToken[];
  readonly #source: string;
  readonly #file: string;
  readonly #diagnostics: Diagnostic[];
  readonly #firstDiagnostic: number;
  readonly #tokens: IToken[] = [];
  /** Where in the input a token stands; of one that was put in, the one before. */
  readonly #origin: Int32Array;
  readonly #startsLine: Uint8Array;
  readonly #match: Int32Array;
  readonly #synthetic = new Set<IToken>();
  /** Positions in `#tokens` of brackets that are open. */
  readonly #open: number[] = [];
  #reported = 0;

  constructor(input: readonly IToken[], source: string, file: string, diagnostics: Diagnostic[]) {
    this.#input = input;
    this.#source = source;
    this.#file = file;
    this.#diagnostics = diagnostics;
    this.#firstDiagnostic = diagnostics.length;
    // Every token that is put in closes one that is there.
    this.#origin = new Int32Array(2 * input.length);
    this.#startsLine = new Uint8Array(2 * input.length);
    this.#match = new Int32Array(2 * input.length).fill(-1);
  }

  run(): Balanced | undefined {
    const input = this.#input;
    let i = 0;
    do {
      for (; i < input.length; i++) {
        const again = this.#step(i);
        if (again === TOO_DEEP) return undefined;
        if (again !== undefined) i = again - 1;
      }
      i = this.#closeDownTo(0, input.length) ?? input.length;
    } while (i < input.length);
    return { tokens: this.#tokens, match: this.#match, synthetic: this.#synthetic, startsLine: this.#startsLine };
  }

  #report(d: Diagnostic): void {
    if (this.#reported++ < MAX_DIAGNOSTICS) this.#diagnostics.push(d);
  }

  #push(t: IToken, origin: number, startsLine: boolean): void {
    const at = this.#tokens.length;
    this.#startsLine[at] = startsLine ? 1 : 0;
    this.#origin[at] = origin;
    this.#match[at] = -1;
    this.#tokens.push(t);
  }

  #pair(opener: number): void {
    const closer = this.#tokens.length - 1;
    this.#match[opener] = closer;
    this.#match[closer] = opener;
  }

  #topType(): TokenType | undefined {
    return this.#open.length > 0 ? this.#tokens[this.#open.at(-1)!]!.tokenType : undefined;
  }

  /** Reads input i. A number says where to read again, after a bracket was closed earlier in the text. */
  #step(i: number): number | undefined {
    const t = this.#input[i]!;
    const type = t.tokenType;
    const previous = this.#tokens.at(-1);
    const startsLine = !previous || hasLineBreak(this.#source, tokenEnd(this.#input[i - 1] ?? previous), t.startOffset);
    if (this.#open.length > 0) {
      const keep = startsLine ? openersKeptAt(t, this.#tokens, this.#open, this.#source) : this.#openersKeptByFrom(i);
      const again = this.#closeDownTo(keep, i);
      if (again !== undefined) return again;
    }
    if (CLOSER.has(type)) {
      this.#push(t, i, startsLine);
      this.#open.push(this.#tokens.length - 1);
      if (this.#open.length <= MAX_NESTING) return undefined;
      const label = { span: tokenSpan(t, this.#file), text: "this one is too deep" };
      const notes = ["name parts of the expression with `let`"];
      this.#report(diagnostic("EIN1003", `brackets nest more than ${MAX_NESTING} deep`, label, { notes }));
      return TOO_DEEP;
    }
    if (SIGN.has(type)) return this.#closing(t, i, startsLine);
    this.#push(t, i, startsLine);
    return undefined;
  }

  #closing(t: IToken, i: number, startsLine: boolean): number | undefined {
    const top = this.#topType();
    const wanted = top && CLOSER.get(top);
    const span = tokenSpan(t, this.#file);
    if (wanted !== t.tokenType) {
      const depth = findOpener(t.tokenType, this.#tokens, this.#open);
      if (depth >= 0) {
        const again = this.#closeDownTo(depth + 1, i);
        if (again !== undefined) return again;
      } else if (wanted && wanted !== T.RCurly && t.tokenType !== T.RCurly) {
        const closer = SIGN.get(wanted)!;
        const labels = [
          { span, text: `expected \`${closer}\`` },
          { span: tokenSpan(this.#tokens[this.#open.at(-1)!]!, this.#file), text: "to close this one" },
        ];
        const fix = { message: `write \`${closer}\``, edits: [{ span, text: closer }] };
        this.#report(diagnostic("EIN1001", `expected \`${closer}\`, found \`${t.image}\``, labels, { fix }));
        retype(t, wanted);
      } else {
        const fix = { message: "remove it", edits: [{ span, text: "" }] };
        const label = { span, text: "no bracket is open here" };
        this.#report(diagnostic("EIN1001", `\`${t.image}\` closes nothing`, label, { fix }));
        return undefined;
      }
    }
    this.#push(t, i, startsLine);
    this.#pair(this.#open.pop()!);
    return undefined;
  }

  /** `import { a from "x"`: the word closes the list. */
  #openersKeptByFrom(i: number): number {
    const t = this.#input[i]!;
    const open = this.#open;
    const opener = open.at(-1)!;
    const closes =
      t.tokenType === T.Name &&
      t.image === "from" &&
      this.#input[i + 1]?.tokenType === T.Text &&
      this.#topType() === T.LCurly &&
      this.#tokens[opener - 1]?.tokenType === T.Import;
    return closes ? open.length - 1 : open.length;
  }

  /**
   * Closes what is open above `keep` brackets, for want of a closing bracket before input `before`. If the indentation says that
   * one is missing further up, closes it there and returns the input to go on from.
   */
  #closeDownTo(keep: number, before: number): number | undefined {
    const open = this.#open;
    while (open.length > keep) {
      const isBrace = this.#topType() === T.LCurly;
      let down = open.length - 1;
      if (!isBrace) while (down > keep && this.#tokens[open[down - 1]!]!.tokenType !== T.LCurly) down--;
      const dedent = isBrace || this.#reported >= MAX_DIAGNOSTICS ? -1 : this.#dedentAfter(open[down]!);
      const resume = dedent < 0 ? undefined : this.#origin[dedent]!;
      if (dedent >= 0) this.#rewind(dedent);
      this.#closeHere(down, resume ?? before);
      if (resume !== undefined) return resume;
    }
    return undefined;
  }

  /** First token that begins a line after the opener, no deeper indented than the opener's line, and can begin a statement. */
  #dedentAfter(opener: number): number {
    const indentation = lineIndentation(this.#tokens[opener]!.startOffset, this.#source);
    for (let k = opener + 1; k < this.#tokens.length; k++) {
      const t = this.#tokens[k]!;
      if (this.#startsLine[k] && !SIGN.has(t.tokenType) && lineIndentation(t.startOffset, this.#source) <= indentation)
        return k;
    }
    return -1;
  }

  /** Forgets the tokens from position k on. */
  #rewind(k: number): void {
    const start = this.#tokens[k]!.startOffset;
    this.#tokens.length = k;
    while (this.#open.length > 0 && this.#open.at(-1)! >= k) this.#open.pop();
    for (let d = this.#diagnostics.length - 1; d >= this.#firstDiagnostic; d--)
      if (this.#diagnostics[d]!.labels[0]!.span.start >= start) this.#diagnostics.splice(d, 1);
  }

  /** Closes the brackets above `down` after the last token, and blames the innermost. */
  #closeHere(down: number, before: number): void {
    const opener = this.#tokens[this.#open.at(-1)!]!;
    const at = tokenEnd(this.#tokens.at(-1)!);
    const closer = SIGN.get(CLOSER.get(opener.tokenType)!)!;
    const next = this.#input[before];
    const span = { file: this.#file, start: at, end: at };
    const missing = next ? `\`${closer}\` is missing before ${name(next)}` : `\`${closer}\` is missing at the end`;
    const labels = [
      { span: tokenSpan(opener, this.#file), text: "opened here" },
      { span, text: missing },
    ];
    const fix = { message: `insert \`${closer}\``, edits: [{ span, text: closer }] };
    this.#report(diagnostic("EIN1001", `\`${opener.image}\` is never closed`, labels, { fix }));
    while (this.#open.length > down) {
      const opener = this.#open.pop()!;
      const type = CLOSER.get(this.#tokens[opener]!.tokenType)!;
      const t = createTokenInstance(type, "", at, at, Number.NaN, Number.NaN, Number.NaN, Number.NaN);
      this.#synthetic.add(t);
      this.#push(t, before - 1, false);
      this.#pair(opener);
    }
  }
}

/** No input has this position. */
const TOO_DEEP = -1;

/** Columns of white space before the line's text. */
function lineIndentation(at: number, source: string): number {
  let start = at;
  while (start > 0 && source[start - 1] !== "\n" && source[start - 1] !== "\r") start--;
  let end = start;
  while (source[end] === " " || source[end] === "\t") end++;
  return end - start;
}

/** How many open brackets stay open when a token that cannot stand inside them begins a line. */
function openersKeptAt(t: IToken, tokens: readonly IToken[], open: readonly number[], source: string): number {
  const previous = tokens.at(-1)!.tokenType;
  const type = t.tokenType;
  const atMargin = t.startOffset === 0 || source[t.startOffset - 1] === "\n" || source[t.startOffset - 1] === "\r";
  const startsItem = type === T.Fn || type === T.Import || type === T.Export || (type === T.Binary && t.image === "@");
  if (startsItem && atMargin && previous !== T.Export && previous !== T.Colon && previous !== T.Const) return 0;
  const startsStatement =
    type === T.Let || (type === T.Const && previous !== T.Colon && previous !== T.Comma && previous !== T.LParen);
  if (!startsStatement) return open.length;
  let keep = open.length;
  while (keep > 0 && !opensBlock(open[keep - 1]!, tokens)) keep--;
  return keep;
}

/** A brace, though not that of a list of names. */
function opensBlock(opener: number, tokens: readonly IToken[]): boolean {
  const before = tokens[opener - 1]?.tokenType;
  return tokens[opener]!.tokenType === T.LCurly && before !== T.Import && before !== T.Let && before !== T.Const;
}

/** The stack position of the opener that a closing bracket must mean, or -1. Only `}` reaches over a `{`. */
function findOpener(closer: TokenType, tokens: readonly IToken[], open: readonly number[]): number {
  for (let i = open.length - 1; i >= 0; i--) {
    const type = tokens[open[i]!]!.tokenType;
    if (CLOSER.get(type) === closer) return i;
    if (type === T.LCurly) return -1;
  }
  return -1;
}

function hasLineBreak(source: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const c = source.charCodeAt(i);
    if (c === 10 || c === 13) return true;
  }
  return false;
}

const name = (t: IToken): string => `\`${t.image.length > 30 ? `${t.image.slice(0, 27)}...` : t.image}\``;
