/**
 * Splits one bundled module into what most programs need and the rest. A run under V8's coverage says what never ran: functions, ends of
 * blocks, expressions and cases (`page-pieces.ts`). Each becomes a function of the rest, and a call of `late` in `src/page/load.ts` stands in
 * its place. What only the rest refers to moves there as well. The method is WebAssembly's wasm-split.
 */
import { type Piece, pieces } from "./page-pieces.ts";
import { declaredIn, free, freeOf } from "./page-scopes.ts";
import { children, type Placed, parts, type Range, statements } from "./page-syntax.ts";

export interface Split {
  readonly main: string;
  readonly rest: string;
}

/** A statement of the module, and what it becomes in the main part. */
interface Unit {
  readonly node: Placed;
  readonly names: readonly string[];
  readonly pieces: readonly Piece[];
}

interface Edit extends Range {
  readonly text: string;
}

/**
 * `source` is a bundle whose inner names hide no outer ones; `uncalled` are the ranges of it that never ran; `late` is its name for the table
 * of the rest's functions.
 */
export function split(source: string, uncalled: readonly Range[], late: string): Split {
  const body = statements(source);
  const outer = new Map(body.flatMap((node) => [...declaredIn([node]).keys()].map((name) => [name, node] as const)));
  const names = new Set(outer.keys());
  const module = { source, names, isCold: inOneOf(uncalled) };
  // Whoever imports the bundle calls its exports outside of `whenLoaded`.
  const exported = new Set(
    body.filter((node) => declaredIn([node]).size === 0).flatMap((node) => [...free(node).names]),
  );
  const units: readonly Unit[] = body.map((node) => {
    const own = [...declaredIn([node]).keys()];
    return { node, names: own, pieces: own.some((name) => exported.has(name)) ? [] : pieces(module, node) };
  });
  const all = units.flatMap((unit) => unit.pieces);
  const callee = new Map(all.map((piece, i) => [piece, `${late}.$${i}$`]));
  const movedNames = new Map(
    all.flatMap((p) => (p.name === undefined ? [] : [[p.name, callee.get(p) ?? ""] as const])),
  );

  const kept = new Map(units.map((unit) => [unit.node, keptText(source, unit, callee, movedNames)]));
  const inMain = needed(units, outer, kept);
  // What runs while the module is loaded may refer to the table already.
  const first = units.filter((unit) => unit.names.includes(late));
  const order = [...first, ...units.filter((unit) => !first.includes(unit) && inMain.has(unit.node))];
  const main = numbered(order.map((unit) => kept.get(unit.node) ?? "").join("\n"), late);

  const text = (node: Range): string => source.slice(node.start, node.end);
  const lateUnits = units.filter((unit) => !inMain.has(unit.node));
  const declarations = all.filter(
    (p) => p.name !== undefined && !lateUnits.some((u) => u.names.includes(p.name ?? "")),
  );
  const table = [...main.keys].map(([i, key]) => {
    const piece = all[i];
    return `${key}: ${piece?.name ?? `(${piece?.text})`}`;
  });
  const restCode = [
    ...lateUnits.map((unit) => text(unit.node)),
    ...declarations.map((p) => p.text),
    `export default {${table.join(",\n")}};`,
  ].join("\n");
  const local = new Set([...lateUnits.flatMap((unit) => unit.names), ...declarations.map((p) => p.name)]);
  const shared = [...freeOf(statements(restCode)).names].filter((name) => outer.has(name) && !local.has(name)).sort();
  const pairs = (pair: (name: string, key: string) => string): string =>
    shared.map((name, i) => pair(name, `$${i.toString(36)}`)).join(",");
  return {
    main: `${main.text}\nexport {${pairs((name, key) => `${name} as ${key}`)}};\n`,
    rest: `import {${pairs((name, key) => `${key} as ${name}`)}} from "./index.js";\n${restCode}\n`,
  };
}

function inOneOf(ranges: readonly Range[]): (range: Range) => boolean {
  const sorted: Range[] = [];
  for (const r of [...ranges].sort((a, b) => a.start - b.start || b.end - a.end))
    if (r.end > (sorted.at(-1)?.end ?? -1)) sorted.push(r);
  return (range) => {
    const next = sorted.findIndex((r) => r.start > range.start);
    const last = sorted[(next < 0 ? sorted.length : next) - 1];
    return last !== undefined && range.end <= last.end;
  };
}

/** The text of a statement without its pieces, which calls the pieces. */
function keptText(
  source: string,
  unit: Unit,
  callee: ReadonlyMap<Piece, string>,
  movedNames: ReadonlyMap<string, string>,
): string {
  const edits: Edit[] = unit.pieces.flatMap((piece) =>
    piece.ranges.map(({ start, end }, i) => ({ start, end, text: i === 0 ? piece.stub(callee.get(piece) ?? "") : "" })),
  );
  const gone = (node: Range): boolean => edits.some((e) => e.start <= node.start && node.end <= e.end);
  const calls: Edit[] = [];
  const walk = (node: Placed, shorthand: boolean): void => {
    if (gone(node)) return;
    if (node.type === "Identifier") {
      const call = movedNames.get(node.name);
      if (call) calls.push({ start: node.start, end: node.end, text: shorthand ? `${node.name}: ${call}` : call });
      return;
    }
    for (const part of parts(node)) walk(part, node.type === "Property" && node.shorthand);
  };
  if ([...free(unit.node).names].some((name) => movedNames.has(name))) walk(unit.node, false);
  let text = source.slice(unit.node.start, unit.node.end);
  for (const e of [...edits, ...calls].sort((a, b) => b.start - a.start))
    text = text.slice(0, e.start - unit.node.start) + e.text + text.slice(e.end - unit.node.start);
  return text;
}

/** The statements that the main part needs, from its exports and what has no name on. */
function needed(
  units: readonly Unit[],
  outer: ReadonlyMap<string, Placed>,
  kept: ReadonlyMap<Placed, string>,
): ReadonlySet<Placed> {
  const unitOf = new Map(units.map((unit) => [unit.node, unit]));
  const needs = (unit: Unit): ReadonlySet<string> =>
    unit.pieces.length > 0 ? freeOf(statements(kept.get(unit.node) ?? "")).names : free(unit.node).names;
  const found = new Set<Placed>();
  const reach = (from: readonly Unit[]): void => {
    const queue = [...from];
    for (let unit = queue.pop(); unit; unit = queue.pop()) {
      if (found.has(unit.node)) continue;
      found.add(unit.node);
      for (const name of needs(unit)) {
        const next = unitOf.get(outer.get(name) ?? unit.node);
        if (next && !found.has(next.node)) queue.push(next);
      }
    }
  };
  // An import cannot be assigned to: what assigns to a variable of the main part is there as well.
  const assigns = (unit: Unit): boolean =>
    [...free(unit.node).assigned].some((name) => {
      const target = outer.get(name);
      return target !== undefined && target !== unit.node && found.has(target);
    });
  reach(units.filter((unit) => unit.names.length === 0));
  for (;;) {
    const more = units.filter((unit) => !found.has(unit.node) && assigns(unit));
    if (more.length === 0) return found;
    reach(more);
  }
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$";

/** The text with short keys for the pieces that it calls, in the order of their first calls. */
function numbered(text: string, late: string): { readonly text: string; readonly keys: ReadonlyMap<number, string> } {
  const keys = new Map<number, string>();
  const key = (n: number): string =>
    (n < LETTERS.length ? "" : key(Math.floor(n / LETTERS.length) - 1)) + LETTERS[n % LETTERS.length];
  const named = text.replaceAll(new RegExp(`(?<=\\b${late}\\.)\\$(\\d+)\\$`, "g"), (_, digits: string) => {
    const i = Number(digits);
    const own = keys.get(i) ?? key(keys.size);
    keys.set(i, own);
    return own;
  });
  return { text: named, keys };
}

/** Where a builtin's description stands among the arguments of what makes the builtin, and how many arguments that has. */
const DESCRIPTION: Readonly<Record<string, readonly [at: number, of: number]>> = {
  builtin: [2, 4],
  prim1: [1, 2],
  prim2: [1, 2],
  rounding: [1, 3],
};

/** The bundle without the descriptions of builtins, which only editors and the reference show. */
export function withoutDescriptions(source: string): string {
  const found: Range[] = [];
  const walk = (node: Placed): void => {
    if (node.type === "Property" && node.key.type === "Identifier" && node.key.name === "doc")
      found.push(node.value as Placed);
    if (node.type === "CallExpression" && node.callee.type === "Identifier") {
      const [at = 0, of = Number.POSITIVE_INFINITY] = DESCRIPTION[node.callee.name.replace(/\d+$/, "")] ?? [];
      if (node.arguments.length >= of) found.push(node.arguments[at] as Placed);
    }
    for (const child of children(node)) walk(child);
  };
  for (const node of statements(source)) walk(node);
  return found
    .filter((r) => /^"[^"]*"$/.test(source.slice(r.start, r.end)))
    .sort((a, b) => b.start - a.start)
    .reduce((text, r) => `${text.slice(0, r.start)}""${text.slice(r.end)}`, source);
}
