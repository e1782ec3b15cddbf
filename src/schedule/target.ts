/** What a schedule may rely on: the limits, features and subgroup sizes of a device, or of every device. */
import type { AdapterInfo } from "../../runtime/plan.ts";

/** Limits, features and subgroup sizes that a schedule is made for, and costs where they were measured. */
export type Target = AdapterInfo;

/** The target as it is known without measuring: its schedules are those that every user of such a device gets. */
export function unmeasured(target: Target): Target {
  const { costs: _, ...rest } = target;
  return rest;
}

/** WebGPU's guaranteed limits, no features, no subgroups: what runs everywhere. */
export const DEFAULT_TARGET: Target = {
  name: "WebGPU defaults",
  vendor: "",
  architecture: "",
  kind: "none",
  driver: "",
  limits: {
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 134217728,
    maxBufferSize: 268435456,
    minStorageBufferOffsetAlignment: 256,
  },
  features: [],
  subgroupMinSize: 0,
  subgroupMaxSize: 0,
};

/** The target for an adapter; without one, WebGPU's guaranteed limits. */
export function targetOf(adapter: AdapterInfo | undefined): Target {
  return adapter ?? DEFAULT_TARGET;
}
