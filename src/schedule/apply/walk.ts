/** Walking axes: which may be walked as one, and loops over them split among invocations. */
import { addForms, linearOf, scaleForm } from "../../../ir/affine.ts";
import {
  divExtent,
  type Extent,
  modExtent,
  mulExtent,
  ONE,
  productExtent,
  proveNonNegative,
  size,
  subExtent,
  ZERO,
} from "../../../ir/extent.ts";
import { iadd, isub, type KernelExpr, kint, ksize, kvar, loop, variable } from "../../../ir/kernel.ts";
import {
  type Axis,
  apply,
  axis,
  axisRef,
  childrenOf,
  i32,
  shapeOf,
  sizeOf,
  type TensorExpr,
} from "../../../ir/tensor.ts";
import { divisible, formExpression } from "../affine.ts";
import { aliasAxis, type Builder, bindAxis, emit, inFrame } from "./builder.ts";

/**
 * Adjacent axes that every read uses together, as consecutive plain indices, are walked as one: the position is then the
 * flat index and no division is needed. Gives the axes in runs.
 */
export function collapse(
  axes: readonly Axis[],
  exprs: readonly TensorExpr[],
  points: readonly { at: readonly TensorExpr[]; shape: readonly Extent[] }[],
): readonly (readonly Axis[])[] {
  const joined = axes.map((_, d) => d + 1 < axes.length);
  const refs = axes.map((a) => axisRef(a));
  const place = new Map<TensorExpr, number>(refs.map((r, d) => [r, d]));
  const breakAt = (d: number): void => {
    if (d >= 0 && d < joined.length) joined[d] = false;
  };
  const onPoint = (at: readonly TensorExpr[], shape: readonly Extent[]): void => {
    at.forEach((x, i) => {
      const d = place.get(x);
      if (d === undefined) return;
      const after = at[i + 1];
      if (d + 1 < axes.length && !(after === refs[d + 1] && shape[i + 1] === axes[d + 1]?.extent)) breakAt(d);
      if (d > 0 && !(at[i - 1] === refs[d - 1] && shape[i] === axes[d]?.extent)) breakAt(d - 1);
    });
  };
  const seen = new Set<TensorExpr>();
  const visit = (e: TensorExpr, plain: boolean): void => {
    const d = place.get(e);
    if (d !== undefined && !plain) {
      breakAt(d);
      breakAt(d - 1);
      return;
    }
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "read") {
      onPoint(e.at, shapeOf(e.tensor));
      for (const x of e.at) if (!place.has(x)) visit(x, false);
      // A fill that is needed tests each index by itself.
      if (e.fill)
        e.at.forEach((x, i) => {
          const at = place.get(x);
          if (at !== undefined && axes[at]?.extent !== shapeOf(e.tensor)[i]) visit(x, false);
        });
    } else for (const c of childrenOf(e)) visit(c, false);
  };
  for (const e of exprs) visit(e, false);
  for (const p of points) {
    onPoint(p.at, p.shape);
    for (const x of p.at) if (!place.has(x)) visit(x, false);
  }
  const runs: Axis[][] = [];
  axes.forEach((a, d) => {
    const last = runs[runs.length - 1];
    if (last && d > 0 && joined[d - 1]) last.push(a);
    else runs.push([a]);
  });
  return runs;
}

export function countOf(axes: readonly Axis[]): Extent {
  return productExtent(axes.map((a) => a.extent));
}

/** At least one position, whatever the sizes. */
export function neverEmpty(e: Extent): boolean {
  return proveNonNegative(subExtent(e, ONE)) === "proved";
}

/**
 * In the current frame, makes `axes` stand for the coordinates of a flat index in units of `lanes` elements along the last
 * axis (whose lanes are the builder's lane axis).
 */
export function unflattenAxes(b: Builder, axes: readonly Axis[], unit: TensorExpr, lanes: number): void {
  const extents = axes.map((a) => a.extent);
  const lane = axisRef(b.lane);
  const strideAfter = (d: number): Extent => productExtent(extents.slice(d + 1));
  // The part of the flat index that belongs to axes i…j.
  const part = (i: number, j: number): TensorExpr => {
    const count = productExtent(extents.slice(i, j + 1));
    const last = j === axes.length - 1;
    const whole = extents.slice(0, i).every((e) => e === ONE);
    if (count === ONE) return i32(0);
    if (last) {
      const units = divExtent(count, size(lanes));
      const inner = whole ? unit : remainder(unit, units);
      return lanes === 1 ? inner : formExpression(addForms(scaleForm(linearOf(inner), size(lanes)), linearOf(lane)));
    }
    const stride = divExtent(strideAfter(j), size(lanes));
    const q = quotient(unit, stride);
    return whole ? q : remainder(q, count);
  };
  const parts = axes.map((_, d) => part(d, d));
  axes.forEach((a, d) => {
    aliasAxis(b, a, parts[d]!);
  });
  for (let length = axes.length; length >= 2; length--)
    for (let i = 0; i + length <= axes.length; i++)
      b.flats.push({
        parts: parts.slice(i, i + length),
        extents: extents.slice(i, i + length),
        flat: part(i, i + length - 1),
      });
}

function quotient(e: TensorExpr, by: Extent): TensorExpr {
  if (by === ONE) return e;
  return e.kind === "const" && by.value !== undefined
    ? i32(Math.floor(e.value / by.value))
    : apply("floordiv", e, sizeOf(by));
}
function remainder(e: TensorExpr, by: Extent): TensorExpr {
  if (by === ONE) return i32(0);
  return e.kind === "const" && by.value !== undefined ? i32(e.value % by.value) : apply("mod", e, sizeOf(by));
}

/** Whether a walk along these axes may take `lanes` elements of the last at a time. */
export function laneable(axes: readonly Axis[], lanes: number): boolean {
  const last = axes[axes.length - 1];
  return lanes === 1 || (last !== undefined && divisible(last.extent, lanes) && last.extent !== ZERO);
}

/** Called for the u-th of `together` units done together; `unit` is the index of the unit along the innermost run. */
export type WalkBody = (u: number, unit: TensorExpr, run: readonly Axis[], together: number) => void;

export interface Walk {
  /** First unit and how far apart an invocation's units are. */
  readonly start: KernelExpr;
  readonly step: number;
  /** Units done together in an iteration; the rest follows one by one. */
  readonly unroll: number;
  readonly lanes: number;
  /** Units that follow one another are done together, as many as `unroll` says, which divides the innermost run; start, step and range count these. */
  readonly together?: boolean;
  /** Only units below this and from this; the whole run if left out. Only for a single run. */
  readonly range?: { readonly from: KernelExpr; readonly to: KernelExpr };
}

/**
 * Loops over all positions of `runs`, innermost run split among invocations; `body(u)` is called for the u-th of the units
 * done together, with the axes standing for its position.
 */
export function walk(b: Builder, runs: readonly (readonly Axis[])[], w: Walk, body: WalkBody): void {
  const inner = runs[runs.length - 1] ?? [];
  const outer = runs.slice(0, -1);
  const nest = (d: number): void => {
    const run = outer[d];
    if (!run) {
      walkRun(b, inner, w, body);
      return;
    }
    const extent = countOf(run);
    const v = variable("j");
    const statements = inFrame(b, !neverEmpty(extent), () => {
      const a = axis("j", extent);
      bindAxis(b, a, kvar(v));
      const flats = b.flats.length;
      unflattenAxes(b, run, axisRef(a), 1);
      nest(d + 1);
      b.flats.length = flats;
    });
    emit(b, loop(v, ksize(extent), statements));
  };
  nest(0);
}

function walkRun(b: Builder, run: readonly Axis[], w: Walk, body: WalkBody): void {
  const count = divExtent(countOf(run), size(w.lanes));
  const flats = b.flats.length;
  if (run.length === 0 || count === ONE) {
    // A single unit: the first invocation's.
    single(b, run, w, body);
    b.flats.length = flats;
    return;
  }
  if (w.together) {
    walkGroups(b, run, count, w, body);
    b.flats.length = flats;
    return;
  }
  const span = w.step * w.unroll;
  const from = w.range?.from ?? kint(0);
  const to = w.range?.to ?? ksize(count);
  let rest: KernelExpr | undefined = from;
  if (w.unroll > 1) {
    const literal = !w.range && count.value !== undefined ? count.value - (count.value % span) : undefined;
    if (literal === span && w.step === 1 && literal === count.value) {
      // The whole run at once: no loop, every position is known.
      const statements = inFrame(b, false, () => {
        for (let u = 0; u < w.unroll; u++) inUnit(b, run, i32(u), w.lanes, () => body(u, i32(u), run, w.unroll));
      });
      emit(b, ...statements);
      b.flats.length = flats;
      return;
    }
    if (literal !== 0) {
      const until: KernelExpr = w.range
        ? iadd(from, isub(isub(to, from), restOf(isub(to, from), span)))
        : ksize(subExtent(count, modExtent(count, size(span))));
      const v = variable("k");
      const statements = inFrame(b, literal === undefined, () => {
        for (let u = 0; u < w.unroll; u++) {
          const a = axis("k", count);
          bindAxis(b, a, iadd(iadd(kvar(v), w.start), kint(u * w.step)));
          inUnit(b, run, axisRef(a), w.lanes, () => body(u, axisRef(a), run, w.unroll));
        }
      });
      emit(b, loop(v, until, statements, "loop", from, span));
      rest = literal !== undefined && literal === count.value ? undefined : until;
    }
  }
  if (!rest) return;
  const v = variable("k");
  const statements = inFrame(b, w.step > 1 || w.range !== undefined || !neverEmpty(count) || w.unroll > 1, () => {
    const a = axis("k", count);
    bindAxis(b, a, kvar(v));
    inUnit(b, run, axisRef(a), w.lanes, () => body(0, axisRef(a), run, 1));
  });
  emit(b, loop(v, to, statements, "loop", iadd(rest, w.start), w.step));
}

/** Groups of neighbouring units: u of the q-th is unit q · unroll + u. */
function walkGroups(b: Builder, run: readonly Axis[], count: Extent, w: Walk, body: WalkBody): void {
  const groups = divExtent(count, size(w.unroll));
  const v = variable("k");
  const statements = inFrame(b, w.step > 1 || w.range !== undefined || !neverEmpty(groups), () => {
    const a = axis("k", groups);
    bindAxis(b, a, kvar(v));
    const first = scaleForm(linearOf(axisRef(a)), size(w.unroll));
    for (let u = 0; u < w.unroll; u++) {
      const unit = formExpression(addForms(first, linearOf(i32(u))));
      inUnit(b, run, unit, w.lanes, () => body(u, unit, run, w.unroll));
    }
  });
  const from = w.range ? iadd(w.range.from, w.start) : w.start;
  emit(b, loop(v, w.range?.to ?? ksize(groups), statements, "loop", from, w.step));
}

function restOf(e: KernelExpr, by: number): KernelExpr {
  return { kind: "apply", prim: "mod", dtype: "i32", lanes: 1, args: [e, kint(by)] };
}

function inUnit(b: Builder, run: readonly Axis[], unit: TensorExpr, lanes: number, body: () => void): void {
  const flats = b.flats.length;
  unflattenAxes(b, run, unit, lanes);
  body();
  b.flats.length = flats;
}

function single(b: Builder, run: readonly Axis[], w: Walk, body: WalkBody): void {
  const go = (): void => {
    inUnit(b, run, i32(0), w.lanes, () => body(0, i32(0), run, 1));
  };
  if (w.step === 1 && !w.range) {
    const statements = inFrame(b, false, go);
    emit(b, ...statements);
    return;
  }
  const statements = inFrame(b, true, go);
  const first = w.range ? { from: iadd(w.range.from, w.start), to: w.range.to } : { from: w.start, to: kint(1) };
  const v = variable("k");
  emit(b, loop(v, first.to, statements, "loop", first.from, w.step));
}

export function unitsOf(axes: readonly Axis[], lanes: number): Extent {
  return divExtent(countOf(axes), size(lanes));
}
export function timesExtent(e: Extent, n: number): Extent {
  return mulExtent(e, size(n));
}
