/** The benchmark in a page: a row of ours beside ONNX Runtime, built and opened as the command does, and the page by itself. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { missing, openInBrowser } from "../../bench/browser.ts";
import { AGREEMENT } from "../../bench/check.ts";
import config from "../../bench/page/vite.config.ts";
import { launchBrowser } from "./chromium.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fusum-bench-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a row beside ONNX Runtime, in headless Chromium", async () => {
  expect(missing()).toBeUndefined();
  expect(missing((name) => name !== "onnxruntime-web")).toBe(
    "not installed: onnxruntime-web. npm i -D onnxruntime-web",
  );
  const run = await openInBrowser({
    adapter: "software",
    only: "sum of 4 M",
    rounds: 1,
    source: "cpu",
    against: ["ort"],
  });
  try {
    const { adapter, browser, versions, roofline, rows } = run.conditions;
    expect(adapter.kind).toBe("software");
    expect(browser).toMatch(/^Chrome \d+$/);
    expect(versions["onnxruntime"]).toMatch(/^\d+\.\d+/);
    expect(Math.min(roofline.copy, roofline.flops)).toBeGreaterThan(1e6);
    expect(rows).toEqual(["sum of 4 M"]);
    const { ours, peers, failed } = await run.row(0);
    expect(failed).toEqual([]);
    expect(peers.map((p) => p.name)).toEqual(["onnxruntime"]);
    expect(peers[0]!.difference).toBeLessThan(AGREEMENT);
    for (const { ms } of [ours, ...peers]) expect(ms).toBeGreaterThan(0);
  } finally {
    await run.close();
  }
}, 300_000);

test("the page by itself compiles, checks and times its rows", async () => {
  const server = await createServer({
    ...config,
    configFile: false,
    logLevel: "silent",
    cacheDir: join(folder, "cache"),
    server: { ...config.server, port: 0, host: "localhost" },
  });
  await server.listen();
  const browser = await launchBrowser();
  try {
    const page = await browser.open(`${server.resolvedUrls!.local[0]!}?only=cumsum&rounds=1`);
    await page.run("return await fusumBench.row(0)");
    const text = (selector: string): Promise<unknown> =>
      page.run(`return [...document.querySelectorAll("${selector}")].map((c) => c.textContent)`);
    expect(await text("#rows td")).toEqual([
      expect.stringMatching(/^cumsum/),
      expect.stringMatching(/^\d+$/),
      expect.stringMatching(/^\d+$/),
      expect.stringMatching(/^[\d.e+]+$/),
      expect.stringMatching(/^[\d.]+ GB\/s$/),
    ]);
    expect(await text("#status")).toEqual(["1 of 1 rows, results checked"]);
  } finally {
    await browser.close();
    await server.close();
  }
}, 300_000);
