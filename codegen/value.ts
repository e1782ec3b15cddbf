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

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NONE: readonly Value[] = [];
/** What all values have, in one order: what reads them finds each in one place. */
const START = { id: 0, dtype: "i32", lanes: 1, level: 0, pinned: false, range: UNKNOWN, depth: 0 } as const;

/** Makes values, equal ones once. */
export class ValueStore {
  private next = 1;
  private readonly known = new Map<string, Value>();
  /** What most values are, without a text for each: by what is applied or read, then by a number. */
  private readonly applied = new Map<string, Map<number, Value>>();
  private readonly read = new Map<Buffer | Cell, Map<number, Value>>();

  private intern(key: string, build: () => Value, children: readonly Value[]): Value {
    const old = this.known.get(key);
    if (old) return old;
    const made = this.settled(build(), children);
    this.known.set(key, made);
    return made;
  }
  private internIn<K>(
    table: Map<K, Map<number, Value>>,
    key: K,
    number: number,
    build: () => Value,
    children: readonly Value[],
  ): Value {
    let of = table.get(key);
    if (!of) {
      of = new Map();
      table.set(key, of);
    }
    const old = of.get(number);
    if (old) return old;
    const made = this.settled(build(), children);
    of.set(number, made);
    return made;
  }
  /** Numbers a value that was just made; where it can be computed follows from what it is made of. */
  private settled(made: Mutable<Value>, children: readonly Value[]): Value {
    made.id = this.next++;
    for (const c of children) {
      if (c.level > made.level) made.level = c.level;
      if (c.depth >= made.depth) made.depth = c.depth + 1;
      if (c.pinned) made.pinned = true;
    }
    return made;
  }

  constant(dtype: DType, value: number): ConstValue {
    const negative = Object.is(value, -0);
    const range: Interval = dtype === "i32" ? [value, value] : UNKNOWN;
    const build = (): Value => ({ kind: "const", ...START, dtype, range, value });
    if (dtype === "i32" && !negative) return this.internIn(this.applied, "i32", value, build, NONE) as ConstValue;
    return this.intern(`c${dtype} ${negative ? "-0" : value}`, build, NONE) as ConstValue;
  }
  size(extent: Extent): Value {
    if (extent.value !== undefined) return this.constant("i32", extent.value);
    // Infinity stands for an extent of unknown size, which buffers keep well below 2^31.
    const range: Interval = [
      lowerBound(extent) ?? Number.NEGATIVE_INFINITY,
      upperBound(extent) ?? Number.POSITIVE_INFINITY,
    ];
    return this.intern(`z${extent.text}`, () => ({ kind: "size", ...START, range, extent }), NONE);
  }
  /** A new immutable variable bound in a block of the given depth. */
  name(hint: string, dtype: DType, lanes: Lanes, level: number, range: Interval = UNKNOWN): NameValue {
    return { kind: "name", ...START, id: this.next++, dtype, lanes, level, range, hint };
  }
  cell(cell: Cell, version: number): Value {
    const { dtype, lanes } = cell;
    const build = (): Value => ({ kind: "cell", ...START, dtype, lanes, pinned: true, cell, version });
    return this.internIn(this.read, cell, version, build, NONE);
  }
  load(buffer: Buffer, index: Value, version: number): Value {
    const { dtype, lanes } = buffer;
    const build = (): Value => ({ kind: "load", ...START, dtype, lanes, pinned: true, buffer, index, version });
    return this.internIn(this.read, buffer, index.id * MAX_VALUES + version, build, [index]);
  }
  column(of: Value, column: number): Value {
    const { dtype, lanes } = of;
    return this.intern(`o${of.id} ${column}`, () => ({ kind: "column", ...START, dtype, lanes, of, column }), [of]);
  }
  apply(prim: Prim, args: readonly Value[], dtype: DType, lanes: Lanes): Value {
    const build = (): Value => {
      const ranges = args.map((a) => a.range);
      const range = dtype === "i32" ? rangeOfApply(prim, ranges, args) : UNKNOWN;
      return { kind: "apply", ...START, dtype, lanes, range, prim, args };
    };
    const [a, b] = args;
    const operation = `${prim} ${dtype}${lanes}`;
    if (!a || args.length > 2) return this.intern(`a${operation} ${args.map((x) => x.id).join(" ")}`, build, args);
    return this.internIn(this.applied, operation, a.id * MAX_VALUES + (b?.id ?? 0), build, args);
  }
  /** Both words at once, as a vector of two. */
  threefry(args: readonly Value[]): Value {
    const build = (): Value => ({ kind: "threefry", ...START, dtype: "u32", lanes: 2, args });
    return this.intern(`f${args.map((a) => a.id).join(" ")}`, build, args);
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
    const build = (): Value => ({
      kind: "subgroup",
      ...START,
      dtype,
      lanes,
      pinned: true,
      range,
      op,
      value,
      lane,
      from,
    });
    return this.intern(key + unique, build, value ? (from ? [value, from] : [value]) : NONE);
  }
  splat(value: Value, lanes: Lanes): Value {
    if (lanes === value.lanes) return value;
    const { dtype, range } = value;
    return this.intern(`p${lanes} ${value.id}`, () => ({ kind: "splat", ...START, dtype, lanes, range, value }), [
      value,
    ]);
  }
  vector(args: readonly Value[]): Value {
    const [first] = args;
    if (!first) throw new TypeError("empty vector");
    const lanes = args.length as Lanes;
    if (args.every((a) => a === first)) return this.splat(first, lanes);
    const build = (): Value => ({ kind: "vector", ...START, dtype: first.dtype, lanes, args });
    return this.intern(`v${args.map((a) => a.id).join(" ")}`, build, args);
  }
  dot(left: Value, right: Value): Value {
    const build = (): Value => ({ kind: "dot", ...START, dtype: left.dtype, left, right });
    return this.intern(`d${left.id} ${right.id}`, build, [left, right]);
  }
  matvec(columns: readonly Value[], vector: Value): Value {
    const { dtype } = vector;
    const lanes = columns[0]?.lanes ?? 1;
    const children = [...columns, vector];
    const build = (): Value => ({ kind: "matvec", ...START, dtype, lanes, columns, vector });
    return this.intern(`m${children.map((c) => c.id).join(" ")}`, build, children);
  }
  extract(value: Value, lane: number): Value {
    if (value.lanes === 1) return value;
    if (value.kind === "splat") return value.value;
    if (value.kind === "vector") return value.args[lane] ?? value;
    const { dtype } = value;
    return this.intern(`e${value.id} ${lane}`, () => ({ kind: "extract", ...START, dtype, value, lane }), [value]);
  }
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
