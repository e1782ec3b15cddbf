/**
 * The words of the language. The lexer knows nothing of context; `layout.ts` then gives some tokens the type that their
 * place calls for (an opening bracket becomes a call's, a subscript's or an index list's), so that the grammar proper
 * needs one token of lookahead and no predicates.
 */
import { createToken, type IToken, Lexer, type TokenType } from "chevrotain";
import { type Diagnostic, diagnostic } from "./diagnostic.ts";
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

const KEYWORDS: ReadonlyMap<string, TokenType> = new Map([
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

export interface Lexed {
  readonly tokens: IToken[];
  readonly comments: readonly Comment[];
  readonly diagnostics: Diagnostic[];
}

let lexer: Lexer | undefined;

export const tokenEnd = (t: IToken): number => t.startOffset + t.image.length;
export const tokenSpan = (t: IToken, file: string): Span => ({ file, start: t.startOffset, end: tokenEnd(t) });

export function retype(t: IToken, type: TokenType): void {
  t.tokenType = type;
  t.tokenTypeIdx = type.tokenTypeIdx!;
}

/** Past this many, further problems of one file are not reported: they are noise, and collecting them takes time. */
export const MAX_DIAGNOSTICS = 100;

/** Splits a text into tokens and comments. Total: what has no meaning is reported and left out. */
export function lex(source: string, file: string): Lexed {
  lexer ??= new Lexer(ALL_TOKENS, { positionTracking: "onlyOffset", ensureOptimizations: true, skipValidations: true });
  const text = source.startsWith("\uFEFF") ? ` ${source.slice(1)}` : source;
  const result = lexer.tokenize(text);
  const diagnostics: Diagnostic[] = [];
  for (const t of (result.groups["unknown"] ?? []).slice(0, MAX_DIAGNOSTICS))
    diagnostics.push(unknownCharacter(source, file, t.startOffset, t.image.length));
  for (const t of result.tokens) {
    if (t.tokenType === T.Name) {
      const keyword = KEYWORDS.get(t.image);
      if (keyword) retype(t, keyword);
    } else if (t.tokenType === T.Number) checkNumber(t, file, diagnostics);
    else if (t.tokenType === T.Text) checkQuotes(t, file, diagnostics);
  }
  const comments: Comment[] = [];
  for (const c of result.groups["comments"] ?? []) {
    comments.push({ start: c.startOffset, end: tokenEnd(c), text: c.image });
    if (c.tokenType === T.BlockComment && (c.image.length < 4 || !c.image.endsWith("*/")))
      diagnostics.push(
        diagnostic(
          "EIN1007",
          "this comment is never closed",
          { span: { file, start: c.startOffset, end: c.startOffset + 2 }, text: "opened here" },
          {
            notes: ["comments begin with `/*` and end with `*/`; they do not nest"],
          },
        ),
      );
  }
  return { tokens: result.tokens, comments, diagnostics };
}

const LOOKALIKES: Readonly<Record<string, string>> = {
  "\u2212": "-",
  "\u2013": "-",
  "\u2014": "-",
  "\u00d7": "*",
  "\u22c5": "*",
  "\u00b7": "*",
  "\u00f7": "/",
  "\u2264": "<=",
  "\u2265": ">=",
  "\u2260": "!=",
  "\u201c": '"',
  "\u201d": '"',
  "\u2026": "...",
  "\u2192": "->",
  "\u00a0": " ",
  "\u2009": " ",
  "\u202f": " ",
  "\u200b": "",
  "\ufeff": "",
  "\uff08": "(",
  "\uff09": ")",
  "\uff0c": ",",
  "\u037e": ";",
  "\u221e": "inf",
};

function unknownCharacter(source: string, file: string, start: number, length: number): Diagnostic {
  const run = source.slice(start, start + length);
  const first = String.fromCodePoint(run.codePointAt(0) ?? 0);
  const span = { file, start, end: start + length };
  const code = `U+${(first.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  const visible = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(first) ? `\`${first}\` (${code})` : code;
  const ascii = LOOKALIKES[first];
  const parts =
    ascii !== undefined && [...run].every((c) => c === first)
      ? {
          fix: {
            message: ascii === "" ? "remove it" : `write \`${ascii}\``,
            edits: [{ span, text: ascii.repeat([...run].length) }],
          },
        }
      : /\p{L}/u.test(first)
        ? { notes: ["names are made of the letters A-Z and a-z, digits and `_`"] }
        : {};
  return diagnostic(
    "EIN1002",
    `the character ${visible} has no meaning here`,
    { span, text: length > first.length ? "not understood from here" : "not understood" },
    parts,
  );
}

const NUMBER =
  /^(?:0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|0[bB][01](?:_?[01])*|(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][-+]?\d+)?)$/;

/** The number as it is read: without `_`. */
export const numberText = (image: string): string => image.replaceAll("_", "");
export const isFloatText = (text: string): boolean => !/^0[xXbB]/.test(text) && /[.eE]/.test(text);

function checkNumber(t: IToken, file: string, diagnostics: Diagnostic[]): void {
  if (NUMBER.test(t.image)) return;
  const span = tokenSpan(t, file);
  const suffix = /^(0[xX][0-9a-fA-F]+|\d[\d_]*\.?\d*(?:[eE]\d+)?)_?(f|h|u|i|f16|f32|i32|u32|n|j|l|L|F|U)$/.exec(
    t.image,
  );
  const parts = suffix
    ? {
        notes: ["a literal takes the type of its context; to choose one write `1 as f16`"],
        fix: { message: "remove the suffix", edits: [{ span, text: suffix[1]! }] },
      }
    : {};
  diagnostics.push(diagnostic("EIN1004", `\`${clip(t.image)}\` is not a number`, { span, text: "" }, parts));
  t.image = t.image.length > 0 ? "0".padEnd(t.image.length, "0") : "0";
}

const clip = (s: string): string => (s.length > 40 ? `${s.slice(0, 37)}...` : s);

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "0": "\0",
  "\\": "\\",
  '"': '"',
  "'": "'",
};

function checkQuotes(t: IToken, file: string, diagnostics: Diagnostic[]): void {
  const quote = t.image[0]!;
  const span = tokenSpan(t, file);
  const closed = t.image.length > 1 && t.image.endsWith(quote) && !endsEscaped(t.image);
  if (!closed) {
    const edits = [{ span: { file, start: span.end, end: span.end }, text: quote }];
    diagnostics.push(
      diagnostic(
        "EIN1005",
        "this string is never closed",
        { span, text: "a string ends on the line it begins on" },
        { fix: { message: `close it with \`${quote}\``, edits } },
      ),
    );
  } else if (quote === "'") {
    const inner = t.image.slice(1, -1);
    diagnostics.push(
      diagnostic(
        "EIN1001",
        "strings are written with double quotes",
        { span, text: "single quotes" },
        {
          fix: {
            message: "use double quotes",
            edits: [{ span, text: `"${inner.replaceAll("\\'", "'").replaceAll('"', '\\"')}"` }],
          },
        },
      ),
    );
  }
  const inner = t.image.slice(1, closed ? -1 : undefined);
  for (const m of inner.matchAll(/\\(u\{[0-9a-fA-F]{1,6}\}|.)/g)) {
    const body = m[1]!;
    if (Object.hasOwn(ESCAPES, body) || (body.length > 1 && Number.parseInt(body.slice(2, -1), 16) <= 0x10ffff))
      continue;
    const start = t.startOffset + 1 + m.index;
    diagnostics.push(
      diagnostic(
        "EIN1008",
        "unknown escape in a string",
        { span: { file, start, end: start + Math.min(m[0].length, 2) }, text: "not an escape" },
        {
          notes: ["escapes are \\n \\t \\r \\0 \\\\ \\\" \\' and \\u{1F600}"],
        },
      ),
    );
  }
}

/** Whether the last character is taken by a backslash before it. */
function endsEscaped(image: string): boolean {
  let slashes = 0;
  for (let i = image.length - 2; i > 0 && image[i] === "\\"; i--) slashes++;
  return slashes % 2 === 1;
}

/** What a string token stands for; a wrong escape stands for itself. */
export function unescapeString(image: string): string {
  const quote = image[0];
  const closed = image.length > 1 && image.endsWith(quote ?? "") && !endsEscaped(image);
  const inner = image.slice(1, closed ? -1 : undefined);
  if (!inner.includes("\\")) return inner;
  return inner.replace(/\\(u\{[0-9a-fA-F]{1,6}\}|.)/g, (whole, body: string) => {
    if (Object.hasOwn(ESCAPES, body)) return ESCAPES[body]!;
    const point = body.length > 1 ? Number.parseInt(body.slice(2, -1), 16) : Number.POSITIVE_INFINITY;
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
