/** `torch.masked`: what the mask leaves out counts as the identity; and operators that put elements in order. */
import { type Arg, type Bound, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";
import { axisText, keepText } from "./rules-basic.ts";
import { axisAt } from "./scatters.ts";

const masked = (a: Bound, identity: string): string =>
  a["mask"]!.isNone ? String(a["input"]) : `where(${a["mask"]}, ${a["input"]}, ${identity})`;
const where = (a: Bound): string =>
  `axis: ${axisText(a["input"]!, a["dim"]!)}, keepdims: ${keepText(a["input"]!, a["keepdim"]!)}`;
const over =
  (name: string, identity: string, extra = ""): ((a: Bound) => string) =>
  (a) =>
    `${name}(${masked(a, identity)}, ${where(a)}${extra})`;
const SIGNATURE = "(input, dim=None, *, keepdim=False, dtype=None, mask=None)";

/** How many elements count. */
const count = (a: Bound): string =>
  `(sum(broadcast_to(${a["mask"]!.isNone ? "true" : a["mask"]}, [${a["input"]!.shape.join(", ")}]), ${where(a)}) as f32)`;

function variance(a: Bound): string {
  const axis = axisText(a["input"]!, a["dim"]!);
  const correction = a["unbiased"]!.boolean(true) ? 1 : 0;
  const all = a["input"]!.rank === 0 ? "false" : "true";
  const n = `(sum(broadcast_to(${a["mask"]!.isNone ? "true" : a["mask"]}, [${a["input"]!.shape.join(", ")}]), axis: ${axis}, keepdims: ${all}) as f32)`;
  const centred = `let m = sum(${masked(a, "0.0")}, axis: ${axis}, keepdims: ${all}) / ${n}\n  let c = ${a["mask"]!.isNone ? `${a["input"]} - m` : `where(${a["mask"]}, ${a["input"]} - m, 0.0)`}`;
  return `${centred}\n  let v = sum(c * c, ${where(a)}) / max(${count(a)} - ${correction}, 0.0)`;
}

/** Along one axis, which a scalar has not: it is a vector of one element. */
const along =
  (name: string, fill: string): ((a: Bound) => string) =>
  (a) => {
    const x = a["input"]!;
    const text = masked(a, fill);
    return x.rank === 0 ? `reshape(${name}(reshape(${text}, [1]), 0), [])` : `${name}(${text}, ${a["dim"]})`;
  };
const one = (x: Arg): string => (x.rank === 0 ? `reshape(${x}, [1])` : String(x));
const back = (x: Arg, text: string): string => (x.rank === 0 ? `reshape(${text}, [])` : text);

function hasTies(x: Arg, axis: number): boolean {
  const stride = x.shape.slice(axis + 1).reduce((p, q) => p * q, 1);
  const seen = new Map<number, Set<number>>();
  return [...x.values.data].some((v, i) => {
    const line = i - (Math.floor(i / stride) % (x.shape[axis] ?? 1)) * stride;
    const values = seen.get(line) ?? new Set<number>();
    seen.set(line, values);
    if (values.has(v)) return true;
    values.add(v);
    return false;
  });
}

/** Values and positions in order. */
function sorted(a: Bound): string {
  const x = a["input"]!;
  return `let r = sort(${one(x)}, axis: ${a["dim"]}, descending: ${a["descending"]!.boolean()}, indices: true)\n  { y0: ${back(x, "r.value")}, y1: ${back(x, "r.index")} }`;
}

/** The lower of the two in the middle, with its position if an axis is named. */
function median(a: Bound): string {
  const [x, dim] = [a["input"]!, a["dim"]!];
  if (dim.isNone) {
    const n = x.shape.reduce((p, q) => p * q, 1);
    return `sort(ravel(${x}), axis: 0)[${(n - 1) >> 1}]`;
  }
  if (x.rank === 0) return `{ y0: ${x} * 1, y1: 0 as i32 }`;
  const axis = dim.number() < 0 ? dim.number() + x.rank : dim.number();
  const middle = ((x.shape[axis] ?? 1) - 1) >> 1;
  const item = a["keepdim"]!.boolean() ? `${middle}:${middle + 1}` : String(middle);
  const index = `[${x.shape.map((_, i) => (i === axis ? item : ":")).join(", ")}]`;
  return `let r = sort(${x}, axis: ${axis}, indices: true)\n  { y0: r.value${index}, y1: r.index${index} }`;
}

export const MASKED: RuleTable = {
  "masked.sum": [`sum${SIGNATURE}`, over("sum", "0.0")],
  "masked.prod": [`prod${SIGNATURE}`, over("prod", "1.0")],
  "masked.amax": [`amax${SIGNATURE}`, over("max", "-inf")],
  "masked.amin": [`amin${SIGNATURE}`, over("min", "inf")],
  "masked.mean": [`mean${SIGNATURE}`, (a) => `${over("sum", "0.0")(a)} / ${count(a)}`],
  "masked.logsumexp": [`logsumexp${SIGNATURE}`, over("logsumexp", "-inf")],
  "masked.norm": [
    "norm(input, ord, dim=None, *, keepdim=False, dtype=None, mask=None)",
    (a) => {
      // The smallest takes no notice of what is infinite; PyTorch puts a 0 in every other order, also in those below 0.
      const smallest = a["ord"]!.number() === Number.NEGATIVE_INFINITY;
      return over("norm", smallest ? "inf" : "0.0", `, ord: ${a["ord"]}`)(a);
    },
  ],
  "masked.var": [
    "var(input, dim=None, unbiased=True, *, keepdim=False, dtype=None, mask=None)",
    (a) => `${variance(a)}\n  v`,
  ],
  "masked.std": [
    "std(input, dim=None, unbiased=True, *, keepdim=False, dtype=None, mask=None)",
    (a) => `${variance(a)}\n  where(v == 0, 0.0, sqrt(v))`,
  ],
  "masked.cumsum": [
    "cumsum(input, dim, *, dtype=None, mask=None)",
    (a) => (a["input"]!.rank === 0 ? `${masked(a, "0.0")} * 1` : `cumsum(${masked(a, "0.0")}, axis: ${a["dim"]})`),
  ],
  "masked.softmax": ["softmax(input, dim, *, dtype=None, mask=None)", along("softmax", "-inf")],
  "masked.argmax": ["argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None)", over("argmax", "-inf")],
  "masked.argmin": ["argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None)", over("argmin", "inf")],
  "masked.cumprod": [
    "cumprod(input, dim, *, dtype=None, mask=None)",
    (a) => (a["input"]!.rank === 0 ? `${masked(a, "1.0")} * 1` : `cumprod(${masked(a, "1.0")}, axis: ${a["dim"]})`),
  ],
  "masked.softmin": ["softmin(input, dim, *, dtype=None, mask=None)", along("softmin", "inf")],
  "masked.log_softmax": ["log_softmax(input, dim, *, dtype=None, mask=None)", along("log_softmax", "-inf")],
  "masked.normalize": [
    "normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None)",
    (a) => {
      const x = a["input"]!;
      const text = a["mask"]!.isNone ? String(x) : masked(a, "0.0");
      if (x.rank > 0) return `normalize(${text}, ${a["ord"]}, ${a["dim"]}, ${a["eps"]})`;
      return `reshape(normalize(reshape(${text}, [1]), ${a["ord"]}, 0, ${a["eps"]}), [])`;
    },
  ],
  sort: ["sort(input, dim=-1, descending=False, stable=False)", sorted],
  msort: ["msort(input)", (a) => back(a["input"]!, `sort(${one(a["input"]!)}, axis: 0)`)],
  argsort: [
    "argsort(input, dim=-1, descending=False, stable=False)",
    (a) =>
      back(a["input"]!, `argsort(${one(a["input"]!)}, axis: ${a["dim"]}, descending: ${a["descending"]!.boolean()})`),
  ],
  topk: [
    "topk(input, k, dim=-1, largest=True, sorted=True)",
    (a) => {
      const x = a["input"]!;
      if (x.rank === 0) return `{ y0: ${x} * 1, y1: 0 as i32 }`;
      const axis = a["dim"]!.number() < 0 ? a["dim"]!.number() + x.rank : a["dim"]!.number();
      if (hasTies(x, axis)) throw new UnsupportedCall("positions of equal elements, whose order PyTorch leaves open");
      const index = `[${x.shape.map((_, i) => (i === axis ? `0:${a["k"]}` : ":")).join(", ")}]`;
      return `let r = sort(${x}, axis: ${axis}, descending: ${a["largest"]!.boolean(true)}, indices: true)\n  { y0: r.value${index}, y1: r.index${index} }`;
    },
  ],
  median: ["median(input, dim=None, keepdim=False)", median],
  logcumsumexp: [
    "logcumsumexp(input, dim)",
    (a) => (a["input"]!.rank === 0 ? `${a["input"]} * 1` : `logcumsumexp(${a["input"]}, axis: ${a["dim"]})`),
  ],
  diagonal_scatter: [
    "diagonal_scatter(input, src, offset=0, dim1=0, dim2=1)",
    (a) => {
      const x = a["input"]!;
      const k = a["offset"]!.number();
      const [d, e] = [axisAt(a["dim1"]!, x.rank), axisAt(a["dim2"]!, x.rank)];
      const names = x.shape.map((_, i) => `i${i}`);
      const others = names.filter((_, i) => i !== d && i !== e);
      const from = [...others, k < 0 ? names[e] : names[d]].join(", ");
      const over = names.map((n, i) => `${n} in 0..${x.shape[i]}`).join(", ");
      return `for[${over}] ${names[e]} - ${names[d]} == ${k} ? (${a["src"]}[${from}] ?? 0.0) : ${x}[${names.join(", ")}]`;
    },
  ],
  "nn.functional.grid_sample": [
    "grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=False)",
    (a) =>
      `grid_sample${a["input"]!.rank === 5 ? "3d" : ""}(${a["input"]}, ${a["grid"]}, ${a["mode"]}, ${a["padding_mode"]}, ${a["align_corners"]!.boolean()})`,
  ],
};
