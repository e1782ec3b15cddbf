import { describe, expect, it } from "vitest";
import { expectError, printed, run } from "./helper.ts";

describe("iterate", () => {
  it("counts its rounds", () => {
    expect(run("export fn f(x: f32[N]) { iterate 5 from x as v { v * 2 } }", { x: [1, 2] })).toEqual([32, 64]);
    expect(run("export fn f(x: f32[N]) { iterate N from x as v { v + 1 } }", { x: [1, 2, 3] })).toEqual([4, 5, 6]);
    expect(run("export fn f(x: f32[N]) { iterate 0 from x as v { v + 1 } }", { x: [1, 2] })).toEqual([1, 2]);
  });
  it("takes the number of rounds from a constant", () => {
    const source = "export fn f(x: f32[N], rounds: const int = 3) { iterate rounds from x as v { v * 3 } }";
    expect(run(source, { x: [1] })).toEqual([27]);
  });
  it("reads its index within the rounds without a fill", () => {
    const source = "export fn f(x: f32[T]) { iterate t in 0..T from 0.0 as s { s * 10 + x[t] } }";
    expect(run(source, { x: [1, 2, 3] })).toEqual(123);
    expectError("export fn f(x: f32[T]) { iterate t in 0..T from 0.0 as s { s + x[t + 1] } }", "EIN1301", ["t + 1"]);
  });
  it("looks at the condition after each round, on its values", () => {
    const source = "export fn f(x: f32) { iterate until v > 100 from x as v { v * 2 } max 50 }";
    expect(run(source, { x: 3 })).toEqual(192);
    // One round is made however the condition stands before.
    expect(run(source, { x: 200 })).toEqual(400);
    const bound = "export fn f(x: f32) { iterate until v > 100 from x as v { v * 2 } max 2 }";
    expect(run(bound, { x: 3 })).toEqual(12);
    const both = "export fn f(x: f32) { iterate n in 0..4 until n == 1 from x as v { v * 2 } max 3 }";
    expect(run(both, { x: 3 })).toEqual(12);
  });
  it("stops position by position inside index notation", () => {
    const source = "export fn f(x: f32[N]) { for[i] iterate until v > 100 from x[i] as v { v * 2 } max 50 }";
    expect(run(source, { x: [3, 60, 99] })).toEqual([192, 120, 198]);
  });
  it("gives a literal the type of what the body makes of it", () => {
    expect(run("export fn f(x: f32) { iterate 2 from 1 as v { v * x } }", { x: 3 })).toEqual(9);
    const source = "export fn f(x: f32) { let r = iterate 3 from 0 as a, 1 as b { { a: a + b, b: b * x } }\n r.a }";
    expect(run(source, { x: 2 })).toEqual(7);
  });
  it("exchanges carries at once", () => {
    const source =
      "export fn f(x: f32, y: f32) { let r = iterate 3 from x as a, y as b { { a: b, b: a } }\n r.a * 10 + r.b }";
    expect(run(source, { x: 1, y: 2 })).toEqual(21);
  });
  it("takes on axes that only the body depends on", () => {
    const source = "export fn f(x: f32[N]) { for[i] iterate 3 from 1 as v { v * x[i] } }";
    expect(run(source, { x: [1, 2, 3] })).toEqual([1, 8, 27]);
  });
  it("computes what does not change before the loop", () => {
    const text = printed("export fn f(w: f32[N, N], v: f32[N]) { iterate 9 from v as u { (w @ w) @ u } }");
    expect(text.indexOf("w[i, k] * w[k, j]")).toBeGreaterThan(0);
    expect(text.indexOf("w[i, k] * w[k, j]")).toBeLessThan(text.indexOf("loop"));
  });
  it("stands inside itself", () => {
    const source =
      "export fn f(x: f32) { iterate i in 0..3 from x as v { iterate j in 0..2 from v as u { u * 2 + ((i * 2 + j) as f32) } } }";
    let v = 1;
    for (let i = 0; i < 6; i++) v = v * 2 + i;
    expect(run(source, { x: 1 })).toEqual(v);
  });
});

describe("iterate refuses", () => {
  const body = (e: string): string => `export fn f(x: f32[N], n: i32) { ${e} }`;
  it("a loop without a bound", () => {
    expectError(body("iterate until true from x as v { v }"), "EIN1503", ["iterate until true from x as v { v }"]);
  });
  it("a number of rounds that is computed", () => {
    expectError(body("iterate n from x as v { v }"), "EIN1502", ["n"]);
  });
  it("a negative number of rounds", () => {
    expectError(body("iterate -1 from x as v { v }"), "EIN1503", ["-1"]);
  });
  it("carries that change", () => {
    expectError(body("iterate 2 from x as v { v > 0 }"), "EIN1201", ["v > 0", "x"]);
    expectError(body("iterate 2 from x as v { sum(v) }"), "EIN1202", ["sum(v)", "x"]);
    const longer = "export fn f(x: f32[3]) { iterate 2 from x as v { concat([v, v], axis: 0) } }";
    expectError(longer, "EIN1203", ["concat([v, v], axis: 0)", "x"]);
  });
  it("carries that are missing, unknown or given twice", () => {
    expectError(body("iterate 2 from x as v, x as u { { v } }"), "EIN1204", ["{ v }", "u"]);
    expectError(body("iterate 2 from x as v { { v, w: v } }"), "EIN1204", ["{ v, w: v }", "v"]);
    expectError(body("iterate 2 from x as v, x as u { v }"), "EIN1204", ["v"]);
    expectError(body("iterate 2 from x as v, x as v { { v } }"), "EIN1102", ["v", "v"]);
  });
  it("a condition of many values", () => {
    expectError(body("iterate until v > 2 from x as v { v + 1 } max 9"), "EIN1202", ["v > 2"]);
    expectError(body("iterate until sum(v) from x as v { v + 1 } max 9"), "EIN1201", ["sum(v)"]);
  });
});
