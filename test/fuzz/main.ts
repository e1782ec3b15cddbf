/**
 * `npm run fuzz`: random tensor programs on both interpreters, in any legal schedule, and on the device; derivatives in both modes.
 * The last line is a summary; exit code 1 if anything failed.
 */
import { openDevice } from "../../runtime/node.ts";
import { oneOf, readArguments, wholeNumber } from "../../src/cli/script.ts";
import { fuzz, MATRICES } from "./fuzz.ts";

const USAGE = `usage: npm run fuzz -- [options]
  --seconds N     how long to go on; the program that is being tried is brought to its end (default: 60)
  --seed S        of the first program; the next has the next seed (default: 1)
  --adapter A     auto, gpu or software (default: software)
  --no-device     both interpreters only
  --matrices      the same, in schedules for a GPU that has subgroup matrices
  --trials N      random schedules a program (default: 3)`;

const { values } = readArguments(USAGE, {
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    adapter: { type: "string", default: "software" },
    "no-device": { type: "boolean", default: false },
    matrices: { type: "boolean", default: false },
    trials: { type: "string", default: "3" },
  },
});

const [seconds, seed, trials] = (["seconds", "seed", "trials"] as const).map((name) =>
  wholeNumber(USAGE, `--${name}`, values[name]),
) as [number, number, number];
const adapter = oneOf(USAGE, "--adapter", values.adapter, ["auto", "gpu", "software"]);
const device = values["no-device"] || values.matrices ? undefined : await openDevice({ adapter });
let told = 0;
const { tally, reports } = await fuzz({
  seconds,
  seed,
  trials,
  device,
  target: values.matrices ? MATRICES : undefined,
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
