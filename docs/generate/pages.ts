/** Every page that is generated, or has generated parts, as it should be. */
import { readFileSync } from "node:fs";
import { commandTables } from "./commands.ts";
import { diagnosticsPage } from "./diagnostics.ts";
import { libraryPage } from "./library.ts";
import { accuracyTable } from "./numerics.ts";
import { optionTables } from "./options.ts";
import { replacePart } from "./region.ts";

export function pageUrl(page: string): URL {
  return new URL(`../${page}`, import.meta.url);
}

export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  const read = (page: string): string => readFileSync(pageUrl(page), "utf8");
  let cli = read("cli.md");
  for (const [name, table] of commandTables()) cli = replacePart(cli, name, table);
  let project = read("project.md");
  for (const [name, table] of optionTables()) project = replacePart(project, name, table);
  return new Map([
    ["library.md", libraryPage()],
    ["diagnostics.md", await diagnosticsPage()],
    ["numerics.md", replacePart(read("numerics.md"), "accuracy", accuracyTable())],
    ["cli.md", cli],
    ["project.md", project],
  ]);
}
