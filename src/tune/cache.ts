/**
 * Tuned schedules as a file: JSON that can be committed and shipped. Reading it never throws: what is not understood is left out with a
 * warning, and whoever uses a schedule from it checks that it is legal (`scheduleFrom`).
 */
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import { isLegal, scheduleText } from "../schedule/choose.ts";
import type { Region } from "../schedule/region.ts";
import type { Schedule } from "../schedule/schedule.ts";
import type { Target } from "../schedule/target.ts";
import { distance, keyOf, type ScheduleKey } from "./key.ts";
import { readSchedule } from "./schedule-json.ts";

export { keyOf, type ScheduleKey } from "./key.ts";

export interface ScheduleEntry extends ScheduleKey {
  readonly adapter: string;
  readonly schedule: Schedule;
  /** What the region was called where it was tuned; for readers. */
  readonly name: string;
  /** Nanoseconds that the schedule and the default one took, beside each other. */
  readonly ns: number;
  readonly defaultNs: number;
}

/** Plain data: entries in the order of the file. */
export interface ScheduleCache {
  readonly entries: readonly ScheduleEntry[];
}

export const EMPTY_CACHE: ScheduleCache = { entries: [] };

/** A file longer than this many characters, or of more entries, is not read. */
const MAX_CHARACTERS = 64 * 2 ** 20;
const MAX_ENTRIES = 100_000;
const MAX_TEXT = 1000;
const FORMAT = "fusum schedules 1";

/**
 * The cache that a file's text holds. What is wrong with the file or with entries of it is a warning each (EIN3001, EIN3002), never an
 * error: the rest is used.
 */
export function readCache(
  text: string,
  file: string = "schedules.json",
): { readonly cache: ScheduleCache; readonly warnings: readonly Diagnostic[] } {
  const warn = (code: "EIN3001" | "EIN3002", message: string): Diagnostic =>
    diagnostic(code, message, { span: { file, start: 0, end: 0 }, text: "" }, { severity: "warning" });
  if (text.length > MAX_CHARACTERS)
    return { cache: EMPTY_CACHE, warnings: [warn("EIN3001", `the file has more than ${MAX_CHARACTERS} characters`)] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { cache: EMPTY_CACHE, warnings: [warn("EIN3001", `the file is not JSON: ${why}`)] };
  }
  const format = field(value, "format");
  const list = field(value, "entries");
  if (format !== FORMAT || !Array.isArray(list))
    return { cache: EMPTY_CACHE, warnings: [warn("EIN3001", `the file does not say "format": "${FORMAT}"`)] };
  if (list.length > MAX_ENTRIES)
    return { cache: EMPTY_CACHE, warnings: [warn("EIN3001", `the file has more than ${MAX_ENTRIES} entries`)] };
  const read = list.map((e: unknown) => readEntry(e));
  const odd = read.indexOf(undefined);
  const wrong = read.filter((e) => e === undefined).length;
  return {
    cache: { entries: read.filter((e) => e !== undefined) },
    warnings:
      wrong === 0
        ? []
        : [
            warn(
              "EIN3002",
              `${wrong} of ${list.length} entries are not tuned schedules and are left out, first entry ${odd}`,
            ),
          ],
  };
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function readEntry(value: unknown): ScheduleEntry | undefined {
  const text = (name: string): string | undefined => {
    const v = field(value, name);
    return typeof v === "string" && v.length <= MAX_TEXT ? v : undefined;
  };
  const time = (name: string): number | undefined => {
    const v = field(value, name);
    return typeof v === "number" && v >= 0 && Number.isFinite(v) ? v : undefined;
  };
  const [adapter, limits, region, dtype, compiler] = ["adapter", "limits", "region", "dtype", "compiler"].map(text);
  const extents = field(value, "extents");
  const schedule = readSchedule(field(value, "schedule"));
  const [ns, defaultNs] = [time("ns"), time("defaultNs")];
  if (adapter === undefined || limits === undefined || region === undefined || dtype === undefined) return undefined;
  if (compiler === undefined || schedule === undefined || ns === undefined || defaultNs === undefined) return undefined;
  if (!Array.isArray(extents) || extents.length > 256) return undefined;
  if (!extents.every((e): e is string => typeof e === "string" && /^(\?|\d{1,16}(\/\d{1,2})?)$/.test(e)))
    return undefined;
  return { adapter, limits, region, extents, dtype, compiler, schedule, name: text("name") ?? "", ns, defaultNs };
}

/** The cache as a file's text: one entry a line, in a fixed order, so that changes of it read well. */
export function writeCache(cache: ScheduleCache): string {
  const lines = [...cache.entries]
    .map(({ adapter, name, region, extents, dtype, limits, compiler, schedule, ns, defaultNs }) =>
      JSON.stringify({
        adapter,
        name,
        region,
        extents,
        dtype,
        limits,
        compiler,
        // In the fixed order of its fields.
        schedule: readSchedule(schedule) ?? schedule,
        ns: Math.round(ns),
        defaultNs: Math.round(defaultNs),
      }),
    )
    .sort();
  return `{\n  "format": "${FORMAT}",\n  "entries": [${lines.map((l) => `\n    ${l}`).join(",")}${lines.length > 0 ? "\n  " : ""}]\n}\n`;
}

/** Entries of both; where both have a key, the second's. */
export function mergeCaches(older: ScheduleCache, newer: ScheduleCache): ScheduleCache {
  const all = new Map([...older.entries, ...newer.entries].map((e) => [idOf(e), e]));
  return { entries: [...all.values()] };
}

function idOf(k: ScheduleKey): string {
  return JSON.stringify([k.adapter, k.limits, k.region, k.extents, k.dtype, k.compiler]);
}

/** Entries of a cache by what must be equal. */
const indices = new WeakMap<ScheduleCache, ReadonlyMap<string, readonly ScheduleEntry[]>>();

function indexOf(cache: ScheduleCache): ReadonlyMap<string, readonly ScheduleEntry[]> {
  const old = indices.get(cache);
  if (old) return old;
  const made = new Map<string, ScheduleEntry[]>();
  for (const e of cache.entries) {
    const key = sharedKey(e);
    const list = made.get(key) ?? [];
    list.push(e);
    made.set(key, list);
  }
  indices.set(cache, made);
  return made;
}

function sharedKey(k: ScheduleKey): string {
  return JSON.stringify([k.limits, k.region, k.dtype, k.compiler, k.extents.length]);
}

/** A schedule tuned for extents further off than this, in doublings over all extents, is not taken for these. */
const FAR = 6;

/**
 * Entries for a key, the nearest extents first. Entries of other adapters, limits, compilers and regions are not for it; where the key has no
 * adapter (compiling ahead of time) any adapter's are.
 */
export function lookupAll(cache: ScheduleCache, key: ScheduleKey): readonly ScheduleEntry[] {
  return (indexOf(cache).get(sharedKey(key)) ?? [])
    .filter((e) => key.adapter === undefined || e.adapter === key.adapter)
    .map((e) => ({ e, far: distance(e.extents, key.extents) }))
    .filter(({ far }) => far <= FAR)
    .sort((x, y) => x.far - y.far)
    .map(({ e }) => e);
}

/** The schedule for a key, of the nearest extents; not known to be legal yet (`scheduleFrom` says). */
export function lookup(cache: ScheduleCache, key: ScheduleKey): Schedule | undefined {
  return lookupAll(cache, key)[0]?.schedule;
}

/** The nearest tuned schedule that is legal for the region on the target; undefined leaves it to the default choice. */
export function scheduleFrom(
  cache: ScheduleCache,
  region: Region,
  target: Target,
  sizes?: ReadonlyMap<string, number>,
): Schedule | undefined {
  const tried = new Set<string>();
  for (const { schedule } of lookupAll(cache, keyOf(region, target, sizes))) {
    const text = scheduleText(schedule);
    if (tried.has(text)) continue;
    tried.add(text);
    if (isLegal(region, schedule, target)) return schedule;
  }
  return undefined;
}
