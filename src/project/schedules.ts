/** The schedule cache that a project ships. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { CompileOptions } from "../compile.ts";
import { readCache, scheduleFrom } from "../tune/cache.ts";
import type { UnitSettings } from "./project.ts";

type Located = Pick<UnitSettings, "root" | "schedules">;

function textOf({ root, schedules }: Located): string | undefined {
  if (schedules === undefined) return undefined;
  try {
    return readFileSync(join(root, schedules), "utf8");
  } catch {
    // The project's own check of its paths has said so.
    return undefined;
  }
}

/** How kernels are scheduled; undefined leaves all to the default choice. */
export function scheduleCache(s: Located): CompileOptions["schedule"] {
  const text = textOf(s);
  if (text === undefined) return undefined;
  const { cache } = readCache(text, s.schedules);
  return (region, target) => scheduleFrom(cache, region, target);
}

/** What is wrong with the cache: warnings, since what is left of it is used. */
export function scheduleWarnings(s: Located): readonly Diagnostic[] {
  const text = textOf(s);
  return text === undefined ? [] : readCache(text, s.schedules).warnings;
}
