/**
 * Cotangents of one definition that are sums of one another: in (x[n, i] + c[i]) · w[i, o] both x and c get Σ over o of the same
 * product, and c's is that of x summed over n. So the product is summed once, and what is long to compute is computed once.
 */
import { ONE } from "../../ir/extent.ts";
import { type Axis, apply, type Definition, i32, read, type TensorExpr } from "../../ir/tensor.ts";
import { axesIn, hasRead } from "../passes/rewrite.ts";
import type { Contribution } from "./adjoint.ts";

/** Hands the contributions of one definition to `gather`, those of a value that another one has summed already as a sum of that. */
export function contributeShared(list: readonly Contribution[], gather: (c: Contribution) => Definition): void {
  const wholes: { readonly of: Contribution; readonly made: Definition }[] = [];
  // Those over the most axes first, of them those that are not negated.
  const minus = (c: Contribution): number => (unsigned(c.value) === c.value ? 0 : 1);
  for (const c of [...list].sort((a, b) => axesOf(b).length - axesOf(a).length || minus(a) - minus(b))) {
    const whole = wholes.find((w) => isWithin(c, w.of));
    const made = gather(whole ? sumOf(c, whole.of, whole.made) : c);
    if (!whole && isPlain(c) && !isCopy(c)) wholes.push({ of: c, made });
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

/** Is `c` the same value over the same domain as the plain `whole`, at positions that the axes of `whole` decide? */
function isWithin(c: Contribution, whole: Contribution): boolean {
  if (unsigned(c.value) !== unsigned(whole.value)) return false;
  if (c.domain.length !== whole.domain.length || c.domain.some((a, i) => a !== whole.domain[i])) return false;
  const axes = new Set(axesOf(whole));
  return c.at.every((e) => !hasRead(e) && [...axesIn(e)].every((a) => axes.has(a)));
}

function sumOf(c: Contribution, whole: Contribution, made: Definition): Contribution {
  const value = read(made, 0, whole.at);
  return {
    target: c.target,
    domain: axesOf(whole),
    at: c.at,
    value: c.value === whole.value ? value : apply("neg", value),
  };
}

/** The axes that are positions of the target themselves. */
function axesOf(c: Contribution): readonly Axis[] {
  return c.at.flatMap((e) => (e.kind === "axis" ? [e.axis] : []));
}

/** Without its sign, in which the two sides of a difference differ. */
function unsigned(e: TensorExpr): TensorExpr {
  return e.kind === "apply" && e.prim === "neg" ? e.args[0]! : e;
}
