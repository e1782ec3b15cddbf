import type { DiagnosticCode } from "./codes.ts";
import type { Span } from "./span.ts";

export type Severity = "error" | "warning";

/** A place in the source with what is to be said about it. The first label of a diagnostic is its main place. */
export interface Label {
  readonly span: Span;
  readonly text: string;
}

/** A replacement of source text that a tool can apply. */
export interface Fix {
  readonly message: string;
  readonly edits: readonly { readonly span: Span; readonly text: string }[];
}

/** An error or a warning, as data: printing it with carets is somebody else's work. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  /** One sentence, no full stop, no code, no place. */
  readonly message: string;
  readonly labels: readonly Label[];
  readonly notes: readonly string[];
  readonly fix?: Fix;
}

export interface DiagnosticParts {
  readonly notes?: readonly string[];
  readonly fix?: Fix;
  readonly severity?: Severity;
}

/** Builds a diagnostic; `labels` may be one label or several. */
export function diagnostic(
  code: DiagnosticCode,
  message: string,
  labels: Label | readonly Label[],
  parts: DiagnosticParts = {},
): Diagnostic {
  return {
    code,
    severity: parts.severity ?? "error",
    message: short(message),
    labels: "span" in labels ? [labels] : labels,
    notes: parts.notes?.map(short) ?? [],
    ...(parts.fix ? { fix: parts.fix } : {}),
  };
}

/** Texts longer than this are cut: they may quote a name of any length. */
const MAX_TEXT = 1000;

function short(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** Thrown inside a compiler stage that cannot go on with the construct at hand; caught at the nearest recovery point. */
export class DiagnosticError extends Error {
  readonly diagnostic: Diagnostic;
  constructor(d: Diagnostic) {
    super(`${d.code}: ${d.message}`);
    this.name = "DiagnosticError";
    this.diagnostic = d;
  }
}
