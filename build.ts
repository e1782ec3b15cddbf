/**
 * Builds the package into dist/: JavaScript and declarations by tsc, the standard library's sources beside the module that reads them,
 * the command line in few files, and the compiler for pages. Plain Node programs only, so that it runs as `node build.ts` with nothing built before.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, globSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

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

/**
 * The command and its worker threads, bundled where they lie: of their start, most is finding and opening hundreds of files. What a
 * command needs is a few files, loaded when it is asked for; packages stay outside, and so does the module that reads its neighbours.
 */
async function bundleCommand(): Promise<void> {
  const folder = join(dist, "src/cli");
  await build({
    entryPoints: { main: join(folder, "main.js"), worker: join(dist, "src/project/worker.js") },
    outdir: folder,
    chunkNames: "part-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    packages: "external",
    charset: "utf8",
    allowOverwrite: true,
    plugins: [
      {
        name: "std",
        setup: (b) =>
          b.onResolve({ filter: /\/std\/index\.js$/ }, () => ({
            path: "../std/index.js",
            external: true,
            sideEffects: false,
          })),
      },
    ],
  });
}

rmSync(dist, { recursive: true, force: true });
compile();
for (const file of globSync("src/std/*.ein", { cwd: root })) cpSync(join(root, file), join(dist, file));
await bundleCommand();
const page = spawnSync(process.execPath, [join(root, "build-page.ts")], { cwd: root, stdio: "inherit" });
if (page.status !== 0) throw page.error ?? new Error(`build-page.ts ended with ${page.status}`);
chmodSync(join(dist, "src/cli/main.js"), 0o755);
