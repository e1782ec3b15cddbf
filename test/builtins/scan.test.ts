/** Scans and reductions by functions of one's own, from source text. */
import { describe, expect, it } from "vitest";
import { runAll } from "../std/harness.ts";
import { array, nested } from "./harness.ts";

describe("functions as arguments", () => {
  it("scans a linear recurrence as pairs", () => {
    const source = `export fn f(a: f32[N], b: f32[N]) {
      let h = scan(|p, q| { a: p.a * q.a, b: q.a * p.b + q.b }, { a: 1.0, b: 0.0 }, { a: a, b: b }, axis: 0)
      h.b
    }`;
    const [a, b] = [array([0.5, 2, -1, 3]), array([1, 2, 3, 4])];
    let h = 0;
    const want = a.data.map((x, k) => {
      h = x * h + (b.data[k] as number);
      return h;
    });
    expect(runAll(source, { a, b }).map(nested)).toEqual([want]);
  });
  it("scans backwards and without the element", () => {
    const text = (options: string): string =>
      `export fn f(x: f32[N, M]) { scan(|p, q| p * q, 1.0, x, axis: 1${options}) }`;
    const x = array([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(runAll(text(""), { x }).map(nested)).toEqual([
      [
        [1, 2, 6],
        [4, 20, 120],
      ],
    ]);
    expect(runAll(text(", reverse: true, exclusive: true"), { x }).map(nested)).toEqual([
      [
        [6, 3, 1],
        [30, 6, 1],
      ],
    ]);
  });
  it("reduces by a function over any axes", () => {
    const x = array([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(
      runAll("export fn f(x: f32[N, M]) { reduce(|p, q| p + q + p * q, 0.0, x, axis: 0) }", { x }).map(nested),
    ).toEqual([[9, 17, 27]]);
    expect(runAll("export fn f(x: f32[N, M]) { reduce(|p, q| max(p, q), -inf, x) }", { x }).map(nested)).toEqual([6]);
  });
  it("refuses functions that read other tensors", () => {
    expect(() =>
      runAll("export fn f(x: f32[N], y: f32) { scan(|p, q| p * q + y, 1.0, x, axis: 0) }", {
        x: array([1]),
        y: array(2),
      }),
    ).toThrow(/EIN1501 this function may use only its parameters and constants/);
    expect(() => runAll("export fn f(x: f32[N]) { scan(|p, q| p < q, 1.0, x, axis: 0) }", { x: array([1]) })).toThrow(
      /EIN1201/,
    );
  });
  it("refuses what is not associative, and an init that is no identity", () => {
    expect(() =>
      runAll("export fn f(x: f32[N]) { scan(|h, v| 0.5 * h + v, 0.0, x, axis: 0) }", { x: array([1]) }),
    ).toThrow(/EIN1503/);
    expect(() => runAll("export fn f(x: i32[N]) { reduce(|p, q| p - q, 0, x) }", { x: array([1], "i32") })).toThrow(
      /EIN1503/,
    );
    expect(() => runAll("export fn f(x: f32[N]) { reduce(|p, q| p + q, 1.0, x) }", { x: array([1]) })).toThrow(
      /EIN1503 init must be the identity of the function, but f\(1, 1\) is 2/,
    );
  });
  it("keeps infinities that the identity would spoil", () => {
    const x = array([Number.POSITIVE_INFINITY]);
    expect(runAll("export fn f(x: f32[N]) { reduce(|p, q| p + q + p * q, 0.0, x) }", { x }).map(nested)).toEqual([
      Number.POSITIVE_INFINITY,
    ]);
  });
});
