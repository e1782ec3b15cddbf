/**
 * How long builds take: cold, with nothing changed, and after an edit while watching, in wall time and in processor time (all threads),
 * which other processes on the machine disturb less.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readArguments, wholeNumber } from "../../src/cli/script.ts";
import { manySources, writeProject } from "./generate.ts";

const USAGE = `usage: node test/project/speed.ts [options]
  --main FILE     the command's entry, for instance dist/src/cli/main.js (default: the sources')
  --sources N     how many (default: 300)`;
const { values } = readArguments(USAGE, {
  options: {
    main: { type: "string", default: resolve(import.meta.dirname, "../../src/cli/main.ts") },
    sources: { type: "string", default: "300" },
  },
});
const main = resolve(values.main);
const sources = wholeNumber(USAGE, "--sources", values.sources, 1);
const folder = mkdtempSync(join(tmpdir(), "fusum-speed-"));

interface Time {
  readonly wall: number;
  readonly cpu: number;
}

function show(what: string, times: readonly Time[], goal: number): void {
  const median = (of: (t: Time) => number): string => {
    const sorted = times.map(of).sort((a, b) => a - b);
    return `${sorted[Math.floor(sorted.length / 2)]!.toFixed(0).padStart(6)} ms`;
  };
  process.stdout.write(
    `${what.padEnd(22)} wall ${median((t) => t.wall)}   processor ${median((t) => t.cpu)}   goal ${goal} ms\n`,
  );
}

/** Ends the child's output with the processor time that it took. */
const METER = `data:text/javascript,${encodeURIComponent(
  "process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write('cpu ' + (user + system) / 1000); });",
)}`;

function build(): Time {
  const start = performance.now();
  const done = spawnSync(process.execPath, ["--import", METER, main, "build"], { cwd: folder, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`the build ended with ${done.status}\n${done.stdout}\n${done.stderr}`);
  return { wall: performance.now() - start, cpu: Number(/cpu ([\d.]+)$/.exec(done.stderr)?.[1]) };
}

/** Linux counts a process's time in hundredths of a second. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** From writing the file to the line that reports the build. */
async function edits(count: number): Promise<readonly Time[]> {
  const child = spawn(process.execPath, [main, "--watch", "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  let text = "";
  let wake: () => void = () => undefined;
  child.stdout.on("data", (data: Buffer) => {
    text += data.toString();
    const whole = text.split("\n");
    text = whole.pop()!;
    lines.push(...whole);
    wake();
  });
  const next = async (): Promise<{ readonly compiled: number }> => {
    while (lines.length === 0) await new Promise<void>((done) => (wake = done));
    return JSON.parse(lines.shift()!) as { readonly compiled: number };
  };
  await next();
  // The compiler gets warm in the meantime.
  await pause(3000);
  const leaves = [...manySources(sources).keys()].filter((name) => !name.includes("/shared/"));
  const times: Time[] = [];
  for (let i = 0; i < count; i++) {
    const path = join(folder, leaves[(i * 17) % leaves.length]!);
    const [start, before] = [performance.now(), cpuOf(child.pid!)];
    writeFileSync(path, `${readFileSync(path, "utf8")}// ${i}\n`);
    const { compiled } = await next();
    if (compiled !== 1) throw new Error(`an edit of one source compiled ${compiled}`);
    times.push({ wall: performance.now() - start, cpu: cpuOf(child.pid!) - before });
    await pause(200);
  }
  child.kill("SIGINT");
  return times;
}

try {
  writeProject(folder, sources);
  process.stdout.write(`${sources} sources, ${availableParallelism()} processors\n`);
  show("cold", [build()], 5000);
  show("nothing changed", [build(), build(), build()], 400);
  show("one edit, watching", await edits(9), 200);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
