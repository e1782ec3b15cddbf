/** Elaboration: modules to signatures, functions to tensor programs. */
import type { FnItem, LetItem, Param } from "../../grammar/ast.ts";
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { Input, Program } from "../../ir/tensor.ts";
import type { LoadedModule, ModuleGraph, NamedItem } from "../modules.ts";
import type { Context, Observer } from "./context.ts";
import { makeContext } from "./create.ts";
import { attributeProblems, ruleOf } from "./custom.ts";
import { type Entry, type EntryOptions, elaborateEntry, foldingProblem, type Target } from "./entry.ts";
import { diagnosticOf, distinct } from "./errors.ts";
import { isConst } from "./function.ts";
import {
  declaredResults,
  extentNames,
  type FunctionSignature,
  LEAD,
  parametersOf,
  type SignatureParameter,
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
      const found = checkItem(graph, m, item, diagnostics);
      if (found && m === graph.entry && found.exported) functions.push(found);
    }
  }
  return { functions, diagnostics: distinct(diagnostics) };
}

/** Elaborates one declaration of a module; the signature is undefined if it is no function. */
export function checkItem(
  graph: ModuleGraph,
  m: LoadedModule,
  item: NamedItem,
  diagnostics: Diagnostic[],
  observer?: Observer,
): FunctionSignature | undefined {
  return item.kind === "fn"
    ? checkFunction(graph, m, item, diagnostics, observer)
    : checkLet(graph, m, item, diagnostics, observer);
}

function checkFunction(
  graph: ModuleGraph,
  m: LoadedModule,
  item: FnItem,
  diagnostics: Diagnostic[],
  observer: Observer | undefined,
): FunctionSignature {
  diagnostics.push(...attributeProblems(item));
  const target = (): Target => ({ module: m, item, call: undefined });
  const run = checkParameters(item, (o) => attempt(graph, o, true, target, { observer }));
  if (m === graph.entry) remember(graph, item.name.text, item, run);
  diagnostics.push(...run.diagnostics);
  // Its rule is looked at only where a derivative is taken.
  if (ruleOf(item) && run.diagnostics.length === 0)
    diagnostics.push(...checkParameters(item, (o) => attempt(graph, o, true, target, { keepRules: true })).diagnostics);
  return signatureOf(m, item, run.entry, true);
}

/** Elaborates with every parameter given and every constant at its default; what needs a constant that has none is left out. */
function checkParameters(item: FnItem, run: (o: EntryOptions) => Attempt): Attempt {
  const provided = item.params.filter((p) => !isConst(p)).map((p) => p.name.text);
  const open = item.params.filter((p) => isConst(p) && !p.default);
  const isInt = (p: Param): boolean => p.type?.kind === "constType" && p.type.name.text === "int";
  if (!open.every(isInt)) return { entry: undefined, diagnostics: [] };
  const { entry, diagnostics } = run({ provided });
  if (open.length === 0) return { entry, diagnostics };
  return { entry, diagnostics: diagnostics.filter((d) => d.code !== "EIN1502" && d.code !== "EIN1503") };
}

function signatureOf(m: LoadedModule, item: FnItem, entry: Entry | undefined, declared: boolean): FunctionSignature {
  const made = entry?.program.results.map(
    (r): SignatureResult => ({
      name: r.name,
      dtype: r.tensor.types[r.slot] ?? "f32",
      shape: r.tensor.axes.map((a) => (a.extent.text === LEAD ? "..." : a.extent.text)),
    }),
  );
  const extents = [...extentNames(item).keys()];
  const own = new Set([...extents, ...item.params.map((p) => p.name.text)]);
  const known = (t: string): boolean => own.has(t) || m.items.has(t) || m.imports.has(t);
  // `-> f32[M]` may name an extent that only the body decides: what it was found to be says more.
  const written = declared ? declaredResults(m, item.result) : undefined;
  const results = written?.map((r, k): SignatureResult => {
    const found = made?.[k]?.shape;
    if (found?.length !== r.shape.length) return r;
    return { ...r, shape: r.shape.map((t, a) => (/^\w+$/.test(t) && !/^\d/.test(t) && !known(t) ? found[a]! : t)) };
  });
  const derived = (entry?.program.inputs ?? []).filter((d) => entry?.derived.has(d.name));
  return {
    name: item.name.text,
    doc: item.doc,
    exported: item.exported,
    parameters: [...parametersOf(m, item), ...derived.map(derivedParameter)],
    results: results ?? made ?? [],
    extents,
    where: entry?.where.filter((w) => !w.includes(LEAD)) ?? [],
    folded: (entry?.folded.size ?? 0) > 0,
    span: item.name.span,
  };
}

/** A cotangent or tangent. */
function derivedParameter(d: Input): SignatureParameter {
  const shape = d.axes.map((a) => (a.extent.text === LEAD ? "..." : a.extent.text));
  return { name: d.name, dtype: d.types[0], shape, isConst: false, constType: undefined, default: undefined };
}

/** `export let f = g`, `export let step = grad(loss)`: a function under another name; other values are only evaluated. */
function checkLet(
  graph: ModuleGraph,
  m: LoadedModule,
  item: LetItem,
  diagnostics: Diagnostic[],
  observer: Observer | undefined,
): FunctionSignature | undefined {
  let target: Target | undefined;
  const find = (cx: Context): undefined => {
    target = targetOf(cx, m, item);
  };
  const value = attempt(graph, {}, true, find, { observer });
  diagnostics.push(...value.diagnostics);
  if (!target) return undefined;
  const found: Target = target;
  const run = checkParameters(found.item, (o) => attempt(graph, o, true, (cx) => targetOf(cx, m, item)));
  if (m === graph.entry) remember(graph, item.name.text, found.item, run);
  diagnostics.push(...run.diagnostics);
  const s = signatureOf(found.module, found.item, run.entry, found.call === undefined);
  return { ...s, name: item.name.text, doc: item.doc ?? found.item.doc, exported: item.exported, span: item.name.span };
}

/** The function that a `let` of the module names; undefined if it names something else. */
function targetOf(cx: Context, m: LoadedModule, item: LetItem): Target | undefined {
  const value = cx.evaluate({ kind: "name", text: item.name.text, span: item.name.span }, cx.moduleScope(m));
  if (value.kind !== "function") return undefined;
  const of = cx.declarationOf(value);
  return of && { ...of, call: value.base ? value : undefined };
}

export interface ElaborateOptions extends EntryOptions {
  readonly strict?: boolean | undefined;
  /** Functions' own rules for derivatives are kept: for programs that are differentiated, not compiled. */
  readonly keepRules?: boolean | undefined;
}

export interface Elaborated {
  /** Undefined if there are errors. */
  readonly program: Program | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Parameters and results whose first axis stands for all the leading axes of `...`. */
  readonly folded: ReadonlySet<string>;
  readonly where: readonly string[];
}

/** The tensor program of a function of the entry module. Never throws for what the module or the options hold. */
export function elaborate(graph: ModuleGraph, name: string, o: ElaborateOptions = {}): Elaborated {
  const none = (diagnostics: readonly Diagnostic[]): Elaborated => ({
    program: undefined,
    diagnostics,
    folded: new Set(),
    where: [],
  });
  const m = graph.entry;
  const found = m.items.get(name);
  const target =
    found &&
    ((cx: Context): Target | undefined =>
      found.kind === "fn" ? { module: m, item: found, call: undefined } : targetOf(cx, m, found));
  const made =
    target &&
    ((isPlain(o) && checked.get(graph)?.get(name)) ||
      attempt(graph, o, false, target, { strict: o.strict, keepRules: o.keepRules }));
  if (made?.diagnostics.some((d) => d.severity === "error")) return none(made.diagnostics);
  if (!made?.entry) {
    const span = found?.name.span ?? { file: m.file, start: 0, end: 0 };
    const text = found ? "this is not a function" : "";
    return none([diagnostic("EIN1106", `the module has no function \`${name}\``, { span, text })]);
  }
  const { program, folded, where } = made.entry;
  if (folded.size > 0) {
    const problem = unfoldable(graph, o, made.entry, target!);
    if (problem) return none([problem]);
  }
  return { program: { ...program, name }, diagnostics: made.diagnostics, folded, where };
}

/** What checking a module found of its functions, where elaborating them for a kernel without sizes would do the same again. */
const checked = new WeakMap<ModuleGraph, Map<string, Attempt>>();

function remember(graph: ModuleGraph, name: string, item: FnItem, run: Attempt): void {
  // Checking gives every parameter and takes constants without a value for extents.
  if (!run.entry || item.params.some((p) => (isConst(p) ? !p.default : p.default))) return;
  const known = checked.get(graph) ?? new Map<string, Attempt>();
  checked.set(graph, known.set(name, run));
}

function isPlain(o: ElaborateOptions): boolean {
  const nothing = (given: Readonly<Record<string, unknown>> | undefined): boolean =>
    Object.keys(given ?? {}).length === 0;
  return !o.strict && !o.keepRules && !o.provided && nothing(o.extents) && nothing(o.consts) && nothing(o.shapes);
}

/** `...` without shapes is one axis; where that is not the same thing, the shapes are needed. */
function unfoldable(
  graph: ModuleGraph,
  o: ElaborateOptions,
  one: Entry,
  target: (cx: Context) => Target | undefined,
): Diagnostic | undefined {
  const item = target(makeContext(false, graph))?.item;
  const problem =
    item && foldingProblem(item, one, attempt(graph, o, false, target, { strict: o.strict, leadRank: 2 }).entry);
  if (!item || problem === undefined) return undefined;
  return diagnostic(
    "EIN1502",
    `the shapes of \`${item.name.text}\`'s arguments must be given`,
    { span: item.name.span, text: "its leading axes `...` cannot be taken as one" },
    { notes: [problem, `pass { shapes: { ${[...one.folded][0]}: […] } } when it is loaded`] },
  );
}

interface Attempt {
  readonly entry: Entry | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

function attempt(
  graph: ModuleGraph,
  o: EntryOptions,
  symbolicConstants: boolean,
  target: (cx: Context) => Target | undefined,
  how: {
    readonly strict?: boolean | undefined;
    readonly leadRank?: number;
    readonly observer?: Observer | undefined;
    /** As for a derivative: calls of functions with rules of their own are steps. */
    readonly keepRules?: boolean | undefined;
  } = {},
): Attempt {
  const cx = makeContext(how.strict ?? false, graph, how.observer);
  if (how.keepRules) cx.differentiating++;
  let at: Span = { file: "", start: 0, end: 0 };
  try {
    const given = target(cx);
    if (!given) return { entry: undefined, diagnostics: [] };
    const found = how.keepRules && !given.call ? { ...given, call: cx.functionOf(given.module, given.item) } : given;
    at = found.item.name.span;
    if (!found.call) cx.calls.push({ item: found.item, span: at });
    const entry = elaborateEntry(cx, found, o, symbolicConstants, how.leadRank);
    return { entry: cx.diagnostics.length > 0 ? undefined : entry, diagnostics: distinct(cx.diagnostics) };
  } catch (error) {
    const d = diagnosticOf(error, at);
    if (d === undefined) throw error;
    return { entry: undefined, diagnostics: distinct(d ? [...cx.diagnostics, d] : cx.diagnostics) };
  } finally {
    how.observer?.finish((e) => cx.builder.constraints.resolve(e));
  }
}
