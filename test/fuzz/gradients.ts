/**
 * Derivatives of a case: reverse mode against forward mode (⟨w, J t⟩ = ⟨Jᵀ w, t⟩) and against central differences along t, where
 * the differences themselves show that the function is smooth there. Tolerances are measured: how much the values move when the
 * inputs do by a few last bits, and how far differences of two widths are apart.
 */
import { isFloat } from "../../ir/dtype.ts";
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import type { Program } from "../../ir/tensor.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { forward } from "../../src/differentiate/forward.ts";
import { NotDifferentiable, reverse } from "../../src/differentiate/reverse.ts";
import { sample } from "../differentiate/numeric.ts";
import { generateProgram } from "../generate/programs.ts";
import { type Case, type Failure, messageOf } from "./case.ts";

type Arrays = ReadonlyMap<string, ArrayInput>;

/** Programs of floats; data off the grid on which comparisons tie. */
export function gradientCaseOf(seed: number): Case {
  const g = generateProgram(seed, {
    dtypes: ["f32"],
    definitions: 1 + (seed % 4),
    depth: 2,
    maxExtent: 4,
    empty: seed % 16 === 0,
  });
  const inputs = new Map([...g.inputs].map(([name, a], i): [string, ArrayInput] => [name, sample(a.shape, i + seed)]));
  return { program: g.program, inputs, sizes: g.sizes, strict: false };
}

export interface GradientOutcome {
  readonly failure?: Failure;
  /** Whether both comparisons could be made. */
  readonly counted: boolean;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): { sum: number; size: number } {
  let [sum, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    sum += a[i]! * b[i]!;
    size += Math.abs(a[i]! * b[i]!);
  }
  return { sum, size };
}

export function checkGradients(c: Case): GradientOutcome {
  const { program, sizes } = c;
  const wrt = program.inputs.filter((d) => isFloat(d.types[0] ?? "i32")).map((d) => d.name);
  try {
    const outputs = interpret(program, c.inputs, { sizes }).filter((r) => isFloat(r.dtype));
    if (wrt.length === 0 || outputs.length === 0) return { counted: false };
    const weights = new Map(
      outputs.map((r, k) => [r.name, { shape: r.shape, data: sample([r.data.length], 100 + k).data }]),
    );
    const tangents = new Map(wrt.map((name, k) => [name, sample(c.inputs.get(name)!.shape, 200 + k)]));
    let [adjoint, pushed]: [Program, Program] = [program, program];
    try {
      adjoint = reverse(program, { wrt, seed: () => "input" });
      pushed = forward(program, wrt);
    } catch (error) {
      if (error instanceof NotDifferentiable) return { counted: false };
      throw error;
    }
    for (const p of [adjoint, pushed]) {
      const problems = verifyProgram(p);
      if (problems.length > 0) return failed("throws", problems.join("\n"));
    }
    const given = (p: Program, prefix: string, inputs: Arrays, more: Arrays): Arrays =>
      new Map(
        p.inputs.map((d) => [
          d.name,
          d.name.startsWith(prefix) ? more.get(d.name.slice(prefix.length))! : inputs.get(d.name)!,
        ]),
      );
    const reversed = (inputs: Arrays): { sum: number; size: number } => {
      const r = interpret(adjoint, given(adjoint, "cotangent_", inputs, weights), { sizes });
      return total(wrt.map((n) => dot(r.find((x) => x.name === `gradient_${n}`)!.data, tangents.get(n)!.data)));
    };
    const forwarded = (inputs: Arrays): { sum: number; size: number } => {
      const r = interpret(pushed, given(pushed, "tangent_", inputs, tangents), { sizes });
      return total(
        outputs.map((o) => dot(r.find((x) => x.name === `tangent_${o.name}`)!.data, weights.get(o.name)!.data)),
      );
    };
    const [left, right] = [forwarded(c.inputs), reversed(c.inputs)];
    const nudged = moved(c.inputs, tangents, 2 ** -36);
    const [left2, right2] = [forwarded(nudged), reversed(nudged)];
    const all = [left, right, left2, right2];
    if (!all.every((x) => Number.isFinite(x.size))) return { counted: false };
    // Moving the inputs by 2^-36 stands for the roundings of 2^-53 of some thousand operations, with room.
    const slack =
      2 ** -52 * 1024 * (left.size + right.size) +
      Math.max(
        Math.abs(left2.sum - left.sum),
        Math.abs(right2.sum - right.sum),
        Math.abs(left2.size - left.size),
        Math.abs(right2.size - right.size),
      );
    if (slack > 1e-3 * (Math.abs(left.sum) + Math.abs(right.sum) + 1e-3)) return { counted: false };
    if (Math.abs(left.sum - right.sum) > slack)
      return failed("differs", `forward mode gives ${left.sum}, reverse mode ${right.sum} (± ${slack})`);

    const value = (h: number): { sum: number; size: number } => {
      const r = interpret(program, moved(c.inputs, tangents, h), { sizes });
      return total(outputs.map((o) => dot(r.find((x) => x.name === o.name)!.data, weights.get(o.name)!.data)));
    };
    const at = value(0);
    const central: number[] = [];
    const kinks: number[] = [];
    for (const h of [2 ** -14, 2 ** -15, 2 ** -16]) {
      const [up, down] = [value(h), value(-h)];
      central.push((up.sum - down.sum) / (2 * h));
      kinks.push(Math.abs(up.sum - 2 * at.sum + down.sum) / h);
    }
    const rounding = 2 ** -52 * 1024 * at.size * 2 ** 16;
    // One-sided derivatives of a smooth function approach each other with h; at a kink they stay apart.
    if (!central.every(Number.isFinite) || kinks[2]! > 0.4 * kinks[0]! + rounding) return { counted: false };
    const bound = 4 * Math.abs(central[1]! - central[2]!) + 4 * Math.abs(central[0]! - central[1]!) + rounding + slack;
    if (bound > 1e-2 * (1 + Math.abs(central[2]!))) return { counted: false };
    if (Math.abs(central[2]! - right.sum) > bound)
      return failed("differs", `differences give ${central[2]}, reverse mode ${right.sum} (± ${bound})`);
    return { counted: true };
  } catch (error) {
    return failed("throws", error instanceof Error ? (error.stack ?? error.message) : messageOf(error));
  }
}

function failed(kind: Failure["kind"], message: string): GradientOutcome {
  return { counted: true, failure: { stage: "gradient", kind, message, trial: 0 } };
}

function total(parts: readonly { sum: number; size: number }[]): { sum: number; size: number } {
  return { sum: parts.reduce((a, p) => a + p.sum, 0), size: parts.reduce((a, p) => a + p.size, 0) };
}

function moved(inputs: Arrays, direction: ReadonlyMap<string, ArrayInput>, h: number): Arrays {
  return new Map(
    [...inputs].map(([name, a]) => {
      const t = direction.get(name)?.data;
      return [name, t ? { shape: a.shape, data: Float64Array.from(a.data, (v, i) => v + h * t[i]!) } : a];
    }),
  );
}
