/**
 * Builds the compiler for pages (`src/page/index.ts`) into two minified modules: `index.js` with what most programs need, and `rest.js`,
 * which it loads when a program needs more. Which is which is measured: the programs of `src/page/usual` are compiled under V8's coverage.
 * Beside them stand the standard library's modules, without their comments. Run as a program it writes them to a folder, `dist/page` if none
 * is named.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { minify } from "terser";
import { lex } from "./grammar/lexer.ts";
import { split, withoutDescriptions } from "./page-split.ts";
import type { Range } from "./page-syntax.ts";

const root: string = import.meta.dirname;
const at = (path: string): string => join(root, path);

export interface PageFile {
  /** Beside the others. */
  readonly path: string;
  readonly text: string;
}

/** All files of the compiler for pages. */
export async function buildPage(): Promise<readonly PageFile[]> {
  const bundle = withoutDescriptions(await bundled());
  const { main, rest } = split(bundle, await uncalled(bundle), "late");
  const first = await minified(main);
  // Both parts call what they share by its short name, which makes the cheapest list of exports.
  const names = new Map([...first.matchAll(/([\w$]+) as (\$\w+)/g)].map(([, name = "", key = ""]) => [key, name]));
  const second = rest.replaceAll(/(\$\w+) as /g, (_, key: string) => `${names.get(key)} as `);
  return [
    { path: "index.js", text: first.replaceAll(/([\w$]+) as \$\w+/g, "$1") },
    // Terser takes seconds; what is seldom loaded is worth less.
    {
      path: "rest.js",
      text: (await transform(second, { minify: true, format: "esm", target: "es2024", charset: "utf8" })).code,
    },
    ...standardLibrary().map((name) => ({ path: `std/${name}.js`, text: libraryModule(name) })),
  ];
}

export function writePage(files: readonly PageFile[], folder: string): void {
  mkdirSync(join(folder, "std"), { recursive: true });
  for (const { path, text } of files) writeFileSync(join(folder, path), text);
}

function standardLibrary(): readonly string[] {
  return readdirSync(at("src/std")).flatMap((file) => (file.endsWith(".ein") ? [file.slice(0, -".ein".length)] : []));
}

/** Lines stay where they are, since kernels say which they come from. */
function libraryModule(name: string): string {
  let source = readFileSync(at(`src/std/${name}.ein`), "utf8");
  for (const { start, end } of lex(source, name).comments.toReversed())
    source =
      source.slice(0, start).replace(/[ \t]+$/, "") +
      source.slice(start, end).replace(/[^\n]/g, "") +
      source.slice(end);
  return `export default ${JSON.stringify(source)};\n`;
}

async function minified(code: string): Promise<string> {
  const { code: short } = await minify(code, {
    module: true,
    // One letter for it would no longer be free for what functions declare, whose names repeat.
    nameCache: { vars: { props: { $late: "Vp" } } },
    ecma: 2020,
    compress: { passes: 3, sequences: false, pure_getters: true, keep_fargs: false, inline: 1 },
    format: { ecma: 2020 },
  });
  return short ?? "";
}

/** The compiler as one readable module. */
async function bundled(): Promise<string> {
  const table = standardLibrary().map((name) => `  ${name}: () => import("./std/${name}.js"),\n`);
  const { outputFiles } = await build({
    entryPoints: [at("src/page/index.ts")],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2024",
    write: false,
    legalComments: "none",
    charset: "utf8",
    external: ["./rest.js", "./std/*.js"],
    plugins: [
      {
        name: "page",
        setup(b) {
          b.onResolve({ filter: /^chevrotain$/ }, () => ({ path: at("src/page/chevrotain.ts") }));
          b.onResolve({ filter: /\/verify-kernel\.ts$/ }, () => ({ path: at("src/page/verify-kernel.ts") }));
          b.onResolve({ filter: /\/tune\/(?:tune|load)\.ts$/ }, () => ({ path: at("src/page/tuner.ts") }));
          b.onResolve({ filter: /^\.\/rest\.ts$/ }, () => ({ path: "./rest.js", external: true }));
          b.onLoad({ filter: /src\/page\/std\.ts$/ }, ({ path }) => ({
            contents: readFileSync(path, "utf8").replace("= {};", `= {\n${table.join("")}};`),
            loader: "ts",
          }));
        },
      },
    ],
  });
  return outputFiles[0]?.text ?? "";
}

/** The ranges of the bundle that do not run when the usual programs are compiled. */
async function uncalled(bundle: string): Promise<readonly Range[]> {
  const folder = mkdtempSync(join(tmpdir(), "fusum-page-"));
  const session = new Session();
  session.connect();
  try {
    const file = join(folder, "bundle.mjs");
    writeFileSync(file, bundle);
    const url = pathToFileURL(file).href;
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    const page = (await import(url)) as typeof import("./src/page/index.ts");
    for (const name of readdirSync(at("src/page/usual"))) {
      const program = await page.compile(readFileSync(at(`src/page/usual/${name}`), "utf8"));
      for (const f of program.functions) await program.plan(f.name);
    }
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const script = result.find((s) => s.url === url);
    if (!script) throw new Error("no coverage of the bundle");
    return script.functions.flatMap((f) =>
      f.ranges.flatMap((r) => (r.count === 0 ? [{ start: r.startOffset, end: r.endOffset }] : [])),
    );
  } finally {
    session.disconnect();
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const files = await buildPage();
  writePage(files, process.argv[2] ?? at("dist/page"));
  for (const { path, text } of files)
    console.log(`${path}: ${Buffer.byteLength(text)} bytes, ${gzipSync(text, { level: 9 }).length} gzipped`);
}
