/** Plans written by hand, small enough to check on paper. */
import type { Plan, PlanArray, PlanBuffer, PlanDType, PlanKernel, PlanSize, PlanStep } from "../../runtime/plan.ts";

export const N: PlanSize = { symbol: "N" };
export const over = (size: PlanSize, by: number): PlanSize => ({ op: "ceildiv", left: size, right: by });
export const times = (left: PlanSize, right: PlanSize): PlanSize => ({ op: "mul", left, right });

export const array = (
  name: string,
  buffer: number,
  shape: readonly PlanSize[] = [N],
  dtype: PlanDType = "f32",
): PlanArray => ({
  name,
  dtype,
  shape,
  buffer,
});
export const buffer = (role: PlanBuffer["role"], size: PlanSize = N, more: Partial<PlanBuffer> = {}): PlanBuffer => ({
  role,
  dtype: "f32",
  size,
  slot: undefined,
  ...more,
});

/** A kernel over N elements, 64 an workgroup: `body` sees the index `i`, below `n`. */
export function kernel(
  name: string,
  types: readonly string[],
  body: string,
  more: Partial<PlanKernel> = {},
): PlanKernel {
  const declarations = types.map((type, i) => {
    const access = i === types.length - 1 ? "read_write" : "read";
    return `@group(0) @binding(${i}) var<storage, ${access}> b${i}: array<${type}>;`;
  });
  return {
    name,
    wgsl: `struct Sizes { n: i32 }
${declarations.join("\n")}
@group(0) @binding(${types.length}) var<uniform> sizes: Sizes;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = i32(id.x);
  if (i < sizes.n) { ${body} }
}
`,
    entryPoint: "main",
    workgroupSize: [64, 1, 1],
    features: [],
    bindings: [
      ...types.map((_, i) => (i === types.length - 1 ? "readwrite" : "read") as "read" | "readwrite"),
      "uniform",
    ],
    uniforms: [N],
    origin: "test",
    ...more,
  };
}

export const dispatch = (k: number, buffers: readonly number[], size: PlanSize = N): PlanStep => ({
  kernel: k,
  buffers,
  groups: [over(size, 64), 1, 1],
});

export function plan(name: string, more: Omit<Partial<Plan>, "name" | "version">): Plan {
  return {
    version: 1,
    name,
    params: [array("x", 0)],
    results: [array("y", 1)],
    symbols: [{ name: "N", param: 0, axis: 0 }],
    facts: [],
    buffers: [buffer("param"), buffer("result")],
    kernels: [],
    steps: [],
    ...more,
  };
}

/** y = 2 x + 1 */
export const affine: Plan = plan("affine", {
  kernels: [kernel("double_and_one", ["f32", "f32"], "b1[i] = 2.0 * b0[i] + 1.0;")],
  steps: [dispatch(0, [0, 1])],
});

/** t = x + 1, u = 2 t, v = u - 3, y = v² : t and v share memory. */
export const chain: Plan = plan("chain", {
  buffers: [
    buffer("param"),
    buffer("result"),
    buffer("temporary", N, { slot: 0 }),
    buffer("temporary", N, { slot: 1 }),
    buffer("temporary", N, { slot: 0 }),
  ],
  kernels: [
    kernel("plus", ["f32", "f32"], "b1[i] = b0[i] + 1.0;"),
    kernel("twice", ["f32", "f32"], "b1[i] = 2.0 * b0[i];"),
    kernel("minus", ["f32", "f32"], "b1[i] = b0[i] - 3.0;"),
    kernel("square", ["f32", "f32"], "b1[i] = b0[i] * b0[i];"),
  ],
  steps: [dispatch(0, [0, 2]), dispatch(1, [2, 3]), dispatch(2, [3, 4]), dispatch(3, [4, 1])],
});

export const f32 = (...data: number[]): { dtype: "f32"; shape: number[]; data: Float32Array } => ({
  dtype: "f32",
  shape: [data.length],
  data: Float32Array.from(data),
});
