/** Matrix products of every shape: square, odd, fused, batched, with one side short. */
import { alone, type Workload } from "../workload.ts";

const f32 = (...shape: number[]): { readonly shape: readonly number[] } => ({ shape });
const gemm = (m: number, k: number, n: number): number => 2 * m * k * n;

function matmul(name: string, m: number, k: number, n: number, more: Partial<Workload> = {}): Workload {
  return {
    name,
    family: "contractions",
    source: "export fn f(a: f32[M, K], b: f32[K, N]) { a @ b }",
    fn: "f",
    inputs: { a: f32(m, k), b: f32(k, n) },
    flops: gemm(m, k, n),
    jax: { run: (jax, [a, b]) => jax.numpy.matmul(a!, b!) },
    tfjs: { run: (tf, [a, b]) => tf.matMul(a!, b!) },
    onnx: { nodes: [{ op: "MatMul", inputs: ["a", "b"], output: "y" }] },
    ...more,
  };
}

function matvec(n: number, more: Partial<Workload> = {}): Workload {
  return {
    name: `matvec ${n}²`,
    family: "contractions",
    source: "export fn f(a: f32[M, K], x: f32[K]) { a @ x }",
    fn: "f",
    inputs: { a: f32(n, n), x: f32(n) },
    flops: gemm(n, n, 1),
    jax: { run: (jax, [a, x]) => jax.numpy.matmul(a!, x!) },
    tfjs: {
      prepare: (tf, [a, x]) => [a!, tf.reshape(x!, [n, 1])],
      run: (tf, [a, x]) => tf.matMul(a!, x!),
    },
    onnx: { nodes: [{ op: "MatMul", inputs: ["a", "x"], output: "y" }] },
    ...more,
  };
}

export const CONTRACTIONS: readonly Workload[] = [
  matmul("matmul 512³", 512, 512, 512, { lab: { script: "w1f.mjs", title: "mm512" } }),
  matmul("matmul 1000·1021·625", 1000, 1021, 625, {
    lab: { script: "w1c.mjs", title: "rect1000x1021x625", env: { P: "rect" } },
  }),
  {
    name: "matmul + bias + gelu 512³",
    family: "contractions",
    source: "export fn f(a: f32[M, K], b: f32[K, N], c: f32[N]) { gelu(a @ b + c) }",
    fn: "f",
    inputs: { a: f32(512, 512), b: f32(512, 512), c: f32(512) },
    flops: gemm(512, 512, 512),
    jax: { run: (jax, [a, b, c]) => jax.nn.gelu(jax.numpy.matmul(a!, b!).add(c!), { approximate: false }) },
    tfjs: {
      run: (tf, [a, b, c]) => {
        const x = tf.add(tf.matMul(a!, b!), c!);
        return tf.mul(tf.mul(x, 0.5), tf.add(1, tf.erf(tf.div(x, Math.SQRT2))));
      },
    },
    onnx: {
      nodes: [
        { op: "MatMul", inputs: ["a", "b"], output: "p" },
        { op: "Add", inputs: ["p", "c"], output: "s" },
        { op: "Gelu", inputs: ["s"], output: "y" },
      ],
    },
    lab: { script: "w1c.mjs", title: "mm+bias+gelu", env: { P: "epi" } },
  },
  {
    name: "bhqd,bhkd->bhqk 2·8·128²·64",
    family: "contractions",
    source: 'export fn f(q: f32[B, H, Q, D], k: f32[B, H, K, D]) { einsum("bhqd,bhkd->bhqk", q, k) }',
    fn: "f",
    inputs: { q: f32(2, 8, 128, 64), k: f32(2, 8, 128, 64) },
    flops: 16 * gemm(128, 64, 128),
    jax: { run: (jax, [q, k]) => jax.numpy.einsum("bhqd,bhkd->bhqk", q!, k!) },
    tfjs: { run: (tf, [q, k]) => tf.matMul(q!, k!, false, true) },
    onnx: {
      nodes: [{ op: "Einsum", inputs: ["q", "k"], output: "y", attributes: { equation: "bhqd,bhkd->bhqk" } }],
    },
    lab: { script: "w1c.mjs", title: "bhqd,bhkd->bhqk", env: { P: "bhqk" } },
  },
  {
    name: "batched matmul 1024 of 16³",
    family: "contractions",
    source: "export fn f(a: f32[B, M, K], b: f32[B, K, N]) { a @ b }",
    fn: "f",
    inputs: { a: f32(1024, 16, 16), b: f32(1024, 16, 16) },
    flops: 1024 * gemm(16, 16, 16),
    jax: { run: (jax, [a, b]) => jax.numpy.matmul(a!, b!) },
    tfjs: { run: (tf, [a, b]) => tf.matMul(a!, b!) },
    onnx: { nodes: [{ op: "MatMul", inputs: ["a", "b"], output: "y" }] },
    lab: { script: "w1c.mjs", title: "1024x16x16", env: { P: "small" } },
  },
  matvec(4096),
  matvec(2048, { lab: { script: "w1c.mjs", title: "matvec2048", env: { P: "mv" } } }),
  matmul("tall-skinny 8192·512·16", 8192, 512, 16),
  matmul("short-wide 16·512·8192", 16, 512, 8192),
  matmul("few results 64·8192·64", 64, 8192, 64),
  {
    name: "outer product 2048²",
    family: "contractions",
    source: 'export fn f(a: f32[M], b: f32[N]) { einsum("i,j->ij", a, b) }',
    fn: "f",
    inputs: { a: f32(2048), b: f32(2048) },
    jax: { run: (jax, [a, b]) => jax.numpy.outer(a!, b!) },
    tfjs: { run: (tf, [a, b]) => tf.outerProduct(a as never, b as never) },
    onnx: {
      constants: { last: { shape: [1], int64: [1] } },
      nodes: [
        { op: "Unsqueeze", inputs: ["a", "last"], output: "column" },
        { op: "Mul", inputs: ["column", "b"], output: "y" },
      ],
    },
  },
  {
    name: "three operands ij,jk,kl->il 256",
    family: "contractions",
    source: 'export fn f(a: f32[I, J], b: f32[J, K], c: f32[K, L]) { einsum("ij,jk,kl->il", a, b, c) }',
    fn: "f",
    inputs: { a: f32(256, 256), b: f32(256, 256), c: f32(256, 256) },
    flops: 2 * gemm(256, 256, 256),
    jax: { run: (jax, [a, b, c]) => jax.numpy.einsum("ij,jk,kl->il", a!, b!, c!) },
    tfjs: { run: (tf, [a, b, c]) => tf.matMul(tf.matMul(a!, b!), c!) },
    onnx: {
      nodes: [
        { op: "MatMul", inputs: ["a", "b"], output: "p" },
        { op: "MatMul", inputs: ["p", "c"], output: "y" },
      ],
    },
  },
  matmul("matmul 625³", 625, 625, 625),
  matmul("matmul 640³", 640, 640, 640),
  matmul("matmul 1024³", 1024, 1024, 1024),
  matmul("matmul 1021³", 1021, 1021, 1021),
  // A row beside a power of two: ours alone, for the time a product.
  alone(matmul("matmul 4096·256·256", 4096, 256, 256)),
  alone(matmul("matmul 4097·257·257", 4097, 257, 257)),
  matmul("matmul 4096³", 4096, 4096, 4096, { gpuOnly: true }),
  matmul("matmul 4097³", 4097, 4097, 4097, { gpuOnly: true }),
];
