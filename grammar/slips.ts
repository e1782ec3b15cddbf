/** What people write who come from other languages, and what it is called here. */
import type { TokenType } from "chevrotain";
import type { DiagnosticParts } from "./diagnostic.ts";
import type { Span } from "./span.ts";
import { T } from "./tokens.ts";

export const SLIP_FUNCTION_WORDS: ReadonlySet<string> = new Set(["function", "def", "func", "fun", "proc", "kernel"]);
export const SLIP_LET_WORDS: ReadonlySet<string> = new Set(["var", "val", "auto", "local"]);
export const SLIP_OPERATORS: ReadonlyMap<string, { readonly text: string; readonly type: TokenType }> = new Map([
  ["and", { text: "&&", type: T.Binary }],
  ["or", { text: "||", type: T.OrOr }],
  ["mod", { text: "%", type: T.Binary }],
]);

/** The operator that a token stands for, slips included. */
export function operatorText(image: string): string {
  return (
    SLIP_OPERATORS.get(image)?.text ??
    (image === "=" ? "==" : image === "===" ? "==" : image === "!==" ? "!=" : image === "not" ? "!" : image)
  );
}

export function replacement(span: Span, text: string): DiagnosticParts {
  return { fix: { message: `write \`${text}\``, edits: [{ span, text }] } };
}

export function insertion(span: Span, text: string): DiagnosticParts {
  return { fix: { message: `insert \`${text.trim()}\``, edits: [{ span: { ...span, end: span.start }, text }] } };
}
