import { describe, it } from "vitest";
import { array } from "../builtins/harness.ts";
import { evaluate, expectClose } from "./harness.ts";

const _total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);

describe("std/math", () => {
  const close = (text: string, points: readonly number[], want: readonly number[], relative: number): void =>
    expectClose(evaluate("math", text, array([...points])), { shape: [points.length], data: want }, relative);
  it("cbrt, angles, sinc, logit", () => {
    close("cbrt(a)", [-8, 0, 27], [-2, 0, 3], 1e-10);
    close("deg2rad(a)", [180], [Math.PI], 1e-12);
    close("rad2deg(a)", [Math.PI], [180], 1e-12);
    close("sinc(a)", [0, 0.5, -1.5], [1, 2 / Math.PI, Math.sin(1.5 * Math.PI) / (1.5 * Math.PI)], 1e-12);
    close("logit(a)", [0.25, 0.5], [Math.log(1 / 3), 0], 1e-12);
    close("entr(a)", [0, 0.5, -1], [0, 0.5 * Math.LN2, Number.NEGATIVE_INFINITY], 1e-12);
  });
  // Values from tables: Abramowitz and Stegun (6.1, 6.3, 7.1, 9.8) and the definitions.
  it("ndtr, log_ndtr, erfinv", () => {
    close("ndtr(a)", [0, 1, -2], [0.5, 0.8413447460685429, 0.02275013194817921], 1e-7);
    close(
      "log_ndtr(a)",
      [0, -3, -10, -20],
      [-Math.LN2, -6.607726221510349, -53.23128515051247, -203.9171553710973],
      1e-6,
    );
    close(
      "erfinv(a)",
      [0, 0.5, -0.9, 0.999, 1, -1, 2],
      [
        0,
        0.4769362762044699,
        -1.1630871536766743,
        2.326753765513525,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        Number.NaN,
      ],
      1e-7,
    );
  });
  it("lgamma and digamma", () => {
    close(
      "lgamma(a)",
      [1, 2, 5, 0.5, -0.5, 10.5, -3, 100],
      [
        0,
        0,
        Math.log(24),
        0.5 * Math.log(Math.PI),
        Math.log(2 * Math.sqrt(Math.PI)),
        13.940625219403763,
        Number.POSITIVE_INFINITY,
        359.1342053695754,
      ],
      1e-10,
    );
    close(
      "digamma(a)",
      [1, 0.5, 5, -0.5, -2],
      [-0.5772156649015329, -1.9635100260214235, 1.5061176684318003, 0.03648997397857652, Number.NaN],
      1e-9,
    );
  });
  it("i0", () => close("i0(a)", [0, 1, -5], [1, 1.2660658777520084, 27.239871823604442], 1e-6));
});
