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
}

interface PassTime {
  readonly pass: string;
  readonly ms: number;
}

interface FunctionTimes {
  readonly file: string;
  readonly function: string;
  readonly passes: readonly PassTime[];
}

/** Writes no files. Ends with exit code 1 if a module has errors. */
export async function list(files: readonly string[], o: ListingOptions): Promise<void> {
  const failures: CompileError[] = [];
  const times: FunctionTimes[] = [];
  for (const file of files) {
    try {
      if (o.stage === "ast") {
        listTree(file);
        continue;
      }
      const program = await compileFile(file);
      if (program.diagnostics.length > 0) printDiagnostics(program.diagnostics, program.sources, o);
      for (const f of selected(program, o.function))
        times.push({ file, function: f.name, passes: listFunction(program, f, o) });
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

function passTable(name: string, passes: readonly PassTime[]): string {
  const total = passes.reduce((a, p) => a + p.ms, 0);
  const lines = [...passes, { pass: "total", ms: total }].map(
    (p) => `  ${p.pass.padEnd(12)} ${p.ms.toFixed(2).padStart(9)} ms`,
  );
  return `${name}\n${lines.join("\n")}\n`;
}

function listTree(file: string): void {
  const source = readSource(file);
  const { module, diagnostics } = parseModule(source, file);
  if (diagnostics.some((d) => d.severity === "error")) throw new CompileError(diagnostics, new Map([[file, source]]));
  process.stdout.write(`${printModule(module)}\n`);
}

function selected(program: Program, names: readonly string[]): readonly FunctionSignature[] {
  if (names.length === 0) return program.functions;
  return names.map((n) => {
    const f = program.functions.find((x) => x.name === n);
    if (!f)
      throw usageError(
        `no exported function ${n}; there are ${program.functions.map((x) => x.name).join(", ") || "none"}`,
      );
    return f;
  });
}

function listFunction(program: Program, f: FunctionSignature, o: ListingOptions): readonly PassTime[] {
  const { consts, extents } = bindingsFor(f, o);
  const passes: PassTime[] = [];
  const compiled = program.compiled(f.name, {
    consts,
    extents,
    strict: o.strict,
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
