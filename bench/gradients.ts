/**
 * `node bench/gradients.ts [--adapter A] [--rounds N] [--no-time]`: what gradients cost. Memory: the peak of forward and backward pass
 * together, from `explain`, over what must be there (arguments, results, and the activations that the backward pass reads). Time: the
 * gradient's over the forward pass's, and jax-js's `grad` beside it.
 */
import type { Array as JaxArray } from "@jax-js/jax";
import type { TensorRef } from "../ir/tensor.ts";
import { oneOf, readArguments, wholeNumber } from "../src/cli/script.ts";
import { explain } from "../src/explain.ts";
import { compile, shapesOf } from "../src/index.ts";
import type { FusedProgram, Region } from "../src/schedule/region.ts";
import { ADAPTERS, openArena } from "./adapter.ts";
import { type ClockOptions, median, race } from "./clock.ts";
import { prepareOurs } from "./ours.ts";
import { openJax } from "./peers/jax.ts";
import { type InputSpec, makeInputs, type Workload } from "./workload.ts";

const LAYERS = 4;
const [TOKENS, WIDTH, HEADS, HEAD, HIDDEN] = [64, 64, 4, 16, 256];

/** Parameters of one pre-norm block. */
const BLOCK: Readonly<Record<string, readonly number[]>> = {
  wq: [WIDTH, HEADS, HEAD], wk: [WIDTH, HEADS, HEAD], wv: [WIDTH, HEADS, HEAD], wo: [HEADS, HEAD, WIDTH],
  w1: [WIDTH, HIDDEN], b1: [HIDDEN], w2: [HIDDEN, WIDTH], b2: [WIDTH],
  g1: [WIDTH], c1: [WIDTH], g2: [WIDTH], c2: [WIDTH],
}; // biome-ignore format: a table

/** Value and gradients; results have names of their own, since arguments and results share one record of buffers. */
function stepOf(inputs: Readonly<Record<string, InputSpec>>, wrt: readonly string[]): string {
  const names = Object.keys(inputs);
  const signature = names.map((n) => `${n}: f32[${inputs[n]!.shape.join(", ")}]`).join(", ");
  return `export fn step(${signature}) {
  let d = value_and_grad(loss, wrt: [${wrt.join(", ")}])(${names.join(", ")})
  { value: d.value, ${wrt.map((n) => `d_${n}: d.${n}`).join(", ")} }
}
`;
}

function transformer(): Workload {
  const names = Array.from({ length: LAYERS }, (_, l) => Object.keys(BLOCK).map((n) => `${n}_${l}`));
  const inputs: Record<string, InputSpec> = { x: { shape: [1, TOKENS, WIDTH] } };
  for (const list of names)
    for (const [i, n] of Object.keys(BLOCK).entries()) inputs[list[i]!] = { shape: BLOCK[n]!, scale: 0.2 };
  const signature = Object.entries(inputs)
    .map(([n, s]) => `${n}: f32[${s.shape.join(", ")}]`)
    .join(", ");
  const layers = names.map((list, l) => `let h${l + 1} = block(h${l}, ${list.join(", ")})`).join("\n  ");
  const source = `import { layer_norm, softmax } from "std/nn"
fn attend(x: f32[B, T, D], wq: f32[D, H, E], wk: f32[D, H, E], wv: f32[D, H, E], wo: f32[H, E, D]) {
  let q = einsum("btd,dhe->bhte", x, wq)
  let k = einsum("btd,dhe->bhte", x, wk)
  let v = einsum("btd,dhe->bhte", x, wv)
  let s = einsum("bhqe,bhke->bhqk", q, k) / sqrt(E)
  let p = softmax(for[b, h, i, j] j <= i ? s[b, h, i, j] : -inf, axis: -1)
  einsum("bhqk,bhke,hed->bqd", p, v, wo)
}
fn block(x: f32[B, T, D], wq: f32[D, H, E], wk: f32[D, H, E], wv: f32[D, H, E], wo: f32[H, E, D], w1: f32[D, F], b1: f32[F],
    w2: f32[F, D], b2: f32[D], g1: f32[D], c1: f32[D], g2: f32[D], c2: f32[D]) {
  let a = x + attend(layer_norm(x, g1, c1), wq, wk, wv, wo)
  a + gelu(layer_norm(a, g2, c2) @ w1 + b1) @ w2 + b2
}
export fn loss(${signature}) -> f32 {
  let h0 = x
  ${layers}
  mean(h${LAYERS} ** 2)
}
${stepOf(inputs, names.flat())}`;
  return { name: `transformer, ${LAYERS} layers`, family: "gradients", source, fn: "loss", inputs };
}

const SQUARES: Workload = {
  name: "mean((x @ w1 @ w2 - y)**2)",
  family: "gradients",
  source: `export fn loss(x: f32[256, 256], w1: f32[256, 512], w2: f32[512, 128], y: f32[256, 128]) -> f32 {
  mean((x @ w1 @ w2 - y) ** 2)
}
${stepOf({ x: { shape: [256, 256] }, w1: { shape: [256, 512] }, w2: { shape: [512, 128] }, y: { shape: [256, 128] } }, ["w1", "w2"])}`,
  fn: "loss",
  inputs: {
    x: { shape: [256, 256] },
    w1: { shape: [256, 512], scale: 0.2 },
    w2: { shape: [512, 128], scale: 0.2 },
    y: { shape: [256, 128] },
  },
  jax: {
    run: (jax, [x, w1, w2, y]) => {
      const { numpy } = jax;
      const loss = (a: JaxArray, b: JaxArray): JaxArray =>
        numpy.mean(numpy.square(numpy.matmul(numpy.matmul(x!, a), b).sub(y!)));
      const [value, gradients] = jax.valueAndGrad(loss, { argnums: [0, 1] })(w1!, w2!);
      return [value, ...gradients];
    },
  },
};

interface Memory {
  readonly peak: number;
  /** Arguments, results, and what the backward pass reads of the forward pass. */
  readonly needed: number;
  readonly kept: number;
}

function memoryOf(fused: FusedProgram): Memory {
  const e = explain(fused);
  const of = (r: TensorRef): string => `${r.tensor.id}.${r.slot}`;
  const [value] = fused.program.results;
  // What the value needs is the forward pass.
  const wanted = new Set([of(value!)]);
  const forward = new Set<Region>();
  for (const r of [...fused.regions].reverse()) {
    if (!r.stores.some((s) => wanted.has(of(s)))) continue;
    forward.add(r);
    for (const x of r.reads) wanted.add(of(x));
  }
  const results = new Set(fused.program.results.map(of));
  const readBehind = new Set(fused.regions.filter((r) => !forward.has(r)).flatMap((r) => r.reads.map(of)));
  const bytes = (r: TensorRef): number => 4 * r.tensor.axes.reduce((n, a) => n * (a.extent.value ?? 1), 1);
  const sum = (list: readonly TensorRef[]): number => list.reduce((n, r) => n + bytes(r), 0);
  const kept = sum([...forward].flatMap((r) => r.stores.filter((s) => readBehind.has(of(s)) && !results.has(of(s)))));
  const fixed = sum([...fused.program.inputs.map((tensor) => ({ tensor, slot: 0 })), ...fused.program.results]);
  return { peak: e.peakBytes, needed: fixed + kept, kept };
}

async function main(): Promise<number> {
  const usage = `usage: node bench/gradients.ts [--adapter ${ADAPTERS.join("|")}] [--rounds N] [--no-time]`;
  const { values } = readArguments(usage, {
    options: {
      adapter: { type: "string", default: "software" },
      rounds: { type: "string", default: "5" },
      "no-time": { type: "boolean", default: false },
    },
  });
  const adapter = oneOf(usage, "--adapter", values.adapter, ADAPTERS);
  const rounds = wholeNumber(usage, "--rounds", values.rounds, 1);
  const arena = values["no-time"] ? undefined : await openArena(adapter);
  const kib = (n: number): string => `${(n / 1024).toFixed(0)} KiB`;
  for (const w of [SQUARES, transformer()]) {
    const inputs = makeInputs(w);
    const program = compile(w.source);
    const given = { shapes: shapesOf(inputs), provided: Object.keys(inputs) };
    const { fused } = program.compiled("step", arena ? { ...given, adapter: arena.device.info } : given);
    const m = memoryOf(fused);
    process.stdout.write(
      `${w.name}: peak ${kib(m.peak)}, ${(m.peak / m.needed).toFixed(2)} of arguments, results and ${kib(m.kept)} of kept activations (target 1.10); ${fused.regions.length} kernels\n`,
    );
    if (!arena) continue;
    const forward = await prepareOurs(w, inputs, arena.device);
    const both = await prepareOurs({ ...w, fn: "step" }, inputs, arena.device);
    const peer = w.jax ? await (await openJax(arena.wait)).prepare(w, inputs) : undefined;
    const clock: ClockOptions = {
      rounds,
      sampleMs: 4,
      slowMs: 1000,
      wait: arena.wait,
      source: "cpu",
    };
    const timings = await race([forward, both, ...(peer ? [peer] : [])], clock);
    const [f, b, j] = timings.map((t) => median(t.ms)) as [number, number, number | undefined];
    process.stdout.write(
      `  forward ${f.toFixed(2)} ms, with gradients ${b.toFixed(2)} ms: backward ${((b - f) / f).toFixed(2)} of forward (target 2.50)` +
        `${j === undefined ? "" : `; jax-js ${j.toFixed(2)} ms, ${(j / b).toFixed(2)} times ours`}\n`,
    );
  }
  return 0;
}

// The peer keeps timers and a device alive.
process.exit(await main());
