/** Builds a project whenever something that it was made of changes, until it is told to stop. */
import type { Stats } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type FSWatcher, watch as watchFiles } from "chokidar";
import { type BuildHooks, type BuildReport, type BuildState, buildProject, isDue, openBuild } from "./build.ts";
import { basesOf, hidden } from "./glob.ts";
import type { Project } from "./project.ts";
import { within } from "./sources.ts";

export interface WatchHooks extends BuildHooks {
  /** A build begins: the first, or one because of these changes (relative to the root). */
  readonly onStart: (changes: readonly string[] | undefined) => void;
  readonly onReport: (report: BuildReport, project: Project, milliseconds: number) => void;
  /** The project could not be opened, or an output not be written. Watching goes on. */
  readonly onError: (error: unknown) => void;
}

/** Changes come in bunches: an editor writes twice, a checkout writes hundreds of files. */
const QUIET_MS = 15;
/** How many sources are compiled for nothing so that the first edit finds a warm compiler. */
const WARM_UP = 8;

/**
 * Resolves when `stop` fires. `open` reads the project, at first and when its configuration has changed; it is called again after the
 * configuration changed if it failed. Rejects if the project cannot be opened at first.
 */
export async function watchProject(
  open: () => Promise<Project>,
  version: string,
  hooks: WatchHooks,
  stop: AbortSignal,
): Promise<void> {
  let state = openBuild(await open(), version);
  const { root } = state.project.unit;
  const changes = new Set<string>();
  let wake: () => void = () => undefined;
  let watched = extrasOf(state);
  const watcher = watchFiles(root, {
    ignored: (path, stats) => isIgnored(state.project, watched, within(root, path), stats),
    ignoreInitial: true,
    // Editors that replace a file would make it wait for 100 ms otherwise; what is missing for a moment is found again.
    atomic: false,
  });
  const note = (path: string): void => {
    const name = within(root, path);
    if (name !== undefined) changes.add(name);
    wake();
  };
  watcher.on("all", (_event, path) => note(path));
  // Of two changes of a file within 50 ms (of two deletions within 100) chokidar tells only the first, but a formatter writes again
  // what was just saved.
  watcher.on("raw", (_event, path, about) => {
    const { watchedPath } = about as { readonly watchedPath: string };
    if (!path) return;
    for (const file of [watchedPath, join(watchedPath, path)]) {
      const name = within(root, file);
      if (name?.endsWith(".ein") || (name && watched.has(name))) note(file);
    }
  });
  const ready = new Promise<void>((done) => watcher.once("ready", () => done()));
  stop.addEventListener("abort", () => wake());
  try {
    await ready;
    for (let first = true; !stop.aborted; first = false) {
      const now = takeAll(changes);
      try {
        if (isConfig(state, now)) state = openBuild(await open(), version);
        state.sources.forget(now);
        if (first || isConfig(state, now) || isDue(state)) {
          hooks.onStart(first ? undefined : now);
          const start = performance.now();
          const report = await buildProject(state, hooks);
          hooks.onReport(report, state.project, performance.now() - start);
          watched = extrasOf(state);
          follow(watcher, state, watched);
          if (first && report.compiled === 0) await warmUp(state, () => stop.aborted || changes.size > 0);
        }
      } catch (error) {
        hooks.onError(error);
      }
      while (changes.size === 0 && !stop.aborted) await new Promise<void>((done) => (wake = done));
      if (!stop.aborted) await quiet(() => changes.size);
    }
  } finally {
    await watcher.close();
  }
}

function takeAll(changes: Set<string>): string[] {
  const all = [...changes].sort();
  changes.clear();
  return all;
}

/** Waits until nothing more comes for a moment. */
async function quiet(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); ) {
    before = count();
    await new Promise((done) => setTimeout(done, QUIET_MS));
  }
}

function isConfig({ project }: BuildState, changes: readonly string[]): boolean {
  const { config, unit } = project;
  const names = [config && within(unit.root, config.path), unit.schedules];
  return changes.some((c) => names.includes(c));
}

/** Files that matter wherever they lie: the configuration, the schedules, imports and places where imports were looked for. */
function extrasOf({ project, units }: BuildState): ReadonlySet<string> {
  const { config, unit } = project;
  const own = [config && within(unit.root, config.path), unit.schedules].filter((p) => p !== undefined);
  return new Set([...own, ...[...units.values()].flatMap((u) => Object.keys(u.reads))]);
}

/** Folders on the way to something that matters are watched, and in the folders of sources everything that may become one. */
function isIgnored(project: Project, extras: ReadonlySet<string>, path: string | undefined, stats?: Stats): boolean {
  if (path === undefined) return true;
  if (path === "" || extras.has(path)) return false;
  const bases = basesOf(project.include);
  if ([...extras, ...bases].some((p) => p.startsWith(`${path}/`))) return false;
  const base = bases.find((b) => b === "" || b === path || path.startsWith(`${b}/`));
  if (base === undefined || hidden(path, base)) return true;
  const out = within(project.unit.root, project.outDir);
  if (out && project.exclude.includes(out) && (path === out || path.startsWith(`${out}/`))) return true;
  return stats?.isFile() === true && !path.endsWith(".ein");
}

/** Imports from folders in which there are no sources of the project. */
function follow(watcher: FSWatcher, { project }: BuildState, extras: ReadonlySet<string>): void {
  const bases = basesOf(project.include);
  const outside = [...extras].filter((p) => !bases.some((b) => b === "" || p.startsWith(`${b}/`)));
  watcher.add(outside.map((p) => join(project.unit.root, p)));
}

/** Loads the compiler and lets it get warm, as long as nobody is waiting. */
async function warmUp(state: BuildState, busy: () => boolean): Promise<void> {
  const { compileUnit } = await import("./unit.ts");
  for (const file of state.project.find().slice(0, WARM_UP)) {
    await setImmediate();
    if (busy()) return;
    compileUnit(file, state.project.unit);
  }
}
