/** Ready-made monoids. Each is built once for a dtype, so reduces by it are equal by identity. */
import { type DType, isFloat } from "./dtype.ts";
import type { Prim } from "./prim.ts";
import { apply, arg, type Const, constant, type Monoid } from "./tensor.ts";

const made = new Map<string, Monoid>();
function once(key: string, build: () => Monoid): Monoid {
  const old = made.get(key);
  if (old) return old;
  const m = build();
  made.set(key, m);
  return m;
}

function simple(name: string, prim: Prim, dtype: DType, identity: Const, exact: boolean): Monoid {
  return once(`${name}:${dtype}`, () => ({
    name,
    slots: [dtype],
    identity: [identity],
    combine: [apply(prim, arg(0, dtype), arg(1, dtype))],
    commutative: true,
    exact,
  }));
}

/** The value that every other is at least (or most): ∓infinity for floats, the ends of the range for integers. */
export function extreme(dtype: DType, which: "lowest" | "highest"): Const {
  const high = which === "highest";
  if (isFloat(dtype)) return constant(dtype, high ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
  if (dtype === "i32") return constant(dtype, high ? 2147483647 : -2147483648);
  if (dtype === "u32") return constant(dtype, high ? 4294967295 : 0);
  return constant(dtype, high ? 1 : 0);
}

export function addMonoid(d: DType): Monoid {
  return simple("add", "add", d, constant(d, 0), !isFloat(d));
}
export function mulMonoid(d: DType): Monoid {
  return simple("mul", "mul", d, constant(d, 1), !isFloat(d));
}
/** NaN wins. */
export function maxMonoid(d: DType): Monoid {
  return simple("max", "max", d, extreme(d, "lowest"), true);
}
export function minMonoid(d: DType): Monoid {
  return simple("min", "min", d, extreme(d, "highest"), true);
}
export function andMonoid(): Monoid {
  return simple("and", "and", "bool", constant("bool", 1), true);
}
export function orMonoid(): Monoid {
  return simple("or", "or", "bool", constant("bool", 0), true);
}

/**
 * (value, index) pairs: the larger (smaller) value, NaN before everything, the smaller index among equals, so it commutes.
 * The identity's index is the largest i32, which loses every tie.
 */
export function argMonoid(which: "max" | "min", d: DType): Monoid {
  return once(`arg${which}:${d}`, () => {
    const [a, i, b, j] = [arg(0, d), arg(1, "i32"), arg(2, d), arg(3, "i32")];
    const better = apply(which === "max" ? "gt" : "lt", a, b);
    const tie = apply("and", apply("eq", a, b), apply("lt", i, j));
    let left = apply("or", better, tie);
    if (isFloat(d)) {
      const [na, nb] = [apply("isnan", a), apply("isnan", b)];
      // Left wins if it alone is NaN, or both are and its index is smaller, or neither is and it is better.
      left = apply(
        "select",
        na,
        apply("or", apply("not", nb), apply("lt", i, j)),
        apply("and", apply("not", nb), left),
      );
    }
    return {
      name: `arg${which}`,
      slots: [d, "i32"],
      identity: [extreme(d, which === "max" ? "lowest" : "highest"), constant("i32", 2147483647)],
      combine: [apply("select", left, a, b), apply("select", left, i, j)],
      commutative: true,
      exact: true,
    };
  });
}
