/** `grad-einsum`: the value, and by `vjp` the exact gradients by every operand. */
import { decode, type FileTensor } from "./arrays.ts";
import { einsumProgram } from "./einsum.ts";
import { EXACT, type Job, type Suite } from "./job.ts";

interface GradCase {
  readonly equation: string;
  readonly inputs: readonly FileTensor[];
  readonly output: FileTensor;
  readonly cotangent: FileTensor;
  readonly grads: readonly FileTensor[];
}

export const gradEinsumSuite: Suite = {
  name: "grad-einsum",
  translate(raw): Job[] {
    const c = raw as unknown as GradCase;
    const value = einsumProgram(c.equation, c.inputs.map(decode), true);
    const cotangent = decode(c.cotangent);
    const names = c.inputs.map((_, i) => `a${i}`);
    const params = `${/\(([^)]*)\)/.exec(value.source)?.[1] ?? ""}, ct: f32[${cotangent.shape.join(", ")}]`;
    const source = `${value.source}export fn g(${params}) {\n  vjp(f, wrt: [${names.join(", ")}])(${names.join(", ")}, ct)\n}\n`;
    const inputs = { ...value.inputs, ct: { values: cotangent, dtype: "f32" as const } };
    return [
      {
        kind: "run",
        source: value.source,
        fn: "f",
        inputs: value.inputs,
        expected: [decode(c.output)],
        tolerance: EXACT,
        exactInterpreter: true,
      },
      { kind: "run", source, fn: "g", inputs, expected: c.grads.map(decode), tolerance: EXACT, exactInterpreter: true },
    ];
  },
};
