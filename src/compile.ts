/**
 * The compiler's middle and back, as one flat list of passes: tensor program → simplified → contracted → normalised → fused →
 * scheduled → legal, verified kernels → WGSL and the plan. Each pass is timed; in tests each is verified.
 */
import { buildPlan } from "../codegen/plan.ts";
import { printProgram } from "../ir/print-tensor.ts";
import { simplifyProgram } from "../ir/simplify.ts";
import type { Program as TensorProgram } from "../ir/tensor.ts";
import { verifyProgram } from "../ir/verify-tensor.ts";
import type { Plan } from "../runtime/plan.ts";
import { type EmittedBodies, type EmittedKernel, emitKernels, type PlaceOf, planRequest } from "./emit.ts";
import { contract } from "./passes/contract.ts";
import { settleEpochs } from "./passes/epochs.ts";
import { fastMath } from "./passes/fast-math.ts";
import { normalise } from "./passes/normalise.ts";
import type { AppliedKernel, Target } from "./schedule/applied.ts";
import { apply } from "./schedule/apply/index.ts";
import { choose, scheduleText } from "./schedule/choose.ts";
import { chainPays, onePassPays } from "./schedule/choose-online.ts";
import { fuse } from "./schedule/fuse.ts";
import { placeCosts } from "./schedule/fuse-place.ts";
import { printFused } from "./schedule/print.ts";
import type { FusedProgram, OnlineRegion, Region } from "./schedule/region.ts";
import type { Schedule } from "./schedule/schedule.ts";
import { type RegionForm, rebind, regionForm } from "./schedule/share.ts";

export interface CompileOptions {
  readonly target: Target;
  /** No reassociation and no distribution of floats. */
  readonly strict?: boolean;
  /** Cheaper formulas for functions of floats, less accurate and without IEEE's NaN, infinities and -0 (passes/fast-math.ts). */
  readonly fastMath?: boolean;
  /** A schedule for a region, from a tuner's cache or a user's file; `undefined` leaves it to `choose`. */
  readonly schedule?: (region: Region, target: Target) => Schedule | undefined;
  /** Is a weighted sum in one pass to be one kernel? Without it, where the cost model says so. */
  readonly online?: (region: OnlineRegion) => boolean;
  /** Are scores to be computed anew by all these kernels, and never stored? Without it, where the cost model says so. */
  readonly chain?: (regions: readonly OnlineRegion[]) => boolean;
  /** Told after each pass. `dump` prints the program as it is then; call it only if the text is wanted. */
  readonly onPass?: (pass: string, milliseconds: number, dump: () => string) => void;
  /** Verify after each tensor pass: always in tests. Kernels are verified anyhow. */
  readonly verify?: boolean;
  /** Says where a span is, for the comments of kernels; without it they name the file. */
  readonly placeOf?: PlaceOf;
  /** Kernels that were made before; see KernelMemo. */
  readonly memo?: KernelMemo | undefined;
  /** Names parameters whose leading axes are folded into one. */
  readonly folded?: ReadonlySet<string>;
}

/** A region's schedule and its kernels. */
export interface Scheduled {
  readonly schedule: Schedule;
  readonly kernels: readonly AppliedKernel[];
}

/** Kernels of regions, kept from one program to the next. It changes nothing of what comes out. */
export interface KernelMemo {
  /** What `make` gives, or what it gave for an equal region with the same schedule asked for. */
  scheduled(region: Region, target: Target, asked: Schedule | undefined, make: () => Scheduled): Scheduled;
  emitted(target: Target): EmittedBodies;
}

export interface Compiled {
  readonly program: TensorProgram;
  readonly fused: FusedProgram;
  readonly schedules: ReadonlyMap<string, Schedule>;
  readonly applied: readonly AppliedKernel[];
  readonly kernels: readonly EmittedKernel[];
  readonly plan: Plan;
}

/** Tensor-level passes alone: what `explain` and `--emit=tensor` need. */
export function optimise(program: TensorProgram, o: CompileOptions): TensorProgram {
  const tensorPass = (name: string, input: TensorProgram, f: (p: TensorProgram) => TensorProgram): TensorProgram => {
    const output = timed(name, o, () => f(input), printProgram);
    if (o.verify) {
      const problems = verifyProgram(output);
      if (problems.length > 0) throw new Error(`after ${name}: ${problems.join("; ")}\n${printProgram(output)}`);
    }
    return output;
  };
  let p = tensorPass("simplify", settleEpochs(program), simplifyProgram);
  if (o.fastMath) p = tensorPass("fast-math", p, fastMath);
  p = tensorPass("contract", p, (x) => contract(x, { strict: o.strict ?? false }));
  p = tensorPass("normalise", p, (x) => normalise(x, { strict: o.strict ?? false }));
  return p;
}

export function fuseProgram(program: TensorProgram, o: CompileOptions): FusedProgram {
  return timed(
    "fuse",
    o,
    () =>
      fuse(program, {
        limits: { maxStorageBuffers: o.target.limits.maxStorageBuffersPerShaderStage },
        strict: o.strict ?? false,
        costs: placeCosts(o.target),
        online: o.online ?? ((region) => onePassPays(region, o.target)),
        chain: o.chain ?? ((regions) => chainPays(regions, o.target)),
      }),
    printFused,
  );
}

export function compileProgram(program: TensorProgram, o: CompileOptions): Compiled {
  const optimised = optimise(program, o);
  const fused = fuseProgram(optimised, o);
  const schedules = new Map<string, Schedule>();
  const counts: number[] = [];
  const applied = timed(
    "schedule",
    o,
    () =>
      scheduled(fused.regions, o, schedules).flatMap((made) => {
        counts.push(made.length);
        return made;
      }),
    (list) => list.map((a) => a.kernel.name).join("\n"),
  );
  const kernels = timed(
    "emit",
    o,
    () => emitKernels(applied, o.target, o.placeOf, o.memo?.emitted(o.target)),
    (list) => list.map((k) => k.planned.kernel.wgsl).join("\n"),
  );
  const plan = timed(
    "plan",
    o,
    () => buildPlan(planRequest(fused, kernels, counts, o.folded ?? new Set())),
    (p) => JSON.stringify(p, null, 2),
  );
  return { program: optimised, fused, schedules, applied, kernels, plan };
}

/** The kernels of each region; those of equal regions are made once. */
function scheduled(
  regions: readonly Region[],
  o: CompileOptions,
  schedules: Map<string, Schedule>,
): readonly (readonly AppliedKernel[])[] {
  const known = new Map<string, Scheduled & { form: RegionForm }>();
  return regions.map((region) => {
    const asked = o.schedule?.(region, o.target);
    const form = regionForm(region);
    const key = `${asked ? scheduleText(asked) : ""}\n${form.text}`;
    const old = known.get(key);
    const again = old && rebind(old.kernels, old.form, form);
    const make = (): Scheduled => {
      const schedule = asked ?? choose(region, o.target);
      return { schedule, kernels: apply(region, schedule, o.target) };
    };
    const { schedule, kernels } = again
      ? { schedule: old.schedule, kernels: again }
      : o.memo
        ? o.memo.scheduled(region, o.target, asked, make)
        : make();
    if (!again) known.set(key, { form, schedule, kernels });
    schedules.set(region.name, schedule);
    return kernels;
  });
}

function timed<T>(name: string, o: CompileOptions, run: () => T, print: (value: T) => string): T {
  if (!o.onPass) return run();
  const start = performance.now();
  const value = run();
  o.onPass(name, performance.now() - start, () => print(value));
  return value;
}
