/** The symbols of a file, and the hints that show what was inferred. */
import { type DocumentSymbol, type InlayHint, InlayHintKind, type Range, SymbolKind } from "vscode-languageserver";
import type { Block, Name } from "../../grammar/ast.ts";
import type { Lines } from "../diagnostics/lines.ts";
import type { Analysis, ItemFindings } from "./analysis.ts";
import { functionLine, resultsText } from "./describe.ts";
import { linesOf, offsetAt, positionAt, rangeOf } from "./position.ts";
import type { Workspace } from "./workspace.ts";

export function documentSymbols(a: Analysis): readonly DocumentSymbol[] {
  const { module } = a.module;
  const lines = linesOf(module);
  return module.items.flatMap((item): DocumentSymbol[] => {
    if (item.kind === "import") return [];
    const findings = a.items.get(item.name.text);
    const isFunction = item.kind === "fn" || findings?.signature !== undefined;
    return [
      {
        name: item.name.text,
        kind: isFunction ? SymbolKind.Function : SymbolKind.Constant,
        range: rangeOf(lines, item.span),
        selectionRange: rangeOf(lines, item.name.span),
        ...(item.kind === "fn"
          ? {
              detail: functionLine(a.module, item, findings?.signature).replace(/^fn \w+/, ""),
              children: localsOf(item.body, lines),
            }
          : {}),
      },
    ];
  });
}

function localsOf(b: Block, lines: Lines): DocumentSymbol[] {
  return b.statements.flatMap((s) => {
    const names: readonly Name[] =
      s.kind !== "let"
        ? [s.target]
        : s.pattern.kind === "name"
          ? [s.pattern.name]
          : s.pattern.names.map((n) => n.alias ?? n.field);
    const range = rangeOf(lines, s.span);
    return names.map((n) => ({
      name: n.text,
      kind: SymbolKind.Variable,
      range,
      selectionRange: rangeOf(lines, n.span),
    }));
  });
}

/** Types of `let`s and results that the text does not state. */
export function inlayHints(w: Workspace, a: Analysis, range: Range): readonly InlayHint[] {
  const { module } = a.module;
  const lines = linesOf(module);
  const [from, to] = [offsetAt(lines, range.start), offsetAt(lines, range.end)];
  const hints: InlayHint[] = [];
  const add = (offset: number, label: string): void => {
    if (offset < from || offset > to) return;
    hints.push({ position: positionAt(lines, offset), label, kind: InlayHintKind.Type, paddingLeft: false });
  };
  const locals = new Map(
    w
      .bindings(a.module)
      .declared.filter((d) => d.kind === "local")
      .map((d) => [d.name.span.start, d] as const),
  );
  for (const f of a.items.values()) {
    const base = f.item.span.start;
    if (f.item.span.end < from || base > to) continue;
    addResult(a, f, add);
    for (const fact of f.facts) {
      if (fact.kind !== "binding" || fact.isPlain || !locals.has(base + fact.start)) continue;
      const at = untypedEnd(module.source, base + fact.end);
      if (at !== undefined) add(at, hintText(fact.type));
    }
  }
  return hints;
}

function hintText(type: string): string {
  const [, kind, value] = /^(int|bool|ints) = (.*)$/.exec(type) ?? [];
  return kind === undefined ? `: ${type}` : `: ${kind} (${value})`;
}

function addResult(a: Analysis, f: ItemFindings, add: (offset: number, label: string) => void): void {
  if (f.item.kind !== "fn" || f.item.result || !f.signature || f.signature.results.length === 0) return;
  const { source } = a.module.module;
  let at = f.item.body.span.start;
  while (at > 0 && /\s/.test(source[at - 1]!)) at--;
  add(at, ` -> ${resultsText(f.signature.results)}`);
}

/** Where a type would stand behind a name, or behind the indices of `y[i, j]`; undefined if one stands there. */
function untypedEnd(source: string, end: number): number | undefined {
  let at = end;
  if (source[at] === "[") {
    let depth = 0;
    do {
      if (source[at] === "[") depth++;
      else if (source[at] === "]") depth--;
      at++;
    } while (depth > 0 && at < source.length);
  }
  return /^\s*:/.test(source.slice(at, at + 20)) ? undefined : at;
}
