/**
 * The WGSL column of the primitive table: how each primitive is written, given its operands as WGSL. What WGSL cannot be
 * trusted with (numerics.md) goes through the helper library; what it gets right stays plain.
 */
import type { DType } from "../ir/dtype.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Lanes } from "../ir/kernel.ts";
import type { Prim } from "../ir/prim.ts";
import { uniformConstant } from "./fold.ts";
import type { HelperLibrary } from "./helpers/index.ts";
import { atom, type BinaryOp, binary, call, type LegalExpr, typeName } from "./legal.ts";
import type { Value } from "./value.ts";

export interface SpellContext {
  readonly args: readonly LegalExpr[];
  readonly values: readonly Value[];
  /** dtype of the value operands (of the branches, for `select`). */
  readonly from: DType;
  readonly to: DType;
  readonly lanes: Lanes;
  readonly helpers: HelperLibrary;
  /** f32 becomes f16 by a helper. */
  readonly halfByBits: boolean;
  /** A zero that no compiler knows to be one, f32. */
  readonly opaqueZero: () => LegalExpr;
}
type Spelling = (c: SpellContext) => LegalExpr;

const NAUGHT = atom("0");
const arg = (c: SpellContext, i: number): LegalExpr => c.args[i] ?? NAUGHT;

// ---- Literals and conversions

/** A number as a literal of the type; finite. Integers keep their type: u32 by suffix, the least i32 by a conversion. */
export function literalText(dtype: DType, value: number): string {
  switch (dtype) {
    case "bool":
      return value ? "true" : "false";
    case "u32":
      return `${value}u`;
    case "i32":
      return value === -2147483648 ? "i32(-2147483648)" : String(value);
    case "f32":
    case "f16": {
      const text = Object.is(value, -0) ? "-0.0" : String(value);
      return (/[.e]/.test(text) ? text : `${text}.0`) + (dtype === "f16" ? "h" : "");
    }
    default:
      return dtype satisfies never;
  }
}
function filled(dtype: DType, lanes: Lanes, text: string): LegalExpr {
  return lanes === 1 ? atom(text) : call(typeName(dtype, lanes), atom(text));
}
export function convert(to: DType, lanes: Lanes, value: LegalExpr): LegalExpr {
  return call(typeName(to, lanes), value);
}

function toHalf(c: SpellContext, wide: LegalExpr): LegalExpr {
  return c.halfByBits ? call(c.helpers.use("to_half", c.lanes), wide) : convert("f16", c.lanes, wide);
}

// ---- Ways to spell

/** A helper of f32 operands and result; f16 is computed in f32 and rounded once. */
function float(name: string): Spelling {
  return (c) => throughF32({ ...c, args: guardZero(c, [0, 1]) }, (args) => call(c.helpers.use(name, c.lanes), ...args));
}
function throughF32(c: SpellContext, build: (args: readonly LegalExpr[]) => LegalExpr): LegalExpr {
  if (c.from !== "f16") return build(c.args);
  const wide = build(c.args.map((a) => convert("f32", c.lanes, a)));
  return c.to === "f16" ? toHalf(c, wide) : wide;
}
function infix(op: BinaryOp): Spelling {
  return (c) => binary(op, arg(c, 0), arg(c, 1));
}
function builtin(name: string): Spelling {
  return (c) => call(name, ...c.args);
}
/** By the operands' dtype. */
function by(forFloat: Spelling, i32: Spelling, u32: Spelling): Spelling {
  return (c) => (isFloat(c.from) ? forFloat(c) : c.from === "i32" ? i32(c) : u32(c));
}
function helper(name: string): Spelling {
  return (c) => call(c.helpers.use(name, c.lanes), ...c.args);
}
/** Compilers take x + 0, 0 - x, x * 0 and 0 / x for x, -x, 0 and 0, which loses -0 and NaN: they must not see the zero. */
function guardZero(c: SpellContext, which: readonly (0 | 1)[]): readonly LegalExpr[] {
  if (!isFloat(c.from)) return c.args;
  return c.args.map((a, i) => {
    const v = c.values[i];
    // -0 is hidden already.
    if (!v || !Object.is(uniformConstant(v), 0) || !which.some((w) => w === i)) return a;
    const zero = c.from === "f16" ? call("f16", c.opaqueZero()) : c.opaqueZero();
    return c.lanes === 1 ? zero : call(typeName(c.from, c.lanes), zero);
  });
}
function arithmetic(op: BinaryOp, which: readonly (0 | 1)[]): Spelling {
  return (c) => {
    const of = ([a = NAUGHT, b = NAUGHT]: readonly LegalExpr[]): LegalExpr => binary(op, a, b);
    const args = guardZero(c, which);
    return c.halfByBits ? throughF32({ ...c, args }, of) : of(args);
  };
}
/** x - x is 0 only of finite x; compilers take it for 0. */
const zeroOrNan = (c: SpellContext, x: LegalExpr): LegalExpr => {
  const zero = c.opaqueZero();
  return call("abs", binary("*", x, c.from === "f16" ? call("f16", zero) : zero));
};
const isNegated = (v: Value | undefined, of: Value | undefined): boolean =>
  v?.kind === "apply" && v.prim === "neg" && v.args[0] === of;
const plus: Spelling = (c) => {
  const [a, b] = c.values;
  if (isFloat(c.from) && isNegated(b, a)) return zeroOrNan(c, arg(c, 0));
  if (isFloat(c.from) && isNegated(a, b)) return zeroOrNan(c, arg(c, 1));
  return arithmetic("+", [0, 1])(c);
};
const minus: Spelling = (c) =>
  isFloat(c.from) && c.values[0] === c.values[1] ? zeroOrNan(c, arg(c, 0)) : arithmetic("-", [0])(c);

// ---- Integers

/** The exponent if the value is a constant power of two in every lane. */
function powerOfTwo(v: Value | undefined): number | undefined {
  const k = v && uniformConstant(v);
  if (k === undefined || k < 1 || (k & (k - 1)) !== 0) return undefined;
  return Math.log2(k);
}
/** Is truncating division right: neither operand negative (a divisor that is an extent is not 0 where anything runs)? */
function truncates(c: SpellContext): boolean {
  const [a, b] = c.values;
  if (!a || !b) return false;
  const k = uniformConstant(b);
  if (c.from === "u32") return k !== undefined && k > 0;
  if (c.lanes !== 1) return false;
  return a.range[0] >= 0 && (k !== undefined ? k > 0 : b.range[0] >= 1 || (b.kind === "size" && b.range[0] >= 0));
}
const floordivInt: Spelling = (c) => {
  const k = powerOfTwo(c.values[1]);
  // An arithmetic shift rounds to the floor, whatever the sign.
  if (k !== undefined) return binary(">>", arg(c, 0), filled("u32", c.lanes, `${k}u`));
  if (truncates(c)) return binary("/", arg(c, 0), arg(c, 1));
  return call(c.helpers.use(`floordiv_${c.from}`, c.lanes), ...c.args);
};
const modInt: Spelling = (c) => {
  const k = powerOfTwo(c.values[1]);
  if (k !== undefined) return binary("&", arg(c, 0), filled(c.from, c.lanes, literalText(c.from, 2 ** k - 1)));
  if (truncates(c)) return binary("%", arg(c, 0), arg(c, 1));
  return call(c.helpers.use(c.from === "u32" ? "rem_u32" : "mod_i32", c.lanes), ...c.args);
};
const remInt: Spelling = (c) => {
  const b = c.values[1];
  const k = b && uniformConstant(b);
  if (truncates(c) || (k !== undefined && k !== 0 && k !== -1)) return binary("%", arg(c, 0), arg(c, 1));
  return call(c.helpers.use(`rem_${c.from}`, c.lanes), ...c.args);
};
function shift(op: "<<" | ">>"): Spelling {
  return (c) => {
    const b = c.values[1];
    const k = b && uniformConstant(b);
    if (k !== undefined) return binary(op, arg(c, 0), filled("u32", c.lanes, `${k & 31}u`));
    const amount = c.from === "u32" ? arg(c, 1) : convert("u32", c.lanes, arg(c, 1));
    return binary(op, arg(c, 0), binary("&", amount, filled("u32", c.lanes, "31u")));
  };
}

// ---- Comparisons

const asNumber = (c: SpellContext): readonly LegalExpr[] =>
  c.from === "bool" ? c.args.map((a) => convert("u32", c.lanes, a)) : c.args;
function compare(op: BinaryOp): Spelling {
  return (c) => {
    const [a = NAUGHT, b = NAUGHT] = asNumber(c);
    return binary(op, a, b);
  };
}
const not = (value: LegalExpr): LegalExpr => ({ kind: "unary", op: "!", value });
const isNan: Spelling = (c) => throughF32(c, (args) => call(c.helpers.use("is_nan", c.lanes), ...args));
/** Of a value with itself only NaN decides; compilers take it for decided. */
const equal: Spelling = (c) => {
  if (isFloat(c.from) && c.values[0] === c.values[1]) return not(isNan({ ...c, args: c.args.slice(0, 1) }));
  return binary("==", arg(c, 0), arg(c, 1));
};
const unequal: Spelling = (c) => (isFloat(c.from) ? not(equal(c)) : binary("!=", arg(c, 0), arg(c, 1)));
/**
 * Never `&&` and `||`: they are control flow, which compilers of software adapters pay for dearly (a kernel with fifty of them took
 * minutes), and both sides are pure.
 */
function logic(op: "&" | "|"): Spelling {
  return (c) => binary(op, arg(c, 0), arg(c, 1));
}

// ---- Floats

function extremum(which: "max" | "min"): Spelling {
  return (c) => {
    // The constant, if there is one, stands on the right.
    const [a, b] = c.values;
    const swap = a !== undefined && uniformConstant(a) !== undefined;
    const args = swap ? [arg(c, 1), arg(c, 0)] : [arg(c, 0), arg(c, 1)];
    const constant = swap ? a : b;
    const k = constant && uniformConstant(constant);
    return throughF32({ ...c, args }, (wide) => {
      const [x = NAUGHT, y = NAUGHT] = wide;
      // NaN and -0 come as hidden constants, which the general form takes.
      if (Object.is(k, 0)) return call(c.helpers.use(`${which}_zero`, c.lanes), x);
      const plain = k !== undefined && k !== 0 && !Number.isNaN(k);
      return call(c.helpers.use(plain ? `${which}_constant` : `${which}_ieee`, c.lanes), x, y);
    });
  };
}
/** Small constant exponents are products, which is what they round to at best. */
const powFloat: Spelling = (c) => {
  const b = c.values[1];
  const k = b && uniformConstant(b);
  const x = arg(c, 0);
  // The operand is used several times: only a name is worth repeating.
  if (x.kind === "atom" && c.from === "f32") {
    if (k === 1) return x;
    if (k === 2) return binary("*", x, x);
    if (k === 3) return binary("*", binary("*", x, x), x);
  }
  return float("pow_f32")(c);
};
const cast: Spelling = (c) => {
  const a = arg(c, 0);
  const { from, to, lanes } = c;
  if (from === to) return a;
  if (to === "bool") {
    if (isFloat(from)) return throughF32(c, (args) => call(c.helpers.use("is_nonzero", lanes), ...args));
    return binary("!=", a, filled(from, lanes, literalText(from, 0)));
  }
  if (isFloat(from) && !isFloat(to)) return throughF32(c, (args) => call(c.helpers.use(`to_${to}`, lanes), ...args));
  // Large integers round to f32 first and become infinite in f16.
  if (to === "f16" && from !== "f32" && from !== "bool") return convert("f16", lanes, convert("f32", lanes, a));
  return to === "f16" && from === "f32" ? toHalf(c, a) : convert(to, lanes, a);
};

const SPELL = {
  add: plus,
  sub: minus,
  mul: arithmetic("*", [0, 1]),
  div: arithmetic("/", [0, 1]),
  floordiv: by(float("floordiv_f32"), floordivInt, floordivInt),
  mod: by(float("mod_f32"), modInt, modInt),
  rem: by(float("rem_f32"), remInt, remInt),
  neg: (c) =>
    c.from === "u32"
      ? binary("-", filled("u32", c.lanes, "0u"), arg(c, 0))
      : { kind: "unary", op: "-", value: arg(c, 0) },
  abs: builtin("abs"),
  sign: by(float("sign_ieee"), builtin("sign"), (c) => call("min", arg(c, 0), filled("u32", c.lanes, "1u"))),
  min: by(extremum("min"), builtin("min"), builtin("min")),
  max: by(extremum("max"), builtin("max"), builtin("max")),
  pow: by(powFloat, helper("pow_i32"), helper("pow_u32")),
  exp: float("exp_ieee"),
  exp2: float("exp2_ieee"),
  expm1: float("expm1_ieee"),
  log: float("log_ieee"),
  log2: float("log2_ieee"),
  log1p: float("log1p_ieee"),
  sqrt: float("sqrt_ieee"),
  rsqrt: float("rsqrt_ieee"),
  sin: float("sin_ieee"),
  cos: float("cos_ieee"),
  tan: float("tan_ieee"),
  asin: float("asin_ieee"),
  acos: float("acos_ieee"),
  atan: float("atan_ieee"),
  atan2: float("atan2_ieee"),
  sinh: float("sinh_ieee"),
  cosh: float("cosh_ieee"),
  tanh: float("tanh_ieee"),
  asinh: float("asinh_ieee"),
  acosh: float("acosh_ieee"),
  atanh: float("atanh_ieee"),
  erf: float("erf_ieee"),
  erfc: float("erfc_ieee"),
  floor: builtin("floor"),
  ceil: builtin("ceil"),
  round: builtin("round"),
  trunc: builtin("trunc"),
  eq: equal,
  ne: unequal,
  lt: compare("<"),
  le: compare("<="),
  gt: compare(">"),
  ge: compare(">="),
  and: logic("&"),
  or: logic("|"),
  not: (c) => not(arg(c, 0)),
  bitand: infix("&"),
  bitor: infix("|"),
  bitxor: infix("^"),
  bitnot: (c) => ({ kind: "unary", op: "~", value: arg(c, 0) }),
  shl: shift("<<"),
  shr: shift(">>"),
  popcount: builtin("countOneBits"),
  clz: builtin("countLeadingZeros"),
  select: (c) => call("select", arg(c, 2), arg(c, 1), arg(c, 0)),
  cast,
  bitcast: (c) => (c.from === c.to ? arg(c, 0) : call(`bitcast<${typeName(c.to, c.lanes)}>`, arg(c, 0))),
  isnan: isNan,
  isinf: (c) => throughF32(c, (args) => call(c.helpers.use("is_inf", c.lanes), ...args)),
  // Both words come from one call, which codegen/place.ts writes.
  threefry0: (c) => ({ kind: "member", value: call(c.helpers.use("threefry", 1), ...c.args), member: "x" }),
  threefry1: (c) => ({ kind: "member", value: call(c.helpers.use("threefry", 1), ...c.args), member: "y" }),
  stopGradient: (c) => arg(c, 0),
} satisfies Record<Prim, Spelling>;

export function spell(prim: Prim, c: SpellContext): LegalExpr {
  return SPELL[prim](c);
}
/** Operators that take a vector and a scalar: a splat of the scalar need not be written. */
export const MIXED: ReadonlySet<Prim> = new Set<Prim>(["add", "sub", "mul", "div"]);
