/**
 * `fusum check --gradients`: derivatives of every differentiable function, rules of its own included, against central differences,
 * and forward mode against reverse mode, in float64 on the interpreter. No device is needed.
 */
import type { ArrayInput } from "../../ir/interpret.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { toInputs } from "../api/interpret.ts";
import { NotDifferentiable } from "../differentiate/reverse.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { compareDerivatives, type DerivativePrograms, derivativesOf, type GradientVerdict } from "../gradient-check.ts";
import { type Program, shapesOf } from "../index.ts";
import { argumentsOf, type Constants, sourcesOf } from "./check-inputs.ts";
import { type BindingOptions, bindingsFor, CliError, EXIT, shownPath, usageError } from "./context.ts";

interface GradientOptions extends BindingOptions {
  readonly function: readonly string[];
  readonly seed: string;
}

interface CheckedGradient {
  readonly parameter: string;
  readonly verdict: GradientVerdict;
}
type Row = { readonly file: string; readonly function: string } & (
  | {
      readonly status: "checked";
      readonly extents: Readonly<Record<string, number>>;
      readonly gradients: readonly CheckedGradient[];
    }
  | { readonly status: "skipped"; readonly reason: string }
);

/** Points at which a derivative is looked for that differences can decide: corners and poles are met by chance. */
const ATTEMPTS = 8;
/** Directions in which each parameter's derivative is compared. */
const DIRECTIONS = 2;

/** Throws CliError with exit status 1 if a derivative is wrong. */
export async function checkGradients(files: readonly string[], o: GradientOptions): Promise<void> {
  const seed = Number(o.seed);
  if (!Number.isSafeInteger(seed)) throw usageError(`--seed must be an integer, not ${JSON.stringify(o.seed)}`);
  const rows: Row[] = [];
  for (const { file, program } of await sourcesOf(files, o))
    for (const f of program.functions) {
      if (o.function.length > 0 && !o.function.includes(f.name)) continue;
      const { consts, extents } = bindingsFor(f, o);
      const row: Row = { file, function: f.name, ...checkOne(program, f, consts, extents, seed) };
      rows.push(row);
      if (!o.json) process.stdout.write(`${line(row)}\n`);
    }
  if (o.json) process.stdout.write(`${JSON.stringify({ functions: rows }, null, 2)}\n`);
  if (rows.length === 0) throw usageError("no function to check");
  if (rows.some((r) => r.status === "checked" && r.gradients.some((g) => g.verdict.kind === "differs")))
    throw new CliError(EXIT.diagnostics, "", true);
}

type Outcome =
  | Omit<Extract<Row, { status: "checked" }>, "file" | "function">
  | Omit<Extract<Row, { status: "skipped" }>, "file" | "function">;

function checkOne(
  program: Program,
  f: FunctionSignature,
  consts: Constants,
  given: Readonly<Record<string, number>>,
  seed: number,
): Outcome {
  const chosen = argumentsOf(program, f, consts, given, seed);
  if ("reason" in chosen) return { status: "skipped", reason: chosen.reason };
  const { extents, inputs } = chosen;
  const made = program.tensorProgram(f.name, {
    consts,
    shapes: shapesOf(inputs),
    provided: Object.keys(inputs),
    keepRules: true,
  });
  let derivatives: DerivativePrograms | undefined;
  try {
    derivatives = derivativesOf(made);
  } catch (error) {
    if (!(error instanceof NotDifferentiable)) throw error;
    return { status: "skipped", reason: `${error.message} has no derivative` };
  }
  if (!derivatives) return { status: "skipped", reason: "no float depends on a float" };
  const programs = derivatives;
  const gradients = programs.wrt.flatMap((parameter) =>
    Array.from({ length: DIRECTIONS }, (_, k): CheckedGradient => {
      const points = pointsFor(inputs, ATTEMPTS);
      let verdict: GradientVerdict = { kind: "undecided", reason: "no point was tried" };
      for (const [n, at] of points.entries()) {
        verdict = compareDerivatives(programs, { inputs: at, sizes: new Map(), by: [parameter], seed: seed + k + n });
        if (verdict.kind !== "undecided") break;
      }
      return { parameter, verdict };
    }),
  );
  return { status: "checked", extents, gradients };
}

/** The arguments, then others near them; every second one positive, for functions such as logarithms. */
function pointsFor(
  inputs: Readonly<Record<string, HostArray>>,
  count: number,
): readonly ReadonlyMap<string, ArrayInput>[] {
  const arrays = toInputs(inputs);
  return Array.from({ length: count }, (_, n) => {
    return new Map(
      [...arrays].map(([name, a]): [string, ArrayInput] => {
        const { dtype } = inputs[name]!;
        if (dtype !== "f32" && dtype !== "f16") return [name, a];
        const value = (v: number, i: number): number => {
          const moved = v + 0.25 * n * Math.sin(i + n);
          return n % 2 === 1 ? Math.abs(moved) + 0.125 : moved;
        };
        return [name, { shape: a.shape, data: Float64Array.from(a.data, value) }];
      }),
    );
  });
}

function line(r: Row): string {
  const head = `${shownPath(r.file)} ${r.function}`;
  if (r.status === "skipped") return `${head}: skipped, ${r.reason}`;
  const sizes = Object.entries(r.extents)
    .map(([k, v]) => `${k}=${v}`)
    .join(" ");
  const where = sizes ? ` (${sizes})` : "";
  const wrong = r.gradients.find((g) => g.verdict.kind === "differs");
  if (wrong?.verdict.kind === "differs")
    return `${head}: FAILED, the derivative by ${wrong.parameter}: ${wrong.verdict.message}${where}`;
  const open = r.gradients.filter((g) => g.verdict.kind === "undecided");
  const names = (list: readonly CheckedGradient[]): string => [...new Set(list.map((g) => g.parameter))].join(", ");
  const worst = Math.max(0, ...r.gradients.map((g) => (g.verdict.kind === "agrees" ? g.verdict.share : 0)));
  const agreed = r.gradients.filter((g) => g.verdict.kind === "agrees");
  const undecided =
    open[0]?.verdict.kind === "undecided" ? `by ${names(open)} undecided: ${open[0].verdict.reason}` : undefined;
  if (agreed.length === 0) return `${head}: ${undecided ?? "nothing to compare"}${where}`;
  const rest = undecided ? `; ${undecided}` : "";
  return `${head}: ok, derivatives by ${names(agreed)}, ${(100 * worst).toFixed(1)}% of the bound used${rest}${where}`;
}
