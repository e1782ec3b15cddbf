/** The coverage of `derivative-coverage.json`: every item is a gradient that is computed and compared, never a name in a list. */
import { CompileError, compile } from "../../../src/index.ts";
import { type Arrays, gradientProblems, sample } from "../../differentiate/numeric.ts";
import { CHECKS, type Check, type Corner } from "./table.ts";

export interface TierCoverage {
  readonly tier: string;
  readonly total: number;
  readonly covered: readonly string[];
  /** Items with no check, or whose check cannot be said in the language, with why. */
  readonly missing: readonly { readonly item: string; readonly why: string }[];
  /** Items whose gradient is wrong. */
  readonly wrong: readonly { readonly item: string; readonly why: string }[];
}

export function derivativeCoverage(tiers: Readonly<Record<string, readonly string[]>>): TierCoverage[] {
  return Object.entries(tiers).map(([tier, items]) => {
    const covered: string[] = [];
    const missing: { item: string; why: string }[] = [];
    const wrong: { item: string; why: string }[] = [];
    for (const item of items) {
      const checks = Object.hasOwn(CHECKS, item) ? CHECKS[item]! : [];
      let refused = checks.length === 0 ? "no function for it" : undefined;
      let problem: string | undefined;
      for (const c of checks) {
        try {
          const found = typeof c === "string" ? smoothProblems(c) : cornerProblems(c);
          if (found.length > 0) problem ??= `${textOf(c)}: ${found[0]}`;
        } catch (error) {
          if (error instanceof CompileError) refused ??= `${textOf(c)}: ${error.message.split("\n")[0]}`;
          else problem ??= `${textOf(c)}: ${error instanceof Error ? error.message : String(error)}`;
        }
      }
      if (problem !== undefined) wrong.push({ item, why: problem });
      else if (refused !== undefined) missing.push({ item, why: refused });
      else covered.push(item);
    }
    return { tier, total: items.length, covered, missing, wrong };
  });
}

function textOf(c: Check): string {
  return typeof c === "string" ? c : c.source;
}

interface Parsed {
  readonly source: string;
  readonly parameters: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
}

/** `declarations ;; x: f32[2], i: i32[3] => body` */
function parsed(text: string): Parsed {
  const at = text.indexOf(" => ");
  const body = text.slice(at + " => ".length);
  const parts = text.slice(0, at).split(" ;; ");
  const signature = parts.pop()!;
  const parameters = [...signature.matchAll(/(\w+): (\w+)\[([^\]]*)\]/g)].map((m) => ({
    name: m[1]!,
    dtype: m[2]!,
    shape: m[3]!.split(",").map(Number),
  }));
  const inner = body.startsWith("{") ? body.slice(1, -1).trim().replaceAll(" ; ", "\n") : body;
  return { source: `${parts.join("\n")}\nexport fn f(${signature}) {\n${inner}\n}`, parameters };
}

/** By differences, at values in ±1; integers index from 0 to 2. */
function smoothProblems(text: string): readonly string[] {
  const { source, parameters } = parsed(text);
  const program = compile(source).tensorProgram("f", {});
  const inputs: Arrays = new Map(
    parameters.map((p, k) => {
      const made = sample(p.shape, k);
      const data = p.dtype === "i32" ? made.data.map((_, i) => (2 * i + 1) % 3) : made.data;
      return [p.name, { shape: p.shape, data }];
    }),
  );
  const floats = parameters.filter((p) => p.dtype === "f32").map((p) => p.name);
  return gradientProblems(program, inputs, floats);
}

function cornerProblems(c: Corner): readonly string[] {
  const wrt = Object.keys(c.gradient);
  const program = compile(parsed(c.source).source).grad("f", { wrt });
  const inputs = Object.fromEntries(
    Object.entries(c.at).map(([n, data]) => [
      n,
      { dtype: "f32", shape: [data.length], data: Float32Array.from(data) } as const,
    ]),
  );
  const got = program.interpret("grad_f", inputs);
  return wrt.flatMap((n) => {
    const found = [...((got[n] ?? got.result)?.data ?? [])].map(Number);
    return found.every((v, i) => v === c.gradient[n]![i])
      ? []
      : [`by ${n} it is [${found.join(", ")}], not [${c.gradient[n]!.join(", ")}]`];
  });
}

export function renderCoverage(list: readonly TierCoverage[]): string {
  return list
    .map((t) => {
      const lines = [`tier ${t.tier}: ${t.covered.length}/${t.total}`];
      for (const { item, why } of t.wrong) lines.push(`  WRONG ${item}: ${why}`);
      for (const { item, why } of t.missing) lines.push(`  missing ${item}: ${why}`);
      return lines.join("\n");
    })
    .join("\n");
}
