/** Random programs, fused and scheduled by random legal schedules, on the kernel interpreter beside the oracle. */
import { describe, test } from "vitest";
import { isFloat } from "../../ir/dtype.ts";
import { interpret } from "../../ir/interpret.ts";
import { stepsOf } from "../../ir/steps.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { candidates } from "../../src/schedule/choose.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import { generateProgram } from "../generate/programs.ts";
import { TARGETS } from "./support.ts";

function agree(seed: number): void {
  const target = TARGETS[seed % TARGETS.length];
  if (!target) throw new Error("no target");
  const g = generateProgram(seed, { specials: seed % 2 === 0, maxExtent: seed % 3 === 0 ? 30 : 6, empty: false });
  const fused = fuse(normalise(g.program), { limits: { maxStorageBuffers: 8 } });
  const want = interpret(g.program, g.inputs, { mode: "exact", sizes: g.sizes });
  const got = runFused(fused, target, g.inputs, {
    mode: "exact",
    sizes: g.sizes,
    schedule: (r) => {
      const all = candidates(r, target);
      const s = all[(seed * 7919) % all.length];
      if (!s) throw new Error(`no schedule for ${r.name}`);
      return s;
    },
  });
  // Another order of float operations may lose one rounding a step, of the largest value that occurs.
  const steps = g.program.steps.reduce((sum, s) => sum + stepsOf(s, g.sizes), 1);
  want.forEach((w, i) => {
    const top = w.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1);
    const slack = isFloat(w.dtype) ? steps * 2 ** -52 * top : 0;
    w.data.forEach((v, e) => {
      const x = got[i]?.data[e];
      const same = x !== undefined && (Object.is(v, x) || Math.abs(v - x) <= slack);
      if (!same) throw new Error(`seed ${seed}: ${w.name}[${e}] is ${x}, not ${v}`);
    });
  });
}

describe("random programs", () => {
  for (let block = 0; block < 4; block++)
    test(`seeds ${block * 15} to ${block * 15 + 14}`, () => {
      for (let seed = block * 15; seed < block * 15 + 15; seed++) agree(seed);
    });
});
