/**
 * Fusum's public API, for Node and browsers alike: compile a module, look at its functions, interpret them, or hand the
 * program to a device (`fusum/node`, `fusum/browser`).
 */

import { CompileError } from "./api/error.ts";
import { Program } from "./api/program.ts";
import { loadModules, type Resolve } from "./modules.ts";
import { resolveStd } from "./std/index.ts";

export type { Diagnostic, Fix, Label, Severity } from "../grammar/diagnostic.ts";
export type { AdapterInfo, HostArray, Plan } from "../runtime/plan.ts";
export { einsumOn, einsumProgram, interpretEinsum } from "./api/einsum.ts";
export { CompileError } from "./api/error.ts";
export { type ConstValue, type FunctionOptions, type LowerOptions, Program, shapesOf } from "./api/program.ts";
export type { FunctionSignature } from "./elaborate/signature.ts";
export type { Resolve } from "./modules.ts";

export interface CompileSourceOptions {
  /** For diagnostics and as the base of relative imports. */
  readonly fileName?: string;
  /** Finds the text of an import that is not `std/…`; without it such imports are errors. */
  readonly resolve?: Resolve;
}

/**
 * Parses and checks a module with everything that it imports. Nothing touches a device.
 * Throws CompileError, whose `diagnostics` are all that was found in one go.
 */
export function compile(source: string, o: CompileSourceOptions = {}): Program {
  const graph = loadModules(source, o.fileName ?? "module.ein", { resolve: o.resolve, std: resolveStd });
  if (graph.diagnostics.some((d) => d.severity === "error")) throw new CompileError(graph.diagnostics, graph.sources);
  return new Program(graph);
}
