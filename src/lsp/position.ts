/** Between the compiler's offsets and the protocol's lines and characters: both count UTF-16 units, lines from 0 there. */
import type { Position, Range } from "vscode-languageserver";
import { Lines } from "../diagnostics/lines.ts";

const known = new WeakMap<object, Lines>();

/** The lines of a text; `owner` is an object that lives as long as the text (a module). */
export function linesOf(owner: { readonly source: string }): Lines {
  const old = known.get(owner);
  if (old) return old;
  const made = new Lines(owner.source);
  known.set(owner, made);
  return made;
}

export function positionAt(lines: Lines, offset: number): Position {
  const { line, column } = lines.at(offset);
  return { line: line - 1, character: column - 1 };
}

export function rangeOf(lines: Lines, span: { readonly start: number; readonly end: number }): Range {
  return { start: positionAt(lines, span.start), end: positionAt(lines, span.end) };
}

/** A position past the end of its line is its end. */
export function offsetAt(lines: Lines, p: Position): number {
  if (p.line < 0) return 0;
  if (p.line >= lines.count) return lines.source.length;
  const start = lines.start(p.line + 1);
  return start + Math.max(0, Math.min(p.character, lines.text(p.line + 1).length));
}
