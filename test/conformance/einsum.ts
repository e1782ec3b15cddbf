/** `einsum`, `einsum-errors`, `einsum-divergent`: each equation becomes one call of `einsum`. */
import { decode, type FileTensor, languageType, type Values } from "./arrays.ts";
import { DEFAULT_TOLERANCE, EXACT, type Job, type RunJob, type Suite } from "./job.ts";

interface EinsumCase {
  readonly name: string;
  readonly equation: string;
  readonly inputs?: readonly FileTensor[];
  readonly shapes?: readonly (readonly number[])[];
  readonly expected?: FileTensor;
  readonly accepted_results?: Readonly<Record<string, FileTensor>>;
  readonly exact_in_f32?: boolean;
}

type Inputs = RunJob["inputs"];

/** Does a letter occur twice in the result? */
function hasDiagonal(equation: string): boolean {
  const letters = (equation.split("->")[1] ?? "").replaceAll(/[^a-zA-Z]/g, "");
  return new Set(letters).size < letters.length;
}

/**
 * `export fn f(a0: f32[2, 3], …) { einsum("…", a0, …) }`. `diagonal`: a letter twice in the result writes a diagonal, which
 * `einsum` does when it is asked to (docs/language.md); otherwise that is an error.
 */
export function einsumProgram(
  equation: string,
  inputs: readonly Values[],
  diagonal = false,
): { source: string; inputs: Inputs } {
  const named: Record<string, Inputs[string]> = {};
  const params = inputs.map((v, i) => {
    const dtype = languageType(v.dtype) ?? "f32";
    named[`a${i}`] = { values: v, dtype };
    return `a${i}: ${dtype}[${v.shape.join(", ")}]`;
  });
  const args = inputs.map((_, i) => `, a${i}`).join("");
  return {
    source: `export fn f(${params.join(", ")}) {\n  einsum(${JSON.stringify(equation)}${args}${diagonal && hasDiagonal(equation) ? ", diagonal: true" : ""})\n}\n`,
    inputs: named,
  };
}

function zeros(shape: readonly number[]): Values {
  return { dtype: "float64", shape, data: new Float64Array(shape.reduce((a, b) => a * b, 1)) };
}

export const einsumSuite: Suite = {
  name: "einsum",
  translate(raw): Job {
    const c = raw as unknown as EinsumCase;
    const { source, inputs } = einsumProgram(c.equation, (c.inputs ?? []).map(decode));
    return {
      kind: "run",
      source,
      fn: "f",
      inputs,
      expected: c.expected ? [decode(c.expected)] : [],
      tolerance: c.exact_in_f32 ? EXACT : DEFAULT_TOLERANCE,
      exactInterpreter: true,
    };
  },
};

export const einsumErrorsSuite: Suite = {
  name: "einsum-errors",
  translate(raw): Job {
    const c = raw as unknown as EinsumCase;
    const { source, inputs } = einsumProgram(c.equation, (c.shapes ?? []).map(zeros));
    return { kind: "reject", source, fn: "f", inputs };
  },
};

/**
 * Engines disagree; docs/language.md says what Fusum does. A case passes if ours is one of the answers that an engine gives,
 * or is rejected where the language reference says so.
 */
export const einsumDivergentSuite: Suite = {
  name: "einsum-divergent",
  translate(raw): Job {
    const c = raw as unknown as EinsumCase;
    const { source, inputs } = einsumProgram(c.equation, (c.inputs ?? []).map(decode), true);
    const results = c.expected ? [c.expected] : Object.values(c.accepted_results ?? {});
    const accepted = results[0];
    // A subscript that is not a letter and a term with two ellipses are errors here, whatever single engine lets them through.
    const malformed =
      /[^a-zA-Z\s.,\->]/.test(c.equation) || c.equation.split(/,|->/).some((t) => t.split("...").length > 2);
    if (malformed || !accepted) return { kind: "reject", source, fn: "f", inputs };
    return {
      kind: "run",
      source,
      fn: "f",
      inputs,
      expected: [decode(accepted)],
      tolerance: EXACT,
      exactInterpreter: true,
    };
  },
};
