/** Every example of the documentation is what it says: it compiles, or parses, and gives the values in its comments. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatModule } from "../../grammar/format.ts";
import { parseModule } from "../../grammar/parser.ts";
import { CompileError } from "../../src/api/error.ts";
import { renderDiagnostics } from "../../src/diagnostics/render.ts";
import { compile, type Program } from "../../src/index.ts";
import { codeBlocks, ROOT as root } from "./blocks.ts";
import { claimsOf, evaluateClaim } from "./values.ts";

const blocks = codeBlocks("ein");
const whole = blocks.filter((b) => b.mark === "");
const fragments = blocks.filter((b) => b.mark === "fragment");

/** Modules that examples import by a path. */
const OTHERS: Readonly<Record<string, string>> = { "./other.ein": "export fn helper(x: f32[...]) { x }\n" };

function compiled(source: string): Program {
  try {
    return compile(source, {
      fileName: "example.ein",
      resolve: (s) => (OTHERS[s] === undefined ? { error: "no such file" } : { fileName: s, source: OTHERS[s] }),
    });
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    throw new Error(renderDiagnostics(error.diagnostics, () => source, { colour: false, pretty: true }));
  }
}

describe("examples", () => {
  test("there are some, all of a kind that is tested", () => {
    expect(whole.length).toBeGreaterThan(25);
    expect(blocks.filter((b) => !["", "fragment", "error"].includes(b.mark))).toEqual([]);
    expect(whole.flatMap((b) => claimsOf(b.source)).length).toBeGreaterThan(30);
  });
  test.each(whole)("$name", ({ source }) => {
    expect(formatModule(source, "example.ein")).toBe(source);
    const program = compiled(source);
    for (const claim of claimsOf(source)) expect(evaluateClaim(program, claim), claim.text).toEqual(claim.expected);
  });
  test.each(fragments)("$name", ({ source }) => {
    const text = `fn example() {\n${source}}\n`;
    const { diagnostics } = parseModule(text, "example.ein");
    expect(renderDiagnostics(diagnostics, () => text, { colour: false, pretty: true })).toBe("");
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
