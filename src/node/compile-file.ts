/** Compiling a file from disk: imports are files under a root, by default the folder that the command was started in. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import { readSource } from "../cli/context.ts";
import { compile, type Program } from "../index.ts";
import type { Resolve } from "../modules.ts";

/** Resolves relative imports to files inside `root`; anything outside is refused, links followed. */
export function fileResolver(root: string): Resolve {
  const real = realpathSync(root);
  return (specifier, importer) => {
    if (!specifier.startsWith("./") && !specifier.startsWith("../"))
      return { error: `${JSON.stringify(specifier)} is neither std/… nor a relative path` };
    const path = resolve(dirname(resolve(importer)), specifier.endsWith(".ein") ? specifier : `${specifier}.ein`);
    if (!existsSync(path)) return { error: `there is no file ${relative(process.cwd(), path)}` };
    const inside = relative(real, realpathSync(path));
    if (inside.startsWith("..") || isAbsolute(inside)) return { error: `${specifier} is outside the project's root` };
    return { fileName: relative(process.cwd(), path) || path, source: readSource(path) };
  };
}

/** Reads and compiles one `.ein` file. The root of imports is the working folder, or the file's own where that lies elsewhere. */
export async function compileFile(file: string, root?: string): Promise<Program> {
  const source = readSource(file);
  const outside = relative(process.cwd(), resolve(file)).startsWith("..");
  return compile(source, {
    fileName: file,
    resolve: fileResolver(root ?? (outside ? dirname(resolve(file)) : process.cwd())),
  });
}
