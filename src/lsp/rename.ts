/**
 * Renaming. The edits are made on copies of the texts and what names stand for is found again: if any name would then mean something
 * else than before, the renaming is refused with the name that is in the way.
 */
import type { Range, TextEdit, WorkspaceEdit } from "vscode-languageserver";
import { parseModule } from "../../grammar/parser.ts";
import { RESERVED } from "../../grammar/tokens.ts";
import { DTYPES } from "../../ir/dtype.ts";
import type { LoadedModule } from "../modules.ts";
import type { Analysis } from "./analysis.ts";
import { bindModule } from "./bind.ts";
import type { Bindings, Declared, Occurrence } from "./names.ts";
import { linesOf, rangeOf } from "./position.ts";
import { meaningOf, occurrenceAt, type Place, placesOf } from "./resolve.ts";
import { isNumber, type Workspace } from "./workspace.ts";

/** Why a renaming is refused: shown to the user as it is. */
export class RenameRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "RenameRefused";
  }
}

interface Target {
  readonly module: LoadedModule;
  readonly declared: Declared;
  readonly occurrence: Occurrence;
}

/** The range of the name at the offset. Throws RenameRefused where there is none that can be changed. */
export function prepareRename(w: Workspace, a: Analysis, offset: number): { range: Range; placeholder: string } {
  const { occurrence } = targetAt(w, a, offset);
  return { range: rangeOf(linesOf(a.module.module), occurrence.name.span), placeholder: occurrence.name.text };
}

function targetAt(w: Workspace, a: Analysis, offset: number): Target {
  const occurrence = occurrenceAt(w, a.module, offset);
  if (!occurrence) throw new RenameRefused("There is no name here.");
  const meaning = meaningOf(w, a.module, occurrence);
  const name = occurrence.name.text;
  if (meaning.kind === "builtin") throw new RenameRefused(`\`${name}\` is built in.`);
  if (meaning.kind === "unknown") throw new RenameRefused(`\`${name}\` is not declared by this module.`);
  // What the library declares keeps its name there; here it gets another with `as`.
  const local = occurrence.target;
  if (meaning.module.isStd || !meaning.declared.item) {
    if (local?.kind !== "import") throw new RenameRefused(`\`${name}\` is the library's.`);
    return { module: a.module, declared: local, occurrence };
  }
  if (local?.kind === "import" && local.name.text !== meaning.declared.name.text && occurrence.role !== "imported")
    return { module: a.module, declared: local, occurrence };
  return { module: meaning.module, declared: meaning.declared, occurrence };
}

export function rename(w: Workspace, a: Analysis, offset: number, newName: string): WorkspaceEdit {
  const target = targetAt(w, a, offset);
  const oldName = target.declared.name.text;
  if (!/^[A-Za-z_]\w*$/.test(newName)) throw new RenameRefused(`\`${newName}\` is not a name.`);
  if (RESERVED.includes(newName)) throw new RenameRefused(`\`${newName}\` is a word of the language.`);
  if (DTYPES.some((d) => d === newName)) throw new RenameRefused(`\`${newName}\` is an element type.`);
  if (newName === oldName) return { changes: {} };
  const byModule = new Map<LoadedModule, Place[]>([[target.module, []]]);
  const places =
    target.declared.kind === "import" ? importPlaces(w, target) : placesOf(w, target.module, target.declared);
  for (const p of places) {
    // An alias stays: `import { old as alias }` changes before the `as` only.
    if (p.occurrence.name.text !== oldName) continue;
    byModule.set(p.module, [...(byModule.get(p.module) ?? []), p]);
  }
  const changes: Record<string, TextEdit[]> = {};
  for (const [m, list] of byModule) {
    const edits = list.map((p) => editOf(p.occurrence, oldName, newName, target));
    refuseUnread(w.bindings(m), m, [oldName, newName]);
    verify(w.bindings(m), m, edits, newName);
    const uri = w.uriOf(m.file);
    if (uri === undefined) throw new RenameRefused(`${m.file} cannot be changed.`);
    const lines = linesOf(m.module);
    changes[uri] = edits.map((e) => ({ range: rangeOf(lines, e), newText: e.text }));
  }
  return { changes };
}

/** Uses of an import in its own module. */
function importPlaces(w: Workspace, t: Target): readonly Place[] {
  return w
    .bindings(t.module)
    .occurrences.filter((o) => o.target === t.declared && o.name.text === t.declared.name.text)
    .map((occurrence) => ({ module: t.module, occurrence }));
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function editOf(o: Occurrence, oldName: string, newName: string, t: Target): Edit {
  const { start, end } = o.name.span;
  // The field of the record, and the exported name, stay what they are.
  if (o.role === "shorthandUse" || o.role === "shorthandDeclaration")
    return { start, end, text: `${oldName}: ${newName}` };
  if (o.role === "imported" && t.declared.kind === "import") return { start, end, text: `${oldName} as ${newName}` };
  return { start, end, text: newName };
}

/** Names in text that does not parse are not known: neither may occur there. */
function refuseUnread(b: Bindings, m: LoadedModule, names: readonly string[]): void {
  for (const span of b.unread)
    for (const name of names)
      if (new RegExp(`\\b${name}\\b`).test(m.module.source.slice(span.start, span.end)))
        throw new RenameRefused(`\`${name}\` occurs where ${m.file} has a syntax error.`);
}

/** After the edits every name must mean what it meant. */
function verify(before: Bindings, m: LoadedModule, edits: readonly Edit[], newName: string): void {
  const sorted = [...edits].sort((x, y) => x.start - y.start);
  const moved = (at: number): number => {
    let shift = 0;
    for (const e of sorted) if (e.end <= at) shift += e.text.length - (e.end - e.start);
    return at + shift;
  };
  let text = "";
  let from = 0;
  for (const e of sorted) {
    text += m.module.source.slice(from, e.start) + e.text;
    from = e.end;
  }
  text += m.module.source.slice(from);
  const { module, diagnostics } = parseModule(text, m.file);
  const old = parseModule(m.module.source, m.file).diagnostics.length;
  if (diagnostics.length > old) throw new RenameRefused(`\`${newName}\` does not parse here.`);
  const after = bindModule(module, (name) => isNumber(m, name === newName ? "" : name));
  const clash = (o: Occurrence): RenameRefused => {
    const { line } = linesOf(m.module).at(o.name.span.start);
    return new RenameRefused(`\`${newName}\` already means something else: line ${line} would change its meaning.`);
  };
  // Edited shorthands become two names: the new one is last, so places are compared by where names end.
  const end = (o: Occurrence): number => o.name.span.end;
  const found = new Map(after.occurrences.map((o) => [`${end(o)} ${o.role === "imported"}`, o]));
  const editedEnd = new Map(sorted.map((e) => [e.end, moved(e.end)]));
  for (const o of before.occurrences) {
    const at = editedEnd.get(end(o)) ?? moved(end(o));
    const now = found.get(`${at} ${o.role === "imported"}`) ?? found.get(`${at} ${o.role !== "imported"}`);
    if (!now) throw clash(o);
    const [was, is] = [o.target, now.target];
    if ((was === undefined) !== (is === undefined)) throw clash(o);
    if (!was || !is) continue;
    const declaredAt = editedEnd.get(was.name.span.end) ?? moved(was.name.span.end);
    if (declaredAt !== is.name.span.end) throw clash(o);
  }
  const names = new Set<string>();
  for (const item of module.items) {
    const own = item.kind === "import" ? item.names.map((n) => (n.alias ?? n.name).text) : [item.name.text];
    for (const n of own) {
      if (n === newName && names.has(n)) throw new RenameRefused(`The module has a \`${newName}\` already.`);
      names.add(n);
    }
  }
  refuseDoubles(before, newName, edits);
}

/** Two declarations of one name in one scope. */
function refuseDoubles(before: Bindings, newName: string, edits: readonly Edit[]): void {
  const edited = new Set(edits.map((e) => e.end));
  const renamed = before.declared.filter((d) => edited.has(d.name.span.end));
  for (const d of renamed)
    for (const other of before.declared) {
      if (other.name.text !== newName || other.item !== d.item) continue;
      const sameScope = other.visible.end === d.visible.end && other.kind !== "index" && d.kind !== "index";
      if (sameScope) throw new RenameRefused(`There is a \`${newName}\` in the same scope already.`);
    }
}
