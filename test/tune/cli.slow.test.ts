/** `fusum tune`, and `fusum run` with what it found, as processes. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { readCache } from "../../src/tune/cache.ts";
import type { Report } from "../../src/tune/report.ts";

vi.setConfig({ testTimeout: 240_000 });

const MAIN = resolve(import.meta.dirname, "../../src/cli/main.ts");
const folder = mkdtempSync(join(tmpdir(), "fusum-tune-"));
afterAll(() => rmSync(folder, { recursive: true }));

const file = join(folder, "f.ein");
writeFileSync(
  file,
  "export fn scale(x: f32[N], a: f32) { x * a + 1 }\nexport fn needs(x: f32[N], k: const int) { x * k }\n",
);

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function fusum(...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? "", NO_COLOR: "1" };
  return new Promise((done) => {
    const child = execFile(process.execPath, ["--no-warnings", MAIN, ...args], { env }, (_, out, err) =>
      done({ code: child.exitCode ?? -1, out, err }),
    );
  });
}

const TUNE = ["tune", file, "--adapter", "software", "--trials", "3", "--budget", "30s"] as const;

test("what was found is printed, and kept in a cache that run takes", async () => {
  const cache = join(folder, "schedules.json");
  writeFileSync(cache, "{ cut o");
  const first = await fusum(...TUNE, "scale", "--extent", "N=4096", "--out", cache);
  expect(first.code, first.err).toBe(0);
  expect(first.out).toMatch(/^scale on .*\n {2}region +kind +default +tuned +reached +tried +schedule\n/);
  expect(first.out.trimEnd().endsWith(cache)).toBe(true);
  expect(first.err).toContain("EIN3001");
  expect(readCache(readFileSync(cache, "utf8")).cache.entries).toHaveLength(1);

  const second = await fusum(...TUNE, "scale", "--sizes", "N=100", "--out", cache, "--json");
  expect(second.code, second.err).toBe(0);
  const report = JSON.parse(second.out) as { functions: Report[]; skipped: unknown[]; written: string };
  expect(report.written).toBe(cache);
  expect(report.functions[0]?.sizes).toEqual({ N: 100 });
  expect(report.functions[0]?.reached).toBeLessThanOrEqual(1);
  // Added to, not replaced: free and fixed extents are other kernels.
  expect(readCache(readFileSync(cache, "utf8")).cache.entries).toHaveLength(2);

  const run = await fusum(
    "run",
    file,
    "scale",
    "--adapter",
    "software",
    "--input",
    "x=[1,2]",
    "--input",
    "a=3",
    "--schedules",
    cache,
  );
  expect(run.out).toContain("4");
  writeFileSync(cache, "[]");
  const odd = await fusum(
    "run",
    file,
    "scale",
    "--adapter",
    "software",
    "--input",
    "x=[1,2]",
    "--input",
    "a=3",
    "--schedules",
    cache,
  );
  expect(odd.code).toBe(0);
  expect(odd.err).toContain("warning EIN3001");
});

test("a function that cannot be tuned is skipped beside others; alone it is an error", async () => {
  const both = await fusum(...TUNE);
  expect(both.code, both.err).toBe(0);
  expect(both.out).toContain("needs: skipped");
  const alone = await fusum(...TUNE, "needs");
  expect(alone.code).toBe(1);
});

test("usage", async () => {
  for (const [args, words] of [
    [["--budget", "soon"], "--budget"],
    [["--sizes", "N"], "--sizes"],
    [["--trials", "-1"], "--trials"],
    [["nothing"], "no exported function nothing"],
  ] as const) {
    const { code, err } = await fusum("tune", file, ...args);
    expect(code, args.join(" ")).toBe(2);
    expect(err).toContain(words);
  }
  expect(
    (await fusum("run", file, "scale", "--input", "x=[1]", "--input", "a=1", "--schedules", join(folder, "no.json")))
      .code,
  ).toBe(2);
  expect(existsSync(join(folder, "no.json"))).toBe(false);
});
