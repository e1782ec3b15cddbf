/**
 * Factors free of the reduced axes leave a sum: Σ p·v/z becomes (Σ p·v)/z, exactly for wrapping integers and by the licence
 * `distribute` for floats. So does an axis along which nothing varies: its extent is a factor. An elementwise producer is looked
 * through where that frees a factor, as the 1/z of a softmax does when its rows weigh a product. Weights over their own sum are looked
 * through also where they are rounded to f16, which leaves that rounding out: the result is the more accurate one, within what the bound
 * allows for the rounding (ir/bounds-rules.ts). Other roundings stay, as matrices multiply what was rounded (matrix-operands.ts).
 */
import { type DType, isInteger } from "../../ir/dtype.ts";
import { lowerBound, productExtent } from "../../ir/extent.ts";
import {
  type Axis,
  apply,
  axisRef,
  cast,
  constant,
  type Definition,
  i32,
  type MapDef,
  mapDef,
  type Program,
  read,
  reduce,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { leaving, readThrough } from "./inline.ts";
import { reductionOf } from "./lift.ts";
import { anchorsOf, axesIn, freshAxes, hasRead, readsIn, renameAxes, rewriteProgram, slotsOf } from "./rewrite.ts";

export interface HoistOptions {
  readonly strict?: boolean;
}

export interface Factor {
  readonly value: TensorExpr;
  /** Divides instead of multiplying. */
  readonly below: boolean;
}

/** What the program's facts say of single symbols: the smallest value of each. */
export function smallestSizes(p: Program): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const f of p.facts) {
    const t = f.left.terms[0];
    const atom = t?.atoms[0];
    if (f.relation !== ">=" || f.right.value === undefined || f.left.terms.length !== 1 || t?.coefficient !== 1)
      continue;
    if (t.atoms.length === 1 && atom?.kind === "symbol")
      found.set(atom.name, Math.max(f.right.value, found.get(atom.name) ?? 0));
  }
  return found;
}

/** Is the monoid addition of one number, by what it computes? */
export function isAddition(r: {
  readonly monoid: {
    readonly combine: readonly TensorExpr[];
    readonly identity: readonly { readonly value: number }[];
  };
}): boolean {
  const c = r.monoid.combine[0];
  return (
    r.monoid.combine.length === 1 &&
    c?.kind === "apply" &&
    c.prim === "add" &&
    c.args[0]?.kind === "arg" &&
    c.args[1]?.kind === "arg" &&
    c.args[0].index !== c.args[1].index &&
    r.monoid.identity[0]?.value === 0
  );
}

function isProduct(e: TensorExpr | undefined): e is TensorExpr {
  return e?.kind === "apply" && (e.prim === "mul" || e.prim === "div");
}

/** Does the factor divide `whole` by a sum of what it reads? */
function isOwnSum(f: Factor, whole: TensorExpr): boolean {
  const root = f.below && f.value.kind === "read" ? reductionOf(f.value.tensor) : undefined;
  const term = root && isAddition(root) ? root.values[0] : undefined;
  return term?.kind === "read" && readsIn(whole).some((r) => r.tensor === term.tensor);
}

/** What a cast of one type to another is of. */
function castFrom(e: TensorExpr, to: DType, from: DType): TensorExpr | undefined {
  const of = e.kind === "apply" && e.prim === "cast" && e.dtype === to ? e.args[0] : undefined;
  return of?.dtype === from ? of : undefined;
}

export function hoistFactors(p: Program, o: HoistOptions = {}): Program {
  const anchors = anchorsOf(p);
  const elementwise = new Map<Definition, MapDef>();
  const atLeast = smallestSizes(p);
  const original = new Map<Definition, Definition>();

  return rewriteProgram(p, (d, emit, was) => {
    original.set(d, was);
    const root = reductionOf(d);
    if (d.kind === "map" && !root && d.results.length === 1) elementwise.set(d, d);
    const body = root?.values[0];
    if (!root || d.kind !== "map" || !body || !isAddition(root) || (o.strict && !isInteger(body.dtype))) {
      emit(d);
      return slotsOf(d);
    }
    const reduced = new Set(root.axes);
    const free = (e: TensorExpr): boolean => {
      for (const a of axesIn(e)) if (reduced.has(a)) return false;
      return true;
    };
    /** The product of an elementwise map that is no result, at a point; `of` tells what in its body is that product. */
    const productAt = (e: TensorExpr, of: (body: TensorExpr) => TensorExpr | undefined): TensorExpr | undefined => {
      if (e.kind !== "read" || e.fill) return undefined;
      const t = elementwise.get(e.tensor);
      const inner = t?.results[0] && of(t.results[0]);
      const before = original.get(e.tensor);
      if (!t || !isProduct(inner) || t.epoch !== d.epoch || (before && anchors.has(before))) return undefined;
      return readThrough(inner, t.axes, e.at, undefined);
    };
    const rounded = (e: TensorExpr): TensorExpr | undefined => castFrom(e, "f16", "f32");
    const lookThrough = (e: TensorExpr): TensorExpr | undefined => {
      const half = castFrom(e, "f32", "f16");
      const opened = half ? (rounded(half) ?? productAt(half, rounded)) : productAt(e, (body) => body);
      if (!isProduct(opened)) return undefined;
      const factors = factorsOf(opened, lookThrough).filter((f) => hasRead(f.value) && free(f.value));
      return factors.some((f) => !half || isOwnSum(f, opened)) ? opened : undefined;
    };
    const idle = root.axes.filter((a) => !axesIn(body).has(a));
    const summed = root.axes.filter((a) => !idle.includes(a));
    const factors = factorsOf(body, lookThrough);
    let out = factors.filter((f) => free(f.value));
    let kept = factors.filter((f) => !free(f.value));
    if (out.length === 0 || kept.length === 0 || !kept.some((f) => !f.below)) {
      if (idle.length === 0) {
        emit(d);
        return slotsOf(d);
      }
      out = [];
      kept = [{ value: body, below: false }];
    }
    const finish = (product: TensorExpr): readonly TensorRef[] => {
      let value = product;
      for (const f of out) value = apply(f.below ? "div" : "mul", value, f.value);
      if (idle.length > 0) value = apply("mul", value, countOf(idle, value.dtype));
      // The sum over nothing is 0, whatever the factor is.
      for (const a of root.axes)
        if ((lowerBound(a.extent, atLeast) ?? 0) < 1)
          value = apply("select", apply("gt", sizeOf(a.extent), i32(0)), value, root.monoid.identity[0] ?? value);
      const outer = mapDef(d.axes, [value], { name: d.name, span: d.span, epoch: d.epoch });
      elementwise.set(outer, outer);
      emit(outer);
      return slotsOf(outer);
    };
    const whole = product(kept);
    if (summed.length === 0) return finish(whole);
    const inside = d.axes.filter((a) => axesIn(whole).has(a));
    const sum = leaving(
      whole,
      d.axes.filter((a) => !inside.includes(a)),
      atLeast,
    );
    const to = new Map<Axis, Axis>();
    const own = freshAxes(inside, to);
    const bound = freshAxes(summed, to);
    const made = mapDef(own, [reduce(root.monoid, bound, [renameAxes(sum, to)])], {
      name: `${d.name}_sum`,
      span: d.span,
      epoch: d.epoch,
    });
    emit(made);
    return finish(read(made, 0, inside.map(axisRef)));
  });
}

/** The number of positions of these axes, as a number of the type. */
export function countOf(axes: readonly Axis[], dtype: DType): TensorExpr {
  const count = productExtent(axes.map((a) => a.extent));
  return count.value === undefined ? cast(sizeOf(count), dtype) : constant(dtype, count.value);
}

/** A product's factors, divisions and negations taken apart. */
export function factorsOf(
  e: TensorExpr,
  open: (e: TensorExpr) => TensorExpr | undefined = () => undefined,
): readonly Factor[] {
  const out: Factor[] = [];
  const stack: Factor[] = [{ value: e, below: false }];
  for (let f = stack.pop(); f; f = stack.pop()) {
    const x = f.value;
    if (x.kind === "apply" && x.prim === "mul" && x.args[0] && x.args[1])
      stack.push({ value: x.args[1], below: f.below }, { value: x.args[0], below: f.below });
    else if (x.kind === "apply" && x.prim === "div" && x.args[0] && x.args[1])
      stack.push({ value: x.args[1], below: !f.below }, { value: x.args[0], below: f.below });
    else {
      const opened = open(x);
      if (opened) stack.push({ value: opened, below: f.below });
      else out.push(f);
    }
  }
  return out;
}

function product(factors: readonly Factor[]): TensorExpr {
  let value: TensorExpr | undefined;
  for (const f of factors) if (!f.below) value = value ? apply("mul", value, f.value) : f.value;
  if (!value) throw new Error("a product without factors");
  for (const f of factors) if (f.below) value = apply("div", value, f.value);
  return value;
}
