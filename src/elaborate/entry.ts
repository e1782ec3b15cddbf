/** Elaborating one function as a program: its tensor parameters become inputs, its constants are given or take their defaults. */
import type { FnItem, Param, TensorType } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import { type Extent, size, sizeSymbol } from "../../ir/extent.ts";
import type { Program } from "../../ir/tensor.ts";
import type { LoadedModule } from "../modules.ts";
import type { NamedResult } from "./builder.ts";
import { plainSymbol } from "./constraints.ts";
import type { Context } from "./context.ts";
import { describe, fail, toTensor } from "./convert.ts";
import { bindConstants, instantiate, isConst } from "./function.ts";
import { declare, lookup, makeScope, type Scope } from "./scope.ts";
import { extentNames, LEAD, RESULT } from "./signature.ts";
import { dimExtent, dtypeOf, plainName } from "./types.ts";
import type { CallArgument, FunctionValue, InputLike, Value } from "./value.ts";

export type ConstInput = number | boolean | string | readonly number[];

export interface EntryOptions {
  /** Values of extents; those left out stay symbolic. */
  readonly extents?: Readonly<Record<string, number>> | undefined;
  /** Values of `const` parameters; those left out take their defaults. */
  readonly consts?: Readonly<Record<string, ConstInput>> | undefined;
  /** Shapes of arguments, by parameter. They fix extents and the rank of `...`. */
  readonly shapes?: Readonly<Record<string, readonly number[]>> | undefined;
  /** Arguments that will be given: tensor parameters with a default that are neither here nor in `shapes` are constants. */
  readonly provided?: readonly string[] | undefined;
}

export interface Entry {
  readonly program: Program;
  /** Parameters and results whose first axis stands for all the leading axes of `...`. */
  readonly folded: ReadonlySet<string>;
  readonly where: readonly string[];
  /** `const` parameters that stood for themselves, as extents, for want of a value. */
  readonly symbolic: readonly string[];
  /** Inputs that are no parameters of the declared function: a cotangent, tangents. */
  readonly derived: ReadonlySet<string>;
}

/** What is elaborated: a declared function, or one that has its parameters (`call`). */
export interface Target {
  readonly module: LoadedModule;
  readonly item: FnItem;
  readonly call: FunctionValue | undefined;
}

/** `symbolicConstants`: an integer constant without a value becomes an extent of its name, so that shapes can be checked. */
export function elaborateEntry(
  cx: Context,
  target: Target,
  o: EntryOptions,
  symbolicConstants: boolean,
  leadRank = 1,
): Entry {
  const { module: m, item } = target;
  const given = new Map<string, CallArgument>();
  const shapes = new Map(Object.entries(o.shapes ?? {}));
  const extents = new Map(Object.entries(o.extents ?? {}));
  const provided = new Set([...(o.provided ?? []), ...shapes.keys()]);
  const outside = target.call?.callFromOutside;
  checkNames(item, o);
  if (!outside) checkProvided(item, provided, []);
  const symbolic: string[] = [];
  for (const p of item.params) {
    if (!isConst(p)) continue;
    const value = constantOf(p, new Map(Object.entries(o.consts ?? {})).get(p.name.text));
    if (value) given.set(p.name.text, { name: undefined, value, span: p.span });
    else if (!p.default) {
      const type = p.type?.kind === "constType" ? p.type.name.text : p.type?.dtype.text;
      if (!symbolicConstants || type !== "int")
        fail("EIN1502", `\`${p.name.text}\` must be given a value`, p.span, "this constant has no default", {
          notes: [`pass it when the kernel is made, e.g. { consts: { ${p.name.text}: … } }`],
        });
      symbolic.push(p.name.text);
      cx.builder.constraints.declare(p.name.text);
      given.set(p.name.text, {
        name: undefined,
        span: p.span,
        value: { kind: "int", extent: sizeSymbol(p.name.text), span: p.span },
      });
    }
  }

  const inputs = item.params.filter(
    (p) => !isConst(p) && p.type?.kind === "tensorType" && (!p.default || provided.has(p.name.text)),
  );
  const scope = symbolScope(cx, m, item, given, extents, shapes);
  const folded = new Set<string>();
  for (const p of inputs) {
    const type = p.type as TensorType;
    const shape = inputShape(cx, p, type, scope, shapes.get(p.name.text), leadRank);
    if (!shapes.has(p.name.text) && type.dims?.some((d) => d.kind === "ellipsis")) folded.add(p.name.text);
    const names = type.dims?.length === shape.length ? type.dims.map((d) => plainName(d)?.toLowerCase() ?? "") : [];
    const value = cx.builder.input(
      p.name.text,
      dtypeOf(type.dtype),
      shape,
      names.map((n, k) => n || `i${k}`),
      p.span,
    );
    given.set(p.name.text, { name: undefined, value, span: p.span });
  }

  const named = (): CallArgument[] => [...given].map(([name, a]) => ({ ...a, name }));
  const derived = new Set<string>();
  const input: InputLike = (name, like) => {
    derived.add(name);
    if (plainSymbol(like.shape[0] ?? size(0)) === LEAD) folded.add(name);
    requireShape(cx, name, like.shape, shapes.get(name), item.name.span);
    const names = like.shape.map((e, k) => plainSymbol(e)?.toLowerCase() ?? `i${k}`);
    return cx.builder.input(name, like.dtype, like.shape, names, item.name.span);
  };
  const value = outside
    ? outside(named(), item.name.span, input)
    : target.call
      ? target.call.call(named(), item.name.span)
      : instantiate(cx, m, item, given);
  if (outside) checkProvided(item, provided, [...derived]);
  const results = resultsOf(value, item);
  for (const r of results) if (plainSymbol(r.value.shape[0] ?? size(0)) === LEAD && folded.size > 0) folded.add(r.name);
  return {
    program: cx.builder.finish(item.name.text, results),
    folded,
    where: cx.builder.constraints.where(),
    symbolic,
    derived,
  };
}

/** Throws EIN1202 unless the shape that the caller says fits. */
function requireShape(
  cx: Context,
  name: string,
  shape: readonly Extent[],
  actual: readonly number[] | undefined,
  span: Span,
): void {
  if (actual && actual.length !== shape.length)
    fail(
      "EIN1202",
      `\`${name}\` has ${shape.length === 1 ? "1 axis" : `${shape.length} axes`}, but the shape [${actual.join(", ")}] is given`,
      span,
      "declared here",
    );
  for (const [k, n] of (actual ?? []).entries())
    cx.builder.requireEqual(size(n), shape[k]!, span, span, `axis ${k} of \`${name}\``);
}

function checkKnown(item: FnItem, names: Iterable<string>, known: readonly string[], what: string): void {
  for (const n of names) {
    if (known.includes(n)) continue;
    const near = suggest(n, known);
    fail(
      "EIN1501",
      `\`${item.name.text}\` has no ${what} \`${n}\`${near ? `; did you mean \`${near}\`?` : ""}`,
      item.name.span,
      "declared here",
      {
        notes: [known.length > 0 ? `it has ${known.join(", ")}` : "it has none"],
      },
    );
  }
}

function namesOf(item: FnItem, constants: boolean): readonly string[] {
  return item.params.filter((p) => isConst(p) === constants).map((p) => p.name.text);
}

function checkProvided(item: FnItem, provided: ReadonlySet<string>, derived: readonly string[]): void {
  checkKnown(item, provided, [...namesOf(item, false), ...derived], "parameter");
}

function checkNames(item: FnItem, o: EntryOptions): void {
  checkKnown(item, Object.keys(o.consts ?? {}), namesOf(item, true), "constant");
  checkKnown(item, Object.keys(o.extents ?? {}), [...extentNames(item).keys()], "extent");
  for (const [name, value] of Object.entries(o.extents ?? {}))
    if (!Number.isInteger(value) || value < 0)
      fail(
        "EIN1503",
        `extent \`${name}\` cannot be ${value}`,
        extentNames(item).get(name)?.span ?? item.name.span,
        "a number of elements is needed",
      );
}

function constantOf(p: Param, v: ConstInput | undefined): Value | undefined {
  const span = p.span;
  if (v === undefined) return undefined;
  if (typeof v === "boolean") return { kind: "bool", value: v, span };
  if (typeof v === "string") return { kind: "string", value: v, span };
  const number = (n: number): Value => {
    const type = p.type?.kind === "constType" ? p.type.name.text : p.type?.dtype.text;
    const whole = Number.isSafeInteger(n) && !Object.is(n, -0);
    return whole && type !== "float" ? { kind: "int", extent: size(n), span } : { kind: "float", value: n, span };
  };
  return typeof v === "number" ? number(v) : { kind: "list", items: v.map(number), span };
}

/** A scope in which the extents of all parameters' types have values: given ones, or symbols of their names. */
function symbolScope(
  cx: Context,
  m: LoadedModule,
  item: FnItem,
  given: ReadonlyMap<string, CallArgument>,
  extents: ReadonlyMap<string, number>,
  shapes: ReadonlyMap<string, readonly number[]>,
): Scope {
  const scope = makeScope(cx.moduleScope(m), true);
  bindConstants(cx, item, given, scope);
  const sizes = new Map(extents);
  for (const p of item.params) {
    const shape = shapes.get(p.name.text);
    if (shape && p.type?.kind === "tensorType" && !isConst(p)) knownSizes(p.type, shape, sizes);
  }
  for (const [name, e] of extentNames(item)) {
    const b = lookup(scope, name);
    if (b && (b.kind !== "lazy" || b.evaluate().kind === "int")) continue;
    declare(scope, name, {
      kind: "value",
      span: e.span,
      value: { kind: "int", extent: namedSize(cx, name, sizes.get(name)), span: e.span },
    });
  }
  return scope;
}

function knownSizes(type: TensorType, shape: readonly number[], sizes: Map<string, number>): void {
  const dims = type.dims ?? [];
  const ellipsis = dims.findIndex((d) => d.kind === "ellipsis");
  dims.forEach((d, k) => {
    const name = plainName(d);
    const n = shape[ellipsis >= 0 && k > ellipsis ? k - dims.length + shape.length : k];
    if (name !== undefined && n !== undefined && !sizes.has(name)) sizes.set(name, n);
  });
}

/**
 * The extent a name stands for. One element stays a symbol, pinned to 1: only a literal 1 broadcasts, so that a program means
 * the same for every size.
 */
function namedSize(cx: Context, name: string, n: number | undefined): Extent {
  cx.builder.constraints.declare(name);
  if (n === undefined) return sizeSymbol(name);
  if (n !== 1) return size(n);
  cx.builder.constraints.pin(name, 1);
  return sizeSymbol(name);
}

function inputShape(
  cx: Context,
  p: Param,
  type: TensorType,
  scope: Scope,
  actual: readonly number[] | undefined,
  leadRank: number,
): readonly Extent[] {
  const dims = type.dims ?? [];
  const at = dims.findIndex((d) => d.kind === "ellipsis");
  const named = (k: number): Extent | undefined => {
    const d = dims[k];
    const b = d && plainName(d) !== undefined ? lookup(scope, plainName(d)!) : undefined;
    return b?.kind === "value" && b.value.kind === "int" ? b.value.extent : undefined;
  };
  if (actual) {
    for (const n of actual)
      if (!Number.isInteger(n) || n < 0)
        fail("EIN1503", `\`${p.name.text}\` cannot have an extent of ${n}`, p.span, "here");
    return actual.map((n, k) => {
      const d =
        at < 0 || k < at ? k : k >= actual.length - (dims.length - 1 - at) ? k - actual.length + dims.length : -1;
      const e = d < 0 ? undefined : named(d);
      return e && cx.builder.constraints.resolve(e).value === n ? e : size(n);
    });
  }
  return dims.flatMap((d) => {
    if (d.kind === "extent") return [dimExtent(cx, d, scope)];
    const names = leadRank === 1 ? [LEAD] : Array.from({ length: leadRank }, (_, k) => `${LEAD}${k}`);
    for (const n of names) cx.builder.constraints.declare(n);
    return names.map(sizeSymbol);
  });
}

/**
 * Leading axes may be taken together only if the function treats them alike: with two of them, the results must be what they are with
 * one, the pair in its place, and nothing else may depend on them. Says what does not hold.
 */
export function foldingProblem(item: FnItem, one: Entry, two: Entry | undefined): string | undefined {
  for (const p of item.params)
    if (one.folded.has(p.name.text) && p.type?.kind === "tensorType" && p.type.dims?.[0]?.kind !== "ellipsis")
      return `\`...\` of \`${p.name.text}\` is not in front`;
  if (!two) return "it does not work for more leading axes";
  const arrays = (e: Entry): readonly { readonly name: string; readonly texts: readonly string[] }[] => [
    ...e.program.results.map((r) => ({ name: r.name, texts: r.tensor.axes.map((a) => a.extent.text) })),
    ...e.program.inputs
      .filter((d) => e.derived.has(d.name))
      .map((d) => ({ name: d.name, texts: d.axes.map((a) => a.extent.text) })),
  ];
  const others = arrays(two);
  for (const [k, r] of arrays(one).entries()) {
    const { texts } = r;
    const expected = texts[0] === LEAD ? [`${LEAD}0`, `${LEAD}1`, ...texts.slice(1)] : texts;
    const found = others[k]?.texts ?? [];
    const alone =
      texts.every((t, a) => a === 0 || !t.includes(LEAD)) && (texts[0] === LEAD || !texts[0]?.includes(LEAD));
    if (!alone || expected.join() !== found.join()) return `\`${r.name}\` depends on how many there are`;
  }
  return undefined;
}

function resultsOf(value: Value, item: FnItem): readonly NamedResult[] {
  const span: Span = item.body.result?.span ?? item.body.span;
  if (value.kind !== "record") {
    if (value.kind === "function" || value.kind === "none" || value.kind === "string" || value.kind === "list")
      return fail("EIN1204", `\`${item.name.text}\` does not return a tensor`, span, `this is ${describe(value)}`, {
        notes: ["several results are written { a, b }"],
      });
    return [{ name: RESULT, value: toTensor(value, span) }];
  }
  if (value.fields.size === 0) return fail("EIN1204", `\`${item.name.text}\` returns an empty record`, span, "here");
  return [...value.fields].map(([name, v]) => ({ name, value: toTensor(v, span) }));
}
