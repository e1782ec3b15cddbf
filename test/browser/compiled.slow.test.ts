/** In a page: emitted modules, against the interpreter, and the compiler as one minified script with the standard library in it. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkResults } from "../../src/check.ts";
import { compile, type HostArray } from "../../src/index.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import { ATTENTION, emit, LINEAR_GELU, textOf } from "../module/support.ts";
import { type Browser, launchBrowser } from "./chromium.ts";

const root = resolve(import.meta.dirname, "../..");
let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
}, 120_000);
afterAll(() => browser?.close());

type Shapes = Readonly<Record<string, readonly number[]>>;

/** The same numbers for the page as for the interpreter: JSON keeps them. */
function inputsOf(shapes: Shapes): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], seed) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (seed + 1) + 78.233 * i));
      return [name, { dtype: "f32", shape, data }];
    }),
  );
}

function asJson(inputs: Readonly<Record<string, HostArray>>): string {
  return JSON.stringify(
    Object.fromEntries(Object.entries(inputs).map(([n, a]) => [n, { shape: a.shape, data: [...a.data] }])),
  );
}

/** Statements that import a module's text as `module`. */
const importing = (text: string): string =>
  `const module = await import(URL.createObjectURL(new Blob([${JSON.stringify(text)}], { type: "text/javascript" })));`;

/** What a page gave for a function, within the bound that its kernels have. */
function expectWithinBound(source: string, name: string, inputs: Record<string, HostArray>, found: unknown): void {
  const program = compile(source);
  const names = Object.keys(program.interpret(name, inputs));
  const lists = found as readonly { readonly data: readonly number[]; readonly shape: readonly number[] }[];
  expect(lists).toHaveLength(names.length);
  const results = Object.fromEntries(
    names.map((n, i): [string, HostArray] => [
      n,
      { dtype: "f32", shape: lists[i]!.shape, data: Float32Array.from(lists[i]!.data) },
    ]),
  );
  for (const c of checkResults(program, name, inputs, results, { adapter: DEFAULT_TARGET, budget: 1e8 })) {
    expect({ name: c.name, outside: c.outside, unbounded: c.unbounded, first: c.first }).toEqual({
      name: c.name,
      outside: 0,
      unbounded: 0,
      first: undefined,
    });
    expect(c.checked).toBe(c.elements);
    expect(c.elements).toBeGreaterThan(0);
  }
}

const heads = { q: [2, 3, 5, 4], k: [2, 3, 6, 4], v: [2, 3, 6, 7] } as const;

test.each([
  ["linear_gelu", LINEAR_GELU, { x: [9, 17], w: [17, 5], b: [5] }],
  ["attention", ATTENTION, heads],
  ["attention_grad", ATTENTION, { ...heads, dout: [2, 3, 5, 7] }],
] as readonly (readonly [string, string, Shapes])[])("the emitted module computes %s", async (name, source, shapes) => {
  const inputs = inputsOf(shapes);
  const found = await browser.run(`
    ${importing(textOf(emit(source), ".ein.js"))}
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter.requestDevice();
    const kernel = await module.${name}(device);
    const arrays = Object.entries(${asJson(inputs)}).map(([n, a]) => [n, { ...a, data: Float32Array.from(a.data) }]);
    const results = await kernel.run(Object.fromEntries(arrays));
    kernel.dispose();
    device.destroy();
    return Object.values(results).map((r) => ({ data: [...r], shape: r.shape }));`);
  expectWithinBound(source, name, inputs, found);
});

async function compilerScript(): Promise<string> {
  const folder = join(root, "src/std");
  const std = Object.fromEntries(
    readdirSync(folder)
      .filter((f) => f.endsWith(".ein"))
      .map((f) => [f.slice(0, -4), readFileSync(join(folder, f), "utf8")]),
  );
  const made = await build({
    stdin: {
      contents: `
        import { registerStd } from "./src/std/index.ts";
        registerStd(${JSON.stringify(std)});
        export { compile, CompileError } from "./src/index.ts";
        export { openDevice } from "./runtime/browser.ts";`,
      resolveDir: root,
    },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2023",
  });
  return made.outputFiles[0]!.text;
}

test("the compiler, bundled and minified, compiles in the page what it then runs there", async () => {
  const inputs = inputsOf(heads);
  const found = (await browser.run(`
    ${importing(await compilerScript())}
    const program = module.compile(${JSON.stringify(ATTENTION)});
    const arrays = Object.entries(${asJson(inputs)}).map(([n, a]) => [n, { ...a, dtype: "f32", data: Float32Array.from(a.data) }]);
    const device = await module.openDevice();
    const kernel = await device.load(program, "attention");
    const results = Object.values(await kernel.run(Object.fromEntries(arrays)));
    device.close();
    let wrong;
    try {
      module.compile("export fn f(x: f32[N]) { x + y }");
    } catch (error) {
      wrong = [error instanceof module.CompileError, error.diagnostics[0].code];
    }
    return { wrong, results: results.map((r) => ({ data: [...r.data], shape: r.shape })) };`)) as {
    readonly wrong: unknown;
    readonly results: unknown;
  };
  expect(found.wrong).toEqual([true, "EIN1101"]);
  expectWithinBound(ATTENTION, "attention", inputs, found.results);
});
