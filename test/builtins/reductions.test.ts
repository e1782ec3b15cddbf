import { describe, expect, it } from "vitest";
import { array, call, counted, errorCode, type Given, shaped, symbolic, value } from "./harness.ts";

const INF = Number.POSITIVE_INFINITY;
const x = counted([2, 3, 4], (n) => ((n * 7) % 11) - 4.5);

/** The reference: groups of elements that one result is made of, by plain loops. */
function groups(axes: readonly number[]): readonly (readonly number[])[] {
  const map = new Map<string, number[]>();
  for (let i = 0; i < 2; i++)
    for (let j = 0; j < 3; j++)
      for (let k = 0; k < 4; k++) {
        const key = [i, j, k].filter((_, a) => !axes.includes(a)).join();
        map.set(key, [...(map.get(key) ?? []), x.data[(i * 3 + j) * 4 + k] as number]);
      }
  return [...map.values()];
}
const sum = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);
const mean = (v: readonly number[]): number => sum(v) / v.length;
const variance = (v: readonly number[], c = 0): number => sum(v.map((e) => (e - mean(v)) ** 2)) / (v.length - c);
const reference: Readonly<Record<string, (v: readonly number[]) => number>> = {
  sum,
  mean,
  prod: (v) => v.reduce((p, q) => p * q, 1),
  max: (v) => Math.max(...v),
  min: (v) => Math.min(...v),
  amax: (v) => Math.max(...v),
  amin: (v) => Math.min(...v),
  argmax: (v) => v.indexOf(Math.max(...v)),
  argmin: (v) => v.indexOf(Math.min(...v)),
  logsumexp: (v) => Math.log(sum(v.map(Math.exp))),
  var: variance,
  std: (v) => Math.sqrt(variance(v)),
  norm: (v) => Math.sqrt(sum(v.map((e) => e * e))),
  any: () => 1,
  all: () => 1,
  count_nonzero: (v) => v.filter((e) => e !== 0).length,
};

describe("reductions", () => {
  const choices: readonly [Given | undefined, readonly number[]][] = [
    [undefined, [0, 1, 2]],
    [null, [0, 1, 2]],
    [1, [1]],
    [-1, [2]],
    [
      [0, 2],
      [0, 2],
    ],
    [
      [-1, 0, 1],
      [0, 1, 2],
    ],
  ];
  for (const [name, f] of Object.entries(reference))
    it(`${name} over one, several, negative and all axes`, () => {
      for (const [axis, axes] of choices) {
        const named: Record<string, Given> = axis === undefined ? {} : { axis };
        const want = groups(axes).map((v) => f(v));
        const got = call(name, [x], named);
        expect(got.shape).toEqual([2, 3, 4].filter((_, k) => !axes.includes(k)));
        got.data.forEach((g, k) => {
          expect(g).toBeCloseTo(want[k] as number, 10);
        });
        const kept = call(name, [x], { ...named, keepdims: true });
        expect(kept.shape).toEqual([2, 3, 4].map((n, k) => (axes.includes(k) ? 1 : n)));
        expect(kept.data).toEqual(got.data);
      }
    });
  it("serves symbolic extents", () => {
    const s = symbolic(
      array([
        [1, 2],
        [3, 5],
      ]),
      "N",
      "M",
    );
    expect(value("mean", [s], { axis: 1 })).toEqual([1.5, 4]);
    expect(value("argmax", [s])).toBe(3);
    expect(value("var", [s], { axis: 0, correction: 1 })).toEqual([2, 4.5]);
  });
  it("has an answer for nothing, or refuses", () => {
    const empty = shaped([2, 0], []);
    expect(value("sum", [empty], { axis: 1 })).toEqual([0, 0]);
    expect(value("prod", [empty], { axis: 1 })).toEqual([1, 1]);
    expect(value("logsumexp", [empty], { axis: 1 })).toEqual([-INF, -INF]);
    expect(value("all", [shaped([0], [], "bool")])).toBe(1);
    expect(value("norm", [empty], { axis: 1, ord: { float: INF } })).toEqual([0, 0]);
    for (const name of ["max", "min", "argmax", "argmin"])
      expect(errorCode(name, [empty], { axis: 1 }), name).toBe("EIN1303");
  });
  it("keeps logsumexp finite where the sum is not", () => {
    expect(value("logsumexp", [array([1000, 1000])])).toBeCloseTo(1000 + Math.LN2, 10);
    expect(
      value(
        "logsumexp",
        [
          array([
            [-INF, -INF],
            [INF, 1],
            [Number.NaN, 1],
          ]),
        ],
        { axis: 1 },
      ),
    ).toEqual([-INF, INF, Number.NaN]);
  });
  it("has all the norms", () => {
    const v = array([3, -4, 0]);
    expect(value("norm", [v], { ord: 1 })).toBe(7);
    expect(value("norm", [v], { ord: 0 })).toBe(2);
    expect(value("norm", [v], { ord: { float: INF } })).toBe(4);
    expect(value("norm", [v], { ord: { float: -INF } })).toBe(0);
    expect(value("norm", [v], { ord: 3 })).toBeCloseTo(91 ** (1 / 3), 10);
  });
  it("corrects the variance", () => {
    expect(value("var", [array([1, 2, 4])], { correction: 1 })).toBeCloseTo(7 / 3, 12);
    expect(value("std", [array([1, 2, 4])], { ddof: 1 })).toBeCloseTo(Math.sqrt(7 / 3), 12);
    expect(value("var", [array([1e8, 1e8 + 2])])).toBe(1);
  });
  it("counts bools, sums integers and accumulates f16 in f32", () => {
    expect(call("sum", [array([true, true, false], "bool")])).toMatchObject({ dtype: "i32", data: [2] });
    expect(call("sum", [array([2147483647, 1], "i32")])).toMatchObject({ dtype: "i32", data: [-2147483648] });
    expect(call("mean", [array([60000, 60000], "f16")])).toMatchObject({ dtype: "f16", data: [60000] });
    expect(call("argmax", [array([false, true, true], "bool")])).toMatchObject({ dtype: "i32", data: [1] });
    expect(call("max", [array([false, true], "bool")])).toMatchObject({ dtype: "bool", data: [1] });
  });
  it("refuses what does not fit", () => {
    expect(errorCode("mean", [array([1], "i32")])).toBe("EIN1201");
    expect(errorCode("sum", [x], { axis: 3 })).toBe("EIN1304");
    expect(errorCode("sum", [x], { axis: [1, -2] })).toBe("EIN1304");
    expect(errorCode("sum", [x], { axis: 1.5 })).toBe("EIN1502");
  });
});

describe("scans", () => {
  const v = array([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  it("runs along an axis, from either end, with and without the element", () => {
    expect(value("cumsum", [v], { axis: 1 })).toEqual([
      [1, 3, 6],
      [4, 9, 15],
    ]);
    expect(value("cumsum", [v], { axis: 0, reverse: true })).toEqual([
      [5, 7, 9],
      [4, 5, 6],
    ]);
    expect(value("cumsum", [v], { axis: 1, exclusive: true })).toEqual([
      [0, 1, 3],
      [0, 4, 9],
    ]);
    expect(value("cumsum", [v], { axis: 1, exclusive: true, reverse: true })).toEqual([
      [5, 3, 0],
      [11, 6, 0],
    ]);
    expect(value("cumprod", [v], { axis: 1 })).toEqual([
      [1, 2, 6],
      [4, 20, 120],
    ]);
    expect(value("cummin", [array([3, 1, 2])])).toEqual([3, 1, 1]);
    expect(errorCode("cumsum", [v])).toBe("EIN1501");
  });
  it("says where the running maximum was, the later of equals", () => {
    const both = call("cummax", [array([1, 3, 3, 2])], { indices: true });
    expect(both.data).toEqual([1, 3, 3, 3]);
  });
  it("sums exponentials without overflow", () => {
    const got = call("logcumsumexp", [array([-INF, 1000, 1000, 999])]).data;
    [-INF, 1000, 1000 + Math.LN2, 1000 + Math.log(2 + Math.exp(-1))].forEach((w, k) => {
      expect(got[k]).toBeCloseTo(w, 9);
    });
  });
  it("takes differences and integrals", () => {
    expect(value("diff", [array([1, 4, 9, 16])])).toEqual([3, 5, 7]);
    expect(value("diff", [array([1, 4, 9, 16])], { n: 2 })).toEqual([2, 2]);
    expect(value("trapezoid", [array([1, 2, 3])])).toBe(4);
    expect(value("trapezoid", [array([1, 2, 3]), array([0, 1, 3])])).toBe(6.5);
    expect(value("trapezoid", [array([1, 2, 3]), null, 0.5])).toBe(2);
  });
});
