/**
 * Which schedule a region gets on a target. Pure: candidates in the order of their price, the first legal one wins. The tuner
 * and the fuzzer walk the same candidates.
 */
import { apply } from "./apply/index.ts";
import { contractionCandidates } from "./choose-contraction.ts";
import { onlineCandidates } from "./choose-online.ts";
import { elementwiseCandidates, scanCandidates, scatterCandidates } from "./choose-others.ts";
import { rowCandidates } from "./choose-rows.ts";
import type { Region } from "./region.ts";
import { firstLegal, type Schedule, ScheduleError } from "./schedule.ts";
import type { Target } from "./target.ts";

/** At most so many candidates are considered. */
const MOST = 200;

/** What is considered, best guess first; not all of it need be legal. */
export function considered(region: Region, target: Target): readonly Schedule[] {
  switch (region.kind) {
    case "elementwise":
      return elementwiseCandidates(region, target);
    case "row":
      return rowCandidates(region, target);
    case "contraction":
      return contractionCandidates(region, target);
    case "online":
      return onlineCandidates(region, target);
    case "scan":
      return scanCandidates(region, target);
    case "scatter":
      return scatterCandidates(region, target);
    default:
      return region satisfies never;
  }
}

/** Whether `apply` takes the schedule for the region on the target. */
export function isLegal(region: Region, s: Schedule, target: Target): boolean {
  try {
    apply(region, s, target);
    return true;
  } catch (e) {
    if (e instanceof ScheduleError) return false;
    throw e;
  }
}

/** The legal search space, best guess first, each schedule once. */
export function candidates(region: Region, target: Target): readonly Schedule[] {
  const seen = new Set<string>();
  const found: Schedule[] = [];
  for (const s of considered(region, target)) {
    const text = scheduleText(s);
    if (seen.has(text)) continue;
    seen.add(text);
    if (found.length >= MOST) break;
    if (isLegal(region, s, target)) found.push(s);
  }
  return found;
}

/** The schedule of a region on a target; always legal. Throws ScheduleError if the region has none there (too many buffers). */
export function choose(region: Region, target: Target): Schedule {
  return firstLegal(considered(region, target), region.name, (s) => {
    apply(region, s, target);
    return s;
  });
}

/** One line, the same for equal schedules: fields in alphabetical order after the kind. */
export function scheduleText(s: Schedule): string {
  const { kind, ...fields } = s;
  const parts = Object.entries(fields)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k} ${Array.isArray(v) ? v.join(" ") : String(v)}`);
  return `${kind}: ${parts.join(", ")}`;
}
