/** Functions with bounded values, on arguments that lie densely: within their bounds everywhere, and never outside what they may become. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Device } from "../../runtime/index.ts";
import { checkResults } from "../../src/check.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";

const N = 1 << 16;
let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

test.each([
  ["tanh", -1, 1],
  ["erf", -1, 1],
  ["erfc", 0, 2],
  ["sigmoid", 0, 1],
] as const)("%s is never below %d or above %d", async (name, low, high) => {
  const program = compile(`export fn f(x: f32[N]) { ${name}(x) }\n`);
  // From -18 to 18, densest around 0, and some whose squares and powers overflow.
  const data = Float32Array.from({ length: N }, (_, i) => 12 * Math.sinh(8 * ((2 * i) / (N - 1) - 1)) * 1e-3);
  data.set([3e38, -3e38, 1e20, -1e20, 1e8, -1e8, 1e5, -1e5]);
  const kernel = await device.load(program, "f", { extents: { N } });
  const results = await kernel.run({ x: { dtype: "f32", shape: [N], data } });
  kernel.dispose();
  const [values] = Object.values(results).map((r) => r.data as Float32Array);
  expect(values!.filter((v) => !(v >= low && v <= high))).toHaveLength(0);
  const [checked] = checkResults(program, "f", { x: { dtype: "f32", shape: [N], data } }, results, {
    budget: 1e8,
    adapter: device.info,
  });
  expect(checked).toMatchObject({ outside: 0, unbounded: 0, checked: N });
});
