/** One case after another; each failure is made small and told as a filetest. */
import type { Device } from "../../runtime/index.ts";
import { DEFAULT_TARGET, type Target } from "../../src/schedule/target.ts";
import { filetestOf, type Run } from "../filetests/format.ts";
import { withMatrices } from "../schedule/support.ts";
import { type Case, caseOf, contractionCaseOf, type Failure, seedOf } from "./case.ts";
import { type CheckOptions, checkCase, isValid, type Tally } from "./check.ts";
import { backwardCaseOf, checkGradients, gradientCaseOf } from "./gradients.ts";
import { reduceCase } from "./reduce.ts";

/** A GPU with subgroup matrices, in subgroups whose size is known when the kernel runs. */
export const MATRICES: Target = withMatrices(
  [
    { component: "f32", result: "f32", m: 8, n: 8, k: 8 },
    { component: "f16", result: "f32", m: 8, n: 8, k: 8 },
    { component: "f16", result: "f16", m: 16, n: 8, k: 8 },
  ],
  8,
  32,
);

export interface FuzzOptions {
  readonly seed: number;
  /** Stops at either. */
  readonly programs?: number;
  readonly seconds?: number;
  readonly device?: Device | undefined;
  /** What kernels are made for; the device, or WebGPU's guarantees without one. */
  readonly target?: Target | undefined;
  readonly trials?: number;
  /** Seconds that one failure may take to be made small. */
  readonly reduceSeconds?: number;
  readonly sabotage?: CheckOptions["sabotage"];
  readonly onProgress?: (tally: Tally, failures: number) => void;
  readonly onFailure?: (report: Report) => void;
}

export interface Report {
  readonly seed: number;
  readonly failure: Failure;
  readonly reduced: Case;
  /** To paste into test/filetests. */
  readonly filetest: string;
}

export interface FuzzResult {
  readonly tally: Tally;
  readonly reports: readonly Report[];
}

export async function fuzz(o: FuzzOptions): Promise<FuzzResult> {
  const tally: Tally = { programs: 0, schedules: 0, deviceRuns: 0, gradients: 0 };
  const reports: Report[] = [];
  const end = o.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + o.seconds * 1000;
  const check: CheckOptions = {
    target: o.target ?? o.device?.info ?? DEFAULT_TARGET,
    device: o.device,
    trials: o.trials ?? 3,
    sabotage: o.sabotage,
  };
  for (let n = 0; n < (o.programs ?? Number.POSITIVE_INFINITY) && performance.now() < end; n++) {
    const seed = seedOf(o.seed, n);
    const report =
      n % 4 === 3
        ? await gradientCase(seed, o, check, tally)
        : await programCase(seed, n % 4 === 1 ? contractionCaseOf(seed) : caseOf(seed), o, check, tally);
    if (report) {
      reports.push(report);
      o.onFailure?.(report);
    }
    o.onProgress?.(tally, reports.length);
  }
  return { tally, reports };
}

async function programCase(
  seed: number,
  c: Case,
  o: FuzzOptions,
  check: CheckOptions,
  tally: Tally,
): Promise<Report | undefined> {
  // Too long for the interpreter.
  if (!isValid(c)) return undefined;
  tally.programs++;
  const failure = await checkCase(c, check, tally);
  if (!failure) return undefined;
  const aside: Tally = { programs: 0, schedules: 0, deviceRuns: 0, gradients: 0 };
  // A stage before the device fails without it as well, and sooner.
  const again: CheckOptions = {
    ...check,
    device: failure.stage === "device" ? check.device : undefined,
    trials: failure.trial,
  };
  const fails = async (x: Case): Promise<boolean> => alike(failure, await checkCase(x, again, aside));
  const reduced = await reduceCase(c, fails, { limit: (o.reduceSeconds ?? 20) * 1000 });
  const runs: Run[] = ["interpreter", failure.trial > 0 ? "schedules" : "kernels"];
  if (failure.stage === "device") runs.push("device");
  return { seed, failure, reduced, filetest: filetestOf(reduced, runs, `fuzz: ${failure.stage}, ${failure.message}`) };
}

/** Derivatives against one another and against differences; then their program as any other, on the device too. */
async function gradientCase(
  seed: number,
  o: FuzzOptions,
  check: CheckOptions,
  tally: Tally,
): Promise<Report | undefined> {
  const c = gradientCaseOf(seed);
  const { counted, failure } = checkGradients(c);
  if (counted) tally.gradients++;
  if (!failure) {
    const backward = backwardCaseOf(c, seed);
    return backward && programCase(seed, backward, o, check, tally);
  }
  const fails = async (x: Case): Promise<boolean> => alike(failure, checkGradients(x).failure);
  const reduced = await reduceCase(c, fails, { limit: (o.reduceSeconds ?? 20) * 1000 });
  return { seed, failure, reduced, filetest: filetestOf(reduced, ["gradients"], `fuzz: gradient, ${failure.message}`) };
}

/** The same failure: values differ at the same stage, or an exception with the same words but for names and numbers. */
function alike(a: Failure, b: Failure | undefined): boolean {
  if (!b || a.stage !== b.stage || a.kind !== b.kind) return false;
  const words = (f: Failure): string =>
    f.kind === "differs" ? "" : f.message.split("\n")[0]!.replace(/\w*\d\w*/g, "#");
  return words(a) === words(b);
}
