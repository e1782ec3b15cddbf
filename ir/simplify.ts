/**
 * Simplification of scalar expressions and of programs. It stands first, after elaboration and after every pass that
 * substitutes, so that later passes see index arithmetic in one form. Idempotent; every rule keeps values exactly.
 */
import { type Assumptions, assumptionsOf, proveInside } from "./interval.ts";
import { collectTerms, comparisons, divisions, extremes, foldSizes, recompose } from "./simplify-index.ts";
import { mergeDefinitions } from "./simplify-merge.ts";
import {
  booleanLogic,
  castRules,
  floatIdentities,
  foldConstants,
  integerIdentities,
  involutions,
  type Rule,
  selectRules,
  trivialComparisons,
  unitAxis,
} from "./simplify-rules.ts";
import {
  type Apply,
  type Axis,
  i32,
  mapChildren,
  type Program,
  type Read,
  type Reduce,
  read,
  reduce,
  substituteAxes,
  type TensorExpr,
} from "./tensor.ts";
import { mapProgram } from "./tensor-rebuild.ts";

/** In the order in which they are tried. */
export const RULES: Readonly<Record<string, Rule>> = {
  foldConstants,
  foldSizes,
  floatIdentities,
  integerIdentities,
  involutions,
  selectRules,
  booleanLogic,
  trivialComparisons,
  castRules,
  collectTerms,
  recompose,
  divisions,
  comparisons,
  extremes,
};
const RULE_LIST = Object.values(RULES);

/** Told each rule that fires; for tests and --print-after. */
export type Watcher = (rule: string, before: TensorExpr, after: TensorExpr) => void;

/** A function that simplifies expressions under one set of assumptions and remembers what it has done. */
export function simplifier(a: Assumptions, watch?: Watcher): (e: TensorExpr) => TensorExpr {
  const done = new Map<TensorExpr, TensorExpr>();
  const go = (e: TensorExpr): TensorExpr => {
    const old = done.get(e);
    if (old) return old;
    const inner = mapChildren(e, go);
    // A rule's result may hold new nodes, so it is simplified from its leaves on; rules only ever go one way.
    const made = inner === e ? rewrite(e) : go(inner);
    done.set(e, made);
    done.set(made, made);
    return made;
  };
  const rewrite = (e: TensorExpr): TensorExpr => {
    const [rule, next] = fire(e, a);
    if (!next || next === e) return e;
    watch?.(rule, e, next);
    return go(next);
  };
  return go;
}

function fire(e: TensorExpr, a: Assumptions): readonly [string, TensorExpr | undefined] {
  switch (e.kind) {
    case "axis":
      return ["unitAxis", unitAxis(e)];
    case "apply":
      return fireRules(e, a);
    case "read":
      return ["fills", fills(e, a)];
    case "reduce":
      return ["trivialReduction", trivialReduction(e)];
    default:
      return ["", undefined];
  }
}

const RULE_NAMES = Object.keys(RULES);
function fireRules(e: Apply, a: Assumptions): readonly [string, TensorExpr | undefined] {
  for (let i = 0; i < RULE_LIST.length; i++) {
    const next = RULE_LIST[i]?.(e, a);
    if (next && next !== e) return [RULE_NAMES[i] ?? "", next];
  }
  return ["", undefined];
}

/** A fill that is never found goes; a read that is always outside is its fill. */
export function fills(e: Read, a: Assumptions): TensorExpr | undefined {
  if (!e.fill) return undefined;
  const proofs = e.at.map((index, i) => {
    const extent = e.tensor.axes[i]?.extent;
    return extent ? proveInside(index, extent, a) : "unknown";
  });
  if (proofs.includes("refuted")) return e.fill;
  return proofs.every((p) => p === "proved") ? read(e.tensor, e.slot, e.at) : undefined;
}

/**
 * Over no positions a reduction is its identity, said here so that later stages see the constant: drivers fold 0 / x of a sum
 * that is never added to, and give 0 where x is 0. Axes of extent 1 need no loop. Where combining with the identity keeps the
 * bits, a reduction without axes is its value.
 */
export function trivialReduction(e: Reduce): TensorExpr | undefined {
  if (e.axes.some((x) => x.extent.value === 0)) return e.monoid.identity[e.slot];
  const unit = e.axes.filter((x) => x.extent.value === 1);
  if (unit.length > 0) {
    const bind = new Map<Axis, TensorExpr>(unit.map((x) => [x, i32(0)]));
    const values = e.values.map((v) => substituteAxes(v, bind));
    return reduce(
      e.monoid,
      e.axes.filter((x) => !unit.includes(x)),
      values,
      e.slot,
    );
  }
  return e.axes.length === 0 && e.monoid.exact ? e.values[e.slot] : undefined;
}

/** Simplifies one expression. */
export function simplify(e: TensorExpr, a: Assumptions, watch?: Watcher): TensorExpr {
  return simplifier(a, watch)(e);
}

/** Simplifies every expression, merges definitions that are equal up to their axes, and drops what no result needs. */
export function simplifyProgram(p: Program): Program {
  const go = simplifier(assumptionsOf(p));
  return mergeDefinitions(mapProgram(p, go));
}
