/** Elementwise chains, rows, reductions, scans, transposes, gathers: what memory's speed decides. */
import type { OnnxPeer, Workload } from "../workload.ts";

const f32 = (...shape: number[]): { readonly shape: readonly number[] } => ({ shape });

function layerNorm(rows: number, length: number, more: Partial<Workload> = {}): Workload {
  return {
    name: `layer_norm ${rows}×${length}`,
    family: "rows",
    source: `import { layer_norm } from "std/nn"
export fn f(x: f32[R, D], g: f32[D], b: f32[D]) { layer_norm(x, g, b) }`,
    fn: "f",
    inputs: { x: { ...f32(rows, length), scale: 8 }, g: f32(length), b: f32(length) },
    jax: {
      run: (jax, [x, g, b]) => {
        const np = jax.numpy;
        const m = np.mean(x!.ref, -1, { keepdims: true });
        const d = x!.sub(m);
        const v = np.mean(d.ref.mul(d.ref), -1, { keepdims: true });
        return d
          .div(np.sqrt(v.add(1e-5)))
          .mul(g!)
          .add(b!);
      },
    },
    tfjs: {
      run: (tf, [x, g, b]) => {
        const { mean, variance } = tf.moments(x!, -1, true);
        return tf.add(tf.mul(tf.mul(tf.sub(x!, mean), tf.rsqrt(tf.add(variance, 1e-5))), g!), b!);
      },
    },
    onnx: {
      nodes: [
        { op: "LayerNormalization", inputs: ["x", "g", "b"], output: "y", attributes: { axis: -1, epsilon: 1e-5 } },
      ],
    },
    ...more,
  };
}

function rmsNorm(rows: number, length: number): Workload {
  return {
    name: `rms_norm ${rows}×${length}`,
    family: "rows",
    source: `import { rms_norm } from "std/nn"
export fn f(x: f32[R, D], g: f32[D]) { rms_norm(x, g) }`,
    fn: "f",
    inputs: { x: { ...f32(rows, length), scale: 8 }, g: f32(length) },
    jax: {
      run: (jax, [x, g]) => {
        const np = jax.numpy;
        const v = np.mean(x!.ref.mul(x!.ref), -1, { keepdims: true });
        return x!.div(np.sqrt(v.add(1e-6))).mul(g!);
      },
    },
    // An operator of ONNX Runtime in the standard's own domain, which has one like it from version 23 on.
    onnx: {
      nodes: [
        {
          op: "SimplifiedLayerNormalization",
          inputs: ["x", "g"],
          output: "y",
          attributes: { axis: -1, epsilon: 1e-6 },
        },
      ],
    },
    tfjs: {
      run: (tf, [x, g]) => tf.mul(tf.mul(x!, tf.rsqrt(tf.add(tf.mean(tf.mul(x!, x!), -1, true), 1e-6))), g!),
    },
  };
}

const onnxSum = (axis: number): OnnxPeer => ({
  constants: { axes: { shape: [1], int64: [axis] } },
  nodes: [{ op: "ReduceSum", inputs: ["x", "axes"], output: "y", attributes: { keepdims: 0 } }],
});

export const ROWS: readonly Workload[] = [
  {
    name: "(tanh(a*b)+1)*2, 1 M",
    family: "elementwise",
    source: "export fn f(a: f32[N], b: f32[N]) { (tanh(a * b) + 1) * 2 }",
    fn: "f",
    inputs: { a: { ...f32(1 << 20), scale: 6 }, b: { ...f32(1 << 20), scale: 2 } },
    jax: { run: (jax, [a, b]) => jax.numpy.tanh(a!.mul(b!)).add(1).mul(2) },
    tfjs: { run: (tf, [a, b]) => tf.mul(tf.add(tf.tanh(tf.mul(a!, b!)), 1), 2) },
    onnx: {
      constants: { one: { shape: [], f32: [1] }, two: { shape: [], f32: [2] } },
      nodes: [
        { op: "Mul", inputs: ["a", "b"], output: "p" },
        { op: "Tanh", inputs: ["p"], output: "t" },
        { op: "Add", inputs: ["t", "one"], output: "s" },
        { op: "Mul", inputs: ["s", "two"], output: "y" },
      ],
    },
    lab: { script: "w2.mjs", title: "chain 1M" },
  },
  {
    name: "softmax 1024²",
    family: "rows",
    source: 'import { softmax } from "std/nn"\nexport fn f(x: f32[R, D]) { softmax(x) }',
    fn: "f",
    inputs: { x: { ...f32(1024, 1024), scale: 8 } },
    jax: { run: (jax, [x]) => jax.nn.softmax(x!, -1) },
    tfjs: { run: (tf, [x]) => tf.softmax(x!) },
    onnx: { nodes: [{ op: "Softmax", inputs: ["x"], output: "y", attributes: { axis: -1 } }] },
    lab: { script: "w3.mjs", title: "softmax1024", env: { P: "sm" } },
  },
  layerNorm(2048, 768, { lab: { script: "w3.mjs", title: "layernorm768", env: { P: "ln" } } }),
  layerNorm(256, 8192),
  rmsNorm(2048, 768),
  rmsNorm(256, 8192),
  {
    name: "cross-entropy 128×32000",
    family: "rows",
    source: `import { cross_entropy } from "std/nn"
export fn f(z: f32[N, C], t: i32[N]) { cross_entropy(z, t) }`,
    fn: "f",
    inputs: { z: { ...f32(128, 32000), scale: 8 }, t: { shape: [128], below: 32000 } },
    jax: {
      run: (jax, [z, t]) => {
        const np = jax.numpy;
        const lse = jax.nn.logsumexp(z!.ref, -1);
        const at = np.takeAlongAxis(z!, t!.reshape([128, 1]), 1).reshape([128]);
        return np.mean(lse.sub(at));
      },
    },
    tfjs: {
      run: (tf, [z, t]) => {
        const at = tf.sum(tf.mul(z!, tf.oneHot(t as never, 32000)), -1);
        return tf.mean(tf.sub(tf.logSumExp(z!, -1), at));
      },
    },
    onnx: {
      constants: { last: { shape: [1], int64: [1] } },
      nodes: [
        { op: "ReduceLogSumExp", inputs: ["z", "last"], output: "lse" },
        { op: "Unsqueeze", inputs: ["t", "last"], output: "column" },
        { op: "GatherElements", inputs: ["z", "column"], output: "at", attributes: { axis: 1 } },
        { op: "Sub", inputs: ["lse", "at"], output: "losses" },
        { op: "ReduceMean", inputs: ["losses"], output: "y", attributes: { keepdims: 0 } },
      ],
    },
  },
  {
    name: "sum of 4 M",
    family: "reductions",
    source: "export fn f(x: f32[N]) { sum(x) }",
    fn: "f",
    inputs: { x: f32(1 << 22) },
    jax: { run: (jax, [x]) => jax.numpy.sum(x!) },
    tfjs: { run: (tf, [x]) => tf.sum(x!) },
    onnx: { nodes: [{ op: "ReduceSum", inputs: ["x"], output: "y", attributes: { keepdims: 0 } }] },
    lab: { script: "w4.mjs", title: "sum all 4M", env: { P: "all" } },
  },
  {
    name: "sum over axis 0, 2048²",
    family: "reductions",
    source: "export fn f(x: f32[R, C]) { sum(x, axis: 0) }",
    fn: "f",
    inputs: { x: f32(2048, 2048) },
    jax: { run: (jax, [x]) => jax.numpy.sum(x!, 0) },
    tfjs: { run: (tf, [x]) => tf.sum(x!, 0) },
    onnx: onnxSum(0),
    lab: { script: "w4.mjs", title: "sum axis0", env: { P: "a0" } },
  },
  {
    name: "sum over axis 1, 2048²",
    family: "reductions",
    source: "export fn f(x: f32[R, C]) { sum(x, axis: 1) }",
    fn: "f",
    inputs: { x: f32(2048, 2048) },
    jax: { run: (jax, [x]) => jax.numpy.sum(x!, 1) },
    tfjs: { run: (tf, [x]) => tf.sum(x!, 1) },
    onnx: onnxSum(1),
    lab: { script: "w4.mjs", title: "sum axis1", env: { P: "a1" } },
  },
  {
    name: "transpose 1024²",
    family: "movement",
    source: "export fn f(x: f32[R, C]) { x.T }",
    fn: "f",
    inputs: { x: f32(1024, 1024) },
    // Adding nothing makes the view into an array.
    jax: { run: (jax, [x]) => jax.numpy.transpose(x!).add(0) },
    tfjs: { run: (tf, [x]) => tf.transpose(x!) },
    onnx: { nodes: [{ op: "Transpose", inputs: ["x"], output: "y", attributes: { perm: [1, 0] } }] },
    lab: { script: "w6.mjs", title: "transpose", env: { P: "tr" } },
  },
  {
    name: "gather 8192×256",
    family: "movement",
    source: "export fn f(t: f32[V, D], i: i32[N]) { take(t, i, axis: 0) }",
    fn: "f",
    inputs: { t: f32(4096, 256), i: { shape: [8192], below: 4096 } },
    jax: { run: (jax, [t, i]) => jax.numpy.take(t!, i!, 0) },
    tfjs: { run: (tf, [t, i]) => tf.gather(t!, i as never) },
    onnx: { nodes: [{ op: "Gather", inputs: ["t", "i"], output: "y", attributes: { axis: 0 } }] },
    lab: { script: "w6.mjs", title: "gather 8192x256", env: { P: "ga" } },
  },
  {
    name: "cumsum 1024²",
    family: "movement",
    source: "export fn f(x: f32[R, C]) { cumsum(x, axis: 1) }",
    fn: "f",
    inputs: { x: f32(1024, 1024) },
    jax: { run: (jax, [x]) => jax.numpy.cumsum(x!, 1) },
    tfjs: { run: (tf, [x]) => tf.cumsum(x!, 1) },
    onnx: {
      constants: { axis: { shape: [], int64: [1] } },
      nodes: [{ op: "CumSum", inputs: ["x", "axis"], output: "y" }],
    },
    lab: { script: "w6.mjs", title: "cumsum", env: { P: "cs" } },
  },
];
