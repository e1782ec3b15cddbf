/** From text to tokens and comments. */
import { type IToken, Lexer } from "chevrotain";
import { type Diagnostic, diagnostic } from "./diagnostic.ts";
import { checkNumber, checkQuotes, unknownCharacter } from "./literals.ts";
import { ALL_TOKENS, type Comment, KEYWORDS, MAX_DIAGNOSTICS, retype, T, tokenEnd } from "./tokens.ts";

export interface Lexed {
  readonly tokens: IToken[];
  readonly comments: readonly Comment[];
  readonly diagnostics: Diagnostic[];
}

let lexer: Lexer | undefined;

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
