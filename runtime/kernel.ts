/** A plan on a device, ready to run. */
import { type BufferRange, bufferNames, callersRange, checkNames } from "./arguments.ts";
import { COPY_KERNEL, FILL_KERNEL } from "./builtin.ts";
import { type Binding, type Command, encodeCommands, type Pipelines } from "./commands.ts";
import type { Context } from "./context.ts";
import { DeviceError } from "./errors.ts";
import { fromDeviceBytes, type HostInput, roundUp, toDeviceBytes } from "./host-array.ts";
import { type Prepared, PreparedCache } from "./memory.ts";
import type { PipelineCache } from "./pipelines.ts";
import type { HostArray, Plan, PlanArray, PlanDType } from "./plan.ts";
import { type BufferPool, checkBufferSize } from "./pool.ts";
import { aliasedResults, type RecipeBuffer, type RecipeStep } from "./recipe.ts";
import { sizesFromNames, sizesFromShapes } from "./size.ts";
import { type KernelTimes, type TimeOptions, timeCommands } from "./time.ts";
import { MAP_MODE_READ, STORAGE_USAGE } from "./webgpu.ts";

/** An array that lives on the device: f32, i32, u32 4 bytes an element, bool a u32 each, f16 2 bytes. */
export interface DeviceArray {
  readonly dtype: PlanDType;
  readonly shape: readonly number[];
  readonly buffer: GPUBuffer;
  /** Bytes, a multiple of the device's minStorageBufferOffsetAlignment; 0 if left out. */
  readonly offset?: number;
  /** Bytes from there; to the buffer's end if left out. */
  readonly size?: number;
}

export type Input = HostInput | DeviceArray;

/** The device's parts that a kernel uses. */
export interface KernelHost {
  readonly context: Context;
  readonly pipelines: PipelineCache;
  readonly storage: BufferPool;
  readonly staging: BufferPool;
}

/** Loads a plan: compiles its pipelines, all at once, and uploads its constants. See Device.loadPlan for what it throws. */
export async function loadKernel(host: KernelHost, plan: Plan): Promise<LoadedKernel> {
  const { context } = host;
  if (plan.version !== 1) {
    throw new DeviceError(
      "validation",
      `${plan.name}: the plan has version ${String(plan.version)}, this runtime reads 1`,
      { kernel: plan.name },
    );
  }
  const fills = plan.steps.some((s) => "fill" in s);
  const stacks = plan.loops?.some((l) => l.stacks.length > 0) ?? false;
  const copies = stacks || plan.steps.some((s) => "copyFrom" in s) || aliasedResults(plan).length > 0;
  const [kernels, fill, copy] = await Promise.all([
    Promise.all(plan.kernels.map((k) => host.pipelines.get(k))),
    fills ? host.pipelines.get(FILL_KERNEL) : undefined,
    copies ? host.pipelines.get(COPY_KERNEL) : undefined,
  ]);
  const made = context.scoped(`the constants of ${plan.name}`, { kernel: plan.name }, () =>
    plan.buffers.map((b) => (b.role === "constant" ? uploadConstant(context, plan, b.data ?? "") : undefined)),
  );
  const error = await context.guard(made.error, plan.name);
  if (error) throw error;
  return new LoadedKernel(host, plan, { kernels, fill, copy }, made.value);
}

function uploadConstant(context: Context, plan: Plan, data: string): Binding {
  const text = atob(data);
  const size = Math.max(16, roundUp(text.length, 16));
  checkBufferSize(context, size, `a constant of ${plan.name}`);
  const bytes = new Uint8Array(size);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const buffer = context.gpu.createBuffer({ label: `${plan.name} constant`, size, usage: STORAGE_USAGE });
  context.gpu.queue.writeBuffer(buffer, 0, bytes);
  return { buffer, offset: 0, size };
}

/** Buffers of one call: what is bound, and what was taken from the pool for it. */
interface CallMemory {
  readonly bindings: readonly (Binding | undefined)[];
  readonly taken: GPUBuffer[];
}

export class LoadedKernel {
  readonly plan: Plan;
  readonly #host: KernelHost;
  readonly #constants: readonly (Binding | undefined)[];
  readonly #prepared: PreparedCache;
  #disposed = false;

  /** Use Device.load or Device.loadPlan. */
  constructor(host: KernelHost, plan: Plan, pipelines: Pipelines, constants: readonly (Binding | undefined)[]) {
    this.plan = plan;
    this.#host = host;
    this.#constants = constants;
    this.#prepared = new PreparedCache(host.context, plan, pipelines);
  }

  /** The WGSL of all kernels, in the order of the plan, each under a comment with its name. */
  get wgsl(): string {
    return this.plan.kernels.map((k) => `// ${k.name}: ${k.origin}\n${k.wgsl}`).join("\n");
  }

  /**
   * Runs the program once, in one submit, and reads the results back. Inputs go by parameter name: host arrays are
   * uploaded, device arrays are used where they are. Rejects with DeviceError: "shape" if an argument is missing, unknown
   * or does not fit; "limits", "out-of-memory", "validation", "lost".
   */
  async run(inputs: Readonly<Record<string, Input>>): Promise<Record<string, HostArray>> {
    const { context, staging } = this.#host;
    const { plan } = this;
    const { prepared, args } = this.#prepare(inputs);
    const made = this.#scoped(() => {
      const memory = this.#memory(prepared, args);
      const encoder = context.gpu.createCommandEncoder({ label: plan.name });
      this.#encodePass(encoder, prepared.commands(memory.bindings));
      const reads = this.#encodeReads(encoder, prepared, memory);
      context.gpu.queue.submit([encoder.finish()]);
      this.#release(memory);
      // Mapping is asked for in the same stretch, so that an error of it has a scope to go to.
      const mapped = Promise.all(reads.buffers.map((b) => b.mapAsync(MAP_MODE_READ)));
      mapped.catch(() => {});
      return { ...reads, mapped };
    });
    const { buffers, places, mapped } = made.value;
    try {
      await this.#settle(made.error);
      await context.guard(mapped, plan.name);
      const ranges = buffers.map((b) => b.getMappedRange());
      const results = plan.results.map((r, i): [string, HostArray] => {
        const { buffer, offset } = places[i]!;
        const empty = buffer === undefined;
        const bytes = empty ? new ArrayBuffer(0) : ranges[buffer]!;
        return [r.name, fromDeviceBytes(r.dtype, prepared.recipe.resultShapes[i]!, bytes, offset)];
      });
      for (const buffer of buffers) {
        buffer.unmap();
        staging.give(buffer);
      }
      return Object.fromEntries(results);
    } catch (error) {
      for (const buffer of buffers) buffer.destroy();
      throw error;
    }
  }

  /** As run, for programs of one result; throws TypeError for others. */
  async runSingle(inputs: Readonly<Record<string, Input>>): Promise<HostArray> {
    const { name, results } = this.plan;
    if (results.length !== 1) throw new TypeError(`${name} has ${results.length} results; use run`);
    return (await this.run(inputs))[results[0]!.name]!;
  }

  /**
   * Runs the program once and leaves the results on the device, in buffers that are the caller's from then on (destroy them
   * when done). Resolves when the commands are accepted, not when they are done. Rejects as run does.
   */
  async runOnDevice(inputs: Readonly<Record<string, Input>>): Promise<Record<string, DeviceArray>> {
    const { context } = this.#host;
    const { plan } = this;
    const { prepared, args } = this.#prepare(inputs);
    const made = this.#scoped(() => {
      const memory = this.#memory(prepared, args, true);
      const encoder = context.gpu.createCommandEncoder({ label: plan.name });
      this.#encodePass(encoder, prepared.commands(memory.bindings));
      context.gpu.queue.submit([encoder.finish()]);
      const aliases = new Map(prepared.recipe.aliases.map((a) => [a.result, a.copy.to]));
      const arrays = plan.results.map((r, i): [string, DeviceArray] => {
        const { buffer, offset } = memory.bindings[aliases.get(i) ?? r.buffer]!;
        memory.taken.splice(memory.taken.indexOf(buffer), 1);
        return [r.name, { dtype: r.dtype, shape: prepared.recipe.resultShapes[i]!, buffer, offset }];
      });
      this.#release(memory);
      // The results' buffers are the caller's now: they must not stay alive in here.
      prepared.forgetBindings();
      return arrays;
    });
    await this.#settle(made.error);
    return Object.fromEntries(made.value);
  }

  /**
   * Encodes the program on the caller's buffers, one for each parameter and each result by name (a result that has a parameter's
   * name, as gradients do, is `out_NAME`), and allocates nothing but temporaries (once for given sizes). With a command encoder it makes one compute pass of its own. `sizes` gives the
   * plan's size symbols and may be left out where there are none. Throws DeviceError "shape", "limits" or "lost"; errors of
   * the commands go to the encoder's owner.
   */
  encode(
    target: GPUComputePassEncoder | GPUCommandEncoder,
    buffers: Readonly<Record<string, BufferRange>>,
    sizes: Readonly<Record<string, number>> = {},
  ): void {
    const commands = this.commands(buffers, sizes);
    if ("dispatchWorkgroups" in target) {
      encodeCommands(target, commands);
    } else {
      const pass = target.beginComputePass({ label: this.plan.name });
      encodeCommands(pass, commands);
      pass.end();
    }
  }

  /** What `encode` encodes, to be timed beside others (Device.race). */
  commands(
    buffers: Readonly<Record<string, BufferRange>>,
    sizes: Readonly<Record<string, number>>,
  ): readonly Command[] {
    this.#check();
    const { plan } = this;
    const prepared = this.#prepared.get(sizesFromNames(plan, sizes));
    const { recipe } = prepared;
    const arrays = [...plan.params, ...plan.results];
    const names = bufferNames(plan);
    checkNames(plan.name, buffers, names, "buffer");
    const bindings: (Binding | undefined)[] = [...this.#constants];
    const temporaries = prepared.temporaries(plan.name);
    recipe.buffers.forEach(({ slot, bound }, i) => {
      if (slot !== undefined) bindings[i] = { buffer: temporaries[slot]!, offset: 0, size: bound };
    });
    const aliases = new Map(recipe.aliases.map((a) => [a.result, a.copy.to]));
    arrays.forEach((array, i) => {
      const at = aliases.get(i - plan.params.length) ?? array.buffer;
      bindings[at] = this.#range(array, buffers[names[i]!]!, recipe.buffers[at]!);
    });
    return prepared.commands(bindings);
  }

  /**
   * Measures the program on these inputs: nanoseconds on the device's own clock where it has timestamps, else by the host's
   * clock around a submit. Rejects as run does.
   */
  async time(inputs: Readonly<Record<string, Input>>, options: TimeOptions = {}): Promise<KernelTimes> {
    const { prepared, args } = this.#prepare(inputs);
    const made = this.#scoped(() => {
      const memory = this.#memory(prepared, args);
      return { memory, commands: prepared.commands(memory.bindings) };
    });
    try {
      await this.#settle(made.error);
      const names = prepared.recipe.steps.map((step) => this.#stepName(step));
      return await timeCommands(this.#host.context, this.plan.name, made.value.commands, names, options);
    } finally {
      this.#release(made.value.memory);
    }
  }

  /** Frees what the kernel keeps on the device. It cannot be used afterwards; commands encoded and not submitted neither. */
  dispose(): void {
    this.#disposed = true;
    this.#prepared.destroy();
    for (const constant of this.#constants) constant?.buffer.destroy();
  }

  #check(): void {
    this.#host.context.check(this.plan.name);
    if (this.#disposed)
      throw new DeviceError("validation", `${this.plan.name} was disposed`, { kernel: this.plan.name });
  }

  #stepName(step: RecipeStep): string {
    return step.kind === "dispatch" ? this.plan.kernels[step.kernel]!.name : step.kind;
  }

  #scoped<T>(commands: () => T): { value: T; error: Promise<DeviceError | undefined> } {
    return this.#host.context.scoped(this.plan.name, { kernel: this.plan.name }, commands);
  }

  async #settle(pending: Promise<DeviceError | undefined>): Promise<void> {
    const error = await this.#host.context.guard(pending, this.plan.name);
    if (!error) return;
    // Buffers that were made in this stretch may be invalid: none of them is used again.
    this.#host.storage.clear();
    this.#host.staging.clear();
    this.#prepared.destroy();
    throw error;
  }

  #prepare(inputs: Readonly<Record<string, Input>>): { prepared: Prepared; args: readonly Input[] } {
    this.#check();
    const { plan } = this;
    checkNames(
      plan.name,
      inputs,
      plan.params.map((p) => p.name),
      "argument",
    );
    const args = plan.params.map((p) => inputs[p.name]!);
    args.forEach((arg, i) => {
      const param = plan.params[i]!;
      if (arg.dtype !== param.dtype) {
        throw new DeviceError("shape", `${plan.name}: ${param.name} is ${arg.dtype}, but ${param.dtype} is needed`, {
          kernel: plan.name,
          argument: { parameter: param.name, expected: param.dtype, found: arg.dtype },
        });
      }
    });
    const sizes = sizesFromShapes(
      plan,
      args.map((a) => a.shape),
    );
    return { prepared: this.#prepared.get(sizes), args };
  }

  /** Memory for one call: uploads host arrays, takes the rest from the pool. */
  #memory(prepared: Prepared, args: readonly Input[], withAliases = false): CallMemory {
    const { context, storage } = this.#host;
    const { plan } = this;
    const { recipe } = prepared;
    const bindings: (Binding | undefined)[] = [...this.#constants];
    const taken: GPUBuffer[] = [];
    const take = (bytes: number, what: string): Binding => {
      const buffer = storage.take(bytes, what);
      taken.push(buffer);
      return { buffer, offset: 0, size: bytes };
    };
    // Everything that can be wrong with the arguments is found before anything is taken.
    const uploads = args.map((arg, i) =>
      "data" in arg ? toDeviceBytes(arg, `${plan.name}: ${plan.params[i]!.name}`) : undefined,
    );
    plan.params.forEach((param, i) => {
      const arg = args[i]!;
      if (!("data" in arg)) bindings[param.buffer] = this.#range(param, arg, recipe.buffers[param.buffer]!);
    });
    plan.params.forEach((param, i) => {
      const bytes = uploads[i];
      if (!bytes) return;
      const binding = take(recipe.buffers[param.buffer]!.bound, param.name);
      if (bytes.byteLength > 0) context.gpu.queue.writeBuffer(binding.buffer, 0, bytes);
      bindings[param.buffer] = binding;
    });
    const slots = recipe.slots.map((bytes, i) => take(bytes, `temporary ${i} of ${plan.name}`));
    recipe.buffers.forEach(({ slot, bound }, i) => {
      if (slot !== undefined) bindings[i] = { buffer: slots[slot]!.buffer, offset: 0, size: bound };
      else if (i < plan.buffers.length)
        bindings[i] ??= take(bound, plan.results.find((r) => r.buffer === i)?.name ?? plan.name);
      else if (withAliases) bindings[i] = take(bound, plan.name);
    });
    return { bindings, taken };
  }

  /** The queue runs in order: whatever is submitted later may have the memory. */
  #release(memory: CallMemory): void {
    for (const buffer of memory.taken.reverse()) this.#host.storage.give(buffer);
  }

  #encodePass(encoder: GPUCommandEncoder, commands: readonly Command[]): void {
    if (commands.length === 0) return;
    const pass = encoder.beginComputePass({ label: this.plan.name });
    encodeCommands(pass, commands);
    pass.end();
  }

  /** Copies the results to mappable memory: all into one buffer, more where one would be too large. */
  #encodeReads(
    encoder: GPUCommandEncoder,
    prepared: Prepared,
    memory: CallMemory,
  ): { buffers: GPUBuffer[]; places: { buffer: number | undefined; offset: number }[] } {
    const limit = this.#host.context.info.limits.maxBufferSize;
    const totals: number[] = [];
    const places = this.plan.results.map((result) => {
      const bytes = prepared.recipe.buffers[result.buffer]!.bytes;
      if (bytes === 0) return { buffer: undefined, offset: 0 };
      if (totals.length === 0 || totals.at(-1)! + bytes > limit) totals.push(0);
      const offset = totals.at(-1)!;
      // Typed arrays are made of copies, so 4 would do; 8 is what mapping asks for.
      totals[totals.length - 1] = roundUp(offset + bytes, 8);
      return { buffer: totals.length - 1, offset };
    });
    const buffers = totals.map((bytes) =>
      this.#host.staging.take(Math.min(bytes, limit), `the results of ${this.plan.name}`),
    );
    this.plan.results.forEach((result, i) => {
      const { buffer, offset } = places[i]!;
      if (buffer === undefined) return;
      const source = memory.bindings[result.buffer]!;
      encoder.copyBufferToBuffer(
        source.buffer,
        source.offset,
        buffers[buffer]!,
        offset,
        prepared.recipe.buffers[result.buffer]!.bytes,
      );
    });
    return { buffers, places };
  }

  #range(array: PlanArray, range: BufferRange, need: RecipeBuffer): Binding {
    const alignment = this.#host.context.info.limits.minStorageBufferOffsetAlignment;
    return callersRange(this.plan.name, array, range, need, alignment);
  }
}
