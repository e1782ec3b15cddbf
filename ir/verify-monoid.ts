/** The laws of monoids (invariant 5 of ir/verify-tensor.ts), on sample values. */
import type { DType } from "./dtype.ts";
import { monoidFunction } from "./interpret-parts.ts";
import { childrenOf, type Monoid, type TensorExpr } from "./tensor.ts";

const SAMPLES: Readonly<Record<DType, readonly number[]>> = {
  f32: [0, 1, -2.5, 3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
  f16: [0, 1, -2.5, 3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
  i32: [0, 1, -7, 2147483647, -2147483648],
  u32: [0, 1, 7, 4294967295],
  bool: [0, 1],
};

export function monoidProblems(m: Monoid): string[] {
  const n = m.slots.length;
  const problems: string[] = [];
  const fits = (list: readonly { dtype: DType }[]): boolean =>
    list.length === n && list.every((e, i) => e.dtype === m.slots[i]);
  if (!fits(m.identity)) problems.push("the identity does not fit the slots");
  if (!fits(m.combine)) problems.push("the combine does not fit the slots");
  const seen = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "arg") {
      if (!(e.index >= 0 && e.index < 2 * n) || m.slots[e.index % n] !== e.dtype)
        problems.push(`$${e.index} is no ${e.dtype}`);
    } else if (e.kind !== "const" && e.kind !== "apply") problems.push(`the combine holds a ${e.kind}`);
    for (const c of childrenOf(e)) go(c);
  };
  for (const e of m.combine) go(e);
  // Tuples of several slots may be bound to each other (a count and a mean), so samples would not be fair.
  if (problems.length > 0 || n !== 1) return problems;
  const samples = SAMPLES[m.slots[0] ?? "f32"];
  const f = monoidFunction(m, "exact");
  const of = (a: number, b: number): number => {
    const out = [0];
    f.combine([a], [b], out);
    return out[0] ?? 0;
  };
  const e = f.identity[0] ?? 0;
  const same = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));
  for (const a of samples) {
    if (!same(of(e, a), a) || !same(of(a, e), a)) problems.push(`the identity changes ${a}`);
    for (const b of samples) {
      if (m.commutative && !same(of(a, b), of(b, a))) problems.push(`${a} and ${b} do not commute`);
      if (m.exact)
        for (const c of samples)
          if (!same(of(of(a, b), c), of(a, of(b, c)))) problems.push(`${a}, ${b} and ${c} do not regroup`);
    }
  }
  return problems;
}
