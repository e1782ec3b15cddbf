/** The gradient of a function in index notation, for hovers. Kept by what the function depends on. */
import type { FnItem } from "../../grammar/ast.ts";
import { isFloat } from "../../ir/dtype.ts";
import { CompileError } from "../api/error.ts";
import { isConst } from "../elaborate/function.ts";
import { elaborate } from "../elaborate/index.ts";
import { LEAD } from "../elaborate/signature.ts";
import { explainGradient } from "../explain-grad/index.ts";
import type { LoadedModule, ModuleGraph } from "../modules.ts";

const known = new Map<string, string | undefined>();
const MAX_KNOWN = 256;
/** Longer ones are cut: `fusum explain --grad` prints them whole. */
const MAX_LINES = 30;
/** Past so many definitions it would be long in the making, and too long to show. */
const MAX_STEPS = 400;

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

/** The body of the gradient's text. A reason why there is none is a comment; where nothing is to be differentiated, undefined. */
function make(graph: ModuleGraph, item: FnItem): string | undefined {
  const provided = item.params.filter((p) => !isConst(p)).map((p) => p.name.text);
  const { program } = elaborate(graph, item.name.text, { provided });
  const floats = program?.inputs.some((d) => isFloat(d.types[0] ?? "i32"));
  if (!program || !floats || !program.results.some((r) => isFloat(r.tensor.types[r.slot] ?? "i32"))) return undefined;
  if (program.steps.length > MAX_STEPS) return "// long: `fusum explain --grad` prints it";
  try {
    const shown = { functions: [], sources: graph.sources, tensorProgram: () => program };
    return shortened(explainGradient(shown, item.name.text));
  } catch (error) {
    // Whatever it is, the rest of the hover is worth having.
    return error instanceof CompileError ? `// none: ${error.diagnostics[0]?.message}` : undefined;
  }
}

function shortened(text: string): string {
  const lines = text.trim().replaceAll(LEAD, "...").split("\n");
  return lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), "  // …"].join("\n") : lines.join("\n");
}
