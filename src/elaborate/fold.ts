/** Operators on what is known while compiling: integers are polynomials of extents, floats are float64, bits are of i32. */
import type { BinaryExpr } from "../../grammar/ast.ts";
import type { Fix } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import {
  addExtent,
  compareExtent,
  divExtent,
  type Extent,
  modExtent,
  mulExtent,
  size,
  subExtent,
  ZERO,
} from "../../ir/extent.ts";
import type { Prim } from "../../ir/prim.ts";
import { describe, fail } from "./convert.ts";
import type { BoolValue, FloatValue, IntValue, Value } from "./value.ts";

/** More than shapes need; products of sums grow without end. */
const MAX_TERMS = 64;
const MAX_TEXT = 4000;

export function intOf(extent: Extent, span: Span): IntValue {
  if (extent.terms.some((t) => !Number.isSafeInteger(t.coefficient)))
    return fail("EIN1206", "an integer is too large", span, "integers must stay below 2^53 while compiling");
  if (extent.terms.length > MAX_TERMS || extent.text.length > MAX_TEXT)
    return fail("EIN1206", "an extent is too complicated", span, `a sum of ${extent.terms.length} products`);
  return { kind: "int", extent, span };
}

export function floatOf(value: number, span: Span): FloatValue {
  return { kind: "float", value, span };
}
export function boolOf(value: boolean, span: Span): BoolValue {
  return { kind: "bool", value, span };
}

export function numberOf(v: Value): number | undefined {
  if (v.kind === "float") return v.value;
  return v.kind === "int" ? v.extent.value : undefined;
}

export function integerDivision(e: BinaryExpr, found: string): never {
  return fail("EIN1201", "`/` divides floats, not integers", e.opSpan, `the operands are ${found}`, {
    notes: ["`div` rounds to the floor; `x as f32 / y` divides as floats"],
    fix: withDiv(e),
  });
}
export function withDiv(e: BinaryExpr): Fix {
  return { message: "divide with `div`", edits: [{ span: e.opSpan, text: spaced(e, "div") }] };
}
/** `a/b` needs blanks around a word. */
function spaced(e: BinaryExpr, word: string): string {
  return `${e.left.span.end === e.opSpan.start ? " " : ""}${word}${e.opSpan.end === e.right.span.start ? " " : ""}`;
}

export function integers(e: BinaryExpr, prim: Prim, left: IntValue, right: IntValue): Value {
  const [l, r] = [left.extent, right.extent];
  const made = (x: Extent): IntValue => intOf(x, e.span);
  switch (prim) {
    case "add":
      return made(addExtent(l, r));
    case "sub":
      return made(subExtent(l, r));
    case "mul":
      return made(mulExtent(l, r));
    case "floordiv":
    case "mod":
      if (r === ZERO) return fail("EIN1503", "division by zero", right.span, "this is 0");
      return made(prim === "mod" ? modExtent(l, r) : divExtent(l, r));
    default: {
      const n = r.value;
      if (n === undefined || (n < 0 && l.value !== 1 && l.value !== -1))
        return fail(
          "EIN1502",
          "the exponent of an integer must be a constant that is not negative",
          right.span,
          `found ${describe(right)}`,
        );
      if (l.value !== undefined) {
        const value = l.value ** n;
        if (!Number.isSafeInteger(value))
          return fail("EIN1206", "an integer is too large", e.span, `${l.value} ** ${n} exceeds 2^53`);
        return made(size(value));
      }
      if (n > 16) return fail("EIN1206", "the exponent of an extent is too large", right.span, "at most 16");
      let x = size(1);
      for (let k = 0; k < n; k++) x = mulExtent(x, l);
      return made(x);
    }
  }
}

/** Constants are computed in float64 and rounded where they are used. */
export function floats(prim: Prim, a: number, b: number): number {
  switch (prim) {
    case "add":
      return a + b;
    case "sub":
      return a - b;
    case "mul":
      return a * b;
    case "div":
      return a / b;
    case "floordiv":
      return Math.floor(a / b);
    case "mod":
      return a - b * Math.floor(a / b);
    default:
      // C's pow: 1 to any power is 1.
      return a === 1 ? 1 : a ** b;
  }
}

/** The answer if it is the same for all values of the symbols. */
export function compareExtents(prim: Prim, l: Extent, r: Extent): boolean | undefined {
  const order = compareExtent(l, r);
  if (order === "unknown") return undefined;
  const table: Readonly<Record<string, Readonly<Partial<Record<typeof order, boolean>>>>> = {
    eq: { eq: true, lt: false, gt: false },
    ne: { eq: false, lt: true, gt: true },
    lt: { lt: true, eq: false, ge: false, gt: false },
    le: { lt: true, le: true, eq: true, gt: false },
    gt: { gt: true, eq: false, le: false, lt: false },
    ge: { gt: true, ge: true, eq: true, lt: false },
  };
  return table[prim]?.[order];
}

export function foldBits(prim: Prim, a: number, b: number): number {
  const [x, y] = [BigInt(a), BigInt(b)];
  const shift = y & 31n;
  switch (prim) {
    case "bitand":
      return Number(x & y);
    case "bitor":
      return Number(x | y);
    case "bitxor":
      return Number(x ^ y);
    case "shl":
      return Number(BigInt.asIntN(32, x << shift));
    default:
      return Number(x >> shift);
  }
}
