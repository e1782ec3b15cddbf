/** Which names a piece of code uses from around it, by JavaScript's scopes. */
import type { Node } from "estree";
import { children, isFunction, type Placed, parts, patternNames } from "./page-syntax.ts";

interface Free {
  /** Names that stand for values, those that are assigned to included. */
  readonly names: ReadonlySet<string>;
  readonly assigned: ReadonlySet<string>;
  /** Assigned to by a function inside, so that any call may change them. */
  readonly assignedInFunctions: ReadonlySet<string>;
}

/** A name of a function around a piece of code. */
export interface Local {
  /** Where it has a value from; 0 for functions and parameters. */
  readonly from: number;
  readonly changes: "never" | "here" | "in functions";
}

const found = new WeakMap<Node, Free>();

/** What the node uses that is not declared in it. */
export function free(node: Placed): Free {
  let known = found.get(node);
  if (!known) {
    known = freeAnew(node);
    found.set(node, known);
  }
  return known;
}

/** The same of several statements of one block, or of other parts of one node. */
export function freeOf(nodes: readonly Placed[], declared: ReadonlySet<string> = new Set()): Free {
  const all = nodes.map(free);
  const union = (of: (f: Free) => ReadonlySet<string>): ReadonlySet<string> =>
    new Set(all.flatMap((f) => [...of(f)]).filter((name) => !declared.has(name)));
  return {
    names: union((f) => f.names),
    assigned: union((f) => f.assigned),
    assignedInFunctions: union((f) => f.assignedInFunctions),
  };
}

function freeAnew(node: Placed): Free {
  if (node.type === "Identifier")
    return { names: new Set([node.name]), assigned: new Set(), assignedInFunctions: new Set() };
  const inner = freeOf(parts(node), new Set(bindings(node).keys()));
  if (isFunction(node)) return { ...inner, assignedInFunctions: inner.assigned };
  const targets =
    node.type === "AssignmentExpression"
      ? targetNames(node.left as Placed)
      : node.type === "UpdateExpression"
        ? targetNames(node.argument as Placed)
        : (node.type === "ForOfStatement" || node.type === "ForInStatement") && node.left.type !== "VariableDeclaration"
          ? targetNames(node.left as Placed)
          : [];
  return targets.length === 0 ? inner : { ...inner, assigned: new Set([...inner.assigned, ...targets]) };
}

function targetNames(node: Placed): string[] {
  return node.type === "MemberExpression" ? [] : patternNames(node);
}

/** The names that a node declares for what is in it, and from where on they have values. */
function bindings(node: Placed): ReadonlyMap<string, number> {
  if (isFunction(node))
    return new Map([
      ...(node.type === "FunctionExpression" && node.id ? [node.id.name] : []).map((name) => [name, 0] as const),
      ...node.params.flatMap((p) => patternNames(p as Placed)).map((name) => [name, 0] as const),
      ...variables(node.body as Placed).map((name) => [name, Number.POSITIVE_INFINITY] as const),
    ]);
  switch (node.type) {
    case "BlockStatement":
      return declaredIn(node.body as unknown as readonly Placed[]);
    case "SwitchStatement":
      return declaredIn(node.cases.flatMap((c) => c.consequent) as unknown as readonly Placed[]);
    case "ForStatement":
      return node.init ? declaredIn([node.init as Placed]) : new Map();
    case "ForOfStatement":
    case "ForInStatement":
      return new Map(patternsOf(node.left as Placed).map((name) => [name, 0]));
    case "CatchClause":
      return new Map((node.param ? patternNames(node.param as Placed) : []).map((name) => [name, 0]));
    case "ClassExpression":
      return new Map(node.id ? [[node.id.name, 0]] : []);
    default:
      return new Map();
  }
}

function patternsOf(node: Placed): string[] {
  return node.type === "VariableDeclaration" ? node.declarations.flatMap((d) => patternNames(d.id as Placed)) : [];
}

/** What the statements declare for the block that they stand in. */
export function declaredIn(list: readonly Placed[]): ReadonlyMap<string, number> {
  return new Map(
    list.flatMap((node) => {
      if (node.type === "VariableDeclaration") return patternsOf(node).map((name) => [name, node.end] as const);
      if (node.type === "FunctionDeclaration" && node.id) return [[node.id.name, 0] as const];
      if (node.type === "ClassDeclaration" && node.id) return [[node.id.name, node.end] as const];
      return [];
    }),
  );
}

/** Names declared by `var` somewhere in a function. */
function variables(node: Placed): string[] {
  if (isFunction(node)) return [];
  const own = node.type === "VariableDeclaration" && node.kind === "var" ? patternsOf(node) : [];
  return [...own, ...children(node).flatMap(variables)];
}

/** The names around what is in a node, given those around the node. */
export function localsIn(node: Placed, around: ReadonlyMap<string, Local>): ReadonlyMap<string, Local> {
  const own = bindings(node);
  if (own.size === 0) return around;
  const { assigned, assignedInFunctions } = freeOf(parts(node));
  return new Map([
    ...around,
    ...[...own].map(
      ([name, from]) =>
        [
          name,
          { from, changes: assignedInFunctions.has(name) ? "in functions" : assigned.has(name) ? "here" : "never" },
        ] as const,
    ),
  ]);
}
