/** `fusum build`: type-checks modules and writes each function's WGSL and plan, or prints a stage with --emit. */
import { mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
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
  findSources,
  printDiagnostics,
  readSource,
  shownPath,
  usageError,
} from "./context.ts";
import { writeAtomically } from "./fmt.ts";

type Stage = "ast" | "tensor" | "fused" | "kernel" | "wgsl" | "plan";

export interface BuildOptions extends BindingOptions {
  readonly outDir?: string;
  readonly noEmit?: boolean;
  readonly function: readonly string[];
  readonly emit?: Stage;
  readonly printAfter?: string;
  readonly timePasses?: boolean;
}

interface PassTime {
  readonly pass: string;
  readonly ms: number;
}

export async function build(files: readonly string[], o: BuildOptions): Promise<void> {
  if (files.length === 0) throw usageError("no files given: fusum build FILE…");
  const written: string[] = [];
  const failures: CompileError[] = [];
  const times: { file: string; function: string; passes: PassTime[] }[] = [];
  for (const file of findSources(files)) {
    try {
      if (o.emit === "ast") {
        emitTree(file);
        continue;
      }
      const program = await compileFile(file);
      if (program.diagnostics.length > 0) printDiagnostics(program.diagnostics, program.sources, o);
      for (const f of selected(program, o.function)) {
        const passes: PassTime[] = [];
        const out = buildFunction(program, f, file, o, passes);
        written.push(...out);
        times.push({ file, function: f.name, passes });
      }
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      failures.push(error);
    }
  }
  finish(written, failures, times, o);
}

function finish(
  written: readonly string[],
  failures: readonly CompileError[],
  times: readonly { file: string; function: string; passes: PassTime[] }[],
  o: BuildOptions,
): void {
  if (failures.length > 0) {
    const sources = new Map(failures.flatMap((e) => [...e.sources]));
    const all = failures.flatMap((e) => e.diagnostics);
    printDiagnostics(all, sources, o);
    const errors = all.filter((d) => d.severity === "error").length;
    if (!o.json) process.stderr.write(`\nFound ${errors} ${errors === 1 ? "error" : "errors"}.\n`);
    throw new CliError(EXIT.diagnostics, "", true);
  }
  if (o.json) process.stdout.write(`${JSON.stringify({ written, ...(o.timePasses ? { times } : {}) }, null, 2)}\n`);
  else {
    for (const path of written) process.stdout.write(`${path}\n`);
    if (o.timePasses) for (const t of times) process.stderr.write(passTable(t.function, t.passes));
  }
}

function passTable(name: string, passes: readonly PassTime[]): string {
  const total = passes.reduce((a, p) => a + p.ms, 0);
  const lines = [...passes, { pass: "total", ms: total }].map(
    (p) => `  ${p.pass.padEnd(12)} ${p.ms.toFixed(2).padStart(9)} ms`,
  );
  return `${name}\n${lines.join("\n")}\n`;
}

function emitTree(file: string): void {
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

function buildFunction(
  program: Program,
  f: FunctionSignature,
  file: string,
  o: BuildOptions,
  passes: PassTime[],
): string[] {
  const { consts, extents } = bindingsFor(f, o);
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
  if (o.emit) {
    process.stdout.write(`${stage(o.emit, compiled)}\n`);
    return [];
  }
  if (o.noEmit || o.printAfter !== undefined) return [];
  const folder = o.outDir ?? dirname(file);
  mkdirSync(folder, { recursive: true });
  const base = join(folder, `${basename(file, ".ein")}.${f.name}`);
  writeAtomically(`${base}.wgsl`, `${wgslOf(compiled)}\n`);
  writeAtomically(`${base}.plan.json`, `${JSON.stringify(compiled.plan, null, 1)}\n`);
  return [shownPath(`${base}.wgsl`), shownPath(`${base}.plan.json`)];
}

type Compiled = ReturnType<Program["compiled"]>;

function stage(what: Stage, c: Compiled): string {
  switch (what) {
    case "ast":
    case "tensor":
      return printProgram(c.program);
    case "fused":
      return printFused(c.fused);
    case "kernel":
      return c.applied.map((a) => printKernel(a.kernel)).join("\n\n");
    case "wgsl":
      return wgslOf(c);
    case "plan":
      return JSON.stringify(c.plan, null, 2);
  }
}

function wgslOf(c: Compiled): string {
  return c.plan.kernels.map((k) => k.wgsl).join("\n\n");
}
