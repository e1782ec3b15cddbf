/** What an occurrence of a name stands for across modules: a declaration, a builtin, or something without a place of its own. */
import type { Expr, FnItem, Param } from "../../grammar/ast.ts";
import type { Span } from "../../grammar/span.ts";
import { BUILTINS } from "../elaborate/builtins/index.ts";
import { DERIVATIVE_NAMES } from "../elaborate/derivatives.ts";
import type { LoadedModule, NamedItem } from "../modules.ts";
import type { Declared, Occurrence } from "./names.ts";
import type { Workspace } from "./workspace.ts";

export type Meaning =
  | { readonly kind: "declared"; readonly module: LoadedModule; readonly declared: Declared }
  | { readonly kind: "builtin"; readonly name: string }
  | { readonly kind: "unknown" };

const UNKNOWN: Meaning = { kind: "unknown" };

/** The name at an offset, if one is there; at its end counts too. */
export function occurrenceAt(w: Workspace, m: LoadedModule, offset: number): Occurrence | undefined {
  const { occurrences } = w.bindings(m);
  const here = occurrences.filter((o) => o.name.span.start <= offset && offset <= o.name.span.end);
  return here.find((o) => offset < o.name.span.end) ?? here[0];
}

/** What the name stands for in the end: imports lead to what they import. */
export function meaningOf(w: Workspace, m: LoadedModule, o: Occurrence): Meaning {
  if (o.role === "argument" || o.role === "quoted") {
    const of = o.callee && functionOf(w, m, o.callee);
    return of ? parameterOf(w, of, o.name.text) : UNKNOWN;
  }
  if (o.target) return followed(w, m, o.target);
  if (o.role === "use" || o.role === "shorthandUse" || o.role === "reducer") {
    const known = BUILTINS.has(o.name.text) || DERIVATIVE_NAMES.has(o.name.text);
    return known ? { kind: "builtin", name: o.name.text } : UNKNOWN;
  }
  return UNKNOWN;
}

/** Through imports to the declaration itself; the import where there is none. */
export function followed(w: Workspace, m: LoadedModule, declared: Declared): Meaning {
  const foreign = declared.kind === "import" ? m.imports.get(declared.name.text) : undefined;
  const target = foreign?.module.items.get(foreign.name);
  if (!foreign || !target) return { kind: "declared", module: m, declared };
  const found = w.bindings(foreign.module).declared.find((d) => sameSpan(d.name.span, target.name.span));
  return found ? { kind: "declared", module: foreign.module, declared: found } : UNKNOWN;
}

export function sameSpan(a: Span, b: Span): boolean {
  return a.start === b.start && a.end === b.end && a.file === b.file;
}

export interface FunctionOf {
  readonly module: LoadedModule;
  readonly item: FnItem;
  /** The derivative that was taken of it last: `grad`, `vjp`. */
  readonly derivative: string | undefined;
}

/** The function that an expression names, or was derived from: `f`, `grad(f)`, `let step = grad(f)`. */
export function functionOf(w: Workspace, m: LoadedModule, e: Expr, depth = 0): FunctionOf | undefined {
  if (depth > 20) return undefined;
  if (e.kind === "name") {
    const o = w.bindings(m).occurrences.find((x) => x.name.span.start === e.span.start && x.name.text === e.text);
    const meaning = o && meaningOf(w, m, o);
    return meaning?.kind === "declared" ? functionOfItem(w, meaning.module, meaning.declared, depth) : undefined;
  }
  if (e.kind !== "call" || e.callee.kind !== "name" || !DERIVATIVE_NAMES.has(e.callee.text)) return undefined;
  const of = e.args.find((a) => a.name === undefined || a.name.text === "f")?.value;
  const found = of && functionOf(w, m, of, depth + 1);
  return found && { ...found, derivative: e.callee.text };
}

function functionOfItem(w: Workspace, m: LoadedModule, d: Declared, depth: number): FunctionOf | undefined {
  if (d.kind === "function" && d.item?.kind === "fn") return { module: m, item: d.item, derivative: undefined };
  if (d.kind === "value" && d.item?.kind === "letItem") return functionOf(w, m, d.item.value, depth + 1);
  return undefined;
}

/** The function that a declaration is, imports it as, or derives from. */
export function functionOfDeclaration(w: Workspace, m: LoadedModule, d: Declared): FunctionOf | undefined {
  const meaning = followed(w, m, d);
  return meaning.kind === "declared" ? functionOfItem(w, meaning.module, meaning.declared, 0) : undefined;
}

function parameterOf(w: Workspace, of: FunctionOf, name: string): Meaning {
  const p = of.item.params.find((x) => x.name.text === name);
  const found = p && w.bindings(of.module).declared.find((d) => sameSpan(d.name.span, p.name.span));
  return found ? { kind: "declared", module: of.module, declared: found } : UNKNOWN;
}

/** The parameter that a declaration is. */
export function parameterOfDeclaration(d: Declared): Param | undefined {
  if (d.kind !== "parameter" && d.kind !== "constant") return undefined;
  return d.item?.kind === "fn" ? d.item.params.find((p) => sameSpan(p.name.span, d.name.span)) : undefined;
}

export interface Place {
  readonly module: LoadedModule;
  readonly occurrence: Occurrence;
}

/** All places of a declaration, in all files that may have some. The declaration itself is among them. */
export function placesOf(w: Workspace, module: LoadedModule, d: Declared): readonly Place[] {
  const places: Place[] = [];
  const look = (m: LoadedModule): void => {
    for (const occurrence of w.bindings(m).occurrences) {
      if (occurrence.name.text !== d.name.text && occurrence.target === undefined) continue;
      const meaning = meaningOf(w, m, occurrence);
      const isIt = meaning.kind === "declared" && sameSpan(meaning.declared.name.span, d.name.span);
      if (isIt) places.push({ module: m, occurrence });
    }
  };
  look(module);
  if (!reachesOut(d)) return places;
  for (const file of w.files()) {
    if (file === module.file || !w.text(file)?.includes(d.name.text)) continue;
    const m = w.graph(file)?.entry;
    if (m?.module.items.some((i) => i.kind === "import")) look(m);
  }
  return places;
}

/** May other modules name it? What a module exports, and its functions' parameters. */
function reachesOut(d: Declared): boolean {
  const item: NamedItem | undefined = d.item;
  if (!item?.exported) return false;
  return d.kind === "function" || d.kind === "value" || d.kind === "parameter" || d.kind === "constant";
}
