/** The entry for browsers: devices over navigator.gpu. */
import { COMPUTE_LIMITS, USEFUL_FEATURES } from "./adapter.ts";
import { type Device, wrapDevice } from "./device.ts";
import { DeviceError } from "./errors.ts";

export * from "./index.ts";

export interface OpenOptions {
  /** "software" asks for the browser's fallback adapter; "gpu" refuses it. */
  readonly adapter?: "auto" | "gpu" | "software";
  /** Exactly these features, an error if one is missing; all that kernels can use if left out. */
  readonly features?: readonly string[];
  /** "default": WebGPU's default limits. The adapter's maxima if left out. */
  readonly limits?: "max" | "default";
  readonly powerPreference?: GPUPowerPreference;
  /** Measures what operations cost, which takes about a second: schedules are then chosen by it instead of by tables. */
  readonly measure?: boolean;
}

/** Opens a device. Rejects with DeviceError "no-device" or "unsupported-feature". */
export async function openDevice(options: OpenOptions = {}): Promise<Device> {
  const { adapter: wanted = "auto", powerPreference } = options;
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!gpu) throw new DeviceError("no-device", "this browser has no WebGPU, or the page is not in a secure context");
  const adapter = await gpu.requestAdapter({
    forceFallbackAdapter: wanted === "software",
    ...(powerPreference ? { powerPreference } : {}),
  });
  if (!adapter)
    throw new DeviceError("no-device", `WebGPU offers no ${wanted === "software" ? "software " : ""}adapter`);
  if (wanted === "gpu" && adapter.info.isFallbackAdapter) {
    throw new DeviceError(
      "no-device",
      `no GPU was found: WebGPU offers only ${adapter.info.description || "a software adapter"}`,
    );
  }
  const missing = options.features?.find((f) => !adapter.features.has(f));
  if (missing !== undefined)
    throw new DeviceError("unsupported-feature", `the adapter does not have the feature ${missing}`);
  const features = options.features ?? USEFUL_FEATURES.filter((f) => adapter.features.has(f));
  const limits =
    options.limits === "default" ? {} : Object.fromEntries(COMPUTE_LIMITS.map((k) => [k, adapter.limits[k]]));
  const device = await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: limits,
  });
  const wrapped = wrapDevice(device, { adapterInfo: adapter.info });
  if (options.measure) await wrapped.measure();
  return wrapped;
}
