/** The peers that run in a browser. */
import type { Wait } from "../../runtime/context.ts";
import type { Peer } from "../peers/peer.ts";

/** By Vite's configuration. */
declare const PEER_VERSIONS: Readonly<Record<"jax" | "tfjs" | "ort", string>>;

type Open = (wait: Wait) => Promise<Peer>;

export const PAGE_PEERS: Readonly<Record<"jax" | "tfjs" | "ort", Open>> = {
  jax: async (wait) => (await import("../peers/jax.ts")).openJax(wait, PEER_VERSIONS.jax),
  tfjs: async (wait) => {
    const { openTfjs } = await import("../peers/tfjs.ts");
    return openTfjs(wait, PEER_VERSIONS.tfjs, () => import("@tensorflow/tfjs-core/dist/register_all_gradients.js"));
  },
  ort: async (wait) => {
    const { default: wasm } = await import("onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url");
    return (await import("../peers/ort.ts")).openOrt(wait, PEER_VERSIONS.ort, wasm);
  },
};
