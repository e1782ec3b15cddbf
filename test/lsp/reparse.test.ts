/** Parsing after an edit gives the tree that parsing the whole text gives, for any edit. */
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseModule } from "../../grammar/parser.ts";
import { reparse } from "../../src/lsp/reparse.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const texts = globSync(["src/std/signal.ein", "examples/**/*.ein"], { cwd: ROOT })
  .filter((path) => !path.includes("node_modules"))
  .map((path) => readFileSync(resolve(ROOT, path), "utf8"));

/** Pieces that end, begin, join and comment out declarations. */
const PIECES = [
  "",
  " ",
  "\n",
  "x",
  "/*",
  "*/",
  "//",
  "{",
  "}",
  "(",
  ")",
  '"',
  "\n+ 1",
  "\n\n",
  "let q = 1\n",
  "fn q() { 1.0 }\n",
  "///",
  ";",
  "export ",
  "@",
  ",",
];

test("after a sequence of edits", () => {
  expect(texts.length).toBeGreaterThan(2);
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.constantFrom(0, 0, 1, 3, 40, 400),
    insert: fc.constantFrom(...PIECES),
    undo: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 6 }), (text, edits) => {
      let parsed = parseModule(text, "a.ein");
      for (const e of edits) {
        const old = parsed.module.source;
        const at = Math.floor(e.at * old.length);
        const next = old.slice(0, at) + e.insert + old.slice(at + e.remove);
        const made = reparse(parsed, next);
        expect(JSON.stringify(made)).toBe(JSON.stringify(parseModule(next, "a.ein")));
        parsed = e.undo ? reparse(made, old) : made;
      }
    }),
    { numRuns: 40, seed: 5 },
  );
});

test("declarations away from the edit keep their trees", () => {
  const text = Array.from({ length: 20 }, (_, k) => `fn f${k}(x: f32[N]) { x * ${k}.0 }\n`).join("");
  const before = parseModule(text, "a.ein");
  const after = reparse(before, text.replace("10.0", "11.0"));
  const kept = after.module.items.filter((i) => before.module.items.includes(i)).length;
  expect(kept).toBe(17);
  // Also while the line is half written, and when it is whole again.
  const broken = reparse(before, text.replace("x * 10.0", "x *"));
  expect(broken.diagnostics.length).toBe(1);
  const mended = reparse(broken, text.replace("10.0", "12.0"));
  expect(mended.module.items.filter((i) => before.module.items.includes(i)).length).toBe(9);
});
