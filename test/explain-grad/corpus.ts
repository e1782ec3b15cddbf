/** Functions of every kind of definition, at small sizes. */
export const IMPORTS: string =
  'import { layer_norm, rms_norm, group_norm, log_softmax, conv2d, conv1d, max_pool2d, avg_pool2d, cross_entropy, mse_loss, huber_loss, cosine_similarity, attention as att, embedding, swiglu, geglu, conv_transpose2d, bilinear, mish, elu, normalize } from "std/nn"';

export const CORPUS: readonly string[] = `
export fn ln(x: f32[3, 4], gain: f32[4], bias: f32[4]) { layer_norm(x, gain, bias) }
export fn rms(x: f32[3, 4], gain: f32[4]) { rms_norm(x, gain) }
export fn lsm(x: f32[3, 4]) { log_softmax(x) }
export fn c2(x: f32[2, 3, 6, 6], w: f32[4, 3, 3, 3], b: f32[4]) { conv2d(x, w, b, stride: 2, padding: 1) }
export fn c1(x: f32[2, 3, 6], w: f32[4, 3, 3]) { conv1d(x, w) }
export fn mp(x: f32[1, 2, 4, 4]) { max_pool2d(x, 2) }
export fn ap(x: f32[1, 2, 4, 4]) { avg_pool2d(x, 2) }
export fn ce(z: f32[3, 4], t: i32[3]) { cross_entropy(z, t) }
export fn mse(x: f32[3], y: f32[3]) { mse_loss(x, y) }
export fn hub(x: f32[3], y: f32[3]) { huber_loss(x, y) }
export fn cs(a: f32[3, 4], b: f32[3, 4]) { cosine_similarity(a, b) }
export fn emb(ids: i32[5], table: f32[3, 4]) { embedding(ids, table) }
export fn sw(a: f32[3], b: f32[3]) { swiglu(a, b) }
export fn ge(a: f32[3], b: f32[3]) { geglu(a, b) }
export fn bil(x: f32[2, 3], y: f32[2, 4], w: f32[5, 3, 4]) { bilinear(x, y, w) }
export fn mi(x: f32[3]) { mish(x) }
export fn el(x: f32[3]) { elu(x) }
export fn nz(x: f32[3, 4]) { normalize(x) }
export fn cum(x: f32[3, 4]) { cumsum(x, axis: 1) }
export fn cump(x: f32[3, 4]) { cumprod(x, axis: 0) }
export fn pr(x: f32[3, 4]) { prod(x, axis: 1) }
export fn mx(x: f32[3, 4]) { max(x, axis: 1) }
export fn am(x: f32[3, 4]) { sort(x, axis: 1) }
export fn sd(x: f32[3, 4]) { std(x, axis: 1) }
export fn nr(x: f32[3, 4]) { norm(x, axis: 1) }
export fn pw(x: f32[3], y: f32[3]) { abs(x) ** y }
export fn cat2(x: f32[3], y: f32[2]) { cat([x, y], axis: 0) }
export fn sl(x: f32[6, 4]) { x[1:5:2, ::-1] }
export fn resh(x: f32[6, 4]) { reshape(x, [3, 8]) }
export fn tr(x: f32[3, 3]) { einsum("ii->", x) }
export fn dg(x: f32[3, 3]) { einsum("ii->i", x) }
export fn ga(x: f32[5, 2], i: i32[3]) { x[i] ?? 0 }
export fn sc(x: f32[3], i: i32[3]) -> f32[4] { y[i[n]] += x[n] ** 2 }
export fn scm(x: f32[3], i: i32[3]) -> f32[4] { y[i[n]] max= x[n] }
export fn rec(a: f32[4], b: f32[4]) { scan(|p, q| { a: p.a * q.a, b: q.a * p.b + q.b }, { a: 1.0, b: 0.0 }, { a, b }).b }
export fn lse(x: f32[3, 4]) { logsumexp(x, axis: 1) }
export fn lce(x: f32[3, 4]) { logcumsumexp(x, axis: 1) }
export fn ctr(x: f32[1, 2, 3, 3], w: f32[2, 3, 2, 2]) { conv_transpose2d(x, w, stride: 2) }
export fn two(x: f32[3], y: f32[3]) { { a: x * y, b: sum(x + y) } }
export fn add(x: f32[3], y: f32[3]) { x + y }
export fn half(x: f32[3, 3]) { x.T @ x }
export fn kd(x: f32[3, 1, 4]) { mean(x ** 3, axis: 2, keepdims: true) }
export fn at(q: f32[1, 2, 3, 4], k: f32[1, 2, 5, 4], v: f32[1, 2, 5, 4]) { att(q, k, v) }
export fn gn(x: f32[2, 4, 3, 3], g: f32[4], b: f32[4]) { group_norm(x, 2, g, b) }
`
  .trim()
  .split("\n");
