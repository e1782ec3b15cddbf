/** What surrounds the cursor, read off the tokens before it: syntax trees are of little use where a line is half written. */
import type { IToken } from "chevrotain";
import { lex } from "../../grammar/lexer.ts";
import { T } from "../../grammar/tokens.ts";

export type TextContext =
  /** In a comment, or in a string that is no module's name. */
  | { readonly kind: "nothing" }
  /** In the string of an import. */
  | { readonly kind: "module"; readonly written: string }
  /** In the braces of an import. */
  | { readonly kind: "importedName"; readonly from: string | undefined }
  /** After a dot: the name before it, if it is one. */
  | { readonly kind: "field"; readonly of: string | undefined }
  /** Where an element type is expected. */
  | { readonly kind: "type"; readonly isParameter: boolean }
  /** In the brackets of a type. */
  | { readonly kind: "extent" }
  /** Where a new name is written, or nothing can be. */
  | { readonly kind: "newName" }
  | { readonly kind: "declaration" }
  | { readonly kind: "expression"; readonly call: Call | undefined; readonly startsArgument: boolean };

/** The innermost call whose parenthesis is open. */
export interface Call {
  readonly callee: string;
  /** Number of the argument that the cursor is in. */
  readonly argument: number;
  /** Names of named arguments so far; the last one if the cursor is in it. */
  readonly named: readonly string[];
  readonly current: string | undefined;
}

interface Open {
  readonly index: number;
  readonly bracket: string;
}

export function textContext(source: string, offset: number): TextContext {
  const start = declarationStart(source, offset);
  const text = source.slice(start, offset);
  const { tokens, comments } = lex(text, "");
  const lastComment = comments[comments.length - 1];
  if (lastComment && lastComment.end === text.length && !/\*\/$/.test(lastComment.text)) return { kind: "nothing" };
  const last = tokens[tokens.length - 1];
  const isImport = tokens[0]?.tokenType === T.Import;
  if (last?.tokenType === T.Text && isOpenString(last, text)) {
    return isImport ? { kind: "module", written: last.image.slice(1) } : { kind: "nothing" };
  }
  if (last && endOf(last) === text.length && /\w$/.test(last.image)) tokens.pop();
  if (isImport && tokens.length > 0) return importContext(tokens, source.slice(offset, offset + 1000));
  return tokens.length === 0 ? { kind: "declaration" } : placeOf(tokens);
}

const endOf = (t: IToken): number => t.startOffset + t.image.length;

function isOpenString(t: IToken, text: string): boolean {
  if (endOf(t) !== text.length) return false;
  return t.image.length === 1 || t.image[0] !== t.image[t.image.length - 1];
}

/** Start of the declaration that the offset is in, as far as lines tell: one that begins with its word in the first column. */
function declarationStart(source: string, offset: number): number {
  for (let at = source.lastIndexOf("\n", offset - 1) + 1; ; at = source.lastIndexOf("\n", at - 2) + 1) {
    if (/^(?:export|import|fn|let|const|@)/.test(source.slice(at, at + 8)) && at < offset) return at;
    if (at <= 0) return 0;
  }
}

function importContext(tokens: readonly IToken[], after: string): TextContext {
  const opens = tokens.findIndex((t) => t.image === "{");
  const closes = tokens.findIndex((t) => t.image === "}");
  if (opens < 0 || closes >= 0) return { kind: "newName" };
  if (tokens[tokens.length - 1]?.tokenType === T.As) return { kind: "newName" };
  const from = /^[^"'\n;]*(?:\n[^"'\n;]*){0,20}?\bfrom\s*["']([^"'\n]+)["']/.exec(after)?.[1];
  return { kind: "importedName", from };
}

function placeOf(tokens: readonly IToken[]): TextContext {
  const open = openBrackets(tokens);
  const last = tokens[tokens.length - 1]!;
  const before = tokens[tokens.length - 2];
  const inner = open[open.length - 1];
  const owner = inner && tokens[inner.index - 1];
  const isParameters = inner?.bracket === "(" && tokens[inner.index - 2]?.tokenType === T.Fn;
  if (last.image === ".") return { kind: "field", of: before?.tokenType === T.Name ? before.image : undefined };
  if (last.image === "->" || last.tokenType === T.As) return { kind: "type", isParameter: false };
  if (last.image === ":" && isParameters) return { kind: "type", isParameter: true };
  if (last.tokenType === T.Const && isParameters) return { kind: "type", isParameter: true };
  if (last.tokenType === T.Fn || last.tokenType === T.Let || last.tokenType === T.Const) return { kind: "newName" };
  if (last.image === ":" && isLet(tokens[tokens.length - 3])) return { kind: "type", isParameter: false };
  if (isParameters && (last.image === "(" || last.image === ",")) return { kind: "newName" };
  if (inner?.bracket === "[" && owner && isElementType(owner.image)) return { kind: "extent" };
  if (last.tokenType === T.Export) return { kind: "declaration" };
  const call = callOf(tokens, open);
  const startsArgument = inner !== undefined && inner.bracket === "(" && (last.image === "(" || last.image === ",");
  return { kind: "expression", call, startsArgument: startsArgument && call !== undefined };
}

const isLet = (t: IToken | undefined): boolean => t?.tokenType === T.Let || t?.tokenType === T.Const;

export function isElementType(word: string): boolean {
  return word === "f32" || word === "f16" || word === "i32" || word === "u32" || word === "bool";
}

function openBrackets(tokens: readonly IToken[]): readonly Open[] {
  const open: Open[] = [];
  tokens.forEach((t, index) => {
    if (t.image === "(" || t.image === "[" || t.image === "{") open.push({ index, bracket: t.image });
    else if (t.image === ")" || t.image === "]" || t.image === "}") open.pop();
  });
  return open;
}

/** The innermost open parenthesis that follows a name which no `fn` declares. */
function callOf(tokens: readonly IToken[], open: readonly Open[]): Call | undefined {
  for (let k = open.length - 1; k >= 0; k--) {
    const { index, bracket } = open[k]!;
    if (bracket === "{") return undefined;
    const callee = tokens[index - 1];
    if (bracket !== "(" || callee?.tokenType !== T.Name) continue;
    if (tokens[index - 2]?.tokenType === T.Fn) return undefined;
    return argumentsOf(tokens.slice(index + 1), callee.image);
  }
  return undefined;
}

function argumentsOf(tokens: readonly IToken[], callee: string): Call {
  let depth = 0;
  let argument = 0;
  let current: string | undefined;
  const named: string[] = [];
  tokens.forEach((t, i) => {
    if (t.image === "(" || t.image === "[" || t.image === "{") depth++;
    else if (t.image === ")" || t.image === "]" || t.image === "}") depth--;
    else if (depth === 0 && t.image === ",") {
      argument++;
      current = undefined;
    } else if (depth === 0 && t.image === ":" && tokens[i - 1]?.tokenType === T.Name) {
      const first = i - 2 < 0 || tokens[i - 2]!.image === ",";
      if (!first) return;
      current = tokens[i - 1]!.image;
      named.push(current);
    }
  });
  return { callee, argument, named, current };
}

/** The call around the cursor, for signature help. */
export function callAt(source: string, offset: number): Call | undefined {
  const start = declarationStart(source, offset);
  const { tokens } = lex(source.slice(start, offset), "");
  return callOf(tokens, openBrackets(tokens));
}
