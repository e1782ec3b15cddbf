import { describe, expect, test } from "vitest";
import { affineOf, expressionOf, linearOf } from "../../ir/affine.ts";
import { addExtent, mulExtent, size, sizeSymbol, subExtent } from "../../ir/extent.ts";
import { assume, intervalOf, intervalText, proveAtLeastZero, proveInside } from "../../ir/interval.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printExpr } from "../../ir/print-tensor.ts";
import { axis, type TensorExpr } from "../../ir/tensor.ts";
import { unprovedReads, verifyProgram } from "../../ir/verify-tensor.ts";

/** The expression as the i32 result of a map over i:N, j:M, k:4 with tensors x[N] of i32 and b[N] of bool. */
function expr(text: string, facts = ""): { e: TensorExpr; a: ReturnType<typeof assume> } {
  const p = parseProgram(
    `${facts}\ninput x: i32[i:N]\ninput b: bool[i:N]\ninput u: u32[i:N]\ny[i:N, j:M, k:4] = ${text}`,
  );
  const d = p.steps[0];
  if (d?.kind !== "map" || !d.results[0]) throw new Error("no map");
  return { e: d.results[0], a: assume(p.facts) };
}
function interval(text: string, facts = ""): string {
  const { e, a } = expr(text, facts);
  return intervalText(intervalOf(e, a));
}

describe("intervals", () => {
  const rows: [string, string][] = [
    ["i", "0 … N - 1"],
    ["i + j", "0 … M + N - 2"],
    ["i - i", "0 … 0"],
    ["N - 1 - i", "0 … N - 1"],
    ["i * 4 + k", "0 … 4 * N - 1"],
    ["-k", "-3 … 0"],
    ["k * k", "0 … 9"],
    ["(i * 4 + k) div 4", "0 … N - 1"],
    ["(i + j) % 3", "0 … min(2, M + N - 2)"],
    ["k % 7", "0 … 3"],
    ["x[i]", "? … ?"],
    ["x[i] + 1", "? … ?"],
    ["x[i] % N", "0 … N - 1"],
    ["x[i] % 5", "0 … 4"],
    ["max(0, min(x[i], N - 1))", "0 … N - 1"],
    ["max(x[i], 0)", "0 … ?"],
    ["i32(b[i])", "0 … 1"],
    ["x[i] < 0 ? 0 : x[i]", "0 … ?"],
    ["x[i] < 0 ? 0 : min(x[i], 9)", "0 … 9"],
    ["x[i] >= 0 && x[i] < N ? x[i] : 0", "0 … N - 1"],
    ["x[i] >= 0 && x[i] < 7 ? x[i] + 1 : 0", "0 … 7"],
    ["!(k > 2) ? k : 0", "0 … 2"],
    // Wraps for large x, so nothing is known.
    ["x[i] > 0 ? x[i] + 1 : 0", "? … ?"],
    ["i * 16777216", "? … ?"],
    ["k * 1000000000", "? … ?"],
    ["bitand(x[i], 7)", "0 … 7"],
    ["shr(k, 1)", "0 … 1"],
    ["popcount(x[i])", "0 … 32"],
    ["abs(x[i])", "? … ?"],
    ["sign(x[i])", "-1 … 1"],
    ["i32(u[i] % 8u)", "0 … 7"],
    ["i32(u[i])", "? … ?"],
    ["rem(x[i], 4)", "? … ?"],
    ["i div x[i]", "? … ?"],
    ["i div max(x[i], 1)", "0 … N - 1"],
  ];
  test.each(rows)("%s is in %s", (text, wanted) => {
    expect(interval(text)).toBe(wanted);
  });
});

describe("proofs", () => {
  const inside = (text: string, extent: ReturnType<typeof size>, facts = ""): string => {
    const { e, a } = expr(text, facts);
    return proveInside(e, extent, a);
  };
  const [N, M] = [sizeSymbol("N"), sizeSymbol("M")];
  test("reads of flips, splits and windows", () => {
    expect(inside("N - 1 - i", N)).toBe("proved");
    expect(inside("i * M + j", mulExtent(N, M))).toBe("proved");
    expect(inside("i * 4 + k", mulExtent(N, size(4)))).toBe("proved");
    expect(inside("i + k", addExtent(N, size(3)))).toBe("proved");
    expect(inside("i + k", N)).toBe("unknown");
    expect(inside("i + 1", N)).toBe("unknown");
    expect(inside("i - N", N)).toBe("refuted");
    expect(inside("i + N", N)).toBe("refuted");
    expect(inside("0", N)).toBe("unknown");
    const { e, a } = expr("0");
    expect(proveInside(e, N, a, [axis("i", N)])).toBe("proved"); // an axis around it is not empty
  });
  test("facts are used, several at a time", () => {
    expect(inside("j", N, 'fact N >= M "m"')).toBe("proved");
    expect(inside("j + 2", N, 'fact N >= M + 2 "m"')).toBe("proved");
    expect(inside("j", N, 'fact N == M "m"')).toBe("proved");
    expect(inside("2 * j + 1", N, 'fact N == 2 * M "m"')).toBe("proved");
    const p = parseProgram('fact A >= B "1"\nfact B >= C "2"\nfact H >= R "3"');
    const a = assume(p.facts);
    const [A, B, C, H, R, S] = ["A", "B", "C", "H", "R", "S"].map(sizeSymbol) as [
      typeof N,
      typeof N,
      typeof N,
      typeof N,
      typeof N,
      typeof N,
    ];
    expect(proveAtLeastZero(subExtent(A, C), a)).toBe("proved");
    expect(proveAtLeastZero(subExtent(C, A), a)).toBe("unknown");
    expect(proveAtLeastZero(subExtent(mulExtent(S, H), mulExtent(S, R)), a)).toBe("proved");
    expect(proveAtLeastZero(subExtent(addExtent(A, A), addExtent(B, C)), a)).toBe("proved");
  });
  test("slices clamped by max and min, and digits of a product, stay inside", () => {
    const clean = (text: string): void => {
      const p = parseProgram(`input x: f32[n:N]\ninput b: f32[b:B, k:3, t:T]\n${text}\nresult y = y`);
      expect(unprovedReads(p).map((u) => `${u.axis}: ${u.interval}`)).toEqual([]);
      expect(verifyProgram(p)).toEqual([]);
    };
    clean("y[i:max(0, N - 3)] = x[i + 3]");
    clean("y[i:max(0, min(3, N) - 1)] = x[i + 1] - x[i]");
    clean("y[i:(max(-1, N - 2) - min(0, N - 1) + 1) div 2] = x[size(max(-1, N - 2)) - i * 2]");
    clean("y[i:3 * B * T] = b[i div T div 3, i div T % 3, i % T]");
    clean("y[i:0] = x[i + 4]");
    clean("y[i:0, j:3] = x[j]");
  });
  test("an unpadded strided window stays inside", () => {
    const p = parseProgram(
      "input x: f32[i:H]\ninput w: f32[r:R]\ny[i:(H - R) div 2 + 1] = add(r:R) x[i * 2 + r] * w[r]",
    );
    const d = p.steps[0];
    if (d?.kind !== "map" || d.results[0]?.kind !== "reduce") throw new Error("no reduce");
    const product = d.results[0].values[0];
    if (product?.kind !== "apply" || product.args[0]?.kind !== "read") throw new Error("no read");
    expect(proveInside(product.args[0].at[0]!, sizeSymbol("H"), assume([]))).toBe("proved");
  });
});

describe("affine forms", () => {
  test("of sums, products with extents, negations", () => {
    const { e } = expr("(i * 2 - k) * N + 3 - 2 * (j - 1)");
    const form = affineOf(e);
    expect([...(form?.terms ?? [])].map(([a, c]) => `${c.text} ${a.name}`)).toEqual(["2 * N i", "-N k", "-2 j"]);
    expect(form?.constant.text).toBe("5");
  });
  test("none where data or division is", () => {
    expect(affineOf(expr("x[i] + 1").e)).toBeUndefined();
    expect(affineOf(expr("i div 2").e)).toBeUndefined();
    expect(affineOf(expr("i * j").e)).toBeUndefined();
  });
  test("back to expressions", () => {
    for (const [text, wanted] of [
      ["3 - i", "3 - i"],
      ["i + i", "i * 2"],
      ["i - 3 + j - i", "j - 3"],
      ["-i", "-i"],
      ["i - i - 2", "-2"],
      ["N - i * N", "N - i * N"],
      ["-i - 2", "-i - 2"],
    ] as const)
      expect(printExpr(expressionOf(linearOf(expr(text).e)))).toBe(wanted);
  });
});
