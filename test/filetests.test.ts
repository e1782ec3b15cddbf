/** Every file of test/filetests, checked or (FUSUM_BLESS=1, `npm run filetests -- --bless`) given its expectations anew. */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Device } from "../runtime/index.ts";
import { openTestDevice } from "./device.ts";
import { blessed, parseFiletest } from "./filetests/format.ts";
import { runFiletest } from "./filetests/run.ts";

const FOLDER = join(import.meta.dirname, "filetests");
const BLESS = process.env["FUSUM_BLESS"] === "1";
const FILTER = process.env["FUSUM_FILETESTS"] ?? "";
const files = globSync("**/*.{ein,fir}", { cwd: FOLDER })
  .sort()
  .filter((f) => f.includes(FILTER));

let opened: Promise<Device> | undefined;
const device = (): Promise<Device> => {
  opened ??= openTestDevice();
  return opened;
};
afterAll(async () => (await opened)?.close());

describe("filetests", () => {
  test.each(files)("%s", async (file) => {
    const path = join(FOLDER, file);
    const text = readFileSync(path, "utf8");
    const t = parseFiletest(text);
    const got = await runFiletest(t, file, device);
    if (BLESS) writeFileSync(path, blessed(t, got));
    else expect(blessed(t, got)).toBe(text);
  });
});

test("a wrong expectation is seen", () => {
  const t = parseFiletest("// input x: f32[2] = 1 2\ninput x: f32[i:2]\nresult y = x\n");
  const text = blessed(t, "// result y: f32[2] = 1 3\n");
  expect(parseFiletest(text).expected).toBe("// result y: f32[2] = 1 3\n");
  expect(blessed(parseFiletest(text), "// result y: f32[2] = 1 2\n")).not.toBe(text);
});

test.each(["// run: interpreters\n", "// input x f32[2] = 1 2\n", "// input x: f32[3] = 1 2\n", "// check: ast\n"])(
  "a directive that cannot be read: %s",
  (text) => {
    expect(() => parseFiletest(text)).toThrow(/^line 1/);
  },
);
