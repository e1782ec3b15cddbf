/**
 * The axes of a contraction (schedule.md §2): the reads of a reduced value fall into two operands by the axes in their
 * indices; free axes in both are batch, in one only M or N, reduced ones K. Operands are expressions, evaluated as tiles
 * load. Any operation between them will do: a product, |a - b|, a minimum.
 */
import { isInteger } from "../../ir/dtype.ts";
import { ONE } from "../../ir/extent.ts";
import {
  type Axis,
  apply,
  arg,
  childrenOf,
  type MapDef,
  mapChildren,
  type Reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { estimate } from "../passes/estimate.ts";
import { factorsOf } from "../passes/hoist.ts";
import { axesIn, hasRead } from "../passes/rewrite.ts";

export interface Operands {
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  readonly a: TensorExpr;
  readonly b: TensorExpr;
  /** Of arg(0) = a, arg(1) = b and, where a condition depends on the point, of axes; it reads nothing itself. */
  readonly body: TensorExpr;
}

/** The two operands of a reduction, or undefined where M or N is empty or the value does not come apart into two. */
export function operandsOf(d: MapDef, root: Reduce, strict: boolean): Operands | undefined {
  const value = root.values[0];
  if (!value || root.values.length !== 1) return undefined;
  const leaves = leavesOf(value);
  const free = new Set(d.axes.filter((x) => x.extent !== ONE));
  const pair = cluster(leaves.map(axesIn), free);
  if (!pair) return undefined;
  const [left, right] = pair;
  const m = [...free].filter((x) => left.has(x) && !right.has(x));
  const n = [...free].filter((x) => right.has(x) && !left.has(x));
  if (m.length === 0 || n.length === 0) return undefined;
  const apart =
    (strict && !isInteger(value.dtype) ? undefined : byFactors(value, left, right)) ??
    byNodes(value, left, right, () => true) ??
    // Conditions on the point alone are no operand: they stay in the body, as in the gradient of a padded convolution.
    byNodes(value, left, right, hasRead);
  if (!apart) return undefined;
  const others = d.axes.filter((x) => !m.includes(x) && !n.includes(x));
  const inOrder = (set: readonly Axis[]): readonly Axis[] => d.axes.filter((x) => set.includes(x));
  return { batch: others, m: inOrder(m), n: inOrder(n), k: root.axes, ...apart };
}

/** With the operands the other way round. */
export function swapOperands(o: Operands): Operands {
  const swap = (x: TensorExpr): TensorExpr => (x.kind === "arg" ? arg(1 - x.index, x.dtype) : mapChildren(x, swap));
  return { batch: o.batch, m: o.n, n: o.m, k: o.k, a: o.b, b: o.a, body: swap(o.body) };
}

/** Reads and positions at the top of an expression, not those within indices. */
function leavesOf(e: TensorExpr): readonly TensorExpr[] {
  const found: TensorExpr[] = [];
  const seen = new Set<TensorExpr>();
  const go = (x: TensorExpr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.kind === "read" || x.kind === "axis") found.push(x);
    else for (const c of childrenOf(x)) go(c);
  };
  go(e);
  return found;
}

/** Sets of axes joined until two are left: a set within another joins it, then the pair that leaves most private free axes. */
function cluster(
  sets: readonly ReadonlySet<Axis>[],
  free: ReadonlySet<Axis>,
): readonly [ReadonlySet<Axis>, ReadonlySet<Axis>] | undefined {
  const within = (x: ReadonlySet<Axis>, y: ReadonlySet<Axis>): boolean => {
    for (const a of x) if (!y.has(a)) return false;
    return true;
  };
  let list: ReadonlySet<Axis>[] = [];
  for (const s of sets) {
    if (list.some((t) => within(s, t))) continue;
    list = [...list.filter((t) => !within(t, s)), s];
  }
  // A single product of many operands is contracted pair by pair before: what is left here is small.
  if (list.length > 12) return undefined;
  while (list.length > 2) {
    let best: { i: number; j: number; score: number } | undefined;
    for (let i = 0; i < list.length; i++)
      for (let j = i + 1; j < list.length; j++) {
        const joined = union(list[i], list[j]);
        const rest = list.filter((_, x) => x !== i && x !== j);
        const score = privateFree([joined, ...rest], free);
        if (!best || score > best.score) best = { i, j, score };
      }
    if (!best) return undefined;
    const { i, j } = best;
    const joined = union(list[i], list[j]);
    list = [...list.filter((s, x) => x !== i && x !== j && !within(s, joined)), joined];
  }
  const [x, y] = list;
  return x && y ? [x, y] : undefined;
}
function union(x: ReadonlySet<Axis> | undefined, y: ReadonlySet<Axis> | undefined): ReadonlySet<Axis> {
  return new Set([...(x ?? []), ...(y ?? [])]);
}
/** The logarithm of the points of free axes that only one set has. */
function privateFree(sets: readonly ReadonlySet<Axis>[], free: ReadonlySet<Axis>): number {
  let sum = 0;
  for (const a of free)
    if (sets.filter((s) => s.has(a)).length === 1) sum += 1 + Math.log2(Math.max(1, estimate(a.extent))) / 64;
  return sum;
}

function isWithin(e: TensorExpr, axes: ReadonlySet<Axis>): boolean {
  for (const a of axesIn(e)) if (!axes.has(a)) return false;
  return true;
}

type Apart = Pick<Operands, "a" | "b" | "body">;

/** A product of which each factor belongs to one operand. */
function byFactors(e: TensorExpr, left: ReadonlySet<Axis>, right: ReadonlySet<Axis>): Apart | undefined {
  if (e.kind !== "apply" || (e.prim !== "mul" && e.prim !== "div")) return undefined;
  const sides: [TensorExpr | undefined, TensorExpr | undefined] = [undefined, undefined];
  const below: [TensorExpr[], TensorExpr[]] = [[], []];
  for (const f of factorsOf(e)) {
    const side = isWithin(f.value, left) ? 0 : isWithin(f.value, right) ? 1 : undefined;
    if (side === undefined) return undefined;
    const had = sides[side];
    if (f.below) below[side].push(f.value);
    else sides[side] = had ? apply("mul", had, f.value) : f.value;
  }
  const whole = ([0, 1] as const).map((s) =>
    below[s].reduce<TensorExpr | undefined>((x, y) => x && apply("div", x, y), sides[s]),
  );
  const [a, b] = whole;
  if (!a || !b) return undefined;
  return { a, b, body: apply("mul", arg(0, a.dtype), arg(1, b.dtype)) };
}

/** One largest subexpression on each side that may be an operand; what reads nothing and may not be one is left in the body. */
function byNodes(
  e: TensorExpr,
  left: ReadonlySet<Axis>,
  right: ReadonlySet<Axis>,
  operand: (x: TensorExpr) => boolean,
): Apart | undefined {
  const [as, bs] = [new Set<TensorExpr>(), new Set<TensorExpr>()];
  const memo = new Map<TensorExpr, TensorExpr>();
  const isPlain = (x: TensorExpr): boolean => x.kind === "const" || x.kind === "size";
  const go = (x: TensorExpr): TensorExpr => {
    if (isPlain(x) || (!operand(x) && !hasRead(x))) return x;
    const old = memo.get(x);
    if (old) return old;
    let made: TensorExpr;
    // What depends on no axis at all goes with the left, like what both could have.
    if (isWithin(x, left)) {
      as.add(x);
      made = arg(0, x.dtype);
    } else if (isWithin(x, right)) {
      bs.add(x);
      made = arg(1, x.dtype);
    } else made = mapChildren(x, go);
    memo.set(x, made);
    return made;
  };
  const body = go(e);
  const [a, b] = [[...as][0], [...bs][0]];
  return as.size === 1 && bs.size === 1 && a && b ? { a, b, body } : undefined;
}
