/** A device with everything that runs on it. Imports nothing of the compiler: programs come as something that makes plans. */
import { describeAdapter } from "./adapter.ts";
import type { BufferRange } from "./arguments.ts";
import { Context, type Wait } from "./context.ts";
import { DeviceError } from "./errors.ts";
import { elementBytes, elementCount, fromDeviceBytes, type HostInput, roundUp, toDeviceBytes } from "./host-array.ts";
import { type DeviceArray, type KernelHost, type LoadedKernel, loadKernel } from "./kernel.ts";
import { measureAdapter } from "./measure.ts";
import { PipelineCache } from "./pipelines.ts";
import type { AdapterCosts, AdapterInfo, HostArray, Plan } from "./plan.ts";
import { BufferPool, checkBufferSize } from "./pool.ts";
import { type RaceTimes, race } from "./race.ts";
import { BUFFER_USAGE, MAP_MODE_READ, STORAGE_USAGE } from "./webgpu.ts";

/** A kernel with the buffers that it runs on in a race. */
export interface RaceEntrant {
  readonly kernel: LoadedKernel;
  readonly buffers: Readonly<Record<string, BufferRange>>;
  readonly sizes?: Readonly<Record<string, number>>;
  /** Runs in one pass; 1 if left out. */
  readonly inner?: number;
}

/** Whatever makes plans: a compiled program. `Options` are its own, with the adapter to choose schedules for. */
export interface PlanSource<Options> {
  plan(name: string, options: Options): Plan | Promise<Plan>;
  /** The plan of schedules that are searched on the device first, for `load` with `tune`. */
  tunedPlan?(device: Device, name: string, options: Options): Promise<Plan>;
}

export interface WrapOptions {
  /** Describes the adapter where the device itself cannot say (older browsers). */
  readonly adapterInfo?: GPUAdapterInfo;
  /** How pending device work is waited for; plainly if left out. */
  readonly wait?: Wait;
  /** Costs of the adapter that were measured before (Device.measure). */
  readonly costs?: AdapterCosts;
  /** Called once after close. */
  readonly onClose?: () => unknown;
}

/**
 * A Device over the caller's own GPUDevice, whose limits and features it keeps to. Closing it destroys the GPUDevice.
 */
export function wrapDevice(gpu: GPUDevice, options: WrapOptions = {}): Device {
  return new Device(gpu, options);
}

const NO_INFO = { vendor: "", architecture: "", device: "", description: "", isFallbackAdapter: false };

export class Device {
  readonly gpu: GPUDevice;
  #info: AdapterInfo;
  readonly #context: Context;
  readonly #host: KernelHost;
  readonly #onClose: (() => unknown) | undefined;
  #closed = false;

  /** Use openDevice or wrapDevice. */
  constructor(gpu: GPUDevice, options: WrapOptions) {
    this.gpu = gpu;
    const info = options.adapterInfo ?? gpu.adapterInfo ?? (NO_INFO as GPUAdapterInfo);
    this.#info = {
      ...describeAdapter(info, gpu.limits, gpu.features),
      ...(options.costs ? { costs: options.costs } : {}),
    };
    this.#onClose = options.onClose;
    const context = new Context(gpu, this.info, options.wait ?? ((pending) => pending));
    this.#context = context;
    this.#host = {
      context,
      pipelines: new PipelineCache(context),
      storage: new BufferPool(context, STORAGE_USAGE, "storage"),
      staging: new BufferPool(context, BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST, "staging"),
    };
  }

  /** The adapter, with its costs if they were measured. */
  get info(): AdapterInfo {
    return this.#info;
  }

  /**
   * Measures what operations cost here, in about a second; programs that are loaded from then on have schedules chosen by it. Rejects with
   * DeviceError.
   */
  async measure(): Promise<AdapterCosts> {
    this.#context.check();
    const costs = await measureAdapter(this.#context, this.#host.pipelines);
    this.#info = { ...this.#info, costs };
    return costs;
  }

  /**
   * Plans a function of a program for this device's adapter and loads it. `options` go to the program (extents, consts, …); with `tune`
   * its kernels' schedules are searched here first, which takes seconds. Rejects with what the program throws, and as loadPlan does.
   */
  async load<Options extends { readonly adapter?: AdapterInfo }>(
    program: PlanSource<Options>,
    name: string,
    options?: Omit<Options, "adapter">,
  ): Promise<LoadedKernel> {
    this.#context.check(name);
    const all = { ...options, adapter: this.info } as unknown as Options;
    const tuned = "tune" in all && all.tune ? program.tunedPlan?.(this, name, all) : undefined;
    return this.loadPlan(await (tuned ?? program.plan(name, all)));
  }

  /**
   * Compiles a plan's pipelines, in parallel, and uploads its constants. Rejects with DeviceError: "validation" with the WGSL
   * compiler's messages, "unsupported-feature", "limits", "out-of-memory", "lost".
   */
  async loadPlan(plan: Plan): Promise<LoadedKernel> {
    this.#context.check(plan.name);
    return loadKernel(this.#host, plan);
  }

  /**
   * Times kernels beside each other, each on the caller's buffers as `LoadedKernel.encode` takes them: `rounds` times all of them in turn,
   * each `inner` times in a pass of its own. `now`, in nanoseconds, is read around each instead of the device's timestamps. Rejects with DeviceError as encode throws.
   */
  async race(entrants: readonly RaceEntrant[], rounds: number, now?: () => number): Promise<RaceTimes> {
    const context = this.#context;
    context.check();
    const made = context.scoped("a race", {}, () =>
      entrants.map((e) => ({ commands: e.kernel.commands(e.buffers, e.sizes ?? {}), inner: e.inner ?? 1 })),
    );
    const error = await context.guard(made.error);
    if (error) throw error;
    return race(context, "race", made.value, rounds, now);
  }

  /** A storage buffer that can be copied to and from, its size rounded up to 16 bytes. Throws DeviceError "limits", "lost". */
  createBuffer(bytes: number, label = "buffer"): GPUBuffer {
    this.#context.check();
    const size = Math.max(16, roundUp(bytes, 16));
    checkBufferSize(this.#context, size, label);
    return this.gpu.createBuffer({ label, size, usage: STORAGE_USAGE });
  }

  /** Puts an array on the device. Throws DeviceError "shape" if data and shape disagree, "limits", "lost". */
  upload(array: HostInput, label = "array"): DeviceArray {
    const bytes = toDeviceBytes(array, label);
    const buffer = this.createBuffer(bytes.byteLength, label);
    if (bytes.byteLength > 0) this.gpu.queue.writeBuffer(buffer, 0, bytes);
    return { dtype: array.dtype, shape: array.shape, buffer, offset: 0 };
  }

  /** Reads an array back. The buffer needs COPY_SRC. Rejects with DeviceError "shape", "validation", "lost". */
  async download(array: DeviceArray): Promise<HostArray> {
    const context = this.#context;
    context.check();
    const { dtype, shape, buffer, offset = 0 } = array;
    const bytes = roundUp(elementCount(shape) * elementBytes(dtype), 4);
    if (bytes === 0) return fromDeviceBytes(dtype, shape, new ArrayBuffer(0), 0);
    if (offset + bytes > buffer.size) {
      throw new DeviceError(
        "shape",
        `an array of ${bytes} bytes at byte ${offset} leaves its buffer of ${buffer.size}`,
      );
    }
    const made = context.scoped("reading an array", {}, () => {
      const staging = this.#host.staging.take(bytes, "an array");
      const encoder = this.gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
      this.gpu.queue.submit([encoder.finish()]);
      const mapped = staging.mapAsync(MAP_MODE_READ);
      mapped.catch(() => {});
      return { staging, mapped };
    });
    const { staging, mapped } = made.value;
    try {
      const error = await context.guard(made.error);
      if (error) throw error;
      await context.guard(mapped);
      const result = fromDeviceBytes(dtype, shape, staging.getMappedRange(), 0);
      staging.unmap();
      this.#host.staging.give(staging);
      return result;
    } catch (error) {
      staging.destroy();
      throw error;
    }
  }

  /** Destroys the device. Pending calls reject with DeviceError "lost"; nothing keeps the process alive. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.lose(new DeviceError("lost", "the device was closed"));
    this.#host.storage.clear();
    this.#host.staging.clear();
    this.gpu.destroy();
    this.#onClose?.();
  }
}
