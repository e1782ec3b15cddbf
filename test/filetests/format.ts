/**
 * Filetests: a program (`.ein`, or `.fir` in the text form of tensor programs) whose comments say what to check.
 *
 *   // fn NAME                       the function, where a module exports several
 *   // const NAME = JSON             a constant parameter
 *   // input x: f32[2, 3] = 1 2 …    an argument, row-major
 *   // input x: f32[2, 3] seed 7     random: floats in ±2, integers from -2 to 6
 *   // strict                        compiled strictly
 *   // matrices: f16 f32 16 16 16    for a GPU that lists such subgroup matrices: component, result, m, n, k
 *   // kernels: 1                    how many kernels there are; `<= 3` for at most three
 *   // run: interpreter, kernels, schedules, device, gradients
 *   // check: tensor, fused, kernel, wgsl
 *
 * After a line of dashes come the expectations, which `--bless` writes: results of the interpreter, and the text of each stage.
 */
import type { DType } from "../../ir/dtype.ts";
import type { ArrayInput } from "../../ir/interpret.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import type { MatrixShape } from "../../runtime/plan.ts";
import type { Case } from "../fuzz/case.ts";
import { random } from "../generate/random.ts";

export type Run = "interpreter" | "kernels" | "schedules" | "device" | "gradients";
export type Check = "tensor" | "fused" | "kernel" | "wgsl";
const RUNS: readonly Run[] = ["interpreter", "kernels", "schedules", "device", "gradients"];
const CHECKS: readonly Check[] = ["tensor", "fused", "kernel", "wgsl"];

export interface GivenInput extends ArrayInput {
  readonly dtype: DType;
}

export interface Filetest {
  /** What stands before the expectations, directives included. */
  readonly source: string;
  readonly fn: string | undefined;
  readonly consts: Readonly<Record<string, number | boolean | string | readonly number[]>>;
  readonly inputs: ReadonlyMap<string, GivenInput>;
  readonly strict: boolean;
  readonly matrices: readonly MatrixShape[];
  /** How many there are; with `most` that many or fewer. */
  readonly kernels: { readonly count: number; readonly most: boolean } | undefined;
  readonly runs: readonly Run[];
  readonly checks: readonly Check[];
  readonly expected: string;
}

const RULE = `// ${"-".repeat(40)}\n`;

/** Throws Error with the line where a directive is wrong. */
export function parseFiletest(text: string): Filetest {
  const cut = text.indexOf(RULE);
  const source = cut < 0 ? text : text.slice(0, cut);
  const inputs = new Map<string, GivenInput>();
  const consts: Record<string, number | boolean | string | readonly number[]> = {};
  const matrices: MatrixShape[] = [];
  let [fn, strict, kernels]: [string | undefined, boolean, Filetest["kernels"]] = [undefined, false, undefined];
  let [runs, checks]: [readonly Run[], readonly Check[]] = [["interpreter", "kernels", "device"], []];
  source.split("\n").forEach((line, i) => {
    const d = /^\/\/ (fn|const|input|strict|matrices|kernels|run|check)\b:? ?(.*)$/.exec(line);
    if (!d) return;
    const [, kind, rest = ""] = d;
    const wrong = (): Error => new Error(`line ${i + 1}: a directive that cannot be read: ${line}`);
    if (kind === "fn") fn = rest;
    else if (kind === "strict") strict = true;
    else if (kind === "matrices") {
      const [component = "", result = "", ...shape] = rest.split(" ");
      const [m, n, k] = shape.map(Number);
      if (!m || !n || !k) throw wrong();
      matrices.push({ component, result, m, n, k });
    } else if (kind === "kernels") kernels = { count: Number(rest.replace("<=", "")), most: rest.startsWith("<=") };
    else if (kind === "run") runs = listed(rest, RUNS, wrong);
    else if (kind === "check") checks = listed(rest, CHECKS, wrong);
    else if (kind === "const") {
      const c = /^(\w+) = (.*)$/.exec(rest);
      if (!c) throw wrong();
      consts[c[1]!] = JSON.parse(c[2]!);
    } else {
      const g = /^(\w+): (f32|f16|i32|u32|bool)\[([\d, ]*)\] (?:=(.*)|seed (\d+))$/.exec(rest);
      if (!g) throw wrong();
      const shape = g[3]!
        .split(",")
        .filter((x) => x.trim())
        .map(Number);
      const count = shape.reduce((a, b) => a * b, 1);
      const dtype = g[2] as DType;
      const data = g[4] === undefined ? drawn(dtype, count, Number(g[5])) : g[4].split(" ").filter(Boolean).map(value);
      if (data.length !== count) throw new Error(`line ${i + 1}: ${data.length} values for ${count} elements`);
      inputs.set(g[1]!, { dtype, shape, data });
    }
  });
  return {
    source,
    fn,
    consts,
    inputs,
    strict,
    matrices,
    kernels,
    runs,
    checks,
    expected: cut < 0 ? "" : text.slice(cut + RULE.length),
  };
}

function listed<T extends string>(text: string, known: readonly T[], wrong: () => Error): readonly T[] {
  return text.split(",").map((part) => {
    const found = known.find((k) => k === part.trim());
    if (!found) throw wrong();
    return found;
  });
}

function drawn(dtype: DType, count: number, seed: number): number[] {
  const r = random(seed);
  return Array.from({ length: count }, () => {
    if (dtype === "bool") return r.below(2);
    if (dtype === "u32") return r.below(9);
    if (dtype === "i32") return r.below(9) - 2;
    return dtype === "f16" ? Math.round((r.unit() * 4 - 2) * 64) / 64 : Math.fround(r.unit() * 4 - 2);
  });
}

/** The file with these expectations in place of its own. */
export function blessed(t: Filetest, expected: string): string {
  return `${t.source.trimEnd()}\n\n${RULE}${expected}`;
}

/** Text as comments. */
export function commented(title: string, text: string): string {
  return `// ${title}:\n${text
    .trimEnd()
    .split("\n")
    .map((l) => `//   ${l}`.trimEnd())
    .join("\n")}\n`;
}

/** A number so that another engine's last bits do not matter. */
export function numberText(v: number, dtype: DType): string {
  if (Object.is(v, -0)) return "-0";
  return String(dtype === "f32" || dtype === "f16" ? Number(v.toPrecision(7)) : v);
}

/** A case to paste as `.fir`; `--bless` fills in what it computes. */
export function filetestOf(c: Case, run: readonly Run[], title: string): string {
  const lines = [`// ${title.split("\n")[0]}`, `// run: ${run.join(", ")}`];
  if (c.strict) lines.push("// strict");
  for (const d of c.program.inputs) {
    const a = c.inputs.get(d.name);
    if (a)
      lines.push(
        `// input ${d.name}: ${d.types[0]}[${a.shape.join(", ")}] = ${Array.from(a.data, (v) => (Object.is(v, -0) ? "-0" : String(v))).join(" ")}`,
      );
  }
  return `${lines.join("\n")}\n${printProgram(c.program).trimEnd()}\n`;
}

const SPECIAL: Readonly<Record<string, number>> = {
  inf: Infinity,
  "-inf": -Infinity,
  nan: Number.NaN,
  NaN: Number.NaN,
};

function value(text: string): number {
  const v = SPECIAL[text] ?? Number(text);
  if (Number.isNaN(v) && SPECIAL[text] === undefined) throw new Error(`${text} is no number`);
  return v;
}
