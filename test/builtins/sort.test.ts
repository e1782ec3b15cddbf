import { describe, expect, it } from "vitest";
import { noise, resultOf } from "../std/harness.ts";
import { array, call, callAll, counted, errorCode, value } from "./harness.ts";

const NAN = Number.NaN;

describe("order", () => {
  it("sorts along any axis, stably, NaN last", () => {
    expect(
      value("sort", [
        array([
          [3, 1, 2],
          [1, 1, 0],
        ]),
      ]),
    ).toEqual([
      [1, 2, 3],
      [0, 1, 1],
    ]);
    expect(
      value(
        "sort",
        [
          array([
            [3, 1, 2],
            [1, 1, 0],
          ]),
        ],
        { axis: 0, descending: true },
      ),
    ).toEqual([
      [3, 1, 2],
      [1, 1, 0],
    ]);
    expect(value("argsort", [array([2, 1, 2, 1])])).toEqual([1, 3, 0, 2]);
    expect(value("argsort", [array([2, 1, 2, 1])], { descending: true })).toEqual([0, 2, 1, 3]);
    expect(value("sort", [array([NAN, 1, Number.POSITIVE_INFINITY, -1])])).toEqual([
      -1,
      1,
      Number.POSITIVE_INFINITY,
      NAN,
    ]);
    expect(value("sort", [array([NAN, 1, NAN, -1])], { descending: true })).toEqual([NAN, NAN, 1, -1]);
    expect(value("sort", [array([3, -2147483648, 5], "i32")])).toEqual([-2147483648, 3, 5]);
    const x = noise([2, 50]);
    expect(call("sort", [x], { axis: 1 }).data).toEqual(
      [0, 1].flatMap((i) => x.data.slice(i * 50, i * 50 + 50).sort((a, b) => a - b)),
    );
  });
  it("chooses the k largest and smallest", () => {
    const [largest, place] = callAll("top_k", [array([1, 5, 3, 5]), 2]);
    expect([largest?.data, place?.data]).toEqual([
      [5, 5],
      [1, 3],
    ]);
    expect(
      callAll(
        "top_k",
        [
          array([
            [1, 5],
            [0, 7],
            [2, 6],
          ]),
          1,
          0,
        ],
        { largest: false },
      ).map((r) => r.data),
    ).toEqual([
      [0, 5],
      [1, 0],
    ]);
    expect(errorCode("top_k", [array([1, 2]), 3])).toBe("EIN1205");
  });
  it("refuses what would take too long", () => {
    expect(errorCode("sort", [counted([16385])])).toBe("EIN1107");
    expect(errorCode("sort", [array(1)])).toBe("EIN1202");
  });
  it("finds quantiles", () => {
    expect(
      resultOf(
        "array",
        "median(a)",
        array([
          [4, 1, 3],
          [2, 9, 5],
        ]),
      ),
    ).toEqual([3, 5]);
    expect(resultOf("array", "median(a)", array([4, 1, 3, 2]))).toBe(2);
    expect(resultOf("array", "kth_value(a, 2)", array([4, 1, 3, 2]))).toBe(2);
    expect(resultOf("array", "quantile(a, 0.5)", array([4, 1, 3, 2]))).toBe(2.5);
    expect(resultOf("array", "quantile(a, 0.25, axis: 0)", array([[4], [1], [3], [2], [0]]))).toEqual([1]);
    for (const [how, want] of [
      ["lower", 2],
      ["higher", 3],
      ["nearest", 2],
      ["midpoint", 2.5],
    ] as const)
      expect(resultOf("array", `quantile(a, 0.4, interpolation: "${how}")`, array([4, 1, 3, 2])), how).toBe(want);
  });
});
