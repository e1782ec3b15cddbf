/** The entry for Node: devices over Dawn (the package `webgpu`), with the embedded software adapter where there is no GPU. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, homedir } from "node:os";
import { dirname, join } from "node:path";
import { COMPUTE_LIMITS, describeAdapter, USEFUL_FEATURES } from "./adapter.ts";
import type { Wait } from "./context.ts";
import { readCosts, writeCosts } from "./costs.ts";
import { type Device, wrapDevice } from "./device.ts";
import { DeviceError } from "./errors.ts";
import { politeWait } from "./polite.ts";
import { type SoftwareAdapter, softwareAdapter } from "./software.ts";

export * from "./index.ts";

export interface OpenOptions {
  /**
   * "auto": a GPU, else the embedded software adapter (said once on stderr). "gpu": a GPU or an error. "software": the adapter
   * that VK_DRIVER_FILES names, if it is set, else the embedded one. "null": Dawn's null backend, which compiles and runs nothing.
   * Where VK_DRIVER_FILES is set, "auto" takes what it names too.
   */
  readonly adapter?: "auto" | "gpu" | "software" | "null";
  /** Exactly these features, an error if one is missing; all that kernels can use if left out. */
  readonly features?: readonly string[];
  /** "default": WebGPU's default limits, as on the smallest device. The adapter's maxima if left out. */
  readonly limits?: "max" | "default";
  readonly powerPreference?: GPUPowerPreference;
  /** Says nothing on stderr. */
  readonly quiet?: boolean;
  /**
   * true: what operations cost on the adapter is measured, which takes about a second, or read from the cache folder if it was before; "again"
   * measures in any case. Schedules are then chosen by it instead of by tables.
   */
  readonly measure?: boolean | "again";
  /** Dawn's toggles beside the runtime's own, by name. */
  readonly toggles?: { readonly enable?: readonly string[]; readonly disable?: readonly string[] };
}

interface Dawn {
  create(options: string[]): GPU;
}

/** Dawn lives as long as what `create` returned is referenced: until the device is closed. */
const instances = new Set<GPU>();
let saidSoftware = false;
let dawn: Dawn | undefined;

/**
 * Opens a device. Rejects with DeviceError "no-device" if there is no adapter of that sort or a package is missing,
 * "unsupported-feature" if a wanted feature is. Close the device, and Node exits.
 */
export async function openDevice(options: OpenOptions = {}): Promise<Device> {
  const { adapter: wanted = "auto", powerPreference } = options;
  const request: GPURequestAdapterOptions = powerPreference ? { powerPreference } : {};
  const found = await findAdapter(wanted, options, request);
  const info = describeAdapter(found.adapter.info, found.adapter.limits, found.adapter.features);
  const gpu = await requestDevice(found.adapter, options, info.name);
  // Costs depend on what the device may use of the adapter.
  const used = describeAdapter(found.adapter.info, gpu.limits, gpu.features);
  const known = options.measure === true ? readCosts(used) : undefined;
  const wait: Wait | undefined = info.kind === "software" ? politeWait : undefined;
  instances.add(found.gpu);
  const device = wrapDevice(gpu, {
    adapterInfo: found.adapter.info,
    ...(wait ? { wait } : {}),
    ...(known ? { costs: known } : {}),
    onClose: () => instances.delete(found.gpu),
  });
  if (options.measure && !known && used.kind !== "none") writeCosts(used, await device.measure());
  return device;
}

interface FoundAdapter {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
}

async function findAdapter(
  wanted: NonNullable<OpenOptions["adapter"]>,
  options: OpenOptions,
  request: GPURequestAdapterOptions,
): Promise<FoundAdapter> {
  // Without this package there is nothing, whatever else is missing.
  const { create } = loadDawn();
  if (wanted === "null") {
    const gpu = create(["backend=null", ...dawnOptions(options)]);
    const adapter = await gpu.requestAdapter(request);
    if (!adapter) throw new DeviceError("no-device", "Dawn has no null backend here");
    return { gpu, adapter };
  }
  const named = namedDriver();
  if (wanted !== "software" || named) {
    const found = systemMayHaveGpu() ? await requestFrom(options, request) : undefined;
    const isGpu = found && describeAdapter(found.adapter.info, found.adapter.limits, []).kind === "gpu";
    if (found && (isGpu || (wanted !== "gpu" && named))) return found;
    if (wanted === "gpu") {
      const what = found ? `only the software adapter ${found.adapter.info.description}` : "no adapter";
      throw new DeviceError("no-device", `no GPU was found: WebGPU offers ${what}`);
    }
    if (named)
      throw new DeviceError(
        "no-device",
        `${named} names a Vulkan driver that offers no adapter to WebGPU: ${process.env[named]}`,
      );
  }
  let software: SoftwareAdapter;
  try {
    software = softwareAdapter();
  } catch (error) {
    if (wanted === "auto" && error instanceof DeviceError) {
      throw new DeviceError("no-device", `no GPU was found, and ${error.message}`, { cause: error });
    }
    throw error;
  }
  const found = await withDriver(software.manifest, () => requestFrom(options, request, software));
  if (!found) throw new DeviceError("no-device", `the embedded software adapter in ${software.folder} does not start`);
  if (wanted === "auto" && !options.quiet && !saidSoftware) {
    saidSoftware = true;
    process.stderr.write(
      `fusum: no GPU was found; using the embedded software adapter (${found.adapter.info.description})\n`,
    );
  }
  return found;
}

async function requestFrom(
  options: OpenOptions,
  request: GPURequestAdapterOptions,
  software?: SoftwareAdapter,
): Promise<FoundAdapter | undefined> {
  if (process.platform === "linux") loadVulkan(software);
  const gpu = loadDawn().create(dawnOptions(options));
  const adapter = await gpu.requestAdapter(request);
  return adapter ? { gpu, adapter } : undefined;
}

async function requestDevice(adapter: GPUAdapter, options: OpenOptions, name: string): Promise<GPUDevice> {
  const missing = options.features?.find((f) => !adapter.features.has(f));
  if (missing !== undefined)
    throw new DeviceError("unsupported-feature", `${name} does not have the feature ${missing}`);
  const features = options.features ?? USEFUL_FEATURES.filter((f) => adapter.features.has(f));
  const limits =
    options.limits === "default" ? {} : Object.fromEntries(COMPUTE_LIMITS.map((k) => [k, adapter.limits[k]]));
  try {
    return await adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[], requiredLimits: limits });
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError("no-device", `${name} gives no device`, { detail, cause });
  }
}

/** Timestamps unrounded; workgroup memory zeroed in the shader, which software adapters do a hundred times faster. */
function dawnOptions(options: OpenOptions): string[] {
  const enable = ["allow_unsafe_apis", ...(options.toggles?.enable ?? [])];
  const disable = [
    "timestamp_quantization",
    "use_vulkan_zero_initialize_workgroup_memory_extension",
    ...(options.toggles?.disable ?? []),
  ];
  return [`enable-dawn-features=${enable.join(",")}`, `disable-dawn-features=${disable.join(",")}`];
}

function loadDawn(): Dawn {
  if (dawn) return dawn;
  for (const from of [import.meta.url, join(process.cwd(), "package.json")]) {
    const require = createRequire(from);
    let entry: string;
    try {
      entry = require.resolve("webgpu");
    } catch {
      continue;
    }
    const target = process.platform === "darwin" ? "darwin-universal" : `${process.platform}-${process.arch}`;
    const path = join(dirname(entry), "dist", target, "dawn.node");
    try {
      // The module itself: the package's own entry changes global prototypes, which a library has no business with.
      dawn = require(path) as Dawn;
      return dawn;
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceError("no-device", `the package webgpu does not load on ${target}`, { detail, cause });
    }
  }
  throw new DeviceError(
    "no-device",
    "devices in Node need the package webgpu, which is not installed: npm install webgpu",
  );
}

const DRIVER_VARIABLES = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] as const;

/** The variable by which the user names Vulkan drivers, if there is one. */
function namedDriver(): string | undefined {
  return DRIVER_VARIABLES.find((name) => process.env[name]);
}

/** What drivers of GPUs need on Linux: DRM, NVIDIA's own devices, the one of WSL. */
const GPU_DEVICES: readonly string[] = ["/dev/dri", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"];

/**
 * Whether it is worth asking the machine's own Vulkan: the user names a driver, or there is a device for one and a manifest.
 * Asking in vain would cost time and make Dawn complain on stderr. Elsewhere than on Linux: always.
 */
function systemMayHaveGpu(): boolean {
  if (process.platform !== "linux" || namedDriver() || process.env["VK_ADD_DRIVER_FILES"]) return true;
  if (!GPU_DEVICES.some((path) => existsSync(path))) return false;
  const { XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_DATA_HOME, XDG_DATA_DIRS } = process.env;
  const folders = [
    XDG_CONFIG_HOME || join(homedir(), ".config"),
    ...(XDG_CONFIG_DIRS || "/etc/xdg").split(":"),
    "/etc",
    XDG_DATA_HOME || join(homedir(), ".local/share"),
    ...(XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":"),
  ];
  return folders.some((folder) => folder && existsSync(join(folder, "vulkan", "icd.d")));
}

/** Runs with VK_DRIVER_FILES set: Vulkan reads it when an instance is made. Child processes must not inherit it. */
async function withDriver<T>(manifest: string, work: () => Promise<T>): Promise<T> {
  const names = [...DRIVER_VARIABLES, "VK_ADD_DRIVER_FILES"] as const;
  const before = names.map((name) => process.env[name]);
  for (const name of names) delete process.env[name];
  process.env["VK_DRIVER_FILES"] = manifest;
  try {
    return await work();
  } finally {
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    });
  }
}

/** From <dlfcn.h>: the library stays although it is no module of Node's and its handle is closed. */
const RTLD_NODELETE = 0x1000;
let vulkanLoaded = false;

/**
 * Makes sure that a Vulkan loader is in the process. Dawn asks for it by its bare name; a machine without one has the
 * embedded package's, which the system's linker then finds by that name because it is loaded already.
 */
function loadVulkan(software: SoftwareAdapter | undefined): void {
  if (vulkanLoaded) return;
  vulkanLoaded = keepLibrary("libvulkan.so.1");
  if (vulkanLoaded) return;
  let loader = software?.loader;
  if (loader === undefined) {
    try {
      loader = softwareAdapter().loader;
    } catch {
      return;
    }
  }
  vulkanLoaded = keepLibrary(loader);
}

/** Loads a plain shared library for good. Node's dlopen then refuses it as a module, and only that is ignored. */
function keepLibrary(path: string): boolean {
  try {
    process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
    return true;
  } catch (error) {
    return error instanceof Error && /did not self-register/.test(error.message);
  }
}
