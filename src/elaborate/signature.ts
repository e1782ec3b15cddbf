/** What a user must know to call a function: names, types as written, constants, and which extents must agree. */
import type { Expr, FnItem, ResultType, TensorType, TypeExpr } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import type { LoadedModule } from "../modules.ts";
import { isFloatType } from "./float.ts";
import { isConst } from "./function.ts";

export interface SignatureParameter {
  readonly name: string;
  /** Element type; undefined for constants. */
  readonly dtype: string | undefined;
  /** Extents as text: `B`, `2 * D`, `64`, `...`. Empty for scalars and constants. */
  readonly shape: readonly string[];
  readonly isConst: boolean;
  /** `int float bool string ints fn` of a constant; undefined if its default says it. */
  readonly constType: string | undefined;
  /** The default as written. */
  readonly default: string | undefined;
}

export interface SignatureResult {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly string[];
}

export interface FunctionSignature {
  readonly name: string;
  readonly doc: string | undefined;
  readonly exported: boolean;
  readonly parameters: readonly SignatureParameter[];
  readonly results: readonly SignatureResult[];
  /** Names of extents that the arguments bind. */
  readonly extents: readonly string[];
  /** Conditions on extents that are checked when the function is loaded or called: `B == C`. */
  readonly where: readonly string[];
  /** Some parameter has `...`: without given shapes its leading axes are one. */
  readonly folded: boolean;
  readonly span: Span;
}

/** The name of a single result. */
export const RESULT = "result";
/** The symbol that `...` of an exported function stands for when no shape is given. */
export const LEAD = "_lead";

function textOf(m: LoadedModule, span: Span): string {
  return m.module.source.slice(span.start, span.end).replace(/\s+/g, " ").trim();
}

function dimsOf(m: LoadedModule, type: TypeExpr): readonly string[] {
  if (type.kind === "constType") return [];
  return (type.dims ?? []).map((d) => (d.kind === "ellipsis" ? "..." : textOf(m, d.span)));
}

/** The caller from outside gives, and gets, f32 for `float`. */
function elementOf(type: TensorType): string {
  return isFloatType(type) ? "f32" : type.dtype.text;
}

export function parametersOf(m: LoadedModule, item: FnItem): readonly SignatureParameter[] {
  return item.params.map((p) => {
    const constant = isConst(p);
    const type = p.type;
    return {
      name: p.name.text,
      dtype: !constant && type?.kind === "tensorType" ? elementOf(type) : undefined,
      shape: type && !constant ? dimsOf(m, type) : [],
      isConst: constant,
      constType: !constant ? undefined : type?.kind === "constType" ? type.name.text : type?.dtype.text,
      default: p.default && textOf(m, p.default.span),
    };
  });
}

/** The results as declared, or undefined if the function does not say. */
export function declaredResults(m: LoadedModule, type: ResultType | undefined): readonly SignatureResult[] | undefined {
  const one = (name: string, t: TypeExpr): SignatureResult => ({
    name,
    dtype: t.kind === "tensorType" ? elementOf(t) : t.name.text,
    shape: dimsOf(m, t),
  });
  if (!type) return undefined;
  return type.kind === "tupleType" ? type.fields.map((f) => one(f.name.text, f.type)) : [one(RESULT, type)];
}

/** Names that stand alone as an extent of a parameter, in order of appearance. */
export function extentNames(item: FnItem): ReadonlyMap<string, Expr> {
  const names = new Map<string, Expr>();
  const constants = new Set(item.params.filter(isConst).map((p) => p.name.text));
  for (const p of item.params) {
    if (isConst(p) || p.type?.kind !== "tensorType") continue;
    for (const d of p.type.dims ?? [])
      if (d.kind === "extent" && d.expr.kind === "name" && !constants.has(d.expr.text) && !names.has(d.expr.text))
        names.set(d.expr.text, d.expr);
  }
  return names;
}
