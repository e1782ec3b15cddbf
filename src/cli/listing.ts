/** `fusum build --emit STAGE`, `--print-after` and `--time-passes`: what the compiler makes on the way, on the terminal. */
import { parseModule } from "../../grammar/parser.ts";
import { printModule } from "../../grammar/print.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { CompileError } from "../api/error.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import type { Program } from "../index.ts";
import { compileFile } from "../node/compile-file.ts";
import { printFused } from "../schedule/print.ts";
import {
  type BindingOptions,
  bindingsFor,
  CliError,
  EXIT,
  functionOf,
  printDiagnostics,
  readSource,
  usageError,
} from "./context.ts";

export type Stage = "ast" | "tensor" | "fused" | "kernel" | "wgsl" | "plan";

export interface ListingOptions extends BindingOptions {
  readonly function: readonly string[];
  readonly stage: Stage | undefined;
  readonly printAfter?: string;
  readonly timePasses?: boolean;
  /** How often each function is compiled, in one process. */
  readonly repeat?: string;
}

interface PassTime {
  readonly pass: string;
  readonly ms: number;
}
/** Of the first run and, where there are several, the median of the later half, when the code is warm. */
interface PassTimes extends PassTime {
  readonly warm?: number;
}

interface FunctionTimes {
  readonly file: string;
  readonly function: string;
  readonly passes: readonly PassTimes[];
}

/** Writes no files. Ends with exit code 1 if a module has errors. */
export async function list(files: readonly string[], o: ListingOptions): Promise<void> {
  const failures: CompileError[] = [];
  const times: FunctionTimes[] = [];
  const runs = runsOf(o.repeat);
  for (const file of files) {
    try {
      if (o.stage === "ast") {
        listTree(file);
        continue;
      }
      const program = await compileFile(file);
      if (program.diagnostics.length > 0) printDiagnostics(program.diagnostics, program.sources, o);
      for (const f of selected(program, o.function)) {
        const first = listFunction(program, f, o);
        times.push({
          file,
          function: f.name,
          passes: runs === 1 ? first : await warmTimes(file, f.name, first, runs, o),
        });
      }
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      failures.push(error);
    }
  }
  if (failures.length > 0) {
    printDiagnostics(
      failures.flatMap((e) => e.diagnostics),
      new Map(failures.flatMap((e) => [...e.sources])),
      o,
    );
    throw new CliError(EXIT.diagnostics, "", true);
  }
  if (!o.timePasses) return;
  if (o.json) process.stdout.write(`${JSON.stringify({ times }, null, 2)}\n`);
  else for (const t of times) process.stderr.write(passTable(t.function, t.passes));
}

const MOST_RUNS = 1000;

function runsOf(given: string | undefined): number {
  if (given === undefined) return 1;
  const runs = Number(given);
  if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS)
    throw usageError(`--repeat: ${given} is not a number of runs from 1 to ${MOST_RUNS}`);
  return runs;
}

/** Compiles from the text again and again; nothing that a run made is used by the next. */
async function warmTimes(
  file: string,
  name: string,
  first: readonly PassTime[],
  runs: number,
  o: ListingOptions,
): Promise<readonly PassTimes[]> {
  const { printAfter: _printed, ...quiet } = o;
  const all: (readonly PassTime[])[] = [];
  for (let i = 1; i < runs; i++) {
    const program = await compileFile(file);
    const [f] = selected(program, [name]);
    if (f) all.push(listFunction(program, f, { ...quiet, stage: undefined }));
  }
  const later = all.slice(Math.floor(all.length / 2));
  const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;
  return first.map((p, i) => ({ ...p, warm: median(later.map((run) => run[i]?.ms ?? 0)) }));
}

function passTable(name: string, passes: readonly PassTimes[]): string {
  const ms = (value: number): string => `${value.toFixed(2).padStart(9)} ms`;
  const warm = passes.some((p) => p.warm !== undefined);
  const total: PassTimes = {
    pass: "total",
    ms: passes.reduce((a, p) => a + p.ms, 0),
    warm: passes.reduce((a, p) => a + (p.warm ?? 0), 0),
  };
  const head = warm ? `  ${"".padEnd(12)} ${"first".padStart(12)} ${"warm".padStart(12)}\n` : "";
  const lines = [...passes, total].map((p) => `  ${p.pass.padEnd(12)} ${ms(p.ms)}${warm ? ` ${ms(p.warm ?? 0)}` : ""}`);
  return `${name}\n${head}${lines.join("\n")}\n`;
}

function listTree(file: string): void {
  const source = readSource(file);
  const { module, diagnostics } = parseModule(source, file);
  if (diagnostics.some((d) => d.severity === "error")) throw new CompileError(diagnostics, new Map([[file, source]]));
  process.stdout.write(`${printModule(module)}\n`);
}

function selected(program: Program, names: readonly string[]): readonly FunctionSignature[] {
  return names.length === 0 ? program.functions : names.map((n) => functionOf(program, n));
}

function listFunction(program: Program, f: FunctionSignature, o: ListingOptions): readonly PassTime[] {
  const { consts, extents } = bindingsFor(f, o);
  const passes: PassTime[] = [];
  const compiled = program.compiled(f.name, {
    consts,
    extents,
    strict: o.strict,
    fastMath: o.fastMath,
    onPass: (pass, ms, dump) => {
      passes.push({ pass, ms });
      if (o.printAfter === pass || o.printAfter === "all")
        process.stdout.write(`// after ${pass}, ${f.name}\n${dump()}\n`);
    },
  });
  if (o.printAfter !== undefined && o.printAfter !== "all" && !passes.some((p) => p.pass === o.printAfter))
    throw usageError(`no pass is called ${o.printAfter}; there are ${passes.map((p) => p.pass).join(", ")}`);
  if (o.stage) process.stdout.write(`${stageText(o.stage, compiled)}\n`);
  return passes;
}

type Compiled = ReturnType<Program["compiled"]>;

function stageText(what: Stage, c: Compiled): string {
  switch (what) {
    case "ast":
    case "tensor":
      return printProgram(c.program);
    case "fused":
      return printFused(c.fused);
    case "kernel":
      return c.applied.map((a) => printKernel(a.kernel)).join("\n\n");
    case "wgsl":
      return c.plan.kernels.map((k) => k.wgsl).join("\n\n");
    case "plan":
      return JSON.stringify(c.plan, null, 2);
  }
}
