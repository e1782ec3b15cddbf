import { describe, expect, it } from "vitest";
import { array } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, type Plain, read, resultOf } from "./harness.ts";

const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);

describe("std/linalg", () => {
  const product = (a: Plain, b: Plain): Plain => {
    const [m, k] = a.shape.slice(-2) as [number, number];
    const n = b.shape.at(-1) as number;
    const lead = a.shape.length >= b.shape.length ? a.shape.slice(0, -2) : b.shape.slice(0, -2);
    const at = (x: Plain, p: readonly number[]): readonly number[] =>
      p.slice(p.length - (x.shape.length - 2)).map((i, d) => (x.shape[d] === 1 ? 0 : i));
    return build([...lead, m, n], (p) =>
      total(
        Array.from(
          { length: k },
          (_, q) =>
            read(a, [...at(a, p.slice(0, -2)), p.at(-2)!, q]) * read(b, [...at(b, p.slice(0, -2)), q, p.at(-1)!]),
        ),
      ),
    );
  };
  const drop = (x: Plain, axis: number): Plain => ({ shape: x.shape.filter((_, k) => k !== axis), data: x.data });
  it("matmul in all of NumPy's ranks", () => {
    const [m, n, v] = [noise([3, 4]), noise([4, 2], 2), noise([4], 3)];
    const asColumn: Plain = { shape: [4, 1], data: v.data };
    const asRow: Plain = { shape: [1, 4], data: v.data };
    expectClose(evaluate("linalg", "matmul(a, b)", m, n), product(m, n));
    expectClose(evaluate("linalg", "matmul(a, b)", m, v), drop(product(m, asColumn), 1));
    expectClose(evaluate("linalg", "matmul(a, b)", v, n), drop(product(asRow, n), 0));
    expectClose(evaluate("linalg", "matmul(a, b)", v, v), { shape: [], data: [total(v.data.map((e) => e * e))] });
    const stack = noise([2, 5, 3, 4], 4);
    expectClose(evaluate("linalg", "matmul(a, b)", stack, n), product(stack, n));
    expectClose(
      evaluate("linalg", "matmul(a, b)", noise([3, 4]), noise([2, 5, 4, 2], 5)),
      product(noise([3, 4]), noise([2, 5, 4, 2], 5)),
    );
    expectClose(evaluate("linalg", "dot(a, b)", m, n), product(m, n));
    expectClose(
      evaluate("linalg", "dot(a, b)", noise([2, 4]), noise([3, 4, 2], 6)),
      build([2, 3, 2], ([i, j, k]) =>
        total([0, 1, 2, 3].map((q) => read(noise([2, 4]), [i!, q]) * read(noise([3, 4, 2], 6), [j!, q, k!]))),
      ),
    );
    expectClose(
      evaluate("linalg", "inner(a, b)", noise([2, 4]), noise([3, 4], 6)),
      build([2, 3], ([i, j]) =>
        total([0, 1, 2, 3].map((q) => read(noise([2, 4]), [i!, q]) * read(noise([3, 4], 6), [j!, q]))),
      ),
    );
    expectClose(
      evaluate("linalg", "multi_dot([a, b, c])", m, n, noise([2, 5], 7)),
      product(product(m, n), noise([2, 5], 7)),
    );
    expectClose(
      evaluate("linalg", "addmm(c, a, b, 2.0, 0.5)", m, n, noise([3, 2], 8)),
      build([3, 2], (at) => 2 * read(noise([3, 2], 8), at) + 0.5 * read(product(m, n), at)),
    );
    expectClose(
      evaluate("linalg", "gemm(a, b, alpha: 2.0, transpose_a: true)", noise([4, 3]), n),
      build([3, 2], ([i, j]) => 2 * total([0, 1, 2, 3].map((q) => read(noise([4, 3]), [q, i!]) * read(n, [q, j!])))),
    );
    expectClose(evaluate("linalg", "tensordot(a, b, 1)", m, n), product(m, n));
  });
  it("outer, kron, trace, powers, cross", () => {
    expect(resultOf("linalg", "outer(a, b)", array([1, 2]), array([3, 4, 5]))).toEqual([
      [3, 4, 5],
      [6, 8, 10],
    ]);
    const [m, n] = [noise([2, 3]), noise([3, 2], 2)];
    expectClose(
      evaluate("linalg", "kron(a, b)", m, n),
      build([6, 6], ([i, j]) => read(m, [Math.floor(i! / 3), Math.floor(j! / 2)]) * read(n, [i! % 3, j! % 2])),
    );
    expect(
      resultOf(
        "linalg",
        "trace(a)",
        array([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toBe(5);
    const s = array([
      [1, 1],
      [1, 0],
    ]);
    for (const [k, f] of [
      [0, [1, 0]],
      [1, [1, 1]],
      [5, [8, 5]],
      [7, [21, 13]],
      [8, [34, 21]],
    ] as const)
      expect((resultOf("linalg", `matrix_power(a, ${k})`, s) as number[][])[0]).toEqual(f);
    expect(resultOf("linalg", "cross(a, b)", array([1, 2, 3]), array([4, 5, 6]))).toEqual([-3, 6, -3]);
    expect(resultOf("linalg", "vander(a, 3)", array([2, 3]))).toEqual([
      [4, 2, 1],
      [9, 3, 1],
    ]);
    expect(resultOf("linalg", "vander(a, 3, increasing: true)", array([2, 3]))).toEqual([
      [1, 2, 4],
      [1, 3, 9],
    ]);
    expect(resultOf("linalg", "block_diag(a, b)", array([[1, 2]]), array([[3]]))).toEqual([
      [1, 2, 0],
      [0, 0, 3],
    ]);
  });
  it("norms and distances", () => {
    const m = array([
      [1, -2],
      [3, 4],
    ]);
    expect(resultOf("linalg", "matrix_norm(a, 1)", m)).toBe(6);
    expect(resultOf("linalg", "matrix_norm(a, -1)", m)).toBe(4);
    expect(resultOf("linalg", "matrix_norm(a, inf)", m)).toBe(7);
    expect(resultOf("linalg", "matrix_norm(a, -inf)", m)).toBe(3);
    expect(resultOf("linalg", "matrix_norm(a)", m)).toBeCloseTo(Math.sqrt(30), 12);
    expect(resultOf("linalg", "dist(a, b, 1)", array([1, 2]), array([3, -1]))).toBe(5);
    const [p, q] = [noise([3, 2]), noise([4, 2], 2)];
    const distances = build([3, 4], ([i, j]) =>
      Math.hypot(read(p, [i!, 0]) - read(q, [j!, 0]), read(p, [i!, 1]) - read(q, [j!, 1])),
    );
    expectClose(evaluate("linalg", "cdist(a, b)", p, q), distances);
    expectClose(evaluate("linalg", "sqrt(squared_distances(a, b))", p, q), distances);
  });
  it("pdist takes every pair once", () => {
    const p = noise([5, 2]);
    const pairs = [0, 1, 2, 3, 4].flatMap((i) => [0, 1, 2, 3, 4].filter((j) => j > i).map((j) => [i, j] as const));
    expectClose(evaluate("linalg", "pdist(a)", p), {
      shape: [10],
      data: pairs.map(([i, j]) => Math.hypot(read(p, [i, 0]) - read(p, [j, 0]), read(p, [i, 1]) - read(p, [j, 1]))),
    });
    expect(evaluate("linalg", "pdist(a)", noise([1, 2])).shape).toEqual([0]);
  });
  it("covariance, determinants, inverses", () => {
    const x = noise([2, 5]);
    const mean = (i: number): number => total(x.data.slice(i * 5, i * 5 + 5)) / 5;
    const cov = build(
      [2, 2],
      ([i, j]) => total([0, 1, 2, 3, 4].map((t) => (read(x, [i!, t]) - mean(i!)) * (read(x, [j!, t]) - mean(j!)))) / 4,
    );
    expectClose(evaluate("linalg", "cov(a)", x), cov);
    expectClose(
      evaluate("linalg", "corrcoef(a)", x),
      build([2, 2], ([i, j]) => read(cov, [i!, j!]) / Math.sqrt(read(cov, [i!, i!]) * read(cov, [j!, j!]))),
    );
    expect(
      resultOf(
        "linalg",
        "small_det(a)",
        array([
          [2, 0, 1],
          [1, 3, 2],
          [1, 1, 4],
        ]),
      ),
    ).toBe(18);
    expect(
      resultOf(
        "linalg",
        "small_det(a)",
        array([
          [2, 1],
          [7, 4],
        ]),
      ),
    ).toBe(1);
    expect(
      resultOf(
        "linalg",
        "inverse2(a)",
        array([
          [2, 1],
          [7, 4],
        ]),
      ),
    ).toEqual([
      [4, -1],
      [-7, 2],
    ]);
  });
});
