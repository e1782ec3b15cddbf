import { expect } from "vitest";
import { parseModule } from "../../grammar/parser.ts";
import { printModule } from "../../grammar/print.ts";
import { renderDiagnostics } from "../../src/diagnostics/render.ts";

/** The tree of a module that has no diagnostics at all. */
export function tree(source: string): string {
  const { module, diagnostics } = parseModule(source, "m.ein");
  expect(renderDiagnostics(diagnostics, () => source, { colour: false, pretty: true })).toBe("");
  return printModule(module);
}

/** The tree of one expression. */
export function expr(source: string): string {
  return tree(`let value = ${source}`).replace(/^\(let value |\)$/g, "");
}

/** The tree of statements in a function's body, one a line. */
export function body(source: string): string {
  return tree(`fn f() {\n${source}\n}`)
    .split("\n")
    .slice(1)
    .map((l) => l.slice(2))
    .join("\n")
    .replace(/\)$/, "");
}

/** The diagnostics as they are shown, and what is left of the module. */
export function broken(source: string): string {
  const { module, diagnostics } = parseModule(source, "m.ein");
  const text = renderDiagnostics(diagnostics, () => source, { colour: false, pretty: true });
  return `\n${text}=> ${printModule(module).replaceAll("\n", "\n   ")}\n`;
}

/** One line a diagnostic. */
export function messages(source: string): string[] {
  const { diagnostics } = parseModule(source, "m.ein");
  return renderDiagnostics(diagnostics, () => source, { colour: false, pretty: false })
    .split("\n")
    .slice(0, -1);
}

/** The source after every fix has been applied that does not overlap one before. */
export function fixed(source: string): string {
  const { diagnostics } = parseModule(source, "m.ein");
  const edits = diagnostics.flatMap((d) => d.fix?.edits ?? []).sort((a, b) => a.span.start - b.span.start);
  let out = "";
  let at = 0;
  for (const { span, text } of edits) {
    if (span.start < at) continue;
    out += source.slice(at, span.start) + text;
    at = span.end;
  }
  return out + source.slice(at);
}
