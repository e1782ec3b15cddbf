/** Determinants, inverses, systems of equations and factors, and their gradients where a pivot is 0. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/index.ts";

const program = compile(`
import { cholesky, det, inverse, matrix_power, slogdet, solve, solve_triangular } from "std/linalg"
export fn determinant(a: f32[..., N, N]) { det(a) }
export fn logarithm(a: f32[..., N, N]) { slogdet(a) }
export fn inverted(a: f32[..., N, N]) { inverse(a) }
export fn power(a: f32[..., N, N], n: const int = 1) { matrix_power(a, n) }
export fn solved(a: f32[..., N, N], b: f32[..., N, K]) { solve(a, b) }
export fn solved_vector(a: f32[N, N], b: f32[N]) { solve(a, b) }
export fn lower(a: f32[N, N], b: f32[N, K]) { solve_triangular(a, b) }
export fn upper_unit(a: f32[N, N], b: f32[N, K]) { solve_triangular(a, b, upper: true, unit_diagonal: true) }
export fn factor(a: f32[..., N, N]) { cholesky(a) }
fn one_det(a: f32[N, N]) -> f32 { det(a) }
export fn cofactors(a: f32[N, N]) { grad(one_det, wrt: [a])(a) }
fn weighed(a: f32[N, N], w: f32[N, N]) -> f32 { sum(cholesky(a) * w) }
export fn factor_gradient(a: f32[N, N], w: f32[N, N]) { grad(weighed, wrt: [a])(a, w) }
`);
const tensor = (shape: readonly number[], ...data: number[]) => ({
  dtype: "f32" as const,
  shape,
  data: Float64Array.from(data),
});
const run = (name: string, inputs: Parameters<typeof program.interpret>[1]) =>
  Object.values(program.interpret(name, inputs)).map((r) => ({ shape: r.shape, data: [...(r.data as Float64Array)] }));
const close = (got: readonly number[] | undefined, want: readonly number[]): void => {
  expect(got).toHaveLength(want.length);
  for (const [i, x] of want.entries()) expect(got![i]).toBeCloseTo(x, 10);
};
/** Its first pivot is 0, so that rows must change places. */
const A = tensor([3, 3], 0, 2, 1, 1, 1, 0, 3, 0, 1);

describe("elimination with exchanges of rows", () => {
  it("determinants", () => {
    close(run("determinant", { a: A })[0]!.data, [-5]);
    close(run("determinant", { a: tensor([2, 2, 2], 0, 1, 1, 0, 1, 2, 2, 4) })[0]!.data, [-1, 0]);
    const [sign, log] = run("logarithm", { a: tensor([2, 2, 2], 0, 1, 4, 0, 1, 2, 2, 4) });
    close(sign!.data, [-1, 0]);
    expect(log!.data).toEqual([Math.log(4), Number.NEGATIVE_INFINITY]);
  });
  it("of no rows are 1, and of no matrices are none", () => {
    expect(run("determinant", { a: tensor([3, 0, 0]) })[0]!.data).toEqual([1, 1, 1]);
    expect(run("logarithm", { a: tensor([0, 0]) }).map((r) => r.data)).toEqual([[1], [0]]);
    expect(run("determinant", { a: tensor([0, 2, 2]) })[0]!.shape).toEqual([0]);
    expect(run("inverted", { a: tensor([0, 0]) })[0]!.shape).toEqual([0, 0]);
  });
  it("have the cofactors as their gradient, also where the matrix is singular", () => {
    close(run("cofactors", { a: A })[0]!.data, [1, -1, -3, -2, -3, 6, -1, 1, -2]);
    // Of rank 2, and of rank 1 all are 0.
    close(run("cofactors", { a: tensor([3, 3], 1, 2, 3, 2, 4, 6, 1, 0, 1) })[0]!.data, [4, 4, -4, -2, -2, 2, 0, 0, 0]);
    close(run("cofactors", { a: tensor([3, 3], 1, 2, 3, 2, 4, 6, 3, 6, 9) })[0]!.data, new Array<number>(9).fill(0));
  });
  it("inverses and systems", () => {
    close(run("inverted", { a: tensor([2, 2], 0, 2, 4, 0) })[0]!.data, [0, 0.25, 0.5, 0]);
    close(run("solved_vector", { a: A, b: tensor([3], 7, 3, 6) })[0]!.data, [1, 2, 3]);
    close(run("solved", { a: A, b: tensor([3, 2], 7, 0, 3, 1, 6, 3) })[0]!.data, [1, 1, 2, 0, 3, 0]);
  });
});

it("powers of any order, of the inverse below 0", () => {
  const a = tensor([2, 2], 1, 1, 1, 0);
  const power = (n: number) => [
    ...(Object.values(program.interpret("power", { a }, { consts: { n } }))[0]!.data as Float64Array),
  ];
  // Fibonacci's numbers.
  close(power(0), [1, 0, 0, 1]);
  close(power(8), [34, 21, 21, 13]);
  close(power(12), [233, 144, 144, 89]);
  close(power(-3), [-1, 2, 2, -3]);
});

describe("triangles", () => {
  it("only the named one counts", () => {
    const a = tensor([2, 2], 2, 100, 3, 4);
    close(run("lower", { a, b: tensor([2, 1], 4, 14) })[0]!.data, [2, 2]);
    close(run("upper_unit", { a, b: tensor([2, 1], 203, 2) })[0]!.data, [3, 2]);
  });
  it("Cholesky's factor and its gradient", () => {
    close(run("factor", { a: tensor([2, 2], 4, 2, 2, 10) })[0]!.data, [2, 0, 1, 3]);
    // d(l00 + l10 + l11) of [[p, q], [q, r]]: by p, 1/4 - q/16 + q²/96, and half of 1/2 - q/12 by each q.
    close(run("factor_gradient", { a: tensor([2, 2], 4, 2, 2, 10), w: tensor([2, 2], 1, 9, 1, 1) })[0]!.data, [
      1 / 4 - 2 / 16 + 4 / 96,
      (1 / 2 - 2 / 12) / 2,
      (1 / 2 - 2 / 12) / 2,
      1 / 6,
    ]);
  });
});
