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
