/** What tuning found, as data and as a table: how much of the tuned speed the default schedules reach. */
import { scheduleText } from "../schedule/choose.ts";
import { keepsDefault, type Tuned, type TunedRegion } from "./tune.ts";

export interface ReportedRegion {
  readonly region: string;
  readonly kind: string;
  /** Equal regions that it stands for. */
  readonly count: number;
  readonly tried: number;
  readonly clock: "timestamps" | "clock";
  readonly defaultNs: number;
  readonly tunedNs: number;
  /** Tuned time over default time: the share of the tuned speed that the default reaches, at most 1. */
  readonly reached: number;
  readonly default: string;
  readonly tuned: string;
}

export interface Report {
  readonly function: string;
  readonly sizes: Readonly<Record<string, number>>;
  readonly regions: readonly ReportedRegion[];
  readonly defaultNs: number;
  readonly tunedNs: number;
  readonly reached: number;
  readonly failures: readonly {
    readonly fault: string;
    readonly region: string;
    readonly message: string;
    readonly schedule: string;
  }[];
}

export function reportOf(t: Tuned): Report {
  const sum = (f: (r: TunedRegion) => number): number => t.regions.reduce((s, r) => s + r.count * f(r), 0);
  const [defaultNs, tunedNs] = [sum((r) => r.defaultNs), sum((r) => r.ns)];
  return {
    function: t.name,
    sizes: t.sizes,
    regions: t.regions.map((r) => ({
      region: r.name,
      kind: r.kind,
      count: r.count,
      tried: r.tried,
      clock: r.source,
      defaultNs: r.defaultNs,
      tunedNs: r.ns,
      reached: share(r.ns, r.defaultNs),
      default: scheduleText(r.default),
      tuned: scheduleText(r.schedule),
    })),
    defaultNs,
    tunedNs,
    reached: share(tunedNs, defaultNs),
    failures: t.failures.map((f) => ({
      fault: f.fault,
      region: f.region,
      message: f.message,
      schedule: scheduleText(f.schedule),
    })),
  };
}

function share(tuned: number, untuned: number): number {
  return untuned > 0 ? Math.min(1, tuned / untuned) : 1;
}

/** A table for people. */
export function renderTuned(t: Tuned, adapter: string): string {
  const report = reportOf(t);
  const sizes = Object.entries(t.sizes)
    .map(([k, v]) => `${k}=${v}`)
    .join(" ");
  const rows = report.regions.map((r, i) => [
    `${r.region}${r.count > 1 ? ` ×${r.count}` : ""}`,
    r.kind,
    milliseconds(r.defaultNs),
    milliseconds(r.tunedNs),
    percent(r.reached),
    String(r.tried),
    keepsDefault(t.regions[i]!) ? "the default" : r.tuned,
  ]);
  const all = [
    "all",
    "",
    milliseconds(report.defaultNs),
    milliseconds(report.tunedNs),
    percent(report.reached),
    "",
    "",
  ];
  const table = [["region", "kind", "default", "tuned", "reached", "tried", "schedule"], ...rows, all];
  const widths = table[0]!.map((_, c) => Math.max(...table.map((row) => row[c]!.length)));
  const lines = table.map((row) =>
    `  ${row.map((cell, c) => (c >= 2 && c <= 5 ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!))).join("  ")}`.trimEnd(),
  );
  return `${t.name}${sizes ? ` (${sizes})` : ""} on ${adapter}\n${lines.join("\n")}`;
}

function milliseconds(ns: number): string {
  return `${(ns / 1e6).toFixed(3)} ms`;
}
function percent(x: number): string {
  return `${(100 * x).toFixed(0)}%`;
}
