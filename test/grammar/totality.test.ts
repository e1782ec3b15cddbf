/** The parser takes every text. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Expr } from "../../grammar/ast.ts";
import { parseModule } from "../../grammar/parser.ts";
import { brokenText, moduleText } from "./generate.ts";

describe("totality", () => {
  const spanOk = (e: { span: { start: number; end: number } }, source: string): boolean =>
    e.span.start >= 0 && e.span.start <= e.span.end && e.span.end <= source.length;

  test("any text gives a module and diagnostics with spans inside the text", () => {
    fc.assert(
      fc.property(brokenText, (source) => {
        const { module, diagnostics } = parseModule(source, "m.ein");
        for (const item of module.items) expect(spanOk(item, source)).toBe(true);
        for (const d of diagnostics) {
          expect(d.labels.length).toBeGreaterThan(0);
          for (const l of d.labels) expect(spanOk(l, source)).toBe(true);
          for (const e of d.fix?.edits ?? []) expect(spanOk(e, source)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("children's spans lie inside their parents'", () => {
    const check = (value: unknown, outer: { start: number; end: number }): void => {
      if (typeof value !== "object" || value === null) return;
      const span = (value as Partial<Expr>).span ?? outer;
      expect(span.start >= outer.start && span.end <= outer.end).toBe(true);
      for (const [key, child] of Object.entries(value)) if (key !== "span" && key !== "opSpan") check(child, span);
    };
    fc.assert(
      fc.property(moduleText, (source) => {
        const { module } = parseModule(source, "m.ein");
        for (const item of module.items) check(item, { start: 0, end: source.length });
      }),
      { numRuns: 100 },
    );
  });

  test("a module with a piece cut out never throws, and errors have places", () => {
    fc.assert(
      fc.property(moduleText, fc.nat(), fc.nat({ max: 20 }), (source, at, length) => {
        const start = source.length === 0 ? 0 : at % source.length;
        const cut = source.slice(0, start) + source.slice(start + length);
        for (const d of parseModule(cut, "m.ein").diagnostics) expect(spanOk(d.labels[0]!, cut)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});
