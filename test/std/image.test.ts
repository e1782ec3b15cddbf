import { describe, expect, it } from "vitest";
import { shaped } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, positions, read } from "./harness.ts";

const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);

describe("std/image", () => {
  const x = noise([2, 3, 5, 6]);
  it("cuts patches and puts them back", () => {
    const patches = build([2, 12, 12], ([n, p, l]) => {
      const [c, r, s] = [Math.floor(p! / 4), Math.floor(p! / 2) % 2, p! % 2];
      return read(x, [n!, c, Math.floor(l! / 4) * 2 + r - 1, (l! % 4) * 2 + s - 1]);
    });
    expectClose(evaluate("image", "im2col(a, 2, padding: 1, stride: 2)", x), patches);
    // Every pixel once for every patch that holds it: here once.
    expectClose(evaluate("image", "col2im(im2col(a, 2, padding: 1, stride: 2), 5, 6, 2, padding: 1, stride: 2)", x), x);
    const count = (i: number, h: number): number => [0, 1, 2].filter((r) => i - r >= 0 && i - r <= h - 3).length;
    expectClose(
      evaluate("image", "col2im(im2col(a, 3), 5, 6, 3)", x),
      build(x.shape, (at) => read(x, at) * count(at[2]!, 5) * count(at[3]!, 6)),
    );
  });
  it("shuffles channels and space", () => {
    const y = noise([1, 8, 2, 3]);
    expectClose(
      evaluate("image", "pixel_shuffle(a, 2)", y),
      build([1, 2, 4, 6], ([n, c, i, j]) => read(y, [n!, c! * 4 + (i! % 2) * 2 + (j! % 2), i! >> 1, j! >> 1])),
    );
    expectClose(evaluate("image", "pixel_unshuffle(pixel_shuffle(a, 2), 2)", y), y);
    expectClose(
      evaluate("image", "channel_shuffle(a, 2)", y),
      build(y.shape, ([n, c, i, j]) => read(y, [n!, (c! % 2) * 4 + (c! >> 1), i!, j!])),
    );
  });
  const where = (i: number, n: number, m: number, corners: boolean): number =>
    corners ? (i * (n - 1)) / Math.max(m - 1, 1) : ((i + 0.5) * n) / m - 0.5;
  const pixel = (n: number, c: number, i: number, j: number): number =>
    read(x, [n, c, Math.min(4, Math.max(0, i)), Math.min(5, Math.max(0, j))]);
  it("resizes", () => {
    expectClose(
      evaluate("image", "upsample_nearest2d(a, [7, 4])", x),
      build([2, 3, 7, 4], ([n, c, i, j]) => pixel(n!, c!, Math.floor((i! * 5) / 7), Math.floor((j! * 6) / 4))),
    );
    for (const corners of [false, true]) {
      expectClose(
        evaluate("image", `upsample_bilinear(a, [8, 4], align_corners: ${corners})`, x),
        build([2, 3, 8, 4], ([n, c, i, j]) => {
          const [v, u] = [Math.max(0, where(i!, 5, 8, corners)), Math.max(0, where(j!, 6, 4, corners))];
          const [top, left] = [Math.floor(v), Math.floor(u)];
          return total(
            [0, 1].flatMap((p) =>
              [0, 1].map(
                (q) => (p ? v - top : 1 - v + top) * (q ? u - left : 1 - u + left) * pixel(n!, c!, top + p, left + q),
              ),
            ),
          );
        }),
      );
      const kernel = (t: number): number =>
        t <= 1 ? (1.25 * t - 2.25) * t * t + 1 : t < 2 ? ((-0.75 * t + 3.75) * t - 6) * t + 3 : 0;
      expectClose(
        evaluate("image", `upsample_bicubic(a, [8, 4], align_corners: ${corners})`, x),
        build([2, 3, 8, 4], ([n, c, i, j]) => {
          const [v, u] = [where(i!, 5, 8, corners), where(j!, 6, 4, corners)];
          const taps = [-1, 0, 1, 2];
          return total(
            taps.flatMap((p) =>
              taps.map(
                (q) =>
                  kernel(Math.abs(v - Math.floor(v) - p)) *
                  kernel(Math.abs(u - Math.floor(u) - q)) *
                  pixel(n!, c!, Math.floor(v) + p, Math.floor(u) + q),
              ),
            ),
          );
        }),
      );
    }
  });
  it("samples at coordinates", () => {
    const grid = shaped(
      [2, 2, 3, 2],
      noise([2, 2, 3, 2], 4).data.map((v) => v / 3),
    );
    const at = (n: number, c: number, i: number, j: number): number => read(x, [n, c, i, j]);
    for (const corners of [false, true]) {
      const place = (g: number, n: number): number => (corners ? ((g + 1) / 2) * (n - 1) : ((g + 1) * n - 1) / 2);
      expectClose(
        evaluate("image", `grid_sample(a, b, align_corners: ${corners})`, x, grid),
        build([2, 3, 2, 3], ([n, c, i, j]) => {
          const [u, v] = [place(read(grid, [n!, i!, j!, 0]), 6), place(read(grid, [n!, i!, j!, 1]), 5)];
          const [left, top] = [Math.floor(u), Math.floor(v)];
          return total(
            [0, 1].flatMap((p) =>
              [0, 1].map(
                (q) => (p ? v - top : 1 - v + top) * (q ? u - left : 1 - u + left) * at(n!, c!, top + p, left + q),
              ),
            ),
          );
        }),
      );
      expectClose(
        evaluate("image", `grid_sample(a, b, padding: "border", align_corners: ${corners})`, x, grid),
        build([2, 3, 2, 3], ([n, c, i, j]) => {
          const [u, v] = [
            Math.min(5, Math.max(0, place(read(grid, [n!, i!, j!, 0]), 6))),
            Math.min(4, Math.max(0, place(read(grid, [n!, i!, j!, 1]), 5))),
          ];
          const [left, top] = [Math.floor(u), Math.floor(v)];
          return total(
            [0, 1].flatMap((p) =>
              [0, 1].map(
                (q) => (p ? v - top : 1 - v + top) * (q ? u - left : 1 - u + left) * pixel(n!, c!, top + p, left + q),
              ),
            ),
          );
        }),
      );
    }
    expect([...positions([1])].length).toBe(1);
  });
});
