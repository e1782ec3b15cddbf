/** The programs as examples of the language: they compile on their own, for any extents, and are kept in the formatter's style. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile } from "../../../src/index.ts";
import { argumentsFor, functionName, gradientJob, programsIn } from "./library.ts";

const FOLDERS = ["polybench", "grad", "kernelbench"] as const;

describe.each(FOLDERS)("%s", (folder) => {
  const directory = new URL(`./${folder}/`, import.meta.url);
  it.each(readdirSync(directory).filter((f) => f.endsWith(".ein")))("%s compiles", (file) => {
    const program = compile(readFileSync(new URL(file, directory), "utf8"), { fileName: file });
    expect(program.diagnostics.filter((d) => d.severity === "error")).toEqual([]);
  });
});

describe("the rule that finds programs", () => {
  it("turns names of cases into names of functions", () => {
    expect(["act-mish", "einsum-ij,ji,", "2mm", "mc-Xb+c-quad"].map(functionName)).toEqual([
      "act_mish",
      "einsum_ij_ji",
      "_2mm",
      "mc_Xb_c_quad",
    ]);
  });

  it("refuses a parameter without a value and a tensor without a parameter", () => {
    const f = programsIn("grad").get("rbf_kernel")!;
    const t = { dtype: "float64", shape: [2, 2], data: new Float64Array(4) };
    expect(() => argumentsFor(f, { a: t, b: t }, {}, [])).toThrow(/parameter g/);
    expect(() => argumentsFor(f, { a: t, b: t, c: t }, { g: 2 }, ["c"])).toThrow(/does not take c/);
    expect(argumentsFor(f, { a: t, b: t }, { g: 2 }, ["a", "b"]).inputs["g"]?.values.shape).toEqual([]);
  });

  it("weighs results by cotangents", () => {
    const f = programsIn("grad").get("act_square")!;
    const x = { dtype: "float64", shape: [3], data: Float64Array.of(1, 2, 3) };
    const weights = { dtype: "float64", shape: [3], data: Float64Array.of(5, 7, 11) };
    const job = gradientJob(f, argumentsFor(f, { x }, {}, ["x"]), [weights], ["x"], [], {
      exact: true,
      atol: 0,
      rtol: 0,
    });
    const inputs = { x: { ...x, dtype: "f32" as const }, cotangent_0: { ...weights, dtype: "f32" as const } };
    const [result] = Object.values(compile(job.source, { fileName: "case.ein" }).interpret(job.fn, inputs, {}));
    expect([...result!.data]).toEqual([10, 28, 66]);
  });
});

/** Siblings that were merged once led to a region that needed itself. */
it("plans the gradient of unrolled steps", () => {
  const f = programsIn("grad").get("gradient_descent_unrolled")!;
  const of = (...shape: number[]) => ({
    dtype: "float64",
    shape,
    data: new Float64Array(shape.reduce((a, b) => a * b, 1)),
  });
  const tensors = { X: of(4, 2), y: of(4), w0: of(2), lr: of() };
  const args = argumentsFor(f, tensors, {}, Object.keys(tensors));
  const job = gradientJob(f, args, [of(2)], ["X", "w0"], [], { exact: true, atol: 0, rtol: 0 });
  const shapes = { X: [4, 2], y: [4], w0: [2], lr: [], cotangent_0: [2] };
  expect(compile(job.source, { fileName: "case.ein" }).plan(job.fn, { shapes }).steps.length).toBeGreaterThan(1);
});

describe("solvers", () => {
  const directory = new URL("./polybench/", import.meta.url);
  const program = compile(readFileSync(new URL("solvers.ein", directory), "utf8"), { fileName: "solvers.ein" });
  const A = [4, 2, 1, 2, 5, 3, 1, 3, 6];
  const matrix = (values: readonly number[]) => ({
    dtype: "f32" as const,
    shape: [3, 3],
    data: Float64Array.from(values),
  });
  const vector = (...values: number[]) => ({
    dtype: "f32" as const,
    shape: [values.length],
    data: Float64Array.from(values),
  });
  const run = (name: string, inputs: Parameters<typeof program.interpret>[1]) =>
    Object.values(program.interpret(name, inputs)).map((r) => [...(r.data as Float64Array)]);
  const close = (got: readonly number[], want: readonly number[]) => {
    for (const [i, x] of want.entries()) expect(got[i]).toBeCloseTo(x, 12);
  };
  const product = (a: (i: number, k: number) => number, b: (k: number, j: number) => number) =>
    Array.from({ length: 9 }, (_, e) => [0, 1, 2].reduce((t, k) => t + a(Math.floor(e / 3), k) * b(k, e % 3), 0));

  it("factors a symmetric matrix and leaves its upper triangle", () => {
    const [y] = run("cholesky", { A: matrix(A) });
    const L = (i: number, k: number) => (k <= i ? y![3 * i + k]! : 0);
    close(
      product(L, (k, j) => L(j, k)),
      A,
    );
    expect([y![1], y![2], y![5]]).toEqual([2, 1, 3]);
  });

  it("makes orthonormal columns whose product with R is A", () => {
    const [R, Q] = run("gramschmidt", { A: matrix(A) });
    close(
      product(
        (i, k) => Q![3 * i + k]!,
        (k, j) => R![3 * k + j]!,
      ),
      A,
    );
    close(
      product(
        (i, k) => Q![3 * k + i]!,
        (k, j) => Q![3 * k + j]!,
      ),
      [1, 0, 0, 0, 1, 0, 0, 0, 1],
    );
  });

  it("solves systems", () => {
    // A · (1, -2, 3) and its lower triangle times the same.
    close(run("ludcmp", { A: matrix(A), b: vector(3, 1, 13) })[0]!, [1, -2, 3]);
    close(run("trisolv", { L: matrix(A), b: vector(4, -8, 13) })[0]!, [1, -2, 3]);
    // The Toeplitz matrix [[1, r0, r1], [r0, 1, r0], [r1, r0, 1]] times y is -r.
    const r = [0.5, 0.25, 0.5];
    const y = run("durbin", { r: vector(...r) })[0]!;
    const row = (i: number) => [0, 1, 2].reduce((t, j) => t + (i === j ? 1 : r[Math.abs(i - j) - 1]!) * y[j]!, 0);
    close([row(0), row(1), row(2)], [-0.5, -0.25, -0.5]);
  });

  it("pairs bases that are not neighbours", () => {
    const table = { dtype: "f32" as const, shape: [4, 4], data: new Float64Array(16) };
    // 0 pairs with the 3 at the end, which 1 and 2 lie between.
    expect(run("nussinov", { seq: vector(0, 1, 2, 3), table })[0]![3]).toBe(1);
  });
});
