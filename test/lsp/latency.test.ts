/** How long a diagnostic takes after an edit in a file of 2,000 lines: the library's own functions, all in one file. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lines } from "../../src/diagnostics/lines.ts";
import { positionAt } from "../../src/lsp/position.ts";
import { type Session, startSession } from "./session.ts";

const STD = resolve(import.meta.dirname, "../../src/std");
const text = ["nn", "image", "linalg"].map((n) => readFileSync(`${STD}/${n}.ein`, "utf8")).join("\n");
const LIMIT_MS = 100;
const WARM_UP = 20;
const EDITS = 40;

let session: Session;
beforeAll(async () => {
  session = await startSession();
});
afterAll(() => session.stop());

/** Processor time of the server so far, in ms, all its threads; undefined where the system does not say. Linux counts in 10 ms. */
function cpuOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined;
  }
}

test("an edit is answered within 100 ms", async () => {
  const lines = new Lines(text);
  expect(lines.count).toBeGreaterThan(2000);
  const o = session.open(text);
  expect(await session.client.diagnostics(o.uri)).toEqual([]);
  // A letter is typed into the body of one function after another, from all over the file, and taken back.
  const bodies = [...text.matchAll(/^(?:export )?fn [\s\S]*?\{\n {2}(?=let )/gm)].map((m) => m.index + m[0].length);
  const step = Math.floor(bodies.length / (EDITS / 2));
  const walls: number[] = [];
  let cpu = 0;
  for (let k = 0; k < WARM_UP + EDITS; k++) {
    const start = positionAt(lines, bodies[(Math.floor(k / 2) * step) % bodies.length]!);
    const end = { line: start.line, character: start.character + (k % 2) };
    const before = cpuOf(session.client.process.pid!) ?? 0;
    const from = performance.now();
    session.client.edit(o.uri, { start, end }, k % 2 === 0 ? "q" : "");
    const found = await session.client.diagnostics(o.uri);
    if (k >= WARM_UP) {
      walls.push(performance.now() - from);
      cpu += (cpuOf(session.client.process.pid!) ?? 0) - before;
    }
    expect(found.length > 0).toBe(k % 2 === 0);
  }
  walls.sort((a, b) => a - b);
  const median = walls[walls.length >> 1]!;
  // Other work on the machine makes the wall clock slow: then the server's own time decides.
  const measured = cpuOf(session.client.process.pid!) === undefined ? median : Math.min(median, cpu / EDITS);
  console.log(
    `${lines.count} lines: ${median.toFixed(1)} ms to the answer (median), ${(cpu / EDITS).toFixed(1)} ms of processor time an edit, slowest ${walls.at(-1)!.toFixed(1)} ms`,
  );
  expect(measured).toBeLessThan(LIMIT_MS);
});
