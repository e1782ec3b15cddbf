/**
 * The legaliser's expressions: a graph in which equal values are one object, so that shared parts are found by identity after
 * unrolling. What changes while a kernel runs (private cells, memory that it writes) carries a version: a read before a store
 * and one after it are different values.
 */
import type { DType } from "../ir/dtype.ts";
import { type Extent, lowerBound, upperBound } from "../ir/extent.ts";
import { type Buffer, isPlace, type KSubgroup, type Lanes, type SubgroupPlace } from "../ir/kernel.ts";
import type { Prim } from "../ir/prim.ts";
import { type Interval, rangeOfApply, UNKNOWN } from "./range.ts";

interface Base {
  readonly id: number;
  readonly dtype: DType;
  readonly lanes: Lanes;
  /** Depth of the innermost block that binds one of its variables: it can be computed in that block and below. */
  readonly level: number;
  /** Depends on memory or on other invocations: it is computed where it stands, never moved out of a loop. */
  readonly pinned: boolean;
  /** What an i32 can be, as far as is known. */
  readonly range: Interval;
  /** The longest way down to a leaf. */
  readonly depth: number;
}
export type Value = Base &
  (
    | { readonly kind: "const"; readonly value: number }
    | { readonly kind: "size"; readonly extent: Extent }
    | { readonly kind: "name"; readonly hint: string }
    | { readonly kind: "cell"; readonly cell: Cell; readonly version: number }
    | { readonly kind: "load"; readonly buffer: Buffer; readonly index: Value; readonly version: number }
    /** Of the vectors that a load of a wide buffer gives, whose index counts matrices, one. */
    | { readonly kind: "column"; readonly of: Value; readonly column: number }
    | { readonly kind: "apply"; readonly prim: Prim; readonly args: readonly Value[] }
    | { readonly kind: "threefry"; readonly args: readonly Value[] }
    | {
        readonly kind: "subgroup";
        readonly op: KSubgroup["op"];
        readonly value: Value | undefined;
        readonly lane: number | undefined;
        readonly from: Value | undefined;
      }
    | { readonly kind: "splat"; readonly value: Value }
    | { readonly kind: "vector"; readonly args: readonly Value[] }
    | { readonly kind: "dot"; readonly left: Value; readonly right: Value }
    | { readonly kind: "matvec"; readonly columns: readonly Value[]; readonly vector: Value }
    | { readonly kind: "extract"; readonly value: Value; readonly lane: number }
  );
export type ConstValue = Extract<Value, { kind: "const" }>;
export type NameValue = Extract<Value, { kind: "name" }>;

/** An element of a private buffer: a mutable variable of the function. */
export interface Cell {
  readonly hint: string;
  readonly dtype: DType;
  readonly lanes: Lanes;
}

/** Subgroups have up to 128 invocations, workgroups up to 1024 and as many subgroups. */
const PLACES = {
  id: [0, 127],
  size: [1, 128],
  index: [0, 1023],
  count: [1, 1024],
} as const satisfies Record<SubgroupPlace, Interval>;

/** Two ids and this make one number that is still exact; a kernel has some thousands of values. */
const MAX_VALUES = 2 ** 26;

type Parts<V> = V extends Value ? Omit<V, "id" | "level" | "pinned" | "range" | "depth"> : never;

/** Makes values, equal ones once. */
export class ValueStore {
  private next = 1;
  private readonly known = new Map<string, Value>();
  /** Applies of one and two operands, which most values are: by primitive and type, then by the operands' ids. */
  private readonly applied = new Map<string, Map<number, Value>>();
  private readonly objects = new Map<object, number>();

  private objectId(o: object): number {
    const old = this.objects.get(o);
    if (old !== undefined) return old;
    this.objects.set(o, this.objects.size);
    return this.objects.size - 1;
  }

  private intern(key: string, build: (id: number) => Value): Value {
    const old = this.known.get(key);
    if (old) return old;
    const made = build(this.next++);
    this.known.set(key, made);
    return made;
  }

  private make(
    key: string,
    parts: Parts<Value>,
    children: readonly Value[],
    pinned: boolean,
    range: Interval = UNKNOWN,
  ): Value {
    return this.intern(key, (id) => complete(id, parts, children, pinned, range));
  }

  constant(dtype: DType, value: number): ConstValue {
    const bits = Object.is(value, -0) ? "-0" : String(value);
    const range: Interval = dtype === "i32" ? [value, value] : UNKNOWN;
    return this.make(`c${dtype} ${bits}`, { kind: "const", dtype, lanes: 1, value }, [], false, range) as ConstValue;
  }
  size(extent: Extent): Value {
    if (extent.value !== undefined) return this.constant("i32", extent.value);
    // Infinity stands for an extent of unknown size, which buffers keep well below 2^31.
    const range: Interval = [
      lowerBound(extent) ?? Number.NEGATIVE_INFINITY,
      upperBound(extent) ?? Number.POSITIVE_INFINITY,
    ];
    return this.make(`z${extent.text}`, { kind: "size", dtype: "i32", lanes: 1, extent }, [], false, range);
  }
  /** A new immutable variable bound in a block of the given depth. */
  name(hint: string, dtype: DType, lanes: Lanes, level: number, range: Interval = UNKNOWN): NameValue {
    const id = this.next++;
    return { kind: "name", id, hint, dtype, lanes, level, pinned: false, range, depth: 0 };
  }
  cell(cell: Cell, version: number): Value {
    return this.make(
      `x${this.objectId(cell)} ${version}`,
      { kind: "cell", dtype: cell.dtype, lanes: cell.lanes, cell, version },
      [],
      true,
    );
  }
  load(buffer: Buffer, index: Value, version: number): Value {
    const { dtype, lanes } = buffer;
    const key = `l${this.objectId(buffer)} ${index.id} ${version}`;
    return this.make(key, { kind: "load", dtype, lanes, buffer, index, version }, [index], true);
  }
  column(of: Value, column: number): Value {
    const { dtype, lanes } = of;
    return this.make(`o${of.id} ${column}`, { kind: "column", dtype, lanes, of, column }, [of], false);
  }
  apply(prim: Prim, args: readonly Value[], dtype: DType, lanes: Lanes): Value {
    const build = (id: number): Value => {
      const range =
        dtype === "i32"
          ? rangeOfApply(
              prim,
              args.map((a) => a.range),
              args,
            )
          : UNKNOWN;
      return complete(id, { kind: "apply", dtype, lanes, prim, args }, args, false, range);
    };
    const [a, b] = args;
    if (!a || args.length > 2)
      return this.intern(`a${prim} ${dtype}${lanes} ${args.map((x) => x.id).join(" ")}`, build);
    const operation = `${prim} ${dtype}${lanes}`;
    let of = this.applied.get(operation);
    if (!of) {
      of = new Map();
      this.applied.set(operation, of);
    }
    const key = a.id * MAX_VALUES + (b?.id ?? 0);
    const old = of.get(key);
    if (old) return old;
    const made = build(this.next++);
    of.set(key, made);
    return made;
  }
  /** Both words at once, as a vector of two. */
  threefry(args: readonly Value[]): Value {
    return this.make(
      `f${args.map((a) => a.id).join(" ")}`,
      { kind: "threefry", dtype: "u32", lanes: 2, args },
      args,
      false,
    );
  }
  subgroup(
    op: KSubgroup["op"],
    value: Value | undefined,
    lane: number | undefined,
    from: Value | undefined,
    dtype: DType,
    lanes: Lanes,
  ): Value {
    const key = `s${op} ${value?.id} ${lane} ${from?.id}`;
    // Whether two subgroup operations meet the same invocations is a matter of control flow: never merged.
    const unique = isPlace(op) ? "" : ` ${this.next}`;
    const range = isPlace(op) ? PLACES[op] : UNKNOWN;
    return this.make(
      key + unique,
      { kind: "subgroup", dtype, lanes, op, value, lane, from },
      value ? (from ? [value, from] : [value]) : [],
      true,
      range,
    );
  }
  splat(value: Value, lanes: Lanes): Value {
    if (lanes === value.lanes) return value;
    return this.make(
      `p${lanes} ${value.id}`,
      { kind: "splat", dtype: value.dtype, lanes, value },
      [value],
      false,
      value.range,
    );
  }
  vector(args: readonly Value[]): Value {
    const [first] = args;
    if (!first) throw new TypeError("empty vector");
    const lanes = args.length as Lanes;
    if (args.every((a) => a === first)) return this.splat(first, lanes);
    return this.make(
      `v${args.map((a) => a.id).join(" ")}`,
      { kind: "vector", dtype: first.dtype, lanes, args },
      args,
      false,
    );
  }
  dot(left: Value, right: Value): Value {
    const parts = { kind: "dot", dtype: left.dtype, lanes: 1, left, right } as const;
    return this.make(`d${left.id} ${right.id}`, parts, [left, right], false);
  }
  matvec(columns: readonly Value[], vector: Value): Value {
    const { dtype } = vector;
    const lanes = columns[0]?.lanes ?? 1;
    const children = [...columns, vector];
    const key = `m${children.map((c) => c.id).join(" ")}`;
    return this.make(key, { kind: "matvec", dtype, lanes, columns, vector }, children, false);
  }
  extract(value: Value, lane: number): Value {
    if (value.lanes === 1) return value;
    if (value.kind === "splat") return value.value;
    if (value.kind === "vector") return value.args[lane] ?? value;
    return this.make(
      `e${value.id} ${lane}`,
      { kind: "extract", dtype: value.dtype, lanes: 1, value, lane },
      [value],
      false,
    );
  }
}

function complete(
  id: number,
  parts: Parts<Value>,
  children: readonly Value[],
  pinned: boolean,
  range: Interval,
): Value {
  let level = 0;
  let depth = 0;
  let held = pinned;
  for (const c of children) {
    level = Math.max(level, c.level);
    depth = Math.max(depth, c.depth + 1);
    held ||= c.pinned;
  }
  return { ...parts, id, level, pinned: held, range, depth } as Value;
}

export function valueChildren(v: Value): readonly Value[] {
  switch (v.kind) {
    case "const":
    case "size":
    case "name":
    case "cell":
      return [];
    case "load":
      return [v.index];
    case "column":
      return [v.of];
    case "apply":
    case "threefry":
    case "vector":
      return v.args;
    case "subgroup":
      return v.value ? (v.from ? [v.value, v.from] : [v.value]) : [];
    case "dot":
      return [v.left, v.right];
    case "matvec":
      return [...v.columns, v.vector];
    case "splat":
    case "extract":
      return [v.value];
    default:
      return v satisfies never;
  }
}
