/** The compiler's own speed, under the package `benchmark`: `npm run bench -- --compiler`. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Benchmark from "benchmark";
import { compile } from "../src/index.ts";
import { DEFAULT_TARGET } from "../src/schedule/applied.ts";

const ROOT = join(import.meta.dirname, "..");
const MATMUL = "export fn f(a: f32[M, K], b: f32[K, N]) { a @ b }";
const TRANSFORMER = readFileSync(join(ROOT, "examples", "transformer.ein"), "utf8");
const BLOCK_SIZES = { B: 2, T: 128, D: 256, H: 4, E: 64, F: 1024 };
const STEP = `${TRANSFORMER}
fn loss(
  x: f32[B, T, D], wq: f32[D, H, E], wk: f32[D, H, E], wv: f32[D, H, E], wo: f32[H, E, D],
  w1: f32[D, F], b1: f32[F], w2: f32[F, D], b2: f32[D], g1: f32[D], c1: f32[D], g2: f32[D], c2: f32[D],
) { mean(block(x, wq, wk, wv, wo, w1, b1, w2, b2, g1, c1, g2, c2) ** 2) }
export let step = value_and_grad(loss, wrt: [wq, wk, wv, wo, w1, b1, w2, b2, g1, c1, g2, c2])
`;

/** Functions that each have a kernel of their own; every one calls its neighbour, as modules do. */
function moduleOf(functions: number): string {
  const lines = ["export fn f0(x: f32[N], y: f32[N]) { tanh(x * y) + 1 }"];
  for (let i = 1; i < functions; i++)
    lines.push(`export fn f${i}(x: f32[N], y: f32[N]) { f${i % 8 === 0 ? 0 : i - 1}(y, x) * ${i} }`);
  return `${lines.join("\n")}\n`;
}

interface Row {
  readonly name: string;
  readonly ms: number;
  /** Half the width of the 95 % confidence interval, as a share of the mean. */
  readonly margin: number;
  readonly samples: number;
}

function planOf(source: string, fn: string, extents: Readonly<Record<string, number>>): void {
  compile(source).plan(fn, { extents, adapter: DEFAULT_TARGET });
}

const CASES: readonly { readonly name: string; run(): void }[] = [
  { name: "matmul, text to plan", run: () => planOf(MATMUL, "f", { M: 512, K: 512, N: 512 }) },
  { name: "transformer block, text to plan", run: () => planOf(TRANSFORMER, "block", BLOCK_SIZES) },
  { name: "transformer block and its gradient, text to plan", run: () => planOf(STEP, "step", BLOCK_SIZES) },
  ...[125, 250, 500, 1000].map((n) => {
    const source = moduleOf(n);
    return { name: `module of ${n} functions, parsed and checked`, run: () => void compile(source) };
  }),
];

/** Milliseconds from the start of a process to its end, the least of several. */
function coldStart(args: readonly string[], input?: string): number {
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    const done = spawnSync(process.execPath, [join(ROOT, "src", "cli", "main.ts"), ...args], { cwd: ROOT, input });
    if (done.status !== 0) throw new Error(`fusum ${args.join(" ")} ended with ${done.status}: ${done.stderr}`);
    return performance.now() - start;
  });
  return Math.min(...times);
}

/** Runs everything and prints a Markdown table. */
export function benchCompiler(write: (text: string) => void): void {
  write("| what | ms | ± | samples |\n| --- | ---: | ---: | ---: |\n");
  write(`| cold start, \`fusum --version\` | ${coldStart(["--version"]).toFixed(0)} | | 5 |\n`);
  write(
    `| cold start, \`fusum build --noEmit examples/transformer.ein\` | ${coldStart(["build", "--noEmit", "examples/transformer.ein"]).toFixed(0)} | | 5 |\n`,
  );
  const rows: Row[] = [];
  const suite = new Benchmark.Suite();
  for (const c of CASES) suite.add(c.name, c.run, { minSamples: 5, maxTime: 3 });
  suite.on("cycle", (event: Benchmark.Event) => {
    const { name, stats, error } = event.target as unknown as Benchmark;
    if (error) throw error;
    const row: Row = { name: name ?? "", ms: stats.mean * 1e3, margin: stats.rme / 100, samples: stats.sample.length };
    rows.push(row);
    write(`| ${row.name} | ${row.ms.toFixed(1)} | ${(row.margin * 100).toFixed(0)} % | ${row.samples} |\n`);
  });
  suite.run();
  const growth = rows.filter((r) => r.name.startsWith("module"));
  const [small, large] = [growth.at(0), growth.at(-1)];
  if (small && large)
    write(`\nEight times as many functions take ${(large.ms / small.ms).toFixed(1)} times as long.\n`);
}
