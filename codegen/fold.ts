/**
 * Building applies: constants are evaluated, integer identities taken. Floats are only ever evaluated, never rearranged. Much
 * of what is left of index arithmetic after unrolling goes away here.
 */
import type { DType } from "../ir/dtype.ts";
import { isFloat } from "../ir/dtype.ts";
import { evaluatePrim } from "../ir/evaluate.ts";
import { roundTo } from "../ir/float.ts";
import type { Lanes } from "../ir/kernel.ts";
import type { Prim } from "../ir/prim.ts";
import type { Value, ValueStore } from "./value.ts";

/** The constant a value is in one lane, if it is one. */
function constantAt(v: Value, lane: number): number | undefined {
  switch (v.kind) {
    case "const":
      return v.value;
    case "splat":
      return v.value.kind === "const" ? v.value.value : undefined;
    case "vector": {
      const part = v.args[lane];
      return part?.kind === "const" ? part.value : undefined;
    }
    default:
      return undefined;
  }
}
/** The one constant that all lanes are. */
export function uniformConstant(v: Value): number | undefined {
  return v.kind === "vector" ? undefined : constantAt(v, 0);
}

export function foldApply(store: ValueStore, prim: Prim, args: readonly Value[], dtype: DType, lanes: Lanes): Value {
  if (prim === "stopGradient" && args[0]) return args[0];
  return (
    evaluated(store, prim, args, dtype, lanes) ??
    identity(store, prim, args, dtype) ??
    ranged(store, prim, args, dtype, lanes) ??
    build(store, prim, args, dtype, lanes)
  );
}

function build(store: ValueStore, prim: Prim, args: readonly Value[], dtype: DType, lanes: Lanes): Value {
  if (prim !== "threefry0" && prim !== "threefry1") return store.apply(prim, args, dtype, lanes);
  // One evaluation gives both words; lane by lane, as a vector's two words would not fit a vector.
  const word = prim === "threefry0" ? 0 : 1;
  const at = (lane: number): Value => store.extract(store.threefry(args.map((a) => store.extract(a, lane))), word);
  return lanes === 1 ? at(0) : store.vector(Array.from({ length: lanes }, (_, l) => at(l)));
}

function evaluated(
  store: ValueStore,
  prim: Prim,
  args: readonly Value[],
  dtype: DType,
  lanes: Lanes,
): Value | undefined {
  const out: Value[] = [];
  for (let l = 0; l < lanes; l++) {
    const operands: number[] = [];
    for (const a of args) {
      const c = constantAt(a, l);
      if (c === undefined) return undefined;
      operands.push(roundTo(a.dtype, c));
    }
    const types = args.map((a) => a.dtype);
    out.push(store.constant(dtype, evaluatePrim(prim, operands, types, dtype, "rounded")));
  }
  return store.vector(out);
}

function identity(store: ValueStore, prim: Prim, args: readonly Value[], dtype: DType): Value | undefined {
  const [a, b, c] = args;
  if (!a) return undefined;
  if (prim === "select" && b && c) {
    if (b === c) return b;
    const known = uniformConstant(a);
    return known === undefined ? undefined : known ? b : c;
  }
  if (prim === "cast" && a.dtype === dtype) return a;
  if (!b) return undefined;
  const [x, y] = [uniformConstant(a), uniformConstant(b)];
  if (prim === "and" || prim === "or") {
    const neutral = prim === "and" ? 1 : 0;
    if (a === b) return a;
    if (x !== undefined) return x === neutral ? b : a;
    if (y !== undefined) return y === neutral ? a : b;
    return undefined;
  }
  if (isFloat(a.dtype)) {
    // Exact, also for NaN, infinities and the sign of zero.
    if (prim === "mul") return x === 1 ? b : y === 1 ? a : undefined;
    if (prim === "div") return y === 1 ? a : undefined;
    return prim === "sub" && Object.is(y, 0) ? a : undefined;
  }
  if (a.dtype === "bool") return undefined;
  const zero = (): Value => store.splat(store.constant(a.dtype, 0), a.lanes);
  switch (prim) {
    case "add":
      if (x === 0) return b;
      if (y === 0) return a;
      // Wrapping addition is associative: constants move to the right and meet.
      if (x !== undefined) return foldApply(store, "add", [b, a], dtype, a.lanes);
      if (
        y !== undefined &&
        a.kind === "apply" &&
        a.prim === "add" &&
        a.args[0] &&
        a.args[1] &&
        uniformConstant(a.args[1]) !== undefined
      )
        return foldApply(
          store,
          "add",
          [a.args[0], foldApply(store, "add", [a.args[1], b], dtype, a.lanes)],
          dtype,
          a.lanes,
        );
      return undefined;
    case "sub":
      if (a === b) return zero();
      if (y === 0) return a;
      if (y !== undefined && dtype === "i32" && y !== -2147483648) {
        const opposite = store.splat(store.constant("i32", -y), a.lanes);
        if (a.kind === "apply" && a.prim === "add" && a.args[1] && uniformConstant(a.args[1]) !== undefined)
          return foldApply(store, "add", [a, opposite], dtype, a.lanes);
      }
      return undefined;
    case "mul":
      if (x === 0 || y === 0) return zero();
      return x === 1 ? b : y === 1 ? a : undefined;
    case "floordiv":
      return y === 1 ? a : undefined;
    case "mod":
      return y === 1 ? zero() : undefined;
    case "min":
    case "max":
    case "bitand":
    case "bitor":
      return a === b ? a : undefined;
    case "eq":
    case "le":
    case "ge":
      return a === b ? store.splat(store.constant("bool", 1), a.lanes) : undefined;
    case "ne":
    case "lt":
    case "gt":
      return a === b ? store.splat(store.constant("bool", 0), a.lanes) : undefined;
    default:
      return undefined;
  }
}

/** What follows from the ranges of i32 operands. */
function ranged(store: ValueStore, prim: Prim, args: readonly Value[], dtype: DType, lanes: Lanes): Value | undefined {
  const [a, b] = args;
  if (!a || !b || lanes !== 1 || a.dtype !== "i32") return undefined;
  const [p, q] = [a.range, b.range];
  const truth = (v: boolean): Value => store.constant("bool", v ? 1 : 0);
  switch (prim) {
    case "lt":
      return p[1] < q[0] ? truth(true) : p[0] >= q[1] ? truth(false) : undefined;
    case "ge":
      return p[1] < q[0] ? truth(false) : p[0] >= q[1] ? truth(true) : undefined;
    case "le":
      return p[1] <= q[0] ? truth(true) : p[0] > q[1] ? truth(false) : undefined;
    case "gt":
      return p[1] <= q[0] ? truth(false) : p[0] > q[1] ? truth(true) : undefined;
    case "min":
      return p[1] <= q[0] ? a : q[1] <= p[0] ? b : undefined;
    case "max":
      return p[0] >= q[1] ? a : q[0] >= p[1] ? b : undefined;
    case "floordiv":
    case "mod": {
      const c = uniformConstant(b);
      if (c === undefined || c < 1) return undefined;
      if (p[0] >= 0 && p[1] < c) return prim === "mod" ? a : store.constant("i32", 0);
      return split(store, prim, a, c, dtype);
    }
    default:
      return undefined;
  }
}

/** (c·x + r) div c = x and (c·x + r) % c = r for 0 <= r < c, where the sum does not wrap. */
function split(store: ValueStore, prim: "floordiv" | "mod", a: Value, c: number, dtype: DType): Value | undefined {
  if (!known(a)) return undefined;
  const multiple = (v: Value): Value | undefined => {
    const k = uniformConstant(v);
    if (k !== undefined) return k % c === 0 ? store.constant("i32", k / c) : undefined;
    if (v.kind !== "apply" || v.prim !== "mul") return undefined;
    const [x, y] = v.args;
    const [m, other] = x && uniformConstant(x) !== undefined ? [x, y] : [y, x];
    const n = m && uniformConstant(m);
    if (!other || n === undefined || n % c !== 0) return undefined;
    return foldApply(store, "mul", [other, store.constant("i32", n / c)], dtype, 1);
  };
  const whole = multiple(a);
  if (whole) return prim === "floordiv" ? whole : store.constant("i32", 0);
  if (a.kind !== "apply" || a.prim !== "add") return undefined;
  const [x, y] = a.args;
  if (!x || !y) return undefined;
  for (const [big, rest] of [
    [x, y],
    [y, x],
  ] as const) {
    const quotient = multiple(big);
    if (!quotient || !known(rest)) continue;
    const other = foldApply(store, prim, [rest, store.constant("i32", c)], dtype, 1);
    return prim === "mod" ? other : foldApply(store, "add", [quotient, other], dtype, 1);
  }
  return undefined;
}
/** Has the value a range that excludes having wrapped? */
function known(v: Value): boolean {
  return v.range[0] > -2147483648;
}
