/**
 * The standard library's modules that a page loads when a program imports them. The build for pages fills the table in, one file a module
 * with its comments left out; run from its sources the compiler reads the `.ein` files.
 */
import { registerStd, resolveStd } from "../std/index.ts";
import { preload } from "./load.ts";

export const MODULES: Readonly<Record<string, () => Promise<{ readonly default: string }>>> = {};

const IMPORT = /["']std\/([a-z][a-z0-9_]*)["']/g;

/** Loads the library's modules that the text names, and those that they name. */
export async function loadStd(source: string): Promise<void> {
  for (const [, name = ""] of source.matchAll(IMPORT)) await loadModule(name);
}

/** Loads the whole library, for the errors that say where in it a name is. */
export async function loadAllStd(): Promise<void> {
  for (const name of Object.keys(MODULES)) await loadModule(name);
}

async function loadModule(name: string): Promise<void> {
  // Imports are for the rest to read, and this is no computation that could begin anew.
  await preload();
  const load = Object.hasOwn(MODULES, name) ? MODULES[name] : undefined;
  if (!load || resolveStd(`std/${name}`) !== undefined) return;
  const text = (await load()).default;
  registerStd({ [name]: text });
  await loadStd(text);
}
