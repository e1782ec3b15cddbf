/**
 * Tensor expressions to kernel expressions: axes become kernel indices, reads become loads at row-major positions that are
 * proved or clamped to be inside, shared subexpressions become one `let`.
 */
import { type LinearForm, linearOf } from "../../ir/affine.ts";
import { type Extent, ONE, productExtent, size } from "../../ir/extent.ts";
import {
  type Buffer,
  extract,
  type KernelExpr,
  kand,
  kapply,
  kapplyTyped,
  kconst,
  kint,
  ksize,
  kvector,
  type Lanes,
  load,
  splat,
  store,
  when,
} from "../../ir/kernel.ts";
import {
  axisRef,
  childrenOf,
  mapChildren,
  type Read,
  read,
  shapeOf,
  substituteAxes,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { loadColumn } from "../../ir/wide-kernel.ts";
import { divisible, formExpression, positionIn, provedInside, sidesProved } from "./affine.ts";
import { type Builder, boundValue, emit, level, name, tensorBuffer, type Value } from "./apply/builder.ts";
import { aligned, atLane, columnsOf, dependsOnLane, groupForm, simplifyIndex, vectorForm } from "./lanes.ts";
import { ScheduleError } from "./schedule.ts";

/** Weighted operations: what is computed twice only if it is cheap. */
const DEAR: ReadonlySet<string> = new Set(
  `div floordiv mod rem pow exp exp2 expm1 log log2 log1p sqrt rsqrt sin cos tan asin acos atan atan2 sinh cosh tanh
  asinh acosh atanh erf erfc threefry0 threefry1 select`.split(/\s+/),
);

/** The expression with aliased axes and definitions computed in this kernel replaced by what they stand for. */
export function resolve(b: Builder, e: TensorExpr): TensorExpr {
  const old = b.resolved.get(e);
  if (old) return old;
  const made = resolveNode(b, e);
  b.resolved.set(e, made);
  return made;
}

function resolveNode(b: Builder, e: TensorExpr): TensorExpr {
  if (e.kind === "axis") {
    for (let i = b.frames.length - 1; i >= 0; i--) {
      const a = b.frames[i]?.alias?.get(e.axis);
      if (a) return resolve(b, a);
      if (b.frames[i]?.bound?.has(e.axis)) return e;
    }
    return e;
  }
  const made = mapChildren(e, (c) => resolve(b, c));
  if (made.kind === "apply" && made.prim === "stopGradient") return made.args[0] ?? made;
  if (made.kind !== "read") return made;
  const inlined = b.inlined.get(made.tensor);
  const result = inlined?.results[made.slot];
  if (inlined && result) {
    // What is inlined refers to the definition's own axes; all are replaced at once, as the position may name them too.
    return resolve(b, substituteAxes(result, new Map(inlined.axes.map((a, i) => [a, made.at[i] ?? axisRef(a)]))));
  }
  // A value held on chip is read at its own point, which is inside: a fill cannot matter.
  if (b.onChip.has(made.tensor) && made.fill) return read(made.tensor, made.slot, made.at);
  return made;
}

function count(b: Builder, e: TensorExpr): void {
  b.uses.set(e, (b.uses.get(e) ?? 0) + 1);
  if (b.counted.has(e)) return;
  b.counted.add(e);
  for (const c of childrenOf(e)) count(b, c);
}

/** The kernel expression of a scalar tensor expression, its statements placed in the open frames. */
export function lower(b: Builder, e: TensorExpr): KernelExpr {
  return lowerValue(b, e).expr;
}
export function lowerValue(b: Builder, e: TensorExpr): Value {
  const r = resolve(b, e);
  count(b, r);
  return lowerResolved(b, r);
}

function lowerResolved(b: Builder, e: TensorExpr): Value {
  switch (e.kind) {
    case "const":
      return { expr: kconst(e.dtype, e.value), level: 0 };
    case "size":
      return { expr: ksize(e.extent), level: 0 };
    case "arg":
      throw new Error("a monoid's argument outside its body");
    default:
  }
  for (let i = b.frames.length - 1; i >= 0; i--) {
    const old = b.frames[i]?.memo.get(e);
    if (old) return old;
  }
  const made = lowerNode(b, e);
  b.frames[made.level]?.memo.set(e, made);
  return made;
}

function lowerNode(b: Builder, e: Exclude<TensorExpr, { kind: "const" | "size" | "arg" }>): Value {
  switch (e.kind) {
    case "axis": {
      if (e.axis === b.lane) {
        if (b.lanes === 1) return { expr: kint(0), level: 0 };
        return { expr: kvector(Array.from({ length: b.lanes }, (_, i) => kint(i))), level: 0 };
      }
      const v = boundValue(b, e.axis);
      if (!v) throw new ScheduleError("kind", `axis ${e.axis.name} has no position here`, e.axis.name);
      return v;
    }
    case "reduce":
      throw new ScheduleError("kind", "a reduction inside an expression");
    case "read":
      return lowerRead(b, e);
    case "apply": {
      const args = e.args.map((a) => lowerResolved(b, a));
      const at = args.reduce((m, a) => Math.max(m, a.level), 0);
      const expr = kapplyTyped(
        e.prim,
        args.map((a) => a.expr),
        e.dtype,
      );
      const once = at === level(b) && (b.uses.get(e) ?? 2) <= 1 && !DEAR.has(e.prim);
      return { expr: once ? expr : name(b, e.dtype === "i32" ? "i" : "v", expr, at), level: at };
    }
  }
}

// ---- Positions ----------------------------------------------------------------------------------------------------

/** Positions of a point given in unresolved axes: flattened runs are recognised before they are replaced. */
function positionOf(b: Builder, at: readonly TensorExpr[], shape: readonly Extent[]): LinearForm {
  for (const g of b.flats) {
    // All coordinates of the run, in order, with extents that match: one position. They are its own, whatever its axes stand for since.
    const [first] = g.parts;
    if (!first) continue;
    const from = at.indexOf(resolve(b, first));
    const after = from + g.parts.length;
    if (from < 0 || after > at.length) continue;
    const whole = g.parts.every(
      (p, i) => at[from + i] === resolve(b, p) && (i === 0 || shape[from + i] === g.extents[i]),
    );
    if (!whole) continue;
    const merged = [...at.slice(0, from), resolve(b, g.flat), ...at.slice(after)];
    const extents = [...shape.slice(0, from), productExtent(shape.slice(from, after)), ...shape.slice(after)];
    return positionOf(b, merged, extents);
  }
  return positionIn(at, shape);
}

/** The form as an index: outer terms first, so that what does not change inside is added before. */
function indexValue(b: Builder, f: LinearForm): Value {
  const levels = [...f.terms.keys()].map((atom) => ({ atom, at: lowerResolved(b, atom).level }));
  levels.sort((x, y) => x.at - y.at);
  const order = levels.map((l) => l.atom);
  return lowerResolved(b, formExpression(f, order));
}

/** One value a lane, each computed by itself. */
function byLane(b: Builder, e: TensorExpr): Value {
  const parts = Array.from({ length: b.lanes }, (_, i) => lowerResolved(b, simplifyIndex(atLane(b, e, i))));
  const at = parts.reduce((m, p) => Math.max(m, p.level), 0);
  return { expr: name(b, "v", kvector(parts.map((p) => p.expr)), at), level: at };
}

// ---- Reads --------------------------------------------------------------------------------------------------------

function lowerRead(b: Builder, e: Read): Value {
  if (b.onChip.has(e.tensor))
    throw new ScheduleError("kind", `${e.tensor.name} is read on chip at a point that is not held`);
  if (b.lanes > 1 && dependsOnLane(b, e)) {
    const form = positionOf(b, e.at, shapeOf(e.tensor));
    const masked = e.at.some((x, d) => dependsOnLane(b, x) && e.fill && !provedInside(x, shapeOf(e.tensor)[d] ?? ONE));
    const total = productExtent(shapeOf(e.tensor));
    if (!masked && aligned(b, form, total)) {
      const at = vectorForm(b, form);
      return access(b, e, at, b.lanes, columnsOf(b, e, at, total));
    }
    return shifted(b, e) ?? byLane(b, e);
  }
  return access(b, e, positionOf(b, e.at, shapeOf(e.tensor)), 1);
}

/**
 * A read whose lanes lie side by side on the last axis but begin between two vectors, as windows do: its lanes are taken out of the
 * vectors that hold them, which neighbouring windows share. A vector lies inside the tensor or outside as a whole, so that one test
 * serves its lanes. Undefined where the tensor's rows are not made of whole vectors.
 */
function shifted(b: Builder, e: Read): Value | undefined {
  const shape = shapeOf(e.tensor);
  const last = e.at.length - 1;
  const index = e.at[last];
  if (!index || e.at.some((x, d) => d < last && dependsOnLane(b, x))) return undefined;
  const form = linearOf(index);
  const constant = form.constant.value;
  if (constant === undefined || !divisible(shape[last] ?? ONE, b.lanes)) return undefined;
  const shift = ((constant % b.lanes) + b.lanes) % b.lanes;
  const unitAt = (by: number): Read => {
    const moved = formExpression({ ...form, constant: size(constant - shift + by) });
    return read(e.tensor, e.slot, [...e.at.slice(0, last), moved], e.fill) as Read;
  };
  if (!aligned(b, linearOf(unitAt(0).at[last] ?? index), shape[last] ?? ONE)) return undefined;
  if (shift === 0) return unit(b, unitAt(0));
  const parts: Value[] = [];
  for (const [from, count, by] of [
    [shift, b.lanes - shift, 0],
    [0, shift, b.lanes],
  ] as const) {
    const whole = unitAt(by);
    const loaded = count > b.lanes / 2 || isLowered(b, whole) ? lowerResolved(b, whole) : undefined;
    for (let i = 0; i < count; i++)
      parts.push(
        loaded
          ? { expr: extract(loaded.expr, from + i), level: loaded.level }
          : lowerResolved(b, simplifyIndex(atLane(b, e, parts.length))),
      );
  }
  const at = parts.reduce((m, p) => Math.max(m, p.level), 0);
  return { expr: name(b, "v", kvector(parts.map((p) => p.expr)), at), level: at };
}

/** A whole vector: the first lane's test of the fill is every lane's. */
function unit(b: Builder, e: Read): Value | undefined {
  const form = positionOf(b, e.at, shapeOf(e.tensor));
  if (!aligned(b, form, productExtent(shapeOf(e.tensor)))) return undefined;
  const first = e.at.map((x) => simplifyIndex(atLane(b, x, 0)));
  return access(b, read(e.tensor, e.slot, first, e.fill) as Read, vectorForm(b, form), b.lanes);
}

function isLowered(b: Builder, e: TensorExpr): boolean {
  return b.frames.some((f) => f.memo.has(e));
}

/** The value at a position, which counts vectors if there are lanes; `wide` of them are loaded together. */
function access(b: Builder, e: Read, form: LinearForm, lanes: 1 | 2 | 4, wide: 1 | 2 | 4 = 1): Value {
  const ref: TensorRef = { tensor: e.tensor, slot: e.slot };
  const shape = shapeOf(e.tensor);
  if (e.fill && shape.some((s) => s.value === 0))
    return { expr: splat(kconst(e.dtype, e.fill.value), lanes), level: 0 };
  let guard: KernelExpr | undefined;
  let at = 0;
  let safe = true;
  e.at.forEach((index, d) => {
    const extent = shape[d] ?? ONE;
    const known = sidesProved(index, extent);
    if (known.low && known.high) return;
    if (!e.fill) {
      safe = false;
      return;
    }
    const v = lowerResolved(b, index);
    at = Math.max(at, v.level);
    const limit = ksize(extent);
    const test = known.low
      ? kapply("lt", v.expr, limit)
      : known.high
        ? kapply("ge", v.expr, kint(0))
        : kapply("lt", kapplyTyped("bitcast", [v.expr], "u32"), kapplyTyped("bitcast", [limit], "u32"));
    guard = guard ? kand(guard, test) : test;
  });
  const together = wide > 1 ? loadTogether(b, ref, form, wide) : undefined;
  const index = together?.index ?? indexValue(b, form);
  at = Math.max(at, index.level);
  // Only the axes being walked make an unproved index legal: it may not move to where they may be empty.
  if (!safe) for (let i = b.frames.length - 1; i > at; i--) if (b.frames[i]?.conditional) at = i;
  const buffer = together ? together.buffer : tensorBuffer(b, ref, "read", lanes);
  const loadAt = (x: KernelExpr): KernelExpr => (together ? loadColumn(buffer, x, together.column) : load(buffer, x));
  if (!guard || !e.fill) {
    return { expr: name(b, e.tensor.name, loadAt(index.expr), at), level: at };
  }
  const ok = name(b, "ok", guard, at);
  const place = kapply("select", ok, index.expr, kint(0));
  const loaded = name(b, e.tensor.name, loadAt(place), at);
  return {
    expr: name(b, e.tensor.name, kapply("select", ok, loaded, splat(kconst(e.dtype, e.fill.value), lanes)), at),
    level: at,
  };
}

/** Where the vector at a position is among those loaded with it. */
function loadTogether(
  b: Builder,
  ref: TensorRef,
  form: LinearForm,
  wide: 1 | 2 | 4,
): { readonly buffer: Buffer; readonly index: Value; readonly column: number } {
  const column = (((form.constant.value ?? 0) % wide) + wide) % wide;
  const buffer = tensorBuffer(b, ref, "read", b.lanes, false, wide);
  return { buffer, index: indexValue(b, groupForm(form, column, wide)), column };
}

// ---- Stores -------------------------------------------------------------------------------------------------------

interface Place {
  readonly buffer: Buffer;
  /** One index of a whole vector (or of a scalar), or one for each lane. */
  readonly indices: readonly KernelExpr[];
  readonly lanes: Lanes;
}

function placeOf(b: Builder, ref: TensorRef, point: readonly TensorExpr[]): Place {
  const at = point.map((p) => resolve(b, p));
  const shape = shapeOf(ref.tensor);
  const form = positionOf(b, at, shape);
  if (b.lanes === 1 || !at.some((p) => dependsOnLane(b, p)))
    return { buffer: tensorBuffer(b, ref, "write", 1), indices: [indexValue(b, form).expr], lanes: 1 };
  if (aligned(b, form, productExtent(shape)))
    return {
      buffer: tensorBuffer(b, ref, "write", b.lanes),
      indices: [indexValue(b, vectorForm(b, form)).expr],
      lanes: b.lanes,
    };
  const buffer = tensorBuffer(b, ref, "write", 1);
  const indices = Array.from(
    { length: b.lanes },
    (_, l) => indexValue(b, linearOf(simplifyIndex(atLane(b, formExpression(form), l)))).expr,
  );
  return { buffer, indices, lanes: b.lanes };
}

/**
 * Stores a value (a scalar, or one a lane where the point depends on the lane) at a point of a definition. Only some lanes of it, if `tests`
 * says for each on what condition.
 */
export function storeAt(
  b: Builder,
  ref: TensorRef,
  point: readonly TensorExpr[],
  value: KernelExpr,
  tests?: readonly (KernelExpr | undefined)[],
): void {
  const place = placeOf(b, ref, point);
  if (place.lanes < value.lanes) throw new ScheduleError("vector", `lanes of ${ref.tensor.name} meet in one element`);
  const wide = splat(value, place.lanes);
  const [first] = place.indices;
  if (place.indices.length === 1 && first) {
    const [test, ...others] = new Set(tests ?? [undefined]);
    if (others.length > 0) throw new ScheduleError("align", `lanes of ${ref.tensor.name} are stored together`);
    const one = store(place.buffer, first, wide);
    emit(b, ...(test ? when(test, [one]) : [one]));
    return;
  }
  const named = name(b, "v", wide);
  const stores = place.indices.map((index, l) => store(place.buffer, index, extract(named, l)));
  for (const test of new Set(tests ?? [undefined])) {
    const these = stores.filter((_, l) => tests?.[l] === test);
    emit(b, ...(test ? when(test, these) : these));
  }
}
