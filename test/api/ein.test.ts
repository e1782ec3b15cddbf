import { describe, expect, test } from "vitest";
import { CompileError, ein } from "../../src/index.ts";

const x = { dtype: "f32", shape: [3], data: Float32Array.of(1, 2, 3) } as const;

function value(program: ReturnType<typeof ein>): number[] {
  return [...(program.interpret("f", { x }).result?.data ?? [])];
}

describe("ein", () => {
  test("is a module", () => {
    expect(value(ein`export fn f(x: f32[N]) { x * 2 }`)).toEqual([2, 4, 6]);
  });
  test.each([
    [2.5, [2.5, 5, 7.5]],
    [-3, [-3, -6, -9]],
    [1e21, [1e21, 2e21, 3e21]],
    [5e-324, [5e-324, 1e-323, 1.5e-323]],
    [-0, [-0, -0, -0]],
    [Number.POSITIVE_INFINITY, [Infinity, Infinity, Infinity]],
    [Number.NEGATIVE_INFINITY, [-Infinity, -Infinity, -Infinity]],
    [Number.NaN, [NaN, NaN, NaN]],
  ])("a number is a literal: %s", (k, expected) => {
    expect(value(ein`export fn f(x: f32[N]) { x * ${k} }`)).toEqual(expected);
  });
  test("lists, strings and booleans are literals", () => {
    expect(value(ein`export fn f(x: f32[N]) { reshape(x, ${[1, 3]}) }`)).toEqual([1, 2, 3]);
    expect(value(ein`export fn f(x: f32[N]) { einsum(${"i,i->"}, x, x) }`)).toEqual([14]);
    expect(value(ein`export fn f(x: f32[N]) { sum(x, axis: 0, keepdims: ${true}) }`)).toEqual([6]);
    expect(value(ein`export fn f(x: f32[${3}]) { x }`)).toEqual([1, 2, 3]);
  });
  test("a value never becomes code", () => {
    const odd = '") } export fn g() { 1 } fn h() { ("\n\\';
    try {
      ein`export fn f(x: f32[N]) { einsum(${odd}, x, x) }`;
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      expect(error.diagnostics.map((d) => d.code.slice(0, 5))).toEqual(["EIN14"]);
    }
  });
  test("a value inside a string or a comment is an error", () => {
    expect(() => ein`export fn f(x: f32[N]) { einsum("${"i->i"}", x) }`).toThrow(/EIN1001: a value inside/);
    expect(() => ein`export fn f(x: f32[N]) { x } // ${1}`).toThrow(/EIN1001: a value inside/);
  });
  test("a value next to a name does not become part of it", () => {
    expect(() => ein`export fn f(x: f32[N]) { x${1} }`).toThrow(/EIN1001/);
  });
  test("what is no literal is refused", () => {
    const made = {} as unknown as number;
    expect(() => ein`export fn f(x: f32[N]) { x * ${made} }`).toThrow(TypeError);
  });
  test("a template that runs again is compiled once a value", () => {
    const scale = (k: number): ReturnType<typeof ein> => ein`export fn f(x: f32[N]) { x * ${k} }`;
    expect(scale(2)).toBe(scale(2));
    expect(value(scale(3))).toEqual([3, 6, 9]);
  });
});
