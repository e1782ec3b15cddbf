import { describe, expect, it } from "vitest";
import { array, call, callAll, counted, errorCode, shaped, value } from "./harness.ts";

const x = counted([2, 3], undefined, "i32");
const _cube = counted([2, 3, 4], undefined, "i32");

describe("joining and cutting", () => {
  it("joins", () => {
    expect(
      value("cat", [
        [
          array([[1, 2]]),
          array([
            [3, 4],
            [5, 6],
          ]),
          shaped([0, 2], []),
        ],
      ]),
    ).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(
      value("cat", [
        [
          array([[1], [2]]),
          array([
            [3, 4],
            [5, 6],
          ]),
        ],
        1,
      ]),
    ).toEqual([
      [1, 3, 4],
      [2, 5, 6],
    ]);
    expect(value("stack", [[array([1, 2]), array([3, 4]), array([5, 6])]], { axis: 1 })).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ]);
    expect(value("hstack", [[array([1, 2]), array([3])]])).toEqual([1, 2, 3]);
    expect(value("vstack", [[array([1, 2]), array([3, 4])]])).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(value("column_stack", [[array([1, 2]), array([3, 4])]])).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(call("dstack", [[array([1, 2]), array([3, 4])]]).shape).toEqual([1, 2, 2]);
    expect(value("cat", [[array([true], "bool"), array([false], "bool")]])).toEqual([1, 0]);
    expect(errorCode("cat", [[array([[1, 2]]), array([[1, 2, 3]])]])).toBe("EIN1203");
    expect(errorCode("cat", [[]])).toBe("EIN1501");
  });
  it("joins many parts without deep nesting", () => {
    const parts = Array.from({ length: 700 }, (_, k) => array([k], "i32"));
    expect(call("cat", [parts]).data).toEqual(parts.map((_, k) => k));
  });
  it("splits", () => {
    expect(callAll("split", [counted([5]), [2, 3]]).map((r) => r.data)).toEqual([
      [0, 1],
      [2, 3, 4],
    ]);
    expect(callAll("split", [counted([5]), 2]).map((r) => r.data)).toEqual([[0, 1], [2, 3], [4]]);
    expect(callAll("chunk", [counted([5]), 2]).map((r) => r.data)).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    expect(callAll("unstack", [x]).map((r) => r.data)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(errorCode("split", [counted([5]), [2, 2]])).toBe("EIN1203");
  });
  it("pads in every mode", () => {
    const v = array([1, 2, 3]);
    expect(value("pad", [v, [2, 1]])).toEqual([0, 0, 1, 2, 3, 0]);
    expect(value("pad", [v, 1], { value: 9 })).toEqual([9, 1, 2, 3, 9]);
    expect(value("pad", [v, [2, 2], "edge"])).toEqual([1, 1, 1, 2, 3, 3, 3]);
    expect(value("pad", [v, [2, 2], "reflect"])).toEqual([3, 2, 1, 2, 3, 2, 1]);
    expect(value("pad", [v, [4, 4], "reflect"])).toEqual([1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]);
    expect(value("pad", [v, [2, 4], "symmetric"])).toEqual([2, 1, 1, 2, 3, 3, 2, 1, 1]);
    expect(value("pad", [v, [2, 2], "circular"])).toEqual([2, 3, 1, 2, 3, 1, 2]);
    expect(value("pad", [v, [-1, 1]])).toEqual([2, 3, 0]);
    expect(
      value("pad", [
        array([[1, 2]]),
        [
          [1, 0],
          [0, 1],
        ],
      ]),
    ).toEqual([
      [0, 0, 0],
      [1, 2, 0],
    ]);
    expect(value("pad", [array([[1, 2]]), [1, 0]], { axis: 1 })).toEqual([[0, 1, 2]]);
    expect(value("pad", [array([5]), [1, 2], "reflect"])).toEqual([5, 5, 5, 5]);
  });
});

describe("making tensors", () => {
  it("counts", () => {
    expect(call("arange", [3])).toMatchObject({ dtype: "i32", data: [0, 1, 2] });
    expect(call("arange", [2, 9, 3]).data).toEqual([2, 5, 8]);
    expect(call("arange", [5, 0, -2]).data).toEqual([5, 3, 1]);
    expect(call("arange", [3, 1]).data).toEqual([]);
    expect(call("arange", [0.5, 2, 0.5])).toMatchObject({ dtype: "f32", data: [0.5, 1, 1.5] });
    expect(call("arange", [3], { dtype: "f32" })).toMatchObject({ dtype: "f32", data: [0, 1, 2] });
    expect(call("linspace", [0, 1, 5]).data).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(call("linspace", [0, 1, 4], { endpoint: false }).data).toEqual([0, 0.25, 0.5, 0.75]);
    expect(call("linspace", [2, 9, 1]).data).toEqual([2]);
    expect(errorCode("arange", [0, 3, 0])).toBe("EIN1502");
    expect(errorCode("zeros", [[2, -1]])).toBe("EIN1503");
  });
  it("fills", () => {
    expect(value("zeros", [[2, 2]])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(call("ones", [2], { dtype: "i32" })).toMatchObject({ dtype: "i32", data: [1, 1] });
    expect(call("full", [[2], 7])).toMatchObject({ dtype: "i32", data: [7, 7] });
    expect(call("zeros_like", [x])).toMatchObject({ dtype: "i32", shape: [2, 3] });
    expect(value("eye", [2, 3], { k: 1 })).toEqual([
      [0, 1, 0],
      [0, 0, 1],
    ]);
    expect(value("tri", [2, 3])).toEqual([
      [1, 0, 0],
      [1, 1, 0],
    ]);
    expect(value("one_hot", [array([1, 0, 5], "i32"), 2])).toEqual([
      [0, 1],
      [1, 0],
      [0, 0],
    ]);
    expect(value("one_hot", [array([1, 0], "i32"), 2, 0, 5, 2])).toEqual([
      [2, 5],
      [5, 2],
    ]);
    expect(call("hann_window", [4]).data.map((e) => Math.round(e * 1e6) / 1e6)).toEqual([0, 0.5, 1, 0.5]);
  });
});

describe("places from data", () => {
  const m = array([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  it("gathers, wraps negatives and fills outside", () => {
    expect(value("take", [m, array([2, -3, 7], "i32"), 0])).toEqual([
      [5, 6],
      [1, 2],
      [0, 0],
    ]);
    expect(value("take", [m, array([5, 0], "i32")])).toEqual([6, 1]);
    expect(value("take", [m, array([[0, 1]], "i32"), 1])).toEqual([[[1, 2]], [[3, 4]], [[5, 6]]]);
    expect(value("gather", [m, array([[1], [0]], "i32")], { axis: 1 })).toEqual([[2], [3]]);
    expect(value("gather", [m, 0, array([[2, 0]], "i32")])).toEqual([[5, 2]]);
    expect(value("gather", [m, array([[9, 0]], "i32")], { axis: 0, fill: -1 })).toEqual([[-1, 2]]);
    expect(value("take_along_axis", [m, array([[1], [0], [-1]], "i32"), 1])).toEqual([[2], [3], [6]]);
    expect(value("index_select", [m, array([1], "i32"), 0])).toEqual([[3, 4]]);
    expect(
      value("gather_nd", [
        m,
        array(
          [
            [2, 1],
            [0, 0],
          ],
          "i32",
        ),
      ]),
    ).toEqual([6, 1]);
    expect(value("gather_nd", [m, array([[1], [0]], "i32")])).toEqual([
      [3, 4],
      [1, 2],
    ]);
    expect(errorCode("gather", [m, array([1], "i32")], { axis: 0 })).toBe("EIN1202");
    expect(errorCode("take", [m, array([1.5])])).toBe("EIN1201");
  });
  it("scatters and drops what is outside", () => {
    const z = counted([3], () => 0);
    expect(value("scatter_add", [z, array([0, 2, 0, 9], "i32"), array([1, 2, 3, 4]), 0])).toEqual([4, 0, 2]);
    expect(value("scatter", [z, array([1, 1], "i32"), array([5, 6]), 0])).toEqual([0, 6, 0]);
    expect(value("scatter", [array([1, 2, 3]), array([0, -1], "i32"), array([5, 6]), 0], { mode: "mul" })).toEqual([
      5, 2, 18,
    ]);
    expect(value("scatter", [array([1, 2, 3]), array([0], "i32"), 7, 0])).toEqual([7, 2, 3]);
    expect(
      value("index_add", [
        m,
        array([0, 0], "i32"),
        array([
          [1, 1],
          [2, 2],
        ]),
        0,
      ]),
    ).toEqual([
      [4, 5],
      [3, 4],
      [5, 6],
    ]);
    expect(
      value("scatter_nd", [
        m,
        array([[1], [2]], "i32"),
        array([
          [7, 7],
          [8, 8],
        ]),
      ]),
    ).toEqual([
      [1, 2],
      [7, 7],
      [8, 8],
    ]);
    expect(value("bincount", [array([0, 2, 2, -1], "i32"), 3])).toEqual([1, 0, 2]);
    expect(value("bincount", [array([0, 2, 2], "i32"), 3, array([1, 2, 3])])).toEqual([1, 0, 5]);
    expect(value("histogram", [array([0, 0.9, 1, 2, 2.1, -1]), 2, 0, 2])).toEqual([2, 2]);
  });
});
