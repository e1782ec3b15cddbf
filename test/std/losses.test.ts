import { describe, it } from "vitest";
import { array, shaped } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, type Plain, read } from "./harness.ts";

const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);
const mean = (v: readonly number[]): number => total(v) / v.length;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.log(1 + Math.exp(x));
const _erf = (x: number): number => {
  // The Maclaurin series, in double precision for |x| ≤ 3.
  let [term, sum] = [x, x];
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

describe("losses", () => {
  const [x, y] = [noise([3, 4]), noise([3, 4], 2)];
  const each = (f: (a: number, b: number) => number): readonly number[] => x.data.map((a, k) => f(a, y.data[k]!));
  const table: readonly [string, string, (a: number, b: number) => number][] = [
    ["mse_loss", "", (a, b) => (a - b) ** 2],
    ["l1_loss", "", (a, b) => Math.abs(a - b)],
    [
      "huber_loss",
      "delta: 1.5",
      (a, b) => (Math.abs(a - b) < 1.5 ? 0.5 * (a - b) ** 2 : 1.5 * (Math.abs(a - b) - 0.75)),
    ],
    ["smooth_l1_loss", "beta: 2.0", (a, b) => (Math.abs(a - b) < 2 ? 0.25 * (a - b) ** 2 : Math.abs(a - b) - 1)],
    ["smooth_l1_loss", "beta: 0.0", (a, b) => Math.abs(a - b)],
    ["log_cosh_loss", "", (a, b) => Math.log(Math.cosh(a - b))],
    ["hinge_loss", "", (a, b) => Math.max(0, 1 - a * b)],
    ["soft_margin_loss", "", (a, b) => softplus(-a * b)],
    [
      "binary_cross_entropy_with_logits",
      "",
      (a, b) => -(b * Math.log(sigmoid(a)) + (1 - b) * Math.log(1 - sigmoid(a))),
    ],
    ["poisson_nll_loss", "", (a, b) => Math.exp(a) - a * b],
  ];
  for (const [name, options, f] of table)
    it(`${name} ${options}`, () => {
      const more = options ? `, ${options}` : "";
      expectClose(evaluate("nn", `${name}(a, b${more})`, x, y), { shape: [], data: [mean(each(f))] });
      expectClose(evaluate("nn", `${name}(a, b${more}, reduction: "sum")`, x, y), {
        shape: [],
        data: [total(each(f))],
      });
      expectClose(evaluate("nn", `${name}(a, b${more}, reduction: "none")`, x, y), { shape: [3, 4], data: each(f) });
    });
  const t = array([2, -100, 0], "i32");
  const w = array([1, 2, 0.5, 3]);
  const logp = (i: number, c: number): number =>
    read(x, [i, c]) - Math.log(total([0, 1, 2, 3].map((k) => Math.exp(read(x, [i, k])))));
  const valid = [
    [0, 2],
    [2, 0],
  ] as const;
  it("cross_entropy with an ignored label, weights and smoothing", () => {
    expectClose(evaluate("nn", "cross_entropy(a, b)", x, t), {
      shape: [],
      data: [mean(valid.map(([i, c]) => -logp(i, c)))],
    });
    const weights = total(valid.map(([, c]) => w.data[c]!));
    expectClose(evaluate("nn", "cross_entropy(a, b, c)", x, t, w), {
      shape: [],
      data: [total(valid.map(([i, c]) => -w.data[c]! * logp(i, c))) / weights],
    });
    const smooth = valid.map(
      ([i, c]) => -0.9 * w.data[c]! * logp(i, c) - (0.1 / 4) * total([0, 1, 2, 3].map((k) => w.data[k]! * logp(i, k))),
    );
    expectClose(evaluate("nn", "cross_entropy(a, b, c, label_smoothing: 0.1)", x, t, w), {
      shape: [],
      data: [total(smooth) / weights],
    });
    expectClose(evaluate("nn", 'cross_entropy(a, b, reduction: "none")', x, t), {
      shape: [3],
      data: [-logp(0, 2), 0, -logp(2, 0)],
    });
    const z = noise([2, 3, 2], 7);
    const labels = array(
      [
        [0, 1],
        [2, 0],
      ],
      "i32",
    );
    expectClose(
      evaluate("nn", 'cross_entropy(a, b, reduction: "none")', z, labels),
      build(
        [2, 2],
        ([n, d]) =>
          Math.log(total([0, 1, 2].map((c) => Math.exp(read(z, [n!, c, d!]))))) -
          read(z, [n!, read(labels, [n!, d!]), d!]),
      ),
    );
  });
  it("nll_loss and cross_entropy_soft", () => {
    expectClose(evaluate("nn", "nll_loss(a, b, c)", x, t, w), {
      shape: [],
      data: [total(valid.map(([i, c]) => -w.data[c]! * read(x, [i, c]))) / total(valid.map(([, c]) => w.data[c]!))],
    });
    const p = shaped(
      [3, 4],
      noise([3, 4], 5).data.map((e) => Math.abs(e)),
    );
    expectClose(evaluate("nn", "cross_entropy_soft(a, b)", x, p), {
      shape: [],
      data: [mean([0, 1, 2].map((i) => -total([0, 1, 2, 3].map((c) => read(p, [i, c]) * logp(i, c)))))],
    });
  });
  it("of probabilities", () => {
    const p = shaped([4], [0, 0.25, 0.9, 1]);
    const s = shaped([4], [0, 1, 0.5, 0]);
    expectClose(
      evaluate("nn", 'binary_cross_entropy(a, b, reduction: "none")', p, s),
      { shape: [4], data: [0, Math.log(4), -0.5 * (Math.log(0.9) + Math.log(0.1)), 100] },
      1e-7,
    );
    expectClose(evaluate("nn", 'binary_cross_entropy(a, b, weight: c, reduction: "sum")', p, s, array([1, 2, 0, 0])), {
      shape: [],
      data: [2 * Math.log(4)],
    });
    expectClose(evaluate("nn", "binary_cross_entropy_with_logits(a, b, pos_weight: c)", x, y, array([1, 2, 3, 4])), {
      shape: [],
      data: [
        mean(
          x.data.map(
            (a, k) =>
              -((1 + (k % 4)) * y.data[k]! * Math.log(sigmoid(a)) + (1 - y.data[k]!) * Math.log(1 - sigmoid(a))),
          ),
        ),
      ],
    });
    const target = shaped([4], [0, 0.2, 0.3, 0.5]);
    expectClose(evaluate("nn", 'kl_div(a, b, reduction: "sum")', array([-1, -2, -3, -4]), target), {
      shape: [],
      data: [0.2 * (Math.log(0.2) + 2) + 0.3 * (Math.log(0.3) + 3) + 0.5 * (Math.log(0.5) + 4)],
    });
    expectClose(evaluate("nn", 'kl_div(a, b, log_target: true, reduction: "batchmean")', x, y), {
      shape: [],
      data: [total(each((a, b) => Math.exp(b) * (b - a))) / 3],
    });
    expectClose(evaluate("nn", "gaussian_nll_loss(a, b, c)", array([1, 2]), array([2, 2]), array([4, 0])), {
      shape: [],
      data: [0.25 * (Math.log(4) + 0.25 + Math.log(1e-6))],
    });
    const bits = shaped([4], [0, 1, 1, 0]);
    const z = array([0.5, -1, 2, 3]);
    expectClose(evaluate("nn", 'focal_loss(a, b, reduction: "none")', z, bits), {
      shape: [4],
      data: z.data.map((v, k) =>
        bits.data[k]
          ? -0.25 * (1 - sigmoid(v)) ** 2 * Math.log(sigmoid(v))
          : -0.75 * sigmoid(v) ** 2 * Math.log(1 - sigmoid(v)),
      ),
    });
  });
  it("of pairs and margins", () => {
    const sign = array([1, -1, 1]);
    const cosine = [0, 1, 2].map((i) => {
      const [a, b] = [x, y].map((m) => [0, 1, 2, 3].map((j) => read(m, [i, j]))) as [number[], number[]];
      return total(a.map((e, j) => e * b[j]!)) / Math.sqrt(total(a.map((e) => e * e)) * total(b.map((e) => e * e)));
    });
    expectClose(evaluate("nn", "cosine_similarity(a, b)", x, y), { shape: [3], data: cosine });
    expectClose(evaluate("nn", 'cosine_embedding_loss(a, b, c, 0.1, reduction: "none")', x, y, sign), {
      shape: [3],
      data: cosine.map((c, i) => (sign.data[i] === 1 ? 1 - c : Math.max(0, c - 0.1))),
    });
    const distance = (a: Plain, b: Plain, i: number): number =>
      Math.sqrt(total([0, 1, 2, 3].map((j) => (read(a, [i, j]) - read(b, [i, j]) + 1e-6) ** 2)));
    expectClose(evaluate("nn", "pairwise_distance(a, b)", x, y), {
      shape: [3],
      data: [0, 1, 2].map((i) => distance(x, y, i)),
    });
    const z = noise([3, 4], 8);
    expectClose(evaluate("nn", "triplet_margin_loss(a, b, c)", x, y, z), {
      shape: [],
      data: [mean([0, 1, 2].map((i) => Math.max(0, distance(x, y, i) - distance(x, z, i) + 1)))],
    });
    expectClose(evaluate("nn", "triplet_margin_loss(a, b, c, swap: true)", x, y, z), {
      shape: [],
      data: [
        mean([0, 1, 2].map((i) => Math.max(0, distance(x, y, i) - Math.min(distance(x, z, i), distance(y, z, i)) + 1))),
      ],
    });
    expectClose(evaluate("nn", "margin_ranking_loss(a, b, c, 0.5)", array([1, 2, 3]), array([3, 2, 1]), sign), {
      shape: [],
      data: [(2.5 + 0.5 + 0) / 3],
    });
    expectClose(evaluate("nn", 'hinge_embedding_loss(a, b, reduction: "none")', array([0.5, 0.25, 3]), sign), {
      shape: [3],
      data: [0.5, 0.75, 3],
    });
    const labels = array([1, 3, 0], "i32");
    const margin = (p: number): number =>
      mean(
        [0, 1, 2].map(
          (i) =>
            total(
              [0, 1, 2, 3]
                .filter((c) => c !== labels.data[i])
                .map((c) => Math.max(0, 1 - read(x, [i, labels.data[i]!]) + read(x, [i, c])) ** p),
            ) / 4,
        ),
      );
    expectClose(evaluate("nn", "multi_margin_loss(a, b)", x, labels), { shape: [], data: [margin(1)] });
    expectClose(evaluate("nn", "multi_margin_loss(a, b, p: 2)", x, labels), { shape: [], data: [margin(2)] });
    expectClose(evaluate("nn", "multilabel_soft_margin_loss(a, b)", x, y), {
      shape: [],
      data: [mean(each((a, b) => -(b * Math.log(sigmoid(a)) + (1 - b) * Math.log(sigmoid(-a)))))],
    });
  });
  it("multilabel_margin_loss stops at the first -1", () => {
    const labels = array(
      [
        [2, 0, -1, 1],
        [-1, 1, 2, 3],
        [3, 3, 0, 1],
      ],
      "i32",
    );
    const targets = [[2, 0], [], [3, 3, 0, 1]];
    const want = mean(
      targets.map(
        (list, i) =>
          total(
            list.flatMap((t) =>
              [0, 1, 2, 3]
                .filter((c) => !list.includes(c))
                .map((c) => Math.max(0, 1 - read(x, [i, t]) + read(x, [i, c]))),
            ),
          ) / 4,
      ),
    );
    expectClose(evaluate("nn", "multilabel_margin_loss(a, b)", x, labels), { shape: [], data: [want] });
  });
});
