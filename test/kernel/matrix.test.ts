/** Subgroup matrices in kernels: text, verifier, interpreter, and what Tint says of the WGSL. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { legalise } from "../../codegen/legalise.ts";
import { type PrintedKernel, printWgsl } from "../../codegen/wgsl.ts";
import { interpretKernel } from "../../ir/interpret-kernel.ts";
import { parseKernel } from "../../ir/parse-kernel.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { kernelProblems, verifyKernel } from "../../ir/verify-kernel.ts";
import type { Device } from "../../runtime/index.ts";
import { makePipeline, openNull } from "../codegen/device.ts";

/** Products of 32 × 16 and K: four subgroups' tiles, dealt to however many there are, operands through workgroup memory. */
const STAGED = `kernel mm(a: read f16[K * M], b: read f16[K * N], c: write f32[M * N]; K, M, N: uniform)
  tile: workgroup f16[384]
  l: left f16[1] of 8, 8
  r: right f16[2] of 8, 8
  acc: result f32[2] of 8, 8
  for gn:{N div 16} @grid.x
    for gm:{M div 32} @grid.y
      for t:128 @thread.x
        for round:(3 + subgroup.count()) div subgroup.count() @loop
          let s = round * subgroup.count() + subgroup.index()
          if s < 4
            for j:2 @unroll
              matrix.fill(acc[j], 0.0)
          for k:K step 8 @loop
            barrier
            tile[t] = a[(gm * 32 + t div 8) * K + k + t % 8]
            tile[t + 128] = a[(gm * 32 + 16 + t div 8) * K + k + t % 8]
            tile[t + 256] = b[(k + t div 16) * N + gn * 16 + t % 16]
            barrier
            if s < 4
              matrix.load(l[0], tile[s * 64], 8, row)
              for j_1:2 @unroll
                matrix.load(r[j_1], tile[256 + j_1 * 8], 16, row)
                matrix.multiply(acc[j_1], l[0], r[j_1])
          if s < 4
            for j_2:2 @unroll
              matrix.store(acc[j_2], c[(gm * 32 + s * 8) * N + gn * 16 + j_2 * 8], N, row)
`;

/** The smallest: one subgroup, straight from storage. `body` stands for what it does. */
const small = (body: string, more = "w: workgroup f32[64]", threads = "for t:8 @thread.x"): string => `
kernel one(a: read f16[64], b: read f16[64], c: readwrite f32[64], d: readwrite f16[64])
  ${more}
  l: left f16[1] of 8, 8
  r: right f16[1] of 8, 8
  acc: result f32[2] of 8, 8
  ${threads}
${body
  .trim()
  .split("\n")
  .map((line) => `    ${line}`)
  .join("\n")}
`;

function run(
  text: string,
  sizes: Readonly<Record<string, number>>,
  subgroupSize: number,
): Record<string, Float64Array> {
  const kernel = verifyKernel(parseKernel(text));
  const of = new Map(Object.entries(sizes));
  const value = (n: number, seed: number): number => ((n * 7 + seed * 3) % 9) - 4;
  const cells = new Map(
    kernel.buffers
      .filter((b) => b.space === "storage")
      .map((b, i) => {
        const count = b.size.value ?? b.size.text.split(" * ").reduce((p, s) => p * (of.get(s) ?? 0), 1);
        return [b, Float64Array.from({ length: count }, (_, n) => (b.access === "read" ? value(n, i) : 0))] as const;
      }),
  );
  const { problems } = interpretKernel(kernel, undefined, cells, of, { mode: "rounded", subgroupSize });
  if (problems.length > 0) throw new Error(problems.map((p) => p.kind).join(" "));
  return Object.fromEntries([...cells].map(([b, data]) => [b.name, data]));
}

function product(a: Float64Array, b: Float64Array, m: number, n: number, k: number): number[] {
  return Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let x = 0; x < k; x++) sum += a[i * k + x]! * b[x * n + j]!;
    return sum;
  });
}

const PRODUCT = `
matrix.load(l[0], a[0], 8, row)
matrix.load(r[0], b[0], 8, row)
matrix.fill(acc[0], 0.0)
matrix.multiply(acc[0], l[0], r[0])`;

describe("subgroup matrices", () => {
  test("text that is printed reads back", () => {
    expect(printKernel(parseKernel(STAGED))).toBe(STAGED);
  });

  test.each([8, 32, 64, 128])("tiles are dealt to subgroups of %i", (size) => {
    const [M, N, K] = [64, 32, 24];
    const { a, b, c } = run(STAGED, { M, N, K }, size);
    expect([...c!]).toEqual(product(a!, b!, M, N, K));
  });

  test("rows and columns, and how often a matrix may be used", () => {
    const { a, b, c } = run(
      small(`${PRODUCT}
matrix.fill(acc[1], 1.0)
matrix.multiply(acc[1], l[0], r[0])
matrix.store(acc[1], c[0], 8, column)`),
      {},
      8,
    );
    const want = product(a!, b!, 8, 8, 8);
    expect([...c!]).toEqual(Array.from({ length: 64 }, (_, i) => want[(i % 8) * 8 + Math.floor(i / 8)]! + 1));
  });

  test.each([
    ["uninitialised", small("matrix.store(acc[0], c[0], 8, row)")],
    ["uninitialised", small("matrix.load(l[0], h[0], 8, row)", "h: workgroup f16[64]")],
    ["out-of-bounds", small(`${PRODUCT}\nmatrix.store(acc[0], c[8], 8, row)`)],
    ["misaligned", small("matrix.load(l[0], a[0], 9, row)")],
    // What an invocation of the subgroup wrote itself, and what the subgroup stored, are there after a barrier.
    ["race", small("for i:8 @loop\n  h[t * 8 + i] = a[i]\nmatrix.load(l[0], h[0], 8, row)", "h: workgroup f16[64]")],
    ["race", small(`${PRODUCT}\nmatrix.store(acc[0], w[0], 8, row)\nc[t] = w[t]`)],
    ["race", small(`${PRODUCT}\nmatrix.store(acc[0], w[0], 8, row)\nmatrix.store(acc[0], w[0], 8, column)`)],
  ])("the interpreter finds: %s", (kind, text) => {
    expect(() => run(text, {}, 8)).toThrow(kind);
  });

  test.each([
    ["not uniform", small(`${PRODUCT}\nif t < 4\n  matrix.fill(acc[1], 0.0)`)],
    ["differs between the invocations", small("matrix.load(l[0], a[t], 8, row)")],
    ["not constant after unrolling", small("for i:2 @loop\n  matrix.fill(acc[i], 0.0)")],
    ["outside acc", small("matrix.fill(acc[2], 0.0)")],
    ["of f32 in d", small("matrix.store(acc[0], d[0], 8, row)")],
    ["only read", small("matrix.store(l[0], a[0], 8, row)")],
    ["adds right · left", small("matrix.multiply(acc[0], r[0], l[0])")],
    ["stride 4 below 8", small("matrix.load(l[0], a[0], 4, row)")],
    ["more than one row", small("matrix.fill(acc[0], 0.0)", "w: workgroup f32[64]", "for t:2 @thread.y")],
  ])("the verifier refuses: %s", (words, text) => {
    expect(kernelProblems(parseKernel(text)).join("; ")).toContain(words);
  });
});

describe("their WGSL", () => {
  let nothing: Device;
  beforeAll(async () => {
    nothing = await openNull();
  });
  afterAll(() => nothing.close());

  test("compiles, and says what it needs", async () => {
    const printed: PrintedKernel = printWgsl(legalise(verifyKernel(parseKernel(STAGED))));
    expect(printed.features).toEqual(["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"]);
    expect(printed.code).toContain("subgroupMatrixLoad<subgroup_matrix_left<f16, 8, 8>, row_major>(&tile,");
    expect(printed.code).toContain("acc_1 = subgroupMatrixMultiplyAccumulate(l, r_1, acc_1);");
    await makePipeline(nothing.gpu, { ...printed, groups: [1, 1, 1] });
  });
});
