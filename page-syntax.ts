/** What `page-split.ts` asks of a syntax tree: the names in it, and whether a piece of it can be a function elsewhere. */
import type { Node } from "estree";
import { parseAst } from "rollup/parseAst";

export interface Range {
  readonly start: number;
  readonly end: number;
}
export type Placed = Node & Range;
export type Function = Placed & {
  readonly type: "FunctionDeclaration" | "FunctionExpression" | "ArrowFunctionExpression";
};

/** Expressions in the node that are evaluated for their values, on a branch of their own. */
export function values(node: Placed): readonly (Node | null)[] {
  switch (node.type) {
    case "ReturnStatement":
    case "ThrowStatement":
      return [node.argument ?? null];
    case "ExpressionStatement":
      return [node.expression];
    case "ConditionalExpression":
      return [node.consequent, node.alternate];
    case "LogicalExpression":
      return [node.right];
    case "VariableDeclarator":
      return [node.init ?? null];
    case "ArrowFunctionExpression":
      return node.expression ? [node.body] : [];
    default:
      return [];
  }
}

/**
 * The names of the function around it that an expression reads, if it can be evaluated elsewhere with their values; undefined if it assigns to
 * one, keeps one in a function while it changes, or needs `this`.
 */
export function outlined(
  node: Placed,
  outer: ReadonlyMap<string, unknown>,
  locals: ReadonlySet<string>,
  assigned: ReadonlySet<string>,
  changing: ReadonlySet<string>,
): readonly string[] | undefined {
  const own = new Set(namesWithin(node));
  const captures = [...references(node)].filter((name) => !own.has(name) && !outer.has(name) && locals.has(name));
  const targets = assignments(node).filter((name) => !own.has(name));
  if (targets.some((name) => assigned.has(name) || captures.includes(name))) return undefined;
  if (usesThis(node, false) || node.type === "AwaitExpression") return undefined;
  if (hasFunction(node) && captures.some((name) => changing.has(name))) return undefined;
  return captures;
}

/** The last statements, none of which ran. */
export function tail(list: readonly Placed[], isCold: (node: Range) => boolean): readonly Placed[] {
  return list.slice(list.findLastIndex((node) => !isCold(node)) + 1);
}

export function hasFunction(node: Placed): boolean {
  return isFunction(node) || children(node).some(hasFunction);
}

/** A method may use `this`, but nothing that only a class may name. */
export function movableMethod(
  node: Function,
  outer: ReadonlyMap<string, unknown>,
  locals: ReadonlySet<string>,
  assigned: ReadonlySet<string>,
): boolean {
  const own = new Set(namesWithin(node));
  if (node.async || node.generator || hasPrivate(node)) return false;
  if (assignments(node).some((name) => assigned.has(name) && !own.has(name))) return false;
  return [...references(node)].every((name) => own.has(name) || outer.has(name) || !locals.has(name));
}

export function hasPrivate(node: Placed): boolean {
  return (
    /^(?:Super|MetaProperty|PrivateIdentifier|PrivateName|AwaitExpression|YieldExpression)$/.test(node.type) ||
    children(node).some(hasPrivate)
  );
}

export function isFunction(node: Node): node is Function {
  return /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}

export function children(node: Node): readonly Placed[] {
  return Object.values(node).flatMap((value: unknown) => (Array.isArray(value) ? value : [value]).filter(isNode));
}

export function isNode(value: unknown): value is Placed {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

/** Children that are expressions or patterns: names of properties are left out. */
export function parts(node: Placed): readonly Placed[] {
  if (node.type === "MemberExpression" && !node.computed) return [node.object as Placed];
  if (
    (node.type === "Property" || node.type === "MethodDefinition" || node.type === "PropertyDefinition") &&
    !node.computed
  )
    return node.value ? [node.value as Placed] : [];
  if (node.type === "ExportSpecifier") return [node.local as Placed];
  if (/^(?:LabeledStatement|BreakStatement|ContinueStatement)$/.test(node.type))
    return node.type === "LabeledStatement" ? [node.body as Placed] : [];
  return children(node);
}

/** All names that stand for values anywhere in the node, those that it declares included. */
export function references(node: Placed, found: Set<string> = new Set()): Set<string> {
  if (node.type === "Identifier") found.add(node.name);
  for (const part of parts(node)) references(part, found);
  return found;
}

export function statements(code: string): readonly Placed[] {
  return (parseAst(code) as unknown as { readonly body: readonly Placed[] }).body;
}

export function referencesOf(code: string): Set<string> {
  const found = new Set<string>();
  for (const node of statements(code)) references(node, found);
  return found;
}

export function patternNames(node: Placed): string[] {
  if (node.type === "Identifier") return [node.name];
  if (node.type === "AssignmentPattern") return patternNames(node.left as Placed);
  return parts(node).flatMap(patternNames);
}

/** The names that a statement of the module declares. */
export function declared(node: Placed): string[] {
  if (node.type === "VariableDeclaration") return node.declarations.flatMap((d) => patternNames(d.id as Placed));
  if (node.type === "FunctionDeclaration" || node.type === "ClassDeclaration") return node.id ? [node.id.name] : [];
  return [];
}

/** Every name that is declared somewhere inside the function. */
export function namesWithin(node: Placed): string[] {
  const own: string[] = [];
  const walk = (n: Placed): void => {
    if (n.type === "VariableDeclarator") own.push(...patternNames(n.id as Placed));
    if (isFunction(n) || n.type === "ClassDeclaration" || n.type === "ClassExpression") {
      if ("id" in n && n.id && n !== node) own.push(n.id.name);
      if (isFunction(n)) own.push(...n.params.flatMap((p) => patternNames(p as Placed)));
    }
    if (n.type === "CatchClause" && n.param) own.push(...patternNames(n.param as Placed));
    for (const child of children(n)) walk(child);
  };
  walk(node);
  return own;
}

/** The module's names that are assigned to after their declaration: an import of them could not be. */
export function assignedNames(body: readonly Placed[], outer: ReadonlyMap<string, unknown>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const node of body) for (const name of assignments(node)) if (outer.has(name)) found.add(name);
  return found;
}

export function assignments(node: Placed): string[] {
  const own =
    node.type === "AssignmentExpression"
      ? patternTargets(node.left as Placed)
      : node.type === "UpdateExpression"
        ? patternTargets(node.argument as Placed)
        : [];
  return [...own, ...children(node).flatMap(assignments)];
}

export function patternTargets(node: Placed): string[] {
  return node.type === "MemberExpression" ? [] : patternNames(node);
}

/** Does the function refer to nothing but its own names, the module's and globals, and assign to none of the module's? */
export function movable(
  node: Function,
  outer: ReadonlyMap<string, unknown>,
  locals: ReadonlySet<string>,
  assigned: ReadonlySet<string>,
): boolean {
  if (node.async || node.generator) return false;
  const own = new Set(namesWithin(node));
  if (assignments(node).some((name) => assigned.has(name) && !own.has(name))) return false;
  for (const name of references(node)) if (!own.has(name) && !outer.has(name) && locals.has(name)) return false;
  return !usesThis(node, true);
}

export function usesThis(node: Placed, top: boolean): boolean {
  if (
    /^(?:ThisExpression|Super|MetaProperty|YieldExpression|AwaitExpression|PrivateIdentifier|PrivateName)$/.test(
      node.type,
    )
  )
    return true;
  if (node.type === "Identifier" && node.name === "arguments") return true;
  if (node.type === "MemberExpression" && (node.property as Node).type.startsWith("Private")) return true;
  if (!top && (node.type === "FunctionExpression" || node.type === "FunctionDeclaration")) return false;
  return parts(node).some((child) => usesThis(child, false));
}

/** Does control leave the statement for a loop or a switch around it? */
export function escapes(node: Placed, inLoop = false, inSwitch = false): boolean {
  if (isFunction(node)) return false;
  if (node.type === "BreakStatement") return node.label ? true : !inLoop && !inSwitch;
  if (node.type === "ContinueStatement") return node.label ? true : !inLoop;
  const loop = inLoop || /^(?:For|While|DoWhile|ForOf|ForIn)Statement$/.test(node.type);
  return children(node).some((child) => escapes(child, loop, inSwitch || node.type === "SwitchStatement"));
}

export function returns(node: Placed): boolean {
  return node.type === "ReturnStatement" || (!isFunction(node) && children(node).some(returns));
}

/** Does control never go past the statement? False where it is not plain. */
export function ends(node: Placed | undefined): boolean {
  switch (node?.type) {
    case "ReturnStatement":
    case "ThrowStatement":
      return true;
    case "BlockStatement":
      return ends(node.body.at(-1) as Placed | undefined);
    case "IfStatement":
      return ends(node.consequent as Placed) && ends((node.alternate ?? undefined) as Placed | undefined);
    default:
      return false;
  }
}
