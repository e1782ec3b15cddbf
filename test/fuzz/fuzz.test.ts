/** The fuzzer without a device, and its reducer on a bug that is put there on purpose. */
import { expect, test, vi } from "vitest";
import { apply, type Definition, type Program, type TensorExpr } from "../../ir/tensor.ts";
import { parseFiletest } from "../filetests/format.ts";
import { caseOf, seedOf } from "./case.ts";
import { fuzz, MATRICES } from "./fuzz.ts";
import { rebuild } from "./rebuild.ts";
import { sizeOfCase } from "./reduce.ts";

vi.setConfig({ testTimeout: 240_000 });

test("a hundred random programs", async () => {
  const { tally, reports } = await fuzz({ seed: 20_000, programs: 100, trials: 1, reduceSeconds: 5 });
  expect(reports.map((r) => `${r.failure.message}\n${r.filetest}`)).toEqual([]);
  expect(tally.programs).toBeGreaterThan(60);
  expect(tally.schedules).toBeGreaterThan(tally.programs);
  expect(tally.gradients).toBeGreaterThan(3);
});

test("a few, in schedules on subgroup matrices among others", async () => {
  const { tally, reports } = await fuzz({ seed: 5, programs: 12, trials: 4, reduceSeconds: 5, target: MATRICES });
  expect(reports.map((r) => `${r.failure.message}\n${r.filetest}`)).toEqual([]);
  expect(tally.schedules).toBeGreaterThan(tally.programs);
});

/** Every maximum is a minimum. */
function wrongMaximum(p: Program): Program {
  const replace = new Map<TensorExpr, TensorExpr>();
  const seen = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "apply" && e.prim === "max" && e.dtype === "f32")
      replace.set(e, apply("min", e.args[0]!, e.args[1]!));
    // Values only: a wrong index would leave its tensor.
    for (const x of e.kind === "apply" ? e.args : e.kind === "reduce" ? e.values : []) go(x);
  };
  const look = (d: Definition): void => {
    for (const e of d.kind === "map" ? d.results : d.kind === "scan" || d.kind === "scatter" ? d.values : []) go(e);
  };
  for (const s of p.steps) if (s.kind !== "loop") look(s);
  return replace.size === 0 ? p : rebuild(p, { replace });
}

test("an artificial bug is found, made small, and told as a filetest", async () => {
  const { reports } = await fuzz({ seed: 3, programs: 60, trials: 0, reduceSeconds: 10, sabotage: wrongMaximum });
  // Where a wrong value goes on to index something, the program throws instead.
  const different = reports.filter((r) => r.failure.kind === "differs");
  expect(different.length).toBeGreaterThan(0);
  for (const r of different) {
    expect(r.filetest).toMatch(/max/);
    expect(sizeOfCase(r.reduced)).toBeLessThan(12);
    expect(r.reduced.program.steps.length).toBeLessThan(3);
    expect(parseFiletest(r.filetest).inputs.size).toBe(r.reduced.program.inputs.length);
  }
});

test("the same seed gives the same case", () => {
  const [a, b] = [caseOf(seedOf(5, 6)), caseOf(seedOf(5, 6))];
  expect([...a.inputs]).toEqual([...b.inputs]);
  expect(sizeOfCase(a)).toBe(sizeOfCase(b));
});
