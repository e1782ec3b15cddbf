/** A build that is killed at any moment leaves whole files only, and the next build puts everything right. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { makeFolder } from "./folder.ts";
import { manySources } from "./generate.ts";

const MAIN = resolve(import.meta.dirname, "../../src/cli/main.ts");
const SOURCES = 24;
const KILLS = 20;

/** Mulberry32: the same moments in every run of the test, as far as a clock can give them. */
function randomNumbers(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

function start(cwd: string): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, "build"], { cwd, stdio: "ignore" });
  return { child, ended: new Promise((done) => child.on("exit", (code) => done(code))) };
}

async function finish(cwd: string): Promise<number> {
  const begin = performance.now();
  expect(await start(cwd).ended).toBe(0);
  return performance.now() - begin;
}

test(`killed ${KILLS} times, half of them while it writes`, async () => {
  const config = (n: number): string =>
    JSON.stringify({ include: ["src"], rootDir: "src", outDir: "out", emit: ["module", "plans"], extents: { N: n } });
  const folder = makeFolder(Object.fromEntries(manySources(SOURCES)), config(8));
  const first = await finish(folder.path);
  const wanted = [folder.outputs()];
  folder.put("fusum.config.json", config(16));
  const duration = Math.min(first, await finish(folder.path));
  wanted.push(folder.outputs());
  const differing = [...wanted[0]!].filter(([name, text]) => wanted[1]!.get(name) !== text);
  expect(differing.length).toBeGreaterThan(SOURCES);

  const random = randomNumbers(5);
  let interrupted = 0;
  for (let i = 0; i < KILLS; i++) {
    folder.put("fusum.config.json", config(i % 2 === 0 ? 8 : 16));
    // Half begin with nothing, the others replace what is there.
    if (i % 4 < 2 && existsSync(join(folder.path, "out"))) folder.remove("out");
    const before = folder.outputs();
    const { child, ended } = start(folder.path);
    if (i % 2 === 0) await pause(random() * duration);
    else {
      const changed = (): boolean => {
        try {
          return [...folder.outputs()].some(([name, text]) => before.get(name) !== text);
        } catch {
          // A temporary file was renamed between being listed and being read.
          return true;
        }
      };
      while (child.exitCode === null && !changed()) await pause(1);
      await pause(random() * 20);
    }
    child.kill("SIGKILL");
    if ((await ended) === null) interrupted++;
    for (const [name, text] of folder.outputs()) {
      if (name.endsWith(".tmp")) continue;
      if (name.endsWith("buildinfo.json")) expect(() => JSON.parse(text) as unknown, name).not.toThrow();
      else expect([name, wanted.some((w) => w.get(name) === text)]).toEqual([name, true]);
    }
  }
  expect(interrupted).toBeGreaterThan(KILLS / 2);
  await finish(folder.path);
  expect(folder.outputs()).toEqual(wanted[1]);
}, 900_000);
