/**
 * `node bench/gradients.ts [--adapter A] [--rounds N] [--kernels N] [--no-time] [--write]`: what gradients cost. Memory: the peak of forward and
 * backward pass together, from `explain`, over what must be there (arguments, results, and the activations that the backward pass
 * reads), and what is allocated on the device. Time: the gradient's over the forward pass's, and jax-js's `grad` beside it.
 */
import type { TensorRef } from "../ir/tensor.ts";
import type { Device } from "../runtime/node.ts";
import { oneOf, readArguments, wholeNumber } from "../src/cli/script.ts";
import { explain } from "../src/explain.ts";
import { compile, shapesOf } from "../src/index.ts";
import type { FusedProgram, Region } from "../src/schedule/region.ts";
import { ADAPTERS, type Arena, openArena } from "./adapter.ts";
import { AGREEMENT, difference } from "./check.ts";
import { type ClockOptions, median, race, ratio, type Timing } from "./clock.ts";
import { type Ours, prepareOurs } from "./ours.ts";
import { NODE_PEERS } from "./peers/node.ts";
import type { PreparedPeer } from "./peers/peer.ts";
import { updateSection } from "./report/readme.ts";
import { makeInputs, type Workload } from "./workload.ts";
import { GRADIENTS } from "./workloads/gradients.ts";

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

type Inputs = ReturnType<typeof makeInputs>;

/** Bytes of the storage buffers that are made and not destroyed until `run` is done. */
async function allocated(
  device: Device,
  run: () => Promise<Ours>,
): Promise<{ readonly ours: Ours; readonly bytes: number }> {
  const { gpu } = device;
  const { createBuffer } = gpu;
  let bytes = 0;
  gpu.createBuffer = (descriptor) => {
    const buffer = createBuffer.call(gpu, descriptor);
    if ((descriptor.usage & GPUBufferUsage.STORAGE) === 0) return buffer;
    const { destroy } = buffer;
    bytes += buffer.size;
    buffer.destroy = () => {
      bytes -= buffer.size;
      return destroy.call(buffer);
    };
    return buffer;
  };
  try {
    return { ours: await run(), bytes };
  } finally {
    gpu.createBuffer = createBuffer;
  }
}

/** The peer, if it computes the same. */
async function peerOf(w: Workload, inputs: Inputs, arena: Arena, ours: Ours): Promise<PreparedPeer | undefined> {
  const peer = await (await NODE_PEERS.jax(arena.wait)).prepare(w, inputs);
  if (!peer) return undefined;
  const worst = Math.max(
    ...Object.values(ours.results).map((r, i) => difference(r.data as Float32Array, peer.results[i] ?? [])),
  );
  if (worst < AGREEMENT) return peer;
  process.stdout.write(`  jax-js differs by ${worst.toExponential(1)}: left out\n`);
  return undefined;
}

/** Milliseconds of the processor, and ratios of them. */
interface Times {
  readonly forward: number;
  readonly both: number;
  readonly backward: number;
  readonly peer: number | undefined;
}

async function timed(w: Workload, inputs: Inputs, arena: Arena, rounds: number, kernels: number): Promise<Times> {
  const { device } = arena;
  const forward = await prepareOurs(w, inputs, device);
  const { ours: both, bytes } = await allocated(device, () => prepareOurs({ ...w, fn: "step" }, inputs, device));
  const peer = await peerOf(w, inputs, arena, both);
  const clock: ClockOptions = { rounds, sampleMs: 4, slowMs: 1000, wait: arena.wait, source: "cpu" };
  const [f, b, j] = (await race([forward, both, ...(peer ? [peer] : [])], clock)) as [Timing, Timing, Timing?];
  const backward = ratio(f, b).median - 1;
  const text = (t: Timing): string => `${median(t.ms).toFixed(2)} ms`;
  process.stdout.write(
    `  allocated ${kib(bytes)}; forward ${text(f)}, with gradients ${text(b)}: backward ${backward.toFixed(2)} of forward (target 2.50)` +
      `${j ? `; jax-js ${text(j)}, ${ratio(b, j).median.toFixed(2)} times ours` : ""}\n`,
  );
  if (kernels > 0) await slowest(both, inputs, device, kernels);
  forward.dispose();
  both.dispose();
  peer?.dispose();
  return { forward: median(f.ms), both: median(b.ms), backward, peer: j && ratio(b, j).median };
}

function section(adapter: string, rounds: number, rows: readonly { w: Workload; m: Memory; t: Times }[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    `## Gradients on ${adapter}`,
    "",
    `${rounds} rounds, times of the processor.`,
    "",
    line([
      "value and gradients of",
      "peak memory",
      "forward ms",
      "with gradients ms",
      "backward over forward",
      "jax-js ×",
    ]),
    line(["---", "---:", "---:", "---:", "---:", "---:"]),
    ...rows.map(({ w, m, t }) =>
      line([
        w.name,
        (m.peak / m.needed).toFixed(2),
        t.forward.toFixed(1),
        t.both.toFixed(1),
        t.backward.toFixed(2),
        t.peer?.toFixed(2) ?? "",
      ]),
    ),
    "",
  ].join("\n");
}

/** Where the time goes, each kernel in a pass of its own. */
async function slowest(ours: Ours, inputs: Inputs, device: Device, count: number): Promise<void> {
  const options = { shapes: shapesOf(inputs), provided: Object.keys(inputs), adapter: device.info };
  const kernel = await device.loadPlan(ours.program.plan("step", options));
  const { dispatches } = await kernel.time(inputs);
  const rows = dispatches.map((d) => ({ name: d.kernel, us: median(d.ns) / 1e3 })).sort((x, y) => y.us - x.us);
  const whole = rows.reduce((sum, r) => sum + r.us, 0);
  for (const r of rows.slice(0, count))
    process.stdout.write(
      `  ${r.us.toFixed(0).padStart(8)} µs ${((100 * r.us) / whole).toFixed(1).padStart(5)} % ${r.name}\n`,
    );
  kernel.dispose();
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(0)} KiB`;
}

async function main(): Promise<number> {
  const usage = `usage: node bench/gradients.ts [--adapter ${ADAPTERS.join("|")}] [--rounds N] [--kernels N] [--no-time] [--write]`;
  const { values } = readArguments(usage, {
    options: {
      adapter: { type: "string", default: "software" },
      rounds: { type: "string", default: "5" },
      kernels: { type: "string", default: "0" },
      "no-time": { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const adapter = oneOf(usage, "--adapter", values.adapter, ADAPTERS);
  const rounds = wholeNumber(usage, "--rounds", values.rounds, 1);
  const kernels = wholeNumber(usage, "--kernels", values.kernels);
  const arena = values["no-time"] ? undefined : await openArena(adapter);
  const rows: { w: Workload; m: Memory; t: Times }[] = [];
  for (const w of GRADIENTS) {
    const inputs = makeInputs(w);
    const given = { shapes: shapesOf(inputs), provided: Object.keys(inputs) };
    const { fused } = compile(w.source).compiled("step", arena ? { ...given, adapter: arena.device.info } : given);
    const m = memoryOf(fused);
    process.stdout.write(
      `${w.name}: peak ${kib(m.peak)}, ${(m.peak / m.needed).toFixed(2)} of arguments, results and ${kib(m.kept)} of kept activations (target 1.10); ${fused.regions.length} kernels\n`,
    );
    if (arena) rows.push({ w, m, t: await timed(w, inputs, arena, rounds, kernels) });
  }
  if (values.write && arena) updateSection(section(arena.device.info.name, rounds, rows));
  return 0;
}

// The peer keeps timers and a device alive.
process.exit(await main());
