/**
 * What identifies a region's schedule in a cache: the adapter, what it lets kernels do, the region's text, its extents by bucket, and
 * the compiler's version.
 */
import type { Region } from "../schedule/region.ts";
import type { Target } from "../schedule/target.ts";
import { VERSION } from "../version.ts";
import { extentValue, regionText, regionTypes } from "./region-program.ts";

export interface ScheduleKey {
  /** The adapter's name, vendor, architecture and driver; undefined where the target is no device: any adapter's entries will do. */
  readonly adapter: string | undefined;
  /** A hash of the limits, features and subgroup sizes that the schedule may rely on. */
  readonly limits: string;
  /** A hash of the region's text without names and extents. */
  readonly region: string;
  /** A bucket for each distinct extent of the region; `?` where it is not known. */
  readonly extents: readonly string[];
  readonly dtype: string;
  readonly compiler: string;
}

/** `sizes` gives the size symbols of the program, where they are known. */
export function keyOf(region: Region, target: Target, sizes?: ReadonlyMap<string, number>): ScheduleKey {
  const { text, extents } = regionText(region);
  return {
    adapter: adapterName(target),
    limits: limitsHash(target),
    region: hash(text),
    extents: extents.map((e) => bucketOf(extentValue(e, sizes), e.value !== undefined)),
    dtype: regionTypes(region).join(" "),
    compiler: VERSION,
  };
}

export function adapterName(target: Target): string | undefined {
  if (target.kind === "none") return undefined;
  const parts = [target.name, target.vendor, target.architecture, target.driver].filter((p) => p !== "");
  return [...new Set(parts)].join(" / ");
}

/** Features that kernels can use; no schedule depends on others. */
const USED: readonly string[] = [
  "shader-f16",
  "subgroups",
  "subgroup-size-control",
  "chromium-experimental-subgroup-matrix",
];

export function limitsHash(target: Target): string {
  const { limits, features, subgroupMinSize, subgroupMaxSize, subgroupMatrices } = target;
  return hash(
    JSON.stringify([
      Object.entries(limits).sort(([a], [b]) => (a < b ? -1 : 1)),
      features.filter((f) => USED.includes(f)).sort(),
      subgroupMinSize,
      subgroupMaxSize,
      subgroupMatrices ?? [],
    ]),
  );
}

/** Extents up to this are a bucket each. */
const EXACT = 16;

/**
 * Extents of a bucket are alike to a schedule: the next power of two and, for an extent that is fixed in the kernel, the power of two (up to 16)
 * that divides it, after a slash.
 */
export function bucketOf(extent: number | undefined, fixed: boolean): string {
  if (extent === undefined) return "?";
  if (extent <= EXACT) return String(extent);
  const power = 2 ** Math.ceil(Math.log2(extent));
  if (!fixed) return String(power);
  let align = 1;
  while (align < EXACT && extent % (align * 2) === 0) align *= 2;
  return `${power}/${align}`;
}

/** What an unknown extent counts as where the nearest of several buckets is wanted: as for the model. */
const UNKNOWN = 256;

/** How far apart two lists of buckets are, in doublings; infinite where fixed extents are aligned differently. */
export function distance(a: readonly string[], b: readonly string[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((sum, x, i) => {
    const y = b[i]!;
    if (x === y) return sum;
    const [sizeX, alignX] = x.split("/");
    const [sizeY, alignY] = y.split("/");
    if (alignX !== alignY) return Number.POSITIVE_INFINITY;
    const value = (text: string | undefined): number => Math.max(1, text === "?" ? UNKNOWN : Number(text));
    return sum + Math.abs(Math.log2(value(sizeX) / value(sizeY)));
  }, 0);
}

/** 64 bits by two FNV-1a hashes of 32, in hexadecimal. It names entries of a file; a clash costs speed, as schedules are checked. */
export function hash(text: string): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x5bd1e995);
    b ^= b >>> 15;
  }
  const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0");
  return hex(a) + hex(b);
}
