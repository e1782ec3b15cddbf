/** What GPUs get by default: enough invocations for the rows that there are. Reasoned, not measured (choose-rows.ts). */
import { describe, expect, test } from "vitest";
import { DEFAULT_TARGET, type Target } from "../../src/schedule/target.ts";
import { chosen, SOFTMAX } from "./chosen.ts";
import { difference, fuseOnline, inputsFor, programOf, SLACK } from "./online-support.ts";
import { GPU, SOFT4, SOFT8, withMatrices } from "./support.ts";

/** Subgroups of 32, workgroups of up to 1024. */
const FIXED: Target = { ...withMatrices(undefined), features: ["subgroups"] };

const SUMS = "export fn f(x: f32[R, D]) { sum(x, axis: 1) }";

describe("rows", () => {
  test.each([
    ["many short ones by subgroups", [4096, 512], { threads: 32, combine: "subgroup", hold: 4, pass: "held" }],
    ["few by workgroups", [64, 1024], { threads: 128, hold: 2, pass: "held" }],
    ["long ones by workgroups that can keep them", [4096, 4096], { threads: 128, hold: 8, pass: "held" }],
    ["few and long", [128, 32000], { threads: 512, hold: 16, pass: "held" }],
    ["longer than a workgroup keeps", [128, 2 ** 17], { threads: 512, pass: "reread" }],
  ])("%s", (_, x, how) => {
    expect(chosen(SOFTMAX, { x }, FIXED)).toMatchObject({ kind: "row", vector: 4, ...how });
  });
  test("a vector times a matrix goes down its columns, neighbours beside each other", () => {
    const source = "export fn f(x: f32[M, K], a: f32[K, N]) { x @ a }";
    expect(chosen(source, { x: [1, 4096], a: [4096, 4096] }, FIXED)).toMatchObject({ kind: "reduction", columns: 32 });
  });
  test("rows of two arrays take twice as many", () => {
    const slope = `export fn f(y: f32[R, D], dy: f32[R, D]) { y * (dy - sum(y * dy, axis: 1, keepdims: true)) }`;
    const shapes = { y: [4096, 4096], dy: [4096, 4096] };
    expect(chosen(slope, shapes, FIXED)).toMatchObject({ kind: "row", threads: 256, hold: 4, pass: "held" });
  });
  test("a sum keeps nothing: it needs no more than a busy device", () => {
    expect(chosen(SUMS, { x: [2048, 8192] }, FIXED)).toMatchObject({ kind: "row", threads: 32, combine: "subgroup" });
    expect(chosen(SUMS, { x: [512, 4096] }, FIXED)).toMatchObject({ kind: "row", threads: 64 });
  });
  test("no workgroup is larger than the device has", () => {
    expect(chosen(SOFTMAX, { x: [128, 32000] }, DEFAULT_TARGET)).toMatchObject({ threads: 256, pass: "reread" });
  });
  test.each([
    [3, 1000],
    [2, 4099],
    [5, 77],
  ])("%i of %i are right", (rows, length) => {
    for (const source of [SOFTMAX, SUMS])
      for (const target of [FIXED, DEFAULT_TARGET]) {
        const p = programOf(source, target, { x: [rows, length] });
        const fused = fuseOnline(p);
        const inputs = inputsFor({ x: [rows, length] }, rows, true);
        expect(difference(p, fused, target, inputs)).toBeLessThan(SLACK);
      }
  });
});

describe("contractions that are small in one direction", () => {
  const matmul = "export fn f(x: f32[..., M, K], a: f32[..., K, N]) { x @ a }";
  const linear = "export fn f(x: f32[M, K], a: f32[N, K]) { x @ a.T }";
  test("a few rows: all of them an invocation, its columns beside its neighbours', K in parts", () => {
    expect(chosen(matmul, { x: [4, 4096], a: [4096, 4096] }, GPU)).toMatchObject({
      reg: [4, 4],
      threads: [1, 64, 1],
      splitK: 32,
    });
    expect(chosen(matmul, { x: [5, 4096], a: [4096, 11008] }, GPU)).toMatchObject({ reg: [5, 4], splitK: 8 });
    expect(chosen(linear, { x: [4, 4096], a: [4096, 4096] }, GPU)).toMatchObject({ reg: [4, 1], threads: [1, 8, 16] });
    expect(chosen(matmul, { x: [16, 4096], a: [4096, 4096] }, GPU)).toMatchObject({ stage: "both" });
  });
  test("many small matrices: one an invocation", () => {
    expect(chosen(matmul, { x: [50000, 3, 3], a: [50000, 3, 3] }, GPU)).toMatchObject({ reg: [3, 3], batches: 64 });
    expect(chosen(matmul, { x: [50000, 4, 4], a: [50000, 4, 4] }, GPU)).toMatchObject({ vector: 4, batches: 64 });
  });
  test("a long matrix by a small one: whole rows an invocation", () => {
    expect(chosen(matmul, { x: [100000, 3], a: [3, 3] }, GPU)).toMatchObject({ reg: [2, 3], threads: [64, 1, 1] });
    for (const adapter of [SOFT4, SOFT8])
      expect(chosen(matmul, { x: [100000, 4], a: [4, 4] }, adapter)).toMatchObject({ threads: [32, 1, 1] });
  });
});
