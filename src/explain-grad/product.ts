/** Products of powers, and the expressions that stand for them. */
import { isFloat } from "../../ir/dtype.ts";
import { apply, childrenOf, constant, type TensorExpr } from "../../ir/tensor.ts";
import { countNodes } from "../passes/rewrite.ts";

/** coefficient · Π atom^power. Every float expression is one; a sum of several terms is an atom. */
export interface Product {
  readonly coefficient: number;
  readonly factors: ReadonlyMap<TensorExpr, number>;
}

export const ONE_PRODUCT: Product = { coefficient: 1, factors: new Map() };
export const NO_PRODUCT: Product = { coefficient: 0, factors: new Map() };
export const ofAtom = (e: TensorExpr): Product => ({ coefficient: 1, factors: new Map([[e, 1]]) });

export function isZero(p: Product): boolean {
  return p.coefficient === 0;
}

export function multiply(a: Product, b: Product, power = 1): Product {
  const factors = new Map(a.factors);
  for (const [e, p] of b.factors) {
    const sum = (factors.get(e) ?? 0) + power * p;
    if (sum === 0) factors.delete(e);
    else factors.set(e, sum > 1 && isIndicator(e) ? 1 : sum);
  }
  const coefficient = a.coefficient * b.coefficient ** power;
  return coefficient === 0 ? NO_PRODUCT : { coefficient, factors };
}

/** `c ? 1 : 0` */
export function isIndicator(e: TensorExpr): boolean {
  if (e.kind !== "apply" || e.prim !== "select") return false;
  const [, yes, no] = e.args;
  return yes?.kind === "const" && yes.value === 1 && no?.kind === "const" && no.value === 0;
}

export function isSum(e: TensorExpr): boolean {
  return e.kind === "apply" && e.prim === "add" && isFloat(e.dtype);
}

/** The terms of a sum in normal form. */
export function termsOf(e: TensorExpr): readonly TensorExpr[] {
  return e.kind === "apply" && isSum(e) ? e.args.flatMap(termsOf) : [e];
}

export const keyOf = (p: Product): string =>
  [...p.factors]
    .map(([e, n]) => `${e.id}^${n}`)
    .sort()
    .join(" ");

const ranks = new WeakMap<TensorExpr, string>();

/** What an expression is made of, its axes left out, so that terms stand in one order over whatever axes. */
function rankOf(e: TensorExpr): string {
  const old = ranks.get(e);
  if (old !== undefined) return old;
  const inner = childrenOf(e).map(rankOf).join(" ");
  const own = e.kind === "read" ? String(e.tensor.id).padStart(12, "0") : e.kind === "apply" ? e.prim : e.kind;
  const made = `${e.kind === "read" ? "a" : "b"}${own}(${inner})`;
  const short = made.length > MOST_RANK ? made.slice(0, MOST_RANK) : made;
  ranks.set(e, short);
  return short;
}
const MOST_RANK = 200;

function byRank(a: TensorExpr, b: TensorExpr): number {
  const [x, y] = [rankOf(a), rankOf(b)];
  return x < y ? -1 : x > y ? 1 : a.id - b.id;
}

export function compareKeys(a: Product, b: Product): number {
  const [x, y] = [a, b].map((p) => [...p.factors.keys()].sort(byRank)) as [TensorExpr[], TensorExpr[]];
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const [p, q] = [x[i], y[i]];
    // A term with more factors first; the constant is last.
    if (!p || !q) return p ? -1 : 1;
    const d = byRank(p, q);
    if (d !== 0) return d;
  }
  return 0;
}

export function weight(p: Product, dtype: TensorExpr["dtype"]): number {
  return countNodes([build(p, dtype)]);
}

/** A product as an expression: powers as `pow`, factors by age, so that equal products are one node. */
export function build(p: Product, dtype: TensorExpr["dtype"]): TensorExpr {
  if (isZero(p)) return constant(dtype, 0);
  const factors = [...p.factors]
    .sort(([a], [b]) => byRank(a, b))
    .map(([e, n]) => (n === 1 ? e : apply("pow", e, constant(e.dtype, n))));
  if (p.coefficient !== 1 || factors.length === 0) factors.unshift(constant(dtype, p.coefficient));
  return factors.reduce((a, b) => apply("mul", a, b));
}
