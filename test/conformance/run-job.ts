/** Runs one job on the interpreter, a device or both, and says how it went. */

import { type Bounds, errorBounds } from "../../ir/bounds.ts";
import type { Device } from "../../runtime/device.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { toInputs } from "../../src/api/interpret.ts";
import { numbersOf } from "../../src/api/numbers.ts";
import { CompileError, compile, type Program, shapesOf } from "../../src/index.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import { disagreement, type Excuse, toHost } from "./arrays.ts";
import { EXACT, type Job, type RunJob } from "./job.ts";
import { runThroughModule } from "./through-module.ts";

export type Outcome =
  | { readonly status: "passed" }
  | { readonly status: "failed"; readonly reason: string }
  | { readonly status: "unsupported"; readonly group: string; readonly reason: string };

export interface Where {
  readonly interpreter: boolean;
  readonly device: Device | undefined;
  /** The device runs the module that is emitted for the case instead of its plan. */
  readonly throughModule?: boolean;
}

const PASSED: Outcome = { status: "passed" };
/** The case cannot decide: its own numbers are further off than its tolerance allows. Never a pass. */
class Undecided extends Error {}
const failed = (reason: string): Outcome => ({ status: "failed", reason });

export async function runJob(job: Job, where: Where, mustReject: boolean): Promise<Outcome> {
  if (job.kind === "unsupported") return { status: "unsupported", group: job.group, reason: job.reason };
  if (job.kind === "rejected") return mustReject ? PASSED : failed(`the translation was rejected: ${job.reason}`);
  if (job.kind === "reject") return runReject(job);
  try {
    const program = compile(job.source, { fileName: "case.ein" });
    if (where.interpreter) {
      const t = job.exactInterpreter ? EXACT : job.tolerance;
      const bad = compareResults(job, program.interpret(job.fn, host(job, true), { consts: job.consts }), t, program);
      if (bad) return failed(`interpreter: ${bad}`);
    }
    if (where.device) {
      const bad = await onDevice(job, program, where.device, where.throughModule ?? false);
      if (bad) return failed(`device: ${bad}`);
    }
    return PASSED;
  } catch (error) {
    if (error instanceof Undecided)
      return { status: "unsupported", group: "expected numbers of f32", reason: error.message };
    return failed(oneLine(error));
  }
}

async function onDevice(
  job: RunJob,
  program: Program,
  device: Device,
  throughModule: boolean,
): Promise<string | undefined> {
  const inputs = host(job, false);
  if (throughModule)
    return compareResults(job, await runThroughModule(job, program, inputs, device), job.tolerance, program);
  const kernel = await device.load(program, job.fn, {
    consts: job.consts,
    shapes: shapesOf(inputs),
    provided: Object.keys(inputs),
  });
  try {
    return compareResults(job, await kernel.run(inputs), job.tolerance, program);
  } finally {
    kernel.dispose();
  }
}

function runReject(job: Extract<Job, { kind: "reject" }>): Outcome {
  try {
    const program = compile(job.source, { fileName: "case.ein" });
    program.interpret(job.fn, host(job, true), { consts: job.consts });
  } catch (error) {
    if (!(error instanceof CompileError)) return failed(`rejected, but not with a diagnostic: ${oneLine(error)}`);
    const text = error.diagnostics
      .map((d) => `${d.message} ${d.labels.map((l) => l.text).join(" ")} ${d.notes.join(" ")}`)
      .join("\n");
    const missing = (job.mentions ?? []).filter((m) => !text.includes(m));
    return missing.length === 0 ? PASSED : failed(`the diagnostic does not mention ${missing.join(", ")}: ${text}`);
  }
  return failed("was accepted");
}

function host(job: { readonly inputs: RunJob["inputs"] }, exact: boolean): Record<string, HostArray> {
  return Object.fromEntries(Object.entries(job.inputs).map(([name, a]) => [name, toHost(a.values, a.dtype, exact)]));
}

function compareResults(
  job: RunJob,
  results: Readonly<Record<string, HostArray>>,
  t: RunJob["tolerance"],
  program: Program,
): string | undefined {
  const list = Object.entries(results);
  let bounds: readonly Bounds[] | undefined;
  if (list.length !== job.expected.length) return `${list.length} results, expected ${job.expected.length}`;
  for (const [i, want] of job.expected.entries()) {
    const [name, got] = list[i]!;
    const excused: Excuse = (k, ours, theirs) => {
      bounds ??= boundsOf(job, program);
      return within(bounds[i]!, k, ours) && within(bounds[i]!, k, theirs);
    };
    const ours = { shape: got.shape, data: numbersOf(got) };
    const bad = want && disagreement(ours, want, t);
    if (!bad) continue;
    if (job.expectedInF32 && !disagreement(ours, want, t, excused))
      throw new Undecided(`${bad}, outside the tolerance, but both within the bounds of f32 evaluation`);
    return `${name}: ${bad}`;
  }
  return undefined;
}

/** Bounds of the program as it is fused, whose order of sums a device follows. */
function boundsOf(job: RunJob, program: Program): readonly Bounds[] {
  const inputs = host(job, false);
  const { fused } = program.compiled(job.fn, {
    consts: job.consts,
    shapes: shapesOf(inputs),
    provided: Object.keys(inputs),
  });
  return errorBounds(defuse(fused), toInputs(inputs));
}
function within(b: Bounds, k: number, value: number): boolean {
  return Number.isFinite(b.low[k]!) && Number.isFinite(b.high[k]!) && value >= b.low[k]! && value <= b.high[k]!;
}

export function oneLine(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replaceAll(/\s*\n\s*/g, " | ").slice(0, 400);
}
