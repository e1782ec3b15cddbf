/** The gradient of a function in index notation, for hovers. Kept by what the function depends on. */
import type { FnItem } from "../../grammar/ast.ts";
import { isFloat } from "../../ir/dtype.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { simplifyProgram } from "../../ir/simplify.ts";
import { NotDifferentiable, reverse } from "../differentiate/reverse.ts";
import { isConst } from "../elaborate/function.ts";
import { elaborate } from "../elaborate/index.ts";
import type { LoadedModule, ModuleGraph } from "../modules.ts";

const known = new Map<string, string | undefined>();
const MAX_KNOWN = 256;
/** Longer ones are cut: `fusum explain --grad` prints them whole. */
const MAX_LINES = 30;

/** `key` stands for the function and all it depends on; without one the gradient is made anew. Undefined if there is none. */
export function gradientOf(
  graph: ModuleGraph,
  m: LoadedModule,
  item: FnItem,
  key: string | undefined,
): string | undefined {
  const id = key ?? (m.isStd ? `${m.file}:${item.name.text}` : undefined);
  if (id !== undefined && known.has(id)) return known.get(id);
  const made = make({ ...graph, entry: m }, item);
  if (id !== undefined) {
    known.set(id, made);
    const [oldest] = known.keys();
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest);
  }
  return made;
}

function make(graph: ModuleGraph, item: FnItem): string | undefined {
  try {
    const provided = item.params.filter((p) => !isConst(p)).map((p) => p.name.text);
    const { program } = elaborate(graph, item.name.text, { provided });
    if (!program) return undefined;
    const wrt = program.inputs.filter((d) => isFloat(d.types[0] ?? "i32")).map((d) => d.name);
    if (wrt.length === 0 || !program.results.some((r) => isFloat(r.tensor.types[r.slot] ?? "i32"))) return undefined;
    const scalar = program.results.length === 1 && program.results[0]?.tensor.axes.length === 0;
    const text = printProgram(simplifyProgram(reverse(program, { wrt, seed: () => (scalar ? "one" : "input") })));
    const lines = text.trimEnd().split("\n");
    return lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), "…"].join("\n") : lines.join("\n");
  } catch (error) {
    return error instanceof NotDifferentiable ? `// none: ${error.message}` : undefined;
  }
}
