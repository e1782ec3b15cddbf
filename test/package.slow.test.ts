/** The package as users get it: packed, linted, installed into an empty folder, run there. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { publint } from "publint";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "fusum-package-"));
const app = join(folder, "app");
let tarball: string;

/** Standard output of a program; everything that it printed is in the error if it fails. */
function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}
const node = (args: readonly string[]): string => run(process.execPath, args, app);
const fusum = (...args: readonly string[]): string => node(["node_modules/fusum/dist/src/cli/main.js", ...args]);

/** The optional peers, as if the user had installed them. */
function addPeers(): void {
  mkdirSync(join(app, "node_modules/@sparticuz"), { recursive: true });
  for (const name of ["webgpu", "@sparticuz/chromium"]) {
    if (!existsSync(join(app, "node_modules", name)))
      symlinkSync(join(root, "node_modules", name), join(app, "node_modules", name));
  }
}

beforeAll(() => {
  const out = run("npm", ["pack", "--json", "--pack-destination", folder], root);
  const [packed] = JSON.parse(out.slice(out.indexOf("["))) as readonly { readonly filename: string }[];
  tarball = join(folder, packed!.filename);
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", type: "module", private: true }));
  writeFileSync(join(app, "affine.ein"), "export fn affine(x: f32[N], k: f32) {\n  k * x + 1.0\n}\n");
  run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball], app);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("publint finds nothing", async () => {
  const { messages } = await publint({ pkgDir: root, strict: true, pack: "npm" });
  expect(messages).toEqual([]);
}, 120_000);

it("the types are right for ESM users", () => {
  const attw = join(root, "node_modules/@arethetypeswrong/cli/dist/index.js");
  expect(run(process.execPath, [attw, tarball, "--profile", "esm-only", "--no-emoji"], root)).toMatch(/fusum v/);
}, 120_000);

it("holds what it should, and no install scripts", () => {
  const files = run("tar", ["-tzf", tarball], folder).trim().split("\n");
  expect(files).toEqual(
    expect.arrayContaining(["package/LICENSE", "package/README.md", "package/dist/src/std/nn.ein"]),
  );
  expect(
    files.filter(
      (f) => !/^package\/(dist\/.+\.(js|d\.ts|ein)|package\.json|fusum\.schema\.json|README\.md|LICENSE)$/.test(f),
    ),
  ).toEqual([]);
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: Record<string, string>;
  };
  for (const script of ["preinstall", "install", "postinstall", "prepare"])
    expect(manifest.scripts).not.toHaveProperty(script);
});

it("says which packages a device needs", () => {
  const source = `import { openDevice } from "fusum/node"; openDevice().catch((e) => console.log(e.name, e.kind, e.message));`;
  expect(node(["--input-type=module", "-e", source])).toMatch(/^DeviceError no-device .*npm install webgpu/);
});

it("runs from the command line and by import", () => {
  addPeers();
  fusum(
    "run",
    "affine.ein",
    "affine",
    "--adapter",
    "software",
    "--input",
    "x=[1,2,3]",
    "--input",
    "k=2",
    "--out",
    "y.npy",
  );
  const source = `
    import { compile } from "fusum";
    import { openDevice, readArray } from "fusum/node";
    const program = compile("export fn affine(x: f32[N], k: f32) { k * x + 1.0 }");
    const inputs = {
      x: { dtype: "f32", shape: [3], data: Float32Array.of(1, 2, 3) },
      k: { dtype: "f32", shape: [], data: Float32Array.of(2) },
    };
    const [expected] = Object.values(program.interpret("affine", inputs));
    const device = await openDevice({ adapter: "software" });
    const kernel = await device.load(program, "affine");
    const [found] = Object.values(await kernel.run(inputs));
    device.close();
    console.log(JSON.stringify([expected, found, readArray("y.npy")].map((a) => [...a.data])));`;
  writeFileSync(join(app, "main.js"), source);
  expect(JSON.parse(node(["main.js"]))).toEqual([
    [3, 5, 7],
    [3, 5, 7],
    [3, 5, 7],
  ]);
}, 60_000);

const STRICT = [
  "--strict",
  "--noEmit",
  "--module",
  "nodenext",
  "--target",
  "es2024",
  "--types",
  "",
  "--skipLibCheck",
  "false",
] as const;

it("builds a project of three sources, whose modules type-check and run", () => {
  addPeers();
  mkdirSync(join(app, "src/lib"), { recursive: true });
  const sources = {
    "src/lib/scale.ein": "/// k times x.\nexport fn scale(x: f32[...], k: f32) { k * x }\n",
    "src/dense.ein": `import { scale } from "./lib/scale"
export fn dense(x: f32[N, I], w: f32[I, O], b: f32[O]) -> f32[N, O] { scale(x @ w + b, 2.0) }
fn loss(x: f32[N, I], w: f32[I, O]) -> f32 { sum(x @ w) }
export let slope = grad(loss, wrt: [w])
`,
    "src/rows.ein": `import { softmax } from "std/nn"\nexport fn rows(x: f32[N, D]) { softmax(x, axis: -1) }\n`,
  };
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(app, name), text);
  fusum("build", "--init");
  expect(fusum()).toBe("");
  writeFileSync(
    join(app, "use.ts"),
    `import { openDevice } from "fusum/node";
import { dense, slope } from "./dist/dense.ein.js";
import { scale } from "./dist/lib/scale.ein.js";
import { rows } from "./dist/rows.ein.js";
const device = await openDevice({ adapter: "software" });
const x = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] as const };
const b = Float32Array.of(10, 20);
const one = await dense(device.gpu, { N: 2 });
const two = await slope(device.gpu);
const three = await rows(device.gpu);
const four = await scale(device.gpu);
const results: readonly Float32Array[] = [
  (await one.run({ x, w: x, b })).out,
  (await two.run({ x, w: x })).out,
  (await three.run({ x: { data: new Float32Array(4), shape: [2, 2] } })).out,
  (await four.run({ x: b, k: 3 })).out,
];
console.log(JSON.stringify(results.map((r) => [...r])));
for (const kernel of [one, two, three, four]) kernel.dispose();
device.close();
`,
  );
  node([join(root, "node_modules/typescript/bin/tsc"), ...STRICT, "use.ts"]);
  expect(JSON.parse(node(["use.ts"]))).toEqual([
    [34, 60, 50, 84],
    [4, 4, 6, 6],
    [0.5, 0.5, 0.5, 0.5],
    [30, 60],
  ]);
  // Only what imports the edited file is built again.
  writeFileSync(join(app, "src/lib/scale.ein"), sources["src/lib/scale.ein"].replace("k * x", "k * x + 1.0"));
  expect(JSON.parse(fusum("--json"))).toMatchObject({ diagnostics: [], compiled: 2, unchanged: 1 });
  writeFileSync(
    join(app, "wrong.ts"),
    `import { rows } from "./dist/rows.ein.js";
export const wrong = async (gpu: GPUDevice) => (await rows(gpu)).run({ y: new Float32Array(4) });
`,
  );
  expect(() => node([join(root, "node_modules/typescript/bin/tsc"), ...STRICT, "wrong.ts"])).toThrow(
    /'y' does not exist/,
  );
}, 120_000);

it("type-checks in a strict project", () => {
  writeFileSync(
    join(app, "main.ts"),
    `import { compile, type HostArray } from "fusum";
import { DeviceError, openDevice } from "fusum/node";
const program = compile("export fn twice(x: f32[N]) { 2.0 * x }");
const device = await openDevice({ adapter: "software" });
try {
  const kernel = await device.load(program, "twice", { extents: { N: 2 } });
  const result: Record<string, HostArray> = await kernel.run({ x: { dtype: "f32", shape: [2], data: new Float32Array(2) } });
  console.log(result, kernel.wgsl, kernel.plan.kernels.length);
} catch (error) {
  if (error instanceof DeviceError) console.log(error.kind);
} finally {
  device.close();
}
`,
  );
  node([join(root, "node_modules/typescript/bin/tsc"), ...STRICT, "main.ts"]);
}, 60_000);

/** Packages of the user's, as if they had been installed. */
function addPackages(names: readonly string[]): void {
  for (const name of names) {
    const at = join(app, "node_modules", name);
    mkdirSync(join(at, ".."), { recursive: true });
    if (!existsSync(at)) symlinkSync(join(root, "node_modules", name), at);
  }
}

it("the example for Vite builds and type-checks with the package", () => {
  addPackages(["vite", "@webgpu/types"]);
  const example = join(app, "vite-app");
  cpSync(join(root, "examples/vite-app"), example, { recursive: true });
  run(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", "--logLevel", "error"], example);
  expect(readFileSync(join(example, "dist/index.html"), "utf8")).toMatch(/src="\/assets\/[^"]+\.js"/);
  expect(readFileSync(join(example, "src/pipeline.d.ein.ts"), "utf8")).toContain("export declare function blur");
  run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", example], app);
}, 120_000);

it("its plugins build one project through Vite, Rollup, webpack and esbuild, and what they make runs", () => {
  addPeers();
  addPackages(["vite", "rollup", "webpack", "esbuild"]);
  const sources = {
    "plain/lib/scale.ein": "export fn scale(x: f32[...], k: f32) { k * x }\n",
    "plain/dense.ein": `import { scale } from "./lib/scale"
export fn dense(x: f32[N, I], w: f32[I, O]) { scale(x @ w, 2.0) }
export fn other(x: f32[N]) { exp(x) }
`,
    "plain/main.js": `export { dense } from "./dense.ein";\n`,
    "bundle.js": `import { writeFileSync } from "node:fs";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import { build as vite } from "vite";
import webpack from "webpack";
import forEsbuild from "fusum/esbuild";
import forRollup from "fusum/rollup";
import forVite from "fusum/vite";
import forWebpack from "fusum/webpack";
const entry = import.meta.dirname + "/plain/main.js";
await esbuild({ entryPoints: [entry], bundle: true, format: "esm", outfile: "made/esbuild.mjs", plugins: [forEsbuild()] });
const bundle = await rollup({ input: entry, plugins: [forRollup()] });
await bundle.write({ file: "made/rollup.mjs" });
const [{ output }] = await vite({ configFile: false, logLevel: "error", build: { write: false, lib: { entry, formats: ["es"] } }, plugins: [forVite()] });
writeFileSync("made/vite.mjs", output[0].code);
const compiler = webpack({
  mode: "production", entry, experiments: { outputModule: true },
  output: { path: import.meta.dirname + "/made", filename: "webpack.mjs", library: { type: "module" }, module: true },
  plugins: [forWebpack()],
});
const stats = await new Promise((done, fail) => compiler.run((error, s) => (error ? fail(error) : done(s))));
await new Promise((done) => compiler.close(done));
if (stats.hasErrors()) throw new Error(stats.toString());
`,
    "bundled.js": `import { readFileSync } from "node:fs";
import { openDevice } from "fusum/node";
const device = await openDevice({ adapter: "software" });
const x = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
const results = [];
for (const name of ["vite", "rollup", "webpack", "esbuild"]) {
  const { dense } = await import("./made/" + name + ".mjs");
  const kernel = await dense(device.gpu);
  const kernels = readFileSync("made/" + name + ".mjs", "utf8").match(/@compute/g).length;
  results.push([name, kernels, ...(await kernel.run({ x, w: x })).out]);
  kernel.dispose();
}
device.close();
console.log(JSON.stringify(results));
`,
  };
  mkdirSync(join(app, "plain/lib"), { recursive: true });
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(app, name), text);
  node(["bundle.js"]);
  const expected = [1, 14, 20, 30, 44];
  expect(JSON.parse(node(["bundled.js"]))).toEqual(
    ["vite", "rollup", "webpack", "esbuild"].map((name) => [name, ...expected]),
  );
}, 300_000);
