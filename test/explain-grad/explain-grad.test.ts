/** The gradient as a program to read: its exact text for what people learn first, and for many functions that it computes the gradient. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { HostArray } from "../../runtime/plan.ts";
import { explainGradient } from "../../src/explain-grad/index.ts";
import { compile } from "../../src/index.ts";
import { CORPUS, IMPORTS } from "./corpus.ts";

/** The lines between the header and the result. */
function lines(source: string, o: Parameters<typeof explainGradient>[2] = {}): string[] {
  const program = compile(source);
  const text = explainGradient(program, program.functions.at(-1)!.name, o);
  return text
    .split("\n")
    .slice(1, -3)
    .map((s) => s.trim())
    .filter((s) => s !== "");
}

test("a matrix product: W gets dY·Xᵀ", () => {
  expect(lines("export fn linear(x: f32[N, I], w: f32[O, I]) { y[n, o] = sum[i] x[n, i] * w[o, i] }")).toEqual([
    "y[n, o] = sum[i] x[n, i] * w[o, i]",
    "dx[n, i] = sum[o] dy[n, o] * w[o, i]",
    "dw[o, i] = sum[n] dy[n, o] * x[n, i]",
  ]);
});

test("a whole module is printed, and its header names arguments and cotangents", () => {
  const program = compile("export fn affine(x: f32[N, I], w: f32[I, O], b: f32[O]) { x @ w + b }");
  expect(
    explainGradient(program, "affine", { wrt: ["w", "b"] }),
  ).toBe(`export fn grad_affine(x: f32[N, I], w: f32[I, O], b: f32[O], dy: f32[N, O]) {
  y[n, o] = b[o] + sum[i] x[n, i] * w[i, o]

  dw[i, o] = sum[n] dy[n, o] * x[n, i]
  db[o] = sum[n] dy[n, o]
  { dw, db }
}
`);
});

test("softmax: p (dy - Σ dy p), and p (δ - p)", () => {
  const source = `import { softmax } from "std/nn"
    export fn probabilities(x: f32[K]) { let p = softmax(x); p }`;
  const forward = ["e[k] = exp(x[k] - max[j] x[j])", "p[k] = e[k] / (sum[j] e[j])"];
  expect(lines(source)).toEqual([...forward, "dx[k] = p[k] * (dp[k] - sum[j] dp[j] * p[j])"]);
  expect(lines(source, { jacobian: true })).toEqual([...forward, "J[k, j] = p[j] * ((j == k ? 1.0 : 0.0) - p[k])"]);
});

test("cross-entropy: p less one-hot", () => {
  const source = `export fn loss(z: f32[N, K], t: i32[N]) -> f32 {
    mean(logsumexp(z, axis: 1) - for[n] (z[n, t[n]] ?? 0))
  }`;
  expect(lines(source).at(-1)).toBe("dz[n, k] = (exp(z[n, k] - m[n]) / s[n] - (k == t[n] ? 1.0 : 0.0)) / N");
});

test("attention", () => {
  const source = `import { softmax } from "std/nn"
    export fn attention(q: f32[T, D], k: f32[U, D], v: f32[U, E]) {
      let s = q @ k.T / sqrt(D)
      let p = softmax(s)
      o[t, e] = sum[u] p[t, u] * v[u, e]
    }`;
  expect(lines(source)).toEqual([
    "s[t, u] = (sum[d] q[t, d] * k[u, d]) / sqrt(D)",
    "e[t, u] = exp(s[t, u] - max[m] s[t, m])",
    "p[t, u] = e[t, u] / (sum[m] e[t, m])",
    "o[t, l] = sum[u] p[t, u] * v[u, l]",
    "dp[t, u] = sum[l] do[t, l] * v[u, l]",
    "ds[t, u] = p[t, u] * (dp[t, u] - sum[m] dp[t, m] * p[t, m])",
    "dq[t, d] = (sum[u] ds[t, u] * k[u, d]) / sqrt(D)",
    "dk[u, d] = (sum[t] ds[t, u] * q[t, d]) / sqrt(D)",
    "dv[u, l] = sum[t] do[t, l] * p[t, u]",
  ]);
});

test("layer norm", () => {
  const source = `import { layer_norm } from "std/nn"
    export fn f(x: f32[N, D], gain: f32[D], bias: f32[D]) { layer_norm(x, gain, bias) }`;
  expect(lines(source, { wrt: ["x"] }).slice(-2)).toEqual([
    "dcentred[n, d] = r[n] * (dy[n, d] * gain[d] - x2[n, d] * mean[l] dy[n, l] * x3[n, l])",
    "dx[n, d] = dcentred[n, d] - mean[l] dcentred[n, l]",
  ]);
});

test("a convolution's gradients are convolutions", () => {
  const source = `export fn conv(x: f32[N, C, H, V], w: f32[O, C, R, S]) -> f32[N, O, H - R + 1, V - S + 1] {
    y[n, o, i, j] = sum[c, r, s] x[n, c, i + r, j + s] * w[o, c, r, s]
  }`;
  expect(lines(source).slice(1)).toEqual([
    "dx[n, c, h in 0..H, v in 0..V] = sum[o, i, j] dy[n, o, i, j] * (w[o, c, h - i, v - j] ?? 0)",
    "dw[o, c, r in 0..R, s in 0..S] = sum[n, i, j] dy[n, o, i, j] * x[n, c, r + i, s + j]",
  ]);
});

test("what is not there is a diagnostic", () => {
  const program = compile("export fn f(x: f32[N], i: i32[N]) { x[i] ?? 0 }\nexport fn g(i: i32[N]) { i }");
  const code = (run: () => void): string => {
    try {
      run();
    } catch (error) {
      return (error as { diagnostics: { code: string }[] }).diagnostics[0]!.code;
    }
    return "none";
  };
  expect(code(() => explainGradient(program, "f", { wrt: ["z"] }))).toBe("EIN1601");
  expect(code(() => explainGradient(program, "f", { wrt: ["i"] }))).toBe("EIN1602");
  expect(code(() => explainGradient(program, "g"))).toBe("EIN1601");
  expect(code(() => explainGradient(program, "nothing"))).toBe("EIN1106");
});

test("the page on gradients shows what is printed", () => {
  const page = readFileSync(new URL("../../docs/gradients.md", import.meta.url), "utf8");
  const blocks = [...page.matchAll(/```ein\n([\s\S]*?)```/g)].map((m) => m[1]!);
  let source = "";
  let shown = 0;
  for (const block of blocks) {
    const head = /^export fn (grad|jacobian)_(\w+)\(/.exec(block);
    if (!head) source = block;
    else {
      shown++;
      expect(explainGradient(compile(source), head[2]!, { jacobian: head[1] === "jacobian" })).toBe(block);
    }
  }
  expect(shown).toBeGreaterThan(5);
});

test.each(CORPUS)("%s: what is printed computes the gradient", (line) => {
  const source = `${IMPORTS}\n${line}`;
  const program = compile(source);
  const [f] = program.functions;
  const name = f!.name;
  const printed = compile(explainGradient(program, name));
  const [grad] = printed.functions;
  const parameters = grad!.parameters;
  const inputs = Object.fromEntries(
    parameters.map((p, i) => [p.name, random(p.dtype ?? "f32", p.shape.map(Number), i)]),
  );
  const own = parameters.filter((p) => f!.parameters.some((q) => q.name === p.name)).map((p) => p.name);
  const cotangents = parameters.filter((p) => !own.includes(p.name)).map((p) => p.name);
  const wrt = own.filter((n) => f!.parameters.find((q) => q.name === n)?.dtype === "f32");
  const given = own.map((n) => `${n}: ${n}`);
  if (f!.results.length === 1 && cotangents.length === 1) given.push(`cotangent: ${cotangents[0]}`);
  else if (cotangents.length > 0)
    given.push(`cotangent: { ${f!.results.map((r, i) => `${r.name}: ${cotangents[i]}`).join(", ")} }`);
  const signature = parameters.map(
    (p) => `${p.name}: ${p.dtype}${p.shape.length > 0 ? `[${p.shape.join(", ")}]` : ""}`,
  );
  const call = `${cotangents.length > 0 ? "vjp" : "grad"}(${name}, wrt: [${wrt.join(", ")}])(${given.join(", ")})`;
  const derived = compile(`${source}\nexport fn derived(${signature.join(", ")}) { ${call} }`);
  const got = printed.interpret(grad!.name, inputs);
  const expected = derived.interpret("derived", inputs);
  for (const n of wrt) {
    const a = (got[`d${n}`] ?? got.result)!.data;
    const b = (expected[n] ?? expected.result)!.data;
    expect(a.length).toBe(b.length);
    // Both are float64, and constants are printed to 12 digits.
    for (let i = 0; i < a.length; i++)
      expect(Math.abs(Number(a[i]) - Number(b[i]))).toBeLessThan(1e-9 * (1 + Math.abs(Number(b[i]))));
  }
});

function random(dtype: string, shape: readonly number[], seed: number): HostArray {
  const size = shape.reduce((n, e) => n * e, 1);
  let state = 12345 + 777 * seed;
  const next = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  if (dtype === "i32") return { dtype, shape, data: Int32Array.from({ length: size }, () => Math.floor(3 * next())) };
  return { dtype: "f32", shape, data: Float32Array.from({ length: size }, () => 2 * next() - 1) };
}
