/** The report: one self-contained page, its charts drawn as SVG. */
import { type BenchResult, bestPeer, type ContenderResult, geometricMean, type WorkloadResult } from "../result.ts";
import { headingOf, time, times } from "./markdown.ts";

const COLOURS: Readonly<Record<string, string>> = {
  "jax-js": "#4c78a8",
  tfjs: "#f58518",
  onnxruntime: "#b279a2",
  "hand-written": "#54a24b",
};
const [LEFT, WIDTH, BAR, GAP] = [230, 900, 11, 9];

export function htmlReport(all: readonly BenchResult[]): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Fusum: benchmark</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; } .slow { color: #b00; font-weight: 600; }
svg text { font: 12px system-ui, sans-serif; fill: #222; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } svg text { fill: #ddd; } td, th { border-color: #333; } }
</style>
<h1>Fusum beside its peers</h1>
${all.map(section).join("\n")}
</html>
`;
}

function section(b: BenchResult): string {
  const ratios = b.results.flatMap((r) => bestPeer(r)?.ratio?.median ?? []);
  return `<h2>${escaped(headingOf(b))}</h2>
<p>${escaped(b.adapter.driver)}, ${b.cores} cores, ${escaped(b.browser ?? `Node ${b.node}`)}, ${b.rounds} interleaved rounds${b.clock === "cpu" ? ", times of the processor" : ""}.
${(b.roofline.copy / 1e9).toFixed(1)} GB/s copied, ${(b.roofline.flops / 1e9).toFixed(0)} GFLOP/s in multiply-adds.
×${times(geometricMean(ratios))} against the best peer of each row, in the geometric mean.</p>
${chart(b)}
${table(b)}`;
}

/** How many times as long the others take, on a logarithmic axis; the line at 1 is us. */
function chart(b: BenchResult): string {
  const others = (r: WorkloadResult): readonly ContenderResult[] => [
    ...r.peers,
    ...(r.handWritten ? [r.handWritten] : []),
  ];
  const values = b.results.flatMap((r) => others(r).flatMap((c) => c.ratio?.high ?? []));
  const [low, high] = [Math.min(0.5, ...values), Math.max(2, ...values)];
  const x = (v: number): number =>
    LEFT + ((Math.log(v) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (WIDTH - 60);
  const parts: string[] = [];
  let y = 24;
  for (const r of b.results) {
    const list = others(r);
    const height = Math.max(1, list.length) * BAR;
    parts.push(`<text x="${LEFT - 8}" y="${y + height / 2 + 4}" text-anchor="end">${escaped(r.workload)}</text>`);
    for (const c of list) {
      const q = c.ratio;
      if (!q) continue;
      const [from, to] = [Math.min(x(1), x(q.median)), Math.max(x(1), x(q.median))];
      const middle = y + BAR / 2;
      parts.push(
        `<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(1, to - from).toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[c.name] ?? "#999"}"><title>${escaped(c.name)}: ${time(c.ms)} ms, ×${times(q.median)} (${times(q.low)}–${times(q.high)})</title></rect>`,
        `<line x1="${x(q.low).toFixed(1)}" x2="${x(q.high).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#000" stroke-opacity=".5"/>`,
        `<text x="${(x(q.high) + 4).toFixed(1)}" y="${y + BAR - 2}">${times(q.median)}</text>`,
      );
      y += BAR;
    }
    if (list.length === 0) y += BAR;
    y += GAP;
  }
  const ticks = [0.5, 1, 2, 4, 8, 16, 32, 64, 128].filter((t) => t >= low && t <= high);
  const grid = ticks.map(
    (t) =>
      `<line x1="${x(t)}" x2="${x(t)}" y1="18" y2="${y}" stroke="${t === 1 ? "#b00" : "#8884"}"/><text x="${x(t)}" y="12" text-anchor="middle">×${t}</text>`,
  );
  const names = Object.entries(COLOURS).filter(([n]) => b.results.some((r) => others(r).some((c) => c.name === n)));
  const legend = names.map(([n, c]) => `<span style="color:${c}">■</span> ${n}`).join(" &nbsp; ");
  return `<p>${legend}</p><svg viewBox="0 0 ${LEFT + WIDTH} ${y}" width="100%">${grid.join("")}${parts.join("")}</svg>`;
}

function table(b: BenchResult): string {
  const rows = b.results.map((r) => {
    const best = bestPeer(r)?.ratio?.median;
    const rate = r.flops
      ? `${(r.flops / r.ours.ms / 1e6).toFixed(1)} GFLOP/s`
      : `${(r.bytes / r.ours.ms / 1e6).toFixed(1)} GB/s`;
    return `<tr><td>${escaped(r.workload)}</td><td>${time(r.ours.ms)}</td><td>${rate}</td><td${(best ?? 1) < 1 ? ' class="slow"' : ""}>${best === undefined ? "" : times(best)}</td><td>${r.handWritten?.ratio ? times(r.handWritten.ratio.median) : ""}</td><td>${r.kernels}</td><td>${time(r.ours.first ?? Number.NaN)}</td><td>${escaped(r.schedules.join("; "))}</td></tr>`;
  });
  return `<table><tr><th>workload</th><th>ms</th><th>rate</th><th>best peer ×</th><th>hand-written ×</th><th>kernels</th><th>first call ms</th><th>schedules</th></tr>${rows.join("\n")}</table>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);
}
