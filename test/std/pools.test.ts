import { describe, it } from "vitest";
import { build, evaluate, expectClose, noise, type Plain, positions, read } from "./harness.ts";

const list = (v: readonly number[]): string => `[${v.join(", ")}]`;
const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, k) => from + k);

interface Pool {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly ceil: boolean;
}
/** The values inside every window, and how many places of it the padded tensor has. */
function windows(x: Plain, o: Pool, f: (inside: readonly number[], padded: number) => number): Plain {
  const [n, c, ...size] = x.shape as [number, number, ...number[]];
  const result = size.map((h, k) => {
    const span = h + 2 * o.padding[k]! - o.dilation[k]! * (o.size[k]! - 1) - 1;
    if (!o.ceil) return Math.floor(span / o.stride[k]!) + 1;
    const count = Math.ceil(span / o.stride[k]!) + 1;
    return (count - 1) * o.stride[k]! >= h + o.padding[k]! ? count - 1 : count;
  });
  return build([n, c, ...result], ([b, ch, ...at]) => {
    const inside: number[] = [];
    let padded = 0;
    for (const r of positions(o.size)) {
      const from = at.map((p, k) => p * o.stride[k]! + r[k]! * o.dilation[k]! - o.padding[k]!);
      if (from.every((p, k) => p < size[k]! + o.padding[k]!)) padded++;
      if (from.every((p, k) => p >= 0 && p < size[k]!)) inside.push(read(x, [b as number, ch as number, ...from]));
    }
    return f(inside, padded);
  });
}
/** The places of one window that are inside, in order. */
function positionsOf(p: Pool, x: Plain, at: readonly number[]): readonly (readonly number[])[] {
  const all = [...positions(p.size)].map((r) =>
    at.slice(2).map((i, k) => i * p.stride[k]! + r[k]! * p.dilation[k]! - p.padding[k]!),
  );
  return all.filter((q) => q.every((i, k) => i >= 0 && i < x.shape[2 + k]!));
}
const total = (v: readonly number[]): number => v.reduce((p, q) => p + q, 0);

const pools: readonly (Pool & { readonly dims: number })[] = [
  { dims: 1, size: [3], stride: [2], padding: [1], dilation: [1], ceil: false },
  { dims: 1, size: [3], stride: [2], padding: [1], dilation: [1], ceil: true },
  { dims: 2, size: [2, 3], stride: [2, 3], padding: [1, 1], dilation: [1, 1], ceil: true },
  { dims: 2, size: [3, 2], stride: [1, 2], padding: [1, 0], dilation: [2, 1], ceil: false },
  { dims: 3, size: [2, 2, 3], stride: [2, 1, 3], padding: [0, 1, 1], dilation: [1, 1, 1], ceil: true },
];
describe("pools", () => {
  for (const p of pools) {
    const text = `size: ${list(p.size)}, stride: ${list(p.stride)}, padding: ${list(p.padding)}, ceil_mode: ${p.ceil}`;
    const x = noise([2, 3, ...[6, 7, 8].slice(0, p.dims)]);
    it(`max_pool${p.dims}d ${text}`, () =>
      expectClose(
        evaluate("nn", `max_pool${p.dims}d(a, ${text}, dilation: ${list(p.dilation)})`, x),
        windows(x, p, (v) => Math.max(...v)),
      ));
    const plain = { ...p, dilation: p.size.map(() => 1) };
    it(`avg_pool${p.dims}d ${text}`, () => {
      expectClose(
        evaluate("nn", `avg_pool${p.dims}d(a, ${text})`, x),
        windows(x, plain, (v, n) => total(v) / n),
      );
      expectClose(
        evaluate("nn", `avg_pool${p.dims}d(a, ${text}, count_padding: false)`, x),
        windows(x, plain, (v) => total(v) / v.length),
      );
      expectClose(
        evaluate("nn", `avg_pool${p.dims}d(a, ${text}, divisor: 3.0)`, x),
        windows(x, plain, (v) => total(v) / 3),
      );
    });
    it(`lp_pool${p.dims}d ${text}`, () =>
      expectClose(
        evaluate("nn", `lp_pool${p.dims}d(a, ${text}, p: 2.0)`, x),
        windows(x, plain, (v) => Math.sqrt(total(v.map((e) => e * e)))),
      ));
  }
  for (const [dims, size] of [
    [1, [3]],
    [2, [4, 3]],
    [2, [1, 1]],
    [2, [9, 7]],
    [3, [2, 3, 5]],
  ] as const)
    it(`adaptive pools to ${list(size)}`, () => {
      const x = noise([2, 2, ...[6, 7, 8].slice(0, dims)]);
      const groups = (f: (v: readonly number[]) => number): Plain =>
        build([2, 2, ...size], ([b, c, ...at]) => {
          const from = at.map((i, k) => Math.floor((i * x.shape[2 + k]!) / size[k]!));
          const to = at.map((i, k) => Math.ceil(((i + 1) * x.shape[2 + k]!) / size[k]!));
          return f(
            [...positions(to.map((e, k) => e - from[k]!))].map((r) =>
              read(x, [b as number, c as number, ...r.map((p, k) => p + from[k]!)]),
            ),
          );
        });
      expectClose(
        evaluate("nn", `adaptive_avg_pool${dims}d(a, ${list(size)})`, x),
        groups((v) => total(v) / v.length),
      );
      expectClose(
        evaluate("nn", `adaptive_max_pool${dims}d(a, ${list(size)})`, x),
        groups((v) => Math.max(...v)),
      );
    });
  for (const p of pools)
    it(`max_pool${p.dims}d_with_index ${list(p.stride)}`, () => {
      const x = noise([2, 3, ...[6, 7, 8].slice(0, p.dims)]);
      const text = `size: ${list(p.size)}, stride: ${list(p.stride)}, padding: ${list(p.padding)}, ceil_mode: ${p.ceil}, dilation: ${list(p.dilation)}`;
      const value = windows(x, p, (v) => Math.max(...v));
      const index = build(value.shape, (at) => {
        const [b, c] = [at[0] as number, at[1] as number];
        // The first place of the window, in row-major order, that holds the maximum.
        const from = positionsOf(p, x, at);
        const best = from.find((q) => read(x, [b, c, ...q]) === read(value, at)) as readonly number[];
        return best.reduce((n, q, k) => n * x.shape[2 + k]! + q, 0);
      });
      expectClose(evaluate("nn", `max_pool${p.dims}d_with_index(a, ${text}).index`, x), index);
      expectClose(evaluate("nn", `max_pool${p.dims}d_with_index(a, ${text}).value`, x), value);
    });
  it("says where adaptive maxima were", () => {
    const x = noise([1, 2, 6, 7]);
    const index = build([1, 2, 4, 3], ([b, c, i, j]) => {
      const rows = range(Math.floor((i! * 6) / 4), Math.ceil(((i! + 1) * 6) / 4));
      const columns = range(Math.floor((j! * 7) / 3), Math.ceil(((j! + 1) * 7) / 3));
      const all = rows.flatMap((r) => columns.map((s) => [r, s] as const));
      const top = Math.max(...all.map(([r, s]) => read(x, [b!, c!, r, s])));
      const [r, s] = all.find(([p, q]) => read(x, [b!, c!, p, q]) === top) as readonly [number, number];
      return r * 7 + s;
    });
    expectClose(evaluate("nn", "adaptive_max_pool2d_with_index(a, [4, 3]).index", x), index);
  });
  it("reduces all positions", () => {
    const x = noise([2, 3, 4, 5]);
    const rows = (f: (v: readonly number[]) => number): Plain =>
      build([2, 3], ([b, c]) =>
        f(x.data.slice(((b as number) * 3 + (c as number)) * 20, ((b as number) * 3 + (c as number) + 1) * 20)),
      );
    expectClose(
      evaluate("nn", "global_avg_pool(a)", x),
      rows((v) => total(v) / 20),
    );
    expectClose(
      evaluate("nn", "global_max_pool(a)", x),
      rows((v) => Math.max(...v)),
    );
  });
});
