import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectError, run, signatureOf } from "./helper.ts";

const x = [0, 1, 2, 3, 4];
const m = [
  [1, 2, 3],
  [4, 5, 6],
];
const slice = (items: string) => run(`export fn f(x: f32[N]) { x[${items}] }`, { x });
const grid = (items: string) => run(`export fn f(x: f32[N, M]) { x[${items}] }`, { x: m });

describe("slices", () => {
  it.each([
    ["1:3", [1, 2]],
    [":2", [0, 1]],
    ["3:", [3, 4]],
    [":", x],
    ["::2", [0, 2, 4]],
    ["::-1", [4, 3, 2, 1, 0]],
    ["-2:", [3, 4]],
    [":-3", [0, 1]],
    ["1:99", [1, 2, 3, 4]],
    ["4:2", []],
    ["-99:2", [0, 1]],
    ["3:0:-1", [3, 2, 1]],
    ["-2:0:-2", [3, 1]],
    ["::-2", [4, 2, 0]],
    ["99::-1", [4, 3, 2, 1, 0]],
    [":-99:-1", [4, 3, 2, 1, 0]],
    ["1:4:2", [1, 3]],
  ])("[%s]", (items, expected) => {
    expect(slice(items)).toEqual(expected);
  });
  it("take extents", () => {
    expect(run("export fn f(x: f32[N], k: const int = 2) { x[N - k:N] }", { x })).toEqual([3, 4]);
    expect(signatureOf("export fn f(x: f32[N], k: const int = 2) { x[:N - k] }").where).toEqual(["N >= 2"]);
  });
  it("that leave out as much have the same extent", () => {
    expect(run("export fn f(x: f32[N]) { x[1:] - x[:-1] }", { x })).toEqual([1, 1, 1, 1]);
    expect(signatureOf("export fn f(x: f32[N]) { x[1:] - x[:-1] }")).toMatchObject({
      where: [],
      results: [{ shape: ["max(0, N - 1)"] }],
    });
    expect(signatureOf("export fn f(x: f32[N]) { x[-2:] - x[:2] }")).toMatchObject({
      where: [],
      results: [{ shape: ["min(2, N)"] }],
    });
  });
  it("refuse a step of 0", () => {
    expectError("export fn f(x: f32[N]) { x[::0] }", "EIN1503", ["0"]);
  });
});

describe("basic indexing", () => {
  it("removes, keeps, adds axes", () => {
    expect(grid("0")).toEqual([1, 2, 3]);
    expect(grid("-1, -1")).toBe(6);
    expect(grid("..., 1")).toEqual([2, 5]);
    expect(grid(":, None, 1:")).toEqual([[[2, 3]], [[5, 6]]]);
    expect(grid("None, ..., 0, None")).toEqual([[[1], [4]]]);
    expect(grid("1, ::-1")).toEqual([6, 5, 4]);
  });
  it("checks constant indices", () => {
    expectError("export fn f(x: f32[2, 3]) { x[2] }", "EIN1301", ["2", "x"]);
    expectError("export fn f(x: f32[2, 3]) { x[0, -4] }", "EIN1301", ["-4", "x"]);
    expect(signatureOf("export fn f(x: f32[N]) { x[2] }").where).toEqual(["N >= 3"]);
    expect(signatureOf("export fn f(x: f32[N]) { x[-1] }").where).toEqual(["N >= 1"]);
  });
  it("counts its indices", () => {
    expectError("export fn f(x: f32[N]) { x[0, 0] }", "EIN1202", ["x[0, 0]", "x"]);
    expectError("export fn f(x: f32[N]) { x[..., ...] }", "EIN1202", ["x[..., ...]"]);
    expectError("export fn f(x: f32) { x[0] }", "EIN1202", ["x[0]", "x"]);
    expectError("export fn f(x: f32) { f[0] }", "EIN1204", ["f"]);
  });
  it("reads lists", () => {
    expect(run("export fn f(x: f32[N, M]) { x.shape[-1] * 10 + x.shape[0] }", { x: m })).toBe(32);
    expectError("export fn f(x: f32[N, M]) { x.shape[2] }", "EIN1304", ["2"]);
  });
});

describe("integer tensors", () => {
  it("gather", () => {
    expect(run("export fn f(x: f32[N, M], t: i32[K]) { x[t] ?? 0 }", { x: m, t: [1, 5] })).toEqual([
      [4, 5, 6],
      [0, 0, 0],
    ]);
    expect(run("export fn f(x: f32[N, M], t: i32[K]) { x[:, t] ?? 0 }", { x: m, t: [1, 0] })).toEqual([
      [2, 1],
      [5, 4],
    ]);
    expect(
      run("export fn f(x: f32[N, M], s: i32[K], t: i32[K]) { x[s, t] ?? 0 }", { x: m, s: [0, 1], t: [1, 2] }),
    ).toEqual([2, 6]);
    expect(run("export fn f(x: f32[N, M]) { x[arange(2)] }", { x: m })).toEqual(m);
  });
  it("need ?? unless they are certain", () => {
    expectError("export fn f(x: f32[N, M], t: i32[K]) { x[t] }", "EIN1301", ["t", "x"]);
  });
  it("are not masks", () => {
    expectError("export fn f(x: f32[N], t: bool[N]) { x[t] }", "EIN1201", ["t"]);
  });
});

/** Python's slice of 0…n-1, from its definition. */
function python(n: number, from: number | undefined, to: number | undefined, step: number): number[] {
  const clamp = (v: number, low: number, high: number): number => Math.min(Math.max(v < 0 ? v + n : v, low), high);
  const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
  const start = from === undefined ? (step > 0 ? low : high) : clamp(from, low, high);
  const stop = to === undefined ? (step > 0 ? high : low) : clamp(to, low, high);
  const out: number[] = [];
  for (let i = start; step > 0 ? i < stop : i > stop; i += step) out.push(i);
  return out;
}

it("slices as Python does, for sizes known and unknown", () => {
  const bound = fc.option(fc.integer({ min: -7, max: 7 }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 6 }),
      bound,
      bound,
      fc.constantFrom(1, 2, 3, -1, -2, -3),
      (n, from, to, step) => {
        const source = `export fn f(x: f32[N]) { x[${from ?? ""}:${to ?? ""}:${step}] }`;
        const values = Array.from({ length: n }, (_, k) => k);
        expect(run(source, { x: values })).toEqual(python(n, from, to, step));
      },
    ),
    { numRuns: 150 },
  );
});
