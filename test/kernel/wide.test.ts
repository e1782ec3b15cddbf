/** Loads of several vectors at once: one matrix in WGSL, nothing new to everybody else. */
import { expect, test } from "vitest";
import { emitKernel } from "../../codegen/emit.ts";
import { parseKernel } from "../../ir/parse-kernel.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { kernelProblems } from "../../ir/verify-kernel.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";

const text = (index: string): string => `kernel sums(x: read f32x4x4[64], y: write f32x4[16])
  for t:16 @thread.x
    let a = x[${index}]
    let b = x[t * 4 + 1]
    let c = x[t * 4 + 2]
    let d = x[t * 4 + 3]
    y[t] = a + b + c + d
`;

test("columns of a matrix", () => {
  const kernel = parseKernel(text("t * 4 + 0"));
  expect(kernel.buffers[0]).toMatchObject({ lanes: 4, wide: 4 });
  expect(printKernel(parseKernel(printKernel(kernel)))).toBe(printKernel(kernel));
  expect(kernelProblems(kernel)).toEqual([]);
  const { code: wgsl } = emitKernel(kernel, DEFAULT_TARGET);
  expect(wgsl).toContain("x: array<mat4x4f, 16>");
  expect(wgsl.match(/x\[/g)).toHaveLength(1);
  expect(wgsl.match(/x_at\[[0-3]\]/g)).toHaveLength(4);
});

test("other indices are refused", () => {
  for (const index of ["t", "t * 4 + 4", "t * 2 + 0", "t * 4 + t"])
    expect(kernelProblems(parseKernel(text(index))).join()).toMatch(/x is wide/);
});
