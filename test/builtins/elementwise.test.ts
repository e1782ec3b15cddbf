import { describe, expect, it } from "vitest";
import { BUILTINS } from "../../src/elaborate/builtins/index.ts";
import { compile } from "../../src/index.ts";
import { array, call, errorCode, type Given, Session, value } from "./harness.ts";

const INF = Number.POSITIVE_INFINITY;
const NAN = Number.NaN;

function apply(name: string, ...args: readonly Given[]): readonly number[] {
  return call(name, args).data;
}
function close(got: readonly number[], want: readonly number[], relative = 1e-12): void {
  expect(got.length).toBe(want.length);
  got.forEach((g, k) => {
    const w = want[k] as number;
    if (Number.isNaN(w) || !Number.isFinite(w) || w === 0) expect(g, `element ${k}`).toBe(w);
    else expect(Math.abs(g - w) / Math.abs(w), `element ${k}: ${g} for ${w}`).toBeLessThan(relative);
  });
}

describe("functions of one number", () => {
  const table: readonly [string, (x: number) => number, readonly number[]][] = [
    ["exp", Math.exp, [-2, 0, 1.5]],
    ["exp2", (x) => 2 ** x, [-2, 0, 1.5]],
    ["expm1", Math.expm1, [-1e-9, 0.5]],
    ["log", Math.log, [0.5, 1, 10]],
    ["log2", Math.log2, [0.5, 8]],
    ["log10", Math.log10, [0.5, 1000]],
    ["log1p", Math.log1p, [1e-9, 2]],
    ["sqrt", Math.sqrt, [0, 2, 9]],
    ["rsqrt", (x) => 1 / Math.sqrt(x), [2, 9]],
    ["sin", Math.sin, [-1, 2]],
    ["cos", Math.cos, [-1, 2]],
    ["tan", Math.tan, [-1, 2]],
    ["asin", Math.asin, [-0.5, 1]],
    ["acos", Math.acos, [-0.5, 0.9]],
    ["atan", Math.atan, [-3, 1]],
    ["sinh", Math.sinh, [-3, 1]],
    ["cosh", Math.cosh, [-3, 1]],
    ["tanh", Math.tanh, [-3, 1e-8, 1000]],
    ["asinh", Math.asinh, [-3, 1]],
    ["acosh", Math.acosh, [1.5, 4]],
    ["atanh", Math.atanh, [-0.5, 0.9]],
    ["floor", Math.floor, [-1.5, 2.5]],
    ["ceil", Math.ceil, [-1.5, 2.5]],
    ["trunc", Math.trunc, [-1.5, 2.5]],
    ["abs", Math.abs, [-1.5, 2.5]],
    ["sign", Math.sign, [-1.5, 2.5, 0, NAN]],
    ["negative", (x) => -x, [-1.5, 2.5]],
    ["square", (x) => x * x, [-1.5, 2.5]],
    ["reciprocal", (x) => 1 / x, [-1.5, 4]],
    ["relu", (x) => (Number.isNaN(x) ? x : Math.max(x, 0)), [-1, 0, 2, NAN, INF]],
    ["sigmoid", (x) => 1 / (1 + Math.exp(-x)), [-3, 0, 3]],
    ["silu", (x) => x / (1 + Math.exp(-x)), [-3, 0, 3]],
    ["softplus", (x) => Math.log(1 + Math.exp(x)), [-3, 0, 3]],
    ["isnan", (x) => Number(Number.isNaN(x)), [1, NAN, INF]],
    ["isinf", (x) => Number(Math.abs(x) === INF), [1, NAN, -INF]],
    ["isfinite", (x) => Number(Number.isFinite(x)), [1, NAN, INF]],
    ["signbit", (x) => Number(Object.is(x, -0) || x < 0), [-1, 1, -0, 0]],
    ["logical_not", (x) => Number(x === 0), [0, 2]],
    ["round", (x) => (x === 2.5 ? 2 : x === -0.5 ? -0 : Math.round(x)), [2.5, 3.7, -0.5]],
  ];
  for (const [name, f, points] of table) it(name, () => close(apply(name, array([...points])), points.map(f)));
  it("is stable where a plain formula is not", () => {
    close(apply("sigmoid", array([-800, 800, NAN])), [Math.exp(-800), 1, NAN]);
    close(apply("softplus", array([-800, 800])), [Math.exp(-800), 800]);
    close(apply("logaddexp", array([1000, -INF, INF, -INF]), array([1000, 2, -INF, -INF])), [
      1000 + Math.LN2,
      2,
      INF,
      -INF,
    ]);
    close(apply("hypot", array([3e300, 0, 3, INF]), array([4e300, 0, -4, 1])), [5e300, 0, 5, INF]);
    close(apply("gelu", array([0, 1, -1])), [0, 0.8413447460685429, -0.15865525393145707], 1e-7);
    close(apply("gelu", array([1, -2]), "tanh"), [0.8411919906082768, -0.04540230591222], 1e-10);
  });
});

describe("functions of several numbers", () => {
  it("broadcasts and adapts literals", () => {
    expect(
      value("max", [
        array([
          [1, -2],
          [3, 4],
        ]),
        0,
      ]),
    ).toEqual([
      [1, 0],
      [3, 4],
    ]);
    expect(value("maximum", [array([[1], [5]]), array([2, 3])])).toEqual([
      [2, 3],
      [5, 5],
    ]);
    expect(value("min", [array([1, 5], "i32"), 3, array([4, 2], "i32")])).toEqual([1, 2]);
    expect(value("where", [array([true, false], "bool"), array([1, 2]), 0])).toEqual([1, 0]);
  });
  it("follows NaN as it says", () => {
    expect(apply("max", array([NAN, 1]), array([1, NAN]))).toEqual([NAN, NAN]);
    expect(apply("fmax", array([NAN, 1, NAN]), array([1, NAN, NAN]))).toEqual([1, 1, NAN]);
    expect(apply("clamp", array([NAN, -1, 0.5, 2]), 0, 1)).toEqual([NAN, 0, 0.5, 1]);
    expect(apply("nan_to_num", array([NAN, INF, -INF, 2]), 1, 7, -7)).toEqual([1, 7, -7, 2]);
    expect(apply("heaviside", array([-1, 0, 2]), array([0.5, 0.5, 0.5]))).toEqual([0, 0.5, 1]);
    expect(apply("xlogy", array([0, 0, 2]), array([0, NAN, 1]))).toEqual([0, NAN, 0]);
    expect(apply("copysign", array([3, -3]), array([-0, 1]))).toEqual([-3, 3]);
  });
  it("has the logarithm as the derivative of x log y by x, also where x is 0", () => {
    const program = compile(`
fn total(x: f32[N], y: f32[N]) -> f32 { sum(xlogy(x, y)) + sum(xlog1py(x, y)) }
export fn slopes(x: f32[N], y: f32[N]) { grad(total, wrt: [x])(x, y) }
`);
    const vector = (...data: number[]) => ({
      dtype: "f32" as const,
      shape: [data.length],
      data: Float64Array.from(data),
    });
    const [slopes] = Object.values(program.interpret("slopes", { x: vector(0, 2, 0), y: vector(3, 3, 0) }));
    expect([...slopes!.data]).toEqual([Math.log(3) + Math.log1p(3), Math.log(3) + Math.log1p(3), 0]);
    expect(apply("xlogy", array([0, 0, 0]), array([-1, INF, 0]))).toEqual([0, 0, 0]);
  });
  it("clamps integers, also to a bound below the other", () => {
    expect(apply("clamp", array([-5, 3, 9], "i32"), 0, 4)).toEqual([0, 3, 4]);
    expect(apply("clamp", array([-5, 3, 9], "i32"), 5, 2)).toEqual([2, 2, 2]);
  });
  it("divides as Python and as C", () => {
    expect(apply("remainder", array([-7, 7]), array([3, -3]))).toEqual([2, -2]);
    expect(apply("fmod", array([-7, 7]), array([3, -3]))).toEqual([-1, 1]);
    expect(apply("floor_divide", array([-7, 7], "i32"), 2)).toEqual([-4, 3]);
  });
  it("keeps integers that are known", () => {
    const s = new Session();
    expect(s.call("max", [3, 5])).toMatchObject({ kind: "int", extent: { value: 5 } });
    expect(s.call("sqrt", [64])).toMatchObject({ kind: "float", value: 8 });
    expect(s.call("abs", [-4])).toMatchObject({ kind: "int", extent: { value: 4 } });
  });
  it("refuses what does not fit", () => {
    expect(errorCode("exp", [array([1], "i32")])).toBe("EIN1201");
    expect(errorCode("maximum", [array([1], "i32"), array([1])])).toBe("EIN1201");
    expect(errorCode("maximum", [array([1, 2]), array([1, 2, 3])])).toBe("EIN1203");
    expect(errorCode("clamp", [array([1])])).toBe("EIN1501");
    expect(errorCode("unique", [array([1])])).toBe("EIN1107");
    expect(errorCode("max", [array([1]), array([1])], { axis: 0 })).toBe("EIN1501");
  });
});

it("documents every builtin in one line with its parameters", () => {
  for (const [name, f] of BUILTINS) {
    expect(f.name).toBe(name);
    expect(f.doc.startsWith(`${name}(`), name).toBe(true);
    expect(f.doc.includes("\n"), name).toBe(false);
  }
});
