/** Candidates for weighted sums in one pass, best guess first. */
import { fixedSubgroup, guessAll } from "./measure.ts";
import type { OnlineRegion } from "./region.ts";
import type { OnlineSchedule, Schedule } from "./schedule.ts";
import type { Target } from "./target.ts";

const COMMON = { swizzle: 0, variants: "guarded", kind: "online" } as const;

export function onlineCandidates(region: OnlineRegion, target: Target): readonly Schedule[] {
  const out: OnlineSchedule[] = [];
  const sg = fixedSubgroup(target);
  const n = guessAll(region.n);
  for (const vector of [4, 2, 1] as const) {
    if (sg > 0)
      for (const rows of [16, 8])
        for (const each of [2, 4, 1]) {
          const columns = Math.min(16, vector * Math.max(1, Math.ceil(n / vector / sg)));
          out.push({ ...COMMON, vector, reg: [rows, each], columns, threads: [1, sg], share: "subgroup", tileK: 1 });
        }
    for (const [rm, rn, tm, tn, tileK] of [
      [4, 2, 16, 16, 16],
      [4, 4, 8, 8, 16],
      [2, 2, 8, 16, 16],
      [4, 2, 4, 8, 8],
      [1, 1, 8, 8, 8],
      [2, 2, 4, 4, 8],
    ] as const) {
      const columns = Math.min(32, vector * Math.max(1, Math.ceil(n / vector / tn)));
      out.push({ ...COMMON, vector, reg: [rm, rn], columns, threads: [tm, tn], share: "workgroup", tileK });
    }
  }
  return out;
}

export function onePassPays(_region: OnlineRegion, _target: Target): boolean {
  return false;
}
