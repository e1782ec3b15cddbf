/**
 * Random numbers as pure functions of a key (`u32[2]`) and the row-major position in the result. Threefry-2×32 of the counter
 * (position, 0) gives two words; `uniform` takes the upper 24 bits of the first, so it is exact on every device.
 */
import type { Span } from "../../../grammar/span.ts";
import { type DType, isFloat, isInteger } from "../../../ir/dtype.ts";
import { type Extent, productExtent, size } from "../../../ir/extent.ts";
import { apply, applyTyped, cast, constant, type TensorExpr } from "../../../ir/tensor.ts";
import { describe, fail, toExtent } from "../convert.ts";
import type { Builder, Builtin, TensorValue, Value } from "../value.ts";
import { type Args, broadcastIndex, builtin, operand, present, table, toCount, toShape, unify } from "./common.ts";
import { linearIndex } from "./index-arithmetic.ts";
import { add, lit, mul, op, sub } from "./scalar.ts";

type Words = readonly [TensorExpr, TensorExpr];

/** The key's two words: of a u32[2], or of an integer seed. */
function keyOf(b: Builder, v: Value | undefined, span: Span): Words {
  if (v?.kind === "int") {
    const seed = v.extent.value ?? fail("EIN1502", "a seed is a constant", v.span, `found ${v.extent.text}`);
    return [constant("u32", Math.floor(seed / 2 ** 32)), constant("u32", seed)];
  }
  if (v?.kind !== "tensor" || v.dtype !== "u32" || v.shape.length !== 1)
    return fail("EIN1201", "a key is a u32[2], or an integer seed", v?.span ?? span, `found ${describe(v)}`);
  b.requireEqual(v.shape[0] as Extent, size(2), v.span, span, "the extent of a key");
  return [v.at([constant("i32", 0)]), v.at([constant("i32", 1)])];
}

function words(key: Words, position: TensorExpr, stream: number): Words {
  const counter = [cast(position, "u32"), constant("u32", stream)] as const;
  return [apply("threefry0", ...key, ...counter), apply("threefry1", ...key, ...counter)];
}

/** Multiples of 2^-24 in [0, 1), all exact in f32. */
function unit(bits: TensorExpr): TensorExpr {
  return mul(cast(apply("shr", bits, constant("u32", 8)), "f32"), 2 ** -24);
}

/** A tensor of the shape, made from the two words of each position. */
function draw(
  b: Builder,
  name: string,
  a: Args,
  span: Span,
  f: (w: Words, index: readonly TensorExpr[]) => TensorExpr,
): TensorValue {
  const key = keyOf(b, a["key"], span);
  const shape = toShape(a["shape"], span);
  b.requireAtLeast(size(2 ** 31 - 1), productExtent(shape), span, "the number of random numbers");
  return b.define(name, shape, (index) => f(words(key, linearIndex(index, shape), 0), index), span);
}

/** low + (high - low) · u for scalars that may be left out. */
function affine(a: Args, low: string, high: string, span: Span): (u: TensorExpr) => TensorExpr {
  if (!present(a[low]) && !present(a[high])) return (u) => u;
  const ends = [a[low] ?? { kind: "float", value: 0, span }, a[high] ?? { kind: "float", value: 1, span }] as const;
  const [p, q] = unify(ends, span, `${low} and ${high}`, "float").map((t) =>
    t.shape.length === 0 ? t.at([]) : fail("EIN1202", `${low} and ${high} are scalars`, t.span, describe(t)),
  ) as [TensorExpr, TensorExpr];
  return (u) => add(p, mul(sub(q, p), u));
}

/** Box–Muller: sqrt(-2 log u) cos(2πv), u in (0, 1]. */
function gauss([x, y]: Words): TensorExpr {
  const u = add(unit(x), 2 ** -24);
  return mul(apply("sqrt", mul(apply("log", u), -2)), apply("cos", mul(unit(y), 2 * Math.PI)));
}

/** As in JAX: two words modulo the range, so that the bias is below 2^-32 · range. */
function below([x, y]: Words, range: TensorExpr): TensorExpr {
  const half = op("mod", lit(range, 65536), range);
  const whole = op("mod", mul(half, half), range);
  return op("mod", add(mul(op("mod", x, range), whole), op("mod", y, range)), range);
}

function randint(b: Builder, a: Args, span: Span): Value {
  const [low, high] = unify([a["low"], a["high"]], span, "randint", "integer").map((t) =>
    t.shape.length === 0 ? t.at([]) : fail("EIN1202", "low and high are scalars", t.span, describe(t)),
  ) as [TensorExpr, TensorExpr];
  const ends = [a["low"], a["high"]].map((v) => (v?.kind === "int" ? toExtent(v, span, "an end").value : undefined));
  if (ends[0] !== undefined && ends[1] !== undefined && ends[1] <= ends[0])
    fail("EIN1503", "randint needs low below high", a["high"]?.span ?? span, `${ends[0]} to ${ends[1]}`);
  const bits = (e: TensorExpr): TensorExpr => (e.dtype === "u32" ? e : applyTyped("bitcast", [e], "u32"));
  return draw(b, "randint", a, span, (w) => {
    const offset = below(w, sub(bits(high), bits(low)));
    return low.dtype === "u32" ? add(low, offset) : add(low, applyTyped("bitcast", [offset], "i32"));
  });
}

/** A tensor of probabilities broadcasts to the shape. */
function bernoulli(b: Builder, a: Args, span: Span): Value {
  const p = operand(a["p"], span, "bernoulli", "float");
  const shape = toShape(
    present(a["shape"])
      ? a["shape"]
      : { kind: "list", items: p.shape.map((extent): Value => ({ kind: "int", extent, span })), span },
    span,
  );
  if (p.shape.length > shape.length) fail("EIN1202", "p has more axes than the shape", p.span, describe(p));
  p.shape.forEach((n, k) => {
    if (n.value !== 1)
      b.requireEqual(n, shape[shape.length - p.shape.length + k] as Extent, p.span, span, "an axis of p");
  });
  const list: Value = { kind: "list", items: shape.map((extent): Value => ({ kind: "int", extent, span })), span };
  return draw(b, "bernoulli", { ...a, shape: list }, span, ([x], index) =>
    apply("lt", unit(x), cast(p.at(broadcastIndex(p, index)), "f32")),
  );
}

/** New keys, independent of what the key itself draws: another stream of the counter. */
function splitKey(b: Builder, a: Args, span: Span): Value {
  const key = keyOf(b, a["key"], span);
  const n = present(a["count"]) ? toCount(a["count"], span, "count") : size(2);
  return b.define(
    "split_key",
    [n, size(2)],
    ([i, j]) => {
      const [x, y] = words(key, i as TensorExpr, 1);
      return apply("select", op("eq", j as TensorExpr, 0), x, y);
    },
    span,
  );
}

function asType(a: Args, fallback: DType, span: Span, need: "float" | "integer"): DType {
  const v = a["dtype"];
  if (!present(v)) return fallback;
  const d = v.kind === "string" ? v.value : "";
  if ((d === "f32" || d === "f16" || d === "i32" || d === "u32") && (need === "float" ? isFloat(d) : isInteger(d)))
    return d;
  return fail("EIN1503", `the dtype here is a ${need} type`, v.span ?? span, describe(v));
}

export const RANDOM: ReadonlyMap<string, Builtin> = table([
  builtin("bits", "key, shape", "u32 words, all 32 bits random", (b, a, span) => draw(b, "bits", a, span, ([x]) => x)),
  builtin(
    "uniform",
    "key, shape, low?, high?, dtype!",
    "multiples of 2^-24 from 0 to 1 (left out), or from low to high",
    (b, a, span) => {
      const [scale, d] = [affine(a, "low", "high", span), asType(a, "f32", span, "float")];
      return draw(b, "uniform", a, span, ([x]) => cast(scale(unit(x)), d));
    },
  ),
  builtin(
    "normal",
    "key, shape, mean?, std?, dtype!",
    "normally distributed, mean 0 and standard deviation 1 unless given",
    (b, a, span) => {
      const d = asType(a, "f32", span, "float");
      const scalar = (name: string): TensorExpr | undefined => {
        if (!present(a[name])) return undefined;
        const t = operand(a[name], span, "normal", "float");
        return t.shape.length === 0
          ? cast(t.at([]), "f32")
          : fail("EIN1202", `${name} is a scalar`, t.span, describe(t));
      };
      const [mean, std] = [scalar("mean"), scalar("std")];
      return draw(b, "normal", a, span, (w) => {
        let e = gauss(w);
        if (std) e = mul(e, std);
        return cast(mean ? add(e, mean) : e, d);
      });
    },
  ),
  builtin("bernoulli", "key, p, shape?", "true with probability p, which may be a tensor", bernoulli),
  builtin("randint", "key, shape, low, high", "integers from low to high (left out)", randint),
  builtin("exponential", "key, shape", "exponentially distributed with mean 1", (b, a, span) =>
    draw(b, "exponential", a, span, ([x]) => apply("neg", apply("log", add(unit(x), 2 ** -24)))),
  ),
  builtin("gumbel", "key, shape", "standard Gumbel distribution: -log(-log u)", (b, a, span) =>
    // u is the middle of its interval, so neither logarithm meets 0.
    draw(b, "gumbel", a, span, ([x]) =>
      apply(
        "neg",
        apply(
          "log",
          apply("neg", apply("log", add(mul(cast(apply("shr", x, constant("u32", 9)), "f32"), 2 ** -23), 2 ** -24))),
        ),
      ),
    ),
  ),
  builtin("split_key", "key, count?", "count (2) new keys, one a row", splitKey),
  builtin("key", "seed", "the key of an integer seed", (b, a, span) => {
    const [x, y] = keyOf(b, a["seed"], span);
    return b.view("u32", [size(2)], ([i]) => apply("select", op("eq", i as TensorExpr, 0), x, y), span, "key");
  }),
]);
