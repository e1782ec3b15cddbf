import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LoadedKernel } from "../../runtime/kernel.ts";
import { type Device, DeviceError, openDevice, wrapDevice } from "../../runtime/node.ts";
import type { Plan } from "../../runtime/plan.ts";
import { openTestDevice } from "../device.ts";
import { deviceError } from "./errors.ts";
import { affine, array, buffer, chain, dispatch, f32, kernel, N, plan } from "./plans.ts";

let device: Device;
let loaded: LoadedKernel;
beforeAll(async () => {
  device = await openTestDevice();
  loaded = await device.loadPlan(affine);
});
afterAll(() => device.close());

const load = (p: Plan) => deviceError(() => device.loadPlan(p));
const two = plan("two", {
  params: [array("x", 0), array("w", 1, [N, 3])],
  results: [array("y", 2)],
  facts: [{ left: N, relation: ">=", right: 2, message: "two needs at least two rows" }],
  buffers: [buffer("param"), buffer("param", { op: "mul", left: N, right: 3 }), buffer("result")],
});

describe("arguments that do not fit", () => {
  it("are named with both extents", async () => {
    const p = await device.loadPlan(two);
    const w = (rows: number, columns: number) =>
      ({ dtype: "f32", shape: [rows, columns], data: new Float32Array(rows * columns) }) as const;
    const shape = await deviceError(() => p.run({ x: f32(1, 2), w: w(4, 3) }));
    expect(shape.kind).toBe("shape");
    expect(shape.message).toBe("two: axis 0 of w has extent 4, but 2 is needed (N, from axis 0 of x)");
    expect(shape.argument).toEqual({ parameter: "w", axis: 0, expected: 2, found: 4 });
    expect((await deviceError(() => p.run({ x: f32(1, 2), w: w(2, 5) }))).message).toBe(
      "two: axis 1 of w has extent 5, but 3 is needed",
    );
    const rank = await deviceError(() => p.run({ x: f32(1, 2), w: f32(1, 2) }));
    expect(rank.message).toBe("two: w has rank 1, shape [2], but f32[N, 3] has rank 2");
    const fact = await deviceError(() => p.run({ x: f32(1), w: w(1, 3) }));
    expect(fact.message).toBe("two: two needs at least two rows (N is 1, 2 is 2; needed: N >= 2)");
    expect((await deviceError(() => p.run({ x: f32(1, 2) }))).message).toBe("two: the argument w is missing");
    expect((await deviceError(() => p.run({ x: f32(1, 2), w: w(2, 3), v: f32() }))).message).toBe(
      "two has no argument v; there are x, w",
    );
  });
  it("by element type and length", async () => {
    const type = await deviceError(() => loaded.run({ x: { dtype: "i32", shape: [1], data: Int32Array.of(1) } }));
    expect(type.message).toBe("affine: x is i32, but f32 is needed");
    const holds = await deviceError(() => loaded.run({ x: { dtype: "f32", shape: [1], data: Int32Array.of(1) } }));
    expect(holds.message).toBe("affine: x is f32, which a Int32Array cannot hold");
    const length = await deviceError(() => loaded.run({ x: { dtype: "f32", shape: [4], data: new Float32Array(3) } }));
    expect(length.message).toBe("affine: x has 3 elements, but its shape [4] needs 4");
    for (const data of [undefined, [1], "a"]) {
      const other = await deviceError(() => loaded.run({ x: { dtype: "f32", shape: [1], data } as never }));
      expect(other.message).toBe("affine: x has no typed array as its data");
    }
    const negative = await deviceError(() =>
      loaded.run({ x: { dtype: "f32", shape: [-1], data: new Float32Array(1) } }),
    );
    expect(negative.kind).toBe("shape");
  });
  it("in encode", async () => {
    const encoder = device.gpu.createCommandEncoder();
    const [x, y] = [device.createBuffer(1024), device.createBuffer(16)];
    const encode = (buffers: Parameters<LoadedKernel["encode"]>[1], sizes?: Record<string, number>) =>
      deviceError(() => loaded.encode(encoder, buffers, sizes));
    expect((await encode({ x, y })).message).toBe("affine needs the extent N");
    expect((await encode({ x, y }, { N: 1.5 })).kind).toBe("shape");
    expect((await encode({ x }, { N: 1 })).message).toBe("affine: the buffer y is missing");
    expect((await encode({ x, y }, { N: 5 })).message).toBe(
      "affine: the buffer of y has 16 bytes from byte 0 on, but needs 20",
    );
    expect((await encode({ x: { buffer: x, offset: 4 }, y }, { N: 1 })).message).toMatch(
      /begins at byte 4, which is not a multiple of/,
    );
    expect((await encode({ x: { buffer: x, offset: 2048 }, y }, { N: 1 })).message).toMatch(
      /has 0 bytes from byte 2048 on/,
    );
    const plain = device.gpu.createBuffer({ size: 16, usage: 8 });
    expect((await encode({ x: plain, y }, { N: 1 })).message).toBe(
      "affine: the buffer of x was made without GPUBufferUsage.STORAGE",
    );
  });
});

describe("kernels that do not compile", () => {
  it("invalid WGSL is shown with its line", async () => {
    const error = await load(plan("p", { kernels: [kernel("broken", ["f32", "f32"], "b1[i] = nothing;")] }));
    expect([error.kind, error.kernel]).toEqual(["validation", "broken"]);
    expect(error.message).toMatch(
      /^kernel broken \(test\) does not compile\n7:\d+ unresolved value 'nothing'\n {6}if \(i < sizes\.n\) \{ b1\[i\] = nothing; }$/,
    );
  });
  it("a wrong entry point, bindings that are not the layout's", async () => {
    const point = await load(plan("p", { kernels: [kernel("k", ["f32", "f32"], "", { entryPoint: "other" })] }));
    expect([point.kind, point.kernel]).toEqual(["validation", "k"]);
    const layout = await load(
      plan("p", {
        kernels: [kernel("k", ["f32", "f32"], "b1[i] = b0[i];", { bindings: ["read", "read", "uniform"] })],
      }),
    );
    expect([layout.kind, layout.kernel]).toEqual(["validation", "k"]);
  });
  it("missing features and limits are found before", async () => {
    const feature = await load(plan("p", { kernels: [kernel("k", ["f32"], "", { features: ["no-such-feature"] })] }));
    expect([feature.kind, feature.kernel]).toEqual(["unsupported-feature", "k"]);
    const matrices = [{ component: "f16", result: "f32", m: 16, n: 16, k: 5 }];
    const shape = await load(plan("p", { kernels: [kernel("k", ["f32"], "", { matrices })] }));
    expect(shape.kind).toBe("unsupported-feature");
    expect(shape.message).toMatch(/needs subgroup matrices of f16, 16×16×5 with sums in f32, which .* does not list/);
    const types = new Array<string>(device.info.limits.maxStorageBuffersPerShaderStage + 1).fill("f32");
    const storage = await load(plan("p", { kernels: [kernel("k", types, "")] }));
    expect(storage.kind).toBe("limits");
    expect(storage.message).toMatch(/maxStorageBuffersPerShaderStage/);
    const group = await load(plan("p", { kernels: [kernel("k", ["f32"], "", { workgroupSize: [64, 64, 64] })] }));
    expect(group.message).toMatch(/needs 262144, but the device allows \d+ \(maxComputeInvocationsPerWorkgroup\)/);
  });
  it("fails again when asked again, and does not spoil what is right", async () => {
    const broken = plan("p", { kernels: [kernel("broken", ["f32", "f32"], "nonsense")] });
    expect((await load(broken)).kind).toBe("validation");
    expect((await load(broken)).kind).toBe("validation");
    expect((await loaded.run({ x: f32(1) }))["y"]).toEqual(f32(3));
  });
});

describe("sizes that are too large", () => {
  it("for a binding", async () => {
    const small = await openTestDevice({ limits: "default" });
    expect(small.info.limits.maxStorageBufferBindingSize).toBe(134217728);
    const p = await small.loadPlan(
      plan("grow", { buffers: [buffer("param"), buffer("result", { op: "mul", left: N, right: 1 << 24 })] }),
    );
    const error = await deviceError(() => p.run({ x: f32(1, 2, 3) }));
    expect(error.kind).toBe("limits");
    expect(error.message).toBe(
      "grow: y needs 201326592 bytes, but the device allows 134217728 (maxStorageBufferBindingSize)",
    );
    const absurd = await deviceError(() => p.encode(small.gpu.createCommandEncoder(), {}, { N: 2 ** 40 }));
    expect(absurd.kind).toBe("limits");
    small.close();
  });
  it("for workgroups, uniforms and buffers", async () => {
    const p = await device.loadPlan(
      plan("wide", {
        buffers: [buffer("param"), buffer("result", 1)],
        results: [array("y", 1, [1])],
        kernels: [kernel("k", ["f32", "f32"], "b1[0] = b0[i];", { uniforms: [{ op: "mul", left: N, right: 1e10 }] })],
        steps: [{ kernel: 0, buffers: [0, 1], groups: [{ op: "mul", left: N, right: 40000 }, 1, 1] }],
      }),
    );
    const groups = await deviceError(() => p.run({ x: f32(1, 2) }));
    expect([groups.kind, groups.kernel]).toEqual(["limits", "k"]);
    expect(groups.message).toBe(
      "kernel k would need 80000 workgroups in one dimension; the device allows 65535 (maxComputeWorkgroupsPerDimension)",
    );
    expect((await deviceError(() => p.run({ x: f32(1) }))).message).toMatch(
      /the size 10000000000, which is not a 32-bit integer/,
    );
    expect((await deviceError(() => device.createBuffer(2 ** 45))).kind).toBe("limits");
  });
  it("a default device runs what fits", async () => {
    const small = await openTestDevice({ limits: "default", features: [] });
    expect(small.info.limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(small.info.features).not.toContain("subgroups");
    const p = await small.loadPlan(chain);
    expect((await p.run({ x: f32(0, 1, 2.5) }))["y"]).toEqual(f32(1, 1, 16));
    small.close();
  });
});

describe("errors of commands", () => {
  it("a buffer that a kernel may not both read and write", async () => {
    const p = plan("alias", {
      results: [array("y", 0)],
      buffers: [buffer("param")],
      kernels: [kernel("in_place", ["f32", "f32"], "b1[i] = b0[i];")],
      steps: [dispatch(0, [0, 0])],
    });
    const k = await device.loadPlan(p);
    const error = await deviceError(() => k.run({ x: f32(1) }));
    expect([error.kind, error.kernel]).toEqual(["validation", "alias"]);
    expect(error.detail).toBeTruthy();
    expect((await loaded.run({ x: f32(1) }))["y"]).toEqual(f32(3));
  });
  it("a device array of somebody else's", async () => {
    const other = await openTestDevice();
    const x = other.upload(f32(1));
    expect((await deviceError(() => loaded.run({ x }))).kind).toBe("validation");
    other.close();
  });
  it("a kernel that was disposed", async () => {
    const k = await device.loadPlan(affine);
    k.dispose();
    expect((await deviceError(() => k.run({ x: f32(1) }))).message).toBe("affine was disposed");
  });
});

describe("a device that goes away", () => {
  const slow = plan("slow", {
    kernels: [
      kernel(
        "spin",
        ["f32", "f32"],
        "var s = b0[i]; for (var k = 0; k < 20000000; k++) { s = s * 0.5 + 1.0; } b1[i] = s;",
      ),
    ],
    steps: [dispatch(0, [0, 1])],
  });
  it("rejects what is pending, and all that comes later", async () => {
    const own = await openTestDevice();
    const k = await own.loadPlan(slow);
    const pending = deviceError(() => k.run({ x: f32(1) }));
    own.gpu.destroy();
    const error = await pending;
    expect([error.kind, error.kernel]).toEqual(["lost", "slow"]);
    expect(error.message).toBe("slow: the device was destroyed");
    for (const later of [
      () => k.run({ x: f32(1) }),
      () => own.loadPlan(affine),
      () => own.upload(f32(1)),
      () => k.time({ x: f32(1) }),
    ]) {
      expect((await deviceError(later)).kind).toBe("lost");
    }
    own.close();
  });
  it("closing is one way of it, and may be done twice", async () => {
    const own = await openTestDevice();
    const k = await own.loadPlan(slow);
    const pending = [
      deviceError(() => k.run({ x: f32(1) })),
      deviceError(() => k.time({ x: f32(1) })),
      deviceError(() => own.loadPlan(chain)),
    ];
    own.close();
    own.close();
    for (const error of await Promise.all(pending))
      expect([error.kind, /closed/.test(error.message)]).toEqual(["lost", true]);
    expect((await deviceError(() => own.load({ plan: () => affine }, "affine"))).kind).toBe("lost");
  });
});

describe("wrapDevice", () => {
  it("keeps to the caller's device", async () => {
    const wrapped = wrapDevice(device.gpu);
    expect(wrapped.info.kind).toBe(device.info.kind);
    expect(wrapped.info.limits).toEqual(device.info.limits);
    const k = await wrapped.loadPlan(affine);
    expect((await k.run({ x: f32(1) }))["y"]).toEqual(f32(3));
    k.dispose();
  });
  it("loads from whatever makes plans, with the adapter to choose for", async () => {
    const asked: unknown[] = [];
    const program = {
      plan(
        name: string,
        options: { readonly adapter: { readonly name: string }; readonly extents?: Record<string, number> },
      ): Plan {
        asked.push(name, options.adapter.name, options.extents);
        return affine;
      },
    };
    const k = await device.load(program as Parameters<Device["load"]>[0] & typeof program, "f", {
      extents: { N: 3 },
    } as object);
    expect(asked).toEqual(["f", device.info.name, { N: 3 }]);
    expect((await k.run({ x: f32(1) }))["y"]).toEqual(f32(3));
  });
  it("the null backend compiles and runs nothing", async () => {
    const nothing = await openDevice({ adapter: "null" });
    expect(nothing.info.kind).toBe("none");
    expect(nothing.info.features).toContain("shader-f16");
    await nothing.loadPlan(affine);
    expect(
      (await deviceError(() => nothing.loadPlan(plan("p", { kernels: [kernel("broken", ["f32"], "x")] })))).kind,
    ).toBe("validation");
    nothing.close();
  });
  it("features that the adapter lacks", async () => {
    const error = await deviceError(() => openTestDevice({ features: ["no-such-feature"] }));
    expect(error.kind).toBe("unsupported-feature");
    expect(error).toBeInstanceOf(DeviceError);
  });
});
