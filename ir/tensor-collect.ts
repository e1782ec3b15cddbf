/** What occurs in a program: definitions, size symbols, monoids, nodes. */
import { symbolsOf } from "./extent.ts";
import {
  type Axis,
  childrenOf,
  type Definition,
  expressionsOf,
  type Monoid,
  type Program,
  type Step,
  type TensorExpr,
} from "./tensor.ts";

/** Every definition of the steps, those of loops included: carries, stacks, then the body. */
export function definitionsOf(steps: readonly Step[]): Definition[] {
  return steps.flatMap((s) =>
    s.kind === "loop"
      ? [...s.carries.map((c) => c.carry), ...s.stacks.map((k) => k.stack), ...definitionsOf(s.body)]
      : [s],
  );
}

export function symbolsIn(p: Program): ReadonlySet<string> {
  const found = new Set<string>();
  const axes = (list: readonly Axis[]): void => {
    for (const a of list) symbolsOf(a.extent, found);
  };
  eachNode(p, (e) => {
    if (e.kind === "size") symbolsOf(e.extent, found);
    if (e.kind === "reduce") axes(e.axes);
  });
  for (const d of [...p.inputs, ...definitionsOf(p.steps)]) {
    axes(d.axes);
    if (d.kind === "scatter") axes(d.domain);
  }
  for (const f of p.facts) symbolsOf(f.right, symbolsOf(f.left, found));
  return found;
}

export function monoidsIn(p: Program): ReadonlySet<Monoid> {
  const found = new Set<Monoid>();
  for (const d of definitionsOf(p.steps)) {
    if (d.kind === "scan" || (d.kind === "scatter" && d.monoid !== "set")) found.add(d.monoid as Monoid);
  }
  eachNode(p, (e) => {
    if (e.kind === "reduce") found.add(e.monoid);
  });
  return found;
}

/** Calls `f` once for every distinct expression node. */
export function eachNode(p: Program, f: (e: TensorExpr) => void): void {
  const seen = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    f(e);
    for (const c of childrenOf(e)) go(c);
  };
  for (const d of definitionsOf(p.steps)) for (const e of expressionsOf(d)) go(e);
}
