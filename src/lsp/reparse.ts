/**
 * Parsing a text that differs little from one whose tree is known. Declarations before and after the change keep their trees (moved);
 * only what lies between is parsed. The neighbours of the change are parsed with it, since a line may continue the one above.
 * That is right where brackets pair up: then an error does not reach beyond its declaration.
 */
import type { Item, Module } from "../../grammar/ast.ts";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import { lex } from "../../grammar/lexer.ts";
import { type Parsed, parseModule } from "../../grammar/parser.ts";
import { MAX_DIAGNOSTICS } from "../../grammar/tokens.ts";

/** The same as `parseModule(source, file)`. `old` is an earlier text's; its trees are used where that is certain to be right. */
export function reparse(old: Parsed, source: string): Parsed {
  return patched(old, source) ?? parseModule(source, old.module.file);
}

function patched(old: Parsed, source: string): Parsed | undefined {
  if (!isNested(old)) return undefined;
  const { file } = old.module;
  const cut = cutAround(old, source);
  if (!cut) return undefined;
  const { headCount, tailFrom, from, to, moved } = cut;
  // Blank space in place of what comes before: offsets are right as they are.
  const blank = from === 0 ? "" : `${" ".repeat(from - 1)}\n`;
  const middle = parseModule(blank + source.slice(from, to + moved), file);
  if (!isNested(middle)) return undefined;
  const before = old.diagnostics.filter((d) => lies(d, 0, from));
  const after = old.diagnostics.filter((d) => lies(d, to, old.module.source.length + 1));
  const replaced = old.diagnostics.filter((d) => lies(d, from, to));
  if (before.length + after.length + replaced.length < old.diagnostics.length) return undefined;
  const diagnostics = [...before, ...middle.diagnostics, ...after.map((d) => copy(d, moved))];
  if (diagnostics.length >= MAX_DIAGNOSTICS) return undefined;
  const { items } = old.module;
  const tail = items.slice(tailFrom);
  const module: Module = {
    kind: "module",
    file,
    source,
    items: [
      ...items.slice(0, headCount),
      ...middle.module.items,
      ...(moved === 0 ? tail : tail.map((i) => copy(i, moved))),
    ],
    span: { file, start: 0, end: source.length },
  };
  const made = { module, diagnostics };
  nested.set(made, true);
  return made;
}

interface Cut {
  /** Items before it are kept. */
  readonly headCount: number;
  /** Items from it on are kept. */
  readonly tailFrom: number;
  /** The part of the old text that is replaced: whole lines. */
  readonly from: number;
  readonly to: number;
  readonly moved: number;
}

function cutAround(old: Parsed, source: string): Cut | undefined {
  const before = old.module.source;
  const { items } = old.module;
  const most = Math.min(before.length, source.length);
  let same = 0;
  while (same < most && before.charCodeAt(same) === source.charCodeAt(same)) same++;
  let tail = 0;
  const last = before.length - 1;
  while (tail < most - same && before.charCodeAt(last - tail) === source.charCodeAt(source.length - 1 - tail)) tail++;

  const touched = items.findIndex((i) => i.span.end >= same);
  const headCount = Math.max(0, (touched < 0 ? items.length : touched) - 1);
  const after = items.findIndex((i) => i.span.start > before.length - tail);
  const tailFrom = after < 0 ? items.length : after + 1;
  if (isSplit(items, headCount) || isSplit(items, tailFrom)) return undefined;
  const ends = (count: number): number => (count === 0 ? 0 : items[count - 1]!.span.end);
  const from = headCount === 0 ? 0 : lineEnd(before, ends(headCount));
  const to = tailFrom >= items.length ? before.length : lineEnd(before, ends(tailFrom));
  const moved = source.length - before.length;
  if (from > same || to < before.length - tail || to + moved < from) return undefined;
  // What stands behind a declaration on its line, and is none, may go on.
  const odd = (d: Diagnostic, start: number, end: number): boolean =>
    d.labels.some((l) => l.span.start >= start && l.span.start < end);
  if (old.diagnostics.some((d) => odd(d, ends(headCount), from) || odd(d, ends(tailFrom), to))) return undefined;
  return { headCount, tailFrom, from, to, moved };
}

/** A broken import stands for several declarations of one place. */
function isSplit(items: readonly Item[], at: number): boolean {
  const [a, b] = [items[at - 1], items[at]];
  return a !== undefined && b !== undefined && b.span.start < a.span.end;
}

/** After the line break that ends the line of `at`. */
function lineEnd(text: string, at: number): number {
  const found = text.indexOf("\n", at);
  return found < 0 ? text.length : found + 1;
}

/** All its places are in [from, to). */
function lies(d: Diagnostic, from: number, to: number): boolean {
  const places = [...d.labels.map((l) => l.span), ...(d.fix?.edits.map((e) => e.span) ?? [])];
  return places.every((s) => s.start >= from && s.end <= to && s.start < to);
}

const nested = new WeakMap<Parsed, boolean>();
const CLOSES: ReadonlyMap<string, string> = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
]);

/** Do the brackets pair up, and comments and strings end? A text without errors says so by that. */
function isNested(p: Parsed): boolean {
  if (p.diagnostics.length === 0) return true;
  const old = nested.get(p);
  if (old !== undefined) return old;
  const made = pairsUp(p.module.source);
  nested.set(p, made);
  return made;
}

function pairsUp(source: string): boolean {
  const { tokens, diagnostics } = lex(source, "");
  if (diagnostics.length > 0) return false;
  const open: string[] = [];
  for (const { image } of tokens) {
    const close = CLOSES.get(image);
    if (close !== undefined) open.push(close);
    else if ((image === ")" || image === "]" || image === "}") && open.pop() !== image) return false;
  }
  return open.length === 0;
}

/** A copy with every span moved: spans are the objects that have a `file` and a `start`. */
function copy<T>(value: T, by: number): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((x: unknown) => copy(x, by)) as T;
  const made: Record<string, unknown> = {};
  for (const key in value) {
    const part: unknown = value[key];
    const isOffset = typeof part === "number" && "file" in value && (key === "start" || key === "end");
    made[key] = isOffset ? part + by : copy(part, by);
  }
  return made as T;
}
