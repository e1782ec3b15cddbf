/** Diagnostics as every bundler can show them: a line of text, a place in a file, and the source with its carets. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Diagnostic, Severity } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { Lines } from "../diagnostics/lines.ts";
import { renderDiagnostics } from "../diagnostics/render.ts";
import { textOfFile } from "../project/sources.ts";
import { stdFile } from "../std/index.ts";

export interface Place {
  /** Absolute. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 0, in UTF-16 units. */
  readonly column: number;
  /** Of what is marked, within the line. */
  readonly length: number;
  readonly lineText: string;
  /** The whole file. */
  readonly source: string;
}

export interface Message {
  readonly severity: Severity;
  readonly code: string;
  /** `EIN1203: there is no …`. */
  readonly text: string;
  /** What it is about; undefined where that is no file, such as an option of the plugin. */
  readonly place: Place | undefined;
  /** Other places, each with what is said there. */
  readonly others: readonly { readonly text: string; readonly place: Place | undefined }[];
  readonly notes: readonly string[];
  /** What is said at the main place. */
  readonly label: string;
  /** All of it, with lines of the source and carets under them; no colours. */
  readonly rendered: string;
}

/** `root` is what the diagnostics' files are relative to. */
export function messagesOf(diagnostics: readonly Diagnostic[], root: string): readonly Message[] {
  const texts = new Map<string, Lines | undefined>();
  const linesOf = (file: string): Lines | undefined => {
    if (!texts.has(file)) {
      const text = file === "" ? undefined : textOfFile(root, file);
      texts.set(file, text === undefined ? undefined : new Lines(text));
    }
    return texts.get(file);
  };
  return diagnostics.map((d): Message => {
    const place = (span: Span | undefined): Place | undefined => {
      const lines = span && linesOf(span.file);
      return span && lines ? placeOf(span, lines, root) : undefined;
    };
    const [main, ...rest] = d.labels;
    return {
      severity: d.severity,
      code: d.code,
      text: `${d.code}: ${d.message}`,
      place: place(main?.span),
      others: rest.map((l) => ({ text: l.text, place: place(l.span) })),
      notes: [...d.notes, ...(d.fix ? [`fix: ${d.fix.message}`] : [])],
      label: main?.text ?? "",
      rendered: renderDiagnostics([d], (f) => linesOf(f)?.source, { colour: false, pretty: true }).trimEnd(),
    };
  });
}

function placeOf(span: Span, lines: Lines, root: string): Place {
  const { line, column } = lines.at(span.start);
  const lineText = lines.text(line);
  const rest = Math.max(0, lineText.length - (column - 1));
  return {
    file: absolute(span.file, root),
    line,
    column: column - 1,
    length: Math.min(Math.max(1, span.end - span.start), rest),
    lineText,
    source: lines.source,
  };
}

/** Modules of the library have names that stand for no file of the project. */
function absolute(file: string, root: string): string {
  const std = file.startsWith("std/") ? stdFile(file.replace(/\.ein$/, "")) : undefined;
  return std ? fileURLToPath(std) : join(root, file);
}
