/**
 * `grad`, `value_and_grad`, `vjp`, `jvp`, `jacobian`, `hessian`: functions of functions. A call elaborates the function over fresh
 * inputs into a program of its own, differentiates that (src/differentiate), and puts the result in place of the call.
 * So they nest: the program of an inner derivative is complete before the outer one sees it.
 */
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { isFloat } from "../../ir/dtype.ts";
import { type Axis, apply, axis, axisRef, constant, type Program, type TensorExpr } from "../../ir/tensor.ts";
import { forward } from "../differentiate/forward.ts";
import { NotDifferentiable, reverse } from "../differentiate/reverse.ts";
import { dropRules } from "../passes/loops.ts";
import { bindArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { describe, fail, toItems, toTensor } from "./convert.ts";
import type { BuiltinParameter, CallArgument, FunctionValue, InputLike, TensorValue, Value } from "./value.ts";

export type DerivativeKind = "grad" | "value_and_grad" | "vjp" | "jvp" | "jacobian" | "hessian";
const KINDS: ReadonlySet<DerivativeKind> = new Set(["grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian"]);
export const DERIVATIVE_NAMES: ReadonlySet<string> = KINDS;

export function isDerivative(name: string): name is DerivativeKind {
  return DERIVATIVE_NAMES.has(name);
}

/** The call of `f` with what `value` says in place of its arguments; those left out stay so. */
export function argumentsFor(
  f: FunctionValue,
  byName: ReadonlyMap<string, CallArgument>,
  value: (name: string, given: CallArgument) => Value,
): CallArgument[] {
  return f.parameters.flatMap((p): CallArgument[] => {
    const a = byName.get(p.name);
    return a ? [{ name: p.name, value: value(p.name, a), span: a.span }] : [];
  });
}

const TRANSFORM_PARAMETERS: readonly BuiltinParameter[] = [{ name: "f" }, { name: "wrt", optional: true }];

/** `grad(f, wrt: [w1, w2])`: the function of functions itself. */
export function derivativeFunction(cx: Context, kind: DerivativeKind): FunctionValue {
  return {
    kind: "function",
    name: kind,
    span: { file: "", start: 0, end: 0 },
    parameters: TRANSFORM_PARAMETERS.map((p) => ({ name: p.name, isConst: true, optional: p.optional ?? false })),
    call: (args, span) => {
      const { byName } = bindArguments(kind, TRANSFORM_PARAMETERS, args, span);
      const f = byName.get("f")!;
      if (f.value.kind !== "function")
        return fail("EIN1601", `\`${kind}\` takes a function`, f.span, `this is ${describe(f.value)}`);
      const wrt = byName.get("wrt");
      return derived(cx, kind, f.value, wrt && wrtNames(f.value, wrt), span);
    },
  };
}

function wrtNames(f: FunctionValue, wrt: CallArgument): readonly string[] {
  const names = toItems(wrt.value).map((v) =>
    v.kind === "string" ? v.value : fail("EIN1601", "`wrt` lists parameters by name", v.span, `this is ${describe(v)}`),
  );
  for (const n of names) {
    if (f.parameters.some((p) => p.name === n)) continue;
    fail(
      "EIN1601",
      `\`${f.name}\` has no parameter \`${n}\``,
      wrt.span,
      `it has ${f.parameters.map((p) => p.name).join(", ")}`,
    );
  }
  if (new Set(names).size !== names.length) fail("EIN1601", "`wrt` names a parameter twice", wrt.span, "here");
  if (names.length === 0) fail("EIN1601", "`wrt` is empty", wrt.span, "name at least one parameter");
  return names;
}

/** What a derivative takes beside the function's own parameters. */
function extraParameters(kind: DerivativeKind, wrt: readonly string[]): readonly string[] {
  if (kind === "vjp") return ["cotangent"];
  if (kind === "jvp") return wrt.length === 1 ? ["tangent"] : wrt.map((n) => `tangent_${n}`);
  return [];
}

function derived(
  cx: Context,
  kind: DerivativeKind,
  f: FunctionValue,
  given: readonly string[] | undefined,
  span: Span,
): FunctionValue {
  // As in JAX, the first parameter if none is named.
  const first = f.parameters.find((p) => !p.isConst)?.name;
  const wrt = given ?? (first === undefined ? [] : [first]);
  if (wrt.length === 0) fail("EIN1601", `\`${f.name}\` has no parameter to differentiate by`, span, "here");
  if ((kind === "jacobian" || kind === "hessian") && wrt.length !== 1)
    fail("EIN1601", `\`${kind}\` is by one parameter`, span, `${wrt.length} are named`);
  if (kind === "hessian")
    return named(derived(cx, "jacobian", derived(cx, "grad", f, wrt, span), wrt, span), `hessian(${f.name})`);
  const extra = extraParameters(kind, wrt);
  const clash = extra.find((name) => f.parameters.some((p) => p.name === name));
  if (clash !== undefined) refuseName(kind, f, clash, span);
  const call = (args: readonly CallArgument[], at: Span, input?: InputLike): Value => {
    const parameters: BuiltinParameter[] = [
      ...f.parameters.map((p) => ({ name: p.name, optional: p.optional })),
      ...extra.map((name) => ({ name, optional: input !== undefined })),
    ];
    // An extra argument may follow the required ones positionally only if nothing optional stands between.
    const { byName } = bindArguments(`${kind}(${f.name})`, parameters, args, at);
    return differentiate(cx, { kind, f, wrt, byName, input, span: at });
  };
  return {
    kind: "function",
    name: `${kind}(${f.name})`,
    span: f.span,
    parameters: [...f.parameters, ...extra.map((name) => ({ name, isConst: false, optional: false }))],
    call: (args, at) => call(args, at),
    callFromOutside: extra.length > 0 ? call : undefined,
  };
}

function refuseName(kind: DerivativeKind, f: FunctionValue, name: string, span: Span): never {
  throw new DiagnosticError(
    diagnostic(
      "EIN1601",
      `\`${kind}\` cannot take \`${f.name}\`, whose parameter \`${name}\` has a name that \`${kind}\` needs`,
      [{ span, text: "two arguments would have one name" }],
      { notes: [`call \`${f.name}\` in a function whose parameters are called otherwise`] },
    ),
  );
}

function named(f: FunctionValue, name: string): FunctionValue {
  return { ...f, name, call: (args, span) => f.call(args, span) };
}

interface Request {
  readonly kind: DerivativeKind;
  readonly f: FunctionValue;
  readonly wrt: readonly string[];
  readonly byName: ReadonlyMap<string, CallArgument>;
  /** Makes the cotangent or the tangents where `byName` lacks them. */
  readonly input: InputLike | undefined;
  readonly span: Span;
}

/** Arguments that are tensors, or that must be: those differentiated by. The rest goes to the function as it is. */
function tensorArguments(r: Request): { readonly name: string; readonly value: TensorValue; readonly span: Span }[] {
  return r.f.parameters.flatMap((p) => {
    const a = r.byName.get(p.name);
    const isWrt = r.wrt.includes(p.name);
    if (!a) {
      if (isWrt)
        fail("EIN1601", `the gradient by \`${p.name}\` needs an argument for it`, r.span, "it is left out here");
      return [];
    }
    if (a.value.kind !== "tensor" && !isWrt) return [];
    const value = toTensor(a.value, a.span, isWrt ? "f32" : undefined);
    if (isWrt && !isFloat(value.dtype))
      fail(
        "EIN1602",
        `\`${p.name}\` is ${describe(value)}: integers and booleans have no gradient`,
        a.span,
        "differentiate by a float",
      );
    return [{ name: p.name, value, span: a.span }];
  });
}

export interface Outcome {
  readonly values: ReadonlyMap<string, TensorValue>;
  readonly isRecord: boolean;
}

function differentiate(cx: Context, r: Request): Value {
  const inputs = tensorArguments(r);
  let shape: Outcome | undefined;
  const build = (fresh: readonly TensorValue[]): ReadonlyMap<string, TensorValue> => {
    const args = argumentsFor(r.f, r.byName, (name, given) => {
      const at = inputs.findIndex((x) => x.name === name);
      return at < 0 ? given.value : fresh[at]!;
    });
    cx.differentiating++;
    try {
      shape = resultsOf(r.f.call(args, r.span), r.span);
    } finally {
      cx.differentiating--;
    }
    if (r.kind === "grad" || r.kind === "value_and_grad") requireScalar(shape, r);
    return shape.values;
  };
  const transform = (p: Program): Program =>
    withDiagnostics(r, () => {
      const one = r.kind === "grad" || r.kind === "value_and_grad";
      const made =
        r.kind === "jvp" ? forward(p, r.wrt) : reverse(p, { wrt: r.wrt, seed: () => (one ? "one" : "input") });
      const clash = made.inputs.find((d, i) => made.inputs.findIndex((e) => e.name === d.name) < i);
      if (clash) refuseName(r.kind, r.f, clash.name, r.span);
      // The derivative that is around this one needs the rules still.
      return cx.differentiating > 0 ? made : dropRules(made);
    });
  let basis: readonly Axis[] = [];
  const extra = (name: string): TensorValue | undefined => {
    const [what, ...rest] = name.split("_");
    const of = rest.join("_");
    if (what === "tangent")
      return extraTensor(cx, r, r.wrt.length === 1 ? "tangent" : name, inputs.find((i) => i.name === of)!.value);
    const result = shape!.values.get(of)!;
    if (r.kind !== "jacobian") return extraTensor(cx, r, "cotangent", result, shape!.isRecord ? of : undefined);
    // One row of the Jacobian a position of the result: its cotangent is 1 there.
    basis = result.shape.map((e, i) => axis(`o${i}`, e));
    const one = (index: readonly TensorExpr[]): TensorExpr => {
      let here: TensorExpr = constant("bool", 1);
      index.forEach((x, i) => {
        const same = apply("eq", x, axisRef(basis[i]!));
        here = i === 0 ? same : apply("and", here, same);
      });
      return apply("select", here, constant(result.dtype, 1), constant(result.dtype, 0));
    };
    return cx.builder.view(result.dtype, result.shape, one, r.span);
  };
  const results = cx.builder.derive({ name: r.f.name, inputs, build, transform, extra, span: r.span });
  const gradient = (n: string): TensorValue => results.get(`gradient_${n}`)!;
  switch (r.kind) {
    case "grad":
    case "vjp":
      return r.wrt.length === 1
        ? gradient(r.wrt[0]!)
        : recordOf(
            r.wrt.map((n) => [n, gradient(n)]),
            r.span,
          );
    case "value_and_grad": {
      const value = results.get([...shape!.values.keys()][0]!)!;
      return recordOf(
        [["value", value], ...r.wrt.map((n) => [r.wrt.length === 1 ? "grad" : n, gradient(n)] as const)],
        r.span,
      );
    }
    case "jvp": {
      if (!shape!.isRecord)
        return recordOf(
          [
            ["value", results.get("value")!],
            ["tangent", results.get("tangent_value")!],
          ],
          r.span,
        );
      return recordOf(
        [...shape!.values.keys()].flatMap((n) => [
          [n, results.get(n)!] as const,
          ...(results.has(`tangent_${n}`) ? [[`tangent_${n}`, results.get(`tangent_${n}`)!] as const] : []),
        ]),
        r.span,
      );
    }
    default: {
      if (shape!.isRecord)
        return fail(
          "EIN1602",
          "`jacobian` needs a function of one result",
          r.span,
          `\`${r.f.name}\` has ${shape!.values.size}`,
        );
      return cx.builder.defineOver(`jacobian_${r.f.name}`, basis, gradient(r.wrt[0]!), r.span);
    }
  }
}

export function recordOf(fields: readonly (readonly [string, Value])[], span: Span): Value {
  return { kind: "record", fields: new Map(fields), span };
}

/** A tensor is called `value`; a record keeps its names. */
export function resultsOf(v: Value, span: Span): Outcome {
  if (v.kind === "record")
    return { isRecord: true, values: new Map([...v.fields].map(([k, x]) => [k, toTensor(x, span)])) };
  return { isRecord: false, values: new Map([["value", toTensor(v, span, v.kind === "int" ? "f32" : undefined)]]) };
}

function requireScalar(o: Outcome, r: Request): void {
  const first = [...o.values.values()][0];
  if (o.values.size === 1 && first && first.shape.length === 0 && isFloat(first.dtype)) return;
  const found = o.values.size !== 1 ? `${o.values.size} results` : describe(first);
  throw new DiagnosticError(
    diagnostic(
      "EIN1602",
      `\`${r.kind}\` needs a function whose result is one float`,
      [{ span: r.span, text: `\`${r.f.name}\` gives ${found}` }],
      {
        notes: ["`vjp(f)` takes a cotangent for results of any shape, `jacobian(f)` gives all derivatives"],
      },
    ),
  );
}

/** A cotangent or tangent argument, of the dtype and shape of what it belongs to. */
function extraTensor(cx: Context, r: Request, parameter: string, like: TensorValue, field?: string): TensorValue {
  const a = r.byName.get(parameter);
  if (!a) return r.input!(field === undefined ? parameter : `${parameter}_${field}`, like);
  const given = field !== undefined && a.value.kind === "record" ? a.value.fields.get(field) : a.value;
  if (!given) return fail("EIN1501", `the cotangent lacks the field \`${field}\``, a.span, "one field a result");
  const value = toTensor(given, a.span, like.dtype);
  if (value.dtype !== like.dtype || value.shape.length !== like.shape.length)
    return fail("EIN1202", `\`${parameter}\` must be ${describe(like)}`, a.span, `this is ${describe(value)}`);
  for (const [i, e] of value.shape.entries())
    cx.builder.requireEqual(e, like.shape[i]!, a.span, like.span, `axis ${i} of \`${parameter}\``);
  return value;
}

function withDiagnostics<T>(r: Request, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof NotDifferentiable)) throw error;
    const labels = [{ span: r.span, text: `in \`${r.kind}(${r.f.name})\`` }];
    if (error.definition.span) labels.push({ span: error.definition.span, text: "this has no derivative" });
    throw new DiagnosticError(diagnostic("EIN1603", `${error.message} has no derivative`, labels));
  }
}
