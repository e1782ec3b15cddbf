import { expect, test } from "vitest";
import { compile, type HostArray } from "../../src/index.ts";

test("elements of another type are refused, as on a device", () => {
  const program = compile("export fn f(x: i32[N], k: f32 = 2.0) { (x as f32) * k }");
  const floats: HostArray = { dtype: "f32", shape: [2], data: Float32Array.of(0.5, 1.5) };
  const whole: HostArray = { dtype: "i32", shape: [2], data: Int32Array.of(1, 2) };
  expect(() => program.interpret("f", { x: floats })).toThrow("x is f32, but i32 is needed");
  expect(() => program.interpret("f", { x: whole, k: { ...whole, shape: [] } })).toThrow("k is i32, but f32 is needed");
  expect(program.interpret("f", { x: whole })["result"]?.data).toEqual(Float64Array.of(2, 4));
});
