/**
 * Names to read: of tensors from the source's `let`s, d and the name for cotangents; of axes one letter for all that index the same
 * axis of the same tensors, from the source where it has one.
 */
import type { Item, Statement } from "../../grammar/ast.ts";
import { parseModule } from "../../grammar/parser.ts";
import { symbolsOf } from "../../ir/extent.ts";
import { PRIMS } from "../../ir/prim.ts";
import { type Axis, childrenOf, type Definition, type Program, type TensorExpr } from "../../ir/tensor.ts";
import { definitionsOf } from "../passes/rewrite.ts";
import type { Line } from "./lines.ts";

/** What a reader calls a value that the source gives no name, by the hint of the builtin that made it. */
const SHORT: Readonly<Record<string, string>> = {
  add: "s", sum: "s", max: "m", min: "m", exp: "e", matmul: "h", einsum: "h", mean: "mu", rsqrt: "r", sqrt: "r", relu: "a",
  logsumexp: "lse", where: "w", result: "y", stack: "stacked", log: "l", prod: "p", norm: "r", var: "v", std: "sd",
}; // biome-ignore format: a table

/** Words that would not parse as names, or would read badly. */
const RESERVED = new Set([
  ..."import export fn let const for iterate as true false None inf nan div in over until set from pi".split(" "),
  ..."sum prod mean any all argmax argmin var std norm reduce scan cumsum cumprod cummax cummin full relu".split(" "),
  ...PRIMS,
]);

/** Definitions that a `let`, or `y[…] = …`, of the source names. */
export function sourceNames(
  p: Program,
  sources: ReadonlyMap<string, string>,
  forward: ReadonlySet<Definition>,
): Map<Definition, string> {
  const byPlace = new Map<string, string>();
  for (const [file, text] of sources) collect(parseModule(text, file).module.items, byPlace);
  const found = new Map<Definition, string>();
  const all = definitionsOf(p).filter((d) => forward.has(d));
  all.forEach((d, i) => {
    const place = placeOf(d.span);
    const name = place === undefined ? undefined : byPlace.get(place);
    // Of several definitions that one expression made, the last is its value.
    if (name !== undefined && placeOf(all[i + 1]?.span) !== place) found.set(d, name);
  });
  return found;
}

function placeOf(
  span: { readonly file: string; readonly start: number; readonly end: number } | undefined,
): string | undefined {
  return span && `${span.file}:${span.start}-${span.end}`;
}

function collect(items: readonly Item[], into: Map<string, string>): void {
  const onStatement = (s: Statement): void => {
    const name = s.kind === "let" ? (s.pattern.kind === "name" ? s.pattern.name.text : undefined) : s.target.text;
    if (name === undefined) return;
    for (const span of [s.span, s.value.span]) into.set(placeOf(span)!, name);
  };
  for (const item of items) if (item.kind === "fn") item.body.statements.forEach(onStatement);
}

/** Hands out names, each once: the hint if it is free, else with a number. */
export class NameTable {
  readonly #used = new Set<string>(RESERVED);
  reserve(name: string): void {
    this.#used.add(name);
  }
  take(hint: string): string {
    const plain = hint.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d)/, "_");
    let name = plain;
    const base = plain.replace(/_?\d+$/, "") || plain;
    for (let n = 2; this.#used.has(name); n++) name = `${base}${n}`;
    this.#used.add(name);
    return name;
  }
}

export interface NamesOptions {
  readonly source: ReadonlyMap<Definition, string>;
  /** Which tensor a cotangent belongs to. */
  readonly cotangentOf: ReadonlyMap<Definition, Definition>;
  /** What the results and inputs of the printed program are called. */
  readonly fixed: ReadonlyMap<Definition, string>;
}

/** A name for every line; forward values before cotangents, so that these can follow them. */
export function tensorNames(lines: readonly Line[], table: NameTable, o: NamesOptions): Map<Definition, string> {
  const names = new Map(o.fixed);
  for (const l of lines)
    if (l.isForward && !names.has(l.definition)) {
      const hint = l.definition.name.replace(/_\d+$/, "");
      names.set(l.definition, table.take(o.source.get(l.definition) ?? SHORT[hint] ?? hint));
    }
  // The last of several parts is the whole.
  for (const l of [...lines].reverse()) {
    if (names.has(l.definition)) continue;
    const of = o.cotangentOf.get(l.definition);
    const hint = l.definition.name.replace(/_ct(_\d+)?$/, "");
    const isCotangent = of !== undefined || hint !== l.definition.name;
    const known = of && (names.get(of) ?? o.source.get(of));
    const name = isCotangent ? `d${known ?? SHORT[hint] ?? hint}` : l.definition.name;
    names.set(l.definition, table.take(name));
  }
  return names;
}

// ---- Axes -------------------------------------------------------------------------------------------------------------

/** A letter for every axis of a line, its own and those that reductions bind. */
export type Letters = (line: Line, a: Axis, taken: ReadonlySet<string>) => string;

/** Axes of a tensor, from `offset` on, are those of another: a cotangent's are those of what it belongs to. */
export interface Alike {
  readonly tensor: Definition;
  readonly offset: number;
  readonly of: Definition;
}

const SPARE = "jklmpqrsuvabcefghiotwxyz".split("");
const PLACEHOLDER = new Set(["i", "j", "k", "l", "_"]);

export function axisLetters(
  inputs: readonly Definition[],
  lines: readonly Line[],
  tensors: ReadonlySet<string>,
  alike: Iterable<Alike>,
): Letters {
  const parent = new Map<string, string>();
  const root = (x: string): string => {
    const up = parent.get(x);
    return up === undefined || up === x ? x : root(up);
  };
  const unite = (x: string, y: string): void => {
    const [a, b] = [root(x), root(y)];
    if (a !== b) parent.set(b, a);
  };
  const own = new Map<Axis, string>();
  const dim = (d: Definition, i: number): string => `${d.id}.${i}`;
  const votes: { readonly node: string; readonly name: string; readonly weight: number }[] = [];
  const vote = (node: string, a: Axis, weight: number): void => {
    const name = a.name.replace(/_?\d+$/, "").toLowerCase();
    if (/^[a-z]\w*$/.test(name)) votes.push({ node, name, weight: PLACEHOLDER.has(name) ? weight / 4 : weight });
  };
  for (const d of inputs) for (const [i, a] of d.axes.entries()) vote(dim(d, i), a, 4);
  for (const l of lines)
    l.definition.axes.forEach((a, i) => {
      own.set(a, dim(l.definition, i));
      vote(dim(l.definition, i), a, 1);
    });
  const nodeOf = (l: Line, a: Axis): string => own.get(a) ?? `${l.definition.id}:${a.id}`;
  for (const l of lines)
    walk(l.values, (e) => {
      if (e.kind === "read")
        e.at.forEach((x, i) => {
          if (x.kind === "axis") unite(dim(e.tensor, i), nodeOf(l, x.axis));
        });
      if (e.kind === "reduce") for (const a of e.axes) vote(nodeOf(l, a), a, 0.5);
    });
  for (const { tensor: a, offset, of: b } of alike)
    b.axes.forEach((_, i) => {
      unite(dim(b, i), dim(a, offset + i));
    });
  const letters = new Map<string, string>();
  const used = new Set<string>(tensors);
  const tally = new Map<string, Map<string, number>>();
  for (const v of votes) {
    const of = tally.get(root(v.node)) ?? new Map<string, number>();
    of.set(v.name, (of.get(v.name) ?? 0) + v.weight);
    tally.set(root(v.node), of);
  }
  const wishes = new Set([...tally.values()].flatMap((of) => [...of.keys()]));
  const spare = [...SPARE.filter((c) => !wishes.has(c)), ...SPARE];
  const free = (candidates: readonly string[], taken: ReadonlySet<string>): string =>
    [...candidates, ...spare].find((c) => !taken.has(c) && !RESERVED.has(c)) ?? `i${taken.size}`;
  const letterOf = (node: string): string => {
    const r = root(node);
    const old = letters.get(r);
    if (old) return old;
    const wanted = [...(tally.get(r) ?? [])].sort(([, a], [, b]) => b - a).map(([name]) => name);
    const made = free(wanted, used);
    used.add(made);
    letters.set(r, made);
    return made;
  };
  // In the order of the signature, so that the letters of arguments come first.
  for (const d of [...inputs, ...lines.map((l) => l.definition)]) for (const i of d.axes.keys()) letterOf(dim(d, i));
  return (line, a, taken) => {
    const first = letterOf(nodeOf(line, a));
    return taken.has(first) ? free([], new Set([...taken, ...used])) : first;
  };
}

function walk(roots: readonly TensorExpr[], f: (e: TensorExpr) => void): void {
  const seen = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    f(e);
    childrenOf(e).forEach(go);
  };
  roots.forEach(go);
}

/** Size symbols in a program's shapes: no axis or tensor may be called so. */
export function sizeNames(p: Program): Set<string> {
  const found = new Set<string>();
  for (const d of [...p.inputs, ...definitionsOf(p)]) for (const a of d.axes) symbolsOf(a.extent, found);
  return found;
}
