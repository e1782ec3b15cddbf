/** The plugin in a browser: Vite's dev server with hot replacement, and its build, of the example. */
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build, createServer, type InlineConfig, preview } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import fusum from "../../src/plugin/vite.ts";
import { type Browser, launchBrowser, type Page } from "./chromium.ts";

const example = resolve(import.meta.dirname, "../../examples/vite-app");
let browser: Browser;
let folder: string;
beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "fusum-vite-")));
  cpSync(example, folder, { recursive: true });
  browser = await launchBrowser();
}, 300_000);
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const config = (): InlineConfig => ({
  root: folder,
  configFile: false,
  logLevel: "silent",
  plugins: [fusum()],
  server: { port: 0, host: "localhost" },
  preview: { port: 0, host: "localhost" },
});

/** Waits until the page's status says something that fits. */
async function status(page: Page, pattern: RegExp): Promise<string> {
  const body = `
    for (const end = performance.now() + 100000; performance.now() < end; ) {
      const text = document.querySelector("#status").textContent;
      if (${pattern}.test(text)) return text;
      await new Promise((done) => setTimeout(done, 50));
    }
    return "after 100 s: " + document.querySelector("#status").textContent;`;
  const text = await page.run(body);
  expect(text).toMatch(pattern);
  return String(text);
}

/** The canvas on the page, copied: the mean of each channel, and how much neighbours in a row differ. */
async function measure(page: Page): Promise<{ readonly mean: readonly number[]; readonly rough: number }> {
  return (await page.run(`
    const canvas = document.querySelector("#canvas");
    const { width, height } = canvas;
    const copy = canvas.getContext("2d");
    const { data } = copy.getImageData(0, 0, width, height);
    const sum = [0, 0, 0, 0];
    let rough = 0;
    for (let i = 0; i < data.length; i++) {
      sum[i % 4] += data[i];
      if (i >= 4) rough += Math.abs(data[i] - data[i - 4]) / data.length;
    }
    return { mean: sum.map((s) => s / (width * height)), rough };`)) as { mean: number[]; rough: number };
}

test("the dev server's page filters its picture; an edited pipeline is replaced in place", async () => {
  const server = await createServer(config());
  await server.listen();
  try {
    const page = await browser.open(server.resolvedUrls!.local[0]!);
    await status(page, /^blur of 640 × 448 pixels in [\d.]+ ms$/);
    const blurred = await measure(page);
    expect(blurred.mean[3]).toBe(255);
    expect(Math.min(...blurred.mean)).toBeGreaterThan(20);

    // A mark on the page survives a replacement, but not a reload.
    await page.run("globalThis.mark = 1; document.querySelector('#status').textContent = 'waiting'");
    const source = join(folder, "src/pipeline.ein");
    const text = readFileSync(source, "utf8");
    const edited = text.replace(
      "{ packed(smooth(channels(pixels), sigma)) }",
      "{ packed(1 - smooth(channels(pixels), sigma)) }",
    );
    expect(edited).not.toBe(text);
    writeFileSync(source, edited);
    await status(page, /^blur of 640 × 448/);
    expect(await page.run("return globalThis.mark")).toBe(1);
    const negative = await measure(page);
    // A channel and its negative make 255, and either is rounded to a whole number.
    for (const [c, value] of negative.mean.slice(0, 3).entries())
      expect(Math.abs(value + blurred.mean[c]! - 255)).toBeLessThanOrEqual(1);

    // An error is shown over the page, at its place; the page itself goes on.
    writeFileSync(source, edited.replace("1 - smooth", "1 - smoth"));
    const overlay = await page.run(`
      for (let i = 0; i < 400; i++) {
        const root = document.querySelector("vite-error-overlay")?.shadowRoot;
        if (root) return { message: root.querySelector(".message").textContent, file: root.querySelector(".file").textContent, frame: root.querySelector(".frame").textContent };
        await new Promise((done) => setTimeout(done, 50));
      }`);
    expect(overlay).toMatchObject({
      message: expect.stringMatching(/EIN1101: there is nothing called `smoth` here/),
      file: expect.stringMatching(/pipeline\.ein:\d+:\d+/),
      frame: expect.stringMatching(/smoth.*\n.*\^\^\^\^\^/),
    });
    writeFileSync(source, text);
    await page.run("document.querySelector('#status').textContent = 'waiting'");
    await status(page, /^blur of 640 × 448/);
    expect(await page.run("return globalThis.mark")).toBe(1);
    expect((await measure(page)).mean).toEqual(blurred.mean);
    await page.close();
  } finally {
    await server.close();
  }
}, 300_000);

test("the build does the same", async () => {
  await build(config());
  const server = await preview(config());
  try {
    const page = await browser.open(server.resolvedUrls!.local[0]!);
    await status(page, /^blur of 640 × 448/);
    const rough: Record<string, number> = { blur: (await measure(page)).rough };
    for (const name of ["sharpen", "edges"]) {
      await page.run(`
        const choice = document.querySelector("[name=filter]");
        choice.value = "${name}";
        choice.dispatchEvent(new Event("change"));`);
      await status(page, new RegExp(`^${name} of`));
      rough[name] = (await measure(page)).rough;
    }
    expect(rough["sharpen"]).toBeGreaterThan(1.2 * rough["blur"]!);
    await page.close();
  } finally {
    await server.close();
  }
}, 300_000);
