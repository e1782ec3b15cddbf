/** `.ein` in TypeScript: a tagged template that is a module. */
import { compile } from "./compile.ts";
import { EIN_FILE, type EinValue, einSource } from "./ein-source.ts";
import type { Program } from "./program.ts";

const made = new WeakMap<TemplateStringsArray, Map<string, Program>>();
/** Programs of one template that are kept, for values that change from call to call. */
const MOST_KEPT = 64;

/**
 * The module that the template is, with values as literals: ``ein`export fn scale(x: f32[N]) { x * ${2.5} }` ``. A template that
 * runs again with the same values is not compiled again. Throws CompileError, as `compile` does.
 */
export function ein(strings: TemplateStringsArray, ...values: readonly EinValue[]): Program {
  const source = einSource(strings, values);
  const programs = made.get(strings) ?? new Map<string, Program>();
  made.set(strings, programs);
  const old = programs.get(source);
  if (old) return old;
  const program = compile(source, { fileName: EIN_FILE });
  if (programs.size >= MOST_KEPT) programs.delete(programs.keys().next().value ?? "");
  programs.set(source, program);
  return program;
}
