/** Types as written: binding their extents to the shapes of arguments, and checking values against them. */
import type { ConstType, Dim, Expr, NameExpr, TensorType, TypeExpr } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import { DTYPES, type DType } from "../../ir/dtype.ts";
import type { Extent } from "../../ir/extent.ts";
import type { Context, Want } from "./context.ts";
import { describe, extentAt, fail, failBoth, retyped, toTensor } from "./convert.ts";
import { FLOAT } from "./float.ts";
import { castFix } from "./operators.ts";
import { declare, functionScope, lookup, type Scope } from "./scope.ts";
import type { TensorValue, Value } from "./value.ts";

/** In a body `float` is f32: arguments of f16 are widened where they are bound, and the call's results rounded. */
export function dtypeOf(name: { readonly text: string; readonly span: Span }): DType {
  if (name.text === FLOAT) return "f32";
  const found = DTYPES.find((d) => d === name.text);
  if (found) return found;
  const near = suggest(name.text, DTYPES) ?? SYNONYMS.get(name.text);
  return fail(
    "EIN1101",
    `there is no element type \`${name.text}\``,
    name.span,
    near ? `did you mean \`${near}\`?` : "one of f32, f16, float, i32, u32, bool",
    {
      ...(near ? { fix: { message: `write \`${near}\``, edits: [{ span: name.span, text: near }] } } : {}),
    },
  );
}
const SYNONYMS: ReadonlyMap<string, DType> = new Map([
  ["float32", "f32"],
  ["float16", "f16"],
  ["half", "f16"],
  ["int", "i32"],
  ["int32", "i32"],
  ["uint32", "u32"],
  ["boolean", "bool"],
]);

/** The name if an extent is written as one name. */
export function plainName(d: Dim): string | undefined {
  return d.kind === "extent" && d.expr.kind === "name" ? d.expr.text : undefined;
}

/** Is the name an integer in this scope already? Functions and other modules' names do not count: an extent may be called so. */
function boundExtent(scope: Scope, name: string): boolean {
  const b = lookup(scope, name);
  if (!b) return false;
  if (b.kind === "lazy") return b.evaluate().kind === "int";
  return b.kind === "value" ? b.value.kind !== "function" : true;
}

/** The first name in an extent expression that has no value. */
function openName(e: Expr, scope: Scope): NameExpr | undefined {
  switch (e.kind) {
    case "name":
      return boundExtent(scope, e.text) ? undefined : e;
    case "unary":
      return openName(e.operand, scope);
    case "binary":
      return openName(e.left, scope) ?? openName(e.right, scope);
    case "call":
      return e.args.map((a) => openName(a.value, scope)).find((x) => x);
    default:
      return undefined;
  }
}

export function dimExtent(cx: Context, d: Dim & { readonly kind: "extent" }, scope: Scope): Extent {
  const open = openName(d.expr, scope);
  if (open)
    fail("EIN1205", `extent \`${open.text}\` cannot be found`, open.span, "no argument has it as a whole axis", {
      notes: [
        "an extent is bound where it stands alone as an axis, e.g. `x: f32[D]`; others are computed from such ones",
      ],
    });
  return extentAt(cx.evaluate(d.expr, scope), d.span, "an extent");
}

/** Where the extents of a shape come from, for messages. */
export interface Source {
  readonly span: Span;
  /** `x`, `the result` */
  readonly what: string;
}

/**
 * Binds the names of a declared shape to an actual one. What is not a new name is checked later, by the functions pushed to
 * `checks`, when every argument had its turn. Throws EIN1202.
 */
export function bindShape(
  cx: Context,
  type: TensorType,
  shape: readonly Extent[],
  scope: Scope,
  source: Source,
  checks: (() => void)[],
): void {
  const dims = type.dims ?? [];
  const at = dims.findIndex((d) => d.kind === "ellipsis");
  const fixed = at < 0 ? dims.length : dims.length - 1;
  if (at < 0 ? shape.length !== fixed : shape.length < fixed)
    failBoth(
      "EIN1202",
      `${source.what} has rank ${shape.length}, but its type needs ${at < 0 ? `rank ${fixed}` : `at least rank ${fixed}`}`,
      { span: source.span, text: `found [${shape.map((e) => e.text).join(", ")}]` },
      { span: type.span, text: `expected ${at < 0 ? fixed : `${fixed} or more`} axes` },
    );
  const leadCount = shape.length - fixed;
  for (const [k, d] of dims.entries()) {
    if (d.kind === "ellipsis") {
      bindLead(cx, shape.slice(at, at + leadCount), scope, source, checks);
      continue;
    }
    const axis = at >= 0 && k > at ? k - 1 + leadCount : k;
    const actual = shape[axis]!;
    const name = plainName(d);
    if (name !== undefined && !boundExtent(scope, name)) {
      const value: Value = { kind: "int", extent: actual, span: source.span };
      declare(functionScope(scope) ?? scope, name, { kind: "value", value, span: source.span });
      continue;
    }
    checks.push(() => {
      const expected = dimExtent(cx, d, scope);
      // The other place is the argument that bound the name, or else the type.
      const other = name === undefined ? undefined : lookup(scope, name);
      const bound = other?.kind === "value" && !sameSpan(other.span, source.span) ? other.span : d.span;
      const what = `axis ${axis} of ${source.what} and \`${name ?? expected.text}\``;
      cx.builder.requireEqual(actual, expected, source.span, bound, what);
    });
  }
}

function sameSpan(a: Span, b: Span): boolean {
  return a.file === b.file && a.start === b.start && a.end === b.end;
}

function bindLead(cx: Context, shape: readonly Extent[], scope: Scope, source: Source, checks: (() => void)[]): void {
  const owner = functionScope(scope) ?? scope;
  const old = owner.lead;
  if (!old) {
    owner.lead = { shape, span: source.span };
    return;
  }
  if (old.shape.length !== shape.length)
    failBoth(
      "EIN1202",
      "`...` stands for different numbers of axes",
      { span: source.span, text: `here for ${shape.length}` },
      { span: old.span, text: `here for ${old.shape.length}` },
    );
  checks.push(() => {
    shape.forEach((e, k) => {
      cx.builder.requireEqual(e, old.shape[k]!, source.span, old.span, `axis ${k} of \`...\``);
    });
  });
}

/** What a type says of a value before the value is there: extents with unknown names stay open. */
export function wantOf(cx: Context, type: TypeExpr, scope: Scope, name?: string): Want {
  if (type.kind === "constType") return { span: type.span, ...(name ? { name } : {}) };
  const dims = type.dims ?? [];
  const base = { dtype: dtypeOf(type.dtype), span: type.span, ...(name ? { name } : {}) };
  const lead = functionScope(scope)?.lead?.shape;
  if (dims.some((d) => d.kind === "ellipsis") && !lead) return base;
  const shape = dims.flatMap((d): (Extent | undefined)[] => {
    if (d.kind === "ellipsis") return [...(lead ?? [])];
    return openName(d.expr, scope) ? [undefined] : [dimExtent(cx, d, scope)];
  });
  return { ...base, shape };
}

/** The value as the type says, or EIN1201, EIN1202, EIN1203. Literals take the type; names that are still open are bound. */
export function conform(cx: Context, type: TypeExpr, value: Value, scope: Scope, source: Source): Value {
  if (type.kind === "constType") return conformConst(type, value, source);
  const dtype = dtypeOf(type.dtype);
  const t = toDeclared(value, dtype, type, source);
  const checks: (() => void)[] = [];
  bindShape(cx, type, t.shape, scope, source, checks);
  for (const check of checks) check();
  return t;
}

/** A tensor of exactly the element type; literals adapt. */
export function toDeclared(given: Value, dtype: DType, type: TypeExpr, source: Source): TensorValue {
  const value = given.kind === "tensor" ? retyped(given, dtype) : given;
  const literal = value.kind === "int" || value.kind === "float" || value.kind === "bool";
  const clash =
    (value.kind === "tensor" && value.dtype !== dtype) ||
    (literal && (value.kind === "bool") !== (dtype === "bool")) ||
    (value.kind === "float" && dtype !== "f32" && dtype !== "f16");
  if (clash)
    failBoth(
      "EIN1201",
      `${source.what} is ${describe(value)}, not ${dtype}`,
      { span: source.span, text: `found ${value.kind === "tensor" ? value.dtype : describe(value)}` },
      { span: type.span, text: `expected ${dtype}` },
      value.kind === "tensor" ? { fix: castFix(source.span, dtype) } : {},
    );
  return toTensor(value, source.span, dtype);
}

/** Types of `const` parameters. An element type stands for a scalar constant: `const f32` is a float. */
export function conformConst(type: ConstType | TensorType, value: Value, source: Source): Value {
  const name = type.kind === "constType" ? type.name.text : type.dtype.text;
  const wrong = (needed: string): never =>
    failBoth(
      "EIN1502",
      `${source.what} must be ${needed} that is known when the kernel is made`,
      { span: source.span, text: `found ${describe(value)}` },
      { span: type.span, text: "because of this type" },
    );
  switch (name) {
    case "int":
    case "i32":
    case "u32":
      return value.kind === "int" ? value : wrong("an integer");
    case "float":
    case "f32":
    case "f16":
      if (value.kind === "int" && value.extent.value !== undefined)
        return { kind: "float", value: value.extent.value, span: value.span };
      return value.kind === "float" ? value : wrong("a number");
    case "bool":
      return value.kind === "bool" ? value : wrong("true or false");
    case "string":
      return value.kind === "string" ? value : wrong("a string");
    case "ints":
      if (value.kind === "int") return { kind: "list", items: [value], span: value.span };
      if (value.kind === "none") return value;
      return value.kind === "list" && value.items.every((v) => v.kind === "int") ? value : wrong("a list of integers");
    case "fn":
      return value.kind === "function" ? value : wrong("a function");
    default:
      return fail(
        "EIN1101",
        `there is no constant type \`${name}\``,
        type.span,
        "one of int, float, bool, string, ints, fn",
      );
  }
}
