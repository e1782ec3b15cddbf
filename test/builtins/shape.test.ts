import { describe, expect, it } from "vitest";
import {
  array,
  call,
  callAll,
  counted,
  errorCode,
  nested,
  Session,
  shaped,
  symbolic,
  tensorsIn,
  value,
} from "./harness.ts";

const x = counted([2, 3], undefined, "i32");
const cube = counted([2, 3, 4], undefined, "i32");

describe("views", () => {
  it("reshapes in row-major order", () => {
    for (const shape of [[6], [3, 2], [1, 6, 1], [2, 3], [2, 1, 3]])
      expect(call("reshape", [x, shape]).data).toEqual(x.data);
    for (const shape of [[4, 6], [8, 3], [2, 12], [24], [3, 8], [2, 2, 3, 2]])
      expect(call("reshape", [cube, shape]).data).toEqual(cube.data);
    expect(call("reshape", [cube, [4, -1]]).shape).toEqual([4, 6]);
    expect(call("reshape", [cube, -1, 8]).shape).toEqual([3, 8]);
    expect(call("reshape", [shaped([0, 3], []), [3, 0]]).shape).toEqual([3, 0]);
  });
  it("reshapes symbolic extents", () => {
    const s = symbolic(cube, "B", undefined, "T");
    const t = new Session();
    const v = t.value(s);
    const flat = t.call("flatten", [v]);
    const back = t.call("reshape", [
      flat,
      v.kind === "tensor" ? v.shape.map((extent) => ({ kind: "int", extent, span: v.span })) : [],
    ]);
    const merged = t.call("reshape", [
      v,
      [-1, v.kind === "tensor" ? { kind: "int", extent: v.shape[2]!, span: v.span } : 0],
    ]);
    expect(
      t.results(tensorsIn({ kind: "list", items: [flat, back, merged], span: v.span })).map((r) => [r.shape, r.data]),
    ).toEqual([
      [[24], cube.data],
      [[2, 3, 4], cube.data],
      [[6, 4], cube.data],
    ]);
  });
  it("refuses shapes that do not fit", () => {
    expect(errorCode("reshape", [x, [4]])).toBe("EIN1203");
    expect(errorCode("reshape", [x, [4, -1]])).toBe("EIN1203");
    expect(errorCode("reshape", [x, [-1, -1]])).toBe("EIN1205");
    expect(errorCode("reshape", [shaped([0], []), [0, -1]])).toBe("EIN1205");
    expect(errorCode("reshape", [x, [-2, 3]])).toBe("EIN1503");
  });
  it("moves axes", () => {
    expect(value("transpose", [x])).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    expect(call("permute", [cube, [2, 0, 1]]).shape).toEqual([4, 2, 3]);
    expect((nested(call("permute", [cube, 2, 0, 1])) as number[][][])[3]?.[1]?.[2]).toBe(23);
    expect(call("transpose", [cube, 0, -1]).shape).toEqual([4, 3, 2]);
    expect(call("moveaxis", [cube, 0, -1]).shape).toEqual([3, 4, 2]);
    expect(call("moveaxis", [cube, [0, 1], [1, 0]]).shape).toEqual([3, 2, 4]);
    expect(call("unsqueeze", [x, [0, -1]]).shape).toEqual([1, 2, 3, 1]);
    expect(call("squeeze", [counted([1, 2, 1])]).shape).toEqual([2]);
    expect(errorCode("squeeze", [x, 0])).toBe("EIN1203");
    expect(errorCode("permute", [x, [0, 0]])).toBe("EIN1304");
    expect(call("unflatten", [counted([6]), 0, [2, -1]]).shape).toEqual([2, 3]);
  });
  it("stretches", () => {
    expect(value("broadcast_to", [array([[1], [2]]), [2, 2]])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(call("expand", [array([[1], [2]]), 3, -1, 2]).shape).toEqual([3, 2, 2]);
    expect(errorCode("broadcast_to", [x, [3, 3]])).toBe("EIN1203");
  });
  it("turns, flips and rolls", () => {
    expect(value("flip", [x, 1])).toEqual([
      [2, 1, 0],
      [5, 4, 3],
    ]);
    expect(value("flip", [x])).toEqual([
      [5, 4, 3],
      [2, 1, 0],
    ]);
    expect(value("roll", [x, 1, 1])).toEqual([
      [2, 0, 1],
      [5, 3, 4],
    ]);
    expect(value("roll", [x, 2])).toEqual([
      [4, 5, 0],
      [1, 2, 3],
    ]);
    expect(value("roll", [x, [1, -1], [0, 1]])).toEqual([
      [4, 5, 3],
      [1, 2, 0],
    ]);
    expect(
      value("rot90", [
        array([
          [1, 2],
          [3, 4],
        ]),
      ]),
    ).toEqual([
      [2, 4],
      [1, 3],
    ]);
    expect(
      value("rot90", [
        array([
          [1, 2],
          [3, 4],
        ]),
        -1,
      ]),
    ).toEqual([
      [3, 1],
      [4, 2],
    ]);
    expect(
      value("rot90", [
        array([
          [1, 2],
          [3, 4],
        ]),
        2,
      ]),
    ).toEqual([
      [4, 3],
      [2, 1],
    ]);
  });
  it("takes diagonals and triangles", () => {
    expect(value("diagonal", [x])).toEqual([0, 4]);
    expect(value("diagonal", [x, 1])).toEqual([1, 5]);
    expect(value("diagonal", [x, -1])).toEqual([3]);
    expect(value("diag", [array([1, 2]), 1])).toEqual([
      [0, 1, 0],
      [0, 0, 2],
      [0, 0, 0],
    ]);
    expect(value("diag", [array([1, 2]), -1])).toEqual([
      [0, 0, 0],
      [1, 0, 0],
      [0, 2, 0],
    ]);
    expect(value("tril", [x])).toEqual([
      [0, 0, 0],
      [3, 4, 0],
    ]);
    expect(value("triu", [x, 1])).toEqual([
      [0, 1, 2],
      [0, 0, 5],
    ]);
  });
  it("repeats and cuts windows", () => {
    expect(value("tile", [array([1, 2]), [2, 2]])).toEqual([
      [1, 2, 1, 2],
      [1, 2, 1, 2],
    ]);
    expect(value("repeat", [array([[1, 2]]), 2], { axis: 1 })).toEqual([[1, 1, 2, 2]]);
    expect(value("repeat", [array([[1, 2]]), 2])).toEqual([1, 1, 2, 2]);
    expect(value("unfold", [counted([5]), 0, 3, 2])).toEqual([
      [0, 1, 2],
      [2, 3, 4],
    ]);
    expect(value("narrow", [counted([5]), 0, -3, 2])).toEqual([2, 3]);
    expect(errorCode("narrow", [counted([5]), 0, 4, 2])).toBe("EIN1205");
    expect(callAll("meshgrid", [array([1, 2]), array([3, 4, 5])]).map(nested)).toEqual([
      [
        [1, 1, 1],
        [2, 2, 2],
      ],
      [
        [3, 4, 5],
        [3, 4, 5],
      ],
    ]);
    expect(callAll("meshgrid", [array([1, 2]), array([3, 4, 5])], { indexing: "xy" }).map((r) => r.shape)).toEqual([
      [3, 2],
      [3, 2],
    ]);
  });
});

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
