/** Functions that read between pixels, and spectra of real signals, against plain loops. */
import { describe, expect, it } from "vitest";
import { shaped } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, read } from "./harness.ts";

describe("std/image, between pixels", () => {
  const x = noise([1, 2, 4, 6]);
  const inside = (n: number, c: number, i: number, j: number): number =>
    i >= 0 && i < 4 && j >= 0 && j < 6 ? read(x, [n, c, i, j]) : 0;
  const between = (n: number, c: number, v: number, u: number): number => {
    const [i, j] = [Math.floor(v), Math.floor(u)];
    const [b, a] = [v - i, u - j];
    return (
      (1 - b) * ((1 - a) * inside(n, c, i, j) + a * inside(n, c, i, j + 1)) +
      b * ((1 - a) * inside(n, c, i + 1, j) + a * inside(n, c, i + 1, j + 1))
    );
  };
  it("resamples with a stretched kernel, and with weights of what is there", () => {
    const at = [0.25, 2.5, 4.75];
    const weighted = (i: number, stretch: number, exclude: boolean, row: (k: number) => number): number => {
      let [sum, total] = [0, 0];
      for (let k = -9; k < 15; k++) {
        const w = Math.max(0, 1 - Math.abs(k - at[i]!) / stretch);
        if (w === 0 || (exclude && (k < 0 || k > 5))) continue;
        sum += w * row(Math.min(Math.max(k, 0), 5));
        total += w;
      }
      return sum / total;
    };
    const places = "for[i in 0..3] (i as f32) * 2.25 + 0.25";
    for (const [stretch, reach, exclude] of [
      [1, 1, false],
      [2, 2, false],
      [2.5, 3, true],
    ] as const)
      expectClose(
        evaluate("image", `resample(a, (${places}), -1, "linear", ${reach}, ${stretch}, ${exclude})`, x),
        build([1, 2, 4, 3], ([n, c, i, j]) => weighted(j!, stretch, exclude, (k) => read(x, [n!, c!, i!, k]))),
      );
    expectClose(evaluate("image", `resample(a, (for[i in 0..6] i as f32), -1, "cubic", 2)`, x), x);
  });
  it("aligns regions", () => {
    const regions = shaped([2, 4], [0, 0.5, 5, 3.5, 2, 1, 2.4, 3]);
    const ids = shaped([2], [0, 0], "i32");
    const mean = (aligned: boolean) =>
      build([2, 2, 2, 3], ([r, c, i, j]) => {
        const [left, top, right, bottom] = [0, 1, 2, 3].map((k) => read(regions, [r!, k]) - (aligned ? 0.5 : 0)) as [
          number,
          number,
          number,
          number,
        ];
        const size = (n: number): number => (aligned ? n : Math.max(n, 1));
        const [h, w] = [size(bottom - top) / 2, size(right - left) / 3];
        let sum = 0;
        for (const p of [0.25, 0.75])
          for (const q of [0.25, 0.75]) {
            const [v, u] = [top + (i! + p) * h, left + (j! + q) * w];
            if (v >= -1 && v <= 4 && u >= -1 && u <= 6)
              sum += between(0, c!, Math.min(Math.max(v, 0), 3), Math.min(Math.max(u, 0), 5));
          }
        return sum / 4;
      });
    for (const aligned of [true, false])
      expectClose(evaluate("image", `roi_align(a, b, c, 2, 3, 2, 1.0, ${aligned})`, x, regions, ids), mean(aligned));
  });
  it("moves images and volumes by affine maps", () => {
    const same = shaped([1, 2, 3], [1, 0, 0, 0, 1, 0]);
    expectClose(evaluate("image", "grid_sample(b, affine_grid(a, 4, 6))", same, x), x);
    expectClose(
      evaluate("image", "affine_grid(a, 2, 2, true)", shaped([1, 2, 3], [2, 0, 1, 0, 3, 0])),
      shaped([1, 2, 2, 2], [-1, -3, 3, -3, -1, 3, 3, 3]),
    );
    const volume = noise([1, 2, 3, 4, 2]);
    const turned = shaped([1, 3, 4], [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    const mirrored = build(volume.shape, ([n, c, d, i, j]) => read(volume, [n!, c!, d!, i!, 1 - j!]));
    for (const mode of ["bilinear", "nearest"])
      expectClose(
        evaluate("image", `grid_sample3d(b, affine_grid3d(a, 3, 4, 2), "${mode}")`, turned, volume),
        mirrored,
      );
  });
});

describe("std/signal, real spectra", () => {
  it("undoes the transform of a real signal from its first half", () => {
    for (const length of [6, 7]) {
      const x = noise([2, length]);
      const bins = Math.floor(length / 2) + 1;
      expectClose(evaluate("signal", `irdft(dft(a, bins: ${bins}).re, dft(a, bins: ${bins}).im, ${length})`, x), x);
    }
  });
  it("sums a spectrum into mel bands", () => {
    const w = evaluate("signal", "mel_weights(a, b, 4, 64, 8000)", shaped([], [100]), shaped([], [3500]));
    expect(w.shape).toEqual([33, 4]);
    const mel = (f: number): number => 2595 * Math.log10(1 + f / 700);
    const edges = Array.from({ length: 6 }, (_, k) =>
      Math.floor((65 * 700 * (10 ** ((mel(100) + (k * (mel(3500) - mel(100))) / 6) / 2595) - 1)) / 8000),
    );
    expectClose(
      w,
      build([33, 4], ([j, i]) => {
        const [a, b, c] = [edges[i!]!, edges[i! + 1]!, edges[i! + 2]!];
        return j! >= b && j! < c ? (c - j!) / (c - b) : j! >= a && j! <= b ? (j! - a) / (b - a) : 0;
      }),
    );
  });
});
