/** Files: what the system said of one, and folders to write into. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { getSystemErrorMessage } from "node:util";

/** Why a file cannot be read or written, in words: `no such file or directory`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "errno" in error && typeof error.errno === "number" ? getSystemErrorMessage(error.errno) : error.message;
}

/**
 * Makes a folder and those above it. Throws what the system says, where `mkdirSync` with `recursive` may try for ever: under `/proc`, say,
 * whose folders nobody makes.
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    // Somebody else made it meanwhile.
    if (!existsSync(path)) throw error;
  }
}
