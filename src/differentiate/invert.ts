/**
 * Turns a scatter by addition into a gather: the adjoint of a read `x[at]` is a scatter to `at`, and where `at` is affine in the
 * domain's axes it can be solved for them, one equation `at[d] = t[d]` an axis of the result. What is solved disappears from
 * the domain; what is left is summed. So the gradient of a convolution is a convolution, of a transpose a transpose, and no
 * sum is ever made by racing writes. A scatter whose index comes from data stays.
 */
import type { LinearForm } from "../../ir/affine.ts";
import type { DType } from "../../ir/dtype.ts";
import { type Extent, mulExtent, ONE, proveNonNegative, subExtent } from "../../ir/extent.ts";
import { addMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  apply,
  axis,
  axisRef,
  cast,
  constant,
  type Definition,
  i32,
  mapChildren,
  mapDef,
  read,
  reduce,
  type ScatterDef,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { estimate, expressionOf, linearOf, simplifyIndex, testsNeeded } from "../passes/affine.ts";
import { substitute } from "../passes/inline.ts";
import { axesIn, freshAxes, hasRead, renameAxes } from "../passes/rewrite.ts";

interface System {
  /** Result axes. */
  readonly axes: readonly Axis[];
  /** Left sides over the domain's axes and right sides over the result's. */
  equations: { readonly left: TensorExpr; readonly right: TensorExpr }[];
  /** Domain axes not solved yet. */
  readonly open: Set<Axis>;
  readonly solved: Map<Axis, TensorExpr>;
  readonly guards: TensorExpr[];
}

/** The gather, or the scatter itself if an index comes from data or is not affine. */
export function invertScatter(d: ScatterDef): Definition {
  if (d.monoid === "set" || d.into || d.values.length !== 1) return d;
  if (d.at.some((e) => hasRead(e))) return d;
  const rename = new Map<Axis, Axis>();
  const domain = freshAxes(d.domain, rename);
  const axes = freshAxes(d.axes, new Map());
  // An axis of one position is neither solved for nor summed over: what was broadcast along it is read through.
  const units = new Map(domain.filter(isUnit).map((a) => [a, i32(0)] as const));
  const renamed = (e: TensorExpr): TensorExpr => substitute(renameAxes(e, rename), units);
  const s: System = {
    axes,
    open: new Set(domain.filter((a) => !isUnit(a))),
    solved: new Map(),
    guards: [],
    equations: d.at.map((e, i) => ({
      left: simplifyIndex(renamed(e)),
      right: isUnit(axes[i]!) ? i32(0) : axisRef(axes[i]!),
    })),
  };
  if (!solve(s)) return d;
  const bind = closed(s.solved);
  const guard = conjunction([...s.guards, ...rangeGuards(bind)].map((g) => substitute(g, bind)));
  const value = substitute(renamed(d.values[0]!), bind);
  const total = guarded(guard, totalReads(value));
  const reduced = [...s.open];
  return mapDef(axes, [summed(total, reduced)], { name: d.name, span: d.span, epoch: d.epoch });
}

function isUnit(a: Axis): boolean {
  return a.extent === ONE;
}

/** Σ over the axes, f16 in f32. */
function summed(value: TensorExpr, axes: readonly Axis[]): TensorExpr {
  if (axes.length === 0) return value;
  const dtype: DType = value.dtype === "f16" ? "f32" : value.dtype;
  return cast(reduce(addMonoid(dtype), axes, [cast(value, dtype)]), value.dtype);
}

function guarded(guard: TensorExpr | undefined, value: TensorExpr): TensorExpr {
  return guard ? apply("select", guard, value, constant(value.dtype, 0)) : value;
}

function conjunction(tests: readonly TensorExpr[]): TensorExpr | undefined {
  let all: TensorExpr | undefined;
  for (const t of new Set(tests)) all = all ? apply("and", all, t) : t;
  return all;
}

/** Solves until no equation is left; false if one cannot be. */
function solve(s: System): boolean {
  while (s.equations.length > 0) {
    const forms = s.equations.map((e) => ({ e, form: linearOf(simplifyIndex(substitute(e.left, closed(s.solved)))) }));
    // An equation in few open axes first: plain indices before windows, those before quotients, and remainders, which quotients solve, last.
    const order = (f: LinearForm): number => {
      const strange = strangeAtom(f, s);
      if (!strange) return openAxes(f, s).length;
      return strange.kind === "apply" && strange.prim === "floordiv" ? 1e6 : 2e6;
    };
    forms.sort((a, b) => order(a.form) - order(b.form));
    const { e, form } = forms[0]!;
    s.equations = s.equations.filter((x) => x !== e);
    const strange = strangeAtom(form, s);
    if (strange) {
      const split = splitDivision(strange, form, e.right, s);
      if (!split) return false;
      continue;
    }
    const unknown = openAxes(form, s);
    if (unknown.length === 0) {
      const left = simplifyIndex(expressionOf(form));
      if (left !== e.right) s.guards.push(apply("eq", left, e.right));
    } else if (unknown.length === 1 || !solveDigits(form, unknown, e.right, s)) solveOne(form, unknown, e.right, s);
  }
  return true;
}

/** What is neither an axis nor free of open ones. */
function strangeAtom(form: LinearForm, s: System): TensorExpr | undefined {
  return [...form.terms.keys()].find((a) => a.kind !== "axis" && [...axesIn(a)].some((x) => s.open.has(x)));
}

function openAxes(form: LinearForm, s: System): Axis[] {
  return [...form.terms.keys()].flatMap((a) => (a.kind === "axis" && s.open.has(a.axis) ? [a.axis] : []));
}

/** `e div c == t` alone: e = t·c + r with a new axis r of extent c, which is summed instead of most of e's axes. */
function splitDivision(atom: TensorExpr, form: LinearForm, right: TensorExpr, s: System): boolean {
  if (atom.kind !== "apply" || atom.prim !== "floordiv" || form.terms.size !== 1 || form.terms.get(atom) !== ONE)
    return false;
  const [e, c] = atom.args as [TensorExpr, TensorExpr];
  const extent: Extent | undefined =
    c.kind === "size" ? c.extent : c.kind === "const" && c.value > 0 ? linearOf(c).constant : undefined;
  if (!extent) return false;
  const r = axis("r", extent);
  s.open.add(r);
  const quotient = apply("sub", right, expressionOf({ terms: new Map(), constant: form.constant }));
  s.equations.push({ left: apply("sub", e, axisRef(r)), right: apply("mul", quotient, c) });
  return true;
}

/** Mixed radix: a·(extent of b) + b has one solution by div and %. Coefficients must be 1, e₁, e₁·e₂, …  */
function solveDigits(form: LinearForm, unknown: readonly Axis[], right: TensorExpr, s: System): boolean {
  const parts = unknown.map((a) => ({ axis: a, stride: form.terms.get(axisRef(a))! }));
  const order: typeof parts = [];
  let stride: Extent = ONE;
  while (order.length < parts.length) {
    const next = parts.find((p) => p.stride === stride && !order.includes(p));
    if (!next) return false;
    order.push(next);
    stride = mulExtent(stride, next.axis.extent);
  }
  const u = simplifyIndex(apply("sub", right, without(form, unknown)));
  for (const [i, p] of order.entries()) {
    const quotient = p.stride === ONE ? u : apply("floordiv", u, sizeOf(p.stride));
    const last = i === order.length - 1;
    assign(s, p.axis, last ? quotient : apply("mod", quotient, sizeOf(p.axis.extent)));
  }
  return true;
}

/** Solves for the axis whose sum would be longest; a coefficient k other than ±1 needs divisibility. */
function solveOne(form: LinearForm, unknown: readonly Axis[], right: TensorExpr, s: System): void {
  const weight = (a: Axis): number => estimate(a.extent);
  const chosen = [...unknown].sort((a, b) => weight(b) - weight(a))[0]!;
  const k = form.terms.get(axisRef(chosen))!;
  const u = apply("sub", right, without(form, [chosen]));
  if (k === ONE) assign(s, chosen, u);
  else if (k.value === -1) assign(s, chosen, apply("neg", u));
  else {
    // Floor division by a negative constant is as good: the remainder decides.
    s.guards.push(apply("eq", apply("mod", u, sizeOf(k)), i32(0)));
    assign(s, chosen, apply("floordiv", u, sizeOf(k)));
  }
}

function without(form: LinearForm, axes: readonly Axis[]): TensorExpr {
  const terms = new Map([...form.terms].filter(([a]) => !(a.kind === "axis" && axes.includes(a.axis))));
  return expressionOf({ terms, constant: form.constant });
}

function assign(s: System, a: Axis, value: TensorExpr): void {
  s.open.delete(a);
  s.solved.set(a, value);
}

/** Solutions in terms of result axes and open axes only. */
function closed(solved: ReadonlyMap<Axis, TensorExpr>): Map<Axis, TensorExpr> {
  const done = new Map<Axis, TensorExpr>();
  const of = (a: Axis): TensorExpr => {
    const old = done.get(a);
    if (old) return old;
    const value = solved.get(a)!;
    const inner = new Map([...axesIn(value)].filter((x) => solved.has(x)).map((x) => [x, of(x)] as const));
    const made = simplifyIndex(substitute(value, inner));
    done.set(a, made);
    return made;
  };
  for (const a of solved.keys()) of(a);
  return done;
}

/** 0 <= solution < extent, where it is not proved. */
function rangeGuards(bind: ReadonlyMap<Axis, TensorExpr>): TensorExpr[] {
  return [...bind].flatMap(([a, e]) => {
    const t = testsNeeded(e, a.extent);
    const tests: TensorExpr[] = [];
    if (t.low) tests.push(apply("ge", e, i32(0)));
    if (t.high && !sameAxis(e, a.extent)) tests.push(apply("lt", e, sizeOf(a.extent)));
    return tests;
  });
}

/** An axis of the same extent, up to what is provable. */
function sameAxis(e: TensorExpr, extent: Extent): boolean {
  return e.kind === "axis" && proveNonNegative(subExtent(extent, e.axis.extent)) === "proved";
}

/** Where a guard is false a solved index may be anywhere: reads that are not proved inside get a fill, never seen. */
function totalReads(e: TensorExpr): TensorExpr {
  const memo = new Map<TensorExpr, TensorExpr>();
  const go = (x: TensorExpr): TensorExpr => {
    if (!hasRead(x)) return x;
    const old = memo.get(x);
    if (old) return old;
    let made = mapChildren(x, go);
    if (made.kind === "read" && !made.fill) {
      const { tensor } = made;
      const unsure = made.at.some((i, d) => {
        const t = testsNeeded(i, tensor.axes[d]?.extent ?? ONE);
        return t.low || t.high;
      });
      if (unsure) made = read(made.tensor, made.slot, made.at, constant(made.dtype, 0));
    }
    memo.set(x, made);
    return made;
  };
  return go(e);
}
