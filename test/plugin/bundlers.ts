/** One entry through each bundler, with the plugin: what comes out is one ES module, as text. */
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import esbuildPlugin, { type FusumOptions } from "../../src/plugin/esbuild.ts";
import rolldownPlugin from "../../src/plugin/rolldown.ts";
import rollupPlugin from "../../src/plugin/rollup.ts";
import rspackPlugin from "../../src/plugin/rspack.ts";
import vitePlugin from "../../src/plugin/vite.ts";
import webpackPlugin from "../../src/plugin/webpack.ts";

export interface Bundled {
  readonly code: string;
  /** As the bundler words them. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** `folder` is the bundler's root, `entry` a file of it. */
type Bundler = (folder: string, entry: string, options: FusumOptions) => Promise<Bundled>;

const said = (error: unknown): Bundled => ({ code: "", errors: [sayOf(error)], warnings: [] });

/** Message, place and frame of a log as the command lines of Rollup and its kin print them. */
function sayOf(log: unknown): string {
  const { message, loc, frame, errors } = log as {
    readonly message: string;
    readonly loc?: { readonly file: string; readonly line: number; readonly column: number };
    readonly frame?: string;
    readonly errors?: readonly unknown[];
  };
  if (errors?.[0]) return sayOf(errors[0]);
  return `${loc ? `${loc.file}:${loc.line}:${loc.column} ` : ""}${message}\n${frame ?? ""}`;
}

/** Of a webpack-like compiler: ES modules, written to the folder's `out`. */
const webpackOptions = (folder: string, entry: string) =>
  ({
    mode: "production",
    context: folder,
    entry: `./${entry}`,
    output: { path: join(folder, "out"), filename: "[name].js", library: { type: "module" }, module: true },
    performance: { hints: false },
  }) as const;

interface StatsLike {
  toJson(o: object): {
    readonly errors?: readonly { readonly loc?: string; readonly file?: string; readonly message: string }[];
    readonly warnings?: readonly { readonly message: string }[];
  };
}

async function webpackResult(folder: string, stats: StatsLike): Promise<Bundled> {
  const { errors = [], warnings = [] } = stats.toJson({ all: false, errors: true, warnings: true });
  const { readFile } = await import("node:fs/promises");
  return {
    code: errors.length > 0 ? "" : await readFile(join(folder, "out/main.js"), "utf8"),
    errors: errors.map((e) => `${e.file}:${e.loc} ${e.message}`),
    warnings: warnings.map((w) => w.message),
  };
}

/** A callback's result; the compiler is closed, so that it leaves no threads behind. */
function finished<S extends StatsLike>(
  run: (done: (error: Error | null, stats?: S) => void) => void,
  close: (done: () => void) => void,
): Promise<S> {
  return new Promise((done, fail) => {
    run((error, stats) => close(() => (error || !stats ? fail(error) : done(stats))));
  });
}

export const BUNDLERS: Readonly<Record<"esbuild" | "rollup" | "rolldown" | "vite" | "webpack" | "rspack", Bundler>> = {
  async esbuild(folder, entry, options) {
    const { outputFiles, errors, warnings } = await esbuild({
      absWorkingDir: folder,
      entryPoints: [entry],
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      logLevel: "silent",
      plugins: [esbuildPlugin(options)],
    }).catch((error: unknown) => ({ outputFiles: [], warnings: [], ...(error as { errors: [] }) }));
    const text = (list: typeof errors): string[] =>
      list.map((m) => `${m.location?.file}:${m.location?.line}:${m.location?.column} ${m.text}`);
    return { code: outputFiles[0]?.text ?? "", errors: text(errors), warnings: text(warnings) };
  },

  async rollup(folder, entry, options) {
    const { rollup } = await import("rollup");
    const warnings: string[] = [];
    const plugin = rollupPlugin(options);
    const onwarn = (log: unknown): number => warnings.push(sayOf(log));
    try {
      const bundle = await rollup({ input: join(folder, entry), plugins: [plugin], onwarn });
      const { output } = await bundle.generate({ format: "es" });
      return { code: output[0].code, errors: [], warnings };
    } catch (error) {
      return said(error);
    }
  },

  async rolldown(folder, entry, options) {
    const { rolldown } = await import("rolldown");
    const warnings: string[] = [];
    const plugin = rolldownPlugin(options);
    const onLog = (level: string, log: unknown): unknown => level === "warn" && warnings.push(sayOf(log));
    try {
      const bundle = await rolldown({
        input: join(folder, entry),
        plugins: [plugin],
        onLog,
        checks: { pluginTimings: false },
      });
      const { output } = await bundle.generate({ format: "es" });
      await bundle.close();
      return { code: output[0].code, errors: [], warnings };
    } catch (error) {
      return said(error);
    }
  },

  async vite(folder, entry, options) {
    const { build } = await import("vite");
    const warnings: string[] = [];
    const rolldownOptions = {
      checks: { pluginTimings: false },
      onLog: (level: string, log: unknown): unknown => level === "warn" && warnings.push(sayOf(log)),
    };
    try {
      const made = await build({
        root: folder,
        configFile: false,
        logLevel: "silent",
        build: { write: false, lib: { entry, formats: ["es"] }, rolldownOptions },
        plugins: [vitePlugin(options)],
      });
      const [first] = Array.isArray(made) ? made : [];
      return { code: first?.output[0].code ?? "", errors: [], warnings };
    } catch (error) {
      return said(error);
    }
  },

  async webpack(folder, entry, options) {
    const { default: webpack } = await import("webpack");
    const compiler = webpack({
      ...webpackOptions(folder, entry),
      experiments: { outputModule: true },
      plugins: [webpackPlugin(options)],
    });
    const stats = await finished(
      (done) => compiler.run(done),
      (done) => compiler.close(done),
    );
    return webpackResult(folder, stats);
  },

  async rspack(folder, entry, options) {
    const { rspack } = await import("@rspack/core");
    const compiler = rspack({ ...webpackOptions(folder, entry), plugins: [rspackPlugin(options)] });
    const stats = await finished(
      (done) => compiler.run(done),
      (done) => compiler.close(done),
    );
    return webpackResult(folder, stats);
  },
};
