/** The parameters of the call that is being written. */
import type { SignatureHelp } from "vscode-languageserver";
import { BUILTINS } from "../elaborate/builtins/index.ts";
import type { Analysis } from "./analysis.ts";
import { visibleAt } from "./completion.ts";
import { derivedText, functionLine, signatureOf } from "./describe.ts";
import { followed } from "./resolve.ts";
import { callAt } from "./text-context.ts";
import { DERIVATIVE_DOCS } from "./words.ts";
import type { Workspace } from "./workspace.ts";

interface Shown {
  readonly label: string;
  readonly doc: string | undefined;
  readonly names: readonly string[];
}

export function signatureHelp(w: Workspace, a: Analysis, offset: number): SignatureHelp | undefined {
  const call = callAt(a.module.module.source, offset);
  const shown = call && signature(w, a, call.callee, offset);
  if (!call || !shown) return undefined;
  const parameters = spansOf(shown.label);
  const named = call.current === undefined ? -1 : shown.names.indexOf(call.current);
  const rest = shown.names.findIndex((n) => n.startsWith("*"));
  const position = rest >= 0 && call.argument > rest ? rest : call.argument;
  return {
    signatures: [
      {
        label: shown.label,
        ...(shown.doc ? { documentation: { kind: "markdown" as const, value: shown.doc } } : {}),
        parameters: parameters.map((label) => ({ label: [...label] as [number, number] })),
      },
    ],
    activeSignature: 0,
    activeParameter: named >= 0 ? named : position,
  };
}

function signature(w: Workspace, a: Analysis, callee: string, offset: number): Shown | undefined {
  const d = visibleAt(w, a, offset).find((x) => x.name.text === callee);
  if (!d) {
    const derivative = DERIVATIVE_DOCS.get(callee);
    if (derivative) return { label: derivative.signature, doc: derivative.doc, names: ["f", "wrt"] };
    const doc = BUILTINS.get(callee)?.doc;
    const at = doc?.indexOf("): ") ?? -1;
    if (doc === undefined || at < 0) return undefined;
    const label = doc.slice(0, at + 1);
    const names = spansOf(label).map(([from, to]) => label.slice(from, to).replace("?", ""));
    return { label, doc: doc.slice(at + 3), names };
  }
  const meaning = followed(w, a.module, d);
  if (meaning.kind !== "declared" || !meaning.declared.item) return undefined;
  const { module: m, declared } = meaning;
  const item = meaning.declared.item;
  const s = signatureOf(a, m, item);
  if (item.kind === "fn" && declared.kind === "function") {
    return {
      label: functionLine(m, item, s),
      doc: item.doc,
      names: item.params.map((p) => p.name.text),
    };
  }
  return s && declared.kind === "value"
    ? { label: derivedText(declared.name.text, s), doc: item.doc, names: s.parameters.map((p) => p.name) }
    : undefined;
}

/** Where the parameters stand in a signature's text: the parts between the commas of its first parentheses. */
function spansOf(label: string): readonly (readonly [number, number])[] {
  const spans: [number, number][] = [];
  let depth = 0;
  let start = -1;
  for (let i = 0; i < label.length; i++) {
    const c = label[i]!;
    const closes = (c === ")" && depth === 1) || (c === "," && depth === 1);
    if (closes && start >= 0) {
      const text = label.slice(start, i);
      if (text.trim() !== "")
        spans.push([start + text.length - text.trimStart().length, start + text.trimEnd().length]);
      start = i + 1;
      if (c === ")") return spans;
      continue;
    }
    if (c === "(" || c === "[" || c === "{") {
      depth++;
      if (depth === 1 && start < 0) start = i + 1;
    } else if (c === ")" || c === "]" || c === "}") depth--;
  }
  return spans;
}
