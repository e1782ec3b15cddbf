/** Every example of the documentation parses, and the formatter leaves those of whole modules as they are. */
import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatModule } from "../../grammar/format.ts";
import { parseModule } from "../../grammar/parser.ts";
import { renderDiagnostics } from "../../src/diagnostics/render.ts";

const root = new URL("../../", import.meta.url);
const pages = ["README.md", ...globSync("docs/**/*.md", { cwd: root })].flatMap((page) => {
  try {
    const text = readFileSync(new URL(page, root), "utf8");
    return [...text.matchAll(/^```ein( fragment)?\n(.*?)^```$/gms)].map((m, i) => ({
      name: `${page} example ${i + 1}`,
      fragment: m[1] !== undefined,
      source: m[2]!,
    }));
  } catch {
    return [];
  }
});

describe("examples", () => {
  test("there are some", () => {
    expect(pages.length).toBeGreaterThan(5);
  });
  test.each(pages)("$name", ({ source, fragment }) => {
    const text = fragment ? `fn example() {\n${source}}\n` : source;
    const { diagnostics } = parseModule(text, "example.ein");
    expect(renderDiagnostics(diagnostics, () => text, { colour: false, pretty: true })).toBe("");
    if (!fragment) expect(formatModule(source, "example.ein")).toBe(source);
  });
});

test("the language page lists the reserved words and every operator", async () => {
  const page = readFileSync(new URL("docs/language.md", root), "utf8").replaceAll("&#124;", "|");
  const { RESERVED } = await import("../../grammar/tokens.ts");
  const { BINARY_PRECEDENCE } = await import("../../grammar/precedence.ts");
  const listed = /Reserved words are `([^`]*)`/.exec(page)![1]!.split(/\s+/);
  expect(listed.sort()).toEqual([...RESERVED].sort());
  // The table's order is that of the precedences.
  // (Prefix operators have the signs of binary ones.)
  const rows = [...page.matchAll(/^\| \d+ \| (?!prefix)(.*?) \| [^|]*\|$/gm)].map((m) =>
    [...m[1]!.matchAll(/`([^`]+)`|<code>([^<]+)<\/code>/g)].map((c) => c[1] ?? c[2]!),
  );
  const levels = rows
    .map((ops) =>
      ops.map((op) => BINARY_PRECEDENCE[op as keyof typeof BINARY_PRECEDENCE]).filter((p) => p !== undefined),
    )
    .filter((l) => l.length > 0);
  expect(levels.map((l) => new Set(l).size)).toEqual(levels.map(() => 1));
  const order = levels.map((l) => l[0]!);
  expect(order).toEqual([...order].sort((a, b) => b - a));
  expect(levels.flat().length).toBe(Object.keys(BINARY_PRECEDENCE).length);
});
