/** A plan for given sizes: every number known, everything checked against the device's limits, nothing allocated yet. */
import { DeviceError } from "./errors.ts";
import { elementBytes, roundUp } from "./host-array.ts";
import type { AdapterInfo, Plan, PlanBuffer, PlanKernel, PlanLoop, PlanSize, PlanStep } from "./plan.ts";
import { evaluateSize, type Sizes } from "./size.ts";

/** A range of the recipe's uniform data. */
export interface UniformRange {
  readonly offset: number;
  readonly bytes: number;
}

/** Buffers are indices into the plan's buffers, past them results: `resultSlot`. */
export interface RecipeDispatch {
  readonly kind: "dispatch";
  readonly kernel: number;
  readonly buffers: readonly number[];
  readonly groups: readonly [number, number, number];
  readonly uniform: UniformRange | undefined;
}
export interface RecipeFill {
  readonly kind: "fill";
  readonly buffer: number;
  readonly pattern: number;
  readonly bytes: number;
  readonly uniform: UniformRange;
}
/** The words of `from` go to `to`, from the word on that is the uniform's second. */
export interface RecipeCopy {
  readonly kind: "copy";
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  readonly uniform: UniformRange;
}
export type RecipeStep = RecipeDispatch | RecipeFill | RecipeCopy;

export interface RecipeBuffer {
  /** Bytes of the elements, rounded up to 4. */
  readonly bytes: number;
  /** What to bind where memory is ours: whole vectors of four, at least 16. */
  readonly bound: number;
  /** Which piece of temporary memory it lives in; undefined for everything else. */
  readonly slot: number | undefined;
}

export interface Recipe {
  readonly sizes: Sizes;
  /** As in the plan, then one for each entry of `aliases`. */
  readonly buffers: readonly RecipeBuffer[];
  /** Bytes of each piece of temporary memory. */
  readonly slots: readonly number[];
  readonly steps: readonly RecipeStep[];
  readonly resultShapes: readonly (readonly number[])[];
  readonly uniforms: ArrayBuffer;
  /**
   * Results that are an argument, a constant or another result: copied at the end where the caller brings memory for them.
   * `result` is an index into the plan's results, the copy's target buffer `plan.buffers.length + position here`.
   */
  readonly aliases: readonly { readonly result: number; readonly copy: RecipeCopy }[];
}

/** What one submit is made of at most. */
const MOST_STEPS = 2 ** 20;

/** minUniformBufferOffsetAlignment of every device is at most this. */
const UNIFORM_ALIGNMENT = 256;

/** Results that have no buffer of their own. */
export function aliasedResults(plan: Plan): readonly number[] {
  const seen = new Set<number>();
  return plan.results.flatMap((result, i) => {
    const own = plan.buffers[result.buffer]!.role === "result" && !seen.has(result.buffer);
    seen.add(result.buffer);
    return own ? [] : [i];
  });
}

/** Throws DeviceError "limits" that names the array or kernel and the limit, "shape" for a negative size. */
export function makeRecipe(plan: Plan, sizes: Sizes, limits: AdapterInfo["limits"]): Recipe {
  const uniforms = new UniformWriter();
  const slotBytes: number[] = [];
  const slotIndex = new Map<string, number>();
  const buffers: RecipeBuffer[] = plan.buffers.map((buffer, i) => {
    const bytes = bufferBytes(plan, buffer, i, sizes, limits);
    const bound = Math.max(16, roundUp(bytes, 16));
    if (buffer.role !== "temporary") return { bytes, bound, slot: undefined };
    // A temporary without a slot shares with nobody.
    const key = buffer.slot === undefined ? `own ${i}` : `slot ${buffer.slot}`;
    let slot = slotIndex.get(key);
    if (slot === undefined) {
      slot = slotBytes.length;
      slotIndex.set(key, slot);
      slotBytes.push(0);
    }
    slotBytes[slot] = Math.max(slotBytes[slot]!, bound);
    return { bytes, bound, slot };
  });

  const copyStep = (from: number, to: number, row = 0): RecipeCopy => {
    const bytes = buffers[from]!.bytes;
    return { kind: "copy", from, to, bytes, uniform: uniforms.add([bytes / 4, (row * bytes) / 4]) };
  };
  const steps: RecipeStep[] = [];
  /** What has changed places: in which buffer the contents of each are now. */
  const places = plan.buffers.map((_, i) => i);
  const at = (buffer: number): number => places[buffer]!;
  const push = (step: RecipeStep): void => {
    if (steps.push(step) > MOST_STEPS)
      throw new DeviceError("limits", `${plan.name}: its loops take more than ${MOST_STEPS} dispatches`, {
        kernel: plan.name,
      });
  };
  const one = (step: PlanStep): void => {
    if ("fill" in step) {
      const buffer = at(step.fill);
      const bytes = buffers[buffer]!.bytes;
      if (bytes === 0) return;
      const uniform = uniforms.add([bytes / 4, step.pattern]);
      push({ kind: "fill", buffer, pattern: step.pattern, bytes, uniform });
    } else if ("copyFrom" in step) {
      const [from, to] = [at(step.copyFrom), at(step.copyTo)];
      if (buffers[from]!.bytes !== buffers[to]!.bytes) {
        throw new DeviceError(
          "shape",
          `${plan.name}: a copy between buffers of ${buffers[from]!.bytes} and ${buffers[to]!.bytes} bytes`,
          { kernel: plan.name },
        );
      }
      if (buffers[from]!.bytes > 0) push(copyStep(from, to));
    } else {
      const kernel = plan.kernels[step.kernel]!;
      const groups = step.groups.map((g) => groupCount(kernel, g, sizes, limits)) as [number, number, number];
      if (groups.includes(0)) return;
      const values = kernel.uniforms.map((u) => uniformValue(kernel, u, sizes));
      const uniform = kernel.bindings.includes("uniform") ? uniforms.add(values) : undefined;
      push({ kind: "dispatch", kernel: step.kernel, buffers: step.buffers.map(at), groups, uniform });
    }
  };
  const round = (loop: PlanLoop, inner: readonly PlanLoop[], n: number): void => {
    all(loop.first, loop.end, inner);
    for (const { stack, value } of loop.stacks)
      if (buffers[at(value)]!.bytes > 0) push(copyStep(at(value), at(stack), n));
    for (const [a, b] of loop.swaps) [places[a], places[b]] = [at(b), at(a)];
  };
  const all = (from: number, to: number, loops: readonly PlanLoop[]): void => {
    let [i, rest] = [from, loops];
    while (i < to) {
      const [loop] = rest;
      if (loop?.first !== i) {
        one(plan.steps[i]!);
        i++;
        continue;
      }
      const inner = rest.slice(1).filter((l) => l.first < loop.end);
      const rounds = evaluateSize(loop.rounds, sizes);
      for (let n = 0; n < rounds; n++) round(loop, inner, n);
      rest = rest.slice(1 + inner.length);
      i = loop.end;
    }
  };
  all(0, plan.steps.length, plan.loops ?? []);
  const aliases = aliasedResults(plan).map((result) => {
    const from = plan.results[result]!.buffer;
    buffers.push(buffers[from]!);
    return { result, copy: copyStep(from, buffers.length - 1) };
  });
  const resultShapes = plan.results.map((r) => r.shape.map((size) => evaluateSize(size, sizes)));
  return { sizes, buffers, slots: slotBytes, steps, resultShapes, uniforms: uniforms.data(), aliases };
}

function bufferBytes(
  plan: Plan,
  buffer: PlanBuffer,
  index: number,
  sizes: Sizes,
  limits: AdapterInfo["limits"],
): number {
  const elements = evaluateSize(buffer.size, sizes);
  const name =
    [...plan.params, ...plan.results].find((a) => a.buffer === index)?.name ?? `${buffer.role} buffer ${index}`;
  if (!Number.isSafeInteger(elements) || elements < 0) {
    throw new DeviceError("shape", `${plan.name}: ${name} would have ${elements} elements`, { kernel: plan.name });
  }
  const bytes = roundUp(elements * elementBytes(buffer.dtype), 4);
  for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"] as const) {
    if (bytes > limits[limit]) {
      throw new DeviceError(
        "limits",
        `${plan.name}: ${name} needs ${bytes} bytes, but the device allows ${limits[limit]} (${limit})`,
        {
          kernel: plan.name,
          argument: { parameter: name, expected: limits[limit], found: bytes },
        },
      );
    }
  }
  return bytes;
}

function groupCount(kernel: PlanKernel, size: PlanSize, sizes: Sizes, limits: AdapterInfo["limits"]): number {
  const count = evaluateSize(size, sizes);
  if (!Number.isSafeInteger(count) || count < 0 || count > limits.maxComputeWorkgroupsPerDimension) {
    throw new DeviceError(
      "limits",
      `kernel ${kernel.name} would need ${count} workgroups in one dimension; the device allows ` +
        `${limits.maxComputeWorkgroupsPerDimension} (maxComputeWorkgroupsPerDimension)`,
      { kernel: kernel.name },
    );
  }
  return count;
}

function uniformValue(kernel: PlanKernel, size: PlanSize, sizes: Sizes): number {
  const value = evaluateSize(size, sizes);
  if ((value | 0) !== value) {
    throw new DeviceError(
      "limits",
      `kernel ${kernel.name} would need the size ${value}, which is not a 32-bit integer`,
      { kernel: kernel.name },
    );
  }
  return value;
}

/** Collects blocks of 32-bit values at aligned offsets; equal blocks are stored once. */
class UniformWriter {
  readonly #blocks: { readonly offset: number; readonly values: readonly number[] }[] = [];
  readonly #ranges: Map<string, UniformRange> = new Map();
  #end = 0;

  add(values: readonly number[]): UniformRange {
    const key = values.join(" ");
    let range = this.#ranges.get(key);
    if (!range) {
      range = { offset: this.#end, bytes: Math.max(16, roundUp(values.length * 4, 16)) };
      this.#blocks.push({ offset: range.offset, values });
      this.#ranges.set(key, range);
      this.#end = roundUp(range.offset + range.bytes, UNIFORM_ALIGNMENT);
    }
    return range;
  }

  data(): ArrayBuffer {
    const data = new ArrayBuffer(this.#end);
    const view = new DataView(data);
    for (const { offset, values } of this.#blocks) {
      values.forEach((value, i) => {
        view.setInt32(offset + 4 * i, value | 0, true);
      });
    }
    return data;
  }
}
