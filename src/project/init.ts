/** `fusum build --init`: a configuration to begin with. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_NAME } from "./find.ts";
import { writeOutput } from "./outputs.ts";

/** The text of a new configuration; `src` where there is such a folder. */
export function initialConfig(hasSrc: boolean): string {
  const [include, rootDir] = hasSrc ? ['["src"]', "src"] : ['["**/*.ein"]', "."];
  return `{
  "$schema": "./node_modules/fusum/fusum.schema.json",

  // Which sources, and where their outputs go. Without outDir they go beside the sources.
  "include": ${include},
  "rootDir": "${rootDir}",
  "outDir": "dist",

  // A module for each source, with source maps. "wgsl" writes the shaders too, for reading.
  "emit": ["module"],
  "sourceMap": true

  // What kernels may rely on, the best first. Without it: whatever every WebGPU device has.
  // "target": [{ "features": ["shader-f16", "subgroups"] }, {}],

  // Extents that are always the same, and what \`fusum tune\` found.
  // "extents": { "D": 64 },
  // "schedules": "schedules.json"
}
`;
}

/** Writes the configuration into a folder and returns its path; undefined if there is one already. */
export function writeInitialConfig(folder: string): string | undefined {
  const path = join(folder, CONFIG_NAME);
  if (existsSync(path)) return undefined;
  writeOutput(path, initialConfig(existsSync(join(folder, "src"))));
  return path;
}
