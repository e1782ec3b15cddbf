/** Diagnostics as JSON, with lines and columns beside the offsets. */
import type { Diagnostic, Severity } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { Lines } from "./lines.ts";

/** Offsets count UTF-16 units from 0; lines and columns from 1, and are left out where the source is not at hand. */
export interface PlaceJson {
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly line?: number;
  readonly column?: number;
  readonly endLine?: number;
  readonly endColumn?: number;
}

export interface DiagnosticJson {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly labels: readonly (PlaceJson & { readonly text: string })[];
  readonly notes: readonly string[];
  readonly fix?: { readonly message: string; readonly edits: readonly (PlaceJson & { readonly text: string })[] };
}

/** The first label is the main place. */
export function diagnosticsToJson(
  diagnostics: readonly Diagnostic[],
  sources: (file: string) => string | undefined,
): DiagnosticJson[] {
  const cache = new Map<string, Lines | undefined>();
  const place = ({ file, start, end }: Span): PlaceJson => {
    if (!cache.has(file)) {
      const source = sources(file);
      cache.set(file, source === undefined ? undefined : new Lines(source));
    }
    const lines = cache.get(file);
    if (!lines) return { file, start, end };
    const from = lines.at(start);
    const to = lines.at(end);
    return { file, start, end, line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
  };
  return diagnostics.map((d) => ({
    code: d.code,
    severity: d.severity,
    message: d.message,
    labels: d.labels.map((l) => ({ ...place(l.span), text: l.text })),
    notes: [...d.notes],
    ...(d.fix
      ? { fix: { message: d.fix.message, edits: d.fix.edits.map((e) => ({ ...place(e.span), text: e.text })) } }
      : {}),
  }));
}
