import { describe, expect, it } from "vitest";
import { array, shaped } from "../builtins/harness.ts";
import { build, evaluate, expectClose, noise, type Plain, read, resultOf } from "./harness.ts";

const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);
const mean = (v: readonly number[]): number => total(v) / v.length;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.log(1 + Math.exp(x));
const erf = (x: number): number => {
  // The Maclaurin series, in double precision for |x| ≤ 3.
  let [term, sum] = [x, x];
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

describe("activations", () => {
  const x = shaped(
    [17],
    Array.from({ length: 17 }, (_, k) => (k - 8) / 2),
  );
  const table: readonly [string, (x: number) => number][] = [
    ["leaky_relu(a)", (v) => (v > 0 ? v : 0.01 * v)],
    ["leaky_relu(a, 0.5)", (v) => (v > 0 ? v : 0.5 * v)],
    ["elu(a)", (v) => (v > 0 ? v : Math.expm1(v))],
    ["elu(a, 2.0)", (v) => (v > 0 ? v : 2 * Math.expm1(v))],
    ["celu(a, 2.0)", (v) => (v > 0 ? v : 2 * Math.expm1(v / 2))],
    ["selu(a)", (v) => 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * Math.expm1(v))],
    ["hardtanh(a)", (v) => Math.min(1, Math.max(-1, v))],
    ["hardtanh(a, 0.5, -0.5)", () => -0.5],
    ["relu6(a * 3)", (v) => Math.min(6, Math.max(0, 3 * v))],
    ["hardsigmoid(a)", (v) => Math.min(1, Math.max(0, v / 6 + 0.5))],
    ["hardswish(a)", (v) => (v * Math.min(6, Math.max(0, v + 3))) / 6],
    ["swish(a, 2.0)", (v) => v * sigmoid(2 * v)],
    ["mish(a)", (v) => v * Math.tanh(softplus(v))],
    ["log_sigmoid(a)", (v) => Math.log(sigmoid(v))],
    ["softsign(a)", (v) => v / (1 + Math.abs(v))],
    ["tanhshrink(a)", (v) => v - Math.tanh(v)],
    ["threshold(a, 1.0, 7.0)", (v) => (v > 1 ? v : 7)],
    ["hardshrink(a, 1.0)", (v) => (Math.abs(v) <= 1 ? 0 : v)],
    ["softshrink(a, 1.0)", (v) => Math.sign(v) * Math.max(Math.abs(v) - 1, 0)],
    ["shrink(a, bias: 0.5, bound: 1.5)", (v) => (v > 1.5 ? v - 0.5 : v < -1.5 ? v + 0.5 : 0)],
    ["gelu(a / 2)", (v) => 0.25 * v * (1 + erf(v / 2 / Math.SQRT2))],
  ];
  for (const [text, f] of table)
    it(text, () => expectClose(evaluate("nn", text, x), { shape: [17], data: x.data.map(f) }, 1e-6));
  it("glu and its kin", () => {
    const y = noise([3, 4]);
    expectClose(
      evaluate("nn", "glu(a)", y),
      build([3, 2], ([i, j]) => read(y, [i!, j!]) * sigmoid(read(y, [i!, j! + 2]))),
    );
    expectClose(
      evaluate("nn", "glu(a, axis: 0)", noise([4, 3])),
      build([2, 3], ([i, j]) => read(noise([4, 3]), [i!, j!]) * sigmoid(read(noise([4, 3]), [i! + 2, j!]))),
    );
    expectClose(
      evaluate("nn", "swiglu(a, b)", y, noise([3, 4], 2)),
      build([3, 4], (at) => read(y, at) * sigmoid(read(y, at)) * read(noise([3, 4], 2), at)),
    );
    expectClose(
      evaluate("nn", "prelu(a, b)", noise([2, 3, 2]), array([0.5, 2, -1])),
      build(
        [2, 3, 2],
        (at) => (read(noise([2, 3, 2]), at) > 0 ? 1 : [0.5, 2, -1][at[1]!]!) * read(noise([2, 3, 2]), at),
      ),
    );
  });
});

const rows = noise([3, 5]);
const rowOf = (i: number): readonly number[] => rows.data.slice(i * 5, i * 5 + 5);

describe("softmax and norms", () => {
  it("softmax along any axis", () => {
    expectClose(
      evaluate("nn", "softmax(a)", rows),
      build([3, 5], ([i, j]) => Math.exp(rowOf(i!)[j!]!) / total(rowOf(i!).map(Math.exp))),
    );
    const column = (j: number): readonly number[] => [0, 1, 2].map((i) => rowOf(i)[j]!);
    expectClose(
      evaluate("nn", "softmax(a, axis: 0)", rows),
      build([3, 5], ([i, j]) => Math.exp(rowOf(i!)[j!]!) / total(column(j!).map(Math.exp))),
    );
    expectClose(
      evaluate("nn", "log_softmax(a)", rows),
      build([3, 5], ([i, j]) => rowOf(i!)[j!]! - Math.log(total(rowOf(i!).map(Math.exp)))),
    );
    expectClose(
      evaluate("nn", "softmin(a)", rows),
      build([3, 5], ([i, j]) => Math.exp(-rowOf(i!)[j!]!) / total(rowOf(i!).map((v) => Math.exp(-v)))),
    );
    expect(resultOf("nn", "softmax(a)", array([1000, 1000]))).toEqual([0.5, 0.5]);
    expect(
      resultOf(
        "nn",
        "hardmax(a)",
        array([
          [1, 3, 3],
          [5, 2, 1],
        ]),
      ),
    ).toEqual([
      [0, 1, 0],
      [1, 0, 0],
    ]);
  });
  const spread = (v: readonly number[]): number => mean(v.map((e) => (e - mean(v)) ** 2));
  it("layer_norm and rms_norm", () => {
    const [g, b] = [noise([5], 2), noise([5], 3)];
    const z = (i: number, j: number): number => (rowOf(i)[j]! - mean(rowOf(i))) / Math.sqrt(spread(rowOf(i)) + 1e-5);
    expectClose(
      evaluate("nn", "layer_norm(a, b, c)", rows, g, b),
      build([3, 5], ([i, j]) => z(i!, j!) * g.data[j!]! + b.data[j!]!),
    );
    expectClose(
      evaluate("nn", "layer_norm(a)", rows),
      build([3, 5], ([i, j]) => z(i!, j!)),
    );
    expectClose(
      evaluate("nn", "rms_norm(a, b)", rows, g),
      build([3, 5], ([i, j]) => (rowOf(i!)[j!]! / Math.sqrt(mean(rowOf(i!).map((e) => e * e)) + 1e-6)) * g.data[j!]!),
    );
  });
  const x = noise([2, 4, 3, 2]);
  const pick = (f: (at: readonly number[]) => boolean): readonly number[] =>
    [...build(x.shape, (at) => (f(at) ? read(x, at) : Number.NaN)).data].filter((v) => !Number.isNaN(v));
  const normed = (same: (p: readonly number[], q: readonly number[]) => boolean): Plain =>
    build(x.shape, (at) => {
      const group = pick((q) => same(at, q));
      return (read(x, at) - mean(group)) / Math.sqrt(spread(group) + 1e-5);
    });
  it("group_norm, instance_norm, batch_norm", () => {
    const [g, b] = [noise([4], 2), noise([4], 3)];
    const affine = (p: Plain): Plain => build(x.shape, (at) => read(p, at) * g.data[at[1]!]! + b.data[at[1]!]!);
    expectClose(
      evaluate("nn", "group_norm(a, 2, b, c)", x, g, b),
      affine(normed((p, q) => p[0] === q[0] && p[1]! >> 1 === q[1]! >> 1)),
    );
    expectClose(
      evaluate("nn", "instance_norm(a, b, c)", x, g, b),
      affine(normed((p, q) => p[0] === q[0] && p[1] === q[1])),
    );
    expectClose(evaluate("nn", "batch_norm_train(a, b, c)", x, g, b), affine(normed((p, q) => p[1] === q[1])));
    const [m, v] = [noise([4], 4), shaped([4], [1, 2, 3, 4])];
    expectClose(
      evaluate("nn", "batch_norm(a, b, c)", x, m, v),
      build(x.shape, (at) => (read(x, at) - m.data[at[1]!]!) / Math.sqrt(v.data[at[1]!]! + 1e-5)),
    );
  });
  it("local_response_norm and normalize", () => {
    const channels = [0, 1, 2, 3];
    for (const size of [3, 2])
      expectClose(
        evaluate("nn", `local_response_norm(a, ${size}, alpha: 0.5, beta: 0.75, k: 2.0)`, x),
        build(x.shape, (at) => {
          const near = channels.filter(
            (c) => c >= at[1]! - Math.floor(size / 2) && c <= at[1]! + Math.floor((size - 1) / 2),
          );
          return (
            read(x, at) / (2 + (0.5 / size) * total(near.map((c) => read(x, [at[0]!, c, at[2]!, at[3]!]) ** 2))) ** 0.75
          );
        }),
      );
    expectClose(
      evaluate("nn", "normalize(a, axis: 1, p: 3)", rows),
      build([3, 5], ([i, j]) => rowOf(i!)[j!]! / total(rowOf(i!).map((e) => Math.abs(e) ** 3)) ** (1 / 3)),
    );
  });
});

describe("layers and attention", () => {
  it("linear, bilinear, embedding", () => {
    const [x, w, b] = [noise([2, 3]), noise([4, 3], 2), noise([4], 3)];
    expectClose(
      evaluate("nn", "linear(a, b, c)", x, w, b),
      build([2, 4], ([i, o]) => total([0, 1, 2].map((k) => read(x, [i!, k]) * read(w, [o!, k]))) + b.data[o!]!),
    );
    const y = noise([2, 2], 4);
    const t = noise([4, 3, 2], 5);
    expectClose(
      evaluate("nn", "bilinear(a, b, c)", x, y, t),
      build([2, 4], ([i, o]) =>
        total([0, 1, 2].flatMap((p) => [0, 1].map((q) => read(x, [i!, p]) * read(t, [o!, p, q]) * read(y, [i!, q])))),
      ),
    );
    expect(
      resultOf(
        "nn",
        "embedding(a, b)",
        array(
          [
            [1, 0],
            [-1, 9],
          ],
          "i32",
        ),
        array([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([
      [
        [3, 4],
        [1, 2],
      ],
      [
        [3, 4],
        [0, 0],
      ],
    ]);
    const bags = array(
      [
        [0, 1],
        [1, 1],
      ],
      "i32",
    );
    expect(
      resultOf(
        "nn",
        'embedding_bag(a, b, mode: "sum")',
        bags,
        array([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([
      [4, 6],
      [6, 8],
    ]);
    expect(
      resultOf(
        "nn",
        "embedding_bag(a, b)",
        bags,
        array([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual([
      [2, 3],
      [3, 4],
    ]);
    expect(resultOf("nn", "dropout(a, b, 0.5)", array([1, 2, 3]), array([true, false, true], "bool"))).toEqual([
      2, 0, 6,
    ]);
  });
  const attend = (q: Plain, k: Plain, v: Plain, allowed: (i: number, j: number) => number, share = 1): Plain =>
    build([...q.shape.slice(0, 3), v.shape[3]!], ([b, h, i, e]) => {
      const head = Math.floor(h! / share);
      const keys = Array.from({ length: k.shape[2]! }, (_, j) => j);
      const scores = keys.map(
        (j) =>
          total(Array.from({ length: q.shape[3]! }, (_, d) => read(q, [b!, h!, i!, d]) * read(k, [b!, head, j, d]))) /
            Math.sqrt(q.shape[3]!) +
          allowed(i!, j),
      );
      const weights = scores.map((s) => Math.exp(s - Math.max(...scores)));
      return total(keys.map((j) => weights[j]! * read(v, [b!, head, j, e!]))) / total(weights);
    });
  const [q, k, v] = [noise([2, 4, 3, 2]), noise([2, 4, 5, 2], 2), noise([2, 4, 5, 3], 3)];
  it("attention, plain, causal and masked", () => {
    expectClose(
      evaluate("nn", "attention(a, b, c)", q, k, v),
      attend(q, k, v, () => 0),
    );
    const later = (i: number, j: number): number => (j > i ? Number.NEGATIVE_INFINITY : 0);
    expectClose(evaluate("nn", "attention(a, b, c, causal: true)", q, k, v), attend(q, k, v, later));
    expectClose(evaluate("nn", "scaled_dot_product_attention(a, b, c, causal: true)", q, k, v), attend(q, k, v, later));
    const mask = noise([3, 5], 9);
    expectClose(
      evaluate("nn", "attention(a, b, c, mask: d)", q, k, v, mask),
      attend(q, k, v, (i, j) => read(mask, [i, j])),
    );
    const keep = shaped([3, 5], [1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1], "bool");
    expectClose(
      evaluate("nn", "attention(a, b, c, mask: d)", q, k, v, keep),
      attend(q, k, v, (i, j) => (read(keep, [i, j]) ? 0 : Number.NEGATIVE_INFINITY)),
    );
  });
  it("shares keys among query heads", () => {
    const [k2, v2] = [noise([2, 2, 5, 2], 5), noise([2, 2, 5, 3], 6)];
    expectClose(
      evaluate("nn", "grouped_query_attention(a, b, c)", q, k2, v2),
      attend(q, k2, v2, () => 0, 2),
    );
    const later = (i: number, j: number): number => (j > i + 2 ? Number.NEGATIVE_INFINITY : 0);
    expectClose(
      evaluate("nn", "grouped_query_attention(a, b, c, causal: true, offset: 2)", q, k2, v2),
      attend(q, k2, v2, later, 2),
    );
  });
  it("turns pairs of features by their position", () => {
    const x = noise([2, 3, 4]);
    const turned = (pair: (p: number) => readonly [number, number]): Plain =>
      build(x.shape, ([b, t, d]) => {
        const p = [0, 1].find((n) => pair(n).includes(d!))!;
        const angle = t! * 10000 ** ((-2 * p) / 4);
        const [u, w] = pair(p).map((e) => read(x, [b!, t!, e])) as [number, number];
        return d === pair(p)[0] ? u * Math.cos(angle) - w * Math.sin(angle) : w * Math.cos(angle) + u * Math.sin(angle);
      });
    expectClose(
      evaluate("nn", "rope(a)", x),
      turned((p) => [p, p + 2]),
      1e-9,
    );
    expectClose(
      evaluate("nn", "rope(a, interleaved: true)", x),
      turned((p) => [2 * p, 2 * p + 1]),
      1e-9,
    );
  });
  it("multi_head_attention puts heads side by side", () => {
    const [x, wq, wk, wv, wo] = [
      noise([1, 3, 4]),
      noise([4, 4], 2),
      noise([4, 4], 3),
      noise([4, 4], 4),
      noise([2, 4], 5),
    ];
    const project = (w: Plain): Plain =>
      build([1, 2, 3, 2], ([, h, t, d]) =>
        total([0, 1, 2, 3].map((i) => read(x, [0, t!, i]) * read(w, [h! * 2 + d!, i]))),
      );
    const o = attend(project(wq), project(wk), project(wv), () => 0);
    expectClose(
      evaluate("nn", "multi_head_attention(a, b, c, d, e, 2)", x, wq, wk, wv, wo),
      build([1, 3, 2], ([, t, n]) =>
        total([0, 1, 2, 3].map((i) => read(o, [0, i >> 1, t!, i & 1]) * read(wo, [n!, i]))),
      ),
    );
  });
});

describe("recurrent cells", () => {
  const [x, h, c] = [noise([2, 3]), noise([2, 2], 2), noise([2, 2], 3)];
  const gate = (w: Plain, u: Plain, n: number, b: number, bias: readonly number[] = []): readonly [number, number] => [
    total([0, 1, 2].map((i) => read(x, [b, i]) * read(w, [n, i]))) + (bias[n] ?? 0),
    total([0, 1].map((i) => read(h, [b, i]) * read(u, [n, i]))),
  ];
  it("rnn_cell", () => {
    const [w, u, v] = [noise([2, 3], 4), noise([2, 2], 5), noise([2], 6)];
    expectClose(
      evaluate("nn", "rnn_cell(a, b, c, d, e)", x, h, w, u, v),
      build([2, 2], ([b, j]) => Math.tanh(total(gate(w, u, j!, b!, v.data)))),
    );
  });
  it("lstm_cell", () => {
    const [w, u] = [noise([8, 3], 4), noise([8, 2], 5)];
    const cell = (b: number, j: number): number =>
      sigmoid(total(gate(w, u, 2 + j, b))) * read(c, [b, j]) +
      sigmoid(total(gate(w, u, j, b))) * Math.tanh(total(gate(w, u, 4 + j, b)));
    expectClose(
      evaluate("nn", "lstm_cell(a, b, c, d, e).c", x, h, c, w, u),
      build([2, 2], ([b, j]) => cell(b!, j!)),
    );
    expectClose(
      evaluate("nn", "lstm_cell(a, b, c, d, e).h", x, h, c, w, u),
      build([2, 2], ([b, j]) => sigmoid(total(gate(w, u, 6 + j!, b!))) * Math.tanh(cell(b!, j!))),
    );
  });
  it("gru_cell", () => {
    const [w, u] = [noise([6, 3], 4), noise([6, 2], 5)];
    expectClose(
      evaluate("nn", "gru_cell(a, b, c, d)", x, h, w, u),
      build([2, 2], ([b, j]) => {
        const [reset, update] = [sigmoid(total(gate(w, u, j!, b!))), sigmoid(total(gate(w, u, 2 + j!, b!)))];
        const [p, q] = gate(w, u, 4 + j!, b!);
        return (1 - update) * Math.tanh(p + reset * q) + update * read(h, [b!, j!]);
      }),
    );
  });
});
