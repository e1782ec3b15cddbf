/** Puts the parts of the elaborator together: a fresh context for each function that is elaborated. */
import type { FnItem, LetItem } from "../../grammar/ast.ts";
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { DTYPES } from "../../ir/dtype.ts";
import type { LoadedModule, ModuleGraph } from "../modules.ts";
import { makeBuilder } from "./builder.ts";
import { BUILTINS } from "./builtins/index.ts";
import { checkpointFunction } from "./checkpoint.ts";
import type { Context, Declaration, Observer } from "./context.ts";
import { DERIVATIVE_NAMES, type DerivativeKind, derivativeFunction, isDerivative } from "./derivatives.ts";
import { evaluate } from "./expression.ts";
import { builtinFunction, moduleFunction } from "./function.ts";
import { lookup, type ModuleNames, makeModuleScope, type Scope, Silent } from "./scope.ts";
import { block, statement } from "./statement.ts";
import type { FunctionValue, Value } from "./value.ts";

const CONSTANTS: ReadonlyMap<string, number> = new Map([["pi", Math.PI]]);

export function makeContext(strict: boolean, graph: ModuleGraph, observer?: Observer): Context {
  const scopes = new Map<LoadedModule, Scope>();
  const functions = new Map<FnItem, FunctionValue>();
  const declarations = new WeakMap<FunctionValue, Declaration>();
  const builtins = new Map<string, FunctionValue>();
  const cx: Context = {
    builder: makeBuilder(strict),
    diagnostics: [],
    calls: [],
    recovering: true,
    depth: 0,
    inlined: 0,
    differentiating: 0,
    ruled: new Set(),
    sideDepth: 0,
    libraryModule: graph.libraryModule,
    observer: () => (cx.calls.length <= 1 && cx.sideDepth === 0 ? observer : undefined),
    evaluate: (e, scope, want) => {
      const value = evaluate(cx, e, scope, want);
      if (observer) cx.observer()?.expression(e, value);
      return value;
    },
    block: (b, scope, want) => block(cx, b, scope, want),
    statement: (s, scope, wants) => statement(cx, s, scope, wants),
    global: (name, span) => globalValue(cx, builtins, name, span),
    globalNames: () => [...BUILTINS.keys(), "checkpoint", ...DERIVATIVE_NAMES, ...CONSTANTS.keys()],
    moduleScope: (m) => {
      const old = scopes.get(m);
      if (old) return old;
      const made = makeModuleScope(moduleNames(cx, m));
      scopes.set(m, made);
      return made;
    },
    functionOf: (m, item) => {
      const old = functions.get(item);
      if (old) return old;
      const made = moduleFunction(cx, m, item);
      functions.set(item, made);
      declarations.set(made, { module: m, item });
      return made;
    },
    declarationOf: (f) => {
      for (let at: FunctionValue | undefined = f; at; at = at.base) {
        const found = declarations.get(at);
        if (found) return found;
      }
      return undefined;
    },
  };
  return cx;
}

function globalValue(cx: Context, builtins: Map<string, FunctionValue>, name: string, span: Span): Value | undefined {
  const old = builtins.get(name);
  if (old) return old;
  const f = BUILTINS.get(name);
  const made = f
    ? builtinFunction(cx, f)
    : name === "checkpoint"
      ? checkpointFunction(cx)
      : isDerivative(name)
        ? derivative(cx, name)
        : undefined;
  if (made) {
    builtins.set(name, made);
    return made;
  }
  if (name === "None") return { kind: "none", span };
  const constant = CONSTANTS.get(name);
  if (constant !== undefined) return { kind: "float", value: constant, span };
  return DTYPES.some((d) => d === name) ? { kind: "string", value: name, span } : undefined;
}

function derivative(cx: Context, name: DerivativeKind): FunctionValue {
  const f = derivativeFunction(cx, name);
  return {
    ...f,
    quotes: ["wrt"],
    call: (args, span) => {
      const made = f.call(args, span);
      const of = args.find((a) => a.value.kind === "function")?.value;
      return made.kind === "function" && of?.kind === "function" ? { ...made, base: of } : made;
    },
  };
}

function moduleNames(cx: Context, m: LoadedModule): ModuleNames {
  return {
    binding: (name) => {
      const item = m.items.get(name);
      if (item?.kind === "fn") return { kind: "lazy", span: item.name.span, evaluate: () => cx.functionOf(m, item) };
      if (item)
        return {
          kind: "lazy",
          span: item.name.span,
          evaluate: once(item, () => moduleLet(cx, item, cx.moduleScope(m))),
        };
      const from = m.imports.get(name);
      if (from) return { kind: "lazy", span: from.span, evaluate: () => imported(cx, from.module, from.name) };
      const failed = m.failed.get(name);
      return failed && { kind: "failed", span: failed };
    },
    all: () => [...m.items.keys(), ...m.imports.keys(), ...m.failed.keys()],
  };
}

function imported(cx: Context, m: LoadedModule, name: string): Value {
  const b = lookup(cx.moduleScope(m), name);
  if (b?.kind === "lazy") return b.evaluate();
  throw new Silent();
}

function moduleLet(cx: Context, item: LetItem, scope: Scope): Value {
  const recovering = cx.recovering;
  cx.recovering = false;
  try {
    const v = cx.evaluate(item.value, scope, { span: item.span, name: item.name.text });
    if (item.isConst && (v.kind === "tensor" || v.kind === "record"))
      throw new DiagnosticError(
        diagnostic(
          "EIN1502",
          "the value of a `const` must be known when the kernel is made",
          { span: item.value.span, text: "this is computed" },
          { notes: ["use `let`"] },
        ),
      );
    return v;
  } finally {
    cx.recovering = recovering;
  }
}

/** Evaluates at the first use; a definition that needs itself is an error. */
function once(item: LetItem, make: () => Value): () => Value {
  let made: Value | undefined;
  let failure: unknown;
  let busy = false;
  return () => {
    if (made) return made;
    if (failure) throw failure;
    if (busy)
      throw new DiagnosticError(
        diagnostic("EIN1105", `\`${item.name.text}\` is defined by itself`, {
          span: item.name.span,
          text: "needed while it is made",
        }),
      );
    busy = true;
    try {
      made = make();
      return made;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      busy = false;
    }
  };
}
