/**
 * Builds the package into dist/: JavaScript and declarations by tsc, the standard library's sources beside the module that reads them,
 * and the compiler for pages. Plain Node programs only, so that it runs as `node build.ts` with nothing built before.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, globSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root: string = import.meta.dirname;
const dist: string = join(root, "dist");

function compile(): void {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve("typescript/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly bin: { readonly tsc: string } };
  const tsc = join(dirname(manifest), bin.tsc);
  const { status, error } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

rmSync(dist, { recursive: true, force: true });
compile();
for (const file of globSync("src/std/*.ein", { cwd: root })) cpSync(join(root, file), join(dist, file));
const page = spawnSync(process.execPath, [join(root, "build-page.ts")], { cwd: root, stdio: "inherit" });
if (page.status !== 0) throw page.error ?? new Error(`build-page.ts ended with ${page.status}`);
chmodSync(join(dist, "src/cli/main.js"), 0o755);
