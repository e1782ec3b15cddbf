/** An error in an einsum string or an einops pattern: it knows its place in the string, not where the string stands. */
import type { DiagnosticCode } from "../../../grammar/codes.ts";
import { DiagnosticError, diagnostic, type Label } from "../../../grammar/diagnostic.ts";
import type { Span } from "../../../grammar/span.ts";
import type { StringValue } from "../value.ts";

export interface Place {
  /** Offset of the first character, and how many. */
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

export class NotationError extends Error {
  readonly code: DiagnosticCode;
  /** The first is the main place. */
  readonly places: readonly Place[];
  readonly notes: readonly string[];
  /** The number of the operand it is about, if it is about one. */
  readonly operand: number | undefined;
  constructor(
    code: DiagnosticCode,
    message: string,
    places: readonly Place[],
    notes: readonly string[] = [],
    operand?: number,
  ) {
    super(message);
    this.name = "NotationError";
    this.code = code;
    this.places = places;
    this.notes = notes;
    this.operand = operand;
  }
}

/** The span of characters of a string literal; the whole literal if escapes make offsets differ. */
export function spanInString(s: StringValue, offset: number, length: number): Span {
  if (s.span.end - s.span.start !== s.value.length + 2) return s.span;
  const start = s.span.start + 1 + Math.min(offset, s.value.length);
  return { file: s.span.file, start, end: Math.min(start + Math.max(length, 1), s.span.end) };
}

/** Runs `f`; a NotationError becomes a diagnostic that points into the literal. */
export function inString<T>(s: StringValue, operands: readonly Span[], f: () => T): T {
  try {
    return f();
  } catch (e) {
    if (!(e instanceof NotationError)) throw e;
    const labels: Label[] = e.places.map((p) => ({ span: spanInString(s, p.offset, p.length), text: p.text }));
    const about = e.operand === undefined ? undefined : operands[e.operand];
    if (about) labels.push({ span: about, text: `operand ${e.operand}` });
    if (labels.length === 0) labels.push({ span: s.span, text: "" });
    throw new DiagnosticError(diagnostic(e.code, e.message, labels, { notes: e.notes }));
  }
}
