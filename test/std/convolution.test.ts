import { describe, it } from "vitest";
import { build, evaluate, expectClose, noise, type Plain, positions, read } from "./harness.ts";

interface Options {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly more?: readonly number[];
}
const _AXES = ["D", "H", "W"];

function convolve(x: Plain, w: Plain, o: Options): Plain {
  const [n, , ...size] = x.shape as [number, number, ...number[]];
  const [out, perGroup, ...kernel] = w.shape as [number, number, ...number[]];
  const result = size.map(
    (h, k) => Math.floor((h + 2 * o.padding[k]! - o.dilation[k]! * (kernel[k]! - 1) - 1) / o.stride[k]!) + 1,
  );
  return build([n, out, ...result], ([b, c, ...at]) => {
    const group = Math.floor((c as number) / (out / o.groups));
    let sum = 0;
    for (const [i, ...r] of positions([perGroup, ...kernel]))
      sum +=
        read(x, [
          b as number,
          group * perGroup + (i as number),
          ...at.map((p, k) => p * o.stride[k]! + r[k]! * o.dilation[k]! - o.padding[k]!),
        ]) * read(w, [c as number, i as number, ...r]);
    return sum;
  });
}

/** By spreading every element, the definition of the transposed convolution. */
function spread(x: Plain, w: Plain, o: Options): Plain {
  const [n, channels, ...size] = x.shape as [number, number, ...number[]];
  const [, perGroup, ...kernel] = w.shape as [number, number, ...number[]];
  const more = o.more ?? size.map(() => 0);
  const result = size.map(
    (h, k) => (h - 1) * o.stride[k]! - 2 * o.padding[k]! + o.dilation[k]! * (kernel[k]! - 1) + more[k]! + 1,
  );
  const shape = [n, perGroup * o.groups, ...result];
  const data = new Array<number>(shape.reduce((p, q) => p * q, 1)).fill(0);
  for (const [b, c, ...at] of positions(x.shape))
    for (const [i, ...r] of positions([perGroup, ...kernel])) {
      const group = Math.floor((c as number) / (channels / o.groups));
      const to = at.map((p, k) => p * o.stride[k]! + r[k]! * o.dilation[k]! - o.padding[k]!);
      if (to.some((p, k) => p < 0 || p >= result[k]!)) continue;
      const place = [b as number, group * perGroup + (i as number), ...to].reduce((p, q, k) => p * shape[k]! + q, 0);
      data[place]! += read(x, [b as number, c as number, ...at]) * read(w, [c as number, i as number, ...r]);
    }
  return { shape, data };
}

const list = (v: readonly number[]): string => `[${v.join(", ")}]`;

const cases: readonly (Options & { readonly dims: number })[] = [
  { dims: 1, stride: [1], padding: [0], dilation: [1], groups: 1 },
  { dims: 1, stride: [2], padding: [3], dilation: [2], groups: 2, more: [1] },
  { dims: 2, stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 },
  { dims: 2, stride: [2, 3], padding: [2, 0], dilation: [1, 2], groups: 1, more: [1, 2] },
  { dims: 2, stride: [2, 1], padding: [1, 1], dilation: [1, 1], groups: 4 },
  { dims: 3, stride: [1, 2, 1], padding: [1, 0, 1], dilation: [1, 1, 2], groups: 2 },
];

describe("convolutions", () => {
  for (const c of cases) {
    const text = `stride: ${list(c.stride)}, padding: ${list(c.padding)}, dilation: ${list(c.dilation)}, groups: ${c.groups}`;
    const size = [5, 7, 8].slice(0, c.dims);
    const kernel = [2, 3, 2].slice(0, c.dims);
    it(`conv${c.dims}d ${text}`, () => {
      const [x, w] = [noise([2, 4, ...size]), noise([8, 4 / c.groups, ...kernel], 2)];
      expectClose(evaluate("nn", `conv${c.dims}d(a, b, ${text})`, x, w), convolve(x, w, c));
    });
    it(`conv_transpose${c.dims}d ${text}`, () => {
      const [x, w] = [noise([2, 4, ...size]), noise([4, 3, ...kernel], 2)];
      const more = c.more ? `, output_padding: ${list(c.more)}` : "";
      expectClose(evaluate("nn", `conv_transpose${c.dims}d(a, b, ${text}${more})`, x, w), spread(x, w, c));
    });
  }
  it("adds a bias to every channel", () => {
    const [x, w, v] = [noise([1, 2, 4, 4]), noise([3, 2, 3, 3], 2), noise([3], 3)];
    const plain = convolve(x, w, { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 });
    expectClose(
      evaluate("nn", "conv2d(a, b, c)", x, w, v),
      build(plain.shape, (at) => read(plain, at) + (v.data[at[1] as number] as number)),
    );
  });
});
