/**
 * `einsum`: one sum over the product of all operands. The order of contraction is chosen later, on the tensor program. Integers
 * sum as integers, bools by `or` of `and`, f16 accumulates in f32.
 */
import { DiagnosticError, diagnostic } from "../../../grammar/diagnostic.ts";
import type { Span } from "../../../grammar/span.ts";
import { type Extent, ONE } from "../../../ir/extent.ts";
import { addMonoid, orMonoid } from "../../../ir/monoid.ts";
import { apply, cast, constant, i32, type TensorExpr } from "../../../ir/tensor.ts";
import { fail, toAxis, toBoolean, toInteger, toItems } from "../convert.ts";
import { parseNamedEinsum } from "../notation/einops.ts";
import { type EinsumLabel, type EinsumPlan, parseEinsum } from "../notation/einsum.ts";
import { inString, spanInString } from "../notation/error.ts";
import type { Builder, Builtin, StringValue, TensorValue, Value } from "../value.ts";
import { builtin, convert, table, unify } from "./common.ts";

interface Use {
  readonly operand: number;
  readonly axis: number;
  readonly label: EinsumLabel;
  readonly extent: Extent;
}

/** The extent of every label: a literal 1 stretches, all others must agree. */
function labelExtents(
  b: Builder,
  plan: EinsumPlan,
  operands: readonly TensorValue[],
  text: StringValue,
): ReadonlyMap<string, Extent> {
  const chosen = new Map<string, Use>();
  plan.inputs.forEach((labels, operand) => {
    labels.forEach((label, axis) => {
      const extent = operands[operand]?.shape[axis] as Extent;
      const use: Use = { operand, axis, label, extent };
      const old = chosen.get(label.name);
      if (!old || old.extent === ONE) chosen.set(label.name, use);
      else if (extent !== ONE && extent !== old.extent) agree(b, old, use, operands, text);
      // A constant says more than a symbol that must equal it.
      if (old && old.extent.value === undefined && extent.value !== undefined && extent !== ONE)
        chosen.set(label.name, use);
    });
  });
  return new Map([...chosen].map(([name, use]) => [name, use.extent]));
}

function agree(b: Builder, first: Use, second: Use, operands: readonly TensorValue[], text: StringValue): void {
  const what = first.label.name.startsWith(".") ? "an axis of `...`" : `index \`${first.label.name}\``;
  const spans = [first, second].map((u) => operands[u.operand]?.span ?? text.span) as [Span, Span];
  if (first.extent.value === undefined || second.extent.value === undefined) {
    const place = (u: Use): string => `axis ${u.axis} of operand ${u.operand}`;
    b.requireEqual(
      first.extent,
      second.extent,
      spans[0],
      spans[1],
      `${what} of einsum (${place(first)}, ${place(second)})`,
    );
    return;
  }
  const say = (u: Use): string => `${u.extent.text} in axis ${u.axis} of operand ${u.operand}`;
  throw new DiagnosticError(
    diagnostic("EIN1402", `${what} is ${say(first)} but ${say(second)}`, [
      { span: spanInString(text, second.label.offset, second.label.length), text: say(second) },
      { span: spanInString(text, first.label.offset, first.label.length), text: say(first) },
      { span: spans[0], text: `operand ${first.operand}` },
      { span: spans[1], text: `operand ${second.operand}` },
    ]),
  );
}

/** A chain from the left; a balanced tree for so many factors that passes would recurse too deeply. */
function product(factors: readonly TensorExpr[], multiply: (p: TensorExpr, q: TensorExpr) => TensorExpr): TensorExpr {
  if (factors.length <= 64) return factors.reduce(multiply);
  const middle = factors.length >> 1;
  return multiply(product(factors.slice(0, middle), multiply), product(factors.slice(middle), multiply));
}

/** The value of `plan` over operands of one element type. */
export function contract(
  b: Builder,
  plan: EinsumPlan,
  operands: readonly TensorValue[],
  text: StringValue,
  span: Span,
): TensorValue {
  const extents = labelExtents(b, plan, operands, text);
  const free = [...new Set(plan.output.map((l) => l.name))];
  const isFree = new Set(free);
  const bound = [...extents.keys()].filter((name) => !isFree.has(name));
  const outer = free.map((name) => extents.get(name) as Extent);
  const inner = bound.map((name) => extents.get(name) as Extent);
  const dtype = operands[0]?.dtype ?? "f32";
  const wide = dtype === "f16" && (bound.length > 0 || operands.length > 1) ? "f32" : dtype;
  const multiply = (p: TensorExpr, q: TensorExpr): TensorExpr => apply(dtype === "bool" ? "and" : "mul", p, q);
  const element = (o: readonly TensorExpr[], i: readonly TensorExpr[]): TensorExpr => {
    const at = new Map<string, TensorExpr>();
    free.forEach((name, k) => {
      at.set(name, o[k] as TensorExpr);
    });
    bound.forEach((name, k) => {
      at.set(name, i[k] as TensorExpr);
    });
    const factors = operands.map((t, k) => {
      const labels = plan.inputs[k] ?? [];
      return cast(
        t.at(labels.map((l, axis) => (t.shape[axis] === ONE ? i32(0) : (at.get(l.name) as TensorExpr)))),
        wide,
      );
    });
    return product(factors, multiply);
  };
  let r: TensorValue;
  if (bound.length > 0)
    r = b.reduce(
      "einsum",
      dtype === "bool" ? orMonoid() : addMonoid(wide),
      outer,
      inner,
      (o, i) => [element(o, i)],
      span,
    )[0] as TensorValue;
  else if (operands.length === 1 || outer.length === 0) r = b.view(wide, outer, (o) => element(o, []), span, "einsum");
  else r = b.define("einsum", outer, (o) => element(o, []), span);
  return convert(b, onDiagonals(b, plan, free, extents, r, span), dtype, span);
}

/** A letter that occurs several times in the result: its axes must be at the same position, elsewhere the result is 0. */
function onDiagonals(
  b: Builder,
  plan: EinsumPlan,
  free: readonly string[],
  extents: ReadonlyMap<string, Extent>,
  r: TensorValue,
  span: Span,
): TensorValue {
  if (plan.output.length === free.length) return r;
  const first = new Map(free.map((name) => [name, plan.output.findIndex((l) => l.name === name)]));
  const shape = plan.output.map((l) => extents.get(l.name) as Extent);
  return b.define(
    "einsum",
    shape,
    (index) => {
      let on: TensorExpr | undefined;
      plan.output.forEach((l, k) => {
        const at = first.get(l.name) as number;
        if (at === k) return;
        const same = apply("eq", index[at] as TensorExpr, index[k] as TensorExpr);
        on = on ? apply("and", on, same) : same;
      });
      const value = r.at(free.map((name) => index[first.get(name) as number] as TensorExpr));
      return on ? apply("select", on, value, constant(r.dtype, 0)) : value;
    },
    span,
  );
}

export const EINSUM: ReadonlyMap<string, Builtin> = table([
  builtin(
    "einsum",
    "*operands, diagonal!",
    'einsum("ij,jk->ik", a, b): the sum of products that the string says; with the pattern last, einops\' long names: einsum(a, b, "i j, j k -> i k")',
    (b, a, span) => {
      const given: readonly Value[] = a["operands"]?.kind === "list" ? a["operands"].items : [];
      const [head, tail] = [given[0], given.at(-1)];
      const named = head?.kind !== "string" && tail?.kind === "string";
      const text = head?.kind === "string" ? head : tail?.kind === "string" ? tail : undefined;
      if (!text) return fail("EIN1501", "einsum needs a string that says what to sum", span, "no string here");
      const rest = head?.kind === "string" ? given.slice(1) : given.slice(0, -1);
      // A list of operands is as good as the operands themselves.
      const values = rest.length === 1 && rest[0]?.kind === "list" ? rest[0].items : rest;
      if (values.length === 0) return fail("EIN1402", "einsum needs at least one operand", text.span, "nothing to sum");
      const operands = unify(values, span, "einsum");
      const diagonal = toBoolean(a["diagonal"], false, span, "diagonal");
      const plan = inString(
        text,
        operands.map((t) => t.span),
        () => {
          const ranks = operands.map((t) => t.shape.length);
          return named ? parseNamedEinsum(text.value, ranks) : parseEinsum(text.value, ranks, { diagonal });
        },
      );
      return contract(b, plan, operands, text, span);
    },
  ),
  builtin(
    "tensordot",
    "a, b, axes?",
    "sum of products over axes: the last n (2) of a and the first n of b, or [axes of a, axes of b]",
    (b, a, span) => {
      const [x, y] = unify([a["a"], a["b"]], span, "tensordot") as [TensorValue, TensorValue];
      const [left, right] = tensordotAxes(a["axes"], x.shape.length, y.shape.length, span);
      const mine = x.shape.map((_, k) => `a${k}`);
      const theirs = y.shape.map((_, k) => (right.includes(k) ? `a${left[right.indexOf(k)]}` : `b${k}`));
      const output = [...mine.filter((_, k) => !left.includes(k)), ...theirs.filter((_, k) => !right.includes(k))];
      return contract(b, planOf([mine, theirs], output), [x, y], unwritten(span), span);
    },
  ),
  builtin(
    "multi_dot",
    "matrices",
    "the product of a list of matrices in the cheapest order; the first and the last may be vectors",
    (b, a, span) => {
      const list = unify(toItems(a["matrices"]), span, "multi_dot");
      if (list.length < 2)
        fail("EIN1501", "multi_dot needs at least two matrices", a["matrices"]?.span ?? span, `found ${list.length}`);
      const inputs = list.map((t, k) => {
        const rank = t.shape.length;
        const atEnd = k === 0 || k === list.length - 1;
        if (rank !== 2 && !(atEnd && rank === 1))
          fail("EIN1202", "multi_dot takes matrices", t.span, `this has ${rank} axes`);
        return rank === 2 ? [`i${k}`, `i${k + 1}`] : [k === 0 ? "i1" : `i${k}`];
      });
      const output = [
        list[0]?.shape.length === 2 ? "i0" : undefined,
        list.at(-1)?.shape.length === 2 ? `i${list.length}` : undefined,
      ];
      return contract(
        b,
        planOf(
          inputs,
          output.filter((l) => l !== undefined),
        ),
        list,
        unwritten(span),
        span,
      );
    },
  ),
]);

/** A plan that no string was written for. */
function planOf(inputs: readonly (readonly string[])[], output: readonly string[]): EinsumPlan {
  const label = (name: string): EinsumLabel => ({ name, offset: 0, length: 0 });
  return { inputs: inputs.map((list) => list.map(label)), output: output.map(label) };
}
function unwritten(span: Span): StringValue {
  return { kind: "string", value: "", span };
}

function tensordotAxes(
  v: Value | undefined,
  left: number,
  right: number,
  span: Span,
): readonly [readonly number[], readonly number[]] {
  if (v?.kind === "list") {
    const [p, q] = [v.items[0], v.items[1]].map((x, k) =>
      toItems(x).map((i) => toAxis(i, k === 0 ? left : right, span)),
    ) as [number[], number[]];
    const clash =
      v.items.length !== 2 || p.length !== q.length || new Set(p).size !== p.length || new Set(q).size !== q.length;
    return clash ? fail("EIN1304", "tensordot needs as many axes of a as of b, each once", v.span, "here") : [p, q];
  }
  const n = v === undefined || v.kind === "none" ? 2 : toInteger(v, span, "the number of axes");
  if (n < 0 || n > left || n > right)
    fail(
      "EIN1304",
      `tensordot cannot sum over ${n} axes of tensors with ${left} and ${right}`,
      v?.span ?? span,
      "here",
    );
  return [Array.from({ length: n }, (_, k) => left - n + k), Array.from({ length: n }, (_, k) => k)];
}
