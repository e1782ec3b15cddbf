import { describe, expect, it } from "vitest";
import { checkModule } from "../../src/elaborate/index.ts";
import { loadModules } from "../../src/modules.ts";
import { resolveStd } from "../../src/std/index.ts";
import { array, shaped } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, type Plain, positions, read, resultOf } from "./harness.ts";

const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);
const MODULES = ["nn", "linalg", "array", "math", "image"];

describe("the library", () => {
  for (const name of MODULES)
    it(`std/${name} elaborates for all extents, and everything in it is documented`, () => {
      const checked = checkModule(loadModules(resolveStd(`std/${name}`) ?? "", `std/${name}.ein`, { std: resolveStd }));
      expect(checked.diagnostics.map((d) => `${d.code} ${d.message}`)).toEqual([]);
      expect(checked.functions.filter((f) => f.exported && !f.doc).map((f) => f.name)).toEqual([]);
      expect(checked.functions.length).toBeGreaterThan(10);
    });
});

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

describe("std/array", () => {
  it("searches and counts", () => {
    expect(resultOf("array", "searchsorted(a, b)", array([1, 3, 3, 5]), array([0, 3, 6]))).toEqual([0, 1, 4]);
    expect(resultOf("array", "searchsorted(a, b, right: true)", array([1, 3, 3, 5]), array([0, 3, 6]))).toEqual([
      0, 3, 4,
    ]);
    expect(resultOf("array", "bucketize(a, b)", array([[0, 4]]), array([1, 3]))).toEqual([[0, 2]]);
    expect(resultOf("array", "repeat_each(a, b, 4)", array([7, 8, 9]), array([2, 0, 2], "i32"))).toEqual([7, 7, 9, 9]);
  });
  it("leaves NaN and masked elements out", () => {
    const x = array([
      [1, Number.NaN],
      [3, 4],
    ]);
    expect(resultOf("array", "nansum(a)", x)).toBe(8);
    expect(resultOf("array", "nanmean(a, axis: 0)", x)).toEqual([2, 4]);
    expect(resultOf("array", "nanmax(a, axis: 1)", x)).toEqual([1, 4]);
    expect(resultOf("array", "nanmin(a, axis: 1)", x)).toEqual([1, 3]);
    const mask = array(
      [
        [true, false],
        [true, true],
      ],
      "bool",
    );
    expect(
      resultOf(
        "array",
        "masked_mean(a, b)",
        array([
          [1, 9],
          [3, 5],
        ]),
        mask,
      ),
    ).toBe(3);
    expect(
      resultOf(
        "array",
        "masked_fill(a, b, 0.0)",
        array([
          [1, 9],
          [3, 5],
        ]),
        mask,
      ),
    ).toEqual([
      [0, 9],
      [0, 0],
    ]);
    expect(
      resultOf(
        "array",
        "isclose(a, b)",
        array([1, 1, Number.NaN, Number.POSITIVE_INFINITY]),
        array([1 + 1e-9, 1.1, Number.NaN, Number.POSITIVE_INFINITY]),
      ),
    ).toEqual([1, 0, 0, 1]);
  });
  it("differentiates and integrates samples", () => {
    expect(resultOf("array", "gradient(a)", array([1, 4, 9, 16]))).toEqual([3, 4, 6, 7]);
    expect(resultOf("array", "gradient(a, edge_order: 2)", array([1, 4, 9, 16]))).toEqual([2, 4, 6, 8]);
    expect(resultOf("array", "cumulative_trapezoid(a)", array([1, 2, 3]))).toEqual([1.5, 4]);
    expect(resultOf("array", "cumulative_trapezoid_at(a, b)", array([1, 2, 3]), array([0, 2, 3]))).toEqual([3, 5.5]);
  });
  it("rearranges", () => {
    expect(resultOf("array", "cartesian_prod(a, b)", array([1, 2]), array([3, 4]))).toEqual([
      [1, 3],
      [1, 4],
      [2, 3],
      [2, 4],
    ]);
    expect(
      resultOf(
        "array",
        "segment_sum(a, b, 3)",
        array([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
        array([2, 0, 2], "i32"),
      ),
    ).toEqual([
      [3, 4],
      [0, 0],
      [6, 8],
    ]);
    expect(
      resultOf(
        "array",
        "segment_mean(a, b, 3)",
        array([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
        array([2, 0, 2], "i32"),
      ),
    ).toEqual([
      [3, 4],
      [0, 0],
      [3, 4],
    ]);
    expect(
      resultOf(
        "array",
        "segment_max(a, b, 2)",
        array([
          [1, 2],
          [3, 0],
        ]),
        array([1, 1], "i32"),
      ),
    ).toEqual([
      [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
      [3, 2],
    ]);
    expectClose(
      evaluate(
        "array",
        "renorm(a, 2, 0, 5.0)",
        array([
          [3, 4],
          [6, 8],
        ]),
      ),
      { shape: [2, 2], data: [3, 4, 3, 4] },
      1e-6,
    );
  });
});

describe("std/math", () => {
  const close = (text: string, points: readonly number[], want: readonly number[], relative: number): void =>
    expectClose(evaluate("math", text, array([...points])), { shape: [points.length], data: want }, relative);
  it("cbrt, angles, sinc, logit", () => {
    close("cbrt(a)", [-8, 0, 27], [-2, 0, 3], 1e-10);
    close("deg2rad(a)", [180], [Math.PI], 1e-12);
    close("rad2deg(a)", [Math.PI], [180], 1e-12);
    close("sinc(a)", [0, 0.5, -1.5], [1, 2 / Math.PI, Math.sin(1.5 * Math.PI) / (1.5 * Math.PI)], 1e-12);
    close("logit(a)", [0.25, 0.5], [Math.log(1 / 3), 0], 1e-12);
    close("entr(a)", [0, 0.5, -1], [0, 0.5 * Math.LN2, Number.NEGATIVE_INFINITY], 1e-12);
  });
  // Values from tables: Abramowitz and Stegun (6.1, 6.3, 7.1, 9.8) and the definitions.
  it("ndtr, log_ndtr, erfinv", () => {
    close("ndtr(a)", [0, 1, -2], [0.5, 0.8413447460685429, 0.02275013194817921], 1e-7);
    close(
      "log_ndtr(a)",
      [0, -3, -10, -20],
      [-Math.LN2, -6.607726221510349, -53.23128515051247, -203.9171553710973],
      1e-6,
    );
    close(
      "erfinv(a)",
      [0, 0.5, -0.9, 0.999, 1, -1, 2],
      [
        0,
        0.4769362762044699,
        -1.1630871536766743,
        2.326753765513525,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        Number.NaN,
      ],
      1e-7,
    );
  });
  it("lgamma and digamma", () => {
    close(
      "lgamma(a)",
      [1, 2, 5, 0.5, -0.5, 10.5, -3, 100],
      [
        0,
        0,
        Math.log(24),
        0.5 * Math.log(Math.PI),
        Math.log(2 * Math.sqrt(Math.PI)),
        13.940625219403763,
        Number.POSITIVE_INFINITY,
        359.1342053695754,
      ],
      1e-10,
    );
    close(
      "digamma(a)",
      [1, 0.5, 5, -0.5, -2],
      [-0.5772156649015329, -1.9635100260214235, 1.5061176684318003, 0.03648997397857652, Number.NaN],
      1e-9,
    );
  });
  it("i0", () => close("i0(a)", [0, 1, -5], [1, 1.2660658777520084, 27.239871823604442], 1e-6));
});

describe("std/image", () => {
  const x = noise([2, 3, 5, 6]);
  it("cuts patches and puts them back", () => {
    const patches = build([2, 12, 12], ([n, p, l]) => {
      const [c, r, s] = [Math.floor(p! / 4), Math.floor(p! / 2) % 2, p! % 2];
      return read(x, [n!, c, Math.floor(l! / 4) * 2 + r - 1, (l! % 4) * 2 + s - 1]);
    });
    expectClose(evaluate("image", "im2col(a, 2, padding: 1, stride: 2)", x), patches);
    // Every pixel once for every patch that holds it: here once.
    expectClose(evaluate("image", "col2im(im2col(a, 2, padding: 1, stride: 2), 5, 6, 2, padding: 1, stride: 2)", x), x);
    const count = (i: number, h: number): number => [0, 1, 2].filter((r) => i - r >= 0 && i - r <= h - 3).length;
    expectClose(
      evaluate("image", "col2im(im2col(a, 3), 5, 6, 3)", x),
      build(x.shape, (at) => read(x, at) * count(at[2]!, 5) * count(at[3]!, 6)),
    );
  });
  it("shuffles channels and space", () => {
    const y = noise([1, 8, 2, 3]);
    expectClose(
      evaluate("image", "pixel_shuffle(a, 2)", y),
      build([1, 2, 4, 6], ([n, c, i, j]) => read(y, [n!, c! * 4 + (i! % 2) * 2 + (j! % 2), i! >> 1, j! >> 1])),
    );
    expectClose(evaluate("image", "pixel_unshuffle(pixel_shuffle(a, 2), 2)", y), y);
    expectClose(
      evaluate("image", "channel_shuffle(a, 2)", y),
      build(y.shape, ([n, c, i, j]) => read(y, [n!, (c! % 2) * 4 + (c! >> 1), i!, j!])),
    );
  });
  const where = (i: number, n: number, m: number, corners: boolean): number =>
    corners ? (i * (n - 1)) / Math.max(m - 1, 1) : ((i + 0.5) * n) / m - 0.5;
  const pixel = (n: number, c: number, i: number, j: number): number =>
    read(x, [n, c, Math.min(4, Math.max(0, i)), Math.min(5, Math.max(0, j))]);
  it("resizes", () => {
    expectClose(
      evaluate("image", "upsample_nearest2d(a, [7, 4])", x),
      build([2, 3, 7, 4], ([n, c, i, j]) => pixel(n!, c!, Math.floor((i! * 5) / 7), Math.floor((j! * 6) / 4))),
    );
    for (const corners of [false, true]) {
      expectClose(
        evaluate("image", `upsample_bilinear(a, [8, 4], align_corners: ${corners})`, x),
        build([2, 3, 8, 4], ([n, c, i, j]) => {
          const [v, u] = [Math.max(0, where(i!, 5, 8, corners)), Math.max(0, where(j!, 6, 4, corners))];
          const [top, left] = [Math.floor(v), Math.floor(u)];
          return total(
            [0, 1].flatMap((p) =>
              [0, 1].map(
                (q) => (p ? v - top : 1 - v + top) * (q ? u - left : 1 - u + left) * pixel(n!, c!, top + p, left + q),
              ),
            ),
          );
        }),
      );
      const kernel = (t: number): number =>
        t <= 1 ? (1.25 * t - 2.25) * t * t + 1 : t < 2 ? ((-0.75 * t + 3.75) * t - 6) * t + 3 : 0;
      expectClose(
        evaluate("image", `upsample_bicubic(a, [8, 4], align_corners: ${corners})`, x),
        build([2, 3, 8, 4], ([n, c, i, j]) => {
          const [v, u] = [where(i!, 5, 8, corners), where(j!, 6, 4, corners)];
          const taps = [-1, 0, 1, 2];
          return total(
            taps.flatMap((p) =>
              taps.map(
                (q) =>
                  kernel(Math.abs(v - Math.floor(v) - p)) *
                  kernel(Math.abs(u - Math.floor(u) - q)) *
                  pixel(n!, c!, Math.floor(v) + p, Math.floor(u) + q),
              ),
            ),
          );
        }),
      );
    }
  });
  it("samples at coordinates", () => {
    const grid = shaped(
      [2, 2, 3, 2],
      noise([2, 2, 3, 2], 4).data.map((v) => v / 3),
    );
    const at = (n: number, c: number, i: number, j: number): number => read(x, [n, c, i, j]);
    for (const corners of [false, true]) {
      const place = (g: number, n: number): number => (corners ? ((g + 1) / 2) * (n - 1) : ((g + 1) * n - 1) / 2);
      expectClose(
        evaluate("image", `grid_sample(a, b, align_corners: ${corners})`, x, grid),
        build([2, 3, 2, 3], ([n, c, i, j]) => {
          const [u, v] = [place(read(grid, [n!, i!, j!, 0]), 6), place(read(grid, [n!, i!, j!, 1]), 5)];
          const [left, top] = [Math.floor(u), Math.floor(v)];
          return total(
            [0, 1].flatMap((p) =>
              [0, 1].map(
                (q) => (p ? v - top : 1 - v + top) * (q ? u - left : 1 - u + left) * at(n!, c!, top + p, left + q),
              ),
            ),
          );
        }),
      );
      expectClose(
        evaluate("image", `grid_sample(a, b, padding: "border", align_corners: ${corners})`, x, grid),
        build([2, 3, 2, 3], ([n, c, i, j]) => {
          const [u, v] = [
            Math.min(5, Math.max(0, place(read(grid, [n!, i!, j!, 0]), 6))),
            Math.min(4, Math.max(0, place(read(grid, [n!, i!, j!, 1]), 5))),
          ];
          const [left, top] = [Math.floor(u), Math.floor(v)];
          return total(
            [0, 1].flatMap((p) =>
              [0, 1].map(
                (q) => (p ? v - top : 1 - v + top) * (q ? u - left : 1 - u + left) * pixel(n!, c!, top + p, left + q),
              ),
            ),
          );
        }),
      );
    }
    expect([...positions([1])].length).toBe(1);
  });
});
