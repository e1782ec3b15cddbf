/** The files that the editor shows and those they import: an open file's text is the editor's, others' is the disk's. */
import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { type Parsed, parseModule } from "../../grammar/parser.ts";
import { type LoadedModule, loadModules, type ModuleGraph, type Resolved } from "../modules.ts";
import { resolveStd, stdFile } from "../std/index.ts";
import { type Analysis, analyse, FindingsCache } from "./analysis.ts";
import { bindModule } from "./bind.ts";
import type { Bindings } from "./names.ts";
import { reparse } from "./reparse.ts";

/** What the workspace needs of the open documents. */
export interface OpenDocuments {
  all(): readonly TextDocument[];
}

interface OnDisk {
  readonly stamp: string;
  readonly text: string;
}

const MAX_SOURCE_BYTES = 16 * 1024 * 1024;
/** How many files are looked through for references, and how many folders for files. */
const MAX_FILES = 2000;
const MAX_FOLDERS = 5000;

/** A file's path, or the whole URI where it is no file (`untitled:Untitled-1`): the module's identity. */
export function fileOf(uri: string): string {
  if (!uri.startsWith("file:")) return uri;
  try {
    return fileURLToPath(uri);
  } catch {
    return uri;
  }
}

export class Workspace {
  readonly #documents: OpenDocuments;
  readonly #onFailure: (error: unknown) => void;
  readonly #disk = new Map<string, OnDisk>();
  readonly #parsed = new Map<string, Parsed>();
  readonly #caches = new Map<string, FindingsCache>();
  readonly #analyses = new Map<string, Analysis>();
  readonly #bindings = new WeakMap<LoadedModule, Bindings>();
  /** Open documents by file. */
  #open = new Map<string, TextDocument>();
  #roots: readonly string[] = [];

  constructor(documents: OpenDocuments, onFailure: (error: unknown) => void) {
    this.#documents = documents;
    this.#onFailure = onFailure;
  }

  setRoots(folders: readonly string[]): void {
    this.#roots = folders.filter((f) => isAbsolute(f));
  }

  /** Something changed: what was found out is looked up again, which costs little where it is still true. */
  changed(): void {
    this.#analyses.clear();
    this.#open = new Map(this.#documents.all().map((d) => [fileOf(d.uri), d]));
  }

  closed(file: string): void {
    this.#caches.delete(file);
    this.#parsed.delete(file);
    this.changed();
  }

  uriOf(file: string): string | undefined {
    const open = this.#open.get(file);
    if (open) return open.uri;
    if (isAbsolute(file)) return pathToFileURL(file).href;
    return stdFile(file.replace(/\.ein$/, ""))?.href;
  }

  /** The editor's text, or the disk's. Undefined if there is none. */
  text(file: string): string | undefined {
    const open = this.#open.get(file);
    if (open) return open.getText();
    if (!isAbsolute(file)) return undefined;
    try {
      const s = statSync(file);
      if (!s.isFile() || s.size > MAX_SOURCE_BYTES) return undefined;
      const stamp = `${s.mtimeMs} ${s.size} ${s.ino}`;
      const old = this.#disk.get(file);
      if (old?.stamp === stamp) return old.text;
      const text = readFileSync(file, "utf8");
      this.#disk.set(file, { stamp, text });
      return text;
    } catch {
      this.#disk.delete(file);
      return undefined;
    }
  }

  /** The checked module; undefined if there is no such file. */
  analysis(file: string): Analysis | undefined {
    const old = this.#analyses.get(file);
    if (old) return old;
    const graph = this.#load(file);
    if (!graph) return undefined;
    let cache = this.#caches.get(file);
    if (!cache) {
      cache = new FindingsCache();
      this.#caches.set(file, cache);
    }
    const made = analyse(graph, cache, this.#onFailure);
    this.#analyses.set(file, made);
    return made;
  }

  /** The module and what it imports, not checked. */
  graph(file: string): ModuleGraph | undefined {
    return this.#analyses.get(file)?.graph ?? this.#load(file);
  }

  /** What the names of a module stand for. */
  bindings(m: LoadedModule): Bindings {
    const old = this.#bindings.get(m);
    if (old) return old;
    const made = bindModule(m.module, (name) => isNumber(m, name));
    this.#bindings.set(m, made);
    return made;
  }

  /** Open `.ein` files and those in the workspace's folders, `node_modules` and dot folders left out. */
  files(): readonly string[] {
    const found = new Set(this.#open.keys());
    let folders = 0;
    const visit = (folder: string): void => {
      if (found.size >= MAX_FILES || ++folders > MAX_FOLDERS) return;
      try {
        for (const entry of readdirSync(folder, { withFileTypes: true })) {
          if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
          const path = join(folder, entry.name);
          if (entry.isDirectory()) visit(path);
          else if (entry.isFile() && entry.name.endsWith(".ein")) found.add(path);
        }
      } catch {
        // A folder that cannot be read holds nothing for us.
      }
    };
    for (const root of this.#roots) visit(root);
    return [...found];
  }

  #load(file: string): ModuleGraph | undefined {
    const source = this.text(file);
    if (source === undefined) return undefined;
    return loadModules(source, file, {
      resolve: (specifier, importer) => this.#resolve(specifier, importer),
      std: resolveStd,
      parse: (text, name) => this.#parse(text, name),
    });
  }

  #parse(text: string, file: string): Parsed {
    const old = this.#parsed.get(file);
    if (old && old.module.source === text) return old;
    const made = old ? reparse(old, text) : parseModule(text, file);
    this.#parsed.set(file, made);
    return made;
  }

  #resolve(specifier: string, importer: string): Resolved {
    if (!isAbsolute(importer)) return { error: "the file has no place on disk yet: save it first" };
    const path = resolve(dirname(importer), specifier.endsWith(".ein") ? specifier : `${specifier}.ein`);
    const root = this.#rootOf(importer);
    const within = relative(root, this.#open.has(path) ? path : real(path));
    if (within.startsWith("..") || isAbsolute(within)) return { error: `${specifier} is outside the project's root` };
    const source = this.text(path);
    return source === undefined ? { error: `there is no file ${within}` } : { fileName: path, source };
  }

  /** Imports stay inside the workspace's folder; a file outside all of them may import from its own. */
  #rootOf(file: string): string {
    const inside = this.#roots.filter((r) => !relative(r, file).startsWith(".."));
    return inside.sort((a, b) => a.length - b.length)[0] ?? dirname(file);
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Is the module's name a constant rather than a function? As the text says it: nothing is evaluated. */
export function isNumber(m: LoadedModule, name: string): boolean {
  const foreign = m.imports.get(name);
  const item = foreign ? foreign.module.items.get(foreign.name) : m.items.get(name);
  return item?.kind === "letItem" && (item.isConst || ["number", "unary", "binary"].includes(item.value.kind));
}
