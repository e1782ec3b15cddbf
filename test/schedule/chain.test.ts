/** Chained contractions: gradients of attention in its forms write nothing as large as the scores, and are right with every schedule. */
import { describe, expect, test } from "vitest";
import type { Definition } from "../../ir/tensor.ts";
import { candidates, scheduleText } from "../../src/schedule/choose.ts";
import type { FusedProgram, OnlineRegion } from "../../src/schedule/region.ts";
import type { Target } from "../../src/schedule/target.ts";
import { fuseChained, GRADIENTS } from "./chain-support.ts";
import { difference, inputsFor, programOf, SLACK } from "./online-support.ts";
import { GPU, SOFT4, SOFT8 } from "./support.ts";

const wide = (target: Target, buffers = 8): Target => ({
  ...target,
  limits: { ...target.limits, maxStorageBuffersPerShaderStage: buffers },
});
const onlineOf = (f: FusedProgram): readonly OnlineRegion[] => f.regions.filter((r) => r.kind === "online");

/** The largest number of elements that is stored, results aside. */
function largest(f: FusedProgram): number {
  const results = new Set<Definition>(f.program.results.map((r) => r.tensor));
  const sizes = [...f.stored]
    .filter((d) => !results.has(d))
    .map((d) => d.axes.reduce((n, a) => n * (a.extent.value ?? 1), 1));
  return Math.max(...sizes);
}

const TARGETS = [GPU, SOFT4, SOFT8];

describe("every form: nothing as large as the scores is stored", () => {
  Object.entries(GRADIENTS).forEach(([title, form], f) => {
    test(title, () => {
      const { q = [], k = [] } = form.shapes;
      const operands = q.reduce((a, b) => a * b) + k.reduce((a, b) => a * b);
      for (const literal of form.symbolic === false ? [true] : [true, false]) {
        const target = wide(TARGETS[(f + Number(literal)) % TARGETS.length] ?? GPU, form.buffers);
        const p = programOf(form.source, target, literal ? form.shapes : undefined);
        const fused = fuseChained(p, target);
        expect(onlineOf(fused)).toHaveLength(form.chained ?? 4);
        if (literal) expect(largest(fused)).toBeLessThanOrEqual(2 * operands);
        expect(difference(p, fused, target, inputsFor(form.shapes, 1))).toBeLessThan(SLACK);
      }
    });
  });
});

describe("schedules", () => {
  for (const [n, t] of TARGETS.entries())
    test(`of ${t.name}`, () => {
      Object.values(GRADIENTS).forEach((form, f) => {
        if (f % TARGETS.length !== n) return;
        const target = wide(t, form.buffers);
        const p = programOf(form.source, target, form.shapes);
        const fused = fuseChained(p, target);
        const regions = onlineOf(fused);
        for (let i = 0; i < 2; i++) {
          // Each kernel gets one of its schedules, another each time.
          const chosen = new Map(
            regions.map((r, x) => {
              const all = candidates(r, target);
              return [r, all[(7 * f + 5 * x + 11 * i) % all.length]];
            }),
          );
          const text = [...chosen.values()].map((s) => (s ? scheduleText(s) : "")).join("\n");
          expect(
            difference(p, fused, target, inputsFor(form.shapes, f + i), (r) =>
              r.kind === "online" ? chosen.get(r) : undefined,
            ),
            text,
          ).toBeLessThan(SLACK);
        }
      });
    });
});
