/**
 * `npm run bench -- [options]`: our programs and the peers' on one adapter in one process, in interleaved rounds. Results are compared
 * before anything is timed. Exits 1 if a result of ours is wrong.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { misuse, oneOf, readArguments, wholeNumber } from "../src/cli/script.ts";
import { ADAPTERS, openArena } from "./adapter.ts";
import type { ClockOptions } from "./clock.ts";
import { type Field, measure, oneLine } from "./measure.ts";
import { NODE_PEERS } from "./peers/node.ts";
import type { Peer } from "./peers/peer.ts";
import { htmlReport } from "./report/html.ts";
import { markdownSection, progressLine } from "./report/markdown.ts";
import { updateReadme } from "./report/readme.ts";
import type { BenchResult, WorkloadResult } from "./result.ts";
import { measureRoofline } from "./roofline.ts";
import { openTuner } from "./tuned.ts";
import { runsOn } from "./workload.ts";
import { selected } from "./workloads/index.ts";

const HELP = `usage: npm run bench -- [options]
  --adapter A      ${ADAPTERS.join(", ")} (default: software, the embedded one)
  --only TEXT      workloads whose name contains one of these words (comma-separated)
  --against P      peers: jax, tfjs, or none (default: jax,tfjs)
  --lab FOLDER     hand-written kernels beside ours, from a folder of scripts
  --tune SECONDS   ours tuned, so long for each row, beside ours untuned
  --schedules FILE with --tune: keeps what was found; rows that are in it are not tuned again
  --rounds N       interleaved rounds (default: 9)
  --clock C        wall, or cpu: the process's own time, for software adapters on a machine with other work (default: wall)
  --quick          three rounds
  --json FILE      everything that was measured
  --html FILE      a report with charts, self-contained
  --write          put the table into bench/README.md
  --render FILES   no run: the tables and the report (--html) of earlier runs' JSON files, comma-separated
  --compiler       the compiler's own speed instead
  --list           names of the workloads`;

async function main(): Promise<number> {
  const { values } = readArguments(HELP, {
    options: {
      adapter: { type: "string", default: "software" },
      only: { type: "string" },
      against: { type: "string", default: "jax,tfjs" },
      lab: { type: "string" },
      tune: { type: "string" },
      schedules: { type: "string" },
      clock: { type: "string", default: "wall" },
      rounds: { type: "string", default: "9" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      html: { type: "string" },
      write: { type: "boolean", default: false },
      render: { type: "string" },
      compiler: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
    },
  });
  const against = values.against === "none" ? [] : values.against.split(",");
  const adapter = oneOf(HELP, "--adapter", values.adapter, ADAPTERS);
  const source = oneOf(HELP, "--clock", values.clock, ["wall", "cpu"]);
  const rounds = values.quick ? 3 : wholeNumber(HELP, "--rounds", values.rounds, 1);
  const seconds = values.tune === undefined ? undefined : wholeNumber(HELP, "--tune", values.tune, 1);
  const unknown = against.find((p) => !(p in NODE_PEERS));
  if (unknown) misuse(HELP, `no such peer: ${unknown}`);
  if (values.compiler) {
    (await import("./compiler.ts")).benchCompiler((text) => process.stdout.write(text));
    return 0;
  }
  if (values.render) {
    const runs = values.render.split(",").map((file) => JSON.parse(readFileSync(file, "utf8")) as BenchResult);
    if (values.html) writeFileSync(values.html, htmlReport(runs));
    if (values.write) for (const run of runs) updateReadme(run);
    process.stdout.write(runs.map(markdownSection).join("\n"));
    return 0;
  }
  const chosen = selected(values.only);
  if (values.list) {
    process.stdout.write(`${chosen.map((w) => w.name).join("\n")}\n`);
    return 0;
  }
  const arena = await openArena(adapter);
  const { info } = arena.device;
  const peers: Peer[] = [];
  for (const name of against) peers.push(await NODE_PEERS[name as keyof typeof NODE_PEERS](arena.wait));
  const clock: ClockOptions = {
    rounds,
    sampleMs: info.kind === "software" ? 4 : 20,
    slowMs: 400,
    wait: arena.wait,
    source,
  };
  const lab = values.lab ? await (await import("./peers/lab.ts")).openLab(values.lab, clock) : undefined;
  const tuner = seconds === undefined ? undefined : openTuner(seconds, values.schedules, clock);
  const field: Field = { arena, peers, ...(lab ? { lab } : {}), ...(tuner ? { tuner } : {}), clock };
  process.stdout.write(`${info.name}, ${peers.map((p) => `${p.name} ${p.version}`).join(", ")}\n`);
  const roofline = await measureRoofline(arena.device, clock);
  const results: WorkloadResult[] = [];
  const gathered = (): BenchResult => ({
    adapter: { name: info.name, driver: info.driver, kind: info.kind, features: info.features },
    cores: availableParallelism(),
    node: process.version,
    versions: Object.fromEntries(peers.map((p) => [p.name, p.version])),
    rounds,
    clock: clock.source,
    roofline,
    results,
  });
  // After each row: a run that is cut short leaves what it has.
  const publish = (b: BenchResult): void => {
    if (values.json) writeFileSync(values.json, `${JSON.stringify(b, undefined, 1)}\n`);
    if (values.html) writeFileSync(values.html, htmlReport([b]));
    if (values.write) updateReadme(b);
  };
  let wrong = 0;
  for (const w of chosen) {
    if (!runsOn(w, info)) continue;
    try {
      const r = await measure(w, field);
      results.push(r);
      publish(gathered());
      process.stdout.write(`${progressLine(r)}\n`);
    } catch (e) {
      wrong++;
      process.stdout.write(`${w.name.padEnd(32)} failed: ${oneLine(e)}\n`);
    }
  }
  process.stdout.write(`\n${markdownSection(gathered())}`);
  return wrong > 0 ? 1 : 0;
}

// Peers keep timers and devices alive.
process.exit(await main());
