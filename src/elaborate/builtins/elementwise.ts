/** Functions of one element at a time. What is not a primitive is a short composition chosen for its numerics (docs: language). */
import type { Span } from "../../../grammar/span.ts";
import { isFloat } from "../../../ir/dtype.ts";
import { size } from "../../../ir/extent.ts";
import type { Prim } from "../../../ir/prim.ts";
import { apply, cast, constant, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, openTensor, openType, toInteger, toTensor } from "../convert.ts";
import type { Builtin, FloatValue, IntValue, TensorValue, Value } from "../value.ts";
import {
  type Args,
  builtin,
  type Class,
  elementwise,
  intValue,
  operand,
  present,
  table,
  toChoice,
  toDType,
  unify,
} from "./common.ts";
import { add, bitcast, div, lit, mul, op, select, sub } from "./scalar.ts";

// ---- Compositions -------------------------------------------------------------------------------------------------

/** 1 / (1 + e^-x) with the exponential of -|x|, so nothing overflows; chosen by `select` so that the derivative at 0 is 1/4. */
export function sigmoidOf(x: TensorExpr): TensorExpr {
  const positive = op("ge", x, 0);
  const t = apply("exp", select(positive, apply("neg", x), x));
  return div(select(positive, 1, t), add(t, 1));
}
/** max(x, 0) + log(1 + e^-|x|) */
function softplusOf(x: TensorExpr): TensorExpr {
  return add(op("max", x, 0), apply("log1p", apply("exp", apply("neg", apply("abs", x)))));
}
/** NaN stays NaN, and the derivative at 0 is 0. */
function reluOf(x: TensorExpr): TensorExpr {
  return select(op("le", x, 0), 0, x);
}
function geluOf(x: TensorExpr): TensorExpr {
  return mul(mul(x, 0.5), add(apply("erf", mul(x, Math.SQRT1_2)), 1));
}
function geluTanhOf(x: TensorExpr): TensorExpr {
  const inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(apply("tanh", inner), 1));
}
function isFiniteOf(x: TensorExpr): TensorExpr {
  return apply("not", apply("or", apply("isnan", x), apply("isinf", x)));
}
function signbitOf(x: TensorExpr): TensorExpr {
  return isFloat(x.dtype) ? op("lt", bitcast(cast(x, "f32"), "i32"), 0) : op("lt", x, 0);
}
/** The larger in magnitude carries the scale, so squares neither overflow nor vanish. */
function hypotOf(x: TensorExpr, y: TensorExpr): TensorExpr {
  const [a, b] = [apply("abs", x), apply("abs", y)];
  const [high, low] = [apply("max", a, b), apply("min", a, b)];
  const ratio = div(low, high);
  const plain = apply("or", op("eq", high, 0), apply("isinf", high));
  return select(plain, high, mul(high, apply("sqrt", add(mul(ratio, ratio), 1))));
}
/** m + log(1 + e^-|x - y|), or m alone where it is infinite. */
export function logAddExpOf(x: TensorExpr, y: TensorExpr): TensorExpr {
  const m = apply("max", x, y);
  const rest = apply("log1p", apply("exp", apply("neg", apply("abs", sub(x, y)))));
  return select(apply("isinf", m), m, add(m, rest));
}
function logAddExp2Of(x: TensorExpr, y: TensorExpr): TensorExpr {
  const m = apply("max", x, y);
  const rest = mul(apply("log1p", apply("exp2", apply("neg", apply("abs", sub(x, y))))), Math.LOG2E);
  return select(apply("isinf", m), m, add(m, rest));
}
/** The number that is not NaN, if one of them is not. */
function ignoringNan(prim: "max" | "min"): (x: TensorExpr, y: TensorExpr) => TensorExpr {
  return (x, y) =>
    isFloat(x.dtype)
      ? select(apply("isnan", x), y, select(apply("isnan", y), x, apply(prim, x, y)))
      : apply(prim, x, y);
}
/** x · f(y), and 0 where x is 0, whatever f(y) is; NaN in y stays. Where f(y) is finite it is the derivative by x, also at 0. */
function zeroTimes(f: (y: TensorExpr) => TensorExpr): (x: TensorExpr, y: TensorExpr) => TensorExpr {
  return (x, y) => {
    const z = f(y);
    const wild = apply("and", apply("not", isFiniteOf(z)), apply("not", apply("isnan", y)));
    return select(apply("and", op("eq", x, 0), wild), 0, mul(x, z));
  };
}
function truth(x: TensorExpr): TensorExpr {
  return x.dtype === "bool" ? x : op("ne", x, 0);
}

// ---- Tables -------------------------------------------------------------------------------------------------------

interface Unary {
  readonly need: Class;
  readonly f: (x: TensorExpr) => TensorExpr;
  /** On constants. */
  readonly fold?: (x: number) => number;
  readonly doc: string;
}
function prim1(name: Prim, doc: string, fold?: (x: number) => number, need: Class = "float"): Unary {
  return { need, f: (x) => apply(name, x), doc, ...(fold ? { fold } : {}) };
}
/** Rounding functions are the identity on integers. */
function rounding(name: Prim, doc: string, fold: (x: number) => number): Unary {
  return { need: "number", f: (x) => (isFloat(x.dtype) ? apply(name, x) : x), fold, doc };
}
function roundHalfEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

const UNARY: Readonly<Record<string, Unary>> = {
  exp: prim1("exp", "e to the x", Math.exp),
  exp2: prim1("exp2", "2 to the x", (x) => 2 ** x),
  expm1: prim1("expm1", "e^x - 1, accurate near 0", Math.expm1),
  log: prim1("log", "natural logarithm", Math.log),
  log2: prim1("log2", "logarithm to base 2", Math.log2),
  log10: { need: "float", f: (x) => mul(apply("log", x), Math.LOG10E), fold: Math.log10, doc: "logarithm to base 10" },
  log1p: prim1("log1p", "log(1 + x), accurate near 0", Math.log1p),
  sqrt: prim1("sqrt", "square root", Math.sqrt),
  rsqrt: prim1("rsqrt", "1 / sqrt(x)", (x) => 1 / Math.sqrt(x)),
  sin: prim1("sin", "sine of radians", Math.sin),
  cos: prim1("cos", "cosine of radians", Math.cos),
  tan: prim1("tan", "tangent of radians", Math.tan),
  asin: prim1("asin", "arc sine", Math.asin),
  acos: prim1("acos", "arc cosine", Math.acos),
  atan: prim1("atan", "arc tangent", Math.atan),
  sinh: prim1("sinh", "hyperbolic sine", Math.sinh),
  cosh: prim1("cosh", "hyperbolic cosine", Math.cosh),
  tanh: prim1("tanh", "hyperbolic tangent, never overflows", Math.tanh),
  asinh: prim1("asinh", "inverse hyperbolic sine", Math.asinh),
  acosh: prim1("acosh", "inverse hyperbolic cosine", Math.acosh),
  atanh: prim1("atanh", "inverse hyperbolic tangent", Math.atanh),
  erf: prim1("erf", "error function"),
  erfc: prim1("erfc", "1 - erf(x), accurate for large x"),
  floor: rounding("floor", "largest integer not above x", Math.floor),
  ceil: rounding("ceil", "smallest integer not below x", Math.ceil),
  trunc: rounding("trunc", "x without its fraction", Math.trunc),
  abs: prim1("abs", "magnitude", Math.abs, "number"),
  sign: prim1("sign", "-1, 0 or 1; NaN of NaN", Math.sign, "number"),
  negative: prim1("neg", "-x", (x) => -x, "number"),
  square: { need: "number", f: (x) => mul(x, x), fold: (x) => x * x, doc: "x * x" },
  reciprocal: { need: "float", f: (x) => div(1, x), fold: (x) => 1 / x, doc: "1 / x" },
  sigmoid: { need: "float", f: sigmoidOf, doc: "1 / (1 + exp(-x)), without overflow" },
  relu: { need: "number", f: reluOf, doc: "x where it is positive, else 0; NaN stays" },
  silu: { need: "float", f: (x) => mul(x, sigmoidOf(x)), doc: "x * sigmoid(x)" },
  isnan: { need: "number", f: (x) => (isFloat(x.dtype) ? apply("isnan", x) : constant("bool", 0)), doc: "is it NaN" },
  isinf: {
    need: "number",
    f: (x) => (isFloat(x.dtype) ? apply("isinf", x) : constant("bool", 0)),
    doc: "is it an infinity",
  },
  isfinite: {
    need: "number",
    f: (x) => (isFloat(x.dtype) ? isFiniteOf(x) : constant("bool", 1)),
    doc: "is it a finite number",
  },
  signbit: { need: "number", f: signbitOf, doc: "is the sign bit set (true for -0)" },
  logical_not: {
    need: "any",
    f: (x) => apply("not", truth(x)),
    doc: "!x, where a number counts as true unless it is 0",
  },
  bitwise_not: { need: "integer", f: (x) => apply("bitnot", x), doc: "all bits flipped" },
  popcount: { need: "integer", f: (x) => apply("popcount", x), doc: "number of bits set" },
  clz: { need: "integer", f: (x) => apply("clz", x), doc: "number of leading zero bits" },
  stop_gradient: { need: "any", f: (x) => apply("stopGradient", x), doc: "x, whose derivative counts as 0" },
};

interface Binary {
  readonly need: Class;
  readonly f: (x: TensorExpr, y: TensorExpr) => TensorExpr;
  readonly fold?: (x: number, y: number) => number;
  readonly doc: string;
}
function prim2(name: Prim, doc: string, need: Class = "number", fold?: (x: number, y: number) => number): Binary {
  return { need, f: (x, y) => apply(name, x, y), doc, ...(fold ? { fold } : {}) };
}

const BINARY: Readonly<Record<string, Binary>> = {
  pow: prim2("pow", "x ** y as in C", "number", (x, y) => (x === 1 ? 1 : x ** y)),
  atan2: prim2("atan2", "angle of the point (y, x), first argument y", "float", Math.atan2),
  maximum: prim2("max", "the larger; NaN if either is"),
  minimum: prim2("min", "the smaller; NaN if either is"),
  fmax: { need: "number", f: ignoringNan("max"), doc: "the larger; a NaN gives way" },
  fmin: { need: "number", f: ignoringNan("min"), doc: "the smaller; a NaN gives way" },
  remainder: prim2("mod", "x % y with the sign of y (Python)"),
  fmod: prim2("rem", "remainder with the sign of x (C)"),
  floor_divide: prim2("floordiv", "x div y, rounded to the floor"),
  hypot: { need: "float", f: hypotOf, doc: "sqrt(x² + y²) without overflow" },
  copysign: {
    need: "float",
    f: (x, y) => select(signbitOf(y), apply("neg", apply("abs", x)), apply("abs", x)),
    doc: "|x| with the sign of y",
  },
  heaviside: {
    need: "number",
    f: (x, y) => {
      const step = select(op("eq", x, 0), y, select(op("gt", x, 0), lit(x, 1), 0));
      return isFloat(x.dtype) ? select(apply("isnan", x), x, step) : step;
    },
    doc: "0 below 0, 1 above, y at 0",
  },
  logaddexp: { need: "float", f: logAddExpOf, doc: "log(exp(x) + exp(y)) without overflow" },
  logaddexp2: { need: "float", f: logAddExp2Of, doc: "log2(2^x + 2^y) without overflow" },
  xlogy: { need: "float", f: zeroTimes((y) => apply("log", y)), doc: "x * log(y), 0 where x is 0" },
  xlog1py: { need: "float", f: zeroTimes((y) => apply("log1p", y)), doc: "x * log1p(y), 0 where x is 0" },
  ldexp: { need: "float", f: (x, y) => mul(x, apply("exp2", y)), doc: "x * 2^y" },
  logical_and: { need: "any", f: (x, y) => apply("and", truth(x), truth(y)), doc: "x && y" },
  logical_or: { need: "any", f: (x, y) => apply("or", truth(x), truth(y)), doc: "x || y" },
  logical_xor: { need: "any", f: (x, y) => apply("ne", truth(x), truth(y)), doc: "is exactly one of them true" },
  bitwise_and: prim2("bitand", "x & y", "integer"),
  bitwise_or: prim2("bitor", "x | y", "integer"),
  bitwise_xor: prim2("bitxor", "x ^ y", "integer"),
  left_shift: prim2("shl", "x << y", "integer"),
  right_shift: prim2("shr", "x >> y", "integer"),
};

// ---- Builtins -----------------------------------------------------------------------------------------------------

/** The numbers behind constant arguments, if all of them are known. */
export function constants(values: readonly (Value | undefined)[]): readonly number[] | undefined {
  const out: number[] = [];
  for (const v of values) {
    if (v?.kind === "float") out.push(v.value);
    else if (v?.kind === "int" && v.extent.value !== undefined) out.push(v.extent.value);
    else return undefined;
  }
  return out;
}

/** A folded result: an integer if all arguments were and it is one, else a float. */
export function folded(value: number, ints: boolean, span: Span): FloatValue | IntValue {
  return ints && Number.isSafeInteger(value) ? intValue(size(value), span) : { kind: "float", value, span };
}

function unaryBuiltin(name: string, row: Unary): Builtin {
  return builtin(name, "x", row.doc, (b, a, span) => {
    const known = row.fold && constants([a["x"]]);
    if (row.fold && known)
      return folded(row.fold(known[0] as number), row.need === "number" && a["x"]?.kind === "int", span);
    return elementwise(b, name, [operand(a["x"], span, name, row.need)], (x) => row.f(x as TensorExpr), span);
  });
}

function binaryBuiltin(name: string, row: Binary): Builtin {
  return builtin(name, "x, y", row.doc, (b, a, span) => {
    const given = [a["x"], a["y"]];
    const known = row.fold && constants(given);
    if (row.fold && known)
      return folded(
        row.fold(known[0] as number, known[1] as number),
        row.need === "number" && given.every((v) => v?.kind === "int"),
        span,
      );
    return elementwise(
      b,
      name,
      unify(given, span, name, row.need),
      (x, y) => row.f(x as TensorExpr, y as TensorExpr),
      span,
    );
  });
}

/** At a bound the derivative is that of x (1), as in PyTorch; NaN stays. */
function clampBuild(b: Parameters<Builtin["build"]>[0], a: Args, span: Span): Value {
  const [low, high] = [a["min"], a["max"]];
  if (!present(low) && !present(high)) fail("EIN1501", "clamp needs `min`, `max` or both", span, "here");
  const known = constants([a["x"], ...[low, high].filter(present)]);
  const ints = [a["x"], low, high].filter(present).every((v) => v.kind === "int");
  if (known) {
    let value = known[0] as number;
    if (present(low)) value = Math.max(value, known[1] as number);
    if (present(high)) value = Math.min(value, known.at(-1) as number);
    return folded(value, ints, span);
  }
  const list = unify([a["x"], ...[low, high].filter(present)], span, "clamp", "number");
  return elementwise(
    b,
    "clamp",
    list,
    (x, p, q) => {
      let e = x as TensorExpr;
      const [lower, upper] = [present(low) ? p : undefined, present(high) ? (present(low) ? q : p) : undefined];
      // Integers have no derivative, and what max and min leave of their range is known: an index that is clamped is inside.
      const float = isFloat(e.dtype);
      if (lower) e = float ? select(apply("lt", e, lower), lower, e) : apply("max", e, lower);
      if (upper) e = float ? select(apply("gt", e, upper), upper, e) : apply("min", e, upper);
      return e;
    },
    span,
  );
}

const OTHERS: readonly Builtin[] = [
  builtin("clamp", "x, min?, max?", "x between min and max, either of which may be left out", clampBuild),
  builtin("clip", "x, min?, max?", "the same as clamp", clampBuild),
  builtin(
    "round",
    "x, decimals?",
    "nearest integer, halves to even; or to a number of decimal places",
    (b, a, span) => {
      const decimals = present(a["decimals"]) ? toInteger(a["decimals"], span, "decimals") : 0;
      const known = constants([a["x"]]);
      if (known && decimals === 0) return folded(roundHalfEven(known[0] as number), a["x"]?.kind === "int", span);
      const x = operand(a["x"], span, "round", "number");
      if (!isFloat(x.dtype)) return x;
      const scale = 10 ** Math.abs(decimals);
      return elementwise(
        b,
        "round",
        [x],
        (e) => {
          const v = e as TensorExpr;
          if (decimals === 0) return apply("round", v);
          return decimals > 0 ? div(apply("round", mul(v, scale)), scale) : mul(apply("round", div(v, scale)), scale);
        },
        span,
      );
    },
  ),
  builtin("gelu", "x, approximate?", 'x Φ(x), exact by erf, or approximate: "tanh"', (b, a, span) => {
    const how = toChoice(a["approximate"], ["none", "tanh"], "none", span, "approximate");
    const x = operand(a["x"], span, "gelu", "float");
    return elementwise(b, "gelu", [x], (e) => (how === "tanh" ? geluTanhOf : geluOf)(e as TensorExpr), span);
  }),
  builtin("softplus", "x, beta?", "log(1 + exp(beta x)) / beta, without overflow", (b, a, span) => {
    const list = unify([a["x"], ...(present(a["beta"]) ? [a["beta"]] : [])], span, "softplus", "float");
    return elementwise(
      b,
      "softplus",
      list,
      (x, beta) => (beta ? div(softplusOf(mul(x as TensorExpr, beta)), beta) : softplusOf(x as TensorExpr)),
      span,
    );
  }),
  builtin("where", "condition, x, y", "x where the condition holds, else y", (b, a, span) => {
    const c = operand(a["condition"], span, "the condition of where", "bool");
    const chosen = (given: readonly (Value | undefined)[]): TensorValue => {
      const [x, y] = unify(given, span, "where");
      if (!x || !y) return fail("EIN1501", "where needs three arguments", span);
      return elementwise(
        b,
        "where",
        [c, x, y],
        (p, u, v) => apply("select", p as TensorExpr, u as TensorExpr, v as TensorExpr),
        span,
      );
    };
    const given = [a["x"], a["y"]];
    const open = given.flatMap((v) => (v && openType(v)) ?? []);
    return open.length < 2 ? chosen(given) : openTensor(open, (d) => chosen(given.map((v) => toTensor(v, span, d))));
  }),
  builtin("bitcast", "x, dtype", 'the same 32 bits as another element type: bitcast(x, "i32")', (b, a, span) => {
    const x = operand(a["x"], span, "bitcast", "number");
    const dtype = toDType(a["dtype"], "i32", span);
    if (x.dtype === "f16" || dtype === "f16" || dtype === "bool")
      fail("EIN1201", "bitcast is between f32, i32 and u32", span, `${x.dtype} to ${dtype}`);
    return x.dtype === dtype ? x : elementwise(b, "bitcast", [x], (e) => bitcast(e as TensorExpr, dtype), span);
  }),
  builtin("lerp", "start, end, weight", "start + weight * (end - start)", (b, a, span) =>
    elementwise(
      b,
      "lerp",
      unify([a["start"], a["end"], a["weight"]], span, "lerp", "float"),
      (x, y, w) => add(x as TensorExpr, mul(w as TensorExpr, sub(y as TensorExpr, x as TensorExpr))),
      span,
    ),
  ),
  builtin(
    "nan_to_num",
    "x, nan?, posinf?, neginf?",
    "NaN becomes nan (0), infinities the largest finite numbers",
    (b, a, span) => {
      const x = operand(a["x"], span, "nan_to_num", "float");
      const top = x.dtype === "f16" ? 65504 : 3.4028234663852886e38;
      const value = (name: string, fallback: number): TensorExpr =>
        present(a[name]) ? toTensor(a[name], span, x.dtype).at([]) : constant(x.dtype, fallback);
      const [nan, high, low] = [value("nan", 0), value("posinf", top), value("neginf", -top)];
      return elementwise(
        b,
        "nan_to_num",
        [x],
        (e) => {
          const v = e as TensorExpr;
          return select(apply("isnan", v), nan, select(apply("isinf", v), select(op("gt", v, 0), high, low), v));
        },
        span,
      );
    },
  ),
];

export const ELEMENTWISE: ReadonlyMap<string, Builtin> = table([
  ...Object.entries(UNARY).map(([name, row]) => unaryBuiltin(name, row)),
  ...Object.entries(BINARY).map(([name, row]) => binaryBuiltin(name, row)),
  ...OTHERS,
]);
