/**
 * npm run fuzz -- --seconds N --seed S [--adapter software|gpu|auto] [--no-device]
 *
 * Random tensor programs on both interpreters, in any legal schedule, and on the device; derivatives in both modes. The last line
 * is a summary; exit code 1 if anything failed.
 */
import { parseArgs } from "node:util";
import { type Device, openDevice } from "../../runtime/node.ts";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    adapter: { type: "string", default: "software" },
    "no-device": { type: "boolean", default: false },
    trials: { type: "string", default: "3" },
  },
});

async function open(adapter: string): Promise<Device> {
  if (adapter !== "software" && adapter !== "gpu" && adapter !== "auto") {
    process.stderr.write(`--adapter is software, gpu or auto, not ${adapter}\n`);
    process.exit(2);
  }
  return openDevice({ adapter });
}

function number(name: "seconds" | "seed" | "trials"): number {
  const n = Number(values[name]);
  if (values[name] !== "" && Number.isFinite(n) && n >= 0) return n;
  process.stderr.write(`--${name} wants a number, not ${values[name]}\n`);
  process.exit(2);
}

const [seconds, seed, trials] = [number("seconds"), number("seed"), number("trials")];
const device = values["no-device"] ? undefined : await open(values.adapter);
let told = 0;
const { tally, reports } = await fuzz({
  seconds,
  seed,
  trials,
  device,
  onProgress: (t, failures) => {
    if (!process.stderr.isTTY || performance.now() - told < 200) return;
    told = performance.now();
    process.stderr.write(
      `\r${t.programs} programs, ${t.schedules} schedules, ${t.deviceRuns} device runs, ${failures} failures `,
    );
  },
  onFailure: (r) => {
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
    process.stdout.write(
      `seed ${r.seed}: ${r.failure.stage} ${r.failure.kind}: ${r.failure.message}\n\n${r.filetest}\n`,
    );
  },
});
if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
device?.close();
process.stdout.write(
  `${tally.programs} programs, ${tally.schedules} schedules, ${tally.deviceRuns} device runs, ${tally.gradients} gradients, ${reports.length} failures\n`,
);
process.exitCode = reports.length > 0 ? 1 : 0;
