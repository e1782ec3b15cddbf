/**
 * Calls. A function of the language is inlined: its parameters are bound to the arguments, the extents in its types to the
 * arguments' shapes, and its block is elaborated in place. So every call is made for its own element types, ranks and extents.
 */
import type { Expr, FnItem, LambdaExpr, Param, ResultType, TensorType } from "../../grammar/ast.ts";
import { DiagnosticError, diagnostic, type Label } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { LoadedModule } from "../modules.ts";
import { bindArguments, builtinArguments } from "./arguments.ts";
import { ELEMENTWISE } from "./builtins/elementwise.ts";
import type { Context, Want } from "./context.ts";
import { describe, failBoth } from "./convert.ts";
import { ruleOf, withRule } from "./custom.ts";
import { givenHalf, narrowed, widened } from "./float.ts";
import { declare, lookup, makeScope, type Scope } from "./scope.ts";
import { bindShape, conform, conformConst, dtypeOf, toDeclared, wantOf } from "./types.ts";
import type { Builtin, BuiltinParameter, CallArgument, FunctionValue, Value } from "./value.ts";

export function moduleFunction(cx: Context, m: LoadedModule, item: FnItem): FunctionValue {
  const parameters = item.params.map(parameterOf);
  const name = item.name.text;
  return {
    kind: "function",
    name,
    parameters: item.params.map((p) => ({ name: p.name.text, isConst: isConst(p), optional: p.default !== undefined })),
    span: item.name.span,
    call: (args, span) => {
      const bound = bindArguments(name, parameters, args, span, item.name.span);
      return inline(cx, m, item, bound.byName, span);
    },
  };
}

function parameterOf(p: Param): BuiltinParameter {
  return { name: p.name.text, optional: p.default !== undefined };
}

/** Known when a kernel is made: `const`, or of a type that only constants have. */
export function isConst(p: Param): boolean {
  return p.isConst || p.type === undefined || p.type.kind === "constType";
}

/** Calls double with every function that calls another twice: this ends what would never end. */
const MAX_INLINED = 10_000;
/** Functions that passed the limit, and what was said of them: what calls them need not find out again. */
const tooLarge = new WeakMap<FnItem, DiagnosticError>();

function inline(
  cx: Context,
  m: LoadedModule,
  item: FnItem,
  given: ReadonlyMap<string, CallArgument>,
  span: Span,
): Value {
  const at = cx.calls.findIndex((c) => c.item === item);
  if (at >= 0) {
    const names = [...cx.calls.slice(at).map((c) => c.item.name.text), item.name.text];
    return failBoth(
      "EIN1105",
      `\`${item.name.text}\` calls itself`,
      { span, text: "this call closes the circle" },
      { span: item.name.span, text: "declared here" },
      { notes: [names.join(" → "), "functions are inlined, so they may not recurse"] },
    );
  }
  const said = tooLarge.get(item);
  if (said || ++cx.inlined > MAX_INLINED) {
    const text = `more than ${MAX_INLINED} calls are inlined`;
    const error = said ?? new DiagnosticError(diagnostic("EIN1003", "the program is too large", { span, text }));
    const root = cx.calls[0]?.item;
    if (root) tooLarge.set(root, error);
    throw error;
  }
  const recovering = cx.recovering;
  cx.calls.push({ item, span });
  cx.recovering = false;
  try {
    const value = instantiate(cx, m, item, given);
    const rule = cx.differentiating > 0 && !cx.ruled.has(item) ? ruleOf(item) : undefined;
    const defaultOf = (p: string): Value | undefined => defaultValue(cx, m, item, given, p);
    const made = rule ? withRule(cx, { module: m, item, rule, given, defaultOf, span }, value) : value;
    return relabelled(cx, made, span, item.name.text);
  } catch (error) {
    if (error instanceof DiagnosticError) throw inCall(error, item.name.text, span, m.isStd);
    throw error;
  } finally {
    cx.calls.pop();
    cx.recovering = recovering;
  }
}

function defaultValue(
  cx: Context,
  m: LoadedModule,
  item: FnItem,
  given: ReadonlyMap<string, CallArgument>,
  name: string,
): Value | undefined {
  const p = item.params.find((x) => x.name.text === name);
  if (!p?.default) return undefined;
  const scope = makeScope(cx.moduleScope(m), true);
  bindConstants(cx, item, given, scope);
  const b = lookup(scope, name);
  return isConst(p) && b?.kind === "lazy" ? b.evaluate() : cx.evaluate(p.default, scope);
}

/** The error with the call it happened in; for the library's functions the call is the main place. */
function inCall(error: DiagnosticError, name: string, span: Span, isStd: boolean): DiagnosticError {
  const d = error.diagnostic;
  const main = d.labels[0]?.span;
  // The arguments are at fault: the call is in view already.
  if (main && main.file === span.file && main.start >= span.start && main.end <= span.end) return error;
  const label: Label = { span, text: `in this call of \`${name}\`` };
  const first = isStd && main?.file.startsWith("std/") && !span.file.startsWith("std/");
  return new DiagnosticError(diagnostic(d.code, d.message, first ? [label, ...d.labels] : [...d.labels, label], d));
}

/** The value with the call as its place, so that errors about it point into the caller. */
function relabelled(cx: Context, v: Value, span: Span, name: string): Value {
  if (v.kind === "tensor") return cx.builder.relabel(v, span, v.name ?? name);
  if (v.kind === "record")
    return { kind: "record", fields: new Map([...v.fields].map(([k, x]) => [k, relabelled(cx, x, span, k)])), span };
  return { ...v, span };
}

/** The function's block with its parameters bound. `given` has an entry for every parameter without a default. */
export function instantiate(
  cx: Context,
  m: LoadedModule,
  item: FnItem,
  given: ReadonlyMap<string, CallArgument>,
): Value {
  const scope = makeScope(cx.moduleScope(m), true);
  bindConstants(cx, item, given, scope);
  const checks: (() => void)[] = [];
  for (const p of item.params) {
    if (isConst(p) || p.type?.kind !== "tensorType") continue;
    const a = given.get(p.name.text);
    if (a) bindTensor(cx, item, p, p.type, a.value, a.span, scope, checks);
    else if (p.default) bindTensor(cx, item, p, p.type, cx.evaluate(p.default, scope), p.default.span, scope, checks);
  }
  for (const check of checks) check();
  const want = item.result && wantOfResult(cx, item.result, scope);
  const value = cx.block(item.body, scope, want);
  const made = item.result ? conformResult(cx, item.result, value, scope, resultSpan(item)) : value;
  return givenHalf(item, given) ? narrowed(cx, item.result, made, resultSpan(item)) : made;
}

/** Binds `const` parameters: the others' shapes may depend on them. Defaults are evaluated when they are used. */
export function bindConstants(cx: Context, item: FnItem, given: ReadonlyMap<string, CallArgument>, scope: Scope): void {
  for (const p of item.params) {
    if (!isConst(p)) continue;
    const typed = (v: Value, span: Span): Value =>
      p.type ? conformConst(p.type, v, { span, what: `\`${p.name.text}\`` }) : v;
    const a = given.get(p.name.text);
    if (a) {
      const value = typed(widened(cx, item, p, a.value, a.span), a.span);
      declare(scope, p.name.text, { kind: "value", span: a.span, value });
    }
    if (!a && p.default) {
      const e: Expr = p.default;
      let made: Value | undefined;
      declare(scope, p.name.text, {
        kind: "lazy",
        span: p.name.span,
        evaluate: () => (made ??= typed(cx.evaluate(e, scope), e.span)),
      });
    }
  }
}

function bindTensor(
  cx: Context,
  item: FnItem,
  p: Param,
  type: TensorType,
  value: Value,
  span: Span,
  scope: Scope,
  checks: (() => void)[],
): void {
  const source = { span, what: `\`${p.name.text}\`` };
  const t = toDeclared(widened(cx, item, p, value, span), dtypeOf(type.dtype), type, source);
  bindShape(cx, type, t.shape, scope, source, checks);
  const settled = cx.builder.relabel(cx.builder.settle(t, p.name.text), span, p.name.text);
  declare(scope, p.name.text, { kind: "value", span, value: settled });
}

function wantOfResult(cx: Context, type: ResultType, scope: Scope): Want {
  if (type.kind !== "tupleType") return wantOf(cx, type, scope);
  return {
    span: type.span,
    fields: new Map(type.fields.map((f) => [f.name.text, wantOf(cx, f.type, scope, f.name.text)])),
  };
}

/** Where the result is written: the final expression, or the last statement. */
function resultSpan(item: FnItem): Span {
  return item.body.result?.span ?? item.body.statements[item.body.statements.length - 1]?.span ?? item.body.span;
}

function conformResult(cx: Context, type: ResultType, value: Value, scope: Scope, span: Span): Value {
  if (type.kind !== "tupleType") return conform(cx, type, value, scope, { span, what: "the result" });
  if (value.kind !== "record")
    return failBoth(
      "EIN1204",
      "the result must be a record",
      { span, text: `this is ${describe(value)}` },
      { span: type.span, text: `expected { ${type.fields.map((f) => f.name.text).join(", ")} }` },
    );
  const extra = [...value.fields.keys()].find((k) => !type.fields.some((f) => f.name.text === k));
  if (extra !== undefined)
    return failBoth(
      "EIN1204",
      `the result has a field \`${extra}\` that its type lacks`,
      { span, text: "here" },
      { span: type.span, text: "the declared type" },
    );
  const fields = new Map<string, Value>();
  for (const f of type.fields) {
    const v = value.fields.get(f.name.text);
    if (!v)
      return failBoth(
        "EIN1204",
        `the result lacks the field \`${f.name.text}\``,
        { span, text: `it has ${[...value.fields.keys()].join(", ")}` },
        { span: f.name.span, text: "declared here" },
      );
    fields.set(f.name.text, conform(cx, f.type, v, scope, { span, what: `\`${f.name.text}\`` }));
  }
  return { kind: "record", fields, span: value.span };
}

// ---- Builtins and lambdas -----------------------------------------------------------------------------------------

/** Reductions that look at each element once: their operand needs no definition. */
const SINGLE_USE: ReadonlySet<string> = new Set([
  "sum",
  "prod",
  "mean",
  "max",
  "min",
  "any",
  "all",
  "argmax",
  "argmin",
]);

export function builtinFunction(cx: Context, f: Builtin): FunctionValue {
  const lazy = ELEMENTWISE.has(f.name) || SINGLE_USE.has(f.name);
  return {
    kind: "function",
    name: f.name,
    span: { file: "", start: 0, end: 0 },
    parameters: f.parameters.map((p) => ({ name: p.name, isConst: false, optional: p.optional ?? false })),
    call: (args, span) => {
      const settled = lazy ? args : args.map((a) => ({ ...a, value: settledDeep(cx, a.value) }));
      return f.build(
        cx.builder,
        builtinArguments(f.parameters, bindArguments(f.name, f.parameters, settled, span), span),
        span,
      );
    },
  };
}

function settledDeep(cx: Context, v: Value): Value {
  if (v.kind === "tensor") return v.shape.length === 0 ? v : cx.builder.settle(v);
  return v.kind === "list" ? { ...v, items: v.items.map((x) => settledDeep(cx, x)) } : v;
}

export function lambda(cx: Context, e: LambdaExpr, scope: Scope): FunctionValue {
  const names = e.params.map((p) => p.text);
  return {
    kind: "function",
    name: "lambda",
    span: e.span,
    parameters: names.map((name) => ({ name, isConst: false, optional: false })),
    call: (args, span) => {
      const bound = bindArguments(
        "the lambda",
        names.map((name) => ({ name })),
        args,
        span,
        e.span,
      );
      const inner = makeScope(scope);
      for (const p of e.params)
        declare(inner, p.text, { kind: "value", span: p.span, value: bound.byName.get(p.text)!.value });
      return cx.evaluate(e.body, inner);
    },
  };
}
