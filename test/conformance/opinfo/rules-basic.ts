/** Elementwise operators, comparisons, reductions, scans. */
import { type Arg, type Bound, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";

/** Integers become floats where the result is one. */
const floated = (x: Arg): string => (x.isTensor && x.dtype !== "f32" ? `(${x} as f32)` : String(x));
/** Operators that give floats, whatever they are given. */
const FLOATS = new Set(
  "acos acosh asin asinh atan atanh cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 i0 lgamma log log10 log1p log2 rad2deg reciprocal rsqrt sigmoid sin sinc sinh sqrt tan tanh atan2 logaddexp logaddexp2 xlogy copysign".split(
    " ",
  ),
);
const unary = (names: string): RuleTable =>
  Object.fromEntries(
    names
      .split(" ")
      .map((n) => [
        n,
        [`${n}(input)`, (a: Bound) => `${n}(${FLOATS.has(n) ? floated(a["input"]!) : a["input"]})`] as const,
      ]),
  );
const binary = (names: string): RuleTable =>
  Object.fromEntries(
    names.split(" ").map((n) => {
      const of = FLOATS.has(n) ? floated : String;
      return [n, [`${n}(input, other)`, (a: Bound) => `${n}(${of(a["input"]!)}, ${of(a["other"]!)})`] as const];
    }),
  );
/** As an operand: a sign binds more loosely than `**`. */
const operand = (x: Arg): string => (x.isTensor ? String(x) : `(${x})`);
const infix = (ops: Readonly<Record<string, string>>, of: (x: Arg) => string = operand): RuleTable =>
  Object.fromEntries(
    Object.entries(ops).map(([n, op]) => [
      n,
      [`${n}(input, other)`, (a: Bound) => `${of(a["input"]!)} ${op} ${of(a["other"]!)}`] as const,
    ]),
  );

/** A scalar has one element: an axis of it is no axis. */
export function axisText(x: Arg, dim: Arg): string {
  if (x.rank === 0) return "None";
  if (dim.isList && dim.items.length === 0) return "None";
  return String(dim);
}
/** Of a scalar nothing is kept. */
export function keepText(x: Arg, keep: Arg): string {
  return x.rank === 0 ? "false" : String(keep.boolean());
}

const asBool = (x: Arg): string => (x.dtype === "bool" ? String(x) : `(${x} != 0)`);

/** A reduction over `dim`, of the input as `operand` writes it. */
const over =
  (name: string, extra = "", operand: (x: Arg) => string = String): ((a: Bound) => string) =>
  (a) =>
    `${name}(${operand(a["input"]!)}, axis: ${axisText(a["input"]!, a["dim"]!)}, keepdims: ${keepText(a["input"]!, a["keepdim"]!)}${extra})`;

/** `max(x, dim)` gives values and positions. */
const extremum =
  (which: "max" | "min") =>
  (a: Bound): string => {
    const [x, dim] = [a["input"]!, a["dim"]!];
    if (dim.isTensor) return `${which}(${x}, ${dim})`;
    if (dim.isNone) return `${which}(${x})`;
    if (x.rank === 0) return `{ y0: ${x}, y1: 0 as i32 }`;
    const keep = a["keepdim"]!.boolean();
    return `let p = arg${which}(${x}, axis: ${dim}, keepdims: true)\n  let v = take_along_axis(${x}, p, ${dim})\n  { y0: ${keep ? "v" : `squeeze(v, ${dim})`}, y1: ${keep ? "p" : `squeeze(p, ${dim})`} }`;
  };

/** `unbiased` and `correction` of var and std, with their first positional argument perhaps being `unbiased`. */
function spread(name: "var" | "std", mean: boolean): (a: Bound) => string {
  return (a) => {
    const x = a["input"]!;
    let [dim, unbiased] = [a["dim"]!, a["unbiased"]!];
    if (typeof dim.raw === "boolean") [unbiased, dim] = [dim, unbiased];
    const correction = a["correction"]!.isNone
      ? typeof unbiased.raw === "boolean" && !unbiased.raw
        ? 0
        : 1
      : a["correction"]!.number();
    const axis = typeof dim.raw === "boolean" ? "None" : axisText(x, dim);
    const keep = keepText(x, a["keepdim"]!);
    const value = `${name}(${x}, axis: ${axis}, keepdims: ${keep}, correction: ${correction})`;
    return mean ? `{ y0: ${value}, y1: mean(${x}, axis: ${axis}, keepdims: ${keep}) }` : value;
  };
}

const scalarScan =
  (name: string): ((a: Bound) => string) =>
  (a) =>
    a["input"]!.rank === 0 ? `${a["input"]} * 1` : `${name}(${a["input"]}, axis: ${a["dim"]})`;

export const BASIC: RuleTable = {
  ...unary(
    "abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor i0 isfinite isinf isnan lgamma log log10 log1p log2 rad2deg reciprocal relu rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc",
  ),
  ...binary("atan2 maximum minimum fmax fmin fmod remainder heaviside logaddexp logaddexp2 xlogy copysign"),
  ...infix({
    mul: "*",
    eq: "==",
    ne: "!=",
    lt: "<",
    le: "<=",
    gt: ">",
    ge: ">=",
    pow: "**",
    __radd__: "+",
    __rmul__: "*",
  }),
  ...infix({ true_divide: "/", float_power: "**" }, (x) => (x.isTensor ? floated(x) : `(${x})`)),
  neg: ["neg(input)", "-$input"],
  positive: ["positive(input)", "$input * 1"],
  add: ["add(input, other, *, alpha=1)", "$input + $alpha * $other"],
  sub: ["sub(input, other, *, alpha=1)", "$input - $alpha * $other"],
  rsub: ["rsub(input, other, alpha=1)", "$other - $alpha * $input"],
  __rsub__: ["__rsub__(input, other)", "$other - $input"],
  __rdiv__: [
    "__rdiv__(input, other)",
    (a) => `${a["other"]!.isTensor ? floated(a["other"]!) : operand(a["other"]!)} / ${floated(a["input"]!)}`,
  ],
  __rpow__: ["__rpow__(input, other)", (a) => `${operand(a["other"]!)} ** ${a["input"]}`],
  __rmatmul__: ["__rmatmul__(input, other)", "$other @ $input"],
  div: [
    "div(input, other, *, rounding_mode=None)",
    (a) => {
      const q = `${floated(a["input"]!)} / ${floated(a["other"]!)}`;
      const mode = a["rounding_mode"]!.string();
      return mode === "trunc" ? `trunc(${q})` : mode === "floor" ? `floor_divide(${a["input"]}, ${a["other"]})` : q;
    },
  ],
  floor_divide: ["floor_divide(input, other)", "floor_divide($input, $other)"],
  ldexp: [
    "ldexp(input, other)",
    (a) => `${a["input"]} * exp2(${a["other"]!.dtype === "f32" ? a["other"] : `(${a["other"]} as f32)`})`,
  ],
  lerp: ["lerp(input, end, weight)", "lerp($input, $end, $weight)"],
  addcmul: ["addcmul(input, tensor1, tensor2, *, value=1)", "$input + $value * $tensor1 * $tensor2"],
  addcdiv: ["addcdiv(input, tensor1, tensor2, *, value=1)", "$input + $value * $tensor1 / $tensor2"],
  clamp: ["clamp(input, min=None, max=None)", "clamp($input, min: $min, max: $max)"],
  clamp_min: ["clamp_min(input, min)", "clamp($input, min: $min)"],
  clamp_max: ["clamp_max(input, max)", "clamp($input, max: $max)"],
  isclose: [
    "isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False)",
    (a) => {
      const [x, y] = [a["input"], a["other"]];
      const nan = a["equal_nan"]!.boolean() ? ` || (isnan(${x}) && isnan(${y}))` : "";
      return `(${x} == ${y}) || (isfinite(${y}) && abs(${x} - ${y}) <= ${a["atol"]} + ${a["rtol"]} * abs(${y}))${nan}`;
    },
  ],
  logical_and: ["logical_and(input, other)", (a) => `${asBool(a["input"]!)} && ${asBool(a["other"]!)}`],
  logical_or: ["logical_or(input, other)", (a) => `${asBool(a["input"]!)} || ${asBool(a["other"]!)}`],
  logical_xor: ["logical_xor(input, other)", (a) => `${asBool(a["input"]!)} != ${asBool(a["other"]!)}`],
  logical_not: ["logical_not(input)", (a) => `!${asBool(a["input"]!)}`],
  logit: ["logit(input, eps=None)", "logit($input, $eps)"],
  nan_to_num: [
    "nan_to_num(input, nan=0.0, posinf=None, neginf=None)",
    (a) => {
      const most = 3.4028234663852886e38;
      const [x, high, low] = [a["input"], a["posinf"]!.number(most), a["neginf"]!.number(-most)];
      return `where(isnan(${x}), ${a["nan"]}, where(${x} == inf, ${high}, where(${x} == -inf, ${low}, ${x})))`;
    },
  ],
  round: [
    "round(input, *, decimals=0)",
    (a) => {
      const d = a["decimals"]!.number();
      const scale = 10 ** Math.abs(d);
      return d === 0
        ? `round(${a["input"]})`
        : d > 0
          ? `round(${a["input"]} * ${scale}) / ${scale}`
          : `round(${a["input"]} / ${scale}) * ${scale}`;
    },
  ],
  signbit: ["signbit(input)", "signbit($input)"],
  "special.entr": ["entr(input)", "entr($input)"],
  "special.ndtr": ["ndtr(input)", "ndtr($input)"],
  "special.log_ndtr": ["log_ndtr(input)", "log_ndtr($input)"],
  "special.xlog1py": ["xlog1py(input, other)", (a) => `xlog1py(${floated(a["input"]!)}, ${floated(a["other"]!)})`],
  where: ["where(input, condition, other)", "where($condition, $input, $other)"],
  masked_fill: ["masked_fill(input, mask, value)", "where($mask, $value, $input)"],
  fill: [
    "fill(input, value)",
    (a) => `full_like(${a["input"]}, ${a["value"]!.isTensor ? a["value"] : Number(a["value"]!.raw)})`,
  ],

  sum: ["sum(input, dim=None, keepdim=False, *, dtype=None)", over("sum")],
  nansum: ["nansum(input, dim=None, keepdim=False, *, dtype=None)", over("nansum")],
  nanmean: ["nanmean(input, dim=None, keepdim=False, *, dtype=None)", over("nanmean")],
  mean: ["mean(input, dim=None, keepdim=False, *, dtype=None)", over("mean")],
  prod: ["prod(input, dim=None, keepdim=False, *, dtype=None)", over("prod")],
  amax: ["amax(input, dim=None, keepdim=False)", over("max")],
  amin: ["amin(input, dim=None, keepdim=False)", over("min")],
  argmax: ["argmax(input, dim=None, keepdim=False)", over("argmax")],
  argmin: ["argmin(input, dim=None, keepdim=False)", over("argmin")],
  logsumexp: ["logsumexp(input, dim, keepdim=False)", over("logsumexp")],
  all: ["all(input, dim=None, keepdim=False)", over("all", "", asBool)],
  any: ["any(input, dim=None, keepdim=False)", over("any", "", asBool)],
  count_nonzero: [
    "count_nonzero(input, dim=None)",
    (a) => `sum(${asBool(a["input"]!)} as i32, axis: ${axisText(a["input"]!, a["dim"]!)})`,
  ],
  max: ["max(input, dim=None, keepdim=False)", extremum("max")],
  min: ["min(input, dim=None, keepdim=False)", extremum("min")],
  var: ["var(input, dim=None, unbiased=True, keepdim=False, *, correction=None)", spread("var", false)],
  std: ["std(input, dim=None, unbiased=True, keepdim=False, *, correction=None)", spread("std", false)],
  var_mean: ["var_mean(input, dim=None, unbiased=True, keepdim=False, *, correction=None)", spread("var", true)],
  std_mean: ["std_mean(input, dim=None, unbiased=True, keepdim=False, *, correction=None)", spread("std", true)],
  norm: [
    "norm(input, p='fro', dim=None, keepdim=False, *, dtype=None)",
    (a) => {
      const p = a["p"]!;
      if (p.raw === "nuc") throw new UnsupportedCall("the nuclear norm needs singular values");
      return over("norm", `, ord: ${typeof p.raw === "string" && p.raw === "fro" ? 2 : p}`)(a);
    },
  ],
  dist: ["dist(input, other, p=2)", "norm($input - $other, ord: $p)"],
  cumsum: ["cumsum(input, dim, *, dtype=None)", scalarScan("cumsum")],
  cumprod: ["cumprod(input, dim, *, dtype=None)", scalarScan("cumprod")],
};
