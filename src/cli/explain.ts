/** `fusum explain FILE [FN]`: what a function's kernels are, why, and what they cost. */
import { explain, renderExplain } from "../explain.ts";
import { compileFile } from "../node/compile-file.ts";
import { type BindingOptions, bindingsFor, extentsOf, usageError } from "./context.ts";

export async function explainCommand(file: string, name: string | undefined, o: BindingOptions): Promise<void> {
  const program = await compileFile(file);
  const functions = program.functions.filter((f) => name === undefined || f.name === name);
  if (functions.length === 0)
    throw usageError(
      `no exported function ${name ?? ""} in ${file}; there are ${program.functions.map((f) => f.name).join(", ") || "none"}`,
    );
  const extents = extentsOf(o);
  const explained = functions.map((f) => {
    const { consts, extents: own } = bindingsFor(f, o);
    const { fused } = program.compiled(f.name, { extents: own, consts, strict: o.strict });
    return explain(fused, extents);
  });
  if (o.json) process.stdout.write(`${JSON.stringify(explained, null, 2)}\n`);
  else process.stdout.write(`${explained.map(renderExplain).join("\n\n")}\n`);
}
