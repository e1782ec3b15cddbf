/** Numbers, strings and characters that are none of the language: checking them, and what they stand for. */
import type { IToken } from "chevrotain";
import { type Diagnostic, diagnostic } from "./diagnostic.ts";
import { tokenSpan } from "./tokens.ts";

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

export function unknownCharacter(source: string, file: string, start: number, length: number): Diagnostic {
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
  /^(?:0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|0[bB][01](?:_?[01])*|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][-+]?\d+)?)$/;

/** The number as it is read: without `_`. */
export const numberText = (image: string): string => image.replaceAll("_", "");
export const isFloatText = (text: string): boolean => !/^0[xXbB]/.test(text) && /[.eE]/.test(text);

export function checkNumber(t: IToken, file: string, diagnostics: Diagnostic[]): void {
  if (NUMBER.test(t.image)) return;
  const span = tokenSpan(t, file);
  const suffix =
    t.image.length > 100
      ? null
      : /^(0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d*)?(?:[eE]\d+)?)_?(f|h|u|i|f16|f32|i32|u32|n|j|l|L|F|U)$/.exec(t.image);
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

export function checkQuotes(t: IToken, file: string, diagnostics: Diagnostic[]): void {
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
