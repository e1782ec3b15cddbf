/** What the plugin is told: by its options, and by the project's configuration. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import { NO_SPAN } from "../../grammar/span.ts";
import { type ConfigFile, type ProjectConfig, readConfig } from "../project/config.ts";
import { CONFIG_NAME, configAt, findConfig } from "../project/find.ts";
import { projectOf, type UnitSettings } from "../project/project.ts";
import { within } from "../project/sources.ts";

type CompileConfig = Pick<
  ProjectConfig,
  "target" | "extents" | "consts" | "specialise" | "schedules" | "strict" | "fastMath"
>;

/** What kernels are compiled for, as in `fusum.config.json`, whose values these replace; records are merged. */
export interface FusumOptions extends CompileConfig {
  /** The configuration file or its folder, seen from the working folder; false for none. The nearest above each source if left out. */
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

/** The configuration for a source, if there is one, and the folder that its imports may not leave. */
export interface Home {
  readonly config: string | undefined;
  readonly root: string;
}

/** Throws if the options name a configuration that is not there. */
export function homeOf(path: string, { project }: FusumOptions): Home {
  const config =
    project === false ? undefined : project === undefined ? findConfig(dirname(path)) : configAt(resolve(project));
  if (config === undefined && project) throw new Error(`there is no ${CONFIG_NAME} at ${resolve(project)}`);
  const root = config && dirname(config);
  // What is linked into a project, or lies beside the configuration that is named, is seen from its own package.
  return { config, root: root && within(root, path) !== undefined ? root : packageFolder(path) };
}

function packageFolder(path: string): string {
  for (let at = dirname(path); at !== dirname(at); at = dirname(at))
    if (existsSync(join(at, "package.json"))) return at;
  return dirname(path);
}

/** Reads the configuration of a source. */
export async function readSettings(options: FusumOptions, home: Home): Promise<PluginSettings> {
  const { project: _project, types: _types, ...own } = options;
  const file = home.config === undefined ? nothing(home.root) : await readConfig(home.config, CONFIG_NAME);
  const { target, extents, consts, specialise, schedules, strict, fastMath } = file.config;
  const config: ProjectConfig = {
    ...defined({ target, schedules, strict, fastMath }),
    ...defined(own),
    extents: { ...extents, ...own.extents },
    consts: { ...consts, ...own.consts },
    specialise: { ...specialise, ...own.specialise },
    arbitraryExtensions: true,
  };
  const wrong = Object.keys(defined(own)).length > 0 ? await complaints(own) : [];
  const { unit, diagnostics } = projectOf(
    { ...file, config, diagnostics: [...file.diagnostics, ...wrong] },
    { outDir: dirname(file.path), emit: ["module"], sourceMap: true },
  );
  if (unit.schedules === undefined) return { unit, diagnostics, files: home.config ? [home.config] : [] };
  const { scheduleWarnings } = await import("../project/schedules.ts");
  const files = [...(home.config ? [home.config] : []), join(unit.root, unit.schedules)];
  return { unit, diagnostics: [...diagnostics, ...scheduleWarnings(unit)], files };
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
