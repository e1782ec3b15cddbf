import { describe, expect, it } from "vitest";
import { checkModule } from "../../src/elaborate/index.ts";
import { loadModules } from "../../src/modules.ts";
import { resolveStd } from "../../src/std/index.ts";
import { array } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, type Plain, read, resultOf } from "./harness.ts";

const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);
const MODULES = ["nn", "linalg", "array", "math", "image", "signal"];

describe("the library", () => {
  for (const name of MODULES)
    it(`std/${name} elaborates for all extents, and everything in it is documented`, () => {
      const checked = checkModule(loadModules(resolveStd(`std/${name}`) ?? "", `std/${name}.ein`, { std: resolveStd }));
      expect(checked.diagnostics.map((d) => `${d.code} ${d.message}`)).toEqual([]);
      expect(checked.functions.filter((f) => f.exported && !f.doc).map((f) => f.name)).toEqual([]);
      expect(checked.functions.length).toBeGreaterThan(4);
    });
});

describe("std/signal", () => {
  const x = noise([2, 6]);
  const transform = (inverse: boolean): { readonly re: Plain; readonly im: Plain } => {
    const part = (f: (t: number) => number, sign: number): Plain =>
      build([2, 6], ([b, k]) =>
        total(
          [0, 1, 2, 3, 4, 5].map((n) => (sign * read(x, [b!, n]) * f((2 * Math.PI * k! * n) / 6)) / (inverse ? 6 : 1)),
        ),
      );
    return { re: part(Math.cos, 1), im: part(Math.sin, inverse ? 1 : -1) };
  };
  it("transforms as the sum says, and back", () => {
    for (const inverse of [false, true]) {
      expectClose(evaluate("signal", `dft(a, inverse: ${inverse}).re`, x), transform(inverse).re);
      expectClose(evaluate("signal", `dft(a, inverse: ${inverse}).im`, x), transform(inverse).im);
    }
    expectClose(evaluate("signal", "dft(dft(a).re, dft(a).im, inverse: true).re", x), x);
    expect(evaluate("signal", "stft(a, b).im", x, array([1, 1, 1, 1])).shape).toEqual([2, 3, 3]);
  });
  it("convolves and correlates", () => {
    expect(resultOf("signal", "convolve(a, b)", array([1, 2, 3]), array([1, -1]))).toEqual([1, 1, 1, -3]);
    expect(resultOf("signal", "correlate(a, b)", array([1, 2, 4]), array([1, -1]))).toEqual([-1, -2]);
  });
});
