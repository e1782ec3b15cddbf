/** `polybench`: every C kernel that is a pure tensor program, as one; what it updates in place it takes and returns. */
import { decode, type FileTensor } from "../arrays.ts";
import { DEFAULT_TOLERANCE, type Job, type Suite, unsupported } from "../job.ts";
import { argumentsFor, functionName, type ProgramFunction, programsIn } from "./library.ts";

interface PolybenchCase {
  readonly kernel: string;
  readonly expressible_as_pure_tensor_program: boolean;
  readonly sizes: Readonly<Record<string, number>>;
  readonly scalars: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, FileTensor>>;
  readonly outputs: Readonly<Record<string, FileTensor>>;
}

let programs: ReadonlyMap<string, ProgramFunction> | undefined;

export const polybenchSuite: Suite = {
  name: "polybench",
  translate(raw): Job {
    const c = raw as unknown as PolybenchCase;
    programs ??= programsIn("polybench");
    const f = programs.get(functionName(c.kernel));
    if (!f) {
      const reason = c.expressible_as_pure_tensor_program
        ? "no program"
        : "each element needs those computed before it, in an order that the loop sets";
      return unsupported(c.kernel, reason);
    }
    // `_fict_` and the like: names of parameters do not begin with `_` by custom.
    const tensors = Object.fromEntries(
      Object.entries(c.inputs).map(([name, t]) => [name.replaceAll(/^_+|_+$/g, ""), decode(t)]),
    );
    // Results by name; where the program has one without a name, it is the only output.
    const outputs = new Map(Object.entries(c.outputs).map(([name, t]) => [name, decode(t)]));
    const missing = [...outputs.keys()].filter((name) => f.results.length > 0 && !f.results.includes(name));
    if (missing.length > 0) throw new TypeError(`${f.name} does not give ${missing.join(", ")}`);
    const { inputs, consts } = argumentsFor(f, tensors, { ...c.sizes, ...c.scalars }, []);
    return {
      kind: "run",
      source: f.source,
      fn: f.name,
      inputs,
      consts,
      expected: f.results.length > 0 ? f.results.map((name) => outputs.get(name)) : [...outputs.values()],
      tolerance: DEFAULT_TOLERANCE,
    };
  },
};
