/** The emitted module: from a checked `.ein` file to JavaScript that imports nothing, its types, maps and WGSL. Pure: no files, no clock. */
import { printDeclarations } from "./declarations.ts";
import { type FunctionForms, formsOf } from "./forms.ts";
import { printJavaScript } from "./javascript.ts";
import { moduleSource } from "./source.ts";
import type { MappedText } from "./text.ts";
import type { ModuleInput, ModuleOptions, OutputFile } from "./types.ts";

export type { ModuleInput, ModuleOptions, OutputFile, Specialisation } from "./types.ts";

/**
 * The files for one module, the same bytes for the same input and options, in a fixed order. Throws CompileError with spans if a
 * function cannot be compiled with what is given (an unknown extent, say).
 */
export function emitModule(input: ModuleInput, options: ModuleOptions): readonly OutputFile[] {
  const { program, fileName } = input;
  const functions = program.functions.flatMap((f) => formsOf(program, f, options) ?? []);
  const source = moduleSource(input);
  const stem = fileName.replace(/\.ein$/, "");
  const files: OutputFile[] = [];
  const add = (path: string, made: MappedText): void => {
    const base = path.slice(path.lastIndexOf("/") + 1);
    if (!options.sourceMap) files.push({ path, text: made.text });
    else {
      files.push({ path, text: `${made.text}//# sourceMappingURL=${base}.map\n` });
      files.push({ path: `${path}.map`, text: made.map(base, source.sources) });
    }
  };
  add(`${fileName}.js`, printJavaScript(functions, source));
  add(`${fileName}.d.ts`, printDeclarations(functions, source));
  if (options.arbitraryExtensions) add(`${stem}.d.ein.ts`, printDeclarations(functions, source));
  if (options.wgsl)
    for (const f of functions) files.push({ path: `${stem}.${f.signature.name}.wgsl`, text: wgslOf(f) });
  return files;
}

/** The kernels of all forms, for reading. */
function wgslOf(f: FunctionForms): string {
  const texts = f.forms.flatMap((form) => form.plan.kernels.map((k) => k.readable));
  return `${[...new Set(texts)].join("\n\n")}\n`;
}
