/** Completion: what may be written at the cursor. */
import { readdirSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { type CompletionItem, CompletionItemKind, InsertTextFormat, type TextEdit } from "vscode-languageserver";
import { BUILTINS } from "../elaborate/builtins/index.ts";
import { LIBRARY, type NamedItem } from "../modules.ts";
import type { Analysis } from "./analysis.ts";
import { itemAt, parameterText, typeOfDeclared } from "./describe.ts";
import { headOf, type LibraryItem, libraryItems } from "./library.ts";
import type { Declared } from "./names.ts";
import { linesOf, positionAt } from "./position.ts";
import { functionOfDeclaration, parameterOfDeclaration } from "./resolve.ts";
import { type Call, textContext } from "./text-context.ts";
import { DERIVATIVE_DOCS, KEYWORD_DOCS, TYPE_DOCS } from "./words.ts";
import type { Workspace } from "./workspace.ts";

export function completion(w: Workspace, a: Analysis, offset: number): readonly CompletionItem[] {
  const { source } = a.module.module;
  const context = textContext(source, offset);
  switch (context.kind) {
    case "nothing":
    case "newName":
      return [];
    case "module":
      return modules(a, context.written);
    case "importedName":
      return exportsOf(w, a, context.from);
    case "field":
      return fields(w, a, context.of, offset);
    case "type":
      return types(context.isParameter);
    case "extent":
      return visibleAt(w, a, offset)
        .filter(
          (d) => d.kind === "extent" || d.kind === "constant" || (d.kind === "value" && d.item?.kind === "letItem"),
        )
        .map((d) => declaredItem(w, a, d));
    case "declaration":
      return keywords(["import", "export", "fn", "let", "const"]);
    case "expression": {
      const named = context.startsArgument && context.call ? namedArguments(w, a, context.call, offset) : [];
      return [...named, ...expressionItems(w, a, offset)];
    }
    default:
      return context satisfies never;
  }
}

// ---- Imports --------------------------------------------------------------------------------------------------------

function modules(a: Analysis, written: string): readonly CompletionItem[] {
  if (!written.startsWith(".")) {
    const std = LIBRARY.map((label): CompletionItem => ({ label, kind: CompletionItemKind.Module }));
    return written.startsWith("std") ? std : [...std, ...relativeModules(a, "./")];
  }
  return relativeModules(a, written.slice(0, written.lastIndexOf("/") + 1) || "./");
}

function relativeModules(a: Analysis, folder: string): readonly CompletionItem[] {
  const { file } = a.module;
  if (!isAbsolute(file)) return [];
  try {
    return readdirSync(join(dirname(file), folder), { withFileTypes: true }).flatMap((e): CompletionItem[] => {
      const path = join(dirname(file), folder, e.name);
      if (e.isDirectory() && !e.name.startsWith(".") && e.name !== "node_modules")
        return [{ label: `${folder}${e.name}/`, kind: CompletionItemKind.Folder }];
      return e.isFile() && e.name.endsWith(".ein") && path !== file
        ? [{ label: `${folder}${e.name}`, kind: CompletionItemKind.File }]
        : [];
    });
  } catch {
    return [];
  }
}

function exportsOf(w: Workspace, a: Analysis, from: string | undefined): readonly CompletionItem[] {
  if (from === undefined || from.startsWith("std/"))
    return libraryItems()
      .filter((l) => from === undefined || l.specifier === from)
      .map((l) => ({ ...libraryItem(l), detail: l.specifier }));
  if (!isAbsolute(a.module.file)) return [];
  const path = join(dirname(a.module.file), from.endsWith(".ein") ? from : `${from}.ein`);
  const items = [...(w.graph(path)?.entry.items.values() ?? [])].filter((i) => i.exported);
  return items.map((i) => ({ label: i.name.text, kind: kindOfItem(i), ...documented(i) }));
}

// ---- Expressions ----------------------------------------------------------------------------------------------------

const EXPRESSION_WORDS: readonly string[] = ["for", "iterate", "as", "div", "true", "false", "None", "inf", "nan"];

function expressionItems(w: Workspace, a: Analysis, offset: number): readonly CompletionItem[] {
  const visible = visibleAt(w, a, offset);
  const taken = new Set(visible.map((d) => d.name.text));
  const builtins = [...BUILTINS.values()].flatMap((b): CompletionItem[] => {
    if (taken.has(b.name)) return [];
    const at = b.doc.indexOf("): ");
    const doc = at < 0 ? "" : b.doc.slice(at + 3);
    return [
      {
        label: b.name,
        kind: CompletionItemKind.Function,
        detail: b.doc.slice(0, at + 1),
        sortText: `3${b.name}`,
        documentation: doc,
      },
    ];
  });
  const derivatives = [...DERIVATIVE_DOCS].map(
    ([label, d]): CompletionItem => ({
      label,
      kind: CompletionItemKind.Function,
      detail: d.signature,
      documentation: { kind: "markdown", value: d.doc },
      sortText: `3${label}`,
    }),
  );
  const known = new Set([...taken, ...BUILTINS.keys()]);
  const library = libraryItems()
    .filter((l) => !known.has(l.item.name.text))
    .map((l) => ({ ...libraryItem(l), additionalTextEdits: [importEdit(a, l)], sortText: `5${l.item.name.text}` }));
  const inFunction = itemAt(a, offset) !== undefined || /\S/.test(a.module.module.source.slice(0, offset));
  const words = keywords(inFunction ? ["let", "const", ...EXPRESSION_WORDS] : EXPRESSION_WORDS);
  return [...visible.map((d) => declaredItem(w, a, d)), ...builtins, ...derivatives, ...words, ...library];
}

/** Names that a scope gives at the offset, each once: the innermost. */
export function visibleAt(w: Workspace, a: Analysis, offset: number): readonly Declared[] {
  const names = new Map<string, Declared>();
  for (const d of w.bindings(a.module).declared) {
    if (offset < d.visible.start || offset > d.visible.end) continue;
    const old = names.get(d.name.text);
    const isInner = !old || d.visible.end - d.visible.start <= old.visible.end - old.visible.start;
    if (isInner) names.set(d.name.text, d);
  }
  return [...names.values()];
}

const KINDS: Readonly<Record<Declared["kind"], CompletionItemKind>> = {
  function: CompletionItemKind.Function,
  value: CompletionItemKind.Constant,
  import: CompletionItemKind.Function,
  parameter: CompletionItemKind.Variable,
  constant: CompletionItemKind.Constant,
  local: CompletionItemKind.Variable,
  index: CompletionItemKind.Variable,
  extent: CompletionItemKind.TypeParameter,
};

function declaredItem(w: Workspace, a: Analysis, d: Declared): CompletionItem {
  const isOuter = d.kind === "function" || d.kind === "value" || d.kind === "import";
  return {
    label: d.name.text,
    kind: KINDS[d.kind],
    sortText: `${isOuter ? 2 : 1}${d.name.text}`,
    ...detail(w, a, d),
  };
}

function detail(w: Workspace, a: Analysis, d: Declared): { detail?: string; documentation?: string } {
  const p = parameterOfDeclaration(d);
  if (p) return { detail: parameterText(a.module, p) };
  const found = functionOfDeclaration(w, a.module, d);
  if (found && !found.derivative) {
    const doc = found.item.doc;
    return { detail: headOf(found.item, found.module.module.source), ...(doc ? { documentation: doc } : {}) };
  }
  const type = typeOfDeclared(a, a.module, d) ?? (d.kind === "extent" ? "extent" : undefined);
  return type ? { detail: d.kind === "index" ? `in ${type}` : type } : {};
}

function kindOfItem(i: NamedItem): CompletionItemKind {
  return i.kind === "fn" ? CompletionItemKind.Function : CompletionItemKind.Constant;
}

function documented(i: NamedItem): { documentation?: string } {
  return i.doc ? { documentation: i.doc } : {};
}

function libraryItem(l: LibraryItem): CompletionItem {
  return {
    label: l.item.name.text,
    kind: kindOfItem(l.item),
    labelDetails: { description: l.specifier },
    ...(l.item.kind === "fn" ? { detail: headOf(l.item, l.source) } : {}),
    ...documented(l.item),
  };
}

/** Adds the name to an import of the module, or a line after the other imports. */
function importEdit(a: Analysis, l: LibraryItem): TextEdit {
  const { module } = a.module;
  const lines = linesOf(module);
  const imports = module.items.filter((i) => i.kind === "import");
  const same = imports.find((i) => i.from.text === l.specifier);
  const lastName = same?.names[same.names.length - 1];
  const name = l.item.name.text;
  if (lastName) {
    const at = positionAt(lines, (lastName.alias ?? lastName.name).span.end);
    return { range: { start: at, end: at }, newText: `, ${name}` };
  }
  const last = imports[imports.length - 1];
  const at = last ? positionAt(lines, last.span.end) : { line: 0, character: 0 };
  const line = `import { ${name} } from "${l.specifier}"`;
  return { range: { start: at, end: at }, newText: last ? `\n${line}` : `${line}\n` };
}

// ---- Arguments, fields, types ---------------------------------------------------------------------------------------

function namedArguments(w: Workspace, a: Analysis, call: Call, offset: number): readonly CompletionItem[] {
  return parametersOf(w, a, call.callee, offset)
    .filter((p) => !call.named.includes(p.name))
    .map((p) => ({
      label: `${p.name}:`,
      kind: CompletionItemKind.Field,
      insertText: `${p.name}: `,
      insertTextFormat: InsertTextFormat.PlainText,
      filterText: p.name,
      sortText: `0${p.name}`,
      ...(p.text ? { detail: p.text } : {}),
    }));
}

/** Parameters of what a name means at the offset. */
function parametersOf(
  w: Workspace,
  a: Analysis,
  callee: string,
  offset: number,
): readonly { readonly name: string; readonly text: string }[] {
  const d = visibleAt(w, a, offset).find((x) => x.name.text === callee);
  if (!d) {
    const derivative = DERIVATIVE_DOCS.has(callee) ? ["f", "wrt"] : undefined;
    const names =
      derivative ??
      BUILTINS.get(callee)
        ?.parameters.filter((p) => !p.rest && !p.restNamed)
        .map((p) => p.name);
    return (names ?? []).map((name) => ({ name, text: "" }));
  }
  const found = functionOfDeclaration(w, a.module, d);
  return (found?.item.params ?? []).map((p) => ({ name: p.name.text, text: parameterText(found!.module, p) }));
}

const TENSOR_FIELDS: ReadonlyMap<string, string> = new Map([
  ["T", "the axes reversed"],
  ["shape", "the extents, as a list"],
  ["ndim", "the number of axes"],
  ["size", "the number of elements"],
  ["dtype", "the element type, as a text"],
]);

function fields(w: Workspace, a: Analysis, of: string | undefined, offset: number): readonly CompletionItem[] {
  const d = of === undefined ? undefined : visibleAt(w, a, offset).find((x) => x.name.text === of);
  const found = d && itemAt(a, d.name.span.start);
  const at = d && found ? d.name.span.start - found.item.span.start : -1;
  const record = found?.facts.find((f) => f.kind === "binding" && f.start === at)?.fields;
  if (record) return [...record].map(([label, type]) => ({ label, kind: CompletionItemKind.Field, detail: type }));
  return [...TENSOR_FIELDS].map(([label, doc]) => ({ label, kind: CompletionItemKind.Property, documentation: doc }));
}

function types(isParameter: boolean): readonly CompletionItem[] {
  const list = [...TYPE_DOCS].map(
    ([label, doc]): CompletionItem => ({ label, kind: CompletionItemKind.TypeParameter, documentation: doc }),
  );
  const elements = list.filter((i) => ["f32", "f16", "i32", "u32", "bool"].includes(i.label));
  return isParameter ? [...list, ...keywords(["const"])] : elements;
}

function keywords(words: readonly string[]): readonly CompletionItem[] {
  return words.map((label) => ({
    label,
    kind: CompletionItemKind.Keyword,
    sortText: `4${label}`,
    ...(KEYWORD_DOCS.has(label) ? { documentation: { kind: "markdown", value: KEYWORD_DOCS.get(label)! } } : {}),
  }));
}
