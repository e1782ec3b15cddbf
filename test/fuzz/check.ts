/**
 * What must agree for a case: its text form, the optimised, fused and defused programs, kernels of any legal schedule on the
 * kernel interpreter, and the device.
 */
import { type Bounds, compareWithin, errorBounds } from "../../ir/bounds.ts";
import { type InterpretResult, interpret } from "../../ir/interpret.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import type { Program } from "../../ir/tensor.ts";
import { unprovedReads, verifyProgram } from "../../ir/verify-tensor.ts";
import type { Device } from "../../runtime/index.ts";
import { numbersOf } from "../../src/api/numbers.ts";
import { type CompileOptions, compileProgram, fuseProgram, optimise } from "../../src/compile.ts";
import { candidates, choose, considered, isLegal, scheduleText } from "../../src/schedule/choose.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import type { Region } from "../../src/schedule/region.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import type { Target } from "../../src/schedule/target.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";
import { longestCode } from "../../src/tune/bench.ts";
import { neighbours } from "../../src/tune/mutate.ts";
import { random } from "../generate/random.ts";
import { type Case, type Failure, hostArrays, messageOf, type Stage } from "./case.ts";

export interface CheckOptions {
  readonly target: Target;
  readonly device?: Device | undefined;
  /** Schedules drawn besides the default one. */
  readonly trials: number;
  /** For tests of the fuzzer: breaks the optimised program. */
  readonly sabotage?: ((p: Program) => Program) | undefined;
}

/** What a run of the fuzzer has done so far. */
export interface Tally {
  programs: number;
  schedules: number;
  deviceRuns: number;
  gradients: number;
}

/** Interpreter steps of a case. */
const BUDGET = 5e5;

class Differs extends Error {}

/** Whether the case is well-formed and quick to interpret; others are not the compiler's business. */
export function isValid(c: Case): boolean {
  try {
    if (verifyProgram(c.program).length > 0 || unprovedReads(c.program).length > 0) return false;
    interpret(c.program, c.inputs, { sizes: c.sizes, budget: BUDGET });
    return true;
  } catch {
    return false;
  }
}

/** The first failure, if there is one. */
export async function checkCase(c: Case, o: CheckOptions, tally: Tally): Promise<Failure | undefined> {
  let stage: Stage = "text";
  let trial = 0;
  try {
    const again = parseProgram(printProgram(c.program));
    const expected = interpret(c.program, c.inputs, { sizes: c.sizes });
    sameBits("the parsed text", expected, interpret(again, c.inputs, { sizes: c.sizes }));

    stage = "optimise";
    const options: CompileOptions = { target: o.target, strict: c.strict, verify: true, ...fusionOf(c, o.target) };
    const better = optimise(c.program, options);
    const optimised = o.sabotage ? o.sabotage(better) : better;
    agrees("the optimised program", c, expected, optimised);

    stage = "fuse";
    const fused = fuseProgram(optimised, options);
    const wrong = verifyRegions(fused, o.target.limits.maxStorageBuffersPerShaderStage);
    if (wrong.length > 0) throw new Differs(wrong.join("\n"));
    const unfused = defuse(fused);
    agrees("the fused program", c, expected, unfused);

    stage = "bounds";
    const bounds = errorBounds(unfused, c.inputs, { sizes: c.sizes });
    within("the interpreter", bounds, expected);

    const space = spaceOf(o.target);
    let longest = 0;
    for (trial = 0; trial <= o.trials; trial++) {
      stage = "kernels";
      if (trial > 0 && fused.regions.every((r) => space(r).length === 1)) break;
      const chosen = schedulesOf(fused.regions, o.target, trial, space);
      const text = [...chosen].map(([name, s]) => `${name}: ${scheduleText(s)}`).join("; ");
      const schedule = (r: Region): Schedule => chosen.get(r.name) ?? choose(r, o.target);
      within(`kernels (${text})`, bounds, runFused(fused, o.target, c.inputs, { sizes: c.sizes, schedule }));
      tally.schedules++;

      stage = "device";
      if (!o.device || trial > 2) continue;
      const { plan } = compileProgram(c.program, { ...options, verify: false, schedule });
      const code = Math.max(0, ...plan.kernels.map((k) => k.wgsl.length));
      if (trial === 0) longest = longestCode(code);
      // As in the tuner: such code runs on the kernel interpreter only.
      else if (code > longest && o.target.kind === "software") continue;
      const kernel = await o.device.loadPlan(plan);
      const results = await kernel.run(hostArrays(c));
      tally.deviceRuns++;
      within(
        `the device (${text})`,
        bounds,
        bounds.map((b) => {
          const r = results[b.name];
          if (!r) throw new Differs(`no result ${b.name}`);
          return { name: b.name, dtype: r.dtype, shape: r.shape, data: numbersOf(r) };
        }),
      );
    }
    return undefined;
  } catch (error) {
    const kind = error instanceof Differs ? "differs" : "throws";
    return {
      stage,
      kind,
      message: kind === "throws" && error instanceof Error ? (error.stack ?? error.message) : messageOf(error),
      trial,
    };
  }
}

/** Half of the programs store no scores wherever that can be scheduled, whether it pays or not. */
function fusionOf(c: Case, target: Target): Pick<CompileOptions, "online" | "chain"> {
  if (c.program.steps.length % 2 === 0) return {};
  const can = (r: Region): boolean => considered(r, target).some((s) => isLegal(r, s, target));
  return { online: can, chain: (regions) => regions.every(can) };
}

/** Legal schedules of a program's regions, listed once. */
type Space = (region: Region) => readonly Schedule[];

function spaceOf(target: Target): Space {
  const lists = new Map<Region, readonly Schedule[]>();
  return (region) => {
    const list = lists.get(region) ?? candidates(region, target);
    lists.set(region, list);
    return list;
  };
}

/**
 * The schedules of one trial: the default ones for 0, else one of the legal ones for each region, by the trial's number; in every other
 * trial some steps away from it, as the tuner goes.
 */
function schedulesOf(regions: readonly Region[], target: Target, trial: number, space: Space): Map<string, Schedule> {
  const r = random(trial * 7919);
  const draw = (region: Region): Schedule => {
    if (trial === 0) return choose(region, target);
    const s = r.pick(space(region));
    return trial % 2 === 0 ? wander(region, s, target, r) : s;
  };
  return new Map(regions.map((region) => [region.name, draw(region)]));
}

/** A legal schedule a few neighbours away. */
function wander(region: Region, from: Schedule, target: Target, r: ReturnType<typeof random>): Schedule {
  let s = from;
  for (let step = 0; step < 6; step++) {
    const next = r.pick(neighbours(s));
    if (isLegal(region, next, target)) s = next;
  }
  return s;
}

function sameShape(what: string, a: InterpretResult, b: InterpretResult | undefined): InterpretResult {
  if (!b || b.dtype !== a.dtype || b.shape.join() !== a.shape.join())
    throw new Differs(`${what}: ${a.name} is ${b ? `${b.dtype}[${b.shape}]` : "missing"}, not ${a.dtype}[${a.shape}]`);
  return b;
}

function sameBits(what: string, expected: readonly InterpretResult[], got: readonly InterpretResult[]): void {
  expected.forEach((e, n) => {
    const g = sameShape(what, e, got[n]);
    e.data.forEach((v, i) => {
      if (!Object.is(v, g.data[i])) throw new Differs(`${what}: ${e.name}[${i}] is ${g.data[i]}, not ${v}`);
    });
  });
}

/** Strictly the same bits; otherwise the original's values must lie within the bound of what is run instead. */
function agrees(what: string, c: Case, expected: readonly InterpretResult[], program: Program): void {
  if (c.strict) sameBits(what, expected, interpret(program, c.inputs, { sizes: c.sizes }));
  else within(what, errorBounds(program, c.inputs, { sizes: c.sizes }), expected);
}

function within(what: string, bounds: readonly Bounds[], got: readonly InterpretResult[]): void {
  bounds.forEach((b, n) => {
    const g = sameShape(what, { ...b, data: b.exact }, got[n]);
    const at = compareWithin(b, g.data).first;
    if (at !== undefined)
      throw new Differs(
        `${what}: ${b.name}[${at}] is ${g.data[at]}, not ${b.exact[at]} (allowed ${b.low[at]} … ${b.high[at]}${b.nan[at] ? " or NaN" : ""})`,
      );
  });
}
