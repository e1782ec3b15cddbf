/** From values to what builtins need, with the diagnostics that say what was found instead. */
import type { DiagnosticCode } from "../../grammar/codes.ts";
import { DiagnosticError, type DiagnosticParts, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { type DType, isFloat } from "../../ir/dtype.ts";
import type { Extent } from "../../ir/extent.ts";
import { cast, constant, sizeOf, type TensorExpr } from "../../ir/tensor.ts";
import type { OpenType, TensorValue, Value } from "./value.ts";

/** Throws the diagnostic; elaboration recovers at the statement. */
export function fail(
  code: DiagnosticCode,
  message: string,
  span: Span,
  label = "",
  parts: DiagnosticParts = {},
): never {
  throw new DiagnosticError(diagnostic(code, message, { span, text: label }, parts));
}

/** Two places that disagree, the first being the main one. */
export function failBoth(
  code: DiagnosticCode,
  message: string,
  first: { span: Span; text: string },
  second: { span: Span; text: string },
  parts: DiagnosticParts = {},
): never {
  throw new DiagnosticError(diagnostic(code, message, [first, second], parts));
}

/** `f32[B, T]`, `int 3`, `a string`: for messages. */
export function describe(v: Value | undefined): string {
  if (v === undefined) return "nothing";
  switch (v.kind) {
    case "tensor":
      return v.shape.length === 0 ? v.dtype : `${v.dtype}[${v.shape.map((e) => e.text).join(", ")}]`;
    case "int":
      return `the integer ${v.extent.text}`;
    case "float":
      return `the number ${v.value}`;
    case "bool":
      return String(v.value);
    case "string":
      return `the string ${JSON.stringify(v.value)}`;
    case "list":
      return `a list of ${v.items.length}`;
    case "record":
      return `a record { ${[...v.fields.keys()].join(", ")} }`;
    case "none":
      return "None";
    case "function":
      return `the function ${v.name}`;
  }
}

/** What takes the type of its context: whether it is made of float literals. Undefined for everything else. */
export function openType(v: Value): { readonly float: boolean } | undefined {
  if (v.kind === "tensor") return v.open;
  return v.kind === "int" || v.kind === "float" ? { float: v.kind === "float" } : undefined;
}

/** The type of what is made of literals, where nothing else says one. */
export function ownType(...parts: readonly { readonly float: boolean }[]): DType {
  return parts.some((p) => p.float) ? "f32" : "i32";
}

/** A tensor in a type of its context, if it takes that. */
export function retyped(t: TensorValue, dtype: DType): TensorValue {
  const takes = t.open && t.dtype !== dtype && dtype !== "bool" && (!t.open.float || isFloat(dtype));
  return takes && t.open ? t.open.as(dtype) : t;
}

/** Made of literals alone, so in any type by `as`. */
export function openTensor(
  parts: readonly { readonly float: boolean }[],
  as: (dtype: DType) => TensorValue,
): TensorValue & { readonly open: OpenType } {
  return { ...as(ownType(...parts)), open: { float: parts.some((p) => p.float), as } };
}

/** Literals and extents become scalars of `hint` (default i32 for ints, f32 for floats); tensors pass. */
export function toTensor(v: Value | undefined, span: Span, hint?: DType): TensorValue {
  const scalar = (dtype: DType, expr: TensorExpr): TensorValue => ({
    kind: "tensor",
    dtype,
    shape: [],
    at: () => expr,
    span: v?.span ?? span,
    name: undefined,
  });
  switch (v?.kind) {
    case "tensor":
      return hint ? retyped(v, hint) : v;
    case "int": {
      const dtype = hint ?? "i32";
      const value = v.extent.value;
      if (dtype === "bool") return fail("EIN1201", "a bool is needed here", v.span, `found ${describe(v)}`);
      if (value !== undefined) {
        const [low, high] =
          dtype === "u32" ? [0, 4294967295] : dtype === "i32" ? [-2147483648, 2147483647] : [-Infinity, Infinity];
        if (value < low || value > high)
          return fail("EIN1004", `${value} does not fit ${dtype}`, v.span, "this literal");
        return scalar(dtype, constant(dtype, value));
      }
      return scalar(dtype, cast(sizeOf(v.extent), dtype));
    }
    case "float": {
      const dtype = hint ?? "f32";
      if (!isFloat(dtype))
        return fail("EIN1201", `a number of type ${dtype} is needed here`, v.span, `${v.value} is a float literal`);
      return scalar(dtype, constant(dtype, v.value));
    }
    case "bool":
      return scalar("bool", constant("bool", v.value ? 1 : 0));
    default:
      return fail("EIN1204", "a tensor or a scalar is needed here", v?.span ?? span, `found ${describe(v)}`);
  }
}

/** An integer known at compile time, perhaps symbolic; the error points to the value. */
export function toExtent(v: Value | undefined, span: Span, what: string): Extent {
  return v?.kind === "int" ? v.extent : extentAt(v, v?.span ?? span, what);
}
/** The same; the error points to where it is used. */
export function extentAt(v: Value | undefined, span: Span, what: string): Extent {
  if (v?.kind === "int") return v.extent;
  const data = v?.kind === "tensor" && !v.open;
  return fail("EIN1502", `${what} must be an integer known when the kernel is made`, span, `found ${describe(v)}`, {
    notes: data ? ["only constants and extents steer shapes and ranges; data does not"] : [],
    ...quotientParts(v),
  });
}
/** For an error that found a float: the quotient of integers is one. */
export function quotientParts(v: Value | undefined): DiagnosticParts {
  const fix = v?.kind === "float" ? v.integral : v?.kind === "tensor" ? v.open?.integral : undefined;
  return fix ? { notes: ["`/` divides as floats; `div` rounds to the floor"], fix } : {};
}

/** An integer with a known value. */
export function toInteger(v: Value | undefined, span: Span, what: string): number {
  const value = toExtent(v, span, what).value;
  if (value === undefined)
    return fail("EIN1502", `${what} must be a constant integer`, v?.span ?? span, `found ${describe(v)}`);
  return value;
}

export function toNumber(v: Value | undefined, span: Span, what: string): number {
  if (v?.kind === "float") return v.value;
  if (v?.kind === "int" && v.extent.value !== undefined) return v.extent.value;
  return fail("EIN1502", `${what} must be a constant number`, v?.span ?? span, `found ${describe(v)}`);
}

export function toBoolean(v: Value | undefined, fallback: boolean, span: Span, what: string): boolean {
  if (v === undefined) return fallback;
  if (v.kind === "bool") return v.value;
  return fail("EIN1502", `${what} must be true or false`, v.span ?? span, `found ${describe(v)}`);
}

export function toText(v: Value | undefined, span: Span, what: string): string {
  if (v?.kind === "string") return v.value;
  return fail("EIN1502", `${what} must be a string`, v?.span ?? span, `found ${describe(v)}`);
}

/** A list of values; a single value is a list of one. */
export function toItems(v: Value | undefined): readonly Value[] {
  if (v === undefined) return [];
  return v.kind === "list" ? v.items : [v];
}

/** One axis number in 0…rank-1 from a possibly negative one. */
export function toAxis(v: Value | undefined, rank: number, span: Span): number {
  const n = toInteger(v, span, "axis");
  if (n < -rank || n >= rank)
    return fail(
      "EIN1304",
      `axis ${n} is out of range for a tensor of rank ${rank}`,
      v?.span ?? span,
      rank === 0 ? "a scalar has no axes" : `expected ${-rank} to ${rank - 1}`,
    );
  return n < 0 ? n + rank : n;
}

/** `axis:` of a reduction: one, several, or all when it is left out or None. Sorted; a repeated axis is an error. */
export function toAxes(v: Value | undefined, rank: number, span: Span): readonly number[] {
  if (v === undefined || v.kind === "none") return Array.from({ length: rank }, (_, i) => i);
  const axes = toItems(v).map((x) => toAxis(x, rank, span));
  if (new Set(axes).size !== axes.length) return fail("EIN1304", "an axis is named twice", v.span, "here");
  return [...axes].sort((a, b) => a - b);
}
