/** A recipe bound to memory, and its encoding. */
import { builtinGroups } from "./builtin.ts";
import type { Context } from "./context.ts";
import type { Pipeline } from "./pipelines.ts";
import type { RecipeStep, UniformRange } from "./recipe.ts";

/** A range of a device buffer. */
export interface Binding {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

export interface Pipelines {
  readonly kernels: readonly Pipeline[];
  readonly fill: Pipeline | undefined;
  readonly copy: Pipeline | undefined;
}

/** One dispatch, ready to be encoded. `step` is the index of the recipe's step. */
export interface Command {
  readonly step: number;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly groups: readonly [number, number, number];
}

/** Makes the bind groups of all steps. `bindings` are in the order of the recipe's buffers. */
export function bindCommands(
  context: Context,
  steps: readonly RecipeStep[],
  pipelines: Pipelines,
  bindings: readonly (Binding | undefined)[],
  uniforms: GPUBuffer | undefined,
): readonly Command[] {
  // Rounds of a loop bind the same buffers again.
  const known = new Map<string, GPUBindGroup>();
  const ids = new Map<Pipeline, number>();
  const make = (pipeline: Pipeline, buffers: readonly number[], uniform: UniformRange | undefined): GPUBindGroup => {
    if (!ids.has(pipeline)) ids.set(pipeline, ids.size);
    const key = `${ids.get(pipeline)} ${buffers.join(",")} ${uniform?.offset}`;
    const old = known.get(key);
    if (old) return old;
    const made = create(pipeline, buffers, uniform);
    known.set(key, made);
    return made;
  };
  const create = (pipeline: Pipeline, buffers: readonly number[], uniform: UniformRange | undefined): GPUBindGroup => {
    const entries: GPUBindGroupEntry[] = buffers.map((b, binding) => ({ binding, resource: bindings[b]! }));
    if (uniform) {
      entries.push({
        binding: buffers.length,
        resource: { buffer: uniforms!, offset: uniform.offset, size: uniform.bytes },
      });
    }
    return context.gpu.createBindGroup({ layout: pipeline.layout, entries });
  };
  return steps.map((step, i): Command => {
    switch (step.kind) {
      case "dispatch": {
        const pipeline = pipelines.kernels[step.kernel]!;
        return {
          step: i,
          pipeline: pipeline.pipeline,
          group: make(pipeline, step.buffers, step.uniform),
          groups: step.groups,
        };
      }
      case "fill": {
        const { pipeline } = pipelines.fill!;
        return {
          step: i,
          pipeline,
          group: make(pipelines.fill!, [step.buffer], step.uniform),
          groups: [builtinGroups(step.bytes), 1, 1],
        };
      }
      case "copy": {
        const { pipeline } = pipelines.copy!;
        const group = make(pipelines.copy!, [step.from, step.to], step.uniform);
        return { step: i, pipeline, group, groups: [builtinGroups(step.bytes), 1, 1] };
      }
      default:
        return step satisfies never;
    }
  });
}

/** Encodes dispatches into a pass that somebody else begins and ends. */
export function encodeCommands(pass: GPUComputePassEncoder, commands: readonly Command[]): void {
  let current: GPUComputePipeline | undefined;
  for (const { pipeline, group, groups } of commands) {
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...groups);
  }
}
