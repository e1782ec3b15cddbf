/** Derivatives of random programs: see src/gradient-check.ts. */
import type { ArrayInput } from "../../ir/interpret.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { NotDifferentiable } from "../../src/differentiate/reverse.ts";
import { compareDerivatives, type DerivativePrograms, derivativesOf, direction } from "../../src/gradient-check.ts";
import { generateProgram } from "../generate/programs.ts";
import { type Case, type Failure, messageOf } from "./case.ts";

/** Programs of floats; data off the grid on which comparisons tie. */
export function gradientCaseOf(seed: number): Case {
  const g = generateProgram(seed, {
    dtypes: ["f32"],
    definitions: 1 + (seed % 4),
    depth: 2,
    maxExtent: 4,
    empty: seed % 16 === 0,
  });
  const inputs = new Map(
    [...g.inputs].map(([name, a], i): [string, ArrayInput] => [name, direction(a.shape, i + seed)]),
  );
  return { program: g.program, inputs, sizes: g.sizes, strict: false };
}

export interface GradientOutcome {
  readonly failure?: Failure;
  /** Whether both comparisons could be made. */
  readonly counted: boolean;
}

export function checkGradients(c: Case): GradientOutcome {
  const { program, sizes, inputs } = c;
  try {
    let derivatives: DerivativePrograms | undefined;
    try {
      derivatives = derivativesOf(program);
    } catch (error) {
      if (error instanceof NotDifferentiable) return { counted: false };
      throw error;
    }
    if (!derivatives) return { counted: false };
    for (const p of [derivatives.backward, derivatives.forward]) {
      const problems = verifyProgram(p);
      if (problems.length > 0) return failed("throws", problems.join("\n"));
    }
    const verdict = compareDerivatives(derivatives, { inputs, sizes, by: derivatives.wrt, seed: 0 });
    if (verdict.kind === "undecided") return { counted: false };
    return verdict.kind === "agrees" ? { counted: true } : failed("differs", verdict.message);
  } catch (error) {
    return failed("throws", error instanceof Error ? (error.stack ?? error.message) : messageOf(error));
  }
}

function failed(kind: Failure["kind"], message: string): GradientOutcome {
  return { counted: true, failure: { stage: "gradient", kind, message, trial: 0 } };
}
