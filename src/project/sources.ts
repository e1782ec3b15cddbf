/** The files that a build reads, each read once; a watcher says which to read anew. */
import { readFileSync, statSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { resolveStd } from "../std/index.ts";
import { hashOf } from "./hash.ts";

/** Stands for a file that is not there. */
export const MISSING = "-";

export class SourceCache {
  readonly #root: string;
  readonly #hashes = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** The hash of a file, relative to the root, as it was when it was first asked for; MISSING if it cannot be read. */
  hash(path: string): string {
    const old = this.#hashes.get(path);
    if (old !== undefined) return old;
    let made = MISSING;
    try {
      const at = join(this.#root, path);
      if (statSync(at).isFile()) made = hashOf(readFileSync(at));
    } catch {
      // Whoever needs its text says why there is none.
    }
    this.#hashes.set(path, made);
    return made;
  }

  /** These may have changed. */
  forget(paths: Iterable<string>): void {
    for (const path of paths) this.#hashes.delete(path);
  }
}

/** A path within the root with forward slashes; undefined if it lies outside. */
export function within(root: string, path: string): string | undefined {
  const inside = relative(root, path);
  return inside === ".." || inside.startsWith("../") || inside.startsWith("..\\") || isAbsolute(inside)
    ? undefined
    : inside.replaceAll("\\", "/");
}

/** The text that a diagnostic points into. Files that the library's modules are called, `std/nn.ein`, name no files of the project. */
export function textOfFile(root: string, file: string): string | undefined {
  try {
    const at = join(root, file);
    if (!statSync(at).isFile()) return undefined;
    return readFileSync(at, "utf8").replace(/^\uFEFF/, "");
  } catch {
    return resolveStd(file.replace(/\.ein$/, ""));
  }
}
