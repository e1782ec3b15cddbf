/** What a device is, as the plain data that schedules are chosen by. */
import type { AdapterInfo } from "./plan.ts";

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b|software/i;

/** Features that kernels can use; everything else of WebGPU is about textures and drawing. */
export const USEFUL_FEATURES: readonly string[] = [
  "shader-f16",
  "subgroups",
  "subgroup-size-control",
  "timestamp-query",
  "chromium-experimental-subgroup-matrix",
];

/** The limits that kernels meet. An adapter's maxima of these are asked for: anything above them fails outright. */
export const COMPUTE_LIMITS: readonly (keyof AdapterInfo["limits"])[] = [
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "minStorageBufferOffsetAlignment",
];

type LimitName = keyof AdapterInfo["limits"];

/** What Dawn adds to GPUAdapterInfo for its matrix feature. */
interface WithMatrices {
  readonly subgroupMatrixConfigs?: Iterable<{
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }>;
}

/** Describes an adapter, or the device that was made from one (whose limits and features may be smaller). */
export function describeAdapter(
  info: GPUAdapterInfo,
  limits: GPUSupportedLimits,
  features: Iterable<string>,
): AdapterInfo {
  const has = [...features].sort();
  const subgroups = has.includes("subgroups");
  const text = [info.vendor, info.architecture, info.device, info.description].join(" ");
  const matrices = has.includes("chromium-experimental-subgroup-matrix")
    ? [...((info as WithMatrices).subgroupMatrixConfigs ?? [])]
    : [];
  return {
    name: info.description || info.device || info.architecture || info.vendor || "WebGPU device",
    vendor: info.vendor,
    architecture: info.architecture,
    kind: info.isFallbackAdapter || SOFTWARE.test(text) ? "software" : info.device === "null-backend" ? "none" : "gpu",
    driver: info.device,
    limits: Object.fromEntries(COMPUTE_LIMITS.map((k) => [k, limits[k]])) as Record<LimitName, number>,
    features: has,
    subgroupMinSize: subgroups ? (info.subgroupMinSize ?? 0) : 0,
    subgroupMaxSize: subgroups ? (info.subgroupMaxSize ?? 0) : 0,
    ...(matrices.length > 0
      ? {
          subgroupMatrices: matrices.map((m) => ({
            component: m.componentType,
            result: m.resultComponentType,
            m: m.M,
            n: m.N,
            k: m.K,
          })),
        }
      : {}),
  };
}
