/** Running results along an axis, and reductions by a function of one's own, which must be associative. */
import type { Span } from "../../../grammar/span.ts";
import { type DType, isFloat } from "../../../ir/dtype.ts";
import { type Extent, ONE, subExtent } from "../../../ir/extent.ts";
import { addMonoid, extreme, maxMonoid, minMonoid, mulMonoid } from "../../../ir/monoid.ts";
import { apply, arg, type Const, cast, constant, i32, type Monoid, type TensorExpr } from "../../../ir/tensor.ts";
import { describe, fail, toAxis, toBoolean, toNumber, toTensor } from "../convert.ts";
import type { Builder, Builtin, TensorValue } from "../value.ts";
import { type Args, builtin, convert, operand, present, table, unify } from "./common.ts";
import { subIndex } from "./index-arithmetic.ts";
import { ownFold, packSlots } from "./own-monoid.ts";
import { add, mul, select, sub } from "./scalar.ts";
import { flip } from "./shape.ts";

/** One scan of several slots, perhaps from the end, perhaps without the element itself. */
function run(
  b: Builder,
  name: string,
  monoid: Monoid,
  values: readonly TensorValue[],
  axis: number,
  a: Args,
  span: Span,
): readonly TensorValue[] {
  const [reverse, exclusive] = [
    toBoolean(a["reverse"], false, span, "reverse"),
    toBoolean(a["exclusive"], false, span, "exclusive"),
  ];
  const shape = values[0]?.shape ?? [];
  const list = reverse ? values.map((x) => flip(b, x, [axis], span)) : values;
  const scanned = b.scan(name, monoid, shape, axis, (index) => list.map((x) => x.at(index)), span);
  return scanned.map((s, slot) => {
    const shifted = exclusive ? before(b, s, axis, monoid.identity[slot] as Const, span) : s;
    return reverse ? flip(b, shifted, [axis], span) : shifted;
  });
}

/** The running result before each element: the identity at the first. */
function before(b: Builder, s: TensorValue, axis: number, identity: Const, span: Span): TensorValue {
  return b.define(
    s.name ?? "scan",
    s.shape,
    (index) =>
      b.readOr(
        s,
        index.map((i, k) => (k === axis ? subIndex(i, i32(1)) : i)),
        identity.value,
      ),
    span,
  );
}

/** NumPy scans all elements in order where no axis is given; here an axis is needed unless there is only one. */
function scanAxis(a: Args, x: TensorValue, name: string, span: Span): number {
  if (present(a["axis"])) return toAxis(a["axis"], x.shape.length, span);
  if (x.shape.length === 1) return 0;
  return fail("EIN1501", `${name} needs to know along which axis`, span, "give `axis:`");
}

function running(name: string, monoid: (d: DType) => Monoid, doc: string): Builtin {
  return builtin(name, "x, axis?, reverse!, exclusive!", doc, (b, a, span) => {
    const given = toTensor(a["x"], span);
    const x = given.dtype === "bool" ? convert(b, given, "i32", span) : given;
    const axis = scanAxis(a, x, name, span);
    const wide = x.dtype === "f16" && (name === "cumsum" || name === "cumprod") ? "f32" : x.dtype;
    const values = convert(b, x, wide, span);
    return convert(b, run(b, name, monoid(wide), [values], axis, a, span)[0] as TensorValue, x.dtype, span);
  });
}

/** (value, index): the later of equals wins, as in PyTorch; a NaN wins over what came before. */
function runningArgument(which: "max" | "min", d: DType): Monoid {
  const [x, i, y, j] = [arg(0, d), arg(1, "i32"), arg(2, d), arg(3, "i32")];
  let right: TensorExpr = apply(which === "max" ? "ge" : "le", y, x);
  if (isFloat(d)) right = apply("or", apply("isnan", y), apply("and", apply("not", apply("isnan", x)), right));
  // The identity's index marks "nothing yet", which loses even against an equal value.
  right = apply("and", apply("ge", j, i32(0)), apply("or", right, apply("lt", i, i32(0))));
  return {
    name: `cum${which}`,
    slots: [d, "i32"],
    identity: [extreme(d, which === "max" ? "lowest" : "highest"), i32(-1)],
    combine: [apply("select", right, y, x), apply("select", right, j, i)],
    commutative: false,
    exact: true,
  };
}

function runningExtreme(which: "max" | "min"): Builtin {
  const name = `cum${which}`;
  return builtin(
    name,
    "x, axis?, reverse!, exclusive!, indices!",
    `running ${which}imum; with indices: true, { value, index }`,
    (b, a, span) => {
      const x = operand(a["x"], span, name, "number");
      const axis = scanAxis(a, x, name, span);
      if (!toBoolean(a["indices"], false, span, "indices"))
        return run(b, name, (which === "max" ? maxMonoid : minMonoid)(x.dtype), [x], axis, a, span)[0] as TensorValue;
      const position = b.view("i32", x.shape, (index) => index[axis] as TensorExpr, span);
      const [value, index] = run(b, name, runningArgument(which, x.dtype), [x, position], axis, a, span) as [
        TensorValue,
        TensorValue,
      ];
      return {
        kind: "record",
        fields: new Map([
          ["value", value],
          ["index", index],
        ]),
        span,
      };
    },
  );
}

/**
 * (m, s) stands for m + log s: the running maximum is taken out of the sum. Only ∞ - ∞ needs a branch: one for equal maxima would
 * have the value right and the derivative wrong.
 */
function logSumMonoid(d: DType): Monoid {
  const [m, s, n, t] = [arg(0, d), arg(1, d), arg(2, d), arg(3, d)];
  const top = apply("max", m, n);
  const scaled = (value: TensorExpr, own: TensorExpr): TensorExpr =>
    select(apply("and", apply("eq", own, top), apply("isinf", top)), value, mul(value, apply("exp", sub(own, top))));
  return {
    name: "logsumexp",
    slots: [d, d],
    identity: [extreme(d, "lowest"), constant(d, 0)],
    combine: [top, add(scaled(s, m), scaled(t, n))],
    commutative: true,
    exact: false,
  };
}

// ---- Others ----------------------------------------------------------------------------------------------------

/** Differences of neighbours, n times over. */
function diff(b: Builder, x: TensorValue, axis: number, span: Span): TensorValue {
  const n = x.shape[axis] as Extent;
  b.requireAtLeast(n, ONE, span, "the axis of diff");
  const next = (index: readonly TensorExpr[]): readonly TensorExpr[] =>
    index.map((i, k) => (k === axis ? add(i, 1) : i));
  return b.define(
    "diff",
    x.shape.map((e, k) => (k === axis ? subExtent(n, ONE) : e)),
    (index) => sub(x.at(next(index)), x.at(index)),
    span,
  );
}

export const SCANS: ReadonlyMap<string, Builtin> = table([
  running("cumsum", addMonoid, "running sum; reverse: from the end; exclusive: without the element itself"),
  running("cumprod", mulMonoid, "running product; reverse: from the end; exclusive: without the element itself"),
  runningExtreme("max"),
  runningExtreme("min"),
  builtin(
    "logcumsumexp",
    "x, axis?, reverse!, exclusive!",
    "running log(sum(exp(x))) without overflow",
    (b, a, span) => {
      const given = operand(a["x"], span, "logcumsumexp", "float");
      const x = convert(b, given, "f32", span);
      const axis = scanAxis(a, x, "logcumsumexp", span);
      const one = b.view("f32", x.shape, () => constant("f32", 1), span);
      const [m, s] = run(b, "logcumsumexp", logSumMonoid("f32"), [x, one], axis, a, span) as [TensorValue, TensorValue];
      return b.define("logcumsumexp", x.shape, (i) => cast(add(m.at(i), apply("log", s.at(i))), given.dtype), span);
    },
  ),
  builtin(
    "scan",
    "f, init, x, axis?, reverse!, exclusive!",
    "running results of an associative f with identity init: scan(|p, q| p + q, 0.0, x, axis: 0); x may be a record",
    (b, a, span) => {
      const f = a["f"];
      if (f?.kind !== "function")
        return fail("EIN1501", "scan needs a function", f?.span ?? span, `found ${describe(f)}`);
      const { monoid, names, values, skip } = ownFold(b, f, a["init"], a["x"], span);
      return packSlots(
        names,
        run(b, "scan", monoid, values, scanAxis(a, values[0] as TensorValue, "scan", span), a, span).slice(skip),
        span,
      );
    },
  ),
  builtin("diff", "x, axis?, n?", "differences of neighbours along an axis (the last), n times", (b, a, span) => {
    let x = operand(a["x"], span, "diff", "number");
    const axis = present(a["axis"]) ? toAxis(a["axis"], x.shape.length, span) : x.shape.length - 1;
    if (axis < 0) fail("EIN1202", "diff needs an axis", x.span, "a scalar has none");
    const times = present(a["n"]) ? toNumber(a["n"], span, "n") : 1;
    if (!Number.isInteger(times) || times < 0 || times > 64)
      fail("EIN1503", "n is from 0 to 64", a["n"]?.span ?? span, String(times));
    for (let k = 0; k < times; k++) x = diff(b, x, axis, span);
    return x;
  }),
  builtin(
    "trapezoid",
    "y, x?, dx?, axis?",
    "integral along an axis (the last) by the trapezoidal rule",
    (b, a, span) => {
      const given = [a["y"], ...(present(a["x"]) ? [a["x"]] : present(a["dx"]) ? [a["dx"]] : [])];
      const [y, x] = unify(given, span, "trapezoid", "float") as [TensorValue, TensorValue | undefined];
      const axis = present(a["axis"]) ? toAxis(a["axis"], y.shape.length, span) : y.shape.length - 1;
      const n = y.shape[axis] ?? fail("EIN1202", "trapezoid needs an axis", y.span, "a scalar has none");
      b.requireAtLeast(n, ONE, span, "the axis of trapezoid");
      const place = (o: readonly TensorExpr[], i: TensorExpr): readonly TensorExpr[] => [
        ...o.slice(0, axis),
        i,
        ...o.slice(axis),
      ];
      const point = (at: readonly TensorExpr[]): TensorExpr | undefined =>
        x && (x.shape.length === 0 ? undefined : x.shape.length === 1 ? x.at([at[axis] as TensorExpr]) : x.at(at));
      return b.reduce(
        "trapezoid",
        addMonoid(y.dtype),
        y.shape.filter((_, k) => k !== axis),
        [subExtent(n, ONE)],
        (o, [i]) => {
          const [p, q] = [place(o, i as TensorExpr), place(o, add(i as TensorExpr, 1))];
          const [u, v] = [point(p), point(q)];
          const width = u && v ? sub(v, u) : x?.at([]);
          const height = mul(add(y.at(p), y.at(q)), 0.5);
          return [width ? mul(height, width) : height];
        },
        span,
      )[0] as TensorValue;
    },
  ),
]);
