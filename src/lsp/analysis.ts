/**
 * Checking a module as it is edited. An item's findings depend on its text and on those of all the items it reaches; they are kept
 * under that key, with offsets that count from the items' starts, so that an edit elaborates only what it may have changed.
 */
import { hash } from "node:crypto";
import type { Diagnostic, Fix, Label } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { distinct } from "../elaborate/errors.ts";
import { checkItem } from "../elaborate/index.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import type { LoadedModule, ModuleGraph, NamedItem } from "../modules.ts";
import { type Fact, observeItem } from "./facts.ts";

export interface ItemFindings {
  readonly item: NamedItem;
  /** Equal keys: equal findings. */
  readonly key: string;
  readonly signature: FunctionSignature | undefined;
  readonly facts: readonly Fact[];
}

export interface Analysis {
  readonly graph: ModuleGraph;
  readonly module: LoadedModule;
  readonly items: ReadonlyMap<string, ItemFindings>;
  /** Of parsing, loading, and the entry module's items. */
  readonly diagnostics: readonly Diagnostic[];
  /** How many items were elaborated for this analysis; the others were known. */
  readonly elaborated: number;
}

interface Kept {
  readonly signature: FunctionSignature | undefined;
  readonly facts: readonly Fact[];
  readonly diagnostics: readonly Diagnostic[];
  /** Names of the module, if the findings may suggest one of them. */
  readonly names: string | undefined;
}

/** Findings by key, for one module and its versions. */
export class FindingsCache {
  #old = new Map<string, Kept>();
  #used = new Map<string, Kept>();

  find(key: string, names: string): Kept | undefined {
    const found = this.#used.get(key) ?? this.#old.get(key);
    if (!found || (found.names !== undefined && found.names !== names)) return undefined;
    this.#used.set(key, found);
    return found;
  }
  keep(key: string, kept: Kept): void {
    this.#used.set(key, kept);
  }
  /** Forgets what neither this version nor the one before it used. */
  turn(): void {
    this.#old = this.#used;
    this.#used = new Map();
  }
}

/** Checks the entry module of a graph. Never throws: a failure of the compiler itself is `onFailure`'s, and costs one item. */
export function analyse(graph: ModuleGraph, cache: FindingsCache, onFailure: (error: unknown) => void): Analysis {
  const m = graph.entry;
  const diagnostics: Diagnostic[] = [...graph.diagnostics];
  const items = new Map<string, ItemFindings>();
  const names = namesOf(graph);
  const broken = graph.diagnostics.flatMap((d) => d.labels.slice(0, 1).map((l) => l.span));
  const anchors = new Anchors(graph);
  const keys = new Keys();
  let elaborated = 0;
  for (const [name, item] of m.items) {
    const key = keys.of(m, item);
    const isBroken = broken.some((s) => s.file === m.file && s.start <= item.span.end && s.end >= item.span.start);
    let kept = isBroken ? undefined : cache.find(key, names);
    if (kept) diagnostics.push(...kept.diagnostics.map((d) => anchors.absolute(d)));
    else {
      const found: Diagnostic[] = [];
      const observer = observeItem(m.file, item);
      let signature: FunctionSignature | undefined;
      try {
        signature = checkItem(graph, m, item, found, observer);
      } catch (error) {
        onFailure(error);
      }
      elaborated++;
      diagnostics.push(...found);
      const relative = found.map((d) => anchors.relative(d));
      kept = { signature, facts: observer.facts, diagnostics: [], names: found.length > 0 ? names : undefined };
      if (!isBroken && relative.every((d) => d !== undefined)) cache.keep(key, { ...kept, diagnostics: relative });
    }
    items.set(name, { item, key, signature: kept.signature, facts: kept.facts });
  }
  cache.turn();
  return { graph, module: m, items, diagnostics: distinct(diagnostics), elaborated };
}

/** All names of the user's modules. */
function namesOf(graph: ModuleGraph): string {
  const own = graph.modules.filter((m) => !m.isStd || m === graph.entry);
  return own.map((m) => [m.file, ...m.items.keys(), ...m.imports.keys(), ...m.failed.keys()].join()).join("\0");
}

// ---- Keys -----------------------------------------------------------------------------------------------------------

const words = new WeakMap<NamedItem, ReadonlySet<string>>();

/** Every word of the item's text, comments and strings included: more than the names that it uses, never less. */
function wordsOf(m: LoadedModule, item: NamedItem): ReadonlySet<string> {
  const old = words.get(item);
  if (old) return old;
  const made = new Set(m.module.source.slice(item.span.start, item.span.end).match(/[A-Za-z_]\w*/g) ?? []);
  words.set(item, made);
  return made;
}

class Keys {
  /** What an item uses directly, as texts and items. */
  readonly #direct = new Map<NamedItem, { readonly own: string; readonly next: readonly Reached[] }>();

  /** Stands for the text of the item and of all that it reaches. */
  of(m: LoadedModule, item: NamedItem): string {
    const seen = new Map<NamedItem, string>();
    const waiting: Reached[] = [{ module: m, item }];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      if (seen.has(next.item)) continue;
      const { own, next: more } = this.#directOf(next.module, next.item);
      seen.set(next.item, own);
      waiting.push(...more);
    }
    const [first, ...rest] = seen.values();
    return hash("sha256", [first, ...rest.sort()].join());
  }

  #directOf(m: LoadedModule, item: NamedItem): { readonly own: string; readonly next: readonly Reached[] } {
    const old = this.#direct.get(item);
    if (old) return old;
    const next: Reached[] = [];
    const bound: string[] = [];
    for (const word of wordsOf(m, item)) {
      const local = m.items.get(word);
      const foreign = local ? undefined : m.imports.get(word);
      if (local) {
        if (local !== item) next.push({ module: m, item: local });
        bound.push(word);
      } else if (foreign) {
        const target = foreign.module.items.get(foreign.name);
        bound.push(`${word}=${foreign.module.file}:${foreign.name}`);
        if (target && !foreign.module.isStd) next.push({ module: foreign.module, item: target });
      } else if (m.failed.has(word)) bound.push(`${word}!`);
    }
    const text = m.module.source.slice(item.span.start, item.span.end);
    const made = { own: hash("sha256", [m.file, bound.sort().join(), item.doc ?? "", text].join("\0")), next };
    this.#direct.set(item, made);
    return made;
  }
}

interface Reached {
  readonly module: LoadedModule;
  readonly item: NamedItem;
}

// ---- Places ---------------------------------------------------------------------------------------------------------

/** Spans that count from the start of the item they are in: `file` is then FILE NUL NAME. The library never moves. */
class Anchors {
  readonly #modules = new Map<string, LoadedModule>();

  constructor(graph: ModuleGraph) {
    for (const m of graph.modules) this.#modules.set(m.file, m);
  }

  /** Undefined if a place is in no item: then the findings cannot be moved. */
  relative(d: Diagnostic): Diagnostic | undefined {
    const moved = moveSpans(d, (s) => {
      const m = this.#modules.get(s.file);
      if (!m || m.isStd || (s.start === 0 && s.end === 0)) return s;
      for (const [name, item] of m.items)
        if (s.start >= item.span.start && s.end <= item.span.end)
          return { file: `${s.file}\0${name}`, start: s.start - item.span.start, end: s.end - item.span.start };
      return undefined;
    });
    return moved;
  }

  absolute(d: Diagnostic): Diagnostic {
    const moved = moveSpans(d, (s) => {
      const [file = "", name] = s.file.split("\0");
      const item = name === undefined ? undefined : this.#modules.get(file)?.items.get(name);
      return item ? { file, start: s.start + item.span.start, end: s.end + item.span.start } : s;
    });
    return moved ?? d;
  }
}

function moveSpans(d: Diagnostic, move: (s: Span) => Span | undefined): Diagnostic | undefined {
  const labels: Label[] = [];
  for (const l of d.labels) {
    const span = move(l.span);
    if (!span) return undefined;
    labels.push({ ...l, span });
  }
  if (!d.fix) return { ...d, labels };
  const edits: Fix["edits"][number][] = [];
  for (const e of d.fix.edits) {
    const span = move(e.span);
    if (!span) return undefined;
    edits.push({ ...e, span });
  }
  return { ...d, labels, fix: { ...d.fix, edits } };
}
