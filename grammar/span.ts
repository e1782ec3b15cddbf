/** Half-open range of UTF-16 offsets in one source text. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** The smallest span that covers both; they must be of one file. */
export function joinSpans(a: Span, b: Span): Span {
  return { file: a.file, start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) };
}

export const NO_SPAN: Span = { file: "", start: 0, end: 0 };
