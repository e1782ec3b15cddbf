/**
 * Random well-formed tensor programs with inputs for them: maps with affine, divided, clamped and gathered reads, reductions
 * by several monoids, scans, scatters, every dtype. The same seed and options give the same program. Every program verifies, with every read
 * proved or filled.
 */
import type { DType } from "../../ir/dtype.ts";
import { addExtent, type Extent, evaluateExtent, mulExtent, size, sizeSymbol } from "../../ir/extent.ts";
import type { ArrayInput } from "../../ir/interpret.ts";
import { assume, proveInside } from "../../ir/interval.ts";
import { addMonoid, andMonoid, argMonoid, maxMonoid, minMonoid, mulMonoid, orMonoid } from "../../ir/monoid.ts";
import type { Prim } from "../../ir/prim.ts";
import {
  type Axis,
  apply,
  arg,
  axis,
  axisRef,
  cast,
  constant,
  type Definition,
  type Input,
  i32,
  input,
  type Monoid,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { type Random, random } from "./random.ts";

export interface GenerateOptions {
  /** Definitions besides inputs. Default 1 … 5. */
  readonly definitions?: number;
  /** Depth of expressions. Default 3. */
  readonly depth?: number;
  /** Which dtypes occur. Default f32 i32 u32 bool. */
  readonly dtypes?: readonly DType[];
  /** Infinities, NaN, -0 and large magnitudes among inputs and constants. Default false. */
  readonly specials?: boolean;
  /** Kinds of definitions. Default all. */
  readonly kinds?: readonly ("map" | "reduce" | "scan" | "scatter")[];
  /** Reductions inside expressions. Default true. */
  readonly nested?: boolean;
  /** Size symbols get values from 0 (or 1) up to this. Default 5. */
  readonly maxExtent?: number;
  /** Extents that are known when a program is compiled, as often as not multiples of four, for symbols. Default false. */
  readonly known?: boolean;
  /** May symbols be 0? Default true (seldom). */
  readonly empty?: boolean;
  /** Transcendental functions. Default true. */
  readonly functions?: boolean;
}
export interface GeneratedProgram {
  readonly program: Program;
  readonly inputs: ReadonlyMap<string, ArrayInput>;
  readonly sizes: ReadonlyMap<string, number>;
}

interface Maker {
  readonly r: Random;
  readonly o: Required<GenerateOptions>;
  readonly tensors: Definition[];
  readonly extents: readonly Extent[];
  /** Indices within indices; data is an index only at the first level. */
  nesting: number;
}

const ASSUMPTIONS = assume([]);
const SYMBOLS = ["N", "M", "K"] as const;

/** Sum of squares with a count: a monoid that no name stands for. */
const MOMENT: Monoid = {
  name: "moment",
  slots: ["f32", "i32"],
  identity: [constant("f32", 0), i32(0)],
  combine: [apply("add", arg(0, "f32"), arg(2, "f32")), apply("add", arg(1, "i32"), arg(3, "i32"))],
  commutative: true,
  exact: false,
};

export function generateProgram(seed: number, options: GenerateOptions = {}): GeneratedProgram {
  const r = random(seed);
  const o: Required<GenerateOptions> = {
    definitions: options.definitions ?? 1 + r.below(5),
    depth: options.depth ?? 3,
    dtypes: options.dtypes ?? ["f32", "f32", "f32", "i32", "u32", "bool"],
    specials: options.specials ?? false,
    kinds: options.kinds ?? ["map", "map", "reduce", "reduce", "scan", "scatter"],
    nested: options.nested ?? true,
    maxExtent: options.maxExtent ?? 5,
    known: options.known ?? false,
    empty: options.empty ?? true,
    functions: options.functions ?? true,
  };
  const sizes = new Map<string, number>(
    SYMBOLS.map((s) => [s, o.empty && r.chance(0.04) ? 0 : 1 + r.below(o.maxExtent)]),
  );
  const [n, m, k] = SYMBOLS.map((s) =>
    o.known ? size(r.chance(0.5) ? sizes.get(s)! : 4 * (1 + r.below(Math.ceil(o.maxExtent / 4)))) : sizeSymbol(s),
  ) as [Extent, Extent, Extent];
  const extents = [
    n,
    n,
    m,
    m,
    k,
    k,
    size(1),
    size(3),
    size(4),
    mulExtent(size(2), n),
    addExtent(n, m),
    addExtent(m, size(2)),
  ];
  const maker: Maker = { r, o, tensors: [], extents, nesting: 0 };
  // One input for each symbol comes first, so that every symbol is bound by a lone extent.
  const inputs: Input[] = [n, m, k].map((e, i) =>
    input(`x${i}`, r.pick(o.dtypes), [axis("i", e), ...axesOf(maker, r.below(2))]),
  );
  for (let i = r.below(3); i > 0; i--)
    inputs.push(input(`x${inputs.length}`, r.pick(o.dtypes), axesOf(maker, r.below(4))));
  maker.tensors.push(...inputs);
  const steps: Step[] = [];
  for (let i = 0; i < o.definitions; i++) {
    const d = definition(maker, `t${i}`);
    maker.tensors.push(d);
    steps.push(d);
  }
  const results = steps
    .flatMap((s) => (s.kind === "loop" ? [] : s.types.map((_, slot) => ({ tensor: s, slot }))))
    .filter((_, i, all) => i === all.length - 1 || r.chance(0.4))
    .map((ref, i) => ({ name: `y${i}`, ...ref }));
  const program: Program = { name: `p${seed}`, inputs, steps, results, facts: [] };
  return { program, inputs: generateInputs(program, sizes, seed + 1, o.specials), sizes };
}

/** Arrays for the program's inputs at these sizes: small numbers, so that data used as indices is often inside. */
export function generateInputs(
  program: Program,
  sizes: ReadonlyMap<string, number>,
  seed: number,
  specials = false,
): ReadonlyMap<string, ArrayInput> {
  const r = random(seed);
  const made = new Map<string, ArrayInput>();
  for (const d of program.inputs) {
    const shape = d.axes.map((a) => evaluateExtent(a.extent, sizes));
    const count = shape.reduce((a, b) => a * b, 1);
    const dtype = d.types[0] ?? "f32";
    made.set(d.name, { shape, data: fill(dtype, count, r, specials) });
  }
  return made;
}

const SPECIALS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1e30, -1e30, 1e-40];

function fill(dtype: DType, count: number, r: Random, specials: boolean): ArrayLike<number> {
  const list = Array.from({ length: count }, () => {
    if (dtype === "i32") return specials && r.chance(0.05) ? r.pick([2147483647, -2147483648]) : r.below(9) - 2;
    if (dtype === "u32") return r.chance(0.5) ? r.below(6) : r.next();
    if (dtype === "bool") return r.below(2);
    if (specials && r.chance(0.08)) return r.pick(dtype === "f16" ? SPECIALS.slice(0, 5) : SPECIALS);
    return r.chance(0.5) ? (r.below(65) - 32) / 8 : (r.unit() * 2 - 1) * 4;
  });
  if (dtype === "i32") return Int32Array.from(list);
  if (dtype === "u32") return Uint32Array.from(list);
  if (dtype === "bool") return Uint8Array.from(list);
  return Float32Array.from(list);
}

// ---- Definitions ------------------------------------------------------------------------------------------------------

function axesOf(m: Maker, count: number): Axis[] {
  return Array.from({ length: count }, () => axis(m.r.pick(["i", "j", "k", "l"]), m.r.pick(m.extents)));
}

function definition(m: Maker, name: string): Definition {
  const { r, o } = m;
  const kind = r.pick(o.kinds);
  const dtype = r.pick(o.dtypes);
  switch (kind) {
    case "map": {
      const axes = axesOf(m, r.below(4));
      const results = [expression(m, dtype, o.depth, axes)];
      if (r.chance(0.15)) results.push(expression(m, r.pick(o.dtypes), o.depth, axes));
      return mapDef(axes, results, { name });
    }
    case "reduce": {
      const axes = axesOf(m, r.below(3));
      const inner = axesOf(m, 1 + r.below(2));
      const monoid = monoidOn(m, dtype);
      const values = monoid.slots.map((d) => expression(m, d, o.depth - 1, [...axes, ...inner]));
      return mapDef(
        axes,
        monoid.slots.map((_, s) => reduce(monoid, inner, values, s)),
        { name },
      );
    }
    case "scan": {
      const axes = axesOf(m, 1 + r.below(3));
      const monoid = monoidOn(m, dtype);
      return scanDef(
        axes,
        r.pick(axes),
        monoid,
        monoid.slots.map((d) => expression(m, d, o.depth - 1, axes)),
        { name },
      );
    }
    case "scatter": {
      const axes = axesOf(m, 1 + r.below(2));
      const domain = axesOf(m, 1 + r.below(2));
      const monoid = r.chance(0.2) ? "set" : monoidOn(m, dtype);
      const types = monoid === "set" ? [dtype] : monoid.slots;
      const at = axes.map(() => (r.chance(0.4) ? axisRef(r.pick(domain)) : expression(m, "i32", 1, domain)));
      const into = m.tensors.find(
        (t) => t.types.length === types.length && t.types.every((d, i) => d === types[i]) && sameShape(t.axes, axes),
      );
      const refs = into && r.chance(0.7) ? types.map((_, slot) => ({ tensor: into, slot })) : undefined;
      const initial = monoid === "set" ? types.map((d) => constantOf(m, d)) : monoid.identity;
      return scatterDef(
        axes,
        monoid,
        domain,
        at,
        types.map((d) => expression(m, d, o.depth - 1, domain)),
        initial,
        refs,
        { name },
      );
    }
  }
}

function sameShape(a: readonly Axis[], b: readonly Axis[]): boolean {
  return a.length === b.length && a.every((x, i) => x.extent === b[i]?.extent);
}

function monoidOn({ r }: Maker, dtype: DType): Monoid {
  if (dtype === "bool") return r.chance(0.5) ? andMonoid() : orMonoid();
  const arithmetic = [addMonoid(dtype), addMonoid(dtype), mulMonoid(dtype), maxMonoid(dtype), minMonoid(dtype)];
  const pairs = [argMonoid("max", dtype), argMonoid("min", dtype)];
  return r.pick(dtype === "f32" ? [...arithmetic, ...pairs, MOMENT] : [...arithmetic, ...pairs]);
}

// ---- Expressions ------------------------------------------------------------------------------------------------------

function constantOf({ r, o }: Maker, dtype: DType): ReturnType<typeof constant> {
  if (dtype === "bool") return constant("bool", r.below(2));
  if (dtype === "i32") return i32(r.below(9) - 3);
  if (dtype === "u32") return constant("u32", r.below(7));
  if (o.specials && r.chance(0.1)) return constant(dtype, r.pick(SPECIALS.slice(0, 5)));
  return constant(dtype, r.pick([0, 1, -1, 0.5, 2, -3.25, 0.1, 10]));
}

function leaf(m: Maker, dtype: DType, scope: readonly Axis[]): TensorExpr {
  const { r } = m;
  const candidates = m.tensors.flatMap((t) => t.types.map((d, slot) => ({ t, d, slot }))).filter((c) => c.d === dtype);
  if (candidates.length > 0 && r.chance(0.75)) {
    const c = r.pick(candidates);
    return readOf(m, c.t, c.slot, scope);
  }
  if (dtype === "i32" && scope.length > 0 && r.chance(0.6)) return axisRef(r.pick(scope));
  if (dtype === "i32" && r.chance(0.2)) return sizeOf(r.pick(m.extents));
  return constantOf(m, dtype);
}

function readOf(m: Maker, t: Definition, slot: number, scope: readonly Axis[]): TensorExpr {
  const { r } = m;
  m.nesting++;
  const at = t.axes.map((a) => indexOf(m, a.extent, scope));
  m.nesting--;
  const inside = at.every((e, i) => proveInside(e, t.axes[i]!.extent, ASSUMPTIONS, scope) === "proved");
  if (inside && r.chance(0.8)) return read(t, slot, at);
  return read(t, slot, at, constantOf(m, t.types[slot] ?? "f32"));
}

function indexOf(m: Maker, extent: Extent, scope: readonly Axis[]): TensorExpr {
  const { r } = m;
  const fitting = scope.filter((a) => a.extent === extent);
  if (fitting.length > 0 && r.chance(0.7)) {
    const a = axisRef(r.pick(fitting));
    if (r.chance(0.7)) return a;
    return r.chance(0.5)
      ? apply("sub", apply("sub", sizeOf(extent), i32(1)), a)
      : apply("sub", apply("add", a, i32(r.below(3))), i32(1));
  }
  if (scope.length === 0 || r.chance(0.15)) return i32(r.below(4));
  const a = axisRef(r.pick(scope));
  const b = axisRef(r.pick(scope));
  switch (r.below(m.nesting > 1 ? 3 : 6)) {
    case 0:
      return apply("floordiv", a, i32(1 + r.below(3)));
    case 1:
      return apply("mod", apply("add", a, b), r.chance(0.5) ? sizeOf(extent) : i32(1 + r.below(4)));
    case 2:
      return apply("add", apply("mul", a, i32(1 + r.below(3))), apply("sub", b, i32(r.below(3))));
    case 3:
      return apply("max", apply("min", expression(m, "i32", 1, scope), apply("sub", sizeOf(extent), i32(1))), i32(0));
    default:
      return expression(m, "i32", 1, scope);
  }
}

const FLOAT1: readonly Prim[] = [
  "exp",
  "exp2",
  "expm1",
  "log",
  "log2",
  "log1p",
  "sqrt",
  "rsqrt",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "erfc",
];
const EXACT1: readonly Prim[] = ["neg", "abs", "floor", "ceil", "round", "trunc", "sign"];
const ARITHMETIC: readonly Prim[] = ["add", "add", "sub", "mul", "mul", "min", "max"];
const COMPARE: readonly Prim[] = ["eq", "ne", "lt", "le", "gt", "ge"];

function expression(m: Maker, dtype: DType, depth: number, scope: readonly Axis[]): TensorExpr {
  const { r, o } = m;
  if (depth <= 0 || r.chance(0.15)) return leaf(m, dtype, scope);
  const sub = (d: DType): TensorExpr => expression(m, d, depth - 1, scope);
  if (r.chance(0.1)) return apply("select", sub("bool"), sub(dtype), sub(dtype));
  if (o.nested && depth >= 2 && r.chance(0.08)) {
    const inner = axesOf(m, 1);
    const monoid = monoidOn(m, dtype);
    const values = monoid.slots.map((d) => expression(m, d, depth - 2, [...scope, ...inner]));
    return reduce(monoid, inner, values, monoid.slots.indexOf(dtype));
  }
  const other = r.pick(o.dtypes);
  if (other !== dtype && r.chance(0.1)) return cast(sub(other), dtype);
  switch (dtype) {
    case "f32":
    case "f16": {
      if (o.functions && r.chance(0.3)) return apply(r.pick(FLOAT1), sub(dtype));
      if (r.chance(0.2)) return apply(r.pick(EXACT1), sub(dtype));
      if (r.chance(0.15)) return apply("div", sub(dtype), sub(dtype));
      if (r.chance(0.06))
        return apply(r.pick(["floordiv", "mod", "rem", "pow", "atan2"] as const), sub(dtype), sub(dtype));
      const shared = sub(dtype);
      return apply(r.pick(ARITHMETIC), shared, r.chance(0.1) ? shared : sub(dtype));
    }
    case "i32":
      if (r.chance(0.2))
        return apply(
          r.pick(["floordiv", "mod", "rem"] as const),
          sub("i32"),
          r.chance(0.7) ? i32(1 + r.below(5)) : sub("i32"),
        );
      if (r.chance(0.1)) return apply(r.pick(["neg", "abs", "sign", "bitnot", "popcount", "clz"] as const), sub("i32"));
      return apply(r.pick(ARITHMETIC), sub("i32"), sub("i32"));
    case "u32":
      if (r.chance(0.2))
        return apply(r.pick(["threefry0", "threefry1"] as const), sub("u32"), sub("u32"), sub("u32"), sub("u32"));
      if (r.chance(0.4))
        return apply(r.pick(["bitand", "bitor", "bitxor", "shl", "shr"] as const), sub("u32"), sub("u32"));
      return apply(r.pick([...ARITHMETIC, "mod", "floordiv"] as const), sub("u32"), sub("u32"));
    case "bool": {
      if (r.chance(0.3)) return apply(r.pick(["and", "or"] as const), sub("bool"), sub("bool"));
      if (r.chance(0.15)) return apply("not", sub("bool"));
      const of = r.pick(o.dtypes);
      if ((of === "f32" || of === "f16") && r.chance(0.15)) return apply(r.chance(0.5) ? "isnan" : "isinf", sub(of));
      return apply(r.pick(COMPARE), sub(of), sub(of));
    }
  }
}
