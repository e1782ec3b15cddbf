/**
 * `npm run bench -- [options]`: our programs and the peers' on one adapter in one process, in interleaved rounds. Results are compared
 * before anything is timed. Exits 1 if a result of ours is wrong.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { misuse, oneOf, readArguments, wholeNumber } from "../src/cli/script.ts";
import { ADAPTERS } from "./adapter.ts";
import { oneLine } from "./measure.ts";
import { NODE_PEERS, PACKAGES } from "./peers/node.ts";
import { htmlReport } from "./report/html.ts";
import { markdownSection, progressLine } from "./report/markdown.ts";
import { updateReadme } from "./report/readme.ts";
import type { BenchResult, WorkloadResult } from "./result.ts";
import { openHere, type Run } from "./run.ts";
import { selected } from "./workloads/index.ts";

const HELP = `usage: npm run bench -- [options]
  --adapter A      ${ADAPTERS.join(", ")} (default: software, the embedded one)
  --only TEXT      workloads whose name contains one of these words (comma-separated)
  --browser        in a page of a headless Chromium (@sparticuz/chromium) instead of in this process
  --against P      peers: jax, tfjs, in a browser ort too, or none (default: all of them)
  --lab FOLDER     hand-written kernels beside ours, from a folder of scripts
  --tune SECONDS   ours tuned, so long for each row, beside ours untuned
  --schedules FILE with --tune: keeps what was found; rows that are in it are not tuned again
  --rounds N       interleaved rounds (default: 9)
  --clock C        wall, or cpu: what the processor spent, for software adapters on a machine with other work (default: wall)
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
      browser: { type: "boolean", default: false },
      against: { type: "string" },
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
  const adapter = oneOf(HELP, "--adapter", values.adapter, ADAPTERS);
  const source = oneOf(HELP, "--clock", values.clock, ["wall", "cpu"]);
  const rounds = values.quick ? 3 : wholeNumber(HELP, "--rounds", values.rounds, 1);
  const seconds = values.tune === undefined ? undefined : wholeNumber(HELP, "--tune", values.tune, 1);
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
  if (values.list) {
    const names = selected(values.only).map((w) => w.name);
    process.stdout.write(`${names.join("\n")}\n`);
    return 0;
  }
  const only = values.only ? { only: values.only } : {};
  const open = async (): Promise<Run | string> => {
    if (!values.browser) {
      const tune =
        seconds === undefined ? {} : { tune: { seconds, ...(values.schedules ? { file: values.schedules } : {}) } };
      const against = peersIn(NODE_PEERS, values.against);
      return openHere({
        adapter,
        ...only,
        rounds,
        source,
        against,
        ...(values.lab ? { lab: values.lab } : {}),
        ...tune,
      });
    }
    if (adapter === "lavapipe") misuse(HELP, "Chromium takes SwiftShader (--adapter software) or a GPU, not lavapipe");
    const elsewhere = (["lab", "tune", "schedules"] as const).find((name) => values[name] !== undefined);
    if (elsewhere) misuse(HELP, `--${elsewhere} is not for a browser`);
    const against = peersIn(PACKAGES, values.against);
    const { missing, openInBrowser } = await import("./browser.ts");
    const options = { adapter, ...only, rounds, source, against };
    return missing() ?? openInBrowser(options);
  };
  const run = await open().catch(oneLine);
  if (typeof run === "string") {
    process.stderr.write(`${run}\n`);
    return 1;
  }
  const { rows, ...conditions } = run.conditions;
  const versions = Object.entries(conditions.versions).map(([name, v]) => `, ${name} ${v}`);
  process.stdout.write(`${conditions.adapter.name}${versions.join("")}\n`);
  const results: WorkloadResult[] = [];
  const gathered = (): BenchResult => ({
    ...conditions,
    cores: availableParallelism(),
    node: process.version,
    rounds,
    clock: source,
    results,
  });
  // After each row: a run that is cut short leaves what it has.
  const publish = (b: BenchResult): void => {
    if (values.json) writeFileSync(values.json, `${JSON.stringify(b, undefined, 1)}\n`);
    if (values.html) writeFileSync(values.html, htmlReport([b]));
    if (values.write) updateReadme(b);
  };
  let wrong = 0;
  for (const [at, name] of rows.entries()) {
    try {
      const r = await run.row(at);
      results.push(r);
      publish(gathered());
      process.stdout.write(`${progressLine(r)}\n`);
    } catch (e) {
      wrong++;
      process.stdout.write(`${name.padEnd(32)} failed: ${oneLine(e)}\n`);
    }
  }
  await run.close();
  process.stdout.write(`\n${markdownSection(gathered())}`);
  return wrong > 0 ? 1 : 0;
}

/** The peers that were asked for by name, all that there are without a word. */
function peersIn<T extends string>(known: Readonly<Record<T, unknown>>, names: string | undefined): readonly T[] {
  const all = Object.keys(known) as T[];
  if (names === undefined) return all;
  return names === "none" ? [] : names.split(",").map((name) => oneOf(HELP, "--against", name, all));
}

// Peers keep timers and devices alive.
process.exit(await main());
