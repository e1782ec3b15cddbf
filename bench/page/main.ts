/**
 * The benchmark's rows in a browser: the compiler runs in the page, its results are checked against the interpreter there, then timed,
 * beside the peers if they are asked for. `npm run bench -- --browser` opens it in a headless Chromium and writes the table.
 *
 *   npx vite bench/page     and open /?only=softmax&against=ort&rounds=5: words in the names of rows, peers (jax, tfjs, ort), and how
 *                           often each is timed
 */
import { type Device, openDevice } from "../../runtime/browser.ts";
import array from "../../src/std/array.ein?raw";
import image from "../../src/std/image.ein?raw";
import { registerStd } from "../../src/std/index.ts";
import linalg from "../../src/std/linalg.ein?raw";
import math from "../../src/std/math.ein?raw";
import nn from "../../src/std/nn.ein?raw";
import signal from "../../src/std/signal.ein?raw";
import type { ClockOptions } from "../clock.ts";
import { equalise } from "../equal.ts";
import { type Field, measure } from "../measure.ts";
import type { Peer } from "../peers/peer.ts";
import type { WorkloadResult } from "../result.ts";
import { measureRoofline } from "../roofline.ts";
import type { Conditions } from "../run.ts";
import { runsOn, type Workload } from "../workload.ts";
import { selected } from "../workloads/index.ts";
import type { Outcome } from "./contract.ts";
import { PAGE_PEERS } from "./peers.ts";

registerStd({ array, image, linalg, math, nn, signal });

const query = new URLSearchParams(location.search);
const against = (query.get("against") ?? "").split(",").filter(Boolean);
const clock: ClockOptions = {
  rounds: Number(query.get("rounds") ?? 7),
  // Chromium takes a millisecond or two to say that work is done.
  sampleMs: 40,
  slowMs: 400,
  wait: (pending) => pending,
  source: query.get("clock") === "cpu" ? "cpu" : "wall",
  // From the command that opened the page; the browser does not tell it itself.
  elsewhere: async () => Number(await (await fetch("/processor-time")).text()),
};

function say(id: string, text: string): void {
  document.querySelector(`#${id}`)!.textContent = text;
}

function addRow(to: string, kind: "td" | "th", cells: readonly string[]): void {
  const row = document.createElement("tr");
  row.append(...cells.map((text) => Object.assign(document.createElement(kind), { textContent: text })));
  document.querySelector(to)!.append(row);
}

function cellsOf(r: WorkloadResult, peers: readonly Peer[]): readonly string[] {
  const { ms, first } = r.ours;
  const rate = r.flops
    ? `${(r.flops / ms / 1e6).toPrecision(3)} GFLOP/s`
    : `${(r.bytes / ms / 1e6).toPrecision(3)} GB/s`;
  const others = peers.map(({ name }) => {
    const found = r.peers.find((p) => p.name === name)?.ratio?.median;
    return found?.toPrecision(3) ?? r.failed.find((f) => f.name === name)?.reason ?? "";
  });
  return [r.compileMs.toFixed(0), (first ?? Number.NaN).toFixed(0), ms.toPrecision(3), rate, ...others];
}

interface Opened {
  readonly device: Device;
  readonly peers: readonly Peer[];
  readonly rows: readonly Workload[];
  readonly conditions: Conditions;
}

async function open(): Promise<Opened> {
  const device = await openDevice();
  equalise(navigator.gpu);
  const { info } = device;
  say("device", `${info.name}, ${info.kind}`);
  const peers: Peer[] = [];
  for (const name of against) {
    const [, openPeer] = Object.entries(PAGE_PEERS).find(([known]) => known === name) ?? [];
    if (!openPeer) throw new Error(`no such peer: ${name}`);
    say("status", `opening ${name}`);
    peers.push(await openPeer(clock.wait));
  }
  const rows = selected(query.get("only") ?? undefined).filter((w) => runsOn(w, info));
  const conditions = {
    adapter: { name: info.name, driver: info.driver, kind: info.kind, features: info.features },
    browser: /(?:Chrome|Firefox|Version)\/\d+/.exec(navigator.userAgent)?.[0].replace("/", " ") ?? "a browser",
    versions: Object.fromEntries(peers.map((p) => [p.name, p.version])),
    roofline: await measureRoofline(device, clock),
    rows: rows.map((w) => w.name),
  };
  return { device, peers, rows, conditions };
}

const opened = open();
const outcomes: PromiseWithResolvers<Outcome>[] = [];
function outcome(at: number): PromiseWithResolvers<Outcome> {
  outcomes[at] ??= Promise.withResolvers<Outcome>();
  return outcomes[at];
}

async function main(): Promise<void> {
  const { device, peers, rows } = await opened;
  addRow("#head", "th", [
    "workload",
    "compile ms",
    "first call ms",
    "median ms",
    "rate",
    ...peers.map((p) => `${p.name} ×`),
  ]);
  const field: Field = { arena: { device, peers: navigator.gpu, wait: clock.wait }, peers, clock };
  let failed = 0;
  for (const [i, w] of rows.entries()) {
    say("status", `${i + 1} of ${rows.length}: ${w.name}`);
    try {
      const result = await measure(w, field);
      addRow("#rows", "td", [w.name, ...cellsOf(result, peers)]);
      outcome(i).resolve({ result });
    } catch (error) {
      failed++;
      addRow("#rows", "td", [w.name, String(error)]);
      outcome(i).resolve({ error: String(error) });
    }
  }
  say("status", `${rows.length - failed} of ${rows.length} rows, results checked`);
}

globalThis.fusumBench = {
  conditions: opened.then((o) => o.conditions),
  row: (at) => outcome(at).promise,
};
main().catch((error: unknown) => say("status", String(error)));
