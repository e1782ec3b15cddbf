/** Modules for tests: emitted from text, imported from memory. */
import { compile, type HostArray } from "../../src/index.ts";
import { emitModule, type ModuleOptions, type OutputFile } from "../../src/module/index.ts";

export type Range = GPUBuffer | { readonly buffer: GPUBuffer; readonly offset?: number; readonly size?: number };
export type Data = Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;
export type Argument = Data | number | boolean | { readonly data: Data; readonly shape: readonly number[] };
export type Sizes = Readonly<Record<string, number>>;
/** What an emitted function gives, as its declarations say, without the names. */
export interface EmittedKernel {
  encode(
    target: GPUCommandEncoder | GPUComputePassEncoder,
    buffers: Readonly<Record<string, Range>>,
    extents?: Sizes,
    workspace?: readonly Range[],
  ): void;
  run(
    inputs: Readonly<Record<string, Argument>>,
    extents?: Sizes,
  ): Promise<Readonly<Record<string, Data & { readonly shape: readonly number[] }>>>;
  workspace(extents?: Sizes): readonly number[];
  dispose(): void;
}
export type EmittedFunction = (device: GPUDevice, fixed?: Readonly<Record<string, unknown>>) => Promise<EmittedKernel>;

/** An array for the runtime and for modules alike. */
export type Filled = HostArray & { readonly data: Data };

export function floats(shape: readonly number[], seed = 1): Filled {
  const count = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: count }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233));
  return { dtype: "f32", shape, data };
}

export function emit(source: string, options: ModuleOptions = {}, fileName = "test.ein"): readonly OutputFile[] {
  return emitModule({ fileName, source, program: compile(source, { fileName }) }, options);
}

export function textOf(files: readonly OutputFile[], ending: string): string {
  const file = files.find((f) => f.path.endsWith(ending));
  if (!file) throw new Error(`no file ends with ${ending}: ${files.map((f) => f.path).join(", ")}`);
  return file.text;
}

/** Imports JavaScript from memory. */
export async function load(javascript: string): Promise<Readonly<Record<string, EmittedFunction>>> {
  return (await import(`data:text/javascript,${encodeURIComponent(javascript)}`)) as Readonly<
    Record<string, EmittedFunction>
  >;
}

/** The only function of a module, or the one that is named. */
export async function loadFunction(
  source: string,
  name: string,
  options: ModuleOptions = {},
): Promise<EmittedFunction> {
  const made = (await load(textOf(emit(source, options), ".ein.js")))[name];
  if (!made) throw new Error(`the module has no ${name}`);
  return made;
}

export const LINEAR_GELU = `/// One layer.
export fn linear_gelu(x: f32[M, K], w: f32[K, N], b: f32[N]) -> f32[M, N] {
  gelu(x @ w + b)
}
`;

export const ATTENTION = `import { softmax } from "std/nn"

/// softmax(q kᵀ / √D) v for every batch and head.
export fn attention(q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E]) -> f32[B, H, Q, E] {
  let s = einsum("bhqd,bhkd->bhqk", q, k) / sqrt(D)
  einsum("bhqk,bhke->bhqe", softmax(s, axis: -1), v)
}

/// The gradients of sum(attention(q, k, v) * dout).
export fn attention_grad(q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E], dout: f32[B, H, Q, E]) {
  vjp(attention, wrt: [q, k, v])(q, k, v, dout)
}
`;
