/** Running WGSL on the device that tests run on, straight over WebGPU: what the tests of codegen need of a device. */

import type { Device } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node.ts";
import { openTestDevice } from "../device.ts";

export interface Dispatch {
  readonly code: string;
  readonly entryPoint: string;
  readonly bindings: readonly ("read" | "readwrite" | "uniform")[];
  readonly groups: readonly [number, number, number];
}

const USAGE = { mapRead: 1, copySrc: 4, copyDst: 8, uniform: 64, storage: 128 };

export async function openSoftware(): Promise<Device> {
  return openTestDevice();
}
/** Compiles and offers everything, runs nothing. */
export async function openNull(): Promise<Device> {
  return openDevice({ adapter: "null", quiet: true });
}

/** Throws with the compiler's messages. */
export async function makePipeline(
  gpu: GPUDevice,
  d: Dispatch,
): Promise<{ pipeline: GPUComputePipeline; layout: GPUBindGroupLayout }> {
  gpu.pushErrorScope("validation");
  const module = gpu.createShaderModule({ code: d.code });
  const entries = d.bindings.map((kind, binding) => ({
    binding,
    visibility: 4,
    buffer: {
      type:
        kind === "uniform"
          ? ("uniform" as const)
          : kind === "read"
            ? ("read-only-storage" as const)
            : ("storage" as const),
    },
  }));
  const layout = gpu.createBindGroupLayout({ entries });
  const info = await module.getCompilationInfo();
  const errors = info.messages.filter((m) => m.type === "error");
  if (errors.length > 0) {
    await gpu.popErrorScope();
    throw new Error(`${errors.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join("\n")}\n${d.code}`);
  }
  const pipeline = await gpu.createComputePipelineAsync({
    layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: d.entryPoint },
  });
  const error = await gpu.popErrorScope();
  if (error) throw new Error(`${error.message}\n${d.code}`);
  return { pipeline, layout };
}

/** Runs once; every binding's bytes are uploaded before and given back afterwards. */
export async function runDispatch(
  gpu: GPUDevice,
  d: Dispatch,
  data: readonly Uint8Array<ArrayBuffer>[],
): Promise<Uint8Array[]> {
  const { pipeline, layout } = await makePipeline(gpu, d);
  gpu.pushErrorScope("validation");
  const buffers = data.map((bytes, i) => {
    const size = Math.max(16, Math.ceil(bytes.length / 16) * 16);
    const usage = d.bindings[i] === "uniform" ? USAGE.uniform : USAGE.storage | USAGE.copySrc;
    const buffer = gpu.createBuffer({ size, usage: usage | USAGE.copyDst });
    const padded = new Uint8Array(size);
    padded.set(bytes);
    gpu.queue.writeBuffer(buffer, 0, padded);
    return buffer;
  });
  const group = gpu.createBindGroup({
    layout,
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...d.groups);
  pass.end();
  const staging = buffers.map((b, i) => {
    if (d.bindings[i] !== "readwrite") return undefined;
    const s = gpu.createBuffer({ size: b.size, usage: USAGE.mapRead | USAGE.copyDst });
    encoder.copyBufferToBuffer(b, 0, s, 0, b.size);
    return s;
  });
  gpu.queue.submit([encoder.finish()]);
  const error = await gpu.popErrorScope();
  if (error) throw new Error(`${error.message}\n${d.code}`);
  const out = await Promise.all(
    staging.map(async (s, i) => {
      if (!s) return data[i] ?? new Uint8Array();
      await s.mapAsync(1);
      const bytes = new Uint8Array(s.getMappedRange()).slice(0, data[i]?.length);
      s.destroy();
      return bytes;
    }),
  );
  for (const b of buffers) b.destroy();
  return out;
}

export function bytesOf(
  a: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
}
