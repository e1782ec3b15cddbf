/**
 * Splits one bundled module into what most programs need and the rest. A run under V8's coverage says which functions were called; a
 * function that was not, and that refers to nothing but the module's own names, moves to the rest, and a call of `callOfRest` in
 * `src/page/load.ts` stands in its place. What only the rest refers to moves there as well. The method is WebAssembly's wasm-split.
 */
import type { Node } from "estree";
import {
  assignedNames,
  assignments,
  children,
  declared,
  ends,
  escapes,
  isFunction,
  movable,
  movableMethod,
  namesWithin,
  outlined,
  type Placed,
  type Range,
  references,
  referencesOf,
  returns,
  statements,
  tail,
  values,
} from "./page-syntax.ts";

/** A smaller function costs as much to call from elsewhere as to have. */
const MIN_LENGTH = 28;

/** The same for an expression in a function that runs. */
const MIN_EXPRESSION = 20;
/** The same for statements. */
const MIN_STATEMENTS = 45;

interface Moved {
  readonly node: Placed;
  /** Of a function of the module itself. */
  readonly name: string | undefined;
  /** What stands in its place, given its place in the table of the rest. */
  readonly stub: (index: number) => string;
  /** A function that does it. */
  readonly text: string;
}

/** The end of a block: whether it leaves the function, and what stands before it. */
interface Tail {
  readonly whole: Placed;
  readonly before: readonly Placed[];
  readonly leaves: boolean;
}

export interface Split {
  readonly main: string;
  readonly rest: string;
  readonly moved: number;
}

/**
 * `source` is a bundle whose inner names hide no outer ones; `uncalled` are the ranges of it that never ran; `caller` is its name for
 * `callOfRest`.
 */
export function split(source: string, uncalled: readonly Range[], caller: string): Split {
  const body = statements(source);
  const units = body.map((node) => ({ node, names: declared(node), refs: references(node) }));
  const outer = new Map(units.flatMap((unit) => unit.names.map((name) => [name, unit] as const)));
  const assigned = assignedNames(body, outer);
  const isCold = (node: Range): boolean => uncalled.some((r) => r.start <= node.start && node.end <= r.end);

  // What moves: each with the text that stays in its place.
  const moved: Moved[] = [];
  /** The text of a method begins after its name, so that it cannot be replaced like a function. */
  const methods = new Set<Node | null>();
  const anchors = new Set<Node | null>();
  const bodies = new Set<Node>();
  /** The last statements of a block that did not run, if they can be a function of their own. */
  const outlinedTail = (node: Placed & { readonly type: "BlockStatement" }): Tail | undefined => {
    const all = children(node);
    const list = tail(all, isCold);
    const [first, last] = [list[0], list.at(-1)];
    if (!first || !last || last.end - first.start < MIN_STATEMENTS) return undefined;
    const whole = { ...node, body: list, start: first.start, end: last.end } as unknown as Placed;
    const before = all.slice(0, all.length - list.length);
    const leaves = returns(whole);
    if (escapes(whole) || (leaves && !ends(list.at(-1)) && !bodies.has(node))) return undefined;
    if (namesWithin(whole).some((name) => before.some((n) => references(n).has(name)))) return undefined;
    return { whole, before, leaves };
  };
  const look = (node: Placed, locals: ReadonlySet<string>, changing: ReadonlySet<string>): void => {
    if (
      anchors.has(node) &&
      !isFunction(node) &&
      node.type !== "ClassExpression" &&
      isCold(node) &&
      node.end - node.start >= MIN_EXPRESSION
    ) {
      const captures = outlined(node, outer, locals, assigned, changing);
      if (captures) {
        moved.push({
          node,
          name: undefined,
          stub: (i) => `${caller}(${i},[${captures.join()}])`,
          text: `(${captures.join()})=>(${source.slice(node.start, node.end)})`,
        });
        return;
      }
    }
    if (node.type === "BlockStatement") {
      const made = outlinedTail(node);
      if (made) {
        const captures = outlined(made.whole, outer, locals, assigned, changing);
        if (captures) {
          moved.push({
            node: made.whole,
            name: undefined,
            stub: (i) => `${made.leaves ? "return " : ""}${caller}(${i},[${captures.join()}]);`,
            text: `(${captures.join()})=>{${source.slice(made.whole.start, made.whole.end)}}`,
          });
          for (const child of made.before) look(child, locals, changing);
          return;
        }
      }
    }
    if (isFunction(node)) {
      bodies.add(node.body);
      if (
        !methods.has(node) &&
        isCold(node) &&
        node.end - node.start >= MIN_LENGTH &&
        movable(node, outer, locals, assigned)
      ) {
        const own = node.type === "FunctionDeclaration" ? node.id?.name : undefined;
        const body = `function ${own ?? ""}()`;
        const whole = source.slice(node.start, node.end);
        moved.push({
          node,
          name: own !== undefined && outer.get(own)?.node === node ? own : undefined,
          stub: (i) =>
            own === undefined
              ? `(${body}{return ${caller}(${i},arguments)})`
              : `${body}{return ${caller}(${i},arguments)}`,
          text: whole,
        });
        return;
      }
      if (
        methods.has(node) &&
        isCold(node) &&
        node.end - node.start >= MIN_LENGTH &&
        movableMethod(node, outer, locals, assigned)
      ) {
        moved.push({
          node,
          name: undefined,
          stub: (i) => `(){return ${caller}(${i},arguments,this)}`,
          text: `function${source.slice(node.start, node.end)}`,
        });
        return;
      }
      const inner = new Set([...locals, ...namesWithin(node)]);
      for (const child of children(node)) look(child, inner, changing);
      return;
    }
    if (node.type === "MethodDefinition" || (node.type === "Property" && (node.method || node.kind !== "init")))
      methods.add(node.value);
    for (const value of values(node)) anchors.add(value);
    for (const child of children(node)) look(child, locals, changing);
  };
  // Whoever imports the bundle calls its exports outside of `whenLoaded`.
  const exported = new Set(units.filter((unit) => unit.names.length === 0).flatMap((unit) => [...unit.refs]));
  for (const { node, names } of units)
    if (!names.some((name) => exported.has(name))) look(node, new Set(), new Set(assignments(node)));
  moved.sort((a, b) => a.node.start - b.node.start);
  const index = new Map(moved.map((m, i) => [m.node, i]));
  const stays = (node: Range): string => {
    const inside = moved.filter((m) => node.start <= m.node.start && m.node.end <= node.end);
    let text = source.slice(node.start, node.end);
    for (const m of inside.toReversed()) {
      const stub = m.stub(index.get(m.node) ?? -1);
      const [from, to] = [m.node.start - node.start, m.node.end - node.start];
      text = text.slice(0, from) + stub + text.slice(to);
    }
    return text;
  };

  // What the main part still needs, from its exports and its statements on.
  const texts = new Map(units.map((unit) => [unit, stays(unit.node)]));
  const needs = new Map(
    units.map((unit) => [
      unit,
      moved.some((m) => unit.node.start <= m.node.start && m.node.end <= unit.node.end)
        ? referencesOf(texts.get(unit) ?? "")
        : unit.refs,
    ]),
  );
  const inMain = new Set<(typeof units)[number]>();
  // An import cannot be assigned to: what assigns to a variable of the main part is there as well.
  const reach = (from: readonly (typeof units)[number][]): void => {
    const queue = [...from];
    for (let unit = queue.pop(); unit; unit = queue.pop()) {
      if (inMain.has(unit)) continue;
      inMain.add(unit);
      for (const name of needs.get(unit) ?? []) {
        const next = outer.get(name);
        if (next && !inMain.has(next)) queue.push(next);
      }
    }
  };
  const assigns = (unit: (typeof units)[number]): boolean =>
    assignments(unit.node).some((name) => {
      const target = outer.get(name);
      return assigned.has(name) && target !== undefined && target !== unit && inMain.has(target);
    });
  reach(units.filter((unit) => unit.names.length === 0));
  for (
    let more = units.filter((u) => !inMain.has(u) && assigns(u));
    more.length > 0;
    more = units.filter((u) => !inMain.has(u) && assigns(u))
  )
    reach(more);
  const lateUnits = units.filter((unit) => !inMain.has(unit));
  const lateNames = new Set(lateUnits.flatMap((unit) => unit.names));
  // A moved function that only the rest calls needs no place of its own there.
  const extracted = moved.filter((m) => m.name === undefined || !lateNames.has(m.name));
  const lateTexts = [
    ...lateUnits.map((unit) => source.slice(unit.node.start, unit.node.end)),
    ...extracted.filter((m) => m.name !== undefined).map((m) => source.slice(m.node.start, m.node.end)),
  ];
  const table = moved.map((m) => (m.name !== undefined ? m.name : extracted.includes(m) ? `(${m.text})` : "0"));
  const restCode = `${lateTexts.join("\n")}\nexport default [${table.join(",\n")}];\n`;
  const local = new Set([...lateNames, ...extracted.flatMap((m) => (m.name === undefined ? [] : [m.name]))]);
  const shared = [...referencesOf(restCode)].filter((name) => outer.has(name) && !local.has(name)).sort();
  const main = `${units.flatMap((unit) => (inMain.has(unit) ? [texts.get(unit)] : [])).join("\n")}\nexport {${shared.map((name, i) => `${name} as $${i.toString(36)}`).join(",")}};\n`;
  const imports = `import {${shared.map((name, i) => `$${i.toString(36)} as ${name}`).join(",")}} from "./index.js";\n`;
  return {
    main,
    rest: imports + restCode,
    moved: moved.length,
  };
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
