/** What `page-split.ts` asks of a syntax tree: the names in it, and whether a piece of it can be a function elsewhere. */
import type { Node } from "estree";
import { parseAst } from "rollup/parseAst";

export interface Range {
  readonly start: number;
  readonly end: number;
}
export type Placed = Node & Range;
export type AnyFunction = Placed & {
  readonly type: "FunctionDeclaration" | "FunctionExpression" | "ArrowFunctionExpression";
};

/** Expressions in the node that are evaluated for their values. */
export function values(node: Placed): readonly (Node | null)[] {
  switch (node.type) {
    case "ReturnStatement":
    case "ThrowStatement":
    case "SpreadElement":
      return [node.argument ?? null];
    case "UnaryExpression":
      return /^[a-z]/.test(node.operator) ? [] : [node.argument];
    case "ExpressionStatement":
      return [node.expression];
    case "IfStatement":
      return [node.test];
    case "SwitchStatement":
      return [node.discriminant];
    case "ConditionalExpression":
      return [node.test, node.consequent, node.alternate];
    case "LogicalExpression":
    case "BinaryExpression":
      return [node.left as Node, node.right];
    case "AssignmentExpression":
      return [node.right];
    case "CallExpression":
    case "NewExpression":
      return node.arguments;
    case "ArrayExpression":
      return node.elements;
    case "ObjectExpression":
      return node.properties.flatMap((p) => (p.type === "Property" && !p.shorthand ? [p.value] : []));
    case "TemplateLiteral":
      return node.expressions;
    case "ForOfStatement":
      return [node.right];
    case "VariableDeclarator":
      return [node.init ?? null];
    case "ArrowFunctionExpression":
      return node.expression ? [node.body] : [];
    default:
      return [];
  }
}

export function hasFunction(node: Placed): boolean {
  return isFunction(node) || children(node).some(hasFunction);
}

export function isFunction(node: Node): node is AnyFunction {
  return /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}

export function children(node: Node): readonly Placed[] {
  return Object.values(node).flatMap((value: unknown) => (Array.isArray(value) ? value : [value]).filter(isNode));
}

function isNode(value: unknown): value is Placed {
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

export function statements(code: string): readonly Placed[] {
  return (parseAst(code) as unknown as { readonly body: readonly Placed[] }).body;
}

export function patternNames(node: Placed): string[] {
  if (node.type === "Identifier") return [node.name];
  if (node.type === "AssignmentPattern") return patternNames(node.left as Placed);
  return parts(node).flatMap(patternNames);
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

/** Does it use the `this` of the function around it? `top`: it is a function whose own `this` counts. */
export function usesThis(node: Placed, top: boolean): boolean {
  if (node.type === "ThisExpression") return true;
  if (!top && (node.type === "FunctionExpression" || node.type === "FunctionDeclaration")) return false;
  return parts(node).some((child) => usesThis(child, false));
}

/** Does it have what only its function or its class may: `arguments`, `await`, `super`, private names? */
export function needsItsFunction(node: Placed): boolean {
  if (/^(?:Super|MetaProperty|PrivateIdentifier|PrivateName|AwaitExpression|YieldExpression)$/.test(node.type))
    return true;
  if (node.type === "Identifier" && node.name === "arguments") return true;
  if (node.type === "MemberExpression" && (node.property as Node).type.startsWith("Private")) return true;
  return parts(node).some(needsItsFunction);
}
