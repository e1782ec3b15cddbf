/** `torch.nn.functional`. A missing batch axis is added and taken away again. */
import { type Arg, type Bound, list, sameShape, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";
import { axisAt } from "./scatters.ts";

const activation = (names: string): RuleTable =>
  Object.fromEntries(
    names.split(" ").map((n) => [`nn.functional.${n}`, [`${n}(input, inplace=False)`, `${n}($input)`] as const]),
  );
/** `reduction`, with what it replaced left out. */
const R = "size_average=None, reduce=None, reduction='mean'";

/** The call over an input of `rank` axes, the batch axis first. */
function batched(x: Arg, rank: number, call: (x: string) => string, outputs = 1): string {
  if (x.rank === rank) return call(String(x));
  const inner = call(`expand_dims(${x}, 0)`);
  if (outputs === 1) return `squeeze(${inner}, 0)`;
  return `let r = ${inner}\n  { y0: squeeze(r.values, 0), y1: squeeze(r.indices, 0) }`;
}

const several = (v: Arg, n: number): string =>
  v.isNone
    ? "None"
    : v.isList && v.items.length === 1
      ? String(v.items[0])
      : v.isList || n === 1
        ? String(v)
        : String(v);

/** x with zeros at the ends of the axes after the second. */
function widened(x: string, before: readonly number[], after: readonly number[]): string {
  if (before.every((p, i) => p === 0 && after[i] === 0)) return x;
  return `pad(${x}, ${list(["[0, 0]", "[0, 0]", ...before.map((p, i) => `[${p}, ${after[i]}]`)])})`;
}

function convolution(n: 1 | 2 | 3): (a: Bound) => string {
  return (a) => {
    const padding = a["padding"]!;
    const w = a["weight"]!;
    let pad = several(padding, n);
    let before: readonly number[] = [];
    let after: readonly number[] = [];
    if (padding.raw === "valid") pad = "0";
    if (padding.raw === "same") {
      const dilation = a["dilation"]!.isList
        ? a["dilation"]!.numbers()
        : Array.from({ length: n }, () => a["dilation"]!.number());
      const totals = w.shape.slice(2).map((k, i) => (k - 1) * (dilation[i] ?? dilation[0]!));
      // What does not halve has one more at the end.
      before = totals.map((t) => Math.floor(t / 2));
      after = totals.map((t) => Math.ceil(t / 2));
      pad = "0";
    }
    return batched(
      a["input"]!,
      n + 2,
      (x) =>
        `conv${n}d(${widened(x, before, after)}, ${w}, ${a["bias"]}, stride: ${several(a["stride"]!, n)}, padding: ${pad}, dilation: ${several(a["dilation"]!, n)}, groups: ${a["groups"]})`,
    );
  };
}
function transposed(n: 1 | 2 | 3): (a: Bound) => string {
  return (a) =>
    batched(
      a["input"]!,
      n + 2,
      (x) =>
        `conv_transpose${n}d(${x}, ${a["weight"]}, ${a["bias"]}, stride: ${several(a["stride"]!, n)}, padding: ${several(a["padding"]!, n)}, output_padding: ${several(a["output_padding"]!, n)}, groups: ${a["groups"]}, dilation: ${several(a["dilation"]!, n)})`,
    );
}
function maxPool(n: 1 | 2 | 3): (a: Bound) => string {
  return (a) => {
    const indices = a["return_indices"]!.boolean();
    const rest = `${several(a["kernel_size"]!, n)}, stride: ${several(a["stride"]!, n)}, padding: ${several(a["padding"]!, n)}, dilation: ${several(a["dilation"]!, n)}, ceil_mode: ${a["ceil_mode"]!.boolean()}`;
    if (!indices) return batched(a["input"]!, n + 2, (x) => `max_pool${n}d(${x}, ${rest})`);
    return withIndices(a["input"]!, n, `max_pool${n}d_with_index`, rest);
  };
}
function withIndices(x: Arg, n: number, name: string, rest: string): string {
  const batch = x.rank === n + 2;
  const take = (field: string): string => (batch ? `r.${field}` : `squeeze(r.${field}, 0)`);
  return `let r = ${name}(${batch ? x : `expand_dims(${x}, 0)`}, ${rest})\n  { y0: ${take("value")}, y1: ${take("index")} }`;
}
function avgPool(n: 1 | 2 | 3): (a: Bound) => string {
  return (a) =>
    batched(
      a["input"]!,
      n + 2,
      (x) =>
        `avg_pool${n}d(${x}, ${several(a["kernel_size"]!, n)}, stride: ${a["stride"]!.isList && a["stride"]!.items.length === 0 ? "None" : several(a["stride"]!, n)}, padding: ${several(a["padding"]!, n)}, ceil_mode: ${a["ceil_mode"]!.boolean()}, count_padding: ${a["count_include_pad"]!.boolean(true)}${a["divisor_override"] && !a["divisor_override"].isNone ? `, divisor: ${a["divisor_override"]}` : ""})`,
    );
}
function adaptive(kind: "avg" | "max", n: 1 | 2 | 3): (a: Bound) => string {
  return (a) => {
    const x = a["input"]!;
    const sizes = a["output_size"]!.items.map((s, i) => (s.isNone ? x.shape[x.rank - n + i] : s.number()));
    const size = sizes.length === 1 ? String(sizes[0]) : list(sizes);
    if (kind === "max" && a["return_indices"]!.boolean())
      return withIndices(x, n, `adaptive_max_pool${n}d_with_index`, size);
    return batched(x, n + 2, (t) => `adaptive_${kind}_pool${n}d(${t}, ${size})`);
  };
}

const CONV = "stride=1, padding=0, dilation=1, groups=1";
const TRANSPOSED = "stride=1, padding=0, output_padding=0, groups=1, dilation=1";
const POOL = "kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False";

/** Normalises over the trailing axes of `shape`. */
function layerNorm(a: Bound): string {
  const x = a["input"]!;
  const n = a["normalized_shape"]!.items.length;
  const axes = list(Array.from({ length: n }, (_, i) => i - n));
  const scaled = a["weight"]!.isNone ? "y" : `y * ${a["weight"]}`;
  const shifted = a["bias"]!.isNone ? scaled : `${scaled} + ${a["bias"]}`;
  return `let c = ${x} - mean(${x}, axis: ${axes}, keepdims: true)\n  let s = rsqrt(mean(c * c, axis: ${axes}, keepdims: true) + ${a["eps"]})\n  let y = c * s\n  ${shifted}`;
}
function nativeLayerNorm(a: Bound): string {
  const body = layerNorm(a).split("\n  ");
  const last = body.pop()!;
  const x = a["input"]!;
  const n = a["normalized_shape"]!.items.length;
  const axes = list(Array.from({ length: n }, (_, i) => i - n));
  return `${body.join("\n  ")}\n  { y0: ${last}, y1: mean(${x}, axis: ${axes}, keepdims: true), y2: s }`;
}
function batchNorm(a: Bound, training: boolean): string {
  const x = a["input"]!;
  const text = training
    ? `batch_norm_train(${x}, ${a["weight"]}, ${a["bias"]}, eps: ${a["eps"]})`
    : `batch_norm(${x}, ${a["running_mean"]}, ${a["running_var"]}, ${a["weight"]}, ${a["bias"]}, eps: ${a["eps"]})`;
  return text;
}
/** Any number of class axes: probabilities where the target has as many axes as the input. */
function crossEntropy(a: Bound): string {
  const [x, t] = [a["input"]!, a["target"]!];
  const weight = a["weight"]!;
  const smoothing = a["label_smoothing"]!.number(0);
  const lone = x.rank === 1;
  if (t.dtype === "f32") {
    const row = (e: Arg): string => (lone ? `expand_dims(${e}, 0)` : String(e));
    const text = `cross_entropy_soft(${row(x)}, ${row(t)}, weight: ${weight}, label_smoothing: ${smoothing}, reduction: ${a["reduction"]})`;
    return lone && a["reduction"]!.string() === "none" ? `reshape(${text}, [])` : text;
  }
  const text = `cross_entropy(${lone ? `expand_dims(${x}, 0)` : x}, ${lone ? `reshape(${t}, [1])` : t}, weight: ${weight}, ignore_index: ${a["ignore_index"]}, label_smoothing: ${smoothing}, reduction: ${a["reduction"]})`;
  return lone && a["reduction"]!.string() === "none" ? `reshape(${text}, [])` : text;
}

/** Input and target broadcast. */
const lossOf = (name: string): readonly [string, (a: Bound) => string] => [
  `${name}(input, target, ${R})`,
  (a) => `${name}(${sameShape(a["input"]!, a["target"]!)}, reduction: ${a["reduction"]})`,
];

export const NN: RuleTable = {
  ...activation("relu relu6 silu mish hardswish hardsigmoid softsign tanhshrink selu"),
  "nn.functional.logsigmoid": ["logsigmoid(input)", "log_sigmoid($input)"],
  "nn.functional.gelu": ["gelu(input, *, approximate='none')", "gelu($input, approximate: $approximate)"],
  "nn.functional.elu": ["elu(input, alpha=1.0, inplace=False)", "elu($input, $alpha)"],
  "nn.functional.celu": ["celu(input, alpha=1.0, inplace=False)", "celu($input, $alpha)"],
  "nn.functional.leaky_relu": [
    "leaky_relu(input, negative_slope=0.01, inplace=False)",
    "leaky_relu($input, $negative_slope)",
  ],
  "nn.functional.hardtanh": [
    "hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False)",
    "hardtanh($input, $min_val, $max_val)",
  ],
  "nn.functional.hardshrink": ["hardshrink(input, lambd=0.5)", "hardshrink($input, $lambd)"],
  "nn.functional.softshrink": ["softshrink(input, lambd=0.5)", "softshrink($input, $lambd)"],
  "nn.functional.threshold": [
    "threshold(input, threshold, value, inplace=False)",
    "threshold($input, $threshold, $value)",
  ],
  "nn.functional.softplus": [
    "softplus(input, beta=1, threshold=20)",
    "where($input * $beta > $threshold, $input, softplus($input * $beta) / $beta)",
  ],
  "nn.functional.prelu": [
    "prelu(input, weight)",
    (a) =>
      a["weight"]!.rank === 0 || a["input"]!.rank < 2
        ? `where(${a["input"]} > 0, ${a["input"]}, ${a["input"]} * ${a["input"]!.rank === 0 ? `reshape(${a["weight"]}, [])` : a["weight"]})`
        : `prelu(${a["input"]}, ${a["weight"]})`,
  ],
  "nn.functional.glu": ["glu(input, dim=-1)", "glu($input, $dim)"],
  softmax: ["softmax(input, dim, dtype=None)", (a) => soft("softmax", a)],
  log_softmax: ["log_softmax(input, dim, dtype=None)", (a) => soft("log_softmax", a)],
  "nn.functional.softmin": ["softmin(input, dim=None, dtype=None)", (a) => soft("softmin", a)],
  "nn.functional.linear": [
    "linear(input, weight, bias=None)",
    (a) => {
      // A single row gives a number for each vector.
      if (a["weight"]!.rank === 1) return `${a["input"]} @ ${a["weight"]}${a["bias"]!.isNone ? "" : ` + ${a["bias"]}`}`;
      return `linear(${a["input"]}, ${a["weight"]}, ${a["bias"]})`;
    },
  ],
  "nn.functional.bilinear": ["bilinear(input, input2, weight, bias=None)", "bilinear($input, $input2, $weight, $bias)"],
  "nn.functional.embedding": [
    "embedding(input, indices, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False)",
    (a) => {
      if (!a["max_norm"]!.isNone || a["scale_grad_by_freq"]!.boolean())
        throw new UnsupportedCall("max_norm or scale_grad_by_freq");
      const rows = `embedding(${a["indices"]}, ${a["input"]})`;
      if (a["padding_idx"]!.isNone) return rows;
      // The row for padding is read, but not learnt.
      const padding = axisAt(a["padding_idx"]!, a["input"]!.shape[0]!);
      return `let rows = ${rows}\n  where(expand_dims(${a["indices"]} == ${padding}, -1), stop_gradient(rows), rows)`;
    },
  ],
  "nn.functional.normalize": [
    "normalize(input, p=2.0, dim=1, eps=1e-12)",
    (a) => {
      const x = a["input"]!;
      if (x.rank > 0) return `normalize(${x}, ${a["p"]}, ${a["dim"]}, ${a["eps"]})`;
      return `reshape(normalize(reshape(${x}, [1]), ${a["p"]}, 0, ${a["eps"]}), [])`;
    },
  ],
  "nn.functional.layer_norm": ["layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5)", layerNorm],
  native_layer_norm: ["native_layer_norm(input, normalized_shape, weight, bias, eps)", nativeLayerNorm],
  "nn.functional.group_norm": [
    "group_norm(input, num_groups, weight=None, bias=None, eps=1e-5)",
    "group_norm($input, $num_groups, $weight, $bias, eps: $eps)",
  ],
  "nn.functional.instance_norm": [
    "instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5)",
    (a) => {
      if (!a["use_input_stats"]!.boolean(true)) throw new UnsupportedCall("running statistics");
      return `instance_norm(${a["input"]}, ${a["weight"]}, ${a["bias"]}, eps: ${a["eps"]})`;
    },
  ],
  "nn.functional.batch_norm": [
    "batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5)",
    (a) => batchNorm(a, a["training"]!.boolean()),
  ],
  "nn.functional.local_response_norm": [
    "local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0)",
    "local_response_norm($input, $size, $alpha, $beta, $k)",
  ],
  "nn.functional.conv1d": [`conv1d(input, weight, bias=None, ${CONV})`, convolution(1)],
  "nn.functional.conv2d": [`conv2d(input, weight, bias=None, ${CONV})`, convolution(2)],
  "nn.functional.conv3d": [`conv3d(input, weight, bias=None, ${CONV})`, convolution(3)],
  "nn.functional.conv_transpose1d": [`conv_transpose1d(input, weight, bias=None, ${TRANSPOSED})`, transposed(1)],
  "nn.functional.conv_transpose2d": [`conv_transpose2d(input, weight, bias=None, ${TRANSPOSED})`, transposed(2)],
  "nn.functional.conv_transpose3d": [`conv_transpose3d(input, weight, bias=None, ${TRANSPOSED})`, transposed(3)],
  "nn.functional.max_pool1d": [`max_pool1d(input, ${POOL})`, maxPool(1)],
  "nn.functional.max_pool2d": [`max_pool2d(input, ${POOL})`, maxPool(2)],
  "nn.functional.max_pool3d": [`max_pool3d(input, ${POOL})`, maxPool(3)],
  "nn.functional.avg_pool1d": [
    "avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    avgPool(1),
  ],
  "nn.functional.avg_pool2d": [
    "avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    avgPool(2),
  ],
  "nn.functional.avg_pool3d": [
    "avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    avgPool(3),
  ],
  ...Object.fromEntries(
    ([1, 2, 3] as const).flatMap((n) => [
      [`nn.functional.adaptive_avg_pool${n}d`, ["adaptive_avg_pool(input, output_size)", adaptive("avg", n)] as const],
      [
        `nn.functional.adaptive_max_pool${n}d`,
        ["adaptive_max_pool(input, output_size, return_indices=False)", adaptive("max", n)] as const,
      ],
    ]),
  ),
  "nn.functional.pixel_shuffle": ["pixel_shuffle(input, upscale_factor)", "pixel_shuffle($input, $upscale_factor)"],
  "nn.functional.pixel_unshuffle": [
    "pixel_unshuffle(input, downscale_factor)",
    "pixel_unshuffle($input, $downscale_factor)",
  ],
  "nn.functional.unfold": [
    "unfold(input, kernel_size, dilation=1, padding=0, stride=1)",
    (a) =>
      batched(
        a["input"]!,
        4,
        (x) => `im2col(${x}, ${a["kernel_size"]}, ${a["dilation"]}, ${a["padding"]}, ${a["stride"]})`,
      ),
  ],

  "nn.functional.mse_loss": lossOf("mse_loss"),
  "nn.functional.l1_loss": lossOf("l1_loss"),
  "nn.functional.huber_loss": [
    "huber_loss(input, target, reduction='mean', delta=1.0)",
    (a) => `huber_loss(${sameShape(a["input"]!, a["target"]!)}, delta: ${a["delta"]}, reduction: ${a["reduction"]})`,
  ],
  "nn.functional.smooth_l1_loss": [
    `smooth_l1_loss(input, target, ${R}, beta=1.0)`,
    (a) =>
      `smooth_l1_loss(${sameShape(a["input"]!, a["target"]!)}, beta: ${a["beta"]!.number().toFixed(12)}, reduction: ${a["reduction"]})`,
  ],
  "nn.functional.soft_margin_loss": lossOf("soft_margin_loss"),
  "nn.functional.kl_div": [
    `kl_div(input, target, ${R}, log_target=False)`,
    "kl_div($input, $target, log_target: $log_target, reduction: $reduction)",
  ],
  "nn.functional.binary_cross_entropy": [
    `binary_cross_entropy(input, target, weight=None, ${R})`,
    "binary_cross_entropy($input, $target, weight: $weight, reduction: $reduction)",
  ],
  "nn.functional.binary_cross_entropy_with_logits": [
    `binary_cross_entropy_with_logits(input, target, weight=None, ${R}, pos_weight=None)`,
    "binary_cross_entropy_with_logits($input, $target, weight: $weight, pos_weight: $pos_weight, reduction: $reduction)",
  ],
  "nn.functional.cross_entropy": [
    "cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean', label_smoothing=0.0)",
    crossEntropy,
  ],
  "nn.functional.nll_loss": [
    "nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')",
    (a) => {
      const lone = a["input"]!.rank === 1;
      const text = `nll_loss(${lone ? `expand_dims(${a["input"]}, 0)` : a["input"]}, ${lone ? `reshape(${a["target"]}, [1])` : a["target"]}, weight: ${a["weight"]}, ignore_index: ${a["ignore_index"]}, reduction: ${a["reduction"]})`;
      return lone && a["reduction"]!.string() === "none" ? `reshape(${text}, [])` : text;
    },
  ],
  "nn.functional.hinge_embedding_loss": [
    `hinge_embedding_loss(input, target, margin=1.0, ${R})`,
    "hinge_embedding_loss($input, $target, margin: $margin, reduction: $reduction)",
  ],
  "nn.functional.margin_ranking_loss": [
    `margin_ranking_loss(input, input2, target, margin=0, ${R})`,
    (a) => {
      const [x, t] = [a["input"]!, a["target"]!];
      const target = t.rank === x.rank ? `broadcast_to(${t}, ${list(x.shape)})` : String(t);
      return `margin_ranking_loss(${x}, ${a["input2"]}, ${target}, margin: ${a["margin"]}, reduction: ${a["reduction"]})`;
    },
  ],
  "nn.functional.cosine_similarity": [
    "cosine_similarity(input, x2, dim=1, eps=1e-8)",
    (a) => `cosine_similarity(${sameShape(a["input"]!, a["x2"]!)}, ${a["dim"]}, ${a["eps"]})`,
  ],
  "nn.functional.cosine_embedding_loss": [
    `cosine_embedding_loss(input, input2, target, margin=0, ${R})`,
    (a) => {
      const target = a["target"]!.dtype === "f32" ? String(a["target"]) : `(${a["target"]} as f32)`;
      return `cosine_embedding_loss(${a["input"]}, ${a["input2"]}, ${target}, margin: ${a["margin"]}, reduction: ${a["reduction"]})`;
    },
  ],
  "nn.functional.pairwise_distance": [
    "pairwise_distance(input, x2, p=2.0, eps=1e-6, keepdim=False)",
    (a) => `pairwise_distance(${sameShape(a["input"]!, a["x2"]!)}, ${a["p"]}, ${a["eps"]}, ${a["keepdim"]!.boolean()})`,
  ],
  "nn.functional.triplet_margin_loss": [
    `triplet_margin_loss(input, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, ${R})`,
    "triplet_margin_loss($input, $positive, $negative, margin: $margin, p: $p, eps: $eps, swap: $swap, reduction: $reduction)",
  ],
  "nn.functional.multi_margin_loss": [
    `multi_margin_loss(input, target, p=1, margin=1.0, weight=None, ${R})`,
    (a) => {
      const x = a["input"]!;
      const rows = x.rank === 2 ? String(x) : `reshape(${x}, [1, -1])`;
      const text = `multi_margin_loss(${rows}, reshape(${a["target"]}, [-1]), p: ${a["p"]}, margin: ${a["margin"]}, weight: ${a["weight"]}, reduction: ${a["reduction"]})`;
      return a["reduction"]!.string() === "none" && a["target"]!.rank === 0 ? `reshape(${text}, [])` : text;
    },
  ],
  "nn.functional.multilabel_margin_loss": [
    `multilabel_margin_loss(input, target, ${R})`,
    (a) => {
      const x = a["input"]!;
      const lone = x.rank < 2;
      const rows = (e: unknown): string => (lone ? `reshape(${e}, [1, -1])` : String(e));
      const text = `multilabel_margin_loss(${rows(x)}, ${rows(a["target"])}, reduction: ${a["reduction"]})`;
      return lone && a["reduction"]!.string() === "none" ? `reshape(${text}, [])` : text;
    },
  ],
  "nn.functional.multilabel_soft_margin_loss": [
    `multilabel_soft_margin_loss(input, target, weight=None, ${R})`,
    "multilabel_soft_margin_loss($input, $target, weight: $weight, reduction: $reduction)",
  ],
  "nn.functional.poisson_nll_loss": [
    "poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction='mean')",
    "poisson_nll_loss($input, $target, log_input: $log_input, full: $full, eps: $eps, reduction: $reduction)",
  ],
  "nn.functional.gaussian_nll_loss": [
    "gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction='mean')",
    (a) => {
      // Means and variances may lack the last axis' extent: they broadcast.
      const shape = list(a["input"]!.shape);
      const same = (e: Arg): string =>
        e.rank === a["input"]!.rank - 1
          ? `broadcast_to(expand_dims(${e}, -1), ${shape})`
          : e.rank === a["input"]!.rank && e.shape.every((n, i) => n === a["input"]!.shape[i])
            ? String(e)
            : `broadcast_to(${e}, ${shape})`;
      return `gaussian_nll_loss(${a["input"]}, ${same(a["target"]!)}, ${same(a["var"]!)}, full: ${a["full"]}, eps: ${a["eps"]}, reduction: ${a["reduction"]})`;
    },
  ],
};

function soft(name: string, a: Bound): string {
  // Of no elements there is no largest one to subtract.
  if (a["input"]!.shape.includes(0)) return `${a["input"]} * 1`;
  return a["input"]!.rank === 0
    ? `reshape(${name}(reshape(${a["input"]}, [1]), 0), [])`
    : `${name}(${a["input"]}, ${a["dim"]})`;
}
