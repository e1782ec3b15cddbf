/** The functions that need no import, by name. */
import type { Span } from "../../../grammar/span.ts";
import { productExtent, size } from "../../../ir/extent.ts";
import { fail, toAxis, toTensor } from "../convert.ts";
import type { Builtin, TensorValue, Value } from "../value.ts";
import { builtin, present, table, toChoice, toCount } from "./common.ts";
import { CREATE } from "./create.ts";
import { pack, patternFirst, rearrange, splitReduced, unpack } from "./einops.ts";
import { EINSUM } from "./einsum.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { GATHER } from "./gather.ts";
import { JOIN } from "./join.ts";
import { RANDOM } from "./random.ts";
import { REDUCTIONS } from "./reductions.ts";
import { reshape } from "./reshape.ts";
import { ownReduce, SCANS } from "./scans.ts";
import { repeatEach } from "./shape.ts";
import { SHAPE } from "./shape-table.ts";

export { REDUCERS, reduceIndexed } from "./reductions.ts";

const EINOPS_REDUCTIONS = ["sum", "mean", "max", "min", "prod", "any", "all"] as const;

const EINOPS: ReadonlyMap<string, Builtin> = table([
  builtin("rearrange", "x, pattern, **sizes", 'einops: rearrange("b (h d) t -> b h t d", x, h: 8)', (b, a, span) => {
    const { text, tensor } = patternFirst(a["x"], a["pattern"], span, "rearrange");
    return rearrange(b, "rearrange", text, tensor, a["sizes"], span);
  }),
  builtin(
    "reduce",
    "x, pattern, reduction?, axis!, **sizes",
    'einops: reduce("b c (h 2) -> b c h", x, "max"); or by a function: reduce(|p, q| p * q, 1.0, x, axis: 0)',
    (b, a, span) => {
      const f = a["x"];
      if (f?.kind === "function") return ownReduce(b, f, a["pattern"], a["reduction"], a, span);
      const { text, tensor } = patternFirst(f, a["pattern"], span, "reduce");
      if (!present(a["reduction"]))
        return fail("EIN1501", "reduce needs to know by what", span, `one of ${EINOPS_REDUCTIONS.join(", ")}`);
      const how = toChoice(a["reduction"], EINOPS_REDUCTIONS, "sum", span, "the reduction");
      const { view, count } = splitReduced(b, text, tensor, a["sizes"], span);
      if (count === 0) return view;
      const axes: Value = {
        kind: "list",
        items: Array.from({ length: count }, (_, k): Value => ({ kind: "int", extent: size(k - count), span })),
        span,
      };
      return (REDUCTIONS.get(how) as Builtin).build(b, { x: view, axis: axes }, span);
    },
  ),
  builtin(
    "repeat",
    "x, pattern, axis?, **sizes",
    'einops: repeat("h w -> h w c", x, c: 3); or NumPy: repeat(x, 3, axis: 0) repeats every element',
    (b, a, span) => {
      if (a["x"]?.kind === "string" || a["pattern"]?.kind === "string") {
        const { text, tensor } = patternFirst(a["x"], a["pattern"], span, "repeat");
        return rearrange(b, "repeat", text, tensor, a["sizes"], span);
      }
      return repeatElements(b, a, span);
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

function repeatElements(
  b: Parameters<Builtin["build"]>[0],
  a: Readonly<Record<string, Value | undefined>>,
  span: Span,
): TensorValue {
  const x = toTensor(a["x"], span);
  const times = toCount(a["pattern"], span, "the number of repetitions");
  if (present(a["axis"])) return repeatEach(b, x, times, toAxis(a["axis"], x.shape.length, span), span);
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
  builtin(
    "checkpoint",
    "f",
    "f itself; its intermediates are computed again for a derivative instead of being kept",
    (_, a, span) => {
      const f = a["f"];
      return f?.kind === "function"
        ? f
        : fail("EIN1501", "checkpoint needs a function", f?.span ?? span, "this is none");
    },
  ),
  later("sort", "elements in order along an axis"),
  later("argsort", "the order that sorts"),
  later("top_k", "the k largest along an axis"),
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
  RANDOM,
  CONTROL,
);
