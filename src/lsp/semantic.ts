/** Colours by meaning, where the grammar of words and signs (editors/vscode/syntaxes) cannot know it. */
import { type SemanticTokens, SemanticTokensBuilder, type SemanticTokensLegend } from "vscode-languageserver";
import type { Analysis } from "./analysis.ts";
import type { Declared, Occurrence } from "./names.ts";
import { linesOf, positionAt } from "./position.ts";
import { meaningOf } from "./resolve.ts";
import type { Workspace } from "./workspace.ts";

const TYPES = ["function", "parameter", "variable", "property", "type", "typeParameter", "decorator"] as const;
const MODIFIERS = ["declaration", "readonly", "defaultLibrary", "index"] as const;
type TokenType = (typeof TYPES)[number];
type Modifier = (typeof MODIFIERS)[number];

export const LEGEND: SemanticTokensLegend = { tokenTypes: [...TYPES], tokenModifiers: [...MODIFIERS] };

interface Token {
  readonly type: TokenType;
  readonly modifiers: readonly Modifier[];
}

export function semanticTokens(
  w: Workspace,
  a: Analysis,
  from: number = 0,
  to: number = Number.POSITIVE_INFINITY,
): SemanticTokens {
  const lines = linesOf(a.module.module);
  const builder = new SemanticTokensBuilder();
  let last = -1;
  for (const o of w.bindings(a.module).occurrences) {
    const { start, end } = o.name.span;
    if (start < from || end > to || start <= last) continue;
    const token = tokenOf(w, a, o);
    if (!token) continue;
    last = start;
    const { line, character } = positionAt(lines, start);
    const modifiers = token.modifiers.reduce((bits, m) => bits | (1 << MODIFIERS.indexOf(m)), 0);
    builder.push(line, character, end - start, TYPES.indexOf(token.type), modifiers);
  }
  return builder.build();
}

function tokenOf(w: Workspace, a: Analysis, o: Occurrence): Token | undefined {
  const isDeclaration = o.role === "declaration" || o.role === "shorthandDeclaration";
  const own: readonly Modifier[] = isDeclaration ? ["declaration"] : [];
  switch (o.role) {
    case "type":
      return { type: "type", modifiers: ["defaultLibrary"] };
    case "field":
      return { type: "property", modifiers: [] };
    case "attribute":
      return { type: "decorator", modifiers: [] };
    case "reducer":
      return { type: "function", modifiers: ["defaultLibrary"] };
    case "argument":
    case "quoted":
      return { type: "parameter", modifiers: [] };
    case "declaration":
    case "use":
    case "shorthandUse":
    case "shorthandDeclaration":
    case "imported": {
      const meaning = meaningOf(w, a.module, o);
      if (meaning.kind === "builtin") return { type: "function", modifiers: ["defaultLibrary"] };
      if (meaning.kind === "unknown") return undefined;
      const library: readonly Modifier[] = meaning.module.isStd ? ["defaultLibrary"] : [];
      const { type, modifiers } = TOKENS[meaning.declared.kind];
      const isFunction = type === "variable" && isDerived(meaning.declared);
      return { type: isFunction ? "function" : type, modifiers: [...own, ...modifiers, ...library] };
    }
    default:
      return o.role satisfies never;
  }
}

/** `let step = grad(loss)` names a function. */
function isDerived(d: Declared): boolean {
  return d.kind === "value" && d.item?.kind === "letItem" && d.item.value.kind === "call";
}

const TOKENS: Readonly<Record<Declared["kind"], Token>> = {
  function: { type: "function", modifiers: [] },
  value: { type: "variable", modifiers: ["readonly"] },
  import: { type: "function", modifiers: [] },
  parameter: { type: "parameter", modifiers: [] },
  constant: { type: "parameter", modifiers: ["readonly"] },
  local: { type: "variable", modifiers: [] },
  index: { type: "variable", modifiers: ["index"] },
  extent: { type: "typeParameter", modifiers: [] },
};
