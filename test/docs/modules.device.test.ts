/** Every TypeScript example of README.md and docs/ runs in Node as it stands, prints what its comments say, and ends by itself. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { openDevice } from "../../runtime/node.ts";
import { codeBlocks, ROOT } from "./blocks.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "fusum-docs-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The sources behind the package's entries. */
const ENTRIES: Readonly<Record<string, string>> = { fusum: "src/index.ts", "fusum/node": "src/node/index.ts" };

const blocks = codeBlocks("ts");

describe("TypeScript examples", () => {
  test("there are some, none of them excepted", () => {
    expect(blocks.length).toBeGreaterThan(6);
    expect(blocks.filter((b) => b.mark !== "")).toEqual([]);
    // Imported here too, so that `test/run.ts --device` knows that this file opens devices.
    expect(typeof openDevice).toBe("function");
  });
  test.each(blocks.map((b, i) => ({ ...b, i })))("$name", async ({ source, i }) => {
    const file = join(folder, `example${i}.ts`);
    const text = source.replaceAll(/ from "(fusum[^"]*)"/g, (whole, name: string) => {
      const entry = ENTRIES[name];
      return entry === undefined ? whole : ` from "${new URL(entry, ROOT).href}"`;
    });
    writeFileSync(file, text);
    const said = [...source.matchAll(/^\s*(?:if \(.*?\) )?console\.log\(.*\); \/\/ (.*)$/gm)].map((m) => m[1]);
    const { stdout } = await run(process.execPath, ["--no-warnings", file], { timeout: 50_000 });
    expect(said.length).toBeGreaterThan(0);
    expect(stdout.trimEnd().split("\n")).toEqual(said);
  });
});
