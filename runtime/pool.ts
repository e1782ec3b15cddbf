/**
 * Device buffers that are used again. A queue runs its work in order, so a buffer may be handed out again as soon as the
 * commands that use it are submitted: nobody waits for anything.
 */
import type { Context } from "./context.ts";
import { DeviceError } from "./errors.ts";
import { roundUp } from "./host-array.ts";

/** Idle bytes that a pool keeps at most. */
const KEEP_BYTES = 256 * 1024 * 1024;

export class BufferPool {
  readonly #context: Context;
  readonly #usage: number;
  readonly #label: string;
  readonly #idle: Map<number, GPUBuffer[]> = new Map();
  #idleBytes = 0;

  constructor(context: Context, usage: number, label: string) {
    this.#context = context;
    this.#usage = usage;
    this.#label = label;
  }

  /** A buffer of at least `bytes`, with anything in it. Throws DeviceError "limits" if the device has none so large. */
  take(bytes: number, what: string): GPUBuffer {
    const size = sizeClass(bytes, this.#context.info.limits.maxBufferSize);
    const idle = this.#idle.get(size)?.pop();
    if (idle) {
      this.#idleBytes -= size;
      return idle;
    }
    checkBufferSize(this.#context, bytes, what);
    return this.#context.gpu.createBuffer({ label: `${this.#label} ${size}`, size, usage: this.#usage });
  }

  /** Gives a buffer back; it must not be mapped. */
  give(buffer: GPUBuffer): void {
    if (this.#idleBytes + buffer.size > KEEP_BYTES || this.#context.isLost) {
      buffer.destroy();
      return;
    }
    const same = this.#idle.get(buffer.size);
    if (same) same.push(buffer);
    else this.#idle.set(buffer.size, [buffer]);
    this.#idleBytes += buffer.size;
  }

  /** Destroys all idle buffers: after an error any of them may be invalid. */
  clear(): void {
    for (const buffers of this.#idle.values()) for (const buffer of buffers) buffer.destroy();
    this.#idle.clear();
    this.#idleBytes = 0;
  }
}

/** Throws DeviceError "limits" if the device cannot have a buffer that large. */
export function checkBufferSize(context: Context, bytes: number, what: string): void {
  const limit = context.info.limits.maxBufferSize;
  if (!(bytes <= limit)) {
    throw new DeviceError(
      "limits",
      `${what} needs ${bytes} bytes, but the device's largest buffer has ${limit} (maxBufferSize)`,
    );
  }
}

/** Eight sizes for each doubling waste an eighth at most, and let calls of slightly different extents share buffers. */
function sizeClass(bytes: number, largest: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  const rounded = roundUp(bytes, Math.max(step, 256));
  return rounded <= largest ? rounded : bytes;
}
