/** One adapter for everybody: our device and a `navigator.gpu` for the peers, whose devices get the same limits and features. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Wait } from "../runtime/context.ts";
import { type Device, openDevice } from "../runtime/node.ts";
import { politeWait } from "../runtime/polite.ts";
import { softwareAdapter } from "../runtime/software.ts";
import { equalise } from "./equal.ts";

export type AdapterName = "software" | "lavapipe" | "gpu" | "auto";
export const ADAPTERS: readonly AdapterName[] = ["software", "lavapipe", "gpu", "auto"];

export interface Arena {
  readonly device: Device;
  /** What the peers' devices came from. It must stay referenced: they do not outlive it. */
  readonly peers: GPU;
  /** How everyone's pending work is waited for. */
  readonly wait: Wait;
}

const ICD_FOLDERS = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/** Sets the process's Vulkan driver. It must be settled before the first device, since peers make instances of their own. */
function nameDriver(which: AdapterName): void {
  if (which === "software") process.env["VK_DRIVER_FILES"] = softwareAdapter().manifest;
  if (which !== "lavapipe") return;
  const files = ICD_FOLDERS.filter((f) => existsSync(f)).flatMap((f) => readdirSync(f).map((n) => join(f, n)));
  const icd = files.find((f) => /lvp_icd.*\.json$/.test(f));
  if (!icd) throw new Error(`lavapipe is not installed: no lvp_icd.json in ${ICD_FOLDERS.join(", ")}`);
  process.env["VK_DRIVER_FILES"] = icd;
  // Mesa keeps compiled kernels in the user's folder: first calls would be those of an earlier run.
  process.env["MESA_SHADER_CACHE_DISABLE"] = "true";
}

/** Throws DeviceError if there is no adapter of that sort. */
export async function openArena(which: AdapterName): Promise<Arena> {
  nameDriver(which);
  const kind = which === "lavapipe" ? "software" : which;
  const device = await openDevice({ adapter: kind, quiet: true });
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const toggles = ["enable-dawn-features=allow_unsafe_apis", "disable-dawn-features=timestamp_quantization"];
  const gpu = create([...toggles]) as GPU;
  equalise(gpu);
  Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "node" }, configurable: true });
  return { device, peers: gpu, wait: device.info.kind === "software" ? politeWait : (pending) => pending };
}
