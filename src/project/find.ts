/** Where a project's configuration is. Apart from config.ts, so that the command line starts without a JSON parser. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export const CONFIG_NAME = "fusum.config.json";

/** The configuration of a folder or of a file that is named; undefined if there is none. */
export function configAt(path: string): string | undefined {
  const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, CONFIG_NAME) : path;
  return existsSync(file) ? resolve(file) : undefined;
}

/** The nearest configuration in a folder or above it. */
export function findConfig(folder: string): string | undefined {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const file = join(at, CONFIG_NAME);
    if (existsSync(file)) return file;
    if (at === dirname(at)) return undefined;
  }
}
