/** Writing and removing outputs: a reader never sees half a file, and nothing is removed that Fusum did not write. */
import { readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import { NO_SPAN } from "../../grammar/span.ts";
import { makeFolder, reasonOf } from "../system-error.ts";
import { hashOf } from "./hash.ts";
import { MISSING } from "./sources.ts";

/** Whole or not at all, whenever the process ends. Throws DiagnosticError (EIN2007). */
export function writeOutput(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    makeFolder(dirname(path));
    writeFileSync(temporary, text);
    renameSync(temporary, path);
  } catch (error) {
    discard(temporary);
    throw new DiagnosticError(
      diagnostic("EIN2007", `${path} cannot be written: ${reasonOf(error)}`, { span: NO_SPAN, text: "" }),
    );
  }
}

function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What cannot be written cannot be removed either.
  }
}

/** What lies there now. */
export function hashOfOutput(path: string): string {
  try {
    return hashOf(readFileSync(path));
  } catch {
    return MISSING;
  }
}

/** Removes a file if it holds what Fusum wrote (one of these hashes), and the folders that it leaves empty below `top`. */
export function removeOutput(top: string, path: string, written: ReadonlySet<string>): boolean {
  const at = join(top, path);
  if (!written.has(hashOfOutput(at))) return false;
  discard(at);
  for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) {
    try {
      rmdirSync(join(top, folder));
    } catch {
      break;
    }
  }
  return true;
}

/** What a build that was killed left beside the outputs that it was writing. */
export function removeLeftovers(top: string, outputs: Iterable<string>): void {
  const names = new Map<string, Set<string>>();
  for (const path of outputs) {
    const folder = dirname(join(top, path));
    names.set(folder, (names.get(folder) ?? new Set()).add(basename(path)));
  }
  for (const [folder, mine] of names) {
    let entries: readonly string[] = [];
    try {
      entries = readdirSync(folder);
    } catch {
      // It had not been made yet.
    }
    for (const entry of entries) {
      const of = /^(.*)\.\d+\.tmp$/.exec(entry)?.[1];
      if (of !== undefined && mine.has(of)) discard(join(folder, entry));
    }
  }
}
