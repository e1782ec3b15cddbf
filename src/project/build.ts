/**
 * Builds a project: finds the sources, compiles those whose inputs changed, writes what differs, removes outputs of sources that are
 * gone. What it remembers stands in the build info, or, between the builds of a watcher, in memory.
 */
import { join } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { OutputFile } from "../module/index.ts";
import { type BuildInfo, compilerId, printBuildInfo, readBuildInfo, type UnitRecord } from "./build-info.ts";
import { distinctSorted, hasErrors, inputDiagnostics, unusedOptions } from "./findings.ts";
import { hashOf } from "./hash.ts";
import { hashOfOutput, removeLeftovers, removeOutput, writeOutput } from "./outputs.ts";
import { compileUnits } from "./pool.ts";
import { type Project, settingsHash } from "./project.ts";
import { MISSING, SourceCache } from "./sources.ts";
import type { UnitResult } from "./unit.ts";

export interface BuildHooks {
  /** Of the sources to compile, how many are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Threads beside the main one; as many as pay if left out. */
  readonly workers?: number | undefined;
}

export interface BuildReport {
  /** Errors and warnings of the configuration and all sources, by file and place, each once. Files are named relative to the root. */
  readonly diagnostics: readonly Diagnostic[];
  /** Absolute paths, in order. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
  /** How many sources were compiled, and how many did not have to be. */
  readonly compiled: number;
  readonly unchanged: number;
}

/** What is kept from one build to the next. */
export interface BuildState {
  readonly project: Project;
  readonly compiler: string;
  readonly sources: SourceCache;
  units: ReadonlyMap<string, UnitRecord>;
  /** By output: the hashes of what Fusum wrote there. */
  readonly owned: Map<string, Set<string>>;
  /** Whether the outputs on the disk were compared with the records. */
  verified: boolean;
  /** The build info's text on the disk. */
  infoText: string | undefined;
}

/** Takes up the last build's records. Those of another compiler or other settings only say which outputs are Fusum's. */
export function openBuild(project: Project, version: string): BuildState {
  const state: BuildState = {
    project,
    compiler: compilerId(version),
    sources: new SourceCache(project.unit.root),
    units: new Map(),
    owned: new Map(),
    verified: false,
    infoText: undefined,
  };
  const info = project.buildInfo === undefined ? undefined : readBuildInfo(project.buildInfo);
  if (!info) return state;
  state.infoText = printBuildInfo(info);
  for (const unit of Object.values(info.units)) own(state, unit.outputs);
  own(state, info.pending ?? {});
  if (info.pending && !project.noEmit) removeLeftovers(project.outDir, Object.keys(info.pending));
  const usable = project.incremental && info.compiler === state.compiler && info.settings === settingsOf(state);
  state.units = new Map(
    // No content has an empty hash: these sources are compiled again, and those with errors keep their outputs.
    Object.entries(info.units).map(([file, unit]) => [file, usable ? unit : { ...unit, reads: { [file]: "" } }]),
  );
  return state;
}

function settingsOf(state: BuildState): string {
  return settingsHash(state.project, (path) => state.sources.hash(path));
}

function own(state: BuildState, outputs: Readonly<Record<string, string>>): void {
  for (const [path, hash] of Object.entries(outputs))
    state.owned.set(path, (state.owned.get(path) ?? new Set()).add(hash));
}

/** One build. Throws DiagnosticError if an output cannot be written; what the sources hold is in the report. */
export async function buildProject(state: BuildState, hooks: BuildHooks = {}): Promise<BuildReport> {
  const { project } = state;
  const found = [...project.diagnostics];
  const files = hasErrors(found) ? [] : project.find();
  if (!hasErrors(found)) found.push(...inputDiagnostics(project, files));
  if (hasErrors(found))
    return { diagnostics: distinctSorted(found), written: [], removed: [], compiled: 0, unchanged: 0 };
  if (project.unit.schedules !== undefined) {
    const { scheduleWarnings } = await import("./schedules.ts");
    found.push(...scheduleWarnings(project.unit));
  }
  const dirty = dueOf(state, files);
  state.verified = true;
  const results = await compileUnits(
    dirty,
    project.unit,
    (done) => hooks.onProgress?.(done, dirty.length),
    hooks.workers,
  );
  const changed = new Map(results.map((r) => [r.file, recordOf(r, state.units.get(r.file))]));
  const units = new Map(files.map((file) => [file, changed.get(file) ?? state.units.get(file)!]));
  const { written, removed } = commit(
    state,
    units,
    results.flatMap((r) => r.outputs),
  );
  const records = [...units.values()];
  for (const r of records) found.push(...r.diagnostics);
  if (!hasErrors(found)) found.push(...unusedOptions(project, new Set(records.flatMap((r) => r.names))));
  return {
    diagnostics: distinctSorted(found),
    written,
    removed,
    compiled: dirty.length,
    unchanged: files.length - dirty.length,
  };
}

/** Whether a build would do anything: sources were added, changed or removed. */
export function isDue(state: BuildState): boolean {
  const files = state.project.find();
  return files.length !== state.units.size || dueOf(state, files).length > 0;
}

function dueOf(state: BuildState, files: readonly string[]): string[] {
  return files.filter((file) => !isCurrent(state, file));
}

/** Whether nothing that was read for a source has changed since, and its outputs are as they were written. */
function isCurrent(state: BuildState, file: string): boolean {
  const unit = state.units.get(file);
  if (!unit) return false;
  if (!Object.entries(unit.reads).every(([path, hash]) => state.sources.hash(path) === hash)) return false;
  if (state.verified || state.project.noEmit || hasErrors(unit.diagnostics)) return true;
  return Object.entries(unit.outputs).every(([path, hash]) => hashOfOutput(join(state.project.outDir, path)) === hash);
}

/** A source with errors keeps the outputs that it had. */
function recordOf(r: UnitResult, old: UnitRecord | undefined): UnitRecord {
  const outputs = hasErrors(r.diagnostics)
    ? (old?.outputs ?? {})
    : Object.fromEntries(r.outputs.map((o) => [o.path, hashOf(o.text)]));
  return { reads: r.reads, diagnostics: r.diagnostics, outputs, names: r.names };
}

/**
 * Brings the disk to what the records say. What is about to be written is noted first and the records come last, so that a build which
 * is killed between leaves nothing that the next one would not know.
 */
function commit(
  state: BuildState,
  units: ReadonlyMap<string, UnitRecord>,
  outputs: readonly OutputFile[],
): { written: readonly string[]; removed: readonly string[] } {
  const { outDir, noEmit } = state.project;
  const before = state.units;
  state.units = units;
  if (noEmit) return { written: [], removed: [] };
  const pending = outputs
    .filter((o) => hashOfOutput(join(outDir, o.path)) !== hashOf(o.text))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (pending.length > 0) {
    const hashes = Object.fromEntries(pending.map((o) => [o.path, hashOf(o.text)]));
    own(state, hashes);
    writeInfo(state, before, hashes);
  }
  for (const o of pending) writeOutput(join(outDir, o.path), o.text);
  const current = new Set([...units.values()].flatMap((u) => Object.keys(u.outputs)));
  const stale = [...state.owned].filter(([path]) => !current.has(path)).sort(([a], [b]) => (a < b ? -1 : 1));
  const removed = stale.filter(([path, hashes]) => {
    state.owned.delete(path);
    return removeOutput(outDir, path, hashes);
  });
  for (const u of units.values()) own(state, u.outputs);
  writeInfo(state, units);
  return {
    written: pending.map((o) => join(outDir, o.path)),
    removed: removed.map(([path]) => join(outDir, path)),
  };
}

/** Writes the build info if it says something else than it does. */
function writeInfo(
  state: BuildState,
  units: ReadonlyMap<string, UnitRecord>,
  pending?: Readonly<Record<string, string>>,
): void {
  const { buildInfo, config } = state.project;
  if (buildInfo === undefined) return;
  const info: BuildInfo = {
    format: 1,
    compiler: state.compiler,
    settings: settingsOf(state),
    config: config ? hashOf(config.text) : MISSING,
    units: Object.fromEntries(units),
    ...(pending ? { pending } : {}),
  };
  const text = printBuildInfo(info);
  if (text === state.infoText) return;
  writeOutput(buildInfo, text);
  state.infoText = text;
}
