/** Fast math: each row on the device within the bounds of its formula, and the function as it was written within them too. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../runtime/index.ts";
import { checkResults } from "../../src/check.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";

const N = 512;
const wave = (scale: number, middle: number, step: number) => ({
  dtype: "f32" as const,
  shape: [N],
  data: Float32Array.from({ length: N }, (_, i) => middle + scale * Math.sin(step * (i + 1))),
});

/** What is written, and what of the kernel's helpers goes with it. */
const ROWS: readonly (readonly [string, string])[] = [
  ["max(x, y)", "max_"],
  ["min(x, y)", "min_"],
  ["p ** y", "pow_"],
  ["x ** 5", "pow_"],
  ["p ** -7", "pow_"],
  ["p ** 0.5", "pow_"],
  ["floor(x / p) + (x div p)", "floordiv_"],
  ["x % p", "mod_"],
  ["fmod(x, p)", "rem_"],
  ["expm1(x)", "expm1_"],
  ["log1p(p)", "log1p_"],
  ["sinh(x)", "sinh_"],
  ["cosh(x)", "cosh_"],
  ["asinh(x)", "asinh_"],
  ["acosh(1 + p)", "acosh_"],
  ["atanh(x / 4)", "atanh_"],
];

describe("fast math", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openTestDevice();
  });
  afterAll(() => device.close());

  test.each(ROWS)("%s", async (row, helper) => {
    const program = compile(`export fn f(x: f32[N], y: f32[N], p: f32[N]) { ${row} + 0 * (x + y + p) }\n`);
    const inputs = { x: wave(3, 0, 0.37), y: wave(2, 0, 0.91), p: wave(1, 1.5, 1.7) };
    const textOf = (fastMath: boolean): string =>
      program
        .plan("f", { extents: { N }, fastMath })
        .kernels.map((k) => k.wgsl)
        .join("\n");
    expect(textOf(true)).not.toContain(`fn ${helper}`);
    expect(textOf(false)).not.toBe(textOf(true));
    const kernel = await device.load(program, "f", { extents: { N }, fastMath: true });
    const results = await kernel.run(inputs);
    kernel.dispose();
    const [checked] = checkResults(program, "f", inputs, results, {
      budget: 1e7,
      adapter: device.info,
      fastMath: true,
    });
    expect(checked).toMatchObject({ outside: 0, elements: N, checked: N });
    // The formulas have bounds wherever the arguments are in their domain.
    expect(checked!.unbounded).toBeLessThan(N / 4);
  });

  test("is off unless asked for, and leaves reductions and halves", () => {
    const program = compile(`export fn f(x: f32[N], h: f16[N]) { { top: max(x, axis: 0), half: sinh(h) } }\n`);
    const textOf = (o: { fastMath?: boolean }): string =>
      program
        .plan("f", o)
        .kernels.map((k) => k.wgsl)
        .join("\n");
    expect(textOf({ fastMath: true })).toBe(textOf({}));
    expect(textOf({ fastMath: false })).toBe(textOf({}));
  });

  test("a gradient is that of the function as it is written, by the formulas", async () => {
    const program = compile("export fn f(x: f32[N]) { sum(sinh(x) ** 2) }\n").grad("f");
    const inputs = { x: wave(2, 0, 0.3) };
    const kernel = await device.load(program, "grad_f", { fastMath: true });
    const results = await kernel.run(inputs);
    const how = { budget: 1e7, adapter: device.info, fastMath: true };
    expect(kernel.plan.kernels.map((k) => k.wgsl).join("\n")).not.toContain("sinh_");
    kernel.dispose();
    for (const r of checkResults(program, "grad_f", inputs, results, how))
      expect(r).toMatchObject({ outside: 0, unbounded: 0, checked: N });
  });

  test("x ** 0 is 1 for every x", () => {
    const plan = compile("export fn f(x: f32[N]) { x ** 0.0 }\n").plan("f", { fastMath: true });
    expect(plan.kernels.map((k) => k.wgsl).join()).not.toContain("log");
  });
});
