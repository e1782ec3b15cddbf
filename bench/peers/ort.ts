/** ONNX Runtime's WebGPU backend, in a browser: arguments and results stay on the device, parameters are constants of the model. */
import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { Wait } from "../../runtime/context.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { onnxModel } from "./onnx.ts";
import type { Peer } from "./peer.ts";

/** WebAssembly that suspends on promises itself: smaller and with less to do per call than the build for browsers without that. */
type Ort = typeof import("onnxruntime-web/jspi");

/** `wasm` is the address of the package's WebAssembly. */
export async function openOrt(wait: Wait, version: string, wasm: string): Promise<Peer> {
  const device = await (await navigator.gpu.requestAdapter())?.requestDevice();
  if (!device) throw new Error("no adapter for ONNX Runtime");
  const ort = await import("onnxruntime-web/jspi");
  // What cannot run on the device shall fail and not run on the processor, so that one thread is enough.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm };
  ort.env.logLevel = "error";
  const options: InferenceSession.SessionOptions = {
    executionProviders: [{ name: "webgpu", device }],
    preferredOutputLocation: "gpu-buffer",
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  };
  return {
    name: "onnxruntime",
    version,
    async prepare(w, inputs) {
      const { onnx } = w;
      if (!onnx) return undefined;
      const given = Object.entries(inputs).filter(([name]) => !onnx.weights?.includes(name));
      const feeds = Object.fromEntries(given.map(([name, a]): [string, Tensor] => [name, upload(ort, device, a)]));
      const start = performance.now();
      const session = await wait(ort.InferenceSession.create(onnxModel(onnx, inputs), options));
      const found = await wait(session.run(feeds));
      await wait(device.queue.onSubmittedWorkDone());
      const took = performance.now() - start;
      const results: ArrayLike<number>[] = [];
      // Downloaded once; later runs write into the same memory.
      for (const y of Object.values(found)) results.push((await wait(y.getData())) as Float32Array);
      return {
        name: "onnxruntime",
        first: took,
        results,
        run: async (times) => {
          for (let i = 0; i < times; i++) for (const y of Object.values(await session.run(feeds))) y.dispose();
          await device.queue.onSubmittedWorkDone();
        },
        dispose: () => {
          for (const x of Object.values(feeds)) x.gpuBuffer.destroy();
          void session.release();
        },
      };
    },
  };
}

function upload(ort: Ort, device: GPUDevice, { dtype, shape, data }: HostArray): Tensor {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: Math.ceil(data.byteLength / 16) * 16, usage });
  device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
  return ort.Tensor.fromGpuBuffer(buffer, { dataType: dtype === "i32" ? "int32" : "float32", dims: shape });
}
