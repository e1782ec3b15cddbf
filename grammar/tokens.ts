/**
 * The words of the language. The lexer knows nothing of context; `layout.ts` then gives some tokens the type that their
 * place calls for (an opening bracket becomes a call's, a subscript's or an index list's), so that the grammar proper
 * needs one token of lookahead and no predicates.
 */
import { createToken, type IToken, Lexer, type TokenType } from "chevrotain";
import type { Span } from "./span.ts";

/** Characters that begin no token; a run of them is one token, so that a binary file costs one message and no time. */
const UNKNOWN = /[^\t\n\v\f\r !"%&'()*+,\-./0-9:;<=>?@A-Z[\]^_a-z{|}~]+/y;
function matchUnknown(text: string, offset: number): [string] | null {
  UNKNOWN.lastIndex = offset;
  const found = UNKNOWN.exec(text);
  return found ? [found[0]] : null;
}
/** Every character code below 256, and one of each block of 255 above, which is how Chevrotain looks them up. */
const UNKNOWN_STARTS: number[] = Array.from({ length: 512 }, (_, i) => (i < 256 ? i : (i - 255) * 255 + 1)).filter(
  (code) => code >= 256 || matchUnknown(String.fromCharCode(code), 0) !== null,
);

/** `label` is what a message calls the token: "expected `)`". */
function token(name: string, label: string, pattern: string | RegExp | undefined = undefined): TokenType {
  return createToken({ name, label, pattern: pattern ?? Lexer.NA });
}
const quoted = (name: string, text: string): TokenType => token(name, `\`${text}\``, text);

/** A closing quote is optional here, so that an unterminated string is one token that ends with its line. */
function matchString(text: string, offset: number): [string] | null {
  const quote = text[offset];
  if (quote !== '"' && quote !== "'") return null;
  let i = offset + 1;
  for (; i < text.length; i++) {
    const c = text[i];
    if (c === "\n" || c === "\r") break;
    if (c === quote) return [text.slice(offset, i + 1)];
    if (c === "\\" && i + 1 < text.length && text[i + 1] !== "\n" && text[i + 1] !== "\r") i++;
  }
  return [text.slice(offset, i)];
}

function matchBlockComment(text: string, offset: number): [string] | null {
  if (!text.startsWith("/*", offset)) return null;
  const end = text.indexOf("*/", offset + 2);
  return [text.slice(offset, end < 0 ? text.length : end + 2)];
}

type TokenName =
  | "WhiteSpace"
  | "Unknown"
  | "LineComment"
  | "BlockComment"
  | "Name"
  | "Import"
  | "Export"
  | "Fn"
  | "Let"
  | "Const"
  | "For"
  | "Iterate"
  | "As"
  | "True"
  | "False"
  | "None"
  | "Infinite"
  | "Number"
  | "Text"
  | "From"
  | "In"
  | "Until"
  | "Over"
  | "Max"
  | "CarryAs"
  | "Reducer"
  | "Scanner"
  | "Target"
  | "ArgName"
  | "IterIndex"
  | "Call"
  | "Subscript"
  | "Binder"
  | "RecordOpen"
  | "BlockTree"
  | "LambdaOpen"
  | "LambdaClose"
  | "Prefix"
  | "Ellipsis"
  | "DotDot"
  | "Dot"
  | "Arrow"
  | "FatArrow"
  | "Compare"
  | "ScatterOp"
  | "Power"
  | "Fill"
  | "OrOr"
  | "Question"
  | "Binary"
  | "Bar"
  | "Sign"
  | "Not"
  | "Assign"
  | "Colon"
  | "Semicolon"
  | "Comma"
  | "LParen"
  | "RParen"
  | "LSquare"
  | "RSquare"
  | "LCurly"
  | "RCurly";

export const T: Readonly<Record<TokenName, TokenType>> = {
  // Trivia.
  WhiteSpace: createToken({ name: "WhiteSpace", pattern: /[ \t\r\n\f\v]+/, group: Lexer.SKIPPED }),
  LineComment: createToken({ name: "LineComment", pattern: /\/\/[^\n\r]*/, group: "comments" }),
  BlockComment: createToken({
    name: "BlockComment",
    pattern: { exec: matchBlockComment },
    start_chars_hint: ["/"],
    line_breaks: true,
    group: "comments",
  }),

  Unknown: createToken({
    name: "Unknown",
    pattern: { exec: matchUnknown },
    start_chars_hint: UNKNOWN_STARTS,
    line_breaks: false,
    group: "unknown",
  }),

  // Words. Keywords are told apart from names after matching (`KEYWORDS`), which keeps the lexer small.
  Name: token("Name", "a name", /[A-Za-z_][A-Za-z0-9_]*/),
  Import: token("Import", "`import`"),
  Export: token("Export", "`export`"),
  Fn: token("Fn", "`fn`"),
  Let: token("Let", "`let`"),
  Const: token("Const", "`const`"),
  For: token("For", "`for`"),
  Iterate: token("Iterate", "`iterate`"),
  As: token("As", "`as`"),
  True: token("True", "`true`"),
  False: token("False", "`false`"),
  None: token("None", "`None`"),
  Infinite: token("Infinite", "a number"),
  Number: token(
    "Number",
    "a number",
    /(?:\d[\d_]*(?:\.(?![.A-Za-z_])[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d[\d_]*)?[A-Za-z0-9_]*/,
  ),
  Text: createToken({
    name: "Text",
    label: "a string",
    pattern: { exec: matchString },
    start_chars_hint: ['"', "'"],
    line_breaks: false,
  }),

  // Words and signs with a meaning at their place only; made by `layout.ts`.
  From: token("From", "`from`"),
  In: token("In", "`in`"),
  Until: token("Until", "`until`"),
  Over: token("Over", "`over`"),
  Max: token("Max", "`max`"),
  CarryAs: token("CarryAs", "`as`"),
  Reducer: token("Reducer", "a reduction"),
  Scanner: token("Scanner", "a scan"),
  Target: token("Target", "a name"),
  ArgName: token("ArgName", "a name"),
  IterIndex: token("IterIndex", "a name"),
  Call: token("Call", "`(`"),
  Subscript: token("Subscript", "`[`"),
  Binder: token("Binder", "`[`"),
  RecordOpen: token("RecordOpen", "`{`"),
  BlockTree: token("BlockTree", "`{`"),
  LambdaOpen: token("LambdaOpen", "`|`"),
  LambdaClose: token("LambdaClose", "`|`"),
  Prefix: token("Prefix", "an operator"),

  // Signs, longest first.
  Ellipsis: quoted("Ellipsis", "..."),
  DotDot: quoted("DotDot", ".."),
  Dot: quoted("Dot", "."),
  Arrow: quoted("Arrow", "->"),
  FatArrow: quoted("FatArrow", "=>"),
  /** `===` and `!==` are slips, `layout.ts` reports them. */
  Compare: token("Compare", "a comparison", /===|!==|==|!=|<=|>=|<(?!<)|>(?!>)/),
  ScatterOp: token("ScatterOp", "`+=`", /\+=|\*=|-=|\/=/),
  Power: quoted("Power", "**"),
  Fill: quoted("Fill", "??"),
  OrOr: quoted("OrOr", "||"),
  Question: quoted("Question", "?"),
  Binary: token("Binary", "an operator", /&&|<<|>>|[*/%@&^]/),
  Bar: quoted("Bar", "|"),
  /** Binary unless `layout.ts` makes it a Prefix. */
  Sign: token("Sign", "an operator", /[-+]/),
  Not: token("Not", "`!`", /[!~]/),
  Assign: quoted("Assign", "="),
  Colon: quoted("Colon", ":"),
  Semicolon: quoted("Semicolon", ";"),
  Comma: quoted("Comma", ","),
  LParen: quoted("LParen", "("),
  RParen: quoted("RParen", ")"),
  LSquare: quoted("LSquare", "["),
  RSquare: quoted("RSquare", "]"),
  LCurly: quoted("LCurly", "{"),
  RCurly: quoted("RCurly", "}"),
};

export const ALL_TOKENS: TokenType[] = Object.values(T);

export const KEYWORDS: ReadonlyMap<string, TokenType> = new Map([
  ["import", T.Import],
  ["export", T.Export],
  ["fn", T.Fn],
  ["let", T.Let],
  ["const", T.Const],
  ["for", T.For],
  ["iterate", T.Iterate],
  ["as", T.As],
  ["true", T.True],
  ["false", T.False],
  ["None", T.None],
  ["inf", T.Infinite],
  ["nan", T.Infinite],
  ["div", T.Binary],
]);

/** Words that cannot be names. */
export const RESERVED: readonly string[] = [...KEYWORDS.keys()];

export const REDUCERS: ReadonlySet<string> = new Set([
  "sum",
  "prod",
  "max",
  "min",
  "mean",
  "any",
  "all",
  "argmax",
  "argmin",
  "logsumexp",
  "var",
  "std",
  "norm",
]);
export const SCANNERS: ReadonlySet<string> = new Set(["cumsum", "cumprod", "cummax", "cummin"]);

export interface Comment {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export const tokenEnd = (t: IToken): number => t.startOffset + t.image.length;

export const tokenSpan = (t: IToken, file: string): Span => ({ file, start: t.startOffset, end: tokenEnd(t) });

export function retype(t: IToken, type: TokenType): void {
  t.tokenType = type;
  t.tokenTypeIdx = type.tokenTypeIdx!;
}

/** Past this many, further problems of one file are not reported: they are noise, and collecting them takes time. */
export const MAX_DIAGNOSTICS = 100;
