/** The generated pages are what their sources say, and every example of a diagnostic gives exactly that diagnostic. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DIAGNOSTIC_EXAMPLES } from "../../docs/generate/diagnostic-examples.ts";
import { generatedPages, pageUrl } from "../../docs/generate/pages.ts";
import { produce } from "../../docs/generate/produce.ts";

describe("diagnostics", () => {
  test.each(Object.entries(DIAGNOSTIC_EXAMPLES))("%s", async (code, example) => {
    expect((await produce(example)).diagnostics.map((d) => d.code)).toEqual([code]);
  });
});

test.each([...(await generatedPages())])("%s is up to date (npm run docs)", (page, text) => {
  expect(readFileSync(pageUrl(page), "utf8")).toBe(text);
});
