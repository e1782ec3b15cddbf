/** From a module's text to a checked program. */
import { loadModules, type Resolve } from "../modules.ts";
import { resolveStd } from "../std/index.ts";
import { CompileError } from "./error.ts";
import { Program } from "./program.ts";

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
  return new Program(graph, (text) => compile(text, o));
}
