/** Watching: what is built again after which change, and that nothing ends it. */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { BuildReport } from "../../src/project/build.ts";
import { watchProject } from "../../src/project/watch.ts";
import { type Folder, makeFolder, openProject, said } from "./folder.ts";

// The compiler is loaded with the first build, which takes long on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const SHARED = "export fn scale(x: f32[N], k: f32) { k * x }\n";
const USER = 'import { scale } from "./shared"\nexport fn twice(x: f32[N]) { scale(x, 2.0) }\n';
const ALONE = "export fn total(x: f32[N]) { sum(x) }\n";
const FILES = { "src/shared.ein": SHARED, "src/user.ein": USER, "src/alone.ein": ALONE };
const CONFIG = { include: ["src"], rootDir: "src", outDir: "out" };

interface Watched {
  /** The report of the next build. */
  readonly next: () => Promise<BuildReport>;
  /** Reports that nobody asked for yet. */
  readonly waiting: () => number;
  readonly errors: readonly unknown[];
  readonly stop: () => Promise<void>;
}

function startWatching(folder: Folder): Watched {
  const reports: BuildReport[] = [];
  const errors: unknown[] = [];
  let wake: () => void = () => undefined;
  const stop = new AbortController();
  const ended = watchProject(
    () => openProject(folder),
    "test",
    {
      workers: 0,
      onStart: () => undefined,
      onReport: (report) => {
        reports.push(report);
        wake();
      },
      onError: (error) => {
        errors.push(error);
        wake();
      },
    },
    stop.signal,
  );
  const end = async (): Promise<void> => {
    stop.abort();
    await ended;
  };
  onTestFinished(end);
  return {
    next: async () => {
      while (reports.length === 0) {
        if (errors.length > 0) throw errors[0];
        await new Promise<void>((done) => (wake = done));
      }
      return reports.shift()!;
    },
    waiting: () => reports.length,
    errors,
    stop: end,
  };
}

/** The next report of a kind; every other before it has failed to open the project. */
async function firstOf(w: Watched, is: (report: BuildReport) => boolean): Promise<BuildReport> {
  for (;;) {
    const report = await w.next();
    if (is(report)) return report;
    expect(report).toMatchObject({ compiled: 0, written: [] });
  }
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

test("a change compiles what depends on it; errors and deletions are survived; new sources are found", async () => {
  const folder = makeFolder(FILES, CONFIG);
  const w = startWatching(folder);
  expect(await w.next()).toMatchObject({ compiled: 3, diagnostics: [] });

  folder.put("src/alone.ein", ALONE.replace("sum", "mean"));
  expect(await w.next()).toMatchObject({ compiled: 1, unchanged: 2, written: [join(folder.path, "out/alone.ein.js")] });

  folder.put("src/shared.ein", SHARED.replace("k * x", "k + x"));
  expect(await w.next()).toMatchObject({ compiled: 2, unchanged: 1 });

  folder.put("src/shared.ein", "export fn scale(x: f32[N], k: f32) { k *");
  const broken = await w.next();
  expect(broken.compiled).toBe(2);
  expect([...new Set(broken.diagnostics.map((d) => d.labels[0]?.span.file))]).toEqual(["src/shared.ein"]);

  folder.remove("src/shared.ein");
  expect(said(await w.next())).toEqual(['EIN1103 src/user.ein: cannot import "./shared"']);

  folder.put("src/shared.ein", SHARED);
  expect(await w.next()).toMatchObject({ compiled: 2, diagnostics: [] });

  // Editors write beside the file and rename.
  folder.put("src/alone.ein~", ALONE.replace("sum", "max"));
  renameSync(join(folder.path, "src/alone.ein~"), join(folder.path, "src/alone.ein"));
  expect(await w.next()).toMatchObject({ compiled: 1 });

  folder.put("src/deep/er/new.ein", ALONE);
  expect((await w.next()).written).toContain(join(folder.path, "out/deep/er/new.ein.js"));

  folder.remove("src/deep");
  expect((await w.next()).removed).toContain(join(folder.path, "out/deep/er/new.ein.js"));
  expect(w.errors).toEqual([]);
});

test("a touch is no change, nor is a file that is no source", async () => {
  const folder = makeFolder(FILES, CONFIG);
  const w = startWatching(folder);
  await w.next();
  folder.put("src/alone.ein", ALONE);
  folder.put("src/notes.txt", "…");
  folder.put("elsewhere/x.ein", "export fn");
  folder.put("node_modules/m/x.ein", "export fn");
  await pause(200);
  expect(w.waiting()).toBe(0);
  folder.put("src/alone.ein", ALONE.replace("sum", "mean"));
  expect(await w.next()).toMatchObject({ compiled: 1 });
});

test("no write is missed, however soon after another it comes", async () => {
  const folder = makeFolder(FILES, CONFIG);
  const w = startWatching(folder);
  await w.next();
  for (let i = 0; i < 20; i++) {
    // A formatter: the second write comes when the first is being built.
    folder.put("src/alone.ein", ALONE.replace("sum(x)", `sum(x) + ${2 * i}.0`));
    expect(await w.next()).toMatchObject({ compiled: 1 });
    folder.put("src/alone.ein", ALONE.replace("sum(x)", `sum(x) + ${2 * i + 1}.0`));
    expect(await w.next()).toMatchObject({ compiled: 1 });
  }
  for (let i = 0; i < 5; i++) {
    folder.remove("src/alone.ein");
    expect((await w.next()).removed).toContain(join(folder.path, "out/alone.ein.js"));
    folder.put("src/alone.ein", ALONE);
    expect(await w.next()).toMatchObject({ compiled: 1 });
  }
});

test("the configuration is read again when it changes, and may be wrong for a while", async () => {
  const folder = makeFolder({ ...FILES, "lib/other.ein": ALONE }, CONFIG);
  const w = startWatching(folder);
  expect(await w.next()).toMatchObject({ compiled: 3 });
  folder.put("fusum.config.json", '{ "includes": ["lib"] }');
  expect(said(await w.next())).toEqual(["EIN2102 fusum.config.json: there is no option `includes`"]);
  folder.put("fusum.config.json", JSON.stringify({ include: ["lib"], outDir: "out2" }));
  // One write can come as two changes: then the wrong configuration is told twice.
  const { written } = await firstOf(w, (report) => report.diagnostics.length === 0);
  expect(written).toContain(join(folder.path, "out2/lib/other.ein.js"));
  folder.put("lib/other.ein", ALONE.replace("sum", "mean"));
  expect(await w.next()).toMatchObject({ compiled: 1 });
});

test("imports from beside the sources are watched, also where there was none", async () => {
  const user = USER.replace("./shared", "../lib/shared");
  const folder = makeFolder({ "src/user.ein": user, "lib/readme.txt": "" }, CONFIG);
  const w = startWatching(folder);
  expect(said(await w.next())).toEqual(['EIN1103 src/user.ein: cannot import "../lib/shared"']);
  await pause(100);
  folder.put("lib/shared.ein", SHARED);
  expect(await w.next()).toMatchObject({ compiled: 1, diagnostics: [] });
  await pause(100);
  folder.put("lib/shared.ein", SHARED.replace("k * x", "k - x"));
  expect(await w.next()).toMatchObject({ compiled: 1, diagnostics: [] });
});
