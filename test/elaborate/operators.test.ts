import { describe, expect, it } from "vitest";
import { expectError, printed, run, signatureOf } from "./helper.ts";

const expr = (e: string, params = "") => run(`export fn f(${params}) { ${e} }`);

describe("constants", () => {
  it("are computed while compiling", () => {
    expect(expr("7 div 2 * 10 + -7 % 3")).toBe(32);
    expect(expr("2 ** 10 - 1")).toBe(1023);
    expect(expr("1.5 * 2")).toBe(3);
    expect(expr("(1 << 4 | 3) ^ 1")).toBe(18);
    expect(expr("3 < 4 && !(2 == 2.5) ? 1 : nonsense")).toBe(1);
    expect(expr('"a" != "b" ? 1 : 0')).toBe(1);
  });
  it("refuse what has no value", () => {
    expectError("export fn f() { 1 div 0 }", "EIN1503", ["0"]);
    expectError("export fn f() { 2 ** 60 }", "EIN1206", ["2 ** 60"]);
    expectError("export fn f(x: f32[99999999999]) { x }", "EIN1206", ["x: f32[99999999999]"]);
    expectError("export fn f(x: f32[65536, 65536]) { x }", "EIN1206", ["x: f32[65536, 65536]"]);
    expectError("export fn f(x: f32[3], k: const int = 5) { for[i in 0..3 - k] x[0] }", "EIN1205", ["i in 0..3 - k"]);
  });
});

describe("tensors", () => {
  it("broadcast like NumPy", () => {
    const source = "export fn f(a: f32[N, 1], b: f32[M]) { a * b + 1 }";
    expect(run(source, { a: [[1], [2]], b: [1, 10] })).toEqual([
      [2, 11],
      [3, 21],
    ]);
    expectError("export fn f(a: f32[2], b: f32[3]) { a + b }", "EIN1203", ["a: f32[2]", "b: f32[3]"]);
  });
  it("convert nothing silently", () => {
    const e = expectError("export fn f(a: f32[N], b: i32[N]) { a + b }", "EIN1201", ["a", "b"]);
    expect(e.fixed).toContain("a + (b) as f32");
    const e2 = expectError("export fn f(b: i32[N]) { b * 0.5 }", "EIN1201", ["0.5", "b"]);
    expect(e2.fixed).toContain("(b) as f32 * 0.5");
    expectError("export fn f(a: bool[N]) { a + 1 }", "EIN1201", ["1", "a"]);
  });
  it("let extents take the type of their context", () => {
    expect(run("export fn f(x: f32[N]) { sum(x) / N }", { x: [1, 3] })).toBe(2);
    expect(run("export fn f(x: i32[N]) { x + N }", { x: [1, 3] })).toEqual([3, 5]);
  });
  it("let what is chosen between literals take the type of its context", () => {
    const x = { x: [2, -3] };
    expect(run("export fn f(x: f32[N]) { (x > 0 ? 1 : -1) * x }", x)).toEqual([2, 3]);
    expect(run("export fn f(x: f32[N]) { let s = x > 0 ? 1 : -1\n s * x }", x)).toEqual([2, 3]);
    expect(run("export fn f(x: f32[N]) { x * where(x > 0, 1, -1) }", x)).toEqual([2, 3]);
    expect(run("export fn f(x: f32[N]) { -(x > 0 ? 1 : (x < -5 ? 2 : 3)) * 0.5 + x }", x)).toEqual([1.5, -4.5]);
    expect(run("export fn f(x: f32[N]) { maximum(x > 0 ? 1 : -1, x) }", x)).toEqual([2, -1]);
    expect(run("export fn f(x: f32[N]) { x + (x > 0 ? N : 1) }", x)).toEqual([4, -2]);
    expect(run("export fn f(x: f32[N]) -> f32[N] { where(x > 0, 1, 0) }", x)).toEqual([1, 0]);
    expect(printed("export fn f(x: f16[N]) { x * (x > 0 ? 1.5 : 2) }")).not.toContain("f32");
    expect(signatureOf("export fn f(x: f32[N]) { x > 0 ? 1 : -1 }").results[0]?.dtype).toBe("i32");
    expect(signatureOf("export fn f(x: f32[N]) { x > 0 ? 1.5 : -1 }").results[0]?.dtype).toBe("f32");
    expectError("export fn f(x: i32[N]) { x * (x > 0 ? 1.5 : 2) }", "EIN1201", ["x", "(x > 0 ? 1.5 : 2)"]);
  });
  it("let it through powers, quotients, arrays of index notation and reads of them", () => {
    const x = { x: [2, -3] };
    expect(run("export fn f(x: f32[N]) { x * (x > 0 ? 1 : 3) ** 2 }", x)).toEqual([2, -27]);
    expect(run("export fn f(x: f32[N]) { x + (x > 0 ? 1 : 2) / 2 }", x)).toEqual([2.5, -2]);
    expect(run("export fn f(x: f32[N]) { x * ((x > 0 ? 7 : 5) div 2) % 3 }", x)).toEqual([0, 0]);
    expect(run("export fn f(x: f32[N]) { let s = for[i] (x[i] > 0 ? 1 : -1)\n s * x }", x)).toEqual([2, 3]);
    expect(run("export fn f(x: f32[N]) { s[i] = x[i] > 0 ? 1 : -1\n sum[i] s[i] * x[i] }", x)).toBe(5);
    expect(run("fn g(x: f32[N]) { for[i] (x[i] > 0 ? 1 : -1) }\nexport fn f(x: f32[N]) { g(x) * x }", x)).toEqual([
      2, 3,
    ]);
    const shifted = "s[i] = x[i] > 0 ? 1 : -1\n for[i] (s[i - 1] ?? 0.5) * x[i] + s[i]";
    expect(run(`export fn f(x: f32[N]) { ${shifted} }`, x)).toEqual([2, -4]);
    expect(signatureOf("export fn f(x: f32[N]) { for[i] (x[i] > 0 ? 1 : -1) }").results[0]?.dtype).toBe("i32");
    expectError("export fn f(x: i32[N]) { s[i] = x[i] > 0 ? 1.5 : -1\n s * x }", "EIN1201", ["s", "x"]);
  });
  it("divide literals and extents as floats", () => {
    const x = { x: [2, -3] };
    expect(run("export fn f(x: f32[N]) { x * (1 / 2) + 3 / 2 }", x)).toEqual([2.5, 0]);
    expect(run("export fn f(x: f32[N]) { for[i in 0..N] i as f32 - N / 4 }", x)).toEqual([-0.5, 0.5]);
    expect(run("export fn f(x: f32[N]) -> f32 { 1 / N }", x)).toBe(0.5);
    expect(printed("export fn f(x: f16[N]) { x * (1 / N) }")).not.toContain("f32");
    expectError("export fn f(x: i32[N]) { x * (4 / 2) }", "EIN1201", ["(4 / 2)", "x"]);
    const e = expectError("export fn f(x: f32[N]) { x[4/2] }", "EIN1201", ["4/2"]);
    expect(e.fixed).toContain("x[4 div 2]");
    expect(expectError("export fn f(x: f32[N]) { x[:N / 2] }", "EIN1502", ["N / 2"]).fixed).toContain("x[:N div 2]");
    expect(expectError("export fn f(x: f32[N]) -> f32[N / 2] { x }", "EIN1502", ["N / 2"]).fixed).toContain("N div 2");
    const named = "export fn f(x: f32[N]) {\n let h = N / 2\n for[i in 0..h] x[i] }";
    expect(expectError(named, "EIN1502", ["h"]).fixed).toContain("N div 2");
  });
  it("divide integers only with div", () => {
    const e = expectError("export fn f(x: i32[N]) { x / 2 }", "EIN1201", ["/"]);
    expect(e.fixed).toContain("x div 2");
    expect(run("export fn f(x: i32[N]) { x div 2 }", { x: [-3, 3] })).toEqual([-2, 1]);
    expect(run("export fn f(x: i32[N]) { x % 2 }", { x: [-3, 3] })).toEqual([1, 1]);
    expectError("export fn f(x: i32[N]) { sum(x) / N }", "EIN1201", ["/"]);
  });
  it("know what other languages call a power and an axis", () => {
    expect(expectError("export fn f(x: f32[N]) { x ^ 2 }", "EIN1201", ["x ^ 2"]).notes[0]).toContain("x ** y");
    expect(expectError("export fn f(x: f32[N]) { sum(x, dim: 0) }", "EIN1501", ["dim"]).fixed).toContain("axis: 0");
    expect(expectError("export fn f(x: f32[N]) { sum(x, keepdim: true) }", "EIN1501", ["keepdim"]).fixed).toContain(
      "keepdims: true",
    );
  });
  it("expand small powers", () => {
    expect(printed("export fn f(x: f32[N]) { x ** 2 }")).toContain("* ");
    expect(printed("export fn f(x: f32[N]) { x ** 2 }")).not.toContain("pow");
    expect(run("export fn f(x: f32[N]) { x ** 3 + x ** -1 + x ** 0 }", { x: [2, -2] })).toEqual([9.5, -7.5]);
    expect(printed("export fn f(x: f32[N]) { x ** 2.5 }")).toContain("pow");
  });
  it("compare, combine, select", () => {
    expect(run("export fn f(x: f32[N]) { x > 1 && x < 3 || x == 5 }", { x: [1, 2, 3, 5] })).toEqual([0, 1, 0, 1]);
    expect(run("export fn f(x: f32[N]) { x > 0 ? x : 0 }", { x: [-1, 2] })).toEqual([0, 2]);
    expect(run("export fn f(x: f32[N]) { !(x > 0) ? -inf : x }", { x: [-1, 2] })).toEqual([-Infinity, 2]);
    expect(run("export fn f(x: i32[N]) { ~x & 7 | 8 << 1 }", { x: [1, 2] })).toEqual([22, 21]);
    expectError("export fn f(x: f32[N]) { x && x }", "EIN1201", ["x"]);
    expectError("export fn f(x: f32[N]) { x & 1.0 }", "EIN1201", ["x & 1.0"]);
    expectError("export fn f(x: f32[N]) { x ? 1 : 0 }", "EIN1201", ["x"]);
  });
  it("take branches by constants alone", () => {
    expect(run("export fn f(x: f32[N], k: const int = 1) { k == 1 ? x : x[0, 0] }", { x: [4] })).toEqual([4]);
  });
  it("are cast", () => {
    expect(run("export fn f(x: f32[N]) { x as i32 }", { x: [1.7, -1.7] })).toEqual([1, -1]);
    expect(run("export fn f(x: i32[N]) { (x as f32) / 2 }", { x: [1] })).toEqual([0.5]);
    expectError("export fn f(x: f32[N]) { x as f64 }", "EIN1101", ["f64"]);
  });
  it("survive long chains", () => {
    const terms = Array.from({ length: 1900 }, () => "x").join(" + ");
    expect(run(`export fn f(x: f32[N]) { ${terms} }`, { x: [1] })).toEqual([1900]);
    expect(run(`export fn f(x: f32) { ${terms} }`, { x: 1 })).toBe(1900);
  });
});

describe("fields", () => {
  it("of tensors", () => {
    const source = "export fn f(x: f32[N, M]) { x.T * (x.shape[1] * 100 + x.ndim * 10 + x.size) }";
    expect(run(source, { x: [[1, 2, 3]] })).toEqual([[323], [646], [969]]);
    expect(run('export fn f(x: f32[N]) { x.dtype == "f32" ? 1 : 0 }', { x: [1] })).toBe(1);
    expectError("export fn f(x: f32[N]) { x.sum() }", "EIN1501", ["sum"]);
    const e = expectError("export fn f(x: f32[N]) { x.shap }", "EIN1101", ["shap"]);
    expect(e.fixed).toContain("x.shape");
  });
});

describe("@", () => {
  const m = (x: unknown, y: unknown, types: string) =>
    run(`export fn f(${types}) { x @ y }`, { x: x as number[], y: y as number[] });
  it("multiplies in every rank", () => {
    expect(m([1, 2], [3, 4], "x: f32[K], y: f32[K]")).toBe(11);
    expect(m([[1, 2]], [3, 4], "x: f32[N, K], y: f32[K]")).toEqual([11]);
    expect(m([1, 2], [[3], [4]], "x: f32[K], y: f32[K, M]")).toEqual([11]);
    expect(m([[1, 2]], [[3], [4]], "x: f32[N, K], y: f32[K, M]")).toEqual([[11]]);
    expect(m([[[1, 2]], [[3, 4]]], [[1], [1]], "x: f32[B, N, K], y: f32[K, M]")).toEqual([[[3]], [[7]]]);
    expect(
      m(
        [[[1, 2]]],
        [
          [[1], [1]],
          [[2], [2]],
        ],
        "x: f32[1, N, K], y: f32[B, K, M]",
      ),
    ).toEqual([[[3]], [[6]]]);
    expect(
      m(
        [1, 2],
        [
          [[1], [1]],
          [[2], [2]],
        ],
        "x: f32[K], y: f32[B, K, M]",
      ),
    ).toEqual([[3], [6]]);
  });
  it("is one sum of products", () => {
    expect(printed("export fn f(x: f32[N, K], y: f32[K, M]) { x @ y }")).toContain("add(k:K) x[i, k] * y[k, j]");
  });
  it("accumulates f16 in f32", () => {
    expect(printed("export fn f(x: f16[N, K], y: f16[K, M]) { x @ y }")).toContain(
      "add(k:K) f32(x[i, k]) * f32(y[k, j])",
    );
  });
  it("refuses what does not fit", () => {
    expectError("export fn f(x: f32[2, 3], y: f32[2, 3]) { x @ y }", "EIN1203", ["x", "y"]);
    expectError("export fn f(x: f32[2, 3], y: f32) { x @ y }", "EIN1202", ["y"]);
    expect(signatureOf("export fn f(x: f32[N, K], y: f32[L, M]) { x @ y }").where).toEqual(["K == L"]);
  });
});
