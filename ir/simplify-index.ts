/**
 * Rewriting rules on index arithmetic: i32 expressions as linear forms, with what ir/interval.ts knows of their ranges.
 * Identities of the ring of i32 hold although it wraps; those of division and order do not, so they need proof that nothing wraps: both
 * ends of an interval are known only then.
 */
import { addForms, expressionOf, type LinearForm, linearOf, scaleForm } from "./affine.ts";
import { addExtent, divExtent, type Extent, modExtent, mulExtent, ONE, size, subExtent, ZERO } from "./extent.ts";
import { type Assumptions, axesOf, intervalOf, proveAtLeastZero } from "./interval.ts";
import { type Rule, truth } from "./simplify-rules.ts";
import { type Apply, apply, childrenOf, i32, sizeOf, type TensorExpr } from "./tensor.ts";

function provedOver(x: Extent | undefined, a: Assumptions, ...of: readonly TensorExpr[]): boolean {
  return (
    x !== undefined &&
    proveAtLeastZero(
      x,
      a,
      of.flatMap((e) => [...axesOf(e)]),
    ) === "proved"
  );
}

/** The extent that an expression is, without axes or data. */
function extentOf(e: TensorExpr | undefined): Extent | undefined {
  if (e?.kind === "const" && e.dtype === "i32") return size(e.value);
  return e?.kind === "size" ? e.extent : undefined;
}

/** The extent that the divisor is, if it is at least 1 wherever `beside` is evaluated. */
function positive(e: TensorExpr | undefined, a: Assumptions, beside?: TensorExpr): Extent | undefined {
  const extent = extentOf(e);
  return extent && provedOver(subExtent(extent, ONE), a, ...(beside ? [beside] : [])) ? extent : undefined;
}

/** Distinct nodes. */
function weight(e: TensorExpr): number {
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    for (const c of childrenOf(x)) go(c);
  };
  go(e);
  return seen.size;
}

function exactQuotient(x: Extent, m: Extent): Extent | undefined {
  const q = divExtent(x, m);
  return mulExtent(q, m) === x ? q : undefined;
}

/** Extents under the arithmetic of extents: N + 1, 2 * N, N div 2, min(N, M) are one `size`. */
export const foldSizes: Rule = (e, a) => {
  if (e.dtype !== "i32") return undefined;
  const [x, y] = [extentOf(e.args[0]), extentOf(e.args[1])];
  if (!x || !y) return undefined;
  if (e.prim === "add") return sizeOf(addExtent(x, y));
  if (e.prim === "sub") return sizeOf(subExtent(x, y));
  if (e.prim === "mul") return sizeOf(mulExtent(x, y));
  if (!positive(e.args[1], a)) return undefined;
  if (e.prim === "floordiv") return sizeOf(divExtent(x, y));
  if (e.prim === "mod") return sizeOf(modExtent(x, y));
  return undefined;
};

/** Collects equal terms: i + i, (i + 1) - 1, i * 2 * 3. Never to more nodes. */
export const collectTerms: Rule = (e) => {
  if (e.dtype !== "i32" || (e.prim !== "add" && e.prim !== "sub" && e.prim !== "neg" && e.prim !== "mul"))
    return undefined;
  const form = linearOf(e);
  if (form.terms.has(e)) return undefined;
  const made = expressionOf(form);
  return made !== e && weight(made) <= weight(e) ? made : undefined;
};

/** c·m·(x div m) + c·(x % m) is c·x. */
export const recompose: Rule = (e, a) => {
  if (e.prim !== "add" && e.prim !== "sub") return undefined;
  if (e.dtype !== "i32") return undefined;
  const form = linearOf(e);
  for (const [atom, c] of form.terms) {
    if (atom.kind !== "apply" || atom.prim !== "mod") continue;
    const [x, by] = atom.args;
    const m = positive(by, a, x);
    if (!x || !by || !m) continue;
    // x div m may itself have come apart: x = q·m + r leaves (q + r div m).
    const whole = linearOf(apply("floordiv", x, by));
    for (const quotient of [whole, divided(x, m, a)]) {
      if (!quotient) continue;
      const [[first] = []] = [...quotient.terms];
      const factor = first && form.terms.get(first);
      const inside = first && quotient.terms.get(first);
      if (!factor || !inside || factor !== mulExtent(mulExtent(c, m), inside)) continue;
      const rest = addForms(
        form,
        scaleForm(
          addForms(scaleForm(quotient, m), { terms: new Map([[atom, ONE]]), constant: ZERO }),
          mulExtent(c, size(-1)),
        ),
      );
      if (rest.terms.has(first) || rest.terms.has(atom)) continue;
      const made = expressionOf(addForms(rest, scaleForm(linearOf(x), c)));
      if (weight(made) < weight(e)) return made;
    }
  }
  return undefined;
};

/** The form of x without what is a multiple of m, and the quotient of that; undefined if there is none or something may wrap. */
function split(x: TensorExpr, m: Extent, a: Assumptions): { quotient: LinearForm; rest: LinearForm } | undefined {
  const { low, high } = intervalOf(x, a);
  if (!low || !high) return undefined;
  const form = linearOf(x);
  const whole = new Map<TensorExpr, Extent>();
  const rest = new Map<TensorExpr, Extent>();
  for (const [atom, c] of form.terms) {
    const q = exactQuotient(c, m);
    if (q) whole.set(atom, q);
    else rest.set(atom, c);
  }
  // The constant goes by its terms, and a number above the divisor by its quotient: what stays is in 0 … m - 1.
  let quotient = ZERO;
  let constant = form.constant;
  const exact = exactQuotient(constant, m);
  if (exact) [quotient, constant] = [exact, ZERO];
  else if (m.value !== undefined && constant.value !== undefined) {
    quotient = size(Math.floor(constant.value / m.value));
    constant = subExtent(constant, mulExtent(quotient, m));
  }
  if (whole.size === 0 && quotient === ZERO) return undefined;
  const parts = { quotient: { terms: whole, constant: quotient }, rest: { terms: rest, constant } };
  const r = intervalOf(expressionOf(parts.rest), a);
  return r.low && r.high ? parts : undefined;
}

/** x div m as a form, if x = q·m + rest with the rest within 0 … m - 1. */
function divided(x: TensorExpr, m: Extent, a: Assumptions): LinearForm | undefined {
  const parts = split(x, m, a);
  if (!parts) return undefined;
  const rest = expressionOf(parts.rest);
  if (within(rest, m, a)) return parts.quotient;
  return addForms(parts.quotient, linearOf(apply("floordiv", rest, sizeOf(m))));
}

function within(x: TensorExpr, m: Extent, a: Assumptions): boolean {
  const { low, high } = intervalOf(x, a);
  return provedOver(low, a, x) && provedOver(high && subExtent(subExtent(m, ONE), high), a, x);
}

/** x div m and x % m by a positive extent: 0 ≤ x < m; multiples of m taken out; a division of a division. */
export const divisions: Rule = (e, a) => {
  if (e.dtype !== "i32" || (e.prim !== "floordiv" && e.prim !== "mod" && e.prim !== "rem")) return undefined;
  const [x, by] = e.args;
  const m = positive(by, a, x);
  if (!x || !by || !m) return undefined;
  if (within(x, m, a)) return e.prim === "floordiv" ? i32(0) : x;
  if (e.prim === "rem") return provedOver(intervalOf(x, a).low, a, x) ? apply("mod", x, by) : undefined;
  const parts = split(x, m, a);
  if (parts) {
    const rest = expressionOf(parts.rest);
    if (within(rest, m, a)) return e.prim === "mod" ? rest : expressionOf(parts.quotient);
    if (e.prim === "mod") return apply("mod", rest, by);
    const made = expressionOf(addForms(parts.quotient, linearOf(apply("floordiv", rest, by))));
    if (weight(made) <= weight(e)) return made;
  }
  if (x.kind !== "apply" || !x.args[0]) return undefined;
  const inner = positive(x.args[1], a, x);
  if (!inner) return undefined;
  if (e.prim === "floordiv" && x.prim === "floordiv") {
    const product = mulExtent(inner, m);
    // Past i32 the quotient is 0 or -1, but the divisor could not be written.
    return product.value === undefined || product.value <= 2147483647
      ? apply("floordiv", x.args[0], sizeOf(product))
      : undefined;
  }
  if (e.prim === "mod" && x.prim === "mod" && exactQuotient(inner, m)) return apply("mod", x.args[0], by);
  return undefined;
};

/** The interval of x - y, where neither can have wrapped. */
function difference(
  x: TensorExpr,
  y: TensorExpr,
  a: Assumptions,
): { low: Extent | undefined; high: Extent | undefined } {
  const [i, j] = [intervalOf(x, a), intervalOf(y, a)];
  const ends = {
    low: i.low && j.high && subExtent(i.low, j.high),
    high: i.high && j.low && subExtent(i.high, j.low),
  };
  if (!i.low || !i.high || !j.low || !j.high) return ends;
  // Both are true integers, so terms that they share cancel.
  const form = addForms(linearOf(x), scaleForm(linearOf(y), size(-1)));
  let [low, high]: [Extent | undefined, Extent | undefined] = [form.constant, form.constant];
  for (const [atom, c] of form.terms) {
    const t = intervalOf(atom, a);
    const up = provedOver(c, a, x, y);
    if (!up && !provedOver(subExtent(ZERO, c), a, x, y)) return ends;
    const [from, to] = up ? [t.low, t.high] : [t.high, t.low];
    low = low && from && addExtent(low, mulExtent(from, c));
    high = high && to && addExtent(high, mulExtent(to, c));
  }
  const d = { low, high };
  const decides = (x1: typeof d): boolean =>
    provedOver(x1.low, a, x, y) || provedOver(x1.high && subExtent(ZERO, x1.high), a, x, y);
  return decides(d) ? d : ends;
}

/** Comparisons of i32 that the intervals decide. */
export const comparisons: Rule = (e, a) => {
  const [x, y] = e.args;
  if (!x || !y || x.dtype !== "i32") return undefined;
  if (e.prim !== "lt" && e.prim !== "le" && e.prim !== "gt" && e.prim !== "ge" && e.prim !== "eq" && e.prim !== "ne")
    return undefined;
  // x = y + c in the ring: equal exactly if c is 0, wrapping or not.
  const ring = addForms(linearOf(x), scaleForm(linearOf(y), size(-1)));
  if ((e.prim === "eq" || e.prim === "ne") && ring.terms.size === 0 && ring.constant.value !== undefined)
    return truth((ring.constant.value === 0) === (e.prim === "eq"));
  const { low, high } = difference(x, y, a);
  const atLeast = (n: number): boolean => provedOver(low && subExtent(low, size(n)), a, x, y);
  const atMost = (n: number): boolean => provedOver(high && subExtent(size(n), high), a, x, y);
  switch (e.prim) {
    case "lt":
      return atMost(-1) ? truth(true) : atLeast(0) ? truth(false) : undefined;
    case "le":
      return atMost(0) ? truth(true) : atLeast(1) ? truth(false) : undefined;
    case "gt":
      return atLeast(1) ? truth(true) : atMost(0) ? truth(false) : undefined;
    case "ge":
      return atLeast(0) ? truth(true) : atMost(-1) ? truth(false) : undefined;
    case "eq":
    case "ne":
      return atLeast(1) || atMost(-1) ? truth(e.prim === "ne") : undefined;
  }
};

/** min, max and abs of i32 that the intervals decide; min and max of a nested operand that is there already. */
export const extremes: Rule = (e, a) => {
  const [x, y] = e.args;
  if (e.dtype !== "i32" || !x) return undefined;
  if (e.prim === "abs") return provedOver(intervalOf(x, a).low, a, x) ? x : undefined;
  if ((e.prim !== "min" && e.prim !== "max") || !y) return undefined;
  const { low, high } = difference(x, y, a);
  const [less, greater] = e.prim === "min" ? [x, y] : [y, x];
  if (provedOver(high && subExtent(ZERO, high), a, x, y)) return less;
  if (provedOver(low, a, x, y)) return greater;
  return nested(x, y, e) ?? nested(y, x, e);
};
function nested(x: TensorExpr, y: TensorExpr, e: Apply): TensorExpr | undefined {
  return x.kind === "apply" && x.prim === e.prim && x.args.includes(y) ? x : undefined;
}
