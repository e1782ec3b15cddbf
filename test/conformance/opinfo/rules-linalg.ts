/** Products and norms of vectors and matrices, statistics. What needs elimination or singular values has no rule. */
import { type Arg, type Bound, list, sameShape, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";
import { axisText } from "./rules-basic.ts";

/** A matrix norm over two axes, moved last. */
function matrixNorm(a: Bound): string {
  const [x, ord, dim, keep] = [a["input"]!, a["ord"]!, a["dim"]!, a["keepdim"]!.boolean()];
  const axes = dim.isNone ? [-2, -1] : dim.numbers();
  if (ord.raw === "nuc" || ord.raw === 2 || ord.raw === -2) throw new UnsupportedCall("singular values");
  if (ord.isNone || ord.raw === "fro") return `norm(${x}, axis: ${list(axes)}, keepdims: ${keep})`;
  // Sums of absolute values along one axis, their extremum along the other.
  const [r, c] = axes.map((n) => (n < 0 ? n + x.rank : n)) as [number, number];
  const p = ord.number();
  const [inner, outer] = Math.abs(p) === 1 ? [r, c] : [c, r];
  const which = p > 0 ? "max" : "min";
  const text = `${which}(sum(abs(${x}), axis: ${inner}, keepdims: true), axis: ${outer}, keepdims: true)`;
  return keep ? text : `squeeze(${text}, ${list([r, c].sort((m, n) => m - n))})`;
}

function vectorNorm(a: Bound): string {
  const [x, ord, dim] = [a["input"]!, a["ord"]!, a["dim"]!];
  return `norm(${x}, ord: ${ord.isNone ? 2 : ord}, axis: ${axisText(x, dim)}, keepdims: ${x.rank > 0 && a["keepdim"]!.boolean()})`;
}

function anyNorm(a: Bound): string {
  const [x, ord, dim] = [a["input"]!, a["ord"]!, a["dim"]!];
  const isMatrix = dim.isList ? dim.items.length === 2 : dim.isNone && x.rank === 2 && !ord.isNone;
  return isMatrix ? matrixNorm(a) : vectorNorm(a);
}

/** Observations that count more than once, and with weights of their own. */
function weightedCov(a: Bound): string {
  const [x, f, w, correction] = [a["input"]!, a["fweights"]!, a["aweights"]!, a["correction"]!];
  const rows = x.rank >= 2 ? String(x) : `reshape(${x}, [1, -1])`;
  const count = f.isNone ? "1.0" : `(${f}[t] as f32)`;
  const weight = w.isNone ? "1.0" : `${w}[t]`;
  const least = w.isNone ? `${correction}` : `${correction} * sum[t] m[t] * ${weight} / total`;
  const text = `let x = ${rows}
  let m = for[t in 0..${x.shape.at(-1)}] ${count} * ${weight}
  let total = sum(m)
  let centred = for[n, t] x[n, t] - (sum[s] x[n, s] * m[s]) / total
  let c = (for[n, l] sum[t] centred[n, t] * m[t] * centred[l, t]) / (total - (${least}))
  `;
  return `${text}${x.rank >= 2 && x.shape[0] !== 1 ? "c" : "reshape(c, [])"}`;
}

/** Of any ranks: axes of the one beside those of the other, then joined in pairs. */
function kronecker(x: Arg, y: Arg): string {
  if (x.rank === 2 && y.rank === 2) return `kron(${x}, ${y})`;
  const rank = Math.max(x.rank, y.rank);
  const extents = (v: Arg): readonly number[] => [...Array.from({ length: rank - v.rank }, () => 1), ...v.shape];
  const [p, q] = [extents(x), extents(y)];
  const left = `reshape(${x}, ${list(p.flatMap((n) => [n, 1]))})`;
  const right = `reshape(${y}, ${list(q.flatMap((n) => [1, n]))})`;
  return `reshape(${left} * ${right}, ${list(p.map((n, i) => n * q[i]!))})`;
}

const accumulate = (product: string): string => `$beta * $input + $alpha * (${product})`;

export const LINALG: RuleTable = {
  matmul: ["matmul(input, other)", "$input @ $other"],
  mm: ["mm(input, other)", "$input @ $other"],
  bmm: ["bmm(input, other)", "$input @ $other"],
  mv: ["mv(input, other)", "$input @ $other"],
  dot: ["dot(input, other)", "$input @ $other"],
  inner: [
    "inner(input, other)",
    (a) => {
      const [x, y] = [a["input"]!, a["other"]!];
      return x.rank === 0 || y.rank === 0 ? `${x} * ${y}` : `inner(${x}, ${y})`;
    },
  ],
  outer: ["outer(input, other)", "outer($input, $other)"],
  einsum: ["einsum(tensors, equation)", (a) => `einsum(${a["equation"]}, ${a["tensors"]!.items.join(", ")})`],
  tensordot: ["tensordot(input, other, dims=2)", "tensordot($input, $other, $dims)"],
  addmm: ["addmm(input, mat1, mat2, *, beta=1, alpha=1)", accumulate("$mat1 @ $mat2")],
  addmv: ["addmv(input, mat, vec, *, beta=1, alpha=1)", accumulate("$mat @ $vec")],
  addr: ["addr(input, vec1, vec2, *, beta=1, alpha=1)", accumulate("outer($vec1, $vec2)")],
  baddbmm: ["baddbmm(input, batch1, batch2, *, beta=1, alpha=1)", accumulate("$batch1 @ $batch2")],
  addbmm: ["addbmm(input, batch1, batch2, *, beta=1, alpha=1)", accumulate("sum($batch1 @ $batch2, axis: 0)")],
  kron: ["kron(input, other)", (a) => kronecker(a["input"]!, a["other"]!)],
  trace: ["trace(input)", "trace($input)"],
  cross: [
    "cross(input, other, dim=None)",
    (a) => {
      const x = a["input"]!;
      const dim = a["dim"]!.isNone ? x.shape.indexOf(3) : a["dim"]!.number();
      return `cross(${sameShape(x, a["other"]!)}, axis: ${dim})`;
    },
  ],
  "linalg.cross": [
    "cross(input, other, *, dim=-1)",
    (a) => `cross(${sameShape(a["input"]!, a["other"]!)}, axis: ${a["dim"]})`,
  ],
  "linalg.vecdot": [
    "vecdot(input, other, *, dim=-1)",
    (a) => `vecdot(${sameShape(a["input"]!, a["other"]!)}, axis: ${a["dim"]})`,
  ],
  "linalg.multi_dot": ["multi_dot(tensors)", (a) => a["tensors"]!.items.join(" @ ")],
  "linalg.matrix_power": ["matrix_power(input, n)", "matrix_power($input, $n)"],
  "linalg.norm": ["norm(input, ord=None, dim=None, keepdim=False, *, dtype=None)", anyNorm],
  "linalg.vector_norm": ["vector_norm(input, ord=2, dim=None, keepdim=False, *, dtype=None)", vectorNorm],
  "linalg.matrix_norm": ["matrix_norm(input, ord='fro', dim=None, keepdim=False, *, dtype=None)", matrixNorm],
  "linalg.vander": [
    "vander(input, N=None)",
    (a) => `vander(${a["input"]}, ${a["N"]!.isNone ? a["input"]!.shape.at(-1) : a["N"]}, increasing: true)`,
  ],
  cdist: [
    "cdist(input, other, p=2.0, compute_mode=None)",
    (a) => `cdist(${sameShape(a["input"]!, a["other"]!, 2)}, ${a["p"]})`,
  ],
  "nn.functional.pdist": ["pdist(input, p=2)", "pdist($input, $p)"],
  cov: [
    "cov(input, *, correction=1, fweights=None, aweights=None)",
    (a) => {
      const x = a["input"]!;
      if (!a["fweights"]!.isNone || !a["aweights"]!.isNone) return weightedCov(a);
      const rows = x.rank >= 2 ? String(x) : `reshape(${x}, [1, -1])`;
      const text = `cov(${rows}, ${a["correction"]})`;
      return x.rank >= 2 && x.shape[0] !== 1 ? text : `reshape(${text}, [])`;
    },
  ],
  corrcoef: [
    "corrcoef(input)",
    (a) =>
      a["input"]!.rank === 2 ? `corrcoef(${a["input"]})` : `reshape(corrcoef(reshape(${a["input"]}, [1, -1])), [])`,
  ],
  renorm: ["renorm(input, p, dim, maxnorm)", "renorm($input, $p, $dim, $maxnorm)"],
};
