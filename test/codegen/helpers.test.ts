/**
 * Helpers decide without short-circuit operators: SwiftShader takes three times as long for each copy of one in a loop (51 s for
 * twelve cosines of two each, seen by the fuzzer at seed 5374), while `|` and `&` of conditions cost nothing.
 */
import { expect, test } from "vitest";
import { HELPER_NAMES, HelperLibrary } from "../../codegen/helpers/index.ts";
import type { Lanes } from "../../ir/kernel.ts";

test.each([1, 2, 4] as const)("helpers of %i lanes have no short-circuit operators", (lanes: Lanes) => {
  const library = new HelperLibrary();
  for (const name of HELPER_NAMES) if (!/[24]$/.test(name)) library.use(name, lanes);
  const texts = library.emit();
  expect(texts.length).toBeGreaterThan(40);
  for (const text of texts) expect(text).not.toMatch(/\|\||&&/);
});
