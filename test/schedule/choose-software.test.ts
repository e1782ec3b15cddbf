/** What software adapters get by default, for the reasons that were measured (choose-rows.ts, choose-others.ts). */
import { describe, expect, test } from "vitest";
import type { Schedule } from "../../src/schedule/schedule.ts";
import type { Target } from "../../src/schedule/target.ts";
import { chosen, SOFTMAX } from "./chosen.ts";
import { SOFT4, SOFT8 } from "./support.ts";

const LLVMPIPE: Target = { ...SOFT8, name: "llvmpipe" };

const NORM =
  'import { layer_norm } from "std/nn"\nexport fn f(x: f32[R, D], g: f32[D], b: f32[D]) { layer_norm(x, g, b) }';

describe("rows", () => {
  const sums = "export fn f(x: f32[R, D]) { sum(x, axis: 1) }";
  const apart = "export fn f(x: f32[R, D], y: f32[R, D]) { sum((x - y) ** 2, axis: 1) }";
  test.each([
    ["softmax", SOFTMAX, ["x"], { pass: "online", wide: 4 }],
    ["sums", sums, ["x"], { pass: "reread", wide: 4 }],
    ["squared differences", apart, ["x", "y"], { pass: "reread" }],
  ])("%s share nothing: on four lanes an invocation has a row", (_, source, names, how) => {
    const shapes = Object.fromEntries(names.map((n) => [n, [2048, 512]]));
    expect(chosen(source, shapes, SOFT4)).toMatchObject({ kind: "row", threads: 1, rows: 32, ...how });
    expect(chosen(source, shapes, SOFT8)).toMatchObject({ kind: "row", threads: 8, rows: 8 });
  });
  test("an element that data names is no read of the row: cross-entropy is one pass on eight lanes", () => {
    const source = `import { cross_entropy } from "std/nn"
      export fn f(z: f32[N, C], t: i32[N]) { cross_entropy(z, t, reduction: "none") }`;
    expect(chosen(source, { z: [128, 32000], t: [128] }, SOFT8)).toMatchObject({
      threads: 8,
      pass: "online",
      block: 1,
      each: 2,
    });
  });
  test("what rows share is loaded once for several, on a subgroup", () => {
    const shapes = { x: [2048, 128], g: [128], b: [128] };
    expect(chosen(NORM, shapes, SOFT4)).toMatchObject({ threads: 4, each: 2, rows: 8, pass: "held" });
    expect(chosen(NORM, shapes, SOFT8)).toMatchObject({ threads: 8, each: 2, rows: 8, pass: "held" });
    const long = { x: [2048, 768], g: [768], b: [768] };
    for (const adapter of [SOFT4, SOFT8])
      expect(chosen(NORM, long, adapter)).toMatchObject({ each: 4, rows: 8, pass: "online" });
    for (const [n, each] of [
      [40, 2],
      [8, 1],
    ] as const)
      for (const adapter of [SOFT4, SOFT8])
        expect(chosen(NORM, { ...long, x: [n, 768] }, adapter)).toMatchObject({ each, rows: 1, pass: "online" });
  });
  test("rows of one load an invocation are held by four", () => {
    const shapes = { x: [2048, 32], g: [32], b: [32] };
    expect(chosen(NORM, shapes, SOFT8)).toMatchObject({ threads: 8, each: 4, hold: 1, pass: "held" });
    expect(chosen(SOFTMAX, { x: [2048, 32] }, SOFT8)).toMatchObject({ threads: 8, each: 4, hold: 1, pass: "held" });
  });
  test("several short rows an invocation, kept where vectors are many or phases are", () => {
    const each = (source: string, length: number, adapter: Target): Schedule =>
      chosen(source, { x: [50000, length] }, adapter);
    for (const adapter of [SOFT4, SOFT8]) {
      expect(each(sums, 7, adapter)).toMatchObject({ threads: 1, rows: 64, each: 4, hold: 7, pass: "held" });
      expect(each(sums, 16, adapter)).toMatchObject({ threads: 1, rows: 64, each: 2, pass: "reread", block: 4 });
      expect(each(SOFTMAX, 7, adapter)).toMatchObject({ threads: 1, rows: 64, each: 2, hold: 7, pass: "held" });
    }
    expect(each(SOFTMAX, 16, SOFT4)).toMatchObject({ threads: 1, rows: 64, pass: "reread" });
    expect(each(SOFTMAX, 16, SOFT8)).toMatchObject({ threads: 1, rows: 64, hold: 4, pass: "held" });
    expect(chosen(SOFTMAX, { x: [4, 16] }, SOFT4)).toMatchObject({ threads: 1, rows: 1 });
  });
  test("a vector times a matrix goes down its columns: the vector is the same for all", () => {
    const source = "export fn f(x: f32[K], a: f32[K, N]) { x @ a }";
    for (const adapter of [SOFT4, SOFT8])
      expect(chosen(source, { x: [2048], a: [2048, 2048] }, adapter)).toMatchObject({ kind: "reduction", threads: 1 });
    expect(
      chosen("export fn f(a: f32[N, K], x: f32[K]) { a @ x }", { a: [2048, 2048], x: [2048] }, SOFT4),
    ).toMatchObject({
      kind: "row",
    });
  });
  test("on llvmpipe columns of what no cache holds are summed in parts of few rows", () => {
    const source = "export fn f(x: f32[R, C]) { sum(x, axis: 0) }";
    expect(chosen(source, { x: [2048, 2048] }, LLVMPIPE)).toMatchObject({ kind: "reduction", parts: 64 });
    expect(chosen(source, { x: [256, 512] }, LLVMPIPE)).toMatchObject({ kind: "reduction", parts: 1 });
  });
  test("rows that lie across memory are taken in once, where there is a rule", () => {
    const columns = 'import { softmax } from "std/nn"\nexport fn f(x: f32[R, D]) { softmax(x, axis: 0) }';
    for (const adapter of [SOFT4, SOFT8])
      expect(chosen(columns, { x: [512, 1024] }, adapter)).toMatchObject({ across: true, pass: "online", block: 2 });
  });
  test("gathered rows are copied by a lane each, unless they are few or long", () => {
    const source = "export fn f(t: f32[V, D], i: i32[N]) { take(t, i, axis: 0) }";
    const copies = (n: number, d: number, adapter: Target): Schedule =>
      chosen(source, { t: [4096, d], i: [n] }, adapter);
    for (const adapter of [SOFT4, SOFT8])
      expect(copies(8192, 256, adapter)).toMatchObject({ kind: "row", threads: 1, rows: 64 });
    expect(copies(8192, 4096, SOFT8)).toMatchObject({ kind: "row", threads: 8, each: 2 });
    expect(copies(64, 256, SOFT8)).toMatchObject({ kind: "row", threads: 8, each: 2 });
  });
  test("few rows that share nothing are a subgroup's each, in one pass", () => {
    expect(chosen(SOFTMAX, { x: [40, 1024] }, SOFT4)).toMatchObject({ threads: 4, rows: 2, pass: "online" });
    expect(chosen(SOFTMAX, { x: [64, 1024] }, SOFT4)).toMatchObject({ threads: 1, rows: 4, pass: "online" });
  });
  test("few rows leave no core without a workgroup", () => {
    const rows = (n: number, adapter: Target): number => {
      const s = chosen(SOFTMAX, { x: [n, 512] }, adapter);
      return s.kind === "row" ? Math.ceil(n / s.rows) : 0;
    };
    for (const n of [16, 40, 64, 100, 256]) {
      expect(rows(n, SOFT4)).toBeGreaterThanOrEqual(16);
      expect(rows(n, SOFT8)).toBeGreaterThanOrEqual(16);
    }
  });
});

describe("elements", () => {
  const N = 1 << 20;
  const dear = "export fn f(a: f32[N], b: f32[N]) { (tanh(a * b) + 1) * 2 }";
  const cheap = "export fn f(a: f32[N], b: f32[N]) { a * b + 1 }";
  test("four lanes do two vectors at a time where functions are dear, as their registers hold no more", () => {
    const few = { a: [N / 512], b: [N / 512] };
    expect(chosen(dear, few, SOFT4)).toMatchObject({ kind: "elementwise", vector: 4, each: 2 });
    expect(chosen(cheap, few, SOFT4)).toMatchObject({ kind: "elementwise", vector: 4, each: 4 });
    expect(chosen(dear, { a: [N], b: [N] }, SOFT8)).toMatchObject({ kind: "elementwise", vector: 4, each: 4 });
  });
  test("llvmpipe does one unit after the other in a loop, where there are enough for all cores", () => {
    expect(chosen(dear, { a: [N], b: [N] }, LLVMPIPE)).toMatchObject({ threads: 64, each: 1, repeat: 64 });
    expect(chosen(cheap, { a: [N / 16], b: [N / 16] }, LLVMPIPE)).toMatchObject({ threads: 8, each: 1, repeat: 64 });
    expect(chosen(cheap, { a: [N / 64], b: [N / 64] }, LLVMPIPE)).not.toHaveProperty("repeat");
  });
  test("four lanes do so too, unless positions have to be divided", () => {
    expect(chosen(dear, { a: [N], b: [N] }, SOFT4)).toMatchObject({ threads: 8, each: 1, repeat: 512 });
    const outer = "export fn f(a: f32[N], b: f32[M]) { a[:, None] * b }";
    expect(chosen(outer, { a: [1024], b: [1024] }, SOFT4)).not.toHaveProperty("repeat");
  });
  test("rows, where an element's place differs from tensor to tensor; several share what stands still", () => {
    const outer = "export fn f(a: f32[N], b: f32[M]) { a[:, None] * b }";
    const bias = "export fn f(x: f32[N, M], b: f32[M]) { x + b }";
    const slice = "export fn f(x: f32[N, M]) { x[:, 3:] }";
    for (const [adapter, threads] of [
      [SOFT4, 4],
      [SOFT8, 8],
    ] as const) {
      expect(chosen(outer, { a: [2048], b: [2048] }, adapter)).toMatchObject({ kind: "row", threads, each: 4 });
      expect(chosen(bias, { x: [1000, 768], b: [768] }, adapter)).toMatchObject({ kind: "row", threads, each: 2 });
      expect(chosen(slice, { x: [1021, 1024] }, adapter)).toMatchObject({ kind: "row", threads: 1, vector: 1 });
      expect(chosen(slice, { x: [40, 1024] }, adapter)).toMatchObject({ kind: "row", threads, rows: 1 });
      expect(chosen(bias, { x: [1000, 64], b: [64] }, adapter)).toMatchObject({ kind: "elementwise" });
      expect(chosen(cheap, { a: [N], b: [N] }, adapter)).toMatchObject({ kind: "elementwise" });
    }
  });
  test.each([
    [[1, 1024, 1024], 4, 64],
    [[1, 256, 256], 4, 16],
    [[100, 16, 400], 4, 64],
    [[100, 400, 48], 8, 8],
    [[100, 400, 16], 16, 4],
    [[1000, 800, 8], 32, 2],
  ] as const)(
    "transposes of %j go few blocks along the stores and many across, if there are many",
    (shape, tile, each) => {
      const source = 'export fn f(x: f32[B, R, C]) { einsum("bij->bji", x) }';
      for (const adapter of [SOFT4, LLVMPIPE])
        expect(chosen(source, { x: [...shape] }, adapter)).toMatchObject({ kind: "transpose", vector: 4, tile, each });
    },
  );
  test("scans do one element at a time", () => {
    const source = "export fn f(x: f32[R, D]) { cumsum(x, axis: 1) }";
    for (const adapter of [SOFT4, SOFT8])
      expect(chosen(source, { x: [1024, 1024] }, adapter)).toMatchObject({ kind: "scan", form: "carry", each: 1 });
  });
});

describe("contractions", () => {
  test("tiles of 32 rows on eight lanes where there is so much to do that they are worth compiling", () => {
    const source = "export fn f(a: f32[N, K], b: f32[K, M]) { a @ b }";
    const product = (n: number): Schedule => chosen(source, { a: [n, n], b: [n, n] }, LLVMPIPE);
    expect(product(512)).toMatchObject({ kind: "contraction", subgroup: "broadcast", reg: [32, 4] });
    expect(product(256)).toMatchObject({ kind: "contraction", subgroup: "broadcast", reg: [16, 4] });
  });
});

test("results are stored in a loop where sums are long enough to pay for it, on llvmpipe always", () => {
  const product = "export fn f(x: f32[N, K], w: f32[K, M]) { relu(x @ w) }";
  const epilogue = (k: number, adapter: Target): string => {
    const s = chosen(product, { x: [256, k], w: [k, 256] }, adapter);
    return s.kind === "contraction" ? (s.epilogue ?? "inline") : s.kind;
  };
  expect([64, 128].map((k) => epilogue(k, SOFT4))).toEqual(["inline", "loop"]);
  expect([64, 128].map((k) => epilogue(k, LLVMPIPE))).toEqual(["loop", "loop"]);
});

describe("copies for whole vectors", () => {
  const source = "export fn f(a: f32[N, K], b: f32[K, M]) { a @ b }";
  test.each([
    ["four lanes", SOFT4],
    ["eight lanes", SOFT8],
  ])("on %s where products are many and no vector divides N or K", (_, adapter) => {
    const product = (n: number, k: number, m: number): Schedule => chosen(source, { a: [n, k], b: [k, m] }, adapter);
    expect(product(625, 625, 625)).toMatchObject({ align: 4, vector: 4 });
    expect(product(512, 512, 511)).toMatchObject({ align: 4, vector: 4 });
    expect(product(511, 512, 512)).not.toHaveProperty("align");
    expect(product(37, 37, 37)).not.toHaveProperty("align");
    expect(product(4097, 4097, 1)).not.toHaveProperty("align");
  });
  test("not of windows, which they would repeat", () => {
    const conv = `import { conv2d } from "std/nn"
      export fn f(x: f32[1, 64, 57, 57], w: f32[64, 64, 3, 3]) { conv2d(x, w, padding: 1) }`;
    expect(chosen(conv, { x: [1, 64, 57, 57], w: [64, 64, 3, 3] }, SOFT4)).not.toHaveProperty("align");
  });
});

describe("attention in one kernel, on four lanes", () => {
  const source = `import { attention } from "std/nn"
    export fn f(q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E]) { attention(q, k, v) }`;
  const tile = (heads: number, length: number, width: number): Schedule => {
    const shape = [1, heads, length, width];
    return chosen(source, { q: shape, k: shape, v: shape }, SOFT4);
  };
  test("lanes with rows of their own, several of them where there is much to do", () => {
    expect(tile(8, 64, 64)).toMatchObject({ kind: "online", share: "quad", reg: [2, 4], columns: 64 });
    expect(tile(8, 256, 64)).toMatchObject({ kind: "online", share: "quad", reg: [4, 4], columns: 64 });
  });
  test("a lane has whole rows of the sum; where these are too long, rows are handed around", () => {
    expect(tile(16, 512, 128)).toMatchObject({ kind: "online", share: "quad", columns: 128 });
    expect(tile(16, 512, 256)).toMatchObject({ kind: "online", share: "subgroup" });
  });
});

describe("windows", () => {
  const conv = (stride: number): string => `import { conv2d } from "std/nn"
    export fn f(x: f32[N, C, H, W], w: f32[O, C, R, S]) { conv2d(x, w, stride: ${stride}, padding: 1) }`;
  const shapes = { x: [1, 64, 57, 57], w: [128, 64, 3, 3] };
  test("that move by two are copied into whole vectors, on four lanes; by one they repeat too much", () => {
    expect(chosen(conv(2), shapes, SOFT4)).toMatchObject({ kind: "contraction", align: 4, vector: 4 });
    const one = chosen(conv(1), { ...shapes, x: [1, 64, 55, 55] }, SOFT4);
    expect(one).toMatchObject({ kind: "contraction", vector: 1 });
    expect(one).not.toHaveProperty("align");
  });
  test("are gone through by two taps a round on llvmpipe, where products are many", () => {
    expect(chosen(conv(1), shapes, LLVMPIPE)).toMatchObject({ reg: [32, 4], vector: 1, tileK: 2 });
    expect(chosen(conv(1), { x: [1, 16, 27, 27], w: [32, 16, 3, 3] }, LLVMPIPE)).toMatchObject({ tileK: 1 });
  });
});

describe("contractions that are small in one direction", () => {
  const matmul = "export fn f(x: f32[..., M, K], a: f32[..., K, N]) { x @ a }";
  test.each([SOFT4, SOFT8])("$name", (adapter) => {
    // No number of matrices leaves some to a slower kernel.
    for (const n of [49152, 50000])
      expect(chosen(matmul, { x: [n, 3, 3], a: [n, 3, 3] }, adapter)).toMatchObject({ reg: [3, 3], batches: 64 });
    expect(chosen(matmul, { x: [100000, 3], a: [3, 3] }, adapter)).toMatchObject({ reg: [8, 3], threads: [32, 1, 1] });
    expect(chosen(matmul, { x: [65536, 8], a: [8, 8] }, adapter)).toMatchObject({
      threads: [1, adapter.subgroupMinSize, 1],
    });
  });
});

describe("windows", () => {
  const LINE = "export fn f(x: f32[N], w: f32[R]) { for[i in 0..4096] sum[r] (x[i + r - 12] ?? 0) * w[r] }";
  const depthwise = (size: number, stride: number): Schedule | undefined => {
    const half = (size - 1) / 2;
    const source = `export fn f(x: f32[C, H, W], w: f32[C, R, S]) {
      for[c, i in 0..28, j in 0..28] sum[r, s] (x[c, i * ${stride} + r - ${half}, j * ${stride} + s - ${half}] ?? 0) * w[c, r, s]
    }`;
    return chosen(source, { x: [64, 28 * stride, 28 * stride], w: [64, size, size] }, SOFT4);
  };
  test("whole ones a round, several where they lie over each other and the code stays small", () => {
    expect(depthwise(3, 1)).toMatchObject({ kind: "reduction", each: 9, down: 2 });
    expect(depthwise(5, 1)).toMatchObject({ kind: "reduction", each: 25, down: 4 });
    expect(depthwise(7, 1)).toMatchObject({ kind: "reduction", each: 49, down: 2 });
    for (const size of [3, 5, 7]) {
      const s = depthwise(size, 2);
      expect(s).toMatchObject({ kind: "reduction", each: size * size });
      expect(s).not.toHaveProperty("down");
    }
    expect(chosen(LINE, { x: [4096], w: [25] }, SOFT4)).toMatchObject({ kind: "reduction", each: 25 });
  });
  test("rows of three are no windows: they share nothing", () => {
    const sums = "export fn f(x: f32[R, D]) { sum(x, axis: 1) }";
    expect(chosen(sums, { x: [50000, 3] }, SOFT4)).toMatchObject({ kind: "row" });
  });
});
