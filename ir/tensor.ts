/**
 * Level 1: tensors by index notation. Scalar expressions are hash-consed: equal ones are one object, so `===` is
 * structural equality (axes and definitions by identity) and a `Map` keyed by node memoises a pass.
 */
import type { Span } from "../grammar/span.ts";
import type { DType } from "./dtype.ts";
import type { Extent } from "./extent.ts";
import { freshId, intern, internAxis } from "./intern.ts";
import { type Prim, resultType } from "./prim.ts";
import type {
  Apply,
  Arg,
  Axis,
  AxisRef,
  CarryDef,
  Const,
  Definition,
  Input,
  LoopStep,
  MapDef,
  Monoid,
  Read,
  Reduce,
  ScanDef,
  ScatterDef,
  Size,
  TensorExpr,
  TensorRef,
} from "./tensor-types.ts";

export type * from "./tensor-types.ts";

export function axis(name: string, extent: Extent): Axis {
  return { kind: "axisOf", id: freshId(), name, extent };
}

// ---- Construction (hash-consed) -----------------------------------------------------------------------------------

/** Integers are wrapped into range, bool becomes 0 or 1; every NaN is one constant. */
export function constant(dtype: DType, value: number): Const {
  let v = value;
  if (dtype === "i32") v |= 0;
  else if (dtype === "u32") v >>>= 0;
  else if (dtype === "bool") v = v !== 0 ? 1 : 0;
  else if (Number.isNaN(v)) v = Number.NaN;
  return intern({ kind: "const", id: 0, dtype, value: v });
}
export function i32(value: number): Const {
  return constant("i32", value);
}
export function sizeOf(extent: Extent): Const | Size {
  if (extent.value !== undefined) return i32(extent.value);
  return intern({ kind: "size", id: 0, dtype: "i32", extent });
}
export function axisRef(a: Axis): AxisRef {
  return internAxis(a);
}
export function arg(index: number, dtype: DType): Arg {
  return intern({ kind: "arg", id: 0, dtype, index });
}
/** Throws TypeError if the operands do not fit; callers with user input check with `resultType` first. No simplification. */
export function apply(prim: Prim, ...args: readonly TensorExpr[]): Apply {
  const dtype = resultType(
    prim,
    args.map((a) => a.dtype),
  );
  if (!dtype) throw new TypeError(`${prim}(${args.map((a) => a.dtype).join(", ")})`);
  return applyTyped(prim, args, dtype);
}
/** Also builds `cast` and `bitcast`, whose result type is given. */
export function applyTyped(prim: Prim, args: readonly TensorExpr[], dtype: DType): Apply {
  return intern({ kind: "apply", id: 0, dtype, prim, args });
}
export function cast(value: TensorExpr, dtype: DType): TensorExpr {
  return value.dtype === dtype ? value : applyTyped("cast", [value], dtype);
}
export function read(tensor: Definition, slot: number, at: readonly TensorExpr[], fill?: Const): Read {
  const dtype = tensor.types[slot];
  if (!dtype) throw new RangeError(`definition ${tensor.name} has no result ${slot}`);
  if (at.length !== tensor.axes.length)
    throw new RangeError(`read of ${tensor.name} has ${at.length} indices for ${tensor.axes.length} axes`);
  return intern({ kind: "read", id: 0, dtype, tensor, slot, at, fill });
}
export function reduce(monoid: Monoid, axes: readonly Axis[], values: readonly TensorExpr[], slot = 0): Reduce {
  const dtype = monoid.slots[slot];
  if (!dtype || values.length !== monoid.slots.length)
    throw new RangeError(`reduce by ${monoid.name} with ${values.length} values, slot ${slot}`);
  return intern({ kind: "reduce", id: 0, dtype, monoid, axes, values, slot });
}

interface DefinitionOptions {
  readonly name?: string;
  readonly span?: Span | undefined;
  readonly epoch?: number;
}
export function input(name: string, dtype: DType, axes: readonly Axis[], span?: Span): Input {
  return { kind: "input", id: freshId(), name, types: [dtype], axes, span, epoch: 0 };
}
/** A loop's index over `count` rounds. */
export function loopIndex(name: string, count: Extent): Input {
  return { ...input(name, "i32", []), below: count };
}
export function mapDef(axes: readonly Axis[], results: readonly TensorExpr[], o: DefinitionOptions = {}): MapDef {
  return {
    kind: "map",
    id: freshId(),
    name: o.name ?? "t",
    types: results.map((r) => r.dtype),
    axes,
    results,
    span: o.span,
    epoch: o.epoch ?? 0,
  };
}
export function scanDef(
  axes: readonly Axis[],
  along: Axis,
  monoid: Monoid,
  values: readonly TensorExpr[],
  o: DefinitionOptions = {},
): ScanDef {
  return {
    kind: "scan",
    id: freshId(),
    name: o.name ?? "s",
    types: monoid.slots,
    axes,
    along,
    monoid,
    values,
    span: o.span,
    epoch: o.epoch ?? 0,
  };
}
export function scatterDef(
  axes: readonly Axis[],
  monoid: Monoid | "set",
  domain: readonly Axis[],
  at: readonly TensorExpr[],
  values: readonly TensorExpr[],
  initial: readonly Const[],
  into?: readonly TensorRef[],
  o: DefinitionOptions = {},
): ScatterDef {
  return {
    kind: "scatter",
    id: freshId(),
    name: o.name ?? "u",
    types: values.map((v) => v.dtype),
    axes,
    monoid,
    domain,
    at,
    values,
    into,
    initial,
    span: o.span,
    epoch: o.epoch ?? 0,
  };
}
export function carryDef(name: string, types: readonly DType[], axes: readonly Axis[], below?: Extent): CarryDef {
  const made = { kind: "carry", id: freshId(), name, types, axes, span: undefined, epoch: 0 } as const;
  return below ? { ...made, below } : made;
}
/** How many rounds a loop makes at most. Throws RangeError for one that says neither. */
export function roundsOf(s: LoopStep): Extent {
  const rounds = s.count ?? s.max;
  if (!rounds) throw new RangeError("a loop has neither count nor max");
  return rounds;
}
/** The end of the values 0 … n - 1 that an expression can have because it is a loop's index. */
export function indexBelow(e: TensorExpr): Extent | undefined {
  return e.kind === "read" && (e.tensor.kind === "input" || e.tensor.kind === "carry") ? e.tensor.below : undefined;
}

// ---- Traversal ----------------------------------------------------------------------------------------------------

/** Direct scalar children: arguments, indices (and the fill is not one), reduced values. */
export function childrenOf(e: TensorExpr): readonly TensorExpr[] {
  switch (e.kind) {
    case "const":
    case "size":
    case "axis":
    case "arg":
      return [];
    case "apply":
      return e.args;
    case "read":
      return e.at;
    case "reduce":
      return e.values;
  }
}

/** Rebuilds with mapped children; the same object when nothing changed. */
export function mapChildren(e: TensorExpr, f: (child: TensorExpr) => TensorExpr): TensorExpr {
  switch (e.kind) {
    case "const":
    case "size":
    case "axis":
    case "arg":
      return e;
    case "apply": {
      const args = e.args.map(f);
      return args.every((a, i) => a === e.args[i]) ? e : applyTyped(e.prim, args, e.dtype);
    }
    case "read": {
      const at = e.at.map(f);
      return at.every((a, i) => a === e.at[i]) ? e : read(e.tensor, e.slot, at, e.fill);
    }
    case "reduce": {
      const values = e.values.map(f);
      return values.every((a, i) => a === e.values[i]) ? e : reduce(e.monoid, e.axes, values, e.slot);
    }
  }
}

/** Replaces axis references. Bound axes of inner reduces are distinct objects, so no capture is possible. */
export function substituteAxes(e: TensorExpr, bind: ReadonlyMap<Axis, TensorExpr>): TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    const old = memo.get(x);
    if (old) return old;
    const made = x.kind === "axis" ? (bind.get(x.axis) ?? x) : mapChildren(x, go);
    memo.set(x, made);
    return made;
  };
  return go(e);
}

/** Replaces `arg(i)` by `values[i]`: instantiates a monoid's body. */
export function substituteArgs(e: TensorExpr, values: readonly TensorExpr[]): TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    const old = memo.get(x);
    if (old) return old;
    const made = x.kind === "arg" ? (values[x.index] ?? x) : mapChildren(x, go);
    memo.set(x, made);
    return made;
  };
  return go(e);
}

/** Axes that occur in `e` and are not bound by a reduce inside it. */
export function freeAxes(e: TensorExpr, into: Set<Axis> = new Set()): Set<Axis> {
  const seen = new Set<TensorExpr>();
  const bound = new Set<Axis>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind === "axis") into.add(x.axis);
    if (x.kind === "reduce") for (const a of x.axes) bound.add(a);
    for (const c of childrenOf(x)) go(c);
  };
  go(e);
  for (const a of bound) into.delete(a);
  return into;
}

/** The scalar expressions that a definition holds. */
export function expressionsOf(d: Definition): readonly TensorExpr[] {
  switch (d.kind) {
    case "input":
    case "carry":
      return [];
    case "map":
      return d.results;
    case "scan":
      return d.values;
    case "scatter":
      return [...d.at, ...d.values];
  }
}

/** Every definition that `d` reads, each once, in order of first appearance. */
export function readsOf(d: Definition): readonly Definition[] {
  const found = new Set<Definition>();
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind === "read") found.add(x.tensor);
    for (const c of childrenOf(x)) go(c);
  };
  for (const e of expressionsOf(d)) go(e);
  if (d.kind === "scatter") for (const r of d.into ?? []) found.add(r.tensor);
  return [...found];
}

export function shapeOf(d: Definition): readonly Extent[] {
  return d.axes.map((a) => a.extent);
}
