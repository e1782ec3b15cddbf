/** The row and reduction templates: what their schedules mean for the engine in rows.ts. */
import type { AppliedKernel } from "../applied.ts";
import { fixedSubgroup } from "../measure.ts";
import { onlineRows } from "../online-rules.ts";
import type { ContractionRegion, ElementwiseRegion, RowPhase, RowRegion } from "../region.ts";
import { inRange, type ReductionSchedule, type RowSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { originOf } from "./builder.ts";
import { epilogueOf, placedOn } from "./epilogue.ts";
import type { RowJob, RowTile } from "./row-walk.ts";
import { rowKernel, twoStages } from "./rows.ts";

/** A contraction seen as rows: its reduction, then each stored epilogue map at the point. */
export function rowsOf(region: RowRegion | ContractionRegion | ElementwiseRegion): RowJob {
  if (region.kind === "row") return region;
  if (region.kind === "elementwise") {
    // Rows along the innermost axis: what depends on the row alone is computed once for it.
    const inner = region.axes.slice(-1);
    const maps = placedOn(region.axes, region.maps);
    return {
      name: region.name,
      axes: region.axes.slice(0, -1),
      stores: region.stores,
      phases: maps.map((m) => ({ kind: "store", def: m.def, axes: inner, results: m.results, point: m.point })),
    };
  }
  const P = region.def.axes;
  const phases: RowPhase[] = [{ kind: "reduce", def: region.def, reduce: region.reduce }];
  for (const e of epilogueOf(region))
    phases.push({ kind: "store", def: e.def, axes: [], results: e.results, point: e.point });
  return { name: region.name, axes: P, phases, stores: region.stores };
}

export function applyRow(
  region: RowRegion | ContractionRegion | ElementwiseRegion,
  s: RowSchedule,
  target: Target,
): readonly AppliedKernel[] {
  inRange("rows", s.rows, 1, 1024);
  inRange("block", s.block, 1, 128);
  inRange("each", s.each ?? 1, 1, 16);
  const job = rowsOf(region);
  const online = s.pass === "online";
  if (online && !job.phases.some((_, i) => onlineRows(job.phases, i)))
    throw new ScheduleError("pass", "no rule makes one pass of this row");
  if (s.pass === "held" && s.hold < 1)
    throw new ScheduleError("hold", "a held row needs at least one unit an invocation");
  if (s.pass === "held") inRange("hold", s.hold, 1, 128);
  const tile: RowTile = {
    rows: s.rows,
    each: s.each ?? 1,
    wide: s.wide ?? 1,
    threads: s.threads,
    rowsFirst: s.threads === 1 || s.across === true,
    vector: s.vector,
    vectorOn: s.across === true ? "points" : "row",
    unroll: s.block,
    fold: foldsFirst(target),
    combine: s.combine ?? "workgroup",
    online,
    hold: s.pass === "held" ? s.hold : 0,
    parts: 1,
  };
  return [rowKernel(job, tile, target, (b) => originOf(b, region))];
}

export function applyReduction(
  region: RowRegion | ContractionRegion,
  s: ReductionSchedule,
  target: Target,
): readonly AppliedKernel[] {
  inRange("each", s.each, 1, 64);
  inRange("columns", s.columns, 1, 1024);
  inRange("parts", s.parts, 1, 4096);
  const columns = s.columns > 1;
  const wide = s.wide ?? 1;
  const down = s.down ?? 1;
  inRange("down", down, 1, 16);
  if (down > 1 && (!columns || wide > 1))
    throw new ScheduleError("down", "only single vectors of columns go down together");
  const tile: RowTile = {
    rows: s.columns,
    each: down > 1 ? down : columns ? wide : 1,
    wide,
    down,
    threads: s.threads,
    rowsFirst: columns,
    vector: s.vector,
    vectorOn: columns ? "points" : "row",
    unroll: s.each,
    fold: foldsFirst(target),
    combine: s.combine,
    online: false,
    hold: 0,
    parts: s.parts,
  };
  const job = rowsOf(region);
  if (s.parts === 1) return [rowKernel(job, tile, target, (b) => originOf(b, region))];
  // The second stage has few partial results: an invocation for each result where there are many, else one workgroup.
  const second: RowTile = {
    ...tile,
    parts: 1,
    unroll: 1,
    wide: 1,
    down: 1,
    each: 1,
    ...(columns ? { threads: 1, combine: "workgroup" } : { vector: 1 }),
  };
  return twoStages(job, tile, second, target, (b) => originOf(b, region));
}

/**
 * A variable that a loop changes costs SwiftShader a dozen instructions in each component and round, three times an addition, and llvmpipe
 * a masked selection and most often a place on the stack: there is one of a single component for each row.
 */
function foldsFirst(target: Target): boolean {
  return target.kind === "software" && fixedSubgroup(target) > 0;
}
