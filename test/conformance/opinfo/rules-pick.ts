/** Elements by positions that come from data, by rank, by neighbours: indexing, bags, quantiles, differences; batch statistics. */
import { Arg, type Bound, list, type Raw, type TorchCall, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";
import { asVector, axisAt } from "./scatters.ts";

const back = (x: Arg, text: string): string => (x.rank === 0 ? `reshape(${text}, [])` : text);
const records = (parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : `{ ${parts.map((p, i) => `y${i}: ${p}`).join(", ")} }`;
const sized = (x: Arg): number => x.shape.reduce((p, q) => p * q, 1);

// ---- Indexing -----------------------------------------------------------------------------------------------------

type Slice = { readonly $slice: readonly (number | null)[] };
const isSlice = (v: Raw): v is Slice & { readonly [key: string]: Raw } =>
  typeof v === "object" && v !== null && "$slice" in v;
const isEllipsis = (v: Raw): boolean => typeof v === "object" && v !== null && "$ellipsis" in v;

/** An ellipsis as the slices that it stands for. */
function withoutEllipsis(items: readonly Raw[], x: Arg, call: TorchCall): readonly Raw[] {
  const taken = items.reduce<number>((n, v) => {
    if (v === null || isEllipsis(v)) return n;
    const p = new Arg(v, call);
    return n + (p.isTensor && p.dtype === "bool" ? p.rank : 1);
  }, 0);
  const slices = Array.from({ length: x.rank - taken }, () => ({ $slice: [null, null, null] }));
  return items.flatMap((v) => (isEllipsis(v) ? slices : [v]));
}

/** What is basic as subscripts; then what lists and tensors of positions take. */
function getItem(a: Bound, call: TorchCall): string {
  const given = a["index"]!.raw as Raw;
  const items = withoutEllipsis(Array.isArray(given) ? (given as readonly Raw[]) : [given], a["input"]!, call);
  const positions = items.map((v) => new Arg(v, call));
  const isMany = (p: Arg): boolean => p.isTensor || p.isList;
  const at = positions.flatMap((p, i) => (isMany(p) ? [i] : []));
  const text = items.map((v, i) => {
    if (at.includes(i)) return ":";
    if (v === null) return "None";
    if (isSlice(v)) {
      const [from, to, step] = v.$slice;
      return `${from ?? ""}:${to ?? ""}${step == null ? "" : `:${step}`}`;
    }
    return String(positions[i]);
  });
  const basic = text.every((t) => t === ":") ? String(a["input"]) : `${a["input"]}${list(text)}`;
  // Where the positions' axes lie once the basic subscripts are done.
  const axes = at.map((k) => items.slice(0, k).filter((v, i) => v === null || isSlice(v) || at.includes(i)).length);
  const [first, ...others] = at.map((k) => positions[k]!);
  if (!first) return basic;
  if (others.length === 0) {
    if (first.dtype !== "bool" || !first.isTensor)
      return `take(${basic}, ${writtenPositions(first)}, axis: ${axes[0]})`;
    // A mask is in the place of as many axes as it has.
    if (first.rank !== 1) throw new UnsupportedCall("a mask of several axes among subscripts");
    return `${placesOf(first, String(first))}take(${basic}, at, axis: ${axes[0]})`;
  }
  if (at.some((k, i) => k !== at[0]! + i) || [first, ...others].some((p) => p.dtype === "bool"))
    throw new UnsupportedCall("positions apart from one another");
  return takeTogether(basic, rankOf(items, a["input"]!), axes[0]!, [first, ...others]);
}

const writtenPositions = (p: Arg): string => (p.isList ? `stack(${p})` : String(p));
/** The rank once the basic subscripts are done: numbers take an axis away, None adds one. */
function rankOf(items: readonly Raw[], x: Arg): number {
  return x.rank + items.reduce<number>((n, v) => n + (v === null ? 1 : typeof v === "number" ? -1 : 0), 0);
}

/** Elements of `text` by several positions each, in the place of the axes from `axis` on. */
function takeTogether(text: string, rank: number, axis: number, positions: readonly Arg[]): string {
  const shapes = positions.map((p) => (p.isList ? [p.items.length] : p.shape));
  const depth = Math.max(...shapes.map((s) => s.length));
  const common = Array.from({ length: depth }, (_, k) =>
    Math.max(...shapes.map((s) => s[k - (depth - s.length)] ?? 1)),
  );
  const lets = positions.map(
    (p, k) =>
      `let given${k} = broadcast_to(${writtenPositions(p)}, ${list(common)})\n  let ids${k} = where(given${k} < 0, given${k} + z.shape[${axis + k}], given${k})\n  `,
  );
  const named = (prefix: string, n: number): readonly string[] => Array.from({ length: n }, (_, k) => `${prefix}${k}`);
  const [lead, here, tail] = [named("b", axis), named("k", depth), named("r", rank - axis - positions.length)];
  const places = positions.map((_, k) => `ids${k}${list(here)}`);
  const over = [
    ...lead.map((n, k) => `${n} in 0..z.shape[${k}]`),
    ...here.map((n, k) => `${n} in 0..${common[k]}`),
    ...tail.map((n, k) => `${n} in 0..z.shape[${axis + positions.length + k}]`),
  ];
  return `let z = ${text}\n  ${lets.join("")}for${list(over)} z${list([...lead, ...places, ...tail])} ?? 0.0`;
}

/** `at`: where a mask's elements are true. How many there are is an extent of the result and so a constant of the program. */
function placesOf(mask: Arg, text: string, copies = 1): string {
  const count = mask.values.data.filter((v) => v !== 0).length * copies;
  return `let held = ravel(${text})\n  let rank = cumsum(held as i32, axis: 0) - 1\n  at[held[k] ? rank[k] : -1]: i32[${count}] set= k over [k in 0..${sized(mask) * copies}]\n  `;
}

function maskedSelect(a: Bound): string {
  const [x, mask] = [a["input"]!, a["mask"]!];
  const rank = Math.max(x.rank, mask.rank);
  const extent = (v: Arg, k: number): number => v.shape[k - (rank - v.rank)] ?? 1;
  const shape = Array.from({ length: rank }, (_, k) => (extent(x, k) === 1 ? extent(mask, k) : extent(x, k)));
  const size = shape.reduce((p, q) => p * q, 1);
  if (size === 0) return `ravel(${x})[0:0]`;
  const whole = (v: Arg): string => `broadcast_to(${v}, ${list(shape)})`;
  return `${placesOf(mask, whole(mask), size / sized(mask))}take(ravel(${whole(x)}), at)`;
}

/** Each element as often as its own number says. */
function repeatEach(a: Bound): string {
  const [x, repeats, dim] = [a["input"]!, a["repeats"]!, a["dim"]!];
  const flat = dim.isNone || x.rank === 0;
  const from = flat ? `ravel(${x})` : String(x);
  if (!repeats.isTensor || sized(repeats) === 1) {
    const times = repeats.isTensor ? repeats.values.data[0] : repeats.number();
    return `repeat(${from}, ${times}, axis: ${flat ? 0 : dim})`;
  }
  const total = repeats.values.data.reduce((p, q) => p + q, 0);
  return `let ends = cumsum(${repeats}, axis: 0)\n  let at = for[i in 0..${total}] sum[n] (ends[n] <= i ? 1 : 0)\n  take(${from}, at, axis: ${flat ? 0 : dim})`;
}

/** self[i0, i1, …] = or += values: each place of the indices' common shape has the rest of the axes. */
function indexPut(a: Bound): string {
  const [x, values] = [a["input"]!, a["values"]!];
  const indices = a["indices"]!.items;
  const add = a["accumulate"]!.boolean();
  const first = indices[0];
  if (!first) throw new UnsupportedCall("no indices");
  if (first.dtype === "bool") {
    if (indices.length > 1) throw new UnsupportedCall("several masks");
    const rest = x.shape.slice(first.rank);
    const many = first.values.data.filter((v) => v !== 0).length;
    const mask = `reshape(${first}, ${list([...first.shape, ...rest.map(() => 1)])})`;
    const rank = `reshape(cumsum(ravel(${first}) as i32, axis: 0) - 1, ${list(first.shape)})`;
    const rows = `broadcast_to(${values}, ${list([many, ...rest])})`;
    const written = `take(${rows}, max(${rank}, 0), axis: 0)`;
    return many === 0 ? `${x} * 1` : `where(${mask}, ${add ? `${x} + ` : ""}${written}, ${x})`;
  }
  const rank = Math.max(...indices.map((i) => i.rank));
  const common = Array.from({ length: rank }, (_, k) =>
    Math.max(...indices.map((i) => i.shape[k - (rank - i.rank)] ?? 1)),
  );
  const places = common.reduce((p, q) => p * q, 1);
  const rest = x.shape.slice(indices.length);
  const names = rest.map((_, k) => `r${k}`);
  const lets = indices.map((v, k) => {
    const n = x.shape[k]!;
    return `let p${k} = reshape(broadcast_to(${v}, ${list(common)}), [${places}])\n  let q${k} = where(p${k} < 0, p${k} + ${n}, p${k})\n  `;
  });
  const rows = `let v = reshape(broadcast_to(${values}, ${list([...common, ...rest])}), ${list([places, ...rest])})\n  `;
  const over = [`k in 0..${places}`, ...names.map((n, k) => `${n} in 0..${rest[k]}`)].join(", ");
  const target = [...indices.map((_, k) => `q${k}[k]`), ...names].join(", ");
  return `${lets.join("")}${rows}let y = ${x} * 1.0\n  y[${target}] ${add ? "+=" : "set="} v[${["k", ...names].join(", ")}] over [${over}]\n  y`;
}

function put(a: Bound): string {
  const [x, index, source] = [a["input"]!, a["index"]!, a["source"]!];
  const n = sized(index);
  return `let p = reshape(${index}, [${n}])\n  let ids = where(p < 0, p + ${sized(x)}, p)\n  let v = reshape(${source}, [${sized(source)}])\n  let y = reshape(${x}, [${sized(x)}]) * 1.0\n  y[ids[k]] ${a["accumulate"]!.boolean() ? "+=" : "set="} v[${sized(source) === 1 ? "0" : "k"}] over [k in 0..${n}]\n  reshape(y, ${list(x.shape)})`;
}

/** Where the mask holds, the source's elements one after the other. */
function maskedScatter(a: Bound): string {
  const [x, source] = [a["input"]!, a["source"]!];
  const shape = list(x.shape);
  if (sized(source) === 0 || sized(x) === 0) return `${x} * 1`;
  return `let m = broadcast_to(${a["mask"]}, ${shape})\n  let at = reshape(cumsum(ravel(m) as i32, axis: 0) - 1, ${shape})\n  where(m, take(ravel(${source}), clamp(at, 0, ${sized(source) - 1})), ${x})`;
}

/** Rows of a table, reduced bag by bag: those of a row of the indices, or those from one offset to the next. */
function embeddingBag(a: Bound): string {
  const [table, ids, offsets, weights] = [a["input"]!, a["indices"]!, a["offsets"]!, a["per_sample_weights"]!];
  if (!a["max_norm"]!.isNone || a["scale_grad_by_freq"]!.boolean())
    throw new UnsupportedCall("max_norm or scale_grad_by_freq");
  const mode = a["mode"]!.string("mean");
  const [count, width] = [sized(ids), table.shape[1]!];
  const bags = ids.rank === 2 ? ids.shape[0]! : offsets.shape[0]! - (a["include_last_offset"]!.boolean() ? 1 : 0);
  const bag =
    ids.rank === 2
      ? `for[k in 0..${count}] k div ${Math.max(ids.shape[1]!, 1)}`
      : `for[k in 0..${count}] (sum[o in 0..${bags}] (${offsets}[o] <= k ? 1 : 0)) - 1`;
  const padding = a["padding_idx"]!;
  const skipped = padding.isNone
    ? "false"
    : `ids[k] == ${padding.number() < 0 ? padding.number() + table.shape[0]! : padding.number()}`;
  const lets = `let ids = reshape(${ids}, [${count}])\n  let bag = ${bag}\n  let n = zeros([${bags}])\n  n[bag[k]] += (${skipped} ? 0.0 : 1.0) over [k in 0..${count}]\n  `;
  const over = `over [k in 0..${count}, d in 0..${width}]`;
  const row = `(${table}[ids[k], d] ?? 0.0)`;
  if (mode === "max")
    return `${lets}let y = full([${bags}, ${width}], -inf)\n  y[bag[k], d] max= (${skipped} ? -inf : ${row}) ${over}\n  where(n[:, None] > 0, y, 0.0)`;
  const weight = weights.isNone ? "1.0" : `w[k]`;
  const setWeights = weights.isNone ? "" : `let w = reshape(${weights}, [${count}])\n  `;
  const sum = `${lets}${setWeights}let y = zeros([${bags}, ${width}])\n  y[bag[k], d] += (${skipped} ? 0.0 : ${weight} * ${row}) ${over}\n  `;
  return `${sum}${mode === "mean" ? "y / max(n, 1.0)[:, None]" : "y"}`;
}

// ---- Order --------------------------------------------------------------------------------------------------------

/** Values and positions of a running extremum: the last of equals, as PyTorch. */
const runningExtremum =
  (op: ">=" | "<=", identity: string): ((a: Bound) => string) =>
  (a) => {
    const x = a["input"]!;
    if (x.rank === 0) return `{ y0: ${x} * 1, y1: 0 as i32 }`;
    const axis = axisAt(a["dim"]!, x.rank);
    const places = `broadcast_to(reshape(arange(${x.shape[axis]}), ${list(x.shape.map((n, i) => (i === axis ? n : 1)))}), ${list(x.shape)})`;
    const later = `q.v ${op} p.v`;
    return `let r = scan(|p, q| { v: ${later} ? q.v : p.v, i: ${later} ? q.i : p.i }, { v: ${identity}, i: 0 }, { v: ${x}, i: ${places} }, axis: ${axis})\n  { y0: r.v, y1: r.i }`;
  };

function kthValue(a: Bound): string {
  const [x, k] = [a["input"]!, a["k"]!.number()];
  const axis = x.rank === 0 ? 0 : axisAt(a["dim"]!, x.rank);
  const part = (field: string): string => {
    const kept = `narrow(r.${field}, ${axis}, ${k - 1}, 1)`;
    return x.rank === 0 ? `reshape(${kept}, [])` : a["keepdim"]!.boolean() ? kept : `squeeze(${kept}, ${axis})`;
  };
  return `let r = sort(${asVector(x)}, axis: ${axis}, indices: true)\n  { y0: ${part("value")}, y1: ${part("index")} }`;
}

/** For every q of a vector one, along an axis in front. */
function quantiles(a: Bound): string {
  const [x, q, dim] = [a["input"]!, a["q"]!, a["dim"]!];
  const how = a["interpolation"]!.string("linear");
  const one = (share: string): string => {
    const text =
      dim.isNone || x.rank === 0
        ? `quantile(ravel(${x}), ${share}, 0, "${how}")`
        : `quantile(${x}, ${share}, ${dim}, "${how}")`;
    if (!a["keepdim"]!.boolean() || x.rank === 0) return text;
    return dim.isNone
      ? `reshape(${text}, ${list(x.shape.map(() => 1))})`
      : `expand_dims(${text}, ${axisAt(dim, x.rank)})`;
  };
  if (!q.isTensor) return one(String(q.number().toFixed(12)));
  if (q.rank === 0) return one(String(q));
  return `stack(${list(Array.from({ length: q.shape[0]! }, (_, k) => one(`${q}[${k}]`)))}, axis: 0)`;
}

// ---- Differences --------------------------------------------------------------------------------------------------

/** Along an axis whose points lie at `at`: weights of three neighbours, at the ends of two or three. */
function gradientAt(x: Arg, axis: number, at: Arg, edge: number): string {
  const n = x.shape[axis]!;
  const part = (from: number, count: number): string => `narrow(${x}, ${axis}, ${from}, ${count})`;
  const wide = (text: string): string => `reshape(${text}, ${list(x.shape.map((_, i) => (i === axis ? -1 : 1)))})`;
  const lets = `let h = diff(${at})\n  let p = ${wide("h[:-1]")}\n  let q = ${wide("h[1:]")}\n  let inner = -q / (p * (p + q)) * ${part(0, n - 2)} + (q - p) / (p * q) * ${part(1, n - 2)} + p / (q * (p + q)) * ${part(2, n - 2)}\n  `;
  if (edge === 1)
    return `${lets}cat([(${part(1, 1)} - ${part(0, 1)}) / h[0], inner, (${part(n - 1, 1)} - ${part(n - 2, 1)}) / h[${n - 2}]], axis: ${axis})`;
  const end = (near: string, far: string, s: string, i: readonly [number, number, number]): string =>
    `(${s}(-(2 * ${near} + ${far}) / (${near} * (${near} + ${far})) * ${part(i[0], 1)} + (${near} + ${far}) / (${near} * ${far}) * ${part(i[1], 1)} - ${near} / (${far} * (${near} + ${far})) * ${part(i[2], 1)}))`;
  return `${lets}cat([${end("h[0]", "h[1]", "", [0, 1, 2])}, inner, ${end(`h[${n - 2}]`, `h[${n - 3}]`, "-", [n - 1, n - 2, n - 3])}], axis: ${axis})`;
}

function gradients(a: Bound): string {
  const [x, spacing, dim] = [a["input"]!, a["spacing"]!, a["dim"]!];
  const edge = a["edge_order"]!.number(1);
  const axes = dim.isNone ? x.shape.map((_, i) => i) : dim.items.map((d) => axisAt(d, x.rank));
  if (new Set(axes).size < axes.length) throw new UnsupportedCall("an axis may be asked for twice");
  const steps = spacing.isList ? spacing.items : undefined;
  if (steps && steps.length !== axes.length) throw new UnsupportedCall("spacings that are not as many as axes");
  return records(
    axes.map((axis, k) => {
      const step = steps?.[k] ?? spacing;
      if (step.isTensor && step.rank > 0) return `{\n  ${gradientAt(x, axis, step, edge)}\n  }`;
      return `gradient(${x}, ${axis}, ${step.isTensor ? step : step.number(1).toFixed(12)}, ${edge})`;
    }),
  );
}

// ---- Statistics ---------------------------------------------------------------------------------------------------

/** The normalised batch, and what a backward pass would keep of its statistics. */
function nativeBatchNorm(a: Bound): string {
  const x = a["input"]!;
  const affine = `${a["weight"]}, ${a["bias"]}, eps: ${a["eps"]}`;
  if (!a["training"]!.boolean())
    return `{ y0: batch_norm(${x}, ${a["running_mean"]}, ${a["running_var"]}, ${affine}), y1: zeros([0]), y2: zeros([0]) }`;
  const axes = list(x.shape.flatMap((_, i) => (i === 1 ? [] : [i])));
  return `{ y0: batch_norm_train(${x}, ${affine}), y1: mean(${x}, axis: ${axes}), y2: rsqrt(var(${x}, axis: ${axes}) + ${a["eps"]}) }`;
}

const reduced = (a: Bound, which: string): string => {
  const [x, dim] = [a["input"]!, a["dim"]!];
  return `${which}(${x}, axis: ${x.rank === 0 ? "None" : dim}, keepdims: ${x.rank > 0 && a["keepdim"]!.boolean()})`;
};

export const PICK: RuleTable = {
  __getitem__: ["getitem(input, index)", getItem],
  index_put: ["index_put(input, indices, values, accumulate=False)", indexPut],
  masked_select: ["masked_select(input, mask)", maskedSelect],
  repeat_interleave: ["repeat_interleave(input, repeats, dim=None, *, output_size=None)", repeatEach],
  put: ["put(input, index, source, accumulate=False)", put],
  masked_scatter: ["masked_scatter(input, mask, source)", maskedScatter],
  "nn.functional.embedding_bag": [
    "embedding_bag(input, indices, offsets=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode='mean', sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None)",
    embeddingBag,
  ],
  cummax: ["cummax(input, dim)", runningExtremum(">=", "-inf")],
  cummin: ["cummin(input, dim)", runningExtremum("<=", "inf")],
  kthvalue: ["kthvalue(input, k, dim=-1, keepdim=False)", kthValue],
  quantile: ["quantile(input, q, dim=None, keepdim=False, *, interpolation='linear')", quantiles],
  gradient: ["gradient(input, *, spacing=None, dim=None, edge_order=1)", gradients],
  native_batch_norm: [
    "native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)",
    nativeBatchNorm,
  ],
  aminmax: [
    "aminmax(input, *, dim=None, keepdim=False)",
    (a) => `{ y0: ${reduced(a, "min")}, y1: ${reduced(a, "max")} }`,
  ],
  reshape_as: [
    "reshape_as(input, other)",
    (a) => back(a["input"]!, `reshape(${a["input"]}, ${list(a["other"]!.shape)})`),
  ],
  eye: ["eye(n, m=None, *, dtype=None, device=None)", (a) => `eye(${a["n"]}, ${a["m"]!.isNone ? a["n"] : a["m"]})`],
};
