/**
 * Cotangents of one definition that are sums of one another: in (x[n, i] + c[i]) · w[i, o] both x and c get Σ over o of the same
 * product, and c's is that of x summed over n. So the product is summed once, and what is long to compute is computed once. A factor
 * that the sum does not reach stays outside: Σ over n and o of g · m[n] is Σ over n of m[n] · Σ over o of g.
 */
import { ONE } from "../../ir/extent.ts";
import { type Axis, apply, type Definition, i32, read, type TensorExpr } from "../../ir/tensor.ts";
import { type Factor, factorsOf } from "../passes/hoist.ts";
import { axesIn, hasRead } from "../passes/rewrite.ts";
import type { Contribution } from "./adjoint.ts";

/**
 * Hands the contributions of one definition to `gather`, those of a value that another one has summed already as a sum of that. With
 * `strict` products stay as they are.
 */
export function contributeShared(
  list: readonly Contribution[],
  strict: boolean,
  gather: (c: Contribution) => Definition,
): void {
  const wholes: { readonly of: Contribution; readonly made: Definition }[] = [];
  // Those over the most axes first, of them those that are not negated.
  const minus = (c: Contribution): number => (unsigned(c.value) === c.value ? 0 : 1);
  for (const c of [...list].sort((a, b) => axesOf(b).length - axesOf(a).length || minus(a) - minus(b))) {
    let shared: Contribution | undefined;
    for (const w of wholes) shared ??= sumOf(c, w.of, w.made, strict);
    const made = gather(shared ?? c);
    if (!shared && isPlain(c) && !isCopy(c)) wholes.push({ of: c, made });
  }
}

/** Does it fall on the whole of its target, position by position? Then what it comes to is the value, summed over the other axes. */
function isPlain(c: Contribution): boolean {
  const { axes } = c.target.tensor;
  const along = axesOf(c);
  return (
    c.at.every((e, i) =>
      e.kind === "axis"
        ? c.domain.includes(e.axis) && e.axis.extent === axes[i]?.extent
        : e === i32(0) && axes[i]?.extent === ONE,
    ) && new Set(along).size === along.length
  );
}

/** A tensor as it is has a name already. */
function isCopy(c: Contribution): boolean {
  return unsigned(c.value).kind === "read" && axesOf(c).length === c.domain.length;
}

/**
 * `c` as a sum of what the plain `whole` came to: if its value is the same over the same domain, but for factors that the axes of
 * `whole` decide, and so are its positions.
 */
function sumOf(c: Contribution, whole: Contribution, made: Definition, strict: boolean): Contribution | undefined {
  if (c.domain.length !== whole.domain.length || c.domain.some((a, i) => a !== whole.domain[i])) return undefined;
  const axes = axesOf(whole);
  const decided = (e: TensorExpr): boolean => [...axesIn(e)].every((a) => axes.includes(a));
  if (!c.at.every((e) => !hasRead(e) && decided(e))) return undefined;
  const [own, shared] = [unsigned(c.value), unsigned(whole.value)];
  const factors = own === shared ? [] : strict ? undefined : beyond(own, shared);
  if (!factors?.every((f) => decided(f.value))) return undefined;
  let value: TensorExpr = read(made, 0, whole.at);
  for (const f of factors) value = apply(f.below ? "div" : "mul", value, f.value);
  const isNegative = (own === c.value) !== (shared === whole.value);
  return { target: c.target, domain: axes, at: c.at, value: isNegative ? apply("neg", value) : value };
}

/** The factors of a product that another one does not have; undefined if that has some of its own. */
function beyond(product: TensorExpr, part: TensorExpr): readonly Factor[] | undefined {
  const left = [...factorsOf(product)];
  for (const f of factorsOf(part)) {
    const i = left.findIndex((x) => x.value === f.value && x.below === f.below);
    if (i < 0) return undefined;
    left.splice(i, 1);
  }
  return left;
}

/** The axes that are positions of the target themselves. */
function axesOf(c: Contribution): readonly Axis[] {
  return c.at.flatMap((e) => (e.kind === "axis" ? [e.axis] : []));
}

/** Without its sign, in which the two sides of a difference differ. */
export function unsigned(e: TensorExpr): TensorExpr {
  return e.kind === "apply" && e.prim === "neg" ? e.args[0]! : e;
}
