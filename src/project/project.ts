/** A project: its settings from the configuration and the command line, and the files that it consists of. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import type { ConstValue } from "../api/program.ts";
import type { Specialisation } from "../module/index.ts";
import { DEFAULT_TARGET, type Target } from "../schedule/target.ts";
import { compilerId, isForeign, readBuildInfo } from "./build-info.ts";
import type { ConfigFile, EmitKind, ProjectConfig, TargetConfig } from "./config.ts";
import { baseOf, discover, normalised } from "./glob.ts";
import { canonical, hashOf } from "./hash.ts";
import { within } from "./sources.ts";

/** Everything that decides what a source compiles to, as plain data: workers get it as it is. */
export interface UnitSettings {
  /** Absolute. Sources are named relative to it; imports may not leave it. */
  readonly root: string;
  /** Relative to the root: the folder whose structure the outputs repeat. */
  readonly rootDir: string;
  /** Relative to the root, for source maps to find the sources. */
  readonly outDir: string;
  readonly emit: readonly EmitKind[];
  readonly sourceMap: boolean;
  readonly arbitraryExtensions: boolean;
  /** Best first; empty for WebGPU's guaranteed limits. */
  readonly targets: readonly Target[];
  readonly extents: Readonly<Record<string, number>>;
  readonly consts: Readonly<Record<string, ConstValue>>;
  readonly specialise: Readonly<Record<string, readonly Specialisation[]>>;
  /** Of the schedule cache, relative to the root. */
  readonly schedules: string | undefined;
  readonly strict: boolean;
  readonly fastMath: boolean;
}

export interface Project {
  readonly config: ConfigFile | undefined;
  readonly unit: UnitSettings;
  /** Absolute. */
  readonly outDir: string;
  readonly noEmit: boolean;
  readonly incremental: boolean;
  /** Absolute; undefined where nothing is remembered between builds. */
  readonly buildInfo: string | undefined;
  /** Sources that are there now, relative to the root, in order. */
  readonly find: () => readonly string[];
  /** Patterns relative to the root; what they exclude. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** About the configuration: it names what is not there. */
  readonly diagnostics: readonly Diagnostic[];
}

/** What the command line says instead of, or without, a configuration. */
export interface Overrides {
  readonly outDir?: string | undefined;
  readonly noEmit?: boolean | undefined;
  readonly incremental?: boolean | undefined;
  readonly strict?: boolean | undefined;
  readonly fastMath?: boolean | undefined;
  readonly sourceMap?: boolean | undefined;
  readonly emit?: readonly EmitKind[] | undefined;
  readonly extents?: Readonly<Record<string, number>>;
  readonly consts?: Readonly<Record<string, ConstValue>>;
}

export const BUILD_INFO_NAME = "fusum.buildinfo.json";

function targetFrom(t: TargetConfig): Target {
  return {
    ...DEFAULT_TARGET,
    ...(t.kind ? { kind: t.kind } : {}),
    limits: { ...DEFAULT_TARGET.limits, ...t.limits },
    features: [...(t.features ?? [])].sort(),
    subgroupMinSize: t.subgroupMinSize ?? 0,
    subgroupMaxSize: t.subgroupMaxSize ?? t.subgroupMinSize ?? 0,
    ...(t.subgroupMatrices ? { subgroupMatrices: t.subgroupMatrices } : {}),
  };
}

function unitSettings(root: string, outDir: string, c: ProjectConfig, o: Overrides): UnitSettings {
  const targets = c.target === undefined ? [] : [c.target].flat();
  return {
    root,
    rootDir: normalised(c.rootDir ?? "."),
    outDir: relative(root, outDir).replaceAll("\\", "/"),
    emit: o.emit ?? c.emit ?? ["module"],
    sourceMap: o.sourceMap ?? c.sourceMap ?? false,
    arbitraryExtensions: c.arbitraryExtensions ?? false,
    targets: targets.map(targetFrom),
    extents: { ...c.extents, ...o.extents },
    consts: { ...c.consts, ...o.consts },
    specialise: c.specialise ?? {},
    schedules: c.schedules === undefined ? undefined : normalised(c.schedules),
    strict: o.strict ?? c.strict ?? false,
    fastMath: o.fastMath ?? c.fastMath ?? false,
  };
}

/** What a source's outputs depend on beside the sources themselves; the root's own place is no part of it. */
export function settingsHash(p: Project, hashOfFile: (path: string) => string): string {
  const { root, ...unit } = p.unit;
  return hashOf(canonical({ ...unit, cache: unit.schedules === undefined ? "" : hashOfFile(unit.schedules) }));
}

/** Where a configuration's outputs go and where its build info lies; it need not be valid yet. */
function placesOf(root: string, c: ProjectConfig, o: Overrides): { outDir: string; own: boolean; buildInfo: string } {
  const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
  const named = text(c.outDir);
  const own = o.outDir !== undefined || named !== undefined;
  const outDir = o.outDir !== undefined ? resolve(o.outDir) : resolve(root, named ?? text(c.rootDir) ?? ".");
  return { outDir, own, buildInfo: resolve(own ? outDir : root, text(c.buildInfo) ?? BUILD_INFO_NAME) };
}

/** For `readConfig`: whether the last build found this text valid. */
export function wasValid(path: string, version: string, o: Overrides): (text: string, value: unknown) => boolean {
  return (text, value) => {
    if (typeof value !== "object" || value === null) return false;
    const info = readBuildInfo(placesOf(dirname(path), value, o).buildInfo);
    return info?.config === hashOf(text) && info.compiler === compilerId(version);
  };
}

/** The project of a configuration file. Its `diagnostics` are those of the configuration and of the paths in it. */
export function projectOf(config: ConfigFile, o: Overrides): Project {
  const root = dirname(config.path);
  const c = config.config;
  const { outDir, own, buildInfo } = placesOf(root, c, o);
  const unit = unitSettings(root, outDir, c, o);
  const inside = within(root, outDir);
  const patterns = {
    include: c.include ?? ["**/*.ein"],
    exclude: [...(c.exclude ?? []), ...(own && inside ? [inside] : [])],
  };
  return {
    config,
    unit,
    outDir,
    noEmit: o.noEmit ?? false,
    incremental: o.incremental ?? c.incremental ?? true,
    buildInfo,
    find: () => discover(root, patterns),
    ...patterns,
    diagnostics: [
      ...config.diagnostics,
      ...(config.diagnostics.length > 0 ? [] : pathDiagnostics(config, root, buildInfo)),
    ],
  };
}

function pathDiagnostics(config: ConfigFile, root: string, buildInfo: string): Diagnostic[] {
  const c = config.config;
  const found: Diagnostic[] = [];
  const say = (path: readonly (string | number)[], message: string, text: string): void => {
    found.push(diagnostic("EIN2104", message, { span: config.spanOf(path), text }));
  };
  const folder = (name: string): boolean =>
    statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() ?? false;
  for (const [i, pattern] of (c.include ?? []).entries()) {
    const base = baseOf(pattern);
    if (within(root, resolve(root, base)) === undefined)
      say(
        ["include", i],
        `${JSON.stringify(pattern)} is outside the project`,
        "sources lie beside the configuration or below it",
      );
    else if (!existsSync(join(root, base))) say(["include", i], `there is no ${base}`, "no such file or folder");
  }
  const rootDir = c.rootDir;
  if (rootDir !== undefined && !folder(rootDir)) say(["rootDir"], `there is no folder ${rootDir}`, "no such folder");
  if (c.schedules !== undefined && !existsSync(join(root, c.schedules)))
    say(["schedules"], `there is no file ${c.schedules}`, "no such file");
  if (c.buildInfo !== undefined && isForeign(buildInfo))
    say(
      ["buildInfo"],
      `${c.buildInfo} is not a build info, and would be overwritten`,
      "name another file, or remove it",
    );
  return found;
}

/**
 * A project of files and folders that are named, without a configuration: nothing is remembered unless `incremental` asks for it. `find`
 * lists the files. Under `outDir` they lie as they do below the deepest folder that holds all of them.
 */
export function projectOfFiles(paths: readonly string[], find: () => readonly string[], o: Overrides): Project {
  const root = rootOf(paths);
  const local = (path: string): string => within(root, resolve(path)) ?? path;
  const include = paths.map(local);
  const rootDir = commonFolder(paths.map((p, i) => (statSync(p).isDirectory() ? include[i]! : parentOf(include[i]!))));
  const outDir = resolve(o.outDir ?? join(root, rootDir));
  const unit = { ...unitSettings(root, outDir, {}, o), rootDir };
  return {
    config: undefined,
    unit,
    outDir,
    noEmit: o.noEmit ?? false,
    incremental: o.incremental ?? false,
    buildInfo: o.incremental ? join(outDir, BUILD_INFO_NAME) : undefined,
    find: () => [...new Set(find().map(local))].sort(),
    include,
    exclude: [],
    diagnostics: [],
  };
}

const parentOf = (path: string): string => path.split("/").slice(0, -1).join("/");

function commonFolder(folders: readonly string[]): string {
  const parts = folders[0]?.split("/") ?? [];
  let n = parts.length;
  for (const f of folders) {
    const other = f.split("/");
    while (n > 0 && parts.slice(0, n).join("/") !== other.slice(0, n).join("/")) n--;
  }
  return parts.slice(0, n).join("/");
}

/** The working folder, or the deepest folder above it that holds all the files. */
function rootOf(paths: readonly string[]): string {
  let root = process.cwd();
  while (paths.some((p) => within(root, resolve(p)) === undefined) && root !== dirname(root)) root = dirname(root);
  return root;
}
