/** What the plugin is told: by its options, and by the project's configuration. */
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import { NO_SPAN } from "../../grammar/span.ts";
import { type ConfigFile, type ProjectConfig, readConfig } from "../project/config.ts";
import { CONFIG_NAME, configAt, findConfig } from "../project/find.ts";
import { projectOf, type UnitSettings } from "../project/project.ts";

type CompileConfig = Pick<ProjectConfig, "target" | "extents" | "consts" | "specialise" | "schedules" | "strict">;

/** What kernels are compiled for, as in `fusum.config.json`, whose values these replace; records are merged. */
export interface FusumOptions extends CompileConfig {
  /** The configuration file or its folder, seen from the bundler's root; false for none. The nearest above that root if left out. */
  readonly project?: string | false;
  /** Where types go: `x.d.ein.ts` beside each source (true, the default), below this folder, or nowhere (false). */
  readonly types?: boolean | string;
}

export interface PluginSettings {
  readonly unit: UnitSettings;
  /** Of the configuration and the options; with errors among them nothing can be compiled. */
  readonly diagnostics: readonly Diagnostic[];
  /** Absolute: what a change of these changes every module. */
  readonly files: readonly string[];
}

/** Reads the configuration. `root` is the bundler's. Throws if the options name a configuration that is not there. */
export async function readSettings(options: FusumOptions, root: string): Promise<PluginSettings> {
  const { project, types: _types, ...own } = options;
  const path =
    project === false ? undefined : project === undefined ? findConfig(root) : configAt(resolve(root, project));
  if (path === undefined && project) throw new Error(`there is no ${CONFIG_NAME} at ${resolve(root, project)}`);
  const file = path === undefined ? nothing(root) : await readConfig(path, basename(path));
  const { target, extents, consts, specialise, schedules, strict } = file.config;
  const config: ProjectConfig = {
    ...defined({ target, schedules, strict }),
    ...defined(own),
    extents: { ...extents, ...own.extents },
    consts: { ...consts, ...own.consts },
    specialise: { ...specialise, ...own.specialise },
    arbitraryExtensions: true,
  };
  const wrong = Object.keys(defined(own)).length > 0 ? await complaints(own) : [];
  const merged = { ...file, config, diagnostics: [...file.diagnostics, ...wrong] };
  const made = projectOf(merged, { outDir: dirname(file.path), emit: ["module"], sourceMap: true });
  const { unit } = made;
  return {
    unit,
    diagnostics: made.diagnostics,
    files: [...(path ? [path] : []), ...(unit.schedules === undefined ? [] : [join(unit.root, unit.schedules)])],
  };
}

/** A value that tells whether settings read before are those of now. */
export function settingsState(settings: PluginSettings): string {
  return settings.files.map(textOf).join("\0");
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function nothing(root: string): ConfigFile {
  return { path: join(root, CONFIG_NAME), text: "", config: {}, diagnostics: [], spanOf: () => NO_SPAN };
}

async function complaints(own: CompileConfig): Promise<readonly Diagnostic[]> {
  const { validate } = await import("../project/schema.ts");
  return validate(defined(own), () => NO_SPAN);
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
