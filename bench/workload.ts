/** What is measured: a program of ours, its arguments, and the same mathematics in the words of the peers. */

import type * as JaxModule from "@jax-js/jax";
import type { Array as JaxArray } from "@jax-js/jax";
import type * as TfModule from "@tensorflow/tfjs-core";
import { halfBits } from "../runtime/host-array.ts";
import type { AdapterInfo, HostArray } from "../runtime/plan.ts";

export type Jax = typeof JaxModule;
export type Tf = typeof TfModule;

export interface InputSpec {
  readonly shape: readonly number[];
  /** Floats are uniform in [-scale/2, scale/2); `below` makes integers in [0, below) instead. */
  readonly scale?: number;
  readonly below?: number;
  /** Floats in half precision instead of single. */
  readonly half?: boolean;
}

export interface JaxPeer {
  /** The function that is jitted. It owns its arguments, as jax-js wants it. */
  run(jax: Jax, x: JaxArray[]): JaxArray | JaxArray[];
}

export interface TfPeer {
  /** Arguments in the layout that TensorFlow.js wants; as they are if left out. */
  prepare?(tf: Tf, x: TfModule.Tensor[]): TfModule.Tensor[];
  run(tf: Tf, x: TfModule.Tensor[]): TfModule.Tensor | TfModule.Tensor[];
  /** The results in our layout, for comparing. */
  restore?(tf: Tf, y: TfModule.Tensor): TfModule.Tensor;
}

/** Hand-written kernels to run beside ours: a script of the lab and the title of its benchmark in there. */
export interface LabPeer {
  readonly script: string;
  readonly title: string;
  /** Environment that makes the script do only this. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface OnnxPeer {
  /** The nodes of an ONNX graph, in order; `inputs` are named as ours, the last output is the result. */
  readonly nodes: readonly OnnxNode[];
  /** Constants of the graph by name. */
  readonly constants?: Readonly<Record<string, OnnxConstant>>;
  /** Arguments that are a model's parameters: constants of the graph, which a session may rearrange before the first run. */
  readonly weights?: readonly string[];
  /** The same with fewer, larger operators of ONNX Runtime's own, to be tried too: they are right and fast on some adapters only. */
  readonly fused?: Pick<OnnxPeer, "nodes" | "constants">;
}
export type OnnxConstant =
  | { readonly shape: readonly number[]; readonly int64: readonly number[] }
  | { readonly shape: readonly number[]; readonly f32: readonly number[] };
export interface OnnxNode {
  readonly op: string;
  /** Where it is not a standard operator. */
  readonly domain?: "com.microsoft";
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  /** Attributes that are floats although they are whole numbers. */
  readonly floats?: readonly string[];
}

export interface Workload {
  readonly name: string;
  /** One of performance.md's tables: what issue and designs speak of. */
  readonly family: string;
  readonly source: string;
  /** The function in `source`. */
  readonly fn: string;
  readonly inputs: Readonly<Record<string, InputSpec>>;
  /** Floating-point operations, where arithmetic is what counts; else bytes do: those of arguments and results. */
  readonly flops?: number;
  readonly jax?: JaxPeer;
  readonly tfjs?: TfPeer;
  readonly onnx?: OnnxPeer;
  readonly lab?: LabPeer;
  /** What the adapter must have. */
  readonly needs?: "shader-f16";
  /** Too much for a software adapter. */
  readonly gpuOnly?: boolean;
}

export function runsOn(w: Workload, { kind, features }: Pick<AdapterInfo, "kind" | "features">): boolean {
  return !(w.gpuOnly && kind !== "gpu") && !(w.needs && !features.includes(w.needs));
}

/** Ours alone. */
export function alone(w: Workload): Workload {
  const { jax: _jax, tfjs: _tfjs, onnx: _onnx, lab: _lab, ...own } = w;
  return own;
}

/** The same program on halves, which neither the peers nor the hand-written kernels have. */
export function onHalves(w: Workload): Workload {
  return {
    ...alone(w),
    name: `${w.name} f16`,
    source: w.source.replaceAll("f32[", "f16["),
    inputs: Object.fromEntries(Object.entries(w.inputs).map(([name, spec]) => [name, { ...spec, half: true }])),
    needs: "shader-f16",
  };
}

/** Uniform numbers from a seed (Steele, Lea, Flood 2014: splitmix, with 32 bits): every contender gets the same. */
function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    z ^= z >>> 15;
    return (z >>> 0) / 2 ** 32;
  };
}

export function makeInputs(w: Workload): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(w.inputs).map(([name, spec], at): [string, HostArray] => {
      const next = random(at + 1);
      const count = spec.shape.reduce((p, n) => p * n, 1);
      if (spec.below !== undefined) {
        const data = Int32Array.from({ length: count }, () => Math.floor(next() * spec.below!));
        return [name, { dtype: "i32", shape: spec.shape, data }];
      }
      const data = new Float32Array(count);
      for (let i = 0; i < count; i++) data[i] = (next() - 0.5) * (spec.scale ?? 1);
      if (spec.half) return [name, { dtype: "f16", shape: spec.shape, data: Uint16Array.from(data, halfBits) }];
      return [name, { dtype: "f32", shape: spec.shape, data }];
    }),
  );
}
