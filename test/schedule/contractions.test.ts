/** Random contractions in the default schedule, and in another, of every kind of adapter: kernels beside the tensor interpreter. */
import { expect, test, vi } from "vitest";
import type { Target } from "../../src/schedule/target.ts";
import { contractionCaseOf } from "../fuzz/case.ts";
import { checkCase, isValid, type Tally } from "../fuzz/check.ts";
import { MATRICES } from "../fuzz/fuzz.ts";
import { GPU, SOFT4, SOFT8 } from "./support.ts";

vi.setConfig({ testTimeout: 120_000 });

const TARGETS: readonly (readonly [string, Target])[] = [
  ["a GPU", GPU],
  ["a GPU with matrices", MATRICES],
  ["four lanes", SOFT4],
  ["eight lanes", SOFT8],
];

test.each(TARGETS)("of %s", async (_, target) => {
  const tally: Tally = { programs: 0, schedules: 0, deviceRuns: 0, gradients: 0 };
  const failures: string[] = [];
  for (let seed = 1100; seed < 1200; seed++) {
    const c = contractionCaseOf(seed);
    if (!isValid(c)) continue;
    const failure = await checkCase(c, { target, trials: seed % 4 === 0 ? 2 : 0 }, tally);
    if (failure) failures.push(`seed ${seed}: ${failure.stage}: ${failure.message.split("\n")[0]}`);
  }
  expect(failures).toEqual([]);
  expect(tally.schedules).toBeGreaterThan(120);
});
