/** What everything on one device shares: loss, error scopes, waiting. */
import { DeviceError, type DeviceErrorParts } from "./errors.ts";
import type { AdapterInfo } from "./plan.ts";

/** Waits for device work. On software adapters Node's entry puts a loop in here that leaves the cores to the adapter. */
export type Wait = <T>(pending: Promise<T>) => Promise<T>;

export class Context {
  readonly gpu: GPUDevice;
  readonly info: AdapterInfo;
  readonly #wait: Wait;
  readonly #pending: Set<(error: DeviceError) => void> = new Set();
  #lost: DeviceError | undefined;

  constructor(gpu: GPUDevice, info: AdapterInfo, wait: Wait) {
    this.gpu = gpu;
    this.info = info;
    this.#wait = wait;
    void gpu.lost.then((loss) => {
      this.lose(
        loss.reason === "destroyed"
          ? new DeviceError("lost", "the device was destroyed")
          : new DeviceError("lost", "the device was lost", { detail: loss.message }),
      );
    });
  }

  /** Marks the device as gone: pending work rejects with this error, and so does all later work. The first call wins. */
  lose(error: DeviceError): void {
    this.#lost ??= error;
    for (const reject of this.#pending) reject(this.#lost);
    this.#pending.clear();
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Throws DeviceError "lost" if the device is gone. */
  check(kernel?: string): void {
    if (this.#lost) throw lostFor(this.#lost, kernel);
  }

  /** Awaits work of the device, politely, and rejects with "lost" as soon as the device goes away. */
  guard<T>(work: Promise<T>, kernel?: string): Promise<T> {
    return this.#wait(
      new Promise<T>((resolve, reject) => {
        const onLoss = (error: DeviceError): void => reject(lostFor(error, kernel));
        if (this.#lost) {
          work.catch(() => {});
          onLoss(this.#lost);
          return;
        }
        this.#pending.add(onLoss);
        work.then(
          (value) => {
            this.#pending.delete(onLoss);
            resolve(value);
          },
          (cause: unknown) => {
            // Destroying a device first aborts what is pending on it, and only then reports the loss, which rejects this.
            setTimeout(() => {
              if (this.#pending.delete(onLoss)) {
                reject(cause instanceof DeviceError ? cause : fromWebGPU(cause, "WebGPU failed", { kernel }));
              }
            }, 0);
          },
        );
      }),
    );
  }

  /**
   * Runs commands of one synchronous stretch inside error scopes. The promise gives the first error among them, or
   * undefined; it never rejects.
   */
  scoped<T>(
    what: string,
    parts: DeviceErrorParts,
    commands: () => T,
  ): { value: T; error: Promise<DeviceError | undefined> } {
    const filters: readonly GPUErrorFilter[] = ["validation", "out-of-memory", "internal"];
    for (const filter of filters) this.gpu.pushErrorScope(filter);
    let value: T;
    const found: Promise<DeviceError | undefined>[] = [];
    try {
      value = commands();
    } finally {
      for (const filter of filters.toReversed()) {
        found.push(
          this.gpu.popErrorScope().then(
            (error) => (error ? fromScope(filter, error, what, parts) : undefined),
            () => undefined,
          ),
        );
      }
    }
    // The cause comes before its consequences: a buffer that could not be had is then also invalid.
    const error = Promise.all(found).then(
      (errors) => errors.find((e) => e?.kind === "out-of-memory") ?? errors.find((e) => e),
    );
    return { value, error };
  }
}

function lostFor(error: DeviceError, kernel: string | undefined): DeviceError {
  return new DeviceError("lost", kernel ? `${kernel}: ${error.message}` : error.message, { kernel, cause: error });
}

/** Dawn adds where in its own sources a message comes from: nothing that a user could do anything with. */
function withoutPlaces(message: string): string {
  return message.replace(/\n {4}at .*/g, "").trimEnd();
}

function fromScope(filter: GPUErrorFilter, error: GPUError, what: string, parts: DeviceErrorParts): DeviceError {
  if (filter === "out-of-memory") {
    return new DeviceError("out-of-memory", `${what}: the device is out of memory`, {
      ...parts,
      detail: error.message,
    });
  }
  return new DeviceError("validation", `${what}: WebGPU reports an error`, {
    ...parts,
    detail: withoutPlaces(error.message),
  });
}

/** What a rejected WebGPU promise or a thrown WebGPU exception means. */
export function fromWebGPU(cause: unknown, what: string, parts: DeviceErrorParts = {}): DeviceError {
  const detail = withoutPlaces(cause instanceof Error ? cause.message : String(cause));
  const memory = /out of memory|VK_ERROR_OUT_OF|array buffer allocation/i.test(detail);
  return new DeviceError(memory ? "out-of-memory" : "validation", what, { ...parts, detail, cause });
}
