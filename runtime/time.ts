/** How long commands take, for the tuner and the benchmark. */
import { type Command, encodeCommands } from "./commands.ts";
import type { Context } from "./context.ts";
import { BUFFER_USAGE, MAP_MODE_READ } from "./webgpu.ts";

export interface TimeOptions {
  /** Measured runs; 5 if left out. */
  readonly repeat?: number;
  /** Runs before them; 1 if left out. */
  readonly warmup?: number;
  /** Times each dispatch in a pass of its own as well; true if left out. Needs timestamps. */
  readonly dispatches?: boolean;
}

export interface KernelTimes {
  /** The device's own clock around one pass, or the host's around a submit, the waiting included. */
  readonly source: "timestamps" | "clock";
  /** Nanoseconds of the whole program, one for each repeat. */
  readonly total: readonly number[];
  /** Nanoseconds of each dispatch, fill and copy, in order; empty if not asked for or without timestamps. */
  readonly dispatches: readonly { readonly kernel: string; readonly ns: readonly number[] }[];
}

export async function timeCommands(
  context: Context,
  label: string,
  commands: readonly Command[],
  names: readonly string[],
  options: TimeOptions,
): Promise<KernelTimes> {
  const { repeat = 5, warmup = 1, dispatches = true } = options;
  const stamps = context.info.features.includes("timestamp-query") && commands.length > 0;
  const each = stamps && dispatches && commands.length > 1 && commands.length <= 2000 ? commands : [];
  const total: number[] = [];
  const apart: number[][] = each.map(() => []);
  const clock = stamps ? new StampClock(context, label, 1 + each.length) : undefined;
  try {
    for (let round = 0; round < warmup + repeat; round++) {
      const times = clock
        ? await clock.measure([commands, ...each.map((c) => [c])])
        : [await hostTime(context, label, commands)];
      if (round < warmup) continue;
      total.push(times[0]!);
      for (const [i, list] of apart.entries()) list.push(times[1 + i]!);
    }
  } finally {
    clock?.destroy();
  }
  const lists = stamps && dispatches && commands.length === 1 ? [total] : apart;
  return {
    source: clock ? "timestamps" : "clock",
    total,
    dispatches: lists.map((ns, i) => ({ kernel: names[commands[i]!.step] ?? "copy", ns })),
  };
}

/** By the host's clock around a submit, the waiting included. */
export async function hostTime(
  context: Context,
  label: string,
  commands: readonly Command[],
  now: () => number = () => performance.now() * 1e6,
): Promise<number> {
  const encoder = context.gpu.createCommandEncoder({ label });
  if (commands.length > 0) {
    const pass = encoder.beginComputePass({ label });
    encodeCommands(pass, commands);
    pass.end();
  }
  const work = encoder.finish();
  const start = now();
  context.gpu.queue.submit([work]);
  await context.guard(context.gpu.queue.onSubmittedWorkDone(), label);
  return now() - start;
}

/** Timestamps at both ends of passes. */
export class StampClock {
  readonly #context: Context;
  readonly #label: string;
  readonly #count: number;
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(context: Context, label: string, passes: number) {
    this.#context = context;
    this.#label = label;
    this.#count = passes * 2;
    const size = this.#count * 8;
    this.#set = context.gpu.createQuerySet({ type: "timestamp", count: this.#count });
    this.#resolved = context.gpu.createBuffer({ size, usage: BUFFER_USAGE.QUERY_RESOLVE | BUFFER_USAGE.COPY_SRC });
    this.#staging = context.gpu.createBuffer({ size, usage: BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST });
  }

  /** Runs the passes in one submit; nanoseconds of each. */
  async measure(passes: readonly (readonly Command[])[]): Promise<readonly number[]> {
    const { gpu } = this.#context;
    const encoder = gpu.createCommandEncoder({ label: this.#label });
    passes.forEach((commands, i) => {
      const timestampWrites = { querySet: this.#set, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      const pass = encoder.beginComputePass({ label: this.#label, timestampWrites });
      encodeCommands(pass, commands);
      pass.end();
    });
    encoder.resolveQuerySet(this.#set, 0, this.#count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, this.#count * 8);
    gpu.queue.submit([encoder.finish()]);
    await this.#context.guard(this.#staging.mapAsync(MAP_MODE_READ), this.#label);
    const stamps = new BigUint64Array(this.#staging.getMappedRange().slice(0));
    this.#staging.unmap();
    return passes.map((_, i) => Number(stamps[2 * i + 1]! - stamps[2 * i]!));
  }

  destroy(): void {
    this.#set.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}
