import { describe, expect, test } from "vitest";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { reverse } from "../../src/differentiate/reverse.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { gradientProblems, sample } from "./numeric.ts";

function check(text: string, shapes: Readonly<Record<string, readonly number[]>>, wrt: readonly string[]): void {
  const inputs = new Map(Object.entries(shapes).map(([name, shape], i) => [name, sample(shape, i)]));
  expect(gradientProblems(parseProgram(text), inputs, wrt)).toEqual([]);
}

describe("gradients agree with central differences", () => {
  test("a contraction", () =>
    check(
      "input a: f32[i:I, k:K]\ninput b: f32[k:K, j:J]\nc[i:I, j:J] = add(k:K) a[i, k] * b[k, j]\nresult c = c",
      { a: [3, 4], b: [4, 2] },
      ["a", "b"],
    ));
  test("a diagonal", () => check("input a: f32[i:4, k:4]\nc[i:4] = exp(a[i, i])\nresult c = c", { a: [4, 4] }, ["a"]));
  test("a convolution with stride and padding", () =>
    check(
      "input x: f32[c:2, i:9]\ninput w: f32[o:3, c:2, r:3]\ny[o:3, i:5] = add(c:2, r:3) (x[c, i * 2 + r - 1] ?? 0.0) * w[o, c, r]\nresult y = y",
      { x: [2, 9], w: [3, 2, 3] },
      ["x", "w"],
    ));
  test("maximum of rows", () =>
    check("input x: f32[n:3, k:5]\nm[n:3] = max(k:5) x[n, k]\nresult m = m", { x: [3, 5] }, ["x"]));
  test("products", () =>
    check("input x: f32[n:2, k:3, l:2]\nm[n:2] = mul(k:3, l:2) x[n, k, l]\nresult m = m", { x: [2, 3, 2] }, ["x"]));
  test("softmax", () =>
    check(
      "input x: f32[n:2, k:5]\nm[n:2] = max(k:5) x[n, k]\np[n:2, k:5] = exp(x[n, k] - m[n])\nz[n:2] = add(k:5) p[n, k]\ny[n:2, k:5] = p[n, k] / z[n]\nresult y = y",
      { x: [2, 5] },
      ["x"],
    ));
  test("cumulative sums and products", () => {
    check("input x: f32[n:2, i:5]\nc[n:2, i:5] = scan add along i x[n, i] * x[n, i]\nresult c = c", { x: [2, 5] }, [
      "x",
    ]);
    check("input x: f32[n:2, i:5]\nc[n:2, i:5] = scan mul along i x[n, i]\nresult c = c", { x: [2, 5] }, ["x"]);
  });
  test("scatters", () => {
    check(
      "input x: f32[i:6]\ninput t: f32[r:4]\nu[r:4] = scatter add(i:6) at [i % 3] x[i] into t\nresult u = u",
      { x: [6], t: [4] },
      ["x", "t"],
    );
    check("input x: f32[i:6]\nu[r:4] = scatter set(i:6) at [i % 3] exp(x[i]) initial 7.0\nresult u = u", { x: [6] }, [
      "x",
    ]);
    check(
      "input x: f32[i:6]\ninput t: f32[r:4]\nu[r:4] = scatter max(i:6) at [i % 3] x[i] into t\nresult u = u",
      { x: [6], t: [4] },
      ["x", "t"],
    );
  });
  test("reshape, reversal, concatenation", () =>
    check(
      "input x: f32[i:2, j:3]\nr[k:6] = x[k div 3, k % 3] * 2.0\nf[k:8] = k < 6 ? (r[5 - k] ?? 0.0) : 1.0\ny[k:8] = f[k] * f[k]\nresult y = y",
      { x: [2, 3] },
      ["x"],
    ));
  test("elementwise functions", () => {
    for (const f of [
      "exp",
      "tanh",
      "erf",
      "sin",
      "atan",
      "sinh",
      "asinh",
      "expm1",
      "rsqrt(2.0 +",
      "log1p",
      "sqrt(2.0 +",
      "pow(2.0,",
    ])
      check(`input x: f32[i:4]\ny[i:4] = ${f.includes("(") ? `${f} x[i])` : `${f}(x[i])`}\nresult y = y`, { x: [4] }, [
        "x",
      ]);
  });
});

test("no NaN leaks through a branch that is not taken", () => {
  const p = parseProgram("input x: f32[i:3]\ns[i:3] = sqrt(x[i])\ny[i:3] = x[i] > 0.0 ? s[i] : 0.0\nresult y = y");
  const inputs = new Map([["x", { shape: [3], data: Float64Array.of(-1, 0.25, 4) }]]);
  expect(gradientProblems(p, inputs, ["x"])).toEqual([]);
});

test("the gradient of a contraction is contractions: nothing is larger than operands and results", () => {
  const p = parseProgram(
    "input a: f32[i:I, k:K]\ninput b: f32[k:K, j:J]\nc[i:I, j:J] = add(k:K) a[i, k] * b[k, j]\nresult c = c",
  );
  const text = printProgram(normalise(reverse(p, { wrt: ["a", "b"], seed: () => "input" })));
  expect(text).not.toContain("scatter");
  expect(text).not.toContain("select");
  expect(text.match(/add\(/g)?.length).toBe(3);
});

test("the gradient of a convolution reads no scatter", () => {
  const p = parseProgram(
    "input x: f32[c:2, i:9]\ninput w: f32[o:3, c:2, r:3]\ny[o:3, i:7] = add(c:2, r:3) x[c, i + r] * w[o, c, r]\nresult y = y",
  );
  expect(printProgram(normalise(reverse(p, { wrt: ["x", "w"], seed: () => "input" })))).not.toContain("scatter");
});

describe("a cotangent that others are sums of is computed once", () => {
  const of = (text: string, wrt: readonly string[]): string =>
    printProgram(normalise(reverse(parseProgram(text), { wrt, seed: () => "one" })));
  test("a bias within a product", () => {
    const text =
      "input x: f32[i:4, k:3]\ninput c: f32[k:3]\ninput w: f32[k:3, j:5]\nz[i:4, j:5] = add(k:3) (x[i, k] - c[k]) * w[k, j]\nv[] = add(i:4, j:5) exp(z[i, j])\nresult v = v";
    expect(of(text, ["x", "c"])).toMatch(/c_ct\[\S+\] = add\(i:4\) x_ct\[i, \S+\]\nc_ct_1\[\S+\] = -c_ct/);
    check(text, { x: [4, 3], c: [3], w: [3, 5] }, ["x", "c", "w"]);
  });
  test("a bias under a function", () => {
    const text =
      "input x: f32[i:4, k:3]\ninput c: f32[k:3]\ny[i:4, k:3] = erf(x[i, k] + c[k])\nv[] = add(i:4, k:3) y[i, k]\nresult v = v";
    expect(of(text, ["x", "c"])).toMatch(/c_ct\[\S+\] = add\(i:4\) x_ct\[i, \S+\]\n/);
    check(text, { x: [4, 3], c: [3] }, ["x", "c"]);
  });
  test("a bias before a mean is taken off: part by part, the mean's by its count", () => {
    const text =
      "input x: f32[i:4, k:3]\ninput c: f32[]\ninput w: f32[i:4, k:3]\ny[i:4, k:3] = x[i, k] + c[]\nm[i:4] = add(k:3) y[i, k]\n" +
      "z[i:4, k:3] = (y[i, k] - m[i] / 3.0) * w[i, k]\nv[] = add(i:4, k:3) exp(z[i, k])\nresult v = v";
    expect(of(text, ["c"])).toMatch(/ \* 3\.0\n/);
    check(text, { x: [4, 3], c: [], w: [4, 3] }, ["c", "x", "w"]);
  });
  test("axes of one position", () => {
    const text =
      "input x: f32[u:1, i:4, k:3]\ninput c: f32[k:3]\ninput w: f32[k:3, j:5]\nz[i:4, j:5] = add(k:3) (x[0, i, k] + c[k]) * w[k, j]\nv[] = add(i:4, j:5) exp(z[i, j])\nresult v = v";
    expect(of(text, ["x", "c"])).toMatch(/c_ct\[\S+\] = add\(i:4\) x_ct\[i, \S+\]\n/);
    check(text, { x: [1, 4, 3], c: [3], w: [3, 5] }, ["x", "c", "w"]);
  });
  test("positions that the other does not have", () =>
    check(
      "input x: f32[i:4]\ninput c: f32[k:3]\ny[i:4, k:3] = exp(x[i] - c[k]) + x[3 - i]\nresult y = y",
      { x: [4], c: [3] },
      ["x", "c"],
    ));
});

test("an axis of one position is read through", () => {
  const text = "input x: f32[u:1, k:3]\ny[k:3] = x[0, k] * 2.0\nv[] = add(k:3) y[k]\nresult v = v";
  const printed = printProgram(normalise(reverse(parseProgram(text), { wrt: ["x"], seed: () => "one" })));
  expect(printed).not.toContain("0.0 +");
  check(text, { x: [1, 3] }, ["x"]);
});
