/**
 * What checks each item of the coverage list: functions `(parameters) => body`, whose gradients by all floats are compared with
 * differences; or, at the corners where differences say nothing, the gradient that is documented there.
 */

/** `parameters => body`; module-level functions and imports may stand before, with a `;;` between. */
export type Smooth = string;
/** The gradient of a scalar function at one point. */
export interface Corner {
  readonly source: string;
  readonly at: Readonly<Record<string, readonly number[]>>;
  readonly gradient: Readonly<Record<string, readonly number[]>>;
}
export type Check = Smooth | Corner;

const x = "x: f32[2, 3]";
const xy = "x: f32[2, 3], y: f32[2, 3]";
const unary = (...bodies: readonly string[]): Check[] => bodies.map((b) => `${x} => ${b}`);
const nn = (names: string, ...checks: readonly string[]): Check[] =>
  checks.map((c) => `import { ${names} } from "std/nn" ;; ${c}`);
const linalg = (names: string, ...checks: readonly string[]): Check[] =>
  checks.map((c) => `import { ${names} } from "std/linalg" ;; ${c}`);

export const CHECKS: Readonly<Record<string, readonly Check[]>> = {
  // ---- Tier 1 -----------------------------------------------------------------------------------------------------
  add: [`${xy} => x + y`, "x: f32[2, 1], y: f32[3] => x + y"],
  sub: [`${xy} => x - y`],
  mul: [`${xy} => x * y`, `${x} => x * x * x`],
  div: [`${xy} => x / (y + 2)`],
  neg: unary("-x"),
  pow: [
    `${xy} => (x + 2) ** y`,
    ...unary("x ** 3", "(x + 2) ** -1.5"),
    { source: "x: f32[2] => sum(x ** 2)", at: { x: [0, -1] }, gradient: { x: [0, -2] } },
  ],
  exp: unary("exp(x)"),
  log: unary("log(x + 2)"),
  sqrt: unary("sqrt(x + 2)"),
  rsqrt: unary("rsqrt(x + 2)"),
  abs: [...unary("abs(x)"), { source: "x: f32[1] => sum(abs(x))", at: { x: [0] }, gradient: { x: [0] } }],
  "sign(0)": [{ source: "x: f32[3] => sum(sign(x))", at: { x: [-1, 0, 2] }, gradient: { x: [0, 0, 0] } }],
  "max/maximum (tie rule!)": [
    `${xy} => maximum(x, y)`,
    {
      source: "x: f32[2], y: f32[2] => sum(maximum(x, y))",
      at: { x: [1, 2], y: [1, 3] },
      gradient: { x: [0.5, 0], y: [0.5, 1] },
    },
  ],
  "min/minimum": [
    `${xy} => minimum(x, y)`,
    { source: "x: f32[1], y: f32[1] => sum(min(x, y))", at: { x: [1], y: [1] }, gradient: { x: [0.5], y: [0.5] } },
  ],
  "where/select": [
    `${xy} => where(x > y, x * y, y ** 2)`,
    { source: "x: f32[2] => sum(where(x > 0, sqrt(x), 0))", at: { x: [0, 4] }, gradient: { x: [0, 0.25] } },
  ],
  sin: unary("sin(x)"),
  cos: unary("cos(x)"),
  tanh: unary("tanh(x)"),
  sigmoid: unary("sigmoid(x)"),
  erf: unary("erf(x)"),
  sum: unary("sum(x)", "sum(x, axis: 0)", "sum(x * x, axis: -1, keepdims: true)"),
  mean: unary("mean(x)", "mean(x ** 2, axis: 1)"),
  prod: [
    ...unary("prod(x)", "prod(x, axis: 1)"),
    { source: "x: f32[3] => prod(x)", at: { x: [0, 2, 3] }, gradient: { x: [6, 0, 0] } },
  ],
  "max-reduce": [
    ...unary("max(x)", "max(x, axis: 0)"),
    { source: "x: f32[3] => max(x)", at: { x: [3, 1, 3] }, gradient: { x: [0.5, 0, 0.5] } },
  ],
  "min-reduce": unary("min(x)", "min(x, axis: 1)"),
  "matmul/einsum/any contraction": [
    "a: f32[2, 3], b: f32[3, 4] => a @ b",
    'a: f32[2, 3], b: f32[3, 4], c: f32[4] => einsum("ij,jk,k->i", a, b, c)',
    'a: f32[3, 3] => einsum("ii->i", a)',
    "a: f32[5], w: f32[3] => for[i in 0..3] sum[k] a[i + k] * w[k]",
  ],
  broadcast: ["x: f32[3] => broadcast_to(x, [2, 3])", "x: f32[2, 1], y: f32[1, 3] => x * y"],
  reshape: unary("reshape(x ** 2, [3, 2])", "reshape(x, [-1]) * 2"),
  transpose: unary("x.T ** 2", "permute(x, [1, 0])"),
  slice: unary("x[:, 1:] ** 2", "x[::-1, ::2]", "x[1]"),
  pad: unary("pad(x, [[1, 0], [0, 2]]) ** 2", 'pad(x, [[0, 0], [1, 1]], mode: "reflect")'),
  concat: [`${xy} => cat([x, y * x], axis: 1)`],
  gather: [
    "x: f32[4, 2], i: i32[3] => x[i] ?? 0",
    "x: f32[4, 2], i: i32[4, 1] => gather(x, i, axis: 1)",
    "x: f32[4], i: i32[3] => for[n] (x[i[n]] ?? 0) ** 2",
  ],
  "scatter-add": ["x: f32[4, 2], i: i32[4] => { y[i[n], d]: f32[3, 2] += x[n, d] ** 2 ; y }"],
  cast: unary("(x as f16) as f32 * 2", "x as f16 as f32"),
  stop_gradient: [{ source: "x: f32[2] => sum(x * stop_gradient(x))", at: { x: [2, 3] }, gradient: { x: [2, 3] } }],
  "comparison (zero grad)": [
    { source: "x: f32[2] => sum((x > 1) as f32 + x)", at: { x: [1, 3] }, gradient: { x: [1, 1] } },
  ],
  // ---- Tier 2 -----------------------------------------------------------------------------------------------------
  relu: [...unary("relu(x)"), { source: "x: f32[1] => sum(relu(x))", at: { x: [0] }, gradient: { x: [0] } }],
  "gelu (erf,tanh)": unary("gelu(x)", 'gelu(x, approximate: "tanh")'),
  silu: unary("silu(x)"),
  softplus: unary("softplus(x)", "softplus(x, beta: 2)"),
  elu: nn("elu", `${x} => elu(x, 0.7)`),
  leaky_relu: nn("leaky_relu", `${x} => leaky_relu(x, 0.2)`),
  mish: nn("mish", `${x} => mish(x)`),
  hardswish: nn("hardswish", `${x} => hardswish(x * 5)`),
  softmax: nn("softmax", `${x} => softmax(x, axis: 1)`, `${x} => softmax(x, axis: 0) ** 2`),
  log_softmax: nn("log_softmax", `${x} => log_softmax(x)`),
  logsumexp: unary("logsumexp(x)", "logsumexp(x, axis: 1)"),
  layernorm: nn("layer_norm", "x: f32[2, 3], g: f32[3], b: f32[3] => layer_norm(x, g, b)"),
  rmsnorm: nn("rms_norm", "x: f32[2, 3], g: f32[3] => rms_norm(x, g)"),
  batchnorm: nn(
    "batch_norm, batch_norm_train",
    "x: f32[3, 2, 2], m: f32[2], v: f32[2], g: f32[2], b: f32[2] => batch_norm(x, m, v + 2, g, b)",
    "x: f32[3, 2, 2], g: f32[2], b: f32[2] => batch_norm_train(x, g, b)",
  ),
  groupnorm: nn("group_norm", "x: f32[2, 4, 3], g: f32[4], b: f32[4] => group_norm(x, 2, g, b)"),
  cross_entropy: nn(
    "cross_entropy, cross_entropy_soft",
    "z: f32[3, 4], t: i32[3] => cross_entropy(z, t)",
    "z: f32[3, 4], t: i32[3], w: f32[4] => cross_entropy(z, t, w + 2)",
  ),
  bce_with_logits: nn("binary_cross_entropy_with_logits", `${xy} => binary_cross_entropy_with_logits(x, y * y)`),
  mse: nn("mse_loss", `${xy} => mse_loss(x, y)`),
  huber: nn("huber_loss", `${xy} => huber_loss(3 * x, y)`),
  "conv1d/2d/3d (stride,pad,dilation,groups)": nn(
    "conv1d, conv2d, conv3d",
    "x: f32[1, 4, 7], w: f32[2, 2, 3], b: f32[2] => conv1d(x, w, b, stride: 2, padding: 1, groups: 2)",
    "x: f32[1, 2, 5, 4], w: f32[2, 2, 2, 2] => conv2d(x, w, stride: [2, 1], padding: 1, dilation: [1, 2])",
    "x: f32[1, 1, 3, 3, 3], w: f32[2, 1, 2, 2, 2] => conv3d(x, w, stride: 1, padding: 1)",
  ),
  conv_transpose: nn(
    "conv_transpose1d, conv_transpose2d, conv_transpose3d",
    "x: f32[1, 2, 3], w: f32[2, 2, 3] => conv_transpose1d(x, w, stride: 2, padding: 1)",
    "x: f32[1, 2, 2, 3], w: f32[2, 1, 2, 2] => conv_transpose2d(x, w, stride: 2)",
    "x: f32[1, 1, 2, 2, 2], w: f32[1, 1, 2, 2, 2] => conv_transpose3d(x, w)",
  ),
  max_pool: nn(
    "max_pool1d, max_pool2d",
    "x: f32[1, 2, 6] => max_pool1d(x, 2)",
    "x: f32[1, 1, 4, 4] => max_pool2d(x, 3, stride: 1, padding: 1)",
  ),
  avg_pool: nn(
    "avg_pool1d, avg_pool2d",
    "x: f32[1, 2, 6] => avg_pool1d(x, 2)",
    "x: f32[1, 1, 4, 4] => avg_pool2d(x, 2, stride: 1)",
  ),
  cumsum: unary("cumsum(x, axis: 1) ** 2", "cumsum(x, axis: 0, reverse: true)"),
  cumprod: unary("cumprod(x, axis: 1)"),
  "norm/p-norm": unary("norm(x)", "norm(x, axis: 1, ord: 1)", "norm(x, axis: 0, ord: 3)", "norm(x, ord: inf)"),
  "var/std": unary("var(x)", "std(x, axis: 1)", "var(x, axis: 0, correction: 1)"),
  cosine_similarity: nn("cosine_similarity", `${xy} => cosine_similarity(x, y)`),
  "pairwise distance": [
    ...nn("pairwise_distance", `${xy} => pairwise_distance(x, y)`),
    ...linalg("cdist", "x: f32[2, 3], y: f32[3, 3] => cdist(x, y)"),
  ],
  outer: linalg("outer", "x: f32[2], y: f32[3] => outer(x, y)"),
  kron: linalg("kron", "x: f32[2, 2], y: f32[2, 3] => kron(x, y)"),
  trace: linalg("trace", "x: f32[3, 3] => trace(x) ** 2"),
  diag: ["x: f32[3] => diag(x)", "x: f32[3, 3] => diag(x) ** 2"],
  diagonal: ["x: f32[3, 3] => diagonal(x)", "x: f32[2, 3] => diagonal(x, offset: 1)"],
  "tril/triu": unary("tril(x) ** 2", "triu(x, 1)"),
  clamp: [
    ...unary("clamp(x, -0.5, 0.4)"),
    { source: "x: f32[3] => sum(clamp(x, 0, 1))", at: { x: [0, 0.5, 1] }, gradient: { x: [1, 1, 1] } },
  ],
  attention: nn("attention", "q: f32[1, 2, 2, 3], k: f32[1, 2, 3, 3], v: f32[1, 2, 3, 2] => attention(q, k, v)"),
  embedding: nn("embedding", "t: f32[4, 2], i: i32[5] => embedding(i, t)"),
  index_select: ["x: f32[4, 2], i: i32[3] => take(x, i, axis: 0)"],
  take_along_axis: ["x: f32[4, 2], i: i32[2, 2] => take_along_axis(x, i, axis: 0)"],
  flip: unary("flip(x, axis: 1) ** 2"),
  roll: unary("roll(x, 1, axis: 1) ** 2"),
  "repeat/tile": unary("tile(x, [2, 1]) ** 2", 'repeat("a b -> a b c", x, c: 2)'),
  stack: [`${xy} => stack([x, y * x], axis: 1)`],
  split: ["x: f32[4, 2] => { let p = split(x, 2, axis: 0) ; p[0] * p[1] }"],
  expand: ["x: f32[2, 1] => broadcast_to(x, [2, 3]) ** 2", "x: f32[2] => x[:, None] * 2"],
  atan2: [`${xy} => atan2(x, y)`],
  tan: unary("tan(x)"),
  "asin/acos/atan": unary("asin(x)", "acos(x)", "atan(x)"),
  "sinh/cosh": unary("sinh(x)", "cosh(x)"),
  log1p: unary("log1p(x)"),
  expm1: unary("expm1(x)"),
  hypot: [`${xy} => hypot(x, y)`],
  logaddexp: [`${xy} => logaddexp(x, y)`],
  // ---- Tier 3 -----------------------------------------------------------------------------------------------------
  "second order / HVP / Jacobian / Hessian": [
    "fn s(x: f32[3]) -> f32 { sum(x ** 3 * exp(x)) } ;; x: f32[3] => hessian(s)(x)",
    "fn s(x: f32[3]) { tanh(x) * sum(x) } ;; x: f32[3] => jacobian(s)(x)",
    "fn s(x: f32[3]) -> f32 { prod(x) + sum(sin(x)) } ;; x: f32[3] => grad(s)(x)",
    "fn s(x: f32[3]) -> f32 { sum(x ** 4) } ;; fn g(x: f32[3]) { grad(s)(x) } ;; x: f32[3], v: f32[3] => jvp(g)(x, v).tangent",
  ],
  "scan (linear recurrence, RNN, SSM)": [
    "a: f32[4], b: f32[4] => scan(|p, q| { a: p.a * q.a, b: q.a * p.b + q.b }, { a: 1.0, b: 0.0 }, { a, b }).b",
  ],
  "loops unrolled (power iteration, sinkhorn, GD)": [
    "w: f32[3, 3], v: f32[3] => { let p = w @ v ; let q = w @ (p / norm(p)) ; q / norm(q) }",
  ],
  "sort/topk": unary("sort(x, axis: 1) * (arange(3) as f32)", "top_k(x, 2).value"),
  interpolate: ['import { upsample_bilinear } from "std/image" ;; x: f32[1, 1, 2, 3] => upsample_bilinear(x, [4, 5])'],
  "lgamma/digamma": [
    'import { lgamma } from "std/math" ;; x: f32[3] => lgamma(x + 2)',
    'import { digamma } from "std/math" ;; x: f32[3] => digamma(x + 2)',
  ],
  "det/inverse/cholesky/solve": [
    ...linalg("small_det, inverse2", "x: f32[3, 3] => small_det(x)", "x: f32[2, 2] => inverse2(x + 2 * eye(2))"),
    ...linalg(
      "cholesky, det, inverse, slogdet, solve, solve_triangular",
      "x: f32[3, 3] => cholesky(x @ x.T + eye(3))",
      "x: f32[3, 3], y: f32[3] => solve(x + 3 * eye(3), y)",
      "x: f32[3, 3], y: f32[3, 2] => solve_triangular(x + 3 * eye(3), y)",
      "x: f32[2, 3, 3] => det(x)",
      "x: f32[3, 3] => inverse(x + 3 * eye(3))",
      "x: f32[3, 3] => slogdet(x + 3 * eye(3)).logabsdet",
    ),
  ],
  fft: ['import { dft } from "std/signal" ;; x: f32[4] => dft(x).re'],
  "custom vjp": [
    "fn rule(x: f32[3], cotangent: f32[3]) { cotangent * exp(x) } ;; @vjp(rule) fn s(x: f32[3]) { exp(x) } ;; x: f32[3] => s(x) * x",
  ],
  "checkpointing/remat": ["fn s(x: f32[3]) { tanh(exp(x)) } ;; x: f32[3] => checkpoint(s)(x) * x"],
  "jvp (forward mode)": ["fn s(x: f32[3]) { x ** 3 } ;; x: f32[3], v: f32[3] => jvp(s)(x, v).tangent"],
};
