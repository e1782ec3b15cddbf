/** `einsum` in one call, on the interpreter or a device. */
import type { HostArray } from "../../runtime/plan.ts";
import { compile } from "./compile.ts";
import type { CheckedEquation, CheckedOperands, EinsumResult } from "./einsum-types.ts";
import type { Program } from "./program.ts";

const programs = new Map<string, Program>();
const MOST_KEPT = 256;

/** A program whose function `einsum(a0, a1, …)` is the equation over operands of these types and ranks. */
export function einsumProgram(
  equation: string,
  operands: readonly { readonly dtype: HostArray["dtype"]; readonly rank: number }[],
): Program {
  const key = JSON.stringify([equation, operands.map((o) => [o.dtype, o.rank])]);
  const old = programs.get(key);
  if (old) return old;
  const params = operands.map(
    (o, i) => `a${i}: ${o.dtype}[${Array.from({ length: o.rank }, (_, k) => `N${i}_${k}`).join(", ")}]`,
  );
  const args = operands.map((_, i) => `, a${i}`).join("");
  const source = `export fn einsum_(${params.join(", ")}) {\n  einsum(${JSON.stringify(equation)}${args})\n}\n`;
  const made = compile(source, { fileName: "einsum.ein" });
  if (programs.size >= MOST_KEPT) programs.delete(programs.keys().next().value ?? "");
  programs.set(key, made);
  return made;
}

/** A device as `einsum` needs it. */
export interface EinsumDevice {
  load(
    program: Program,
    name: string,
    options: { readonly shapes: Readonly<Record<string, readonly number[]>> },
  ): Promise<{
    run(inputs: Readonly<Record<string, HostArray>>): Promise<Record<string, HostArray>>;
    dispose(): void;
  }>;
}

/**
 * Einsum in float64 on the interpreter: `interpretEinsum("ij,jk->ik", a, b)`. The number of operands, and their ranks where their shapes are
 * tuples, are checked by their types. Throws CompileError.
 */
export function interpretEinsum<const E extends string, const O extends readonly HostArray[]>(
  equation: E & CheckedEquation<E>,
  ...operands: O & CheckedOperands<E, O>
): EinsumResult<E> {
  const program = einsumProgram(
    equation,
    operands.map((a) => ({ dtype: a.dtype, rank: a.shape.length })),
  );
  return ofEquation<E>(only(program.interpret("einsum_", named(operands))));
}

/** The same on a device. Rejects with CompileError or DeviceError. */
export async function einsumOn<const E extends string, const O extends readonly HostArray[]>(
  device: EinsumDevice,
  equation: E & CheckedEquation<E>,
  operands: O & CheckedOperands<E, O>,
): Promise<EinsumResult<E>> {
  const program = einsumProgram(
    equation,
    operands.map((a) => ({ dtype: a.dtype, rank: a.shape.length })),
  );
  const inputs = named(operands);
  const kernel = await device.load(program, "einsum_", {
    shapes: Object.fromEntries(Object.entries(inputs).map(([k, a]) => [k, a.shape])),
  });
  try {
    return ofEquation<E>(only(await kernel.run(inputs)));
  } finally {
    kernel.dispose();
  }
}

function named(operands: readonly HostArray[]): Record<string, HostArray> {
  return Object.fromEntries(operands.map((a, i) => [`a${i}`, a]));
}

function only(results: Readonly<Record<string, HostArray>>): HostArray {
  const first = Object.values(results)[0];
  if (!first) throw new RangeError("a program without results");
  return first;
}

/** What the compiler made of the equation has the rank that the equation's type says. */
function ofEquation<E extends string>(result: HostArray): EinsumResult<E> {
  return result as EinsumResult<E>;
}
