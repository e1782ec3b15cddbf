/**
 * The standard library's texts. Under Node they are the `.ein` files beside this one; elsewhere a bundle registers them
 * (`registerStd`), so that the compiler needs no file system.
 */
const registered = new Map<string, string>();

/** Makes `std/NAME` modules known where there are no files: NAME → source. */
export function registerStd(sources: Readonly<Record<string, string>>): void {
  for (const [name, source] of Object.entries(sources)) registered.set(name, source);
}

/** The text of `std/nn` and the like; undefined if there is no such module. */
export function resolveStd(specifier: string): string | undefined {
  const name = /^std\/([a-z][a-z0-9_]*)$/.exec(specifier)?.[1];
  if (name === undefined) return undefined;
  const old = registered.get(name);
  if (old !== undefined) return old;
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  if (!fs) return undefined;
  try {
    const source = fs.readFileSync(new URL(`./${name}.ein`, import.meta.url), "utf8");
    registered.set(name, source);
    return source;
  } catch {
    return undefined;
  }
}

/** Where the text of `std/nn` and the like lies on disk; undefined if there is no such module or no file system. */
export function stdFile(specifier: string): URL | undefined {
  if (resolveStd(specifier) === undefined || !globalThis.process?.getBuiltinModule) return undefined;
  const url = new URL(`./${specifier.slice("std/".length)}.ein`, import.meta.url);
  return globalThis.process.getBuiltinModule("node:fs").existsSync(url) ? url : undefined;
}
