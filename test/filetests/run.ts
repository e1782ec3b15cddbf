/** What a filetest checks: results of both interpreters and of the device, and the text of the stages. */
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import { type InterpretResult, interpret } from "../../ir/interpret.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import type { Program } from "../../ir/tensor.ts";
import type { Device } from "../../runtime/index.ts";
import { numbersOf } from "../../src/api/numbers.ts";
import { type Compiled, compileProgram } from "../../src/compile.ts";
import { compile } from "../../src/index.ts";
import { candidates, scheduleText } from "../../src/schedule/choose.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import { printFused } from "../../src/schedule/print.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import { DEFAULT_TARGET, type Target } from "../../src/schedule/target.ts";
import { hostArrays } from "../fuzz/case.ts";
import { checkGradients } from "../fuzz/gradients.ts";
import { withMatrices } from "../schedule/support.ts";
import { commented, type Filetest, numberText } from "./format.ts";

/** Elements of a result that are written down; the others are compared with those anyhow. */
const SHOWN = 32;
/** Schedules of a region that are tried, spread evenly over the legal ones. */
const SCHEDULES = 24;

/** What the interpreter gives, unfused, and everything that is compiled from the same program for a target. */
interface Built {
  readonly program: Program;
  readonly compiled: (target: Target, schedule?: (name: string) => Schedule | undefined) => Compiled;
}

function build(t: Filetest, path: string): Built {
  if (path.endsWith(".fir")) {
    const program = parseProgram(t.source);
    return {
      program,
      compiled: (target, s) =>
        compileProgram(program, { target, strict: t.strict, verify: true, schedule: s && ((r) => s(r.name)) }),
    };
  }
  const module = compile(t.source, { fileName: path });
  const name = t.fn ?? module.functions[0]?.name ?? "";
  const shapes = Object.fromEntries([...t.inputs].map(([n, a]) => [n, a.shape]));
  const o = { shapes, provided: [...t.inputs.keys()], consts: t.consts };
  return {
    program: module.tensorProgram(name, o),
    compiled: (adapter, s) =>
      module.compiled(name, {
        ...o,
        adapter,
        strict: t.strict,
        verify: true,
        ...(s ? { schedule: (r) => s(r.name) } : {}),
      }),
  };
}

/** WebGPU's guarantees; where the file names subgroup matrices, a GPU that lists them. */
function targetFor(t: Filetest): Target {
  return t.matrices.length === 0 ? DEFAULT_TARGET : withMatrices(t.matrices);
}

/** The expectations as they ought to be; the path, from the folder of filetests, occurs in them. Throws Error where two ways of running the program disagree, whatever is expected. */
export async function runFiletest(t: Filetest, path: string, device: () => Promise<Device>): Promise<string> {
  const { program, compiled } = build(t, path);
  const expected = interpret(program, t.inputs);
  const target = targetFor(t);
  const made = compiled(target);
  const count = made.kernels.length;
  if (t.kernels && (t.kernels.most ? count > t.kernels.count : count !== t.kernels.count))
    throw new Error(
      `${count} kernels, not ${t.kernels.count}: ${made.kernels.map((k) => k.planned.kernel.name).join(", ")}`,
    );
  const bounded = (c: Compiled, what: string, got: readonly InterpretResult[]): void => {
    errorBounds(defuse(c.fused), t.inputs).forEach((b, i) => {
      const [want, r] = [expected[i], got[i]];
      if (!want || !r || r.dtype !== want.dtype || r.shape.join() !== want.shape.join())
        throw new Error(`${what}: ${b.name} is ${r?.dtype}[${r?.shape}]`);
      for (const [who, values] of [
        ["the interpreter", want.data],
        [what, r.data],
      ] as const) {
        const at = compareWithin(b, values).first;
        if (at !== undefined)
          throw new Error(
            `${who}: ${b.name}[${at}] is ${values[at]}, not ${b.exact[at]} (allowed ${b.low[at]} … ${b.high[at]})`,
          );
      }
    });
  };
  if (t.runs.includes("kernels")) bounded(made, "kernels", runFused(made.fused, target, t.inputs));
  if (t.runs.includes("schedules")) {
    for (const region of made.fused.regions) {
      const all = candidates(region, target);
      const step = Math.max(1, all.length / SCHEDULES);
      for (let i = 0; i < all.length; i += step) {
        const s = all[Math.floor(i)]!;
        const schedule = (r: typeof region): Schedule => (r === region ? s : (made.schedules.get(r.name) ?? s));
        bounded(made, `${region.name} by ${scheduleText(s)}`, runFused(made.fused, target, t.inputs, { schedule }));
      }
    }
  }
  if (t.runs.includes("gradients")) {
    const { failure } = checkGradients({ program, inputs: t.inputs, sizes: new Map(), strict: t.strict });
    if (failure) throw new Error(failure.message);
  }
  if (t.runs.includes("device")) {
    const d = await device();
    const c = compiled(d.info);
    const kernel = await d.loadPlan(c.plan);
    const results = await kernel.run(hostArrays({ program, inputs: t.inputs, sizes: new Map(), strict: t.strict }));
    bounded(
      c,
      `the device ${d.info.name}`,
      program.results.map((r) => {
        const a = results[r.name]!;
        return { name: r.name, dtype: a.dtype, shape: a.shape, data: numbersOf(a) };
      }),
    );
  }
  const values = expected.map((r) => {
    const shown = Array.from(r.data.subarray(0, SHOWN), (v) => ` ${numberText(v, r.dtype)}`);
    return `// result ${r.name}: ${r.dtype}[${r.shape.join(", ")}] =${shown.join("")}${r.data.length > SHOWN ? " …" : ""}\n`;
  });
  return values.join("") + t.checks.map((k) => commented(k, STAGES[k](made))).join("");
}

const STAGES: Readonly<Record<Filetest["checks"][number], (c: Compiled) => string>> = {
  tensor: (c) => printProgram(c.program, { canonical: true }),
  fused: (c) => printFused(c.fused),
  kernel: (c) => c.applied.map((a) => printKernel(a.kernel)).join("\n"),
  wgsl: (c) => c.kernels.map((k) => k.planned.kernel.wgsl).join("\n"),
};
