/** Finds values that the forward pass has a name for: `e[n, k] / s[n]` is `p[n, k]`, also where a sum stands between the two. */
import { isFloat } from "../../ir/dtype.ts";
import { ONE } from "../../ir/extent.ts";
import { type Axis, type Definition, i32, mapChildren, read, type TensorExpr } from "../../ir/tensor.ts";
import { isAddition } from "../passes/hoist.ts";
import type { Algebra } from "./algebra.ts";
import { build, multiply, type Product } from "./product.ts";

/** A definition of the forward pass with its value in normal form over its axes. */
export interface Pattern {
  readonly definition: Definition;
  readonly product: Product;
}

type Binding = Map<Axis, TensorExpr>;

/** Structural equality with the pattern's own axes as variables. */
function unify(pattern: TensorExpr, target: TensorExpr, axes: ReadonlySet<Axis>, bind: Binding): boolean {
  if (pattern.kind === "axis" && axes.has(pattern.axis)) {
    const old = bind.get(pattern.axis);
    if (old) return old === target;
    bind.set(pattern.axis, target);
    return true;
  }
  if (pattern === target) return pattern.kind !== "read" || pattern.at.length === 0 || fixes(pattern, axes, bind);
  if (pattern.kind !== target.kind || pattern.dtype !== target.dtype) return false;
  switch (pattern.kind) {
    case "apply":
      return (
        target.kind === "apply" &&
        pattern.prim === target.prim &&
        pattern.args.every((a, i) => unify(a, target.args[i]!, axes, bind))
      );
    case "read":
      return (
        target.kind === "read" &&
        pattern.tensor === target.tensor &&
        pattern.slot === target.slot &&
        pattern.fill === target.fill &&
        pattern.at.every((a, i) => unify(a, target.at[i]!, axes, bind))
      );
    case "reduce":
      return (
        target.kind === "reduce" &&
        pattern.monoid === target.monoid &&
        pattern.slot === target.slot &&
        pattern.axes.length === target.axes.length &&
        pattern.axes.every((a, i) => a === target.axes[i]) &&
        pattern.values.every((v, i) => unify(v, target.values[i]!, axes, bind))
      );
    default:
      return false;
  }
}

/** Identical nodes bind the axes inside to themselves. */
function fixes(e: TensorExpr, axes: ReadonlySet<Axis>, bind: Binding): boolean {
  if (e.kind === "axis") return !axes.has(e.axis) || unify(e, e, axes, bind);
  const children = e.kind === "apply" ? e.args : e.kind === "read" ? e.at : e.kind === "reduce" ? e.values : [];
  return children.every((c) => fixes(c, axes, bind));
}

/** The power of the whole pattern that stands in the target, and the axes of it; the factors are found one after the other. */
function find(
  pattern: Product,
  target: Product,
  axes: ReadonlySet<Axis>,
): { power: number; bind: Binding } | undefined {
  const wanted = [...pattern.factors];
  const go = (i: number, bind: Binding, power: number | undefined): { power: number; bind: Binding } | undefined => {
    const next = wanted[i];
    if (!next) return power === undefined ? undefined : { power, bind };
    const [atom, p] = next;
    for (const [e, n] of target.factors) {
      // √a names roots of a, not a itself.
      if (!Number.isInteger(p) && Number.isInteger(n) && n > 0) continue;
      const times = n / p;
      const whole = wanted.length === 1 ? times : Math.sign(times) * Math.floor(Math.abs(times));
      if (whole === 0 || !Number.isInteger(whole) || (power !== undefined && Math.sign(whole) !== Math.sign(power)))
        continue;
      const tried = new Map(bind);
      if (!unify(atom, e, axes, tried)) continue;
      const least = power === undefined ? whole : Math.sign(power) * Math.min(Math.abs(power), Math.abs(whole));
      const found = go(i + 1, tried, least);
      if (found) return found;
    }
    return undefined;
  };
  return go(0, new Map(), undefined);
}

/** Replaces the values of the patterns in an expression, the last pattern first. */
export function named(e: TensorExpr, patterns: readonly Pattern[], algebra: Algebra): TensorExpr {
  let made = e;
  for (const p of patterns) made = replace(made, p, algebra);
  return made;
}

function replace(e: TensorExpr, pattern: Pattern, algebra: Algebra): TensorExpr {
  const axes = new Set(pattern.definition.axes.filter((a) => a.extent !== ONE));
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    const old = memo.get(x);
    if (old) return old;
    const inner = mapChildren(x, go);
    const made = isFloat(inner.dtype) && inner.kind !== "const" ? swap(inner) : inner;
    memo.set(x, made);
    return made;
  };
  const reading = (bind: Binding): TensorExpr =>
    read(
      pattern.definition,
      0,
      pattern.definition.axes.map((a) => (a.extent === ONE ? i32(0) : bind.get(a)!)),
    );
  const swap = (x: TensorExpr): TensorExpr => {
    let product = algebra.product(x);
    for (let round = 0; round < 4; round++) {
      const found = find(pattern.product, product, axes);
      if (!found || found.bind.size < axes.size) break;
      const whole = substituteProduct(pattern.product, found.bind, algebra, x);
      product = multiply(multiply(product, whole, -found.power), algebra.product(reading(found.bind)), found.power);
    }
    product = intoSum(product, x);
    return build(product, x.dtype);
  };
  /** A part of the pattern outside a sum and the rest inside: what is outside goes in. */
  const intoSum = (p: Product, like: TensorExpr): Product => {
    if (pattern.product.factors.size < 2) return p;
    for (const [e, n] of p.factors) {
      if (e.kind !== "reduce" || n !== 1 || !isAddition(e)) continue;
      const rest: Product = { ...p, factors: new Map([...p.factors].filter(([f]) => f !== e)) };
      const inside = algebra.product(e.values[0]!);
      const both = multiply(inside, rest);
      const found = find(pattern.product, both, axes);
      if (!found || found.bind.size < axes.size || found.power !== 1) continue;
      const whole = substituteProduct(pattern.product, found.bind, algebra, like);
      // Something of it must be inside, and something outside; otherwise it was found before.
      const taken = [...whole.factors.keys()];
      if (!taken.some((f) => inside.factors.has(f)) || !taken.some((f) => rest.factors.has(f))) continue;
      const fromInside = new Map(taken.filter((f) => inside.factors.has(f)).map((f) => [f, whole.factors.get(f)!]));
      const fromRest = new Map(taken.filter((f) => !inside.factors.has(f)).map((f) => [f, whole.factors.get(f)!]));
      const body = multiply(
        multiply(inside, { coefficient: 1, factors: fromInside }, -1),
        algebra.product(reading(found.bind)),
      );
      const sum = algebra.sum(e.axes, body, e);
      const left = multiply(
        { ...rest, coefficient: rest.coefficient / whole.coefficient },
        { coefficient: 1, factors: fromRest },
        -1,
      );
      return intoSum(multiply(left, sum), like);
    }
    return p;
  };
  return go(e);
}

function substituteProduct(p: Product, bind: Binding, algebra: Algebra, like: TensorExpr): Product {
  const go = (x: TensorExpr): TensorExpr => (x.kind === "axis" ? (bind.get(x.axis) ?? x) : mapChildren(x, go));
  return algebra.product(go(build(p, like.dtype)));
}
