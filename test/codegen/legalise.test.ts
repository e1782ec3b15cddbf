/** What the legaliser makes of index arithmetic, constants, loops and grids; each rewrite is seen to fire, and not to where it must not. */
import { describe, expect, test } from "vitest";
import { dispatchOf, MAX_GROUPS } from "../../codegen/launch.ts";
import { legalise } from "../../codegen/legalise.ts";
import { printWgsl } from "../../codegen/wgsl.ts";
import { evaluateExtent } from "../../ir/extent.ts";
import { parseKernel } from "../../ir/parse-kernel.ts";
import { KernelError, verifyKernel } from "../../ir/verify-kernel.ts";

function wgsl(text: string): string {
  return printWgsl(legalise(verifyKernel(parseKernel(text)))).code;
}
/** The right side of the only store to y, for an i32 expression over loop variables and loads. */
function index(expression: string): string {
  const code = wgsl(`
kernel k(x: read i32[N], y: write i32[N]; N, D: uniform)
  for g:N @grid.x
    for t:8 @thread.x
      for j:4 @loop
        for i:N @loop
          y[g] = ${expression}
`);
  return /y\[g\] = (.*);/.exec(code)?.[1] ?? code;
}

describe("integer arithmetic", () => {
  test.each([
    // Powers of two are shifts and masks whatever the sign.
    ["x[g] div 8", "x[g] >> 3u"],
    ["x[g] % 8", "x[g] & 7"],
    // Loop variables and sizes are not negative, and their sums and products neither.
    ["(i * 3 + t) div 5", "(i * 3 + t) / 5"],
    ["(i * N + t) % D", "(i * sizes.N + t) % sizes.D"],
    ["min(i, 7) div 3", "min(i, 7) / 3"],
    // What comes from data, or from a difference, may be negative.
    ["x[g] div 5", "floordiv_i32(x[g], 5)"],
    ["(i - t) % 5", "mod_i32(i - t, 5)"],
    ["rem(x[g], 5)", "x[g] % 5"],
    // A product that may wrap is not trusted.
    ["(i * 1000003) % 7", "mod_i32(i * 1000003, 7)"],
    ["(min(i, 100) * 1000003) % 7", "min(i, 100) * 1000003 % 7"],
    // Splitting and joining an index gives it back.
    ["(i * 4 + j) div 4", "i"],
    ["(i * 4 + j) % 4", "j"],
    ["(i * 8 + 5) div 4", "i * 2 + 1"],
    ["(i * 4 + x[g]) div 4", "(i * 4 + x[g]) >> 2u"],
    // Identities.
    ["i * 0 + j * 1 + 0", "j"],
    ["(i + 3) + 4 - 2", "i + 5"],
    ["min(t, 7)", "t"],
    ["max(j, 0)", "j"],
    ["select(t < 8, i, j)", "i"],
    ["select(i < 8, j, j)", "j"],
    ["i - i", "0"],
    ["-2147483648 + x[g] * -1", "x[g] * (-1) + i32(-2147483648)"],
    ["2147483647 + 1", "i32(-2147483648)"],
  ])("%s", (source, wanted) => {
    expect(index(source)).toBe(wanted);
  });
});

/** The same for floats. */
function float(expression: string): string {
  const code = wgsl(`
kernel k(x: read f32[N], y: write f32[N]; N: uniform)
  for g:N @grid.x
    y[g] = ${expression}
`);
  return /y\[g\] = (.*);/.exec(code)?.[1] ?? code;
}

describe("floats are evaluated, never rearranged", () => {
  test.each([
    ["x[g] * 2.0 / 2.0", "x[g] * 2.0 / 2.0"],
    // Exact for every value.
    ["x[g] * 1.0", "x[g]"],
    ["1.0 * (x[g] / 1.0)", "x[g]"],
    ["x[g] - 0.0", "x[g]"],
    ["x[g] - -0.0", "x[g] - minus_zero"],
    ["x[g] - x[g]", "abs(x_at * zero)"],
    ["neg(x[g]) + x[g]", "abs(x_at * zero)"],
    ["(x[g] + 1.0) + 2.0", "x[g] + 1.0 + 2.0"],
    ["1.0 + 0.1", "1.100000023841858"],
    ["sqrt(-1.0) + x[g]", "nan + x[g]"],
    // Zeros and infinities are hidden from drivers.
    ["x[g] * 0.0", "x[g] * zero"],
    ["x[g] + -0.0", "x[g] + minus_zero"],
    ["x[g] / inf", "x[g] / inf"],
    ["max(x[g], 0.0)", "max_zero(x[g])"],
    ["max(2.0, x[g])", "max_constant(x[g], 2.0)"],
    ["x[g] != x[g]", "f32(is_nan(x[g]))"],
  ])("%s", (source, wanted) => {
    const boolean = / [!<>=]= /.test(source);
    expect(
      float(boolean ? `cast<f32>(${source})` : source).replace(/f32\(!\(?!is_nan\(x_at\)\)?\)/, "f32(is_nan(x[g]))"),
    ).toBe(wanted);
  });
  test("the hidden constants cannot be folded: they come from a workgroup's number", () => {
    expect(wgsl("kernel k(y: write f32[4])\n  for g:4 @grid.x\n    y[g] = -inf\n")).toContain(
      "let inf = bitcast<f32>((group.x & 0x80000000u) ^ 0x7f800000u);",
    );
  });
});

describe("loops and branches", () => {
  test("an unrolled loop is written out, a private array becomes variables", () => {
    const code = wgsl(`
kernel k(x: read f32[64], y: write f32[16])
  a: private f32[2]
  for t:16 @thread.x
    for r:2 @unroll
      a[r] = x[t * 2 + r]
    y[t] = a[0] * a[1]
`);
    expect(code).not.toMatch(/for|array<f32, 2>/);
    expect(code).toContain("y[t] = a_0 * a_1;");
  });
  test("branches that are decided go away, and loops that never turn", () => {
    const code = wgsl(`
kernel k(y: write i32[64])
  for t:16 @thread.x
    for r:3 @unroll
      if r == 1
        y[t] = r
    for i:5..5 @loop
      y[t] = 9
    if t > 20
      y[t] = 7
`);
    expect(code).not.toMatch(/if|for|9|7/);
    expect(code).toContain("y[t] = 1;");
  });
  test("an old value outlives a store to its variable", () => {
    const code = wgsl(`
kernel k(y: write i32[32])
  a: private i32[1]
  for t:16 @thread.x
    a[0] = t
    let old = a[0]
    a[0] = old + 1
    y[t] = old
    y[t + 16] = a[0]
`);
    expect(code).toContain("let old = a;");
    expect(code).toContain("y[t] = old;");
  });
  test("reads of memory that the kernel writes are not merged across the write", () => {
    const code = wgsl(`
kernel k(y: readwrite i32[16], z: write i32[16])
  for t:16 @thread.x
    let a = y[t]
    y[t] = 5
    z[t] = a + y[t]
`);
    expect(code).toContain("let a = y[t];");
    expect(code).toContain("z[t] = a + y[t];");
  });
});

describe("the grid", () => {
  const kernel = (loops: readonly string[]): ReturnType<typeof parseKernel> =>
    parseKernel(
      `kernel k(y: write i32[4]; A, B, C: uniform)\n${loops.map((l, i) => `${"  ".repeat(i + 1)}for ${l}\n`).join("")}${"  ".repeat(loops.length + 1)}y[0] = 1\n`,
    );
  test.each([
    ["one small constant", ["a:7 @grid.x"], {}],
    ["one large constant", ["a:200000 @grid.x"], {}],
    ["one size", ["a:A @grid.x"], { A: 65535 }],
    ["one size, large", ["a:A @grid.x"], { A: 65536 }],
    ["one size, zero", ["a:A @grid.x"], { A: 0 }],
    ["two sizes", ["a:A @grid.x", "b:B @grid.y"], { A: 300, B: 200 }],
    ["two sizes, one large", ["a:A @grid.x", "b:B @grid.y"], { A: 3, B: 65537 }],
    ["two sizes, one zero", ["a:A @grid.x", "b:B @grid.y"], { A: 0, B: 65537 }],
    ["three sizes, the last large", ["a:A @grid.x", "b:B @grid.y", "c:C @grid.z"], { A: 2, B: 3, C: 70000 }],
    ["the second dimension alone", ["b:B @grid.y"], { B: 70001 }],
  ])("%s: every workgroup once, none past the limit", (_, loops, sizes: Record<string, number>) => {
    const bound = new Map(Object.entries({ A: 1, B: 1, C: 1, ...sizes }));
    const d = dispatchOf(kernel(loops));
    const value = (e: Parameters<typeof evaluateExtent>[0]): number => evaluateExtent(e, bound);
    const groups = d.groups.map(value);
    const wanted = d.extents.map(value);
    for (const n of groups) expect(n).toBeLessThanOrEqual(MAX_GROUPS);
    const [gx = 0, gy = 0, gz = 0] = groups;
    const [ex = 0, ey = 0, ez = 0] = wanted;
    const dispatched = gx * gy * gz;
    expect(dispatched).toBeGreaterThanOrEqual(ex * ey * ez);
    expect(dispatched).toBeLessThan(ex * ey * ez + MAX_GROUPS);
    if (d.folded && value(d.folded) === 0) expect(groups).toEqual(wanted);
  });
});

test("a kernel that breaks the target's limits is refused with what it breaks", () => {
  const text = `
kernel k(y: write f32[4])
  w: workgroup f32[100000]
  for t:2048 @thread.x
    w[t] = 1.0
    y[0] = w[t]
`;
  expect(() => verifyKernel(parseKernel(text))).toThrow(KernelError);
  expect(() => verifyKernel(parseKernel(text))).toThrow(/400000 bytes of workgroup memory.*2048 invocations/);
});
