/** A loss and its gradients: `fn` is the forward pass alone, `step` gives the value and the gradients. */
import type { Array as JaxArray } from "@jax-js/jax";
import type { InputSpec, Jax, Workload } from "../workload.ts";

const LAYERS = 4;
const [TOKENS, WIDTH, HEADS, HEAD, HIDDEN] = [64, 64, 4, 16, 256];

/** Parameters of one pre-norm block. */
const BLOCK: Readonly<Record<string, readonly number[]>> = {
  wq: [WIDTH, HEADS, HEAD], wk: [WIDTH, HEADS, HEAD], wv: [WIDTH, HEADS, HEAD], wo: [HEADS, HEAD, WIDTH],
  w1: [WIDTH, HIDDEN], b1: [HIDDEN], w2: [HIDDEN, WIDTH], b2: [WIDTH],
  g1: [WIDTH], c1: [WIDTH], g2: [WIDTH], c2: [WIDTH],
}; // biome-ignore format: a table

/** Value and gradients; results have names of their own, since arguments and results share one record of buffers. */
function stepOf(inputs: Readonly<Record<string, InputSpec>>, wrt: readonly string[]): string {
  const names = Object.keys(inputs);
  const signature = names.map((n) => `${n}: f32[${inputs[n]!.shape.join(", ")}]`).join(", ");
  return `export fn step(${signature}) {
  let d = value_and_grad(loss, wrt: [${wrt.join(", ")}])(${names.join(", ")})
  { value: d.value, ${wrt.map((n) => `d_${n}: d.${n}`).join(", ")} }
}
`;
}

function transformer(): Workload {
  const names = Array.from({ length: LAYERS }, (_, l) => Object.keys(BLOCK).map((n) => `${n}_${l}`));
  const inputs: Record<string, InputSpec> = { x: { shape: [1, TOKENS, WIDTH] } };
  for (const list of names)
    for (const [i, n] of Object.keys(BLOCK).entries()) inputs[list[i]!] = { shape: BLOCK[n]!, scale: 0.2 };
  const signature = Object.entries(inputs)
    .map(([n, s]) => `${n}: f32[${s.shape.join(", ")}]`)
    .join(", ");
  const layers = names.map((list, l) => `let h${l + 1} = block(h${l}, ${list.join(", ")})`).join("\n  ");
  const source = `import { layer_norm, softmax } from "std/nn"
fn attend(x: f32[B, T, D], wq: f32[D, H, E], wk: f32[D, H, E], wv: f32[D, H, E], wo: f32[H, E, D]) {
  let q = einsum("btd,dhe->bhte", x, wq)
  let k = einsum("btd,dhe->bhte", x, wk)
  let v = einsum("btd,dhe->bhte", x, wv)
  let s = einsum("bhqe,bhke->bhqk", q, k) / sqrt(E)
  let p = softmax(for[b, h, i, j] j <= i ? s[b, h, i, j] : -inf, axis: -1)
  einsum("bhqk,bhke,hed->bqd", p, v, wo)
}
fn block(x: f32[B, T, D], wq: f32[D, H, E], wk: f32[D, H, E], wv: f32[D, H, E], wo: f32[H, E, D], w1: f32[D, F], b1: f32[F],
    w2: f32[F, D], b2: f32[D], g1: f32[D], c1: f32[D], g2: f32[D], c2: f32[D]) {
  let a = x + attend(layer_norm(x, g1, c1), wq, wk, wv, wo)
  a + gelu(layer_norm(a, g2, c2) @ w1 + b1) @ w2 + b2
}
export fn loss(${signature}) -> f32 {
  let h0 = x
  ${layers}
  mean(h${LAYERS} ** 2)
}
${stepOf(inputs, names.flat())}`;
  return {
    name: `transformer, ${LAYERS} layers`,
    family: "gradients",
    source,
    fn: "loss",
    inputs,
    jax: {
      run: (jax, [x, ...parameters]) => {
        const each = Object.keys(BLOCK).length;
        const loss = (...p: JaxArray[]): JaxArray => {
          let h = x!;
          for (let l = 0; l < LAYERS; l++) h = jaxBlock(jax, h, p.slice(l * each, (l + 1) * each));
          return jax.numpy.mean(jax.numpy.square(h));
        };
        const argnums = parameters.map((_, i) => i);
        const [value, gradients] = jax.valueAndGrad(loss, { argnums })(...parameters);
        return [value, ...gradients];
      },
    },
  };
}

function jaxBlock(jax: Jax, x: JaxArray, parameters: readonly JaxArray[]): JaxArray {
  const np = jax.numpy;
  const [wq, wk, wv, wo, w1, b1, w2, b2, g1, c1, g2, c2] = parameters;
  const norm = (v: JaxArray, g: JaxArray, c: JaxArray): JaxArray => {
    const d = v.ref.sub(np.mean(v, -1, { keepdims: true }));
    const s = np.mean(d.ref.mul(d.ref), -1, { keepdims: true });
    return d
      .div(np.sqrt(s.add(1e-5)))
      .mul(g)
      .add(c);
  };
  const n = norm(x.ref, g1!, c1!);
  const q = np.einsum("btd,dhe->bhte", n.ref, wq!);
  const k = np.einsum("btd,dhe->bhte", n.ref, wk!);
  const v = np.einsum("btd,dhe->bhte", n, wv!);
  const s = np.einsum("bhqe,bhke->bhqk", q, k).mul(1 / Math.sqrt(HEAD));
  const seen = np.tril(np.ones([TOKENS, TOKENS])).greater(0);
  const p = jax.nn.softmax(np.where(seen, s, Number.NEGATIVE_INFINITY), -1);
  const a = x.add(np.einsum("bhqe,hed->bqd", np.einsum("bhqk,bhke->bhqe", p, v), wo!));
  const h = jax.nn.gelu(np.matmul(norm(a.ref, g2!, c2!), w1!).add(b1!), { approximate: false });
  return a.add(np.matmul(h, w2!)).add(b2!);
}

const SQUARES: Workload = {
  name: "mean((x @ w1 @ w2 - y)**2)",
  family: "gradients",
  source: `export fn loss(x: f32[256, 256], w1: f32[256, 512], w2: f32[512, 128], y: f32[256, 128]) -> f32 {
  mean((x @ w1 @ w2 - y) ** 2)
}
${stepOf({ x: { shape: [256, 256] }, w1: { shape: [256, 512] }, w2: { shape: [512, 128] }, y: { shape: [256, 128] } }, ["w1", "w2"])}`,
  fn: "loss",
  inputs: {
    x: { shape: [256, 256] },
    w1: { shape: [256, 512], scale: 0.2 },
    w2: { shape: [512, 128], scale: 0.2 },
    y: { shape: [256, 128] },
  },
  jax: {
    run: (jax, [x, w1, w2, y]) => {
      const { numpy } = jax;
      const loss = (a: JaxArray, b: JaxArray): JaxArray =>
        numpy.mean(numpy.square(numpy.matmul(numpy.matmul(x!, a), b).sub(y!)));
      const [value, gradients] = jax.valueAndGrad(loss, { argnums: [0, 1] })(w1!, w2!);
      return [value, ...gradients];
    },
  },
};

export const GRADIENTS: readonly Workload[] = [SQUARES, transformer()];
