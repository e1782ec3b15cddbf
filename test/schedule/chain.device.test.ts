/** Gradients of attention that store no scores, on a device: within the bound that is derived from the program. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import type { Device } from "../../runtime/node.ts";
import { compileProgram } from "../../src/compile.ts";
import { candidates, considered, isLegal } from "../../src/schedule/choose.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import type { OnlineRegion } from "../../src/schedule/region.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import { openTestDevice } from "../device.ts";
import { GRADIENTS } from "./chain-support.ts";
import { inputsFor, programOf } from "./online-support.ts";

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

/** Of the legal schedules the one with the least code for an invocation: software compiles a large one for a minute. */
function smallest(region: OnlineRegion): Schedule | undefined {
  const size = (s: Schedule): number => (s.kind === "online" ? s.reg[0] * (s.reg[1] + s.columns) : 0);
  return [...candidates(region, device.info)].sort((x, y) => size(x) - size(y))[0];
}

/** One form each of masks and heads; the others are checked by the kernel interpreter. Milliseconds: llvmpipe compiles for seconds a kernel. */
const FORMS = ["causal, no batch", "additive mask, the letters in another order", "grouped queries"] as const;
const PATIENCE = 240_000;

test.each(FORMS)(
  "%s",
  async (title) => {
    const form = GRADIENTS[title];
    if (!form) throw new Error("no such form");
    const target = device.info;
    const inputs = new Map(
      [...inputsFor(form.shapes, 3)].map(([name, a]) => {
        const dtype = name === "seen" ? ("bool" as const) : ("f32" as const);
        // What the device is given is what the bound is derived from.
        return [name, { ...a, dtype, data: dtype === "f32" ? Float64Array.from(a.data, Math.fround) : a.data }];
      }),
    );
    const { plan, fused } = compileProgram(programOf(form.source, target, form.shapes), {
      target,
      verify: true,
      online: () => true,
      chain: (regions) => regions.every((r) => considered(r, target).some((s) => isLegal(r, s, target))),
      schedule: (r) => (r.kind === "online" ? smallest(r) : undefined),
    });
    expect(fused.regions.filter((r) => r.kind === "online")).toHaveLength(form.chained ?? 4);
    const kernel = await device.loadPlan(plan);
    const results = await kernel.run(
      Object.fromEntries(
        [...inputs].map(([name, a]) => {
          const data = a.dtype === "bool" ? Uint8Array.from(a.data) : Float32Array.from(a.data);
          return [name, { dtype: a.dtype, shape: a.shape, data }];
        }),
      ),
    );
    kernel.dispose();
    for (const b of errorBounds(defuse(fused), inputs)) {
      const found = results[b.name];
      if (!found) throw new Error(`no result ${b.name}`);
      const at = compareWithin(b, Float64Array.from(found.data, Number)).first;
      if (at !== undefined)
        throw new Error(`${b.name}[${at}] is ${found.data[at]}, not ${b.exact[at]} (${b.low[at]} … ${b.high[at]})`);
    }
  },
  PATIENCE,
);
