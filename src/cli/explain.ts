/** `fusum explain FILE [FN]`: what a function's kernels are, why, and what they cost; with `--grad` its gradient to read. */
import { explain, renderExplain } from "../explain.ts";
import { explainGradient } from "../explain-grad/index.ts";
import { compileFile } from "../node/compile-file.ts";
import { type BindingOptions, bindingsFor, checkBindings, extentsOf, functionOf, usageError } from "./context.ts";

export interface ExplainCommandOptions extends BindingOptions {
  readonly grad?: boolean;
  readonly jacobian?: boolean;
  readonly wrt?: string;
}

export async function explainCommand(file: string, name: string | undefined, o: ExplainCommandOptions): Promise<void> {
  if (o.wrt !== undefined && !o.grad && !o.jacobian) throw usageError("--wrt needs --grad or --jacobian");
  if (o.grad && o.jacobian) throw usageError("--grad and --jacobian exclude each other");
  const program = await compileFile(file);
  const functions = name === undefined ? program.functions : [functionOf(program, name)];
  if (functions.length === 0) throw usageError(`${file} exports no function`);
  checkBindings(functions, o);
  const wrt = o.wrt?.split(",").map((s) => s.trim());
  if (o.grad || o.jacobian) {
    const texts = functions.map((f) =>
      explainGradient(program, f.name, { ...bindingsFor(f, o), wrt, jacobian: o.jacobian ?? false }),
    );
    const shown = functions.map((f, i) => ({ name: f.name, text: texts[i] }));
    process.stdout.write(o.json ? `${JSON.stringify(shown, null, 2)}\n` : texts.join("\n"));
    return;
  }
  const extents = extentsOf(o);
  const explained = functions.map((f) => {
    const { consts, extents: own } = bindingsFor(f, o);
    const { fused } = program.compiled(f.name, { extents: own, consts, strict: o.strict, fastMath: o.fastMath });
    return explain(fused, extents);
  });
  if (o.json) process.stdout.write(`${JSON.stringify(explained, null, 2)}\n`);
  else process.stdout.write(`${explained.map(renderExplain).join("\n\n")}\n`);
}
