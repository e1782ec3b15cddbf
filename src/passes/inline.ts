/**
 * Reads through definitions: a producer's expression at the reader's index. Index maps (transposes, slices, broadcasts,
 * pads, concatenations, reshapes, iota, casts) are always read through; nothing of them is ever stored for a reader.
 */
import {
  addExtent,
  type Extent,
  lowerBound,
  negExtent,
  ONE,
  proveNonNegative,
  size,
  subExtent,
} from "../../ir/extent.ts";
import {
  type Axis,
  type AxisRef,
  apply,
  type Const,
  childrenOf,
  constant,
  type Definition,
  expressionsOf,
  i32,
  type MapDef,
  mapChildren,
  type Program,
  type Read,
  read,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { linearOf, simplifyIndex, testsNeeded } from "./affine.ts";
import {
  axesIn,
  countNodes,
  definitionsOf,
  hasRead,
  hasReduce,
  mapExpressions,
  rewriteProgram,
  slotsOf,
} from "./rewrite.ts";

/** Replaces axes by index expressions and brings the indices of reads into normal form. Bound axes are never captured. */
export function substitute(e: TensorExpr, bind: ReadonlyMap<Axis, TensorExpr>): TensorExpr {
  return normalised(
    e,
    (x) => {
      for (const a of axesIn(x)) if (bind.has(a)) return true;
      return false;
    },
    new Map(),
    (x) => bind.get(x.axis) ?? x,
  );
}

/** `e` with its axes mapped and the indices of its reads in normal form, as far down as expressions are `concerned`. */
function normalised(
  e: TensorExpr,
  concerned: (x: TensorExpr) => boolean,
  memo: Map<TensorExpr, TensorExpr>,
  axisOf?: (x: AxisRef) => TensorExpr,
): TensorExpr {
  const go = (x: TensorExpr): TensorExpr => {
    if (x.kind === "axis") return axisOf?.(x) ?? x;
    if (!concerned(x)) return x;
    const old = memo.get(x);
    if (old) return old;
    const inner = mapChildren(x, go);
    const made = inner.kind === "read" ? normalIndices(inner) : inner;
    memo.set(x, made);
    return made;
  };
  return go(e);
}

/** The read with its indices in normal form, and without a fill where it is proved inside. */
export function normalIndices(r: Read): Read {
  const at = r.at.map(simplifyIndex);
  let fill = r.fill;
  if (fill && at.every((x, d) => isInside(x, r.tensor.axes[d]?.extent ?? ONE))) fill = undefined;
  return fill === r.fill && at.every((x, d) => x === r.at[d]) ? r : read(r.tensor, r.slot, at, fill);
}
function isInside(x: TensorExpr, extent: Extent): boolean {
  const t = testsNeeded(x, extent);
  return !t.low && !t.high;
}

/** Brings the indices of all reads in `e` into normal form. */
export function normaliseReads(e: TensorExpr, memo: Map<TensorExpr, TensorExpr> = new Map()): TensorExpr {
  return normalised(e, hasRead, memo);
}

/**
 * Gives a fill to every read that is not proved inside by its own axes: for expressions that will stand under a test of
 * their own, or that leave an axis behind, which, empty, had kept them from being evaluated.
 */
export function totalise(e: TensorExpr): TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    if (!hasRead(x)) return x;
    const old = memo.get(x);
    if (old) return old;
    let made = mapChildren(x, go);
    if (made.kind === "read" && !made.fill) {
      const r: Read = made;
      if (!r.at.every((i, d) => isInside(i, r.tensor.axes[d]?.extent ?? ONE)))
        made = read(r.tensor, r.slot, r.at, constant(r.dtype, 0));
    }
    memo.set(x, made);
    return made;
  };
  return go(e);
}

/**
 * `body`, the value of a definition over `axes`, at the index `at` with the read's `fill`: `select(inside, body at, fill)`,
 * with only the tests that are not proved, and none that the fill of a read below makes already.
 */
export function readThrough(
  body: TensorExpr,
  axes: readonly Axis[],
  at: readonly TensorExpr[],
  fill: Const | undefined,
): TensorExpr {
  const bind = new Map<Axis, TensorExpr>();
  axes.forEach((a, d) => {
    bind.set(a, at[d] ?? i32(0));
  });
  const inner = substitute(body, bind);
  if (!fill || inner === fill) return inner;
  const tests = axes.map((a, d) => testsNeeded(at[d] ?? i32(0), a.extent));
  if (tests.every((t) => !t.low && !t.high)) return inner;
  const passes = body.kind === "read" && inner.kind === "read" && (body.fill === undefined || body.fill === fill);
  const conditions: TensorExpr[] = [];
  axes.forEach((a, d) => {
    const index = at[d] ?? i32(0);
    const t = tests[d];
    const implied = passes ? impliedTests(body, a) : { low: false, high: false };
    if (t?.low && !implied.low) conditions.push(apply("ge", index, i32(0)));
    if (t?.high && !implied.high) conditions.push(apply("lt", index, sizeOf(a.extent)));
  });
  // Its indices are evaluated outside too: what they read in their turn needs a fill.
  const value = passes ? read(inner.tensor, inner.slot, inner.at.map(totalise), fill) : totalise(inner);
  if (conditions.length === 0) return value;
  return apply(
    "select",
    conditions.reduce((a, b) => apply("and", a, b)),
    value,
    fill,
  );
}

/** Which of 0 <= a and a < extent follow from the read's own index being inside its tensor. */
function impliedTests(r: Read, a: Axis): { readonly low: boolean; readonly high: boolean } {
  let [low, high] = [false, false];
  r.at.forEach((index, d) => {
    const form = linearOf(index);
    const [term] = form.terms;
    const extent = r.tensor.axes[d]?.extent;
    if (form.terms.size !== 1 || !term || term[0].kind !== "axis" || term[0].axis !== a || !extent) return;
    const b = form.constant;
    const last = subExtent(extent, ONE);
    const proved = (e: Extent): boolean => proveNonNegative(e) === "proved";
    if (term[1] === ONE) {
      // 0 <= a + b <= last
      low ||= proved(negExtent(b));
      high ||= proved(addExtent(subExtent(subExtent(a.extent, ONE), last), b));
    } else if (term[1] === size(-1)) {
      // 0 <= b - a <= last
      low ||= proved(subExtent(b, last));
      high ||= proved(subExtent(subExtent(a.extent, ONE), b));
    }
  });
  return { low, high };
}

/** `totalise`, if one of the axes that an expression leaves behind may be empty. */
export function leaving(
  e: TensorExpr,
  behind: Iterable<Axis>,
  atLeast: ReadonlyMap<string, number> = new Map(),
): TensorExpr {
  for (const a of behind) if ((lowerBound(a.extent, atLeast) ?? 0) < 1) return totalise(e);
  return e;
}

// ---- Index maps -----------------------------------------------------------------------------------------------------

const CHEAP: ReadonlySet<string> = new Set([
  "add", "sub", "mul", "floordiv", "mod", "rem", "neg", "abs", "min", "max",
  "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "select", "cast", "bitcast", "stopGradient",
]); // biome-ignore format: one table
/** More distinct nodes than this and a map is read, not read through. */
const VIEW_NODES = 96;

/** Only reads, casts, selections, constants and cheap arithmetic of positions: moving it to its reader costs next to nothing. */
export function isIndexMap(e: TensorExpr): boolean {
  if (hasReduce(e)) return false;
  const positional = (x: TensorExpr): boolean => {
    if (x.kind === "apply") return CHEAP.has(x.prim) && x.args.every(positional);
    // An index out of a tensor (a gather) is an index like any other; a float never is.
    if (x.kind === "read") return x.dtype === "i32" || x.dtype === "u32" ? x.at.every(positional) : false;
    return x.kind === "const" || x.kind === "size" || x.kind === "axis";
  };
  const moves = (x: TensorExpr): boolean => {
    if (x.kind === "read") return x.at.every(positional);
    if (x.kind === "apply" && (x.prim === "cast" || x.prim === "bitcast" || x.prim === "stopGradient"))
      return x.args.every(moves);
    if (x.kind === "apply" && x.prim === "select") {
      const [condition, yes, no] = x.args;
      return !!condition && !!yes && !!no && positional(condition) && moves(yes) && moves(no);
    }
    return !hasRead(x) && positional(x);
  };
  return countNodes([e], VIEW_NODES) <= VIEW_NODES && moves(e);
}

/** Is it element-for-element another tensor? Then that one, which must be of the same shape. */
function aliasOf(d: MapDef, e: TensorExpr): TensorRef | undefined {
  if (e.kind !== "read" || e.tensor.kind === "input" || e.tensor.kind === "carry" || e.tensor.epoch !== d.epoch)
    return undefined;
  if (e.at.length !== d.axes.length) return undefined;
  const same = e.at.every((x, i) => {
    const own = d.axes[i];
    if (!own || own.extent !== e.tensor.axes[i]?.extent) return false;
    return (x.kind === "axis" && x.axis === own) || (own.extent === ONE && x.kind === "const" && x.value === 0);
  });
  return same ? { tensor: e.tensor, slot: e.slot } : undefined;
}

/** Reads through index maps, and names a tensor that is another one by that other. The maps themselves stay: `dropDead`. */
export function inlineIndexMaps(p: Program): Program {
  const views = new Map<Definition, readonly TensorExpr[]>();
  const through = (r: Read): TensorExpr => {
    const n = normalIndices(r);
    const body = views.get(n.tensor)?.[n.slot];
    return body ? readThrough(body, n.tensor.axes, n.at, n.fill) : n;
  };
  return rewriteProgram(
    p,
    (d, emit) => {
      if (d.kind !== "map") {
        emit(d);
        return slotsOf(d);
      }
      const aliases = d.results.map((e) => aliasOf(d, e));
      if (aliases.every((a) => a)) return aliases.map((a, slot) => a ?? { tensor: d, slot });
      emit(d);
      if (d.results.every(isIndexMap)) views.set(d, d.results);
      return aliases.map((a, slot) => a ?? { tensor: d, slot });
    },
    through,
  );
}

/** `stopGradient` is the identity once derivatives have been taken. */
export function dropStopGradient(p: Program): Program {
  const seen = new Set<TensorExpr>();
  const stops = (x: TensorExpr): boolean => {
    if (seen.has(x)) return false;
    seen.add(x);
    return (x.kind === "apply" && x.prim === "stopGradient") || childrenOf(x).some(stops);
  };
  if (!definitionsOf(p).some((d) => expressionsOf(d).some(stops))) return p;
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    const old = memo.get(x);
    if (old) return old;
    const inner = mapChildren(x, go);
    const made = inner.kind === "apply" && inner.prim === "stopGradient" && inner.args[0] ? inner.args[0] : inner;
    memo.set(x, made);
    return made;
  };
  return mapProgram(p, go);
}

/** Maps the scalar expressions of every definition. */
export function mapProgram(p: Program, f: (e: TensorExpr) => TensorExpr): Program {
  return rewriteProgram(p, (d, emit) => {
    const made = mapExpressions(d, f);
    emit(made);
    return slotsOf(made);
  });
}
