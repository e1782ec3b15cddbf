/**
 * The derivative column of the primitive table: `partial(args, out, g)[i]` is g · ∂out/∂args[i], linear in g, so that one
 * table serves reverse mode (g a cotangent) and forward mode (g a tangent of operand i). Undefined: no derivative flows
 * (integers, booleans, steps). Conventions at ties and edges follow PyTorch's documentation: min and max of equal operands
 * split evenly, sign′ = floor′ = 0, abs′(0) = 0.
 */
import { isFloat } from "../../ir/dtype.ts";
import type { Prim } from "../../ir/prim.ts";
import { apply, cast, constant, type TensorExpr } from "../../ir/tensor.ts";

export type Partial = (
  args: readonly TensorExpr[],
  out: TensorExpr,
  g: TensorExpr,
) => readonly (TensorExpr | undefined)[];

const c = (like: TensorExpr, value: number): TensorExpr => constant(like.dtype, value);
const mul = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("mul", a, b);
const add = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("add", a, b);
const sub = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("sub", a, b);
const div = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("div", a, b);
const neg = (a: TensorExpr): TensorExpr => apply("neg", a);
const square = (a: TensorExpr): TensorExpr => mul(a, a);
const zeroIf = (cond: TensorExpr, x: TensorExpr): TensorExpr => apply("select", cond, c(x, 0), x);

const none: Partial = (args) => args.map(() => undefined);
/** Rules on one float operand. */
const unary =
  (f: (x: TensorExpr, y: TensorExpr, g: TensorExpr) => TensorExpr): Partial =>
  ([x], y, g) => [f(x!, y, g)];
/** Zero almost everywhere. */
const step: Partial = none;

/** The share of g that goes to the operand that wins; half at a tie; NaN operands get it all, as the result is theirs. */
const extremum: Partial = ([a, b], out, g) => {
  const half = mul(g, c(g, 0.5));
  const share = (x: TensorExpr, y: TensorExpr): TensorExpr =>
    apply(
      "select",
      apply("eq", x, y),
      half,
      apply("select", apply("or", apply("eq", x, out), apply("isnan", x)), g, c(g, 0)),
    );
  return [share(a!, b!), share(b!, a!)];
};

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

const RULES = {
  add: (_a, _o, g) => [g, g],
  sub: (_a, _o, g) => [g, neg(g)],
  mul: ([a, b], _o, g) => [mul(g, b!), mul(g, a!)],
  div: ([, b], out, g) => [div(g, b!), neg(div(mul(g, out), b!))],
  // x - y·floor(x/y), the floor constant.
  floordiv: step,
  mod: ([a, b], _o, g) => [g, neg(mul(g, apply("floor", div(a!, b!))))],
  rem: ([a, b], _o, g) => [g, neg(mul(g, apply("trunc", div(a!, b!))))],
  neg: (_a, _o, g) => [neg(g)],
  abs: unary((x, _y, g) => mul(g, apply("sign", x))),
  sign: step,
  min: extremum,
  max: extremum,
  // y·x^(y-1); at y = 0 it is 0 whatever x. The exponent's part exists for positive bases; at base 0 it is 0 for y ≥ 0.
  pow: ([x, y], out, g) => {
    const base = zeroIf(apply("eq", y!, c(y!, 0)), mul(g, mul(y!, apply("pow", x!, sub(y!, c(y!, 1))))));
    const zeroBase = apply("and", apply("eq", x!, c(x!, 0)), apply("ge", y!, c(y!, 0)));
    return [base, zeroIf(zeroBase, mul(g, mul(out, apply("log", x!))))];
  },
  exp: unary((_x, y, g) => mul(g, y)),
  exp2: unary((_x, y, g) => mul(g, mul(y, c(y, Math.LN2)))),
  expm1: unary((_x, y, g) => mul(g, add(y, c(y, 1)))),
  log: unary((x, _y, g) => div(g, x)),
  log2: unary((x, _y, g) => div(g, mul(x, c(x, Math.LN2)))),
  log1p: unary((x, _y, g) => div(g, add(x, c(x, 1)))),
  sqrt: unary((_x, y, g) => div(g, mul(y, c(y, 2)))),
  rsqrt: unary((x, y, g) => mul(g, mul(c(y, -0.5), div(y, x)))),
  sin: unary((x, _y, g) => mul(g, apply("cos", x))),
  cos: unary((x, _y, g) => neg(mul(g, apply("sin", x)))),
  tan: unary((_x, y, g) => mul(g, add(square(y), c(y, 1)))),
  asin: unary((x, _y, g) => mul(g, apply("rsqrt", sub(c(x, 1), square(x))))),
  acos: unary((x, _y, g) => neg(mul(g, apply("rsqrt", sub(c(x, 1), square(x)))))),
  atan: unary((x, _y, g) => div(g, add(square(x), c(x, 1)))),
  // atan2(y, x)
  atan2: ([y, x], _o, g) => {
    const r = add(square(x!), square(y!));
    return [div(mul(g, x!), r), neg(div(mul(g, y!), r))];
  },
  sinh: unary((x, _y, g) => mul(g, apply("cosh", x))),
  cosh: unary((x, _y, g) => mul(g, apply("sinh", x))),
  tanh: unary((_x, y, g) => mul(g, sub(c(y, 1), square(y)))),
  asinh: unary((x, _y, g) => mul(g, apply("rsqrt", add(square(x), c(x, 1))))),
  acosh: unary((x, _y, g) => mul(g, mul(apply("rsqrt", sub(x, c(x, 1))), apply("rsqrt", add(x, c(x, 1)))))),
  atanh: unary((x, _y, g) => div(g, sub(c(x, 1), square(x)))),
  erf: unary((x, _y, g) => mul(g, mul(c(x, TWO_OVER_SQRT_PI), apply("exp", neg(square(x)))))),
  erfc: unary((x, _y, g) => neg(mul(g, mul(c(x, TWO_OVER_SQRT_PI), apply("exp", neg(square(x))))))),
  floor: step,
  ceil: step,
  round: step,
  trunc: step,
  eq: none,
  ne: none,
  lt: none,
  le: none,
  gt: none,
  ge: none,
  and: none,
  or: none,
  not: none,
  bitand: none,
  bitor: none,
  bitxor: none,
  bitnot: none,
  shl: none,
  shr: none,
  popcount: none,
  clz: none,
  // Reverse mode handles select itself, by conditions on paths; this is the plain rule for forward mode.
  select: ([cond], _o, g) => [undefined, apply("select", cond!, g, c(g, 0)), apply("select", cond!, c(g, 0), g)],
  cast: ([x], _o, g) => [isFloat(x!.dtype) && isFloat(g.dtype) ? cast(g, x!.dtype) : undefined],
  bitcast: none,
  isnan: none,
  isinf: none,
  threefry0: none,
  threefry1: none,
  stopGradient: none,
} satisfies Record<Prim, Partial>;

export const PARTIALS: Readonly<Record<Prim, Partial>> = RULES;
