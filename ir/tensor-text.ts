/**
 * What the printer and the parser of tensor programs share: words, and the monoids that have names.
 *
 * ```text
 * program mlp
 * monoid both: f32, f32 = max($0, $2), $1 + $3 identity -inf, 0.0 commutative
 * fact N >= 3 "at least three rows"
 * input x: f32[n:N, i:I]
 * z[n:N, d:D] = add(i:I) x[n, i] * w[i, d]              a map whose root is a reduction, as many results as slots
 * h[n:N, d:D] = max(z[n, d] + b[d], 0.0)                a map; several results are separated by commas
 * p[n:N] = let v = exp(x[n, 0]); v * v                  `let` names a shared subexpression
 * q[n:N] = 1.0 - add(i:I){x[n, i]}                      a reduction inside an expression; `.1` after it picks a slot
 * v, j[n:N] = argmax(k:K) e[n, k], k                    two results; `j` is slot 1
 * c[i:N] = scan add along i e[i]
 * u[r:R] = scatter add(i:N) at [t[i]] e[i] into v       or `set`, and `initial 0.0` where it is not the identity
 * r[i:N] = (x[i - 1, 0] ?? 0.0) + size(2 * N)           fill; an extent as an i32
 * loop index t count N max 100 {                        `carry`, `stack`; then the body; then `next`, `push`, `until`
 *   carry c: f32[n:N] = h0
 *   w[n:N] = c[n] * 2.0
 *   next c = w
 * }
 * result y = h
 * ```
 *
 * Constants carry their type: `1` i32, `1u` u32, `1.0` f32, `1.0h` f16, `inf nan infh nanh`, `true false`; casts are `f16(x)`.
 * Names with odd characters, and words of this list, stand in backticks. `@2` after a definition's axes is its epoch.
 */
import type { DType } from "./dtype.ts";
import { addMonoid, andMonoid, argMonoid, maxMonoid, minMonoid, mulMonoid, orMonoid } from "./monoid.ts";
import type { Monoid } from "./tensor.ts";

/** Words that no bare name may be. */
export const WORDS: ReadonlySet<string> = new Set(
  "program monoid fact input result loop index count max carry stack next push until let scan along scatter set at into initial identity commutative exact div size inf nan infh nanh true false bitcast f32 f16 i32 u32 bool".split(
    " ",
  ),
);

const STANDARD: Readonly<Record<string, (d: DType) => Monoid>> = {
  add: addMonoid,
  mul: mulMonoid,
  max: maxMonoid,
  min: minMonoid,
  and: andMonoid,
  or: orMonoid,
  argmax: (d) => argMonoid("max", d),
  argmin: (d) => argMonoid("min", d),
};
export const STANDARD_NAMES: ReadonlySet<string> = new Set(Object.keys(STANDARD));

/** The monoid of a standard name over a dtype (of its first slot). */
export function standardMonoid(name: string, dtype: DType): Monoid | undefined {
  if (!STANDARD_NAMES.has(name)) return undefined;
  if ((name === "and" || name === "or") !== (dtype === "bool")) return undefined;
  return STANDARD[name]?.(dtype);
}

export function isStandard(m: Monoid): boolean {
  const dtype = m.slots[0];
  return dtype !== undefined && standardMonoid(m.name, dtype) === m;
}
