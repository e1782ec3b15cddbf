/** ONNX Runtime's WebGPU backend, in a browser: arguments and results stay on the device, parameters are constants of the model. */
import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { Wait } from "../../runtime/context.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { AGREEMENT, difference } from "../check.ts";
import type { OnnxPeer } from "../workload.ts";
import { onnxModel } from "./onnx.ts";
import type { Peer, PreparedPeer } from "./peer.ts";

/** WebAssembly that suspends on promises itself: smaller and with less to do per call than the build for browsers without that. */
type Ort = typeof import("onnxruntime-web/jspi");

/** One of several that come to the same: which of them is fast depends on the adapter. */
interface Way {
  readonly graph: OnnxPeer;
  readonly layout: "NCHW" | "NHWC";
}

/** `wasm` is the address of the package's WebAssembly. */
export async function openOrt(wait: Wait, version: string, wasm: string): Promise<Peer> {
  const ort = await import("onnxruntime-web/jspi");
  const device = await (await navigator.gpu.requestAdapter())?.requestDevice();
  if (!device) throw new Error("no adapter for ONNX Runtime");
  // What cannot run on the device shall fail and not run on the processor, so that one thread is enough.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm };
  ort.env.logLevel = "error";
  return {
    name: "onnxruntime",
    version,
    async prepare(w, inputs) {
      if (!w.onnx) return undefined;
      const [first, ...others] = waysOf(w.onnx);
      let best = await prepareWay(ort, device, wait, first!, inputs);
      for (const way of others) {
        const other = await prepareWay(ort, device, wait, way, inputs);
        const better = agree(best, other) && (await once(other, wait)) < (await once(best, wait));
        (better ? best : other).dispose();
        if (better) best = other;
      }
      return best;
    },
  };
}

/** The first is of plain operators in the layout that the backend prefers: the others must agree with it. */
function waysOf(onnx: OnnxPeer): readonly Way[] {
  const convolves = onnx.nodes.some((n) => n.op === "Conv");
  return [
    { graph: onnx, layout: "NHWC" },
    ...(convolves ? [{ graph: onnx, layout: "NCHW" } as const] : []),
    ...(onnx.fused ? [{ graph: { ...onnx, ...onnx.fused }, layout: "NHWC" } as const] : []),
  ];
}

async function prepareWay(
  ort: Ort,
  device: GPUDevice,
  wait: Wait,
  { graph, layout }: Way,
  inputs: Readonly<Record<string, HostArray>>,
): Promise<PreparedPeer> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [{ name: "webgpu", device, preferredLayout: layout }],
    preferredOutputLocation: "gpu-buffer",
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  };
  const given = Object.entries(inputs).filter(([name]) => !graph.weights?.includes(name));
  const feeds = Object.fromEntries(given.map(([name, a]): [string, Tensor] => [name, upload(ort, device, a)]));
  const start = performance.now();
  const session = await wait(ort.InferenceSession.create(onnxModel(graph, inputs), options));
  const found = await wait(session.run(feeds));
  await wait(device.queue.onSubmittedWorkDone());
  const took = performance.now() - start;
  const results: ArrayLike<number>[] = [];
  /** Where later runs write: no run needs memory of its own. */
  const fetches: Record<string, Tensor> = {};
  for (const [name, y] of Object.entries(found)) {
    const data = (await wait(y.getData(true))) as Float32Array;
    results.push(data);
    fetches[name] = upload(ort, device, { dtype: "f32", shape: [...y.dims], data });
  }
  return {
    name: "onnxruntime",
    first: took,
    results,
    run: async (times) => {
      for (let i = 0; i < times; i++) await session.run(feeds, fetches);
      await device.queue.onSubmittedWorkDone();
    },
    dispose: () => {
      for (const x of [...Object.values(feeds), ...Object.values(fetches)]) x.gpuBuffer.destroy();
      void session.release();
    },
  };
}

function agree(a: PreparedPeer, b: PreparedPeer): boolean {
  return a.results.every((r, i) => difference(r, b.results[i] ?? []) < AGREEMENT);
}

/** Milliseconds of the second run, which finds its pipelines made. */
async function once(peer: PreparedPeer, wait: Wait): Promise<number> {
  await wait(peer.run(1));
  const start = performance.now();
  await wait(peer.run(1));
  return performance.now() - start;
}

function upload(ort: Ort, device: GPUDevice, { dtype, shape, data }: HostArray): Tensor {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: Math.ceil(data.byteLength / 16) * 16, usage });
  device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
  return ort.Tensor.fromGpuBuffer(buffer, { dataType: dtype === "i32" ? "int32" : "float32", dims: shape });
}
