/** Compute pipelines, compiled asynchronously and kept by their WGSL and layout. */
import { type Context, fromWebGPU } from "./context.ts";
import { DeviceError } from "./errors.ts";
import type { PlanKernel } from "./plan.ts";
import { STAGE_COMPUTE } from "./webgpu.ts";

export type BindingKind = PlanKernel["bindings"][number];

/** A pipeline with the layout of its group 0. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const BUFFER_TYPES = {
  read: "read-only-storage",
  readwrite: "storage",
  uniform: "uniform",
} as const satisfies Record<BindingKind, GPUBufferBindingType>;

export class PipelineCache {
  readonly #context: Context;
  readonly #pipelines: Map<string, Promise<Pipeline>> = new Map();
  readonly #layouts: Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }> = new Map();

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * The pipeline of a kernel. Rejects with DeviceError "validation" that names the kernel and has the WGSL compiler's
   * messages, "unsupported-feature" or "limits" if the device cannot have it, "lost" if the device goes away.
   */
  get(kernel: PlanKernel): Promise<Pipeline> {
    const bindings = kernel.bindings.join(" ");
    const key = `${bindings}\n${kernel.entryPoint}\n${kernel.wgsl}`;
    let found = this.#pipelines.get(key);
    if (!found) {
      found = this.#compile(kernel, bindings);
      this.#pipelines.set(key, found);
      // A failure is reported to whoever asked, and tried anew when asked again.
      found.catch(() => this.#pipelines.delete(key));
    }
    return found;
  }

  async #compile(kernel: PlanKernel, bindings: string): Promise<Pipeline> {
    const context = this.#context;
    context.check(kernel.name);
    checkKernel(context, kernel);
    const parts = { kernel: kernel.name };
    const made = context.scoped(`kernel ${kernel.name}`, parts, () => {
      const module = context.gpu.createShaderModule({ label: kernel.name, code: kernel.wgsl });
      const layout = this.#layout(bindings, kernel.bindings);
      const pipeline = context.gpu.createComputePipelineAsync({
        label: kernel.name,
        layout: layout.pipeline,
        compute: { module, entryPoint: kernel.entryPoint },
      });
      pipeline.catch(() => {});
      return { module, layout, pipeline };
    });
    const { module, layout, pipeline } = made.value;
    try {
      const compiled = await context.guard(pipeline, kernel.name);
      const error = await context.guard(made.error, kernel.name);
      if (error) throw error;
      return { pipeline: compiled, layout: layout.group };
    } catch (cause) {
      if (cause instanceof DeviceError && cause.kind === "lost") throw cause;
      const messages = await context.guard(compilerMessages(module, kernel.wgsl), kernel.name);
      const scope = await context.guard(made.error, kernel.name);
      const what = `kernel ${kernel.name} (${kernel.origin}) does not compile`;
      if (messages) throw new DeviceError("validation", what, { ...parts, detail: messages, cause });
      throw scope ?? (cause instanceof DeviceError ? cause : fromWebGPU(cause, what, parts));
    }
  }

  #layout(key: string, bindings: readonly BindingKind[]): { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout } {
    let layout = this.#layouts.get(key);
    if (!layout) {
      const group = this.#context.gpu.createBindGroupLayout({
        label: key,
        entries: bindings.map((kind, binding) => ({
          binding,
          visibility: STAGE_COMPUTE,
          buffer: { type: BUFFER_TYPES[kind] },
        })),
      });
      layout = { group, pipeline: this.#context.gpu.createPipelineLayout({ label: key, bindGroupLayouts: [group] }) };
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

const MATRIX_KEYS = ["component", "result", "m", "n", "k"] as const;

/** What can be known before WebGPU is asked, with messages that name the limit. */
function checkKernel(context: Context, kernel: PlanKernel): void {
  const { limits, features } = context.info;
  const parts = { kernel: kernel.name };
  for (const feature of kernel.features) {
    if (!features.includes(feature)) {
      throw new DeviceError(
        "unsupported-feature",
        `kernel ${kernel.name} needs the feature ${feature}, which ${context.info.name} does not have`,
        parts,
      );
    }
  }
  for (const shape of kernel.matrices ?? []) {
    if (!context.info.subgroupMatrices?.some((m) => MATRIX_KEYS.every((key) => m[key] === shape[key]))) {
      const { component, result, m, n, k } = shape;
      throw new DeviceError(
        "unsupported-feature",
        `kernel ${kernel.name} needs subgroup matrices of ${component}, ${m}×${n}×${k} with sums in ${result}, which ${context.info.name} does not list`,
        parts,
      );
    }
  }
  const storage = kernel.bindings.filter((b) => b !== "uniform").length;
  const [x, y, z] = kernel.workgroupSize;
  const needs: readonly (readonly [number, keyof typeof limits])[] = [
    [storage, "maxStorageBuffersPerShaderStage"],
    [x * y * z, "maxComputeInvocationsPerWorkgroup"],
    [x, "maxComputeWorkgroupSizeX"],
    [y, "maxComputeWorkgroupSizeY"],
    [z, "maxComputeWorkgroupSizeZ"],
  ];
  for (const [need, limit] of needs) {
    if (need > limits[limit]) {
      throw new DeviceError(
        "limits",
        `kernel ${kernel.name} needs ${need}, but the device allows ${limits[limit]} (${limit})`,
        parts,
      );
    }
  }
}

/** The compiler's errors with their lines, or undefined if it has none. */
async function compilerMessages(module: GPUShaderModule, wgsl: string): Promise<string | undefined> {
  const { messages } = await module.getCompilationInfo();
  const lines = wgsl.split("\n");
  const errors = messages.filter((m) => m.type === "error").slice(0, 8);
  if (errors.length === 0) return undefined;
  return errors.map((m) => `${m.lineNum}:${m.linePos} ${m.message}\n    ${lines[m.lineNum - 1] ?? ""}`).join("\n");
}
