/** The compiler for pages as it is shipped: its size, that it needs no files, and that its plans are the ordinary compiler's. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PageFile, writePage } from "../../build-page.ts";
import { CompileError, compile } from "../../src/index.ts";

/** What the page loads before it compiles anything, gzipped. */
const MOST_BYTES = 90_000;

const usual = new URL("../../src/page/usual/", import.meta.url);
const USUAL: readonly string[] = readdirSync(usual).map((name) => readFileSync(new URL(name, usual), "utf8"));

/** Programs that need the rest of the compiler, or that it refuses. */
const OTHERS: readonly string[] = [
  "export fn f(x: f32[N]) { sort(x) }",
  "export fn f(x: f32[N], i: i32[K]) {\n  y[i[k]]: f32[N] += x[k]\n  y\n}",
  'import { softmax } from "std/nn"\nexport fn f(x: f32[N, K]) { softmax(x, axis: 1) }',
  'import { layer_norm } from "std/nn"\nexport fn f(x: f32[N, K], w: f32[K, J], g: f32[K]) { layer_norm(x, g, g) @ w }',
  "export fn loss(w: f32[N]) -> f32 { sum(w * tanh(w)) }\nexport let g = value_and_grad(loss)",
  "export fn f(x: f32[H, W], w: f32[3, 3]) {\n  for[i in 0..H, j in 0..W] sum[a, b] (x[i + a - 1, j + b - 1] ?? 0) * w[a, b]\n}",
  "export fn f(x: f32[N]) { cumsum(x, axis: 0) }",
  "export fn f(key: u32[2]) { uniform(key, [64]) }",
  "export fn f(x: f32[N, N]) { iterate 5 from x as y { tanh(y @ x) } }",
  'export fn f(x: f32[B, 6]) { rearrange("b (h d) -> h b d", x, h: 2) }',
  "export fn f(x: f32[3], y: f32[4]) { x + y }",
  "export fn f(x: f32[N]) { softmax(x) }",
  "export fn f(x: f32[N]) { x + }",
  "export fn f(x: f32[N] { x }\nfn g( { }\nlet = 3\n$",
  'import { a } from "std/none"\nexport fn f(x: f32[N]) { a(x }',
  "export fn f(x: f32[N]) { let y = if x then 1 else 2\n  y === x\n}",
  'export fn f(x: f32[N]) { einsum("ij->j", x) }',
  "export fn f(x: f32[N, ) { x[1:, ::-1, None] as }",
];

/** Runs in a process that has no way to read files but to import the page's own. */
const HARNESS = `
import { readFileSync } from "node:fs";
const sources = JSON.parse(readFileSync(process.argv[2], "utf8"));
process.getBuiltinModule = undefined;
const { compile, CompileError, ein } = await import("./index.js");
const results = [];
for (const source of sources) {
  try {
    const program = await compile(source);
    const plans = [];
    for (const f of program.functions) plans.push(await program.plan(f.name));
    results.push(plans);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    results.push(error.diagnostics);
  }
}
const x = { dtype: "f32", shape: [2], data: Float32Array.of(1, 2) };
const scaled = await (await ein\`export fn scale(x: f32[N]) { x * \${-3} }\`).interpret("scale", { x });
results.push([...scaled.result.data]);
process.stdout.write(JSON.stringify(results));
`;

const folder = mkdtempSync(join(tmpdir(), "fusum-page-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files: readonly PageFile[] = [];
beforeAll(async () => {
  // In a process of its own, since it measures what runs there.
  const built = join(folder, "built");
  await run([new URL("../../build-page.ts", import.meta.url).pathname, built]);
  files = readdirSync(built, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".js"))
    .map((path) => ({ path, text: readFileSync(join(built, path), "utf8") }));
}, 300_000);

/** What the program prints; of its errors the end alone, since the page's lines are long. */
async function run(args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    throw new Error(String(error instanceof Error && "stderr" in error ? error.stderr : error).slice(-2000));
  }
}

async function inPage(
  shipped: readonly PageFile[],
  sources: readonly string[],
  harness: string = HARNESS,
): Promise<readonly unknown[]> {
  const at = mkdtempSync(join(folder, "page-"));
  writePage(shipped, at);
  writeFileSync(join(at, "package.json"), '{ "type": "module" }');
  writeFileSync(join(at, "sources.json"), JSON.stringify(sources));
  writeFileSync(join(at, "harness.js"), harness);
  return JSON.parse(await run([join(at, "harness.js"), join(at, "sources.json")])) as readonly unknown[];
}

/** The plans of a module's functions, or its diagnostics, as the ordinary compiler has them. */
function ordinary(source: string): unknown {
  try {
    const program = compile(source);
    return JSON.parse(JSON.stringify(program.functions.map((f) => program.plan(f.name))));
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return JSON.parse(JSON.stringify(error.diagnostics));
  }
}

describe("the compiler for pages", () => {
  test(`is at most ${MOST_BYTES} bytes gzipped`, () => {
    const sizes = files.map(({ path, text }) => `${path} ${gzipSync(text, { level: 9 }).length}`);
    console.log(`gzipped bytes: ${sizes.join(", ")}`);
    const index = files.find((f) => f.path === "index.js");
    expect(gzipSync(index?.text ?? "", { level: 9 }).length).toBeLessThan(MOST_BYTES);
    expect(index?.text).toContain('import("./rest.js")');
  });

  test("imports nothing but its own files", () => {
    const paths = new Set(files.map((f) => `./${f.path}`));
    const imported = files.flatMap(({ text }) =>
      [...text.matchAll(/\bimport\((["'`][^)]*)\)|\bfrom *("[^"]*")/g)].map((m) => (m[1] ?? m[2] ?? "").slice(1, -1)),
    );
    expect(imported.length).toBeGreaterThan(2);
    expect(imported.filter((path) => path.startsWith(".") && !paths.has(path))).toEqual([]);
  });

  test("compiles matmul with gelu and attention with nothing else loaded, to the same plans", async () => {
    const poisoned = files.map((f) => (f.path === "index.js" ? f : { ...f, text: 'throw new Error("loaded")' }));
    const plans = await inPage(poisoned, USUAL, HARNESS.replace(/const x = [\s\S]*?(?=process\.stdout)/, ""));
    expect(plans).toEqual(USUAL.map(ordinary));
  });

  test("imports from the library before anything else is loaded", async () => {
    const importing = OTHERS.filter((source) => source.startsWith("import"));
    expect(importing.length).toBeGreaterThan(2);
    for (const source of importing) expect((await inPage(files, [source]))[0]).toEqual(ordinary(source));
  });

  test("gives the ordinary compiler's plans and diagnostics for everything else", async () => {
    const results = await inPage(files, [...OTHERS, ...USUAL]);
    for (const [i, source] of [...OTHERS, ...USUAL].entries()) expect(results[i], source).toEqual(ordinary(source));
    expect(results.at(-1)).toEqual([-3, -6]);
  });
});
