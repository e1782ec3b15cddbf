/** Measured costs of adapters in Node's cache folder, by adapter and driver: measured once, not at every start. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AdapterCosts, AdapterInfo } from "./plan.ts";
import { cacheFolder } from "./software.ts";

/** Changes whenever the measurements do. */
const VERSION = 1;

const NAMES = [
  "fma",
  "scalar",
  "vector",
  "shared",
  "barrier",
  "broadcast",
  "iteration",
  "group",
  "dispatch",
  "bandwidth",
] as const satisfies readonly (keyof AdapterCosts)[];

function fileOf(info: AdapterInfo): string {
  const { name, vendor, architecture, driver, features, subgroupMinSize, subgroupMaxSize } = info;
  const key = JSON.stringify([VERSION, name, vendor, architecture, driver, features, subgroupMinSize, subgroupMaxSize]);
  return join(cacheFolder(), `costs-${createHash("sha256").update(key).digest("hex").slice(0, 16)}.json`);
}

/** What was measured before; undefined if nothing was, or the file does not hold it. */
export function readCosts(info: AdapterInfo): AdapterCosts | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(fileOf(info), "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const given = value as Readonly<Record<string, unknown>>;
    const fine = NAMES.every((n) => typeof given[n] === "number" && Number.isFinite(given[n]) && given[n] >= 0);
    return fine ? (Object.fromEntries(NAMES.map((n) => [n, given[n]])) as unknown as AdapterCosts) : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps them for the next time, if there is a place for it. */
export function writeCosts(info: AdapterInfo, costs: AdapterCosts): void {
  try {
    const file = fileOf(info);
    mkdirSync(cacheFolder(), { recursive: true });
    writeFileSync(`${file}.${process.pid}`, `${JSON.stringify({ adapter: info.name, ...costs }, null, 1)}\n`);
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // A cache that cannot be written is measured anew.
  }
}
