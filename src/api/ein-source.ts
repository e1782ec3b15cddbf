/** A tagged template's pieces and values as one source text. Values are data: whatever they hold, each is one literal. */
import { diagnostic } from "../../grammar/diagnostic.ts";
import { lex } from "../../grammar/lexer.ts";
import { CompileError } from "./error.ts";

/** What may stand in `${…}`: a literal of the language, or a list of them. */
export type EinValue = number | bigint | boolean | string | readonly EinValue[];

/** What diagnostics call the text of a template. */
export const EIN_FILE = "ein.ein";

/**
 * The text of a template. Throws CompileError (EIN1001) for a value inside a string or a comment, where it would be text, and
 * TypeError for a value that is no literal.
 */
export function einSource(strings: TemplateStringsArray, values: readonly EinValue[]): string {
  let source = "";
  const starts: number[] = [];
  for (const [i, piece] of strings.raw.entries()) {
    source += piece;
    if (i >= values.length) break;
    // Spaces keep a literal apart from the names and digits beside it.
    starts.push(source.length + 1);
    source += ` ${literal(values[i])} `;
  }
  if (starts.length === 0) return source;
  const tokens = new Set(lex(source, EIN_FILE).tokens.map((t) => t.startOffset));
  const wrong = starts.filter((start) => !tokens.has(start));
  if (wrong.length === 0) return source;
  const sources = new Map([[EIN_FILE, source]]);
  throw new CompileError(
    wrong.map((start) =>
      diagnostic(
        "EIN1001",
        "a value inside a string or a comment",
        { span: { file: EIN_FILE, start, end: start + 1 }, text: "a value is a literal of its own" },
        { notes: ["make the whole string a value"] },
      ),
    ),
    sources,
  );
}

function literal(value: unknown): string {
  if (typeof value === "number") {
    const negative = value < 0 || Object.is(value, -0);
    const size = Math.abs(value);
    const text = Number.isNaN(size) ? "nan" : size === Number.POSITIVE_INFINITY ? "inf" : String(size);
    return negative ? `(-${text}${Object.is(value, -0) ? ".0" : ""})` : text;
  }
  if (typeof value === "bigint") return value < 0n ? `(${value})` : String(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  throw new TypeError(
    `a value of an ein template must be a number, a boolean, a string or a list, not ${typeof value}`,
  );
}

function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not stand in a string
  return `"${text.replace(/["\\\u0000-\u001f\u007f\u2028\u2029]/g, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`)}"`;
}
