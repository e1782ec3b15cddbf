/** Kernels of the runtime's own, for fills and copies inside a compute pass, where WebGPU has no command for them. */
import type { PlanKernel } from "./plan.ts";

/** `pattern` is the word that fills, or the word of the target that a copy begins at. */
const HEAD = "struct Sizes { words: u32, pattern: u32 }\n";
const INDEX = "@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u";
const LOOP = "for (var i = id.x; i < sizes.words; i += groups.x * 64u)";

const COMMON = {
  entryPoint: "main",
  workgroupSize: [64, 1, 1],
  features: [],
  uniforms: [],
  origin: "runtime",
} as const;

export const FILL_KERNEL: PlanKernel = {
  ...COMMON,
  name: "fill",
  bindings: ["readwrite", "uniform"],
  wgsl: `${HEAD}@group(0) @binding(0) var<storage, read_write> target_words: array<u32>;
@group(0) @binding(1) var<uniform> sizes: Sizes;
@compute @workgroup_size(64) fn main(${INDEX}) {
  ${LOOP} { target_words[i] = sizes.pattern; }
}
`,
};

export const COPY_KERNEL: PlanKernel = {
  ...COMMON,
  name: "copy",
  bindings: ["read", "readwrite", "uniform"],
  wgsl: `${HEAD}@group(0) @binding(0) var<storage, read> source_words: array<u32>;
@group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
@compute @workgroup_size(64) fn main(${INDEX}) {
  ${LOOP} { target_words[sizes.pattern + i] = source_words[i]; }
}
`,
};

/** Workgroups for so many bytes: four words an invocation until there are many. */
export function builtinGroups(bytes: number): number {
  return Math.max(1, Math.min(4096, Math.ceil(bytes / 4 / 256)));
}
