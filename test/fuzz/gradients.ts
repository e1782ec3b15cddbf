/** Derivatives of random programs: see src/gradient-check.ts. */
import { isFloat } from "../../ir/dtype.ts";
import { size } from "../../ir/extent.ts";
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import { addMonoid } from "../../ir/monoid.ts";
import {
  apply,
  axis,
  axisRef,
  carryDef,
  cast,
  constant,
  type LoopStep,
  loopIndex,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { NotDifferentiable } from "../../src/differentiate/reverse.ts";
import { compareDerivatives, type DerivativePrograms, derivativesOf, direction } from "../../src/gradient-check.ts";
import { dropDead } from "../../src/passes/merge.ts";
import { freshAxes, redefined, rewriteProgram, slotsOf } from "../../src/passes/rewrite.ts";
import { generateProgram } from "../generate/programs.ts";
import { type Case, type Failure, messageOf } from "./case.ts";

/**
 * Programs of floats; data off the grid on which comparisons tie. Every third is the body of a loop; of the others some compute their
 * first half again for derivatives (`checkpoint`), and some are gradients themselves.
 */
export function gradientCaseOf(seed: number): Case {
  const nested = seed % 3 !== 0 && seed % 5 === 2;
  const g = generateProgram(seed, {
    dtypes: ["f32"],
    definitions: nested ? 1 + (seed % 2) : 1 + (seed % 4),
    depth: 2,
    maxExtent: 4,
    empty: seed % 16 === 0,
  });
  const inputs = new Map(
    [...g.inputs].map(([name, a], i): [string, ArrayInput] => [name, direction(a.shape, i + seed)]),
  );
  const program =
    seed % 3 === 0 ? inLoop(g.program, 1 + (seed % 5)) : seed % 5 === 1 ? halfAgain(g.program) : g.program;
  const c: Case = { program, inputs, sizes: g.sizes, strict: false };
  return (nested && backwardCaseOf(c, seed)) || c;
}

/** The gradients of a case as a case of their own, for what compiles them; undefined if it has none. */
export function backwardCaseOf(c: Case, seed: number): Case | undefined {
  const derivatives = derivativesIn(c);
  if (!derivatives) return undefined;
  const { backward } = derivatives;
  // Gradients alone, under names that a derivative of them does not take.
  const results = backward.results
    .filter((r) => r.name.startsWith("gradient_"))
    .map((r) => ({ ...r, name: `d_${r.name.slice("gradient_".length)}` }));
  const program = dropDead({ ...backward, results });
  const shapes = new Map(interpret(c.program, c.inputs, { sizes: c.sizes }).map((r) => [r.name, r.shape]));
  const inputs = new Map(
    program.inputs.map((d, i): [string, ArrayInput] => [
      d.name,
      c.inputs.get(d.name) ?? direction(shapes.get(d.name.slice("cotangent_".length))!, 50 + i + seed),
    ]),
  );
  return { ...c, program, inputs };
}

function derivativesIn(c: Case): DerivativePrograms | undefined {
  try {
    return derivativesOf(c.program);
  } catch (error) {
    if (error instanceof NotDifferentiable) return undefined;
    throw error;
  }
}

/** The first half of the definitions under `checkpoint`. */
function halfAgain(p: Program): Program {
  let left = Math.ceil(p.steps.length / 2);
  return rewriteProgram(p, (d, emit) => {
    const made = left-- > 0 ? redefined(d, { epoch: 2 }) : d;
    emit(made);
    return slotsOf(made);
  });
}

/** The program's first float input carried through so many rounds, each of which adds what the program makes of it. */
function inLoop(p: Program, rounds: number): Program {
  const start = p.inputs.find((d) => isFloat(d.types[0]!));
  const results = p.results.filter((r) => isFloat(r.tensor.types[r.slot]!));
  if (!start || results.length === 0) return p;
  const [carry, count] = [carryDef("v", start.types, freshAxes(start.axes, new Map())), size(rounds)];
  const index = loopIndex("t", count);
  const moved = rewriteProgram(
    { ...p, results },
    (d, emit) => {
      emit(d);
      return slotsOf(d);
    },
    undefined,
    new Map([[start, [{ tensor: carry, slot: 0 }]]]),
  );
  const body: Step[] = [...moved.steps];
  const stacks = moved.results.slice(0, 1).map((r) => {
    const axes = [axis("t", count), ...freshAxes(r.tensor.axes, new Map())];
    return { stack: carryDef("kept", [r.tensor.types[r.slot]!], axes), value: { tensor: r.tensor, slot: r.slot } };
  });
  let change: TensorExpr = cast(read(index, 0, []), "f32");
  for (const r of moved.results) {
    const axes = freshAxes(r.tensor.axes, new Map());
    const total = mapDef([], [reduce(addMonoid("f32"), axes, [read(r.tensor, r.slot, axes.map(axisRef))])], {
      name: "s",
    });
    body.push(total);
    change = apply("add", change, apply("tanh", read(total, 0, [])));
  }
  const axes = freshAxes(start.axes, new Map());
  const half = apply("mul", constant("f32", 0.5), read(carry, 0, axes.map(axisRef)));
  const next = mapDef(axes, [apply("add", half, apply("sin", change))], { name: "w" });
  body.push(next);
  const init = mapDef(start.axes, [apply("sin", read(start, 0, start.axes.map(axisRef)))], { name: "u" });
  const loop: LoopStep = {
    kind: "loop",
    index,
    carries: [{ carry, init: { tensor: init, slot: 0 }, next: { tensor: next, slot: 0 } }],
    stacks,
    body,
    count,
    until: undefined,
    max: undefined,
  };
  const named = stacks.map((k) => ({ name: "kept", tensor: k.stack, slot: 0 }));
  return { ...p, steps: [init, loop], results: [{ name: "last", tensor: carry, slot: 0 }, ...named] };
}

export interface GradientOutcome {
  readonly failure?: Failure;
  /** Whether both comparisons could be made. */
  readonly counted: boolean;
}

export function checkGradients(c: Case): GradientOutcome {
  const { sizes, inputs } = c;
  try {
    const derivatives = derivativesIn(c);
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
