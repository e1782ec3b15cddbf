/** jax-js on its WebGPU backend. */
import type { Array as JaxArray } from "@jax-js/jax";
import type { Wait } from "../../runtime/context.ts";
import type { Peer } from "./peer.ts";

export async function openJax(wait: Wait, version: string): Promise<Peer> {
  const jax = await import("@jax-js/jax");
  await jax.init("webgpu");
  jax.defaultDevice("webgpu");
  return {
    name: "jax-js",
    version,
    async prepare(w, inputs) {
      const peer = w.jax;
      if (!peer) return undefined;
      const args = Object.values(inputs).map((a) =>
        jax.numpy
          .array(a.data as Float32Array<ArrayBuffer>, a.dtype === "i32" ? { dtype: jax.numpy.int32 } : {})
          .reshape([...a.shape]),
      );
      const fn = jax.jit((...x: JaxArray[]) => peer.run(jax, x));
      const call = (): JaxArray[] => [fn(...args.map((x) => x.ref))].flat() as JaxArray[];
      const start = performance.now();
      const first = call();
      await wait(jax.blockUntilReady(first));
      const took = performance.now() - start;
      const results: ArrayLike<number>[] = [];
      for (const y of first) results.push((await wait(y.data())) as Float32Array);
      return {
        name: "jax-js",
        first: took,
        results,
        run: async (times) => {
          const made: JaxArray[] = [];
          for (let i = 0; i < times; i++) made.push(...call());
          await jax.blockUntilReady(made);
          for (const y of made) y.dispose();
        },
        dispose: () => {
          fn.dispose();
          for (const x of args) x.dispose();
        },
      };
    },
  };
}
