/** The corners of the coverage table, and that the command cannot be satisfied by a name. */
import { expect, test } from "vitest";
import { derivativeCoverage } from "../conformance/derivatives/check.ts";
import { CHECKS } from "../conformance/derivatives/table.ts";

test("an item without a check is missing", () => {
  const [tier] = derivativeCoverage({ one: ["add", "no such operator"] });
  expect(tier).toMatchObject({ total: 2, covered: ["add"], wrong: [] });
  expect(tier?.missing.map((m) => m.item)).toEqual(["no such operator"]);
});

test("corners are as documented", () => {
  const items = Object.keys(CHECKS).filter((k) => CHECKS[k]!.some((c) => typeof c !== "string"));
  expect(items.length).toBeGreaterThan(8);
  const [tier] = derivativeCoverage({ corners: items });
  expect(tier?.wrong).toEqual([]);
  expect(tier?.missing).toEqual([]);
});
