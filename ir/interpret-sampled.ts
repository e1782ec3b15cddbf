/** Pull form: some elements of a result, evaluating only what they depend on. */
import {
  type ArrayInput,
  allocate,
  contextFor,
  type InterpretOptions,
  product,
  runLoop,
  runStep,
  type State,
  scanLine,
  setPosition,
  shapeIn,
  sourceOf,
  start,
} from "./interpret.ts";
import { compileExpressions } from "./interpret-expr.ts";
import type { Source } from "./interpret-parts.ts";
import { InputError } from "./sizes.ts";
import { stepsOf } from "./steps.ts";
import type { Definition, LoopStep, Program } from "./tensor.ts";

/**
 * Some elements of one result, computed by demand: only what they depend on is evaluated. `positions` are row-major
 * offsets. Throws InputError, also ("budget") when more than `options.budget` steps were taken.
 */
export function interpretSampled(
  program: Program,
  inputs: ReadonlyMap<string, ArrayInput>,
  resultName: string,
  positions: readonly number[],
  options: InterpretOptions = {},
): Float64Array {
  const state = start(program, inputs, options);
  const result = program.results.find((r) => r.name === resultName);
  if (!result) throw new InputError("result", `\`${program.name}\` has no result \`${resultName}\``);
  const budget = { left: options.budget ?? Number.POSITIVE_INFINITY, name: program.name };
  for (const s of program.steps) {
    if (s.kind === "loop") demandLoop(s, state, budget);
    else state.sources.set(s, onDemand(s, state, budget));
  }
  const source = sourceOf(result.tensor, state);
  const total = product(source.shape);
  return Float64Array.from(positions, (p) => {
    if (!(p >= 0 && p < total))
      throw new InputError("result", `\`${resultName}\` has ${total} elements, so none at ${p}`);
    return source.element(result.slot, p);
  });
}

// ---- On demand --------------------------------------------------------------------------------------------------------

interface Budget {
  left: number;
  readonly name: string;
}
function spend(budget: Budget, steps: number): void {
  budget.left -= steps;
  if (budget.left < 0) throw new InputError("budget", `sampling \`${budget.name}\` takes more steps than allowed`);
}

export function onDemand(d: Definition, state: State, budget: Budget): Source {
  const shape = shapeIn(d, state);
  const total = product(shape);
  if (d.kind === "map") {
    const each = stepsOf(d, state.sizes) / Math.max(1, total);
    const known = d.results.map(() => new Map<number, number>());
    let code: ReturnType<typeof compileExpressions> | undefined;
    const element = (slot: number, offset: number): number => {
      const old = known[slot]?.get(offset);
      if (old !== undefined) return old;
      spend(budget, each);
      code ??= compileExpressions(d.axes, d.results, contextFor(d, state));
      setPosition(code.env, code.slots, shape, offset);
      code.step();
      const value = code.results[slot]!();
      known[slot]?.set(offset, value);
      return value;
    };
    return { shape, arrays: undefined, element };
  }
  if (d.kind === "scan") {
    const along = d.axes.indexOf(d.along);
    const stride = product(shape.slice(along + 1));
    const length = shape[along] ?? 1;
    const lines = new Set<number>();
    let made: { out: Float64Array[]; line: (start: number) => void } | undefined;
    const element = (slot: number, offset: number): number => {
      if (!made) {
        const out = d.values.map(() => allocate(d, shape));
        made = { out, line: scanLine(d, shape, state, out) };
      }
      const from = offset - (Math.floor(offset / stride) % length) * stride;
      if (!lines.has(from)) {
        spend(budget, (stepsOf(d, state.sizes) * length) / total);
        lines.add(from);
        made.line(from);
      }
      return made.out[slot]![offset]!;
    };
    return { shape, arrays: undefined, element };
  }
  // A push form: whole or not at all.
  let all: Source | undefined;
  const element = (slot: number, offset: number): number => {
    if (all) return all.element(slot, offset);
    spend(budget, stepsOf(d, state.sizes));
    runStep(d, state);
    const made = sourceOf(d, state);
    all = made;
    return made.element(slot, offset);
  };
  return { shape, arrays: undefined, element };
}

/** Carries and stacks that run the whole loop when first asked for. */
function demandLoop(loop: LoopStep, state: State, budget: Budget): void {
  let done = false;
  const run = (): void => {
    if (done) return;
    done = true;
    spend(budget, stepsOf(loop, state.sizes));
    runLoop(loop, state);
  };
  for (const d of [...loop.carries.map((c) => c.carry), ...loop.stacks.map((k) => k.stack)]) {
    const lazy: Source = {
      shape: shapeIn(d, state),
      arrays: undefined,
      element: (slot, offset) => {
        run();
        return sourceOf(d, state).element(slot, offset);
      },
    };
    state.sources.set(d, lazy);
  }
}
