/**
 * The ranges of index variables, found before the body is elaborated: an index ranges over every axis that it indexes plainly
 * (`x[…, i, …]`). Shapes of names in scope come first; only for an index that no such use fixes is the subscripted expression
 * elaborated on the side. Agreement of all uses is checked where each read is elaborated.
 */
import type { Block, Expr, IndexBinder, SubscriptExpr } from "../../grammar/ast.ts";
import { DiagnosticError, diagnostic, type Label } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { Extent } from "../../ir/extent.ts";
import { axis, axisRef } from "../../ir/tensor.ts";
import type { Context } from "./context.ts";
import { lookup, makeScope, type Scope, Silent } from "./scope.ts";
import type { TensorValue } from "./value.ts";
import { eachPart, statementParts } from "./walk.ts";

/** Beyond this the evaluator refuses the expression anyhow. */
const MAX_DEPTH = 1500;
const MAX_SIDE_DEPTH = 4;

/** A plain use: item `item` of the subscript is just the index. `inside` is what is bound between the binder and here. */
interface Use {
  readonly subscript: SubscriptExpr;
  readonly item: number;
  readonly span: Span;
  readonly inside: Inside | undefined;
}
/** Names bound on the way down: indices and blocks' definitions, innermost first. */
interface Inside {
  readonly parent: Inside | undefined;
  readonly indices: readonly string[];
  readonly block: Block | undefined;
}

interface Found {
  readonly plain: Map<string, Use[]>;
  /** Where else the index occurs, for the message that it has no range. */
  readonly other: Map<string, Span[]>;
}

/** Every use of `names` as an index in the expressions, in source order. */
export function findUses(bodies: readonly Expr[], names: ReadonlySet<string>): Found {
  const found: Found = { plain: new Map(), other: new Map() };
  const visit = (e: Expr, live: ReadonlySet<string>, inside: Inside | undefined, depth: number): void => {
    if (depth > MAX_DEPTH || live.size === 0) return;
    if (e.kind === "name" && live.has(e.text)) push(found.other, e.text, e.span);
    if (e.kind === "subscript")
      e.items.forEach((i, k) => {
        if (i.kind === "index" && i.expr.kind === "name" && live.has(i.expr.text))
          push(found.plain, i.expr.text, { subscript: e, item: k, span: i.span, inside });
      });
    eachPart(
      e,
      (part, bound, hidden) => {
        const all = [...bound.map((b) => b.name.text), ...hidden];
        visit(
          part,
          without(live, all),
          all.length > 0 ? { parent: inside, indices: all, block: undefined } : inside,
          depth + 1,
        );
      },
      (b) => visitBlock(b, live, inside, depth + 1),
    );
  };
  const visitBlock = (b: Block, live: ReadonlySet<string>, outer: Inside | undefined, depth: number): void => {
    const inside: Inside = { parent: outer, indices: [], block: b };
    let left = live;
    for (const s of b.statements) {
      statementParts(s, (part, bound) => {
        const all = bound.map((x) => x.name.text);
        visit(
          part,
          without(left, all),
          all.length > 0 ? { parent: inside, indices: all, block: undefined } : inside,
          depth + 1,
        );
      });
      if (s.kind === "let")
        left = without(
          left,
          s.pattern.kind === "name" ? [s.pattern.name.text] : s.pattern.names.map((n) => (n.alias ?? n.field).text),
        );
      else left = without(left, [s.target.text]);
    }
    if (b.result) visit(b.result, left, inside, depth + 1);
  };
  for (const b of bodies) visit(b, names, undefined, 0);
  return found;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const old = map.get(key);
  if (old) old.push(value);
  else map.set(key, [value]);
}

function without(live: ReadonlySet<string>, names: readonly string[]): ReadonlySet<string> {
  if (!names.some((n) => live.has(n))) return live;
  const left = new Set(live);
  for (const n of names) left.delete(n);
  return left;
}

export interface IndexRange {
  readonly extent: Extent;
  readonly fixedBy: { readonly span: Span; readonly text: string };
}

/**
 * Ranges for binders without an explicit one; `stated` are extents that a declared shape gives. Throws EIN1302 for an index that
 * nothing fixes. `scope` is outside the binders.
 */
export function inferRanges(
  cx: Context,
  binders: readonly IndexBinder[],
  bodies: readonly Expr[],
  scope: Scope,
  stated: ReadonlyMap<string, IndexRange>,
): ReadonlyMap<string, IndexRange> {
  const open = binders.filter((b) => !b.range);
  const ranges = new Map<string, IndexRange>();
  if (open.length === 0) return ranges;
  const names = new Set(open.map((b) => b.name.text));
  const uses = findUses(bodies, names);
  for (const b of open) {
    const name = b.name.text;
    const list = uses.plain.get(name) ?? [];
    const range =
      firstRange(list, (u) => namedShape(u, scope)) ?? stated.get(name) ?? sideRange(cx, list, scope, names);
    if (!range) throw new DiagnosticError(noRange(b, uses.other.get(name) ?? []));
    ranges.set(name, range);
  }
  return ranges;
}

function firstRange(uses: readonly Use[], tensorOf: (u: Use) => TensorValue | undefined): IndexRange | undefined {
  for (const u of uses) {
    const t = tensorOf(u);
    const axisNumber = t && axisOfItem(u, t.shape.length);
    const extent = axisNumber === undefined ? undefined : t?.shape[axisNumber];
    if (!t || axisNumber === undefined || !extent) continue;
    const name = u.subscript.value.kind === "name" ? `\`${u.subscript.value.text}\`` : "the tensor";
    return { extent, fixedBy: { span: u.span, text: `set by axis ${axisNumber} of ${name}` } };
  }
  return undefined;
}

/** Which axis of a tensor of that rank an item stands for. */
function axisOfItem(u: Use, rank: number): number | undefined {
  const items = u.subscript.items;
  const consumes = (i: (typeof items)[number]): boolean => i.kind === "index" || i.kind === "slice";
  const ellipsis = items.findIndex((i) => i.kind === "ellipsis");
  const at =
    ellipsis < 0 || u.item < ellipsis
      ? items.slice(0, u.item).filter(consumes).length
      : rank - items.slice(u.item).filter(consumes).length;
  return at >= 0 && at < rank ? at : undefined;
}

/** The subscripted value if it is a name of the outer scope. */
function namedShape(u: Use, scope: Scope): TensorValue | undefined {
  const value = u.subscript.value;
  if (value.kind !== "name" || isInside(u.inside, value.text)) return undefined;
  const b = lookup(scope, value.text);
  const found = b?.kind === "value" ? b.value : b?.kind === "lazy" ? b.evaluate() : undefined;
  return found?.kind === "tensor" ? found : undefined;
}

function isInside(inside: Inside | undefined, name: string): boolean {
  for (let i = inside; i; i = i.parent) {
    if (i.indices.includes(name)) return true;
    for (const s of i.block?.statements ?? []) {
      if (s.kind !== "let" && s.target.text === name) return true;
      if (
        s.kind === "let" &&
        (s.pattern.kind === "name"
          ? s.pattern.name.text === name
          : s.pattern.names.some((n) => (n.alias ?? n.field).text === name))
      )
        return true;
    }
  }
  return false;
}

/** Elaborates the subscripted expression with open indices, keeps its shape and forgets everything else. */
function sideRange(
  cx: Context,
  uses: readonly Use[],
  scope: Scope,
  names: ReadonlySet<string>,
): IndexRange | undefined {
  // What is inside is looked at again for each enclosing index without a range.
  if (uses.length === 0 || cx.sideDepth >= MAX_SIDE_DEPTH) return undefined;
  const restore = cx.builder.snapshot();
  const [recovering, calls, depth] = [cx.recovering, cx.calls.length, cx.depth];
  cx.recovering = false;
  cx.sideDepth++;
  try {
    return firstRange(uses, (u) => {
      try {
        const v = cx.evaluate(u.subscript.value, sideScope(cx, u, scope, names));
        return v.kind === "tensor" ? v : undefined;
      } catch (error) {
        if (error instanceof DiagnosticError || error instanceof Silent) return undefined;
        throw error;
      }
    });
  } finally {
    cx.sideDepth--;
    cx.recovering = recovering;
    cx.calls.length = calls;
    cx.depth = depth;
    restore();
  }
}

function sideScope(cx: Context, u: Use, scope: Scope, names: ReadonlySet<string>): Scope {
  const chain: Inside[] = [];
  for (let i = u.inside; i; i = i.parent) chain.unshift(i);
  let s = openIndices(cx, makeScope(scope), names, u.span);
  for (const i of chain) {
    s = openIndices(cx, makeScope(s), i.indices, u.span);
    if (i.block) {
      for (const st of i.block.statements) {
        if (st.span.end > u.span.start) break;
        // One by one, so that what fails hides only what depends on it.
        try {
          cx.statement(st, s);
        } catch (error) {
          if (!(error instanceof DiagnosticError || error instanceof Silent)) throw error;
        }
      }
    }
  }
  return s;
}

function openIndices(cx: Context, s: Scope, names: Iterable<string>, span: Span): Scope {
  for (const name of names) {
    const expr = axisRef(axis(name, cx.builder.freshSymbol("r")));
    s.names.set(name, { kind: "index", span, index: { name, expr, extent: undefined, fixedBy: undefined } });
  }
  return s;
}

function noRange(b: IndexBinder, uses: readonly Span[]): ReturnType<typeof diagnostic> {
  const labels: Label[] = [{ span: b.name.span, text: "nothing says how far it runs" }];
  const first = uses[0];
  if (first) labels.push({ span: first, text: "this use is not a plain index of an axis, so it fixes no range" });
  return diagnostic("EIN1302", `index \`${b.name.text}\` has no range`, labels, {
    notes: [
      uses.length === 0
        ? `\`${b.name.text}\` is not used in the body`
        : "a range is never guessed from an expression such as `i + 1`",
      `write \`${b.name.text} in 0..N\`, or use it plainly on an axis`,
    ],
  });
}
