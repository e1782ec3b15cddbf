/** Builds: what is compiled anew, what is written and removed, and that nothing else decides the bytes. */
import { chmodSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildOnce, makeFolder, said } from "./folder.ts";
import { manySources } from "./generate.ts";

const SHARED = "export fn scale(x: f32[N], k: f32) { k * x }\n";
const USER = 'import { scale } from "./lib/shared"\nexport fn twice(x: f32[N]) { scale(x, 2.0) }\n';
const ALONE = "/// The sum.\nexport fn total(x: f32[N]) { sum(x) }\n";
const FILES = { "src/lib/shared.ein": SHARED, "src/user.ein": USER, "src/alone.ein": ALONE };
const CONFIG = { include: ["src"], rootDir: "src", outDir: "out" };
const INFO = "out/fusum.buildinfo.json";

describe("outputs", () => {
  test("lie below outDir as the sources lie below rootDir", async () => {
    const folder = makeFolder(FILES, { ...CONFIG, emit: ["module", "wgsl", "plans"], sourceMap: true });
    const report = await buildOnce(folder);
    expect(said(report)).toEqual([]);
    expect([...folder.outputs().keys()]).toEqual([
      "out/alone.ein.d.ts",
      "out/alone.ein.d.ts.map",
      "out/alone.ein.js",
      "out/alone.ein.js.map",
      "out/alone.total.plan.json",
      "out/alone.total.wgsl",
      INFO,
      "out/lib/shared.ein.d.ts",
      "out/lib/shared.ein.d.ts.map",
      "out/lib/shared.ein.js",
      "out/lib/shared.ein.js.map",
      "out/lib/shared.scale.plan.json",
      "out/lib/shared.scale.wgsl",
      "out/user.ein.d.ts",
      "out/user.ein.d.ts.map",
      "out/user.ein.js",
      "out/user.ein.js.map",
      "out/user.twice.plan.json",
      "out/user.twice.wgsl",
    ]);
    expect(JSON.parse(folder.read("out/lib/shared.ein.js.map"))).toMatchObject({
      sources: ["../../src/lib/shared.ein"],
    });
    expect(report.written).toHaveLength(18);
  });

  test("lie beside the sources without outDir", async () => {
    const folder = makeFolder(FILES, {});
    await buildOnce(folder);
    const names = [...folder.outputs().keys()];
    expect(names).toContain("src/lib/shared.ein.js");
    expect(names).toContain("fusum.buildinfo.json");
  });

  test("are none under noEmit", async () => {
    const folder = makeFolder({ ...FILES, "src/bad.ein": "export fn f(x: f32[3], y: f32[4]) { x + y }\n" }, CONFIG);
    expect(said(await buildOnce(folder, { noEmit: true }))).toEqual([
      "EIN1203 src/bad.ein: axis -1 of the operands of `+` must have the same extent, but 3 is not 4",
    ]);
    expect([...folder.outputs().keys()]).toEqual([]);
  });

  test("a folder that cannot be written is a diagnostic", async () => {
    const folder = makeFolder(FILES, { ...CONFIG, outDir: "blocked" });
    folder.put("blocked", "a file where the folder should be");
    await expect(buildOnce(folder)).rejects.toMatchObject({ diagnostic: { code: "EIN2007" } });
  });
});

describe("incremental", () => {
  test("only what depends on a change is compiled", async () => {
    const folder = makeFolder(FILES, CONFIG);
    expect(await buildOnce(folder)).toMatchObject({ compiled: 3, unchanged: 0 });
    expect(await buildOnce(folder)).toMatchObject({ compiled: 0, unchanged: 3, written: [] });
    folder.put("src/alone.ein", ALONE.replace("sum(x)", "mean(x)"));
    expect(await buildOnce(folder)).toMatchObject({
      compiled: 1,
      written: [join(folder.path, "out/alone.ein.d.ts"), join(folder.path, "out/alone.ein.js")].filter((p) =>
        p.endsWith(".js"),
      ),
    });
    folder.put("src/lib/shared.ein", SHARED.replace("k * x", "x * k + 1.0"));
    expect(await buildOnce(folder)).toMatchObject({ compiled: 2, unchanged: 1 });
    expect(await buildOnce(folder)).toMatchObject({ compiled: 0 });
  });

  test("the same text written again is no change, and unchanged outputs keep their times", async () => {
    const folder = makeFolder(FILES, CONFIG);
    await buildOnce(folder);
    const output = join(folder.path, "out/user.ein.js");
    const { mtimeMs, ino } = statSync(output);
    folder.put("src/user.ein", USER);
    expect(await buildOnce(folder)).toMatchObject({ compiled: 0 });
    expect(await buildOnce(folder, { incremental: false })).toMatchObject({ compiled: 3, written: [] });
    expect(statSync(output)).toMatchObject({ mtimeMs, ino });
  });

  test("a change of settings, a damaged output or a damaged build info compiles again", async () => {
    const folder = makeFolder(FILES, CONFIG);
    await buildOnce(folder);
    expect(await buildOnce(folder, { strict: true })).toMatchObject({ compiled: 3 });
    expect(await buildOnce(folder, { strict: true })).toMatchObject({ compiled: 0 });
    expect(await buildOnce(folder, { strict: true, fastMath: true })).toMatchObject({ compiled: 3 });
    await buildOnce(folder);
    const fine = folder.outputs();
    folder.put("out/user.ein.js", "edited");
    folder.remove("out/alone.ein.d.ts");
    expect(await buildOnce(folder)).toMatchObject({ compiled: 2 });
    expect(folder.outputs()).toEqual(fine);
    for (const text of ["{", "null", '{"format":1}', folder.read(INFO).replace('"reads"', '"reed"')]) {
      folder.put(INFO, text);
      expect(await buildOnce(folder)).toMatchObject({ compiled: 3 });
      expect(folder.outputs()).toEqual(fine);
    }
  });

  test("errors are said again, and warnings, by a build that compiles nothing", async () => {
    const files = {
      ...FILES,
      "src/bad.ein": "export fn f(x: f32[3], y: f32[4]) { x + y }\n",
      "src/open.ein": "export fn f(x: f32[N], s: const int) { x[::s] }\n",
    };
    const folder = makeFolder(files, CONFIG);
    const first = await buildOnce(folder);
    expect(first.diagnostics.map((d) => `${d.severity} ${d.code}`)).toEqual(["error EIN1203", "warning EIN1502"]);
    const second = await buildOnce(folder);
    expect(second).toMatchObject({ compiled: 0, diagnostics: first.diagnostics });
  });

  test("an import that was missing is found when it is there", async () => {
    const folder = makeFolder({ "src/user.ein": USER }, CONFIG);
    expect(said(await buildOnce(folder))).toEqual(['EIN1103 src/user.ein: cannot import "./lib/shared"']);
    folder.put("src/lib/shared.ein", SHARED);
    expect(said(await buildOnce(folder))).toEqual([]);
    folder.remove("src/lib/shared.ein");
    expect(said(await buildOnce(folder))).toEqual(['EIN1103 src/user.ein: cannot import "./lib/shared"']);
  });
});

describe("stale outputs", () => {
  test("of a source that is gone are removed, with the folders that they leave empty", async () => {
    const folder = makeFolder(FILES, CONFIG);
    await buildOnce(folder);
    folder.remove("src/lib");
    folder.put("src/user.ein", ALONE);
    const report = await buildOnce(folder);
    expect(report.removed).toEqual(
      ["out/lib/shared.ein.d.ts", "out/lib/shared.ein.js"].map((f) => join(folder.path, f)),
    );
    expect(existsSync(join(folder.path, "out/lib"))).toBe(false);
  });

  test("that somebody else wrote or edited stay", async () => {
    const folder = makeFolder(FILES, CONFIG);
    folder.put("out/lib/mine.js", "mine");
    await buildOnce(folder);
    folder.put("out/lib/shared.ein.js", "edited by hand");
    folder.remove("src/lib");
    folder.remove("src/user.ein");
    expect((await buildOnce(folder)).removed).toEqual([
      join(folder.path, "out/lib/shared.ein.d.ts"),
      ...["user.ein.d.ts", "user.ein.js"].map((f) => join(folder.path, "out", f)),
    ]);
    expect(folder.read("out/lib/mine.js")).toBe("mine");
    expect(folder.read("out/lib/shared.ein.js")).toBe("edited by hand");
  });

  test("stay while their source has errors, and go with it", async () => {
    const folder = makeFolder(FILES, CONFIG);
    await buildOnce(folder);
    const before = folder.read("out/alone.ein.js");
    folder.put("src/alone.ein", "export fn total(x: f32[N]) { sum(x }\n");
    expect((await buildOnce(folder)).diagnostics).not.toEqual([]);
    expect(folder.read("out/alone.ein.js")).toBe(before);
    expect(await buildOnce(folder, { strict: true })).toMatchObject({ compiled: 3, removed: [] });
    expect(folder.read("out/alone.ein.js")).toBe(before);
    folder.remove("src/alone.ein");
    expect((await buildOnce(folder)).removed).toHaveLength(2);
  });

  test("what a build that was killed left half-way is put right", async () => {
    const folder = makeFolder(FILES, CONFIG);
    await buildOnce(folder);
    const fine = folder.outputs();
    const info = JSON.parse(folder.read(INFO)) as object;
    // It had begun to replace one output, and had written another of a source that has gone since.
    folder.put(INFO, JSON.stringify({ ...info, pending: { "user.ein.js": "x", "gone.ein.js": "HASH" } }));
    folder.put("out/user.ein.js.123.tmp", "hal");
    folder.put("out/other.js.123.tmp", "not Fusum's");
    expect(await buildOnce(folder)).toMatchObject({ compiled: 0 });
    folder.remove("out/other.js.123.tmp");
    expect(folder.outputs()).toEqual(fine);
  });
});

test("the bytes depend on neither the order of the sources nor the number of threads nor the place", async () => {
  const files = Object.fromEntries(manySources(24));
  const config = { ...CONFIG, emit: ["module", "plans"], sourceMap: true };
  const first = makeFolder(files, config);
  await buildOnce(first);
  const second = makeFolder(Object.fromEntries(Object.entries(files).reverse()), config);
  // In this process much has been compiled before: counters stand elsewhere.
  await buildOnce(second, {}, { workers: 1 });
  expect(second.outputs()).toEqual(first.outputs());
  expect(first.outputs().size).toBeGreaterThan(60);
}, 120_000);

test("a source that cannot be read, or is no text, is a diagnostic", async () => {
  const folder = makeFolder(FILES, CONFIG);
  writeFileSync(join(folder.path, "src/alone.ein"), Uint8Array.of(0x2f, 0x2f, 0xe9));
  expect((await buildOnce(folder)).diagnostics.map((d) => d.code)).toEqual(["EIN1006"]);
  folder.put("src/alone.ein", ALONE);
  if (process.getuid?.() === 0) return;
  chmodSync(join(folder.path, "src/user.ein"), 0);
  expect((await buildOnce(folder)).diagnostics.map((d) => d.code)).toEqual(["EIN2001"]);
});

test("names in the configuration that nothing answers to are warnings", async () => {
  const folder = makeFolder(FILES, {
    ...CONFIG,
    extents: { N: 8, Nn: 8 },
    consts: { k: 1 },
    specialise: { twise: [] },
    target: [{ features: ["subgroups"] }, { features: ["shader-f16", "subgrups", "chromium-experimental-any"] }],
  });
  expect(said(await buildOnce(folder))).toEqual([
    "EIN2105 fusum.config.json: no exported function has an extent `Nn`",
    "EIN2105 fusum.config.json: no exported function has a constant `k`",
    "EIN2105 fusum.config.json: no source exports a function `twise`",
    "EIN2105 fusum.config.json: WebGPU has no feature `subgrups`",
  ]);
  expect(folder.read("out/user.ein.js")).toMatch(/\b8\b/);
});

test("a schedule cache that is none is a warning, and one more reason to compile when it changes", async () => {
  const folder = makeFolder({ ...FILES, "tuned.json": "{" }, { ...CONFIG, schedules: "tuned.json" });
  expect((await buildOnce(folder)).diagnostics.map((d) => `${d.severity} ${d.code}`)).toEqual(["warning EIN3001"]);
  folder.put("tuned.json", '{ "format": "fusum schedules 1", "entries": [] }');
  expect(await buildOnce(folder)).toMatchObject({ diagnostics: [], compiled: 3 });
  expect(await buildOnce(folder)).toMatchObject({ diagnostics: [], compiled: 0 });
});

test("a project without sources says so, and one whose source lies outside rootDir", async () => {
  const empty = makeFolder({}, {});
  expect(said(await buildOnce(empty))).toEqual(["EIN2103 fusum.config.json: the project has no sources"]);
  const outside = makeFolder({ ...FILES, "other/x.ein": ALONE }, { rootDir: "src" });
  expect(said(await buildOnce(outside))).toEqual(["EIN2104 fusum.config.json: other/x.ein is not below rootDir"]);
});
