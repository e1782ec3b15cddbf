/**
 * A sum of a tensor over axes of which some have been summed already is a sum of that: Σ over n, k of x[n, j, k] reads Σ over k of it.
 * Gradients are full of them: the cotangent of a mean is a sum along its rows, and that of a bias before it goes on over the
 * samples. It saves a pass, and what cancels on paper cancels here, being made of the same numbers.
 */
import { mulExtent, ONE, ZERO } from "../../ir/extent.ts";
import {
  type Axis,
  type Definition,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { linearOf } from "./affine.ts";
import { isAddition } from "./hoist.ts";
import { reductionOf } from "./lift.ts";
import { axesIn, freshAxes, renameAxes, rewriteProgram, slotsOf } from "./rewrite.ts";

/** A definition that sums every element of a tensor once, and over which dimensions of it. */
interface Sum {
  readonly def: Definition;
  readonly of: Definition;
  readonly slot: number;
  readonly at: readonly TensorExpr[];
  readonly summed: readonly boolean[];
  /** For each axis of the definition the dimension that it is; undefined if a dimension takes several. */
  readonly own: readonly (number | undefined)[];
}

export function sharePartialSums(p: Program): Program {
  const known = new Map<Definition, Sum[]>();
  // What a loop's body computes is known only there.
  const outside = new Set<Step>(p.steps);
  return rewriteProgram(p, (d, emit, original) => {
    const sum = outside.has(original) ? sumIn(d) : undefined;
    const part = sum && mostOf(known.get(sum.of) ?? [], sum);
    const made = sum && part ? sumOfPart(sum, part) : d;
    if (made.kind !== "input" && made.kind !== "carry") emit(made);
    if (sum) known.set(sum.of, [...(known.get(sum.of) ?? []), { ...sum, def: made }]);
    return slotsOf(made);
  });
}

function sumIn(d: Definition): Sum | undefined {
  const root = reductionOf(d);
  const body = root?.values[0];
  if (!root || d.kind !== "map" || body?.kind !== "read" || body.fill || !isAddition(root)) return undefined;
  const used: Axis[] = [];
  const summed: boolean[] = [];
  for (const [i, e] of body.at.entries()) {
    const along = wholeRange(e, body.tensor.axes[i]);
    if (!along) return undefined;
    const inner = along.filter((a) => root.axes.includes(a)).length;
    if (inner > 0 && inner < along.length) return undefined;
    used.push(...along);
    summed.push(inner > 0);
  }
  const all = [...d.axes, ...root.axes];
  if (used.length !== all.length || new Set(used).size !== all.length) return undefined;
  const own = d.axes.map((a) => {
    const i = body.at.findIndex((e) => e.kind === "axis" && e.axis === a);
    return i < 0 ? undefined : i;
  });
  return { def: d, of: body.tensor, slot: body.slot, at: body.at, summed, own };
}

/** The axes of an index that takes every position of the dimension once: an axis, or digits such as k * 7 + l. */
function wholeRange(e: TensorExpr, dimension: Axis | undefined): readonly Axis[] | undefined {
  if (!dimension) return undefined;
  if (e.kind === "axis") return e.axis.extent === dimension.extent ? [e.axis] : undefined;
  const form = linearOf(e);
  if (form.constant !== ZERO) return undefined;
  const axes: Axis[] = [];
  let rest = new Map(form.terms);
  let stride = ONE;
  while (rest.size > 0) {
    const digit = [...rest].find(([, c]) => c === stride)?.[0];
    if (digit?.kind !== "axis") return undefined;
    axes.push(digit.axis);
    stride = mulExtent(stride, digit.axis.extent);
    rest = new Map([...rest].filter(([atom]) => atom !== digit));
  }
  return axes.length > 0 && stride === dimension.extent ? axes : undefined;
}

/** Of the known sums over some of the same dimensions the one over the most. */
function mostOf(list: readonly Sum[], sum: Sum): Sum | undefined {
  const count = (s: Sum): number => s.summed.filter(Boolean).length;
  const fit = list.filter(
    (s) =>
      s.slot === sum.slot &&
      s.def.epoch === sum.def.epoch &&
      s.own.every((i) => i !== undefined) &&
      s.summed.every((x, i) => !x || sum.summed[i]),
  );
  return fit.reduce<Sum | undefined>((most, s) => (!most || count(s) > count(most) ? s : most), undefined);
}

function sumOfPart(sum: Sum, part: Sum): Definition {
  const root = reductionOf(sum.def);
  if (!root) throw new RangeError(`${sum.def.name} is no sum`);
  const to = new Map<Axis, Axis>();
  const axes = freshAxes(sum.def.axes, to);
  const left = root.axes.filter((a) => sum.at.some((e, i) => !part.summed[i] && axesIn(e).has(a)));
  const bound = freshAxes(left, to);
  const at = part.own.map((i) => renameAxes(sum.at[i!]!, to));
  const value = read(part.def, 0, at);
  const body = bound.length > 0 ? reduce(root.monoid, bound, [value]) : value;
  return mapDef(axes, [body], { name: sum.def.name, span: sum.def.span, epoch: sum.def.epoch });
}
