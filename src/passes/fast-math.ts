/**
 * `--fast-math`: primitives whose IEEE forms cost most are written by cheaper ones, as formulas that are equal over the reals. The pass
 * is in the list of passes or not; nothing after it knows of it, so intervals and error bounds are those of the formulas. What is given
 * up is in docs/numerics.md: NaN and -0 of extrema, powers of negative numbers, and accuracy where a formula cancels.
 */
import type { Prim } from "../../ir/prim.ts";
import { apply, constant, mapChildren, type Program, type TensorExpr } from "../../ir/tensor.ts";
import { mapProgram } from "../../ir/tensor-rebuild.ts";

type Operands = readonly [TensorExpr, TensorExpr];
type Row = (x: TensorExpr, y: TensorExpr) => TensorExpr;

const f32 = (value: number): TensorExpr => constant("f32", value);
const add = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("add", a, b);
const sub = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("sub", a, b);
const mul = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("mul", a, b);
const div = (a: TensorExpr, b: TensorExpr): TensorExpr => apply("div", a, b);
const exp = (x: TensorExpr): TensorExpr => apply("exp", x);
const log = (x: TensorExpr): TensorExpr => apply("log", x);
const rest = (x: TensorExpr, y: TensorExpr, quotient: "floor" | "trunc"): TensorExpr =>
  sub(x, mul(y, apply(quotient, div(x, y))));

/** Larger powers are exponentials: their products would be as dear. */
const MOST_FACTORS = 64;

/** xⁿ by squaring. */
function product(x: TensorExpr, n: number): TensorExpr {
  if (n === 1) return x;
  const half = product(x, Math.floor(n / 2));
  const square = mul(half, half);
  return n % 2 === 1 ? mul(square, x) : square;
}

function power(x: TensorExpr, y: TensorExpr): TensorExpr {
  const n = y.kind === "const" ? Math.abs(y.value) : Number.NaN;
  const inverse = y.kind === "const" && y.value < 0;
  if (n === 0) return f32(1);
  if (n === 0.5) return apply(inverse ? "rsqrt" : "sqrt", x);
  if (Number.isInteger(n) && n >= 1 && n <= MOST_FACTORS) {
    const made = product(x, n);
    return inverse ? div(f32(1), made) : made;
  }
  return apply("exp2", mul(y, apply("log2", x)));
}

/** Without rows: what WGSL's own functions are (`exp`, `sqrt`, …), and where no formula of others is cheaper (`sin`, `tanh`, `erf`, …). */
const ROWS: Partial<Readonly<Record<Prim, Row>>> = {
  max: (x, y) => apply("select", apply("lt", x, y), y, x),
  min: (x, y) => apply("select", apply("lt", y, x), y, x),
  pow: power,
  floordiv: (x, y) => apply("floor", div(x, y)),
  mod: (x, y) => rest(x, y, "floor"),
  rem: (x, y) => rest(x, y, "trunc"),
  expm1: (x) => sub(exp(x), f32(1)),
  log1p: (x) => log(add(f32(1), x)),
  sinh: (x) => mul(f32(0.5), sub(exp(x), exp(apply("neg", x)))),
  cosh: (x) => mul(f32(0.5), add(exp(x), exp(apply("neg", x)))),
  asinh: (x) => {
    const a = apply("abs", x);
    const made = log(add(a, apply("sqrt", add(mul(a, a), f32(1)))));
    return apply("select", apply("lt", x, f32(0)), apply("neg", made), made);
  },
  acosh: (x) => log(add(x, apply("sqrt", sub(mul(x, x), f32(1))))),
  atanh: (x) => mul(f32(0.5), log(div(add(f32(1), x), sub(f32(1), x)))),
};

/** Every expression of the program by the rows above, in f32; narrower floats overflow in them. Monoids stay what they are. */
export function fastMath(p: Program): Program {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (e: TensorExpr): TensorExpr => {
    const old = memo.get(e);
    if (old) return old;
    const inner = mapChildren(e, go);
    const row = inner.kind === "apply" && inner.dtype === "f32" ? ROWS[inner.prim] : undefined;
    const made = row && inner.kind === "apply" ? row(...(inner.args as Operands)) : inner;
    memo.set(e, made);
    return made;
  };
  return mapProgram(p, go);
}
