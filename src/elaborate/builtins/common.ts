/** What builtins share: parameter lists, agreement of element types, broadcasting, elementwise definitions. */
import type { Span } from "../../../grammar/span.ts";
import { type DType, isFloat, isInteger } from "../../../ir/dtype.ts";
import { type Extent, ONE, proveNonNegative } from "../../../ir/extent.ts";
import { cast, i32, type TensorExpr } from "../../../ir/tensor.ts";
import { describe, fail, failBoth, openType, toExtent, toItems, toTensor, toText } from "../convert.ts";
import type { Builder, Builtin, BuiltinParameter, IntValue, TensorValue, Value } from "../value.ts";

export type Args = Readonly<Record<string, Value | undefined>>;
export type Build = (b: Builder, a: Args, span: Span) => Value;

/**
 * `signature` lists the parameters: `x` is needed, `axis?` is optional, `*xs` takes the remaining positional arguments, `keepdims!`
 * is optional and may be given only by name, `**sizes` takes all other named arguments.
 */
export function builtin(name: string, signature: string, doc: string, build: Build): Builtin {
  const parameters = signature
    .split(",")
    .map((p) => p.trim())
    .filter((p) => p !== "")
    .map((p): BuiltinParameter => {
      if (p.startsWith("**")) return { name: p.slice(2), optional: true, restNamed: true };
      if (p.startsWith("*")) return { name: p.slice(1), optional: true, rest: true };
      if (p.endsWith("!")) return { name: p.slice(0, -1), optional: true, keyword: true };
      return p.endsWith("?") ? { name: p.slice(0, -1), optional: true } : { name: p };
    });
  return { name, parameters, doc: `${name}(${signature.replaceAll("!", "?")}): ${doc}`, build };
}

export function table(list: readonly Builtin[]): ReadonlyMap<string, Builtin> {
  return new Map(list.map((f) => [f.name, f]));
}

// ---- Element types ------------------------------------------------------------------------------------------------

export type Class = "any" | "number" | "float" | "integer" | "bool";

function fits(d: DType, need: Class): boolean {
  switch (need) {
    case "any":
      return true;
    case "number":
      return d !== "bool";
    case "float":
      return isFloat(d);
    case "integer":
      return isInteger(d);
    case "bool":
      return d === "bool";
  }
}

const CLASS_TEXT: Readonly<Record<Class, string>> = {
  any: "a tensor",
  number: "numbers",
  float: "floats",
  integer: "integers",
  bool: "bools",
};

/** One tensor of the class that `what` needs; literals take f32 where a float is needed. Throws EIN1201, EIN1204. */
export function operand(v: Value | undefined, span: Span, what: string, need: Class = "any"): TensorValue {
  const t = toTensor(v, span, need === "float" ? "f32" : undefined);
  if (!fits(t.dtype, need)) {
    const notes =
      need === "float" || need === "integer" ? [`convert it with \`as ${need === "float" ? "f32" : "i32"}\``] : [];
    fail("EIN1201", `${what} needs ${CLASS_TEXT[need]}, not ${t.dtype}`, v?.span ?? span, `this is ${describe(t)}`, {
      notes,
    });
  }
  return t;
}

/** Tensors of one element type: literals take the type of the tensors beside them. Throws EIN1201 where two tensors differ. */
export function unify(
  values: readonly (Value | undefined)[],
  span: Span,
  what: string,
  need: Class = "any",
): readonly TensorValue[] {
  const first = values.find((v) => v?.kind === "tensor" && !v.open);
  let hint: DType;
  if (first?.kind === "tensor") hint = first.dtype;
  else if (need === "float" || values.some((v) => v && openType(v)?.float)) hint = "f32";
  else if (values.every((v) => v?.kind === "bool")) hint = "bool";
  else hint = "i32";
  const out = values.map((v) => toTensor(v, span, hint));
  for (const t of out)
    if (t.dtype !== hint)
      failBoth(
        "EIN1201",
        `the operands of ${what} have different element types, ${hint} and ${t.dtype}`,
        { span: t.span, text: `this is ${describe(t)}` },
        { span: first?.span ?? span, text: `this is ${first ? describe(first) : hint}` },
        { notes: [`convert one of them, e.g. with \`as ${hint === "bool" ? t.dtype : hint}\``] },
      );
  for (const t of out) operand(t, span, what, need);
  return out;
}

/** `dtype: "i32"`. */
export function toDType(v: Value | undefined, fallback: DType, span: Span): DType {
  if (v === undefined || v.kind === "none") return fallback;
  const text = toText(v, span, "dtype");
  if (text === "f32" || text === "f16" || text === "i32" || text === "u32" || text === "bool") return text;
  return fail("EIN1503", `there is no element type ${JSON.stringify(text)}`, v.span, "one of f32, f16, i32, u32, bool");
}

// ---- Shapes -------------------------------------------------------------------------------------------------------

/** The common shape under NumPy's rule: aligned at the right, a literal 1 stretches, everything else must agree. */
export function broadcastShape(b: Builder, tensors: readonly TensorValue[], what: string): readonly Extent[] {
  const rank = Math.max(0, ...tensors.map((t) => t.shape.length));
  const shape: Extent[] = [];
  for (let k = 0; k < rank; k++) {
    let chosen: Extent = ONE;
    let from: TensorValue | undefined;
    for (const t of tensors) {
      const n = t.shape[t.shape.length - rank + k];
      if (n === undefined || n === ONE || n === chosen) continue;
      if (from) b.requireEqual(chosen, n, from.span, t.span, `axis ${k - rank} of the operands of ${what}`);
      // A constant says more than a symbol that must equal it.
      if (!from || (chosen.value === undefined && n.value !== undefined)) {
        chosen = n;
        from = t;
      }
    }
    shape.push(chosen);
  }
  return shape;
}

/** Where an element of a broadcast result is read in `t`. */
export function broadcastIndex(t: TensorValue, index: readonly TensorExpr[]): readonly TensorExpr[] {
  const skip = index.length - t.shape.length;
  return t.shape.map((n, k) => (n === ONE ? i32(0) : (index[skip + k] as TensorExpr)));
}

/** `f` of the operands' elements over their common shape. A scalar is an expression, anything larger a definition. */
export function elementwise(
  b: Builder,
  name: string,
  tensors: readonly TensorValue[],
  f: (...elements: readonly TensorExpr[]) => TensorExpr,
  span: Span,
): TensorValue {
  const shape = broadcastShape(b, tensors, name);
  const body = (index: readonly TensorExpr[]): TensorExpr => f(...tensors.map((t) => t.at(broadcastIndex(t, index))));
  if (shape.length > 0) return b.define(name, shape, body, span);
  const value = body([]);
  return b.view(value.dtype, [], () => value, span, name);
}

/** `x as dtype`, nothing if it is that already. */
export function convert(b: Builder, x: TensorValue, dtype: DType, span: Span): TensorValue {
  return x.dtype === dtype ? x : elementwise(b, x.name ?? "cast", [x], (e) => cast(e as TensorExpr, dtype), span);
}

/** A list of extents, none of them negative: `[N, 2 * D]`, or one extent. */
export function toShape(v: Value | undefined, span: Span, what = "an extent of the shape"): readonly Extent[] {
  return toItems(v).map((item) => toCount(item, span, what));
}

/** An extent that is not negative. */
export function toCount(v: Value | undefined, span: Span, what: string): Extent {
  const e = toExtent(v, span, what);
  if (proveNonNegative(e) === "refuted")
    fail("EIN1503", `${what} must not be negative`, v?.span ?? span, `this is ${e.text}`);
  return e;
}

export function intValue(extent: Extent, span: Span): IntValue {
  return { kind: "int", extent, span };
}

/** One of a few words; the fallback when it is left out. */
export function toChoice<T extends string>(
  v: Value | undefined,
  choices: readonly T[],
  fallback: T,
  span: Span,
  what: string,
): T {
  if (v === undefined || v.kind === "none") return fallback;
  const text = toText(v, span, what);
  const found = choices.find((c) => c === text);
  return (
    found ??
    fail(
      "EIN1503",
      `${what} cannot be ${JSON.stringify(text)}`,
      v.span,
      `one of ${choices.map((c) => `"${c}"`).join(", ")}`,
    )
  );
}

export function present(v: Value | undefined): v is Exclude<Value, { kind: "none" }> {
  return v !== undefined && v.kind !== "none";
}
