/** Puts the tables of one adapter into bench/README.md; the rest of the file stays. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchResult } from "../result.ts";
import { markdownSection } from "./markdown.ts";

const FILE = join(import.meta.dirname, "..", "README.md");

const PREAMBLE = `# Benchmark

Fusum beside [jax-js](https://github.com/ekzhang/jax-js), TensorFlow.js's WebGPU backend and, in a browser, ONNX Runtime's: one process
or page, one adapter, devices with the same limits, interleaved rounds. Each row's results are compared first: ours with the
interpreter, within the bound that is derived from the program; the peers' with ours. × says how many times as long the other takes, the
median over the rounds (and the quartiles).
Everybody's waiting leaves the processor to a software adapter. The share of the roofline is the time that the row's arithmetic or
its traffic would take at the ceilings, over ours; a row that stays in caches can exceed it. "Times of the processor" (\`--clock cpu\`)
stands where the machine had other work: what the kernels cost all threads of the process, which the clock on the wall does not tell
there. First calls compile everything anew: Mesa's cache of compiled kernels is off. The rows are those of the last run of the adapter
with \`--write\`, which need not be all of them.

\`npm run bench -- --adapter software --write\` writes the section of its adapter below; \`npm run bench -- --help\` lists the options.

\`--tune 20 --schedules FILE\` tunes each row for 20 seconds and runs the tuner's schedules beside the default ones ("tuned ×": how many
times as long as the default they take, so that 0.7 means that tuning saves three tenths); the file keeps them, so that a later run
measures another default against the same schedules. \`--lab FOLDER\` does the same with hand-written kernels, on our
own device. Rows in f16 run where the adapter has it.

\`node bench/gradients.ts --adapter software --write\` writes what gradients cost: peak memory over what must be there (arguments,
results, and the activations that the backward pass reads), and the time of the backward pass over the forward pass's, with jax-js's
\`grad\` beside ours; \`--kernels 10\` names the slowest kernels.

\`npm run bench -- --browser --write\` does the same in a page of a headless Chromium, where ONNX Runtime joins: its WebGPU backend, with
arguments and results that stay on the device, parameters of models as constants that it may rearrange beforehand, whichever layout of
a convolution is faster there, and its own operators of attention where they are right. Nothing of it runs on the processor.
\`npx vite bench/page\` serves that page for other browsers (\`?only=softmax&against=jax,tfjs,ort\`; without \`against\` ours alone).
`;

export function updateReadme(b: BenchResult): void {
  updateSection(markdownSection(b));
}

/** Replaces the section of the same heading, or adds it. */
export function updateSection(section: string): void {
  const old = existsSync(FILE) ? readFileSync(FILE, "utf8") : PREAMBLE;
  const sections = old.split(/^(?=## )/m).slice(1);
  const heading = section.slice(0, section.indexOf("\n") + 1);
  const kept = sections.filter((s) => !s.startsWith(heading));
  const all = [...kept.map((s) => s.trimEnd()), section.trimEnd()].sort();
  writeFileSync(FILE, `${PREAMBLE}\n${all.join("\n\n")}\n`);
}
