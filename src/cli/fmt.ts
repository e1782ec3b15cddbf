/** `fusum fmt`: formats in place. A file with syntax errors is reported and left as it is. */
import { readFileSync } from "node:fs";
import { formatModule } from "../../grammar/format.ts";
import { parseModule } from "../../grammar/parser.ts";
import { writeOutput } from "../project/outputs.ts";
import {
  CliError,
  decodeSource,
  EXIT,
  findSources,
  type GlobalOptions,
  printDiagnostics,
  readSource,
  shownPath,
} from "./context.ts";

interface FormatOptions extends GlobalOptions {
  readonly check?: boolean;
}

export async function format(paths: readonly string[], o: FormatOptions): Promise<void> {
  if (paths.length === 1 && paths[0] === "-") {
    const source = decodeSource(readFileSync(0), "<stdin>");
    const text = formatted(source, "<stdin>", o);
    // Whoever puts the output in the place of the input loses nothing.
    if (!o.check) process.stdout.write(text ?? source);
    if (text === undefined || (o.check && text !== source)) throw new CliError(EXIT.diagnostics, "", true);
    return;
  }
  const changed: string[] = [];
  let broken = false;
  for (const file of findSources(paths)) {
    const source = readSource(file);
    const text = formatted(source, file, o);
    if (text === undefined) broken = true;
    else if (text !== source) {
      changed.push(shownPath(file));
      if (!o.check) writeOutput(file, text);
    }
  }
  if (o.json) process.stdout.write(`${JSON.stringify({ changed })}\n`);
  else for (const file of changed) process.stdout.write(`${file}\n`);
  if (broken || (o.check && changed.length > 0)) throw new CliError(EXIT.diagnostics, "", true);
}

function formatted(source: string, file: string, o: GlobalOptions): string | undefined {
  const { diagnostics } = parseModule(source, file);
  const errors = diagnostics.filter((d) => d.severity === "error");
  if (errors.length === 0) return formatModule(source, file);
  printDiagnostics(errors, new Map([[file, source]]), o);
  return undefined;
}
