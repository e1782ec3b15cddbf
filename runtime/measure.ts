/**
 * What operations cost on a device, in about a second: small loops of one operation each, timed beside an empty loop. The model of the
 * compiler takes them for its tabulated costs.
 */
import type { Command } from "./commands.ts";
import type { Context } from "./context.ts";
import { COPY_PROBE, type Probe, type ProbeName, probes } from "./measure-kernels.ts";
import type { Pipeline, PipelineCache } from "./pipelines.ts";
import type { AdapterCosts, PlanKernel } from "./plan.ts";
import { type Entrant, race } from "./race.ts";
import { BUFFER_USAGE, STORAGE_USAGE } from "./webgpu.ts";

/** Workgroups of a probe: enough for every core of a software adapter, and for a GPU. */
const GROUPS = { software: 64, gpu: 4096 } as const;
/** A probe's loop is made so long that it takes this, in nanoseconds; longer where only the host's clock measures. */
const WANTED = { timestamps: 1_000_000, clock: 10_000_000 } as const;
const FIRST_ROUNDS = 16;
const MOST_ROUNDS = 1 << 16;
/** Times that each is measured; the least counts. */
const MEASURED = 4;
const COPY_BYTES = { software: 1 << 24, gpu: 1 << 28 } as const;
/** Workgroups that do nothing, and dispatches of one of them. */
const EMPTY_GROUPS = { software: 4096, gpu: 65535 } as const;
const DISPATCHES = 32;

/** Rejects with DeviceError as any kernel does. */
export async function measureAdapter(context: Context, pipelines: PipelineCache): Promise<AdapterCosts> {
  const bench = new Bench(context, pipelines);
  try {
    return await bench.measure();
  } finally {
    bench.destroy();
  }
}

interface Loaded {
  readonly probe: Probe;
  readonly pipeline: Pipeline;
}

class Bench {
  readonly #context: Context;
  readonly #pipelines: PipelineCache;
  readonly #kind: "software" | "gpu";
  readonly #buffers: GPUBuffer[] = [];

  constructor(context: Context, pipelines: PipelineCache) {
    this.#context = context;
    this.#pipelines = pipelines;
    this.#kind = context.info.kind === "gpu" ? "gpu" : "software";
  }

  async measure(): Promise<AdapterCosts> {
    const { info } = this.#context;
    const subgroup =
      info.subgroupMinSize > 0 && info.subgroupMinSize === info.subgroupMaxSize ? info.subgroupMinSize : 0;
    // A GPU's workgroups fill its cores with several subgroups; a software adapter takes them one by one.
    const size = this.#kind === "gpu" ? 64 : subgroup || 1;
    const lanes = subgroup || 1;
    const list = probes(size, info.features);
    const names = [...list.keys()];
    const [loaded, copy] = await Promise.all([
      Promise.all(
        names.map(async (n): Promise<[ProbeName, Loaded]> => {
          const probe = list.get(n)!;
          return [n, { probe, pipeline: await this.#pipelines.get(probe.kernel) }];
        }),
      ),
      this.#pipelines.get(COPY_PROBE),
    ]);
    const all = new Map(loaded);
    const groups = GROUPS[this.#kind];
    const rounds = await this.#calibrate(all.get("fma")!, groups);
    const entrants = [...all.values()].map((l) => this.#entrant(l, groups, rounds));
    const empty = this.#entrant(all.get("loop")!, EMPTY_GROUPS[this.#kind], 0);
    const dispatch = this.#entrant(all.get("loop")!, 1, 0, DISPATCHES);
    const bytes = Math.min(COPY_BYTES[this.#kind], info.limits.maxStorageBufferBindingSize, info.limits.maxBufferSize);
    const copies = this.#copy(copy, bytes);
    const { ns } = await this.#race([...entrants, empty, dispatch, copies]);
    const least = ns.map((t) => Math.min(...t));
    const subgroups = (groups * size) / lanes;
    const loop = least[names.indexOf("loop")]!;
    const perOp = (name: ProbeName): number => {
      const probe = all.get(name)?.probe;
      if (!probe) return 0;
      const took = least[names.indexOf(name)]!;
      // Nothing is free: where the loop hides an operation, a tenth of what both took together.
      return Math.max(0.1 * took, took - loop) / (rounds * probe.repeats * subgroups);
    };
    const fma = perOp("fma");
    const beside = (name: ProbeName, flops: number): number => {
      const whole = perOp(name);
      return Math.max(0.1 * whole, whole - flops * fma);
    };
    const [emptyNs, dispatchNs, copyNs] = least.slice(names.length) as [number, number, number];
    return {
      fma,
      scalar: beside("scalar", 1),
      vector: beside("vector", 4),
      shared: beside("shared", 4),
      barrier: perOp("barrier"),
      broadcast: beside("broadcast", 1),
      iteration: Math.max(0, loop / (rounds * subgroups)),
      group: (emptyNs / EMPTY_GROUPS[this.#kind]) * (lanes / size),
      dispatch: dispatchNs / DISPATCHES,
      bandwidth: (2 * bytes) / copyNs,
    };
  }

  destroy(): void {
    for (const b of this.#buffers) b.destroy();
  }

  /** Rounds of the loop for a probe to take long enough for the clock. */
  async #calibrate(l: Loaded, groups: number): Promise<number> {
    let rounds = FIRST_ROUNDS;
    await this.#race([this.#entrant(l, groups, rounds)], 1);
    for (;;) {
      const { source, ns } = await this.#race([this.#entrant(l, groups, rounds)], 2);
      const took = Math.min(...ns[0]!);
      if (took >= WANTED[source] / 2 || rounds >= MOST_ROUNDS) return rounds;
      rounds = Math.min(MOST_ROUNDS, rounds * Math.max(2, Math.min(16, Math.ceil(WANTED[source] / Math.max(1, took)))));
    }
  }

  #race(entrants: readonly Entrant[], rounds: number = MEASURED): ReturnType<typeof race> {
    return race(this.#context, "measuring", entrants, rounds);
  }

  #entrant({ probe, pipeline }: Loaded, groups: number, rounds: number, inner = 1): Entrant {
    const kernel = probe.kernel;
    const x = this.#buffer(1024 * 16, STORAGE_USAGE);
    const y = this.#buffer(1 << 16, STORAGE_USAGE);
    const one = this.#command(kernel, pipeline, x, y, rounds, groups);
    return { commands: Array.from({ length: inner }, () => one), inner: 1 };
  }

  #copy(pipeline: Pipeline, bytes: number): Entrant {
    const [x, y] = [this.#buffer(bytes, STORAGE_USAGE), this.#buffer(bytes, STORAGE_USAGE)];
    const groups = this.#kind === "gpu" ? 16384 : 64;
    return { commands: [this.#command(COPY_PROBE, pipeline, x, y, bytes / 16, groups)], inner: 1 };
  }

  #command(kernel: PlanKernel, p: Pipeline, x: GPUBuffer, y: GPUBuffer, value: number, groups: number): Command {
    const { gpu } = this.#context;
    const uniform = this.#buffer(16, BUFFER_USAGE.UNIFORM | BUFFER_USAGE.COPY_DST);
    gpu.queue.writeBuffer(uniform, 0, Uint32Array.of(value));
    const group = gpu.createBindGroup({
      label: kernel.name,
      layout: p.layout,
      entries: [x, y, uniform].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    return { step: 0, pipeline: p.pipeline, group, groups: [groups, 1, 1] };
  }

  #buffer(size: number, usage: number): GPUBuffer {
    const buffer = this.#context.gpu.createBuffer({ label: "measuring", size, usage });
    this.#buffers.push(buffer);
    return buffer;
  }
}
