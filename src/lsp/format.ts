/** Formatting as one edit that leaves the unchanged ends of the text alone, so that cursors and marks there stay. */
import type { TextEdit } from "vscode-languageserver";
import type { Module } from "../../grammar/ast.ts";
import { formatModule } from "../../grammar/format.ts";
import { linesOf, rangeOf } from "./position.ts";

/** No edits for a text with syntax errors. */
export function format(module: Module): readonly TextEdit[] {
  const before = module.source;
  const after = formatModule(before, module.file);
  if (after === before) return [];
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let tail = 0;
  while (tail < most - start && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const span = { start, end: before.length - tail };
  return [{ range: rangeOf(linesOf(module), span), newText: after.slice(start, after.length - tail) }];
}
