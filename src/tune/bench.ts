/** One region on a device: its arguments and results in memory, kernels of any schedule tried on them. */
import { buildPlan } from "../../codegen/plan.ts";
import { evaluateExtent } from "../../ir/extent.ts";
import { shapeOf, type TensorRef } from "../../ir/tensor.ts";
import type { HostArray, Plan } from "../../runtime/plan.ts";
import { numbersOf } from "../api/numbers.ts";
import { type EmittedKernel, emitKernels, planArray } from "../emit.ts";
import { apply } from "../schedule/apply/index.ts";
import { scheduleText } from "../schedule/choose.ts";
import { sizeOfType } from "../schedule/cost.ts";
import type { Region } from "../schedule/region.ts";
import type { Schedule } from "../schedule/schedule.ts";
import type { Target } from "../schedule/target.ts";
import type { TuneArray, TuneBuffer, TuneDevice, TuneEntrant, TuneKernel } from "./device.ts";
import { Reference, type Wrong } from "./reference.ts";
import { regionProgram } from "./region-program.ts";

/** A schedule whose kernels are compiled. */
export interface Trial {
  readonly schedule: Schedule;
  readonly text: string;
  readonly kernel: TuneKernel;
  /** Nanoseconds, one for each time it was measured. */
  readonly ns: number[];
  /** The least it ever took; infinite before it was measured. */
  least: number;
}

/** A schedule that cannot be used. */
export interface Failure {
  /** The compiler's: its kernels do not compile or do not compute the region. The device's: they need more than it has. */
  readonly fault: "compiler" | "device";
  readonly region: string;
  readonly schedule: Schedule;
  readonly message: string;
}

/** A pass is made about this long by running kernels several times in it, for the clock's sake. */
const PASS_NS = { timestamps: 100_000, clock: 3_000_000 } as const;
const MOST_INNER = 64;

/**
 * How long a schedule's code may be where the default schedule's has so many characters: a software adapter's compiler can take minutes and
 * gigabytes for what a schedule unrolls.
 */
export function longestCode(characters: number): number {
  return 1.5 * Math.max(6000, characters);
}

/** What an element of a result holds until a kernel writes it: a NaN, and an unlikely integer. */
const POISON = 0x7fc0dead;

export class RegionBench {
  readonly region: Region;
  readonly target: Target;
  readonly #device: TuneDevice;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #buffers: Readonly<Record<string, TuneBuffer>>;
  readonly #outputs: readonly TuneArray[];
  readonly #poison: TuneBuffer;
  readonly #reference: Reference;
  readonly #now: (() => number) | undefined;
  readonly #codes = new Set<string>();
  /** Characters of the first schedule's code, and some more. */
  #longest = 0;

  /** `reads` are the region's reads on the device and on the host, `stores` buffers for its results; `now` a clock in nanoseconds. */
  constructor(
    device: TuneDevice,
    region: Region,
    sizes: ReadonlyMap<string, number>,
    reads: readonly { readonly device: TuneArray; readonly host: HostArray }[],
    stores: readonly TuneArray[],
    now?: () => number,
  ) {
    this.#now = now;
    this.region = region;
    this.target = device.info;
    this.#device = device;
    this.#sizes = sizes;
    this.#outputs = stores;
    this.#buffers = Object.fromEntries([
      ...reads.map((r, i) => [`x${i}`, r.device.buffer] as const),
      ...stores.map((s, i) => [`y${i}`, s.buffer] as const),
    ]);
    const largest = Math.max(16, ...stores.map((s) => s.buffer.size));
    this.#poison = device.createBuffer(largest, "poison");
    device.gpu.queue.writeBuffer(this.#poison, 0, new Uint32Array(this.#poison.size / 4).fill(POISON));
    const inputs = new Map(reads.map((r, i) => [`x${i}`, { shape: r.host.shape, data: numbersOf(r.host) }] as const));
    this.#reference = new Reference(regionProgram(region).program, inputs, sizes);
  }

  /**
   * Compiles a legal schedule's kernels. Undefined if they are not worth it: the same as of a schedule before it, or so long that a software
   * adapter would compile them for seconds.
   */
  async load(schedule: Schedule): Promise<Trial | Failure | undefined> {
    let kernels: readonly EmittedKernel[];
    try {
      kernels = emitKernels(apply(this.region, schedule, this.target), this.target);
    } catch (error) {
      // The kernel verifier has caught it.
      const message = error instanceof Error ? error.message : String(error);
      return { fault: "compiler", region: this.region.name, schedule, message };
    }
    const code = kernels.map((k) => k.planned.kernel.wgsl).join("\n");
    const grids = JSON.stringify(kernels.map((k) => [k.planned.groups, k.planned.kernel.uniforms]));
    if (this.#codes.has(code + grids)) return undefined;
    this.#longest ||= longestCode(code.length);
    if (this.target.kind === "software" && code.length > this.#longest) return undefined;
    this.#codes.add(code + grids);
    const array = (prefix: string) => (ref: TensorRef, i: number) => planArray(`${prefix}${i}`, ref);
    const plan: Plan = {
      ...buildPlan({
        name: this.region.name,
        params: this.region.reads.map(array("x")),
        results: this.region.stores.map(array("y")),
        facts: [],
        kernels: kernels.map((k) => k.planned),
      }),
      // Sizes are given by name: a region's own arguments need not show all of them.
      symbols: [...this.#sizes.keys()].map((name) => ({ name, param: 0, axis: 0 })),
    };
    try {
      const kernel = await this.#device.loadPlan(plan);
      return { schedule, text: scheduleText(schedule), kernel, ns: [], least: Number.POSITIVE_INFINITY };
    } catch (error) {
      return this.#failed(schedule, error);
    }
  }

  /** Runs it once and compares what it computed with the bounds; undefined if all is well. */
  async check(trial: Trial): Promise<Failure | undefined> {
    const encoder = this.#device.gpu.createCommandEncoder();
    for (const o of this.#outputs) encoder.copyBufferToBuffer(this.#poison, 0, o.buffer, 0, o.buffer.size);
    this.#device.gpu.queue.submit([encoder.finish()]);
    let wrong: Wrong | undefined;
    try {
      await this.#device.race([this.#entrant(trial, 1)], 1);
      wrong = this.#reference.check(new Map((await this.results()).map((a, i) => [`y${i}`, numbersOf(a)] as const)));
    } catch (error) {
      return this.#failed(trial.schedule, error);
    }
    if (!wrong) return undefined;
    const stored = this.region.stores[Number(wrong.result.slice(1))]?.tensor.name;
    const message = `element ${wrong.index} of ${stored} is ${wrong.got}, outside ${wrong.low} … ${wrong.high}`;
    return { fault: "compiler", region: this.region.name, schedule: trial.schedule, message };
  }

  /** What the last trial left. */
  async results(): Promise<readonly HostArray[]> {
    const made: HostArray[] = [];
    for (const o of this.#outputs) made.push(await this.#device.download(o));
    return made;
  }

  /** Measures trials in turn, `rounds` times each, and adds to their times. */
  async race(trials: readonly Trial[], rounds: number): Promise<"timestamps" | "clock"> {
    const entrants = trials.map((t) => this.#entrant(t, this.#inner(t)));
    const { source, ns } = await this.#device.race(entrants, rounds, this.#now);
    this.#source = source;
    for (const [i, t] of trials.entries()) {
      t.ns.push(...ns[i]!);
      t.least = Math.min(t.least, ...ns[i]!);
    }
    return source;
  }
  #source: "timestamps" | "clock" = "clock";

  dispose(): void {
    this.#poison.destroy();
  }

  #inner(t: Trial): number {
    return Math.max(1, Math.min(MOST_INNER, Math.round(PASS_NS[this.#source] / t.least)));
  }

  #entrant(t: Trial, inner: number): TuneEntrant {
    return { kernel: t.kernel, buffers: this.#buffers, sizes: Object.fromEntries(this.#sizes), inner };
  }

  /** Errors of the device other than its loss are about the kernels. */
  #failed(schedule: Schedule, error: unknown): Failure {
    const kind = error instanceof Error && "kind" in error ? error.kind : undefined;
    if (!(error instanceof Error) || kind === "lost" || kind === undefined) throw error;
    const detail = "detail" in error && typeof error.detail === "string" ? `: ${error.detail.split("\n")[0]}` : "";
    const fault = kind === "validation" ? "compiler" : "device";
    return { fault, region: this.region.name, schedule, message: `${error.message}${detail}` };
  }
}

/** Room for a tensor on the device. */
export function allocate(device: TuneDevice, ref: TensorRef, sizes: ReadonlyMap<string, number>): TuneArray {
  const dtype = ref.tensor.types[ref.slot] ?? "f32";
  const shape = shapeOf(ref.tensor).map((e) => evaluateExtent(e, sizes));
  const bytes = shape.reduce((p, n) => p * n, sizeOfType(dtype));
  return { dtype, shape, buffer: device.createBuffer(bytes, ref.tensor.name) };
}
