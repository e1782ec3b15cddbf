/** The compiler's diagnostics in the protocol's form, and their fixes as code actions. */
import {
  type CodeAction,
  CodeActionKind,
  DiagnosticSeverity,
  type Diagnostic as LspDiagnostic,
  type Range,
  type TextEdit,
} from "vscode-languageserver";
import type { Diagnostic, Label } from "../../grammar/diagnostic.ts";
import { Lines } from "../diagnostics/lines.ts";
import type { Analysis } from "./analysis.ts";
import { linesOf, rangeOf } from "./position.ts";
import type { Workspace } from "./workspace.ts";

/** What is to be shown in the module's own file. */
export function diagnosticsFor(w: Workspace, a: Analysis): readonly LspDiagnostic[] {
  return a.diagnostics.flatMap((d) => {
    const shown = shownLabel(a, d);
    return shown ? [convert(w, a, d, shown)] : [];
  });
}

/** The label that lies in this file: the first, or where an error elsewhere was met from here. */
function shownLabel(a: Analysis, d: Diagnostic): Label | undefined {
  return d.labels.find((l) => l.span.file === a.module.file);
}

function convert(w: Workspace, a: Analysis, d: Diagnostic, shown: Label): LspDiagnostic {
  const lines = linesOf(a.module.module);
  const others = d.labels.filter((l) => l !== shown && l.text !== "");
  const related = others.flatMap((l) => {
    const uri = w.uriOf(l.span.file);
    const source = a.graph.sources.get(l.span.file);
    if (uri === undefined || source === undefined) return [];
    const there = l.span.file === a.module.file ? lines : new Lines(source);
    return [{ location: { uri, range: rangeOf(there, l.span) }, message: l.text }];
  });
  const message = [d.message + (shown.text ? `: ${shown.text}` : ""), ...d.notes.map((n) => `note: ${n}`)].join("\n");
  return {
    range: rangeOf(lines, atLeastOne(shown.span, a.module.module.source)),
    severity: d.severity === "error" ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
    code: d.code,
    source: "fusum",
    message,
    ...(related.length > 0 ? { relatedInformation: related } : {}),
  };
}

/** Editors do not draw an empty range. */
function atLeastOne(
  span: { readonly start: number; readonly end: number },
  source: string,
): { readonly start: number; readonly end: number } {
  if (span.end > span.start) return span;
  return span.start < source.length
    ? { start: span.start, end: span.start + 1 }
    : { start: Math.max(0, span.start - 1), end: span.end };
}

/** The fixes of the diagnostics that a range touches. */
export function fixesIn(w: Workspace, a: Analysis, range: Range): readonly CodeAction[] {
  const actions: CodeAction[] = [];
  for (const d of a.diagnostics) {
    const shown = shownLabel(a, d);
    if (!d.fix || !shown) continue;
    const diagnostic = convert(w, a, d, shown);
    if (!touches(diagnostic.range, range)) continue;
    const changes: Record<string, TextEdit[]> = {};
    for (const e of d.fix.edits) {
      const uri = w.uriOf(e.span.file);
      const source = a.graph.sources.get(e.span.file);
      if (uri === undefined || source === undefined || e.span.file.startsWith("std/")) continue;
      const lines = e.span.file === a.module.file ? linesOf(a.module.module) : new Lines(source);
      changes[uri] = [...(changes[uri] ?? []), { range: rangeOf(lines, e.span), newText: e.text }];
    }
    if (Object.keys(changes).length === 0) continue;
    const title = d.fix.message.charAt(0).toUpperCase() + d.fix.message.slice(1);
    actions.push({
      title,
      kind: CodeActionKind.QuickFix,
      diagnostics: [diagnostic],
      isPreferred: true,
      edit: { changes },
    });
  }
  return actions;
}

function touches(a: Range, b: Range): boolean {
  const before = (p: Range["start"], q: Range["start"]): boolean =>
    p.line < q.line || (p.line === q.line && p.character <= q.character);
  return before(a.start, b.end) && before(b.start, a.end);
}
