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
  const tokens: IToken[] = [];
  // Every token that is put in closes one that is there.
  const startsLine = new Uint8Array(2 * input.length);
  const match = new Int32Array(2 * input.length).fill(-1);
  const synthetic = new Set<IToken>();
  /** Positions in `tokens` of brackets that are open. */
  const open: number[] = [];
  let reported = 0;
  const report = (d: Diagnostic): void => {
    if (reported++ < MAX_DIAGNOSTICS) diagnostics.push(d);
  };
  const push = (t: IToken, startsNewLine: boolean): void => {
    if (startsNewLine) startsLine[tokens.length] = 1;
    tokens.push(t);
  };
  const pair = (opener: number): void => {
    match[opener] = tokens.length - 1;
    match[tokens.length - 1] = opener;
  };
  const closeTop = (at: number): void => {
    const opener = open.pop()!;
    const type = CLOSER.get(tokens[opener]!.tokenType)!;
    const t = createTokenInstance(type, "", at, at, Number.NaN, Number.NaN, Number.NaN, Number.NaN);
    synthetic.add(t);
    push(t, false);
    pair(opener);
  };
  /** Closes what is open above `keep` brackets, blaming the innermost. */
  const closeDownTo = (keep: number, before: IToken | undefined): void => {
    if (open.length <= keep) return;
    const opener = tokens[open.at(-1)!]!;
    const last = tokens.at(-1);
    const at = last ? tokenEnd(last) : 0;
    const closer = SIGN.get(CLOSER.get(opener.tokenType)!)!;
    report(
      diagnostic(
        "EIN1001",
        `\`${opener.image}\` is never closed`,
        [
          { span: tokenSpan(opener, file), text: "opened here" },
          {
            span: { file, start: at, end: at },
            text: before ? `\`${closer}\` is missing before ${name(before)}` : `\`${closer}\` is missing at the end`,
          },
        ],
        { fix: { message: `insert \`${closer}\``, edits: [{ span: { file, start: at, end: at }, text: closer }] } },
      ),
    );
    while (open.length > keep) closeTop(at);
  };

  let previousEnd = 0;
  for (const t of input) {
    const newLine = hasLineBreak(source, previousEnd, t.startOffset) || tokens.length === 0;
    previousEnd = tokenEnd(t);
    if (newLine && open.length > 0) closeDownTo(openersKeptAt(t, tokens, open, source), t);
    const type = t.tokenType;
    if (CLOSER.has(type)) {
      push(t, newLine);
      open.push(tokens.length - 1);
      if (open.length > MAX_NESTING) {
        report(
          diagnostic(
            "EIN1003",
            `brackets nest more than ${MAX_NESTING} deep`,
            { span: tokenSpan(t, file), text: "this one is too deep" },
            {
              notes: ["name parts of the expression with `let`"],
            },
          ),
        );
        return undefined;
      }
    } else if (SIGN.has(type)) {
      const wanted = open.length > 0 ? CLOSER.get(tokens[open.at(-1)!]!.tokenType)! : undefined;
      if (wanted !== type) {
        const depth = findOpener(type, tokens, open);
        if (depth >= 0) closeDownTo(depth + 1, t);
        else if (wanted && wanted !== T.RCurly && type !== T.RCurly) {
          const closer = SIGN.get(wanted)!;
          const span = tokenSpan(t, file);
          report(
            diagnostic(
              "EIN1001",
              `expected \`${closer}\`, found \`${t.image}\``,
              [
                { span, text: `expected \`${closer}\`` },
                { span: tokenSpan(tokens[open.at(-1)!]!, file), text: "to close this one" },
              ],
              { fix: { message: `write \`${closer}\``, edits: [{ span, text: closer }] } },
            ),
          );
          retype(t, wanted);
        } else {
          report(
            diagnostic(
              "EIN1001",
              `\`${t.image}\` closes nothing`,
              { span: tokenSpan(t, file), text: "no bracket is open here" },
              {
                fix: { message: "remove it", edits: [{ span: tokenSpan(t, file), text: "" }] },
              },
            ),
          );
          continue;
        }
      }
      push(t, newLine);
      pair(open.pop()!);
    } else push(t, newLine);
  }
  closeDownTo(0, undefined);
  return { tokens, match, synthetic, startsLine };
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
  while (keep > 0 && tokens[open[keep - 1]!]!.tokenType !== T.LCurly) keep--;
  return keep;
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
