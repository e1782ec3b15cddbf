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
