/**
 * Definitions that read more tensors than a kernel can bind are split beforehand: subexpressions become maps of their own
 * over exactly the axes that they depend on, taken from the left, so that a long sum or concatenation is built up in steps.
 */
import {
  type Axis,
  axisRef,
  childrenOf,
  type Definition,
  expressionsOf,
  type MapDef,
  mapChildren,
  mapDef,
  type Program,
  read,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { leaving } from "../passes/inline.ts";
import { reductionOf } from "../passes/lift.ts";
import {
  axesIn,
  type Emit,
  freshAxes,
  hasRead,
  mapExpressions,
  renameAxes,
  rewriteProgram,
  slotsOf,
} from "../passes/rewrite.ts";
import { points } from "./cost.ts";
import { directRefs, type FuseLimits } from "./fuse-graph.ts";

export function splitWide(p: Program, limits: FuseLimits): Program {
  if (!p.steps.some((d) => d.kind !== "loop" && isWide(d, limits))) return p;
  return rewriteProgram(p, (d, emit) => {
    const made = isWide(d, limits) ? narrow(d, limits, emit) : d;
    emit(made);
    return slotsOf(made);
  });
}

/** Buffers that a definition's own expressions may read beside those it writes. */
function roomOf(d: Definition, limits: FuseLimits): number {
  return Math.max(2, limits.maxStorageBuffers - d.types.length);
}
function isWide(d: Definition, limits: FuseLimits): boolean {
  if (d.kind === "input" || d.kind === "carry") return false;
  return directRefs(d).size > roomOf(d, limits);
}

/** Cuts subexpressions out until the rest fits. */
function narrow(d: Definition, limits: FuseLimits, emit: Emit): Definition {
  const room = limits.maxStorageBuffers - 1;
  let made = d;
  for (let guard = 0; guard < 4096 && isWide(made, limits); guard++) {
    const root = reductionOf(made);
    // A map's own result cannot be cut out of it; a value that is combined can.
    const whole = root ? root.values : made.kind === "map" ? [] : expressionsOf(made);
    const inside =
      made.kind === "map" && !root ? made.results.flatMap((e) => (e.kind === "read" ? [] : childrenOf(e))) : [];
    const cut = bestCut([...whole, ...inside], room);
    if (!cut) return made;
    const to = new Map<Axis, Axis>();
    const used = axesIn(cut);
    const order = [...made.axes.filter((a) => used.has(a)), ...[...used].filter((a) => !made.axes.includes(a))];
    const around = [...made.axes, ...(made.kind === "scatter" ? made.domain : []), ...(root?.axes ?? [])];
    const behind = around.filter((a) => !used.has(a));
    const axes = freshAxes(order, to);
    const part: MapDef = mapDef(axes, [renameAxes(leaving(cut, behind), to)], {
      name: `${d.name}_part`,
      span: d.span,
      epoch: d.epoch,
    });
    emit(part);
    const stand = read(part, 0, order.map(axisRef));
    const memo = new Map<TensorExpr, TensorExpr>([[cut, stand]]);
    const replace = (x: TensorExpr): TensorExpr => {
      const old = memo.get(x);
      if (old) return old;
      const out = hasRead(x) ? mapChildren(x, replace) : x;
      memo.set(x, out);
      return out;
    };
    made = mapExpressions(made, replace);
  }
  return made;
}

/** The subexpression with the most tensors that still fits; of equal ones that over the fewest points, then the first. */
function bestCut(roots: readonly TensorExpr[], room: number): TensorExpr | undefined {
  const sets = new Map<TensorExpr, ReadonlySet<string>>();
  const tensors = (x: TensorExpr): ReadonlySet<string> => {
    const old = sets.get(x);
    if (old) return old;
    const found = new Set<string>();
    if (hasRead(x)) {
      for (const c of childrenOf(x)) for (const t of tensors(c)) if (found.size <= room) found.add(t);
      if (x.kind === "read") found.add(`${x.tensor.id}.${x.slot}`);
    }
    sets.set(x, found);
    return found;
  };
  let best: { readonly e: TensorExpr; readonly count: number; readonly size: number } | undefined;
  const seen = new Set<TensorExpr>();
  // One read with more data-dependent indices than fit cannot be split: it is at least left alone.
  let least: { readonly e: TensorExpr } | undefined;
  const go = (x: TensorExpr, top: boolean): void => {
    if (seen.has(x) || !hasRead(x)) return;
    seen.add(x);
    const count = tensors(x).size;
    if (count > room && !top && x.kind === "read") least ??= { e: x };
    if (count >= 2 && count <= room && x.kind !== "reduce") {
      const size = points(axesIn(x));
      if (!best || count > best.count || (count === best.count && size < best.size)) best = { e: x, count, size };
    }
    for (const c of childrenOf(x)) go(c, false);
  };
  for (const r of roots) go(r, true);
  return best?.e ?? least?.e;
}
