/** TensorFlow.js on its WebGPU backend. */
import type { DataType, Tensor } from "@tensorflow/tfjs-core";
import type { Wait } from "../../runtime/context.ts";
import type { Peer } from "./peer.ts";

/** What the backend has beyond its common interface: commands are batched until something asks for them. */
interface Backend {
  readonly device: GPUDevice;
  readonly commandEncoder: unknown;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** `registerGradients` imports the module that registers derivatives, which the package's entry leaves out. */
export async function openTfjs(wait: Wait, version: string, registerGradients: () => Promise<unknown>): Promise<Peer> {
  const tf = await import("@tensorflow/tfjs-core");
  await registerGradients();
  await import("@tensorflow/tfjs-backend-webgpu");
  if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs does not take the WebGPU backend");
  await tf.ready();
  const backend = tf.backend() as unknown as Backend;
  const finish = async (): Promise<void> => {
    if (backend.commandEncoder) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
    await backend.device.queue.onSubmittedWorkDone();
  };
  return {
    name: "tfjs",
    version,
    async prepare(w, inputs) {
      const peer = w.tfjs;
      if (!peer) return undefined;
      const given = Object.values(inputs).map((a) =>
        tf.tensor(a.data as Float32Array, [...a.shape], (a.dtype === "i32" ? "int32" : "float32") as DataType),
      );
      const args = peer.prepare?.(tf, given) ?? given;
      await wait(finish());
      const call = (): Tensor[] => [tf.tidy(() => peer.run(tf, args))].flat();
      const start = performance.now();
      const first = call();
      await wait(finish());
      const took = performance.now() - start;
      const results: ArrayLike<number>[] = [];
      for (const y of first) results.push(await wait((peer.restore?.(tf, y) ?? y).data()));
      tf.dispose(first);
      return {
        name: "tfjs",
        first: took,
        results,
        run: async (times) => {
          const made: Tensor[] = [];
          for (let i = 0; i < times; i++) made.push(...call());
          await finish();
          tf.dispose(made);
        },
        dispose: () => tf.dispose([...new Set([...given, ...args])]),
      };
    },
  };
}
