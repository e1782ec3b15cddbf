/** `include` and `exclude`. */
import { expect, test } from "vitest";
import { basesOf, discover, matcher } from "../../src/project/glob.ts";
import { makeFolder } from "./folder.ts";

const FILES = [
  ".cache/x.ein",
  "a.ein",
  "a.txt",
  "lib+(1)/e.ein",
  "lib/deep/b.ein",
  "lib/deep/er/c.ein",
  "lib/test_d.ein",
  "node_modules/m/f.ein",
  "src/g.ein",
  "src/node_modules/m/h.ein",
];

test.each([
  [["**/*.ein"], [], ["a.ein", "lib+(1)/e.ein", "lib/deep/b.ein", "lib/deep/er/c.ein", "lib/test_d.ein", "src/g.ein"]],
  [["."], ["lib"], ["a.ein", "lib+(1)/e.ein", "src/g.ein"]],
  [["lib"], ["**/test_*"], ["lib/deep/b.ein", "lib/deep/er/c.ein"]],
  [["lib/*"], [], ["lib/test_d.ein"]],
  [["lib/**/?.ein"], [], ["lib/deep/b.ein", "lib/deep/er/c.ein"]],
  [["lib/**"], ["lib/**/er"], ["lib/deep/b.ein", "lib/test_d.ein"]],
  [["lib+(1)", "a.ein", "a.txt"], [], ["a.ein", "lib+(1)/e.ein"]],
  [["./src/../a.ein", "nowhere"], [], ["a.ein"]],
  [["node_modules/m"], [], ["node_modules/m/f.ein"]],
])("%j without %j", (include, exclude, expected) => {
  const folder = makeFolder(Object.fromEntries(FILES.map((f) => [f, ""])));
  expect(discover(folder.path, { include, exclude })).toEqual(expected);
  // What would be found later is what is found now.
  expect(FILES.filter(matcher({ include, exclude }))).toEqual(expected);
});

test("bases do not lie within each other", () => {
  expect(basesOf(["src/a/**", "src", "lib/*.ein", "lib/x/y.ein"])).toEqual(["lib", "src"]);
  expect(basesOf(["**/*.ein", "src"])).toEqual([""]);
});
