/**
 * Trains a model of `.ein` on a device. A module has `init`, `gradient`, `update` and `accuracy`; what `update` gives as `next_NAME`
 * is the state NAME of the next step. Parameters stay on the device in buffers of ours, two for each, which take turns; a step is one
 * submit, and only the losses are read back, as many at once as the ring holds.
 */
import type { Device } from "../../runtime/device.ts";
import type { LoadedKernel } from "../../runtime/kernel.ts";
import type { HostArray } from "../../runtime/plan.ts";
import type { Program } from "../../src/index.ts";
import type { Digits } from "../digits.ts";
import { epochOrder } from "./order.ts";

export interface TrainerOptions {
  readonly data: Digits;
  readonly batch: number;
  /** Parts of a batch whose gradients are added up. */
  readonly parts: number;
  readonly rate: number;
  readonly seed: number;
  /** Steps between two read-backs of losses. */
  readonly every: number;
  /** A checkpoint to go on from. */
  readonly state?: ReadonlyMap<string, HostArray> | undefined;
}

/** Two buffers that take turns: what a step reads, and what it writes. */
interface Pair {
  readonly like: HostArray;
  read: GPUBuffer;
  write: GPUBuffer;
}

const scalar = (dtype: "f32" | "i32", value: number): HostArray => ({
  dtype,
  shape: [],
  data: dtype === "f32" ? Float32Array.of(value) : Int32Array.of(value),
});

const zeros = (a: HostArray): HostArray => ({ dtype: "f32", shape: a.shape, data: new Float32Array(a.data.length) });

export class Trainer {
  readonly #device: Device;
  readonly #options: TrainerOptions;
  readonly #gradient: LoadedKernel;
  readonly #update: LoadedKernel;
  /** What the optimiser carries from step to step. */
  readonly #state: ReadonlyMap<string, Pair>;
  /** Sums of gradients and of the loss over the parts of a batch, and the zeros that they start from. */
  readonly #sums: ReadonlyMap<string, Pair & { readonly zero: GPUBuffer }>;
  readonly #fixed: Readonly<Record<string, GPUBuffer>>;
  readonly #parts: readonly GPUBuffer[];
  #step: number;

  private constructor(
    device: Device,
    o: TrainerOptions,
    kernels: { readonly gradient: LoadedKernel; readonly update: LoadedKernel },
    state: ReadonlyMap<string, HostArray>,
    parameters: readonly string[],
  ) {
    this.#device = device;
    this.#options = o;
    this.#gradient = kernels.gradient;
    this.#update = kernels.update;
    const upload = (a: HostArray): GPUBuffer => device.upload(a).buffer;
    const pair = (a: HostArray): Pair => ({ like: a, read: upload(a), write: upload(zeros(a)) });
    this.#state = new Map([...state].map(([name, a]) => [name, pair(a)]));
    const summed = new Map([
      ["loss", scalar("f32", 0)],
      ...parameters.map((n) => [`g_${n}`, zeros(state.get(n)!)] as const),
    ]);
    this.#sums = new Map([...summed].map(([name, a]) => [name, { ...pair(a), zero: upload(a) }]));
    const count = o.data.labels.data.length;
    this.#fixed = {
      images: upload(o.data.images),
      labels: upload(o.data.labels),
      order: upload({ dtype: "i32", shape: [count], data: new Int32Array(count) }),
      rate: upload(scalar("f32", o.rate)),
    };
    this.#parts = Array.from({ length: o.parts }, (_, i) => upload(scalar("i32", i)));
    this.#step = state.get("n")!.data[0] as number;
    this.#shuffle();
  }

  /** Compiles the kernels and starts from a checkpoint, or from `init` of the seed. */
  static async create(device: Device, program: Program, o: TrainerOptions): Promise<Trainer> {
    const count = o.data.labels.data.length;
    if (count % o.batch !== 0 || o.batch % o.parts !== 0)
      throw new RangeError(`${count} images, batches of ${o.batch} in ${o.parts} parts: they do not divide`);
    const state = o.state ?? (await startOf(device, program, o));
    const parameters = [...state.keys()].filter((n) => state.has(`m_${n}`));
    const known = new Map<string, HostArray>([...state, ...Object.entries(o.data)]);
    // Every extent is known, and a literal in the kernels.
    const shapesFor = (fn: string): Record<string, readonly number[]> => {
      const f = program.functions.find((x) => x.name === fn)!;
      const shapes = f.parameters
        .filter((p) => !p.isConst)
        .map((p) => {
          const like = p.name === "order" ? o.data.labels : known.get(p.name.replace(/^g_/, ""));
          return [p.name, like?.shape ?? []] as const;
        });
      return Object.fromEntries(shapes);
    };
    const [gradient, update] = await Promise.all([
      device.load(program, "gradient", {
        shapes: shapesFor("gradient"),
        consts: { batch: o.batch / o.parts, parts: o.parts },
      }),
      device.load(program, "update", { shapes: shapesFor("update") }),
    ]);
    return new Trainer(device, o, { gradient, update }, state, parameters);
  }

  /** How many steps have been made, those before a checkpoint included. */
  get step(): number {
    return this.#step;
  }

  /** Encodes and submits one step; nothing is waited for. */
  advance(): void {
    const stepsAnEpoch = this.#options.data.labels.data.length / this.#options.batch;
    if (this.#step % stepsAnEpoch === 0) this.#shuffle();
    const encoder = this.#device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [i, part] of this.#parts.entries()) {
      for (const s of this.#sums.values()) [s.read, s.write] = [s.write, s.read];
      const starts = Object.fromEntries([...this.#sums].map(([n, s]) => [n, i === 0 ? s.zero : s.read]));
      this.#encode(this.#gradient, pass, { ...starts, part }, this.#sums);
    }
    const gradients = Object.fromEntries([...this.#sums].map(([n, s]) => [n, s.write]));
    this.#encode(this.#update, pass, gradients, this.#state);
    pass.end();
    this.#device.gpu.queue.submit([encoder.finish()]);
    for (const s of this.#state.values()) [s.read, s.write] = [s.write, s.read];
    this.#step++;
  }

  /** Parameters and results by name: what is given, else the state, else what never changes. */
  #encode(
    kernel: LoadedKernel,
    pass: GPUComputePassEncoder,
    given: Readonly<Record<string, GPUBuffer>>,
    results: ReadonlyMap<string, Pair>,
  ): void {
    const buffers: Record<string, GPUBuffer> = {};
    for (const { name } of kernel.plan.params)
      buffers[name] = given[name] ?? this.#state.get(name)?.read ?? this.#fixed[name]!;
    for (const { name } of kernel.plan.results) buffers[name] = results.get(name.slice("next_".length))!.write;
    kernel.encode(pass, buffers);
  }

  #shuffle(): void {
    const count = this.#options.data.labels.data.length;
    const epoch = Math.floor((this.#step * this.#options.batch) / count);
    this.#device.gpu.queue.writeBuffer(this.#fixed["order"]!, 0, epochOrder(count, this.#options.seed, epoch));
  }

  /** The losses since the last read-back, oldest first; at most `every`. Waits for the device. */
  async losses(count: number): Promise<number[]> {
    const { data } = await this.#download("losses");
    return Array.from({ length: count }, (_, i) => Number(data[(this.#step - count + i) % this.#options.every]));
  }

  /** All that training goes on from, as a checkpoint stores it. */
  async state(): Promise<Map<string, HostArray>> {
    const names = [...this.#state.keys()];
    const arrays = await Promise.all(names.map((n) => this.#download(n)));
    return new Map(names.map((n, i) => [n, arrays[i]!]));
  }

  #download(name: string): Promise<HostArray> {
    const { like, read } = this.#state.get(name)!;
    return this.#device.download({ dtype: like.dtype, shape: like.shape, buffer: read });
  }

  /** The arguments of the next step's gradient, for checking it against the interpreter. */
  async arguments(): Promise<Record<string, HostArray>> {
    const { data, seed, batch } = this.#options;
    const count = data.labels.data.length;
    const epoch = Math.floor((this.#step * batch) / count);
    const state = await this.state();
    const order: HostArray = { dtype: "i32", shape: [count], data: epochOrder(count, seed, epoch) };
    const given: Record<string, HostArray> = { ...data, order, part: scalar("i32", 0) };
    for (const p of this.#gradient.plan.params)
      given[p.name] ??= state.get(p.name) ?? zeros(this.#sums.get(p.name)!.like);
    return given;
  }

  destroy(): void {
    for (const s of [...this.#state.values(), ...this.#sums.values()]) {
      s.read.destroy();
      s.write.destroy();
    }
    for (const s of this.#sums.values()) s.zero.destroy();
    for (const b of [...Object.values(this.#fixed), ...this.#parts]) b.destroy();
    this.#gradient.dispose();
    this.#update.dispose();
  }
}

/** Parameters from `init`, moments of zero for as many averages as `update` keeps. */
async function startOf(device: Device, program: Program, o: TrainerOptions): Promise<Map<string, HostArray>> {
  const init = await device.load(program, "init");
  const parameters = await init.run({ seed: { dtype: "u32", shape: [2], data: Uint32Array.of(0, o.seed) } });
  init.dispose();
  const names = program.functions.find((f) => f.name === "update")!.parameters.map((p) => p.name);
  const state = new Map([["n", scalar("i32", 0)]]);
  state.set("losses", { dtype: "f32", shape: [o.every], data: new Float32Array(o.every) });
  for (const [result, a] of Object.entries(parameters)) {
    const name = result.replace(/^next_/, "");
    state.set(name, a);
    for (const moment of ["m", "v"]) if (names.includes(`${moment}_${name}`)) state.set(`${moment}_${name}`, zeros(a));
  }
  return state;
}
