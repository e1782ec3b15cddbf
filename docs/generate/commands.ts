/** The tables of options in docs/cli.md, from the commands themselves. */
import type { Command, Option } from "commander";
import { makeCommand } from "../../src/cli/main.ts";
import { markdownTable } from "./region.ts";

/** By part name: `global`, and each command's own options under its name. */
export function commandTables(): ReadonlyMap<string, string> {
  const program = makeCommand();
  return new Map([
    ["global", optionTable(program)],
    ...program.commands.map((c): [string, string] => [
      c.name(),
      `\`${["fusum", c.name(), ...c.registeredArguments.map((a) => argumentText(a.name(), a.required, a.variadic))].join(" ")}\`: ${c.description()}.\n\n${optionTable(c)}`,
    ]),
  ]);
}

function argumentText(name: string, required: boolean, variadic: boolean): string {
  const text = `${name}${variadic ? "…" : ""}`;
  return required ? text.toUpperCase() : `[${text.toUpperCase()}]`;
}

function optionTable(c: Command): string {
  return markdownTable(
    ["option", ""],
    c.options.filter((o) => !o.hidden).map((o) => [`\`${o.flags}\``, aboutOption(o)]),
  );
}

function aboutOption(o: Option): string {
  const choices = o.argChoices ? `: ${o.argChoices.map((w) => `\`${w}\``).join(", ")}` : "";
  const fallback = typeof o.defaultValue === "string" ? ` (default \`${o.defaultValue}\`)` : "";
  return `${o.description}${choices}${fallback}`;
}
