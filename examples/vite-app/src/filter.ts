/** Filters of images on the GPU. */
import { blur, edges, sharpen } from "./pipeline.ein";

export type Filter = Awaited<ReturnType<typeof blur>>;
/** Functions with the same arguments, whatever they compute. */
export type Filters = Readonly<Record<string, (device: GPUDevice) => Promise<Filter>>>;

export const FILTERS: Filters = { blur, sharpen, edges };

/** Throws an Error that says what is missing. */
export async function openDevice(): Promise<GPUDevice> {
  if (!navigator.gpu)
    throw new Error("This browser has no WebGPU, or offers it only to secure pages (https, or http://localhost).");
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("This browser has WebGPU, but finds no adapter for it on this machine.");
  return adapter.requestDevice();
}

/** One set of shaders serves images of every size; sigma is in pixels. */
export async function apply(filter: Filter, image: ImageData, sigma: number): Promise<ImageData> {
  const { width, height, data } = image;
  const pixels = { data: new Uint32Array(data.buffer), shape: [height, width] } as const;
  const { out } = await filter.run({ pixels, sigma });
  const made = new ImageData(width, height);
  made.data.set(new Uint8ClampedArray(out.buffer));
  return made;
}
