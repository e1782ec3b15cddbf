/** The compiled module that users hold: signatures, the interpreter, plans for devices, and what the passes did. */
import type { DiagnosticCode } from "../../grammar/codes.ts";
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import { NO_SPAN, type Span } from "../../grammar/span.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import type { Program as TensorProgram } from "../../ir/tensor.ts";
import type { AdapterInfo, HostArray, Plan } from "../../runtime/plan.ts";
import { type Compiled, type CompileOptions, compileProgram } from "../compile.ts";
import { Lines } from "../diagnostics/lines.ts";
import { suggest } from "../diagnostics/suggest.ts";
import { checkModule, elaborate } from "../elaborate/index.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import type { ModuleGraph } from "../modules.ts";
import { DEFAULT_TARGET } from "../schedule/applied.ts";
import { type ScheduleCache, scheduleFrom } from "../tune/cache.ts";
import type { TuneDevice } from "../tune/device.ts";
import type { LoadTuneOptions } from "../tune/load.ts";
import type { Tuned, TuneOptions } from "../tune/tune.ts";
import { CompileError } from "./error.ts";
import { featureProblem } from "./features.ts";
import { interpretArrays } from "./interpret.ts";

export type ConstValue = number | boolean | string | readonly number[];
export type HostArrays = Readonly<Record<string, HostArray>>;

/** Which of a function's kernels is meant: sizes and constants that are fixed when it is made. */
export interface FunctionOptions {
  /** Values of free extents; those left out stay symbolic and are read off the arguments at every call. */
  readonly extents?: Readonly<Record<string, number>>;
  /** Values of `const` parameters; those left out take their defaults. */
  readonly consts?: Readonly<Record<string, ConstValue>>;
  /** Shapes of arguments, where they are known: they fix extents and the ranks of `...`. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
}

export interface TensorOptions extends FunctionOptions {
  /** Arguments that will be given; parameters with a default that are not among them are constants. */
  readonly provided?: readonly string[];
  /** For differentiating the program itself: calls of functions with `@vjp` are steps with their rules. Such a program is not compiled. */
  readonly keepRules?: boolean;
}

export interface LowerOptions extends FunctionOptions {
  readonly adapter?: AdapterInfo;
  readonly strict?: boolean;
  /** Cheaper and less accurate functions of floats, without IEEE's NaN, infinities and -0. */
  readonly fastMath?: boolean;
  readonly onPass?: CompileOptions["onPass"];
  readonly verify?: boolean;
  /** Kernels that were made before: for builds of many modules. */
  readonly memo?: CompileOptions["memo"];
  /** Schedules of one's own for regions, before any others. */
  readonly schedule?: CompileOptions["schedule"];
  /** Tuned schedules: those for this adapter, regions and extents are used where they are legal, the default ones elsewhere. */
  readonly schedules?: ScheduleCache;
  /** For `device.load`: searches the schedules there first. */
  readonly tune?: boolean | LoadTuneOptions;
}

export interface DerivativeOptions {
  /** Names of the parameters to differentiate by. */
  readonly wrt?: readonly string[];
}

/** A checked module. Made by `compile`. */
export class Program {
  readonly #lines = new Map<string, Lines>();
  readonly functions: readonly FunctionSignature[];
  /** Warnings; errors are thrown by `compile`. */
  readonly diagnostics: readonly Diagnostic[];
  readonly #graph: ModuleGraph;
  readonly #tensor = new Map<string, Elaborated>();
  readonly #compiled = new Map<string, Compiled>();
  /** What was compiled with tuned schedules, by the cache they are from. */
  readonly #tuned = new WeakMap<ScheduleCache, Map<string, Compiled>>();

  readonly #extend: (source: string) => Program;

  /** Use `compile`. `extend` compiles another text of the same module. Throws CompileError if the module has errors. */
  constructor(graph: ModuleGraph, extend: (source: string) => Program) {
    this.#graph = graph;
    this.#extend = extend;
    const checked = checkModule(graph);
    if (checked.diagnostics.some((d) => d.severity === "error"))
      throw new CompileError(checked.diagnostics, graph.sources);
    this.functions = checked.functions;
    this.diagnostics = checked.diagnostics;
  }

  /** Texts of all modules by file name, for printing diagnostics. */
  get sources(): ReadonlyMap<string, string> {
    return this.#graph.sources;
  }

  /** The level-1 program of a function. Throws CompileError. */
  tensorProgram(name: string, o: TensorOptions = {}): TensorProgram {
    return this.#elaborate(name, o).program;
  }

  /**
   * Runs a function in float64 on the tensor interpreter (the oracle). Inputs are by parameter name; results by result name,
   * their data in Float64Array for floats. `rounded` rounds every operation to its element type instead.
   */
  interpret(
    name: string,
    inputs: HostArrays,
    o: { readonly consts?: FunctionOptions["consts"]; readonly mode?: "exact" | "rounded" } = {},
  ): Record<string, HostArray> {
    const shapes = shapesOf(inputs);
    const { program } = this.#elaborate(name, { consts: o.consts, shapes, provided: Object.keys(inputs) });
    return interpretArrays(program, inputs, o.mode ?? "exact");
  }

  /** Everything from the tensor program to the plan, cached by its options. */
  compiled(name: string, o: LowerOptions & { readonly provided?: readonly string[] } = {}): Compiled {
    const key =
      o.onPass || o.schedule
        ? undefined
        : JSON.stringify([name, o.extents, o.consts, o.shapes, o.provided, o.strict, o.fastMath, o.adapter]);
    const kept = o.schedules ? this.#tunedBy(o.schedules) : this.#compiled;
    const old = key === undefined ? undefined : kept.get(key);
    if (old) return old;
    const start = performance.now();
    const { program, folded } = this.#elaborate(name, o);
    o.onPass?.("elaborate", performance.now() - start, () => printProgram(program));
    const made = compileProgram(program, {
      target: o.adapter ?? DEFAULT_TARGET,
      strict: o.strict,
      fastMath: o.fastMath,
      schedule: scheduleOf(o),
      onPass: o.onPass,
      verify: o.verify ?? false,
      placeOf: (span) => this.#place(span),
      folded,
      memo: o.memo,
    });
    if (key !== undefined) kept.set(key, made);
    return made;
  }

  /** `FILE:LINE`. */
  #place(span: Span): string {
    let lines = this.#lines.get(span.file);
    if (!lines) {
      lines = new Lines(this.sources.get(span.file) ?? "");
      this.#lines.set(span.file, lines);
    }
    return `${span.file}:${lines.at(span.start).line}`;
  }

  /** What a device needs to run a function; called by `device.load`. EIN3003 if the adapter lacks a feature, such as f16. */
  plan(name: string, o: LowerOptions & { readonly provided?: readonly string[] } = {}): Plan {
    const made = this.compiled(name, o);
    const problem = featureProblem(name, made, o.adapter);
    if (problem) throw new CompileError([problem], this.sources);
    return made.plan;
  }

  /**
   * Searches the schedules of a function's kernels on a device. The cache that it resolves to is for `schedules` of `device.load`,
   * `plan` and `fusum build`, and can be written to a file (`writeCache`). Rejects with CompileError, TuneError, DeviceError.
   */
  async tune(
    device: TuneDevice,
    name: string,
    o: Omit<LowerOptions, "adapter"> & { readonly provided?: readonly string[] } & TuneOptions = {},
  ): Promise<Tuned> {
    const made = this.compiled(name, { ...o, adapter: device.info });
    const problem = featureProblem(name, made, device.info);
    if (problem) throw new CompileError([problem], this.sources);
    const { tuneFused } = await import("../tune/tune.ts");
    return tuneFused(device, made.fused, o);
  }

  /** The plan of a tuned function, for `device.load` with `tune`. What was tuned on the device already is not tuned again. */
  async tunedPlan(
    device: TuneDevice,
    name: string,
    o: LowerOptions & { readonly provided?: readonly string[] } = {},
  ): Promise<Plan> {
    const { tunedSchedules } = await import("../tune/load.ts");
    const { tune, ...rest } = o;
    const { fused } = this.compiled(name, rest);
    const schedules = await tunedSchedules(device, fused, o.schedules, typeof tune === "object" ? tune : {});
    return this.plan(name, { ...rest, schedules });
  }

  /**
   * A program with one more function, `grad_NAME`: the gradient of a scalar function by the parameters in `wrt` (the first, if it is left
   * out), a record of them if there are several. The same as `export let grad_NAME = grad(NAME, wrt: […])` in the module.
   */
  grad(name: string, o: DerivativeOptions = {}): Program {
    return this.#derivative("grad", name, o);
  }

  /** As `grad`, with the value: `value_and_grad_NAME` gives `value` and the gradients. */
  valueAndGrad(name: string, o: DerivativeOptions = {}): Program {
    return this.#derivative("value_and_grad", name, o);
  }

  /** `jacobian_NAME`: ∂result[…]/∂parameter[…], the result's axes first. */
  jacobian(name: string, o: DerivativeOptions = {}): Program {
    return this.#derivative("jacobian", name, o);
  }

  /** `hessian_NAME` of a scalar function. */
  hessian(name: string, o: DerivativeOptions = {}): Program {
    return this.#derivative("hessian", name, o);
  }

  #tunedBy(cache: ScheduleCache): Map<string, Compiled> {
    const kept = this.#tuned.get(cache) ?? new Map<string, Compiled>();
    this.#tuned.set(cache, kept);
    return kept;
  }

  #derivative(kind: string, name: string, o: DerivativeOptions): Program {
    if (!this.functions.some((f) => f.name === name)) throw this.#unknown(name);
    const names = o.wrt ?? [];
    const odd = names.find((n) => !/^[A-Za-z_]\w*$/.test(n));
    if (odd !== undefined) throw this.#error("EIN1601", `${JSON.stringify(odd)} is not the name of a parameter`);
    const wrt = names.length === 0 ? "" : `, wrt: [${names.join(", ")}]`;
    return this.#extend(`${this.#graph.entry.module.source}\nexport let ${kind}_${name} = ${kind}(${name}${wrt})\n`);
  }

  #error(code: DiagnosticCode, message: string): CompileError {
    return new CompileError([diagnostic(code, message, { span: NO_SPAN, text: "" })], this.#graph.sources);
  }

  #elaborate(name: string, o: TensorOptions): Elaborated {
    const key = JSON.stringify([name, o.extents, o.consts, o.shapes, o.provided, o.keepRules]);
    const old = this.#tensor.get(key);
    if (old) return old;
    if (!this.functions.some((f) => f.name === name)) throw this.#unknown(name);
    const made = elaborate(this.#graph, name, {
      extents: o.extents,
      consts: o.consts,
      shapes: o.shapes,
      provided: o.provided,
      keepRules: o.keepRules,
    });
    if (!made.program) throw new CompileError(made.diagnostics, this.#graph.sources);
    const done: Elaborated = { program: made.program, folded: made.folded };
    this.#tensor.set(key, done);
    return done;
  }

  #unknown(name: string): CompileError {
    const near = suggest(
      name,
      this.functions.map((f) => f.name),
    );
    const notes = [`exported functions: ${this.functions.map((f) => f.name).join(", ") || "none"}`];
    const d = diagnostic(
      "EIN1106",
      `the module exports no function ${JSON.stringify(name)}${near ? `; did you mean ${near}?` : ""}`,
      { span: NO_SPAN, text: "" },
      { notes },
    );
    return new CompileError([d], this.#graph.sources);
  }
}

function scheduleOf(o: LowerOptions): CompileOptions["schedule"] {
  const { schedule, schedules } = o;
  if (!schedules) return schedule;
  return (region, target) => schedule?.(region, target) ?? scheduleFrom(schedules, region, target);
}

interface Elaborated {
  readonly program: TensorProgram;
  readonly folded: ReadonlySet<string>;
}

export function shapesOf(inputs: HostArrays): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(inputs).map(([k, a]) => [k, a.shape]));
}
