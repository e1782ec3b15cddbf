/** Cotangents of one definition's reads, by the kind of the definition. Each is a sum of contributions over a domain. */
import { isFloat } from "../../ir/dtype.ts";
import { ONE, subExtent } from "../../ir/extent.ts";
import { addMonoid, mulMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  apply,
  arg,
  axisRef,
  cast,
  constant,
  type Definition,
  i32,
  type MapDef,
  type Monoid,
  mapDef,
  type Read,
  type Reduce,
  read,
  reduce,
  type ScanDef,
  type ScatterDef,
  scanDef,
  scatterDef,
  sizeOf,
  substituteArgs,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { pullBack } from "./local.ts";
import { picksByPosition, primitiveOf } from "./monoids.ts";

/** `value` is added into element `at` of `tensor`'s cotangent for every position of `domain`. */
export interface Contribution {
  readonly target: TensorRef;
  readonly domain: readonly Axis[];
  readonly at: readonly TensorExpr[];
  readonly value: TensorExpr;
}

export interface AdjointContext {
  /** Does a derivative flow into this slot? */
  wanted(tensor: Definition, slot: number): boolean;
  /** Emits a definition of the gradient program. */
  emit<D extends Definition>(d: D): D;
  /** Something that cannot be differentiated: throws. */
  refuse(d: Definition, why: string): never;
}

/** The cotangent of each slot of the definition at the definition's own axes, or undefined where it is zero. */
export type Seeds = readonly ((at: readonly TensorExpr[]) => TensorExpr | undefined)[];

const refs = (axes: readonly Axis[]): TensorExpr[] => axes.map(axisRef);

function contributions(
  domain: readonly Axis[],
  roots: readonly TensorExpr[],
  seeds: readonly (TensorExpr | undefined)[],
  x: AdjointContext,
): Contribution[] {
  const found = pullBack(roots, seeds, (leaf) => leaf.kind === "read" && x.wanted(leaf.tensor, leaf.slot));
  return [...found].map(([leaf, value]) => {
    const r = leaf as Read;
    return { target: { tensor: r.tensor, slot: r.slot }, domain, at: r.at, value };
  });
}

export function adjointOf(d: Definition, seeds: Seeds, x: AdjointContext): Contribution[] {
  switch (d.kind) {
    case "input":
    case "carry":
      return [];
    case "map": {
      const g = seeds.map((s) => s(refs(d.axes)));
      const root = d.results[0];
      return root?.kind === "reduce" ? reduction(d, root, g, x) : contributions(d.axes, d.results, g, x);
    }
    case "scan":
      return scan(d, seeds, x);
    case "scatter":
      return scatter(d, seeds, x);
  }
}

// ---- Reductions ---------------------------------------------------------------------------------------------------

function reduction(d: MapDef, r: Reduce, g: readonly (TensorExpr | undefined)[], x: AdjointContext): Contribution[] {
  const domain = [...d.axes, ...r.axes];
  const own = (slot: number): TensorExpr => read(d, slot, refs(d.axes));
  const prim = primitiveOf(r.monoid);
  if (prim === "add") return contributions(domain, r.values, g, x);
  if (prim === "max" || prim === "min") {
    const [value, seed] = [r.values[0]!, g[0]];
    if (!seed) return [];
    // Ties share evenly: amax and amin as PyTorch documents them.
    const equal = apply("eq", value, own(0));
    const dtype = value.dtype === "f16" ? "f32" : value.dtype;
    const one = reduce(addMonoid(dtype), r.axes, [apply("select", equal, constant(dtype, 1), constant(dtype, 0))]);
    const count = x.emit(mapDef(d.axes, [cast(one, value.dtype)], { name: `${d.name}_ties`, span: d.span }));
    const share = apply("select", equal, apply("div", seed, read(count, 0, refs(d.axes))), constant(seed.dtype, 0));
    return contributions(domain, r.values, [share], x);
  }
  if (picksByPosition(r)) {
    let winner: TensorExpr | undefined;
    r.monoid.slots.forEach((t, s) => {
      if (isFloat(t)) return;
      const same = apply("eq", r.values[s]!, own(s));
      winner = winner ? apply("and", winner, same) : same;
    });
    return contributions(
      domain,
      r.values,
      g.map((s) => s && apply("select", winner!, s, constant(s.dtype, 0))),
      x,
    );
  }
  return generalReduction(d, r, g, x);
}

/**
 * Any monoid along one axis: with P the exclusive prefix and S the exclusive suffix at an element v, the whole is
 * P ⊕ (v ⊕ S), which is differentiated for v. Products with zeros come out right.
 */
function generalReduction(
  d: MapDef,
  r: Reduce,
  g: readonly (TensorExpr | undefined)[],
  x: AdjointContext,
): Contribution[] {
  const along = r.axes[0];
  if (r.axes.length !== 1 || !along) throw new RangeError(`${d.name}: reductions over several axes are nested before`);
  const { monoid: m } = r;
  const n = m.slots.length;
  const axes = [...d.axes, along];
  const scanned = (name: string, monoid: Monoid, values: readonly TensorExpr[]): ScanDef =>
    x.emit(scanDef(axes, along, monoid, values, { name, span: d.span }));
  const elements = x.emit(mapDef(axes, r.values, { name: `${d.name}_v`, span: d.span }));
  const k = axisRef(along);
  const outer = refs(d.axes);
  const mirrored = (e: TensorExpr): TensorExpr => apply("sub", sizeOf(subExtent(along.extent, ONE)), e);
  const prefix = scanned(
    `${d.name}_before`,
    m,
    m.slots.map((_, s) => read(elements, s, refs(axes))),
  );
  const suffix = scanned(
    `${d.name}_after`,
    flipped(m),
    m.slots.map((_, s) => read(elements, s, [...outer, mirrored(k)])),
  );
  // arg(0…n-1) the element, arg(n…2n-1) the suffix, arg(2n…3n-1) the prefix.
  const slots = (from: number): TensorExpr[] => m.slots.map((t, s) => arg(from + s, t));
  const inner = m.combine.map((c) => substituteArgs(c, [...slots(0), ...slots(n)]));
  const whole = m.combine.map((c) => substituteArgs(c, [...slots(2 * n), ...inner]));
  const parts = pullBack(whole, g, (leaf) => leaf.kind === "arg" && leaf.index < n);
  const actual = [
    ...m.slots.map((_, s) => read(elements, s, refs(axes))),
    ...m.slots.map((_, s) => read(suffix, s, [...outer, apply("sub", mirrored(k), i32(1))], m.identity[s])),
    ...m.slots.map((_, s) => read(prefix, s, [...outer, apply("sub", k, i32(1))], m.identity[s])),
  ];
  const seeds = m.slots.map((t, s) => {
    const part = parts.get(arg(s, t));
    return part && substituteArgs(part, actual);
  });
  return contributions(axes, r.values, seeds, x);
}

/** The same operation with its operands exchanged. */
function flipped(m: Monoid): Monoid {
  const n = m.slots.length;
  const args = [...m.slots.map((t, s) => arg(n + s, t)), ...m.slots.map((t, s) => arg(s, t))];
  return { ...m, name: `${m.name}_flipped`, combine: m.combine.map((c) => substituteArgs(c, args)) };
}

// ---- Scans --------------------------------------------------------------------------------------------------------

const MOST_SLOTS = 3;

/**
 * y_k = y_{k-1} ⊕ v_k. The cotangent of y_k with everything after it is t_k = g_k + Jᵀ(y_k, v_{k+1}) t_{k+1}: a reversed scan of
 * affine maps (matrix, offset).
 */
function scan(d: ScanDef, seeds: Seeds, x: AdjointContext): Contribution[] {
  const { monoid: m, along } = d;
  const n = m.slots.length;
  const floats = m.slots.flatMap((t, s) => (isFloat(t) ? [s] : []));
  if (floats.length > MOST_SLOTS) x.refuse(d, `a scan of ${floats.length} float slots`);
  const dtype = m.slots[floats[0] ?? 0]!;
  if (floats.some((s) => m.slots[s] !== dtype)) x.refuse(d, "a scan of float slots of different types");
  const at = (k: TensorExpr): TensorExpr[] => d.axes.map((a) => (a === along ? k : axisRef(a)));
  const k = axisRef(along);
  const last = subExtent(along.extent, ONE);
  const elements = x.emit(mapDef(d.axes, d.values, { name: `${d.name}_v`, span: d.span }));
  const own = (s: number, i: TensorExpr): TensorExpr => read(d, s, at(i), m.identity[s]);
  const element = (s: number, i: TensorExpr): TensorExpr => read(elements, s, at(i), m.identity[s]);
  const partial = (s: number, operand: number, left: TensorExpr, right: TensorExpr): TensorExpr | undefined => {
    const found = pullBack(
      [m.combine[s]!],
      [constant(m.slots[s]!, 1)],
      (leaf) => leaf.kind === "arg" && leaf.index === operand,
    );
    const part = found.get(arg(operand, m.slots[operand % n]!));
    return (
      part &&
      substituteArgs(part, [...m.slots.map((_, i) => own(i, left)), ...m.slots.map((_, i) => element(i, right))])
    );
  };
  // At step q of the reversed scan k = last - q; the map is t ↦ Jᵀ(y_k, v_{k+1}) t + g_k.
  const reversedK = apply("sub", sizeOf(last), k);
  const after = apply("add", reversedK, i32(1));
  const zero = constant(dtype, 0);
  const offset = floats.map((s) => seeds[s]!(at(reversedK)) ?? zero);
  const monoid = affineMonoid(floats.length, dtype);
  const matrix = floats.flatMap((u) => floats.map((s) => partial(s, u, reversedK, after) ?? zero));
  const total = x.emit(scanDef(d.axes, along, monoid, [...matrix, ...offset], { name: `${d.name}_ct`, span: d.span }));
  const size = floats.length;
  const t = floats.map((_, i) => read(total, size * size + i, at(reversedK)));
  const before = apply("sub", k, i32(1));
  const g = m.slots.map((_, u) => {
    if (!floats.includes(u)) return undefined;
    let sum: TensorExpr | undefined;
    floats.forEach((s, i) => {
      const part = partial(s, n + u, before, k);
      const term = part && apply("mul", t[i]!, part);
      sum = sum && term ? apply("add", sum, term) : (sum ?? term);
    });
    return sum;
  });
  return contributions(d.axes, d.values, g, x);
}

const affineMonoids = new Map<string, Monoid>();

/** Maps t ↦ A t + b, the left one applied first: slots A row by row, then b. */
function affineMonoid(n: number, dtype: "f32" | "f16" | "i32" | "u32" | "bool"): Monoid {
  const key = `${n}${dtype}`;
  const old = affineMonoids.get(key);
  if (old) return old;
  const count = n * n + n;
  const left = (i: number): TensorExpr => arg(i, dtype);
  const right = (i: number): TensorExpr => arg(count + i, dtype);
  const dot = (row: number, of: (j: number) => TensorExpr): TensorExpr => {
    let sum: TensorExpr | undefined;
    for (let j = 0; j < n; j++) {
      const term = apply("mul", right(row * n + j), of(j));
      sum = sum ? apply("add", sum, term) : term;
    }
    return sum!;
  };
  const combine: TensorExpr[] = [];
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) combine.push(dot(i, (l) => left(l * n + j)));
  for (let i = 0; i < n; i++)
    combine.push(
      apply(
        "add",
        dot(i, (l) => left(n * n + l)),
        right(n * n + i),
      ),
    );
  const identity = Array.from({ length: count }, (_, i) => constant(dtype, i < n * n && i % (n + 1) === 0 ? 1 : 0));
  const made: Monoid = {
    name: `affine${n}`,
    slots: Array.from({ length: count }, () => dtype),
    identity,
    combine,
    commutative: false,
    exact: false,
  };
  affineMonoids.set(key, made);
  return made;
}

// ---- Scatters -----------------------------------------------------------------------------------------------------

function scatter(d: ScatterDef, seeds: Seeds, x: AdjointContext): Contribution[] {
  const out: Contribution[] = [];
  const whole = refs(d.axes);
  const into = (slot: number, g: TensorExpr): void => {
    const target = d.into?.[slot];
    if (target && x.wanted(target.tensor, target.slot)) out.push({ target, domain: d.axes, at: whole, value: g });
  };
  /** The cotangent where the element went; nothing if it was dropped. */
  const arrived = (g: Definition, slot: number): TensorExpr => read(g, slot, d.at, constant(g.types[slot]!, 0));
  const stored = (slot: number, value: TensorExpr): Definition =>
    x.emit(mapDef(d.axes, [value], { name: `${d.name}_g${slot}`, span: d.span }));
  const prim = d.monoid === "set" ? "set" : primitiveOf(d.monoid);
  d.values.forEach((value, slot) => {
    const g = seeds[slot]?.(whole);
    if (!g) return;
    if (prim === "add") {
      into(slot, g);
      out.push(...contributions(d.domain, [value], [arrived(stored(slot, g), 0)], x));
    } else if (prim === "set") {
      // The winner is the last position that wrote: found by scattering positions.
      const position = linearPosition(d.domain);
      const winner = x.emit(
        scatterDef(d.axes, "set", d.domain, d.at, [position], [i32(-1)], undefined, {
          name: `${d.name}_winner`,
          span: d.span,
        }),
      );
      const none = apply("lt", read(winner, 0, whole), i32(0));
      into(slot, apply("select", none, g, constant(g.dtype, 0)));
      const mine = apply("eq", read(winner, 0, d.at, i32(-1)), position);
      const there = arrived(stored(slot, g), 0);
      out.push(...contributions(d.domain, [value], [apply("select", mine, there, constant(there.dtype, 0))], x));
    } else if (prim === "max" || prim === "min") {
      // Everyone who equals the result shares, what was added into included.
      const own = read(d, slot, whole);
      const start = d.into?.[slot];
      const isStart = start ? apply("eq", read(start.tensor, start.slot, whole), own) : undefined;
      const [one, zero] = [constant(g.dtype, 1), constant(g.dtype, 0)];
      const equal = apply("eq", value, read(d, slot, d.at, constant(value.dtype, Number.NaN)));
      const hits = x.emit(
        scatterDef(d.axes, addMonoid(g.dtype), d.domain, d.at, [apply("select", equal, one, zero)], [zero], undefined, {
          name: `${d.name}_ties`,
          span: d.span,
        }),
      );
      const count = isStart
        ? apply("add", read(hits, 0, whole), apply("select", isStart, one, zero))
        : read(hits, 0, whole);
      const share = stored(slot, apply("div", g, apply("max", count, one)));
      if (isStart) into(slot, apply("select", isStart, read(share, 0, whole), zero));
      const there = arrived(share, 0);
      out.push(...contributions(d.domain, [value], [apply("select", equal, there, zero)], x));
    } else if (prim === "mul") {
      // ∂/∂v of a product is the product of the others, which is the whole over v only where nothing is zero.
      const [one, zero] = [constant(g.dtype, 1), constant(g.dtype, 0)];
      const isZero = (e: TensorExpr): TensorExpr => apply("eq", e, zero);
      const start = d.into?.[slot];
      const first = start ? read(start.tensor, start.slot, whole) : one;
      const o = { name: `${d.name}_others`, span: d.span };
      const zeros = x.emit(
        scatterDef(
          d.axes,
          addMonoid(g.dtype),
          d.domain,
          d.at,
          [apply("select", isZero(value), one, zero)],
          [zero],
          undefined,
          o,
        ),
      );
      const rest = x.emit(
        scatterDef(
          d.axes,
          mulMonoid(g.dtype),
          d.domain,
          d.at,
          [apply("select", isZero(value), one, value)],
          [one],
          undefined,
          o,
        ),
      );
      const count = apply("add", read(zeros, 0, whole), apply("select", isZero(first), one, zero));
      const product = apply("mul", read(rest, 0, whole), apply("select", isZero(first), one, first));
      const others = stored(slot, apply("mul", g, product));
      const counts = stored(slot, count);
      /** The product of the others times g, for one of the factors. */
      const share = (factor: TensorExpr, total: TensorExpr, n: TensorExpr): TensorExpr =>
        apply(
          "select",
          isZero(factor),
          apply("select", apply("eq", n, one), total, zero),
          apply("select", isZero(n), apply("div", total, factor), zero),
        );
      if (start) into(slot, share(first, read(others, 0, whole), read(counts, 0, whole)));
      out.push(...contributions(d.domain, [value], [share(value, arrived(others, 0), arrived(counts, 0))], x));
    } else x.refuse(d, "a scatter by this operation");
  });
  return out;
}

/** Row-major position in the domain, an i32. */
function linearPosition(domain: readonly Axis[]): TensorExpr {
  let position: TensorExpr = i32(0);
  for (const a of domain) position = apply("add", apply("mul", position, sizeOf(a.extent)), axisRef(a));
  return position;
}
