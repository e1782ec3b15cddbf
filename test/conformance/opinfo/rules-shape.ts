/** Operators that move elements: views, joins, indexing, scatters. */
import { type Arg, type Bound, list } from "./call.ts";
import type { RuleTable } from "./rules.ts";
import { along, records } from "./rules-cut.ts";
import { asVector, axisAt, indexInto, scatterInto, scatterReduce } from "./scatters.ts";

function shapeArgument(a: Bound, name: string): readonly number[] {
  const v = a[name]!;
  const items = v.items;
  return (items.length === 1 && items[0]!.isList ? items[0]!.items : items).map((x) => x.number());
}

/** At least so many axes, as NumPy puts them. */
function atLeast(x: Arg, rank: 1 | 2 | 3): string {
  if (x.rank >= rank) return String(x);
  const target: readonly string[] =
    rank === 1
      ? ["1"]
      : rank === 2
        ? ["1", x.rank === 0 ? "1" : "-1"]
        : x.rank === 2
          ? [String(x.shape[0]), String(x.shape[1]), "1"]
          : ["1", x.rank === 0 ? "1" : "-1", "1"];
  return `reshape(${x}, ${list(target)})`;
}
/** Of one tensor, several, or a list of them. */
const eachAtLeast =
  (rank: 1 | 2 | 3): ((a: Bound) => string) =>
  (a) =>
    records(a["tensors"]!.items.flatMap((x) => (x.isList ? x.items : [x])).map((x) => atLeast(x, rank)));
const joined =
  (rank: 1 | 2 | 3, axis: (x: Arg) => number): ((a: Bound) => string) =>
  (a) => {
    const [first, ...others] = a["tensors"]!.items;
    if (!first) return "cat([], axis: 0)";
    return `cat(${list([first, ...others].map((x) => atLeast(x, rank)))}, axis: ${axis(first)})`;
  };

/** Pads come last axis first, in pairs. */
export function padPairs(x: Arg, pads: readonly number[]): string {
  const pairs = Array.from({ length: x.rank }, (_, i) => {
    const k = x.rank - 1 - i;
    return `[${pads[2 * k] ?? 0}, ${pads[2 * k + 1] ?? 0}]`;
  });
  return list(pairs);
}

const back = (x: Arg, text: string): string => (x.rank === 0 ? `reshape(${text}, [])` : text);

export const SHAPE: RuleTable = {
  H: ["H(input)", "$input.T"],
  mT: ["mT(input)", (a) => (a["input"]!.rank < 2 ? `${a["input"]} * 1` : `swapaxes(${a["input"]}, -1, -2)`)],
  reshape: ["reshape(input, *shape)", (a) => `reshape(${a["input"]}, ${list(shapeArgument(a, "shape"))})`],
  view: ["view(input, *shape)", (a) => `reshape(${a["input"]}, ${list(shapeArgument(a, "shape"))})`],
  ravel: ["ravel(input)", "ravel($input)"],
  flatten: [
    "flatten(input, start_dim=0, end_dim=-1)",
    (a) => {
      const x = a["input"]!;
      if (x.rank === 0) return `reshape(${x}, [1])`;
      const [s, e] = [axisAt(a["start_dim"]!, x.rank), axisAt(a["end_dim"]!, x.rank)];
      return `reshape(${x}, ${list([...x.shape.slice(0, s), x.shape.slice(s, e + 1).reduce((p, q) => p * q, 1), ...x.shape.slice(e + 1)])})`;
    },
  ],
  unflatten: [
    "unflatten(input, dim, sizes)",
    (a) => {
      const x = a["input"]!;
      const d = axisAt(a["dim"]!, x.rank);
      return `reshape(${x}, ${list([...x.shape.slice(0, d), ...a["sizes"]!.numbers(), ...x.shape.slice(d + 1)])})`;
    },
  ],
  permute: ["permute(input, *dims)", (a) => `permute(${a["input"]}, ${list(shapeArgument(a, "dims"))})`],
  transpose: [
    "transpose(input, dim0, dim1)",
    (a) => (a["input"]!.rank === 0 ? `${a["input"]} * 1` : `swapaxes(${a["input"]}, ${a["dim0"]}, ${a["dim1"]})`),
  ],
  swapaxes: [
    "swapaxes(input, axis0, axis1)",
    (a) => (a["input"]!.rank === 0 ? `${a["input"]} * 1` : `swapaxes(${a["input"]}, ${a["axis0"]}, ${a["axis1"]})`),
  ],
  t: ["t(input)", "$input.T"],
  movedim: [
    "movedim(input, source, destination)",
    (a) =>
      a["input"]!.rank === 0 ? `${a["input"]} * 1` : `moveaxis(${a["input"]}, ${a["source"]}, ${a["destination"]})`,
  ],
  squeeze: [
    "squeeze(input, dim=None)",
    (a) => {
      const x = a["input"]!;
      if (a["dim"]!.isNone) return `reshape(${x}, ${list(x.shape.filter((n) => n !== 1))})`;
      const d = x.rank === 0 ? 0 : axisAt(a["dim"]!, x.rank);
      return x.shape[d] === 1 ? `squeeze(${x}, ${d})` : `${x} * 1`;
    },
  ],
  unsqueeze: ["unsqueeze(input, dim)", "expand_dims($input, $dim)"],
  expand: [
    "expand(input, *sizes)",
    (a) => {
      const sizes = shapeArgument(a, "sizes");
      const lead = sizes.length - a["input"]!.rank;
      return `broadcast_to(${a["input"]}, ${list(sizes.map((n, i) => (n === -1 ? a["input"]!.shape[i - lead] : n)))})`;
    },
  ],
  broadcast_to: ["broadcast_to(input, size)", "broadcast_to($input, $size)"],
  repeat: ["repeat(input, *repeats)", (a) => `tile(${a["input"]}, ${list(shapeArgument(a, "repeats"))})`],
  tile: ["tile(input, dims)", "tile($input, $dims)"],
  flip: ["flip(input, *dims)", (a) => `flip(${a["input"]}, ${list(shapeArgument(a, "dims"))})`],
  fliplr: ["fliplr(input)", "flip($input, 1)"],
  flipud: ["flipud(input)", "flip($input, 0)"],
  roll: [
    "roll(input, shifts, dims=None)",
    (a) => `roll(${a["input"]}, ${a["shifts"]}${a["dims"]!.isNone ? "" : `, ${a["dims"]}`})`,
  ],
  rot90: ["rot90(input, k=1, dims=[0,1])", "rot90($input, $k, $dims)"],
  cat: [
    "cat(tensors, dim=0)",
    (a) =>
      `cat(${list(a["tensors"]!.items.filter((x) => x.rank !== 1 || x.shape[0] !== 0 || a["tensors"]!.items.every((y) => y.rank === 1)))}, axis: ${a["dim"]})`,
  ],
  stack: ["stack(tensors, dim=0)", "stack($tensors, axis: $dim)"],
  hstack: ["hstack(tensors)", joined(1, (x) => (x.rank <= 1 ? 0 : 1))],
  vstack: ["vstack(tensors)", joined(2, () => 0)],
  dstack: ["dstack(tensors)", joined(3, () => 2)],
  column_stack: [
    "column_stack(tensors)",
    (a) =>
      `cat(${list(a["tensors"]!.items.map((x) => (x.rank <= 1 ? `reshape(${x}, [-1, 1])` : String(x))))}, axis: 1)`,
  ],
  atleast_1d: ["atleast_1d(*tensors)", eachAtLeast(1)],
  atleast_2d: ["atleast_2d(*tensors)", eachAtLeast(2)],
  atleast_3d: ["atleast_3d(*tensors)", eachAtLeast(3)],
  select: [
    "select(input, dim, index)",
    (a) => `${a["input"]}${along(a["input"]!.rank, axisAt(a["dim"]!, a["input"]!.rank), String(a["index"]))}`,
  ],
  narrow: [
    "narrow(input, dim, start, length)",
    (a) => {
      const d = axisAt(a["dim"]!, a["input"]!.rank);
      if (a["start"]!.isTensor) return `take(${a["input"]}, ${a["start"]} + arange(${a["length"]}), axis: ${d})`;
      const start = a["start"]!.number() < 0 ? a["start"]!.number() + a["input"]!.shape[d]! : a["start"]!.number();
      return `${a["input"]}${along(a["input"]!.rank, d, `${start}:${start + a["length"]!.number()}`)}`;
    },
  ],
  diagonal: ["diagonal(input, offset=0, dim1=0, dim2=1)", "diagonal($input, $offset, $dim1, $dim2)"],
  diag: ["diag(input, diagonal=0)", "diag($input, $diagonal)"],
  diagflat: ["diagflat(input, offset=0)", "diag(ravel($input), $offset)"],
  diag_embed: [
    "diag_embed(input, offset=0, dim1=-2, dim2=-1)",
    (a) => {
      const x = a["input"]!;
      const k = a["offset"]!.number();
      const n = (x.shape[x.rank - 1] ?? 0) + Math.abs(k);
      const lead = x.shape.slice(0, -1);
      const names = lead.map((_, i) => `b${i}`);
      const row = k >= 0 ? "i" : `i - ${-k}`;
      const text = `for[${[...names.map((m, i) => `${m} in 0..${lead[i]}`), `i in 0..${n}`, `j in 0..${n}`].join(", ")}] j - i == ${k} ? (${x}[${[...names, row].join(", ")}] ?? 0.0) : 0.0`;
      const [from, to] = [a["dim1"]!.number(), a["dim2"]!.number()];
      return from === -2 && to === -1 ? text : `moveaxis(${text}, [-2, -1], [${from}, ${to}])`;
    },
  ],
  tril: ["tril(input, diagonal=0)", "tril($input, $diagonal)"],
  triu: ["triu(input, diagonal=0)", "triu($input, $diagonal)"],
  meshgrid: [
    "meshgrid(*tensors, indexing='ij')",
    (a) => {
      const items = a["tensors"]!.items.flatMap((x) => (x.isList ? x.items : [x]));
      return `let m = meshgrid([${items.map(asVector).join(", ")}], indexing: ${a["indexing"]})\n  ${records(items.map((_, i) => `m[${i}]`))}`;
    },
  ],
  cartesian_prod: [
    "cartesian_prod(*tensors)",
    (a) => {
      const items = a["tensors"]!.items;
      if (items.length === 1) return `${items[0]} * 1`;
      const grid = `let m = meshgrid([${items.join(", ")}], indexing: "ij")\n  `;
      return `${grid}stack([${items.map((_, i) => `ravel(m[${i}])`).join(", ")}], axis: 1)`;
    },
  ],
  block_diag: [
    "block_diag(*tensors)",
    (a) => a["tensors"]!.items.map((x) => atLeast(x, 2)).reduce((p, q) => `block_diag(${p}, ${q})`),
  ],
  unfold: [
    "unfold(input, dimension, size, step)",
    (a) =>
      `${a["input"]!.rank === 0 ? asVector(a["input"]!) : `unfold(${a["input"]}, ${a["dimension"]}, ${a["size"]}, ${a["step"]})`}`,
  ],
  gather: [
    "gather(input, dim, index)",
    (a) => back(a["index"]!, `gather(${asVector(a["input"]!)}, ${a["dim"]}, ${asVector(a["index"]!)})`),
  ],
  take_along_dim: [
    "take_along_dim(input, indices, dim=None)",
    (a) =>
      a["dim"]!.isNone
        ? `take(ravel(${a["input"]}), ravel(${a["indices"]}))`
        : `take_along_axis(${a["input"]}, ${a["indices"]}, ${a["dim"]})`,
  ],
  take: ["take(input, index)", "take(ravel($input), $index)"],
  index_select: [
    "index_select(input, dim, index)",
    (a) =>
      a["input"]!.rank === 0
        ? back(a["input"]!, `take(${asVector(a["input"]!)}, ${asVector(a["index"]!)})`)
        : `take(${a["input"]}, ${asVector(a["index"]!)}, axis: ${a["dim"]})`,
  ],
  index_add: [
    "index_add(input, dim, index, source, *, alpha=1)",
    (a) => indexInto(a, "+=", (s) => `${a["alpha"]} * ${s}`),
  ],
  index_copy: ["index_copy(input, dim, index, source)", (a) => indexInto(a, "set=", (s) => s)],
  index_fill: ["index_fill(input, dim, index, source)", (a) => indexInto(a, "set=", (s) => s)],
  scatter_add: ["scatter_add(input, dim, index, src)", (a) => scatterInto(a, "+=")],
  scatter: [
    "scatter(input, dim, index, src, *, reduce=None)",
    (a) => scatterInto(a, a["reduce"]!.isNone ? "set=" : a["reduce"]!.string() === "add" ? "+=" : "*="),
  ],
  scatter_reduce: ["scatter_reduce(input, dim, index, src, reduce, include_self=True)", scatterReduce],
  select_scatter: [
    "select_scatter(input, src, dim, index)",
    (a) => {
      const x = a["input"]!;
      const d = axisAt(a["dim"]!, x.rank);
      const i = a["index"]!.number() < 0 ? a["index"]!.number() + x.shape[d]! : a["index"]!.number();
      const names = x.shape.map((_, k) => `i${k}`);
      const rest = names.filter((_, k) => k !== d);
      return `for[${names.map((n, k) => `${n} in 0..${x.shape[k]}`).join(", ")}] ${names[d]} == ${i} ? ${a["src"]}${rest.length > 0 ? `[${rest.join(", ")}]` : ""} : ${x}[${names.join(", ")}]`;
    },
  ],
  constant_pad_nd: [
    "constant_pad_nd(input, pad, value=0)",
    (a) => `pad(${a["input"]}, ${padPairs(a["input"]!, a["pad"]!.numbers())}, value: ${a["value"]})`,
  ],
  "nn.functional.pad": [
    "pad(input, pad, mode='constant', value=0)",
    (a) => {
      const [pads, mode] = [a["pad"]!.numbers(), a["mode"]!];
      const part = (widths: readonly number[]): string => padPairs(a["input"]!, widths);
      // What goes round is what is left once negative widths have cut.
      const cut = mode.string() === "circular" && pads.some((n) => n < 0);
      const x = cut ? `pad(${a["input"]}, ${part(pads.map((n) => Math.min(n, 0)))})` : String(a["input"]);
      const widths = part(cut ? pads.map((n) => Math.max(n, 0)) : pads);
      return `pad(${x}, ${widths}, mode: ${mode}, value: ${a["value"]!.isNone ? 0 : a["value"]})`;
    },
  ],
  sum_to_size: [
    "sum_to_size(input, *size)",
    (a) => {
      const x = a["input"]!;
      const size = shapeArgument(a, "size");
      const lead = x.rank - size.length;
      const axes = x.shape.flatMap((n, i) => (i < lead || (size[i - lead] === 1 && n !== 1) ? [i] : []));
      return axes.length === 0 ? `${x} * 1` : `reshape(sum(${x}, axis: ${list(axes)}), ${list(size)})`;
    },
  ],
  diff: [
    "diff(input, n=1, dim=-1, prepend=None, append=None)",
    (a) => {
      const x = a["input"]!;
      const d = axisAt(a["dim"]!, x.rank);
      const parts = [a["prepend"]!, x, a["append"]!].filter((p) => !p.isNone);
      let text = parts.length === 1 ? String(x) : `cat(${list(parts)}, axis: ${d})`;
      const length = parts.reduce((n, p) => n + p.shape[d]!, 0);
      // Once nothing is left, there are no more differences to take.
      for (let k = 0; k < Math.min(a["n"]!.number(), length); k++) text = `diff(${text}, axis: ${d})`;
      return a["n"]!.number() === 0 ? `${text} * 1` : text;
    },
  ],
  trapezoid: ["trapezoid(input, x=None, *, dx=1, dim=-1)", (a) => trapezoid(a, false)],
  trapz: ["trapz(input, x=None, *, dx=1, dim=-1)", (a) => trapezoid(a, false)],
  cumulative_trapezoid: ["cumulative_trapezoid(input, x=None, *, dx=1, dim=-1)", (a) => trapezoid(a, true)],
  searchsorted: [
    "searchsorted(input, values, *, right=False, side=None, out_int32=False, sorter=None)",
    (a) => {
      const x = a["input"]!;
      const sorted = a["sorter"]!.isNone ? String(x) : `take_along_axis(${x}, ${a["sorter"]}, -1)`;
      const values = a["values"]!;
      const right = a["right"]!.boolean() || a["side"]!.string() === "right";
      if (x.rank === 1 && values.rank === 0)
        return `reshape(bucketize(${values.isTensor ? `reshape(${values}, [1])` : `stack([${values}])`}, ${sorted}, right: ${right}), [])`;
      if (x.rank === 1) return `bucketize(${values}, ${sorted}, right: ${right})`;
      return `searchsorted(${sorted}, ${a["values"]}, right: ${right})`;
    },
  ],
  bucketize: [
    "bucketize(input, boundaries, *, out_int32=False, right=False)",
    "bucketize($input, $boundaries, right: $right)",
  ],
};

/** x broadcasts against y. */
function trapezoid(a: Bound, cumulative: boolean): string {
  const y = a["input"]!;
  const d = axisAt(a["dim"]!, y.rank);
  const lower = along(y.rank, d, ":-1");
  const upper = along(y.rank, d, "1:");
  const x = a["x"]!;
  const widths = (): string => {
    if (x.rank !== 1) {
      const axis = d - (y.rank - x.rank);
      return `(${x}${along(x.rank, axis, "1:")} - ${x}${along(x.rank, axis, ":-1")})`;
    }
    // The points of one axis, whichever it is.
    return `reshape(${x}[1:] - ${x}[:-1], ${list(y.shape.map((_, i) => (i === d ? x.shape[0]! - 1 : 1)))})`;
  };
  const width = x.isTensor ? widths() : String(a["dx"]);
  const areas = `(${y}${upper} + ${y}${lower}) * 0.5 * ${width}`;
  return `${cumulative ? "cumsum" : "sum"}(${areas}, axis: ${d})`;
}
