/**
 * `kernelbench`: PyTorch modules as programs. A function's comment says for which problems it stands and what the arguments of the
 * module's constructor are called there:
 *
 *     /// KernelBench 1: 55, 56 (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
 *
 * Parameters that are named like entries of the state dict (`conv.weight` is `conv_weight`) take those; those named like constructor
 * arguments or attributes of the module take their values; the others take the inputs in order.
 */
import { decode, type FileTensor, type Values } from "../arrays.ts";
import { type ConstValue, DEFAULT_TOLERANCE, type Job, type RunJob, type Suite, unsupported } from "../job.ts";
import { argumentsFor, gradientJob, type ProgramFunction, programsIn } from "./library.ts";

type Input = FileTensor | number;
interface KernelbenchCase {
  readonly name: string;
  readonly level: number;
  readonly non_module_constants: Readonly<Record<string, ConstValue | null>>;
  readonly init_args: readonly (ConstValue | null)[];
  readonly mode: "train" | "eval";
  readonly params: Readonly<Record<string, FileTensor>>;
  readonly inputs: readonly Input[];
  readonly outputs: readonly FileTensor[];
  readonly cotangents: readonly (FileTensor | null)[];
  readonly grads: Readonly<Record<string, FileTensor>>;
}

interface Problem {
  readonly fn: ProgramFunction;
  readonly init: readonly string[];
}

let problems: ReadonlyMap<string, Problem> | undefined;

/** By level and number, as in `1:55`. */
function readProblems(): ReadonlyMap<string, Problem> {
  const found = new Map<string, Problem>();
  for (const fn of programsIn("kernelbench").values()) {
    for (const [, level, numbers, init] of fn.doc.matchAll(/KernelBench (\d): ([\d, ]+)(?:\(([^)]*)\))?/g)) {
      for (const number of numbers!.split(",")) {
        const key = `${level}:${number.trim()}`;
        if (found.has(key)) throw new Error(`two programs for ${key}: ${fn.name}`);
        found.set(key, {
          fn,
          init: (init ?? "")
            .split(",")
            .map((s) => s.trim())
            .filter((s) => s !== ""),
        });
      }
    }
  }
  return found;
}

function toValues(t: Input): Values {
  return typeof t === "number" ? { dtype: "float64", shape: [], data: Float64Array.of(t) } : decode(t);
}

export const kernelbenchSuite: Suite = {
  name: "kernelbench",
  translate(raw): readonly Job[] {
    const c = raw as unknown as KernelbenchCase;
    problems ??= readProblems();
    const [, level, number] = /L(\d):(\d+)_/.exec(c.name) ?? [];
    const problem = problems.get(`${level}:${number}`);
    if (!problem) {
      const why = c.name.endsWith("35_LSTM") ? "its first state is random and not among the inputs" : "no program";
      return [unsupported(`level ${c.level}`, `${why}: ${c.name}`)];
    }
    const { fn } = problem;
    if (/dropout/i.test(c.name) && c.mode === "train")
      return [unsupported("dropout", "which elements PyTorch's generator drops")];

    const constants: Record<string, ConstValue> = {};
    for (const [name, v] of Object.entries(c.non_module_constants)) if (v !== null) constants[name] = v;
    for (const [i, name] of problem.init.entries()) {
      const v = c.init_args[i];
      if (v !== null && v !== undefined) constants[name] = v;
    }
    const tensors: Record<string, Values> = {};
    for (const [name, t] of Object.entries(c.params)) tensors[name.replaceAll(".", "_")] = decode(t);
    const free = fn.params.filter(
      (p) => !p.isConst && !tensors[p.name] && !p.optional && !(problem.init.includes(p.name) || p.name in constants),
    );
    const inputName = (i: number): string => {
      const p = free[i];
      if (!p) throw new TypeError(`${fn.name} has no parameter for input ${i}`);
      return p.name;
    };
    for (const [i, t] of c.inputs.entries()) tensors[inputName(i)] = toValues(t);
    const args = argumentsFor(
      fn,
      tensors,
      constants,
      c.inputs.map((_, i) => inputName(i)),
    );
    const value: RunJob = {
      kind: "run",
      source: fn.source,
      fn: fn.name,
      ...args,
      expected: c.outputs.map(decode),
      tolerance: DEFAULT_TOLERANCE,
    };
    const cotangents = c.cotangents.map((t) => (t ? decode(t) : undefined));
    const wrt = Object.keys(c.grads).map((key) =>
      key.startsWith("input:") ? inputName(Number(key.slice(6))) : key.slice("param:".length).replaceAll(".", "_"),
    );
    if (wrt.length === 0) return [value];
    return [value, gradientJob(fn, args, cotangents, wrt, Object.values(c.grads).map(decode), DEFAULT_TOLERANCE)];
  },
};
