/** The table, as Markdown. */
import type { Ratio } from "../clock.ts";
import { type BenchResult, bestPeer, type ContenderResult, geometricMean, type WorkloadResult } from "../result.ts";

export function markdownTable(b: BenchResult): string {
  const peers = [...new Set(b.results.flatMap((r) => r.peers.map((p) => p.name)))];
  const lab = b.results.some((r) => r.handWritten);
  const tuned = b.results.some((r) => r.tuned);
  const head = [
    "workload",
    "fusum ms",
    "rate",
    "of the roofline",
    ...peers.map((p) => `${p} ×`),
    ...(lab ? ["hand-written ×"] : []),
    ...(tuned ? ["tuned ×"] : []),
    "best peer ×",
    "first call ms: fusum",
    ...peers,
  ];
  const rows = b.results.map((r) => [
    r.workload,
    time(r.ours.ms),
    rate(r),
    roofline(r, b),
    ...peers.map((p) => spread(r.peers.find((x) => x.name === p)?.ratio)),
    ...(lab ? [spread(r.handWritten?.ratio)] : []),
    ...(tuned ? [spread(r.tuned?.ratio)] : []),
    bestPeer(r)?.ratio ? `**${times(bestPeer(r)!.ratio!.median)}**` : "",
    time(r.ours.first ?? Number.NaN),
    ...peers.map((p) => time(r.peers.find((x) => x.name === p)?.first ?? Number.NaN)),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** What tells the section from others: the adapter, and whether a browser had it. */
export function headingOf(b: BenchResult): string {
  return b.browser ? `${b.adapter.name}, in a browser` : b.adapter.name;
}

/** The whole section of one adapter, its conditions and its totals. */
export function markdownSection(b: BenchResult): string {
  const ratios = b.results.flatMap((r) => bestPeer(r)?.ratio?.median ?? []);
  const yard = b.results.flatMap((r) => r.handWritten?.ratio?.median ?? []);
  const untuned = b.results.flatMap((r) => r.tuned?.ratio?.median ?? []);
  const slower = b.results.filter((r) => (bestPeer(r)?.ratio?.median ?? 1) < 1);
  const failed = b.results.flatMap((r) => r.failed.map((f) => `${f.name}, ${r.workload}: ${f.reason}`));
  const versions = Object.entries(b.versions).map(([n, v]) => `; ${n} ${v}`);
  return [
    `## ${headingOf(b)}`,
    "",
    `${b.adapter.driver}; ${b.cores} cores; ${b.browser ?? `Node ${b.node}`}${versions.join("")}; ${b.rounds} rounds${b.clock === "cpu" ? ", times of the processor" : ""}. ` +
      `Ceilings: ${(b.roofline.copy / 1e9).toFixed(1)} GB/s copied (read plus written), ` +
      `${(b.roofline.flops / 1e9).toFixed(0)} GFLOP/s in multiply-adds.`,
    "",
    (ratios.length > 0
      ? `Against the best peer of each row: ×${times(geometricMean(ratios))} in the geometric mean over ${ratios.length} rows` +
        (slower.length > 0 ? `; slower on ${slower.map((r) => r.workload).join(", ")}.` : "; slower on none.")
      : "No peers.") +
      (yard.length > 0
        ? ` Against the fastest hand-written kernel: ×${times(geometricMean(yard))} over ${yard.length} rows.`
        : "") +
      (untuned.length > 0
        ? ` Against the tuner's schedules: ×${times(geometricMean(untuned))} over ${untuned.length} rows, at least ×${times(Math.min(...untuned))}.`
        : ""),
    "",
    markdownTable(b),
    ...(failed.length > 0 ? ["", "Peers without a time:", "", ...failed.map((f) => `- ${f}`)] : []),
    "",
  ].join("\n");
}

export function times(x: number): string {
  return x >= 10 ? x.toFixed(0) : x.toFixed(2);
}
export function time(ms: number): string {
  return Number.isNaN(ms) ? "" : ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}
function spread(r: Ratio | undefined): string {
  return r ? `${times(r.median)} (${times(r.low)}–${times(r.high)})` : "";
}
function rate(r: WorkloadResult): string {
  return r.flops
    ? `${(r.flops / r.ours.ms / 1e6).toFixed(1)} GFLOP/s`
    : `${(r.bytes / r.ours.ms / 1e6).toFixed(1)} GB/s`;
}
/** Of the ceiling that binds: the larger of the two times at the measured ceilings, over ours. */
function roofline(r: WorkloadResult, b: BenchResult): string {
  const least = Math.max((r.flops ?? 0) / b.roofline.flops, r.bytes / b.roofline.copy) * 1e3;
  return `${((100 * least) / r.ours.ms).toFixed(0)} %`;
}

/** One line for the terminal while rows come in. */
export function progressLine(r: WorkloadResult): string {
  const cell = (c: ContenderResult): string => `${c.name} ${time(c.ms)} ×${times(c.ratio?.median ?? Number.NaN)}`;
  const others = [...r.peers, ...(r.handWritten ? [r.handWritten] : []), ...(r.tuned ? [r.tuned] : [])].map(cell);
  const failed = r.failed.map((f) => `${f.name} ✗`);
  return `${r.workload.padEnd(32)} ${time(r.ours.ms).padStart(8)} ms  ${[...others, ...failed].join("  ")}`;
}
