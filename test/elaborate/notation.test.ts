import { describe, expect, it } from "vitest";
import { elaborationError, expectError, printed, run, signatureOf } from "./helper.ts";

describe("for", () => {
  it("makes an array of its axes", () => {
    expect(run("export fn f(a: f32[N], b: f32[M]) { for[i, j] a[i] * b[j] }", { a: [1, 2], b: [3, 4] })).toEqual([
      [3, 4],
      [6, 8],
    ]);
  });
  it("takes ranges that are written", () => {
    expect(run("export fn f(N: const int = 4) { for[i in 0..N, j in 1..3] i * 10 + j }")).toEqual([
      [1, 2],
      [11, 12],
      [21, 22],
      [31, 32],
    ]);
  });
  it("takes ranges from the stated result", () => {
    expect(run("export fn f(x: f32[N]) -> f32[N + 2] { y[i] = x[i - 1] ?? 0 }", { x: [1, 2] })).toEqual([0, 1, 2, 0]);
    expect(run("export fn f(x: f32[N]) { let y: f32[N + 2] = for[i] x[i - 1] ?? 0; y }", { x: [1, 2] })).toEqual([
      0, 1, 2, 0,
    ]);
    expect(
      run("export fn f(x: f32[N]) -> (y: f32[N + 1], s: f32) { z[i] = x[i - 1] ?? 0\n { y: z, s: sum(x) } }", {
        x: [1, 2],
      }) ?? 0,
    ).toBe(0);
  });
  it("finds ranges through values that are not names", () => {
    expect(
      run("export fn f(a: f32[N, K], b: f32[K, M]) { for[i] sum[j] (a @ b)[i, j] }", {
        a: [[1, 2]],
        b: [
          [3, 4],
          [5, 6],
        ],
      }),
    ).toEqual([29]);
    expect(
      run("export fn f(x: f32[N, M]) { for[i] { let row = x[i]; sum[j] row[j] } }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([3, 7]);
    expect(run("export fn f(x: f32[N]) { for[i] { let y = x * 2; y[i] } }", { x: [1, 2] })).toEqual([2, 4]);
  });
  it("refuses an index without a range", () => {
    const e = expectError("export fn f(x: f32[N]) { for[i] x[i + 1] ?? 0 }", "EIN1302", ["i", "i"]);
    expect(e.notes.join()).toContain("in 0..N");
  });
  it("refuses plain uses that disagree, and names both", () => {
    expectError("export fn f(x: f32[3], y: f32[4]) { for[i] x[i] + y[i] }", "EIN1203", ["i", "i"]);
    expect(signatureOf("export fn f(x: f32[N], y: f32[M]) { for[i] x[i] + y[i] }").where).toEqual(["N == M"]);
    expectError("export fn f(x: f32[N]) -> f32[N + 1] { y[i] = x[i] }", "EIN1203", ["y[i] = x[i]", "N + 1"]);
  });
  it("does not confuse axes of extent 1 with broadcasting", () => {
    expectError("export fn f(x: f32[3], y: f32[1]) { for[i] x[i] + y[i] }", "EIN1203", ["i", "i"]);
  });
  it("allows a written range that is narrower", () => {
    expect(run("export fn f(x: f32[N]) { for[i in 0..2] x[i] }", { x: [1, 2, 3] })).toEqual([1, 2]);
    expect(signatureOf("export fn f(x: f32[N]) { for[i in 0..2] x[i] }").where).toEqual(["N >= 2"]);
  });
  it("refuses a range that data decides", () => {
    expectError("export fn f(x: f32[N], n: i32) { for[i in 0..n] x[i] ?? 0 }", "EIN1502", ["n"]);
    expectError("export fn f(x: f32[N]) { for[i] x[i] * (sum[j in 0..i] x[j]) }", "EIN1502", ["i"]);
  });
  it("captures outer axes in definitions made inside", () => {
    const source = "export fn f(x: f32[N, M]) { for[i] { let e = exp(x[i]); let s = sum(e); sum(e / s * e) } }";
    expect(
      run(source, {
        x: [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ],
      }),
    ).toEqual([1, 1]);
    expect(printed(source)).toContain("[i:N, ");
  });
  it("makes records of arrays", () => {
    expect(run("export fn f(x: f32[N]) { let r = for[i] { a: x[i], b: x[i] * 2 }; r.a + r.b }", { x: [1, 2] })).toEqual(
      [3, 6],
    );
  });
  it("joins arrays over a written range", () => {
    const source = "export fn f(x: f32[N], y: f32[M]) { for[i in 0..N + M] i < N ? (x[i] ?? 0) : (y[i - N] ?? 0) }";
    expect(run(source, { x: [1, 2], y: [3] })).toEqual([1, 2, 3]);
  });
  it("calls functions of rows", () => {
    expect(
      run("fn g(r: f32[D]) { let s = cumsum(r); s[-1] }\nexport fn f(x: f32[N, M]) { for[i] g(x[i]) }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([3, 7]);
    expect(
      run("fn h(a: f32[D]) { sum(a ** 2) }\nexport fn f(x: f32[N, M]) { for[i] grad(h)(x[i]) }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([
      [2, 4],
      [6, 8],
    ]);
    expect(
      run("export fn f(x: f32[N, M]) { let g = |a| a * 2; for[i, j] g(x[i, j]) + (|b| b + x[i, j])(1) }", {
        x: [[1, 2]],
      }),
    ).toEqual([[4, 7]]);
  });
  it("never takes an unbound index for a new axis", () => {
    const e = expectError("export fn f(x: f32[N], y: f32[M]) { for[row] x[row] * y[roww] }", "EIN1101", ["roww"]);
    expect(e.fixed).toContain("y[row]");
    expect(
      expectError("export fn f(x: f32[N], y: f32[M]) { for[i] x[i] * y[q] }", "EIN1101", ["q"]).notes.join(),
    ).toContain("sum[q]");
  });
  it("leaves rows where indices are missing", () => {
    expect(
      run("export fn f(x: f32[N, M]) { for[i] x[i] * 2 }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([
      [2, 4],
      [6, 8],
    ]);
  });
  it("refuses an index twice", () => {
    expectError("export fn f(x: f32[N, N]) { for[i, i] x[i, i] }", "EIN1102", ["i", "i"]);
  });
});

describe("reductions", () => {
  it("use up their axes", () => {
    const x = [
      [1, 5],
      [4, 2],
    ];
    expect(run("export fn f(x: f32[N, M]) { for[i] sum[j] x[i, j] }", { x })).toEqual([6, 6]);
    expect(run("export fn f(x: f32[N, M]) { for[i] argmax[j] x[i, j] }", { x })).toEqual([1, 0]);
    expect(run("export fn f(x: f32[N, M]) { max[i, j] x[i, j] }", { x })).toBe(5);
    expect(run("export fn f(x: f32[N, M]) { mean[i] x[i] }", { x })).toEqual([2.5, 3.5]);
    expect(run("export fn f(x: f32[N, M]) { any[i, j] x[i, j] > 4 }", { x })).toBe(1);
  });
  it("keep the names of their indices", () => {
    expect(printed("export fn f(x: f32[N, M]) { y[i] = sum[j] x[i, j] }")).toContain("y[i:N] = add(j:M) x[i, j]");
  });
  it("extend as far right as they can", () => {
    expect(run("export fn f(x: f32[N]) { sum[i] x[i] * 2 + 1 }", { x: [1, 2] })).toBe(8);
    expect(run("export fn f(x: f32[N]) { (sum[i] x[i] * 2) + 1 }", { x: [1, 2] })).toBe(7);
  });
  it("do not sum a nested reduction again for every element", () => {
    const text = printed("export fn f(x: f32[N]) { y[i] = x[i] / sum[k] x[k] }");
    expect(text).toMatch(/add\[\] = add\(k:N\) x\[k\]/);
    expect(text).toContain("x[i] / add[]");
  });
  it("over nothing are refused where they have no value", () => {
    expectError("export fn f(x: f32[0]) { max[i] x[i] }", "EIN1303", ["i"]);
    expect(signatureOf("export fn f(x: f32[N]) { max[i] x[i] }").where).toEqual(["N >= 1"]);
    expect(run("export fn f(x: f32[0]) { sum[i] x[i] }", { x: [] })).toBe(0);
  });
  it("scan prefixes", () => {
    expect(run("export fn f(x: f32[N]) { cumsum[i] x[i] * 2 }", { x: [1, 2, 3] })).toEqual([2, 6, 12]);
    expect(run("export fn f(x: f32[N, M]) { for[i] cummax[j] x[i, j] }", { x: [[1, 3, 2]] })).toEqual([[1, 3, 3]]);
  });
});

describe("reads", () => {
  it("are total with ??", () => {
    expect(
      run("export fn f(x: f32[N]) -> f32[N] { y[i] = (x[i - 1] ?? 0) + (x[i + 1] ?? -1) }", { x: [1, 2, 4] }),
    ).toEqual([2, 5, 1]);
    expect(run("export fn f(x: f32[N]) -> f32[N] { y[i] = x[i + 1] ?? x[i] * 10 }", { x: [1, 2] })).toEqual([2, 20]);
    expect(
      run("export fn f(x: f32[N, M]) -> f32[N] { y[i] = sum[j] x[i + 1, j] ?? 1 }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([7, 2]);
    expect(
      run("export fn f(x: f32[N, M]) -> f32[N] { y[i] = sum[j in 0..2] x[i + 1][j] ?? 1 }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([7, 2]);
    expect(
      run("export fn f(x: f32[N, M]) -> f32[N, M] { y[i] = x[i + 1] ?? 9 }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([
      [3, 4],
      [9, 9],
    ]);
    expect(run("export fn f(x: bool[N]) -> bool[N] { y[i] = x[i + 1] ?? true }", { x: [true, false] })).toEqual([0, 1]);
    expect(
      run("export fn f(x: f32[N, M]) -> f32[M, N] { y[i, j] = x.T[i, j + 1] ?? 0 }", {
        x: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).toEqual([
      [3, 0],
      [4, 0],
    ]);
    expect(run("export fn f(x: f32[N]) -> f32[N - 1] { y[i] = x[1:][i + 1] ?? 0 }", { x: [1, 2, 3] })).toEqual([3, 0]);
    expect(run("export fn f(x: f32[N]) -> f32[N] { y[i] = (x * 2)[i - 1] ?? 0 }", { x: [1, 2, 3] })).toEqual([0, 2, 4]);
  });
  it("are proved inside", () => {
    expect(signatureOf("export fn f(x: f32[N]) { for[i in 0..N - 1] x[i] - x[i + 1] }").where).toEqual(["N >= 1"]);
    expect(signatureOf("export fn f(x: f32[N]) { y[i] = x[N - 1 - i] + 0 * x[i] }").where).toEqual([]);
    expect(signatureOf("export fn f(x: f32[N]) { for[i in 0..N div 2] x[2 * i + 1] }").where).toEqual([]);
    expect(
      signatureOf("export fn f(x: f32[2 * N], n: f32[N]) { for[i in 0..N, j in 0..2] x[2 * i + j] + n[i] }").where,
    ).toEqual([]);
    expect(signatureOf("export fn f(x: f32[N], y: f32[M]) { for[i in 0..N * M] x[i div M] + y[i % M] }").where).toEqual(
      [],
    );
    expect(
      signatureOf(
        "export fn f(x: f32[H], R: const int = 3, s: const int = 2) { for[i in 0..(H - R) div s + 1] sum[r in 0..R] x[i * s + r] }",
      ).where,
    ).toEqual(["(H - 1) div 2 >= 0"].slice(1).concat(["(H - 3) div 2 + 1 >= 0"]));
  });
  it("are proved inside under divisors that vary", () => {
    const where = (body: string) => signatureOf(`export fn f(x: f32[N], y: f32[M]) { ${body} }`).where;
    expect(where("for[i, c in 1..N] y[i] * x[i % c]")).toEqual(["N >= 1"]);
    expect(where("for[i, c in 1..9] y[i] * y[i div c]")).toEqual([]);
    expectError("export fn f(x: f32[N], y: f32[M]) { for[i, c in 0..9] y[i] * (y[i % c]) }", "EIN1301", ["i % c", "y"]);
  });
  it("that leave the tensor are refused with the interval", () => {
    const e = expectError("export fn f(x: f32[N]) { y[i] = x[i] + x[i + 1] }", "EIN1301", ["i + 1", "x"]);
    expect(e.labels).toEqual(["the index ranges over 1 … N", "its axis has extent N: 0 … N - 1"]);
    expect(e.fixed).toContain("(x[i + 1] ?? 0)");
    expectError("export fn f(x: f32[N]) { y[i] = x[i] + x[i - 1] }", "EIN1301", ["i - 1", "x"]);
    expectError("export fn f(x: f32[3]) { x[3] }", "EIN1301", ["3", "x"]);
  });
  it("over nothing read nothing", () => {
    expect(run("export fn f(x: f32[3]) { for[i in 0..0] x[i + 9] }", { x: [1, 2, 3] })).toEqual([]);
  });
  it("that data decides need ??", () => {
    expectError("export fn f(x: f32[N], t: i32[M]) { y[i] = x[t[i]] }", "EIN1301", ["t[i]", "x"]);
    expectError("export fn f(x: f32[N], t: i32[M]) { y[i] = x[clamp(t[i], 0, N)] }", "EIN1301", ["clamp(t[i], 0, N)"]);
    const clamped = "export fn f(x: f32[N], t: i32[M]) { y[i] = x[clamp(t[i], 0, N - 1)] }";
    expect(run(clamped, { x: [5, 6], t: [1, 7, -1] })).toEqual([6, 6, 5]);
    expect(run("export fn f(x: f32[N], t: i32[M]) { y[i] = x[t[i]] ?? -1 }", { x: [5, 6], t: [1, 0, 7, -1] })).toEqual([
      6, 5, -1, -1,
    ]);
    expect(
      run("export fn f(x: f32[3], t: i32[M]) { y[i] = x[min(max(t[i], 0), 2)] }", { x: [5, 6, 7], t: [1, -4, 9] }),
    ).toEqual([6, 5, 7]);
  });
  it("that cannot be decided are checked when the function is loaded", () => {
    expect(signatureOf("export fn f(x: f32[N], y: f32[M]) { z[i] = y[i] + x[2 * i] }").where).toEqual([
      "N >= 2 * M - 1",
    ]);
    expect(
      elaborationError("export fn f(x: f32[N], y: f32[M]) { z[i] = y[i] + x[2 * i] }", { shapes: { x: [4], y: [3] } })
        .code,
    ).toBe("EIN1301");
  });
  it("refuse indices that are not integers", () => {
    expectError("export fn f(x: f32[N], t: f32) { x[t] ?? 0 }", "EIN1201", ["t"]);
    expectError("export fn f(x: f32[N]) { y[i] = x[i] + (x[i + 0.5] ?? 0) }", "EIN1201", ["0.5"]);
  });
  it("?? needs a read and a value of its type", () => {
    expectError("export fn f(x: f32[N]) { x ?? 0 }", "EIN1301", ["x"]);
    expectError("export fn f(x: i32[N]) { y[i] = x[i] ?? 0.5 }", "EIN1201", ["0.5", "x[i]"]);
    expectError("export fn f(x: f32[N], t: i32[N]) { y[i] = x[t[i]] ?? t[i] }", "EIN1201", ["x[t[i]]", "t[i]"]);
  });
});

describe("scatter", () => {
  it("adds where positions meet and drops what lies outside", () => {
    const source =
      "export fn f(ids: i32[N], x: f32[N, D], V: const int = 3) { y[ids[i], d]: f32[V, D] += x[i, d]\n y }";
    expect(
      run(source, {
        ids: [0, 2, 0, 9],
        x: [
          [1, 2],
          [3, 4],
          [5, 6],
          [7, 8],
        ],
      }),
    ).toEqual([
      [6, 8],
      [0, 0],
      [3, 4],
    ]);
  });
  it("takes its shape from the stated result", () => {
    expect(run("export fn f(t: i32[N]) -> i32[4] { h[t[i]] += 1 }", { t: [1, 1, 3] })).toEqual([0, 2, 0, 1]);
  });
  it("adds into a tensor that exists", () => {
    expect(
      run("export fn f(x: f32[N], t: i32[M]) { let y = x * 1; y[t[i]] += 10; y }", { x: [1, 2], t: [1, 1] }),
    ).toEqual([1, 22]);
    expect(
      run("export fn f(x: f32[N], t: i32[M]) { let y = x * 1; y[t[i]] max= 1.5; y }", { x: [1, 2], t: [0, 1] }),
    ).toEqual([1.5, 2]);
  });
  it("works inside for", () => {
    expect(
      run("export fn f(t: i32[B, N]) { for[b] { h[t[b, i]]: i32[3] += 1\n h } }", {
        t: [
          [0, 0],
          [2, 1],
        ],
      }),
    ).toEqual([
      [2, 0, 0],
      [0, 1, 1],
    ]);
  });
  it("needs a shape", () => {
    expectError("export fn f(t: i32[N]) { y[t[i]] += 1; y }", "EIN1205", ["y"]);
  });
  it("reports names that nothing binds", () => {
    expectError("export fn f(t: i32[N]) -> i32[4] { h[t[i]] += q }", "EIN1101", ["q"]);
  });
});
