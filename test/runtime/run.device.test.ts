import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { halfBits } from "../../runtime/host-array.ts";
import type { Device } from "../../runtime/node.ts";
import type { Plan } from "../../runtime/plan.ts";
import { openTestDevice } from "../device.ts";
import { affine, array, buffer, chain, dispatch, f32, kernel, N, over, plan, times } from "./plans.ts";

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

const run = async (p: Plan, ...inputs: Parameters<Awaited<ReturnType<Device["loadPlan"]>>["run"]>) => {
  const loaded = await device.loadPlan(p);
  try {
    return await loaded.run(...inputs);
  } finally {
    loaded.dispose();
  }
};

describe("run", () => {
  it("finds sizes in shapes, for any of them", async () => {
    const loaded = await device.loadPlan(affine);
    for (const n of [1, 63, 64, 65, 1000, 5]) {
      const x = Float32Array.from({ length: n }, (_, i) => i);
      const { y } = await loaded.run({ x: f32(...x) });
      expect(y).toEqual({ dtype: "f32", shape: [n], data: x.map((v) => 2 * v + 1) });
    }
    expect(await loaded.runSingle({ x: f32(1) })).toEqual(f32(3));
    loaded.dispose();
  });
  it("an extent of zero gives an empty result", async () => {
    expect(await run(affine, { x: f32() })).toEqual({ y: { dtype: "f32", shape: [0], data: new Float32Array(0) } });
    expect(await run(chain, { x: f32() })).toEqual({ y: { dtype: "f32", shape: [0], data: new Float32Array(0) } });
  });
  it("temporaries share memory by slot", async () => {
    expect((await run(chain, { x: f32(0, 1, 2.5) }))["y"]).toEqual(f32(1, 1, 16));
  });
  it("many calls at once keep apart", async () => {
    const loaded = await device.loadPlan(chain);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => loaded.run({ x: f32(...new Array<number>(i + 1).fill(i)) })),
    );
    results.forEach(({ y }, i) => {
      expect(y).toEqual(f32(...new Array<number>(i + 1).fill((2 * (i + 1) - 3) ** 2)));
    });
    loaded.dispose();
  });
  it("empty reductions still write: dispatches are by group counts, not by arguments", async () => {
    // y[0] = sum of x, by one invocation.
    const total = plan("total", {
      results: [array("y", 1, [])],
      buffers: [buffer("param"), buffer("result", 1)],
      kernels: [kernel("sum", ["f32", "f32"], "", { wgsl: SUM })],
      steps: [{ kernel: 0, buffers: [0, 1], groups: [1, 1, 1] }],
    });
    expect((await run(total, { x: f32() }))["y"]).toEqual({ dtype: "f32", shape: [], data: Float32Array.of(0) });
    expect((await run(total, { x: f32(1, 2, 4) }))["y"]).toEqual({ dtype: "f32", shape: [], data: Float32Array.of(7) });
  });
  it("fills and copies", async () => {
    // y = x with 1.0 added to every third element; z = all 0x7fc00000 except where nothing was written.
    const p = plan("fill_copy", {
      results: [array("y", 1), array("z", 2)],
      buffers: [buffer("param"), buffer("result"), buffer("result")],
      kernels: [kernel("third", ["f32", "f32"], "if (i % 3 == 0) { b1[i] = b0[i] + 1.0; }")],
      steps: [
        { copyFrom: 0, copyTo: 1 },
        { fill: 2, pattern: 0x40490fdb },
        dispatch(0, [0, 1]),
        { ...dispatch(0, [0, 2]) },
      ],
    });
    const n = 9_001;
    const x = Float32Array.from({ length: n }, (_, i) => i % 7);
    const { y, z } = await run(p, { x: { dtype: "f32", shape: [n], data: x } });
    expect(y?.data).toEqual(x.map((v, i) => (i % 3 === 0 ? v + 1 : v)));
    expect(z?.data).toEqual(x.map((v, i) => (i % 3 === 0 ? v + 1 : Math.fround(Math.PI))));
    expect(await run(p, { x: f32() })).toEqual({ y: f32(), z: f32() });
  });
  it("constants, and results that are arguments, constants or one another", async () => {
    const data = Buffer.from(Float32Array.of(10, 20, 30).buffer).toString("base64");
    const p = plan("aliases", {
      results: [array("same", 0), array("y", 2), array("again", 2), array("fixed", 1, [3])],
      buffers: [buffer("param"), buffer("constant", 3, { data }), buffer("result")],
      kernels: [kernel("add", ["f32", "f32", "f32"], "b2[i] = b0[i] + b1[i % 3];")],
      steps: [dispatch(0, [0, 1, 2])],
    });
    const x = f32(1, 2, 3, 4);
    const y = f32(11, 22, 33, 14);
    expect(await run(p, { x })).toEqual({ same: x, y, again: y, fixed: f32(10, 20, 30) });
  });
  it("booleans are words on the device and bytes on the host", async () => {
    const p = plan("not", {
      params: [array("x", 0, [N], "bool")],
      results: [array("y", 1, [N], "bool")],
      buffers: [buffer("param", N, { dtype: "bool" }), buffer("result", N, { dtype: "bool" })],
      kernels: [kernel("not", ["u32", "u32"], "b1[i] = u32(b0[i] == 0u) * 7u;")],
      steps: [dispatch(0, [0, 1])],
    });
    const { y } = await run(p, { x: { dtype: "bool", shape: [5], data: Uint8Array.of(1, 0, 255, 0, 1) } });
    expect(y).toEqual({ dtype: "bool", shape: [5], data: Uint8Array.of(0, 1, 0, 1, 0) });
  });
  it("integers, and host arrays that are parts of larger buffers or shared", async () => {
    const p = plan("negate", {
      params: [array("x", 0, [N], "i32")],
      results: [array("y", 1, [N], "i32")],
      buffers: [buffer("param", N, { dtype: "i32" }), buffer("result", N, { dtype: "i32" })],
      kernels: [kernel("negate", ["i32", "i32"], "b1[i] = -b0[i];")],
      steps: [dispatch(0, [0, 1])],
    });
    const whole = Int32Array.of(9, 9, 1, -2, 3, 9);
    const x = { dtype: "i32", shape: [3], data: whole.subarray(2, 5) } as const;
    expect((await run(p, { x }))["y"]).toEqual({ dtype: "i32", shape: [3], data: Int32Array.of(-1, 2, -3) });
    const shared = new Int32Array(new SharedArrayBuffer(8));
    shared.set([5, 6]);
    const result = await run(p, { x: { dtype: "i32", shape: [2], data: shared } });
    expect(result["y"]).toEqual({ dtype: "i32", shape: [2], data: Int32Array.of(-5, -6) });
  });
  it("half precision of odd lengths as bits, wherever it is only moved", async () => {
    const p = plan("move", {
      params: [array("x", 0, [N], "f16")],
      results: [array("y", 1, [N], "f16")],
      buffers: [buffer("param", N, { dtype: "f16" }), buffer("result", N, { dtype: "f16" })],
      steps: [{ copyFrom: 0, copyTo: 1 }],
    });
    const bits = Uint16Array.from([1, -2, 0.1], halfBits);
    const y = { dtype: "f16", shape: [3], data: bits };
    expect((await run(p, { x: { dtype: "f16", shape: [3], data: bits } }))["y"]).toEqual(y);
    expect((await run(p, { x: { dtype: "f16", shape: [3], data: Float32Array.of(1, -2, 0.1) } }))["y"]).toEqual(y);
    const half = (globalThis as unknown as { Float16Array?: { of(...x: number[]): never } }).Float16Array;
    if (half) expect((await run(p, { x: { dtype: "f16", shape: [3], data: half.of(1, -2, 0.1) } }))["y"]).toEqual(y);
  });
  it("doubles are rounded to single precision", async () => {
    const { y } = await run(affine, { x: { dtype: "f32", shape: [1], data: Float64Array.of(0.1) } });
    expect(y?.data).toEqual(Float32Array.of(Math.fround(2 * Math.fround(0.1) + 1)));
  });
  it("several workgroup dimensions, symbols of products, equal uniforms", async () => {
    const p = plan("outer", {
      params: [array("x", 0), array("w", 1, [{ symbol: "M" }])],
      results: [array("y", 2, [N, { symbol: "M" }])],
      symbols: [
        { name: "N", param: 0, axis: 0 },
        { name: "M", param: 1, axis: 0 },
      ],
      buffers: [buffer("param"), buffer("param", { symbol: "M" }), buffer("result", times(N, { symbol: "M" }))],
      kernels: [
        {
          ...kernel("outer", ["f32", "f32", "f32"], ""),
          wgsl: OUTER,
          workgroupSize: [8, 8, 1],
          uniforms: [N, { symbol: "M" }],
        },
      ],
      steps: [{ kernel: 0, buffers: [0, 1, 2], groups: [over({ symbol: "M" }, 8), over(N, 8), 1] }],
    });
    const { y } = await run(p, { x: f32(1, 2, 3), w: f32(1, 10) });
    expect(y).toEqual({ dtype: "f32", shape: [3, 2], data: Float32Array.of(1, 10, 2, 20, 3, 30) });
  });
});

const SUM = `struct Sizes { n: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
@compute @workgroup_size(1) fn main() {
  var total = 0.0;
  for (var i = 0; i < sizes.n; i++) { total += x[i]; }
  y[0] = total;
}`;

const OUTER = `struct Sizes { n: i32, m: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> sizes: Sizes;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = i32(id.x); let i = i32(id.y);
  if (i < sizes.n && j < sizes.m) { y[i * sizes.m + j] = x[i] * w[j]; }
}`;

describe("arrays on the device", () => {
  it("go up, through kernels and down", async () => {
    const loaded = await device.loadPlan(affine);
    const x = device.upload(f32(1, 2, 3));
    const once = await loaded.runOnDevice({ x });
    const twice = await loaded.runOnDevice({ x: once["y"]! });
    expect(await device.download(twice["y"]!)).toEqual(f32(7, 11, 15));
    expect(await device.download(once["y"]!)).toEqual(f32(3, 5, 7));
    expect((await loaded.run({ x: once["y"]! }))["y"]).toEqual(f32(7, 11, 15));
    expect(await device.download(device.upload(f32()))).toEqual(f32());
    const mask = { dtype: "bool", shape: [2, 2], data: Uint8Array.of(1, 0, 0, 1) } as const;
    expect(await device.download(device.upload(mask))).toEqual(mask);
    for (const a of [x, once["y"]!, twice["y"]!]) a.buffer.destroy();
    loaded.dispose();
  });
  it("results that are arguments get memory of their own", async () => {
    const p = plan("identity", { results: [array("y", 0), array("z", 0)], buffers: [buffer("param")] });
    const loaded = await device.loadPlan(p);
    const x = device.upload(f32(4, 5));
    const { y, z } = await loaded.runOnDevice({ x });
    x.buffer.destroy();
    expect(await device.download(y!)).toEqual(f32(4, 5));
    expect(await device.download(z!)).toEqual(f32(4, 5));
    expect(y!.buffer).not.toBe(z!.buffer);
    loaded.dispose();
  });
});

describe("encode", () => {
  it("on the caller's buffers, with offsets, in an encoder or a pass, submitted later", async () => {
    const loaded = await device.loadPlan(chain);
    const arena = device.createBuffer(1024);
    device.gpu.queue.writeBuffer(arena, 256, Float32Array.of(0, 1, 2.5));
    const y = device.createBuffer(1024);
    const encoder = device.gpu.createCommandEncoder();
    loaded.encode(encoder, { x: { buffer: arena, offset: 256, size: 12 }, y }, { N: 3 });
    const pass = encoder.beginComputePass();
    loaded.encode(pass, { x: { buffer: arena, offset: 256 }, y: { buffer: y, offset: 512, size: 8 } }, { N: 2 });
    pass.end();
    await loaded.run({ x: f32(7, 7, 7, 7, 7) });
    device.gpu.queue.submit([encoder.finish()]);
    expect(await device.download({ dtype: "f32", shape: [3], buffer: y })).toEqual(f32(1, 1, 16));
    expect(await device.download({ dtype: "f32", shape: [3], buffer: y, offset: 512 })).toEqual(f32(1, 1, 0));
    loaded.dispose();
  });
  it("fills, copies and aliases inside a pass", async () => {
    const p = plan("in_pass", {
      results: [array("y", 1), array("z", 2), array("same", 0)],
      buffers: [buffer("param"), buffer("result"), buffer("result")],
      steps: [
        { copyFrom: 0, copyTo: 1 },
        { fill: 2, pattern: 0x3f800000 },
      ],
    });
    const loaded = await device.loadPlan(p);
    const n = 5000;
    const x = device.upload({ dtype: "f32", shape: [n], data: Float32Array.from({ length: n }, (_, i) => i) });
    const [y, z, same] = [device.createBuffer(4 * n), device.createBuffer(4 * n), device.createBuffer(4 * n)];
    const encoder = device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    loaded.encode(pass, { x: x.buffer, y, z, same }, { N: n });
    pass.end();
    device.gpu.queue.submit([encoder.finish()]);
    const read = (b: GPUBuffer) => device.download({ dtype: "f32", shape: [n], buffer: b });
    const expected = await device.download(x);
    expect(await read(y)).toEqual(expected);
    expect(await read(same)).toEqual(expected);
    expect((await read(z)).data).toEqual(new Float32Array(n).fill(1));
    loaded.dispose();
  });
});

describe("encode with extents of zero", () => {
  it("binds 16 bytes and runs what does not depend on the extent", async () => {
    const total = plan("total", {
      results: [array("y", 1, [])],
      buffers: [buffer("param"), buffer("result", 1)],
      kernels: [kernel("sum", ["f32", "f32"], "", { wgsl: SUM })],
      steps: [{ kernel: 0, buffers: [0, 1], groups: [1, 1, 1] }],
    });
    const loaded = await device.loadPlan(total);
    const y = device.upload({ dtype: "f32", shape: [], data: Float32Array.of(9) });
    const encoder = device.gpu.createCommandEncoder();
    loaded.encode(encoder, { x: device.createBuffer(0), y: y.buffer }, { N: 0 });
    device.gpu.queue.submit([encoder.finish()]);
    expect((await device.download(y)).data).toEqual(Float32Array.of(0));
    const tiny = device.gpu.createBuffer({ size: 4, usage: 128 });
    expect(() => loaded.encode(device.gpu.createCommandEncoder(), { x: tiny, y: y.buffer }, { N: 0 })).toThrow(
      "needs 16",
    );
    loaded.dispose();
  });
});

describe("time", () => {
  it("gives nanoseconds for the program and for each dispatch", async () => {
    const loaded = await device.loadPlan(chain);
    const times = await loaded.time({ x: f32(...new Array<number>(50_000).fill(1)) }, { repeat: 3 });
    expect(times.total).toHaveLength(3);
    expect(Math.min(...times.total)).toBeGreaterThan(0);
    if (times.source === "timestamps") {
      expect(times.dispatches.map((d) => d.kernel)).toEqual(["plus", "twice", "minus", "square"]);
      for (const d of times.dispatches) {
        expect(d.ns).toHaveLength(3);
        expect(Math.min(...d.ns)).toBeGreaterThan(0);
      }
    }
    loaded.dispose();
  });
  it("by the host's clock where there are no timestamps", async () => {
    const plain = await openTestDevice({ features: [] });
    const loaded = await plain.loadPlan(affine);
    const times = await loaded.time({ x: f32(1) }, { repeat: 2 });
    expect(times.source).toBe("clock");
    expect(times.total).toHaveLength(2);
    plain.close();
  });
});

describe("wgsl", () => {
  it("has all kernels under their names", async () => {
    const loaded = await device.loadPlan(chain);
    expect(loaded.wgsl.match(/^\/\/ \w+/gm)).toEqual(["// plus", "// twice", "// minus", "// square"]);
    expect(loaded.plan).toBe(chain);
    loaded.dispose();
  });
});
