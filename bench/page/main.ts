/**
 * The benchmark's rows in a browser: the compiler runs in the page, its results are checked against the interpreter there, then timed.
 *
 *   npx vite bench/page     and open /?only=softmax&rounds=5: rows whose name has this in it, and how often each is timed
 */
import { type Device, openDevice } from "../../runtime/browser.ts";
import array from "../../src/std/array.ein?raw";
import image from "../../src/std/image.ein?raw";
import { registerStd } from "../../src/std/index.ts";
import linalg from "../../src/std/linalg.ein?raw";
import math from "../../src/std/math.ein?raw";
import nn from "../../src/std/nn.ein?raw";
import signal from "../../src/std/signal.ein?raw";
import { checkOurs } from "../check.ts";
import { median, race } from "../clock.ts";
import { prepareOurs } from "../ours.ts";
import { makeInputs, runsOn, type Workload } from "../workload.ts";
import { WORKLOADS } from "../workloads/index.ts";

registerStd({ array, image, linalg, math, nn, signal });

const query = new URLSearchParams(location.search);
const only = query.get("only") ?? "";
const rounds = Number(query.get("rounds") ?? 7);
/** Milliseconds that a sample aims at, and from which on a row is timed less often. */
const SAMPLE_MS = 30;
const SLOW_MS = 300;

function say(id: string, text: string): void {
  document.querySelector(`#${id}`)!.textContent = text;
}

async function measure(w: Workload, device: Device): Promise<readonly string[]> {
  const inputs = makeInputs(w);
  const ours = await prepareOurs(w, inputs, device);
  try {
    checkOurs(ours, w, inputs, device.info);
    const wait = <T>(pending: Promise<T>): Promise<T> => pending;
    const clock = { rounds, sampleMs: SAMPLE_MS, slowMs: SLOW_MS, wait, source: "wall" } as const;
    const [timing] = await race([ours], clock);
    const ms = median(timing!.ms);
    const rate = w.flops
      ? `${(w.flops / ms / 1e6).toPrecision(3)} GFLOP/s`
      : `${(ours.bytes / ms / 1e6).toPrecision(3)} GB/s`;
    const { compile, load, run } = ours.first;
    return [...[compile, load, run].map((t) => t.toFixed(0)), ms.toPrecision(3), rate];
  } finally {
    ours.dispose();
  }
}

async function main(): Promise<void> {
  const device = await openDevice();
  const { name, kind } = device.info;
  say("device", `${name}, ${kind}`);
  const rows = WORKLOADS.filter((w) => w.name.includes(only) && runsOn(w, device.info));
  let failed = 0;
  for (const [i, w] of rows.entries()) {
    say("status", `${i + 1} of ${rows.length}: ${w.name}`);
    const cells = await measure(w, device).catch((error: unknown) => {
      failed++;
      return [String(error)];
    });
    const row = document.createElement("tr");
    row.append(...[w.name, ...cells].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    document.querySelector("#rows")!.append(row);
  }
  say("status", `${rows.length - failed} of ${rows.length} rows, results checked`);
}

main().catch((error: unknown) => say("status", String(error)));
