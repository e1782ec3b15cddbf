import { describe, expect, it } from "vitest";
import { array } from "../builtins/harness.ts";
import { evaluate, expectClose, resultOf } from "./harness.ts";

const _total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);

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
