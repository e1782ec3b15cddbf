/** What the last build made of what: the file that makes builds incremental and says which outputs are Fusum's own. */
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import { canonical, hashOf } from "./hash.ts";

/** One source: what was read to compile it and what came of it. Paths are relative to the root, outputs to the output folder. */
export interface UnitRecord {
  /** Hashes of all files that were read or looked for, the source first. */
  readonly reads: Readonly<Record<string, string>>;
  readonly diagnostics: readonly Diagnostic[];
  /** Hashes of the outputs. Those of an earlier build if there are errors now. */
  readonly outputs: Readonly<Record<string, string>>;
  /** What the configuration may name: `extents.B`. */
  readonly names: readonly string[];
}

export interface BuildInfo {
  readonly format: 1;
  readonly compiler: string;
  readonly settings: string;
  /** Hash of the configuration's text, which was valid. */
  readonly config: string;
  readonly units: Readonly<Record<string, UnitRecord>>;
  /** Outputs that a build began to write, with their hashes. Left out when it came to its end. */
  readonly pending?: Readonly<Record<string, string>>;
}

/** Undefined if there is none, or none that this version understands. */
export function readBuildInfo(path: string): BuildInfo | undefined {
  try {
    const value = JSON.parse(readFileSync(path, "utf8")) as Partial<BuildInfo> | null;
    const fine =
      value?.format === 1 &&
      typeof value.compiler === "string" &&
      typeof value.settings === "string" &&
      typeof value.config === "string" &&
      isRecord(value.units) &&
      Object.values(value.units).every(isUnit) &&
      (value.pending === undefined || isHashes(value.pending));
    return fine ? (value as BuildInfo) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether something lies there that no version of Fusum wrote, such as a source: it is not to be replaced. */
export function isForeign(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return !(isRecord(value) && typeof value["format"] === "number" && typeof value["compiler"] === "string");
  } catch {
    return true;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isHashes(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((v) => typeof v === "string");
}

function isUnit(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { reads, outputs, diagnostics, names } = value;
  return isHashes(reads) && isHashes(outputs) && Array.isArray(diagnostics) && Array.isArray(names);
}

/** The same text for the same build, whatever order things were done in. */
export function printBuildInfo(info: BuildInfo): string {
  return `${JSON.stringify(JSON.parse(canonical(info)), null, 1)}\n`;
}

let ownId: string | undefined;

/** Which compiler: its version, and in a checkout, where that stands still, what its sources hold. */
export function compilerId(version: string): string {
  ownId ??= readCompilerId(version);
  return ownId;
}

function readCompilerId(version: string): string {
  if (!import.meta.url.endsWith(".ts")) return version;
  const root = join(import.meta.dirname, "../..");
  const files = globSync(["grammar/**/*.ts", "ir/**/*.ts", "codegen/**/*.ts", "src/**/*.{ts,ein}"], {
    cwd: root,
  }).sort();
  return `${version}+${hashOf(files.map((f) => `${f}\0${readFileSync(join(root, f), "utf8")}`).join("\0"))}`;
}
