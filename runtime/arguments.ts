/** Checks of what callers hand to a kernel by name. All throw DeviceError "shape" that names the argument. */
import type { Binding } from "./commands.ts";
import { DeviceError } from "./errors.ts";
import type { Plan, PlanArray } from "./plan.ts";
import { BUFFER_USAGE } from "./webgpu.ts";

export type BufferRange = GPUBuffer | { readonly buffer: GPUBuffer; readonly offset?: number; readonly size?: number };

/** Every wanted name must be there, and no other. */
export function checkNames(
  program: string,
  given: object,
  wanted: readonly string[],
  what: "argument" | "buffer",
): void {
  for (const name of wanted) {
    if (Object.hasOwn(given, name)) continue;
    throw new DeviceError("shape", `${program}: the ${what} ${name} is missing`, {
      kernel: program,
      argument: { parameter: name },
    });
  }
  for (const name of Object.keys(given)) {
    if (wanted.includes(name)) continue;
    const known = wanted.length > 0 ? `there are ${wanted.join(", ")}` : "there are none";
    throw new DeviceError("shape", `${program} has no ${what} ${name}; ${known}`, {
      kernel: program,
      argument: { parameter: name },
    });
  }
}

/**
 * A caller's range as it may be bound: whole vectors of four if it reaches so far, at least the elements. An empty array
 * needs 16 bytes all the same, for WebGPU binds nothing less. `alignment` is minStorageBufferOffsetAlignment.
 */
export function callersRange(
  program: string,
  array: PlanArray,
  range: BufferRange,
  need: { readonly bytes: number; readonly bound: number },
  alignment: number,
): Binding {
  const { buffer, offset = 0, size } = "buffer" in range ? range : { buffer: range };
  const fail = (what: string, found: number, expected: number): never => {
    throw new DeviceError("shape", `${program}: the buffer of ${array.name} ${what}`, {
      kernel: program,
      argument: { parameter: array.name, expected, found },
    });
  };
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % alignment !== 0) {
    const rule = `is not a multiple of ${alignment} (minStorageBufferOffsetAlignment)`;
    fail(`begins at byte ${offset}, which ${rule}`, offset, alignment);
  }
  const available = Math.max(0, Math.min(size ?? Number.POSITIVE_INFINITY, buffer.size - offset));
  const least = need.bytes || 16;
  if (available < least) fail(`has ${available} bytes from byte ${offset} on, but needs ${least}`, available, least);
  if ((buffer.usage & BUFFER_USAGE.STORAGE) === 0) {
    fail("was made without GPUBufferUsage.STORAGE", buffer.usage, BUFFER_USAGE.STORAGE);
  }
  return { buffer, offset, size: Math.min(need.bound, available - (available % 4)) };
}

/** How `encode` calls the buffers of the parameters, then of the results: both are given in one call, so no name stands for two. */
export function bufferNames(plan: Plan): readonly string[] {
  const taken = new Set(plan.params.map((p) => p.name));
  const results = plan.results.map(({ name }) => {
    let free = name;
    while (taken.has(free)) free = `out_${free}`;
    taken.add(free);
    return free;
  });
  return [...plan.params.map((p) => p.name), ...results];
}
