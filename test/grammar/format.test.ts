import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatModule, formatUnchecked } from "../../grammar/format.ts";
import { lex } from "../../grammar/lexer.ts";
import { parseModule } from "../../grammar/parser.ts";
import { printModule } from "../../grammar/print.ts";
import { moduleText } from "./generate.ts";

const commentsOf = (source: string): string[] => lex(source, "m.ein").comments.map((c) => c.text.trimEnd());

/** The printer without its safety net keeps the tree and the comments, and has nothing to do the second time. */
function checkFormat(source: string): string {
  const parsed = parseModule(source, "m.ein");
  expect(parsed.diagnostics.filter((d) => d.severity === "error")).toEqual([]);
  const formatted = formatUnchecked(source, "m.ein");
  const again = parseModule(formatted, "m.ein");
  expect(again.diagnostics.filter((d) => d.severity === "error")).toEqual([]);
  expect(printModule(again.module)).toBe(printModule(parsed.module));
  expect(commentsOf(formatted)).toEqual(commentsOf(source));
  expect(formatUnchecked(formatted, "m.ein")).toBe(formatted);
  expect(formatted).not.toMatch(/[ \t]+$/m);
  return formatted;
}

describe("the formatter", () => {
  test("keeps tree and comments, and is idempotent, on random modules", () => {
    fc.assert(
      fc.property(moduleText, (source) => {
        checkFormat(source);
      }),
      { numRuns: 400 },
    );
  });
});
