/** The plugin for webpack. */
import type { WebpackPluginInstance } from "webpack";
import type { FusumOptions } from "./options.ts";
import { unplugin } from "./unplugin.ts";

export type { FusumOptions } from "./options.ts";

/** Lets modules import `.ein` files: each function of theirs is a kernel's maker. */
export default function fusum(options: FusumOptions = {}): WebpackPluginInstance {
  return unplugin.webpack(options);
}
