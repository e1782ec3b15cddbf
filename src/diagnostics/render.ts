/** Diagnostics as text: with the source and carets, or one line each; and as JSON. */
import pc from "picocolors";
import type { Diagnostic, Fix, Label } from "../../grammar/diagnostic.ts";
import { displayWidth, escapeText } from "./display.ts";
import { Lines } from "./lines.ts";
import { type Mark, renderLine } from "./snippet.ts";

export { type DiagnosticJson, diagnosticsToJson } from "./json.ts";

export interface RenderOptions {
  /** ANSI colours. */
  readonly colour: boolean;
  /** With source lines and carets; otherwise one `tsc`-style line a diagnostic. */
  readonly pretty: boolean;
  /** Columns for a source line before it is clipped around its carets; 100 if left out. */
  readonly width?: number;
}

export type Sources = (file: string) => string | undefined;
type Colours = ReturnType<typeof pc.createColors>;

/**
 * All diagnostics, in their order; ends with a new line unless there are none. A source that `sources` does not know is left out.
 * Control characters of sources, names and messages are printed as `\u{…}`.
 */
export function renderDiagnostics(
  diagnostics: readonly Diagnostic[],
  sources: Sources,
  options: RenderOptions,
): string {
  const linesOf = lineCache(sources);
  if (!options.pretty) return diagnostics.map((d) => `${summary(d, linesOf)}\n`).join("");
  const colours = pc.createColors(options.colour);
  return diagnostics.map((d) => `${renderPretty(d, linesOf, colours, options.width ?? 100)}\n`).join("\n");
}

export type LinesOf = (file: string) => Lines | undefined;

/** Splits each source once. */
export function lineCache(sources: Sources): LinesOf {
  const cache = new Map<string, Lines | undefined>();
  return (file) => {
    if (!cache.has(file)) {
      const source = sources(file);
      cache.set(file, source === undefined ? undefined : new Lines(source));
    }
    return cache.get(file);
  };
}

/** `file(line,col): error EIN1203: message` */
function summary(d: Diagnostic, linesOf: LinesOf): string {
  const text = `${d.severity} ${d.code}: ${escapeText(d.message)}`;
  const span = d.labels[0]?.span;
  if (!span || span.file === "") return text;
  const lines = linesOf(span.file);
  if (!lines) return `${escapeText(span.file)}: ${text}`;
  const { line, column } = lines.at(span.start);
  return `${escapeText(span.file)}(${line},${column}): ${text}`;
}

function renderPretty(d: Diagnostic, linesOf: LinesOf, c: Colours, width: number): string {
  const strong = d.severity === "error" ? c.red : c.yellow;
  const out: string[] = [c.bold(`${strong(`${d.severity}[${d.code}]`)}: ${escapeText(d.message)}`)];
  const files = [...new Set(d.labels.map((l) => l.span.file))];
  const snippets = files.map((file) => ({
    file,
    lines: linesOf(file),
    labels: d.labels.filter((l) => l.span.file === file),
  }));
  const gutter = Math.max(1, ...snippets.map((s) => lastLine(s.lines, s.labels)).map((n) => String(n).length));
  const bar = c.blue(`${" ".repeat(gutter)} |`);
  for (const [i, { file, lines, labels }] of snippets.entries()) {
    const arrow = c.blue(`${" ".repeat(gutter)}${i === 0 ? "-->" : ":::"}`);
    if (!lines) {
      const said = labels.map((l) => escapeText(l.text)).filter((text) => text !== "");
      if (file !== "") out.push(`${arrow} ${escapeText(file)}${said.length > 0 ? `: ${said.join("; ")}` : ""}`);
      continue;
    }
    const { line, column } = lines.at(placeOf(lines, labels[0]!).from);
    out.push(`${arrow} ${escapeText(file)}:${line}:${column}`, bar);
    out.push(...renderSnippet(lines, labels, d.labels[0]!, gutter, strong, c, width));
  }
  if (d.notes.length > 0 || d.fix) out.push(bar);
  const lead = c.blue(`${" ".repeat(gutter)} =`);
  for (const note of d.notes) out.push(`${lead} ${c.bold("note:")} ${indentRest(note, gutter + 9)}`);
  if (d.fix) {
    out.push(`${lead} ${c.bold(c.green("fix:"))} ${indentRest(d.fix.message, gutter + 8)}`);
    out.push(...previewFix(d.fix, linesOf, gutter, c, width));
  }
  return out.join("\n");
}

const indentRest = (text: string, columns: number): string =>
  text
    .split("\n")
    .map(escapeText)
    .join(`\n${" ".repeat(columns)}`);

function lastLine(lines: Lines | undefined, labels: readonly Label[]): number {
  if (!lines) return 1;
  return Math.max(...labels.map((l) => lines.at(l.span.end).line));
}

/** The label's offsets. At the end of a text that ends with new lines, the place after its last line is clearer than nothing. */
function placeOf(lines: Lines, label: Label): { readonly from: number; readonly to: number } {
  let from = lines.clamp(label.span.start);
  const to = Math.max(from, lines.clamp(label.span.end));
  if (from < to || from < lines.source.length) return { from, to };
  while (from > 0 && /[\r\n]/.test(lines.source[from - 1]!)) from--;
  return { from, to: from };
}

/** What of a label is shown: spans of several lines show their first and last line. */
function marksOf(
  lines: Lines,
  label: Label,
  primary: boolean,
): readonly { readonly line: number; readonly mark: Mark }[] {
  const text = label.text.split("\n").map(escapeText).join(" ");
  const { from, to } = placeOf(lines, label);
  const first = lines.at(from);
  const last = lines.at(Math.max(from, to - (to > from && /[\r\n]/.test(lines.source[to - 1]!) ? 1 : 0)));
  if (first.line >= last.line) {
    const length = lines.text(first.line).length;
    const start = Math.min(first.column - 1, length);
    return [
      { line: first.line, mark: { start, end: Math.max(start, Math.min(start + (to - from), length)), text, primary } },
    ];
  }
  const firstLine = lines.text(first.line);
  const lastLine = lines.text(last.line);
  const indent = lastLine.length - lastLine.trimStart().length;
  const end = Math.min(last.column - 1, lastLine.length);
  return [
    {
      line: first.line,
      mark: { start: Math.min(first.column - 1, firstLine.length), end: firstLine.length, text: "", primary },
    },
    { line: last.line, mark: { start: Math.min(indent, end), end, text, primary } },
  ];
}

function renderSnippet(
  lines: Lines,
  labels: readonly Label[],
  main: Label,
  gutter: number,
  strong: (text: string) => string,
  c: Colours,
  width: number,
): string[] {
  const byLine = new Map<number, Mark[]>();
  for (const label of labels) {
    for (const { line, mark } of marksOf(lines, label, label === main)) {
      const marks = byLine.get(line);
      if (marks) marks.push(mark);
      else byLine.set(line, [mark]);
    }
  }
  const out: string[] = [];
  const bar = c.blue(`${" ".repeat(gutter)} |`);
  let previous: number | undefined;
  for (const [line, marks] of [...byLine].sort((a, b) => a[0] - b[0])) {
    if (previous !== undefined && line === previous + 2) byLineRows(previous + 1, []);
    else if (previous !== undefined && line > previous + 1) out.push(c.blue("..."));
    byLineRows(line, marks);
    previous = line;
  }
  return out;

  function byLineRows(line: number, marks: readonly Mark[]): void {
    const number = c.blue(`${String(line).padStart(gutter)} |`);
    const rows = renderLine(lines.text(line), marks, width, { primary: strong, secondary: c.blue });
    for (const row of rows) out.push(`${row.isSource ? number : bar}${row.text === "" ? "" : ` ${row.text}`}`);
  }
}

/** The line as it would be, if the fix stays within one line that fits. */
function previewFix(fix: Fix, linesOf: LinesOf, gutter: number, c: Colours, width: number): string[] {
  const first = fix.edits[0];
  const lines = first && linesOf(first.span.file);
  if (!first || !lines) return [];
  const { line } = lines.at(first.span.start);
  const text = lines.text(line);
  if (text.length > 4 * width) return [];
  const start = lines.start(line);
  const edits = [...fix.edits].sort((a, b) => a.span.start - b.span.start);
  let after = "";
  let marks = "";
  let at = 0;
  for (const { span, text: inserted } of edits) {
    const from = span.start - start;
    const to = span.end - start;
    if (span.file !== first.span.file || from < at || to < from || to > text.length || /[\r\n\t]/.test(inserted))
      return [];
    const kept = text.slice(at, from);
    after += kept + inserted;
    marks += " ".repeat(displayWidth(escapeText(kept))) + "+".repeat(displayWidth(escapeText(inserted)));
    at = to;
  }
  after += text.slice(at);
  const shown = escapeText(after);
  if (after.includes("\t") || displayWidth(shown) > width) return [];
  const out = [`${c.blue(`${String(line).padStart(gutter)} |`)} ${shown}`];
  if (marks.trim() !== "") out.push(`${c.blue(`${" ".repeat(gutter)} |`)} ${c.green(marks)}`);
  return out;
}
