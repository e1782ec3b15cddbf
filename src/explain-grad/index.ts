/**
 * The gradient of a function as a program to read, and to paste: `dw[o, i] = sum[n] dy[n, o] * x[n, i]`. It is made by the same
 * derivative that compiles, then simplified in the algebra of real numbers; the text is `.ein` and computes the gradient.
 */
import { diagnostic } from "../../grammar/diagnostic.ts";
import { NO_SPAN } from "../../grammar/span.ts";
import { isFloat } from "../../ir/dtype.ts";
import { axisRef, type Definition, mapDef, read, type Program as TensorProgram } from "../../ir/tensor.ts";
import { CompileError } from "../api/error.ts";
import type { FunctionOptions, Program } from "../api/program.ts";
import { NotDifferentiable, reverse } from "../differentiate/reverse.ts";
import { definitionsOf, freshAxes } from "../passes/rewrite.ts";
import { overBasis } from "./basis.ts";
import { type Line, linesOf } from "./lines.ts";
import { type Alike, axisLetters, NameTable, sizeNames, sourceNames, tensorNames } from "./names.ts";
import { slotName, statementsOf, typeText } from "./statements.ts";
import { LineText, type Printer } from "./text.ts";

/** What is needed of a program: a checked module, or a part of one that an editor shows. */
export type ExplainedProgram = Pick<Program, "functions" | "sources" | "tensorProgram">;

export interface ExplainGradientOptions extends FunctionOptions {
  /** Names of the parameters to differentiate by; all floats if left out. */
  readonly wrt?: readonly string[] | undefined;
  /** The Jacobian by one parameter instead: the result's axes, then the parameter's. */
  readonly jacobian?: boolean;
}

/**
 * The text of `grad_NAME`: the forward pass as far as the gradient or the result needs it, then the cotangents, one definition a
 * line. A scalar function's gradient starts from 1, another's from its cotangent, an argument `dy`. Throws CompileError.
 */
export function explainGradient(program: ExplainedProgram, name: string, o: ExplainGradientOptions = {}): string {
  const signature = program.functions.find((f) => f.name === name);
  const p = program.tensorProgram(name, o);
  const floats = p.inputs.filter((d) => isFloat(d.types[0]!)).map((d) => d.name);
  const refuse = (code: "EIN1601" | "EIN1602" | "EIN1603", message: string, span = NO_SPAN): CompileError =>
    new CompileError([diagnostic(code, message, { span, text: "" })], program.sources);
  for (const n of o.wrt ?? []) {
    if (floats.includes(n)) continue;
    const known = signature?.parameters.some((q) => q.name === n);
    throw known
      ? refuse("EIN1602", `\`${n}\` of \`${name}\` has no gradient: it is no float that varies`)
      : refuse(
          "EIN1601",
          `\`${name}\` has no parameter \`${n}\`; it has ${signature?.parameters.map((q) => q.name).join(", ")}`,
        );
  }
  const wrt = o.wrt ?? (o.jacobian ? floats.slice(0, 1) : floats);
  if (wrt.length === 0) throw refuse("EIN1601", `\`${name}\` has no float parameter to differentiate by`);
  if (p.steps.some((s) => s.kind === "loop"))
    throw refuse("EIN1603", "the gradient of a function with `iterate` is not printed yet: it");
  if (o.jacobian && wrt.length !== 1)
    throw refuse("EIN1601", `\`jacobian\` is by one parameter; ${wrt.length} are named`);
  const isScalar = p.results.length === 1 && p.results[0]!.tensor.axes.length === 0;
  const cotangentOf = new Map<Definition, Definition>();
  const forward = new Set<Definition>();
  let derived: TensorProgram;
  try {
    derived = reverse(p, {
      wrt,
      strict: true,
      seed: () => (isScalar ? "one" : "input"),
      watch: {
        forward: (prepared) => {
          for (const d of definitionsOf(prepared)) forward.add(d);
        },
        cotangent: (of, cotangent) => cotangentOf.set(cotangent, of.tensor),
      },
    });
  } catch (error) {
    if (!(error instanceof NotDifferentiable)) throw error;
    throw refuse("EIN1603", `${error.message} has no derivative`, error.definition.span);
  }
  if (!o.jacobian) return moduleText({ program, name: `grad_${name}`, derived, forward, cotangentOf, basis: 0 });
  const cotangent = derived.inputs.find((i) => i.name.startsWith("cotangent_"));
  if (p.results.length !== 1)
    throw refuse("EIN1602", `\`jacobian\` needs a function of one result; \`${name}\` has ${p.results.length}`);
  const made = cotangent ? overBasis(derived, cotangent) : { program: derived, stands: new Map() };
  const moved = [...cotangentOf].map(([ct, of]) => [made.stands.get(ct) ?? ct, of] as const);
  return moduleText({
    program,
    name: `jacobian_${name}`,
    derived: made.program,
    forward,
    cotangentOf: new Map(moved),
    basis: cotangent?.axes.length ?? 0,
  });
}

interface Derived {
  readonly program: ExplainedProgram;
  readonly name: string;
  /** Inputs and results of the function, then cotangents and gradients. */
  readonly derived: TensorProgram;
  readonly forward: ReadonlySet<Definition>;
  readonly cotangentOf: ReadonlyMap<Definition, Definition>;
  /** How many axes of the result stand in front of a cotangent's own: those of a Jacobian. */
  readonly basis: number;
}

function moduleText(d: Derived): string {
  const source = sourceNames(d.derived, d.program.sources, d.forward);
  const table = new NameTable();
  for (const size of sizeNames(d.derived)) table.reserve(size);
  const fixed = new Map<Definition, string>();
  for (const i of d.derived.inputs) if (!i.name.startsWith("cotangent_")) fixed.set(i, table.take(i.name));
  const { program: p, added } = withOwnResults(d.derived);
  const shown: Definition[] = [];
  for (const r of p.results) {
    const gradient = r.name.startsWith("gradient_") ? r.name.slice("gradient_".length) : undefined;
    if (gradient !== undefined) fixed.set(r.tensor, table.take(d.name.startsWith("jacobian_") ? "J" : `d${gradient}`));
    else {
      const plain = r.name !== "result" ? r.name : r.tensor.axes.length === 0 ? "loss" : "y";
      const called = table.take(source.get(r.tensor) ?? plain);
      fixed.set(r.tensor, called);
      const cotangent = d.derived.inputs.find((i) => i.name === `cotangent_${r.name}`);
      if (cotangent) fixed.set(cotangent, table.take(`d${called}`));
      continue;
    }
    shown.push(r.tensor);
  }
  // Of the cotangents, those of values that the function itself names keep their line; the last of several parts is the whole.
  const whole = new Map([...d.cotangentOf].map(([cotangent, of]) => [of, cotangent]));
  const kept = new Set([...whole].flatMap(([of, ct]) => (source.has(of) && !isLibrary(of) ? [ct] : [])));
  const lines = linesOf(p, {
    forward: new Set([...d.forward, ...added]),
    isNamed: (x) => source.has(x) || kept.has(x),
  });
  const names = tensorNames(lines, table, { source, cotangentOf: d.cotangentOf, fixed });
  const alike: Alike[] = [...d.cotangentOf].map(([ct, of]) => ({ tensor: ct, offset: d.basis, of }));
  const [value] = p.results;
  for (const r of p.results) {
    const of = p.inputs.find((i) => r.name === `gradient_${i.name}` || i.name === `cotangent_${r.name}`);
    if (of) alike.push({ tensor: r.tensor, offset: r.name.startsWith("gradient_") ? d.basis : 0, of });
    if (value && d.basis > 0 && r !== value) alike.push({ tensor: r.tensor, offset: 0, of: value.tensor });
  }
  const printer: Printer = {
    nameOf: (x, slot) => slotName(names.get(x) ?? x.name, x, slot),
    isCotangent: (x) => (x.kind === "input" ? x.name.startsWith("cotangent_") : !d.forward.has(x)),
    letters: axisLetters(p.inputs, lines, new Set([...names.values(), ...sizeNames(p)]), alike),
    isWhole: (x) => x.kind === "input" || p.results.some((r) => r.tensor === x),
  };
  const say = (l: Line): readonly string[] => statementsOf(l, new LineText(printer, l), printer).map((s) => `  ${s}`);
  const parameters = p.inputs.map((i) => `${names.get(i)}: ${typeText(i)}`).join(", ");
  const before = lines.filter((l) => l.isForward);
  const after = lines.filter((l) => !l.isForward);
  const results = shown.map((x) => names.get(x)!);
  return [
    `export fn ${d.name}(${parameters}) {`,
    ...before.flatMap(say),
    ...(before.length > 0 && after.length > 0 ? [""] : []),
    ...after.flatMap(say),
    `  ${results.length === 1 ? results[0] : `{ ${results.join(", ")} }`}`,
    "}",
    "",
  ].join("\n");
}

/** Every gradient, and every other result that is no definition of its own, gets a definition that a line can name. */
function withOwnResults(p: TensorProgram): { readonly program: TensorProgram; readonly added: readonly Definition[] } {
  const seen = new Set<Definition>();
  const steps: Definition[] = [];
  const added: Definition[] = [];
  const results = p.results.map((r) => {
    const isGradient = r.name.startsWith("gradient_");
    const isOwn = r.tensor.kind !== "input" && r.tensor.types.length === 1 && !seen.has(r.tensor);
    seen.add(r.tensor);
    if (!isGradient && isOwn) return r;
    const axes = freshAxes(r.tensor.axes, new Map());
    const made = mapDef(axes, [read(r.tensor, r.slot, axes.map(axisRef))], { name: r.name });
    steps.push(made);
    if (!isGradient) added.push(made);
    return { name: r.name, tensor: made, slot: 0 };
  });
  return { program: { ...p, steps: [...p.steps, ...steps], results }, added };
}

function isLibrary(d: Definition): boolean {
  return d.span?.file.startsWith("std/") ?? true;
}
