/** Compiles the sources that a bundler asks for, each again only if something that it was made from has changed. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { type Diagnostic, DiagnosticError } from "../../grammar/diagnostic.ts";
import type { CompileOptions } from "../compile.ts";
import type { OutputFile } from "../module/index.ts";
import { distinctSorted, hasErrors } from "../project/findings.ts";
import { writeOutput } from "../project/outputs.ts";
import { SourceCache } from "../project/sources.ts";
import type { UnitResult } from "../project/unit.ts";
import { type Message, messagesOf } from "./messages.ts";
import { type FusumOptions, type Home, homeOf, type PluginSettings, readSettings, settingsState } from "./options.ts";

/** A source map as it stands in JSON. */
export interface ModuleMap {
  readonly version: number;
  sources: string[];
  sourcesContent?: (string | null)[];
  names: string[];
  mappings: string;
}

export interface CompiledSource {
  /** Undefined if there are errors among the messages. */
  readonly module: { readonly code: string; readonly map: ModuleMap } | undefined;
  readonly messages: readonly Message[];
  /** Absolute: everything that was read or looked for, itself included. */
  readonly files: readonly string[];
}

export interface PluginCompiler {
  /** `path` is absolute. Throws for defects, and for options that name a configuration which is not there. */
  compile(path: string): Promise<CompiledSource>;
}

interface Kept {
  readonly state: string;
  readonly root: string;
  readonly reads: UnitResult["reads"];
  readonly result: CompiledSource;
}

interface ReadSettings {
  readonly read: PluginSettings;
  readonly state: string;
}

export function openCompiler(options: FusumOptions): PluginCompiler {
  const known = new Map<string, ReadSettings>();
  const kept = new Map<string, Kept>();

  const settingsOf = async (home: Home): Promise<ReadSettings> => {
    const key = home.config ?? home.root;
    const old = known.get(key);
    if (old && settingsState(old.read) === old.state) return old;
    const read = await readSettings(options, home);
    const made = { read, state: settingsState(read) };
    known.set(key, made);
    return made;
  };

  let memo: CompileOptions["memo"];
  return {
    async compile(path) {
      const home = homeOf(path, options);
      const { root } = home;
      const { read, state } = await settingsOf(home);
      const old = kept.get(path);
      if (old && old.root === root && old.state === state && isCurrent(old)) return old.result;
      const wrong = messagesOf(read.diagnostics, read.unit.root);
      if (hasErrors(read.diagnostics)) return { module: undefined, messages: wrong, files: [path, ...read.files] };
      const file = relative(root, path).replaceAll("\\", "/");
      // Loaded when there is something to compile: a bundler's start should not wait for it.
      const [{ compileUnit }, { scheduleCache }, { KernelCache }] = await Promise.all([
        import("../project/unit.ts"),
        import("../project/schedules.ts"),
        import("../project/kernel-cache.ts"),
      ]);
      memo ??= new KernelCache();
      const unit = compileUnit(file, { ...read.unit, root }, { schedule: scheduleCache(read.unit), memo });
      const unwritten = writeTypes(unit, options, root);
      const diagnostics = distinctSorted([...unit.diagnostics, ...unwritten]);
      const result: CompiledSource = {
        module: hasErrors(diagnostics) ? undefined : moduleOf(unit.outputs, file),
        messages: [...wrong, ...messagesOf(diagnostics, root)],
        files: [...new Set([path, ...Object.keys(unit.reads).map((name) => join(root, name)), ...read.files])],
      };
      if (unwritten.length === 0) kept.set(path, { state, root, reads: unit.reads, result });
      return result;
    },
  };
}

function isCurrent({ root, reads }: Kept): boolean {
  const now = new SourceCache(root);
  return Object.entries(reads).every(([name, hash]) => now.hash(name) === hash);
}

const bare = (text: string): string => text.replace(/\/\/# sourceMappingURL=.*\n$/, "");

function moduleOf(outputs: readonly OutputFile[], file: string): CompiledSource["module"] {
  const text = (path: string): string => outputs.find((o) => o.path === path)!.text;
  return { code: bare(text(`${file}.js`)), map: JSON.parse(text(`${file}.js.map`)) as ModuleMap };
}

/** Writes the types unless they are there already; says in a warning if it cannot. A source with errors keeps those that it had. */
function writeTypes(unit: UnitResult, { types = true }: FusumOptions, root: string): readonly Diagnostic[] {
  const made = unit.outputs.find((o) => o.path.endsWith(".d.ein.ts"));
  if (!made || types === false) return [];
  const path = types === true ? join(root, made.path) : resolve(root, types, made.path);
  const text = bare(made.text);
  try {
    if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeOutput(path, text);
    return [];
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    // The module itself is fine.
    return [{ ...error.diagnostic, severity: "warning" }];
  }
}

/** What stands in for a module with errors, in bundlers that go on: whoever runs it is told. */
export function failingModule(path: string): string {
  return `throw new Error(${JSON.stringify(`${basename(path)} has errors; the bundler shows them`)});\n`;
}
