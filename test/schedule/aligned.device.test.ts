import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../runtime/node.ts";
import { compile } from "../../src/index.ts";
import type { Region } from "../../src/schedule/region.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import { openTestDevice } from "../device.ts";
import { PLAIN } from "./contraction-support.ts";

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

const numbers = (shape: readonly number[], seed: number) => ({
  dtype: "f32" as const,
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7 + seed) % 11) - 5),
});

/** Small integers: every sum is exact, so results are equal to the interpreter's. */
async function dispatches(
  source: string,
  inputs: Record<string, ReturnType<typeof numbers>>,
  schedule?: (r: Region) => Schedule | undefined,
): Promise<number> {
  const program = compile(source);
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, a]) => [name, a.shape]));
  const plan = program.plan("f", { shapes, adapter: device.info, ...(schedule ? { schedule } : {}) });
  const kernel = await device.loadPlan(plan);
  const found = await kernel.run(inputs);
  for (const [name, { data }] of Object.entries(program.interpret("f", inputs)))
    expect([...found[name]!.data]).toEqual([...data]);
  kernel.dispose();
  return plan.steps.filter((s) => "kernel" in s).length;
}

describe("contractions of copies that are filled up to whole vectors", () => {
  const aligned = (r: Region): Schedule | undefined =>
    r.kind === "contraction" ? { ...PLAIN, align: 4, vector: 4, reg: [2, 4] } : undefined;
  it("give what the others give, in each layout, with what follows the sums", async () => {
    const [a, b, c] = [numbers([9, 7], 1), numbers([7, 5], 2), numbers([5], 3)];
    const source = `export fn f(a: f32[M, K], b: f32[K, N], c: f32[N]) { relu(a @ b + c) }`;
    expect(await dispatches(source, { a, b, c }, aligned)).toBe(3);
    for (const out of ["ij", "ji"]) {
      const turned = `export fn f(a: f32[K, M], b: f32[N, K]) { einsum("ki,jk->${out}", a, b) }`;
      expect(await dispatches(turned, { a: numbers([7, 9], 1), b: numbers([5, 7], 2) }, aligned)).toBe(3);
    }
  });
  it("whose kernels are shared have copies of their own", async () => {
    const source = `export fn f(a: f32[M, K], b: f32[K, N], c: f32[M, K]) { { x: a @ b, y: c @ b } }`;
    const inputs = { a: numbers([9, 7], 1), b: numbers([7, 5], 2), c: numbers([9, 7], 5) };
    expect(await dispatches(source, inputs, aligned)).toBe(6);
  });
  it("of windows that overlap and reach over the edge", async () => {
    const source = `import { conv2d } from "std/nn"
      export fn f(x: f32[N, C, H, W], w: f32[O, C, R, S]) { conv2d(x, w, stride: 2, padding: 1) }`;
    const odd = { x: numbers([2, 3, 9, 7], 1), w: numbers([5, 3, 3, 3], 2) };
    expect(await dispatches(source, odd, aligned)).toBeGreaterThan(1);
    await dispatches(source, { x: numbers([1, 16, 43, 43], 1), w: numbers([32, 16, 3, 3], 2) });
  });
  it("are the default on software adapters where products are many", async () => {
    const source = `export fn f(a: f32[M, K], b: f32[K, N]) { a @ b }`;
    expect(await dispatches(source, { a: numbers([257, 301], 1), b: numbers([301, 257], 2) })).toBe(3);
  });
});
