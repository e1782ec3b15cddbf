import { afterAll, beforeAll, expect, it } from "vitest";
import { affine } from "../runtime/plans.ts";
import { type Browser, launchBrowser } from "./chromium.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
}, 120_000);
afterAll(() => browser.close());

it("runs a plan in a browser", async () => {
  const result = await browser.run(`
    const { openDevice, DeviceError } = await import("/runtime/browser.ts");
    const device = await openDevice();
    const kernel = await device.loadPlan(${JSON.stringify(affine)});
    const { y } = await kernel.run({ x: { dtype: "f32", shape: [3], data: Float32Array.of(1, 2, 3) } });
    const wrong = await kernel.run({}).catch((e) => [e instanceof DeviceError, e.kind, e.message]);
    device.close();
    const late = await kernel.run({ x: { dtype: "f32", shape: [0], data: new Float32Array(0) } }).catch((e) => e.kind);
    return { data: [...y.data], wrong, late, kind: device.info.kind };`);
  expect(result).toEqual({
    data: [3, 5, 7],
    wrong: [true, "shape", "affine: the argument x is missing"],
    late: "lost",
    kind: "software",
  });
});

it("compiles and runs a program in a browser", async () => {
  const result = await browser.run(`
    const { compile } = await import("/src/index.ts");
    const { openDevice } = await import("/runtime/browser.ts");
    const program = compile("export fn dense(x: f32[N, I], w: f32[I, O], b: f32[O]) { relu(x @ w + b) }");
    const inputs = {
      x: { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
      w: { dtype: "f32", shape: [3, 2], data: Float32Array.of(1, 0, -1, 1, 0, 1) },
      b: { dtype: "f32", shape: [2], data: Float32Array.of(0.5, 0) },
    };
    const device = await openDevice();
    const kernel = await device.load(program, "dense");
    const [found] = Object.values(await kernel.run(inputs));
    const [expected] = Object.values(program.interpret("dense", inputs));
    device.close();
    return { found: [...found.data], expected: [...expected.data], shape: found.shape };`);
  expect(result).toEqual({ found: [0, 5, 0, 11], expected: [0, 5, 0, 11], shape: [2, 2] });
});
