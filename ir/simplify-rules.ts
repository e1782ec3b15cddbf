/**
 * Local rewriting rules for scalar expressions: each looks at one `apply` whose operands are simplified already, and gives
 * what it becomes, or undefined. All keep the value exactly, for every input; floats are only ever folded where the operation is exact
 * (no algebra: x * 0 and x - x stay). Rules on index arithmetic are in ir/simplify-index.ts.
 */
import { isFloat, isInteger } from "./dtype.ts";
import { evaluatePrim } from "./evaluate.ts";
import { roundTo } from "./float.ts";
import type { Assumptions } from "./interval.ts";
import { intervalOf } from "./interval.ts";
import type { Prim } from "./prim.ts";
import { type Apply, apply, applyTyped, type Const, cast, constant, i32, type TensorExpr } from "./tensor.ts";

export type Rule = (e: Apply, a: Assumptions) => TensorExpr | undefined;

const TRUE: Const = constant("bool", 1);
const FALSE: Const = constant("bool", 0);

function isConst(e: TensorExpr | undefined, value: number): boolean {
  return e?.kind === "const" && Object.is(e.value, value);
}
export function truth(value: boolean): Const {
  return value ? TRUE : FALSE;
}

/** A constant that every device holds as written: a decimal such as 0.1 is rounded there, so nothing follows from it here. */
function representable(c: Const): boolean {
  return !isFloat(c.dtype) || Number.isNaN(c.value) || roundTo(c.dtype, c.value) === c.value;
}

const EXACT_ON_FLOATS: ReadonlySet<Prim> = new Set<Prim>([
  "neg",
  "abs",
  "sign",
  "min",
  "max",
  "floor",
  "ceil",
  "round",
  "trunc",
  "select",
  "eq",
  "ne",
  "lt",
  "le",
  "gt",
  "ge",
  "isnan",
  "isinf",
]);

/** Constant operands: integers and bools always, floats where the result is exact. */
export const foldConstants: Rule = (e) => {
  const args: Const[] = [];
  for (const a of e.args) {
    if (a.kind !== "const" || !representable(a)) return undefined;
    args.push(a);
  }
  if (e.prim === "bitcast" || e.prim === "stopGradient") return undefined;
  const values = args.map((a) => a.value);
  const result = evaluatePrim(
    e.prim,
    values,
    args.map((a) => a.dtype),
    e.dtype,
  );
  const floats = isFloat(e.dtype) || args.some((a) => isFloat(a.dtype));
  if (floats && !EXACT_ON_FLOATS.has(e.prim) && !(e.prim === "cast" && !isFloat(e.dtype))) {
    const [x = 0, y = 0] = values;
    if (e.prim === "add" || e.prim === "sub") {
      // The sum is exact if taking it apart again loses nothing.
      const b = e.prim === "add" ? y : -y;
      const back = result - x;
      if (x - (result - back) + (b - back) !== 0) return undefined;
    } else if (e.prim !== "mul" && e.prim !== "cast") return undefined;
    if (!Number.isFinite(result) || roundTo(e.dtype, result) !== result) return undefined;
    // A product that underflows in float64 only looks exact.
    if (e.prim === "mul" && result === 0 && x !== 0 && y !== 0) return undefined;
  }
  return constant(e.dtype, result);
};

/** x + 0, x * 1, x * 0, x - x, x div 1, x % 1 and the like, on integers. */
export const integerIdentities: Rule = (e) => {
  if (!isInteger(e.dtype) || e.args.length !== 2) return undefined;
  const [x, y] = e.args;
  if (!x || !y || x.dtype !== e.dtype) return undefined;
  const zero = constant(e.dtype, 0);
  switch (e.prim) {
    case "add":
      return isConst(x, 0) ? y : isConst(y, 0) ? x : undefined;
    case "sub":
      return isConst(y, 0) ? x : x === y ? zero : undefined;
    case "mul":
      if (isConst(x, 0) || isConst(y, 0)) return zero;
      return isConst(x, 1) ? y : isConst(y, 1) ? x : undefined;
    case "floordiv":
      return isConst(y, 1) ? x : isConst(x, 0) || isConst(y, 0) ? zero : undefined;
    case "mod":
    case "rem":
      return isConst(y, 1) || isConst(x, 0) || isConst(y, 0) ? zero : undefined;
    case "pow":
      return isConst(y, 1) ? x : isConst(y, 0) ? constant(e.dtype, 1) : undefined;
    case "bitand":
      return isConst(x, 0) || isConst(y, 0) ? zero : x === y ? x : undefined;
    case "bitor":
      return isConst(x, 0) ? y : isConst(y, 0) || x === y ? x : undefined;
    case "bitxor":
      return isConst(x, 0) ? y : isConst(y, 0) ? x : x === y ? zero : undefined;
    case "shl":
    case "shr":
      return isConst(y, 0) || isConst(x, 0) ? x : undefined;
    default:
      return undefined;
  }
};

/** x * 1, x / 1, x - 0: what is exact for NaN, infinities and the sign of zero too. (x + 0 is not: -0 becomes 0.) */
export const floatIdentities: Rule = (e) => {
  if (!isFloat(e.dtype) || e.args.length !== 2) return undefined;
  const [x, y] = e.args;
  if (!x || !y) return undefined;
  switch (e.prim) {
    case "mul":
      return isConst(x, 1) ? y : isConst(y, 1) ? x : undefined;
    case "div":
      return isConst(y, 1) ? x : undefined;
    case "sub":
      return y.kind === "const" && Object.is(y.value, 0) ? x : undefined;
    default:
      return undefined;
  }
};

/** -(-x), ~~x, !!x, abs(abs(x)), min(x, x), max(x, x): exact on floats too. */
export const involutions: Rule = (e) => {
  const [x, y] = e.args;
  if ((e.prim === "min" || e.prim === "max") && x === y) return x;
  if (x?.kind !== "apply") return undefined;
  if (x.prim === e.prim && (e.prim === "neg" || e.prim === "bitnot" || e.prim === "not")) return x.args[0];
  if (
    x.prim === e.prim &&
    (e.prim === "abs" || e.prim === "floor" || e.prim === "ceil" || e.prim === "round" || e.prim === "trunc")
  )
    return x;
  return undefined;
};

/** A known condition, equal branches, a negated condition, bool branches. */
export const selectRules: Rule = (e) => {
  if (e.prim !== "select") return undefined;
  const [c, x, y] = e.args;
  if (!c || !x || !y) return undefined;
  if (c.kind === "const") return c.value !== 0 ? x : y;
  if (x === y) return x;
  if (c.kind === "apply" && c.prim === "not" && c.args[0]) return apply("select", c.args[0], y, x);
  if (x === TRUE && y === FALSE) return c;
  if (x === FALSE && y === TRUE) return apply("not", c);
  // The same condition again inside a branch.
  if (x.kind === "apply" && x.prim === "select" && x.args[0] === c && x.args[1])
    return apply("select", c, x.args[1], y);
  if (y.kind === "apply" && y.prim === "select" && y.args[0] === c && y.args[2])
    return apply("select", c, x, y.args[2]);
  return undefined;
};

const NEGATED: Partial<Record<Prim, Prim>> = { eq: "ne", ne: "eq", lt: "ge", ge: "lt", gt: "le", le: "gt" };

/** and, or and not with constants, equal or opposite operands; not of a comparison (order on floats excepted: NaN). */
export const booleanLogic: Rule = (e) => {
  const [x, y] = e.args;
  if (e.prim === "not") {
    if (x?.kind !== "apply" || !x.args[0] || !x.args[1]) return undefined;
    const opposite = NEGATED[x.prim];
    if (!opposite || (isFloat(x.args[0].dtype) && x.prim !== "eq" && x.prim !== "ne")) return undefined;
    return apply(opposite, x.args[0], x.args[1]);
  }
  if ((e.prim !== "and" && e.prim !== "or") || !x || !y) return undefined;
  const [neutral, absorbing] = e.prim === "and" ? [TRUE, FALSE] : [FALSE, TRUE];
  if (x === neutral || x === y) return y;
  if (y === neutral) return x;
  if (x === absorbing || y === absorbing) return absorbing;
  if (isNot(x, y) || isNot(y, x)) return absorbing;
  return undefined;
};
function isNot(x: TensorExpr, y: TensorExpr): boolean {
  if (x.kind !== "apply") return false;
  if (x.prim === "not") return x.args[0] === y;
  const [a] = x.args;
  const opposite = NEGATED[x.prim];
  return (
    y.kind === "apply" &&
    opposite === y.prim &&
    a !== undefined &&
    !isFloat(a.dtype) &&
    x.args.every((v, i) => v === y.args[i])
  );
}

/** x == x and the like on integers and bools; comparing a bool with a constant; a cast bool with 0. */
export const trivialComparisons: Rule = (e) => {
  const [x, y] = e.args;
  if (!(e.prim in NEGATED) || !x || !y || isFloat(x.dtype)) return undefined;
  if (x === y) return truth(e.prim === "eq" || e.prim === "le" || e.prim === "ge");
  if (e.prim !== "eq" && e.prim !== "ne") return undefined;
  const same = e.prim === "eq";
  if (x.dtype === "bool") {
    if (y.kind === "const") return (y.value !== 0) === same ? x : apply("not", x);
    if (x.kind === "const") return (x.value !== 0) === same ? y : apply("not", y);
  }
  if (y.kind === "const" && x.kind === "apply" && x.prim === "cast" && x.args[0]?.dtype === "bool") {
    if (y.value === 0) return same ? apply("not", x.args[0]) : x.args[0];
    if (y.value === 1) return same ? x.args[0] : apply("not", x.args[0]);
    return truth(!same);
  }
  return undefined;
};

/** Casts that change nothing, and pairs of casts of which the first loses nothing. */
export const castRules: Rule = (e, a) => {
  const [x] = e.args;
  if (!x) return undefined;
  if (e.prim === "bitcast") {
    if (x.dtype === e.dtype) return x;
    return x.kind === "apply" && x.prim === "bitcast" && x.args[0] ? bitcastTo(x.args[0], e.dtype) : undefined;
  }
  if (e.prim !== "cast") return undefined;
  if (x.dtype === e.dtype) return x;
  if (x.kind !== "apply" || x.prim !== "cast") return undefined;
  const inner = x.args[0];
  if (!inner) return undefined;
  const from = inner.dtype;
  // bool → number → anything, and the narrow float through the wide one, lose nothing on the way.
  if (from === "bool" || (from === "f16" && x.dtype === "f32")) return e.dtype === from ? inner : cast(inner, e.dtype);
  // 32-bit integers wrap into each other and back.
  if (isInteger(from) && isInteger(x.dtype) && isInteger(e.dtype))
    return e.dtype === from ? inner : cast(inner, e.dtype);
  // Through a float that holds all of a small range.
  if (from === e.dtype && isInteger(from) && isFloat(x.dtype)) {
    const { low, high } = intervalOf(inner, a);
    const digits = x.dtype === "f32" ? 2 ** 24 : 2 ** 11;
    if (low?.value !== undefined && high?.value !== undefined && low.value >= -digits && high.value <= digits)
      return inner;
  }
  return undefined;
};
function bitcastTo(e: TensorExpr, dtype: TensorExpr["dtype"]): TensorExpr {
  return e.dtype === dtype ? e : applyTyped("bitcast", [e], dtype);
}

/** An axis of extent 1 stands at 0. */
export function unitAxis(e: TensorExpr): TensorExpr | undefined {
  return e.kind === "axis" && e.axis.extent.value === 1 ? i32(0) : undefined;
}
