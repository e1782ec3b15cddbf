/** What the adapter can do at best: bytes a second in a copy, operations a second in a loop of multiply-adds. */
import type { Device } from "../runtime/node.ts";
import { type ClockOptions, race } from "./clock.ts";

export interface Roofline {
  /** Bytes read and written, a second. */
  readonly copy: number;
  /** A multiply-add counts two. */
  readonly flops: number;
}

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> into: array<vec4f>;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_id) l: vec3u) {
  let at = w.x * 1024 + l.x;
  into[at] = source[at];
  into[at + 256] = source[at + 256];
  into[at + 512] = source[at + 512];
  into[at + 768] = source[at + 768];
}`;

const CHAINS = 8;
const STEPS = 256;
/** Enough independent chains to hide the latency of one; what they give is stored so that nothing is dropped. */
const FMA = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> into: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) g: vec3u) {
  let x = source[g.x];
  ${Array.from({ length: CHAINS }, (_, i) => `var s${i} = x + ${i};`).join(" ")}
  for (var k = 0; k < ${STEPS}; k++) {
    ${Array.from({ length: CHAINS }, (_, i) => `s${i} = fma(s${i}, x, s${i});`).join(" ")}
  }
  into[g.x] = ${Array.from({ length: CHAINS }, (_, i) => `s${i}`).join(" + ")};
}`;

export async function measureRoofline(device: Device, clock: ClockOptions): Promise<Roofline> {
  const software = device.info.kind === "software";
  // Large enough to leave every cache.
  const bytes = Math.min(software ? 1 << 26 : 1 << 29, device.info.limits.maxStorageBufferBindingSize);
  const invocations = software ? 1 << 14 : 1 << 22;
  const from = device.createBuffer(bytes);
  const to = device.createBuffer(bytes);
  const make = async (code: string, groups: number): Promise<(times: number) => Promise<void>> => {
    const pipeline = await device.gpu.createComputePipelineAsync({
      layout: "auto",
      compute: { module: device.gpu.createShaderModule({ code }), entryPoint: "main" },
    });
    const group = device.gpu.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [from, to].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    return async (times) => {
      const encoder = device.gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(groups);
      pass.end();
      device.gpu.queue.submit([encoder.finish()]);
      await device.gpu.queue.onSubmittedWorkDone();
    };
  };
  try {
    const contenders = [
      { name: "copy", run: await make(COPY, bytes / 16384) },
      { name: "fma", run: await make(FMA, invocations / 64) },
    ];
    const [copy, fma] = await race(contenders, { ...clock, rounds: 5, sampleMs: 20, slowMs: 1000 });
    // The best round: a ceiling is what was reached once.
    return {
      copy: (2 * bytes) / (Math.min(...copy!.ms) / 1e3),
      flops: (invocations * CHAINS * STEPS * 8) / (Math.min(...fma!.ms) / 1e3),
    };
  } finally {
    from.destroy();
    to.destroy();
  }
}
