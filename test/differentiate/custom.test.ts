import { describe, expect, it, test } from "vitest";
import { compile } from "../../src/index.ts";
import { expectError } from "../elaborate/helper.ts";

const SOURCE = `
fn straight(x: f32[N], cotangent: f32[N]) { cotangent }

@vjp(straight)
fn rounded(x: f32[N]) { round(x) }

fn product_rule(x: f32[N], w: f32[N], scale: const int, value: f32[N], cotangent: f32[N]) {
  { x: cotangent * w * scale, w: cotangent * value / w }
}

// What it gives is x·w·scale.
@vjp(product_rule)
export fn product(x: f32[N], w: f32[N], scale: const int = 3) { x * w * scale }

fn split_rule(x: f32[N], cotangent_low: f32[N], cotangent_high: f32[N]) { cotangent_low - 2 * cotangent_high }

@vjp(split_rule)
fn parts(x: f32[N]) { { low: floor(x), high: x - floor(x), count: N } }

fn through(x: f32[N], w: f32[N]) -> f32 { sum(rounded(x * w) ** 2) }

export let plain = grad(through, wrt: [x, w])

export fn tangent(x: f32[N], w: f32[N], t: f32[N]) { jvp(through)(x, w, tangent: t).tangent }

export fn products(x: f32[N], w: f32[N]) { vjp(product, wrt: [x, w])(x, w, cotangent: ones([N])) }

fn second(x: f32[N], w: f32[N]) -> f32 { sum(product(x, w) * w) }

export let curved = hessian(second, wrt: [w])

export fn rows(x: f32[M, N], w: f32[N]) { for[i] grad(through)(x[i, :], w) }

fn each(x: f32[M, N], w: f32[N]) -> f32 { sum(for[i] through(x[i, :], w)) }

export let of_each = grad(each)

fn looped(x: f32[N]) -> f32 { sum(iterate 3 from x as v { rounded(v * 1.5) }) }

export let of_loop = grad(looped)

fn both(x: f32[N]) -> f32 {
  let p = parts(x)
  sum(p.low * 5 + p.high)
}

export let of_both = grad(both)

export fn value(x: f32[N]) { rounded(x) * 1 }
`;

const program = compile(SOURCE);

function run(name: string, inputs: Readonly<Record<string, number[] | number[][]>>): readonly number[] {
  const arrays = Object.entries(inputs).map(([k, v]) => {
    const shape = Array.isArray(v[0]) ? [v.length, v[0].length] : [v.length];
    return [k, { dtype: "f32" as const, shape, data: Float32Array.from(v.flat()) }] as const;
  });
  return Object.values(program.interpret(name, Object.fromEntries(arrays))).flatMap((a) => [...a.data].map(Number));
}

describe("a rule of one's own", () => {
  const [x, w] = [
    [1.25, 2.5],
    [3, 0.5],
  ];
  // round(3.75) = 4, round(1.25) = 1.
  it("is what reverse and forward mode use", () => {
    expect(run("value", { x })).toEqual([1, 2]);
    expect(run("plain", { x, w })).toEqual([2 * 4 * 3, 2 * 1 * 0.5, 2 * 4 * 1.25, 2 * 1 * 2.5]);
    expect(run("tangent", { x, w, t: [1, 10] })).toEqual([2 * 4 * 3 + 2 * 1 * 0.5 * 10]);
  });
  it("sees constants and the value", () => {
    expect(run("products", { x, w })).toEqual([9, 1.5, 3 * 1.25, 3 * 2.5]);
  });
  it("is differentiated itself", () => {
    expect(run("curved", { x, w })).toEqual([6 * 1.25, 0, 0, 6 * 2.5]);
  });
  it("stands inside index notation, on either side of the derivative, and in a loop", () => {
    expect(run("rows", { x: [x, [0, 1]], w })).toEqual([24, 1, 0, 0]);
    expect(run("of_each", { x: [x, [0, 1]], w })).toEqual([24, 1, 0, 0]);
    expect(run("of_loop", { x })).toEqual([1.5 ** 3, 1.5 ** 3]);
  });
  it("has a cotangent for each float result", () => expect(run("of_both", { x })).toEqual([3, 3]));
  it("leaves nothing of itself in what is compiled", () => {
    expect(program.compiled("plain").fused.loops).toBeUndefined();
    expect(program.compiled("value").kernels).toHaveLength(1);
  });
});

describe("rules that do not fit are refused", () => {
  const rule = (source: string): string => `${source}\n@vjp(rule)\nexport fn f(x: f32[N], w: f32[M]) { sum(x) * w }`;
  test("parameters", () => {
    expectError(rule("fn rule(x: f32[N], grad: f32[M]) { x }"), "EIN1604", ["rule"]);
    expectError("@vjp(3)\nfn f(x: f32[N]) { x }", "EIN1604", ["3"]);
    expectError("@vjp\nfn f(x: f32[N]) { x }", "EIN1604", ["@vjp"]);
    expectError("@vjp(r)\nfn f(x: f32[N]) { x }", "EIN1101", ["r"]);
  });
  test("results", () => {
    expectError(rule("fn rule(x: f32[N], cotangent: f32[M]) { x }"), "EIN1604", ["rule"]);
    expectError(rule("fn rule(x: f32[N], cotangent: f32[M]) { { x } }"), "EIN1604", ["rule"]);
    expectError(rule("fn rule(x: f32[N], cotangent: f32[M]) { { x, w: cotangent, y: x } }"), "EIN1604", ["rule"]);
    expectError(rule("fn rule(x: f32[N], cotangent: f32[M]) { { x, w: sum(cotangent) } }"), "EIN1604", ["rule"]);
    expectError(rule("fn rule(x: f32[N], cotangent: f32[M]) { { x, w: cotangent > 0 } }"), "EIN1604", ["rule"]);
  });
  test("shapes", () => {
    const source = "fn rule(x: f32[3], cotangent: f32[3]) { x[0:2] }\n@vjp(rule)\nexport fn f(x: f32[3]) { x }";
    expectError(source, "EIN1203", ["rule"]);
  });
});
