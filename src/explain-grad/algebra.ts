/**
 * Expressions in the algebra of real, finite numbers, for reading: a normal form in which sums of products are gathered, common
 * factors stand outside, factors leave the sums that do not bind them, and Kronecker deltas are solved. It is for print alone:
 * what runs keeps to the licences of floating point.
 */
import { isFloat } from "../../ir/dtype.ts";
import { type Extent, mulExtent, ONE } from "../../ir/extent.ts";
import { assumptionsOf } from "../../ir/interval.ts";
import { addMonoid } from "../../ir/monoid.ts";
import { simplifier } from "../../ir/simplify.ts";
import {
  type Apply,
  type Axis,
  apply,
  axis,
  cast,
  constant,
  i32,
  type Monoid,
  mapChildren,
  type Program,
  type Read,
  type Reduce,
  reduce,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { simplifyIndex } from "../passes/affine.ts";
import { isAddition } from "../passes/hoist.ts";
import { normalIndices, substitute } from "../passes/inline.ts";
import { axesIn, freshAxes, renameAxes } from "../passes/rewrite.ts";
import { assuming, condition, negated, testsOf, truthOf } from "./conditions.ts";
import {
  build,
  compareKeys,
  isIndicator,
  isSum,
  isZero,
  keyOf,
  multiply,
  NO_PRODUCT,
  ONE_PRODUCT,
  ofAtom,
  type Product,
  termsOf,
  weight,
} from "./product.ts";

/** One call of `explainGradient`: remembers what it has done, and numbers bound axes so that equal sums are one node. */
export class Algebra {
  readonly #simplified: (e: TensorExpr) => TensorExpr;
  readonly #memo = new Map<TensorExpr, Product>();
  readonly #built = new Map<TensorExpr, TensorExpr>();
  readonly #bound = new Map<string, Axis>();
  readonly #levels = new Map<TensorExpr, number>();
  readonly #sums = new Set<TensorExpr>();

  /** What the program's facts say of its sizes helps with indices. */
  constructor(p: Program) {
    this.#simplified = simplifier(assumptionsOf(p));
  }

  /** The normal form as an expression. */
  tidy(e: TensorExpr): TensorExpr {
    const old = this.#built.get(e);
    if (old) return old;
    const made = isFloat(e.dtype) ? build(this.product(e), e.dtype) : this.#other(e);
    this.#built.set(e, made);
    this.#built.set(made, made);
    return made;
  }

  /** Integers, booleans and indices: what is inside them is brought into normal form. */
  #other(e: TensorExpr): TensorExpr {
    if (e.kind === "axis") return e.axis.extent === ONE ? i32(0) : e;
    if (e.dtype === "bool") {
      const made = condition(e, (x) => this.tidy(x));
      return made.kind === "apply" && made.args.every((x) => x.dtype === "i32") ? this.#simplified(made) : made;
    }
    if (e.kind === "read") return normalIndices(mapChildren(e, (x) => this.tidy(x)) as typeof e);
    if (e.kind === "reduce")
      return this.#bind(
        e.monoid,
        e.axes,
        e.values.map((v) => this.tidy(v)),
        e.slot,
      );
    return simplifyIndex(this.#simplified(mapChildren(e, (x) => this.tidy(x))));
  }

  product(e: TensorExpr): Product {
    const old = this.#memo.get(e);
    if (old) return old;
    const made = this.#normal(e);
    this.#memo.set(e, made);
    return made;
  }

  #normal(e: TensorExpr): Product {
    switch (e.kind) {
      case "const":
        return Number.isFinite(e.value) ? { coefficient: e.value, factors: new Map() } : ofAtom(e);
      case "read":
        return ofAtom(this.#other(e));
      case "reduce":
        if (isAddition(e)) return this.sum(e.axes, this.product(e.values[0]!), e);
        return ofAtom(
          this.#bind(
            e.monoid,
            e.axes,
            e.values.map((v) => this.tidy(v)),
            e.slot,
          ),
        );
      case "apply":
        return this.#apply(e);
      default:
        return ofAtom(e);
    }
  }

  #apply(e: Apply): Product {
    const [a, b] = e.args as [TensorExpr, TensorExpr];
    switch (e.prim) {
      case "add":
        return this.add([this.product(a), this.product(b)], e);
      case "sub":
        return this.add([this.product(a), multiply(this.product(b), { ...ONE_PRODUCT, coefficient: -1 })], e);
      case "neg":
        return multiply(this.product(a), { ...ONE_PRODUCT, coefficient: -1 });
      case "mul":
        return this.#settled(multiply(this.product(a), this.product(b)), e.dtype);
      case "div":
        return isZero(this.product(b)) ? ofAtom(e) : multiply(this.product(a), this.product(b), -1);
      case "sqrt":
        return this.#power(this.product(a), 0.5, e);
      case "rsqrt":
        return this.#power(this.product(a), -0.5, e);
      case "pow":
        return b.kind === "const" && Number.isInteger(2 * b.value) && b.value !== 0
          ? this.#power(this.product(a), b.value, e)
          : this.#function(e);
      case "stopGradient":
        return this.product(a);
      case "select":
        return this.#select(e);
      case "cast":
        // Rounding to another float type is not arithmetic of real numbers.
        return isFloat(a.dtype) ? this.product(a) : ofAtom(cast(this.tidy(a), e.dtype));
      default:
        return this.#function(e);
    }
  }

  /** Where a condition guards a product it holds in the other factors. */
  #settled(p: Product, dtype: TensorExpr["dtype"]): Product {
    for (const [guard] of p.factors) {
      if (guard.kind !== "apply" || !isIndicator(guard)) continue;
      const rest: Product = { ...p, factors: new Map([...p.factors].filter(([e]) => e !== guard)) };
      const before = build(rest, dtype);
      const after = testsOf(guard.args[0]!).reduce((e, t) => assuming(e, t, true), before);
      if (after !== before) return this.#settled(multiply(this.product(after), ofAtom(guard)), dtype);
    }
    return p;
  }

  #function(e: Apply): Product {
    return ofAtom(mapChildren(e, (x) => this.tidy(x)));
  }

  #power(p: Product, n: number, e: Apply): Product {
    if (isZero(p)) return n > 0 ? NO_PRODUCT : this.#function(e);
    if (Number.isInteger(n)) return multiply(ONE_PRODUCT, p, n);
    const factors = [...p.factors];
    const [only] = factors;
    // √(a²) is |a|, but √a has no other sign to lose.
    if (only && factors.length === 1 && (only[1] === 1 || !Number.isInteger(only[1])) && p.coefficient > 0)
      return { coefficient: p.coefficient ** n, factors: new Map([[only[0], only[1] * n]]) };
    if (p.coefficient > 0)
      return {
        coefficient: p.coefficient ** n,
        factors: new Map([[build({ ...p, coefficient: 1 }, e.dtype), n]]),
      };
    return this.#function(e);
  }

  // ---- Sums ---------------------------------------------------------------------------------------------------------

  /** Like terms gathered and common factors taken out. Terms that are sums themselves are opened where that is shorter. */
  add(terms: readonly Product[], like: TensorExpr): Product {
    const closed = this.#gather(terms, like.dtype);
    const opened = terms.flatMap((t) => this.#opened(t));
    if (opened.length === terms.length) return closed;
    const other = this.#gather(opened, like.dtype);
    return weight(other, like.dtype) < weight(closed, like.dtype) ? other : closed;
  }

  /** Like terms as ONE_PRODUCT, and what all have in common outside. */
  #gather(terms: readonly Product[], dtype: TensorExpr["dtype"]): Product {
    const like = new Map<string, { coefficient: number; size: number; factors: Product["factors"] }>();
    for (const t of terms) {
      const old = like.get(keyOf(t));
      if (old) {
        old.coefficient += t.coefficient;
        old.size += Math.abs(t.coefficient);
      } else like.set(keyOf(t), { coefficient: t.coefficient, size: Math.abs(t.coefficient), factors: t.factors });
    }
    // 0.1 + 0.2 - 0.3 is 0 to a reader.
    const kept: Product[] = [...like.values()].filter((t) => Math.abs(t.coefficient) > 1e-14 * t.size);
    const [first] = kept;
    if (!first) return NO_PRODUCT;
    if (kept.length === 1) return { coefficient: first.coefficient, factors: first.factors };
    let common: Product = ONE_PRODUCT;
    for (const [e] of first.factors) {
      const powers = kept.map((t) => t.factors.get(e) ?? 0);
      const least = powers.every((p) => p > 0)
        ? Math.min(...powers)
        : powers.every((p) => p < 0)
          ? Math.max(...powers)
          : 0;
      if (least !== 0) common = multiply(common, { coefficient: 1, factors: new Map([[e, least]]) });
    }
    const rest = kept.map((t) => multiply(t, common, -1));
    const magnitude = Math.abs(rest[0]!.coefficient);
    const even = rest.every((t) => Math.abs(t.coefficient) === magnitude);
    const by = (even ? magnitude : 1) * (rest.some((t) => t.coefficient > 0) ? 1 : -1);
    const sumOf = (sign: number): TensorExpr =>
      [...rest]
        .sort(compareKeys)
        .map((t) => build({ ...t, coefficient: (sign * t.coefficient) / by }, dtype))
        .reduce((a, b) => apply("add", a, b));
    // a - b and b - a are one node, the one that was met first.
    const [same, opposite] = [sumOf(1), sumOf(-1)];
    if (this.#sums.has(opposite)) return multiply({ ...common, coefficient: -by }, ofAtom(opposite));
    this.#sums.add(same);
    return multiply({ ...common, coefficient: by }, ofAtom(same));
  }

  #opened(p: Product): readonly Product[] {
    const sums = [...p.factors].filter(([e]) => isSum(e));
    const [only] = sums;
    if (!only || sums.length !== 1 || only[1] !== 1) return [p];
    const rest: Product = { ...p, factors: new Map([...p.factors].filter(([e]) => e !== only[0])) };
    return termsOf(only[0]).map((t) => multiply(this.product(t), rest));
  }

  /** Σ over the axes of a product: what is free of an axis leaves, a delta of it is solved, what is left is bound. */
  sum(axes: readonly Axis[], body: Product, like: Reduce): Product {
    if (isZero(body)) return NO_PRODUCT;
    const solved = this.#solveDelta(axes, body);
    if (solved) return this.sum(solved.axes, solved.body, like);
    const split = this.#splitTerms(axes, body);
    if (split)
      return this.add(
        split.map((t) => this.sum(axes, t, like)),
        like,
      );
    let outside: Product = { coefficient: body.coefficient, factors: new Map() };
    const inside = new Map<TensorExpr, number>();
    for (const [e, p] of body.factors) {
      if (axes.some((a) => axesIn(e).has(a))) inside.set(e, p);
      else outside = multiply(outside, { coefficient: 1, factors: new Map([[e, p]]) });
    }
    const used = axes.filter((a) => [...inside.keys()].some((e) => axesIn(e).has(a)));
    const unused = axes.filter((a) => !used.includes(a)).reduce((n: Extent, a) => mulExtent(n, a.extent), ONE);
    if (unused !== ONE) outside = multiply(outside, this.product(cast(sizeOf(unused), like.dtype)));
    if (used.length === 0) return outside;
    const [inner] = [...inside];
    if (inner && inside.size === 1 && inner[1] === 1 && inner[0].kind === "reduce" && isAddition(inner[0])) {
      const fresh = new Map<Axis, Axis>();
      const more = freshAxes(inner[0].axes, fresh);
      const made = this.sum([...used, ...more], this.product(renameAxes(inner[0].values[0]!, fresh)), like);
      return multiply(outside, made);
    }
    const value = build({ coefficient: 1, factors: inside }, like.dtype);
    return multiply(outside, ofAtom(this.#bind(addMonoid(like.dtype), used, [value], 0)));
  }

  /** Σ_j [j = t] f(j) is f(t), where t is an axis of the same extent. */
  #solveDelta(axes: readonly Axis[], body: Product): { axes: readonly Axis[]; body: Product } | undefined {
    for (const [e, power] of body.factors) {
      if (e.kind !== "apply" || e.prim !== "select" || power !== 1 || !isIndicator(e)) continue;
      const tests = testsOf(e.args[0]!);
      for (const t of tests) {
        if (t.kind !== "apply" || t.prim !== "eq") continue;
        for (const [x, y] of [t.args, [...t.args].reverse()] as [TensorExpr, TensorExpr][]) {
          if (x?.kind !== "axis" || y?.kind !== "axis" || !axes.includes(x.axis)) continue;
          if (x.axis === y.axis || x.axis.extent !== y.axis.extent) continue;
          const rest = axes.filter((a) => a !== x.axis);
          const made = substitute(build(body, e.dtype), new Map([[x.axis, y]]));
          return { axes: rest, body: this.product(made) };
        }
      }
    }
    return undefined;
  }

  /** The terms of a body that is a sum, if a term of it is simpler alone: free of an axis, or with a delta to solve. */
  #splitTerms(axes: readonly Axis[], body: Product): readonly Product[] | undefined {
    const terms = this.#opened(body);
    if (terms.length < 2) return undefined;
    const simpler = terms.some(
      (t) =>
        this.#solveDelta(axes, t) !== undefined ||
        axes.some((a) => ![...t.factors.keys()].some((e) => axesIn(e).has(a))),
    );
    return simpler ? terms : undefined;
  }

  /** A reduction over axes that are numbered by their depth from the inside, so that equal ones are one node. */
  #bind(monoid: Monoid, axes: readonly Axis[], values: readonly TensorExpr[], slot: number): Reduce {
    const level = 1 + Math.max(0, ...values.map((v) => this.#level(v)));
    const to = new Map<Axis, Axis>();
    for (const a of axes) {
      const key = `${level}.${to.size}:${a.extent.text}`;
      const known = this.#bound.get(key) ?? axis(a.name, a.extent);
      this.#bound.set(key, known);
      to.set(a, known);
    }
    const made = reduce(
      monoid,
      [...to.values()],
      values.map((v) => this.tidy(renameAxes(v, to))),
      slot,
    );
    this.#memo.set(made, ofAtom(made));
    this.#built.set(made, made);
    return made;
  }

  #level(e: TensorExpr): number {
    const old = this.#levels.get(e);
    if (old !== undefined) return old;
    const children = e.kind === "apply" ? e.args : e.kind === "read" ? e.at : e.kind === "reduce" ? e.values : [];
    const made = Math.max(0, ...children.map((c) => this.#level(c))) + (e.kind === "reduce" ? 1 : 0);
    this.#levels.set(e, made);
    return made;
  }

  // ---- Conditionals ---------------------------------------------------------------------------------------------------

  /** `c ? a : b` with what both branches have in common outside; `c ? 1 : 0` if b is 0. */
  #select(e: Apply): Product {
    let test = this.tidy(e.args[0]!);
    const known = truthOf(test);
    if (known !== undefined) return this.product(e.args[known ? 1 : 2]!);
    const branch = (i: 1 | 2): Product => this.product(assuming(this.tidy(e.args[i]!), test, i === 1));
    let [yes, no] = [branch(1), branch(2)];
    if (isZero(yes) && isZero(no)) return NO_PRODUCT;
    if (isZero(yes)) {
      test = this.tidy(negated(test));
      [yes, no] = [no, yes];
    }
    let common: Product = ONE_PRODUCT;
    const shared = (p: Product, atom: TensorExpr): number => p.factors.get(atom) ?? 0;
    for (const [atom, power] of yes.factors) {
      // What divides stays under its condition: the other branch may be there for its zeros.
      const least = isZero(no) ? power : Math.min(power, shared(no, atom));
      if (least > 0) common = multiply(common, { coefficient: 1, factors: new Map([[atom, least]]) });
    }
    if (isZero(no)) {
      test = this.tidy(withoutImplied(test, yes));
      if (truthOf(test)) return yes;
    }
    if (isZero(no) || yes.coefficient === no.coefficient) common = { ...common, coefficient: yes.coefficient };
    const inner = (p: Product): TensorExpr => build(isZero(p) ? NO_PRODUCT : multiply(p, common, -1), e.dtype);
    const [a, b] = [inner(yes), inner(no)];
    if (a === b) return yes;
    const atom = apply("select", test, a, b);
    this.#memo.set(atom, ofAtom(atom));
    return multiply(common, ofAtom(atom));
  }
}

/** A read that is 0 outside its tensor makes the tests of its indices itself. */
function withoutImplied(test: TensorExpr, p: Product): TensorExpr {
  const reads = [...p.factors.keys()].filter((e) => e.kind === "read" && e.fill?.value === 0) as Read[];
  const implied = (t: TensorExpr): boolean =>
    t.kind === "apply" &&
    reads.some((r) =>
      r.at.some((x, d) => {
        const extent = r.tensor.axes[d]!.extent;
        if (t.args[0] !== x) return false;
        if (t.prim === "ge") return t.args[1] === i32(0);
        return t.prim === "lt" && t.args[1] === sizeOf(extent);
      }),
    );
  const rest = testsOf(test).filter((t) => !implied(t));
  return rest.length === 0 ? constant("bool", 1) : rest.reduce((a, b) => apply("and", a, b));
}
