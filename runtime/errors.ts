/** What went wrong on the way to, or on, a device. Programs may switch on it; the message is for people. */
export type DeviceErrorKind =
  /** There is no adapter of the wanted sort, or a package is missing. */
  | "no-device"
  /** The device went away, or was closed, while work was pending or before it began. */
  | "lost"
  | "out-of-memory"
  /** WebGPU refused WGSL, a pipeline, a binding or a command. */
  | "validation"
  /** A kernel needs a feature that the device was not made with. */
  | "unsupported-feature"
  /** Something is larger than the device's limits allow. */
  | "limits"
  /** Arguments do not fit the plan: missing, wrong element type, rank, extents, or a fact that does not hold. */
  | "shape";

/** The argument that does not fit, as data. */
export interface ArgumentPlace {
  readonly parameter: string;
  readonly axis?: number;
  readonly expected?: string | number;
  readonly found?: string | number;
}

export interface DeviceErrorParts {
  /** The kernel or program it is about. */
  readonly kernel?: string;
  /** What WebGPU said, or the WGSL compiler's messages, whole. */
  readonly detail?: string;
  readonly argument?: ArgumentPlace;
  readonly cause?: unknown;
}

/** The only error that the runtime throws or rejects with on purpose. */
export class DeviceError extends Error {
  readonly kind: DeviceErrorKind;
  readonly kernel: string | undefined;
  readonly detail: string | undefined;
  readonly argument: ArgumentPlace | undefined;

  constructor(kind: DeviceErrorKind, message: string, parts: DeviceErrorParts = {}) {
    super(
      parts.detail ? `${message}\n${parts.detail}` : message,
      parts.cause === undefined ? undefined : { cause: parts.cause },
    );
    this.name = "DeviceError";
    this.kind = kind;
    this.kernel = parts.kernel;
    this.detail = parts.detail;
    this.argument = parts.argument;
  }
}
