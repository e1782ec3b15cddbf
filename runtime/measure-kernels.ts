/** The kernels that measure an adapter: one operation each, repeated in a loop whose rounds the host sets. */
import type { PlanKernel } from "./plan.ts";

export interface Probe {
  readonly kernel: PlanKernel;
  /** The operation's repetitions a round of the loop. */
  readonly repeats: number;
}

export type ProbeName = "loop" | "fma" | "scalar" | "vector" | "shared" | "barrier" | "broadcast";

/** Repetitions a round: few, as every one is code to be compiled. */
const REPEATS = 8;
/** Vectors that loads walk over, a power of two: 16 KiB of vectors stay in any cache. */
const CACHED = 1024;

const lines = (n: number, f: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => `    ${f(i)}\n`).join("");

function kernel(
  name: string,
  size: number,
  features: readonly string[],
  head: string,
  body: string,
  tail: string,
): PlanKernel {
  const enable = features.includes("subgroups") ? "enable subgroups;\n" : "";
  const wgsl = `${enable}struct Sizes { rounds: i32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
${head}@compute @workgroup_size(${size}) fn main(
  @builtin(local_invocation_id) l: vec3u, @builtin(workgroup_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  var a = vec4f(f32(l.x), 1.0, 2.0, 3.0);
  var b = vec4f(4.0, 5.0, 6.0, f32(g.x));
  let c = x[l.x % ${CACHED}u].x;
  for (var i = 0; i < sizes.rounds; i++) {
    let at = (u32(i) * ${REPEATS}u + l.x) & ${CACHED / 2 - 1}u;
${body}  }
${tail}  y[(g.x * ${size}u + l.x) % arrayLength(&y)] = dot(a, b);
}
`;
  return {
    name: `measure ${name}`,
    wgsl,
    entryPoint: "main",
    workgroupSize: [size, 1, 1],
    features,
    bindings: ["read", "readwrite", "uniform"],
    uniforms: [],
    origin: "runtime",
  };
}

const COMPONENTS = ["a.x", "a.y", "a.z", "a.w", "b.x", "b.y", "b.z", "b.w"] as const;

/** One kernel an operation, in workgroups of `size`; only those that the adapter can run. */
export function probes(size: number, features: readonly string[]): ReadonlyMap<ProbeName, Probe> {
  const one = (
    name: ProbeName,
    f: (i: number) => string,
    needs: readonly string[] = [],
    head = "",
  ): [ProbeName, Probe] => [name, { kernel: kernel(name, size, needs, head, lines(REPEATS, f), ""), repeats: REPEATS }];
  const found: [ProbeName, Probe][] = [
    ["loop", { kernel: kernel("loop", size, [], "", "    a.x += c;\n", ""), repeats: 1 }],
    one("fma", (i) => `${COMPONENTS[i]} = fma(${COMPONENTS[i]}, c, 0.5);`),
    one("scalar", (i) => `${COMPONENTS[i]} += x[at + ${i}u].${"xyzw"[i % 4]};`),
    one("vector", (i) => `${i % 2 ? "a" : "b"} += x[at + ${i}u];`),
    one(
      "shared",
      (i) => `${i % 2 ? "a" : "b"} += tile[(at + ${i}u) & 63u];`,
      [],
      "var<workgroup> tile: array<vec4f, 64>;\n",
    ),
    one("barrier", () => "workgroupBarrier();"),
  ];
  if (features.includes("subgroups"))
    found.push(
      one("broadcast", (i) => `${COMPONENTS[i]} = subgroupBroadcast(${COMPONENTS[i]}, ${i % 4}u) + 0.5;`, [
        "subgroups",
      ]),
    );
  return new Map(found);
}

/** Reads and writes vectors of four, a stride of the whole grid apart. */
export const COPY_PROBE: PlanKernel = {
  name: "measure copy",
  wgsl: `struct Sizes { vectors: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
  for (var i = id.x; i < sizes.vectors; i += n.x * 64u) { y[i] = x[i]; }
}
`,
  entryPoint: "main",
  workgroupSize: [64, 1, 1],
  features: [],
  bindings: ["read", "readwrite", "uniform"],
  uniforms: [],
  origin: "runtime",
};
