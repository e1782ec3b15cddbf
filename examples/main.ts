/**
 * `npm start`: compiles the examples, runs them on the best adapter there is, checks every result against the interpreter
 * within its derived bound, and writes pictures to `out/`.
 */
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Device } from "../runtime/device.ts";
import { openDevice } from "../runtime/node.ts";
import type { HostArray } from "../runtime/plan.ts";
import { type CheckedResult, checkResults } from "../src/check.ts";
import { oneOf, readArguments } from "../src/cli/script.ts";
import { type ConstValue, type Program, shapesOf } from "../src/index.ts";
import { writeArray } from "../src/io/files.ts";
import { randomArray } from "../src/io/random.ts";
import { compileFile } from "../src/node/compile-file.ts";
import { loadDigits, SIDE } from "./digits.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../out/", import.meta.url));
const USAGE = `usage: npm start -- [options]
  --adapter A     auto, gpu or software (default: auto)`;
/** Interpreter steps a result may cost before only samples of it are checked. */
const BUDGET = 1e7;

interface Ran {
  readonly results: Readonly<Record<string, HostArray>>;
  readonly checked: readonly CheckedResult[];
}

/** Loads, runs, times and checks one function, and prints its line. */
async function show(
  title: string,
  program: Program,
  fn: string,
  inputs: Record<string, HostArray>,
  device: Device,
  consts: Record<string, ConstValue> = {},
): Promise<Ran> {
  const kernel = await device.load(program, fn, { consts, shapes: shapesOf(inputs), provided: Object.keys(inputs) });
  const results = await kernel.run(inputs);
  const start = performance.now();
  await kernel.run(inputs);
  const ms = performance.now() - start;
  const checked = checkResults(program, fn, inputs, results, { consts, budget: BUDGET, adapter: device.info });
  const n = kernel.plan.kernels.length;
  const worst = Math.max(...checked.map((c) => c.share));
  const sampled = checked.some((c) => c.checked < c.elements)
    ? ` (${checked.reduce((a, c) => a + c.checked, 0)} elements checked)`
    : "";
  process.stdout.write(
    `${title.padEnd(34)} ${String(n).padStart(2)} ${n === 1 ? "kernel " : "kernels"} ${ms.toFixed(1).padStart(8)} ms  ${device.info.name}  error ${(100 * worst).toFixed(2)}% of its bound${sampled}\n`,
  );
  kernel.dispose();
  if (!checked.every((c) => c.share <= 1)) throw new Error(`${title}: a result is outside its error bound`);
  return { results, checked };
}

function random(shape: readonly number[], stream: number): HostArray {
  return randomArray("f32", shape, 1, stream);
}

function reshaped(a: HostArray, shape: readonly number[]): HostArray {
  return { ...a, shape };
}

/** The first `n` rows of a matrix. */
function rows(a: HostArray, n: number): HostArray {
  const width = a.shape[1] ?? 1;
  return { dtype: a.dtype, shape: [n, width], data: (a.data as Float32Array).slice(0, n * width) };
}

async function digits(device: Device): Promise<void> {
  const program = await compileFile(join(HERE, "digits.ein"));
  const [reference, query] = loadDigits([5000, 500]) as [
    ReturnType<typeof loadDigits>[0],
    ReturnType<typeof loadDigits>[0],
  ];
  const { results } = await show(
    "digits: nearest of 5,000",
    program,
    "nearest",
    { query: query.images, reference: reference.images, label: reference.labels },
    device,
  );
  const predicted = Object.values(results)[0]!;
  const score = await show("digits: accuracy", program, "accuracy", { predicted, expected: query.labels }, device);
  const share = Object.values(score.results)[0]!.data[0] ?? 0;

  const images = reshaped(rows(query.images, 40), [40, SIDE, SIDE]);
  const edges = await show("digits: Sobel edges", program, "edges", { image: images }, device);
  const both: HostArray = {
    dtype: "f32",
    shape: [80, SIDE, SIDE],
    data: Float32Array.of(...(images.data as Float32Array), ...(Object.values(edges.results)[0]!.data as Float32Array)),
  };
  const sheet = await show("digits: contact sheet", program, "contact_sheet", { image: both }, device, { columns: 10 });
  const file = join(OUT, "digits.png");
  writeArray(file, Object.values(sheet.results)[0]!);
  process.stdout.write(
    `\n${(100 * share).toFixed(1)}% of 500 digits recognised; picture of digits and their edges: ${relative(process.cwd(), file)}\n\n`,
  );
}

async function main(): Promise<void> {
  const { values } = readArguments(USAGE, { options: { adapter: { type: "string", default: "auto" } } });
  const adapter = oneOf(USAGE, "--adapter", values.adapter, ["auto", "gpu", "software"]);
  mkdirSync(OUT, { recursive: true });
  const device = await openDevice({ adapter });
  try {
    const attention = await compileFile(join(HERE, "attention.ein"));
    const qkv = { q: random([1, 4, 128, 64], 0), k: random([1, 4, 128, 64], 1), v: random([1, 4, 128, 64], 2) };
    await show("attention 1·4·128·64", attention, "attention", qkv, device);
    await show("causal attention", attention, "causal_attention", qkv, device);
    const convolution = await compileFile(join(HERE, "convolution.ein"));
    await show(
      "convolution 3×3, stride 2, padded",
      convolution,
      "downsample",
      { x: random([2, 8, 57, 57], 3), w: random([16, 8, 3, 3], 4), b: random([16], 5) },
      device,
    );
    const transformer = await compileFile(join(HERE, "transformer.ein"));
    await show(
      "matmul + bias + gelu",
      transformer,
      "linear_gelu",
      { x: random([127, 96], 6), w: random([96, 65], 7), b: random([65], 8) },
      device,
    );
    await digits(device);
  } finally {
    device.close();
  }
}

await main();
