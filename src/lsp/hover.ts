/** What is shown for the name or expression under the pointer: types with their extents, documentation, and gradients. */
import type { Hover } from "vscode-languageserver";
import type { FnItem } from "../../grammar/ast.ts";
import { BUILTINS } from "../elaborate/builtins/index.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import type { LoadedModule } from "../modules.ts";
import type { Analysis } from "./analysis.ts";
import {
  derivedText,
  expressionAt,
  factAt,
  functionText,
  parameterText,
  signatureOf,
  textOf,
  typeOfDeclared,
} from "./describe.ts";
import { gradientOf } from "./gradient.ts";
import type { Declared, Occurrence } from "./names.ts";
import { linesOf, rangeOf } from "./position.ts";
import { meaningOf, occurrenceAt, parameterOfDeclaration } from "./resolve.ts";
import { DERIVATIVE_DOCS, KEYWORD_DOCS, TYPE_DOCS } from "./words.ts";
import type { Workspace } from "./workspace.ts";

export function hover(w: Workspace, a: Analysis, offset: number): Hover | undefined {
  const lines = linesOf(a.module.module);
  const o = occurrenceAt(w, a.module, offset);
  const about = o && describeOccurrence(w, a, o);
  if (o && about) return { contents: { kind: "markdown", value: about }, range: rangeOf(lines, o.name.span) };
  const word = wordAt(a.module.module.source, offset);
  const keyword = word && !inside(a, offset) ? KEYWORD_DOCS.get(word.text) : undefined;
  if (word && keyword)
    return { contents: { kind: "markdown", value: `\`${word.text}\`: ${keyword}` }, range: rangeOf(lines, word) };
  const e = expressionAt(a, offset);
  return e && { contents: { kind: "markdown", value: code(e.type) }, range: rangeOf(lines, e) };
}

/** In a literal, words are no keywords. */
function inside(a: Analysis, offset: number): boolean {
  const e = expressionAt(a, offset);
  return e?.type.startsWith("string = ") === true;
}

function wordAt(
  source: string,
  offset: number,
): { readonly text: string; readonly start: number; readonly end: number } | undefined {
  let start = offset;
  while (start > 0 && /\w/.test(source[start - 1]!)) start--;
  let end = offset;
  while (end < source.length && /\w/.test(source[end]!)) end++;
  return start === end ? undefined : { text: source.slice(start, end), start, end };
}

export function code(text: string): string {
  return `\`\`\`ein\n${text}\n\`\`\``;
}

function describeOccurrence(w: Workspace, a: Analysis, o: Occurrence): string | undefined {
  if (o.role === "type") {
    const doc = TYPE_DOCS.get(o.name.text);
    return doc && `${code(o.name.text)}\n\n${doc}`;
  }
  if (o.role === "field") {
    const e = factAt(a, o.name.span, ["binding", "expression"]) ?? fieldFact(a, o);
    return e && code(`${o.name.text}: ${e.type}`);
  }
  const meaning = meaningOf(w, a.module, o);
  if (meaning.kind === "builtin") return builtinText(meaning.name);
  if (meaning.kind === "unknown") return undefined;
  const { module: m, declared: d } = meaning;
  // A name may have a type of its own at each place: a scatter makes a new tensor of the same name.
  const here = o.role === "use" ? factAt(a, o.name.span, ["expression"]) : undefined;
  return describeDeclared(a, m, d, here?.type);
}

/** The expression `x.shape` that ends with the field. */
function fieldFact(a: Analysis, o: Occurrence): { readonly type: string } | undefined {
  const e = expressionAt(a, o.name.span.end);
  return e && e.end === o.name.span.end && e.start < o.name.span.start ? e : undefined;
}

function builtinText(name: string): string {
  const derivative = DERIVATIVE_DOCS.get(name);
  if (derivative) return `${code(derivative.signature)}\n\n${derivative.doc}`;
  const doc = BUILTINS.get(name)?.doc ?? name;
  const at = doc.indexOf("): ");
  return at < 0 ? code(doc) : `${code(doc.slice(0, at + 1))}\n\n${doc.slice(at + 3)}`;
}

/** Markdown about a declaration; `here` is the type at the place that asks. */
export function describeDeclared(a: Analysis, m: LoadedModule, d: Declared, here: string | undefined): string {
  switch (d.kind) {
    case "function":
      return d.item?.kind === "fn" ? aboutFunction(a, m, d.item) : code(d.name.text);
    case "value":
      return aboutValue(a, m, d, here);
    case "import":
      return `${code(d.name.text)}\n\nnot found in the module it is imported from`;
    case "parameter":
    case "constant": {
      const p = parameterOfDeclaration(d);
      const text = p ? parameterText(m, p) : d.name.text;
      const kind = d.kind === "constant" ? "constant of" : "parameter of";
      const found = here && d.kind === "parameter" && !text.includes(here) ? `\n\nhere \`${here}\`` : "";
      return `${code(text)}\n\n${kind} \`${d.item?.name.text}\`${found}`;
    }
    case "index": {
      const range = typeOfDeclared(a, m, d);
      return `${code(range ? `${d.name.text} in ${range}` : d.name.text)}\n\nindex`;
    }
    case "extent":
      return `${code(`${d.name.text}: int`)}\n\n${boundBy(m, d)}`;
    case "local": {
      const type = here ?? typeOfDeclared(a, m, d);
      return code(type ? `let ${d.name.text}: ${type}` : `let ${d.name.text}`);
    }
    default:
      return d.kind satisfies never;
  }
}

/** Where arguments fix an extent. */
function boundBy(m: LoadedModule, d: Declared): string {
  const places =
    d.item?.kind === "fn"
      ? d.item.params.flatMap((p) =>
          p.type?.kind === "tensorType"
            ? (p.type.dims ?? []).flatMap((dim, k) =>
                dim.kind === "extent" && dim.expr.kind === "name" && dim.expr.text === d.name.text
                  ? [`axis ${k} of \`${p.name.text}\``]
                  : [],
              )
            : [],
        )
      : [];
  return places.length > 0 ? `extent: ${places.join(", ")}` : `extent named in \`${textOf(m, d.name.span)}\``;
}

function aboutFunction(a: Analysis, m: LoadedModule, item: FnItem): string {
  const s = signatureOf(a, m, item);
  const parts = [code(functionText(m, item, s)), item.doc];
  if (m.isStd) parts.push(`from \`${m.file.replace(/\.ein$/, "")}\``);
  parts.push(...aboutExtents(s));
  const key = m === a.module ? a.items.get(item.name.text)?.key : undefined;
  const gradient = gradientOf(a.graph, m, item, key);
  if (gradient) parts.push("Gradient:", code(gradient));
  return parts.filter((p) => p !== undefined && p !== "").join("\n\n");
}

function aboutExtents(s: FunctionSignature | undefined): string[] {
  if (!s || s.extents.length === 0) return [];
  const where = s.where.length > 0 ? `, where ${s.where.map((x) => `\`${x}\``).join(", ")}` : "";
  return [`Extents: ${s.extents.map((x) => `\`${x}\``).join(", ")}${where}`];
}

function aboutValue(a: Analysis, m: LoadedModule, d: Declared, here: string | undefined): string {
  const item = d.item;
  // What does not parse is declared by its name alone.
  if (item?.kind !== "letItem" || item.value.kind === "error") return code(d.name.text);
  const s = signatureOf(a, m, item);
  const value = textOf(m, item.value.span);
  const written = `${item.isConst ? "const" : "let"} ${d.name.text} = ${value.length > 200 ? `${value.slice(0, 200)}…` : value}`;
  const type = here ?? (m === a.module ? factAt(a, item.value.span, ["expression"])?.type : undefined);
  const typed = s ? `${written}\n${derivedText(d.name.text, s)}` : type ? `${written}\n// ${type}` : written;
  return [code(typed), item.doc, ...aboutExtents(s)].filter((p) => p !== undefined).join("\n\n");
}
