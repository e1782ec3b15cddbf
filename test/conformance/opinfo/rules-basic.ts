/** Elementwise operators and reductions. */
import type { RuleTable } from "./rules.ts";

const unary = (names: string): RuleTable => Object.fromEntries(names.split(" ").map((n) => [n, [`${n}(input)`, `${n}($input)`] as const]));

export const BASIC: RuleTable = {
  ...unary("abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor i0 isfinite isinf isnan lgamma log log10 log1p log2 neg rad2deg reciprocal relu rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc"),
  positive: ["positive(input)", "$input"],
  add: ["add(input, other, *, alpha=1)", "$input + $alpha * $other"],
  sum: ["sum(input, dim=None, keepdim=False, *, dtype=None)", "sum($input, axis: $dim, keepdims: $keepdim)"],
};
