/** Convolutions. Padding that differs at the two ends is put on before. */
import { type Call, fail, indices, list, product, type RuleTable } from "./call.ts";
import type { Val } from "./emitter.ts";

export interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** How windows move along the axes after the second, with `auto_pad` worked out. */
export function windows(n: Call, shape: readonly number[], kernel: readonly number[]): Windows {
  const ones = kernel.map(() => 1);
  const strides = n.ints("strides", ones);
  const dilations = n.ints("dilations", ones);
  const auto = n.str("auto_pad", "NOTSET");
  if (!auto.startsWith("SAME")) {
    const pads = auto === "VALID" ? [] : n.ints("pads", []);
    return {
      kernel,
      strides,
      dilations,
      before: kernel.map((_, i) => pads[i] ?? 0),
      after: kernel.map((_, i) => pads[i + kernel.length] ?? 0),
    };
  }
  const totals = kernel.map((k, i) =>
    Math.max(
      (Math.ceil(shape[i + 2]! / strides[i]!) - 1) * strides[i]! + (k - 1) * dilations[i]! + 1 - shape[i + 2]!,
      0,
    ),
  );
  const small = totals.map((t) => Math.floor(t / 2));
  const large = totals.map((t) => Math.ceil(t / 2));
  return {
    kernel,
    strides,
    dilations,
    ...(auto === "SAME_UPPER" ? { before: small, after: large } : { before: large, after: small }),
  };
}

function dimensions(kernel: readonly number[]): number {
  return kernel.length <= 3 ? kernel.length : fail(`convolutions over ${kernel.length} axes`);
}

/** x with this much more at the ends of the axes after the second; negative widths cut. */
export function widened(n: Call, x: Val, before: readonly number[], after: readonly number[]): Val {
  if ([...before, ...after].every((p) => p === 0)) return x;
  return n.let(`pad(${x}, ${list(["[0, 0]", "[0, 0]", ...before.map((p, i) => `[${p}, ${after[i]}]`)])})`, x.file);
}

/** The convolution of `x` by `w` as the node's attributes say; also of integers, for the quantised operators. */
export function convolution(n: Call, x: Val, w: Val, bias: Val | undefined): Val {
  const at = windows(n, x.shape, w.shape.slice(2));
  const d = dimensions(at.kernel);
  const even = at.before.every((p, i) => p === at.after[i]);
  const from = even ? x : widened(n, x, at.before, at.after);
  const padding = even ? `, padding: ${list(at.before)}` : "";
  return n.let(
    `conv${d}d(${from}, ${w}, ${bias ?? "None"}, stride: ${list(at.strides)}${padding}, dilation: ${list(at.dilations)}, groups: ${n.num("group", 1)})`,
    x.file,
  );
}

function convTranspose(n: Call): string {
  const [x, w, bias] = [n.x(0), n.x(1), n.opt(2)];
  const kernel = w.shape.slice(2);
  const d = dimensions(kernel);
  const ones = kernel.map(() => 1);
  const strides = n.ints("strides", ones);
  const dilations = n.ints("dilations", ones);
  const more = n.ints(
    "output_padding",
    kernel.map(() => 0),
  );
  const auto = n.str("auto_pad", "NOTSET");
  const whole = kernel.map((k, i) => (x.shape[i + 2]! - 1) * strides[i]! + (k - 1) * dilations[i]! + 1);
  const wanted = n.has("output_shape")
    ? n.ints("output_shape").slice(-kernel.length)
    : auto.startsWith("SAME")
      ? kernel.map((_, i) => x.shape[i + 2]! * strides[i]!)
      : undefined;
  const pads = auto === "VALID" ? [] : n.ints("pads", []);
  let before = kernel.map((_, i) => pads[i] ?? 0);
  let after = kernel.map((_, i) => pads[i + kernel.length] ?? 0);
  if (wanted) {
    const totals = whole.map((size, i) => size + more[i]! - wanted[i]!);
    const half = totals.map((t) => Math.floor(t / 2));
    const rest = totals.map((t, i) => t - half[i]!);
    [before, after] = auto === "SAME_UPPER" ? [half, rest] : [rest, half];
  }
  const all = n.let(
    `conv_transpose${d}d(${x}, ${w}, None, stride: ${list(strides)}, dilation: ${list(dilations)}, groups: ${n.num("group", 1)})`,
  );
  const y = widened(
    n,
    all,
    before.map((p) => -p),
    after.map((p, i) => more[i]! - p),
  );
  return bias ? `${y} + reshape(${bias}, ${list([bias.size, ...ones])})` : `${y}`;
}

/** Blocks added up at their places in the image. */
function col2im(n: Call): Val {
  const [x, image, block] = [n.x(0), n.x(1).numbers, n.x(2).numbers];
  const ones = block.map(() => 1);
  const strides = n.ints("strides", ones);
  const dilations = n.ints("dilations", ones);
  const pads = n.ints(
    "pads",
    block.flatMap(() => [0, 0]),
  );
  const places = block.map(
    (b, i) =>
      Math.floor((image[i]! + pads[i]! + pads[i + block.length]! - dilations[i]! * (b - 1) - 1) / strides[i]!) + 1,
  );
  const [batch, channels] = [x.shape[0]!, x.shape[1]! / product(block)];
  const z = n.let(`reshape(${x}, ${list([batch, channels, ...block, ...places])})`);
  const [r, i] = [indices(block.length, "r"), indices(block.length)];
  const target = block.map((_, k) => `${i[k]} * ${strides[k]} + ${r[k]} * ${dilations[k]} - ${pads[k]}`);
  return n.e.block((y) => [
    `${y}${list(["n", "c", ...target])}: f32${list([batch, channels, ...image])} += ${z}${list(["n", "c", ...r, ...i])}`,
  ]);
}

/** Every tap of the filter reads between pixels, at its own place plus an offset. */
function deformConv(n: Call): string {
  const [x, w, offset, bias, mask] = [n.x(0), n.x(1), n.x(2), n.opt(3), n.opt(4)];
  const at = windows(n, x.shape, w.shape.slice(2));
  if (at.kernel.length !== 2) return fail(`deformable convolutions over ${at.kernel.length} axes`);
  const [batch, channels] = [x.shape[0]!, x.shape[1]!];
  const groups = n.num("group", 1);
  const owners = n.num("offset_group", 1);
  const places = offset.shape.slice(2);
  const of = (v: Val, last: readonly number[]): Val =>
    n.let(`reshape(${v}, ${list([batch, owners, ...at.kernel, ...last, ...places])})`);
  const shift = of(offset, [2]);
  const owner = `c div ${channels / owners}`;
  const full = `n in 0..${batch}, c in 0..${channels}, r in 0..${at.kernel[0]}, s in 0..${at.kernel[1]}, i in 0..${places[0]}, j in 0..${places[1]}`;
  const place = (k: number, out: string, tap: string): Val =>
    n.let(
      `for[n in 0..${batch}, g in 0..${owners}, r in 0..${at.kernel[0]}, s in 0..${at.kernel[1]}, i in 0..${places[0]}, j in 0..${places[1]}] ((${out} * ${at.strides[k]} + ${tap} * ${at.dilations[k]} - ${at.before[k]}) as f32) + ${shift}[n, g, r, s, ${k}, i, j]`,
    );
  const [v, u] = [place(0, "i", "r"), place(1, "j", "s")];
  const here = `[n, ${owner}, r, s, i, j]`;
  const [top, left] = [n.let(`floor(${v})`), n.let(`floor(${u})`)];
  const [down, right] = [n.let(`${v} - ${top}`), n.let(`${u} - ${left}`)];
  const read = (t: Val): string => `(${t}${here} ?? 0)`;
  const tap = (dy: number, dx: number): string => {
    const weight = `${dy ? read(down) : `(1.0 - ${read(down)})`} * ${dx ? read(right) : `(1.0 - ${read(right)})`}`;
    return `${weight} * (${x}[n, c, (${read(top)} as i32) + ${dy}, (${read(left)} as i32) + ${dx}] ?? 0)`;
  };
  const sampled = n.let(`for[${full}] ${tap(0, 0)} + ${tap(0, 1)} + ${tap(1, 0)} + ${tap(1, 1)}`);
  const seen = mask ? n.let(`for[${full}] ${sampled}[n, c, r, s, i, j] * (${of(mask, [])}${here} ?? 0)`) : sampled;
  const split = n.let(`reshape(${seen}, ${list([batch, groups, channels / groups, ...at.kernel, ...places])})`);
  const filters = n.let(`reshape(${w}, ${list([groups, w.shape[0]! / groups, ...w.shape.slice(1)])})`);
  const y = n.let(
    `reshape(einsum("ngcrsij,gocrs->ngoij", ${split}, ${filters}), ${list([batch, w.shape[0], ...places])})`,
  );
  return bias ? `${y} + reshape(${bias}, [${bias.size}, 1, 1])` : `${y}`;
}

/** A depthwise convolution that sees only what came before; the state is the end of what it has seen. */
function causalConv(n: Call): readonly Val[] {
  const [x, w, bias, past] = [n.x(0), n.x(1), n.opt(2), n.opt(3)];
  const [batch, channels, length] = x.shape as readonly [number, number, number];
  const reach = w.shape[2]! - 1;
  const before = past ? `${past}` : `zeros(${list([batch, channels, reach])})`;
  const seen = n.let(`cat([${before}, ${x}], axis: 2)`);
  const y = n.let(`conv1d(${seen}, ${w}, ${bias ?? "None"}, groups: ${channels})`);
  const how = n.str("activation", "none");
  const active =
    how === "silu" || how === "swish"
      ? n.let(`silu(${y})`)
      : how === "none" || how === ""
        ? y
        : fail(`the activation ${how}`);
  return [active, n.let(`narrow(${seen}, 2, ${length}, ${reach})`)];
}

export const CONV: RuleTable = {
  Conv: (n) => convolution(n, n.x(0), n.x(1), n.opt(2)),
  ConvTranspose: convTranspose,
  Col2Im: col2im,
  DeformConv: deformConv,
  CausalConvWithState: causalConv,
  "ai.onnx.preview:CausalConvWithState": causalConv,
};
