/** Emitted modules on a device: what they compute, on whose memory, for which extents, and what they refuse. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Device } from "../../runtime/node.ts";
import { politeWait } from "../../runtime/polite.ts";
import { compile, type HostArray } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";
import {
  ATTENTION,
  type Data,
  type EmittedKernel,
  emit,
  type Filled,
  floats,
  LINEAR_GELU,
  load,
  loadFunction,
  type Sizes,
  textOf,
} from "./support.ts";

// A machine with other work compiles attention slowly.
vi.setConfig({ testTimeout: 180_000 });

let device: Device;
let gpu: GPUDevice;
let finish: () => void;
beforeAll(async () => {
  device = await openTestDevice();
  gpu = device.gpu;
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

const LOSS = `fn errors(w: f32[N], x: f32[M, N], y: f32[M]) { (sum(x * w, axis: 1) - y) ** 2 }
fn loss(w: f32[N], x: f32[M, N], y: f32[M]) -> f32 { mean(errors(w, x, y)) }
export let step = value_and_grad(loss, wrt: [w])
export let back = vjp(errors, wrt: [w, x])
export let push = jvp(errors, wrt: [w, x])
export fn pull(w: f32[N], x: f32[M, N], y: f32[M], d: f32[M]) { vjp(errors, wrt: [w, x])(w, x, y, d) }
`;

type Inputs = Readonly<Record<string, Filled>>;

/** What the runtime gives for the same function: the module must agree bit for bit, for both run the same kernels. */
async function runtimeResults(source: string, name: string, inputs: Inputs): Promise<readonly HostArray[]> {
  const kernel = await device.load({ plan: (n: string) => compile(source).plan(n) }, name);
  try {
    return Object.values(await kernel.run(inputs));
  } finally {
    kernel.dispose();
  }
}

async function same(source: string, name: string, kernel: EmittedKernel, inputs: Inputs): Promise<void> {
  const results = Object.values(await kernel.run(inputs));
  const expected = await runtimeResults(source, name, inputs);
  expect(results.map((r) => [...r.shape])).toEqual(expected.map((r) => [...r.shape]));
  expect(results.map((r) => [...r])).toEqual(expected.map((r) => [...r.data]));
}

function upload(data: Data, at = 0, size = at + data.byteLength): GPUBuffer {
  const buffer = gpu.createBuffer({ size: Math.max(16, Math.ceil(size / 4) * 4), usage: 0x8c });
  gpu.queue.writeBuffer(buffer, at, data as Data & ArrayBufferView<ArrayBuffer>);
  return buffer;
}

async function download(buffer: GPUBuffer): Promise<Float32Array> {
  const read = gpu.createBuffer({ size: buffer.size, usage: 9 });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, read, 0, buffer.size);
  gpu.queue.submit([encoder.finish()]);
  await read.mapAsync(1);
  return new Float32Array(read.getMappedRange().slice(0));
}

function linearInputs(m: number, k: number, n: number): Inputs {
  return { x: floats([m, k], 1), w: floats([k, n], 2), b: floats([n], 3) };
}

describe("run", () => {
  test("one kernel serves any extents", async () => {
    const linear = await loadFunction(LINEAR_GELU, "linear_gelu");
    const kernel = await linear(gpu);
    for (const [m, k, n] of [
      [3, 5, 7],
      [70, 33, 65],
      [3, 5, 7],
      [1, 1, 1],
    ] as const)
      await same(LINEAR_GELU, "linear_gelu", kernel, linearInputs(m, k, n));
    kernel.dispose();
  });

  test("extents that are fixed when it is made are literals of the shader; some, or all", async () => {
    const linear = await loadFunction(LINEAR_GELU, "linear_gelu");
    for (const fixed of [{ N: 7 }, { M: 3, K: 5, N: 7 }, { K: 1 }] as readonly Sizes[]) {
      const texts: string[] = [];
      const create = gpu.createShaderModule.bind(gpu);
      gpu.createShaderModule = (d) => {
        texts.push(d.code);
        return create(d);
      };
      const kernel = await linear(gpu, fixed);
      delete (gpu as Partial<GPUDevice>).createShaderModule;
      if ("N" in fixed) {
        expect(texts.join("\n")).toContain("7i");
        expect(texts.join("\n")).not.toMatch(/sizes\.N\b/);
      }
      await same(LINEAR_GELU, "linear_gelu", kernel, linearInputs(3, fixed["K"] ?? 5, 7));
      kernel.dispose();
    }
  });

  test("attention, some of its extents fixed", async () => {
    const kernel = await (await loadFunction(ATTENTION, "attention"))(gpu, { B: 2, H: 3 });
    const arrays = { q: floats([2, 3, 5, 4], 1), k: floats([2, 3, 6, 4], 2), v: floats([2, 3, 6, 7], 3) };
    await same(ATTENTION, "attention", kernel, arrays);
  });

  test("derivatives are functions like others", async () => {
    const module = await load(textOf(emit(LOSS), ".ein.js"));
    const arrays = { w: floats([5], 1), x: floats([3, 5], 2), y: floats([3], 3) };
    await same(LOSS, "step", await module["step"]!(gpu), arrays);
    const pull = await module["pull"]!(gpu);
    await same(LOSS, "pull", pull, { ...arrays, d: floats([3], 4) });
    // A gradient by a parameter has the parameter's name, which its own buffer needs: it is out_NAME.
    const results = await pull.run({ ...arrays, d: floats([3], 4) });
    // An exported vjp takes the cotangent beside the function's arguments.
    const back = await module["back"]!(gpu);
    expect(await back.run({ ...arrays, cotangent: floats([3], 4) })).toEqual(results);
    await expect(back.run({ ...arrays, cotangent: floats([4], 4) })).rejects.toThrow(/cotangent is f32\[M\] = \[3\]/);
    const tangents = { tangent_w: floats([5], 5), tangent_x: floats([3, 5], 6) };
    await same(LOSS, "push", await module["push"]!(gpu), { ...arrays, ...tangents });
    expect(Object.entries(results).map(([n, a]) => [n, ...a.shape])).toEqual([
      ["out_w", 5],
      ["out_x", 3, 5],
    ]);
  });

  test("bare arrays where the extents are known, numbers for scalars, results as arguments", async () => {
    const source = "export fn f(x: f32[M, N], y: f32[N], s: f32) -> f32[M, N] { x * y + s }\n";
    const kernel = await (await loadFunction(source, "f"))(gpu, { M: 2 });
    const y = Float32Array.of(1, 2, 3);
    const { out } = await kernel.run({ x: Float32Array.of(1, 2, 3, 4, 5, 6), y, s: 10 });
    expect([...out!]).toEqual([11, 14, 19, 14, 20, 28]);
    const again = await kernel.run({ x: out!, y, s: 0 });
    expect([...again["out"]!]).toEqual([11, 28, 57, 14, 40, 84]);
    expect(again["out"]!.shape).toEqual([2, 3]);
  });

  test.each<[string, string, Inputs]>([
    [
      "booleans",
      "export fn f(x: f32[N], m: bool[N]) { { picked: where(m, x, 0), not: !m } }\n",
      {
        x: floats([5]),
        m: { dtype: "bool", shape: [5], data: Uint8Array.of(1, 0, 7, 0, 1) },
      },
    ],
    [
      "integers",
      "export fn f(x: i32[N], y: u32[N]) { { a: x * x, b: y / 2 as u32 } }\n".replace("y / 2 as u32", "y + y"),
      {
        x: { dtype: "i32", shape: [3], data: Int32Array.of(-2, 3, 65536) },
        y: { dtype: "u32", shape: [3], data: Uint32Array.of(1, 2, 4294967295) },
      },
    ],
    ["a result that is an argument", "export fn f(x: f32[N]) { { y: x, z: x } }\n", { x: floats([5]) }],
    ["an array without elements", "export fn f(x: f32[N, K]) { sum(x, axis: 1) }\n", { x: floats([3, 0]) }],
    [
      "scattering, which fills first",
      "export fn f(x: f32[N], at: i32[N], y: i32[K]) -> i32[K] { z[at[i]] max= at[i] * 2\n z }\n",
      {
        x: floats([4]),
        at: { dtype: "i32", shape: [4], data: Int32Array.of(0, 2, 2, 1) },
        y: { dtype: "i32", shape: [3], data: Int32Array.of(0, 0, 0) },
      },
    ],
    ["sorting", "export fn f(x: f32[N]) { sort(x) }\n", { x: floats([37]) }],
    ["a running sum", "export fn f(x: f32[M, N]) { cumsum(x, axis: 0) }\n", { x: floats([37, 3]) }],
  ])("%s", async (_, source, inputs) => {
    const kernel = await (await loadFunction(source, "f"))(gpu);
    await same(source, "f", kernel, inputs);
  });

  test("leading axes, any number of them", async () => {
    const source = "export fn f(x: f32[..., D], g: f32[D]) { x * g }\n";
    const kernel = await (await loadFunction(source, "f"))(gpu);
    const g = Float32Array.of(1, 10);
    const x = { data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), shape: [2, 2, 2] };
    const { out } = await kernel.run({ x, g });
    expect([...out!]).toEqual([1, 20, 3, 40, 5, 60, 7, 80]);
    expect(out!.shape).toEqual([2, 2, 2]);
    expect((await kernel.run({ x: { data: g, shape: [2] }, g }))["out"]!.shape).toEqual([2]);
  });

  test("names of JavaScript and of its prototypes, also those that the module uses itself", async () => {
    const functions = await load(
      textOf(
        emit(`export fn Float32Array(__proto__: f32[N], toString: f32[N], valueOf: f32) { __proto__ + toString * valueOf }
export fn constructor(x: f32[Map]) { { __proto__: x * 2, default: x, Object: sum(x) } }
export fn Promise(Error: f32[Math]) { Error / Math }
`),
        ".ein.js",
      ),
    );
    const x = Float32Array.of(1, 3);
    const run = async (name: string, inputs: Readonly<Record<string, Data | number>>): Promise<unknown> => {
      const kernel = await functions[name]!(gpu);
      const results = await kernel.run(inputs);
      kernel.dispose();
      return Object.entries(results).map(([n, a]) => [n, [...a]]);
    };
    expect(await run("Float32Array", { ["__proto__"]: x, toString: x, valueOf: 2 })).toEqual([["out", [3, 9]]]);
    const all = [...["__proto__", [2, 6]], ...["default", [1, 3]], ...["Object", [4]]];
    expect(((await run("constructor", { x })) as unknown[][]).flat()).toEqual(all);
    expect(await run("Promise", { Error: x })).toEqual([["out", [0.5, 1.5]]]);
  });

  test("forms for constants", async () => {
    const source = "export fn f(x: f32[N], k: const int, s: const float = 0.5) { x * k * s }\n";
    const specialise = { f: [{ consts: { k: 2 } }, { consts: { k: 3 }, extents: { N: 2 } }, { consts: { k: 3 } }] };
    const f = await loadFunction(source, "f", { specialise });
    const x = Float32Array.of(1, 2);
    const of = async (options: Readonly<Record<string, unknown>>): Promise<readonly number[]> => [
      ...(await (await f(gpu, options)).run({ x }))["out"]!,
    ];
    expect(await of({ k: 2 })).toEqual([1, 2]);
    expect(await of({})).toEqual([1, 2]);
    expect(await of({ k: 3 })).toEqual([1.5, 3]);
    expect(await of({ k: 3, N: 2 })).toEqual([1.5, 3]);
    await expect(f(gpu, { k: 4 })).rejects.toMatchObject({ name: "EinError", kind: "unsupported-feature" });
  });
});

describe("encode", () => {
  test("works on the caller's buffers at offsets, in the caller's pass or one of its own", async () => {
    const kernel = await (await loadFunction(LINEAR_GELU, "linear_gelu"))(gpu, { K: 5 });
    const inputs = linearInputs(3, 5, 7);
    const { out } = await kernel.run(inputs);
    const [x, w, b] = ["x", "w", "b"].map((n) => inputs[n]!.data as Float32Array);
    const all = upload(x!, 256, 1024);
    gpu.queue.writeBuffer(all, 512, w! as Float32Array<ArrayBuffer>);
    const target = upload(new Float32Array(128));
    const buffers = {
      x: { buffer: all, offset: 256, size: 60 },
      w: { buffer: all, offset: 512 },
      b: upload(b!),
      out: { buffer: target, offset: 256 },
    };
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    kernel.encode(pass, buffers, { M: 3, N: 7 });
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    expect([...(await download(target)).subarray(64, 64 + 21)]).toEqual([...out!]);

    const other = upload(new Float32Array(21));
    const second = gpu.createCommandEncoder();
    kernel.encode(second, { ...buffers, out: other }, { M: 3, N: 7 });
    gpu.queue.submit([second.finish()]);
    expect([...(await download(other)).subarray(0, 21)]).toEqual([...out!]);
  });

  test("uses scratch memory of its own or the caller's", async () => {
    const source = "export fn f(x: f32[M, N]) { let s = cumsum(x, axis: 0)\n s / sum(s) }\n";
    const kernel = await (await loadFunction(source, "f"))(gpu, { N: 5 });
    const sizes = { M: 7 };
    const inputs = { x: floats([7, 5]) };
    const expected = await kernel.run(inputs);
    const bytes = kernel.workspace(sizes);
    expect(bytes.length).toBeGreaterThan(0);
    const buffers: Record<string, GPUBuffer> = {};
    for (const [n, a] of Object.entries(inputs)) buffers[n] = upload(a.data as Float32Array);
    for (const [n, a] of Object.entries(expected)) buffers[n] = upload(new Float32Array(a.length));
    let made = 0;
    const create = gpu.createBuffer.bind(gpu);
    const workspace = bytes.map((size) => create({ size: Math.max(16, size), usage: 128 }));
    gpu.createBuffer = (d) => {
      made++;
      return create(d);
    };
    const encoder = gpu.createCommandEncoder();
    kernel.encode(encoder, buffers, sizes, workspace);
    delete (gpu as Partial<GPUDevice>).createBuffer;
    expect(made).toBe(0);
    gpu.queue.submit([encoder.finish()]);
    for (const [n, a] of Object.entries(expected))
      expect([...(await download(buffers[n]!)).subarray(0, a.length)]).toEqual([...a]);
    expect(() => kernel.encode(gpu.createCommandEncoder(), buffers, sizes, workspace.slice(1))).toThrow("workspace");
  });
});

describe("what it refuses, by an EinError of kind shape that names the extents", () => {
  let kernel: EmittedKernel;
  beforeAll(async () => {
    kernel = await (await loadFunction(LINEAR_GELU, "linear_gelu"))(gpu, { N: 7 });
  });
  const wrong: readonly [string, () => Promise<unknown>, RegExp, string][] = [
    [
      "extents that differ",
      () => kernel.run({ ...linearInputs(3, 5, 7), w: floats([4, 7]) }),
      /w is f32\[K, N\] = \[5,7\].*\[4,7\]/,
      "w",
    ],
    ["extents that were fixed", () => kernel.run(linearInputs(3, 5, 8)), /w is f32\[K, N\] = \[5,7\].*\[5,8\]/, "w"],
    [
      "another rank",
      () => kernel.run({ ...linearInputs(3, 5, 7), x: floats([15]) }),
      /x is f32\[M, K\], but its shape is \[15\]/,
      "x",
    ],
    [
      "another element type",
      () => kernel.run({ ...linearInputs(3, 5, 7), b: { data: new Int32Array(7), shape: [7] } }),
      /b is f32\[N\].*Int32Array/,
      "b",
    ],
    [
      "too few elements",
      () => kernel.run({ ...linearInputs(3, 5, 7), b: { data: new Float32Array(6), shape: [7] } }),
      /Float32Array\(6\)/,
      "b",
    ],
    ["a missing argument", () => kernel.run({ x: floats([3, 5]), w: floats([5, 7]) }), /b is missing/, "b"],
    [
      "an unknown argument",
      () => kernel.run({ ...linearInputs(3, 5, 7), bias: floats([7]) }),
      /bias is none of x,w,b/,
      "bias",
    ],
    [
      "another value for a fixed extent",
      () => kernel.run(linearInputs(3, 5, 7), { N: 8 }),
      /N cannot be 8; fixed are {"N":7}/,
      "N",
    ],
    ["an unknown extent", () => kernel.run(linearInputs(3, 5, 7), { J: 8 }), /J is none of M,K,N/, "J"],
    ["an extent that is no number of elements", async () => kernel.workspace({ M: -1, K: 2 }), /M cannot be -1/, "M"],
    [
      "an unknown extent when it is made",
      async () => (await loadFunction(LINEAR_GELU, "linear_gelu"))(gpu, { B: 1 }),
      /B is none of M,K,N/,
      "B",
    ],
  ];
  test.each(wrong)("%s", async (_, call, message, parameter) => {
    const error = await call().then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ name: "EinError", kind: "shape", parameter });
    expect((error as Error).message).toMatch(message);
  });

  test("buffers that are too small, and conditions on extents", async () => {
    const buffers = {
      x: upload(new Float32Array(15)),
      w: upload(new Float32Array(34)),
      b: upload(new Float32Array(7)),
      out: upload(new Float32Array(21)),
    };
    expect(() => kernel.encode(gpu.createCommandEncoder(), buffers, { M: 3, K: 5 })).toThrow(
      /w has 136 bytes, but 140/,
    );
    const largest = await (await loadFunction("export fn f(x: f32[N, K]) { max(x, axis: 1) }\n", "f"))(gpu);
    await expect(largest.run({ x: floats([3, 0]) })).rejects.toThrow(/"K":0.*K >= 1/);
  });

  test("everything once it was disposed", async () => {
    const gone = await (await loadFunction(LINEAR_GELU, "linear_gelu"))(gpu);
    gone.dispose();
    await expect(gone.run(linearInputs(1, 2, 3))).rejects.toMatchObject({ name: "EinError", kind: "disposed" });
    expect(() => gone.workspace({ M: 1, K: 1, N: 1 })).toThrow("disposed");
  });
});
