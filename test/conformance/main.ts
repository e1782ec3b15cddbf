/**
 * `npm run -s conformance -- FOLDER [--only einsum,einops] [--on interpreter|device|both] [--through plan|module] [--json FILE] [--case NAME]`:
 * runs every file of cases in a folder of the conformance schema. Prints one line a file and lists what failed and, by
 * operator, what is unsupported and why. `derivative-coverage` prints, tier by tier, how many operators have a gradient that agrees with
 * differences. Exits 1 if anything failed.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { openDevice } from "../../runtime/node.ts";
import { misuse, oneOf, readArguments } from "../../src/cli/script.ts";
import { derivativeCoverage, renderCoverage, type TierCoverage } from "./derivatives/check.ts";
import type { Job } from "./job.ts";
import { type Outcome, oneLine, runJob, type Where } from "./run-job.ts";
import { NOT_CASES, SUITES } from "./suites.ts";

interface CaseResult {
  readonly name: string;
  readonly outcome: Outcome;
}
interface FileResult {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly unsupported: number;
  readonly cases: readonly CaseResult[];
}

const HELP = `usage: npm run -s conformance -- FOLDER [options]
  --only a,b      only these files (names without .json)
  --on WHERE      interpreter, device or both (default: interpreter)
  --through what  plan or module: what the device runs (default: plan); module means --on device
  --adapter A     auto, gpu or software (default: auto)
  --case TEXT     only cases whose name contains TEXT
  --json FILE     write every case's outcome as JSON
  --list          list every failed and unsupported case (default: the first 20 failures)`;

async function main(): Promise<number> {
  const { values, positionals } = readArguments(HELP, {
    allowPositionals: true,
    options: {
      only: { type: "string" },
      on: { type: "string" },
      through: { type: "string", default: "plan" },
      adapter: { type: "string", default: "auto" },
      case: { type: "string" },
      json: { type: "string" },
      list: { type: "boolean", default: false },
    },
  });
  const folder = positionals[0];
  if (folder === undefined || !existsSync(folder))
    return misuse(HELP, folder ? `no folder ${folder}` : "which folder?");
  const through = oneOf(HELP, "--through", values.through, ["plan", "module"]);
  const default_ = through === "module" ? "device" : "interpreter";
  const on = oneOf(HELP, "--on", values.on ?? default_, ["interpreter", "device", "both"]);
  if (through === "module" && on === "interpreter") misuse(HELP, "--through module needs --on device or both");
  const adapter = oneOf(HELP, "--adapter", values.adapter, ["auto", "gpu", "software"]);
  const only = values.only?.split(",");
  const files = readdirSync(folder)
    .filter((f) => f.endsWith(".json"))
    .map((f) => basename(f, ".json"))
    .filter((f) => !NOT_CASES.has(f) && (!only || only.includes(f)))
    .sort();
  const coverage = !only || only.includes(COVERAGE) ? coverageOf(folder) : undefined;
  if (coverage) process.stdout.write(`${renderCoverage(coverage)}\n`);
  if (files.length === 0 && coverage) return coverage.some((t) => t.wrong.length > 0) ? 1 : 0;
  if (files.length === 0) {
    process.stderr.write(`no case files in ${folder}\n`);
    return 2;
  }
  const device = on === "interpreter" ? undefined : await openDevice({ adapter });
  const where: Where = { interpreter: on !== "device", device, throughModule: through === "module" };
  const results: FileResult[] = [];
  for (const file of files) {
    const r = await runFile(folder, file, where, values.case);
    if (!r) continue;
    results.push(r);
    process.stdout.write(`${r.file}: ${r.passed} passed, ${r.failed} failed, ${r.unsupported} unsupported\n`);
    report(r, values.list);
  }
  device?.close();
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`);
  return results.some((r) => r.failed > 0) || coverage?.some((t) => t.wrong.length > 0) ? 1 : 0;
}

const COVERAGE = "derivative-coverage";

/** The tiers of operators to differentiate, if the folder has them. */
function coverageOf(folder: string): readonly TierCoverage[] | undefined {
  const file = join(folder, `${COVERAGE}.json`);
  if (!existsSync(file)) return undefined;
  const { tiers } = JSON.parse(readFileSync(file, "utf8")) as { tiers: Readonly<Record<string, readonly string[]>> };
  return derivativeCoverage(tiers);
}

async function runFile(
  folder: string,
  file: string,
  where: Where,
  filter: string | undefined,
): Promise<FileResult | undefined> {
  const known = SUITES.get(file);
  const parsed = JSON.parse(readFileSync(join(folder, `${file}.json`), "utf8")) as {
    cases?: readonly Record<string, unknown>[];
  };
  if (!parsed.cases) return undefined;
  const cases: CaseResult[] = [];
  const progress = progressLine(file, parsed.cases.length);
  for (const [i, raw] of parsed.cases.entries()) {
    const name = String(raw["name"] ?? i);
    if (filter && !name.includes(filter)) continue;
    progress(i);
    cases.push({
      name,
      outcome: known
        ? await runCase(known, raw, where)
        : { status: "unsupported", group: file, reason: "no translator for this file" },
    });
  }
  progress(undefined);
  const count = (s: Outcome["status"]): number => cases.filter((c) => c.outcome.status === s).length;
  return { file, passed: count("passed"), failed: count("failed"), unsupported: count("unsupported"), cases };
}

async function runCase(
  known: { suite: { translate(c: Readonly<Record<string, unknown>>): readonly Job[] | Job }; rejects: boolean },
  raw: Record<string, unknown>,
  where: Where,
): Promise<Outcome> {
  try {
    const translated = known.suite.translate(raw);
    for (const job of Array.isArray(translated) ? (translated as readonly Job[]) : [translated as Job]) {
      const outcome = await runJob(job, where, known.rejects);
      if (outcome.status !== "passed") return outcome;
    }
    return { status: "passed" };
  } catch (error) {
    return { status: "failed", reason: `translator: ${oneLine(error)}` };
  }
}

/** A counter on a terminal's standard error; silent elsewhere. */
function progressLine(file: string, total: number): (at: number | undefined) => void {
  if (!process.stderr.isTTY) return () => undefined;
  let last = 0;
  return (at) => {
    const now = Date.now();
    if (at !== undefined && now - last < 100) return;
    last = now;
    process.stderr.write(at === undefined ? "\r\x1b[K" : `\r\x1b[K${file} ${at}/${total}`);
  };
}

function report(r: FileResult, all: boolean): void {
  const failures = r.cases.flatMap((c) =>
    c.outcome.status === "failed" ? [`  FAILED ${c.name}: ${c.outcome.reason}`] : [],
  );
  for (const line of all ? failures : failures.slice(0, 20)) process.stdout.write(`${line}\n`);
  if (!all && failures.length > 20) process.stdout.write(`  … ${failures.length - 20} more (--list shows them)\n`);
  const groups = new Map<string, { count: number; reasons: Set<string> }>();
  for (const c of r.cases) {
    if (c.outcome.status !== "unsupported") continue;
    const g = groups.get(c.outcome.group) ?? { count: 0, reasons: new Set<string>() };
    g.count++;
    g.reasons.add(c.outcome.reason);
    groups.set(c.outcome.group, g);
  }
  for (const [group, g] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    process.stdout.write(
      `  unsupported ${group} (${g.count}): ${[...g.reasons].slice(0, all ? undefined : 2).join("; ")}\n`,
    );
  }
}

process.exitCode = await main();
