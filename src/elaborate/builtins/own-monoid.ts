/** Scans and reductions by a function of one's own, which must be associative: it becomes a monoid. */
import type { Span } from "../../../grammar/span.ts";
import { type DType, isFloat } from "../../../ir/dtype.ts";
import type { Extent } from "../../../ir/extent.ts";
import { monoidFunction } from "../../../ir/interpret-parts.ts";
import { apply, arg, childrenOf, constant, type Monoid, substituteArgs, type TensorExpr } from "../../../ir/tensor.ts";
import { monoidProblems } from "../../../ir/verify-monoid.ts";
import { describe, fail, toAxes, toNumber, toTensor } from "../convert.ts";
import type { Builder, FunctionValue, RecordValue, TensorValue, Value } from "../value.ts";
import type { Args } from "./common.ts";

/** A tensor is one slot, a record of tensors one a field. */
function slotsOf(
  v: Value | undefined,
  span: Span,
  what: string,
): { readonly names: readonly string[] | undefined; readonly tensors: readonly Value[] } {
  if (v?.kind === "record") return { names: [...v.fields.keys()], tensors: [...v.fields.values()] };
  if (v === undefined) return fail("EIN1501", `${what} is missing`, span);
  return { names: undefined, tensors: [v] };
}

export function packSlots(names: readonly string[] | undefined, values: readonly TensorValue[], span: Span): Value {
  if (!names) return values[0] as TensorValue;
  return {
    kind: "record",
    fields: new Map(names.map((n, k) => [n, values[k] as TensorValue])),
    span,
  } satisfies RecordValue;
}

/** Calls the function on slots once; its body must be made of its parameters and constants alone. */
function monoidOf(
  f: FunctionValue,
  names: readonly string[] | undefined,
  types: readonly DType[],
  init: Value | undefined,
  span: Span,
): Monoid {
  const side = (from: number): Value =>
    packSlots(
      names,
      types.map(
        (dtype, k): TensorValue => ({
          kind: "tensor",
          dtype,
          shape: [],
          at: () => arg(from + k, dtype),
          span,
          name: undefined,
        }),
      ),
      span,
    );
  const result = slotsOf(
    f.call(
      [0, types.length].map((from) => ({ name: undefined, value: side(from), span })),
      f.span,
    ),
    span,
    "its result",
  );
  const pick = (
    v: { readonly names: readonly string[] | undefined; readonly tensors: readonly Value[] },
    k: number,
  ): Value | undefined => (names ? v.tensors[v.names?.indexOf(names[k] as string) ?? -1] : v.tensors[k]);
  const combine = types.map((dtype, k) => {
    const v = pick(result, k);
    const t = toTensor(v, span, dtype);
    if (t.dtype !== dtype || t.shape.length > 0)
      fail("EIN1201", `the function must give ${dtype}, as its arguments are`, f.span, `it gives ${describe(t)}`);
    const e = t.at([]);
    closed(e, f);
    return e;
  });
  const start = slotsOf(init, span, "init");
  const identity = types.map((dtype, k) => {
    const v = pick(start, k);
    return constant(dtype, v?.kind === "bool" ? Number(v.value) : toNumber(v, span, "init"));
  });
  return checked(
    { name: f.name, slots: types, identity, combine, commutative: false, exact: types.every((d) => !isFloat(d)) },
    f,
    init?.span ?? span,
  );
}

const FINITE: readonly number[] = [1, 2, 3, -5];

/**
 * What samples can refute is refused: a function that is not associative, an init that is no identity. Tuples are taken at their
 * word, as their slots may depend on each other. An identity that fails for infinities alone (0 of p + q + pq) gets a flag of its own.
 */
function checked(m: Monoid, f: FunctionValue, initSpan: Span): Monoid {
  const [dtype, second] = m.slots;
  if (!dtype || second) return m;
  const g = monoidFunction(m, "exact");
  const of = (a: number, b: number): number => {
    const out = [0];
    g.combine([a], [b], out);
    return out[0] ?? 0;
  };
  const same = (a: number, b: number): boolean =>
    Object.is(a, b) || Math.abs(a - b) <= 1e-9 * (1 + Math.abs(a) + Math.abs(b));
  const e = m.identity[0]?.value ?? 0;
  const samples = dtype === "bool" ? [0, 1] : dtype === "u32" ? FINITE.filter((x) => x >= 0) : FINITE;
  for (const a of samples) {
    for (const [p, q] of [
      [e, a],
      [a, e],
    ] as const)
      if (!same(of(p, q), a))
        fail(
          "EIN1503",
          `init must be the identity of the function, but f(${p}, ${q}) is ${of(p, q)}`,
          initSpan,
          `f(${e}, x) and f(x, ${e}) must be x`,
        );
    for (const b of samples)
      for (const c of samples)
        if (!same(of(of(a, b), c), of(a, of(b, c))))
          fail(
            "EIN1503",
            `the function is not associative: f(f(${a}, ${b}), ${c}) is ${of(of(a, b), c)}, f(${a}, f(${b}, ${c})) is ${of(a, of(b, c))}`,
            f.span,
            "elements are combined in any grouping",
            {
              notes: [
                "a recurrence h = a * h + x is associative on pairs: scan(|p, q| { a: p.a * q.a, x: q.a * p.x + q.x }, { a: 1.0, x: 0.0 }, { a: a, x: x })",
              ],
            },
          );
  }
  return monoidProblems(m).length === 0 ? m : flagged(m);
}

/** The same with a leading slot that says whether there is a value yet. */
function flagged(m: Monoid): Monoid {
  const n = m.slots.length;
  const [left, right] = [arg(0, "bool"), arg(n + 1, "bool")];
  const [a, b] = [0, n + 1].map((from) => m.slots.map((d, k) => arg(from + 1 + k, d))) as [TensorExpr[], TensorExpr[]];
  const both = m.combine.map((c) => substituteArgs(c, [...a, ...b]));
  return {
    ...m,
    slots: ["bool", ...m.slots],
    identity: [constant("bool", 0), ...m.identity],
    combine: [
      apply("or", left, right),
      ...both.map((c, k) => apply("select", left, apply("select", right, c, a[k] as TensorExpr), b[k] as TensorExpr)),
    ],
  };
}

function closed(e: TensorExpr, f: FunctionValue): void {
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind !== "const" && x.kind !== "arg" && x.kind !== "apply")
      fail("EIN1501", "this function may use only its parameters and constants", f.span, "it reads something else");
    for (const c of childrenOf(x)) go(c);
  };
  go(e);
}

export interface OwnFold {
  readonly monoid: Monoid;
  readonly names: readonly string[] | undefined;
  readonly values: readonly TensorValue[];
  /** How many leading slots are not the caller's. */
  readonly skip: number;
}
/** `scan(f, init, x, axis:)`: init is f's identity. */
export function ownFold(
  b: Builder,
  f: FunctionValue,
  init: Value | undefined,
  x: Value | undefined,
  span: Span,
): OwnFold {
  const { names, tensors } = slotsOf(x, span, "x");
  const values = tensors.map((v) => toTensor(v, span));
  const first = values[0] as TensorValue;
  for (const t of values) {
    if (t.shape.length !== first.shape.length)
      fail("EIN1202", "the fields of the record have different ranks", t.span, describe(t));
    t.shape.forEach((n, k) => {
      b.requireEqual(first.shape[k] as Extent, n, first.span, t.span, `axis ${k} of the fields`);
    });
  }
  const types = values.map((t) => t.dtype);
  const monoid = monoidOf(f, names, types, init, span);
  if (monoid.slots.length === values.length) return { monoid, names, values, skip: 0 };
  const present = b.view("bool", first.shape, () => constant("bool", 1), span);
  return { monoid, names, values: [present, ...values], skip: 1 };
}

/** `reduce(|p, q| p * q, 1.0, x, axis: 0)` */
export function ownReduce(
  b: Builder,
  f: FunctionValue,
  init: Value | undefined,
  x: Value | undefined,
  a: Args,
  span: Span,
): Value {
  const { monoid, names, values, skip } = ownFold(b, f, init, x, span);
  const first = values[0] as TensorValue;
  const axes = toAxes(a["axis"], first.shape.length, span);
  const kept = first.shape.map((_, k) => k).filter((k) => !axes.includes(k));
  const made = b.reduce(
    "reduce",
    monoid,
    kept.map((k) => first.shape[k] as Extent),
    axes.map((k) => first.shape[k] as Extent),
    (o, i) =>
      values.map((t) =>
        t.at(first.shape.map((_, k) => (axes.includes(k) ? i[axes.indexOf(k)] : o[kept.indexOf(k)]) as TensorExpr)),
      ),
    span,
  );
  return packSlots(names, made.slice(skip), span);
}
