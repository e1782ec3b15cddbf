/** Configurations: what is read from them, and what is said about wrong ones, with its place. */
import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/project/config.ts";
import { CONFIG_NAME, configAt, findConfig } from "../../src/project/find.ts";
import { initialConfig, writeInitialConfig } from "../../src/project/init.ts";
import { projectOf } from "../../src/project/project.ts";
import { readSchema } from "../../src/project/schema.ts";
import { makeFolder, openProject } from "./folder.ts";

/** Each diagnostic as `code message`, with the text that it points at. */
async function complaints(text: string): Promise<string[]> {
  const folder = makeFolder({}, text);
  const read = await readConfig(`${folder.path}/${CONFIG_NAME}`, CONFIG_NAME);
  return read.diagnostics.map((d) => {
    const { start, end } = d.labels[0]!.span;
    return `${d.code} ${d.message} @ ${read.text.slice(start, end)}`;
  });
}

describe("valid", () => {
  test("comments, trailing commas, a byte order mark", async () => {
    const folder = makeFolder({ "a.ein": "" }, '\uFEFF// sources\n{ "include": ["*.ein",], /* none */ "exclude": [] }');
    const project = await openProject(folder);
    expect(project.diagnostics).toEqual([]);
    expect(project.find()).toEqual(["a.ein"]);
  });

  test("every option that the schema has", async () => {
    const folder = makeFolder({ "src/a.ein": "", "schedules.json": "{}" });
    folder.put(
      CONFIG_NAME,
      JSON.stringify({
        $schema: "./fusum.schema.json",
        include: ["src"],
        exclude: ["src/old"],
        rootDir: "src",
        outDir: "out",
        emit: ["module", "wgsl", "plans"],
        sourceMap: true,
        arbitraryExtensions: true,
        target: [
          {
            features: ["subgroups", "shader-f16"],
            subgroupMinSize: 32,
            subgroupMaxSize: 32,
            subgroupMatrices: [{ component: "f16", result: "f32", m: 16, n: 16, k: 16 }],
            kind: "gpu",
          },
          { limits: { maxComputeWorkgroupStorageSize: 32768 } },
        ],
        extents: { B: 1 },
        consts: { stride: 2, mode: "sum", axes: [0, 1], fast: true },
        specialise: { f: [{ extents: { B: 2 }, consts: { k: 1 }, provided: ["bias"], shapes: { x: [2, 3] } }] },
        schedules: "schedules.json",
        strict: true,
        fastMath: true,
        incremental: false,
        buildInfo: "info.json",
      }),
    );
    const schema = readSchema() as { readonly properties: object };
    expect(Object.keys(JSON.parse(folder.read(CONFIG_NAME))).sort()).toEqual(Object.keys(schema.properties).sort());
    const project = await openProject(folder);
    expect(project.diagnostics).toEqual([]);
    expect(project.unit.targets.map((t) => [t.features, t.kind, t.limits.maxComputeWorkgroupStorageSize])).toEqual([
      [["shader-f16", "subgroups"], "gpu", 16384],
      [[], "none", 32768],
    ]);
    expect(project.buildInfo).toBe(`${folder.path}/out/info.json`);
    expect(project.unit).toMatchObject({ rootDir: "src", strict: true, sourceMap: true, extents: { B: 1 } });
  });

  test("what --init writes", async () => {
    for (const src of [true, false]) {
      const folder = makeFolder(src ? { "src/a.ein": "" } : { "a.ein": "" });
      expect(writeInitialConfig(folder.path)).toBe(`${folder.path}/${CONFIG_NAME}`);
      expect(folder.read(CONFIG_NAME)).toBe(initialConfig(src));
      expect(writeInitialConfig(folder.path)).toBeUndefined();
      const project = await openProject(folder);
      expect(project.diagnostics).toEqual([]);
      expect(project.find()).toEqual([src ? "src/a.ein" : "a.ein"]);
      expect(project.unit.sourceMap).toBe(true);
    }
  });

  test("the command line goes first", async () => {
    const folder = makeFolder({ "a.ein": "" }, { outDir: "out", emit: ["module"], extents: { N: 1, M: 2 } });
    const project = await openProject(folder, { outDir: `${folder.path}/other`, emit: ["plans"], extents: { N: 3 } });
    expect(project.outDir).toBe(`${folder.path}/other`);
    expect(project.unit).toMatchObject({ emit: ["plans"], extents: { N: 3, M: 2 } });
  });
});

describe("wrong", () => {
  test.each([
    ['{ "include": ["src"] "outDir": "x" }', ['EIN2101 the configuration is not valid JSON @ "outDir"']],
    ["", ["EIN2101 the configuration is empty @ "]],
    ["[]", ["EIN2102 the configuration must be an object @ ["]],
    ['{ "outdir": "x" }', ['EIN2102 there is no option `outdir` @ "outdir"']],
    ['{ "outDir": 3 }', ["EIN2102 `outDir` must be a string @ 3"]],
    ['{ "include": "src" }', ['EIN2102 `include` must be a list @ "src"']],
    ['{ "include": ["src", 1] }', ["EIN2102 `include[1]` must be a string @ 1"]],
    ['{ "emit": ["module", "wasm"] }', ['EIN2102 `emit[1]` cannot be "wasm" @ "wasm"']],
    ['{ "emit": ["wgsl", "wgsl"] }', ['EIN2102 `emit` holds a value twice @ "wgsl"']],
    ['{ "extents": { "B": -1 } }', ["EIN2102 `extents.B` must be at least 0 @ -1"]],
    ['{ "extents": { "B": 1.5 } }', ["EIN2102 `extents.B` must be an integer @ 1.5"]],
    ['{ "consts": { "k": null } }', ["EIN2102 `consts.k` must be a number, true or false, a string or a list @ null"]],
    ['{ "target": { "feature": [] } }', ['EIN2102 there is no option `feature` in `target` @ "feature"']],
    [
      '{ "target": [{ "limits": { "maxBufferSize": 1 } }] }',
      ["EIN2102 `target[0].limits.maxBufferSize` must be at least 268435456 @ 1"],
    ],
    ['{ "target": 3 }', ["EIN2102 `target` must be an object or a list @ 3"]],
    ['{ "outDir": "a", "outDir": "b" }', ['EIN2102 `outDir` is given twice @ "outDir"']],
    ['{ "outDir": "" }', ['EIN2102 `outDir` must not be empty @ ""']],
    [
      '{ "specialise": { "f": [{ "extent": {} }] } }',
      ['EIN2102 there is no option `extent` in `specialise.f[0]` @ "extent"'],
    ],
    ['{ "fastMath": 1 }', ["EIN2102 `fastMath` must be true or false @ 1"]],
    [
      '{ "outDir": 1, "sourceMap": "yes" }',
      ["EIN2102 `outDir` must be a string @ 1", 'EIN2102 `sourceMap` must be true or false @ "yes"'],
    ],
  ])("%s", async (text, expected) => {
    expect(await complaints(text)).toEqual(expected);
  });

  test("names that are near are suggested, with a fix", async () => {
    const folder = makeFolder({}, '{ "sourcemap": true }');
    const [d] = (await readConfig(`${folder.path}/${CONFIG_NAME}`, CONFIG_NAME)).diagnostics;
    expect(d?.labels[0]?.text).toBe("did you mean `sourceMap`?");
    expect(d?.fix?.edits[0]?.text).toBe('"sourceMap"');
  });

  test("paths that are not there, or outside", async () => {
    const folder = makeFolder({}, { include: ["src", "../other"], rootDir: "lib", schedules: "tuned.json" });
    const { diagnostics } = projectOf(await readConfig(`${folder.path}/${CONFIG_NAME}`, CONFIG_NAME), {});
    expect(diagnostics.map((d) => [d.code, d.message])).toEqual([
      ["EIN2104", "there is no src"],
      ["EIN2104", '"../other" is outside the project'],
      ["EIN2104", "there is no folder lib"],
      ["EIN2104", "there is no file tuned.json"],
    ]);
  });

  test("a build info that would replace something else", async () => {
    for (const buildInfo of ["a.ein", CONFIG_NAME, "."]) {
      const folder = makeFolder({ "a.ein": "" }, { buildInfo });
      const { diagnostics } = projectOf(await readConfig(`${folder.path}/${CONFIG_NAME}`, CONFIG_NAME), {});
      expect(diagnostics.map((d) => d.message)).toEqual([`${buildInfo} is not a build info, and would be overwritten`]);
    }
    const folder = makeFolder({ "b.json": '{ "format": 7, "compiler": "9.0" }' }, { buildInfo: "b.json" });
    expect(projectOf(await readConfig(`${folder.path}/${CONFIG_NAME}`, CONFIG_NAME), {}).diagnostics).toEqual([]);
  });
});

test("the configuration is found in the folder or above it", () => {
  const folder = makeFolder({ "a/b/c.ein": "" }, {});
  expect(findConfig(`${folder.path}/a/b`)).toBe(`${folder.path}/${CONFIG_NAME}`);
  expect(configAt(folder.path)).toBe(`${folder.path}/${CONFIG_NAME}`);
  expect(configAt(`${folder.path}/${CONFIG_NAME}`)).toBe(`${folder.path}/${CONFIG_NAME}`);
  expect(configAt(`${folder.path}/a`)).toBeUndefined();
});
