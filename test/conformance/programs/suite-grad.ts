/** `grad-programs`: programs by name, their values and their gradients by every parameter that the case lists. */
import { decode, type FileTensor } from "../arrays.ts";
import { type ConstValue, DEFAULT_TOLERANCE, type Job, type RunJob, type Suite, unsupported } from "../job.ts";
import { argumentsFor, functionName, gradientJob, type ProgramFunction, programsIn } from "./library.ts";

interface GradCase {
  readonly name: string;
  readonly category: string;
  readonly formula: string;
  readonly inputs: Readonly<Record<string, FileTensor>>;
  readonly wrt: readonly string[];
  readonly consts: Readonly<Record<string, ConstValue>>;
  readonly output: FileTensor;
  readonly cotangent: FileTensor | null;
  readonly grads: Readonly<Record<string, FileTensor>>;
}

/** By name where the function has all the names, else in order. */
function parameterNames(f: ProgramFunction, inputs: readonly string[]): ReadonlyMap<string, string> {
  const tensors = f.params.filter((p) => !p.isConst).map((p) => p.name);
  const byName = inputs.every((name) => tensors.includes(name));
  return new Map(inputs.map((name, i) => [name, byName ? name : (tensors[i] ?? name)]));
}

let programs: ReadonlyMap<string, ProgramFunction> | undefined;

export const gradProgramsSuite: Suite = {
  name: "grad-programs",
  translate(raw): readonly Job[] {
    const c = raw as unknown as GradCase;
    programs ??= programsIn("grad");
    const name = functionName(c.name.replace(/^grad:/, ""));
    // A function that stands for a builtin would call itself under its name.
    const f = programs.get(name) ?? programs.get(`${name}_of`);
    if (!f) return [unsupported(c.category, `no program: ${c.name}: ${c.formula}`)];
    const named = parameterNames(f, Object.keys(c.inputs));
    const tensors = Object.fromEntries(Object.entries(c.inputs).map(([name, t]) => [named.get(name)!, decode(t)]));
    const args = argumentsFor(f, tensors, c.consts, Object.keys(tensors));
    const value: RunJob = {
      kind: "run",
      source: f.source,
      fn: f.name,
      ...args,
      expected: [decode(c.output)],
      tolerance: DEFAULT_TOLERANCE,
    };
    const cotangents = c.cotangent ? [decode(c.cotangent)] : [];
    const expected = c.wrt.map((name) => decode(c.grads[name]!));
    return c.wrt.length === 0
      ? [value]
      : [
          value,
          gradientJob(
            f,
            args,
            cotangents,
            c.wrt.map((name) => named.get(name)!),
            expected,
            DEFAULT_TOLERANCE,
          ),
        ];
  },
};
