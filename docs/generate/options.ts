/** The tables of options in docs/project.md, from the schema of the configuration. */
import { readSchema } from "../../src/project/schema.ts";
import { markdownTable } from "./region.ts";

interface Option {
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}
type Options = Readonly<Record<string, Option>>;

/** By part name: `options` of the file, and those of a `target`. */
export function optionTables(): ReadonlyMap<string, string> {
  const schema = readSchema() as {
    readonly properties: Options;
    readonly definitions: { readonly target: { readonly properties: Options } };
  };
  return new Map([
    ["options", table(schema.properties)],
    ["target", table(schema.definitions.target.properties)],
  ]);
}

function table(options: Options): string {
  const rows = Object.entries(options).filter(([name]) => name !== "$schema");
  return markdownTable(
    ["option", "default", ""],
    rows.map(([name, o]) => [
      `\`${name}\``,
      o.default === undefined ? "" : `\`${JSON.stringify(o.default)}\``,
      about(o),
    ]),
  );
}

function about({ description = "", minimum, maximum }: Option): string {
  const range = minimum !== undefined && maximum !== undefined ? ` From ${minimum} to ${maximum}.` : "";
  return `${description}${range}`;
}
