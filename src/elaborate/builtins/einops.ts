/** `rearrange`, `reduce`, `repeat`, `pack`, `unpack`: einops patterns as views, with `reduce` over what the result leaves out. */
import { DiagnosticError, diagnostic } from "../../../grammar/diagnostic.ts";
import type { Span } from "../../../grammar/span.ts";
import { addExtent, divExtent, type Extent, ONE, productExtent, size, subExtent } from "../../../ir/extent.ts";
import type { TensorExpr } from "../../../ir/tensor.ts";
import { fail, toExtent, toItems, toTensor } from "../convert.ts";
import { type EinopsOperation, type EinopsPlan, type Group, parseEinops, parsePack } from "../notation/einops.ts";
import { inString, spanInString } from "../notation/error.ts";
import type { Builder, ListValue, StringValue, TensorValue, Value } from "../value.ts";
import { type Args, unify } from "./common.ts";
import { linearIndex, splitIndex } from "./index-arithmetic.ts";
import { concatenate, stack } from "./join.ts";
import { exactQuotient, reshape } from "./reshape.ts";
import { sliceAxis } from "./shape.ts";

/** `rearrange("b h -> h b", x)` and einops' own order, `rearrange(x, "b h -> h b")`. */
export function patternFirst(
  x: Value | undefined,
  y: Value | undefined,
  span: Span,
  what: string,
): { readonly text: StringValue; readonly tensor: Value } {
  if (x?.kind === "string" && y) return { text: x, tensor: y };
  if (y?.kind === "string" && x) return { text: y, tensor: x };
  return fail("EIN1501", `${what} needs a pattern and a tensor`, span, "no pattern here");
}

/** A list of tensors is stacked along a new first axis, as in einops. */
export function stackList(b: Builder, v: Value, span: Span): TensorValue {
  return v.kind === "list" ? stack(b, unify(v.items, span, "a list of tensors"), 0, span) : toTensor(v, span);
}

interface Bound {
  readonly plan: EinopsPlan;
  readonly extents: ReadonlyMap<string, Extent>;
}

/** Parses the pattern and finds the extent of every elementary axis from the tensor's shape and the given sizes. */
export function bind(
  b: Builder,
  operation: EinopsOperation,
  text: StringValue,
  x: TensorValue,
  sizes: Value | undefined,
  span: Span,
): Bound {
  const given = new Map<string, { readonly extent: Extent; readonly span: Span }>();
  if (sizes?.kind === "record")
    for (const [name, v] of sizes.fields)
      given.set(name, { extent: toExtent(v, span, `the extent of axis \`${name}\``), span: v.span });
  const plan = inString(text, [x.span], () => parseEinops(operation, text.value, [...given.keys()], x.shape.length));
  const extents = new Map<string, Extent>();
  for (const [name, { extent, span: at }] of given) {
    if (extent.value !== undefined && extent.value < 0)
      fail("EIN1503", `the extent of axis \`${name}\` is negative`, at, extent.text);
    extents.set(name, extent);
  }
  const learn = (g: Group): void => {
    for (const axis of g.axes) if (axis.size !== undefined) extents.set(axis.name, size(axis.size));
  };
  plan.input.forEach(learn);
  plan.output.forEach(learn);
  plan.input.forEach((g, k) => {
    solve(b, g, x.shape[k] as Extent, extents, text, x);
  });
  return { plan, extents };
}

/** One axis of the input: at most one of its parts is unknown, and then the rest must divide it. */
function solve(
  b: Builder,
  g: Group,
  total: Extent,
  extents: Map<string, Extent>,
  text: StringValue,
  x: TensorValue,
): void {
  const at = spanInString(text, g.offset, g.length);
  const disagree = (message: string): never => {
    throw new DiagnosticError(
      diagnostic("EIN1412", message, [
        { span: at, text: "in the pattern" },
        { span: x.span, text: `this axis is ${total.text}` },
      ]),
    );
  };
  const unknown = g.axes.filter((axis) => !extents.has(axis.name));
  const known = productExtent(g.axes.flatMap((axis) => extents.get(axis.name) ?? []));
  const [only, second] = unknown;
  if (only && second)
    throw new DiagnosticError(
      diagnostic(
        "EIN1411",
        `the extents of \`${only.name}\` and \`${second.name}\` cannot both be found`,
        { span: at, text: "give all but one of them" },
        {
          notes: [`for example \`${only.name}: 2\``],
        },
      ),
    );
  if (!only) {
    if (known.value !== undefined && total.value !== undefined && known !== total)
      disagree(`the pattern makes an axis of ${known.text} where the tensor has ${total.text}`);
    b.requireEqual(known, total, at, x.span, "an axis of the pattern");
    return;
  }
  if (known.value === 0) disagree(`the extent of \`${only.name}\` cannot be found: the rest of the axis is empty`);
  const q = exactQuotient(total, known);
  if (q) extents.set(only.name, q);
  else if (known.value !== undefined && total.value !== undefined)
    disagree(`${total.text} is not divisible by ${known.text}`);
  else {
    const fresh = divExtent(total, known);
    b.requireEqual(productExtent([known, fresh]), total, at, x.span, `${total.text} divided by ${known.text}`);
    extents.set(only.name, fresh);
  }
}

function shapeOf(groups: readonly Group[], extents: ReadonlyMap<string, Extent>): readonly Extent[] {
  return groups.map((g) => productExtent(g.axes.map((axis) => extents.get(axis.name) ?? ONE)));
}

function sameAxes(p: Group, q: Group): boolean {
  return p.axes.length === q.axes.length && p.axes.every((axis, k) => axis.name === q.axes[k]?.name);
}

/** A view of x whose axes are `groups`, every elementary axis of the pattern's left side among them. */
export function regroup(
  b: Builder,
  { plan, extents }: Bound,
  groups: readonly Group[],
  x: TensorValue,
  span: Span,
  name: string,
): TensorValue {
  return b.view(
    x.dtype,
    shapeOf(groups, extents),
    (index) => {
      const at = new Map<string, TensorExpr>();
      groups.forEach((g, k) => {
        const parts = splitIndex(
          index[k] as TensorExpr,
          g.axes.map((axis) => extents.get(axis.name) ?? ONE),
        );
        g.axes.forEach((axis, n) => {
          at.set(axis.name, parts[n] as TensorExpr);
        });
      });
      return x.at(
        plan.input.map((g) => {
          // A composed axis that stays whole keeps its index.
          const same = groups.findIndex((h) => g.axes.length > 1 && sameAxes(g, h));
          if (same >= 0) return index[same] as TensorExpr;
          return linearIndex(
            g.axes.map((axis) => at.get(axis.name) as TensorExpr),
            g.axes.map((axis) => extents.get(axis.name) ?? ONE),
          );
        }),
      );
    },
    span,
    x.name ?? name,
  );
}

export function rearrange(
  b: Builder,
  operation: "rearrange" | "repeat",
  text: StringValue,
  tensor: Value,
  sizes: Value | undefined,
  span: Span,
): TensorValue {
  const x = stackList(b, tensor, span);
  const bound = bind(b, operation, text, x, sizes, span);
  return regroup(b, bound, bound.plan.output, x, span, operation);
}

/** For `reduce`: a view with the reduced axes, one each, behind those of the result; and how many they are. */
export function splitReduced(
  b: Builder,
  text: StringValue,
  tensor: Value,
  sizes: Value | undefined,
  span: Span,
): { readonly view: TensorValue; readonly count: number } {
  const x = stackList(b, tensor, span);
  const bound = bind(b, "reduce", text, x, sizes, span);
  const tail = bound.plan.reduced.map((axis): Group => ({ axes: [axis], offset: axis.offset, length: axis.length }));
  return { view: regroup(b, bound, [...bound.plan.output, ...tail], x, span, "reduce"), count: tail.length };
}

// ---- pack and unpack ----------------------------------------------------------------------------------------------

/** `{ packed, shapes }`: every tensor's middle axes are flattened into one, and the tensors joined along it. */
export function pack(b: Builder, a: Args, span: Span): Value {
  const { text, tensor } = patternFirst(a["x"], a["pattern"], span, "pack");
  const items = unify(toItems(tensor), span, "pack");
  if (items.length === 0) fail("EIN1501", "pack needs at least one tensor", tensor.span, "this list is empty");
  const { before, after } = inString(text, [], () => parsePack(text.value));
  const shapes: ListValue[] = [];
  const flat = items.map((t) => {
    if (t.shape.length < before + after)
      fail(
        "EIN1412",
        `pack of a tensor with ${t.shape.length} axes by a pattern with ${before + after}`,
        text.span,
        "",
        { notes: ["every named axis must be there"] },
      );
    const middle = t.shape.slice(before, t.shape.length - after);
    shapes.push(
      listOf(
        middle.map((extent) => ({ kind: "int", extent, span })),
        span,
      ),
    );
    return reshape(
      b,
      t,
      [...t.shape.slice(0, before), productExtent(middle), ...t.shape.slice(t.shape.length - after)],
      span,
    );
  });
  return {
    kind: "record",
    span,
    fields: new Map<string, Value>([
      ["packed", concatenate(b, flat, before, span)],
      ["shapes", listOf(shapes, span)],
    ]),
  };
}

function listOf(items: readonly Value[], span: Span): ListValue {
  return { kind: "list", items, span };
}

/** The tensors that `pack` joined. One extent among all shapes may be -1. */
export function unpack(b: Builder, a: Args, span: Span): Value {
  const { text, tensor } = patternFirst(a["x"], a["pattern"], span, "unpack");
  const x = toTensor(tensor, span);
  const { before, after } = inString(text, [x.span], () => parsePack(text.value));
  if (x.shape.length !== before + after + 1)
    fail(
      "EIN1412",
      `unpack of a tensor with ${x.shape.length} axes by a pattern with ${before + after + 1}`,
      text.span,
      "the numbers must agree",
    );
  const total = x.shape[before] as Extent;
  const shapes = toItems(a["shapes"]).map((s) =>
    toItems(s).map((v) => toExtent(v, span, "an extent of a packed shape")),
  );
  const unknown = shapes.flat().filter((n) => n.value === -1).length;
  const bad = (why: string): never =>
    fail("EIN1412", `an axis of ${total.text} does not split into these shapes`, a["shapes"]?.span ?? span, why);
  if (unknown > 1) bad("only one extent may be -1");
  if (shapes.flat().some((n) => n.value !== undefined && n.value < -1)) bad("an extent is negative");
  const sizeOfShape = (s: readonly Extent[]): Extent => productExtent(s.filter((n) => n.value !== -1));
  let known: Extent = size(0);
  for (const s of shapes) if (!s.some((n) => n.value === -1)) known = addExtent(known, sizeOfShape(s));
  const full = shapes.map((s): readonly Extent[] => {
    if (!s.some((n) => n.value === -1)) return s;
    const [rest, each] = [subExtent(total, known), sizeOfShape(s)];
    if (each.value === 0 || (rest.value !== undefined && rest.value < 0)) bad("nothing is left for the -1");
    const q = exactQuotient(rest, each);
    if (!q) return bad("what is left for the -1 is not divisible by the rest of its shape");
    known = total;
    return s.map((n) => (n.value === -1 ? q : n));
  });
  if (known.value !== undefined && total.value !== undefined && known !== total) bad(`they hold ${known.text}`);
  b.requireEqual(known, total, a["shapes"]?.span ?? span, x.span, "the packed axis");
  let from: Extent = size(0);
  const parts = full.map((s) => {
    const length = productExtent(s);
    const piece = sliceAxis(b, x, before, from, length, span);
    from = addExtent(from, length);
    return reshape(b, piece, [...x.shape.slice(0, before), ...s, ...x.shape.slice(before + 1)], span);
  });
  return listOf(parts, span);
}
