/**
 * Range inference of Tensor Comprehensions: round by round, each access with exactly one unresolved index in an affine
 * position bounds it to what stays inside the tensor; the constraints of a round are intersected.
 */
import { TcError, type TcExpr } from "./parse.ts";

export interface Range {
  /** Half-open. */
  readonly from: number;
  readonly to: number;
}
export interface TensorInfo {
  /** Half-open range of every axis: outputs may start elsewhere than at 0. */
  readonly axes: readonly Range[];
  readonly isFloat: boolean;
}

/** Σ coefficient·index + constant. */
interface Affine {
  readonly terms: ReadonlyMap<string, number>;
  readonly constant: number;
}

export function affine(e: TcExpr, sizes: ReadonlyMap<string, number>): Affine | undefined {
  switch (e.kind) {
    case "number":
      return /^\d+$/.test(e.text) ? { terms: new Map(), constant: Number(e.text) } : undefined;
    case "name": {
      const size = sizes.get(e.name);
      return size !== undefined ? { terms: new Map(), constant: size } : { terms: new Map([[e.name, 1]]), constant: 0 };
    }
    case "unary": {
      const a = e.op === "-" ? affine(e.operand, sizes) : undefined;
      return a && scaled(a, -1);
    }
    case "binary": {
      const [a, b] = [affine(e.left, sizes), affine(e.right, sizes)];
      if (!a || !b) return undefined;
      if (e.op === "+") return sum(a, b);
      if (e.op === "-") return sum(a, scaled(b, -1));
      if (e.op === "*" && a.terms.size === 0) return scaled(b, a.constant);
      if (e.op === "*" && b.terms.size === 0) return scaled(a, b.constant);
      return undefined;
    }
    default:
      return undefined;
  }
}

function scaled(a: Affine, k: number): Affine {
  return { terms: new Map([...a.terms].map(([n, c]) => [n, c * k])), constant: a.constant * k };
}
function sum(a: Affine, b: Affine): Affine {
  const terms = new Map(a.terms);
  for (const [n, c] of b.terms) terms.set(n, (terms.get(n) ?? 0) + c);
  return { terms: new Map([...terms].filter(([, c]) => c !== 0)), constant: a.constant + b.constant };
}

/** Every tensor access in the expression, outermost first. */
export function accesses(e: TcExpr, isTensor: (name: string) => boolean): Extract<TcExpr, { kind: "access" }>[] {
  const out: Extract<TcExpr, { kind: "access" }>[] = [];
  const go = (x: TcExpr): void => {
    switch (x.kind) {
      case "access":
        if (isTensor(x.name)) out.push(x);
        x.args.forEach(go);
        break;
      case "unary":
        go(x.operand);
        break;
      case "binary":
        go(x.left);
        go(x.right);
        break;
      case "ternary":
        go(x.condition);
        go(x.chosen);
        go(x.otherwise);
        break;
      default:
    }
  };
  go(e);
  return out;
}

/** Names that are index variables of the statement: neither sizes nor scalars nor tensors. */
export function indexNames(e: TcExpr, known: (name: string) => boolean, into: Set<string>): void {
  if (e.kind === "name" && !known(e.name)) into.add(e.name);
  if (e.kind === "access") for (const a of e.args) indexNames(a, known, into);
  if (e.kind === "unary") indexNames(e.operand, known, into);
  if (e.kind === "binary") {
    indexNames(e.left, known, into);
    indexNames(e.right, known, into);
  }
  if (e.kind === "ternary") for (const x of [e.condition, e.chosen, e.otherwise]) indexNames(x, known, into);
}

/** Fills `ranges` for all of `indices`; throws TcError when one is not determined. */
export function inferRanges(
  indices: ReadonlySet<string>,
  expressions: readonly TcExpr[],
  tensors: ReadonlyMap<string, TensorInfo>,
  sizes: ReadonlyMap<string, number>,
  ranges: Map<string, Range>,
): void {
  const constraints = expressions
    .flatMap((e) => accesses(e, (n) => tensors.has(n)))
    .flatMap((a) => {
      const axes = tensors.get(a.name)!.axes;
      if (axes.length !== a.args.length)
        throw new TcError(`${a.name} has ${axes.length} axes and is read with ${a.args.length} indices`);
      return a.args.flatMap((index, i) => {
        const form = affine(index, sizes);
        return form ? [{ form, axis: axes[i]! }] : [];
      });
    });
  for (;;) {
    const found = new Map<string, Range>();
    for (const { form, axis } of constraints) {
      const open = [...form.terms].filter(([n]) => indices.has(n) && !ranges.has(n));
      if (open.length !== 1) continue;
      const [name, coefficient] = open[0]!;
      const r = solve(form, name, coefficient, axis, ranges);
      const old = found.get(name);
      found.set(name, old ? { from: Math.max(old.from, r.from), to: Math.min(old.to, r.to) } : r);
    }
    if (found.size === 0) break;
    for (const [name, r] of found) ranges.set(name, r);
  }
  const left = [...indices].filter((n) => !ranges.has(n));
  if (left.length > 0) throw new TcError(`no range can be inferred for ${left.join(", ")}`);
}

/** All values of one index for which the form stays inside the axis whatever the others are. */
function solve(
  form: Affine,
  name: string,
  coefficient: number,
  axis: Range,
  ranges: ReadonlyMap<string, Range>,
): Range {
  let low = form.constant;
  let high = form.constant;
  for (const [n, c] of form.terms) {
    if (n === name) continue;
    const r = ranges.get(n);
    if (!r) throw new TcError(`${n} has no range`);
    const ends = [c * r.from, c * (r.to - 1)];
    low += Math.min(...ends);
    high += Math.max(...ends);
  }
  // axis.from <= coefficient·x + low and coefficient·x + high <= axis.to - 1
  const [a, b] = [(axis.from - low) / coefficient, (axis.to - 1 - high) / coefficient];
  return { from: Math.ceil(Math.min(a, b)), to: Math.floor(Math.max(a, b)) + 1 };
}
