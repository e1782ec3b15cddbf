import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../runtime/node.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

const numbers = (shape: readonly number[], seed: number) => {
  const count = shape.reduce((a, b) => a * b, 1);
  return {
    dtype: "f32" as const,
    shape,
    data: Float32Array.from({ length: count }, (_, i) => ((i * 7 + seed) % 11) - 5),
  };
};

/** Small integers: every sum is exact, so results are equal to the interpreter's. */
async function kernelsOf(source: string, inputs: Record<string, ReturnType<typeof numbers>>): Promise<number> {
  const program = compile(source);
  const kernel = await device.load(program, "f", {
    shapes: Object.fromEntries(Object.entries(inputs).map(([name, a]) => [name, a.shape])),
  });
  const found = await kernel.run(inputs);
  const wanted = program.interpret("f", inputs);
  for (const [name, { data }] of Object.entries(wanted)) expect([...found[name]!.data]).toEqual([...data]);
  const { kernels, steps } = kernel.plan;
  expect(steps.filter((s) => "kernel" in s).length).toBeGreaterThanOrEqual(kernels.length);
  kernel.dispose();
  return kernels.length;
}

describe("equal regions share a kernel", () => {
  const [x, u, v, w] = [numbers([6, 5], 1), numbers([5, 4], 2), numbers([5, 4], 3), numbers([5, 3], 4)];
  it("products of one shape, on their own operands", async () => {
    const source = `export fn f(x: f32[N, K], u: f32[K, M], v: f32[K, M]) { { a: relu(x @ u), b: relu(x @ v) } }`;
    expect(await kernelsOf(source, { x, u, v })).toBe(1);
  });
  it("products of a parameter and of a computed value", async () => {
    const source = `export fn f(x: f32[N, K], u: f32[K, K], v: f32[K, K]) { { a: x @ u, b: x @ u @ v } }`;
    expect(await kernelsOf(source, { x, u: numbers([5, 5], 2), v: numbers([5, 5], 3) })).toBe(1);
  });
  it("not those of other shapes, epilogues or constants", async () => {
    const source = `export fn f(x: f32[N, K], u: f32[K, M], v: f32[K, M], w: f32[K, L]) {
      { a: x @ u, b: (x @ v) * 2, c: x @ w }
    }`;
    expect(await kernelsOf(source, { x, u, v, w })).toBe(3);
  });
  it("not one operand in another's place", async () => {
    const source = `export fn f(u: f32[K, K], v: f32[K, K]) { { a: u @ v - u, b: v @ u - u } }`;
    const square = (seed: number) => numbers([5, 5], seed);
    // The left operand is subtracted, then the right one.
    expect(await kernelsOf(source, { u: square(1), v: square(2) })).toBe(2);
  });
  it("scans and scatters by what they compute", async () => {
    const source = `export fn f(x: f32[N, K]) {
      { a: cumsum(x * 2, axis: 1), b: cumsum(x * 3, axis: 1), c: cumsum(x * 2 + 1, axis: 1) }
    }`;
    expect(await kernelsOf(source, { x })).toBeGreaterThanOrEqual(3);
  });
  it("the partial results of a sum in two stages are each one's own", async () => {
    const source = `export fn f(x: f32[N], y: f32[N]) { { a: sum(x), b: sum(y) } }`;
    const long = (seed: number) => numbers([70_001], seed);
    await kernelsOf(source, { x: long(1), y: long(5) });
  });
});
