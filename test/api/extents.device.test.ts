/** One compiled kernel serves a family of sizes; extents that are given are literals in it. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Device } from "../../runtime/index.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { checkResults } from "../../src/check.ts";
import { compile, type Program } from "../../src/index.ts";
import { randomArray } from "../../src/io/random.ts";
import { openTestDevice } from "../device.ts";

vi.setConfig({ testTimeout: 120_000 });

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

interface Family {
  readonly source: string;
  /** Shapes of the arguments for some sizes each. */
  readonly shapes: (n: number, m: number) => Readonly<Record<string, readonly number[]>>;
  readonly symbols: readonly string[];
}

const SIZES: readonly (readonly [number, number])[] = [
  [1, 1],
  [2, 3],
  [16, 64],
  [33, 17],
  [7, 130],
  [64, 5],
];

const FAMILIES: Readonly<Record<string, Family>> = {
  matmul: {
    source: "export fn f(x: f32[N, M], w: f32[M, N]) { relu(x @ w) }",
    shapes: (n, m) => ({ x: [n, m], w: [m, n] }),
    symbols: ["M", "N"],
  },
  softmax: {
    source: 'import { softmax } from "std/nn"\nexport fn f(x: f32[N, M]) { softmax(x, axis: 1) }',
    shapes: (n, m) => ({ x: [n, m] }),
    symbols: ["M", "N"],
  },
  windows: {
    source: "export fn f(x: f32[N, M]) { x[:-2] + x[1:-1] + x[2:] }",
    shapes: (n, m) => ({ x: [n + 2, m] }),
    symbols: ["M", "N"],
  },
  columns: {
    source: "export fn f(x: f32[N, M]) { sum(x, axis: 0) }",
    shapes: (n, m) => ({ x: [n, m] }),
    symbols: ["M", "N"],
  },
  scan: {
    source: "export fn f(x: f32[N, M]) { cumsum(x, axis: 1) }",
    shapes: (n, m) => ({ x: [n, m] }),
    symbols: ["M", "N"],
  },
};

function inputsOf(f: Family, n: number, m: number): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(f.shapes(n, m)).map(([name, shape], i) => [name, randomArray("f32", shape, n * 1000 + m, i)]),
  );
}

function expectRight(program: Program, inputs: Record<string, HostArray>, results: Record<string, HostArray>): void {
  for (const r of checkResults(program, "f", inputs, results, { budget: 1e6, adapter: device.info })) {
    expect(r.checked).toBe(r.elements);
    expect(r.outside, `${r.name}: ${JSON.stringify(r.first)}`).toBe(0);
  }
}

describe("free extents", () => {
  for (const [name, family] of Object.entries(FAMILIES))
    test(`${name}: one plan, one set of pipelines, every size`, async () => {
      const program = compile(family.source);
      const kernel = await device.load(program, "f");
      expect(kernel.plan.symbols.map((s) => s.name).toSorted()).toEqual(family.symbols);
      for (const [n, m] of SIZES) {
        const inputs = inputsOf(family, n, m);
        expectRight(program, inputs, await kernel.run(inputs));
      }
      kernel.dispose();
    });
});

describe("given extents", () => {
  for (const [name, family] of Object.entries(FAMILIES))
    test(`${name}: literals in the kernels, other sizes are refused`, async () => {
      const program = compile(family.source);
      const [n, m] = [12, 64];
      const free = await device.load(program, "f");
      const half = await device.load(program, "f", { extents: { M: m } });
      const full = await device.load(program, "f", { extents: { N: family.shapes(n, m)["x"]![0]!, M: m } });
      expect(half.plan.symbols.map((s) => s.name)).toEqual(["N"]);
      expect(full.plan.symbols).toEqual([]);
      const uniforms = (k: typeof free): number => k.plan.kernels.reduce((sum, x) => sum + x.uniforms.length, 0);
      expect(uniforms(full)).toBe(0);
      expect(uniforms(half)).toBeLessThanOrEqual(uniforms(free));
      const inputs = inputsOf(family, n, m);
      for (const kernel of [free, half, full]) expectRight(program, inputs, await kernel.run(inputs));
      const others = inputsOf(family, n + 1, m);
      expectRight(program, others, await half.run(others));
      await expect(full.run(others)).rejects.toMatchObject({ kind: "shape" });
      await expect(half.run(inputsOf(family, n, m + 4))).rejects.toMatchObject({ kind: "shape" });
      for (const kernel of [free, half, full]) kernel.dispose();
    });

  test("vectors are taken where a given extent allows them, and not where it does not", async () => {
    const program = compile("export fn f(x: f32[N, M]) { x * 2 + 1 }");
    const code = async (extents: Readonly<Record<string, number>>): Promise<string> =>
      (await device.load(program, "f", { extents })).wgsl;
    expect(await code({ M: 64 })).toContain("array<vec4");
    expect(await code({})).not.toContain("array<vec4");
    expect(await code({ N: 3, M: 7 })).not.toContain("array<vec4");
  });

  test("shapes say the same as extents", async () => {
    const program = compile(FAMILIES["matmul"]!.source);
    const shapes = { x: [8, 4], w: [4, 8] };
    const [a, b] = await Promise.all([
      device.load(program, "f", { shapes }),
      device.load(program, "f", { extents: { N: 8, M: 4 } }),
    ]);
    expect(a.wgsl).toBe(b.wgsl);
  });
});

describe("extents of 0", () => {
  test("0 / 0 of sums over nothing is NaN, with extents that are free and that are known", async () => {
    const program = compile(`export fn f(x: f32[N], y: f32[M]) {
      { mean: mean(x), var: var(x), quotient: sum(x) / y, product: prod(x) / y }
    }`);
    const inputs: Record<string, HostArray> = {
      x: { dtype: "f32", shape: [0], data: new Float32Array(0) },
      y: { dtype: "f32", shape: [2], data: Float32Array.of(0, 2) },
    };
    for (const extents of [{}, { N: 0 }]) {
      const kernel = await device.load(program, "f", { extents });
      const { mean, var: variance, quotient, product } = await kernel.run(inputs);
      for (const result of [mean, variance]) expect(result?.data).toEqual(Float32Array.of(Number.NaN));
      expect(quotient?.data).toEqual(Float32Array.of(Number.NaN, 0));
      expect(product?.data).toEqual(Float32Array.of(Number.POSITIVE_INFINITY, 0.5));
      kernel.dispose();
    }
  });
});
