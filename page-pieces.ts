/** Finds the pieces of a bundle that never ran and can be functions elsewhere: functions, expressions, ends of blocks, cases of a switch. */
import type { Node, SwitchCase } from "estree";
import { declaredIn, free, freeOf, type Local, localsIn } from "./page-scopes.ts";
import {
  type AnyFunction,
  children,
  ends,
  escapes,
  hasFunction,
  isFunction,
  needsItsFunction,
  type Placed,
  type Range,
  returns,
  usesThis,
  values,
} from "./page-syntax.ts";

/** Characters, minified: a smaller function costs as much to call from elsewhere as to have. */
const LEAST = {
  function: 8,
  expression: 14,
  statements: 16,
  cases: 16,
};

export interface Piece {
  /** What leaves the main part. */
  readonly ranges: readonly Range[];
  /** What stands in the place of the first range, given what calls the piece. */
  readonly stub: (callee: string) => string;
  /** A function that does it. */
  readonly text: string;
  /** Of a function that a statement of the module is: all that refers to it calls the piece. */
  readonly name?: string;
}

export interface Module {
  readonly source: string;
  /** The names that the module declares. */
  readonly names: ReadonlySet<string>;
  readonly isCold: (range: Range) => boolean;
}

type Locals = ReadonlyMap<string, Local>;

/** The pieces of a statement of the module, none inside another. */
export function pieces(m: Module, statement: Placed): readonly Piece[] {
  const found: Piece[] = [];
  /** Expressions that are evaluated for their values. */
  const anchors = new Set<Node | null>();
  const bodies = new Set<Node | null>();
  const methods = new Set<Node | null>();
  const look = (node: Placed, locals: Locals): void => {
    // Only what is synchronous can be given up and begun anew.
    if (isFunction(node) && node.async) return;
    const inner = localsIn(node, locals);
    const piece = methods.has(node)
      ? undefined
      : isFunction(node)
        ? functionPiece(m, node, locals, node === statement)
        : node.type === "BlockStatement"
          ? tailPiece(m, node, inner, bodies.has(node))
          : node.type === "SwitchStatement"
            ? casesPiece(m, node, locals)
            : node.type === "Property" || node.type === "MethodDefinition"
              ? methodPiece(m, node, locals)
              : anchors.has(node)
                ? expressionPiece(m, node, locals)
                : undefined;
    if (piece) found.push(piece);
    if (isFunction(node)) bodies.add(node.body);
    if (node.type === "MethodDefinition" || (node.type === "Property" && (node.method || node.kind !== "init")))
      methods.add(node.value);
    for (const value of values(node)) anchors.add(value);
    for (const child of children(node))
      if (!piece?.ranges.some((r) => r.start <= child.start && child.end <= r.end)) look(child, inner);
  };
  look(statement, new Map());
  return found;
}

/** The characters that a minifier leaves of it, about: names have two, and there is no white space. */
function shortened(m: Module, range: Range): number {
  return m.source
    .slice(range.start, range.end)
    .replaceAll(/(?<![.\w$"])[A-Za-z_$][\w$]{2,}(?!["\w$])/g, "ab")
    .replaceAll(/\s+/g, "").length;
}

/** A function that uses no name of one around it. */
function isMovable(m: Module, node: AnyFunction, locals: Locals): boolean {
  if (node.generator || !m.isCold(node)) return false;
  const { names, assigned } = free(node);
  return ![...names].some((name) => locals.has(name)) && ![...assigned].some((name) => m.names.has(name));
}

function functionPiece(m: Module, node: AnyFunction, locals: Locals, outermost: boolean): Piece | undefined {
  if (!isMovable(m, node, locals) || usesThis(node, true) || needsItsFunction(node)) return undefined;
  const text = m.source.slice(node.start, node.end);
  if (node.type !== "FunctionDeclaration")
    return shortened(m, node) < LEAST.function ? undefined : { ranges: [node], stub: (callee) => callee, text };
  const name = node.id?.name ?? "";
  if (outermost) return { ranges: [node], stub: () => "", text, name };
  return { ranges: [node], stub: (callee) => `function ${name}() { return ${callee}(...arguments); }`, text };
}

/** A method may use `this`, but nothing that only a class may name. */
function methodPiece(
  m: Module,
  node: Placed & { readonly type: "Property" | "MethodDefinition" },
  locals: Locals,
): Piece | undefined {
  const value = node.value as Placed;
  const isMethod = node.type === "MethodDefinition" || node.method || node.kind !== "init";
  if (!isMethod || !isFunction(value) || node.kind === "constructor" || node.kind === "set") return undefined;
  if (!isMovable(m, value, locals) || needsItsFunction(value)) return undefined;
  const text = `function${m.source.slice(value.start, value.end)}`;
  if (node.type === "Property" && node.method)
    return {
      ranges: [{ start: (node.key as Placed).end + (node.computed ? 1 : 0), end: node.end }],
      stub: (callee) => `: ${callee}`,
      text,
    };
  const given = value.params.length === 0 ? "" : ", ...arguments";
  return {
    ranges: [value],
    stub: (callee) => `() { return ${callee}.call(this${given}); }`,
    text,
  };
}

interface Outlined {
  readonly call: (callee: string) => string;
  /** The function around the text of the piece. */
  readonly head: string;
}

/** How a piece of a function becomes a function of the names that it uses; undefined if it cannot. */
function outlined(m: Module, nodes: readonly Placed[], locals: Locals): Outlined | undefined {
  const { names, assigned } = freeOf(nodes, new Set(declaredIn(nodes).keys()));
  if ([...assigned].some((name) => m.names.has(name) || locals.has(name))) return undefined;
  if (nodes.some(needsItsFunction)) return undefined;
  const start = nodes[0]?.start ?? 0;
  const makes = nodes.some(hasFunction);
  const captures: string[] = [];
  for (const name of names) {
    const local = locals.get(name);
    if (!local || m.names.has(name)) continue;
    if (local.from > start || local.changes === "in functions" || (makes && local.changes === "here")) return undefined;
    captures.push(name);
  }
  const own = nodes.some((node) => usesThis(node, false));
  const list = captures.join(", ");
  return own
    ? { call: (callee) => `${callee}.call(${["this", ...captures].join(", ")})`, head: `function (${list})` }
    : { call: (callee) => `${callee}(${list})`, head: `(${list}) =>` };
}

function expressionPiece(m: Module, node: Placed, locals: Locals): Piece | undefined {
  if (isFunction(node) || /^(?:ClassExpression|SpreadElement)$/.test(node.type) || !m.isCold(node)) return undefined;
  if (shortened(m, node) < LEAST.expression) return undefined;
  const made = outlined(m, [node], locals);
  const text = m.source.slice(node.start, node.end);
  return made && { ranges: [node], stub: made.call, text: `${made.head} { return (${text}); }` };
}

/** The end of a block that did not run. */
function tailPiece(
  m: Module,
  node: Placed & { readonly type: "BlockStatement" },
  locals: Locals,
  isBody: boolean,
): Piece | undefined {
  const all = node.body as unknown as readonly Placed[];
  const cold = all.slice(all.findLastIndex((child) => !m.isCold(child)) + 1);
  const jumps = /^(?:Break|Continue)Statement$/.test(cold.at(-1)?.type ?? "");
  const list = jumps ? cold.slice(0, -1) : cold;
  const [first, last] = [list[0], list.at(-1)];
  if (!first || !last) return undefined;
  const range = { start: first.start, end: last.end };
  if (shortened(m, range) < LEAST.statements || list.some((child) => escapes(child))) return undefined;
  const leaves = list.some(returns);
  if (leaves && (jumps || !(isBody || ends(last)))) return undefined;
  const before = freeOf(all.slice(0, all.length - cold.length));
  if ([...declaredIn(list).keys()].some((name) => before.names.has(name))) return undefined;
  const made = outlined(m, list, locals);
  return (
    made && {
      ranges: [range],
      stub: (callee) => `${leaves ? "return " : ""}${made.call(callee)};`,
      text: `${made.head} {${m.source.slice(range.start, range.end)}}`,
    }
  );
}

/** The cases of a switch that did not run, as a switch of their own in the place of its default. */
function casesPiece(m: Module, node: Placed & { readonly type: "SwitchStatement" }, locals: Locals): Piece | undefined {
  if (!isPlain(node.discriminant as Placed)) return undefined;
  // Cases that fall into one another stay together.
  const groups: (SwitchCase & Range)[][] = [[]];
  for (const c of node.cases as unknown as readonly (SwitchCase & Range)[]) {
    groups.at(-1)?.push(c);
    if (leavesCase(c)) groups.push([]);
  }
  const cold = groups.filter(
    (group) =>
      group.length > 0 &&
      group.some((c) => c.consequent.length > 0) &&
      group.every((c) => c.consequent.every((s) => m.isCold(s as Placed)) && (!c.test || isPlain(c.test as Placed))),
  );
  const moved = cold.flat();
  const statements = moved.flatMap((c) => c.consequent) as unknown as readonly Placed[];
  const leaves = statements.some(returns);
  if (leaves && !cold.every((group) => ends(group.at(-1)?.consequent.at(-1) as Placed | undefined))) return undefined;
  if (statements.some((s) => escapes(s, false, true))) return undefined;
  const { names } = freeOf(statements, new Set(declaredIn(statements).keys()));
  const shared = declaredIn(
    node.cases.flatMap((c) =>
      moved.includes(c as SwitchCase & Range) ? [] : c.consequent,
    ) as unknown as readonly Placed[],
  );
  if ([...names].some((name) => shared.has(name))) return undefined;
  if (moved.reduce((sum, c) => sum + shortened(m, c), 0) < LEAST.cases) return undefined;
  const made = outlined(m, [{ ...node, cases: moved } as unknown as Placed], locals);
  if (!made) return undefined;
  const slice = (r: Range): string => m.source.slice(r.start, r.end);
  // What is no case at all must go on after the switch.
  const anyOther = moved.some((c) => !c.test) || (!leaves && node.cases.every((c) => c.test));
  const labels = anyOther ? "default:" : moved.map((c) => `case ${slice(c.test as Placed)}:`).join(" ");
  return {
    ranges: moved,
    stub: (callee) => `${labels} ${leaves ? "return " : ""}${made.call(callee)};${leaves ? "" : " break;"}`,
    text: `${made.head} {switch (${slice(node.discriminant as Placed)}) {${moved.map(slice).join("\n")}}}`,
  };
}

function leavesCase(c: SwitchCase): boolean {
  const list = c.consequent as unknown as readonly Placed[];
  const last = list.at(-1);
  const end = last?.type === "BlockStatement" ? ((last.body as unknown as readonly Placed[]).at(-1) ?? last) : last;
  return ends(last) || /^(?:Break|Continue)Statement$/.test(end?.type ?? "");
}

/** Can it be evaluated again, and does it do nothing? */
function isPlain(node: Placed): boolean {
  if (node.type === "MemberExpression") return !node.computed && isPlain(node.object as Placed);
  return node.type === "Identifier" || node.type === "Literal" || node.type === "ThisExpression";
}
