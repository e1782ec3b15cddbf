import { describe, expect, test } from "vitest";
import { type ArrayInput, type InterpretOptions, interpret } from "../../ir/interpret.ts";
import { OutsideError } from "../../ir/interpret-expr.ts";
import { interpretSampled } from "../../ir/interpret-sampled.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { bindSizes, InputError } from "../../ir/sizes.ts";

type Nested = number | readonly Nested[];
function flatten(v: Nested): readonly number[] {
  return typeof v === "number" ? [v] : v.flatMap(flatten);
}
/** A nested list as an array; `[]` has the shape [0]. */
function array(value: Nested): ArrayInput {
  const shape: number[] = [];
  for (let v: Nested | undefined = value; typeof v === "object"; v = v[0]) shape.push(v.length);
  return { shape, data: flatten(value) };
}
function run(
  text: string,
  inputs: Record<string, Nested | ArrayInput> = {},
  options: InterpretOptions = {},
): Record<string, number[]> {
  const given = new Map(
    Object.entries(inputs).map(([n, v]) => [n, typeof v === "object" && "shape" in v ? v : array(v)]),
  );
  const program = parseProgram(text);
  const results = interpret(program, given, options);
  // Whole and by demand must agree on every program of these tests.
  for (const r of results)
    expect([...interpretSampled(program, given, r.name, [...r.data.keys()], options)]).toEqual([...r.data]);
  return Object.fromEntries(results.map((r) => [r.name, [...r.data]]));
}
function problem(f: () => unknown): string | undefined {
  try {
    f();
  } catch (error) {
    if (error instanceof InputError) return `${error.problem}: ${error.message}`;
    throw error;
  }
  return undefined;
}

const MATMUL = `
input x: f32[n:N, i:I]
input w: f32[i:I, d:D]
z[n:N, d:D] = add(i:I) x[n, i] * w[i, d]
result z = z`;

describe("reductions", () => {
  test("matmul", () => {
    expect(
      run(MATMUL, {
        x: [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
        w: [
          [1, 0, 2],
          [0, 1, -1],
        ],
      }),
    ).toEqual({ z: [1, 2, 0, 3, 4, 2, 5, 6, 4] });
  });
  test("an empty reduced axis gives the identity, empty results are empty", () => {
    expect(run(MATMUL, { x: { shape: [2, 0], data: [] }, w: { shape: [0, 2], data: [] } })).toEqual({
      z: [0, 0, 0, 0],
    });
    expect(run(MATMUL, { x: { shape: [0, 2], data: [] }, w: { shape: [2, 1], data: [1, 2] } })).toEqual({ z: [] });
  });
  test("softmax, with nested reductions", () => {
    const { y } = run(
      `input x: f32[n:N, k:K]
       y[n:N, k:K] = exp(x[n, k] - max(j:K){x[n, j]}) / add(j:K){exp(x[n, j] - max(l:K){x[n, l]})}
       result y = y`,
      {
        x: [
          [1, 2, 3],
          [1000, 1000, -1000],
        ],
      },
    );
    const e = [1, 2, 3].map((v) => Math.exp(v - 3));
    const z = e.reduce((a, b) => a + b);
    [...e.map((v) => v / z), 0.5, 0.5, 0].forEach((v, i) => {
      expect(y?.[i]).toBeCloseTo(v, 14);
    });
  });
  test("argmax: the first of equals, NaN before all", () => {
    expect(
      run(
        `input x: f32[n:N, k:K]
           v, j[n:N] = argmax(k:K) x[n, k], k
           result v = v
           result j = j`,
        {
          x: [
            [1, 7, 7],
            [Number.NaN, 9, Number.NaN],
            [-1, -2, -3],
          ],
        },
      ),
    ).toEqual({ v: [7, Number.NaN, -1], j: [1, 0, 0] });
  });
  test("sums of floats are compensated in exact mode, in order when rounded", () => {
    const text = `input x: f32[k:K]
      s[] = add(k:K) x[k]
      result s = s`;
    expect(run(text, { x: [1, 1e100, 1, -1e100] })).toEqual({ s: [2] });
    expect(run(text, { x: [1, 2 ** -24, 2 ** -24, 2 ** -24] }, { mode: "rounded" })).toEqual({ s: [1] });
    expect(run(text, { x: [1, Number.POSITIVE_INFINITY, 1] })).toEqual({ s: [Number.POSITIVE_INFINITY] });
    expect(run(text, { x: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] })).toEqual({ s: [Number.NaN] });
  });
  test("a monoid of one's own: Welford's variance", () => {
    const { m2 } = run(
      `monoid welford: f32, f32, f32 =
         let n = $0 + $3;
         let d = $4 - $1;
         n, n == 0.0 ? 0.0 : $1 + d * $3 / n, n == 0.0 ? 0.0 : $2 + $5 + d * d * $0 * $3 / n
         identity 0.0, 0.0, 0.0 commutative
       input x: f32[k:K]
       n, m, m2[] = welford(k:K) 1.0, x[k], 0.0
       result m2 = m2`,
      { x: [2, 4, 4, 4, 5, 5, 7, 9] },
    );
    expect(m2?.[0]).toBeCloseTo(32, 12);
  });
  test("several axes, and the same axis twice side by side", () => {
    expect(
      run(
        `input x: i32[a:A, b:B]
           t[a:A] = add(i:A, b:B){x[i, b]} - max(i:A, b:B){x[i, b] * a}
           result t = t`,
        {
          x: [
            [1, 2],
            [3, 4],
          ],
        },
      ),
    ).toEqual({ t: [10, 6] });
  });
});

describe("reads", () => {
  test("a strided padded convolution", () => {
    expect(
      run(
        `input x: f32[i:H]
           input w: f32[r:R]
           y[i:(H + 1) div 2] = add(r:R) (x[i * 2 + r - 1] ?? 0.0) * w[r]
           result y = y`,
        { x: [1, 2, 3, 4, 5], w: [1, 10, 100] },
      ),
    ).toEqual({ y: [210, 432, 54] });
  });
  test("concatenation, flip and reshape", () => {
    expect(
      run(
        `input a: i32[i:N]
           input b: i32[i:M]
           c[i:N + M] = i < N ? (a[i] ?? -1) : (b[i - N] ?? -1)
           f[i:N + M] = c[N + M - 1 - i]
           r[i:(N + M) div 2, j:2] = f[i * 2 + j]
           s[i:N + M] = r[i div 2, i % 2]
           result f = f
           result s = s`,
        { a: [1, 2], b: [3, 4] },
      ),
    ).toEqual({ f: [4, 3, 2, 1], s: [4, 3, 2, 1] });
  });
  test("gather fills outside", () => {
    expect(
      run(
        `input x: f32[i:N]
           input j: i32[k:K]
           y[k:K] = x[j[k]] ?? -1.0
           result y = y`,
        { x: [5, 6], j: [1, -1, 2, 0] },
      ),
    ).toEqual({ y: [6, -1, -1, 5] });
  });
  test("outside without fill is an error that names the definition", () => {
    const p = parseProgram("input x: f32[i:N]\ny[i:N] = x[i + 1]\nresult y = y");
    expect(() => interpret(p, new Map([["x", array([1, 2])]]))).toThrow(OutsideError);
    expect(() => interpret(p, new Map([["x", array([1, 2])]]))).toThrow(/y reads x at 2 of axis 0, whose extent is 2/);
  });
  test("only the branch that is asked for is evaluated", () => {
    expect(run("input x: f32[i:N]\ny[i:N] = i > 0 ? x[i - 1] : 9.0\nresult y = y", { x: [1, 2] })).toEqual({
      y: [9, 1],
    });
  });
});

describe("scans and scatters", () => {
  test("scans along each axis", () => {
    const text = (axis: string): string => `input x: f32[i:N, j:M]
      s[i:N, j:M] = scan add along ${axis} x[i, j]
      m[i:N, j:M] = scan max along ${axis} x[i, j]
      result s = s
      result m = m`;
    const x = [
      [3, 1, 2],
      [1, 5, 1],
    ];
    expect(run(text("j"), { x })).toEqual({ s: [3, 4, 6, 1, 6, 7], m: [3, 3, 3, 1, 5, 5] });
    expect(run(text("i"), { x })).toEqual({ s: [3, 1, 2, 4, 6, 3], m: [3, 1, 2, 3, 5, 2] });
    expect(run(text("i"), { x: { shape: [0, 3], data: [] } })).toEqual({ s: [], m: [] });
  });
  test("scatter adds, drops what is outside, starts from `into`", () => {
    expect(
      run(
        `input t: i32[n:N]
           input v: f32[n:N]
           input u: f32[r:R]
           a[r:R] = scatter add(n:N) at [t[n]] v[n]
           b[r:R] = scatter add(n:N) at [t[n]] v[n] into u
           m[r:R] = scatter max(n:N) at [t[n]] v[n]
           s[r:R] = scatter set(n:N) at [t[n]] v[n] initial 0.5
           k[r:R] = 7
           o, p[r:R] = scatter set(n:N) at [t[n]] v[n], n into a, k
           result a = a
           result b = b
           result m = m
           result s = s
           result p = p`,
        { t: [2, 0, 2, -1, 3], v: [1, 2, 3, 4, 5], u: [10, 20, 30] },
      ),
    ).toEqual({ a: [2, 0, 4], b: [12, 20, 34], m: [2, Number.NEGATIVE_INFINITY, 3], s: [2, 0.5, 3], p: [1, 7, 2] });
  });
  test("a scatter by argmax keeps pairs together", () => {
    expect(
      run(
        `input t: i32[n:N]
           input v: f32[n:N]
           a, b[r:3] = scatter argmax(n:N) at [t[n]] v[n], n
           result b = b`,
        { t: [0, 1, 0, 1], v: [1, 5, 2, 5] },
      ),
    ).toEqual({ b: [2, 1, 2147483647] });
  });
});

describe("loops", () => {
  test("count, index and stacks", () => {
    expect(
      run(
        `input x: f32[n:N]
           loop index t count 3 {
             carry c: f32[n:N] = x
             stack s: f32[t:3, n:N]
             w[n:N] = c[n] * 2.0 + f32(t[])
             next c = w
             push s = c
           }
           y[n:N] = c[n] + s[1, n]
           result c = c
           result s = s
           result y = y`,
        { x: [1, 0] },
      ),
    ).toEqual({ c: [12, 4], s: [1, 0, 2, 0, 5, 1], y: [14, 4] });
  });
  test("until ends after the round in which it is true", () => {
    expect(
      run(
        `input x: f32[]
           loop max 100 {
             carry c: f32[] = x
             w[] = (c[] + 2.0 / c[]) / 2.0
             done[] = abs(w[] - c[]) < 1e-12
             next c = w
             until done
           }
           result c = c`,
        { x: 1 },
      ).c?.[0],
    ).toBeCloseTo(Math.SQRT2, 14);
  });
  test("stacks have a value of the rounds after until", () => {
    expect(
      run(
        `input x: f32[]
           loop max 5 {
             carry c: f32[] = x
             stack s: f32[round:5]
             w[] = c[] * 2.0
             done[] = w[] > 3.0
             next c = w
             push s = c
             until done
           }
           result c = c
           result s = s`,
        { x: 1 },
      ),
    ).toEqual({ c: [4], s: [1, 2, 4, 4, 4] });
  });
});

describe("sizes and errors", () => {
  const sizes = (text: string, shapes: Record<string, number[]>): unknown =>
    Object.fromEntries(bindSizes(parseProgram(text), new Map(Object.entries(shapes))));
  test("symbols come from lone extents, linear ones and equalities", () => {
    expect(sizes("input x: f32[i:2 * N + 1]", { x: [7] })).toEqual({ N: 3 });
    expect(sizes('input x: f32[i:N, j:M]\nfact Q * M == N "whole rows"', { x: [12, 4] })).toEqual({
      N: 12,
      M: 4,
      Q: 3,
    });
    expect(sizes("input x: f32[i:N * M]\ninput y: f32[i:N]", { x: [12], y: [4] })).toEqual({ N: 4, M: 3 });
  });
  test("misfits", () => {
    expect(problem(() => run(MATMUL, { x: [[1, 2]], w: [[1, 2, 3]] }))).toBe(
      "shape: axis 0 of `w` is 1, but must be I = 2",
    );
    expect(problem(() => run(MATMUL, { x: [[1, 2]] }))).toBe("missing: input `w` is not given");
    expect(problem(() => run(MATMUL, { x: [1, 2], w: [[1]] }))).toBe(
      "shape: input `x` has 2 axes, but an array of 1 was given",
    );
    expect(problem(() => run(MATMUL, { x: { shape: [1, 2], data: [1] }, w: [[1], [2]] }))).toBe(
      "shape: input `x` of shape [1, 2] has 1 elements",
    );
    expect(problem(() => sizes("input x: f32[i:2 * N]", { x: [7] }))).toMatch(/^shape: axis 0 of `x`/);
    expect(problem(() => sizes('input x: f32[i:N]\nfact N >= 3 "three at least"', { x: [2] }))).toBe(
      "fact: three at least (N = 2, 3 = 3)",
    );
    expect(problem(() => sizes('input x: f32[i:N]\nfact M >= 3 "m"', { x: [2] }))).toMatch(/^unbound:/);
    expect(problem(() => run("input x: f32[i:N]\ny[i:N - 3] = x[i]\nresult y = y", { x: [1] }))).toMatch(
      /^extent: axis i of y/,
    );
  });
  test("budgets", () => {
    const inputs = new Map([
      ["x", array([[1, 2]])],
      ["w", array([[1], [2]])],
    ]);
    expect(problem(() => interpret(parseProgram(MATMUL), inputs, { budget: 5 }))).toMatch(/^budget:/);
    expect(problem(() => interpret(parseProgram(MATMUL), inputs, { budget: 50 }))).toBeUndefined();
    expect(problem(() => interpretSampled(parseProgram(MATMUL), inputs, "z", [0], { budget: 5 }))).toMatch(/^budget:/);
    expect(problem(() => interpretSampled(parseProgram(MATMUL), inputs, "z", [1]))).toMatch(/^result:/);
  });
  test("sampling does not evaluate what is not asked for", () => {
    const p = parseProgram(`input x: f32[i:N]
      a[i:N] = exp(x[i])
      y[i:N] = a[N - 1 - i] * 2.0
      result y = y`);
    const x = { shape: [1_000_000], data: new Float32Array(1_000_000) };
    expect([...interpretSampled(p, new Map([["x", x]]), "y", [3, 999_999], { budget: 100 })]).toEqual([2, 2]);
  });
});

test("expressions with exponentially many paths take linear time", () => {
  const lines = ["input x: f32[i:N]", "y[i:N] = let a0 = x[i] + 1.0;"];
  for (let k = 1; k <= 60; k++) lines.push(`let a${k} = a${k - 1} * 0.5 + a${k - 1} * 0.5;`);
  lines.push("add(j:3){a60 + f32(j)}", "result y = y");
  expect(run(lines.join("\n"), { x: [1, 2] })).toEqual({ y: [9, 12] });
});
test("rounded mode rounds inputs, constants and results", () => {
  expect(run("input x: f16[]\ny[] = x[] + 0.1h\nresult y = y", { x: 0.1 }, { mode: "rounded" })).toEqual({
    y: [0.199951171875],
  });
  expect(run("input x: f32[]\ny[] = x[] * 1.0\nresult y = y", { x: 0.1 })).toEqual({ y: [0.1] });
});
