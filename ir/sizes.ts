/** Finding the values of a program's size symbols from the shapes of its inputs, and checking its facts. */
import { type Extent, evaluateExtent, size, subExtent, substituteExtent, symbolsOf } from "./extent.ts";
import type { Program } from "./tensor.ts";

export type InputProblem =
  | "missing" // an input is not given
  | "dtype" // elements are of another type
  | "shape" // rank, extent or number of elements do not fit
  | "unbound" // a size symbol cannot be found from the shapes
  | "fact" // a fact of the program does not hold
  | "extent" // an extent comes out negative
  | "budget" // evaluation would take more steps than allowed
  | "result"; // no such result, or a position outside it

/** What is wrong with the inputs of an evaluation. The message is a sentence for users. */
export class InputError extends Error {
  readonly problem: InputProblem;
  constructor(problem: InputProblem, message: string) {
    super(message);
    this.name = "InputError";
    this.problem = problem;
  }
}

/**
 * The size symbols' values for inputs of these shapes (by input name). A lone symbol binds; other extents must come out
 * equal, and may bind the one symbol that they hold linearly; so may an equality among the facts. Symbols in `given` are set from the
 * start. All facts are checked. Throws InputError.
 */
export function bindSizes(
  program: Program,
  shapes: ReadonlyMap<string, readonly number[]>,
  given: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const sizes = new Map(given);
  const pending: { extent: Extent; value: number; what: string }[] = [];
  for (const d of program.inputs) {
    const shape = shapes.get(d.name);
    if (!shape) throw new InputError("missing", `input \`${d.name}\` is not given`);
    if (shape.length !== d.axes.length)
      throw new InputError(
        "shape",
        `input \`${d.name}\` has ${d.axes.length} axes, but an array of ${shape.length} was given`,
      );
    d.axes.forEach((a, i) => {
      const value = shape[i] ?? 0;
      const what = `axis ${i} of \`${d.name}\``;
      const symbol = loneSymbol(a.extent);
      if (symbol === undefined || sizes.has(symbol)) pending.push({ extent: a.extent, value, what });
      else sizes.set(symbol, value);
    });
  }
  const equations = [
    ...pending.map((p) => ({
      zero: subExtent(p.extent, size(p.value)),
      message: `${p.what} does not fit ${p.extent.text}`,
    })),
    ...program.facts
      .filter((f) => f.relation === "==")
      .map((f) => ({ zero: subExtent(f.left, f.right), message: f.message })),
  ];
  for (let before = -1; before !== sizes.size; ) {
    before = sizes.size;
    for (const e of equations) solve(e.zero, sizes, e.message);
  }
  for (const p of pending) {
    const expected = evaluate(p.extent, sizes);
    if (expected !== p.value)
      throw new InputError("shape", `${p.what} is ${p.value}, but must be ${p.extent.text} = ${expected}`);
  }
  checkFacts(program, sizes);
  return sizes;
}

/** Throws InputError with a fact's own message where one does not hold. */
export function checkFacts(program: Program, sizes: ReadonlyMap<string, number>): void {
  for (const f of program.facts) {
    const left = evaluate(f.left, sizes);
    const right = evaluate(f.right, sizes);
    if (f.relation === "==" ? left !== right : left < right)
      throw new InputError("fact", `${f.message} (${f.left.text} = ${left}, ${f.right.text} = ${right})`);
  }
}

/** The extent's value; throws InputError for a symbol without value or a negative extent where `axis` is given. */
export function evaluate(e: Extent, sizes: ReadonlyMap<string, number>, axis?: string): number {
  let value: number;
  try {
    value = evaluateExtent(e, sizes);
  } catch (error) {
    if (error instanceof RangeError) throw new InputError("unbound", `${error.message} in ${e.text}`);
    throw error;
  }
  if (axis !== undefined && value < 0)
    throw new InputError("extent", `axis ${axis} would have the extent ${e.text} = ${value}`);
  return value;
}

function loneSymbol(e: Extent): string | undefined {
  const t = e.terms[0];
  const a = t?.atoms[0];
  return e.terms.length === 1 && t?.coefficient === 1 && t.atoms.length === 1 && a?.kind === "symbol"
    ? a.name
    : undefined;
}

/** Binds the one unbound symbol of `zero = 0` if it stands in it linearly. */
function solve(zero: Extent, sizes: Map<string, number>, message: string): void {
  const known = substituteExtent(zero, new Map([...sizes].map(([name, value]) => [name, size(value)])));
  const names = [...symbolsOf(known)];
  const name = names[0];
  if (name === undefined || names.length > 1) return;
  let slope = 0;
  let constant = 0;
  for (const t of known.terms) {
    if (t.atoms.length === 0) constant += t.coefficient;
    else if (t.atoms.length === 1 && t.atoms[0]?.kind === "symbol") slope += t.coefficient;
    else return;
  }
  const value = -constant / slope;
  if (!Number.isInteger(value) || value < 0) throw new InputError("shape", message);
  sizes.set(name, value);
}
