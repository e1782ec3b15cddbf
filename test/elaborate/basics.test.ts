import { describe, expect, it } from "vitest";
import { elaborationError, errorsOf, expectError, printed, run, runAll, signatureOf } from "./helper.ts";

describe("parameters and extents", () => {
  it("binds extents from arguments and states the result", () => {
    const s = signatureOf(
      "/// Doubles.\nexport fn f(x: f32[B, D], k: const int = 2, eps: f32 = 1e-5) -> f32[B, D] { x * k + eps }",
    );
    expect(s.extents).toEqual(["B", "D"]);
    expect(s.doc).toContain("Doubles");
    expect(s.results).toEqual([{ name: "result", dtype: "f32", shape: ["B", "D"] }]);
    expect(s.parameters).toEqual([
      { name: "x", dtype: "f32", shape: ["B", "D"], isConst: false, constType: undefined, default: undefined },
      { name: "k", dtype: undefined, shape: [], isConst: true, constType: "int", default: "2" },
      { name: "eps", dtype: "f32", shape: [], isConst: false, constType: undefined, default: "1e-5" },
    ]);
  });
  it("makes a default a constant unless the argument is provided", () => {
    const source = "export fn f(x: f32[N], eps: f32 = 0.5) { x + eps }";
    expect(run(source, { x: [1, 2] })).toEqual([1.5, 2.5]);
    expect(run(source, { x: [1, 2], eps: 3 })).toEqual([4, 5]);
    expect(printed(source)).not.toContain("input eps");
    expect(printed(source, { provided: ["eps"] })).toContain("input eps");
  });
  it("checks extents that are not plain names once the names are bound", () => {
    expect(
      run("export fn f(x: f32[2 * D, D + 1], y: f32[D]) { x[:, 0] + y[0] }", {
        x: [
          [1, 0],
          [2, 0],
        ],
        y: [5],
      }),
    ).toEqual([6, 7]);
    expect(
      elaborationError("export fn f(x: f32[2 * D], y: f32[D]) { x[0] + y[0] }", { shapes: { x: [5], y: [2] } }),
    ).toMatchObject({
      code: "EIN1203",
      message: expect.stringContaining("5 is not 4"),
      at: ["x: f32[2 * D]", "2 * D"],
    });
  });
  it("shows both arguments where they disagree", () => {
    expectError("fn g(a: f32[N], b: f32[N]) { a + b }\nexport fn f(x: f32[3], y: f32[4]) { g(x, y) }", "EIN1203", [
      "y",
      "x",
    ]);
  });
  it("merges symbols that must agree", () => {
    expect(signatureOf("export fn f(x: f32[B], y: f32[C]) { x + y }").where).toEqual(["B == C"]);
    expect(signatureOf("export fn f(x: f32[B], y: f32[3]) { x + y }").where).toEqual(["B == 3"]);
    expect(signatureOf("export fn f(x: f32[B], y: f32[2 * C], z: f32[C]) { x + y }").where).toEqual(["B == 2 * C"]);
  });
  it("broadcasts only a literal 1", () => {
    const source = "export fn f(x: f32[B], y: f32[C]) { x + y }";
    expect(elaborationError(source, { shapes: { x: [1], y: [3] } }).code).toBe("EIN1203");
    expect(run("export fn f(x: f32[A, 1], y: f32[C]) { x + y }", { x: [[1], [2]], y: [10, 20] })).toEqual([
      [11, 21],
      [12, 22],
    ]);
  });
  it("needs a plain axis for every name", () => {
    expectError("export fn f(x: f32[2 * D]) { x }", "EIN1205", ["D"]);
  });
  it("folds `...` of an exported function into one axis", () => {
    const source = "export fn f(x: f32[..., D], g: f32[D]) -> f32[..., D] { x * g }";
    expect(signatureOf(source)).toMatchObject({ folded: true, results: [{ shape: ["...", "D"] }] });
    expect(printed(source)).toContain("_lead");
    expect(run(source, { x: [[[1, 2]], [[3, 4]]], g: [2, 3] })).toEqual([[[2, 6]], [[6, 12]]]);
    expect(run(source, { x: [1, 2], g: [2, 3] })).toEqual([2, 6]);
  });
  it("asks for shapes where the leading axes are not one", () => {
    const needs = (source: string) =>
      expect(elaborationError(source, {})).toMatchObject({ code: "EIN1502", at: ["f"] });
    needs("export fn f(x: f32[..., D]) { sum(x, axis: 0) }");
    needs("export fn f(x: f32[..., D]) { x.T }");
    needs("export fn f(x: f32[N, ...]) { x * 2 }");
    needs("export fn f(x: f32[..., D]) { x[0] }");
    expect(run("export fn f(x: f32[..., D]) { sum(x, axis: 0) }", { x: [[[1, 2]], [[3, 4]]] })).toEqual([[4, 6]]);
    expect(run("export fn f(x: f32[..., D]) { mean(x) }", { x: [[[1, 2]], [[3, 4]]] })).toBe(2.5);
    expect(printed("export fn f(x: f32[..., D]) { mean(x) }")).toContain("_lead");
  });
  it("gives inlined calls their own ranks", () => {
    const source = "fn g(x: f32[..., D]) { sum(x, axis: -1) }\nexport fn f(x: f32[A, B, C]) { g(x) + g(x[0]) }";
    expect(
      run(source, {
        x: [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      }),
    ).toEqual([[6, 14]]);
  });
  it("checks the declared result", () => {
    expectError("export fn f(x: f32[N]) -> i32[N] { x }", "EIN1201", ["x", "i32[N]"]);
    expectError("export fn f(x: f32[N]) -> f32[N, N] { x }", "EIN1202", ["x", "f32[N, N]"]);
    expectError("export fn f(x: f32[N]) -> f32[N + 1] { x }", "EIN1203", ["x", "N + 1"]);
  });
  it("says what an extent of the result alone turns out to be", () => {
    expect(signatureOf("export fn f(x: f32[N]) -> f32[M] { x[1:] }").results).toEqual([
      { name: "result", dtype: "f32", shape: ["max(0, N - 1)"] },
    ]);
  });
  it("names the element type that was meant", () => {
    const e = expectError("export fn f(x: float32[N]) { x }", "EIN1101", ["float32"]);
    expect(e.fixed).toContain("x: f32[N]");
  });
});

describe("constants", () => {
  it("take their default or a given value", () => {
    const source = "export fn f(x: f32[N], k: const int = 2) -> f32[N * k] { y[i] = x[i div k] }";
    expect(run(source, { x: [1, 2] })).toEqual([1, 1, 2, 2]);
    expect(run(source, { x: [1, 2] }, { consts: { k: 3 } })).toEqual([1, 1, 1, 2, 2, 2]);
  });
  it("steer branches that are not elaborated", () => {
    const source = 'export fn f(x: f32[N], mode: const string = "a") { mode == "a" ? x + 1 : x @ mode }';
    expect(run(source, { x: [1] })).toEqual([2]);
    expect(elaborationError(source, { consts: { mode: "b" } }).code).toBe("EIN1204");
  });
  it("are needed if they have no default", () => {
    expect(elaborationError("export fn f(x: f32[N], k: const int) { x + k }", {})).toMatchObject({
      code: "EIN1502",
      at: ["k: const int"],
    });
    expect(signatureOf("export fn f(x: f32[N], k: const int) { x[k] }").where).toEqual(["N >= k + 1"]);
  });
  it("must have their type", () => {
    expect(
      elaborationError("export fn f(x: f32[N], k: const int = 1) { x + k }", { consts: { k: "a" } }),
    ).toMatchObject({ code: "EIN1502", at: ["k: const int = 1", "int"] });
    expect(elaborationError("export fn f(x: f32[N], k: const int = 1) { x + k }", { consts: { kk: 1 } })).toMatchObject(
      { code: "EIN1501", message: expect.stringContaining("did you mean `k`") },
    );
  });
  it("may be module constants in shapes", () => {
    expect(run("const N = 2 * 3\nexport fn f(x: f32[N]) { x[N - 1] }", { x: [0, 1, 2, 3, 4, 5] })).toBe(5);
  });
});

describe("calls", () => {
  it("bind by position and name", () => {
    const g = "fn g(a: f32, b: f32, c: f32 = 100) { a - b + c }\n";
    expect(run(`${g}export fn f() { g(1, b: 2) }`)).toBe(99);
    expect(run(`${g}export fn f() { g(b: 1, a: 2, c: 0) }`)).toBe(1);
    expectError(`${g}export fn f() { g(1) }`, "EIN1501", ["g(1)", "g"]);
    expectError(`${g}export fn f() { g(1, 2, 3, 4) }`, "EIN1501", ["4", "g"]);
    expectError(`${g}export fn f() { g(1, 2, a: 3) }`, "EIN1501", ["3"]);
    const e = expectError(`${g}export fn f() { g(1, 2, cc: 3) }`, "EIN1501", ["cc"]);
    expect(e.fixed).toContain("g(1, 2, c: 3)");
  });
  it("refuse unknown parameters of builtins with a suggestion", () => {
    const e = expectError("export fn f(x: f32[N]) { sum(x, axes: 0) }", "EIN1501", ["axes"]);
    expect(e.fixed).toContain("axis: 0");
  });
  it("match element types exactly, literals apart", () => {
    const g = "fn g(x: f32[N]) { x }\n";
    const e = expectError(`${g}export fn f(t: i32[N]) { g(t) }`, "EIN1201", ["t", "f32[N]"]);
    expect(e.fixed).toContain("g((t) as f32)");
  });
  it("refuse recursion and show the cycle", () => {
    const errors = errorsOf("fn a(x: f32) { b(x) }\nfn b(x: f32) { a(x) }");
    expect(errors.every((e) => e.code === "EIN1105")).toBe(true);
    expect(errors[0]?.notes[0]).toMatch(/a → b → a|b → a → b/);
  });
  it("show the call in errors of inlined functions", () => {
    const errors = errorsOf("fn g(x: f32[..., D]) { x[1, 1, 1] }\nexport fn f(x: f32[2]) { g(x) }");
    expect(errors.some((e) => e.code === "EIN1202" && e.at.includes("g(x)"))).toBe(true);
  });
  it("take functions and lambdas", () => {
    expect(
      run("fn twice(g: const fn, x: f32[N]) { g(g(x)) }\nexport fn f(x: f32[N]) { twice(|v| v * 3, x) }", {
        x: [1, 2],
      }),
    ).toEqual([9, 18]);
    expect(
      run("fn twice(g: const fn, x: f32[N]) { g(g(x)) }\nexport fn f(x: f32[N]) { twice(relu, x) }", { x: [-1, 2] }),
    ).toEqual([0, 2]);
  });
  it("say where a function stands that is no tensor", () => {
    expectError("export fn f(x: f32[N]) { x + relu }", "EIN1204", ["relu"]);
  });
  it("return records", () => {
    const source = "export fn f(x: f32[N]) -> (value: f32, twice: f32[N]) { { value: sum(x), twice: x * 2 } }";
    expect(runAll(source, { x: [1, 2] })).toEqual({ value: 3, twice: [2, 4] });
    const use = "fn g(x: f32[N]) { { a: x, b: x + 1 } }\nexport fn f(x: f32[N]) { let { a, b: c } = g(x); a * c }";
    expect(run(use, { x: [1, 2] })).toEqual([2, 6]);
    expectError("fn g(x: f32[N]) { { a: x } }\nexport fn f(x: f32[N]) { g(x).aa }", "EIN1101", ["aa"]);
    expectError("export fn f(x: f32[N]) -> (a: f32[N], b: f32[N]) { { a: x } }", "EIN1204", ["{ a: x }", "b"]);
  });
  it("make functions of functions, also as module values", () => {
    const source = "fn g(w: f32[N], x: f32[N]) { sum(w * x) }\nexport let f = grad(g, wrt: [x])";
    expect(run(source, { w: [3, 4], x: [1, 2] })).toEqual([3, 4]);
    expect(signatureOf(source)).toMatchObject({
      parameters: [{ name: "w" }, { name: "x" }],
      extents: ["N"],
      results: [{ shape: ["N"] }],
    });
  });
  it("refuse attributes that are not known", () => {
    expectError("@vpj(r)\nfn f(x: f32[N]) { x }", "EIN1101", ["vpj"]);
  });
});

describe("names", () => {
  it("suggest what was meant", () => {
    const e = expectError("export fn f(x: f32[N]) { let width = x + 1; widht * 2 }", "EIN1101", ["widht"]);
    expect(e.fixed).toContain("width * 2");
  });
  it("say which library module exports them", () => {
    const e = expectError("export fn f(x: f32[N]) { softmax(x) }", "EIN1101", ["softmax"], {
      "std/nn": "export fn softmax(x: f32[..., D]) { x }",
    });
    expect(e.fixed).toMatch(/^import \{ softmax \} from "std\/nn"\n/);
  });
  it("stay silent about what depends on a failed definition", () => {
    const errors = errorsOf("export fn f(x: f32[N]) { let a = nope; let b = a + 1; let c = nada; b + c }");
    expect(errors.map((e) => e.at[0])).toEqual(["nope", "nada"]);
  });
  it("refuse to be declared twice", () => {
    expectError("export fn f(x: f32[N]) { let a = x; let a = x; a }", "EIN1102", ["a", "a"]);
    expectError("export fn f(x: f32[N], x: f32[N]) { x }", "EIN1102", ["x: f32[N]", "x: f32[N]"]);
  });
  it("may be any word", () => {
    expect(
      run(
        "export fn constructor(__proto__: f32[toString]) { let hasOwnProperty = __proto__ * 2; hasOwnProperty }",
        JSON.parse('{"__proto__":[1]}'),
        {},
        "constructor",
      ),
    ).toEqual([2]);
  });
});
