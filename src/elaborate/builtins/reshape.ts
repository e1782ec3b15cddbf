/**
 * Reshape in row-major order as an index view. Axes are matched in groups of equal products, so that equal prefixes map
 * identically, merged axes read `i div n` and `i % n`, and split axes read `i * n + j`.
 */
import type { Span } from "../../../grammar/span.ts";
import {
  addExtent,
  compareExtent,
  divExtent,
  type Extent,
  maxExtent,
  minExtent,
  modExtent,
  mulExtent,
  ONE,
  productExtent,
  type SizeAtom,
  size,
  sizeSymbol,
  subExtent,
  type Term,
  ZERO,
} from "../../../ir/extent.ts";
import { i32, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, failBoth, toExtent, toItems } from "../convert.ts";
import type { Builder, TensorValue, Value } from "../value.ts";
import { linearIndex, splitIndex } from "./index-arithmetic.ts";

// ---- Exact quotients ----------------------------------------------------------------------------------------------

function atomExtent(a: SizeAtom): Extent {
  switch (a.kind) {
    case "symbol":
      return sizeSymbol(a.name);
    case "div":
      return divExtent(a.left, a.right);
    case "mod":
      return modExtent(a.left, a.right);
    case "min":
      return minExtent(a.left, a.right);
    case "max":
      return maxExtent(a.left, a.right);
  }
}
function termExtent(t: Term): Extent {
  return t.atoms.reduce((e, a) => mulExtent(e, atomExtent(a)), size(t.coefficient));
}

/** q with q · b = a as polynomials, if there is one; long division by b's term of highest degree. */
export function exactQuotient(a: Extent, b: Extent): Extent | undefined {
  if (b === ZERO) return undefined;
  const lead = [...b.terms].sort((s, t) => t.atoms.length - s.atoms.length)[0] as Term;
  const divisor = termExtent(lead);
  let [rest, quotient] = [a, ZERO];
  for (let steps = 4 * (a.terms.length + b.terms.length); rest !== ZERO; steps--) {
    if (steps === 0) return undefined;
    const candidates = [...rest.terms].sort((s, t) => t.atoms.length - s.atoms.length);
    const part = candidates.map((t) => wholeQuotient(termExtent(t), divisor)).find((q) => q !== undefined);
    if (!part) return undefined;
    quotient = addExtent(quotient, part);
    rest = subExtent(rest, mulExtent(part, b));
  }
  return quotient;
}
function wholeQuotient(a: Extent, b: Extent): Extent | undefined {
  const q = divExtent(a, b);
  return mulExtent(q, b) === a ? q : undefined;
}

// ---- Index map ----------------------------------------------------------------------------------------------------

interface Match {
  /** Axis numbers, those of extent 1 left out. */
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Groups of axes with equal products, in order. What cannot be told apart is one group at the end. */
function matchAxes(from: readonly Extent[], to: readonly Extent[]): readonly Match[] {
  const left = from.map((_, k) => k).filter((k) => from[k] !== ONE);
  const right = to.map((_, k) => k).filter((k) => to[k] !== ONE);
  const out: Match[] = [];
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    const [startI, startJ] = [i, j];
    let p = from[left[i++] as number] as Extent;
    let q = to[right[j++] as number] as Extent;
    while (p !== q) {
      const more = smaller(p, q);
      const [nextP, nextQ] = [left[i], right[j]];
      if (more === "left" && nextP !== undefined) {
        p = mulExtent(p, from[nextP] as Extent);
        i++;
      } else if (more === "right" && nextQ !== undefined) {
        q = mulExtent(q, to[nextQ] as Extent);
        j++;
      } else {
        [i, j] = [left.length, right.length];
        break;
      }
    }
    out.push({ from: left.slice(startI, i), to: right.slice(startJ, j) });
  }
  // Left-over axes on one side alone: all of extent 1 by the equality of the totals.
  if (i < left.length || j < right.length) {
    const last = out.pop();
    out.push({ from: [...(last?.from ?? []), ...left.slice(i)], to: [...(last?.to ?? []), ...right.slice(j)] });
  }
  return out;
}

function smaller(p: Extent, q: Extent): "left" | "right" | undefined {
  if (exactQuotient(q, p)) return "left";
  if (exactQuotient(p, q)) return "right";
  const order = compareExtent(p, q);
  if (order === "lt" || order === "le") return "left";
  return order === "gt" || order === "ge" ? "right" : undefined;
}

/** Requires equal element counts. A view; the shape has no -1 here. */
export function reshape(b: Builder, x: TensorValue, shape: readonly Extent[], span: Span): TensorValue {
  if (shape.length === x.shape.length && shape.every((n, k) => n === x.shape[k])) return x;
  const [before, after] = [productExtent(x.shape), productExtent(shape)];
  if (before !== after) {
    if (before.value !== undefined && after.value !== undefined)
      failBoth(
        "EIN1203",
        `${before.text} elements cannot have the shape [${shape.map((n) => n.text).join(", ")}], which holds ${after.text}`,
        { span, text: `[${shape.map((n) => n.text).join(", ")}]` },
        { span: x.span, text: `[${x.shape.map((n) => n.text).join(", ")}]` },
      );
    b.requireEqual(after, before, span, x.span, "the number of elements of a reshape");
  }
  const matches = matchAxes(x.shape, shape);
  return b.view(
    x.dtype,
    shape,
    (index) => {
      const at: TensorExpr[] = new Array<TensorExpr>(x.shape.length).fill(i32(0));
      for (const m of matches) {
        const position = linearIndex(
          m.to.map((k) => index[k] as TensorExpr),
          m.to.map((k) => shape[k] as Extent),
        );
        const parts = splitIndex(
          position,
          m.from.map((k) => x.shape[k] as Extent),
        );
        m.from.forEach((k, n) => {
          at[k] = parts[n] as TensorExpr;
        });
      }
      return x.at(at);
    },
    span,
    x.name,
  );
}

/** The shape that `[B, -1, 4]` means for a tensor of `total` elements. Throws EIN1205, EIN1503. */
export function resolveShape(b: Builder, x: TensorValue, v: Value | undefined, span: Span): readonly Extent[] {
  const items = toItems(v);
  const extents = items.map((item) => toExtent(item, span, "an extent of the shape"));
  const holes = extents.map((_, k) => k).filter((k) => extents[k]?.value === -1);
  for (const [k, e] of extents.entries())
    if (e.value !== undefined && e.value < -1)
      fail("EIN1503", "an extent must not be negative", items[k]?.span ?? span, `this is ${e.text}`);
  const hole = holes[0];
  if (hole === undefined) return extents;
  if (holes.length > 1)
    fail("EIN1205", "only one extent of a shape may be -1", items[holes[1] as number]?.span ?? span, "the second");
  const at = items[hole]?.span ?? span;
  const others = extents.filter((_, k) => k !== hole);
  const rest = productExtent(others);
  if (rest === ZERO) fail("EIN1205", "-1 cannot be found beside an extent of 0", at, "any extent would do");
  // Axes that stand on both sides cancel before anything is divided.
  let total = ONE;
  const open = [...others];
  for (const n of x.shape) {
    const same = open.indexOf(n);
    if (same >= 0 && n !== ZERO) open.splice(same, 1);
    else total = mulExtent(total, n);
  }
  const divisor = productExtent(open);
  const exact = exactQuotient(total, divisor);
  if (!exact) {
    if (total.value !== undefined && divisor.value !== undefined)
      failBoth(
        "EIN1203",
        `${productExtent(x.shape).text} elements do not divide by ${rest.text}`,
        { span: at, text: "-1 has no value" },
        { span: x.span, text: `[${x.shape.map((n) => n.text).join(", ")}]` },
      );
    const q = divExtent(total, divisor);
    b.requireEqual(mulExtent(q, divisor), total, at, x.span, `${total.text} divided by ${divisor.text}`);
    return extents.map((e, k) => (k === hole ? q : e));
  }
  return extents.map((e, k) => (k === hole ? exact : e));
}
