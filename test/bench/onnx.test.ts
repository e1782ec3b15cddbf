/** ONNX models of workloads: ONNX Runtime itself reads them, on the processor, and finds the shapes and values that are meant. */
import { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { describe, expect, it, test } from "vitest";
import { onnxModel } from "../../bench/peers/onnx.ts";
import type { OnnxPeer, Workload } from "../../bench/workload.ts";
import { WORKLOADS } from "../../bench/workloads/index.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { compile } from "../../src/index.ts";

const f32 = (shape: readonly number[], data: readonly number[]): HostArray => ({
  dtype: "f32",
  shape,
  data: Float32Array.from(data),
});

/** Arguments of a workload's shapes: nothing runs on them. */
function zeros(w: Workload): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(w.inputs).map(([name, { shape, below }]): [string, HostArray] => {
      const count = shape.reduce((p, n) => p * n, 1);
      return below === undefined
        ? [name, { dtype: "f32", shape, data: new Float32Array(count) }]
        : [name, { dtype: "i32", shape, data: new Int32Array(count) }];
    }),
  );
}

async function run(onnx: OnnxPeer, inputs: Readonly<Record<string, HostArray>>): Promise<Tensor> {
  const session = await InferenceSession.create(onnxModel(onnx, inputs));
  const feeds = Object.entries(inputs)
    .filter(([name]) => session.inputNames.includes(name))
    .map(([name, a]): [string, Tensor] => [
      name,
      a.dtype === "i32"
        ? new Tensor("int32", a.data as Int32Array, a.shape)
        : new Tensor("float32", a.data as Float32Array, a.shape),
    ]);
  const [y] = Object.values(await session.run(Object.fromEntries(feeds)));
  await session.release();
  return y!;
}

describe("a model", () => {
  it("has attributes of every kind", async () => {
    const onnx: OnnxPeer = {
      nodes: [
        { op: "Transpose", inputs: ["x"], output: "t", attributes: { perm: [1, 0] } },
        // A float that is a whole number is one by its name only.
        { op: "LeakyRelu", inputs: ["t"], output: "r", attributes: { alpha: 2 }, floats: ["alpha"] },
        { op: "LeakyRelu", inputs: ["r"], output: "e", attributes: { alpha: 0.25 } },
        { op: "Einsum", inputs: ["e"], output: "d", attributes: { equation: "ij->ji" } },
        { op: "Flatten", inputs: ["d"], output: "y", attributes: { axis: -1 } },
      ],
    };
    const y = await run(onnx, { x: f32([2, 3], [1, -1, 2, -2, 3, -3]) });
    expect(y.dims).toEqual([2, 3]);
    expect([...(y.data as Float32Array)]).toEqual([1, -0.5, 2, -1, 3, -1.5]);
  });
  it("has constants of both types, parameters, and integers as arguments", async () => {
    const onnx: OnnxPeer = {
      weights: ["table"],
      constants: { half: { shape: [], f32: [0.5] }, shape: { shape: [2], int64: [-1, 1] } },
      nodes: [
        { op: "Gather", inputs: ["table", "i"], output: "g" },
        { op: "Mul", inputs: ["g", "half"], output: "h" },
        { op: "Reshape", inputs: ["h", "shape"], output: "y" },
      ],
    };
    const table = Array.from({ length: 300 }, (_, i) => i);
    const y = await run(onnx, {
      table: f32([300], table),
      i: { dtype: "i32", shape: [3], data: Int32Array.of(299, 0, 128) },
    });
    expect(y.dims).toEqual([3, 1]);
    expect([...(y.data as Float32Array)]).toEqual([149.5, 0, 64]);
  });
  it("has operators of ONNX Runtime's own", async () => {
    const onnx: OnnxPeer = {
      nodes: [
        { op: "FusedMatMul", domain: "com.microsoft", inputs: ["a", "a"], output: "y", attributes: { transB: 1 } },
      ],
    };
    const y = await run(onnx, { a: f32([2, 2], [1, 2, 3, 4]) });
    expect([...(y.data as Float32Array)]).toEqual([5, 11, 11, 25]);
  });
  it("has no type for halves", () => {
    const half: HostArray = { dtype: "f16", shape: [1], data: Uint16Array.of(0) };
    expect(() => onnxModel({ nodes: [{ op: "Neg", inputs: ["x"], output: "y" }] }, { x: half })).toThrow(/f16/);
  });
});

describe("workloads in ONNX give arrays of our results' shapes", () => {
  const graphs = WORKLOADS.flatMap((w) =>
    w.onnx
      ? [
          { w, name: w.name, graph: w.onnx },
          ...(w.onnx.fused ? [{ w, name: `${w.name}, fused`, graph: { ...w.onnx, ...w.onnx.fused } }] : []),
        ]
      : [],
  );
  test.each(graphs.filter(({ w }) => !w.gpuOnly))("$name", async ({ w, graph }) => {
    const inputs = zeros(w);
    const session = await InferenceSession.create(onnxModel(graph, inputs));
    const shapes = Object.fromEntries(Object.entries(inputs).map(([n, a]) => [n, a.shape]));
    const { results } = compile(w.source).tensorProgram(w.fn, { shapes, provided: Object.keys(inputs) });
    const ours = results.map((r) => r.tensor.axes.map((a) => a.extent.value));
    const theirs = session.outputMetadata.map((o) => (o.isTensor ? o.shape : undefined));
    await session.release();
    expect(theirs).toEqual(ours);
  });
});
