/** What editors show of a declaration: its signature, documentation, and the types that were found. */
import type { FnItem, Param } from "../../grammar/ast.ts";
import { checkItem } from "../elaborate/index.ts";
import type { FunctionSignature, SignatureResult } from "../elaborate/signature.ts";
import type { LoadedModule, ModuleGraph, NamedItem } from "../modules.ts";
import type { Analysis } from "./analysis.ts";
import type { Fact } from "./facts.ts";
import type { Declared } from "./names.ts";

const foreign = new WeakMap<NamedItem, { readonly signature: FunctionSignature | undefined }>();

/** The signature of a function of any module of the analysis, with the result's shape as it was found. */
export function signatureOf(a: Analysis, m: LoadedModule, item: NamedItem): FunctionSignature | undefined {
  if (m === a.module) return a.items.get(item.name.text)?.signature;
  const old = foreign.get(item);
  if (old) return old.signature;
  const made = { signature: checked(a.graph, m, item) };
  foreign.set(item, made);
  return made.signature;
}

function checked(graph: ModuleGraph, m: LoadedModule, item: NamedItem): FunctionSignature | undefined {
  try {
    return checkItem(graph, m, item, []);
  } catch {
    return undefined;
  }
}

export function textOf(m: LoadedModule, span: { readonly start: number; readonly end: number }): string {
  return m.module.source.slice(span.start, span.end).replace(/\s+/g, " ").trim();
}

export function parameterText(m: LoadedModule, p: Param): string {
  return textOf(m, p.span);
}

/** `fn softmax(x: f32[..., D], axis: const int = -1) -> f32[..., D]`; a result that is not written is as it was found. */
export function functionText(m: LoadedModule, item: FnItem, s: FunctionSignature | undefined): string {
  const parameters = item.params.map((p) => parameterText(m, p));
  const one = `fn ${item.name.text}(${parameters.join(", ")})`;
  const many = `fn ${item.name.text}(\n  ${parameters.join(",\n  ")}\n)`;
  const result = item.result ? textOf(m, item.result.span) : s && s.results.length > 0 ? resultsText(s.results) : "";
  const arrow = result === "" ? "" : ` -> ${result}`;
  return `${one.length + arrow.length > 90 && parameters.length > 1 ? many : one}${arrow}`;
}

/** The same on one line. */
export function functionLine(m: LoadedModule, item: FnItem, s: FunctionSignature | undefined): string {
  return functionText(m, item, s).replace(/\s+/g, " ").replace("( ", "(").replace(" )", ")");
}

/** `f32[N]`, `(value: f32, index: i32[B])`. */
export function resultsText(results: readonly SignatureResult[]): string {
  const one = (r: SignatureResult): string => (r.shape.length === 0 ? r.dtype : `${r.dtype}[${r.shape.join(", ")}]`);
  const [first] = results;
  if (results.length === 1 && first?.name === "result") return one(first);
  return `(${results.map((r) => `${r.name}: ${one(r)}`).join(", ")})`;
}

/** `let step = grad(loss)` as the function it is. */
export function derivedText(name: string, s: FunctionSignature): string {
  const parameters = s.parameters.map((p) => {
    const type = p.isConst ? (p.constType ?? "") : `${p.dtype}${p.shape.length > 0 ? `[${p.shape.join(", ")}]` : ""}`;
    const typed = type === "" ? p.name : `${p.name}: ${p.isConst ? "const " : ""}${type}`;
    return p.default === undefined ? typed : `${typed} = ${p.default}`;
  });
  return `fn ${name}(${parameters.join(", ")}) -> ${resultsText(s.results)}`;
}

/** The finding for a span of the entry module: offsets are absolute. */
export function factAt(
  a: Analysis,
  span: { readonly start: number; readonly end: number },
  kinds: readonly Fact["kind"][],
): Fact | undefined {
  const found = itemAt(a, span.start);
  if (!found) return undefined;
  const base = found.item.span.start;
  return found.facts.find((f) => f.start === span.start - base && f.end === span.end - base && kinds.includes(f.kind));
}

export function itemAt(
  a: Analysis,
  offset: number,
): { readonly item: NamedItem; readonly facts: readonly Fact[] } | undefined {
  for (const f of a.items.values()) if (offset >= f.item.span.start && offset <= f.item.span.end) return f;
  return undefined;
}

/** The smallest expression around an offset that has a type, in absolute offsets. */
export function expressionAt(
  a: Analysis,
  offset: number,
): { readonly start: number; readonly end: number; readonly type: string } | undefined {
  const found = itemAt(a, offset);
  if (!found) return undefined;
  const base = found.item.span.start;
  let best: Fact | undefined;
  for (const f of found.facts)
    if (f.kind === "expression" && f.start <= offset - base && offset - base <= f.end)
      if (!best || f.end - f.start < best.end - best.start) best = f;
  return best && { start: best.start + base, end: best.end + base, type: best.type };
}

/** The type of a name where it is declared, as far as it was found. */
export function typeOfDeclared(a: Analysis, m: LoadedModule, d: Declared): string | undefined {
  return m === a.module ? factAt(a, d.name.span, ["binding", "index"])?.type : undefined;
}
