import { expect, test } from "vitest";
import { CompileError, compile } from "../../src/index.ts";

const SOURCE = "export fn loss(w: f32[N], x: f32[N]) -> f32 { sum((w * x) ** 2) / 2 }";
const array = (...values: number[]) =>
  ({ dtype: "f32", shape: [values.length], data: Float32Array.from(values) }) as const;

test("gradients are functions of the program", () => {
  const program = compile(SOURCE);
  const inputs = { w: array(1, 2), x: array(3, 5) };
  expect(program.grad("loss").interpret("grad_loss", inputs)["result"]?.data).toEqual(Float64Array.of(9, 50));
  const both = program.valueAndGrad("loss", { wrt: ["w", "x"] }).interpret("value_and_grad_loss", inputs);
  expect(Object.keys(both)).toEqual(["value", "w", "x"]);
  expect(both["value"]?.data).toEqual(Float64Array.of((9 + 100) / 2));
  expect(both["x"]?.data).toEqual(Float64Array.of(3, 20));
  expect(program.hessian("loss", { wrt: ["w"] }).interpret("hessian_loss", inputs)["result"]?.data).toEqual(
    Float64Array.of(9, 0, 0, 25),
  );
});

test("wrong names are diagnostics", () => {
  const program = compile(SOURCE);
  expect(() => program.grad("los")).toThrow(CompileError);
  expect(() => program.grad("loss", { wrt: ["v"] })).toThrow(/has no parameter `v`/);
  expect(() => program.grad("loss", { wrt: ["w) + (x"] })).toThrow(CompileError);
});
