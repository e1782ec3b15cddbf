/** Parts of models: attention, perceptrons, gradients, a transformer block. */
import type { Array as JaxArray } from "@jax-js/jax";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Jax, OnnxNode, OnnxPeer, Tf, Workload } from "../workload.ts";

const f32 = (...shape: number[]): { readonly shape: readonly number[] } => ({ shape });

const jaxLoss = (jax: Jax, x: JaxArray, w1: JaxArray, w2: JaxArray, y: JaxArray): JaxArray =>
  jax.numpy.mean(jax.numpy.square(jax.numpy.matmul(jax.numpy.matmul(x, w1), w2).sub(y)));
const tfLoss = (tf: Tf, x: Tensor, w1: Tensor, w2: Tensor, y: Tensor): Tensor =>
  tf.mean(tf.square(tf.sub(tf.matMul(tf.matMul(x, w1), w2), y)));

const BLOCK = { batch: 2, tokens: 128, width: 256, heads: 4, hidden: 1024 };

export const MODELS: readonly Workload[] = [
  {
    name: "attention 8·256·64",
    family: "models",
    source: `import { softmax } from "std/nn"
export fn f(q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E]) {
  let s = einsum("bhqd,bhkd->bhqk", q, k) * 0.125
  einsum("bhqk,bhke->bhqe", softmax(s), v)
}`,
    fn: "f",
    inputs: { q: f32(1, 8, 256, 64), k: f32(1, 8, 256, 64), v: f32(1, 8, 256, 64) },
    flops: 2 * 8 * 2 * 256 * 256 * 64,
    jax: {
      run: (jax, [q, k, v]) => {
        const np = jax.numpy;
        const s = np.einsum("bhqd,bhkd->bhqk", q!, k!).mul(0.125);
        return np.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(s, -1), v!);
      },
    },
    tfjs: {
      run: (tf, [q, k, v]) => tf.matMul(tf.softmax(tf.mul(tf.matMul(q!, k!, false, true), 0.125)), v!),
    },
    onnx: {
      constants: { scale: { shape: [], f32: [0.125] } },
      nodes: attentionNodes("q", "k", "v", "scale", "y"),
      fused: {
        constants: { flat: { shape: [3], int64: [1, 256, 512] }, heads: { shape: [4], int64: [1, 256, 8, 64] } },
        nodes: [
          { op: "Transpose", inputs: ["q"], output: "qt", attributes: { perm: [0, 2, 1, 3] } },
          { op: "Reshape", inputs: ["qt", "flat"], output: "rows" },
          multiHead(["rows", "k", "v"], 8, "o"),
          { op: "Reshape", inputs: ["o", "heads"], output: "split" },
          { op: "Transpose", inputs: ["split"], output: "y", attributes: { perm: [0, 2, 1, 3] } },
        ],
      },
    },
    lab: { script: "w5.mjs", title: "attention" },
  },
  {
    name: "MLP 256·512·1024·512",
    family: "models",
    source: `export fn f(x: f32[N, I], w1: f32[I, H], b1: f32[H], w2: f32[H, O], b2: f32[O]) {
  relu(x @ w1 + b1) @ w2 + b2
}`,
    fn: "f",
    inputs: { x: f32(256, 512), w1: f32(512, 1024), b1: f32(1024), w2: f32(1024, 512), b2: f32(512) },
    flops: 2 * 2 * 256 * 512 * 1024,
    jax: {
      run: (jax, [x, w1, b1, w2, b2]) => {
        const np = jax.numpy;
        return np.matmul(jax.nn.relu(np.matmul(x!, w1!).add(b1!)), w2!).add(b2!);
      },
    },
    tfjs: {
      run: (tf, [x, w1, b1, w2, b2]) => tf.add(tf.matMul(tf.relu(tf.add(tf.matMul(x!, w1!), b1!)), w2!), b2!),
    },
    onnx: {
      weights: ["w1", "b1", "w2", "b2"],
      nodes: [
        { op: "MatMul", inputs: ["x", "w1"], output: "p" },
        { op: "Add", inputs: ["p", "b1"], output: "s" },
        { op: "Relu", inputs: ["s"], output: "h" },
        { op: "MatMul", inputs: ["h", "w2"], output: "q" },
        { op: "Add", inputs: ["q", "b2"], output: "y" },
      ],
    },
  },
  {
    name: "grad of mean((x@w1@w2-y)²)",
    family: "models",
    source: `fn loss(x: f32[N, I], w1: f32[I, H], w2: f32[H, O], y: f32[N, O]) { mean((x @ w1 @ w2 - y) ** 2) }
export let f = grad(loss, wrt: [w1, w2])`,
    fn: "f",
    inputs: { x: f32(256, 256), w1: f32(256, 256), w2: f32(256, 256), y: f32(256, 256) },
    flops: 5 * 2 * 256 ** 3,
    jax: {
      run: (jax, [x, w1, w2, y]) =>
        jax.grad((a: JaxArray, b: JaxArray) => jaxLoss(jax, x!, a, b, y!), { argnums: [0, 1] })(
          w1!,
          w2!,
        ) as unknown as JaxArray[],
    },
    tfjs: {
      run: (tf, [x, w1, w2, y]) => tf.grads((a: Tensor, b: Tensor) => tfLoss(tf, x!, a, b, y!))([w1!, w2!]),
    },
  },
  {
    name: "transformer block 2·128·256",
    family: "models",
    source: `import { layer_norm, softmax } from "std/nn"
export fn f(
  x: f32[B, T, D], wq: f32[D, H, E], wk: f32[D, H, E], wv: f32[D, H, E], wo: f32[H, E, D],
  w1: f32[D, F], b1: f32[F], w2: f32[F, D], b2: f32[D], g1: f32[D], c1: f32[D], g2: f32[D], c2: f32[D],
) {
  let n = layer_norm(x, g1, c1)
  let q = einsum("btd,dhe->bhte", n, wq)
  let k = einsum("btd,dhe->bhte", n, wk)
  let v = einsum("btd,dhe->bhte", n, wv)
  let p = softmax(einsum("bhqe,bhke->bhqk", q, k) / sqrt(E as f32))
  let a = x + einsum("bhqe,hed->bqd", einsum("bhqk,bhke->bhqe", p, v), wo)
  a + relu(layer_norm(a, g2, c2) @ w1 + b1) @ w2 + b2
}`,
    fn: "f",
    inputs: (() => {
      const { batch, tokens, width, heads, hidden } = BLOCK;
      const each = width / heads;
      return {
        x: f32(batch, tokens, width),
        wq: { ...f32(width, heads, each), scale: 0.2 },
        wk: { ...f32(width, heads, each), scale: 0.2 },
        wv: { ...f32(width, heads, each), scale: 0.2 },
        wo: { ...f32(heads, each, width), scale: 0.2 },
        w1: { ...f32(width, hidden), scale: 0.2 },
        b1: f32(hidden),
        w2: { ...f32(hidden, width), scale: 0.2 },
        b2: f32(width),
        g1: f32(width),
        c1: f32(width),
        g2: f32(width),
        c2: f32(width),
      };
    })(),
    flops: (() => {
      const { batch, tokens, width, hidden } = BLOCK;
      return 2 * batch * tokens * (4 * width * width + 2 * tokens * width + 2 * width * hidden);
    })(),
    jax: { run: jaxBlock },
    tfjs: { run: tfBlock },
    onnx: onnxBlock(),
  },
];

function jaxBlock(jax: Jax, [x, wq, wk, wv, wo, w1, b1, w2, b2, g1, c1, g2, c2]: JaxArray[]): JaxArray {
  const np = jax.numpy;
  const norm = (v: JaxArray, g: JaxArray, c: JaxArray): JaxArray => {
    const d = v.ref.sub(np.mean(v, -1, { keepdims: true }));
    const s = np.mean(d.ref.mul(d.ref), -1, { keepdims: true });
    return d
      .div(np.sqrt(s.add(1e-5)))
      .mul(g)
      .add(c);
  };
  const n = norm(x!.ref, g1!, c1!);
  const q = np.einsum("btd,dhe->bhte", n.ref, wq!);
  const k = np.einsum("btd,dhe->bhte", n.ref, wk!);
  const v = np.einsum("btd,dhe->bhte", n, wv!);
  const s = np.einsum("bhqe,bhke->bhqk", q, k).mul(1 / Math.sqrt(BLOCK.width / BLOCK.heads));
  const o = np.einsum("bhqk,bhke->bhqe", jax.nn.softmax(s, -1), v);
  const a = x!.add(np.einsum("bhqe,hed->bqd", o, wo!));
  const h = jax.nn.relu(np.matmul(norm(a.ref, g2!, c2!), w1!).add(b1!));
  return a.add(np.matmul(h, w2!)).add(b2!);
}

function tfBlock(tf: Tf, [x, wq, wk, wv, wo, w1, b1, w2, b2, g1, c1, g2, c2]: Tensor[]): Tensor {
  const { batch, tokens, width, heads } = BLOCK;
  const each = width / heads;
  const norm = (v: Tensor, g: Tensor, c: Tensor): Tensor => {
    const { mean, variance } = tf.moments(v, -1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(v, mean), tf.rsqrt(tf.add(variance, 1e-5))), g), c);
  };
  const product = (v: Tensor, w: Tensor, out: number): Tensor =>
    tf.reshape(tf.matMul(tf.reshape(v, [batch * tokens, v.shape.at(-1)!]), tf.reshape(w, [v.shape.at(-1)!, out])), [
      batch,
      tokens,
      out,
    ]);
  const head = (v: Tensor, w: Tensor): Tensor =>
    tf.transpose(tf.reshape(product(v, w, width), [batch, tokens, heads, each]), [0, 2, 1, 3]);
  const n = norm(x!, g1!, c1!);
  const s = tf.mul(tf.matMul(head(n, wq!), head(n, wk!), false, true), 1 / Math.sqrt(each));
  const o = tf.reshape(tf.transpose(tf.matMul(tf.softmax(s), head(n, wv!)), [0, 2, 1, 3]), [batch, tokens, width]);
  const a = tf.add(x!, product(o, wo!, width));
  const h = tf.relu(tf.add(product(norm(a, g2!, c2!), w1!, BLOCK.hidden), b1!));
  return tf.add(tf.add(a, product(h, w2!, width)), b2!);
}

/** softmax(q kᵀ scale) v by plain operators, of [batch, head, token, channel]. */
function attentionNodes(q: string, k: string, v: string, scale: string, output: string): readonly OnnxNode[] {
  return [
    { op: "Transpose", inputs: [k], output: "kt", attributes: { perm: [0, 1, 3, 2] } },
    { op: "MatMul", inputs: [q, "kt"], output: "s" },
    { op: "Mul", inputs: ["s", scale], output: "scaled" },
    { op: "Softmax", inputs: ["scaled"], output: "p", attributes: { axis: -1 } },
    { op: "MatMul", inputs: ["p", v], output },
  ];
}

/** ONNX Runtime's own operator: queries of [batch, token, head and channel], the result too. */
function multiHead(inputs: readonly string[], heads: number, output: string): OnnxNode {
  return { op: "MultiHeadAttention", domain: "com.microsoft", inputs, output, attributes: { num_heads: heads } };
}

function onnxBlock(): OnnxPeer {
  const { batch, tokens, width, heads } = BLOCK;
  const each = width / heads;
  const norm = (x: string, g: string, b: string, output: string): OnnxNode => ({
    op: "LayerNormalization",
    inputs: [x, g, b],
    output,
    attributes: { axis: -1, epsilon: 1e-5 },
  });
  // With a weight of three axes as a matrix, which is settled before the first run.
  const product = (x: string, w: string, output: string): readonly OnnxNode[] => [
    { op: "Reshape", inputs: [w, "square"], output: `${w}_square` },
    { op: "MatMul", inputs: [x, `${w}_square`], output },
  ];
  const head = (x: string, output: string): readonly OnnxNode[] => [
    { op: "Reshape", inputs: [x, "split"], output: `${x}_split` },
    { op: "Transpose", inputs: [`${x}_split`], output, attributes: { perm: [0, 2, 1, 3] } },
  ];
  const before = [
    norm("x", "g1", "c1", "n"),
    ...product("n", "wq", "q"),
    ...product("n", "wk", "k"),
    ...product("n", "wv", "v"),
  ];
  const behind: readonly OnnxNode[] = [
    ...product("o", "wo", "projected"),
    { op: "Add", inputs: ["x", "projected"], output: "a" },
    norm("a", "g2", "c2", "m"),
    { op: "MatMul", inputs: ["m", "w1"], output: "h1" },
    { op: "Add", inputs: ["h1", "b1"], output: "h2" },
    { op: "Relu", inputs: ["h2"], output: "h3" },
    { op: "MatMul", inputs: ["h3", "w2"], output: "h4" },
    { op: "Add", inputs: ["h4", "b2"], output: "h5" },
    { op: "Add", inputs: ["a", "h5"], output: "y" },
  ];
  const square = { shape: [2], int64: [width, width] };
  return {
    weights: ["wq", "wk", "wv", "wo", "w1", "b1", "w2", "b2", "g1", "c1", "g2", "c2"],
    constants: {
      square,
      split: { shape: [4], int64: [batch, tokens, heads, each] },
      joined: { shape: [3], int64: [batch, tokens, width] },
      scale: { shape: [], f32: [1 / Math.sqrt(each)] },
    },
    nodes: [
      ...before,
      ...head("q", "qh"),
      ...head("k", "kh"),
      ...head("v", "vh"),
      ...attentionNodes("qh", "kh", "vh", "scale", "oh"),
      { op: "Transpose", inputs: ["oh"], output: "ot", attributes: { perm: [0, 2, 1, 3] } },
      { op: "Reshape", inputs: ["ot", "joined"], output: "o" },
      ...behind,
    ],
    fused: { constants: { square }, nodes: [...before, multiHead(["q", "k", "v"], heads, "o"), ...behind] },
  };
}
