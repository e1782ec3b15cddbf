/** What the plugin makes, from what, and what it says: through esbuild and Rollup, which start quickly. */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { context } from "esbuild";
import { rollup } from "rollup";
import { describe, expect, test } from "vitest";
import { type CompiledSource, openCompiler } from "../../src/plugin/compiler.ts";
import esbuildPlugin from "../../src/plugin/esbuild.ts";
import type { FusumOptions } from "../../src/plugin/options.ts";
import rollupPlugin from "../../src/plugin/rollup.ts";
import { ATTENTION, LINEAR_GELU } from "../module/support.ts";
import { type Folder, makeFolder } from "../project/folder.ts";
import { BUNDLERS } from "./bundlers.ts";

const SCALE = "export fn scale(x: f32[N, D], k: f32) { k * x }\n";

const compileIn = (folder: Folder, name: string, options: FusumOptions = {}): Promise<CompiledSource> =>
  openCompiler(options).compile(join(folder.path, name));

const texts = (c: CompiledSource): readonly string[] => c.messages.map((m) => m.text);

describe("size", () => {
  test.each([
    ["matmul, bias and gelu", "linear_gelu", LINEAR_GELU, 4096],
    ["attention with its gradient", "attention, attention_grad", ATTENTION, 12 * 1024],
  ])("%s takes as little as it says, gzipped", async (_, names, source, most) => {
    const folder = makeFolder({ "main.js": `export { ${names} } from "./x.ein";\n`, "x.ein": source });
    const { code, errors } = await BUNDLERS.esbuild(folder.path, "main.js", {});
    expect(errors).toEqual([]);
    expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(most);
  });

  test("a module that nobody uses leaves nothing behind", async () => {
    const folder = makeFolder({ "main.js": `import "./x.ein";\nexport const one = 1;\n`, "x.ein": ATTENTION });
    for (const bundle of [BUNDLERS.esbuild, BUNDLERS.rollup]) {
      const { code } = await bundle(folder.path, "main.js", {});
      expect(code.length).toBeLessThan(60);
    }
  });
});

describe("the configuration", () => {
  test("nearest to a source counts, and options go first", async () => {
    const folder = makeFolder(
      {
        "a/scale.ein": SCALE,
        "b/scale.ein": SCALE,
        "b/fusum.config.json": `{ "extents": { "N": 3 } }`,
      },
      { extents: { D: 64 } },
    );
    const code = async (name: string, o?: FusumOptions): Promise<string> =>
      (await compileIn(folder, name, o)).module?.code ?? "";
    expect(await code("a/scale.ein")).toContain("fixed.D === 64");
    expect(await code("b/scale.ein")).toContain("fixed.N === 3");
    expect(await code("b/scale.ein")).not.toContain("fixed.D");
    expect(await code("a/scale.ein", { extents: { D: 32 } })).toContain("fixed.D === 32");
    expect(await code("a/scale.ein", { extents: { N: 5 } })).toContain("fixed.D === 64 && fixed.N === 5");
    expect(await code("a/scale.ein", { project: false })).not.toContain("fixed.D");
    expect(await code("a/scale.ein", { project: join(folder.path, "b") })).toContain("fixed.N === 3");
    await expect(code("a/scale.ein", { project: join(folder.path, "a") })).rejects.toThrow(
      /there is no fusum.config.json at/,
    );
  });

  test("is watched, and its errors have their place in it", async () => {
    const folder = makeFolder({ "scale.ein": SCALE }, { extents: { D: 64 } });
    const compiler = openCompiler({});
    const path = join(folder.path, "scale.ein");
    const first = await compiler.compile(path);
    expect(first.files).toEqual([path, join(folder.path, "fusum.config.json")]);
    expect(await compiler.compile(path)).toBe(first);
    folder.put("fusum.config.json", `{\n  "extends": 1\n}\n`);
    const wrong = await compiler.compile(path);
    expect(wrong.module).toBeUndefined();
    expect(wrong.messages).toMatchObject([
      { code: "EIN2102", place: { file: join(folder.path, "fusum.config.json"), line: 2, column: 2, length: 9 } },
    ]);
    folder.put("fusum.config.json", `{ "extents": { "D": 16 } }`);
    expect((await compiler.compile(path)).module?.code).toContain("fixed.D === 16");
  });

  test("names schedules, of which what cannot be used is said", async () => {
    const folder = makeFolder({ "scale.ein": SCALE, "tuned.json": "{" }, { schedules: "tuned.json" });
    const made = await compileIn(folder, "scale.ein");
    expect(made.module?.code).toContain("@compute");
    expect(made.messages).toMatchObject([{ severity: "warning" }]);
    expect(made.files).toContain(join(folder.path, "tuned.json"));
  });

  test("options are checked as it is", async () => {
    const folder = makeFolder({ "scale.ein": SCALE });
    const wrong = await compileIn(folder, "scale.ein", { extents: { D: -1 } });
    expect(wrong.module).toBeUndefined();
    expect(texts(wrong)).toEqual(["EIN2102: `extents.D` must be at least 0"]);
  });
});

describe("changes", () => {
  test("of imports at any depth, of missing ones as well, are seen", async () => {
    const folder = makeFolder({
      "main.js": `export { f } from "./a.ein";\n`,
      "a.ein": `import { g } from "./lib/b"\nexport fn f(x: f32[N]) { g(x) + 1 }\n`,
    });
    const { rebuild, dispose } = await context({
      absWorkingDir: folder.path,
      entryPoints: ["main.js"],
      bundle: true,
      write: false,
      format: "esm",
      logLevel: "silent",
      plugins: [esbuildPlugin()],
    });
    try {
      await expect(rebuild()).rejects.toMatchObject({ errors: [{ location: { file: "a.ein", line: 1, column: 18 } }] });
      folder.put("lib/b.ein", `import { h } from "./c"\nexport fn g(x: f32[N]) { h(x) * 3 }\n`);
      folder.put("lib/c.ein", "export fn h(x: f32[N]) { x * 5 }\n");
      expect((await rebuild()).outputFiles[0]!.text).toContain("5");
      folder.put("lib/c.ein", "export fn h(x: f32[N]) { x * 77 }\n");
      expect((await rebuild()).outputFiles[0]!.text).toContain("77");
    } finally {
      await dispose();
    }
  });

  test("are watched for", async () => {
    const folder = makeFolder({
      "main.js": `export { f } from "./a.ein";\n`,
      "a.ein": `import { g } from "./lib/b"\nexport fn f(x: f32[N]) { g(x) }\n`,
      "lib/b.ein": `import { softmax } from "std/nn"\nexport fn g(x: f32[N]) { softmax(x, axis: -1) }\n`,
    });
    const watched = async (): Promise<readonly string[]> => {
      try {
        const { watchFiles } = await rollup({ input: join(folder.path, "main.js"), plugins: [rollupPlugin()] });
        return watchFiles;
      } catch (error) {
        return (error as { watchFiles: string[] }).watchFiles;
      }
    };
    const expected = ["main.js", "a.ein", "lib/b.ein"].map((f) => join(folder.path, f)).sort();
    expect([...(await watched())].sort()).toEqual(expected);
    // When it fails too: who repairs the file wants to see it.
    folder.put("lib/b.ein", "export fn g(x: f32[N]) {");
    expect([...(await watched())].sort()).toEqual(expected);
  });
});

describe("types", () => {
  const tsc = (folder: Folder, options: object = {}): string => {
    folder.put(
      "tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: "es2024",
          lib: ["es2024", "dom"],
          module: "esnext",
          moduleResolution: "bundler",
          allowArbitraryExtensions: true,
          types: [],
          ...options,
        },
        include: ["src"],
      }),
    );
    const bin = resolve(import.meta.dirname, "../../node_modules/typescript/bin/tsc");
    return spawnSync(process.execPath, [bin, "-p", folder.path, "--pretty", "false"], { encoding: "utf8" }).stdout;
  };
  const USE = `import { scale } from "./scale.ein";
export async function twice(device: GPUDevice): Promise<Float32Array> {
  const kernel = await scale(device, { D: 2 });
  return (await kernel.run({ x: { data: new Float32Array(4), shape: [2, 2] }, k: 2 })).out;
}
`;

  test("lie beside the sources, for TypeScript to find", async () => {
    const folder = makeFolder({ "src/scale.ein": SCALE, "src/use.ts": USE });
    await compileIn(folder, "src/scale.ein");
    expect([...folder.outputs().keys()]).toEqual(["src/scale.d.ein.ts", "src/use.ts"]);
    expect(tsc(folder)).toBe("");
    folder.put("src/use.ts", USE.replace("k: 2 }", 'k: "2" }'));
    expect(tsc(folder)).toMatch(/use\.ts\(4,\d+\): error TS2322: Type 'string' is not assignable/);
  });

  test("or in a folder of their own, or nowhere", async () => {
    const folder = makeFolder({ "src/scale.ein": SCALE, "src/use.ts": USE, "package.json": "{}" });
    await compileIn(folder, "src/scale.ein", { types: false });
    expect([...folder.outputs().keys()]).toEqual(["package.json", "src/use.ts"]);
    await compileIn(folder, "src/scale.ein", { types: "types" });
    expect([...folder.outputs().keys()]).toEqual(["package.json", "src/use.ts", "types/src/scale.d.ein.ts"]);
    expect(tsc(folder, { rootDirs: [".", "types"] })).toBe("");
  });

  test("stay as they are while a source has errors; that they cannot be written is a warning", async () => {
    const folder = makeFolder({ "scale.ein": SCALE });
    await compileIn(folder, "scale.ein");
    const types = folder.read("scale.d.ein.ts");
    folder.put("scale.ein", SCALE.replace("k * x", "k * "));
    expect((await compileIn(folder, "scale.ein")).module).toBeUndefined();
    expect(folder.read("scale.d.ein.ts")).toBe(types);
    folder.put("scale.ein", SCALE);
    folder.put("file", "");
    const made = await compileIn(folder, "scale.ein", { types: join(folder.path, "file") });
    expect(made.module?.code).toContain("@compute");
    expect(made.messages).toMatchObject([{ severity: "warning", code: "EIN2007" }]);
  });
});

test("sources outside the project are seen from their own package", async () => {
  const other = makeFolder({
    "package.json": "{}",
    "src/a.ein": `import { scale } from "../lib/scale"\nexport fn f(x: f32[N, D]) { scale(x, 2.0) }\n`,
    "lib/scale.ein": SCALE,
  });
  const folder = makeFolder({}, { extents: { D: 64 } });
  const outside = await openCompiler({ project: folder.path }).compile(join(other.path, "src/a.ein"));
  expect(texts(outside)).toEqual([]);
  expect(outside.module?.code).toContain("fixed.D === 64");
});

test("source maps lead to the source", async () => {
  const folder = makeFolder({ "main.js": `export { scale } from "./scale.ein";\n`, "scale.ein": `\n\n${SCALE}` });
  const { map } = (await compileIn(folder, "scale.ein")).module!;
  expect(map.sources).toEqual(["scale.ein"]);
  const bundle = await rollup({ input: join(folder.path, "main.js"), plugins: [rollupPlugin()] });
  const { output } = await bundle.generate({ format: "es", sourcemap: true, file: join(folder.path, "out.js") });
  expect(output[0].map?.sources).toEqual(["scale.ein"]);
  expect(output[0].map?.sourcesContent).toEqual([`\n\n${SCALE}`]);
});
