/** What elaboration found out about an item, as text: types of names and expressions, ranges of indices. Offsets are the item's. */
import type { Expr, Name } from "../../grammar/ast.ts";
import { type Extent, symbolsOf } from "../../ir/extent.ts";
import type { Observer } from "../elaborate/context.ts";
import { describe } from "../elaborate/convert.ts";
import { LEAD } from "../elaborate/signature.ts";
import type { Value } from "../elaborate/value.ts";
import type { NamedItem } from "../modules.ts";

export interface Fact {
  /** From the start of the item, half-open. */
  readonly start: number;
  readonly end: number;
  readonly kind: "expression" | "binding" | "index";
  /** `f32[B, 2 * D]`, `int 2 * D`, `0..N`. */
  readonly type: string;
  /** Of a record, by field. */
  readonly fields?: ReadonlyMap<string, string>;
  /** A literal or a number that the text says anyhow: not worth a hint. */
  readonly isPlain: boolean;
}

export interface FactsObserver extends Observer {
  readonly facts: readonly Fact[];
}

type Pending =
  | { readonly kind: "expression" | "binding"; readonly start: number; readonly end: number; readonly value: Value }
  | {
      readonly kind: "index";
      readonly start: number;
      readonly end: number;
      readonly from: Extent;
      readonly extent: Extent;
    };

/** An observer for one item of `file`. Where a place is elaborated twice, the later finding counts. */
export function observeItem(file: string, item: NamedItem): FactsObserver {
  const facts: Fact[] = [];
  let pending = new Map<string, Pending>();
  const { start: base, end: limit } = item.span;
  const inside = (n: Name | Expr): boolean => n.span.file === file && n.span.start >= base && n.span.end <= limit;
  const keep = (p: Pending): void => {
    pending.set(`${p.kind} ${p.start} ${p.end}`, p);
  };
  return {
    facts,
    expression(e, value) {
      if (inside(e)) keep({ kind: "expression", start: e.span.start - base, end: e.span.end - base, value });
    },
    binding(name, value) {
      if (inside({ ...name }))
        keep({ kind: "binding", start: name.span.start - base, end: name.span.end - base, value });
    },
    index(name, from, extent) {
      if (!inside(name)) return;
      keep({ kind: "index", start: name.span.start - base, end: name.span.end - base, from, extent });
    },
    finish(resolve) {
      for (const p of pending.values()) facts.push(factOf(p, resolve));
      pending = new Map();
    },
  };
}

function factOf(p: Pending, resolve: (e: Extent) => Extent): Fact {
  const { kind, start, end } = p;
  if (p.kind === "index") {
    const from = resolve(p.from);
    const to =
      from.value === 0
        ? extentText(p.extent, resolve)
        : `${extentText(from, resolve)} + ${extentText(p.extent, resolve)}`;
    return { kind, start, end, type: `${extentText(from, resolve)}..${to}`, isPlain: false };
  }
  const isPlain =
    p.value.kind === "float" ||
    p.value.kind === "string" ||
    (p.value.kind === "int" && p.value.extent.value !== undefined);
  const fields =
    p.value.kind === "record"
      ? new Map([...p.value.fields].map(([name, v]) => [name, typeText(v, resolve)] as const))
      : undefined;
  return { kind, start, end, type: typeText(p.value, resolve), isPlain, ...(fields ? { fields } : {}) };
}

/** The type of a value as the language writes it; of a constant its value too. */
function typeText(v: Value, resolve: (e: Extent) => Extent): string {
  switch (v.kind) {
    case "tensor":
      return v.shape.length === 0 ? v.dtype : `${v.dtype}[${v.shape.map((e) => extentText(e, resolve)).join(", ")}]`;
    case "int":
      return `int = ${extentText(v.extent, resolve)}`;
    case "float":
      return `float = ${v.value}`;
    case "bool":
      return `bool = ${v.value}`;
    case "string":
      return `string = ${JSON.stringify(v.value)}`;
    case "list":
      return v.items.every((i) => i.kind === "int")
        ? `ints = [${v.items.map((i) => (i.kind === "int" ? extentText(i.extent, resolve) : "")).join(", ")}]`
        : `[${v.items.map((i) => typeText(i, resolve)).join(", ")}]`;
    case "record":
      return `{ ${[...v.fields].map(([k, x]) => `${k}: ${typeText(x, resolve)}`).join(", ")} }`;
    case "function":
      return `fn ${v.name}(${v.parameters.map((q) => `${q.isConst ? "const " : ""}${q.name}${q.optional ? "?" : ""}`).join(", ")})`;
    case "none":
      return describe(v);
    default:
      return v satisfies never;
  }
}

/** An extent as the compiler prints it; the leading axes of `...` as they are written. */
function extentText(e: Extent, resolve: (e: Extent) => Extent): string {
  const { text } = resolve(e);
  return symbolsOf(e).has(LEAD) ? text.replaceAll(LEAD, "...") : text;
}
