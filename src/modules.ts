/**
 * Loads a module and everything that it imports. Texts come from the caller (`resolve` for relative paths, `std` for the
 * library), so that the compiler runs where there is no file system.
 */
import type { FnItem, ImportItem, Item, LetItem, Module } from "../grammar/ast.ts";
import { type Diagnostic, diagnostic, type Label } from "../grammar/diagnostic.ts";
import { type Parsed, parseModule } from "../grammar/parser.ts";
import type { Span } from "../grammar/span.ts";
import { suggest } from "../grammar/suggest.ts";
import { BUILTINS } from "./elaborate/builtins/index.ts";

/** The text of an import, or why there is none. `fileName` is the module's identity and what diagnostics call it. */
export type Resolved = { readonly fileName: string; readonly source: string } | { readonly error: string };
export type Resolve = (specifier: string, importer: string) => Resolved;

export interface LoadOptions {
  /** Finds relative imports; without it they are errors. */
  readonly resolve?: Resolve | undefined;
  /** The text of `std/nn` and the like; undefined if there is no such module. */
  readonly std?: ((specifier: string) => string | undefined) | undefined;
  /** Parses the user's modules; a tool that loads them again and again may know the tree of a text already. */
  readonly parse?: ((source: string, file: string) => Parsed) | undefined;
}

export type NamedItem = FnItem | LetItem;

export interface Import {
  readonly module: LoadedModule;
  /** The exported name there. */
  readonly name: string;
  readonly span: Span;
}

export interface LoadedModule {
  readonly file: string;
  readonly module: Module;
  readonly isStd: boolean;
  /** Declarations by name; of two with one name the first. */
  readonly items: ReadonlyMap<string, NamedItem>;
  readonly imports: ReadonlyMap<string, Import>;
  /** Local names whose import failed and was reported. */
  readonly failed: ReadonlyMap<string, Span>;
}

export interface ModuleGraph {
  readonly entry: LoadedModule;
  /** Imported modules before their importers. */
  readonly modules: readonly LoadedModule[];
  readonly diagnostics: readonly Diagnostic[];
  /** Texts by file name. */
  readonly sources: ReadonlyMap<string, string>;
  /** The library's module that exports a name, for suggestions. */
  libraryModule(name: string): string | undefined;
}

/** Where a name that nobody imported is looked for, so that the error can say so. */
export const LIBRARY: readonly string[] = ["std/nn", "std/linalg", "std/array", "std/math", "std/image", "std/signal"];

interface Loading {
  readonly options: LoadOptions;
  readonly loaded: Map<string, LoadedModule>;
  /** Files being loaded, outermost first. */
  readonly stack: string[];
  readonly diagnostics: Diagnostic[];
  readonly sources: Map<string, string>;
}

/** Never throws for what the texts hold: everything found is in `diagnostics`. */
export function loadModules(source: string, fileName: string, options: LoadOptions = {}): ModuleGraph {
  const state: Loading = { options, loaded: new Map(), stack: [], diagnostics: [], sources: new Map() };
  const entry = load(state, source, fileName, false);
  return {
    entry,
    modules: [...state.loaded.values()],
    diagnostics: state.diagnostics,
    sources: state.sources,
    libraryModule: (name) => {
      if (!/^[A-Za-z_]\w{0,99}$/.test(name)) return undefined;
      const pattern = new RegExp(`^export (?:fn|let|const) ${name}\\b`, "m");
      return LIBRARY.find((m) => pattern.test(options.std?.(m) ?? ""));
    },
  };
}

/** The library's modules are parsed once. */
const library = new Map<string, Parsed>();

function parseLibrary(source: string, file: string): Parsed {
  const old = library.get(file);
  if (old && old.module.source === source) return old;
  const made = parseModule(source, file);
  library.set(file, made);
  return made;
}

function load(state: Loading, source: string, file: string, isStd: boolean): LoadedModule {
  state.sources.set(file, source);
  state.stack.push(file);
  const { module, diagnostics } = isStd
    ? parseLibrary(source, file)
    : (state.options.parse ?? parseModule)(source, file);
  state.diagnostics.push(...diagnostics);
  const names = new Map<string, Span>();
  const items = new Map<string, NamedItem>();
  const imports = new Map<string, Import>();
  const failed = new Map<string, Span>();
  for (const item of module.items) {
    if (item.kind === "import") importItem(state, item, file, names, imports, failed);
    else if (claim(state, names, item.name.text, item.name.span)) items.set(item.name.text, item);
  }
  state.stack.pop();
  const made: LoadedModule = { file, module, isStd, items, imports, failed };
  state.loaded.set(file, made);
  return made;
}

/** False, with EIN1102, if the module has the name already. */
function claim(state: Loading, names: Map<string, Span>, name: string, span: Span): boolean {
  const old = names.get(name);
  if (!old) {
    names.set(name, span);
    return true;
  }
  state.diagnostics.push(
    diagnostic("EIN1102", `\`${name}\` is declared twice in this module`, [
      { span, text: "declared again here" },
      { span: old, text: "first declared here" },
    ]),
  );
  return false;
}

function importItem(
  state: Loading,
  item: ImportItem,
  file: string,
  names: Map<string, Span>,
  imports: Map<string, Import>,
  failed: Map<string, Span>,
): void {
  const target = importedModule(state, item, file);
  for (const { name, alias } of item.names) {
    const local = alias ?? name;
    if (!claim(state, names, local.text, local.span)) continue;
    if (!target) {
      failed.set(local.text, local.span);
      continue;
    }
    const found = target.items.get(name.text);
    if (found?.exported) {
      imports.set(local.text, { module: target, name: name.text, span: local.span });
      continue;
    }
    failed.set(local.text, local.span);
    // A module that did not parse may well declare it.
    if (
      !found &&
      target.module.items.length === 0 &&
      state.diagnostics.some((d) => d.labels[0]?.span.file === target.file)
    )
      continue;
    state.diagnostics.push(notExported(name, target, found));
  }
}

function notExported(
  name: { readonly text: string; readonly span: Span },
  target: LoadedModule,
  found: Item | undefined,
): Diagnostic {
  const exported = [...target.items.values()].filter((i) => i.exported).map((i) => i.name.text);
  if (found) {
    const labels: Label[] = [{ span: name.span, text: "not exported" }];
    if (found.kind !== "import") labels.push({ span: found.name.span, text: "declared here without `export`" });
    return diagnostic("EIN1106", `\`${name.text}\` is declared in ${target.file} but not exported`, labels, {
      notes: ["put `export` before its declaration"],
    });
  }
  if (BUILTINS.has(name.text))
    return diagnostic(
      "EIN1106",
      `${target.file} exports no \`${name.text}\``,
      { span: name.span, text: "a builtin function" },
      { notes: [`\`${name.text}\` is known everywhere: leave it out of the import`] },
    );
  const near = suggest(name.text, exported);
  return diagnostic(
    "EIN1106",
    `${target.file} exports no \`${name.text}\``,
    { span: name.span, text: near ? `did you mean \`${near}\`?` : "unknown export" },
    {
      notes: [
        exported.length > 0
          ? `it exports ${exported.slice(0, 40).join(", ")}${exported.length > 40 ? ", …" : ""}`
          : "it exports nothing",
      ],
      ...(near ? { fix: { message: `write \`${near}\``, edits: [{ span: name.span, text: near }] } } : {}),
    },
  );
}

/** The module that an import names; undefined, with a diagnostic, if it cannot be had. */
function importedModule(state: Loading, item: ImportItem, importer: string): LoadedModule | undefined {
  const specifier = item.from.text;
  const isStd = specifier.startsWith("std/");
  const resolved = isStd ? resolveStd(state, specifier) : resolveRelative(state, specifier, importer);
  if ("error" in resolved) {
    state.diagnostics.push(
      diagnostic("EIN1103", `cannot import ${JSON.stringify(specifier)}`, {
        span: item.from.span,
        text: resolved.error,
      }),
    );
    return undefined;
  }
  const done = state.loaded.get(resolved.fileName);
  if (done) return done;
  const at = state.stack.indexOf(resolved.fileName);
  if (at >= 0) {
    const cycle = [...state.stack.slice(at), resolved.fileName];
    state.diagnostics.push(
      diagnostic(
        "EIN1104",
        "modules import each other in a circle",
        { span: item.from.span, text: "this import closes it" },
        { notes: [cycle.join(" → ")] },
      ),
    );
    return undefined;
  }
  if (state.stack.length >= MAX_IMPORT_DEPTH) {
    state.diagnostics.push(
      diagnostic("EIN1103", "imports nest too deeply", {
        span: item.from.span,
        text: `at most ${MAX_IMPORT_DEPTH} modules deep`,
      }),
    );
    return undefined;
  }
  return load(state, resolved.source, resolved.fileName, isStd);
}

const MAX_IMPORT_DEPTH = 200;

function resolveStd(state: Loading, specifier: string): Resolved {
  const source = state.options.std?.(specifier);
  return source === undefined ? { error: "the library has no such module" } : { fileName: `${specifier}.ein`, source };
}

function resolveRelative(state: Loading, specifier: string, importer: string): Resolved {
  if (!specifier.startsWith("./") && !specifier.startsWith("../"))
    return { error: "neither `std/…` nor a relative path" };
  return state.options.resolve?.(specifier, importer) ?? { error: "nothing here finds other files" };
}
