/** Elaboration: modules to signatures, functions to tensor programs. */
import type { FnItem, LetItem } from "../../grammar/ast.ts";
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import type { Program } from "../../ir/tensor.ts";
import type { LoadedModule, ModuleGraph } from "../modules.ts";
import { makeContext } from "./create.ts";
import { diagnosticOf, distinct, elaborateEntry, type Entry, type EntryOptions } from "./entry.ts";
import { isConst } from "./function.ts";
import { Silent } from "./scope.ts";
import {
  declaredResults,
  extentNames,
  type FunctionSignature,
  LEAD,
  parametersOf,
  type SignatureResult,
} from "./signature.ts";

export type { ConstInput } from "./entry.ts";

export interface Checked {
  /** Exported functions of the entry module, in source order. */
  readonly functions: readonly FunctionSignature[];
  /** Of all modules: what loading found, and what elaborating every function of the user's modules found. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Elaborates every function with symbolic extents, exported or not. */
export function checkModule(graph: ModuleGraph): Checked {
  const functions: FunctionSignature[] = [];
  const diagnostics: Diagnostic[] = [...graph.diagnostics];
  for (const m of graph.modules) {
    if (m.isStd && m !== graph.entry) continue;
    for (const item of m.items.values()) {
      const found = item.kind === "fn" ? checkFunction(m, item, diagnostics) : checkLet(m, item, diagnostics);
      if (found && m === graph.entry && found.exported) functions.push(found);
    }
  }
  return { functions, diagnostics: distinct(diagnostics) };
}

function checkFunction(m: LoadedModule, item: FnItem, diagnostics: Diagnostic[]): FunctionSignature {
  const provided = item.params.filter((p) => !isConst(p)).map((p) => p.name.text);
  // What depends on a constant without a default is checked when it has a value.
  const needsConstant = item.params.some(
    (p) => isConst(p) && !p.default && !(p.type?.kind === "constType" && p.type.name.text === "int"),
  );
  const run = needsConstant ? { entry: undefined, diagnostics: [] } : attempt(m, item, { provided }, true);
  const open = item.params.some((p) => isConst(p) && !p.default);
  diagnostics.push(...run.diagnostics.filter((d) => !(open && (d.code === "EIN1502" || d.code === "EIN1503"))));
  return signatureOf(m, item, run.entry);
}

function signatureOf(m: LoadedModule, item: FnItem, entry: Entry | undefined): FunctionSignature {
  const made = entry?.program.results.map(
    (r): SignatureResult => ({
      name: r.name,
      dtype: r.tensor.types[r.slot] ?? "f32",
      shape: r.tensor.axes.map((a) => (a.extent.text === LEAD ? "..." : a.extent.text)),
    }),
  );
  return {
    name: item.name.text,
    doc: item.doc,
    exported: item.exported,
    parameters: parametersOf(m, item),
    results: declaredResults(m, item.result) ?? made ?? [],
    extents: [...extentNames(item).keys()],
    where: entry?.where.filter((w) => !w.includes(LEAD)) ?? [],
    folded: (entry?.folded.size ?? 0) > 0,
    span: item.name.span,
  };
}

/** `export let f = g`: a function under another name; other values are only evaluated. */
function checkLet(m: LoadedModule, item: LetItem, diagnostics: Diagnostic[]): FunctionSignature | undefined {
  const fn = aliasOf(m, item);
  if (fn) {
    const entry = attempt(
      fn.m,
      fn.item,
      { provided: fn.item.params.filter((p) => !isConst(p)).map((p) => p.name.text) },
      true,
    ).entry;
    return {
      ...signatureOf(fn.m, fn.item, entry),
      name: item.name.text,
      doc: item.doc ?? fn.item.doc,
      exported: item.exported,
      span: item.name.span,
    };
  }
  const cx = makeContext(false);
  try {
    cx.evaluate({ kind: "name", text: item.name.text, span: item.name.span }, cx.moduleScope(m));
  } catch (error) {
    const d = diagnosticOf(error, item.span, (e) => e instanceof Silent);
    if (d) diagnostics.push(d);
  }
  return undefined;
}

/** The function that a `let` names, if it is just that. */
function aliasOf(m: LoadedModule, item: LetItem): { readonly m: LoadedModule; readonly item: FnItem } | undefined {
  const seen = new Set<LetItem>();
  let at: { readonly m: LoadedModule; readonly item: LetItem } = { m, item };
  while (at.item.value.kind === "name" && !seen.has(at.item)) {
    seen.add(at.item);
    const name = at.item.value.text;
    const from = at.m.imports.get(name);
    const owner = from?.module ?? at.m;
    const next = owner.items.get(from?.name ?? name);
    if (!next) return undefined;
    if (next.kind === "fn") return { m: owner, item: next };
    at = { m: owner, item: next };
  }
  return undefined;
}

export interface ElaborateOptions extends EntryOptions {
  readonly strict?: boolean | undefined;
}

export interface Elaborated {
  /** Undefined if there are errors. */
  readonly program: Program | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Parameters and results whose first axis stands for all the leading axes of `...`. */
  readonly folded: ReadonlySet<string>;
  readonly where: readonly string[];
}

/** The tensor program of an exported function of the entry module. Never throws for what the module or the options hold. */
export function elaborate(graph: ModuleGraph, name: string, o: ElaborateOptions = {}): Elaborated {
  const none = (diagnostics: readonly Diagnostic[]): Elaborated => ({
    program: undefined,
    diagnostics,
    folded: new Set(),
    where: [],
  });
  const found = graph.entry.items.get(name);
  const fn = found?.kind === "fn" ? { m: graph.entry, item: found } : found && aliasOf(graph.entry, found);
  if (!fn) {
    const span = found?.name.span ?? { file: graph.entry.file, start: 0, end: 0 };
    return none([
      diagnostic("EIN1106", `the module has no function \`${name}\``, {
        span,
        text: found ? "this is not a function" : "",
      }),
    ]);
  }
  const { entry, diagnostics } = attempt(fn.m, fn.item, o, false, o.strict ?? false);
  if (!entry || diagnostics.some((d) => d.severity === "error")) return none(diagnostics);
  return { program: { ...entry.program, name }, diagnostics, folded: entry.folded, where: entry.where };
}

function attempt(
  m: LoadedModule,
  item: FnItem,
  o: EntryOptions,
  symbolicConstants: boolean,
  strict = false,
): { readonly entry: Entry | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const cx = makeContext(strict);
  try {
    cx.calls.push({ item, span: item.name.span });
    const entry = elaborateEntry(cx, m, item, o, symbolicConstants);
    return { entry: cx.diagnostics.length > 0 ? undefined : entry, diagnostics: distinct(cx.diagnostics) };
  } catch (error) {
    const d = diagnosticOf(error, item.name.span, (e) => e instanceof Silent);
    return { entry: undefined, diagnostics: distinct(d ? [...cx.diagnostics, d] : cx.diagnostics) };
  }
}
