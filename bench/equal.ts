/** The same device for everybody. */
import { COMPUTE_LIMITS, USEFUL_FEATURES } from "../runtime/adapter.ts";

/** Whoever asks `gpu` for a device gets the features and limits that ours has. */
export function equalise(gpu: GPU): void {
  const requestAdapter = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = await requestAdapter(options);
    if (adapter) equaliseDevices(adapter);
    return adapter;
  };
}

function equaliseDevices(adapter: GPUAdapter): void {
  const requestDevice = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = (descriptor) => {
    const wanted = [...(descriptor?.requiredFeatures ?? [])].filter((f) => adapter.features.has(f));
    const useful = USEFUL_FEATURES.filter((f) => adapter.features.has(f)) as GPUFeatureName[];
    return requestDevice({
      requiredFeatures: [...new Set([...wanted, ...useful])],
      requiredLimits: {
        ...descriptor?.requiredLimits,
        ...Object.fromEntries(COMPUTE_LIMITS.map((k) => [k, adapter.limits[k]])),
      },
    });
  };
}
