import { describe, expect, test } from "vitest";
import { evaluateExtent } from "../../ir/extent.ts";
import { type Cells, type InterpretOptions, interpretKernel } from "../../ir/interpret-kernel.ts";
import type { Buffer, Kernel } from "../../ir/kernel.ts";
import { parseKernel } from "../../ir/parse-kernel.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { KernelError, kernelProblems, verifyKernel } from "../../ir/verify-kernel.ts";
import { cellsFor, randomFrom, SAMPLES } from "./samples.ts";

function bind(
  k: Kernel,
  sizes: ReadonlyMap<string, number>,
  inputs: Record<string, readonly number[]>,
): Map<Buffer, Cells> {
  const out = new Map<Buffer, Cells>();
  for (const b of k.buffers) {
    if (b.space !== "storage") continue;
    const n = evaluateExtent(b.size, sizes) * b.lanes;
    out.set(b, cellsFor(b.dtype, inputs[b.name] ?? new Array<number>(n).fill(0)));
  }
  return out;
}

describe.each(SAMPLES.map((s) => [s.name, s] as const))("%s", (_, s) => {
  const kernel = parseKernel(s.text);
  test("is sound, and its text round-trips", () => {
    expect(kernelProblems(kernel)).toEqual([]);
    const text = printKernel(kernel);
    expect(printKernel(parseKernel(text))).toBe(text);
  });
  test("computes what plain JavaScript does, without problems", () => {
    const sizes = new Map(Object.entries(s.sizes));
    const inputs = s.inputs(randomFrom(7));
    const buffers = bind(kernel, sizes, inputs);
    const { problems } = interpretKernel(verifyKernel(kernel), undefined, buffers, sizes, { mode: "rounded" });
    expect(problems).toEqual([]);
    for (const [name, wanted] of Object.entries(s.expected(inputs))) {
      const buffer = kernel.buffers.find((b) => b.name === name);
      const got = buffer && buffers.get(buffer);
      const scale = wanted.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const worst = wanted.reduce((m, v, i) => Math.max(m, Math.abs(v - (got?.[i] ?? Number.NaN))), 0);
      expect(worst).toBeLessThanOrEqual(scale * s.roundings * 2 ** -24);
    }
  });
});

/** What the interpreter says of a kernel over buffers full of zeros. */
function problemsOf(
  text: string,
  sizes: Record<string, number> = {},
  options: Partial<InterpretOptions> = {},
): string[] {
  const k = parseKernel(text);
  const bound = new Map(Object.entries(sizes));
  const { problems } = interpretKernel(k, undefined, bind(k, bound, {}), bound, { mode: "rounded", ...options });
  return [...new Set(problems.map((p) => `${p.kind} ${p.buffer?.name ?? ""}`.trim()))];
}

describe("what goes wrong is found", () => {
  test("two invocations store to one element", () => {
    expect(
      problemsOf(`
kernel k(y: write f32[4])
  for t:4 @thread.x
    y[0] = 1.0
`),
    ).toEqual(["race y"]);
  });
  test("a store in another workgroup", () => {
    expect(
      problemsOf(`
kernel k(y: write f32[4])
  for g:2 @grid.x
    for t:4 @thread.x
      y[t] = 1.0
`),
    ).toEqual(["race y"]);
  });
  test("the first of several readers, not only the last", () => {
    // Invocations 0, 1 and 2 read element 0; then 2, the last reader, writes it.
    expect(
      problemsOf(`
kernel k(y: readwrite f32[4])
  for t:3 @thread.x
    let v = y[0]
    if t == 2
      y[0] = v + 1.0
`),
    ).toEqual(["race y"]);
  });
  test("a barrier orders accesses, of its own kind of memory only", () => {
    const swap = (scope: string): string => `
kernel k(y: readwrite f32[8])
  w: workgroup f32[8]
  for t:8 @thread.x
    w[t] = y[t]
    ${scope}
    y[7 - t] = w[7 - t]
`;
    expect(problemsOf(swap("barrier storage"))).toEqual(["race w"]);
    expect(problemsOf(swap("barrier"))).toEqual(["race y"]);
    expect(problemsOf(swap("barrier\n    barrier storage"))).toEqual([]);
  });
  test("a missing second barrier in a loop", () => {
    const loop = (second: string): string => `
kernel k(y: write f32[4])
  w: workgroup f32[4]
  acc: private f32[1]
  for t:4 @thread.x
    acc[0] = 0.0
    for i:3 @loop
      w[t] = cast<f32>(i)
      barrier
      acc[0] = acc[0] + w[3 - t]
      ${second}
    y[t] = acc[0]
`;
    expect(problemsOf(loop(""))).toEqual(["race w"]);
    expect(problemsOf(loop("barrier"))).toEqual([]);
  });
  test("plain accesses beside atomic ones", () => {
    expect(
      problemsOf(`
kernel k(y: readwrite atomic i32[1], o: write i32[4])
  for t:4 @thread.x
    atomic.add(y[0], 1)
    o[t] = y[0]
`),
    ).toEqual(["race y"]);
  });
  test("memory that nobody wrote", () => {
    expect(
      problemsOf(`
kernel k(y: write f32[4])
  w: workgroup f32[4]
  p: private f32[2]
  for t:4 @thread.x
    if t < 3
      w[t] = 1.0
      p[0] = 1.0
    barrier
    y[t] = w[t] + p[0]
`),
    ).toEqual(["uninitialised w", "uninitialised p"]);
  });
  test("workgroup memory of the workgroup before", () => {
    expect(
      problemsOf(`
kernel k(y: write f32[2])
  w: workgroup f32[1]
  for g:2 @grid.x
    if g == 0
      w[0] = 1.0
    y[g] = w[0]
`),
    ).toEqual(["uninitialised w"]);
  });
  test("a temporary that was only half written", () => {
    const k = parseKernel(`
kernel k(x: read f32[2], y: write f32[2])
  for t:2 @thread.x
    y[t] = x[t]
`);
    const [x, y] = k.buffers;
    const flags = new Map([
      [x!, Uint8Array.of(1, 0)],
      [y!, new Uint8Array(2)],
    ]);
    const r = interpretKernel(k, undefined, bind(k, new Map(), {}), new Map(), { mode: "exact", written: flags });
    expect(r.problems.map((p) => [p.kind, p.index])).toEqual([["uninitialised", 1]]);
    expect([...flags.get(y!)!]).toEqual([1, 1]);
  });
  test("accesses out of bounds, reads and writes", () => {
    expect(
      problemsOf(
        `
kernel k(x: read f32[N], y: write f32[N]; N: uniform)
  for t:8 @thread.x
    y[t + 1] = x[t - 1]
`,
        { N: 8 },
      ),
    ).toEqual(["out-of-bounds x", "out-of-bounds y"]);
  });
  test("a barrier that some do not reach", () => {
    const text = `
kernel k(y: write f32[4])
  for t:4 @thread.x
    if t < 2
      barrier
    y[t] = 1.0
`;
    expect(problemsOf(text)).toEqual(["non-uniform"]);
    expect(kernelProblems(parseKernel(text))[0]).toContain("not uniform");
    expect(() => verifyKernel(parseKernel(text))).toThrow(KernelError);
  });
  test("a subgroup operation that some do not reach, and a lane that is not there", () => {
    expect(
      problemsOf(`
kernel k(y: write i32[4])
  for t:4 @thread.x
    if t < 2
      y[t] = subgroup.add(t)
`),
    ).toEqual(["non-uniform"]);
    expect(
      problemsOf(`
kernel k(y: write i32[2])
  for t:2 @thread.x
    y[t] = subgroup.broadcast(t, 3)
`),
    ).toEqual(["non-uniform"]);
    expect(
      problemsOf(`
kernel k(y: write i32[2])
  for t:2 @thread.x
    y[t] = subgroup.shuffle(t, t + 1)
`),
    ).toEqual(["non-uniform"]);
  });
});

test("subgroups of any size, and the last one smaller", () => {
  const k = parseKernel(`
kernel k(y: write i32[12])
  for t:12 @thread.x
    y[t] = subgroup.add(t) * 100 + subgroup.shuffleXor(t, 1) + subgroup.id() * 10000
`);
  for (const size of [1, 4, 8, 32]) {
    const y = new Int32Array(12);
    const [buffer] = k.buffers;
    const { problems } = interpretKernel(k, undefined, new Map([[buffer!, y]]), new Map(), {
      mode: "rounded",
      subgroupSize: size,
    });
    expect(problems.length).toBe(size === 1 ? 1 : 0);
    if (size === 1) continue;
    const wanted = [...y.keys()].map((t) => {
      const start = t - (t % size);
      let sum = 0;
      for (let i = start; i < Math.min(start + size, 12); i++) sum += i;
      return sum * 100 + (t ^ 1) + (t % size) * 10000;
    });
    expect([...y]).toEqual(wanted);
  }
});

test("only the workgroups asked for", () => {
  const k = parseKernel(SAMPLES[0]!.text);
  const sizes = new Map([["N", 1000]]);
  const buffers = bind(k, sizes, { x: new Array(1000).fill(1), y: new Array(1000).fill(0) });
  interpretKernel(k, [[2, 0, 0]], buffers, sizes, { mode: "exact" });
  expect([...buffers.get(k.buffers[1]!)!].map((v, i) => (v !== 0 ? i : -1)).filter((i) => i >= 0)).toEqual(
    Array.from({ length: 64 }, (_, i) => 128 + i),
  );
});
