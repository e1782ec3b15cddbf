/** Calls builtins as the elaborator does, on arrays, and evaluates the program with the interpreter. */
import { expect } from "vitest";
import { DiagnosticError } from "../../grammar/diagnostic.ts";
import { NO_SPAN } from "../../grammar/span.ts";
import type { DType } from "../../ir/dtype.ts";
import { type Extent, size, sizeSymbol } from "../../ir/extent.ts";
import { interpret } from "../../ir/interpret.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { makeBuilder, type TensorBuilder } from "../../src/elaborate/builder.ts";
import { BUILTINS } from "../../src/elaborate/builtins/index.ts";
import type { StringValue, TensorValue, Value } from "../../src/elaborate/value.ts";

/** A nested or flat array with its type. */
export interface Array_ {
  readonly kind: "array";
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
  /** Size symbols instead of numbers for these axes. */
  readonly symbols?: readonly (string | undefined)[];
}
type Nested = number | boolean | readonly Nested[];

export function array(nested: Nested, dtype: DType = "f32"): Array_ {
  const shape: number[] = [];
  for (let x = nested; Array.isArray(x); x = (x as readonly Nested[])[0] as Nested) shape.push(x.length);
  const data: (number | boolean)[] = [];
  const flatten = (x: Nested): void => {
    if (typeof x === "object") x.forEach(flatten);
    else data.push(x);
  };
  flatten(nested);
  return { kind: "array", dtype, shape, data: data.map(Number) };
}
export function shaped(shape: readonly number[], data: readonly number[], dtype: DType = "f32"): Array_ {
  return { kind: "array", dtype, shape, data };
}
/** 0, 1, 2, … of the shape, through f. */
export function counted(shape: readonly number[], f: (n: number) => number = (n) => n, dtype: DType = "f32"): Array_ {
  return shaped(
    shape,
    Array.from({ length: shape.reduce((p, q) => p * q, 1) }, (_, n) => f(n)),
    dtype,
  );
}
export function symbolic(a: Array_, ...symbols: readonly (string | undefined)[]): Array_ {
  return { ...a, symbols };
}

export type Given = Array_ | number | boolean | string | null | readonly Given[] | { readonly float: number } | Value;

export interface Result {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

function isArray(g: Given): g is Array_ {
  return typeof g === "object" && g !== null && "kind" in g && g.kind === "array";
}

export class Session {
  readonly builder: TensorBuilder = makeBuilder(false);
  readonly inputs: Map<string, Array_> = new Map();

  value(g: Given): Value {
    if (g === null) return { kind: "none", span: NO_SPAN };
    if (typeof g === "number")
      return Number.isInteger(g)
        ? { kind: "int", extent: size(g), span: NO_SPAN }
        : { kind: "float", value: g, span: NO_SPAN };
    if (typeof g === "boolean") return { kind: "bool", value: g, span: NO_SPAN };
    if (typeof g === "string")
      return { kind: "string", value: g, span: { file: "string", start: 0, end: g.length + 2 } } satisfies StringValue;
    if (Array.isArray(g))
      return { kind: "list", items: (g as readonly Given[]).map((x) => this.value(x)), span: NO_SPAN };
    if (isArray(g)) {
      const name = `x${this.inputs.size}`;
      this.inputs.set(name, g);
      const shape: Extent[] = g.shape.map((n, k) =>
        g.symbols?.[k] === undefined ? size(n) : sizeSymbol(g.symbols[k]),
      );
      return this.builder.input(name, g.dtype, shape, [], NO_SPAN);
    }
    if ("float" in g) return { kind: "float", value: g.float, span: NO_SPAN };
    return g as Value;
  }

  /** Binds arguments as a call does. */
  call(name: string, positional: readonly Given[], named: Readonly<Record<string, Given>> = {}): Value {
    const f = BUILTINS.get(name);
    if (!f) throw new RangeError(`no builtin ${name}`);
    const args: Record<string, Value | undefined> = {};
    const rest = [...positional];
    const open = { ...named };
    for (const p of f.parameters) {
      if (p.rest) args[p.name] = { kind: "list", items: rest.splice(0).map((g) => this.value(g)), span: NO_SPAN };
      else if (p.restNamed) continue;
      else if (p.name in open) {
        args[p.name] = this.value(open[p.name] as Given);
        delete open[p.name];
      } else if (!p.keyword && rest.length > 0) args[p.name] = this.value(rest.shift() as Given);
      else if (!p.optional) throw new RangeError(`${name} lacks ${p.name}`);
    }
    const others = f.parameters.find((p) => p.restNamed);
    const fields = Object.entries(open);
    if (fields.length > 0) {
      if (!others) throw new RangeError(`${name} has no parameter ${fields[0]?.[0]}`);
      args[others.name] = {
        kind: "record",
        fields: new Map(fields.map(([k, v]) => [k, this.value(v)])),
        span: NO_SPAN,
      };
    }
    if (rest.length > 0) throw new RangeError(`too many arguments for ${name}`);
    return f.build(this.builder, args, NO_SPAN);
  }

  results(values: readonly TensorValue[]): readonly Result[] {
    const program = this.builder.finish(
      "test",
      values.map((value, k) => ({ name: `r${k}`, value })),
    );
    expect(verifyProgram(program)).toEqual([]);
    return interpret(program, this.inputs).map((r) => ({ dtype: r.dtype, shape: r.shape, data: [...r.data] }));
  }
}

/** The tensors in a value, in order. */
export function tensorsIn(v: Value): readonly TensorValue[] {
  switch (v.kind) {
    case "tensor":
      return [v];
    case "list":
      return v.items.flatMap(tensorsIn);
    case "record":
      return [...v.fields.values()].flatMap(tensorsIn);
    default:
      return [];
  }
}

export function callAll(
  name: string,
  positional: readonly Given[],
  named: Readonly<Record<string, Given>> = {},
): readonly Result[] {
  const s = new Session();
  return s.results(tensorsIn(s.call(name, positional, named)));
}
export function call(name: string, positional: readonly Given[], named: Readonly<Record<string, Given>> = {}): Result {
  const [r] = callAll(name, positional, named);
  if (!r) throw new RangeError(`${name} gave no tensor`);
  return r;
}
/** The nested array of a result; bool as 0 and 1. */
export function nested(r: Result): unknown {
  let list: unknown[] = [...r.data];
  for (const n of [...r.shape].reverse().slice(0, -1)) {
    const next: unknown[] = [];
    for (let k = 0; k < list.length; k += n) next.push(list.slice(k, k + n));
    list = next;
  }
  return r.shape.length === 0 ? list[0] : list;
}
export function value(
  name: string,
  positional: readonly Given[],
  named: Readonly<Record<string, Given>> = {},
): unknown {
  return nested(call(name, positional, named));
}
/** The code of the diagnostic that the call throws. */
export function errorCode(
  name: string,
  positional: readonly Given[],
  named: Readonly<Record<string, Given>> = {},
): string {
  try {
    new Session().call(name, positional, named);
  } catch (e) {
    if (e instanceof DiagnosticError) return e.diagnostic.code;
    throw e;
  }
  return "none";
}
