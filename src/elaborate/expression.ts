/** Expressions to values: names, literals, and the dispatch to the parts that know each construct. */
import type {
  BinaryExpr,
  CallExpr,
  CastExpr,
  ConditionalExpr,
  Expr,
  FieldExpr,
  NameExpr,
  NumberLiteral,
  RecordExpr,
} from "../../grammar/ast.ts";
import { suggest } from "../../grammar/suggest.ts";
import { productExtent, size } from "../../ir/extent.ts";
import { apply, cast } from "../../ir/tensor.ts";
import type { Context, Want } from "./context.ts";
import { describe, fail, openTensor, openType, toTensor } from "./convert.ts";
import { intOf } from "./fold.ts";
import { lambda } from "./function.ts";
import { forExpression, reduceExpression, scanExpression } from "./index-notation.ts";
import { iterate } from "./iterate.ts";
import { matmul } from "./matmul.ts";
import { binary, mapped, toBoolTensor, unary, unify } from "./operators.ts";
import { lookup, namesIn, type Scope, Silent } from "./scope.ts";
import { guarded, subscript } from "./subscript.ts";
import { dtypeOf } from "./types.ts";
import type { CallArgument, IntValue, TensorValue, Value } from "./value.ts";

const MAX_DEPTH = 1000;
/** A longer chain of operators is cut into definitions, so that no expression gets too deep for the passes after this. */
const CHAIN = 128;

export function evaluate(cx: Context, e: Expr, scope: Scope, want: Want | undefined): Value {
  if (cx.depth > MAX_DEPTH)
    return fail("EIN1003", "the expression nests too deeply", e.span, "name parts of it with `let`");
  cx.depth++;
  try {
    return dispatch(cx, e, scope, want);
  } finally {
    cx.depth--;
  }
}

function dispatch(cx: Context, e: Expr, scope: Scope, want: Want | undefined): Value {
  switch (e.kind) {
    case "number":
      return number(e);
    case "boolean":
      return { kind: "bool", value: e.value, span: e.span };
    case "string":
      return { kind: "string", value: e.value, span: e.span };
    case "name":
      return name(cx, e, scope);
    case "unary":
      return unary(cx, e, cx.evaluate(e.operand, scope, want));
    case "binary":
      return binaryChain(cx, e, scope, want);
    case "conditional":
      return conditional(cx, e, scope, want);
    case "cast":
      return castTo(cx, e, scope);
    case "call":
      return call(cx, e, scope);
    case "subscript":
      return subscript(cx, e, scope);
    case "field":
      return field(cx, e, scope);
    case "list":
      return { kind: "list", items: e.items.map((x) => cx.evaluate(x, scope)), span: e.span };
    case "record":
      return record(cx, e, scope, want);
    case "for":
      return forExpression(cx, e, scope, want);
    case "reduce":
      return reduceExpression(cx, e, scope, want);
    case "scan":
      return scanExpression(cx, e, scope, want);
    case "blockExpr":
      return cx.block(e.block, scope, want);
    case "lambda":
      return lambda(cx, e, scope);
    case "iterate":
      return iterate(cx, e, scope);
    case "error":
      throw new Silent();
    default:
      return e satisfies never;
  }
}

function number(e: NumberLiteral): Value {
  const text = e.text.replaceAll("_", "");
  if (e.isFloat) {
    const value = text === "inf" ? Number.POSITIVE_INFINITY : text === "nan" ? Number.NaN : Number(text);
    return { kind: "float", value, span: e.span };
  }
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    return fail("EIN1004", `${e.text} is not an integer that fits`, e.span, "integers must stay below 2^53");
  return { kind: "int", extent: size(value), span: e.span };
}

function name(cx: Context, e: NameExpr, scope: Scope): Value {
  const b = lookup(scope, e.text);
  if (b) {
    switch (b.kind) {
      case "value":
        return located(b.value, e);
      case "lazy":
        return located(b.evaluate(), e);
      case "index":
        return { kind: "tensor", dtype: "i32", shape: [], at: () => b.index.expr, span: e.span, name: e.text };
      case "failed":
        throw new Silent();
    }
  }
  const found = cx.global(e.text, e.span);
  if (found) return found.kind === "function" ? { ...found, span: e.span } : found;
  const library = cx.libraryModule(e.text);
  if (library !== undefined) {
    const top = { file: e.span.file, start: 0, end: 0 };
    const line = `import { ${e.text} } from "${library}"\n`;
    return fail("EIN1101", `there is nothing called \`${e.text}\` here`, e.span, `\`${library}\` exports it`, {
      notes: [`add ${line.trim()}`],
      fix: { message: "import it", edits: [{ span: top, text: line }] },
    });
  }
  const near = suggest(e.text, [...namesIn(scope), ...cx.globalNames()]);
  return fail(
    "EIN1101",
    `there is nothing called \`${e.text}\` here`,
    e.span,
    near ? `did you mean \`${near}\`?` : "unknown name",
    near ? { fix: { message: `write \`${near}\``, edits: [{ span: e.span, text: near }] } } : {},
  );
}

/** Constants are said to be where they are used; tensors keep the place that determined their shape. */
function located(v: Value, e: NameExpr): Value {
  return v.kind === "int" || v.kind === "float" || v.kind === "bool" || v.kind === "string"
    ? { ...v, span: e.span }
    : v;
}

/** Left-nested operators without recursion: `a + b + c + …` may be long. */
function binaryChain(cx: Context, e: BinaryExpr, scope: Scope, want: Want | undefined): Value {
  const chain: BinaryExpr[] = [];
  let first: Expr = e;
  while (first.kind === "binary" && first.op !== "??") {
    chain.push(first);
    first = first.left;
  }
  const literalWant = want?.dtype && arithmetic(e) ? { dtype: want.dtype, span: want.span } : undefined;
  let value = first.kind === "binary" ? elseValue(cx, first, scope) : cx.evaluate(first, scope, literalWant);
  for (let k = chain.length - 1; k >= 0; k--) {
    const op = chain[k]!;
    if (value.kind === "bool" && (op.op === "&&" || op.op === "||")) {
      // What is decided while compiling is not elaborated further.
      if (value.value === (op.op === "||")) continue;
      value = toBoolTensorOrConstant(cx.evaluate(op.right, scope), op);
      continue;
    }
    const right = cx.evaluate(op.right, scope, literalWant);
    value = op.op === "@" ? matmul(cx, op, value, right) : binary(cx, op, value, right);
    const done = chain.length - k;
    if (done % CHAIN === 0 && value.kind === "tensor") value = cx.builder.materialise(value);
  }
  return value;
}

function arithmetic(e: BinaryExpr): boolean {
  return e.op === "+" || e.op === "-" || e.op === "*" || e.op === "/" || e.op === "div" || e.op === "%";
}

function toBoolTensorOrConstant(v: Value, e: BinaryExpr): Value {
  return v.kind === "bool" ? v : toBoolTensor(v, e.right.span, `\`${e.op}\``);
}

function elseValue(cx: Context, e: BinaryExpr, scope: Scope): TensorValue {
  return guarded(cx, e.left, cx.evaluate(e.right, scope), e.right.span, scope, e.span);
}

function conditional(cx: Context, e: ConditionalExpr, scope: Scope, want: Want | undefined): Value {
  const c = cx.evaluate(e.condition, scope);
  if (c.kind === "bool") return cx.evaluate(c.value ? e.then : e.otherwise, scope, want);
  const condition = toBoolTensor(c, e.condition.span, "a condition");
  const literalWant = want?.dtype ? { dtype: want.dtype, span: want.span } : undefined;
  const [then, otherwise] = [cx.evaluate(e.then, scope, literalWant), cx.evaluate(e.otherwise, scope, literalWant)];
  const choice = (a: TensorValue, b: TensorValue): TensorValue =>
    mapped(cx, [condition, a, b], ([x, y, z]) => apply("select", x!, y!, z!), a.dtype, e.span, "`? :`");
  const [x, y] = [openType(then), openType(otherwise)];
  if (x && y)
    return openTensor([x, y], (d) => choice(toTensor(then, e.then.span, d), toTensor(otherwise, e.otherwise.span, d)));
  return choice(...unify(cx, then, otherwise, { left: e.then, right: e.otherwise, span: e.span }, "`? :`"));
}

function castTo(cx: Context, e: CastExpr, scope: Scope): Value {
  const v = cx.evaluate(e.value, scope);
  const dtype = dtypeOf(e.dtype);
  const direct =
    v.kind === "int" && dtype !== "bool" && (v.extent.value === undefined || dtype !== "u32" || v.extent.value >= 0);
  const t = toTensor(
    v,
    e.value.span,
    direct || (v.kind === "float" && (dtype === "f32" || dtype === "f16")) ? dtype : undefined,
  );
  return t.dtype === dtype ? t : mapped(cx, [t], ([x]) => cast(x!, dtype), dtype, e.span, "`as`");
}

function call(cx: Context, e: CallExpr, scope: Scope): Value {
  if (e.callee.kind === "field") methodHint(cx, e, e.callee, scope);
  const f = cx.evaluate(e.callee, scope);
  if (f.kind !== "function")
    return fail("EIN1501", "only functions can be called", e.callee.span, `this is ${describe(f)}`);
  const args = e.args.map((a): CallArgument => {
    const quoted = a.name !== undefined && f.quotes?.includes(a.name.text);
    const value = quoted ? quotedNames(cx, a.value, scope) : cx.evaluate(a.value, scope);
    return { name: a.name?.text, value, span: a.value.span, ...(a.name ? { nameSpan: a.name.span } : {}) };
  });
  return f.call(args, e.span);
}

/** `[w1, w2]` as texts: they name parameters of another function. */
function quotedNames(cx: Context, e: Expr, scope: Scope): Value {
  if (e.kind === "name") return { kind: "string", value: e.text, span: e.span };
  if (e.kind === "list") return { kind: "list", items: e.items.map((x) => quotedNames(cx, x, scope)), span: e.span };
  return cx.evaluate(e, scope);
}

/** `x.sum()`: tensors have no methods. */
function methodHint(cx: Context, e: CallExpr, callee: FieldExpr, scope: Scope): void {
  const v = cx.evaluate(callee.value, scope);
  if (v.kind !== "tensor") return;
  const known = lookup(scope, callee.field.text) ?? cx.global(callee.field.text, callee.field.span);
  if (known)
    fail(
      "EIN1501",
      "tensors have no methods",
      callee.field.span,
      `write \`${callee.field.text}(x${e.args.length > 0 ? ", …" : ""})\``,
    );
}

function field(cx: Context, e: FieldExpr, scope: Scope): Value {
  const v = cx.evaluate(e.value, scope);
  const key = e.field.text;
  if (v.kind === "record") {
    const found = v.fields.get(key);
    if (found) return found;
    return unknownField(e, describe(v), [...v.fields.keys()]);
  }
  if (v.kind !== "tensor")
    return fail("EIN1204", "only tensors and records have fields", e.value.span, `this is ${describe(v)}`);
  const int = (n: IntValue["extent"]): IntValue => ({ kind: "int", extent: n, span: e.span });
  switch (key) {
    case "T":
      return cx.builder.view(v.dtype, [...v.shape].reverse(), (index) => v.at([...index].reverse()), e.span, v.name);
    case "shape":
      return { kind: "list", items: v.shape.map(int), span: e.span };
    case "ndim":
      return int(size(v.shape.length));
    case "size":
      return intOf(productExtent(v.shape), e.span);
    case "dtype":
      return { kind: "string", value: v.dtype, span: e.span };
    default:
      return unknownField(e, describe(v), ["T", "shape", "ndim", "size", "dtype"]);
  }
}

function unknownField(e: FieldExpr, what: string, known: readonly string[]): never {
  const near = suggest(e.field.text, known);
  return fail(
    "EIN1101",
    `${what} has no field \`${e.field.text}\``,
    e.field.span,
    near ? `did you mean \`${near}\`?` : `it has ${known.join(", ")}`,
    {
      ...(near ? { fix: { message: `write \`${near}\``, edits: [{ span: e.field.span, text: near }] } } : {}),
    },
  );
}

function record(cx: Context, e: RecordExpr, scope: Scope, want: Want | undefined): Value {
  const fields = new Map<string, Value>();
  for (const f of e.fields) {
    if (fields.has(f.name.text))
      return fail("EIN1102", `the record has two fields \`${f.name.text}\``, f.name.span, "the second");
    fields.set(f.name.text, cx.evaluate(f.value, scope, want?.fields?.get(f.name.text)));
  }
  return { kind: "record", fields, span: e.span };
}
