/** Loops in emitted modules: what their functions compute is what the runtime computes, for any number of rounds. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import type { Device } from "../../runtime/node.ts";
import { politeWait } from "../../runtime/polite.ts";
import { toInputs } from "../../src/api/interpret.ts";
import { numbersOf } from "../../src/api/numbers.ts";
import { compile, type HostArray } from "../../src/index.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import { openTestDevice } from "../device.ts";
import { emit, type Filled, floats, load, loadFunction, textOf } from "./support.ts";

type Inputs = Readonly<Record<string, Filled>>;

const DIFFUSE = `/// steps of x' = x + rate * (left - 2 x + right), on a ring.
export fn diffuse(x: f32[N], rate: f32[T]) -> f32[N] {
  iterate t in 0..T from x as v { v + rate[t] * (roll(v, 1, axis: 0) - 2 * v + roll(v, -1, axis: 0)) }
}
`;

const GRADIENT = `fn loss(x: f32[T, N], w: f32[N, N], h: f32[N]) -> f32 {
  sum(iterate t in 0..T from h as v { tanh(w @ v + x[t]) } ** 2)
}
export let step = value_and_grad(loss, wrt: [x, w, h])
`;

/** Each with the shapes of its arguments, one list a call on the same kernel. */
const CASES: readonly (readonly [string, string, readonly Readonly<Record<string, readonly number[]>>[]])[] = [
  ["diffusion, rounds from an extent: several, one, none", DIFFUSE, [8, 1, 0, 3].map((t) => ({ x: [70], rate: [t] }))],
  [
    "power iteration",
    `export fn power(w: f32[N, N], v: f32[N]) {
  iterate 7 from v as u {
    let y = w.T @ (w @ u)
    y / norm(y)
  }
}
`,
    [{ w: [6, 6], v: [6] }],
  ],
  [
    "a loop in a loop, each with an odd number of rounds, and loops after them",
    `export fn nest(a: f32[N, N]) {
  let r = iterate i in 0..3 from a as x, zeros([N]) as s {
    let inner = iterate j in 0..3 from s as t { t * 0.5 + sum(x, axis: 1) * ((i * 3 + j) as f32) }
    { x: x.T * 0.5 + a, s: inner }
  }
  let none = iterate 0 from r.s as t { t * 2 }
  let one = iterate 1 from none as t { t * 2 }
  { s: r.s, none, one, x: r.x }
}
`,
    [{ a: [4, 4] }, { a: [9, 9] }],
  ],
  [
    "the gradient of a loop, for which rounds are kept",
    GRADIENT,
    [4, 1, 7].map((t) => ({ x: [t, 3], w: [3, 3], h: [3] })),
  ],
  [
    "the gradient of a loop in a loop, with a kernel that has no uniform",
    `fn loss(x: f32[5]) -> f32 {
  sum(iterate 3 from x as v { iterate 2 from v as u { sin(u) + cumsum(u, axis: 0) * 0.1 } * x })
}
export let step = grad(loss)
export fn twice(x: f32[N]) { x + x }
`,
    [{ x: [5] }],
  ],
];

describe("on a device", () => {
  let device: Device;
  let finish: () => void;
  beforeAll(async () => {
    device = await openTestDevice();
    // Modules wait plainly, as in a browser; in Node that would take a core from the software adapter.
    void politeWait(
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
    );
  });
  afterAll(() => {
    finish?.();
    device?.close();
  });

  test.each(CASES)("%s", async (_, source, calls) => {
    const program = compile(source);
    const { name } = program.functions[0]!;
    const loaded = await device.load({ plan: (n: string) => program.plan(n) }, name);
    const kernel = await (await load(textOf(emit(source), ".ein.js")))[name]!(device.gpu);
    for (const shapes of calls) {
      const inputs: Inputs = Object.fromEntries(Object.entries(shapes).map(([n, s], i) => [n, floats(s, i + 1)]));
      const results = Object.values(await kernel.run(inputs));
      const expected: readonly HostArray[] = Object.values(await loaded.run(inputs));
      expect(results.map((r) => [...r.shape])).toEqual(expected.map((r) => [...r.shape]));
      // The same kernels on the same device: bit for bit.
      expect(results.map((r) => [...r])).toEqual(expected.map((r) => [...r.data]));
      const { fused } = program.compiled(name, { adapter: device.info });
      const exact = Object.values(program.interpret(name, inputs));
      errorBounds(defuse(fused), toInputs(inputs)).forEach((b, i) => {
        for (const values of [results[i]!, numbersOf(exact[i]!)])
          expect({ result: b.name, ...compareWithin(b, values) }).toMatchObject({ result: b.name, first: undefined });
      });
    }
    kernel.dispose();
    loaded.dispose();
  });

  test("with the extents fixed, which are also the number of rounds", async () => {
    const inputs = { x: floats([70], 1), rate: floats([5], 2) };
    const diffuse = await loadFunction(DIFFUSE, "diffuse");
    const [free, fixed] = [await diffuse(device.gpu), await diffuse(device.gpu, { N: 70, T: 5 })];
    const [a, b] = [await free.run(inputs), await fixed.run(inputs)];
    expect([...b["out"]!]).toEqual([...a["out"]!]);
    const step = await (await loadFunction(GRADIENT, "step"))(device.gpu, { T: 4, N: 3 });
    const given = { x: floats([4, 3], 1), w: floats([3, 3], 2), h: floats([3], 3) };
    const expected = await (await (await loadFunction(GRADIENT, "step"))(device.gpu)).run(given);
    const got = await step.run(given);
    expect(Object.keys(got)).toEqual(["value", "out_x", "out_w", "out_h"]);
    for (const n of Object.keys(got)) expect([...got[n]!]).toEqual([...expected[n]!]);
  });

  test("on the caller's buffers, in the caller's pass, with the caller's scratch memory, twice in one", async () => {
    const { gpu } = device;
    const kernel = await (await loadFunction(DIFFUSE, "diffuse"))(gpu);
    const extents = { N: 70, T: 5 };
    const inputs = { x: floats([70], 1), rate: floats([5], 2) };
    const { out } = await kernel.run(inputs);
    const make = (data: Float32Array<ArrayBuffer>): GPUBuffer => {
      const buffer = gpu.createBuffer({ size: 16 * Math.ceil(data.byteLength / 16), usage: 0x8c });
      gpu.queue.writeBuffer(buffer, 0, data);
      return buffer;
    };
    const buffer = (a: Filled): GPUBuffer => make(Float32Array.from(a.data));
    const [x, rate, y, z] = [
      buffer(inputs.x),
      buffer(inputs.rate),
      make(new Float32Array(70)),
      make(new Float32Array(70)),
    ];
    const sizes = kernel.workspace(extents);
    expect(sizes.length).toBeGreaterThan(0);
    const workspace = sizes.map((size) => ({
      buffer: gpu.createBuffer({ size: 256 + Math.max(16, size), usage: 0x80 }),
      offset: 256,
    }));
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    kernel.encode(pass, { x, rate, out: y }, extents, workspace);
    kernel.encode(pass, { x: y, rate, out: z }, extents, workspace);
    pass.end();
    const read = gpu.createBuffer({ size: y.size, usage: 9 });
    const again = gpu.createBuffer({ size: y.size, usage: 9 });
    encoder.copyBufferToBuffer(y, 0, read, 0, y.size);
    encoder.copyBufferToBuffer(z, 0, again, 0, z.size);
    gpu.queue.submit([encoder.finish()]);
    await Promise.all([read.mapAsync(1), again.mapAsync(1)]);
    expect([...new Float32Array(read.getMappedRange()).subarray(0, 70)]).toEqual([...out!]);
    const twice = await kernel.run({ ...inputs, x: out! });
    expect([...new Float32Array(again.getMappedRange()).subarray(0, 70)]).toEqual([...twice["out"]!]);
  });

  test("more rounds than can be encoded are refused", async () => {
    const kernel = await (await loadFunction(DIFFUSE, "diffuse"))(device.gpu);
    expect(() => kernel.workspace({ N: 1, T: 2 ** 30 })).toThrow(
      expect.objectContaining({
        name: "EinError",
        kind: "shape",
        message: expect.stringMatching(/more than 1048576 dispatches/),
      }),
    );
    kernel.dispose();
  });
});

test("only a module that needs it has the host code of loops", () => {
  const wordsIn = (source: string): readonly string[] => {
    const text = textOf(emit(source), ".ein.js");
    return ["unroll", "swaps", "p.rows"].filter((word) => text.includes(word));
  };
  expect(wordsIn("export fn f(x: f32[N]) { cumsum(exp(x), axis: 0) }\n")).toEqual([]);
  expect(wordsIn(DIFFUSE)).toEqual(["unroll", "swaps"]);
  expect(wordsIn(GRADIENT)).toEqual(["unroll", "swaps", "p.rows"]);
});
