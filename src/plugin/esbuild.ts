/** The plugin for esbuild. */
import type { Plugin } from "esbuild";
import type { FusumOptions } from "./options.ts";
import { unplugin } from "./unplugin.ts";

export type { FusumOptions } from "./options.ts";

/** Lets modules import `.ein` files: each function of theirs is a kernel's maker. */
export default function fusum(options: FusumOptions = {}): Plugin {
  return unplugin.esbuild(options);
}
