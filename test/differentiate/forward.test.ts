import { describe, expect, test } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { forward } from "../../src/differentiate/forward.ts";
import { reverse } from "../../src/differentiate/reverse.ts";
import { sample } from "./numeric.ts";

/** ⟨w, J t⟩ from forward mode equals ⟨Jᵀ w, t⟩ from reverse mode. */
function agrees(text: string, shapes: Readonly<Record<string, readonly number[]>>): void {
  const p = parseProgram(text);
  const wrt = Object.keys(shapes);
  const inputs = new Map(Object.entries(shapes).map(([name, shape], i) => [name, sample(shape, i)]));
  const tangents = new Map(wrt.map((name, i) => [name, sample(shapes[name]!, 50 + i)]));
  const outputs = interpret(p, inputs);
  const weights = outputs.map((r, i) => ({ shape: r.shape, data: sample([r.data.length], 80 + i).data }));
  const pushed = interpret(
    forward(p, wrt),
    new Map([...inputs, ...[...tangents].map(([n, t]) => [`tangent_${n}`, t] as const)]),
  );
  const pulled = interpret(
    reverse(p, { wrt, seed: () => "input" }),
    new Map([...inputs, ...outputs.map((r, i) => [`cotangent_${r.name}`, weights[i]!] as const)]),
  );
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number[] => Array.from(a, (x, i) => x * b[i]!);
  const left = outputs.flatMap((r, i) =>
    dot(pushed.find((x) => x.name === `tangent_${r.name}`)!.data, weights[i]!.data),
  );
  const right = wrt.flatMap((n) => dot(pulled.find((x) => x.name === `gradient_${n}`)!.data, tangents.get(n)!.data));
  const sum = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0);
  const scale = [...left, ...right].reduce((a, b) => a + Math.abs(b), 0);
  expect(sum(right)).not.toBe(0);
  // Both are sums of these terms in float64, each term some tens of operations deep.
  expect(Math.abs(sum(left) - sum(right))).toBeLessThanOrEqual(2 ** -52 * 64 * scale);
}

describe("forward mode agrees with reverse mode", () => {
  test("contraction", () =>
    agrees("input a: f32[i:3, k:4]\ninput b: f32[k:4, j:2]\nc[i:3, j:2] = add(k:4) a[i, k] * b[k, j]\nresult c = c", {
      a: [3, 4],
      b: [4, 2],
    }));
  test("softmax", () =>
    agrees(
      "input x: f32[n:2, k:5]\nm[n:2] = max(k:5) x[n, k]\np[n:2, k:5] = exp(x[n, k] - m[n])\nz[n:2] = add(k:5) p[n, k]\ny[n:2, k:5] = p[n, k] / z[n]\nresult y = y",
      { x: [2, 5] },
    ));
  test("product and scans", () => {
    agrees("input x: f32[n:2, k:5]\nm[n:2] = mul(k:5) x[n, k]\nresult m = m", { x: [2, 5] });
    agrees("input x: f32[n:2, i:5]\nc[n:2, i:5] = scan mul along i x[n, i]\nresult c = c", { x: [2, 5] });
    agrees("input x: f32[n:2, i:5]\nc[n:2, i:5] = scan max along i x[n, i]\nresult c = c", { x: [2, 5] });
  });
  test("padded convolution", () =>
    agrees(
      "input x: f32[c:2, i:9]\ninput w: f32[o:3, c:2, r:3]\ny[o:3, i:5] = add(c:2, r:3) (x[c, i * 2 + r - 1] ?? 0.0) * w[o, c, r]\nresult y = y",
      { x: [2, 9], w: [3, 2, 3] },
    ));
  test("scatters", () => {
    agrees("input x: f32[i:6]\ninput t: f32[r:4]\nu[r:4] = scatter add(i:6) at [i % 3] x[i] into t\nresult u = u", {
      x: [6],
      t: [4],
    });
    agrees("input x: f32[i:6]\nu[r:4] = scatter set(i:6) at [i % 3] exp(x[i]) initial 7.0\nresult u = u", { x: [6] });
    agrees("input x: f32[i:6]\ninput t: f32[r:4]\nu[r:4] = scatter max(i:6) at [i % 3] x[i] into t\nresult u = u", {
      x: [6],
      t: [4],
    });
  });
});
