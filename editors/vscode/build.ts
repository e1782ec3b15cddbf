/**
 * Writes the grammar, and bundles the extension and the language server into `dist/` (or the folder that is given), with the standard
 * library's sources beside the server: `node build.ts [OUT]`.
 */
import { cpSync, globSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { build } from "esbuild";
import { textMateGrammar } from "./grammar.ts";

const here: string = import.meta.dirname;
const root: string = resolve(here, "../..");
const out: string = resolve(process.argv[2] ?? join(here, "dist"));

mkdirSync(join(here, "syntaxes"), { recursive: true });
writeFileSync(join(here, "syntaxes/ein.tmLanguage.json"), `${JSON.stringify(textMateGrammar(), null, 2)}\n`);

rmSync(out, { recursive: true, force: true });
const common = { bundle: true, platform: "node", target: "node20", minify: true, legalComments: "eof" } as const;
await build({
  ...common,
  entryPoints: [join(here, "src/extension.ts")],
  outfile: join(out, "extension.cjs"),
  format: "cjs",
  external: ["vscode"],
});
await build({
  ...common,
  entryPoints: [join(here, "src/server.ts")],
  outfile: join(out, "server.mjs"),
  format: "esm",
  // The protocol's library is CommonJS and asks for Node's modules by `require`.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
for (const file of globSync("src/std/*.ein", { cwd: root })) cpSync(join(root, file), join(out, basename(file)));
