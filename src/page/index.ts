/**
 * The compiler in a page: `await compile(source)`, then `device.load(program, name)` with `fusum/browser`, or `program.plan(name)`. It is
 * built into few small files (`build-page.ts`): what most programs need comes at once, the rest when a program needs it, so everything
 * is asynchronous here. Plans are the same as everywhere.
 */
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { HostArray, Plan } from "../../runtime/plan.ts";
import { type CompileSourceOptions, compile as compileNow } from "../api/compile.ts";
import { EIN_FILE, type EinValue, einSource } from "../api/ein-source.ts";
import { CompileError } from "../api/error.ts";
import type { DerivativeOptions, FunctionOptions, HostArrays, LowerOptions, Program } from "../api/program.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { whenLoaded } from "./load.ts";
import { loadAllStd, loadStd } from "./std.ts";

export type { Diagnostic } from "../../grammar/diagnostic.ts";
export type { HostArray, Plan } from "../../runtime/plan.ts";
export type { CompileSourceOptions } from "../api/compile.ts";
export type { EinValue } from "../api/ein-source.ts";
export type { ConstValue, DerivativeOptions, FunctionOptions } from "../api/program.ts";
export type { FunctionSignature } from "../elaborate/signature.ts";
export { late, preload } from "./load.ts";
export { CompileError };

/** What `device.load` gives a plan of, without the tuner. */
export type PageOptions = Omit<LowerOptions, "tune" | "schedules" | "schedule" | "onPass"> & {
  readonly provided?: readonly string[];
};

/** A checked module, as `Program` of `fusum`. Made by `compile` and `ein`. */
export class PageProgram {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }
  get functions(): readonly FunctionSignature[] {
    return this.#program.functions;
  }
  /** Warnings; errors are thrown by `compile`. */
  get diagnostics(): readonly Diagnostic[] {
    return this.#program.diagnostics;
  }
  /** What a device needs to run a function; called by `device.load`. Rejects with CompileError. */
  plan(name: string, o: PageOptions = {}): Promise<Plan> {
    return whenLoaded(() => this.#program.plan(name, o));
  }
  /** In float64 on the interpreter, as `interpret` of `Program`. */
  interpret(
    name: string,
    inputs: HostArrays,
    o: { readonly consts?: FunctionOptions["consts"]; readonly mode?: "exact" | "rounded" } = {},
  ): Promise<Record<string, HostArray>> {
    return whenLoaded(() => this.#program.interpret(name, inputs, o));
  }
  /** With one more function, `grad_NAME`. */
  grad(name: string, o: DerivativeOptions = {}): Promise<PageProgram> {
    return whenLoaded(() => new PageProgram(this.#program.grad(name, o)));
  }
  /** With one more function, `value_and_grad_NAME`. */
  valueAndGrad(name: string, o: DerivativeOptions = {}): Promise<PageProgram> {
    return whenLoaded(() => new PageProgram(this.#program.valueAndGrad(name, o)));
  }
}

/**
 * Parses and checks a module with everything that it imports; modules of `std/…` are loaded when they are first imported. Rejects with
 * CompileError, whose `diagnostics` are all that was found.
 */
export async function compile(source: string, o: CompileSourceOptions = {}): Promise<PageProgram> {
  await loadStd(source);
  const run = (): Promise<PageProgram> => whenLoaded(() => new PageProgram(compileNow(source, o)));
  try {
    return await run();
  } catch (error) {
    // An unknown name may be one of the library's that nobody imported.
    if (!(error instanceof CompileError && error.diagnostics.some((d) => d.code === "EIN1101"))) throw error;
    await loadAllStd();
    return run();
  }
}

/** The module that the template is, with values as literals: ``await ein`export fn scale(x: f32[N]) { x * ${2.5} }` ``. */
export async function ein(strings: TemplateStringsArray, ...values: readonly EinValue[]): Promise<PageProgram> {
  return compile(await whenLoaded(() => einSource(strings, values)), { fileName: EIN_FILE });
}
