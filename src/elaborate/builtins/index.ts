/** The functions that need no import, by name. */
import type { Span } from "../../../grammar/span.ts";
import { productExtent, size } from "../../../ir/extent.ts";
import { describe, fail, toAxis, toInteger, toItems, toTensor } from "../convert.ts";
import type { Builder, Builtin, TensorValue, Value } from "../value.ts";
import { ASSERT } from "./assert.ts";
import { type Args, builtin, intValue, present, table, toChoice, toCount } from "./common.ts";
import { CREATE } from "./create.ts";
import { pack, patternFirst, rearrange, splitReduced, unpack } from "./einops.ts";
import { EINSUM } from "./einsum.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { GATHER } from "./gather.ts";
import { JOIN } from "./join.ts";
import { ownReduce } from "./own-monoid.ts";
import { RANDOM } from "./random.ts";
import { REDUCTIONS } from "./reductions.ts";
import { reshape } from "./reshape.ts";
import { SCANS } from "./scans.ts";
import { repeatEach } from "./shape.ts";
import { SHAPE } from "./shape-table.ts";
import { SORT } from "./sort.ts";

export { REDUCERS, reduceIndexed } from "./reductions.ts";

const EINOPS_REDUCTIONS = ["sum", "mean", "max", "min", "prod", "any", "all"] as const;

/**
 * Axis sizes are named arguments of any name (an axis may be called `x`), so the other arguments are positional. `reduction:` may
 * still be named, since no size is a string.
 */
function positional(a: Args): readonly (Value | undefined)[] {
  return a["arguments"]?.kind === "list" ? a["arguments"].items : [];
}

const EINOPS: ReadonlyMap<string, Builtin> = table([
  builtin("rearrange", "*arguments, **sizes", 'einops: rearrange("b (h d) t -> b h t d", x, h: 8)', (b, a, span) => {
    const [x, y, more] = positional(a);
    if (more)
      fail("EIN1501", "rearrange takes a pattern, a tensor and named sizes", more.span, "one argument too many");
    const { text, tensor } = patternFirst(x, y, span, "rearrange");
    return rearrange(b, "rearrange", text, tensor, a["sizes"], span);
  }),
  builtin(
    "reduce",
    "*arguments, axis!, **sizes",
    'einops: reduce("b c (h 2) -> b c h", x, "max"); or by a function: reduce(|p, q| p * q, 1.0, x, axis: 0)',
    (b, a, span) => {
      const [x, y, z, more] = positional(a);
      if (more)
        fail(
          "EIN1501",
          "reduce takes a pattern, a tensor, a reduction and named sizes",
          more.span,
          "one argument too many",
        );
      if (x?.kind === "function") return ownReduce(b, x, y, z, a, span);
      const { text, tensor } = patternFirst(x, y, span, "reduce");
      const { how, sizes } = reductionOf(z, a["sizes"], span);
      const { view, count } = splitReduced(b, text, tensor, sizes, span);
      if (count === 0) return view;
      const axes = Array.from({ length: count }, (_, k): Value => intValue(size(k - count), span));
      return (REDUCTIONS.get(how) as Builtin).build(b, { x: view, axis: { kind: "list", items: axes, span } }, span);
    },
  ),
  builtin(
    "repeat",
    "*arguments, axis!, **sizes",
    'einops: repeat("h w -> h w c", x, c: 3); or NumPy: repeat(x, 3, axis: 0) repeats every element',
    (b, a, span) => {
      const [x, y, more] = positional(a);
      if (more)
        fail(
          "EIN1501",
          "repeat takes a pattern and a tensor, or a tensor and a number",
          more.span,
          "one argument too many",
        );
      if (x?.kind !== "string" && y?.kind !== "string") return repeatElements(b, x, y, a["axis"], span);
      const { text, tensor } = patternFirst(x, y, span, "repeat");
      return rearrange(b, "repeat", text, tensor, a["sizes"], span);
    },
  ),
  builtin("pack", "x, pattern", '{ packed, shapes }: einops: pack([x, y], "b * c")', pack),
  builtin(
    "unpack",
    "x, shapes, pattern",
    'the list of tensors that pack joined: unpack(r.packed, r.shapes, "b * c")',
    unpack,
  ),
]);

/** The word for the reduction, and the sizes without it. */
function reductionOf(
  given: Value | undefined,
  sizes: Value | undefined,
  span: Span,
): { readonly how: (typeof EINOPS_REDUCTIONS)[number]; readonly sizes: Value | undefined } {
  const named = sizes?.kind === "record" ? sizes.fields.get("reduction") : undefined;
  const word = present(given) ? given : named?.kind === "string" ? named : undefined;
  if (!word) return fail("EIN1501", "reduce needs to know by what", span, `one of ${EINOPS_REDUCTIONS.join(", ")}`);
  const how = toChoice(word, EINOPS_REDUCTIONS, "sum", span, "the reduction");
  if (word !== named || sizes?.kind !== "record") return { how, sizes };
  return { how, sizes: { ...sizes, fields: new Map([...sizes.fields].filter(([name]) => name !== "reduction")) } };
}

function repeatElements(
  b: Builder,
  given: Value | undefined,
  count: Value | undefined,
  axis: Value | undefined,
  span: Span,
): TensorValue {
  const x = toTensor(given, span);
  const times = toCount(count, span, "the number of repetitions");
  if (present(axis)) return repeatEach(b, x, times, toAxis(axis, x.shape.length, span), span);
  return repeatEach(b, reshape(b, x, [productExtent(x.shape)], span), times, 0, span);
}

/** Part of the language, not of this version. */
function later(name: string, doc: string): Builtin {
  return builtin(name, "*args, **options", doc, (_, _a, span) =>
    fail("EIN1107", `${name} is not supported yet`, span, "this call", {
      notes: ["it needs the loops of a later version"],
    }),
  );
}

const CONTROL: ReadonlyMap<string, Builtin> = table([
  ASSERT,
  builtin(
    "ints",
    "value, count",
    "a list of count integers: of one integer all the same, of a list the list itself",
    (_, a, span) => {
      const count = toInteger(a["count"], span, "count");
      const items = toItems(a["value"]);
      const wrong = items.find((v) => v.kind !== "int");
      if (wrong)
        fail("EIN1502", "an integer or a list of integers is needed here", wrong.span, `found ${describe(wrong)}`);
      if (a["value"]?.kind === "int") return { kind: "list", items: new Array<Value>(count).fill(a["value"]), span };
      if (items.length !== count)
        fail(
          "EIN1501",
          `${count} integers are needed here, one an axis`,
          a["value"]?.span ?? span,
          `found ${items.length}`,
        );
      return { kind: "list", items, span };
    },
  ),
  later("unique", "each value once"),
]);

function merge(...tables: readonly ReadonlyMap<string, Builtin>[]): ReadonlyMap<string, Builtin> {
  const all = new Map<string, Builtin>();
  for (const t of tables)
    for (const [name, f] of t) {
      if (all.has(name)) throw new RangeError(`two builtins are called ${name}`);
      all.set(name, f);
    }
  return all;
}

export const BUILTINS: ReadonlyMap<string, Builtin> = merge(
  ELEMENTWISE,
  REDUCTIONS,
  SHAPE,
  JOIN,
  CREATE,
  GATHER,
  SCANS,
  EINSUM,
  EINOPS,
  SORT,
  RANDOM,
  CONTROL,
);
