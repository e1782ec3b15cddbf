/**
 * Operators on values. Integers, floats, bools and strings known at compile time are folded; tensors combine element by
 * element under NumPy's broadcasting, as views that `let` and calls give a definition.
 */
import type { BinaryExpr, BinaryOp, UnaryExpr } from "../../grammar/ast.ts";
import type { Fix } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { type DType, isFloat, isInteger } from "../../ir/dtype.ts";
import { negExtent, size } from "../../ir/extent.ts";
import type { Prim } from "../../ir/prim.ts";
import { apply, constant, type TensorExpr } from "../../ir/tensor.ts";
import { broadcastIndex, broadcastShape } from "./builtins/common.ts";
import { addIndex, mulIndex, subIndex } from "./builtins/index-arithmetic.ts";
import type { Context } from "./context.ts";
import { describe, fail, failBoth, openTensor, openType, ownType, retyped, toTensor } from "./convert.ts";
import {
  boolOf,
  compareExtents,
  floatOf,
  floats,
  foldBits,
  integerDivision,
  integers,
  intOf,
  numberOf,
  withDiv,
} from "./fold.ts";
import type { TensorValue, Value } from "./value.ts";

const ARITHMETIC: Readonly<Partial<Record<BinaryOp, Prim>>> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  div: "floordiv",
  "%": "mod",
  "**": "pow",
};
const COMPARISON: Readonly<Partial<Record<BinaryOp, Prim>>> = {
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
};
const LOGIC: Readonly<Partial<Record<BinaryOp, Prim>>> = { "&&": "and", "||": "or" };
const BITS: Readonly<Partial<Record<BinaryOp, Prim>>> = {
  "&": "bitand",
  "|": "bitor",
  "^": "bitxor",
  "<<": "shl",
  ">>": "shr",
};
const BOOL_BITS: Readonly<Partial<Record<BinaryOp, Prim>>> = { "&": "and", "|": "or", "^": "ne" };

/** Every binary operator but `??`, `@`, and the short circuits that `expression.ts` takes first. */
export function binary(cx: Context, e: BinaryExpr, left: Value, right: Value): Value {
  const prim = ARITHMETIC[e.op];
  if (prim) return arithmetic(cx, e, prim, left, right);
  const compare = COMPARISON[e.op];
  if (compare) return comparison(cx, e, compare, left, right);
  const logic = LOGIC[e.op];
  if (logic) return logical(cx, e, logic, left, right);
  return bitwise(cx, e, left, right);
}

// ---- Values known at compile time ---------------------------------------------------------------------------------

function arithmetic(cx: Context, e: BinaryExpr, prim: Prim, left: Value, right: Value): Value {
  if (left.kind === "int" && right.kind === "int" && prim !== "div") return integers(e, prim, left, right);
  const [a, b] = [numberOf(left), numberOf(right)];
  const integral = left.kind === "int" && right.kind === "int" ? { integral: withDiv(e) } : {};
  if (a !== undefined && b !== undefined) return { ...floatOf(floats(prim, a, b), e.span), ...integral };
  const combined = (l: TensorValue, r: TensorValue): TensorValue => {
    if (prim === "div" && !isFloat(l.dtype)) return integerDivision(e, l.dtype);
    const n = prim === "pow" && isFloat(l.dtype) && right.kind === "int" ? right.extent.value : undefined;
    return smallPower(cx, l, n, e.span) ?? elementwise(cx, prim, [l, r], e.span, operatorText(e.op));
  };
  const [lo, ro] = [openType(left), openType(right)];
  if (!lo || !ro) return combined(...unify(cx, left, right, e, operatorText(e.op)));
  // `/` is for floats, and literals take the type of their context.
  const parts = prim === "div" ? [{ float: true }] : [lo, ro];
  const made = openTensor(parts, (d) => combined(toTensor(left, e.left.span, d), toTensor(right, e.right.span, d)));
  return { ...made, open: { ...made.open, ...integral } };
}

function operatorText(op: BinaryOp): string {
  return `\`${op}\``;
}

/** x ** n for small n as products, which are exact where `pow` need not be. */
function smallPower(cx: Context, x: TensorValue, n: number | undefined, span: Span): TensorValue | undefined {
  if (n === undefined || Math.abs(n) > 4) return undefined;
  const power = (v: TensorExpr): TensorExpr => {
    const square = Math.abs(n) >= 2 ? apply("mul", v, v) : v;
    const p = Math.abs(n) <= 2 ? square : apply("mul", square, Math.abs(n) === 3 ? v : square);
    if (n === 0) return constant(v.dtype, 1);
    return n < 0 ? apply("div", constant(v.dtype, 1), p) : p;
  };
  return mapped(cx, [x], ([v]) => power(v!), x.dtype, span, "`**`");
}

// ---- Tensors ------------------------------------------------------------------------------------------------------

const insert = (span: Span, at: "start" | "end"): Span => {
  const offset = at === "start" ? span.start : span.end;
  return { file: span.file, start: offset, end: offset };
};
/** Writes `as dtype` behind an expression, in parentheses: what it is cannot be seen from its span. */
export function castFix(span: Span, dtype: DType): Fix {
  return {
    message: `convert with \`as ${dtype}\``,
    edits: [
      { span: insert(span, "start"), text: "(" },
      { span: insert(span, "end"), text: `) as ${dtype}` },
    ],
  };
}

/** Both operands as tensors of one element type; literals take that of the tensor beside them. */
export function unify(
  _cx: Context,
  first: Value,
  second: Value,
  e: { readonly left: { readonly span: Span }; readonly right: { readonly span: Span }; readonly span: Span },
  what: string,
): readonly [TensorValue, TensorValue] {
  const [ls, rs] = [e.left.span, e.right.span];
  const [left, right] = met(first, second);
  if (left.kind === "tensor" && right.kind === "tensor") {
    if (left.dtype === right.dtype) return [left, right];
    const [from, to, at] =
      rankOf(left.dtype) < rankOf(right.dtype) ? [left.dtype, right.dtype, ls] : [right.dtype, left.dtype, rs];
    return failBoth(
      "EIN1201",
      `the operands of ${what} have different element types, ${left.dtype} and ${right.dtype}`,
      { span: ls, text: `this is ${describe(left)}` },
      { span: rs, text: `this is ${describe(right)}` },
      { notes: [`nothing is converted silently: expected ${to}, found ${from}`], fix: castFix(at, to) },
    );
  }
  const floating = left.kind === "float" || right.kind === "float";
  const hint = left.kind === "tensor" ? left.dtype : right.kind === "tensor" ? right.dtype : floating ? "f32" : "i32";
  return [literal(left, hint, ls, right, rs), literal(right, hint, rs, left, ls)];
}

/** What is made of literals takes the type of the other. */
function met(left: Value, right: Value): readonly [Value, Value] {
  const [l, r] = [openType(left), openType(right)];
  const dtype =
    l && r
      ? ownType(l, r)
      : !l && left.kind === "tensor"
        ? left.dtype
        : right.kind === "tensor"
          ? right.dtype
          : undefined;
  const typed = (v: Value): Value => (v.kind === "tensor" && dtype ? retyped(v, dtype) : v);
  return [typed(left), typed(right)];
}

function literal(v: Value, hint: DType, span: Span, other: Value, otherSpan: Span): TensorValue {
  if (v.kind === "tensor") return v;
  const floatInInteger = v.kind === "float" && !isFloat(hint);
  const boolClash =
    (v.kind === "bool") !== (hint === "bool") && (v.kind === "bool" || v.kind === "int" || v.kind === "float");
  if (other.kind === "tensor" && (floatInInteger || boolClash))
    return failBoth(
      "EIN1201",
      floatInInteger
        ? `a float literal cannot be ${hint === "bool" ? "a bool" : `an ${hint}`}`
        : `bool and ${v.kind === "bool" ? hint : "numbers"} do not mix`,
      { span, text: `this is ${describe(v)}` },
      { span: otherSpan, text: `this is ${describe(other)}` },
      floatInInteger && hint !== "bool" ? { fix: castFix(otherSpan, "f32") } : {},
    );
  return toTensor(v, span, v.kind === "bool" ? undefined : hint === "bool" ? "i32" : hint);
}

function rankOf(d: DType): number {
  return { bool: 0, u32: 1, i32: 1, f16: 2, f32: 3 }[d];
}

/** `f` of the elements over the common shape. A scalar is an expression at once, anything larger a view. */
export function mapped(
  cx: Context,
  tensors: readonly TensorValue[],
  f: (elements: readonly TensorExpr[]) => TensorExpr,
  dtype: DType,
  span: Span,
  what: string,
): TensorValue {
  const shape = broadcastShape(cx.builder, tensors, what);
  if (shape.length === 0) {
    const e = f(tensors.map((t) => t.at([])));
    return { kind: "tensor", dtype: e.dtype, shape, at: () => e, span, name: undefined };
  }
  const at = (index: readonly TensorExpr[]): TensorExpr => f(tensors.map((t) => t.at(broadcastIndex(t, index))));
  return { kind: "tensor", dtype, shape, at, span, name: undefined };
}

export function elementwise(
  cx: Context,
  prim: Prim,
  tensors: readonly TensorValue[],
  span: Span,
  what: string,
): TensorValue {
  const first = tensors[0]!.dtype;
  if (
    first === "bool" &&
    (prim === "add" ||
      prim === "sub" ||
      prim === "mul" ||
      prim === "floordiv" ||
      prim === "mod" ||
      prim === "pow" ||
      prim === "neg")
  )
    return fail("EIN1201", `${what} needs numbers, not bools`, span, `the operands are bool`, {
      notes: ["convert with `as f32` or `as i32`"],
    });
  const compare = Object.values(COMPARISON).includes(prim);
  return mapped(cx, tensors, (v) => applyFolded(prim, v), compare ? "bool" : first, span, what);
}

/** Index arithmetic with its trivial cases folded, which is exact for integers; floats are left alone. */
function applyFolded(prim: Prim, [a, b]: readonly TensorExpr[]): TensorExpr {
  if (!a) throw new RangeError(`${prim} of nothing`);
  if (!b) return apply(prim, a);
  if (a.dtype === "i32") {
    if (prim === "add") return addIndex(a, b);
    if (prim === "sub") return subIndex(a, b);
    if (prim === "mul") return mulIndex(a, b);
  }
  return apply(prim, a, b);
}

// ---- Comparisons, logic, bits -------------------------------------------------------------------------------------

function comparison(cx: Context, e: BinaryExpr, prim: Prim, left: Value, right: Value): Value {
  const equality = prim === "eq" || prim === "ne";
  if (left.kind === "string" || right.kind === "string" || (left.kind === "bool" && right.kind === "bool")) {
    if (!equality || left.kind !== right.kind || (left.kind !== "string" && left.kind !== "bool"))
      return failBoth(
        "EIN1201",
        `${operatorText(e.op)} cannot compare these`,
        { span: e.left.span, text: `this is ${describe(left)}` },
        { span: e.right.span, text: `this is ${describe(right)}` },
      );
    const same = left.value === (right as typeof left).value;
    return boolOf(same === (prim === "eq"), e.span);
  }
  if (left.kind === "none" || right.kind === "none")
    return boolOf((left.kind === right.kind) === (prim === "eq"), e.span);
  if (left.kind === "int" && right.kind === "int") {
    const known = compareExtents(
      prim,
      cx.builder.constraints.resolve(left.extent),
      cx.builder.constraints.resolve(right.extent),
    );
    if (known !== undefined) return boolOf(known, e.span);
  }
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined)
    return boolOf({ eq: a === b, ne: a !== b, lt: a < b, le: a <= b, gt: a > b, ge: a >= b }[prim as "eq"], e.span);
  const [l, r] = unify(cx, left, right, e, operatorText(e.op));
  return elementwise(cx, prim, [l, r], e.span, operatorText(e.op));
}

export function toBoolTensor(v: Value, span: Span, what: string): TensorValue {
  const t = v.kind === "tensor" || v.kind === "bool" ? toTensor(v, span) : undefined;
  if (t?.dtype === "bool") return t;
  return fail("EIN1201", `${what} needs a bool`, span, `this is ${describe(v)}`, {
    fix: { message: "compare with 0", edits: [{ span: insert(span, "end"), text: " != 0" }] },
  });
}

function logical(cx: Context, e: BinaryExpr, prim: Prim, left: Value, right: Value): Value {
  const what = operatorText(e.op);
  const [l, r] = [toBoolTensor(left, e.left.span, what), toBoolTensor(right, e.right.span, what)];
  if (right.kind === "bool")
    return right.value === (prim === "and")
      ? left
      : mapped(cx, [l], () => constant("bool", right.value ? 1 : 0), "bool", e.span, what);
  return elementwise(cx, prim, [l, r], e.span, what);
}

function bitwise(cx: Context, e: BinaryExpr, left: Value, right: Value): Value {
  const what = operatorText(e.op);
  const prim = BITS[e.op];
  if (!prim) throw new RangeError(`operator ${e.op}`);
  if (
    left.kind === "int" &&
    right.kind === "int" &&
    left.extent.value !== undefined &&
    right.extent.value !== undefined
  )
    return intOf(size(foldBits(prim, left.extent.value, right.extent.value)), e.span);
  const [l, r] = unify(cx, left, right, e, what);
  if (l.dtype === "bool") {
    const same = BOOL_BITS[e.op];
    if (same) return elementwise(cx, same, [l, r], e.span, what);
  }
  if (!isInteger(l.dtype))
    return fail("EIN1201", `${what} needs integers, not ${l.dtype}`, e.span, `the operands are ${l.dtype}`, {
      notes: e.op === "^" ? ["`^` is the exclusive or of bits; powers are written `x ** y`"] : [],
    });
  return elementwise(cx, prim, [l, r], e.span, what);
}

// ---- Unary --------------------------------------------------------------------------------------------------------

export function unary(cx: Context, e: UnaryExpr, v: Value): Value {
  const what = `\`${e.op}\``;
  if (e.op === "!") {
    if (v.kind === "bool") return boolOf(!v.value, e.span);
    return elementwise(cx, "not", [toBoolTensor(v, e.operand.span, what)], e.span, what);
  }
  if (v.kind === "int") {
    if (e.op === "~")
      return v.extent.value === undefined
        ? fail("EIN1502", "`~` needs a constant integer or a tensor", e.span, `found ${describe(v)}`)
        : intOf(size(~v.extent.value), e.span);
    return intOf(e.op === "-" ? negExtent(v.extent) : v.extent, e.span);
  }
  if (v.kind === "float" && e.op !== "~") return floatOf(e.op === "-" ? -v.value : v.value, e.span);
  const t = toTensor(v, e.operand.span);
  if (e.op === "~") {
    if (t.dtype === "bool") return elementwise(cx, "not", [t], e.span, what);
    if (!isInteger(t.dtype))
      return fail("EIN1201", `\`~\` needs integers, not ${t.dtype}`, e.operand.span, `this is ${describe(t)}`);
    return elementwise(cx, "bitnot", [t], e.span, what);
  }
  if (t.dtype === "bool")
    return fail("EIN1201", `${what} needs a number, not a bool`, e.operand.span, `this is ${describe(t)}`);
  if (e.op === "+") return t;
  const negated = (x: TensorValue): TensorValue => elementwise(cx, "neg", [x], e.span, what);
  return t.open ? openTensor([t.open], (d) => negated(retyped(t, d))) : negated(t);
}
