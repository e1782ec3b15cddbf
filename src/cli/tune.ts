/** `fusum tune`: searches the schedules of a file's functions on a device, prints what was found, and keeps it in a cache. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Device } from "../../runtime/device.ts";
import { CompileError } from "../api/error.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { compileFile } from "../node/compile-file.ts";
import { writeOutput } from "../project/outputs.ts";
import { makeFolder, reasonOf } from "../system-error.ts";
import { EMPTY_CACHE, mergeCaches, readCache, type ScheduleCache, writeCache } from "../tune/cache.ts";
import { TuneError } from "../tune/error.ts";
import { renderTuned, reportOf } from "../tune/report.ts";
import type { Tuned, TuneProgress } from "../tune/tune.ts";
import {
  type BindingOptions,
  bindingsFor,
  CliError,
  EXIT,
  functionOf,
  type GlobalOptions,
  printDiagnostics,
  usageError,
} from "./context.ts";

interface TuneCommandOptions extends BindingOptions {
  readonly sizes: readonly string[];
  readonly budget: string;
  readonly trials?: string;
  readonly seed: string;
  readonly out?: string;
  readonly adapter: "auto" | "gpu" | "software";
  readonly portable?: boolean;
  readonly clock: "device" | "processor";
}

interface Skipped {
  readonly function: string;
  readonly reason: string;
}

export async function tune(file: string, names: readonly string[], o: TuneCommandOptions): Promise<void> {
  const budget = secondsOf(o.budget);
  const seed = wholeOf("--seed", o.seed);
  const trials = o.trials === undefined ? undefined : wholeOf("--trials", o.trials);
  const sizes = sizesOf(o.sizes);
  const program = await compileFile(file);
  const functions = selected(program.functions, names);
  const before = o.out === undefined ? EMPTY_CACHE : readExisting(o.out, o);
  const device = await open(o);
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  const bar = await progressBar(o);
  const end = performance.now() + budget * 1000;
  const done: Tuned[] = [];
  const skipped: Skipped[] = [];
  let found: ScheduleCache = before;
  try {
    for (const [i, f] of functions.entries()) {
      if (stop.signal.aborted) break;
      const { consts, extents } = bindingsFor(f, o);
      const share = Math.max(0, end - performance.now()) / 1000 / (functions.length - i);
      try {
        const tuned = await program.tune(device, f.name, {
          consts,
          extents,
          strict: o.strict,
          fastMath: o.fastMath,
          sizes,
          seed,
          budget: share,
          seeds: before,
          signal: stop.signal,
          ...(o.clock === "processor" ? { clock: processorTime } : {}),
          ...(trials === undefined ? {} : { trials }),
          onProgress: (p) => bar.update(f.name, p),
        });
        done.push(tuned);
        found = mergeCaches(found, tuned.cache);
        // What was found so far is kept whatever happens next.
        if (o.out !== undefined) writeOutput(o.out, writeCache(found));
      } catch (error) {
        if (functions.length === 1 || !(error instanceof TuneError || error instanceof CompileError)) throw error;
        skipped.push({ function: f.name, reason: error.message });
      }
    }
  } finally {
    bar.stop();
    process.removeListener("SIGINT", onInterrupt);
    device.close();
  }
  print(done, skipped, device.info.name, o);
  if (done.some((t) => t.failures.some((x) => x.fault === "compiler"))) throw new CliError(EXIT.diagnostics, "", true);
}

/** With `--portable` kernels may use what every device has; the clock is no kernel's business. */
async function open(o: TuneCommandOptions): Promise<Device> {
  const { openDevice } = await import("../../runtime/node.ts");
  const { adapter } = o;
  if (!o.portable) return openDevice({ adapter, measure: true });
  const portable = { adapter, measure: true, limits: "default" } as const;
  try {
    return await openDevice({ ...portable, features: ["timestamp-query"] });
  } catch (error) {
    if (!(error instanceof Error && "kind" in error && error.kind === "unsupported-feature")) throw error;
    return openDevice({ ...portable, features: [] });
  }
}

function selected(functions: readonly FunctionSignature[], names: readonly string[]): readonly FunctionSignature[] {
  for (const n of names) functionOf({ functions }, n);
  if (functions.length === 0) throw usageError("the file exports no function");
  return names.length === 0 ? functions : functions.filter((f) => names.includes(f.name));
}

function print(done: readonly Tuned[], skipped: readonly Skipped[], adapter: string, o: TuneCommandOptions): void {
  if (o.json) {
    const report = {
      adapter,
      functions: done.map(reportOf),
      skipped,
      ...(o.out === undefined ? {} : { written: o.out }),
    };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return;
  }
  for (const t of done) process.stdout.write(`${renderTuned(t, adapter)}\n`);
  for (const s of skipped) process.stdout.write(`${s.function}: skipped, ${s.reason}\n`);
  for (const t of done)
    for (const f of t.failures)
      if (f.fault === "compiler")
        process.stderr.write(
          `a bug of the compiler: ${t.name}, region ${f.region}: ${f.message}\n  with ${JSON.stringify(f.schedule)}\n`,
        );
  if (o.out !== undefined && done.length > 0) process.stdout.write(`${o.out}\n`);
}

/** What is wrong with an older cache is told, and it is written anew; a file that is something else is not touched. */
function readExisting(file: string, o: GlobalOptions): ScheduleCache {
  if (!file.endsWith(".json")) throw usageError(`--out needs a .json file, not ${file}`);
  // Not after a minute of measuring.
  try {
    makeFolder(dirname(file));
    accessSync(existsSync(file) ? file : join(dirname(file), "/"), constants.W_OK);
  } catch (error) {
    throw usageError(`${file} cannot be written: ${reasonOf(error)}`);
  }
  if (!existsSync(file)) return EMPTY_CACHE;
  if (isOtherJson(file)) throw usageError(`${file} is not a cache of schedules, and would be overwritten`);
  const { cache, warnings } = readSchedules(file);
  if (warnings.length > 0 && !o.json) printDiagnostics(warnings, new Map(), o);
  return cache;
}

function isOtherJson(file: string): boolean {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    const format = typeof value === "object" && value !== null && "format" in value ? value.format : undefined;
    return typeof format !== "string" || !format.startsWith("fusum schedules");
  } catch {
    return false;
  }
}

/** A cache from a file, with warnings about it. Throws a usage error if there is no such file. */
export function readSchedules(file: string): ReturnType<typeof readCache> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw usageError(`cannot read ${file}: ${reasonOf(error)}`);
  }
  return readCache(text, file);
}

/** Nanoseconds that this process has computed, a software adapter's threads included. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

const UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600 };

function secondsOf(text: string): number {
  const m = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text);
  if (!m) throw usageError(`--budget needs seconds or 90s, 2m, 1h, not ${JSON.stringify(text)}`);
  return Number(m[1]) * UNITS[m[2]!]!;
}

function wholeOf(option: string, text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n))
    throw usageError(`${option} must be a whole number, not ${JSON.stringify(text)}`);
  return n;
}

/** `N=512,M=64`, several times. */
function sizesOf(list: readonly string[]): Record<string, number> {
  const entries = list
    .flatMap((text) => text.split(","))
    .map((text) => {
      const m = /^(\w+)=(\d+)$/.exec(text.trim());
      if (!m || Number(m[2]) >= 2 ** 31) throw usageError(`--sizes needs NAME=N,…, not ${JSON.stringify(text)}`);
      return [m[1]!, Number(m[2])] as const;
    });
  return Object.fromEntries(entries);
}

interface Bar {
  readonly update: (name: string, p: TuneProgress) => void;
  readonly stop: () => void;
}

/** A line on a terminal, nothing elsewhere. */
async function progressBar(o: GlobalOptions): Promise<Bar> {
  if (o.json || process.stderr.isTTY !== true) return { update: () => undefined, stop: () => undefined };
  const { SingleBar } = (await import("cli-progress")).default;
  const bar = new SingleBar({
    format: "{name} {bar} {regions} {tried} tried, {gain}",
    barsize: 24,
    barCompleteChar: "#",
    barIncompleteChar: ".",
    clearOnComplete: true,
    hideCursor: true,
  });
  const shown = { name: "", regions: "", tried: 0, gain: "" };
  bar.start(100, 0, shown);
  return {
    update: (name, p) =>
      bar.update(Math.round(100 * p.elapsed), {
        name: `${name}.${p.region}`,
        regions: `${p.done + 1}/${p.regions}`,
        tried: p.tried,
        gain: `${(p.first / p.best).toFixed(2)}x`,
      }),
    stop: () => bar.stop(),
  };
}
